"""The front of any problem by the declared model: an epsilon search with HiGHS."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from dse.solve.explain import explain
from dse.solve.levels import MOST_SLICED, roles_of
from dse.solve.milp import load_solver
from dse.solve.reduce import reduce_for_all
from dse.solve.result import Front, GapKind
from dse.solve.search import Progress, Search
from dse.solve.single import branch_count, require_time
from dse.solve.ties import with_smallest_selection
from dse.solve.zones import ZoneSearch

if TYPE_CHECKING:
    from collections.abc import Callable

    from dse.solve.problem import Problem
    from dse.solve.result import Point


def epsilon_front(
    problem: Problem,
    *,
    max_solves: int,
    time_limit_seconds: float,
    on_progress: Callable[[Progress], None] | None = None,
    jobs: int = 1,
) -> Front:
    """Nondominated designs of a problem, spread over the front, each with a certificate.

    Up to three objectives take gaps between points and thresholds; more of them take zones. Of equal vectors the
    smallest selection is asked for once all are known, as long as calls and time last.

    Args:
        problem: What is decided.
        max_solves: Most solver calls, at least 1 (an infeasible problem is explained with a few more); of a problem
            with a branch layer, as many calls for each of its options.
        time_limit_seconds: Wall time, above 0. Within it the result depends only on the problem.
        on_progress: Called after every round of solves.
        jobs: Processes that solve at the same time (at most ``ROUND`` are of use, and only for up to three
            objectives); does not change the result.

    Returns:
        The front; it is ``complete`` only when every nondominated vector is proven to be in it.

    Raises:
        ValueError: Arguments out of range.
        PrecisionError: The integers are too large for the solver to be exact.
    """
    require_time(time_limit_seconds)
    if max_solves < 1 or jobs < 1:
        raise ValueError(f"max_solves and jobs must be at least 1, got {max_solves} and {jobs}")
    load_solver()  # takes a second at first, which no solve should pay for
    started = time.monotonic()
    kept = reduce_for_all(problem)
    search = _search(
        problem.restrict(kept),
        most_solves=max_solves,
        deadline=started + time_limit_seconds,
        started=started,
        jobs=jobs,
        on_progress=on_progress,
    )
    search.run()
    if search.infeasible:
        remaining = max(1.0, search.deadline - time.monotonic())
        return _front(problem, search, (), infeasibility=True, remaining=remaining)
    points = [
        replace(point, selection=tuple(int(rows[i]) for rows, i in zip(kept, point.selection, strict=True)))
        for point in search.shown()
    ]
    if not search.why_incomplete():
        points = _with_smallest_selections(problem, search, points)
    return _front(problem, search, tuple(points), infeasibility=False, remaining=0.0)


def _search(
    problem: Problem,
    *,
    most_solves: int,
    deadline: float,
    started: float,
    jobs: int,
    on_progress: Callable[[Progress], None] | None,
) -> Search | ZoneSearch:
    if len(problem.objectives) > MOST_SLICED:
        return ZoneSearch(
            problem=problem, most_solves=most_solves, deadline=deadline, started=started, on_progress=on_progress
        )
    return Search(
        problem=problem,
        roles=roles_of(problem),
        most_solves=most_solves,
        deadline=deadline,
        started=started,
        jobs=jobs,
        on_progress=on_progress,
    )


def _with_smallest_selections(problem: Problem, search: Search | ZoneSearch, points: list[Point]) -> list[Point]:
    found: list[Point] = []
    for point in points:
        left = search.most_solves * branch_count(problem) - search.calls
        if left <= 0 or time.monotonic() >= search.deadline:
            break
        settled = with_smallest_selection(problem, point, deadline=search.deadline, most_solves=left)
        search.calls += settled.calls
        found.append(settled.point)
    return found + points[len(found) :]


def _front(
    problem: Problem,
    search: Search | ZoneSearch,
    points: tuple[Point, ...],
    *,
    infeasibility: bool,
    remaining: float,
) -> Front:
    why = "" if infeasibility else search.why_incomplete()
    return Front(
        points=points,
        objectives=problem.objective_names,
        complete=not why,
        why_incomplete=why,
        gap=search.gap() if why else 0,
        gap_kind=_gap_kind(search, why),
        gap_objective=search.primary,
        open_regions=0 if infeasibility else search.open_regions(),
        solves=search.calls,
        seconds=time.monotonic() - search.started,
        problem=problem,
        method="epsilon search with HiGHS on the declared model",
        infeasibility=explain(problem, time_limit_seconds=remaining) if infeasibility else None,
    )


def _gap_kind(search: Search | ZoneSearch, why: str) -> GapKind:
    if not why:
        return GapKind.NONE
    return GapKind.UNKNOWN if search.gap() is None else GapKind.SHORTFALL
