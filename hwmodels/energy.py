"""Energy of operations, memory accesses and off-chip traffic, in picojoules of an ASIC of a published process.

Ratios between units are those of the ASIC proxy (`hwmodels.synthesis.osu018`); one published figure, the multiplication
of two 8-bit integers, scales them to a process (an *anchor*). Memories are priced by published figures of the same
tables, apart. All figures and their sources are in ``data/energy.toml``, the ratios in ``data/logic_energies.csv``.

What this is for: comparing designs. It says what the arithmetic and the memories of a design would take as standard
cells, whichever FPGA they are mapped to: logic in DSPs counts as the logic it stands for. Not modelled: static power,
clock trees, wires, input and output, and values that change less often than random ones.
"""

from __future__ import annotations

import csv
import math
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from hwmodels.models import Estimate, unit_estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DATA: Final = Path(__file__).parent / "data"
DEFAULT_ANCHOR: Final = "45nm"
REGISTER: Final = "register"
"""The row of ``logic_energies.csv`` that holds a flip-flop with its clock."""
OTHER: Final = "other"
"""The row for logic of which no unit was measured."""
FIXED_LANE: Final = "fixed-point lane"
MINIFLOAT_LANE: Final = "minifloat lane"
SHIFT_LANE: Final = "power-of-two lane"
LMUL_LANE: Final = "l-mul lane"
LEADING_ONE: Final = "block leading one"
REQUANTISER: Final = "requantiser"
SHIFTER: Final = "shifter"
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "multiplier": FIXED_LANE,
        "adder": FIXED_LANE,
        "dot product": FIXED_LANE,
        "minifloat exact product": MINIFLOAT_LANE,
        "minifloat lane": MINIFLOAT_LANE,
        "minifloat dot product": MINIFLOAT_LANE,
        "power-of-two multiplier": SHIFT_LANE,
        "power-of-two lane": SHIFT_LANE,
        "k-hot multiplier": SHIFT_LANE,
        "l-mul": LMUL_LANE,
        "l-mul with flush and saturation": LMUL_LANE,
        "l-mul lane": LMUL_LANE,
        "block leading one": LEADING_ONE,
        "requantiser": REQUANTISER,
        "cast": REQUANTISER,
        "barrel shifter": SHIFTER,
    }
)
"""Kinds of logic, of which a LUT takes about the same energy and area, by family of units.

What was measured of a family itself comes first, then its kind, then all units together (`OTHER`). A unit that
multiplies and accumulates in one cycle is of no kind: a pipelined engine does not glitch like that."""


def known_of(table: Mapping[str, float], family: str) -> float:
    """What a table of ``data/logic_energies.csv`` says of a family: its own entry, that of its kind, or of all.

    >>> known_of({"other": 2.0, "requantiser": 3.0}, "cast")
    3.0
    """
    own = table.get(family)
    return table.get(KINDS.get(family, OTHER), table[OTHER]) if own is None else own


BANK_BITS: Final = 64
"""Width of the memories whose accesses are published; wider words are several side by side."""
REFERENCE: Final = ("multiplier", MappingProxyType({"a": 8, "b": 8, "a_signed": 1, "b_signed": 1}))
"""The unit that anchors are given for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A published memory: the energy of a read of `BANK_BITS` bits in picojoules, by capacity."""

    capacity_bytes: int
    read_pj: float
    source: str
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A process: what an 8-bit multiplication takes in it, and its memories.

    Attributes:
        name: by which a device chooses it.
        multiply_pj: of two 8-bit integers.
        memories: on the chip, smallest first.
        offchip_pj: of `BANK_BITS` bits from memory off the chip: least and most published.
        source: of ``multiply_pj``.
        verified: whether all of it was found in its sources.
    """

    name: str
    node_nm: int
    multiply_pj: float
    memories: tuple[Memory, ...]
    offchip_pj: tuple[float, float]
    source: str
    verified: bool

    def logic(self, family: str) -> float:
        """Picojoules a LUT of a family of units takes an operation."""
        ratios = _ratios()
        return self.multiply_pj * known_of(ratios, family)

    @property
    def register(self) -> float:
        """Picojoules a flip-flop takes a cycle, with its clock."""
        return self.multiply_pj * _ratios()[REGISTER]

    def access(self, words: int) -> float:
        """Picojoules a bit takes that is read from, or written to, a memory of so many words.

        Capacities between published ones are interpolated as powers of each other. Below the smallest one energy goes
        with the square root of the capacity (the length of a bit line), as it does between the published 8 KB and 32 KB
        at 45 nm. A single word is a register or wiring, counted elsewhere.
        """
        return _access(self.name, words)

    @property
    def offchip(self) -> float:
        """Picojoules a bit from memory off the chip takes: the middle of what is published."""
        return sum(self.offchip_pj) / 2 / BANK_BITS


def anchor_names() -> tuple[str, ...]:
    """Names of the processes energies can be scaled to.

    >>> anchor_names()
    ('45nm', '7nm')
    """
    return tuple(_anchors())


@lru_cache(maxsize=16)
def anchor(name: str = DEFAULT_ANCHOR) -> Anchor:
    """A process by its name.

    Raises:
        ValueError: if there is none of that name.

    >>> anchor("45nm").multiply_pj
    0.2
    """
    known = _anchors()
    if name not in known:
        raise ValueError(f"there is no process {name!r} to scale energies to: there are {', '.join(known)}")
    return known[name]


STATIC_WORDS: Final = "static power is not modelled"


def energy_words(name: str) -> str:
    """What energies of a process are, in words for whoever reads them.

    >>> energy_words("45nm")[:41]
    'picojoules as standard cells of the 45 nm'
    """
    process = anchor(name)
    checked = "" if process.verified else " (not all of its figures are verified)"
    return (
        f"picojoules as standard cells of the {process.node_nm} nm process whose 8-bit multiplication takes "
        f"{process.multiply_pj:g} pJ, by {process.source}{checked}; good for comparing designs, {STATIC_WORDS}"
    )


def logic_energy(luts: Mapping[str, float], flip_flops: float, process: Anchor) -> float:
    """Picojoules of one cycle of logic.

    Args:
        luts: by family of units; logic in DSPs by the LUTs it would take. Memories are not logic.
        flip_flops: that may change.
        process: to scale to.
    """
    return sum(count * process.logic(family) for family, count in luts.items()) + flip_flops * process.register


def memory_energy(accesses: Iterable[tuple[int, float]], process: Anchor) -> float:
    """Picojoules of accesses: pairs of the memory's words, and bits read from it or written to it."""
    found = 0.0
    for words, bits in accesses:
        found += bits * _access(process.name, words)
    return found


def unit_energy(family: str, *, process: str = DEFAULT_ANCHOR, **parameters: int) -> Estimate:
    """Picojoules an operation of one unit takes, by the models of the ASIC proxy's rows.

    Args:
        family: of `hwmodels.rtl.families`.
        process: to scale to.
        parameters: all of the family's own.

    Raises:
        ValueError: if the family has no rows of flow ``osu018``, or there is no such process.
    """
    reference_family, reference = REFERENCE
    scale = anchor(process).multiply_pj
    whole = unit_estimate(reference_family, flow="osu018", column="energy_pj", **reference)
    found = unit_estimate(family, flow="osu018", column="energy_pj", **parameters)
    return Estimate(value=scale * found.value / whole.value, sigma=found.sigma, notes=found.notes)


@lru_cache(maxsize=1)
def published() -> Mapping[str, Any]:
    """The content of ``data/energy.toml``: anchors, and operations that judge the ratios."""
    return MappingProxyType(tomllib.loads((_DATA / "energy.toml").read_text(encoding="utf-8")))


@lru_cache(maxsize=1)
def _anchors() -> Mapping[str, Anchor]:
    return MappingProxyType({entry["name"]: _anchor(entry) for entry in published()["anchors"]})


def _anchor(entry: Mapping[str, Any]) -> Anchor:
    memories = [
        Memory(
            capacity_bytes=one["bytes"],
            read_pj=float(one["energy"]),
            source=one["source"],
            verified=one["verified"],
        )
        for one in entry["sram"]
    ]
    dram = entry["dram"]
    return Anchor(
        name=entry["name"],
        node_nm=entry["node_nm"],
        multiply_pj=float(entry["int8_multiply"]),
        memories=tuple(sorted(memories, key=lambda memory: memory.capacity_bytes)),
        offchip_pj=(float(dram["low"]), float(dram["high"])),
        source=entry["source"],
        verified=entry["verified"] and dram["verified"] and all(memory.verified for memory in memories),
    )


@lru_cache(maxsize=1)
def _ratios() -> Mapping[str, float]:
    """By family, what a LUT takes relative to an 8-bit multiplication."""
    with (_DATA / "logic_energies.csv").open(newline="", encoding="utf-8") as file:
        return MappingProxyType({record["family"]: float(record["ratio"]) for record in csv.DictReader(file)})


@lru_cache(maxsize=1 << 14)
def _access(name: str, words: int) -> float:
    process = anchor(name)
    if words <= 1:
        return 0.0
    capacity = words * BANK_BITS // 8
    memories = process.memories
    least = memories[0]
    if capacity <= least.capacity_bytes:
        return least.read_pj * math.sqrt(capacity / least.capacity_bytes) / BANK_BITS
    # Beyond the largest one the last two go on.
    upper = next((index for index, one in enumerate(memories) if capacity <= one.capacity_bytes), len(memories) - 1)
    low, high = memories[upper - 1], memories[upper]
    slope = math.log(high.read_pj / low.read_pj) / math.log(high.capacity_bytes / low.capacity_bytes)
    return low.read_pj * math.pow(capacity / low.capacity_bytes, slope) / BANK_BITS
