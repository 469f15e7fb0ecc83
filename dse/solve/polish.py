"""Points made efficient: the front of the few designs that are no worse in any objective is found exactly.

A search for a whole front stops within a gap, so that a point of it may be a little worse than need be. For one point
everything is a limit: its own values leave few arcs, prices of the limits bound what is left, and labels settle it, in
hundredths of a second where the whole front takes minutes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.archive import Designs, best_of
from dse.solve.clock import Clock, stopped_by_control_c
from dse.solve.dominance import nondominated
from dse.solve.evaluate import evaluate
from dse.solve.labels import Outcome, bounds_of, plane_weights, search_labels
from dse.solve.relaxation import Relaxation
from dse.solve.result import Point, Status
from dse.solve.tables import Combine
from dse.solve.task import FREE, Task, task_of
from dse.solve.trellis import utilisation_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.solve.evaluate import Selection
    from dse.solve.problem import Problem
    from dse.solve.result import Front
    from dse.solve.tables import IntArray
    from dse.solve.trellis import FloatArray

_SHARE = 0.25
"""Share of the time left that one point may take: most need a hundredth of a second, some a few."""

_ROUNDS = 200
"""Subgradient steps for the prices of the limits of one point."""

_BEAMS = (50, 500, 0)
"""Labels kept per node, search by search; 0: all of them."""

METHOD = "labels of all designs that are no worse in any objective"


def polished(front: Front, *, time_limit_seconds: float) -> Front:
    """A front whose points are efficient, as far as paths tell its problem and the time lasts.

    Of the designs that are no worse than a point in any objective the one with the least first sum takes its place,
    then the least of the other objectives in turn. Points that turn out equal or dominated are left out, so that there
    may be fewer; what is said to be missing holds as before, because points only get better.

    Args:
        front: Any front; points that are proven efficient stay as they are.
        time_limit_seconds: Wall time, at least 0. What is not reached, or control-C leaves, stays as it is.

    Raises:
        ValueError: A negative time limit.
    """
    if not time_limit_seconds >= 0.0:
        raise ValueError(f"time_limit_seconds must be at least 0, got {time_limit_seconds}")
    started, clock = time.monotonic(), Clock.lasting(time_limit_seconds)
    if not clock.has_time or all(point.certificate.efficient for point in front.points):
        return front
    task, _ = task_of(front.problem, clock)
    if task is None:
        return front
    polisher = _Polisher(problem=front.problem, task=task)
    with stopped_by_control_c(clock):
        points = [polisher.polished(point) for point in front.points]
    points.sort(key=lambda point: point.certificate.efficient)  # of equal ones the last is kept
    best = {tuple(point.objectives[name] for name in front.objectives): point for point in points}
    vectors = sorted(best)
    kept = nondominated(np.array(vectors, dtype=np.int64))
    return replace(
        front,
        points=tuple(best[vector] for vector, keep in zip(vectors, kept, strict=True) if keep),
        seconds=front.seconds + time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Polisher:
    """A problem, and the task of all its objectives but for a maximum."""

    problem: Problem
    task: Task

    def polished(self, point: Point) -> Point:
        """The point, or a better one in its place."""
        if point.certificate.efficient or not self.task.has_time:
            return point
        task = replace(self.task, clock=self.task.clock.part(_SHARE))
        maximum = next((one for one in point.objectives if self.problem.combines(one) is Combine.MAX), None)
        best, level = point.objectives, None if maximum is None else point.objectives[maximum]
        selection, is_proven = point.selection, True
        while is_proven:
            found, is_proven = _no_worse(task, self._values(best), level)
            if not len(found):
                break
            selection = tuple(found.options[0].tolist())
            best = evaluate(self.problem, selection).objectives
            if maximum is None:
                break
            level = best[maximum] - 1  # what is as good in all else may have less of the maximum
        return _replaced(point, selection, best, is_proven=is_proven)

    def _values(self, objectives: Mapping[str, int]) -> IntArray:
        """What the task minimises: sums (a maximum alone has none) and a utilisation."""
        names = list(self.task.trellis.dimensions[: self.task.objectives])
        utilisation = utilisation_of(self.problem)
        names += [] if utilisation is None else [utilisation.name]
        return np.array([objectives.get(name, 0) for name in names], dtype=np.int64)


def _no_worse(task: Task, values: IntArray, level: int | None) -> tuple[Designs, bool]:
    """Designs at or below a vector and a level, that with the least first sum first, and whether none beats it."""
    found = [Designs.none(task.values, task.trellis.depth)]
    near = task.within(values, level)
    if near is None:
        return found[0], True
    weights, options = _priced(near, values)
    found.append(near.of_options(options))
    thin = near.thinned()
    for beam in _BEAMS:
        best = best_of(found)
        corner = values.copy()
        corner[:1] = best.points[:1, 0] if len(best) else values[:1]
        designs, outcome = search_labels(near, thin, bounds_of(near, weights, corner[None]), beam=beam)
        found.append(designs)
        if outcome is Outcome.EXACT:
            return best_of(found), True
    return best_of(found), False


def _priced(task: Task, values: IntArray) -> tuple[FloatArray, IntArray]:
    """Multipliers of all dimensions that bound the first one best, and the designs met on the way."""
    limits = np.where(np.arange(len(task.limits)) > 0, task.limits, FREE)
    relaxation = Relaxation(task=replace(task, limits=limits, available=task.available[:0]))
    relaxation.plane(np.eye(task.objectives)[0], rounds=_ROUNDS, goal=values[: task.objectives])
    return plane_weights(relaxation), relaxation.designs.options


def _replaced(point: Point, selection: Selection, objectives: Mapping[str, int], *, is_proven: bool) -> Point:
    """A selection in the place of a point that it is no worse than; the bound of that one holds for it, too."""
    first = point.certificate.minimised
    others = tuple(name for name in point.objectives if name != first)
    bound = objectives[first] if is_proven else point.certificate.bound
    certificate = replace(
        point.certificate,
        method=METHOD if is_proven else point.certificate.method,
        status=Status.OPTIMAL if is_proven else point.certificate.status,
        then=others,
        at_most={name: objectives[name] for name in others},
        objective=objectives[first],
        bound=bound,
        gap=objectives[first] - bound,
        efficient=is_proven,
    )
    return Point(
        selection=selection, objectives={name: objectives[name] for name in point.objectives}, certificate=certificate
    )
