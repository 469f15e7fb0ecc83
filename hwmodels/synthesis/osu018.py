"""An ASIC proxy: area, delay and energy in the 0.18 um standard cells of Oklahoma State University.

The library is real (tables of delay and of internal energy per transition) and free, but of a process of 1.8 V that no
accelerator is made in: ratios between units are used (`hwmodels.energy`), not its picojoules.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.unit import CLOCK
from hwmodels.synthesis.tools import MissingToolError, ToolFailedError, run, yosys, yosys_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwmodels.rtl.unit import Unit

LIBERTY: Final = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
"""Where Debian's package qflow-tech-osu018 puts the cells."""
PERIOD_NS: Final = 10.0
"""Of the clock at which power is reported: 100 MHz, one operation a cycle."""
ACTIVITY: Final = 0.5
"""Transitions of each input and register a cycle, as of random values."""
DELAY_TARGET_PS: Final = 1000
"""A delay out of reach, so that ABC maps for speed."""
WATT_AT_CLOCK_TO_PICOJOULES: Final = PERIOD_NS * 1e3
"""Watts times the period: nanojoules, a thousand picojoules each."""
NANO: Final = 1e9
REGISTER: Final = "DFFPOSX1"
"""The flip-flop of the cells that our units need: rising clock, no reset."""

_MAPPING: Final = (
    "dfflibmap -liberty cells.lib",
    f"abc -D {DELAY_TARGET_PS} -liberty cells.lib",
    "opt_clean -purge",
)
_PLAIN: Final = "-noattr -noexpr -nodec"
_CUT: Final = f"""module {REGISTER} (input CLK, input D, output Q);
    \\$_DFF_P_ r (.C(CLK), .D(D), .Q(Q));
endmodule
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Osu018Flow:
    """Mapping to standard cells by Yosys and ABC, static timing and power by OpenSTA; no placement, no wires.

    Columns: ``area_um2`` of the cells; ``delay_ns``, the longest path from inputs or registers to outputs or
    registers; ``energy_pj`` of one cycle with `ACTIVITY`, leakage apart; ``register_pj``, the part of it that
    flip-flops and their clock take; ``leakage_nw``.

    Energy is that of the logic between registers, whose outputs change like inputs, and of the registers one by one:
    OpenSTA hands a register as many transitions as its input makes before it settles, which grows without end in the
    loop of an accumulator.
    """

    name: str = "osu018"
    columns: tuple[str, ...] = ("area_um2", "delay_ns", "energy_pj", "register_pj", "leakage_nw")
    batch_size: int = 1

    def tool(self) -> str:
        """Versions of Yosys and OpenSTA, what they are told, and the start of the SHA-256 of the cells."""
        cells = hashlib.sha256(_liberty().read_bytes()).hexdigest()[:8]
        mapping = f"synth -flatten; dfflibmap; abc -D {DELAY_TARGET_PS}; osu018_stdcells.lib {cells}"
        return f"{yosys_version()}; {mapping}; OpenSTA {_sta_version()} {PERIOD_NS:g} ns activity {ACTIVITY:g}"

    def measure(self, units: Sequence[Unit], folder: Path, seconds: float) -> list[Mapping[str, float]]:
        """Map and analyse each unit.

        Raises:
            ToolFailedError: if a tool fails, or reports what cannot be read.
            ToolTimeoutError: if a tool takes longer than ``seconds``.
        """
        return [_measured(unit, folder, seconds) for unit in units]


@lru_cache(maxsize=1)
def opensta() -> str:
    """The path of OpenSTA.

    Raises:
        MissingToolError: if it is not installed.
    """
    found = shutil.which("sta")
    if found is None:
        raise MissingToolError("delay and power need OpenSTA: apt-get install opensta (Debian's package) installs it")
    return found


@lru_cache(maxsize=1)
def _sta_version() -> str:
    return run([opensta(), "-version"], folder=Path.cwd(), seconds=60).strip()


def _liberty() -> Path:
    if not LIBERTY.is_file():
        raise MissingToolError(
            f"there are no cells at {LIBERTY}: apt-get install qflow-tech-osu018 (Debian's package) installs them"
        )
    return LIBERTY


def _measured(unit: Unit, folder: Path, seconds: float) -> dict[str, float]:
    (folder / "unit.v").write_text(unit.verilog, encoding="utf-8")
    _prepare(folder)
    script = [
        "read_verilog -sv unit.v",
        f"synth -flatten -top {unit.module}",
        *_MAPPING,
        "tee -q -o cells.json stat -json -liberty cells.lib",
        f"write_verilog {_PLAIN} whole.v",
        # The same cells with every register cut out: its output becomes an input of the module, its input an output.
        "techmap -map registers.v",
        "expose -evert-dff",
        "opt_clean -purge",
        f"write_verilog {_PLAIN} logic.v",
    ]
    (folder / "synthesis.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
    run([*yosys(), "-q", "synthesis.ys"], folder=folder, seconds=seconds)
    cells = json.loads((folder / "cells.json").read_text(encoding="utf-8"))["modules"][f"\\{unit.module}"]
    counts = cells["num_cells_by_type"]
    others = [name for name in counts if name.startswith(("DFF", "LATCH")) and name != REGISTER]
    if others:
        raise ToolFailedError(f"{unit.module} needs cells {others[0]}: energy is known of registers {REGISTER} alone")
    clock = CLOCK if unit.clocked else None
    whole = _analysed(folder, "whole.v", unit.module, seconds, clock=clock)
    registers = counts.get(REGISTER, 0) * register_picojoules()
    has_logic = any(name != REGISTER for name in counts)
    logic = _analysed(folder, "logic.v", unit.module, seconds)["energy_pj"] if has_logic else 0.0
    return {
        "area_um2": float(cells["area"]),
        "delay_ns": whole["delay_ns"],
        "energy_pj": logic + registers,
        "register_pj": registers,
        "leakage_nw": whole["leakage_nw"],
    }


@lru_cache(maxsize=1)
def register_picojoules() -> float:
    """Energy a cycle of one flip-flop with its clock, whose input changes with `ACTIVITY` and whose output is free."""
    text = f"module register (input d, {CLOCK}, output q);\n  {REGISTER} r (.D(d), .CLK({CLOCK}), .Q(q));\nendmodule\n"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        (folder / "register.v").write_text(text, encoding="utf-8")
        return _analysed(folder, "register.v", "register", 60, clock=CLOCK)["energy_pj"]


def _prepare(folder: Path) -> None:
    """The WebAssembly build of Yosys sees only its own folder."""
    (folder / "cells.lib").write_bytes(_liberty().read_bytes())
    (folder / "registers.v").write_text(_CUT, encoding="utf-8")


def _analysed(folder: Path, netlist: str, module: str, seconds: float, *, clock: str | None = None) -> dict[str, float]:
    # OpenSTA takes a port declared `input signed` for none at all and then reports leakage alone.
    text = re.sub(r"\bsigned\b", "", (folder / netlist).read_text(encoding="utf-8"))
    (folder / netlist).write_text(text, encoding="utf-8")
    port = f" [get_ports {clock}]" if clock else ""
    data = f"[lsearch -inline -all -not -exact [all_inputs] [get_ports {clock}]]" if clock else "[all_inputs]"
    commands = [
        "read_liberty cells.lib",
        f"read_verilog {netlist}",
        f"link_design {module}",
        f"create_clock -name clock -period {PERIOD_NS:g}{port}",
        f"set_input_delay 0 -clock clock {data}",
        "set_output_delay 0 -clock clock [all_outputs]",
        f"set_power_activity -input -activity {ACTIVITY:g}",
        "report_worst_slack -digits 6",
        "report_power -digits 6",
    ]
    (folder / "analysis.tcl").write_text("\n".join(commands) + "\n", encoding="utf-8")
    return read_analysis(run([opensta(), "-exit", "-no_splash", "analysis.tcl"], folder=folder, seconds=seconds))


def read_analysis(said: str) -> dict[str, float]:
    """Delay, energy a cycle and leakage from what OpenSTA prints.

    Raises:
        ToolFailedError: if a line is missing, or nothing switches, which means that it took inputs for constants.
    """
    slack = re.search(r"^worst slack\s+(\S+)", said, re.MULTILINE)
    powers = re.search(r"^Total\s+(\S+) +(\S+) +(\S+)", said, re.MULTILINE)
    if slack is None or powers is None:
        raise ToolFailedError(f"OpenSTA's report cannot be read: {said.strip()[-300:]}")
    internal, switching, leakage = map(float, powers.groups())
    if internal + switching <= 0:
        raise ToolFailedError("OpenSTA reports leakage alone: it took every input for a constant")
    return {
        "delay_ns": PERIOD_NS - float(slack.group(1)),
        "energy_pj": (internal + switching) * WATT_AT_CLOCK_TO_PICOJOULES,
        "leakage_nw": leakage * NANO,
    }


OSU018: Final = Osu018Flow()
