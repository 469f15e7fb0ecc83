"""Roles of the objectives in the epsilon search, and the thresholds at which the sliced one is looked at."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.problem import Combine, Problem, UtilisationObjective
from dse.solve.query import Query
from dse.solve.terms import term_of

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which objective is minimised, which one is bounded by an epsilon, which one is cut into slices.

    Attributes:
        primary: Minimised.
        swept: Bounded by epsilons; None for a single objective.
        sliced: Bounded by thresholds; None for fewer than three objectives.
        threshold: The sliced objective is a maximum: its bound removes options, and its values below the next
            threshold need not be told apart.
    """

    primary: str
    swept: str | None
    sliced: str | None
    threshold: bool


def roles_of(problem: Problem) -> Roles:
    """A maximum is sliced, a utilisation minimised, a sum swept where there is a choice.

    Raises:
        ValueError: More than three objectives.
    """
    names = list(problem.objective_names)
    if len(names) > 3:
        raise ValueError(f"optimise handles one to three objectives, got {len(names)}: {', '.join(names)}")
    maxima = [name for name in names if problem.combines(name) is Combine.MAX]
    utilisations = [o.name for o in problem.objectives if isinstance(o, UtilisationObjective)]
    maxima = [name for name in maxima if name not in utilisations]
    sums = [name for name in names if name not in maxima and name not in utilisations]
    primary = (utilisations + sums + maxima)[0]
    rest = [name for name in names if name != primary]
    sliced = (([name for name in rest if name in maxima] or rest)[-1]) if len(rest) == 2 else None
    swept = next((name for name in rest if name != sliced), None)
    return Roles(primary=primary, swept=swept, sliced=sliced, threshold=sliced in maxima)


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
