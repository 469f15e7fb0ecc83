"""How far predicted losses can be trusted: every bar, on built-in networks and several seeds, rivals beside us.

``python -m tests.benchmarks.accuracy`` prints a line per seed and writes reports/published/accuracy.md; names of
networks and seeds may follow. Fronts are those of LUTs and loss under all caps of the default study; designs of the
final front that were not measured before judge the predictions. Finished seeds are kept in studies/accuracy until the
page is written, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import statistics
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from dse.audit import USEFUL_ACCURACY_LOSS, spearman
from dse.confidence import SURE, dominating, resampled
from dse.config import check_config
from dse.measurement import measure_formats, sample_losses
from dse.refinement import Refiner
from dse.sampling import DesignDraw
from dse.solve.hypervolume import hypervolume
from dse.study import open_or_create
from dse.sweep import _measure
from emulation.float_execution import rerun
from emulation.sensitivity import EngineProbe, place_of
from reports.accuracy_figures import judged_figure, rivals_figure
from reports.figure_style import style
from reports.files import replaced_atomically
from tests.benchmarks.accuracy_bench import JOBS, Workbench
from tests.benchmarks.accuracy_rivals import genetic_rivals, random_rivals
from tests.benchmarks.comparisons import PUBLISHED, medians, one_thread, table, write_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dse.designs import Design
    from dse.sweep import LossTable
    from emulation.calibrated import Formats

NETWORKS = ("digits", "digits-deep")
SEEDS = (0, 1, 2, 3, 4)
SHOWN = 50
"""Designs of the final front that are measured, at most; rivals are ten times as many."""
ROUND = 40
"""Designs of the front of each round, at most."""
ROUNDS = 6
"""Rounds at most before the final front."""
RIVALS = 10
"""Rival designs for each of ours."""
PAGE = PUBLISHED / "accuracy.md"
PICTURES = PUBLISHED / "accuracy"
KEPT = PUBLISHED.parents[1] / "studies" / "accuracy"


class Bars(NamedTuple):
    """What one seed reached."""

    unseen: int
    spearman: float
    useful: int
    useful_spearman: float
    ratio: float
    shown: int
    dominated: float
    pairwise: float
    ours: float
    random: float
    genetic: float
    rounds: int


class Points(NamedTuple):
    """Designs of one seed, for drawing: predicted and measured losses of the unseen; LUTs and loss of all."""

    predicted: list[float]
    measured: list[float]
    useful: list[bool]
    fronts: dict[str, list[list[float]]]


class Bar(NamedTuple):
    """What the median of the seeds has to reach."""

    name: str
    asked: str
    reached: str
    is_met: bool


def bars(bench: Workbench, seed: int) -> tuple[Bars, Points]:
    """One seed: refine, solve once more, measure, and let the rivals try."""
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
    lost = resampled(each[None], resamples=1000, seed=seed)
    beaten = sum(bool(dominating(index, flat, lost)) for index in range(len(flat)))
    beaten_by_pairs = pairwise([one.total.luts for one in final], lost)
    ours = np.array([(one.total.luts, loss.divergence) for one, loss in zip(final, losses, strict=True)])
    count = RIVALS * len(final)
    fronts = {
        "bitfront": ours,
        "random": random_rivals(bench, count, seed),
        "NSGA-II": genetic_rivals(bench, count, seed),
    }
    box = ours.min(axis=0), np.array([ours[ours[:, 1].argmin(), 0], ours[ours[:, 0].argmin(), 1]])
    volumes = [share(points, *box) for points in fronts.values()]
    reached = Bars(
        unseen=len(unseen),
        spearman=spearman(predicted, measured),
        useful=int(useful.sum()),
        useful_spearman=spearman(predicted[useful], measured[useful]),
        ratio=float(np.median(measured / np.maximum(predicted, 1e-9))),
        shown=len(final),
        dominated=beaten / len(final),
        pairwise=beaten_by_pairs / len(final),
        ours=volumes[0],
        random=volumes[1],
        genetic=volumes[2],
        rounds=len(refined.rounds),
    )
    points = {name: own.tolist() for name, own in fronts.items()}
    return reached, Points(predicted.tolist(), measured.tolist(), useful.tolist(), points)


def pairwise(luts: Sequence[int], lost: NDArray[np.float64]) -> int:
    """Designs that look dominated if each pair is tested alone: more than are, but shown beside the others."""
    costs = np.array(luts)
    found = 0
    for index, cost in enumerate(costs):
        rivals = np.flatnonzero((costs <= cost) & (np.arange(len(costs)) != index))
        found += bool((np.mean(lost[:, rivals] < lost[:, [index]], axis=0) >= SURE).any())
    return found


def share(points: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    """Share of the box between our front's optima that points dominate."""
    side = 10**6
    scaled = np.clip((points - low) / np.maximum(high - low, 1e-12) * side, 0, side).round().astype(np.int64)
    return hypervolume(scaled, np.full(2, side)) / side**2


def sweep_ratio(bench: Workbench, probes: int = 60) -> float:
    """Processor time of probes with all their metrics, less their own kernels, over float time of their suffixes."""
    from dse.sensitivity_proxies import ProxyBench

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


def explored(network: str, seeds: Sequence[int]) -> dict[str, Any]:
    """The sweep's ratio, and bars and points by seed; what a run before has finished is read."""
    folder = KEPT / network
    path = folder / "seeds.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    config = check_config({"network": {"workload": network}}, source="the benchmark")
    with open_or_create(folder / "study", config) as study:
        study.sweep(jobs=JOBS)
        bench = Workbench(study)
        if "sweep" not in found:
            found["sweep"] = sweep_ratio(bench)
            say(f"{network}: sweep {found['sweep']:.2f} x")
        for seed in seeds:
            if str(seed) not in found:
                reached, points = bars(bench, seed)
                found[str(seed)] = {"bars": reached._asdict(), "points": points._asdict()}
                with replaced_atomically(path) as stream:
                    stream.write(json.dumps(found).encode())
            say(f"{network} {seed}: {Bars(**found[str(seed)]['bars'])}")
    return found


def say(words: str) -> None:
    """To the terminal at once: runs are long."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def finished(found: dict[str, Any]) -> dict[int, Bars]:
    """What every finished seed reached."""
    return {int(seed): Bars(**one["bars"]) for seed, one in found.items() if seed.isdigit()}


def judged(found: dict[str, Any]) -> list[Bar]:
    """Each bar, by the median of the seeds."""
    every = list(finished(found).values())
    middle = Bars(*(statistics.median(values) for values in zip(*every, strict=True)))
    rival = statistics.median(max(one.random, one.genetic) for one in every)
    return [
        Bar("rank correlation, unseen designs", ">= 0.95", f"{middle.spearman:.3f}", middle.spearman >= 0.95),
        Bar("unseen designs", ">= 30", f"{middle.unseen:g}", middle.unseen >= 30),
        Bar(
            "rank correlation, those within 2 points of float",
            ">= 0.85",
            f"{middle.useful_spearman:.3f}",
            middle.useful_spearman >= 0.85,
        ),
        Bar("dominated beyond noise", "<= 5 %", f"{middle.dominated:.1%}", middle.dominated <= 0.05),
        Bar("hypervolume", f"> {rival:.4f}, the better rival's", f"{middle.ours:.4f}", middle.ours > rival),
        Bar("sweep over float time", "<= 1.3", f"{found['sweep']:.2f}", found["sweep"] <= 1.3),
    ]


def cells(seed: int, one: Bars) -> tuple[str, ...]:
    """A row of the table of seeds."""
    return (
        str(seed),
        f"{one.shown}",
        f"{one.unseen}",
        f"{one.spearman:.3f}",
        f"{one.useful_spearman:.3f} of {one.useful}",
        f"{one.ratio:.2f}",
        f"{one.dominated:.1%}",
        f"{one.pairwise:.1%}",
        f"{one.ours:.4f}",
        f"{one.random:.4f}",
        f"{one.genetic:.4f}",
        f"{one.rounds}",
    )


HEADINGS = (
    "seed",
    "designs",
    "unseen",
    "rank correlation",
    "within 2 points of float",
    "measured / predicted",
    "dominated",
    "pair by pair",
    "hypervolume",
    "random",
    "NSGA-II",
    "rounds",
)


def page(results: dict[str, dict[str, Any]]) -> bool:
    """Write the page and its pictures; whether every bar is met."""
    lines = [
        "# Predicted losses",
        "",
        "Generated by `make bench`. A default study is swept; designs drawn at random and the fronts of up to "
        f"{ROUNDS} rounds correct its losses; one more front of LUTs and loss is solved, and measured whole on "
        "validation data. `unseen` designs of it had not been measured before; they judge the predictions. "
        "`dominated` are designs of this front, before any is left out, that another one beats in LUTs and in loss, "
        "surely (97.5 %, paired resamples of the samples, all its rivals at once: dse/confidence.py). `pair by pair` "
        "tests every pair alone at that level, which calls about a third of equal designs dominated. Rivals measure "
        f"{RIVALS} designs for each of ours, drawn at random or by NSGA-II, and get the cheapest folding of each; "
        "hypervolumes are shares of the box between the two ends of our front.",
        "",
        "Designs of a front are those that some weights of LUTs and loss prefer, each solved exactly; where they are "
        "too few, those of the whole front. They differ by a hundredth of its extent at least, in LUTs or in the "
        "logarithm of the loss. Rank correlations hold for designs so far apart: among designs that crowd where the "
        "predicted loss hardly changes, by less than a prediction errs (about a fifth), they are lower. A seed takes "
        "two to five minutes of two idle cores; finished ones are kept in studies/accuracy until this page is written.",
    ]
    reached = True
    for network, found in results.items():
        every = judged(found)
        reached &= all(one.is_met for one in every)
        lines += ["", f"## {network}", ""]
        ran = ", ".join(map(str, finished(found)))
        verdicts = ((one.name, one.asked, one.reached, "met" if one.is_met else "MISSED") for one in every)
        lines += table((f"median of seeds {ran}", "asked (seeds 0-4)", "reached", ""), verdicts)
        lines += ["", *table(HEADINGS, (cells(seed, one) for seed, one in finished(found).items()))]
    lines += ["", "## Pictures", "", f"![Predicted and measured losses]({PICTURES.name}/judged.png)", ""]
    lines += [f"![Fronts beside their rivals]({PICTURES.name}/rivals.png)"]
    drawn = {
        network: [Points(**found[str(seed)]["points"]) for seed in finished(found)]
        for network, found in results.items()
    }
    judged_points = {
        network: np.array([row for one in own for row in zip(one.predicted, one.measured, one.useful, strict=True)])
        for network, own in drawn.items()
    }
    rivals = {
        network: {name: np.array(points) for name, points in own[0].fronts.items()} for network, own in drawn.items()
    }
    PICTURES.mkdir(parents=True, exist_ok=True)
    with style():
        for name, figure in (("judged", judged_figure(judged_points)), ("rivals", rivals_figure(rivals))):
            with replaced_atomically(PICTURES / f"{name}.png") as stream:
                figure.savefig(stream, format="png", metadata={"Software": None})
    write_page(PAGE, lines)
    return reached


def measure(networks: Sequence[str] = NETWORKS, seeds: Sequence[int] = SEEDS) -> bool:
    """Measure, write the page and its pictures; whether every bar is met."""
    torch.set_num_threads(1)
    results = {network: explored(network, seeds) for network in networks}
    is_met = page(results)
    shutil.rmtree(KEPT)
    return is_met


if __name__ == "__main__":
    named = [one for one in sys.argv[1:] if not one.isdigit()]
    numbers = [int(one) for one in sys.argv[1:] if one.isdigit()]
    sys.exit(0 if measure(named or NETWORKS, numbers or SEEDS) else 1)
