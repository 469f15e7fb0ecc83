"""The area a design's logic would take as standard cells.

Area is counted in two-input NAND gates, which carry from one process to another better than square micrometres: gates a
LUT by family of logic are those of the ASIC proxy (``data/logic_energies.csv``, of `hwmodels.synthesis.osu018`), and a
process says how large its gate is. Memories are not part of it: no macro of any process was measured.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.energy import OTHER, REGISTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwmodels.device_parts import AsicProcess

_FILE: Final = Path(__file__).parent / "data" / "logic_energies.csv"


def logic_gates(luts: Mapping[str, float], flip_flops: float = 0.0) -> float:
    """Two-input NAND gates of logic that takes so many LUTs, and of flip-flops.

    Args:
        luts: by family of `hwmodels.composition`; logic in DSPs by the LUTs it would take. Memories are not logic.
        flip_flops: beside them.

    >>> logic_gates({}, flip_flops=2)
    8.0
    """
    known = _gates()
    return sum(count * known.get(family, known[OTHER]) for family, count in luts.items()) + flip_flops * known[REGISTER]


def area_um2(gates: float, process: AsicProcess) -> float:
    """Square micrometres of so many gates in a process (``load_device("asic-45nm").asic``)."""
    return gates * float(process.gate_um2)


@lru_cache(maxsize=1)
def _gates() -> Mapping[str, float]:
    with _FILE.open(newline="", encoding="utf-8") as file:
        return MappingProxyType({record["family"]: float(record["gates"]) for record in csv.DictReader(file)})
