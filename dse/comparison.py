"""What mixing formats buys: mixed designs against the cheapest uniform ones, and how well losses were predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dse.designs import Design


USEFUL_ACCURACY_LOSS = 0.02
"""Operating points count only if the uniform design is at most this far below the float network on validation data."""


class Pace(Enum):
    """What designs compete by beside utilisation and loss."""

    INTERVAL = "interval_cycles"
    ENERGY = "energy_pj"

    def of(self, design: Design) -> float:
        """Its value of a design: cycles between samples, or picojoules a sample."""
        return design.interval_cycles if self is Pace.INTERVAL else design.total.energy_pj


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """The best mixed design against the cheapest uniform one under one interval and one loss bound."""

    mixed: Design
    uniform: Design

    @property
    def ratio(self) -> float:
        """Utilisation of the mixed design over the uniform one's; below 1 mixing saves hardware."""
        return self.mixed.utilisation / self.uniform.utilisation


def savings(mixed: Sequence[Design], uniform: Sequence[Design], *, float_accuracy: float) -> list[Saving]:
    """Where mixing saves: per interval bound and loss bound, cheapest uniform against cheapest mixed design.

    Bounds are those of the uniform designs themselves: for each one that is useful and the cheapest of its loss or
    better within its interval, the cheapest mixed design with no more loss (measured) and no longer interval. Best
    first.
    """
    found = []
    for candidate in uniform:
        if candidate.validation is None or candidate.validation.accuracy < float_accuracy - USEFUL_ACCURACY_LOSS:
            continue
        rivals = [one for one in uniform if _no_worse(one, candidate)]
        partners = [one for one in mixed if _no_worse(one, candidate)]
        if partners and min(rivals, key=lambda one: one.utilisation).utilisation >= candidate.utilisation:
            found.append(Saving(mixed=min(partners, key=lambda one: one.utilisation), uniform=candidate))
    return sorted(found, key=lambda saving: saving.ratio)


def _no_worse(one: Design, bound: Design) -> bool:
    if one.validation is None or bound.validation is None:
        return False
    return one.validation.divergence <= bound.validation.divergence and one.interval_cycles <= bound.interval_cycles


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedInterval:
    """Difference of two accuracies on the same samples with its 95 % confidence interval."""

    difference: float
    low: float
    high: float


def paired_interval(first_correct: NDArray[np.bool_], second_correct: NDArray[np.bool_]) -> PairedInterval:
    """Accuracy of the first minus that of the second, with a paired 95 % interval.

    The interval is Agresti and Min's adjusted Wald interval for matched pairs (Statistics in Medicine 24, 2005): half a
    pseudo-sample is added to each of the four cells, which keeps its coverage where few samples differ.

    >>> import numpy as np
    >>> agree = np.ones(100, dtype=bool)
    >>> paired_interval(agree, agree).difference
    0.0
    """
    count = len(first_correct)
    gained = int(np.sum(first_correct & ~second_correct))
    lost = int(np.sum(~first_correct & second_correct))
    size, up, down = count + 2.0, gained + 0.5, lost + 0.5
    centre = (up - down) / size
    spread = 1.959964 * math.sqrt(up + down - (up - down) ** 2 / size) / size
    return PairedInterval(difference=(gained - lost) / count, low=centre - spread, high=centre + spread)


def rank_correlation(designs: Sequence[Design]) -> float:
    """Spearman correlation of predicted and measured loss; NaN with fewer than three designs."""
    measured = [(design.predicted_loss, design.validation.divergence) for design in designs if design.validation]
    if len(measured) < 3:
        return math.nan
    import pandas as pd  # loaded when needed: the command line reads this module for its constants

    ranks = pd.DataFrame(measured, columns=["predicted", "measured"]).rank()
    return float(ranks["predicted"].corr(ranks["measured"]))


def mark_nondominated(designs: Sequence[Design], *, by: Pace = Pace.INTERVAL) -> list[bool]:
    """Which designs no other one beats in measured validation loss, utilisation and interval (or energy) at once.

    Of designs with the same three values the first is kept.
    """
    values = [
        (math.inf if one.validation is None else one.validation.divergence, one.utilisation, by.of(one))
        for one in designs
    ]
    return [
        not any(
            all(theirs <= ours for theirs, ours in zip(other, value, strict=True))
            and (other != value or earlier < index)
            for earlier, other in enumerate(values)
            if earlier != index
        )
        for index, value in enumerate(values)
    ]
