"""Memories as the FPGA packs them: words of a width and a depth into LUTs, shift registers, block RAM or UltraRAM.

Shapes of the primitives are those of the device's fabric (`hwmodels.fabrics`). On AMD parts a LUT6 is a 64 x 1 or 32 x
2 memory or a 32-deep shift register, and the slice's own multiplexers join four of them to 256 x 1 (UG474, UG574); on
ECP5 a LUT4 is 16 x 1 and multiplexers join eight of them. Cascades use one shape throughout, as memory generators do by
default.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from hwmodels.device_parts import Technology
from hwmodels.fabrics import DistributedMemory, StartContent
from hwmodels.folding import MemoryStyle
from hwmodels.toml_tables import DeviceError

if TYPE_CHECKING:
    from hwmodels.devices import Device

Shapes = tuple[tuple[int, int], ...]

BRAM18_SHAPES: Final[Shapes] = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""(words, bits) of one block RAM of 18 kbit; UG473 table 1-7 and UG573 (simple dual port or read-only)."""

URAM_SHAPES: Final[Shapes] = ((4096, 72),)
"""(words, bits) of one UltraRAM of UltraScale+ parts; UG573. Versal's have more."""

LOADER_LUTS: Final = 10
"""Handshake of what writes a memory that starts with zeros, beside a LUT per address bit that counts; assumed."""


class Access(Enum):
    """How a memory is used, which decides what a LUT can hold of it."""

    READ_ONLY = "read-only"
    """Weights and tables: any LUT is a 64 x 1 read-only memory."""
    READ_WRITE = "read-write"
    """Operand buffers with a write and a read port: four LUTs hold 64 x 3 or 32 x 6 (RAM64M, RAM32M)."""
    SHIFT = "shift"
    """Delay lines and FIFOs: a LUT is a 32-deep shift register."""


class MemoryCost(NamedTuple):
    """LUTs, halves of block RAM and UltraRAMs of one memory."""

    luts: int = 0
    bram18s: int = 0
    urams: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryBudget:
    """What a device offers for memories and how much of it a design may use.

    Compared by identity, which makes it a quick key: `memory_budget` gives equal devices the same object.
    """

    device: str
    luts: int
    bram18s: int
    urams: int
    distributed: DistributedMemory
    block_shapes: Shapes
    ultra_shapes: Shapes
    ultra_content: StartContent


def block_count(words: int, bits: int, shapes: Shapes) -> int:
    """Memory blocks of a memory: the best of the shapes, which is what the words need *as packed*."""
    return min([-(-bits // width) * -(-words // depth) for depth, width in shapes])


def bram18_count(words: int, bits: int) -> int:
    """Block RAMs of 18 kbit of a memory.

    >>> bram18_count(64, 144)  # 9,216 bits would fit one; 144 bits at once need four
    4
    """
    return block_count(words, bits, BRAM18_SHAPES)


def uram_count(words: int, bits: int) -> int:
    """UltraRAMs of a memory, narrow words packed beside each other.

    >>> uram_count(4096, 73), uram_count(16384, 8), uram_count(5000, 100)
    (2, 1, 3)
    """
    return packed_ultra(words, bits, URAM_SHAPES)[0]


def packed_ultra(words: int, bits: int, shapes: Shapes) -> tuple[int, int]:
    """UltraRAMs of a memory, and LUTs of the multiplexers behind words that share a row.

    The bits beyond whole columns may lie several words to a row, two, four or eight of them, each in bytes of nine bits
    of its own so that it can be written alone (as Yosys 0.70 maps them). A memory that needs no fewer blocks that way
    has no multiplexers.
    """
    best, luts = block_count(words, bits, shapes), 0
    for depth, width in shapes:
        columns, rest = divmod(bits, width)
        if not rest:
            continue
        whole = columns * -(-words // depth)
        for beside in (2, 4, 8):
            if beside * -(-rest // 9) * 9 > width:
                break
            count = whole + -(-words // (beside * depth))
            if count < best:
                # Two words take half a LUT a bit, more a tree of four-to-one multiplexers.
                best, luts = count, -(-rest // 2) if beside == 2 else rest * -(-(beside - 1) // 3)
    return best, luts


def lut_memory_count(
    words: int, bits: int, access: Access, distributed: DistributedMemory = DistributedMemory.LUT6
) -> int:
    """LUTs of a memory in LUTs.

    A single word that is only read is wiring and takes none. Beyond 256 words (128 of ECP5), where the slice's own
    multiplexers end, those of the read port are counted too.
    """
    if words <= 1 and access is Access.READ_ONLY:
        return 0
    if distributed is DistributedMemory.LUT4:
        return _lut4_memory_count(words, bits, access)
    if access is Access.SHIFT:
        return bits * -(-words // 32)
    pieces = -(-words // 64)
    if access is Access.READ_ONLY:
        storage = -(-bits // 2) if words <= 32 else bits * pieces
    else:
        storage = -(-bits * 2 // 3) if words <= 32 else -(-bits * 4 // 3) * pieces
    selected = -(-words // 256)
    return storage + bits * -(-(selected - 1) // 3)


def _lut4_memory_count(words: int, bits: int, access: Access) -> int:
    """On ECP5; multiplexers of the read port are two to one, a LUT each. There are no shift registers in LUTs."""
    pieces = -(-words // 16)
    if access is Access.READ_ONLY:
        return bits * (pieces + -(-words // 128) - 1)
    # Four LUTs of memory, two of write port; beyond 16 words a LUT each enables a piece's write port.
    ports = pieces if pieces > 1 else 0
    return 6 * -(-bits // 4) * pieces + bits * (pieces - 1) + ports


def memory_cost(words: int, bits: int, *, style: MemoryStyle, device: Device, access: Access) -> MemoryCost:
    """A memory of ``words`` words of ``bits`` bits, all bits of a word read at once.

    `MemoryStyle.AUTO` takes whichever of LUTs, block RAM and UltraRAM fills the smallest share of what the device may
    use; ties go to the first of these. A single read-only word is wiring in every style. UltraRAM that starts with
    zeros has a loader if it is only read.

    Raises:
        ValueError: if words or bits are negative, the device has no UltraRAM in that style, or the style is off the
            chip, which is no memory of the device.
    """
    if words < 0 or bits < 0:
        raise ValueError(f"a memory needs words and bits of at least 0, got {words} words of {bits} bits")
    return packed_memory(words, bits, style, access, memory_budget(device))


def memory_budget(device: Device) -> MemoryBudget:
    """What `MemoryStyle.AUTO` decides between, and by which shapes.

    An ASIC process has no blocks of memory: all are counted by the bit, in LUTs (`hwmodels.asic_area`).
    """
    if device.technology is Technology.ASIC:
        return _budget(
            device=device.name,
            luts=1,
            bram18s=0,
            urams=0,
            distributed=DistributedMemory.LUT6,
            block_shapes=(),
            ultra_shapes=(),
            ultra_content=StartContent.ZERO,
        )
    fabric = device.logic
    return _budget(
        device=device.name,
        luts=device.usable("luts"),
        bram18s=device.usable("bram18s"),
        urams=device.usable("urams") if fabric.ultra else 0,
        distributed=fabric.distributed,
        block_shapes=fabric.block.shapes,
        ultra_shapes=fabric.ultra.shapes if fabric.ultra else (),
        ultra_content=fabric.ultra.content if fabric.ultra else StartContent.ZERO,
    )


@lru_cache(maxsize=256)
def _budget(
    *,
    device: str,
    luts: int,
    bram18s: int,
    urams: int,
    distributed: DistributedMemory,
    block_shapes: Shapes,
    ultra_shapes: Shapes,
    ultra_content: StartContent,
) -> MemoryBudget:
    return MemoryBudget(
        device=device,
        luts=luts,
        bram18s=bram18s,
        urams=urams,
        distributed=distributed,
        block_shapes=block_shapes,
        ultra_shapes=ultra_shapes,
        ultra_content=ultra_content,
    )


def packed_memory(words: int, bits: int, style: MemoryStyle, access: Access, budget: MemoryBudget) -> MemoryCost:
    """The same as `memory_cost`, for a `memory_budget` at hand and without checks of the size."""
    if style is MemoryStyle.OFFCHIP:
        raise ValueError("memory off the chip is no memory of the device: see hwmodels.bandwidth")
    if style is MemoryStyle.URAM and not budget.urams:
        raise DeviceError(f"device {budget.device} has no UltraRAM: use auto, lutram or bram for its memories")
    if words == 0 or bits == 0 or (words == 1 and access is Access.READ_ONLY):
        return MemoryCost()
    if style is MemoryStyle.LUTRAM:
        return MemoryCost(luts=lut_memory_count(words, bits, access, budget.distributed))
    if style is MemoryStyle.BRAM:
        if not budget.block_shapes:
            raise DeviceError(f"device {budget.device} has no block RAM: use auto or lutram for its memories")
        return MemoryCost(bram18s=block_count(words, bits, budget.block_shapes))
    if style is MemoryStyle.URAM:
        return _ultra(words, bits, access, budget)
    return _smallest_share(words, bits, access, budget)


def _smallest_share(words: int, bits: int, access: Access, budget: MemoryBudget) -> MemoryCost:
    luts = lut_memory_count(words, bits, access, budget.distributed)
    found, used, usable = MemoryCost(luts), luts, budget.luts
    # Blocks are looked at if one of them alone is a smaller share.
    if usable < used * budget.bram18s:
        bram18s = block_count(words, bits, budget.block_shapes)
        if bram18s * usable < used * budget.bram18s:
            found, used, usable = MemoryCost(0, bram18s), bram18s, budget.bram18s
    if usable < used * budget.urams:
        ultra = _ultra(words, bits, access, budget)
        # Its multiplexers and loader count, too.
        if ultra.urams * usable < used * budget.urams and ultra.luts * usable <= used * budget.luts:
            return ultra
    return found


def _ultra(words: int, bits: int, access: Access, budget: MemoryBudget) -> MemoryCost:
    urams, luts = packed_ultra(words, bits, budget.ultra_shapes)
    if access is Access.READ_ONLY and budget.ultra_content is StartContent.ZERO:
        luts += LOADER_LUTS + (words - 1).bit_length()
    return MemoryCost(luts=luts, urams=urams)
