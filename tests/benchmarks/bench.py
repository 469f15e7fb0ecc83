"""Speeds, as medians and ratios of one run on this machine, printed and written to reports/published/bench.md.

Run by ``make bench``. Nothing here is a test: speed depends on the machine, so it is published and not asserted.
"""

import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from dse.config import check_config
from dse.study import Study
from emulation.calibrated import Formats
from emulation.catalogue import parse
from emulation.execution import execute
from emulation.float_execution import run_float
from emulation.sensitivity import EngineProbe
from hwmodels.devices import load_device
from tests.benchmarks import accuracy, blocks, casts, exports, hardware, optimiser, products, resources
from tests.benchmarks.comparisons import PUBLISHED, Comparison, one_thread, table, write_page

PAGE = PUBLISHED / "bench.md"
ARITHMETIC_PAGE = PUBLISHED / "arithmetic.md"


def median_seconds(work: Callable[[], object], runs: int = 7) -> float:
    """Median wall time of some runs, after one that warms up."""
    work()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def start_up() -> list[tuple[str, str]]:
    """Times of whole commands."""
    command = [str(Path(sys.executable).parent / "bitfront")]
    rows = []
    for arguments in (["--help"], ["formats"], ["devices"]):
        run = partial(subprocess.run, [*command, *arguments], check=True, capture_output=True)
        seconds = median_seconds(run, 5)
        rows.append((f"`bitfront {' '.join(arguments)}`", f"{seconds:.2f} s"))
    return rows


def emulation(study: Study) -> list[tuple[str, str]]:
    """Hardware mode and sensitivity against torch's float time on one thread."""
    torch.set_num_threads(1)
    prepared = study.prepared
    samples = prepared.validation.inputs
    module = prepared.workload.network
    tensor = torch.from_numpy(samples)
    with torch.inference_mode():
        float_seconds = median_seconds(lambda: module(tensor))
    rows = [(f"torch float, {len(samples)} images", f"{1000 * float_seconds:.1f} ms")]
    for weight, activation in (("int8", "int8"), ("int4", "int4"), ("e4m3fn", "e4m3fn")):
        formats = Formats(
            edges={
                edge: prepared.calibrated.edge_format(edge, parse(activation)) for edge in prepared.network.edges[:-1]
            }
            | {prepared.network.edges[-1]: parse("int16")},
            weights={layer.name: parse(weight) for layer in prepared.network.layers if layer.weight is not None},
        )
        hardware = prepared.calibrated.lower(formats)
        seconds = median_seconds(partial(execute, hardware, samples))
        name = f"hardware mode, w {weight} a {activation}"
        rows.append((name, f"{1000 * seconds:.1f} ms, {seconds / float_seconds:.2f} x float"))
    bench = prepared.bench()
    own_float = median_seconds(lambda: run_float(prepared.network, prepared.sensitivity.inputs))
    first = prepared.network.engines[0]
    edge = prepared.network.input_edges(first)[0]
    probe = EngineProbe(
        layer=first.name, activation=prepared.calibrated.edge_format(edge, parse("int4")), weight=parse("int4")
    )
    seconds = median_seconds(lambda: bench.measure(probe))
    rows.append(("probe of the first layer (recomputes all)", f"{seconds / own_float:.2f} x own float run"))
    return rows


def exploration(study: Study) -> list[tuple[str, str]]:
    """Wall times of the steps of one exploration."""
    rows = []
    for name, step in (
        ("sweep", study.sweep),
        ("front", study.front),
        ("measure, uniform rivals solved", study.measure),
    ):
        started = time.perf_counter()
        step()
        rows.append((f"`digits`: {name}", f"{time.perf_counter() - started:.1f} s"))
    result = study.front().result
    rows.append(
        ("solver call, mean", f"{result.solve_seconds / result.solves:.2f} s of wall time, {result.solves} calls")
    )
    design = study.chosen()
    rows.append(
        (
            "lower one design to integers",
            f"{1000 * median_seconds(lambda: study.prepared.calibrated.lower(design.formats)):.1f} ms",
        )
    )
    return rows


def environment() -> str:
    """What the figures were measured with, in a sentence."""
    versions = {name: importlib.metadata.version(name) for name in ("numpy", "numba", "torch", "apytypes", "torchao")}
    cores = len(os.sched_getaffinity(0))
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Python {platform.python_version()}, {listed}; {processor()}, {cores} cores. No GPU was timed."


def processor() -> str:
    """The processor's own name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def measure_arithmetic() -> bool:
    """Write the page of casts, blocks and products; whether every ratio asked for was reached."""
    with one_thread():
        parts = {
            "Casts, 4 Mi float32 values": casts.comparisons(),
            "Blocks and tables, 4 Mi float32 values": blocks.comparisons(),
            "Products of 512 x 512 matrices, from codes": products.comparisons(),
        }
        memory = resources.memory()
        scalings = resources.scalings()
    lines = [
        "# Speeds of the arithmetic",
        "",
        f"Generated by `make bench`: {environment()}",
        "",
        "Both sides of a row take turns in one process on one thread; times are medians of processor time, and the",
        "ratio is the peer's time over ours for the same work. `np.copyto` reads and writes as many bytes as a cast",
        "does: it is the speed of memory.",
    ]
    for title, rows in parts.items():
        lines += ["", f"## {title}", ""]
        lines += table(
            ("what", "time", "beside", "ratio", "asked"), (comparison_cells(comparison) for comparison in rows)
        )
    lines += ["", "## Memory beyond the operands", ""]
    cells = (
        (
            one.name,
            f"{one.extra_bytes / 2**20:.0f} MiB",
            f"{one.result_bytes / 2**20:.0f} MiB",
            f"{one.ratio:.2f} x {one.operands}",
        )
        for one in memory
    )
    lines += table(("what", "peak", "of it the result", "the rest"), cells)
    lines += ["", "## Two threads, wall time", ""]
    cells = (
        (one.name, f"{1000 * one.one:.2f} ms", f"{1000 * one.two:.2f} ms", f"{one.speed_up:.2f}") for one in scalings
    )
    lines += table(("what", "one thread", "two threads", "speed-up"), cells)
    write_page(ARITHMETIC_PAGE, lines)
    return all(one.is_met for rows in parts.values() for one in rows) and all(one.ratio <= 3 for one in memory)


def comparison_cells(comparison: Comparison) -> tuple[str, ...]:
    """A row of the page."""
    asked = "" if comparison.required is None else f"{comparison.required:g}"
    verdict = "" if comparison.is_met else ", missed"
    milliseconds = f"{1000 * comparison.seconds:.2f} ms"
    return (comparison.name, milliseconds, comparison.peer, f"{comparison.ratio:.2f}", f"{asked}{verdict}")


def main() -> None:
    """Measure everything and write the pages."""
    reached = {
        ARITHMETIC_PAGE: measure_arithmetic(),
        hardware.PAGE: hardware.measure(),
        optimiser.PAGE: optimiser.measure(),
        accuracy.PAGE: accuracy.measure(),
        exports.PAGE: exports.measure(),
    }
    measure_studies()
    for page, is_reached in reached.items():
        if not is_reached:
            sys.stdout.write(f"some of what was asked for was missed: see reports/published/{page.name}\n")


def measure_studies() -> None:
    """Write the page of commands, emulation and exploration."""
    rows = start_up()
    settings = check_config({"network": {"workload": "digits"}}, source="bench")
    with tempfile.TemporaryDirectory() as scratch, Study.create(Path(scratch) / "digits", settings) as study:
        rows += emulation(study)
        torch.set_num_threads(max(torch.get_num_threads(), 1))
        rows += exploration(study)
    started = time.perf_counter()
    load_device("xczu7ev")
    rows.append(("read a device file", f"{1000 * (time.perf_counter() - started):.1f} ms"))
    lines = ["# Speeds", "", f"Generated by `make bench`: medians of one run; {environment()}", ""]
    write_page(PAGE, lines + table(("what", "measured"), rows))


if __name__ == "__main__":
    main()
