"""One exact answer to one query: reduce, solve, recompute in integers, and solve again where the solver was wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dse.solve.evaluate import Selection, evaluate
from dse.solve.milp import TOLERANCE
from dse.solve.query import Query
from dse.solve.result import Certificate, Infeasible, Point, Status
from dse.solve.stage import solve_stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.solve.problem import Problem


def solve_single(
    problem: Problem,
    *,
    objective: str,
    epsilons: Mapping[str, int] | None = None,
    time_limit_seconds: float = 3600.0,
) -> Point | Infeasible:
    """Minimise ``objective`` under the caps and ``epsilons``, then every other objective in the problem's order.

    Args:
        problem: What is decided; ``Problem.restrict`` gives the problem of a uniform design.
        objective: Name of the objective to minimise.
        epsilons: Largest value allowed, by objective name.
        time_limit_seconds: Wall time for all solver calls together, above 0.

    Returns:
        A point whose certificate says what is proven, or ``Infeasible``.

    Raises:
        ValueError: Unknown objective, or a time limit that is not above 0.
        PrecisionError: The solver cannot answer exactly (never a wrong point instead).

    >>> from dse.solve.problem import AttributeObjective, LayerTable, Problem
    >>> table = LayerTable(name="a", columns={"loss": [0, 4, 9], "luts": [9, 5, 2]})
    >>> problem = Problem(
    ...     layers=(table,), objectives=(AttributeObjective(name="loss"), AttributeObjective(name="luts"))
    ... )
    >>> solve_single(problem, objective="luts", epsilons={"loss": 5}).objectives
    {'loss': 4, 'luts': 5}
    """
    at_most = dict(epsilons or {})
    for name in (objective, *at_most):
        problem.objective(name)
    require_time(time_limit_seconds)
    then = tuple(name for name in problem.objective_names if name != objective)
    query = Query(minimise=objective, then=then, at_most=at_most)
    return solve_query(problem, query, time_limit_seconds=time_limit_seconds)


def require_time(time_limit_seconds: float) -> None:
    """ValueError unless there is time at all."""
    if not time_limit_seconds > 0:
        raise ValueError(f"time_limit_seconds must be above 0, got {time_limit_seconds}: give the seconds to spend")


def solve_query(
    problem: Problem, query: Query, *, time_limit_seconds: float, most_solves: int = 10**9
) -> Point | Infeasible:
    """Answer a query exactly, in as few solver calls as the weights allow (see ``terms.LARGEST_WEIGHTED``)."""
    deadline = time.monotonic() + time_limit_seconds
    remaining = query.order
    bounds = dict(query.at_most)
    selection: Selection | None = None
    status, first_bound, solves, seconds = Status.TIME_LIMIT, 0, 0, 0.0
    while remaining and solves < most_solves:
        part = Query(minimise=remaining[0], then=remaining[1:], at_most=bounds, floors=query.floors)
        stage = solve_stage(problem, part, deadline, most_solves - solves)
        if solves == 0:
            first_bound = stage.first_bound
        solves, seconds, status = solves + stage.solves, seconds + stage.seconds, stage.status
        if stage.selection is None:
            break
        selection = stage.selection
        values = evaluate(problem, selection).objectives
        if status is not Status.OPTIMAL:
            break
        bounds |= {name: _ceiling(query, name, values[name]) for name in remaining[: stage.minimised]}
        remaining = remaining[stage.settled :]
    if selection is None:
        return Infeasible(status=status, at_most=dict(query.at_most), seconds=seconds, solves=solves)
    objectives = evaluate(problem, selection).objectives
    first = objectives[query.minimise]
    proven = status is Status.OPTIMAL and not remaining
    certificate = Certificate(
        method="milp",
        status=Status.OPTIMAL if proven else Status.TIME_LIMIT,
        minimised=query.minimise,
        then=query.then,
        at_most=dict(query.at_most),
        objective=first,
        bound=first_bound,
        gap=first - first_bound,
        efficient=proven and _covers_all(problem, query, objectives),
        tolerance=TOLERANCE,
        seconds=seconds,
        solves=solves,
        rechecked=True,
    )
    return Point(selection=selection, objectives=objectives, certificate=certificate)


def _ceiling(query: Query, name: str, value: int) -> int:
    """What later stages may reach in an objective: its value, or its floor where values below count as equal."""
    return max(value, query.floors.get(name, value))


def _covers_all(problem: Problem, query: Query, objectives: Mapping[str, int]) -> bool:
    """Whether minimality in the query's order implies Pareto efficiency: all objectives in it, none at its floor."""
    at_floor = any(objectives[name] <= floor for name, floor in query.floors.items())
    return set(query.order) == set(problem.objective_names) and not at_floor
