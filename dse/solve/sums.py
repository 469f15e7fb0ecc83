"""Fronts of objectives that add up: which exact method fits a task, and what is proven when it has to stop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.archive import Designs, best_of
from dse.solve.hypervolume import hypervolume
from dse.solve.labels import all_labels, few_labels
from dse.solve.pairs import pair_front
from dse.solve.relaxation import Relaxation
from dse.solve.single_sum import least_sum
from dse.solve.staircase import Staircase
from dse.solve.supported import Supported, lexicographic
from dse.solve.task import FREE

if TYPE_CHECKING:
    from collections.abc import Callable

    from dse.solve.tables import IntArray
    from dse.solve.task import Task
    from dse.solve.trellis import FloatArray

_MANY_ARCS = 8000
"""Arcs above which a gap that is allowed is used at once."""

_EXACT_SHARE = 0.7
"""Share of the time given to the exact method before it is coarsened."""


class Effort(Enum):
    """How far to go: to a first front with its gap, or as far as gap and time allow."""

    HULL = "hull"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aim:
    """What is asked of a task.

    Attributes:
        gap: Share of the hypervolume that may be missing.
        effort: How far to go.
        with_ends: Whether the ends of the front are to be proven even if the gap is reached before.
        known: Selections known to be designs of the task, shape ``(designs, layers)``; None for none.
    """

    gap: float
    effort: Effort = Effort.FULL
    with_ends: bool = True
    known: IntArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solved:
    """What a method found for a task.

    Attributes:
        designs: Nondominated among all that were met.
        complete: Proven: none is missing.
        method: What was done, in words.
        lower: Per design, a proven lower bound of its first sum given its others.
        outer: Volume that no design can exceed, below a given reference point.
        box_is_proven: The box from the least values to the largest of the designs is that of the optima.
        coverage: Every design is matched by one found that is no worse in the second sum, and in the first by at most
            this share of its range; None where that is not known.
    """

    designs: Designs
    complete: bool
    method: str
    lower: IntArray
    outer: Callable[[FloatArray], float]
    box_is_proven: bool
    coverage: float | None = None


def solve_sums(task: Task, aim: Aim) -> Solved:
    """The nondominated designs of a task, or as many as its deadline and the gap allow."""
    if task.objectives == 1 and not task.has_resources:
        return exactly(lexicographic(task, (0,)), "shortest path")
    if aim.effort is Effort.HULL and task.objectives > 1:
        return _hull(task)
    if task.objectives == 2 and not task.has_resources:
        return _pairs(task, aim)
    if task.has_time:
        designs = few_labels(task)
        if designs is not None:
            return exactly(designs, "labels")
    if task.objectives == 1:
        return _smallest(task)
    if task.objectives == 2:
        return _staircase(task, aim)
    return _many(task, aim.gap)


def exactly(designs: Designs, method: str) -> Solved:
    """A complete answer."""
    return Solved(
        designs=designs,
        complete=True,
        method=method,
        lower=designs.points[:, 0],
        outer=lambda reference: hypervolume(designs.points, reference),
        box_is_proven=True,
    )


def _pairs(task: Task, aim: Aim) -> Solved:
    """Two sums: all pairs, if that is quick or asked for; else pairs in steps; else what is known by planes."""
    gap = aim.gap
    if gap <= 0.0 or len(task.trellis.option) <= _MANY_ARCS:
        designs = pair_front(replace(task, clock=task.clock.part(_EXACT_SHARE)))
        if designs is not None:
            return exactly(designs, "merged lists of two sums")
    shares = (gap, 0.001, 0.01) if gap > 0.0 else (0.001, 0.01)
    for share in shares if task.limits[0] == FREE else ():  # what stands for others must not break a limit
        solved = _in_steps(task, share)
        if solved is not None:
            return solved
    return _staircase(task, aim) if task.has_time else _hull(task)


def _in_steps(task: Task, share: float) -> Solved | None:
    """Pairs of which one is kept per step of the first sum, so that all steps together are a share of its range."""
    ends = best_of([lexicographic(task, order) for order in ((0, 1), (1, 0))])  # of the task without its limits
    width = int(share * (ends.points[-1, 0] - ends.points[0, 0])) // task.trellis.depth
    designs = pair_front(task, width=width)
    if designs is None or not len(designs):
        return None
    # The designs with the least sums are always kept, so the range is exact.
    shift, extent = width * task.trellis.depth, max(1, int(np.ptp(designs.points[:, 0])))
    return Solved(
        designs=designs,
        complete=width <= 1,
        method="merged lists of two sums, in steps",
        lower=np.maximum(designs.points[:, 0] - shift, designs.points[0, 0]),
        outer=lambda reference: hypervolume(designs.points - np.array([shift, 0]), reference),
        box_is_proven=True,
        coverage=shift / extent,
    )


def _staircase(task: Task, aim: Aim) -> Solved:
    stairs = Staircase(task=task, thin=task.thinned(), relaxation=Relaxation(task=task))
    if aim.known is not None:
        stairs.add(task.of_options(aim.known))
    stairs.run(aim.gap, with_ends=aim.with_ends)
    pieces, designs = stairs.pieces(), stairs.designs
    return Solved(
        designs=designs,
        complete=not len(pieces),
        method="labels bounded by Lagrangian planes",
        lower=stairs.lower(),
        outer=stairs.outer,
        box_is_proven=stairs.ends_are_proven,
    )


def _smallest(task: Task) -> Solved:
    """One sum under limits."""
    least = least_sum(task, 0)
    points = least.designs.points
    return Solved(
        designs=least.designs,
        complete=least.is_exact,
        method="labels bounded by Lagrangian planes",
        lower=np.minimum(points[:, 0], least.bound),
        outer=lambda reference: max(0.0, float(reference[0]) - least.bound),
        box_is_proven=least.is_exact,
    )


def _hull(task: Task) -> Solved:
    """Designs that are cheapest for some weights, and what is left above them."""
    supported = Supported(relaxation=Relaxation(task=task))
    supported.start()
    supported.run_hull()
    return _of_planes(supported, "weighted sums")


def _many(task: Task, gap: float) -> Solved:
    """Three and more sums: planes and what they leave, then all labels if that is still worth it."""
    supported = Supported(relaxation=Relaxation(task=task))
    supported.start()
    supported.run(gap)
    if gap <= 0.0 and task.has_time:
        designs = all_labels(task)
        if designs is not None:
            return exactly(designs, "labels")
    return _of_planes(supported, "weighted sums and fronts of pairs of them")


def _of_planes(supported: Supported, method: str) -> Solved:
    return Solved(
        designs=supported.designs,
        complete=False,
        method=method,
        lower=supported.lower(),
        outer=supported.outer,
        box_is_proven=supported.proven,
    )
