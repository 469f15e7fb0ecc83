"""Memories as the FPGA packs them: words of a width and a depth into LUTs, shift registers or block RAM.

Shapes of the primitives: a LUT6 is a 64 x 1 or 32 x 2 memory or a 32-deep shift register, and the slice's own
multiplexers join four of them to 256 x 1 (AMD UG474, 7 Series CLB; UG574, UltraScale CLB); a block RAM of 18 kbit is
512 x 36 down to 16k x 1 (AMD UG473, UG573). Cascades use one shape throughout, as memory generators do by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.folding import MemoryStyle

if TYPE_CHECKING:
    from hwmodels.devices import Device

BRAM18_SHAPES: Final = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""(words, bits) of one block RAM of 18 kbit; UG473 table 1-7 and UG573 (simple dual port or read-only)."""


class Access(Enum):
    """How a memory is used, which decides what a LUT can hold of it."""

    READ_ONLY = "read-only"
    """Weights and tables: any LUT is a 64 x 1 read-only memory."""
    READ_WRITE = "read-write"
    """Operand buffers with a write and a read port: four LUTs hold 64 x 3 or 32 x 6 (RAM64M, RAM32M)."""
    SHIFT = "shift"
    """Delay lines and FIFOs: a LUT is a 32-deep shift register."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryCost:
    """LUTs and halves of block RAM of one memory."""

    luts: int = 0
    bram18s: int = 0


@lru_cache(maxsize=1 << 16)
def bram18_count(words: int, bits: int) -> int:
    """Block RAMs of 18 kbit of a memory: the best of the shapes, which is what the words need *as packed*.

    >>> bram18_count(64, 144)  # 9,216 bits would fit one; 144 bits at once need four
    4
    """
    return min(-(-bits // width) * -(-words // depth) for depth, width in BRAM18_SHAPES)


@lru_cache(maxsize=1 << 16)
def lut_memory_count(words: int, bits: int, access: Access) -> int:
    """LUTs of a memory in LUTs.

    A single word that is only read is wiring and takes none. Beyond 256 words, where the slice's own multiplexers end,
    the four-to-one multiplexers of the read port are counted too.
    """
    if words <= 1 and access is Access.READ_ONLY:
        return 0
    if access is Access.SHIFT:
        return bits * -(-words // 32)
    pieces = -(-words // 64)
    if access is Access.READ_ONLY:
        storage = -(-bits // 2) if words <= 32 else bits * pieces
    else:
        storage = -(-bits * 2 // 3) if words <= 32 else -(-bits * 4 // 3) * pieces
    selected = -(-words // 256)
    return storage + bits * -(-(selected - 1) // 3)


def memory_cost(words: int, bits: int, *, style: MemoryStyle, device: Device, access: Access) -> MemoryCost:
    """A memory of ``words`` words of ``bits`` bits, all bits of a word read at once.

    `MemoryStyle.AUTO` takes whichever of LUTs and block RAM fills the smaller share of what the device may use; ties go
    to LUTs. A single read-only word is wiring in every style.

    Raises:
        ValueError: if words or bits are negative.
    """
    if words < 0 or bits < 0:
        raise ValueError(f"a memory needs words and bits of at least 0, got {words} words of {bits} bits")
    return packed_memory(words, bits, style, access, memory_budget(device))


def memory_budget(device: Device) -> tuple[int, int]:
    """LUTs and halves of block RAM a design may use, between which `MemoryStyle.AUTO` decides."""
    return device.usable("luts"), device.usable("bram18s")


@lru_cache(maxsize=1 << 16)
def packed_memory(words: int, bits: int, style: MemoryStyle, access: Access, budget: tuple[int, int]) -> MemoryCost:
    """The same as `memory_cost`, for a `memory_budget` at hand and without checks."""
    if words == 0 or bits == 0 or (words == 1 and access is Access.READ_ONLY):
        return MemoryCost()
    usable_luts, usable_bram18s = budget
    luts, bram18s = lut_memory_count(words, bits, access), bram18_count(words, bits)
    luts_win = luts * usable_bram18s <= bram18s * usable_luts
    if style is MemoryStyle.LUTRAM or (style is MemoryStyle.AUTO and luts_win):
        return MemoryCost(luts=luts)
    return MemoryCost(bram18s=bram18s)
