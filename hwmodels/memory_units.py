"""Memories as units: what the counted packing puts into LUTs is priced by measured memories, blocks are counted.

`hwmodels.memory` decides between LUTs, block RAM and UltraRAM by what each would fill of the device. In LUTs of six
inputs a memory is then a unit with RTL; in four-input LUTs, and beside UltraRAM, LUTs are as counted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hwmodels.composition import MEMORY, Bill
from hwmodels.fabrics import DistributedMemory
from hwmodels.folding import MemoryStyle
from hwmodels.memory import Access, packed_memory
from hwmodels.rtl.engine_memories import IN_BLOCK_RAM, IN_LUTS, PARAMETER_MEMORY
from hwmodels.rtl.memories import BLOCK_MEMORY, LUT_MEMORY, MAXIMUM_DEPTH, MAXIMUM_WIDTH, WRITTEN_MEMORY
from hwmodels.rtl.streams import FIFO, FifoMemory
from hwmodels.rtl.streams import MAXIMUM_DEPTH as MOST_FIFO_WORDS
from hwmodels.rtl.streams import MAXIMUM_WIDTH as MOST_FIFO_BITS
from hwmodels.units import Priced, priced

if TYPE_CHECKING:
    from hwmodels.memory import MemoryBudget


class MemoryUnit(NamedTuple):
    """One memory.

    Attributes:
        unit: what is measured of it; None if nothing is.
        assumed_luts: counted, not measured.
        flip_flops: beside those of the unit.
        bram18s: halves of block RAM.
        urams: UltraRAMs.
    """

    unit: Priced | None = None
    assumed_luts: int = 0
    flip_flops: int = 0
    bram18s: int = 0
    urams: int = 0

    def add_to(self, bill: Bill, count: int = 1) -> None:
        """So many of these memories into a bill."""
        if self.unit is not None:
            bill.add(self.unit, count)
        if self.assumed_luts or self.flip_flops:
            bill.assume(MEMORY, count * self.assumed_luts, count * self.flip_flops)


NO_MEMORY = MemoryUnit()


@lru_cache(maxsize=1 << 16)
def stored(words: int, bits: int, style: MemoryStyle, budget: MemoryBudget) -> MemoryUnit:
    """A memory that is only read; a single word is wiring."""
    if words <= 1 or bits == 0:
        return NO_MEMORY
    packed = packed_memory(words, bits, style, Access.READ_ONLY, budget)
    if packed.urams:
        return MemoryUnit(assumed_luts=packed.luts, flip_flops=bits, urams=packed.urams)
    if packed.bram18s:
        unit = priced(PARAMETER_MEMORY, words=words, bits=bits, style=IN_BLOCK_RAM, seed=1)
        return MemoryUnit(unit=unit, bram18s=packed.bram18s)
    if budget.distributed is not DistributedMemory.LUT6:
        return MemoryUnit(assumed_luts=packed.luts, flip_flops=bits)
    return MemoryUnit(unit=priced(PARAMETER_MEMORY, words=words, bits=bits, style=IN_LUTS, seed=1))


@lru_cache(maxsize=1 << 16)
def stored_in_luts(words: int, bits: int, budget: MemoryBudget) -> MemoryUnit:
    """The same kept in LUTs."""
    if words <= 1 or bits == 0:
        return NO_MEMORY
    if budget.distributed is not DistributedMemory.LUT6:
        return stored(words, bits, MemoryStyle.LUTRAM, budget)
    return MemoryUnit(unit=priced(PARAMETER_MEMORY, words=words, bits=bits, style=IN_LUTS, seed=1))


@lru_cache(maxsize=1 << 16)
def written(words: int, bits: int, style: MemoryStyle, budget: MemoryBudget) -> MemoryUnit:
    """A memory with a port to write and one to read; a single word is a register."""
    if words < 1 or bits == 0:
        return NO_MEMORY
    if words == 1:
        return MemoryUnit(flip_flops=bits)
    packed = packed_memory(words, bits, style, Access.READ_WRITE, budget)
    if packed.urams:
        return MemoryUnit(assumed_luts=packed.luts, flip_flops=bits, urams=packed.urams)
    if packed.luts and budget.distributed is not DistributedMemory.LUT6:
        return MemoryUnit(assumed_luts=packed.luts, flip_flops=bits)
    memory = BLOCK_MEMORY if packed.bram18s else LUT_MEMORY
    depth, width = min(words, MAXIMUM_DEPTH), min(bits, MAXIMUM_WIDTH)
    unit = priced(WRITTEN_MEMORY, depth=depth, width=width, memory=memory)
    if (depth, width) != (words, bits):
        unit = unit.times(words * bits / (depth * width), "depth", "width")
    return MemoryUnit(unit=unit, bram18s=packed.bram18s)


@lru_cache(maxsize=1 << 16)
def queued(words: int, bits: int, budget: MemoryBudget) -> MemoryUnit:
    """A FIFO with its control, in shift registers or block RAM."""
    packed = packed_memory(words, bits, MemoryStyle.AUTO, Access.SHIFT, budget)
    kind = FifoMemory.BLOCK if packed.bram18s or packed.urams else FifoMemory.SHIFT_REGISTER
    depth, width = min(max(words, 2), MOST_FIFO_WORDS), min(bits, MOST_FIFO_BITS)
    unit = priced(FIFO, depth=depth, width=width, memory=int(kind))
    if depth < words or width < bits:
        unit = unit.times(max(words / depth, 1.0) * bits / width, "depth", "width")
    if packed.luts and budget.distributed is not DistributedMemory.LUT6:
        shift_registers = priced(FIFO, depth=depth, width=1, memory=int(kind))
        return MemoryUnit(unit=shift_registers, assumed_luts=packed.luts, flip_flops=bits)
    return MemoryUnit(
        unit=unit, assumed_luts=packed.luts if packed.urams else 0, bram18s=packed.bram18s, urams=packed.urams
    )
