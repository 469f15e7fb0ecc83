"""The epsilon search for any number of objectives: zones that no point found dominates, searched until none is left.

A zone is all vectors strictly below its upper corner. A point found in it splits it: something new must be better in
some objective (local upper bounds: Klamroth, Lacour and Vanderpooten, 2015).
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dse.solve.dominance import nondominated
from dse.solve.query import Query
from dse.solve.result import Infeasible, Point, Status
from dse.solve.search import Progress
from dse.solve.single import branch_count, solve_query
from dse.solve.tables import EXACT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from dse.solve.problem import Problem

Corner: TypeAlias = tuple[int, ...]

_TIME_SHARE = 0.1
"""Share of the time left that one solve may take, at least a second."""


@dataclass(slots=True, kw_only=True)
class ZoneSearch:
    """State of one search; ``run`` fills it.

    Attributes:
        problem: What is decided.
        most_solves: Most solver calls; of a problem with a branch layer, calls for each of its options.
        deadline: On the monotonic clock.
        started: The same.
        on_progress: Called after every solve.
        zones: Upper corners of what is not looked into yet, no one inside another.
        abandoned: Those for which the time was too short.
    """

    problem: Problem
    most_solves: int
    deadline: float
    started: float
    on_progress: Callable[[Progress], None] | None
    solves: int = 0
    calls: int = 0
    infeasible: bool = False
    zones: list[Corner] = field(default_factory=list)
    abandoned: list[Corner] = field(default_factory=list)
    points: dict[Corner, Point] = field(default_factory=dict)

    @property
    def primary(self) -> str:
        """The objective that is minimised first: one that is no utilisation if there is one."""
        return self._order[0]

    @property
    def _order(self) -> tuple[str, ...]:
        """Utilisations last, because each needs a solve of its own wherever something follows it."""
        sums = self.problem.attribute_objectives
        return (*sums, *(name for name in self.problem.objective_names if name not in sums))

    def run(self) -> None:
        """Least values first, then zone by zone, the largest first, until none is left, a budget ends, or control-C."""
        with suppress(KeyboardInterrupt):
            self._run()

    def _run(self) -> None:
        names = self.problem.objective_names
        unbounded = (EXACT_LIMIT,) * len(names)
        self.zones = [unbounded]
        for name in names:
            if not self._has_budget:
                return
            answer = self._solve(Query(minimise=name, then=tuple(one for one in self._order if one != name)))
            if isinstance(answer, Infeasible):
                self.infeasible = answer.status is Status.INFEASIBLE
                return
        while self.zones and self._has_budget:
            known = np.array(list(self.points))
            least, extent = known.min(axis=0), np.maximum(np.ptp(known, axis=0), 1)
            sides = (np.minimum(np.array(self.zones), known.max(axis=0) + 1) - least) / extent
            corner = self.zones[int(np.argmax(np.prod(sides, axis=1)))]
            bounds = {name: top - 1 for name, top in zip(names, corner, strict=True) if top < EXACT_LIMIT}
            answer = self._solve(Query(minimise=self.primary, then=self._order[1:], at_most=bounds))
            if isinstance(answer, Infeasible):
                if answer.status is not Status.INFEASIBLE:
                    self.abandoned.append(corner)
                self.zones = [zone for zone in self.zones if not _inside(zone, corner)]

    @property
    def _has_budget(self) -> bool:
        return self.solves < self.most_solves and time.monotonic() < self.deadline

    def _solve(self, query: Query) -> Point | Infeasible:
        left = max(0.01, self.deadline - time.monotonic())
        branches = branch_count(self.problem)
        answer = solve_query(
            self.problem,
            query,
            time_limit_seconds=min(left, max(1.0, _TIME_SHARE * left)),
            most_solves=(self.most_solves - self.solves) * branches,
        )
        calls = answer.solves if isinstance(answer, Infeasible) else answer.certificate.solves
        self.calls += calls
        self.solves += -(-calls // branches)
        if isinstance(answer, Point):
            self._split(answer)
        if self.on_progress is not None:
            self.on_progress(
                Progress(
                    solves=self.solves,
                    most_solves=self.most_solves,
                    points=len(self.points),
                    seconds=time.monotonic() - self.started,
                )
            )
        return answer

    def _split(self, point: Point) -> None:
        """Keep a point, and of the zones it lies in what is better than it in some objective."""
        vector = tuple(point.objectives[name] for name in self.problem.objective_names)
        present = self.points.get(vector)
        if present is None or (point.certificate.efficient and not present.certificate.efficient):
            self.points[vector] = point
        hit = [zone for zone in self.zones if all(value < top for value, top in zip(vector, zone, strict=True))]
        parts = {(*zone[:k], vector[k], *zone[k + 1 :]) for zone in hit for k in range(len(vector))}
        zones = [*(zone for zone in self.zones if zone not in hit), *parts]
        table = -np.array(zones, dtype=np.int64)  # the largest are kept
        self.zones = sorted(zone for zone, keep in zip(zones, nondominated(table), strict=True) if keep)

    def shown(self) -> list[Point]:
        """Nondominated points by vector."""
        vectors = sorted(self.points)
        if not vectors:
            return []
        mask = nondominated(np.array(vectors, dtype=np.int64))
        return [self.points[vector] for vector, keep in zip(vectors, mask, strict=True) if keep]

    def gap(self) -> None:
        """Nothing is proven about the size of what is missing."""
        return

    def open_regions(self) -> int:
        """Zones not looked into."""
        return len(self.zones) + len(self.abandoned)

    def why_incomplete(self) -> str:
        """Empty when every nondominated vector is proven to be among the points."""
        proven = all(point.certificate.efficient for point in self.shown())
        if not self.open_regions() and proven:
            return ""
        ended = "time" if time.monotonic() >= self.deadline or self.abandoned else "solver calls"
        what = f"{self.open_regions()} zones not looked into" if self.open_regions() else "points not confirmed"
        return f"the {ended} allowed ended with {what}"


def _inside(zone: Corner, corner: Corner) -> bool:
    return all(one <= other for one, other in zip(zone, corner, strict=True))
