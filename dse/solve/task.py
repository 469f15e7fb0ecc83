"""What the exact methods work on: a trellis with the dimensions that matter, and limits that can still bind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dse.solve.archive import Designs
from dse.solve.tables import EXACT_LIMIT, PARTS_PER_MILLION, Combine, IntArray
from dse.solve.trellis import Trellis, build_trellis, is_supported, utilisation_of

if TYPE_CHECKING:
    from dse.solve.clock import Clock
    from dse.solve.problem import Problem
    from dse.solve.trellis import BoolArray, FloatArray


class Build(Protocol):
    """Makes a task of a trellis."""

    def __call__(
        self, trellis: Trellis, objectives: int, limits: IntArray, *, clock: Clock, available: IntArray = ...
    ) -> Task | None:
        """None where no path is left."""


FREE = EXACT_LIMIT
"""The limit of a dimension that has none: no total reaches it."""

_NONE: IntArray = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """Minimise the first ``objectives`` dimensions of paths while every dimension keeps its limit.

    With ``available``, the dimensions after these are resources, and how full the fullest of them is (as in
    `tables.UtilisationObjective`) is one more objective, the last.

    Attributes:
        trellis: Arcs that keep every limit by themselves; dimensions are objectives, then resources of a utilisation,
            then limited resources.
        objectives: How many of the dimensions are minimised, at least 1.
        limits: Largest totals, shape ``(dimensions,)``; FREE for none.
        available: What there is of each resource of a utilisation, at least 1; empty without one.
        least: Smallest sums from the first node to each node, shape ``(nodes, dimensions)``.
        rest: Smallest sums from each node to the last.
        most: Largest sums from the first node to each node.
        clock: Says when to stop.
    """

    trellis: Trellis
    objectives: int
    limits: IntArray
    least: IntArray
    rest: IntArray
    most: IntArray
    clock: Clock
    available: IntArray = field(default_factory=_NONE.copy)

    @property
    def values(self) -> int:
        """Number of objectives, with the utilisation."""
        return self.objectives + bool(len(self.available))

    @property
    def is_free(self) -> bool:
        """Whether nothing is limited."""
        return bool((self.limits == FREE).all())

    @property
    def has_resources(self) -> bool:
        """Whether something is limited that is not minimised."""
        return len(self.limits) > self.objectives

    @property
    def has_time(self) -> bool:
        """Whether the search may go on."""
        return self.clock.has_time

    def designs(self, paths: IntArray) -> Designs:
        """The designs of paths (rows of arcs), recomputed in integers; those beyond a limit are left out."""
        from dse.solve.compiled.paths import path_totals

        totals = path_totals(paths, self.trellis.cost)
        valid = (totals <= self.limits).all(axis=1)
        return Designs(points=self.points(totals[valid]), options=self.trellis.option[paths[valid]])

    def points(self, totals: IntArray) -> IntArray:
        """Objective vectors of totals, shape ``(designs, values)``."""
        sums = totals[:, : self.objectives]
        if not len(self.available):
            return np.ascontiguousarray(sums)
        used = totals[:, self.objectives : self.objectives + len(self.available)]
        return np.column_stack((sums, (-(-used * PARTS_PER_MILLION // self.available)).max(axis=1)))

    def ceilings(self, points: IntArray) -> IntArray:
        """Per vector, the largest totals of designs that are as good in every objective and keep the limits."""
        count = self.objectives
        totals = np.repeat(self.limits[None], len(points), axis=0)
        totals[:, :count] = np.minimum(totals[:, :count], points[:, :count])
        if len(self.available):
            used = slice(count, count + len(self.available))
            totals[:, used] = np.minimum(totals[:, used], points[:, count:] * self.available // PARTS_PER_MILLION)
        return totals

    def of_options(self, options: IntArray) -> Designs:
        """The designs of selections, with all of the task's objectives."""
        from dse.solve.compiled.paths import path_of_options

        trellis = self.trellis
        paths = [path_of_options(trellis.firsts, trellis.target, trellis.option, row) for row in options]
        return self.designs(np.array(paths, dtype=np.int64).reshape(options.shape))

    def below(self, level: int) -> Task | None:
        """The task with only the arcs whose level is at most ``level``; None when no path is left."""
        return prepare(
            self.trellis.keep(self.trellis.level <= level),
            self.objectives,
            self.limits,
            clock=self.clock,
            available=self.available,
        )

    def within(self, point: IntArray, level: int | None = None) -> Task | None:
        """The task of the designs that are as good as a vector in every objective; None when there are none.

        Args:
            point: Objective vector, shape ``(values,)``.
            level: The largest level of an arc, if levels count.
        """
        trellis = self.trellis
        limits = self.ceilings(point[None])[0]
        kept: BoolArray = (self.least[trellis.source] + trellis.cost + self.rest[trellis.target] <= limits).all(axis=1)
        if level is not None:
            kept &= trellis.level <= level
        return prepare(trellis.keep(kept), self.objectives, limits, clock=self.clock, available=self.available)

    def undominated(self) -> BoolArray:
        """Mask of the arcs that no other one between the same nodes matches or beats in every dimension."""
        from dse.solve.compiled.paths import undominated_arcs

        mask: BoolArray = undominated_arcs(self.trellis.firsts, self.trellis.target, self.trellis.cost)
        return mask

    def thinned(self) -> Task:
        """The task with undominated arcs only."""
        return replace(self, trellis=self.trellis.keep(self.undominated()))


def task_of(problem: Problem, clock: Clock, build: Build | None = None) -> tuple[Task | None, bool]:
    """The task of a problem's caps and of its objectives, but for one that takes a maximum.

    Args:
        problem: The problem.
        clock: Says when to stop.
        build: `prepare`, or `as_task` where arcs that break a limit have to stay.

    Returns:
        The task, and whether paths can tell the problem at all. None and True: no path keeps every limit by itself.
    """
    if not is_supported(problem):
        return None, False
    utilisation = utilisation_of(problem)
    filled = {} if utilisation is None else dict(utilisation.limits)
    sums = [name for name in problem.attribute_objectives if problem.combines(name) is Combine.SUM]
    maxima = [name for name in problem.attribute_objectives if problem.combines(name) is Combine.MAX]
    caps = {cap.resource: cap.limit for cap in problem.caps if problem.combines(cap.resource) is Combine.SUM}
    dimensions = sums or [""]  # a maximum alone: every path is as good in an attribute that no layer has
    limited = [name for name in caps if name not in sums and name not in filled]
    trellis = build_trellis(problem, [*dimensions, *filled, *limited], maxima[0] if maxima else None)
    if trellis is None:
        return None, False
    limits = np.array([caps.get(name, FREE) for name in trellis.dimensions], dtype=np.int64)
    available = np.array(list(filled.values()), dtype=np.int64)
    return (build or prepare)(trellis, len(dimensions), limits, clock=clock, available=available), True


def prepare(
    trellis: Trellis, objectives: int, limits: IntArray, *, clock: Clock, available: IntArray = _NONE
) -> Task | None:
    """Drop arcs that break a limit whatever else is chosen, and limits that can no longer bind; None: nothing left."""
    from dse.solve.compiled.paths import best_after, best_before

    if trellis.is_empty:
        return None
    trellis = trellis.connected()
    while True:
        if trellis.is_empty:
            return None
        cost = trellis.cost.astype(np.float64)
        least = best_before(trellis.node_count, trellis.source, trellis.target, cost)
        rest = best_after(trellis.node_count, trellis.source, trellis.target, cost)
        possible: BoolArray = (least[trellis.source] + cost + rest[trellis.target] <= limits).all(axis=1)
        if possible.all():
            break
        trellis = trellis.keep(possible).connected()
    return as_task(trellis, objectives, limits, clock=clock, available=available)


def as_task(trellis: Trellis, objectives: int, limits: IntArray, *, clock: Clock, available: IntArray = _NONE) -> Task:
    """The task of all paths of a connected trellis, without limits that cannot bind and resources never the fullest."""
    from dse.solve.compiled.paths import best_after, best_before

    cost = trellis.cost.astype(np.float64)
    least = best_before(trellis.node_count, trellis.source, trellis.target, cost)
    rest = best_after(trellis.node_count, trellis.source, trellis.target, cost)
    most = -best_before(trellis.node_count, trellis.source, trellis.target, -cost)
    slack = most[-1] <= limits
    limits = np.where(slack, FREE, limits)
    used = slice(objectives, objectives + len(available))
    fullest = _may_be_fullest(trellis.cost[:, used], least[-1, used], most[-1, used], limits[used], available)
    kept = np.concatenate((np.ones(objectives, dtype=np.bool_), fullest, ~slack[used.stop :]))
    columns = np.flatnonzero(kept).tolist()
    reached = np.isfinite(least[:, 0]) & np.isfinite(rest[:, 0])
    least, rest, most = (
        np.where(reached[:, None], table, 0.0)[:, columns].astype(np.int64) for table in (least, rest, most)
    )
    return Task(
        trellis=trellis if kept.all() else trellis.pick(columns),
        objectives=objectives,
        limits=limits[columns],
        least=np.ascontiguousarray(least),
        rest=np.ascontiguousarray(rest),
        most=np.ascontiguousarray(most),
        clock=clock,
        available=available[fullest],
    )


def _may_be_fullest(
    cost: IntArray, least: FloatArray, most: FloatArray, limits: IntArray, available: IntArray
) -> BoolArray:
    """Mask of the resources of a utilisation that can decide it, or a limit.

    One never does that every arc takes a smaller share of than of another one whose limit is no looser, nor one whose
    largest share is below the least share of another one while nothing limits it.
    """
    mask = np.ones(len(available), dtype=np.bool_)
    floor = np.ceil(least / available * PARTS_PER_MILLION - 1).max(initial=-1.0)  # at or below the least utilisation
    for one in range(len(available)):
        mask[one] = limits[one] < FREE or most[one] / available[one] * PARTS_PER_MILLION > floor
        for other in np.flatnonzero(mask).tolist():
            looser = limits[one] == FREE or (
                limits[other] < FREE and limits[other] * available[one] <= limits[one] * available[other]
            )
            if other != one and looser and (cost[:, one] * available[other] <= cost[:, other] * available[one]).all():
                mask[one] = False
                break
    return mask
