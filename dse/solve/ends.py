"""The ends of a front that paths did not prove: HiGHS is asked for the least value of each objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.query import Query
from dse.solve.result import Point
from dse.solve.single import solve_query

if TYPE_CHECKING:
    from dse.solve.clock import Clock
    from dse.solve.problem import Problem
    from dse.solve.tables import IntArray

END_SECONDS = 4.0
"""Most wall time for one end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ends:
    """What HiGHS said about the least values.

    Attributes:
        options: Selections with less of an objective than any design known, shape ``(found, layers)``.
        least: Proven lower bounds, by objective; only of those that were answered in time.
        are_proven: With those selections added, the least value known of every objective is proven.
    """

    options: IntArray
    least: dict[str, int]
    are_proven: bool


def ask_for_ends(problem: Problem, points: IntArray, clock: Clock) -> Ends:
    """Ask for the least value of each objective, in at most half of the time left for each.

    Args:
        problem: Its objectives are attributes.
        points: Vectors known, in the order of its objectives.
        clock: Says when to stop.
    """
    better: list[tuple[int, ...]] = []
    least: dict[str, int] = {}
    proven = True
    for column, name in enumerate(problem.objective_names):
        best = int(points[:, column].min()) if len(points) else None
        seconds = min(END_SECONDS, clock.seconds_left / 2)
        if seconds <= 0.0:
            proven = False
            break
        query = Query(minimise=name, at_most={} if best is None else {name: best})
        answer = solve_query(problem, query, time_limit_seconds=seconds)
        if not isinstance(answer, Point):
            proven = False
            continue
        value = answer.objectives[name]
        least[name] = answer.certificate.bound
        proven &= answer.certificate.bound >= value
        if best is None or value < best:
            better.append(tuple(answer.selection))
    options = np.array(better, dtype=np.int64).reshape(len(better), len(problem.layers))
    return Ends(options=options, least=least, are_proven=proven)
