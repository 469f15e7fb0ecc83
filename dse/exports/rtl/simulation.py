"""Whether the RTL computes what the design promises: golden vectors simulated, layer by layer, and with stalls."""

from __future__ import annotations

import math
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dse.errors import NotExportableError
from dse.exports.comparison import Comparison
from dse.exports.processes import reason, run
from dse.exports.rtl.project import BUILD, PROGRAM, SOURCES, write_bench, write_words
from dse.exports.rtl.stages import design_of
from dse.exports.verification import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest
    from dse.exports.rtl.stages import Design, Tap

STALLS: Final = (0, 30, 70)
"""Percent of cycles in which sender or receiver wait; every run has all vectors."""
SECONDS: Final = 30.0
"""Of simulation, about; building comes first and takes about as long. Vectors that would take longer are left out."""
MOST_SLOWER: Final = 1.02
"""Cycles a sample, relative to the predicted interval, beyond which the outcome says that the design is too slow."""
_PROGRAMS: Final = ("verilator", "g++", "make")
_LINES: Final = 4
"""Lines of a failed tool's output that are shown."""
_CYCLES: Final = re.compile(r"(\d+) cycles from the first to the last")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a simulation ended.

    Attributes:
        verdict: the last line of the bench.
        cycles: from the first word that left to the last.
        seen: the values that left each tap, by layer, as many as did.
    """

    verdict: str
    cycles: int
    seen: Mapping[str, NDArray[Any]]

    @property
    def passed(self) -> bool:
        """Whether the bench found every word as expected."""
        return self.verdict.startswith("PASSED")


class Paced(NamedTuple):
    """Samples without stalls, and the cycles from the first word that left to the last."""

    samples: int
    cycles: int


def measured_interval(few: Paced, many: Paced) -> float:
    """Cycles between two samples in a full pipeline.

    The first sample passes an empty pipeline, so it leaves sooner than others: what more samples take leaves that out.

    >>> measured_interval(Paced(samples=16, cycles=1600), Paced(samples=116, cycles=11600))
    100.0
    """
    if many.samples == few.samples:
        return many.cycles / (many.samples - 1)
    return (many.cycles - few.cycles) / (many.samples - few.samples)


def pace_text(interval: float, predicted: int) -> str:
    """Simulated and predicted cycles a sample, and whether the design is slower than `MOST_SLOWER` allows.

    >>> pace_text(1096.0, 768)
    '1096 cycles a sample, 768 predicted: WARNING: 43 % slower, more than 2 %: stages wait for each other'
    """
    text = f"{interval:.0f} cycles a sample, {predicted} predicted"
    slower = interval / predicted
    if slower <= MOST_SLOWER:
        return text
    percent, most = 100 * (slower - 1), 100 * (MOST_SLOWER - 1)
    return f"{text}: WARNING: {percent:.0f} % slower, more than {most:.0f} %: stages wait for each other"


class SimulationError(RuntimeError):
    """The RTL cannot be simulated; the message holds what the tool said."""


def simulate(manifest: Manifest, folder: Path) -> Outcome:
    """Build the folder's RTL with a bench of our own in a scratch folder, and run it.

    The vectors whose layers are known run first, every layer compared; then, for each of `STALLS`, all vectors, or as
    many as `SECONDS` allow.
    """
    return _simulated(manifest, folder, SECONDS)


def simulate_all(manifest: Manifest, folder: Path) -> Outcome:
    """The same with all vectors, however long it takes."""
    return _simulated(manifest, folder, math.inf)


def tools_missing() -> Outcome | None:
    """What a check says that cannot simulate here; None if it can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if not missing:
        return None
    return Outcome(
        status=Status.NOT_VERIFIED,
        text=f"no {' and no '.join(missing)} here: RTL is simulated with {', '.join(_PROGRAMS)} (Debian packages)",
    )


def _simulated(manifest: Manifest, folder: Path, seconds: float) -> Outcome:
    missing = tools_missing()
    if missing is not None:
        return missing
    try:
        design = design_of(manifest)
        with tempfile.TemporaryDirectory(prefix="rtl-") as scratch:
            bench = Bench(design=design, folder=Path(scratch))
            bench.build(folder)
            return _Findings(manifest=manifest, design=design, seconds=seconds).outcome(bench)
    except (NotExportableError, SimulationError, OSError) as error:
        return Outcome(status=Status.FAILED, text=f"Verilator: {error}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The RTL of a folder with a bench around it.

    Attributes:
        design: what the RTL is meant to be.
        folder: an empty one to work in.
    """

    design: Design
    folder: Path

    def build(self, rtl: Path) -> None:
        """Compile the RTL of a folder.

        Raises:
            SimulationError: if it does not compile.
        """
        for name in SOURCES:
            shutil.copyfile(rtl / name, self.folder / name)
        write_bench(self.design, self.folder)
        compile_bench(self.folder)

    def run(
        self, inputs: NDArray[Any], outputs: NDArray[Any], *, stall: int = 0, seed: int = 1, layers: Sequence[str] = ()
    ) -> Run:
        """Simulate vectors.

        Args:
            inputs: integers, ``(vectors, values)``.
            outputs: what must come out of them.
            stall: percent of cycles in which sender or receiver wait.
            seed: of these cycles.
            layers: whose outputs are kept beside the design's own.

        Raises:
            SimulationError: if the simulation ends without a verdict.
        """
        last = self.design.taps[-1]
        write_words(self.folder / "in.hex", self.design.input, inputs)
        write_words(self.folder / "out.hex", last, outputs)
        options = [f"+stall={stall}", f"+seed={seed}", "+seen=seen.hex", *(["+trace=trace_"] if layers else [])]
        ended = run([str(self.folder / PROGRAM), "+verilator+rand+reset+2", *options], self.folder)
        verdicts = [line for line in ended.stdout.splitlines() if line.startswith(("PASSED", "FAILED"))]
        if not verdicts:
            raise SimulationError(f"the simulation ended without a verdict: {reason(ended)}")
        seen = {
            tap.layer: seen_values(self.folder / f"trace_{tap.layer}.hex", tap)
            for tap in self.design.taps
            if tap.layer in layers
        }
        cycles = _CYCLES.search(verdicts[-1])
        return Run(
            verdict=verdicts[-1],
            cycles=int(cycles.group(1)) if cycles else 0,
            seen={**seen, last.layer: seen_values(self.folder / "seen.hex", last)},
        )


def compile_bench(folder: Path) -> None:
    """Compile the RTL and the bench of a folder.

    Raises:
        SimulationError: if they do not compile.
    """
    ended = run(BUILD, folder)
    if ended.returncode != 0:
        lines = [line for line in (ended.stdout + ended.stderr).splitlines() if "rror" in line]
        raise SimulationError(f"the RTL does not compile: {'; '.join(lines[:_LINES])}")


def seen_values(path: Path, tap: Tap) -> NDArray[Any]:
    """The integers of the words that a bench wrote to a file, flat."""
    words = path.read_text(encoding="ascii").split()
    # A bit that is unknown is no number: such a word counts as 0 with its highest bit set.
    unknown = 1 << (tap.lanes * tap.codes.bits - 1)
    return tap.codes.values((int(word, 16) if set(word) <= _DIGITS else unknown for word in words), tap.lanes)


_DIGITS: Final = frozenset("0123456789abcdef")


@dataclass(slots=True, kw_only=True)
class _Findings:
    """Compares what a bench sees with the manifest, within some seconds."""

    manifest: Manifest
    design: Design
    seconds: float
    found: Comparison = field(default_factory=Comparison)

    def outcome(self, bench: Bench) -> Outcome:
        vectors = self.manifest.entries["vectors"]
        inputs, outputs = self.manifest.rows(vectors["input"]), self.manifest.rows(vectors["output"])
        golden: list[int] = vectors["golden"]
        layers = [tap.layer for tap in self.design.taps]
        started = time.perf_counter()
        run = bench.run(inputs[golden], outputs[golden], layers=layers)
        each = (time.perf_counter() - started) / len(golden)
        verdicts = [] if run.passed else [f"golden vectors: {run.verdict}"]
        for name in layers:
            rows = self.manifest.rows(self.manifest.layer(name)["golden"]["output"])
            self._compare(name, [f"golden {place}" for place in golden], rows, run.seen[name])
        chosen = self._chosen(each)
        names, inputs, outputs = [f"vector {place}" for place in chosen], inputs[chosen], outputs[chosen]
        every = None
        for stall in STALLS:
            again = bench.run(inputs, outputs, stall=stall)
            self._compare(layers[-1], names, outputs, again.seen[layers[-1]])
            if not again.passed:
                verdicts.append(f"stalls in {stall} % of cycles: {again.verdict}")
            every = every or Paced(samples=len(chosen), cycles=again.cycles)
        few = Paced(samples=len(golden), cycles=run.cycles)
        return self._said(verdicts, len(chosen), measured_interval(few, every or few))

    def _chosen(self, each: float) -> list[int]:
        """Vectors that run in time if one takes so many seconds: those whose layers are known, and others evenly."""
        vectors = self.manifest.entries["vectors"]
        golden = set(vectors["golden"])
        others = [place for place in range(vectors["count"]) if place not in golden]
        room = self.seconds / (each * max(len(STALLS), 1)) - len(golden)
        if room >= len(others):
            return list(range(vectors["count"]))
        most = max(int(room), 0)
        return sorted([*golden, *(others[place * len(others) // most] for place in range(most))])

    def _compare(self, layer: str, names: Sequence[str], expected: NDArray[Any], got: NDArray[Any]) -> None:
        """Vectors that came out whole; a design that is stuck is told by its verdict."""
        size = expected.shape[1]
        whole = min(len(got) // size, len(expected))
        self.found.add(layer, names[:whole], expected[:whole], got[: whole * size].reshape(whole, size))

    def _said(self, verdicts: Sequence[str], compared: int, interval: float) -> Outcome:
        count, golden = (self.manifest.entries["vectors"][name] for name in ("count", "golden"))
        predicted = self.manifest.entries["estimate"]["interval_cycles"]
        vectors = f"{count} vectors" if compared == count else f"{compared} of {count} vectors (--all for all)"
        outcome = self.found.outcome(
            f"Verilator: {vectors} without stalls and with stalls in {' and '.join(map(str, STALLS[1:]))} % of "
            f"cycles, {len(golden)} of them in {len(self.design.taps)} layers, {self.found.values} values",
            verdicts,
        )
        if outcome.status is not Status.PASSED:
            return outcome
        return replace(outcome, text=f"{outcome.text}; {pace_text(interval, predicted)}")
