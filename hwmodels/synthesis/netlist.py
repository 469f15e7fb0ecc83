"""Counts of a Xilinx netlist as Yosys writes it: LUT sites after packing, flip-flops, carries, DSPs, block RAM.

A LUT6 of 7-series and UltraScale has two outputs: it holds two functions of at most five inputs together (UG474,
UG574). Yosys writes each function as a cell of its own and leaves the packing to place and route, so cells overstate
sites. The rule here, in this order:

1. A carry bit takes the LUT site of its own position: the function that drives its S input, and the function that
   drives its DI input if both read at most five signals. An S that is a plain wire costs a LUT to route it through, and
   a function that several positions share is repeated in each.
2. The remaining LUTs are paired greedily, widest first: with the LUT that shares most inputs, at least one, and reads
   at most five signals together with it.

Inverters are absorbed by the LUTs they feed. Distributed memory and shift registers count the LUTs of their primitive.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHARED_INPUTS: Final = 5
"""Signals two functions in one LUT6 may read together (UG474)."""

MEMORY_LUTS: Final = {
    "SRL16E": 1,
    "SRLC32E": 1,
    "RAM32X1S": 1,
    "RAM64X1S": 1,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1S": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
    "RAM256X1D": 8,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "RAM512X1S": 8,
}
"""LUTs of distributed memories and shift registers (UG474, UG574)."""

BLOCK_RAM_HALVES: Final = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2}
FLIP_FLOPS: Final = frozenset({"FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1"})
DSPS: Final = frozenset({"DSP48E1", "DSP48E2"})
_FREE: Final = frozenset({"INV", "VCC", "GND", "BUFG", "IBUF", "OBUF", "$scopeinfo"})
_MULTIPLEXERS: Final = frozenset({"MUXF5", "MUXF6", "MUXF7", "MUXF8", "MUXF9"})
_CARRIES: Final = frozenset({"CARRY4", "CARRY8"})
_CONSTANTS: Final = frozenset({"0", "1", "x", "z"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a netlist occupies.

    Attributes:
        luts: LUT6 sites.
        lut_cells: LUT functions before packing.
        memory_luts: of ``luts``, those that hold distributed memory or shift registers.
        flip_flops: of all kinds.
        carry_bits: positions of carry chains.
        dsps: DSP slices.
        bram18s: block RAM in halves.
        urams: UltraRAM.
    """

    luts: int
    lut_cells: int
    memory_luts: int
    flip_flops: int
    carry_bits: int
    dsps: int
    bram18s: int
    urams: int


@dataclass(frozen=True, slots=True)
class _Lut:
    name: str
    inputs: frozenset[int]


def count(cells: Mapping[str, Any]) -> Counts:
    """Counts of the cells of one flat module (``modules[name]["cells"]`` of ``write_json``).

    Raises:
        ValueError: if a cell is of a type that has no count, such as a multiplication that was not mapped.
    """
    by_type: dict[str, list[Any]] = defaultdict(list)
    for cell in cells.values():
        by_type[cell["type"]].append(cell)
    unknown = sorted(set(by_type) - _known_types())
    if unknown:
        raise ValueError(f"the netlist has cells that are not counted: {', '.join(unknown)}")
    luts = _luts(cells)
    memory = sum(MEMORY_LUTS[kind] * len(found) for kind, found in by_type.items() if kind in MEMORY_LUTS)
    carries = [cell for kind in _CARRIES for cell in by_type.get(kind, ())]
    return Counts(
        luts=_sites(luts, carries) + memory,
        lut_cells=len(luts),
        memory_luts=memory,
        flip_flops=sum(len(by_type.get(kind, ())) for kind in FLIP_FLOPS),
        carry_bits=sum(len(cell["connections"]["S"]) for cell in carries),
        dsps=sum(len(by_type.get(kind, ())) for kind in DSPS),
        bram18s=sum(halves * len(by_type.get(kind, ())) for kind, halves in BLOCK_RAM_HALVES.items()),
        urams=len(by_type.get("URAM288", ())),
    )


def _known_types() -> set[str]:
    luts = {f"LUT{size}" for size in range(1, 7)}
    return luts.union(MEMORY_LUTS, BLOCK_RAM_HALVES, FLIP_FLOPS, DSPS, _FREE, _MULTIPLEXERS, _CARRIES, {"URAM288"})


def _luts(cells: Mapping[str, Any]) -> dict[int, _Lut]:
    """LUT functions by the number of the net they drive; inverters in front of them are absorbed."""
    inverted = {
        cell["connections"]["O"][0]: cell["connections"]["I"][0] for cell in cells.values() if cell["type"] == "INV"
    }
    found: dict[int, _Lut] = {}
    for name, cell in cells.items():
        if cell["type"] not in {f"LUT{size}" for size in range(1, 7)}:
            continue
        pins = (bit for pin, bits in cell["connections"].items() if pin != "O" for bit in bits)
        inputs = frozenset(inverted.get(bit, bit) for bit in pins if bit not in _CONSTANTS)
        found[cell["connections"]["O"][0]] = _Lut(name, inputs)
    return found


def _sites(luts: dict[int, _Lut], carries: Iterable[Any]) -> int:
    rest = dict(luts)
    sites = 0
    for carry in carries:
        for select, data in zip(carry["connections"]["S"], carry["connections"]["DI"], strict=True):
            if select in _CONSTANTS:
                continue
            sites += 1
            own = rest.pop(select, None)
            inputs = own.inputs if own is not None else frozenset({select})
            beside = rest.get(data)
            if beside is not None and len(inputs | beside.inputs) <= SHARED_INPUTS:
                del rest[data]
    return sites + _paired(rest.values())


def _paired(luts: Iterable[_Lut]) -> int:
    """Sites of LUTs that no carry takes: greedy pairs, widest first, ties by name so that counts repeat."""
    order = sorted(luts, key=lambda lut: (-len(lut.inputs), lut.name))
    readers: dict[int, list[int]] = defaultdict(list)
    for index, lut in enumerate(order):
        for net in lut.inputs:
            readers[net].append(index)
    taken: set[int] = set()
    sites = 0
    for index, lut in enumerate(order):
        if index in taken:
            continue
        taken.add(index)
        sites += 1
        if len(lut.inputs) > SHARED_INPUTS:
            continue
        near = {other for net in lut.inputs for other in readers[net] if other not in taken}
        fitting = [other for other in near if len(lut.inputs | order[other].inputs) <= SHARED_INPUTS]
        if fitting:
            taken.add(min(fitting, key=lambda other: (-len(lut.inputs & order[other].inputs), other)))
    return sites
