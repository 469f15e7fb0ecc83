"""Whether the RTL computes what the design promises: golden vectors simulated, layer by layer, and with stalls."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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


class SimulationError(RuntimeError):
    """The RTL cannot be simulated; the message holds what the tool said."""


def simulate(manifest: Manifest, folder: Path) -> Outcome:
    """Build the folder's RTL with a bench of our own in a scratch folder, and run it.

    The vectors whose layers are known run first, every layer compared; then all vectors for each of `STALLS`.
    """
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return Outcome(
            status=Status.NOT_VERIFIED,
            text=f"no {' and no '.join(missing)} here: RTL is simulated with {', '.join(_PROGRAMS)} (Debian packages)",
        )
    try:
        design = design_of(manifest)
        with tempfile.TemporaryDirectory(prefix="rtl-") as scratch:
            bench = Bench(design=design, folder=Path(scratch))
            bench.build(folder)
            return _Findings(manifest=manifest, design=design).outcome(bench)
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
        ended = run(BUILD, self.folder)
        if ended.returncode != 0:
            lines = [line for line in (ended.stdout + ended.stderr).splitlines() if "rror" in line]
            raise SimulationError(f"the RTL does not compile: {'; '.join(lines[:_LINES])}")

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
            tap.layer: self._values(f"trace_{tap.layer}.hex", tap) for tap in self.design.taps if tap.layer in layers
        }
        cycles = _CYCLES.search(verdicts[-1])
        return Run(
            verdict=verdicts[-1],
            cycles=int(cycles.group(1)) if cycles else 0,
            seen={**seen, last.layer: self._values("seen.hex", last)},
        )

    def _values(self, name: str, tap: Tap) -> NDArray[Any]:
        words = (self.folder / name).read_text(encoding="ascii").split()
        # A bit that is unknown is no number: such a word counts as 0 with its highest bit set.
        unknown = 1 << (tap.lanes * tap.codes.bits - 1)
        return tap.codes.values((int(word, 16) if set(word) <= _DIGITS else unknown for word in words), tap.lanes)


_DIGITS: Final = frozenset("0123456789abcdef")


@dataclass(slots=True, kw_only=True)
class _Findings:
    """Compares what a bench sees with the manifest."""

    manifest: Manifest
    design: Design
    found: Comparison = field(default_factory=Comparison)

    def outcome(self, bench: Bench) -> Outcome:
        vectors = self.manifest.entries["vectors"]
        inputs, outputs = self.manifest.rows(vectors["input"]), self.manifest.rows(vectors["output"])
        golden: list[int] = vectors["golden"]
        layers = [tap.layer for tap in self.design.taps]
        run = bench.run(inputs[golden], outputs[golden], layers=layers)
        verdicts = [] if run.passed else [f"golden vectors: {run.verdict}"]
        for name in layers:
            rows = self.manifest.rows(self.manifest.layer(name)["golden"]["output"])
            self._compare(name, [f"golden {place}" for place in golden], rows, run.seen[name])
        cycles = 0
        for stall in STALLS:
            run = bench.run(inputs, outputs, stall=stall)
            self._compare(
                layers[-1], [f"vector {place}" for place in range(len(inputs))], outputs, run.seen[layers[-1]]
            )
            if not run.passed:
                verdicts.append(f"stalls in {stall} % of cycles: {run.verdict}")
            cycles = cycles or run.cycles
        return self._said(verdicts, cycles / (len(inputs) - 1))

    def _compare(self, layer: str, names: Sequence[str], expected: NDArray[Any], got: NDArray[Any]) -> None:
        """Vectors that came out whole; a design that is stuck is told by its verdict."""
        size = expected.shape[1]
        whole = min(len(got) // size, len(expected))
        self.found.add(layer, names[:whole], expected[:whole], got[: whole * size].reshape(whole, size))

    def _said(self, verdicts: Sequence[str], interval: float) -> Outcome:
        passed = not verdicts and not self.found.differences
        count, golden = (self.manifest.entries["vectors"][name] for name in ("count", "golden"))
        predicted = self.manifest.entries["estimate"]["interval_cycles"]
        text = (
            f"Verilator: {count} vectors without stalls and with stalls in {' and '.join(map(str, STALLS[1:]))} % of "
            f"cycles, {len(golden)} of them in {len(self.design.taps)} layers, {self.found.values} values, "
            f"{self.found.differences} differences"
        )
        if passed:
            text += f"; {interval:.0f} cycles a sample, {predicted} predicted"
        return Outcome(
            status=Status.PASSED if passed else Status.FAILED,
            text="; ".join((text, *verdicts)),
            where=tuple(self.found.where),
        )
