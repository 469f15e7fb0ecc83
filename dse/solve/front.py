"""The Pareto front of a problem: the public entry, and which method answers."""

from __future__ import annotations

import time
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from dse.solve.clock import Clock, stopped_by_control_c
from dse.solve.epsilon import epsilon_front
from dse.solve.exact import Found, front_by_paths
from dse.solve.explain import explain
from dse.solve.point_table import PointTable
from dse.solve.recheck import rechecked
from dse.solve.result import Front, GapKind, Status
from dse.solve.sums import Effort
from dse.solve.tables import AttributeObjective, Cap
from dse.solve.trellis import is_supported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dse.solve.problem import Problem
    from dse.solve.search import Progress
    from dse.solve.tables import Objective

EXPLAIN_SECONDS = 60.0
"""Most time for saying why no design meets the caps, beyond what is left of the limit."""


_NOT_ALL = "before every nondominated vector was proven to be found"
_WHY = {
    Status.OPTIMAL: "",
    Status.WITHIN_GAP: f"the gap allowed was reached {_NOT_ALL}",
    Status.TIME_LIMIT: f"the time allowed ended {_NOT_ALL}",
    Status.EFFORT_LIMIT: f"the method asked for, or memory for labels, ended {_NOT_ALL}",
}
"""Why a front by paths is not complete."""


class Method(Enum):
    """How a front is found.

    AUTO takes paths where they can tell the problem, and the declared model where they cannot. DP takes paths or
    refuses. MILP always takes the declared model. HULL stops at a first front with its gap.
    """

    AUTO = "auto"
    DP = "dp"
    MILP = "milp"
    HULL = "hull"


def optimise(
    problem: Problem,
    objectives: Sequence[str | Objective] | None = None,
    caps: Mapping[str, int] | None = None,
    *,
    method: Method | str = Method.AUTO,
    gap: float = 0.0,
    time_limit_seconds: float = 600.0,
    max_points: int | None = None,
    seed: int = 0,
    max_solves: int = 60,
    jobs: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
) -> Front:
    """Nondominated designs of a problem, each with a certificate, and what is proven about the set.

    Args:
        problem: What is decided.
        objectives: Attributes or objectives to minimise instead of the problem's own.
        caps: Attribute to the largest value allowed, instead of the problem's own caps; empty for none.
        method: See `Method`; a name is as good.
        gap: What may be missing, from 0 (nothing) to below 1; ``Front.gap_kind`` says of what it is a share.
        time_limit_seconds: Wall time, at least 0. A search that reaches it, or control-C, returns what it has proven.
        max_points: Most designs returned, those that cover the front best; None for all.
        seed: Kept with the front. No method draws random numbers: the front depends on the problem alone.
        max_solves: Most calls of the solver of the declared model, at least 1.
        jobs: Processes of that solver; they do not change the result.
        on_progress: Called after every round of that solver.

    Returns:
        The front; ``complete`` only when one design of every nondominated vector is proven to be in it, the
        lexicographically smallest selection of each if it was found by paths.

    Raises:
        ValueError: Arguments out of range, unknown attributes, a method that cannot tell the problem.
        PrecisionError: The integers are too large for the solver to be exact.

    >>> from dse.solve.problem import AttributeObjective, LayerTable, Problem
    >>> table = LayerTable(name="a", columns={"loss": [0, 4, 9], "luts": [9, 5, 2]})
    >>> problem = Problem(layers=(table, ), objectives=(AttributeObjective(name="loss"),))
    >>> front = optimise(problem, ["loss", "luts"], {"luts": 8})
    >>> front.vectors(), front.complete
    (((4, 5), (9, 2)), True)
    """
    chosen = _method(method)
    _check(gap, time_limit_seconds, max_points, max_solves, jobs)
    asked = _asked(problem, objectives, caps)
    if chosen is not Method.MILP and is_supported(asked):
        from dse.solve.compiled.warming import warm_up

        warm_up()
    started = time.monotonic()
    front = None
    if chosen is not Method.MILP:
        effort = Effort.HULL if chosen is Method.HULL else Effort.FULL
        front = _by_paths(asked, gap=gap, clock=Clock.lasting(time_limit_seconds), started=started, effort=effort)
        if front is None and chosen is not Method.AUTO:
            raise ValueError(
                f"method {chosen.value!r} takes objectives that add up, at most one that takes a maximum and none that "
                "is a utilisation, and problems whose couplings leave few combinations open; use 'auto' or 'milp'"
            )
    if front is None:
        front = epsilon_front(
            asked,
            max_solves=max_solves,
            time_limit_seconds=max(0.01, time_limit_seconds - (time.monotonic() - started)),
            on_progress=on_progress,
            jobs=jobs,
        )
    front = replace(front, seed=seed)
    return front if max_points is None else front.subset(max_points)


def _method(method: Method | str) -> Method:
    try:
        return Method(method)
    except ValueError:
        allowed = ", ".join(one.value for one in Method)
        raise ValueError(f"unknown method {method!r}: it is one of {allowed}") from None


def _check(gap: float, time_limit_seconds: float, max_points: int | None, max_solves: int, jobs: int) -> None:
    if not 0.0 <= gap < 1.0:
        raise ValueError(f"gap must be at least 0 and below 1, got {gap}: it is a share, 0.01 for one percent")
    if not time_limit_seconds >= 0.0:
        raise ValueError(f"time_limit_seconds must be at least 0, got {time_limit_seconds}")
    if max_points is not None and max_points < 1:
        raise ValueError(f"max_points must be at least 1, got {max_points}")
    if max_solves < 1 or jobs < 1:
        raise ValueError(f"max_solves and jobs must be at least 1, got {max_solves} and {jobs}")


def _asked(problem: Problem, objectives: Sequence[str | Objective] | None, caps: Mapping[str, int] | None) -> Problem:
    """The problem with other objectives and caps."""
    if objectives is None and caps is None:
        return problem
    own = {objective.name: objective for objective in problem.objectives}
    return problem.replace(
        objectives=None
        if objectives is None
        else [own.get(one, AttributeObjective(name=one)) if isinstance(one, str) else one for one in objectives],
        caps=None if caps is None else [Cap(resource=name, limit=limit) for name, limit in caps.items()],
    )


def _by_paths(problem: Problem, *, gap: float, clock: Clock, started: float, effort: Effort) -> Front | None:
    """The front by paths; None if paths cannot tell the problem, or found nothing while nothing is proven."""
    with stopped_by_control_c(clock):
        found = front_by_paths(problem, gap=gap, clock=clock, effort=effort)
    if found is None:
        return None
    if not len(found.options) and found.complete:
        return _infeasible(problem, found, clock, started)
    designs, order = rechecked(problem, found.options)
    status = _status(found, gap, clock)
    seconds = time.monotonic() - started
    return Front(
        points=PointTable(
            objectives=problem.objective_names,
            table=designs,
            first=found.first,
            lower=found.lower[order],
            status=status,
            method=found.method,
            seconds=seconds,
        ),
        objectives=problem.objective_names,
        complete=found.complete,
        why_incomplete=_WHY[status],
        gap=found.gap,
        gap_kind=found.gap_kind,
        gap_objective=found.first,
        open_regions=0,
        solves=0,
        seconds=seconds,
        problem=problem,
        method=found.method,
        box_is_proven=found.box_is_proven or found.complete,
    )


def _status(found: Found, gap: float, clock: Clock) -> Status:
    """How a search by paths ended."""
    if found.complete:
        return Status.OPTIMAL
    if found.gap <= gap:
        return Status.WITHIN_GAP
    return Status.EFFORT_LIMIT if clock.has_time else Status.TIME_LIMIT


def _infeasible(problem: Problem, found: Found, clock: Clock, started: float) -> Front:
    infeasibility = explain(problem, time_limit_seconds=max(1.0, min(EXPLAIN_SECONDS, clock.seconds_left)))
    return Front(
        points=(),
        objectives=problem.objective_names,
        complete=True,
        why_incomplete="",
        gap=0.0,
        gap_kind=GapKind.NONE,
        gap_objective=found.first,
        open_regions=0,
        solves=0,
        seconds=time.monotonic() - started,
        problem=problem,
        method=found.method,
        infeasibility=infeasibility,
    )
