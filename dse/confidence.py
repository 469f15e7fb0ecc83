"""How sure measured losses are: bands from resampled validation samples and from other calibrations.

The bootstrap is that of Efron (1979): samples are drawn with replacement, the same ones for all designs, so that they
are compared in pairs. Each resample also draws one of the calibrations, so that a band holds both sources of chance.

A design has as many chances to look dominated as it has rivals. Of designs that truly lose the same, and differ by
sample only, a test of each pair at 2.5 % calls every third one dominated. So the largest of all differences is
compared with the largest that chance makes (White, A reality check for data snooping, Econometrica 68, 2000; with
differences in units of their own error: Romano and Wolf, Econometrica 73, 2005).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from dse.measurement import measure_formats, sample_losses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dse.designs import Design
    from dse.preparation import Prepared
    from dse.store import Store
    from emulation.calibrated import Formats

LEVEL: Final = 0.95
"""Bands hold this share of all resamples; an order is sure if as many, and half of the rest, agree on it."""
SURE: Final = (1 + LEVEL) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The measured loss of a design, nats, and how sure it and its place among the others are.

    Attributes:
        design: its name.
        loss: measured, with the study's own calibration.
        low: 2.5 % of the resamples are below.
        high: 2.5 % are above.
        calibrations: losses with the other calibrations, on all samples.
        unsure_against: the design with the next higher loss, if their order is within noise, else "".
        dominated_by: a design that costs no more, is no slower and loses surely less, if there is one, else "".
    """

    design: str
    loss: float
    low: float
    high: float
    calibrations: tuple[float, ...]
    unsure_against: str
    dominated_by: str

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(**({**content} | {"calibrations": tuple(content["calibrations"])}))


def bands_of(prepared: Prepared, store: Store, designs: Sequence[Design], *, jobs: int) -> tuple[Band, ...]:
    """Bands of measured designs, in their order; ``[accuracy]`` says how many resamples and calibrations."""
    settings = prepared.config.accuracy
    formats = [one.formats for one in designs]
    studies = [prepared, *(prepared.recalibrated(settings.seed + one) for one in range(settings.calibrations))]
    losses = np.stack([_losses(one, store, formats, jobs=jobs) for one in studies])
    drawn = resampled(losses, resamples=settings.resamples, seed=settings.seed)
    means = losses.mean(axis=2)
    return tuple(
        Band(
            design=design.name,
            loss=float(means[0, index]),
            low=float(np.quantile(drawn[:, index], 1 - SURE)),
            high=float(np.quantile(drawn[:, index], SURE)),
            calibrations=tuple(means[1:, index].tolist()),
            unsure_against=_unsure_against(index, designs, means[0], drawn),
            dominated_by=next((designs[other].name for other in dominating(index, designs, drawn)), ""),
        )
        for index, design in enumerate(designs)
    )


def _losses(prepared: Prepared, store: Store, formats: Sequence[Formats], *, jobs: int) -> NDArray[np.float64]:
    samples = prepared.validation
    measure_formats(prepared, store, formats, samples, jobs=jobs, description="calibrations")
    return sample_losses(prepared, store, formats, samples)


def resampled(losses: NDArray[np.float64], *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Mean losses of resamples of samples and calibrations.

    Args:
        losses: shape ``(calibrations, designs, samples)``, the study's own calibration first.
        resamples: how many; the mean over all samples comes first, so that there is one at least.
        seed: of the draws.

    Returns:
        Shape ``(1 + resamples, designs)``; within a resample all designs have the same samples and calibration.
    """
    draw = np.random.default_rng(seed)
    calibrations, designs, samples = losses.shape
    found = np.empty((1 + resamples, designs))
    found[0] = losses[0].mean(axis=1)
    for row in range(1, 1 + resamples):
        counts = np.bincount(draw.integers(samples, size=samples), minlength=samples)
        found[row] = losses[draw.integers(calibrations)] @ counts / samples
    return found


def dominating(index: int, designs: Sequence[Design], drawn: NDArray[np.float64]) -> list[int]:
    """Designs that cost no more, are no slower and surely lose less than one of them.

    That there is one at all is wrong with a probability of about ``1 - SURE``, however many cost no more; of about
    twice that where few of some hundred samples make most of the loss.

    Args:
        index: which design.
        designs: all of them.
        drawn: their mean losses, shape ``(1 + resamples, designs)``: of all samples, then in resamples.

    Returns:
        Those designs, the largest difference in units of its error first; without resamples all that lose less.
    """
    ours = designs[index]
    rivals = np.array(
        [
            other
            for other, theirs in enumerate(designs)
            if other != index
            and theirs.utilisation <= ours.utilisation
            and theirs.interval_cycles <= ours.interval_cycles
        ],
        dtype=np.intp,
    )
    if not rivals.size:
        return []
    gains = drawn[:, [index]] - drawn[:, rivals]
    gain, chance = gains[0], gains[1:] - gains[0]
    if not len(chance):
        return [int(rivals[row]) for row in np.argsort(-gain, kind="stable") if gain[row] > 0]
    error = np.maximum(np.sqrt(np.mean(chance**2, axis=0)), np.finfo(np.float64).tiny)
    bound = float(np.quantile((chance / error).max(axis=1), SURE))
    distance = gain / error
    return [int(rivals[row]) for row in np.argsort(-distance, kind="stable") if gain[row] > 0 and distance[row] > bound]


def _unsure_against(
    index: int, designs: Sequence[Design], losses: NDArray[np.float64], drawn: NDArray[np.float64]
) -> str:
    above = [other for other in range(len(designs)) if losses[other] > losses[index]]
    if not above:
        return ""
    following = min(above, key=lambda other: losses[other])
    is_sure = float(np.mean(drawn[:, index] < drawn[:, following])) >= SURE
    return "" if is_sure else designs[following].name
