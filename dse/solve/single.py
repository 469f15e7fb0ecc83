"""One exact answer to one query: reduce, solve, recompute in integers, and solve again where the solver was wrong."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dse.solve.evaluate import Selection, evaluate
from dse.solve.milp import TOLERANCE, Answer, build_model, run_highs
from dse.solve.query import Query
from dse.solve.reduce import reduce_options
from dse.solve.result import Certificate, Infeasible, Point, PrecisionError, Status
from dse.solve.terms import Term, first_stage, term_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.solve.milp import BuiltModel
    from dse.solve.problem import Problem

MOST_CORRECTIONS = 8
"""Selections cut off in one stage before giving up; one is rare at the tolerances used."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """Outcome of one lexicographic stage, in indices of the problem that was given."""

    status: Status
    selection: Selection | None
    first_bound: int
    solves: int
    seconds: float


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
        at_least = query.at_least if remaining == query.order else None
        part = Query(minimise=remaining[0], then=remaining[1:], at_most=bounds, at_least=at_least, floors=query.floors)
        count, stage = _solve_stage(problem, part, deadline, most_solves - solves)
        if solves == 0:
            first_bound = stage.first_bound
        solves, seconds, status = solves + stage.solves, seconds + stage.seconds, stage.status
        if stage.selection is None:
            break
        selection = stage.selection
        if status is not Status.OPTIMAL:
            break
        values = evaluate(problem, selection).objectives
        bounds |= {name: _ceiling(query, name, values[name]) for name in remaining[:count]}
        remaining = remaining[count:]
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


def _solve_stage(problem: Problem, query: Query, deadline: float, most_solves: int) -> tuple[int, _Stage]:
    """Minimise as many leading objectives as fit one solve; returns how many, and the outcome."""
    started = time.perf_counter()
    kept = reduce_options(problem, query)
    if kept is None:
        seconds = time.perf_counter() - started
        none = _Stage(status=Status.INFEASIBLE, selection=None, first_bound=0, solves=0, seconds=seconds)
        return len(query.order), none
    small = problem.restrict(kept)
    count = first_stage(tuple(term_of(small, query, name) for name in query.order))
    if count < len(query.order):
        query = replace(query, then=query.then[: count - 1])
        kept = reduce_options(problem, query) or kept
        small = problem.restrict(kept)
    stage = _solve_corrected(small, query, deadline, most_solves)
    selection = stage.selection
    if selection is not None:
        selection = tuple(int(rows[option]) for rows, option in zip(kept, selection, strict=True))
    return count, replace(stage, selection=selection, seconds=time.perf_counter() - started)


def _solve_corrected(small: Problem, query: Query, deadline: float, most_solves: int) -> _Stage:
    """Solve; where recomputing disagrees with the solver, cut that selection off and solve again.

    A selection that breaks a limit is forgotten. One that is valid but worth more than the solver believed is kept
    as the best known, until the bound of the remaining ones reaches it. Both are exact.
    """
    excluded: list[Selection] = []
    best: tuple[int, Selection] | None = None
    bound = 0
    first: Term | None = None
    while True:
        built = build_model(small, query, excluded)
        first = first or built.terms[0]
        answer = run_highs(built, time_limit_seconds=max(0.01, deadline - time.monotonic()))
        bound = max(bound, _remaining_bound(answer, best))
        if answer.selection is not None:
            value = _weighted_steps(small, query, built, answer.selection)
            if value is not None and value < answer.bound:
                raise PrecisionError(
                    f"HiGHS claims that nothing is below {answer.bound} (weighted steps of {', '.join(query.order)}), "
                    f"but its own selection is worth {value}: give attributes in larger units (smaller integers)"
                )
            if value is not None and (best is None or value < best[0]):
                best = (value, answer.selection)
        status = answer.status
        solved = status is Status.INFEASIBLE or (best is not None and bound >= best[0])
        if solved or status is Status.TIME_LIMIT or len(excluded) + 1 >= most_solves:
            break
        if len(excluded) >= MOST_CORRECTIONS:
            raise PrecisionError(
                f"HiGHS returned {len(excluded)} selections for minimising {query.minimise!r} that differ from their "
                f"exact values beyond its tolerance {TOLERANCE}: give attributes in larger units (smaller integers)"
            )
        if answer.selection is None:
            raise PrecisionError(f"HiGHS reports an optimum for {query.minimise!r} but returned no selection")
        excluded.append(answer.selection)
    if best is None:
        ended = Status.INFEASIBLE if status is Status.INFEASIBLE else Status.TIME_LIMIT
    else:
        ended = Status.OPTIMAL if solved else Status.TIME_LIMIT
    later = built.weights[0] - 1  # the most that all terms after the first can add up to
    steps = max(0, -(-(bound - later) // built.weights[0]))
    return _Stage(
        status=ended,
        selection=None if best is None else best[1],
        first_bound=first.value(steps),
        solves=len(excluded) + 1,
        seconds=0.0,
    )


def _remaining_bound(answer: Answer, best: tuple[int, Selection] | None) -> int:
    """Lower bound over all selections once the excluded ones are worth at least ``best``."""
    if answer.status is Status.INFEASIBLE:
        return 0 if best is None else best[0]
    return answer.bound if best is None else min(answer.bound, best[0])


def _weighted_steps(small: Problem, query: Query, built: BuiltModel, selection: Selection) -> int | None:
    """Exact value of the model's objective at a selection; None when it breaks a cap, a coupling or an epsilon."""
    exact = evaluate(small, selection)
    within = all(exact.objectives[name] <= bound for name, bound in query.at_most.items())
    if exact.violations or not within:
        return None
    terms = zip(built.terms, built.weights, strict=True)
    return sum(weight * max(0, term.steps(exact.objectives[term.name])) for term, weight in terms)
