"""Which of several designs with the same vector: the lexicographically smallest selection, asked of HiGHS."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.query import Query
from dse.solve.result import Point, Status
from dse.solve.single import solve_query
from dse.solve.tables import AttributeObjective, LayerTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse.solve.problem import Problem

_LARGEST = 10**9
"""Largest number that the options of neighbouring layers make together, as digits do; exact for any solver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A point with its smallest selection if that is proven, and the solver calls spent."""

    point: Point
    calls: int


def with_smallest_selection(problem: Problem, point: Point, *, deadline: float, most_solves: int) -> Settled:
    """The smallest selection that is as good as a point in every objective.

    Args:
        problem: The problem.
        point: An efficient point of it.
        deadline: On the monotonic clock.
        most_solves: Most solver calls.
    """
    numbers = list(_numbers([layer.option_count for layer in problem.layers]))
    names = [f"selection {group}" for group in range(1 + max(group for group, _ in numbers))]
    layers = [
        LayerTable(
            name=layer.name,
            columns={**layer.columns, names[group]: place * np.arange(layer.option_count)},
        )
        for layer, (group, place) in zip(problem.layers, numbers, strict=True)
    ]
    objectives = [*problem.objectives, *(AttributeObjective(name=name) for name in names)]
    query = Query(minimise=names[0], then=tuple(names[1:]), at_most=dict(point.objectives))
    answer = solve_query(
        problem.replace(layers=layers, objectives=objectives),
        query,
        time_limit_seconds=max(0.01, deadline - time.monotonic()),
        most_solves=most_solves,
    )
    if not isinstance(answer, Point):
        return Settled(point=point, calls=answer.solves)
    proven = answer.certificate.status is Status.OPTIMAL
    return Settled(
        point=replace(point, selection=answer.selection) if proven else point, calls=answer.certificate.solves
    )


def _numbers(counts: list[int]) -> Iterator[tuple[int, int]]:
    """Per layer the group it belongs to, and the place value of its option in the number of that group.

    >>> list(_numbers([10, 10]))
    [(0, 10), (0, 1)]
    """
    start, group = 0, 0
    while start < len(counts):
        end = start + 1
        while end < len(counts) and math.prod(counts[start : end + 1]) <= _LARGEST:
            end += 1
        yield from ((group, math.prod(counts[layer + 1 : end])) for layer in range(start, end))
        start, group = end, group + 1
