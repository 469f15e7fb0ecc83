"""One exact answer to one query: reduce, solve, recompute in integers, and solve again where the solver was wrong."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.evaluate import Selection, evaluate
from dse.solve.milp import TOLERANCE
from dse.solve.query import Query, limits_of
from dse.solve.reduce import drop_without_partner
from dse.solve.result import Certificate, Infeasible, Point, Status
from dse.solve.stage import solve_stage
from dse.solve.terms import least_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dse.solve.problem import IntArray, Problem


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
    """Answer a query exactly; a problem with a branch layer option by option of it, see `_solve_branches`."""
    if branch_count(problem) > 1:
        return _solve_branches(problem, query, time_limit_seconds=time_limit_seconds, most_solves=most_solves)
    return _solve_whole(problem, query, time_limit_seconds=time_limit_seconds, most_solves=most_solves)


def _solve_whole(problem: Problem, query: Query, *, time_limit_seconds: float, most_solves: int) -> Point | Infeasible:
    """Answer a query in as few solver calls as the weights allow (see ``terms.LARGEST_WEIGHTED``)."""
    deadline = time.monotonic() + time_limit_seconds
    remaining = query.order
    bounds = dict(query.at_most)
    selection: Selection | None = None
    status, first_bound, solves, seconds = Status.EFFORT_LIMIT, 0, 0, 0.0
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
    if remaining and status is Status.OPTIMAL:
        status = Status.EFFORT_LIMIT
    proven = status is Status.OPTIMAL
    certificate = Certificate(
        method="milp",
        status=status,
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


def _solve_branches(
    problem: Problem, query: Query, *, time_limit_seconds: float, most_solves: int
) -> Point | Infeasible:
    """The best answer of all branches, the most promising first; later ones must match the best first value so far.

    Every design takes one option of the branch layer, so the optimum is that of some branch. It is proven when each
    branch is: by its own optimum, or because nothing in it reaches the best one's value.
    """
    deadline = time.monotonic() + time_limit_seconds
    best: Point | None = None
    answers: list[Point | Infeasible] = []
    bounds: list[int] = []
    at_most = dict(query.at_most)
    for least, kept, branch in sorted(_branches(problem, query), key=lambda one: one[0]):
        asked = replace(query, at_most=at_most)
        left = most_solves - sum(map(_solves, answers))
        answer = (
            _solve_whole(branch, asked, time_limit_seconds=max(0.01, deadline - time.monotonic()), most_solves=left)
            if left > 0 and (not answers or time.monotonic() < deadline)
            else Infeasible(status=_exhausted(left), at_most=at_most, seconds=0.0, solves=0)
        )
        answers.append(answer)
        if isinstance(answer, Infeasible):
            if answer.status is not Status.INFEASIBLE:
                bounds.append(least[0])
            continue
        bounds.append(answer.certificate.bound)
        selection = tuple(int(rows[i]) for rows, i in zip(kept, answer.selection, strict=True))
        found = replace(answer, selection=selection)
        if best is None or _worth(query, found) < _worth(query, best):
            best = found
            first = _ceiling(query, query.minimise, best.objectives[query.minimise])
            at_most[query.minimise] = min(first, at_most.get(query.minimise, first))
    seconds = sum(one.seconds if isinstance(one, Infeasible) else one.certificate.seconds for one in answers)
    solves = sum(map(_solves, answers))
    statuses = {one.status if isinstance(one, Infeasible) else one.certificate.status for one in answers}
    unfinished = next((one for one in (Status.TIME_LIMIT, Status.EFFORT_LIMIT) if one in statuses), None)
    if best is None:
        status = unfinished or Status.INFEASIBLE
        return Infeasible(status=status, at_most=dict(query.at_most), seconds=seconds, solves=solves)
    objective = best.objectives[query.minimise]
    bound = min(objective, *bounds)
    certificate = replace(
        best.certificate,
        status=unfinished or Status.OPTIMAL,
        at_most=dict(query.at_most),
        bound=bound,
        gap=objective - bound,
        efficient=unfinished is None and best.certificate.efficient,
        seconds=seconds,
        solves=solves,
    )
    return replace(best, certificate=certificate)


def _exhausted(calls_left: int) -> Status:
    """What ended before a branch was asked for."""
    return Status.TIME_LIMIT if calls_left > 0 else Status.EFFORT_LIMIT


def branch_count(problem: Problem) -> int:
    """Options of the branch layer; 1 for a problem without one."""
    return 1 if problem.branch is None else problem.layers[problem.layer_index[problem.branch]].option_count


def _branches(problem: Problem, query: Query) -> Iterator[tuple[tuple[int, ...], list[IntArray], Problem]]:
    """Per option of the branch layer that may answer the query: lower bounds in its order, option indices, problem."""
    position = problem.layer_index[str(problem.branch)]
    limit = limits_of(problem, query).maxima
    for option in range(problem.layers[position].option_count):
        kept = [np.arange(layer.option_count) for layer in problem.layers]
        kept[position] = np.array([option])
        before = -1
        while before != sum(map(len, kept)) and all(map(len, kept)):
            before = sum(map(len, kept))
            drop_without_partner(problem, kept)
        beyond = any(problem.layers[position].column(name)[option] > most for name, most in limit.items())
        if beyond or not all(map(len, kept)):
            continue
        branch = problem.restrict(kept)
        yield tuple(least_value(branch, name) for name in query.order), kept, branch


def _worth(query: Query, point: Point) -> tuple[int, ...]:
    """What is minimised, in order; values below a floor count as equal."""
    return tuple(_ceiling(query, name, point.objectives[name]) for name in query.order)


def _solves(answer: Point | Infeasible) -> int:
    return answer.solves if isinstance(answer, Infeasible) else answer.certificate.solves
