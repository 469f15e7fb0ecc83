"""What a format's sensitivity can be measured by: metrics side by side, each a number per probe that adds up.

A metric is charged like a loss: the value of an edge's probe, and of an engine's probe less that of its input alone.
Only the first three are changes of the network's own answers; the others predict them from less. `dse.audit` finds out
which one orders whole designs best.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulation.losses import Losses


class SensitivityMetric(Enum):
    """A number per probe; larger is worse, 0 is the float network.

    In the formulas p are the float network's class probabilities and q the probed network's, z their logits, s samples,
    D the change of the tensor that a probe changes, g the gradient of the cross-entropy to the labels with respect to
    that tensor, W weights, a activations, Q a cast.
    """

    DIVERGENCE = "divergence"
    """mean_s KL(p_s || q_s) in nats (Kullback and Leibler 1951); what designs are judged by."""
    CROSS_ENTROPY = "cross-entropy"
    """mean_s (log p_s(label) - log q_s(label)) in nats: the change of the training loss, as CalibTIP measures it per
    layer (Hubara et al. 2021). Negative where a cast helps."""
    TASK = "task"
    """Accuracy lost: accuracy(p) - accuracy(q). In steps of one sample, so it cannot tell good formats apart."""
    OUTPUT_ERROR = "output-error"
    """sum |z' - z|^2 / sum |z - mean z|^2: the mean squared error of the logits, relative; its ratio in decibels is the
    signal-to-quantisation-noise ratio (MixDQ, Zhao et al. 2024), see `sqnr_db`."""
    FISHER = "fisher"
    """mean_s (g_s . D_s)^2 / 2: the second-order term with the empirical Fisher matrix, mean g g^T, in place of the
    Hessian (Theis et al. 2018, "Faster gaze prediction with dense networks and Fisher pruning")."""
    GRADIENT = "gradient"
    """mean_s |g_s . D_s|: the first-order term of the change of the loss, without its sign (Molchanov et al. 2017)."""
    HESSIAN = "hessian"
    """Tr(H_W) / n_W * |Q(W) - W|^2, and for an edge mean_s Tr(H_a) / n_a * |Q(a_s) - a_s|^2, with traces by
    Hutchinson's estimator v^T H v, v of signs at random (HAWQ-V2, Dong et al. 2020; HAWQ-V3, Yao et al. 2021)."""
    NORM = "norm"
    """|W| * std(W)^2 * 4^-bits, and for an edge likewise of its values (root mean square per sample): the rule of
    ShiftAddLLM (You et al. 2024), which ranks layers by |W| * std(W)^2; 4^-bits is the step of a cast, squared. It
    knows widths only."""

    @property
    def is_loss(self) -> bool:
        """Whether it is a change of the network's own answers, measured as `emulation.losses.Losses`."""
        return self in _LOSSES

    def of(self, losses: Losses, proxies: Mapping[str, float]) -> float:
        """Its value for a measured probe."""
        match self:
            case SensitivityMetric.DIVERGENCE:
                return losses.divergence
            case SensitivityMetric.CROSS_ENTROPY:
                return losses.cross_entropy_change
            case SensitivityMetric.TASK:
                return -losses.accuracy_change
            case _:
                return proxies[self.value]


_LOSSES = (SensitivityMetric.DIVERGENCE, SensitivityMetric.CROSS_ENTROPY, SensitivityMetric.TASK)

PROXIES = tuple(metric for metric in SensitivityMetric if not metric.is_loss)
"""Metrics that are stored beside the losses of a probe."""


def sqnr_db(output_error: float) -> float:
    """The signal-to-quantisation-noise ratio of a relative squared error, decibels; infinite for no error.

    >>> sqnr_db(0.01)
    20.0
    """
    return math.inf if output_error <= 0 else -10 * math.log10(output_error)
