"""Fronts by paths: objectives that add up, at most one that takes a maximum, caps, couplings and shared parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.archive import Designs, best_of
from dse.solve.ends import ask_for_ends
from dse.solve.fullest import solve_task
from dse.solve.hypervolume import hypervolume
from dse.solve.result import GapKind
from dse.solve.sums import Aim, Effort, Solved
from dse.solve.tables import Combine
from dse.solve.task import Task, task_of
from dse.solve.thresholds import Thresholds, falling_front

if TYPE_CHECKING:
    from dse.solve.clock import Clock
    from dse.solve.problem import Problem
    from dse.solve.tables import IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What paths told about a problem.

    Attributes:
        options: Selections, shape ``(designs, layers)``.
        lower: Per design, a proven lower bound of the first objective that adds up, given the others.
        first: Name of that objective.
        complete: Proven: one design per nondominated vector.
        gap: What may be missing otherwise.
        gap_kind: What the gap means.
        method: What was done, in words.
        box_is_proven: See ``result.Front``.
    """

    options: IntArray
    lower: IntArray
    first: str
    complete: bool
    gap: float
    gap_kind: GapKind
    method: str
    box_is_proven: bool


def front_by_paths(problem: Problem, *, gap: float, clock: Clock, effort: Effort = Effort.FULL) -> Found | None:
    """The front of a problem, or as much of it as the deadline and the gap allow; None if paths cannot tell it.

    Args:
        problem: One or more objectives, at most one of them a maximum and one a utilisation.
        gap: Share of the hypervolume that may be missing; 0 for nothing.
        clock: Says when to stop.
        effort: How far to go.
    """
    task, is_told = task_of(problem, clock)
    if not is_told:
        return None
    sums, maxima = _sums_and_maxima(problem)
    first = (sums or maxima)[0]
    if task is None:
        nothing = Designs.none(1, len(problem.layers))
        return Found(
            options=nothing.options,
            lower=nothing.points[:, 0],
            first=first,
            complete=True,
            gap=0.0,
            gap_kind=GapKind.NONE,
            method="limits of single layers",
            box_is_proven=True,
        )
    if maxima:
        return _with_maximum(problem, task, gap, first, is_alone=not sums)
    solved = solve_task(task, Aim(gap=gap, effort=effort))
    if not (solved.complete or solved.box_is_proven):
        solved = _with_ends(problem, task, solved, first)
    return _of_sums(task, solved, first)


def _sums_and_maxima(problem: Problem) -> tuple[list[str], list[str]]:
    """Attributes that are minimised: those that add up, and those that combine by maximum."""
    names = problem.attribute_objectives
    maxima = [name for name in names if problem.combines(name) is Combine.MAX]
    return [name for name in names if name not in maxima], maxima


def _in_order(problem: Problem, points: IntArray) -> IntArray:
    """Vectors of sums, a utilisation and a maximum in the order of the problem's objectives."""
    sums, maxima = _sums_and_maxima(problem)
    column = {name: number for number, name in enumerate(sums)} | dict.fromkeys(maxima, -1)
    return points[:, [column.get(name, max(1, len(sums))) for name in problem.objective_names]]


def _with_ends(problem: Problem, task: Task, solved: Solved, first: str) -> Solved:
    """The same with the ends that HiGHS finds and proves; what bounds the volume holds for them as well."""
    ends = ask_for_ends(problem, _in_order(problem, solved.designs.points), task.clock)
    if not len(ends.options):
        return replace(solved, box_is_proven=ends.are_proven)
    merged = best_of([solved.designs, task.of_options(ends.options)])
    lower = dict(zip(map(tuple, solved.designs.points.tolist()), solved.lower.tolist(), strict=True))
    floor = max(int(task.least[-1, 0]), ends.least.get(first, int(task.least[-1, 0])))
    return replace(
        solved,
        designs=merged,
        lower=np.array([lower.get(tuple(point), floor) for point in merged.points.tolist()], dtype=np.int64),
        box_is_proven=ends.are_proven,
    )


def _of_sums(task: Task, solved: Solved, first: str) -> Found:
    points = solved.designs.points
    gap, kind = 0.0, GapKind.NONE
    if not solved.complete and solved.coverage is not None:
        gap, kind = solved.coverage, GapKind.COVERAGE
    elif not solved.complete and task.values == 1:
        kind = GapKind.SHORTFALL
        gap = float(points[0, 0] - solved.lower[0]) if len(points) else float(task.most[-1, 0] - task.least[-1, 0])
    elif not solved.complete:
        kind, gap = GapKind.HYPERVOLUME, 1.0
        if len(points):
            reference = points.max(axis=0).astype(np.float64)
            outer = solved.outer(reference)
            gap = max(0.0, 1.0 - hypervolume(points, reference) / outer) if outer > 0.0 else 1.0
    return Found(
        options=solved.designs.options,
        lower=solved.lower,
        first=first,
        complete=solved.complete,
        gap=gap,
        gap_kind=kind,
        method=solved.method,
        box_is_proven=solved.box_is_proven,
    )


def _with_maximum(problem: Problem, task: Task, gap: float, first: str, *, is_alone: bool) -> Found:
    if task.is_free and task.values == 1 and task.has_time:
        designs = falling_front(task)
        if designs is not None:
            return Found(
                options=designs.options,
                lower=designs.points[:, int(is_alone)],
                first=first,
                complete=True,
                gap=0.0,
                gap_kind=GapKind.NONE,
                method="falling thresholds of the maximum",
                box_is_proven=True,
            )
    search = Thresholds(task=task, gap=gap)
    search.run()
    proven = search.complete or search.ends_are_proven
    if not proven:
        ends = ask_for_ends(problem, _in_order(problem, search.designs.points), task.clock)
        search.add(ends.options)
        proven = ends.are_proven
    designs, complete = search.designs, search.complete
    share = 0.0 if complete else search.share()
    lower = designs.points[:, int(is_alone)] if complete else search.lower(designs)
    return Found(
        options=designs.options,
        lower=lower,
        first=first,
        complete=complete,
        gap=share,
        gap_kind=GapKind.NONE if complete else GapKind.HYPERVOLUME,
        method=f"thresholds of the maximum, each by {search.method}",
        box_is_proven=proven,
    )
