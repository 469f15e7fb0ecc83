"""How far predicted losses can be trusted: every bar, on built-in networks and several seeds, rivals beside us.

``python -m tests.benchmarks.accuracy digits 0 1 2 3 4`` prints one line per seed and the medians. Fronts are those of
LUTs and loss under all caps of the default study, exact where time allows; designs of the final front that
were not measured before judge the predictions. Rivals have 10 designs for each of ours, and the cheapest folding of
each. NSGA-II is pymoo's.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import tempfile
import time
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from dse.audit import FLOOR, USEFUL_ACCURACY_LOSS, spearman
from dse.confidence import dominating, resampled
from dse.config import check_config
from dse.decoding import design_of
from dse.designs import DesignKind
from dse.measurement import measure_formats, sample_losses
from dse.refinement import Refiner
from dse.sampling import DesignDraw
from dse.solve import evaluate, optimise
from dse.solve.hypervolume import hypervolume
from dse.solve.subset import choose
from dse.study import Study
from dse.sweep import loss_table, smooth_loss
from emulation.calibrated import Formats
from emulation.datapaths import Arithmetic
from emulation.float_execution import rerun
from emulation.sensitivity import EngineProbe, place_of
from tests.benchmarks.comparisons import medians, one_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dse.decision_tables import DecisionTables
    from dse.designs import Design
    from dse.sweep import LossTable

SHOWN = 100
"""Designs of the final front that are measured; rivals are ten times as many."""
ROUND = 40
"""Designs of the front of each round."""
ROUNDS = 6
"""Rounds at most before the final front."""
JOBS = 2
"""Designs measured at once."""
SOLVE_SECONDS = 20.0
"""For one front."""
RIVALS = 10
"""Rival designs for each of ours."""


class Bars(NamedTuple):
    """What one seed reached."""

    unseen: int
    spearman: float
    useful: int
    useful_spearman: float
    ratio: float
    dominated: float
    ours: float
    random: float
    genetic: float
    rounds: int
    seconds: float


class Workbench:
    """A swept study and fronts of LUTs and loss of it."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.prepared = study.prepared
        self.priced = study._priced

    @cached_property
    def plain(self) -> LossTable:
        """Losses as the sweep measured them."""
        return loss_table(self.prepared, self.study.store, smooth_loss)

    def front(self, losses: LossTable, designs: int) -> list[Design]:
        """Designs that cover the front of these losses."""
        tables: DecisionTables = self.priced.with_losses(losses)
        problem = tables.problem()
        found = optimise(problem, ["luts", "loss"], time_limit_seconds=SOLVE_SECONDS)
        # Even steps of the logarithm of the loss: on even steps of the loss itself nearly all designs would be useless.
        vectors = np.array(found.vectors(), dtype=np.float64)
        vectors[:, 1] = np.log(np.maximum(vectors[:, 1] * tables.loss_unit, 0.0) + FLOOR)
        extent = np.maximum(np.ptp(vectors, axis=0), 1e-9)
        cells = ((vectors - vectors.min(axis=0)) / extent * 1e6).round().astype(np.int64)
        decoded = []
        for index in choose(cells, designs).tolist():
            point = found.points[index]
            worth = evaluate(problem, point.selection).objectives
            whole = dataclasses.replace(point, objectives=worth)
            decoded.append(design_of(self.prepared, tables, whole, name=f"d{index}", kind=DesignKind.FRONT))
        return decoded

    @cached_property
    def _least(self) -> list[tuple[str, bool, dict[tuple[object, ...], dict[int, int]]]]:
        """Per table: by what formats decide and the number of requantisers, the fewest LUTs of any folding."""
        found = []
        for table in self.priced.tables:
            least: dict[tuple[object, ...], dict[int, int]] = {}
            for one in table.choices:
                key = (one.inputs, one.weight, one.arithmetic, one.output)
                own = least.setdefault(key, {})
                own[one.requantisers] = min(own.get(one.requantisers, 1 << 60), one.cost.luts)
            found.append((table.layer, table.role == "engine", least))
        return found

    def cheapest(self, formats: Formats) -> int:
        """LUTs of the cheapest folding of some formats within the interval, other caps put aside: a gift to rivals."""
        network = self.prepared.network
        sums: dict[str, dict[int, int]] = {}
        total = 0
        for layer, is_engine, least in self._least:
            inputs = tuple(formats.edges[edge] for edge in network.input_edges(network.by_name[layer]))
            weight = formats.weights.get(layer) if is_engine else None
            arithmetic = formats.engines.get(layer, Arithmetic()) if is_engine else Arithmetic()
            rows = [
                own
                for key, own in least.items()
                if key[0] in {(), inputs}
                and key[1] == weight
                and key[2] == arithmetic
                and key[3] in {None, formats.edges.get(layer)}
            ]
            merged = {count: min(own.get(count, 1 << 60) for own in rows) for own in rows for count in own}
            before = sums.setdefault(layer, {})
            if before:
                sums[layer] = {count: merged[count] + before[count] for count in merged.keys() & before.keys()}
            else:
                sums[layer] = merged
        total += sum(min(own.values()) for own in sums.values())
        return total

    def measured(self, designs: list[Formats]) -> NDArray[np.float64]:
        """Measured losses on validation data."""
        found = measure_formats(
            self.prepared, self.study.store, designs, self.prepared.validation, jobs=JOBS, description="whole designs"
        )
        return np.array([one.divergence for one in found])


def bars(bench: Workbench, seed: int) -> Bars:
    """One seed: refine, solve once more, measure, and let the rivals try."""
    started = time.perf_counter()
    prepared, store = bench.prepared, bench.study.store
    accuracy = prepared.config.accuracy.model_copy(update={"seed": seed, "rounds": ROUNDS})
    config = prepared.config.model_copy(update={"accuracy": accuracy})
    solved: list[Formats] = []

    def solve(losses: LossTable, _: int) -> list[Design]:
        designs = bench.front(losses, ROUND)
        solved.extend(one.formats for one in designs)
        return designs

    refiner = Refiner(prepared=dataclasses.replace(prepared, config=config), store=store, solve=solve, jobs=JOBS)
    refined = refiner.run("bench")
    drawn = DesignDraw(prepared=prepared, losses=bench.plain)
    known = {one.text for one in [*solved, *drawn.distinct(accuracy.audit_designs, seed=seed)]}
    final = bench.front(refined.table, SHOWN)
    losses = measure_formats(
        prepared, store, [one.formats for one in final], prepared.validation, jobs=JOBS, description="final front"
    )
    pairs = {one.formats.text: (one, loss) for one, loss in zip(final, losses, strict=True)}
    unseen = [pair for text, pair in pairs.items() if text not in known]
    predicted = np.array([one.predicted_loss for one, _ in unseen])
    measured = np.array([loss.divergence for _, loss in unseen])
    useful = np.array([loss.accuracy_change >= -USEFUL_ACCURACY_LOSS for _, loss in unseen], dtype=bool)
    each = sample_losses(prepared, store, [one.formats for one in final], prepared.validation)
    flat = [dataclasses.replace(one, utilisation=float(one.total.luts), interval_cycles=1) for one in final]
    lost = resampled(each[None], resamples=400, seed=seed)
    beaten = sum(bool(dominating(index, flat, lost)) for index in range(len(flat)))
    ours = np.array([(one.total.luts, loss.divergence) for one, loss in zip(final, losses, strict=True)])
    count = RIVALS * len(final)
    others = random_rivals(bench, count, seed), genetic_rivals(bench, count, seed)
    box = ours.min(axis=0), np.array([ours[ours[:, 1].argmin(), 0], ours[ours[:, 0].argmin(), 1]])
    volumes = [share(points, *box) for points in (ours, *others)]
    return Bars(
        unseen=len(unseen),
        spearman=spearman(predicted, measured),
        useful=int(useful.sum()),
        useful_spearman=spearman(predicted[useful], measured[useful]),
        ratio=float(np.median(measured / np.maximum(predicted, 1e-9))),
        dominated=beaten / len(final),
        ours=volumes[0],
        random=volumes[1],
        genetic=volumes[2],
        rounds=len(refined.rounds),
        seconds=time.perf_counter() - started,
    )


def share(points: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    """Share of the box between our front's optima that points dominate."""
    side = 10**6
    scaled = np.clip((points - low) / np.maximum(high - low, 1e-12) * side, 0, side).round().astype(np.int64)
    return hypervolume(scaled, np.full(2, side)) / side**2


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


def sweep_ratio(bench: Workbench, probes: int = 60) -> float:
    """Processor time of probes with all their metrics, less their own kernels, over float time of their suffixes."""
    from dse.sensitivity_proxies import ProxyBench
    from dse.sweep import _measure

    prepared = bench.prepared
    samples = prepared.sensitivity
    with one_thread():
        proxies = ProxyBench.of(prepared.bench(), samples.inputs, samples.labels)
        own = proxies.bench
        chosen = [one for one in prepared.probes() if isinstance(one, EngineProbe) and one.weight is not None]
        sums = np.zeros(3)
        for probe in chosen[:: max(len(chosen) // probes, 1)]:
            suffix = tuple(own.network.descendants(place_of(probe)))
            kernel = partial(own._values, probe, own.tensors)
            rest = partial(rerun, own.tensors, suffix)
            whole = partial(_measure, proxies, "", probe)
            sums += np.array(medians([whole, kernel, rest], runs=5))
    return float((sums[0] - sums[1]) / sums[2])


def main(workload: str, seeds: list[int]) -> None:
    """Print what every seed reached, and the medians."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        config = check_config({"network": {"workload": workload}}, source="the benchmark")
        with Study.create(Path(folder) / "study", config) as study:
            study.sweep(jobs=2)
            bench = Workbench(study)
            print(f"{workload}: sweep {sweep_ratio(bench):.2f} x", flush=True)  # noqa: T201 - a program
            found = []
            for seed in seeds:
                found.append(bars(bench, seed))
                print(seed, found[-1], flush=True)  # noqa: T201
            middle = Bars(*(statistics.median(values) for values in zip(*found, strict=True)))
            print("median", middle)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], [int(one) for one in sys.argv[2:]] or [0, 1, 2, 3, 4])
