"""The area a design would take as standard cells and memory macros.

Area is counted in two-input NAND gates, which carry from one process to another better than square micrometres: gates a
LUT by family of logic are those of the ASIC proxy (``data/logic_energies.csv``, of `hwmodels.synthesis.osu018`), and a
process says how large its gate is.

Memories are counted by the bit, as they would fill LUTs of 64 bits: rounding words up to 32 or 64, and the second port
of those that are written, stand for what small macros take beyond their cells. A bit takes what it takes in the macros
of ``data/sram_macros.csv``, single-port memories that OpenROAD-flow-scripts offers beside the Nangate 45 nm cells
(``flow/platforms/nangate45/lef``, generated after CACTI): from 0.53 to 0.86 square micrometres. Weights lie in such
memories, too; nothing is a mask ROM.
"""

from __future__ import annotations

import csv
import statistics
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.energy import REGISTER, known_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwmodels.device_parts import AsicProcess

_DATA: Final = Path(__file__).parent / "data"
MACRO_NAND_UM2: Final = 0.798
"""Area of the two-input NAND gate beside the macros: NAND2_X1 of the Nangate 45 nm library, 0.57 by 1.4 micrometres."""
LUT_BITS: Final = 64
"""Bits of memory that a LUT stands for."""


def logic_gates(luts: Mapping[str, float], flip_flops: float = 0.0) -> float:
    """Two-input NAND gates of logic that takes so many LUTs, and of flip-flops.

    Args:
        luts: by family of units; logic in DSPs by the LUTs it would take. Memories are not logic.
        flip_flops: beside them.

    >>> logic_gates({}, flip_flops=2)
    8.0
    """
    known = _gates()
    logic = sum(count * known_of(known, family) for family, count in luts.items())
    return logic + flip_flops * known[REGISTER]


def memory_gates(luts: float) -> float:
    """Two-input NAND gates that memories are worth which would fill so many LUTs.

    >>> round(memory_gates(1))
    49
    """
    return luts * LUT_BITS * _gates_a_bit()


def area_um2(gates: float, process: AsicProcess) -> float:
    """Square micrometres of so many gates in a process (``load_device("asic-45nm").asic``)."""
    return gates * float(process.gate_um2)


@lru_cache(maxsize=1)
def _gates() -> Mapping[str, float]:
    with (_DATA / "logic_energies.csv").open(newline="", encoding="utf-8") as file:
        return MappingProxyType({record["family"]: float(record["gates"]) for record in csv.DictReader(file)})


@lru_cache(maxsize=1)
def _gates_a_bit() -> float:
    """The median over the macros."""
    with (_DATA / "sram_macros.csv").open(newline="", encoding="utf-8") as file:
        areas = [
            float(record["width_um"]) * float(record["height_um"]) / (int(record["words"]) * int(record["bits"]))
            for record in csv.DictReader(file)
        ]
    return statistics.median(areas) / MACRO_NAND_UM2
