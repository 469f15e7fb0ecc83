"""Whether engines keep their promise at their limits, and casts at ties: each alone, simulated in one program."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dse.errors import NotExportableError
from dse.exports.comparison import Comparison
from dse.exports.processes import reason, run
from dse.exports.rtl.lone_parts import UnknownTextError, lone_parts
from dse.exports.rtl.project import PROGRAM, write_lone_parts, write_words
from dse.exports.rtl.simulation import SimulationError, compile_bench, seen_values, tools_missing
from dse.exports.rtl.stages import design_of
from dse.exports.verification import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse.exports.manifest import Manifest
    from dse.exports.rtl.lone_parts import LonePart


def simulate_alone(manifest: Manifest, folder: Path) -> Outcome:
    """Feed each engine of a folder's RTL what drives its sums to their limits, and its cast ties and bounds."""
    missing = tools_missing()
    if missing is not None:
        return missing
    try:
        design = design_of(manifest)
        units, wiring = ((folder / name).read_text(encoding="ascii") for name in ("units.v", "network.v"))
        parts = lone_parts(manifest, design, units=units, wiring=wiring)
        if not parts:
            return Outcome(status=Status.NOT_VERIFIED, text="no layer has an engine: there is nothing to run alone")
        with tempfile.TemporaryDirectory(prefix="rtl-") as name:
            scratch = Path(name)
            (scratch / "units.v").write_text(units, encoding="ascii")
            write_lone_parts(scratch, design, parts)
            compile_bench(scratch)
            return _compared(parts, scratch)
    except (NotExportableError, SimulationError, UnknownTextError, OSError) as error:
        return Outcome(status=Status.FAILED, text=f"Verilator: {error}")


def _compared(parts: Sequence[LonePart], folder: Path) -> Outcome:
    found, verdicts = Comparison(), []
    for number, part in enumerate(parts):
        write_words(folder / "in.hex", part.input, part.given)
        write_words(folder / "out.hex", part.output, part.expected)
        ended = run(
            [str(folder / PROGRAM), "+verilator+rand+reset+2", f"+part={number}", "+seen=seen.hex"],
            folder,
        )
        lines = ended.stdout.splitlines()
        if not any(line.startswith(("PASSED", "FAILED")) for line in lines):
            raise SimulationError(f"the simulation of {part.layer} ended without a verdict: {reason(ended)}")
        got, size = seen_values(folder / "seen.hex", part.output), part.expected.shape[1]
        whole = min(len(got) // size, len(part.expected))
        found.add(part.layer, part.names[:whole], part.expected[:whole], got[: whole * size].reshape(whole, size))
        verdicts += [f"{part.layer}: {line}" for line in lines if line.startswith("FAILED")]
    vectors = sum(len(part.names) for part in parts)
    layers = len({part.layer for part in parts})
    return found.outcome(f"Verilator: {vectors} limits and ties of {layers} engines alone", verdicts)
