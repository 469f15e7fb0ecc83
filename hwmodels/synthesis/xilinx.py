"""LUT sites, flip-flops, DSPs and block RAM on AMD parts: Yosys ``synth_xilinx``, counted on the netlist."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.unit import verilog
from hwmodels.synthesis.netlist import Counts, count
from hwmodels.synthesis.tools import ToolFailedError, run, yosys, yosys_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwmodels.rtl.unit import Unit

CARRY_CHAINS: Final = Path(__file__).parent / "maps" / "carry_chains.v"
MAPPING: Final = "scratchpad -set abc9.D 100000"
"""The mapper has 100 ns, so that it saves LUTs. Left alone it makes every unit as fast as can be, by repeating logic: a
3-bit integer times 15 powers of two takes 60 LUTs in place of 19, and neighbouring widths differ by chance."""


class Multipliers(Enum):
    """Whether multiplication operators may become DSPs."""

    LUT = "-nodsp"
    DSP = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class XilinxFlow:
    """One family of parts.

    Attributes:
        name: of the flow.
        family: as ``synth_xilinx -family`` takes it.
        multipliers: see `Multipliers`.
        batch_size: units per process; many small ones share the start of the tool.
    """

    name: str
    family: str
    multipliers: Multipliers = Multipliers.LUT
    batch_size: int = 16

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields of `hwmodels.synthesis.netlist.Counts`."""
        return tuple(field.name for field in fields(Counts))

    def tool(self) -> str:
        """Version of Yosys and the command that maps."""
        return f"{yosys_version()}; carry_chains.v; {MAPPING}; {self._synthesis()}"

    def measure(self, units: Sequence[Unit], folder: Path, seconds: float) -> list[Mapping[str, float]]:
        """Synthesise the units side by side, none of whose ports is connected, and count each.

        Raises:
            ToolFailedError: if Yosys fails, or leaves cells that have no count.
            ToolTimeoutError: if it takes longer than ``seconds``.
        """
        # The instance is kept, not the module: a unit that is also a part of another one is flattened into that.
        kept = "(* keep, keep_hierarchy *)"
        tops = "\n".join(f"    {kept} {unit.module} unit{index} ();" for index, unit in enumerate(units))
        (folder / "units.v").write_text(f"{verilog(units)}\nmodule all_units;\n{tops}\nendmodule\n", encoding="utf-8")
        (folder / "carry_chains.v").write_bytes(CARRY_CHAINS.read_bytes())
        script = [
            "read_verilog -sv units.v",
            "hierarchy -top all_units",
            "proc",
            "techmap -map carry_chains.v",
            # A read-only memory is made of LUTs as they are: logic around it must not be mapped together with it.
            "setattr -set keep_hierarchy 1 a:mapped_alone",
            MAPPING,
            f"{self._synthesis()} -top all_units",
            "setattr -unset keep_hierarchy a:mapped_alone",
            "flatten",
            "write_json netlist.json",
        ]
        (folder / "synthesis.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
        run([*yosys(), "-q", "synthesis.ys"], folder=folder, seconds=seconds)
        modules = json.loads((folder / "netlist.json").read_text(encoding="utf-8"))["modules"]
        try:
            return [asdict(count(modules[unit.module]["cells"])) for unit in units]
        except (KeyError, ValueError) as error:
            raise ToolFailedError(f"the netlist of {self.name} cannot be counted: {error}") from error

    def _synthesis(self) -> str:
        words = ["synth_xilinx", "-family", self.family, "-noiopad", "-noclkbuf", self.multipliers.value, "-flatten"]
        return " ".join(word for word in words if word)


XCUP: Final = XilinxFlow(name="xcup", family="xcup")
XC7: Final = XilinxFlow(name="xc7", family="xc7")
XCUP_DSP: Final = XilinxFlow(name="xcup-dsp", family="xcup", multipliers=Multipliers.DSP)
