"""Which sensitivity metric to trust: each one's order of whole designs against the losses that were measured."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dse.sensitivity_metrics import SensitivityMetric
    from dse.sweep import LossTable
    from emulation.calibrated import Formats
    from emulation.losses import Losses
    from emulation.network import Network

USEFUL_ACCURACY_LOSS = 0.02
"""Designs within this of the float network's accuracy are judged apart: among them a metric has to choose."""


FLOOR = 1e-4
"""Losses below this many nats count as about equal: some hundred samples do not tell them apart."""
TIE = 0.01
"""Rank correlations nearer than this are equal: other designs drawn at random move them by about as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How well one metric orders designs.

    Attributes:
        metric: its name.
        spearman: rank correlation of predictions and measured losses over all designs; NaN below three.
        kendall: Kendall's tau-b of the same.
        useful_spearman: over the designs within `USEFUL_ACCURACY_LOSS` of float.
        regret: what trusting it costs, nats: see `regret`.
        scale: measured over predicted loss, the median; turns its unit into nats.
        error: relative error of the scaled predictions, see `relative_error`.
    """

    metric: str
    spearman: float
    kendall: float
    useful_spearman: float
    regret: float
    scale: float
    error: float

    @property
    def order(self) -> float:
        """What metrics are ranked by: the mean of both rank correlations, as far as they are defined."""
        known = [one for one in (self.spearman, self.useful_spearman) if math.isfinite(one)]
        return sum(known) / len(known) if known else -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All metrics on the same measured designs, the best first.

    Attributes:
        verdicts: one per metric.
        designs: how many designs were measured.
        useful: how many of them are within `USEFUL_ACCURACY_LOSS` of float.
        chosen: name of the metric that is used.
        predictions: of each metric, in its own unit, one per design; for drawing.
        measured: losses of the designs, nats.
    """

    verdicts: tuple[Verdict, ...]
    designs: int
    useful: int
    chosen: str
    predictions: Mapping[str, tuple[float, ...]]
    measured: tuple[float, ...]

    def verdict(self, metric: str) -> Verdict:
        """The verdict on one metric."""
        return next(one for one in self.verdicts if one.metric == metric)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(
            verdicts=tuple(Verdict(**one) for one in content["verdicts"]),
            designs=content["designs"],
            useful=content["useful"],
            chosen=content["chosen"],
            predictions={name: tuple(values) for name, values in content["predictions"].items()},
            measured=tuple(content["measured"]),
        )


def audit_metrics(
    network: Network,
    tables: Mapping[SensitivityMetric, LossTable],
    designs: Sequence[Formats],
    losses: Sequence[Losses],
    *,
    chosen: SensitivityMetric | None = None,
) -> Audit:
    """Judge metrics on whole designs.

    Args:
        network: the network.
        tables: what each metric says of every tensor and layer, the most direct one first.
        designs: whole designs.
        losses: what they were measured to lose, in the same order.
        chosen: the metric to use; by default the winner: of those that order designs as well as the best, within `TIE`,
            the one that measures most directly, which is the order of ``tables``. What a proxy does not see,
            an optimiser finds, and designs drawn at random do not show.
    """
    measured = np.array([one.divergence for one in losses])
    useful = np.array([one.accuracy_change >= -USEFUL_ACCURACY_LOSS for one in losses], dtype=bool)
    budgets = np.array([bit_operations(network, one) for one in designs])
    predictions = {
        metric.value: np.array([table.total(network, one) for one in designs]) for metric, table in tables.items()
    }
    verdicts = sorted(
        (
            Verdict(
                metric=name,
                spearman=spearman(predicted, measured),
                kendall=kendall(predicted, measured),
                useful_spearman=spearman(predicted[useful], measured[useful]),
                regret=regret(predicted, measured, budgets),
                scale=scale_of(predicted, measured),
                error=relative_error(scale_of(predicted, measured) * predicted, measured),
            )
            for name, predicted in predictions.items()
        ),
        key=lambda one: (-one.order, one.regret),
    )
    tied = [one for one in verdicts if one.order >= verdicts[0].order - TIE]
    directness = [metric.value for metric in tables]
    winner = min(tied, key=lambda one: directness.index(one.metric))
    verdicts.sort(key=lambda one: one is not winner)  # stable: all others stay in their order
    return Audit(
        verdicts=tuple(verdicts),
        designs=len(designs),
        useful=int(useful.sum()),
        chosen=chosen.value if chosen is not None else verdicts[0].metric,
        predictions={name: tuple(values.tolist()) for name, values in predictions.items()},
        measured=tuple(measured.tolist()),
    )


def bit_operations(network: Network, formats: Formats) -> int:
    """Multiply-accumulates times the widths of both operands, summed: HAWQ-V3's hardware-free cost of a design."""
    total = 0
    for layer in network.engines:
        edges = [formats.edges[edge] for edge in network.input_edges(layer)]
        second = formats.weights[layer.name] if layer.weight is not None else edges[1]
        total += network.multiply_accumulates(layer) * edges[0].width * second.width
    return total


def regret(predicted: NDArray[np.float64], measured: NDArray[np.float64], budgets: NDArray[np.int64]) -> float:
    """Loss paid for trusting predictions, mean over budgets, in the unit of ``measured``.

    Each design's own bit operations are a budget once: among the designs within it, the one predicted best is taken,
    and its measured loss compared with the least one there.

    >>> import numpy as np
    >>> regret(np.array([2.0, 1.0]), np.array([0.1, 0.3]), np.array([5, 5]))
    0.2
    """
    paid = []
    for budget in budgets:
        within = budgets <= budget
        best = predicted[within].argmin()
        paid.append(float(measured[within][best] - measured[within].min()))
    return round(float(np.mean(paid)), 15) if paid else math.nan


def relative_error(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    """Root mean square of ``(predicted - measured) / (measured + FLOOR)``, each at most 1: beyond 100 % it is wrong.

    >>> import numpy as np
    >>> round(relative_error(np.array([0.2, 9.0]), np.array([0.1, 0.1])), 3)
    1.0
    """
    errors = (predicted - measured) / (measured + FLOOR)
    return float(np.sqrt(np.mean(np.clip(errors, -1.0, 1.0) ** 2)))


def scale_of(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    """Median of measured over predicted, of predictions above 0; 1 if there are none."""
    positive = predicted > 0
    return float(np.median(measured[positive] / predicted[positive])) if positive.any() else 1.0


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the mean of theirs.

    >>> import numpy as np
    >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation; NaN with fewer than three values or where one side is constant."""
    if len(first) < 3:
        return math.nan
    left, right = ranks(first), ranks(second)
    left, right = left - left.mean(), right - right.mean()
    size = math.sqrt(float(left @ left) * float(right @ right))
    return float(left @ right) / size if size else math.nan


def kendall(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Kendall's tau-b: pairs in the same order less pairs in opposite order, with ties; NaN as `spearman`."""
    if len(first) < 3:
        return math.nan
    left = np.sign(first[:, None] - first[None, :])
    right = np.sign(second[:, None] - second[None, :])
    size = math.sqrt(float(np.sum(left**2)) * float(np.sum(right**2)))
    return float(np.sum(left * right)) / size if size else math.nan
