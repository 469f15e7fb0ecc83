"""The mixed-integer model in Pyomo and its solution by HiGHS, with tolerances under which integers can decide.

Couplings are written as flows (per attribute value, as many picks on the left as on the right), which is 2 to 5 times
faster to solve than pairwise conflicts; thresholds fix picks to zero; a maximum is a rank above its lowest level.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from dse.solve.query import Query, limits_of
from dse.solve.reduce import largest_sum
from dse.solve.result import SolverVersionError, Status
from dse.solve.tables import PARTS_PER_MILLION
from dse.solve.terms import Term, precision_of, term_of, weights_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dse.solve.evaluate import Selection
    from dse.solve.problem import Problem

TOLERANCE = 1e-9
"""Primal, dual and integer feasibility. With the solver's default of 1e-6 a coefficient of a million violates a limit
by whole units while the status says optimal."""

PRESOLVE = "off"
"""After ``reduce_options`` presolve finds little and costs most of the time: nine solves of 8 layers with about 280
options left each took 18.3 s with it and 4.0 s without, with the same optima (HiGHS 1.15.1, one thread)."""

OLDEST_HIGHSPY = (1, 15, 1)
"""Earlier versions return wrong optima as optimal (HiGHS issues 3043, 3073 and 3094)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltModel:
    """A Pyomo model with what is needed to read its answer.

    Attributes:
        model: The ``ConcreteModel``; ``model.pick[layer, option]`` are the choices.
        terms: What is minimised, first to last.
        weights: Weight of each term's steps in the objective.
    """

    model: Any
    terms: tuple[Term, ...]
    weights: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What HiGHS said to one model.

    Attributes:
        status: Whether it proved optimality, infeasibility or ran out of time.
        selection: Option index per layer, rounded; None without a feasible point.
        bound: Lower bound of the model's objective; 0.0 when there is none (steps are never negative).
        seconds: Wall time of the solve, building excluded.
    """

    status: Status
    selection: Selection | None
    bound: float
    seconds: float


def build_model(problem: Problem, query: Query, excluded: Sequence[Selection] = ()) -> BuiltModel:
    """The Pyomo model of a query; selections in ``excluded`` are cut off one by one."""
    import pyomo.environ as pyo

    terms = tuple(term_of(problem, query, name) for name in query.order)
    weights = weights_of(terms)
    model = pyo.ConcreteModel(name="one option per layer")
    indices = [(i, o) for i, layer in enumerate(problem.layers) for o in range(layer.option_count)]
    model.pick = pyo.Var(indices, domain=pyo.Binary)
    picks = [[model.pick[i, o] for o in range(layer.option_count)] for i, layer in enumerate(problem.layers)]
    model.one_option = pyo.ConstraintList()
    for variables in picks:
        model.one_option.add(_linear(variables, [1] * len(variables)) == 1)
    _add_couplings(problem, model, picks)
    sums = _Sums(problem=problem, picks=picks, paid=_add_paid_once(problem, model, picks))
    _add_limits(query, model, sums)
    model.steps = pyo.Var(range(len(terms)), domain=pyo.NonNegativeReals)
    model.definitions = pyo.ConstraintList()
    for position, term in enumerate(terms):
        model.steps[position].setub(term.span if term.limits is None else term.span / PARTS_PER_MILLION)
        _define_term(term, model, sums, model.steps[position])
    model.excluded = pyo.ConstraintList()
    for selection in excluded:
        chosen = [picks[i][option] for i, option in enumerate(selection)]
        model.excluded.add(_linear(chosen, [1] * len(chosen)) <= len(chosen) - 1)
    model.objective = pyo.Objective(expr=_objective(terms, weights, model, sums), sense=pyo.minimize)
    return BuiltModel(model=model, terms=terms, weights=weights)


def _linear(variables: Sequence[Any], coefficients: Iterable[float]) -> Any:
    """Sum of coefficient times variable, leaving out zeros."""
    from pyomo.core.expr.numeric_expr import LinearExpression

    used = [(c, v) for c, v in zip(coefficients, variables, strict=True) if c]
    return LinearExpression(constant=0, linear_coefs=[c for c, _ in used], linear_vars=[v for _, v in used])


def _add_couplings(problem: Problem, model: Any, picks: Sequence[Sequence[Any]]) -> None:
    import pyomo.environ as pyo

    model.couplings = pyo.ConstraintList()
    index = problem.layer_index
    for coupling in problem.couplings:
        (left, left_key), (right, right_key) = ((index[name], key) for name, key in coupling.ends)
        left_values = problem.layers[left].column(left_key)
        right_values = problem.layers[right].column(right_key)
        for value in np.union1d(left_values, right_values).tolist():
            here = [picks[left][o] for o in np.flatnonzero(left_values == value).tolist()]
            there = [picks[right][o] for o in np.flatnonzero(right_values == value).tolist()]
            model.couplings.add(_linear(here + there, [1] * len(here) + [-1] * len(there)) == 0)


def _add_paid_once(problem: Problem, model: Any, picks: Sequence[Sequence[Any]]) -> dict[tuple[str, int], Any]:
    """A variable per item offered, held at 1 or above what any layer picks of it; it need not be declared binary.

    Of the options of one layer a single one is picked, so their sum stands for all of them: fewer and tighter rows
    than one per option.
    """
    import pyomo.environ as pyo

    offered = [(one.key, item) for one in problem.paid_once for item in problem.items_offered(one)]
    model.paid = pyo.Var(offered, bounds=(0, 1))
    model.payments = pyo.ConstraintList()
    for key, item in offered:
        if any(bool(np.all(layer.column(key) == item)) for layer in problem.layers if key in layer.columns):
            model.paid[key, item].fix(1)
            continue
        for layer, variables in zip(problem.layers, picks, strict=True):
            users = np.flatnonzero(layer.column(key) == item).tolist() if key in layer.columns else []
            if users:
                terms = [*(variables[option] for option in users), model.paid[key, item]]
                model.payments.add(_linear(terms, [1] * len(users) + [-1]) <= 0)
    for one in problem.paid_once:
        used = [model.paid[key, item] for key, item in offered if key == one.key]
        if one.most is not None and one.most < len(used):
            model.payments.add(_linear(used, [1] * len(used)) <= one.most)
    return {one: model.paid[one] for one in offered}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """Sums of attributes over a model's variables: the picks, and what is paid once (by key and item)."""

    problem: Problem
    picks: Sequence[Sequence[Any]]
    paid: Mapping[tuple[str, int], Any]

    def lowest(self, attribute: str) -> int:
        """The sum of the layers' smallest values."""
        return sum(int(layer.column(attribute).min()) for layer in self.problem.layers)

    def above_lowest(self, attribute: str, weight: int = 1) -> Any:
        """Weight times what picked options have above their layer's smallest value, and what is paid once."""
        variables = [variable for layer in self.picks for variable in layer]
        columns = [layer.column(attribute) for layer in self.problem.layers]
        coefficients = [weight * c for column in columns for c in (column - column.min()).tolist()]
        for one in self.problem.paid(attribute):
            for (key, item), variable in self.paid.items():
                if key == one.key:
                    variables.append(variable)
                    coefficients.append(weight * int(one.amounts[attribute][item]))
        return _linear(variables, coefficients)


def _add_limits(query: Query, model: Any, sums: _Sums) -> None:
    """Rows for limits on sums that can bind; picks beyond a limit on a maximum are fixed to zero."""
    import pyomo.environ as pyo

    problem = sums.problem
    limits = limits_of(problem, query)
    model.limits = pyo.ConstraintList()
    for attribute, limit in limits.sums.items():
        if largest_sum(problem, attribute) > limit:
            model.limits.add(sums.above_lowest(attribute) <= limit - sums.lowest(attribute))
    for attribute, limit in limits.maxima.items():
        for layer, variables in zip(problem.layers, sums.picks, strict=True):
            if attribute in layer.columns:
                for option in np.flatnonzero(layer.column(attribute) > limit).tolist():
                    variables[option].fix(0)


def _define_term(term: Term, model: Any, sums: _Sums, steps: Any) -> None:
    """Rows that hold ``steps`` at or above the term; a sum needs none, it stands in the objective itself.

    A utilisation is counted in millions of steps, so that it and its rows are of the size of the resources.
    """
    if term.limits is not None:
        for resource, limit in term.limits.items():
            room = (term.offset * limit - sums.lowest(resource) * PARTS_PER_MILLION) / PARTS_PER_MILLION
            model.definitions.add(sums.above_lowest(resource) - limit * steps <= room)
    elif term.levels is not None:
        for layer, variables in zip(sums.problem.layers, sums.picks, strict=True):
            if term.name in layer.columns:
                ranks = np.minimum(term.rank(layer.column(term.name)), term.span)
                if ranks.any():
                    model.definitions.add(_linear(variables, ranks.tolist()) - steps <= 0)
    else:
        steps.fix(0)


def _objective(terms: tuple[Term, ...], weights: tuple[int, ...], model: Any, sums: _Sums) -> Any:
    parts = []
    for position, (term, weight) in enumerate(zip(terms, weights, strict=True)):
        if term.limits is not None:
            parts.append(weight * PARTS_PER_MILLION * model.steps[position])
        elif term.levels is not None:
            parts.append(weight * model.steps[position])
        else:
            parts.append(sums.above_lowest(term.name, weight))
    return sum(parts)


def require_solver() -> None:
    """Raise SolverVersionError unless a HiGHS without known wrong optima is installed."""
    import highspy

    highs = highspy.Highs()
    found = (highs.versionMajor(), highs.versionMinor(), highs.versionPatch())
    if found < OLDEST_HIGHSPY:
        given, needed = (".".join(map(str, version)) for version in (found, OLDEST_HIGHSPY))
        raise SolverVersionError(
            f"highspy is {given}, but at least {needed} is needed, because earlier versions return wrong optima: "
            f"pip install 'highspy>={needed}'"
        )


def load_solver() -> None:
    """Import what a solve needs, so that no time limit pays for it; see `require_solver` for what it raises."""
    import_module("pyomo.environ")
    from pyomo.contrib.solver.common.factory import SolverFactory

    require_solver()
    SolverFactory("highs")


def run_highs(built: BuiltModel, *, time_limit_seconds: float) -> Answer:
    """Solve a model at gap 0 with one thread and a fixed seed, and round what comes back.

    Raises:
        SolverVersionError: highspy is missing fixes that exact answers need.
        RuntimeError: HiGHS ended with a status that is neither optimal, infeasible nor out of time.
    """
    from pyomo.contrib.solver.common.factory import SolverFactory
    from pyomo.contrib.solver.common.results import TerminationCondition

    require_solver()
    solver = SolverFactory("highs")
    started = time.perf_counter()
    results = solver.solve(
        built.model,
        load_solutions=False,
        raise_exception_on_nonoptimal_result=False,
        threads=1,
        time_limit=time_limit_seconds,
        rel_gap=0.0,
        abs_gap=precision_of(built.terms).gap,
        solver_options={
            "mip_feasibility_tolerance": TOLERANCE,
            "primal_feasibility_tolerance": TOLERANCE,
            "dual_feasibility_tolerance": TOLERANCE,
            "random_seed": 0,
            "presolve": PRESOLVE,
        },
    )
    seconds = time.perf_counter() - started
    status = {
        TerminationCondition.convergenceCriteriaSatisfied: Status.OPTIMAL,
        TerminationCondition.provenInfeasible: Status.INFEASIBLE,
        TerminationCondition.infeasibleOrUnbounded: Status.INFEASIBLE,  # every variable is bounded
        TerminationCondition.maxTimeLimit: Status.TIME_LIMIT,
    }.get(results.termination_condition)
    if status is None:
        raise RuntimeError(f"HiGHS ended with {results.termination_condition}: not optimal, infeasible or out of time")
    selection = None
    if results.incumbent_objective is not None and status is not Status.INFEASIBLE:
        selection = _read_selection(built.model, results.solution_loader.get_vars())
    bound = results.objective_bound
    known = bound is not None and math.isfinite(bound)
    return Answer(status=status, selection=selection, bound=max(0.0, bound) if known else 0.0, seconds=seconds)


def _read_selection(model: Any, values: Any) -> Selection:
    """The option with the largest value in each layer (the only one near 1)."""
    best: dict[int, tuple[float, int]] = {}
    for (layer, option), variable in model.pick.items():
        value = values.get(variable, 0.0)
        if layer not in best or value > best[layer][0]:
            best[layer] = (value, option)
    return tuple(best[layer][1] for layer in sorted(best))
