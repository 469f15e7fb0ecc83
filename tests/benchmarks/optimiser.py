"""Speeds and gaps of the optimiser on drawn tables, beside pyaugmecon, HiGHS and what is usually done instead.

``python -m tests.benchmarks.optimiser`` prints the tables and writes reports/published/optimiser.md. Times are
processor seconds of one thread. pyaugmecon runs where ``make peers`` has made its environment; the epsilon search with
HiGHS on the same declared model runs always.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dse.solve import optimise
from dse.solve.baselines import (
    MissingSearchError,
    genetic_designs,
    greedy_designs,
    lagrangian_designs,
    uniform_designs,
)
from dse.solve.hypervolume import hypervolume
from reports.figure_style import style
from reports.files import replaced_atomically
from reports.optimiser_figures import EXACT, Timing, rivals_figure, timings_figure
from tests.benchmarks.comparisons import PUBLISHED, write_page
from tests.benchmarks.optimiser_instances import as_table, make_problem

PAGE = PUBLISHED / "optimiser.md"
PICTURES = PUBLISHED / "optimiser"
PEER = Path(__file__).resolve().parents[2] / ".venv-augmecon" / "bin" / "python"
PEER_SECONDS = 1800
PEER_RUNS = 2
HIGHS_SECONDS = 60.0
WHOLE_SECONDS = 600.0
WHOLE_SEEDS = (0,)
"""Problems given ten minutes each."""


class Case(NamedTuple):
    """One line of the table of limits."""

    name: str
    layers: int
    options: int
    objectives: tuple[str, ...]
    gap: float
    seconds: float
    """What it may take."""
    capped: bool = False
    chain: bool = False
    latency: str = "sum"
    largest_gap: float | None = 0.0
    """What may be missing; 0 for nothing, None where nothing was asked."""


FILLING = ("utilisation", "loss", "cycles")

CASES = (
    Case("54 x 60, exact", 54, 60, ("loss", "lut"), 0.0, 0.1),
    Case("54 x 60, exact", 54, 60, ("loss", "cycles"), 0.0, 0.1),
    Case("200 x 200, exact", 200, 200, ("loss", "lut"), 0.0, 5.0),
    Case("200 x 200, exact", 200, 200, ("loss", "cycles"), 0.0, 5.0),
    Case("200 x 200, gap 1 %", 200, 200, ("loss", "lut"), 0.01, 1.0, largest_gap=0.01),
    Case("200 x 200 chain, gap 1 %", 200, 200, ("loss", "lut"), 0.01, 5.0, chain=True, largest_gap=0.01),
    Case("54 x 60, three caps", 54, 60, ("loss", "lut"), 0.02, 10.0, capped=True, largest_gap=0.02),
    Case("54 x 60, three caps", 54, 60, ("loss", "cycles"), 0.02, 10.0, capped=True, largest_gap=0.02),
    Case("54 x 60 chain, three caps", 54, 60, ("loss", "cycles"), 0.02, 10.0, True, True, largest_gap=0.02),
    Case("20 x 30, three objectives", 20, 30, ("loss", "lut", "cycles"), 0.01, 1.0, largest_gap=0.01),
    Case("54 x 60, three objectives", 54, 60, ("loss", "lut", "cycles"), 0.02, 5.0, largest_gap=0.02),
    Case("20 x 30, latency max", 20, 30, ("loss", "lut", "cycles"), 0.01, 1.0, latency="max", largest_gap=0.01),
    Case("54 x 60, latency max", 54, 60, ("loss", "lut", "cycles"), 0.02, 5.0, latency="max", largest_gap=0.02),
    Case("20 x 30, utilisation", 20, 30, FILLING, 0.01, 5.0, latency="max", largest_gap=0.01),
    Case("54 x 60, utilisation", 54, 60, FILLING, 0.02, 10.0, latency="max", largest_gap=0.02),
    Case("54 x 60 chain, utilisation", 54, 60, FILLING, 0.02, 10.0, chain=True, latency="max", largest_gap=0.02),
    Case("20 x 30, three caps", 20, 30, ("loss", "lut", "cycles"), 0.02, 5.0, capped=True, largest_gap=None),
    Case("54 x 60, three caps", 54, 60, ("loss", "lut", "cycles"), 0.02, 5.0, capped=True, largest_gap=None),
    Case(
        "20 x 30, caps, latency max",
        20,
        30,
        ("loss", "lut", "cycles"),
        0.02,
        5.0,
        True,
        latency="max",
        largest_gap=0.02,
    ),
    Case(
        "54 x 60, caps, latency max",
        54,
        60,
        ("loss", "lut", "cycles"),
        0.02,
        5.0,
        True,
        latency="max",
        largest_gap=None,
    ),
)

SEEDS = (0, 1, 2)


def solve(case, seed):
    """A front and its processor seconds."""
    problem = make_problem(
        case.layers,
        case.options,
        case.objectives,
        seed=seed,
        capped=case.capped,
        chain=case.chain,
        latency=case.latency,
    )
    started = time.process_time()
    front = optimise(problem, gap=case.gap, time_limit_seconds=case.seconds)
    return front, time.process_time() - started


def limits():
    """What each case took and what its front proves: medians over seeds, and the largest gap of them."""
    rows, timings, reached = [], [], True
    for case in CASES:
        fronts, seconds = zip(*(solve(case, seed) for seed in SEEDS), strict=True)
        taken = statistics.median(seconds)
        gap = max(front.gap for front in fronts)
        kinds = "/".join(sorted({front.gap_kind.value for front in fronts if not front.complete}))
        met = case.largest_gap is None or (gap <= case.largest_gap and taken <= case.seconds)
        proof = "complete" if all(front.complete for front in fronts) else f"{gap:.2%} {kinds}"
        objectives = ", ".join(case.objectives)
        timings.append(Timing(name=f"{case.name}: {objectives}", taken=taken, allowed=case.seconds))
        rows.append(
            (
                case.name,
                objectives,
                f"{statistics.median(len(front.points) for front in fronts):g}",
                proof,
                "proven" if all(front.box_is_proven for front in fronts) else "not all",
                f"{taken:.3f} s",
                f"{case.seconds:g} s",
                ("yes" if met else "NO") if case.largest_gap is not None else "no bar",
            )
        )
        reached &= met
    return rows, timings, reached


def completed():
    """Whether the front of loss and cycles under three caps is found whole within ten minutes, and in what time."""
    rows = []
    for seed in WHOLE_SEEDS:
        problem = make_problem(20, 30, ("loss", "cycles"), seed=seed, capped=True)
        started = time.process_time()
        front = optimise(problem, time_limit_seconds=WHOLE_SECONDS)
        taken = time.process_time() - started
        proof = "complete" if front.complete else f"{front.gap:.3%} {front.gap_kind.value} missing"
        rows.append((str(seed), f"{len(front.points)}", proof, f"{taken:.0f} s"))
    return rows


def own_seconds(make, repetitions):
    """Processor seconds of one front with its vectors: the mean of some, each of a problem not solved before."""
    problems = [make() for _ in range(repetitions)]
    started = time.process_time()
    for problem in problems:
        optimise(problem).vectors()
    return (time.process_time() - started) / repetitions


def augmecon(problem):
    """Points and processor seconds of pyaugmecon; None if it does not end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.json"
        path.write_text(json.dumps(as_table(problem)))
        command = [PEER, Path(__file__).with_name("augmecon_peer.py"), path, *problem.objective_names]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PEER_SECONDS)
        except subprocess.TimeoutExpired:
            return None
    answer = json.loads(done.stdout.splitlines()[-1])
    return [tuple(point) for point in answer["points"]], answer["seconds"]


def peers():
    """Whole fronts of 20 x 30, loss and LUT: ours, HiGHS's epsilon search for a while, and pyaugmecon, in turns."""
    rows, reached = [], True
    for name, capped, required, repetitions in (
        ("20 x 30, no caps", False, 20_000, 200),
        ("20 x 30, three caps", True, 20, 5),
    ):
        make = partial(make_problem, 20, 30, ("loss", "lut"), seed=0, capped=capped)
        front = optimise(make())
        vectors = sorted(front.vectors())
        ours, theirs = [own_seconds(make, repetitions)], []
        for _ in range(PEER_RUNS if PEER.exists() else 0):
            theirs.append(augmecon(make()))
            ours.append(own_seconds(make, repetitions))
        seconds = statistics.median(ours)
        started = time.process_time()
        searched = optimise(make(), method="milp", max_solves=3 * len(vectors), time_limit_seconds=HIGHS_SECONDS)
        spent = time.process_time() - started
        known = sorted(searched.vectors())
        same = known == vectors if searched.complete else set(known) <= set(vectors)
        own = f"{len(vectors)} points, {1000 * seconds:.2f} ms"
        found = f"{len(known)} points, {spent:.1f} s{'' if same else ', OTHER POINTS'}"
        ratio = f"{spent / max(1, len(known)) * len(vectors) / seconds:,.0f} x, by time per point"
        rows.append((name, own, "HiGHS epsilon search", found, ratio, ""))
        reached &= same
        if not theirs or None in theirs:
            words = "did not end" if theirs else "not installed (make peers, Python 3.12)"
            rows.append((name, own, "pyaugmecon", words, "", f"{required:,} x"))
            reached = False
            continue
        peer = statistics.median(taken for _, taken in theirs)
        same = all(points == vectors for points, _ in theirs)
        found = f"{len(theirs[0][0])} points, {peer:.1f} s, {'the same set' if same else 'ANOTHER SET'}"
        rows.append((name, own, "pyaugmecon", found, f"{peer / seconds:,.0f} x", f"{required:,} x"))
        reached &= same and peer >= required * seconds
    return rows, reached


def baselines():
    """Share of the exact hypervolume that simpler methods reach on the same table, and their points."""
    rows, panels = [], {}
    for title, capped in (("no caps", False), ("three caps", True)):
        problem = make_problem(20, 30, ("loss", "lut"), seed=0, capped=capped)
        vectors = np.array(optimise(problem).vectors())
        reference = vectors.max(axis=0)
        whole = hypervolume(vectors, reference)
        drawn = panels.setdefault(title, {EXACT: vectors})
        for name, method in (
            ("uniform", uniform_designs),
            ("greedy", greedy_designs),
            ("weighted sums with prices", lagrangian_designs),
            ("NSGA-II, 10 s", partial(genetic_designs, seconds=10)),
        ):
            started = time.process_time()
            try:
                points = method(problem).points
            except MissingSearchError as error:
                rows.append((title, name, str(error), "", ""))
                continue
            seconds = time.process_time() - started
            hit = len({tuple(row) for row in points.tolist()} & {tuple(row) for row in vectors.tolist()})
            share = hypervolume(points, reference) / whole
            rows.append((title, name, f"{share:.2%}", f"{hit} of {len(vectors)}", f"{seconds:.3f} s"))
            drawn[name] = points
    return rows, panels


def section(title, words, headings, rows, picture=None):
    """A part of the page."""
    cells = "\n".join(f"| {' | '.join(row)} |" for row in (headings, ("---",) * len(headings), *rows))
    parts = [f"## {title}", words, cells, picture and f"![{title}]({PICTURES.name}/{picture}.png)"]
    return "\n\n".join(part for part in parts if part)


def draw(figures):
    """Write the pictures, the same bytes for the same data."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with style():
        for name, make in figures.items():
            with replaced_atomically(PICTURES / f"{name}.png") as stream:
                make().savefig(stream, format="png", metadata={"Software": None})


def measure():
    """Measure, write the page and its pictures; whether every bar is met."""
    for method in ("dp", "milp"):  # compiles and imports
        optimise(make_problem(3, 3, ("loss", "lut"), capped=True, room=2.0), method=method)
    peer_rows, beside_peers = peers()
    limit_rows, timings, within_limits = limits()
    whole_rows = completed()
    rival_rows, panels = baselines()
    labels = ("Loss (units of 2⁻²⁰)", "LUTs")
    draw({"rivals": partial(rivals_figure, panels, labels), "timings": partial(timings_figure, timings)})
    text = "\n\n".join(
        (
            "# The optimiser",
            "Generated by `make bench` on drawn tables (tests/benchmarks/optimiser_instances.py): layers x options, "
            "processor seconds of one thread. What `proven` and the kinds of gap mean: dse/solve/README.md.",
            section(
                "Whole fronts beside peers",
                "Loss and LUT, seed 0. bitfront, then pyaugmecon in its own environment, in turns in one run "
                f"({PEER_RUNS} of pyaugmecon); medians. Ours includes everything from the tables to the list of "
                "vectors, warm (compiled before), each time on a problem not solved before: the mean of 200 without "
                "caps, of 5 with them. pyaugmecon: exact mode, HiGHS, one worker, gap 0, tolerances 1e-9, without its "
                "warm starts (augmecon_peer.py says why), its model built before. `The same set` compares all points.",
                ("problem", "bitfront", "peer", "its front", "ratio", "required"),
                peer_rows,
            ),
            section(
                "Limits",
                f"Medians over seeds {', '.join(map(str, SEEDS))}; `missing` is the largest of them, and `complete` "
                "means none. `box`: whether the least value of every objective is proven. Time limits are wall time, "
                "so on a machine that others use the processor time of a search that ends with its limit is smaller "
                "than what is allowed, and its gap larger than on an idle one.",
                ("problem", "objectives", "points", "missing", "box", "time", "allowed", "met"),
                limit_rows,
                "timings",
            ),
            section(
                "20 x 30 with three caps, loss and cycles, exact",
                f"Within {WHOLE_SECONDS:g} s (wall time), of loss and cycles while look-up tables, DSP slices and "
                "memories are limited: a front of two sums under three limits on others. How long that takes differs "
                "much from problem to problem; what a search that ends with its time leaves is bounded.",
                ("seed", "points", "proof", "time"),
                whole_rows,
            ),
            section(
                "What is usually done, 20 x 30, loss and LUT",
                "Share of the hypervolume of the exact front, in the box of its ends, and how many of its points. "
                "NSGA-II's 10 s are wall time; the last column is the processor time it got.",
                ("", "method", "hypervolume", "exact points", "time"),
                rival_rows,
                "rivals",
            ),
        )
    )
    write_page(PAGE, text.split("\n"))
    return beside_peers and within_limits


if __name__ == "__main__":
    sys.exit(0 if measure() else 1)
