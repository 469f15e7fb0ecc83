"""Designs found by measuring alone, at random and by NSGA-II; each gets the cheapest folding of its formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dse.sampling import DesignDraw
from emulation.calibrated import Formats
from emulation.datapaths import Arithmetic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.benchmarks.accuracy_bench import Workbench


def random_rivals(bench: Workbench, count: int, seed: int) -> NDArray[np.float64]:
    """Designs drawn at random, of every quality, measured: LUTs and loss."""
    designs = DesignDraw(prepared=bench.prepared, losses=bench.plain).distinct(count, seed=seed + 1000)
    return np.stack([[bench.cheapest(one) for one in designs], bench.measured(designs)], axis=1)


def genetic_rivals(bench: Workbench, count: int, seed: int) -> NDArray[np.float64]:
    """NSGA-II (Deb et al. 2002; pymoo) on measured losses: a population of 50, ``count`` designs measured in all."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    prepared = bench.prepared
    network = prepared.network
    menus = [prepared.edge_menu(edge) for edge in network.edges]
    layers = [layer for layer in network.engines if layer.weight is not None]
    # A gene of a layer says how far down the list of weights that its input's format goes with.
    offered = {
        (layer.name, activation): [
            second for one, second, how in prepared.datapaths(layer) if one == activation and how == Arithmetic()
        ]
        for layer in layers
        for activation in prepared.edge_menu(network.input_edges(layer)[0])
    }
    most = [max(len(own) for (name, _), own in offered.items() if name == layer.name) for layer in layers]
    every: list[tuple[float, float]] = []

    class Measured(Problem):
        def __init__(self) -> None:
            tops = np.array([len(menu) - 1 for menu in menus] + [one - 1 for one in most])
            super().__init__(n_var=len(tops), n_obj=2, xl=np.zeros(len(tops)), xu=tops, vtype=int)

        def _evaluate(self, x, out, *_, **__):
            designs = [decode(row) for row in x]
            out["F"] = np.stack([[bench.cheapest(one) for one in designs], bench.measured(designs)], axis=1)
            every.extend(map(tuple, out["F"]))

    def decode(row: NDArray[np.int64]) -> Formats:
        edges = {
            edge: menu[int(gene)] for edge, menu, gene in zip(network.edges, menus, row[: len(menus)], strict=True)
        }
        weights = {}
        for layer, gene in zip(layers, row[len(menus) :], strict=True):
            own = offered[layer.name, edges[network.input_edges(layer)[0]]]
            weights[layer.name] = own[int(gene) % len(own)]
        return Formats(edges=edges, weights=weights)

    algorithm = NSGA2(
        pop_size=50,
        sampling=IntegerRandomSampling(),
        crossover=UniformCrossover(repair=RoundingRepair()),
        mutation=PM(repair=RoundingRepair()),
    )
    minimize(Measured(), algorithm, ("n_eval", count), seed=seed)
    return np.array(every)
