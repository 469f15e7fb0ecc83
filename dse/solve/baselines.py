"""What is usually done instead, on the same table: one rule for all layers, greedy exchanges, a genetic algorithm."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from dse.solve.archive import Designs, best_of
from dse.solve.front import Method, optimise
from dse.solve.recheck import totals_of

if TYPE_CHECKING:
    from dse.solve.problem import Problem
    from dse.solve.tables import IntArray
    from dse.solve.trellis import BoolArray, FloatArray

_POPULATION = 200


class MissingSearchError(ImportError):
    """The package that a baseline needs is not installed."""


def uniform_designs(problem: Problem) -> Designs:
    """Designs in which every layer takes the option at the same place of its own order of the first objective.

    Args:
        problem: Its objectives are attributes.

    Returns:
        Those that keep caps and couplings, nondominated among themselves.
    """
    name = problem.objective_names[0]
    orders = [np.argsort(layer.column(name), kind="stable") for layer in problem.layers]
    places = np.linspace(0.0, 1.0, max(map(len, orders)))
    rows = [[int(order[round(place * (len(order) - 1))]) for order in orders] for place in places.tolist()]
    return _valid(problem, np.array(rows, dtype=np.int64))


def greedy_designs(problem: Problem) -> Designs:
    """Designs met while always the exchange is made that costs least of the first objective per what it saves.

    It begins with the options that have least of the first objective. What an exchange saves is what it lowers of the
    other objectives and the capped resources together, each as a share of its range; so it ends.
    """
    names = problem.objective_names
    watched = list(dict.fromkeys([*names[1:], *(cap.resource for cap in problem.caps)]))
    first = [layer.column(names[0]) for layer in problem.layers]
    columns = [np.stack([layer.column(name) for name in watched], axis=1) for layer in problem.layers]
    scale = 1.0 / np.maximum(sum(np.ptp(table, axis=0) for table in columns), 1)
    here = [int(np.argmin(column)) for column in first]
    met = [list(here)]
    while True:
        best: tuple[float, int, int] | None = None
        for position, chosen in enumerate(here):
            saved = ((columns[position][chosen] - columns[position]) * scale).sum(axis=1)
            added = (first[position] - first[position][chosen]).astype(np.float64)
            for option in np.flatnonzero(saved > 1e-12).tolist():
                price = max(0.0, float(added[option])) / float(saved[option])
                if best is None or price < best[0]:
                    best = (price, position, option)
        if best is None:
            return _valid(problem, np.array(met, dtype=np.int64))
        here[best[1]] = best[2]
        met.append(list(here))


def lagrangian_designs(problem: Problem, *, time_limit_seconds: float = 10.0) -> Designs:
    """Designs that are cheapest for some weights of objectives and prices of resources."""
    front = optimise(problem, method=Method.HULL, time_limit_seconds=time_limit_seconds)
    options = np.array(front.designs, dtype=np.int64).reshape(len(front.points), len(problem.layers))
    return _valid(problem, options)


def genetic_designs(
    problem: Problem,
    *,
    seconds: float,
    generations: int | None = None,
    seed: int = 0,
    population: int = _POPULATION,
) -> Designs:
    """Designs of NSGA-II (pymoo): uniform crossover, polynomial mutation rounded to options, caps as constraints.

    Args:
        problem: Its objectives are attributes.
        seconds: Wall time, rounded to whole seconds, at least one.
        generations: Ends the search after so many instead, so that it depends on the seed alone.
        seed: Of the random numbers.
        population: Designs per generation.

    Raises:
        MissingSearchError: pymoo is not installed.
    """
    try:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.callback import Callback
        from pymoo.core.problem import Problem as SearchProblem
        from pymoo.operators.crossover.ux import UX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.repair.rounding import RoundingRepair
        from pymoo.operators.sampling.rnd import IntegerRandomSampling
        from pymoo.optimize import minimize
        from pymoo.termination import get_termination
    except ImportError as error:
        raise MissingSearchError("NSGA-II needs pymoo: pip install 'bitfront[search]'") from error
    largest = np.array([layer.option_count - 1 for layer in problem.layers])
    limits = np.array([cap.limit for cap in problem.caps], dtype=np.float64)
    found: list[Designs] = []

    class Table(SearchProblem):  # type: ignore[misc] # pymoo has no types
        """The problem as arrays of selections."""

        def __init__(self) -> None:
            super().__init__(
                n_var=len(largest),
                n_obj=len(problem.objectives),
                n_ieq_constr=len(problem.caps) + bool(problem.couplings or problem.paid_once),
                xl=np.zeros(len(largest), dtype=int),
                xu=largest,
                vtype=int,
            )

        def _evaluate(self, x: FloatArray, out: dict[str, Any], *_: object, **__: object) -> None:
            selections = np.rint(x).astype(np.int64)
            totals = totals_of(problem, selections)
            out["F"] = np.stack([totals[name] for name in problem.objective_names], axis=1).astype(np.float64)
            beyond = [totals[cap.resource] - limit for cap, limit in zip(problem.caps, limits, strict=True)]
            if problem.couplings or problem.paid_once:
                beyond.append(1.0 - _allowed(problem, selections))
            if beyond:
                out["G"] = np.stack(beyond, axis=1)

    class Keeper(Callback):  # type: ignore[misc] # pymoo has no types
        """Keeps what is valid of every generation."""

        def notify(self, algorithm: Any) -> None:  # noqa: ANN401 - pymoo has no types
            selections = np.rint(algorithm.pop.get("X").astype(np.float64)).astype(np.int64)
            found.append(best_of([*found[-1:], _valid(problem, selections)]))

    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=UX(),
        mutation=PM(vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    clock = time.strftime("%H:%M:%S", time.gmtime(max(1, round(seconds))))
    end = get_termination("time", clock) if generations is None else get_termination("n_gen", generations)
    minimize(Table(), algorithm, end, seed=seed, callback=Keeper())
    return found[-1] if found else Designs.none(len(problem.objectives), len(largest))


def _allowed(problem: Problem, options: IntArray) -> BoolArray:
    """Which selections keep couplings and numbers of items."""
    index = problem.layer_index
    allowed = np.ones(len(options), dtype=np.bool_)
    for coupling in problem.couplings:
        left, right = (problem.layers[index[name]].column(key)[options[:, index[name]]] for name, key in coupling.ends)
        allowed &= left == right
    for one in problem.paid_once:
        if one.most is not None:
            used = [
                layer.column(one.key)[options[:, place]]
                for place, layer in enumerate(problem.layers)
                if one.key in layer.columns
            ]
            counts = sum(np.any(np.stack(used) == item, axis=0).astype(np.int64) for item in range(one.item_count))
            allowed &= counts <= one.most
    return allowed


def _valid(problem: Problem, options: IntArray) -> Designs:
    """The nondominated of those selections that keep caps and couplings."""
    totals = totals_of(problem, options)
    allowed = _allowed(problem, options)
    for cap in problem.caps:
        allowed &= totals[cap.resource] <= cap.limit
    points = np.stack([totals[name] for name in problem.objective_names], axis=1)
    return best_of([Designs(points=points[allowed], options=options[allowed])])
