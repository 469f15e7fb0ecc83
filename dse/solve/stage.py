"""One solver call that can be trusted: reduce, solve, recompute in integers, correct and solve again if need be."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from dse.solve.evaluate import Evaluation, Selection, evaluate
from dse.solve.milp import TOLERANCE, Answer, BuiltModel, build_model, run_highs
from dse.solve.reduce import reduce_options
from dse.solve.result import PrecisionError, Status
from dse.solve.terms import first_stage, precision_of, term_of

if TYPE_CHECKING:
    from dse.solve.problem import Problem
    from dse.solve.query import Query

MOST_CORRECTIONS = 8
"""Selections cut off in one stage before giving up; one is rare at the tolerances used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Outcome of one lexicographic stage, in option indices of the problem that was given.

    Attributes:
        status: OPTIMAL, INFEASIBLE, or TIME_LIMIT or EFFORT_LIMIT with or without a selection.
        selection: The best selection found.
        first_bound: Proven lower bound of the first objective of the stage.
        minimised: How many objectives were minimised together.
        settled: How many of them are proven minimal, given those before; all, except that a utilisation at the end
            of several objectives may need a stage of its own.
        solves: Solver calls.
        seconds: Wall time, preparation included.
    """

    status: Status
    selection: Selection | None
    first_bound: int
    minimised: int
    settled: int
    solves: int
    seconds: float


def solve_stage(problem: Problem, query: Query, deadline: float, most_solves: int) -> Stage:
    """Minimise as many leading objectives as fit one solve; ``deadline`` is a ``time.monotonic`` instant.

    Raises:
        PrecisionError: The solver contradicts exact arithmetic.
    """
    started = time.perf_counter()
    kept = reduce_options(problem, query)
    if kept is None:
        return Stage(
            status=Status.INFEASIBLE,
            selection=None,
            first_bound=0,
            minimised=0,
            settled=0,
            solves=0,
            seconds=time.perf_counter() - started,
        )
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
    return replace(stage, selection=selection, seconds=time.perf_counter() - started)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A valid selection and its exact worth in the units of the model's objective."""

    selection: Selection
    worth: Fraction
    exact: Evaluation


def _solve_corrected(small: Problem, query: Query, deadline: float, most_solves: int) -> Stage:
    """Solve; where recomputing disagrees with the solver, cut that selection off and solve again.

    A selection that breaks a limit is forgotten. One that is valid but worth more than the solver believed is kept
    as the best known, until the bound of the remaining ones reaches it. Both are exact.
    """
    excluded: list[Selection] = []
    best: _Candidate | None = None
    bound = 0.0
    while True:
        built = build_model(small, query, excluded)
        precision = precision_of(built.terms)
        answer = run_highs(built, time_limit_seconds=max(0.01, deadline - time.monotonic()))
        best = _better(best, _candidate(small, query, built, answer))
        # Nothing but what was excluded is better than the answer's bound, and nothing excluded is better than best.
        reached = math.inf if answer.status is Status.INFEASIBLE else answer.bound
        bound = max(bound, reached if best is None else min(reached, float(best.worth)))
        solved = answer.status is Status.INFEASIBLE or (
            best is not None and bound >= float(best.worth) - precision.gap - precision.noise
        )
        if solved or answer.status is Status.TIME_LIMIT or len(excluded) + 1 >= most_solves:
            break
        if answer.selection is None or len(excluded) >= MOST_CORRECTIONS:
            raise PrecisionError(
                f"HiGHS returned {len(excluded) + 1} selections for minimising {query.minimise!r} that differ from "
                f"their exact values beyond its tolerance {TOLERANCE}: give attributes in larger units "
                "(smaller integers)"
            )
        excluded.append(answer.selection)
    unfinished = Status.TIME_LIMIT if answer.status is Status.TIME_LIMIT else Status.EFFORT_LIMIT
    if best is None:
        status = Status.INFEASIBLE if answer.status is Status.INFEASIBLE else unfinished
    else:
        status = Status.OPTIMAL if solved else unfinished
    return Stage(
        status=status,
        selection=None if best is None else best.selection,
        first_bound=_first_bound(built, bound),
        minimised=len(built.terms),
        settled=_settled(built, bound, best),
        solves=len(excluded) + 1,
        seconds=0.0,
    )


def _better(best: _Candidate | None, other: _Candidate | None) -> _Candidate | None:
    if best is None or other is None:
        return best or other
    return other if other.worth < best.worth else best


def _candidate(small: Problem, query: Query, built: BuiltModel, answer: Answer) -> _Candidate | None:
    """The answer's selection with its exact worth; None when it breaks a cap, a coupling or an epsilon.

    Raises:
        PrecisionError: It is worth less than the bound that comes with it, so that the bound is wrong.
    """
    if answer.selection is None:
        return None
    exact = evaluate(small, answer.selection)
    if exact.violations or any(exact.objectives[name] > bound for name, bound in query.at_most.items()):
        return None
    weighted = zip(built.terms, built.weights, strict=True)
    worth = sum((weight * term.exact_steps(exact) for term, weight in weighted), Fraction(0))
    if worth < Fraction(answer.bound) - Fraction(precision_of(built.terms).noise):
        raise PrecisionError(
            f"HiGHS claims that nothing is below {answer.bound} (weighted steps of {', '.join(query.order)}), but its "
            f"own selection is worth {float(worth)}: give attributes in larger units (smaller integers)"
        )
    return _Candidate(selection=answer.selection, worth=worth, exact=exact)


def _first_bound(built: BuiltModel, bound: float) -> int:
    """Lower bound of the first objective, from that of the weighted sum."""
    if math.isinf(bound):
        return built.terms[0].value(built.terms[0].span)
    least = Fraction(bound) - Fraction(precision_of(built.terms).noise)
    if built.terms[-1].limits is None:
        least = Fraction(math.ceil(least))
    later = built.weights[0] - 1  # the most that all terms after the first can add up to
    return built.terms[0].value(max(0, math.ceil((least - later) / built.weights[0])))


def _settled(built: BuiltModel, bound: float, best: _Candidate | None) -> int:
    """How many objectives are proven minimal if the solver met its gap; see ``Stage.settled``."""
    last = built.terms[-1]
    if best is None or last.limits is None:
        return len(built.terms)
    before = best.worth - last.exact_steps(best.exact)
    least = last.offset + math.ceil(Fraction(bound) - before - Fraction(precision_of(built.terms).noise))
    return len(built.terms) - (least < best.exact.objectives[last.name])
