"""Roles of the objectives in the epsilon search, and the thresholds at which the sliced one is looked at."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.problem import Combine, Problem, UtilisationObjective
from dse.solve.query import Query
from dse.solve.slices import Spacing
from dse.solve.terms import term_of

if TYPE_CHECKING:
    from collections.abc import Sequence


MOST_SLICED = 3
"""Objectives that have a role each; more of them are searched zone by zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which objective is minimised, which one is bounded by an epsilon, which one is cut into slices.

    Attributes:
        primary: Minimised.
        swept: Bounded by epsilons; None for a single objective.
        sliced: Bounded by thresholds; None for fewer than three objectives.
        threshold: The sliced objective is a maximum: its bound removes options, and its values below the next
            threshold need not be told apart.
        order: The order in which objectives are minimised under bounds: the primary one first; a utilisation last,
            because it needs a solve of its own wherever something follows it.
        order_from_low_end: The same for the smallest value of the swept objective, which comes first.
    """

    primary: str
    swept: str | None
    sliced: str | None
    threshold: bool
    order: tuple[str, ...]
    order_from_low_end: tuple[str, ...]

    @property
    def tight(self) -> bool:
        """The swept objective is minimised right after the primary one."""
        return self.order[1:2] == (self.swept,)

    @staticmethod
    def spacing(problem: Problem, name: str) -> Spacing:
        """Utilisation is judged in percent of the device, losses and times in ratios."""
        linear = isinstance(problem.objective(name), UtilisationObjective)
        return Spacing.LINEAR if linear else Spacing.LOGARITHMIC


def roles_of(problem: Problem) -> Roles:
    """A sum is minimised, a maximum sliced, a utilisation swept where there is a choice of up to `MOST_SLICED`."""
    names = problem.objective_names
    utilisations = [o.name for o in problem.objectives if isinstance(o, UtilisationObjective)]
    maxima = [name for name in names if name not in utilisations and problem.combines(name) is Combine.MAX]
    sums = [name for name in names if name not in utilisations and name not in maxima]
    primary = (sums + maxima + utilisations)[0]
    rest = [name for name in utilisations + sums + maxima if name != primary]
    swept = rest[0] if rest else None
    sliced = rest[1] if len(rest) > 1 else None
    ranked = [name for name in (primary, swept, sliced) if name is not None]
    from_low_end = [name for name in (swept, primary, sliced) if name is not None]
    return Roles(
        primary=primary,
        swept=swept,
        sliced=sliced,
        threshold=sliced in maxima,
        order=(ranked[0], *sorted(ranked[1:], key=lambda name: name in utilisations)),
        order_from_low_end=(from_low_end[0], *sorted(from_low_end[1:], key=lambda name: name in utilisations)),
    )


def attainable_values(problem: Problem, name: str) -> Sequence[int]:
    """Ascending values the objective can take: those of the options for a maximum, else every integer in range."""
    objective = problem.objective(name)
    if not isinstance(objective, UtilisationObjective) and problem.combines(name) is Combine.MAX:
        columns = [layer.column(name) for layer in problem.layers if name in layer.columns]
        return tuple(int(value) for value in np.unique(np.concatenate(columns)))
    term = term_of(problem, Query(minimise=name), name)
    return range(term.offset, term.offset + term.span + 1)


def between(values: Sequence[int], low: int, high: int) -> Sequence[int]:
    """The part of ascending ``values`` from ``low`` to ``high``, both included."""
    return values[bisect_left(values, low) : bisect_right(values, high)]


def first_levels(values: Sequence[int], count: int) -> list[int]:
    """Up to ``count`` of the ascending ``values`` with both ends: geometrically spread if positive, else evenly.

    >>> first_levels(range(1, 1001), 4)
    [1, 10, 100, 1000]
    """
    if len(values) <= count:
        return list(values)
    low, high = values[0], values[-1]
    chosen = {low, high}
    for step in range(1, count - 1):
        share = step / (count - 1)
        target = low * (high / low) ** share if low > 0 else low + (high - low) * share
        chosen.add(values[min(bisect_left(values, round(target)), len(values) - 1)])
    return sorted(chosen)


def next_level(values: Sequence[int], levels: Sequence[int]) -> int | None:
    """The middle of the longest run of ``values`` that are not ``levels`` yet; None when all are.

    >>> next_level((1, 2, 4, 8, 9), (1, 9))
    4
    """
    edges = [-1, *(bisect_left(values, level) for level in sorted(levels)), len(values)]
    runs = [(right - left - 1, left + 1) for left, right in itertools.pairwise(edges)]
    length, start = max(runs, key=lambda run: (run[0], -run[1]))
    return values[start + length // 2] if length > 0 else None
