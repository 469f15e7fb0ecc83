"""Memories that are written while they run: operand buffers, loaded weights, rows that wait for their sum."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from hwmodels.memory import BRAM18_SHAPES
from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

WRITTEN_MEMORY: Final = "written memory"
MAXIMUM_WIDTH: Final = 8192
MAXIMUM_DEPTH: Final = 1 << 16
LUT_MEMORY: Final = 0
BLOCK_MEMORY: Final = 1
_BLOCK_SHAPES: Final = tuple(
    (halves, halves * words, bits) for halves, (words, bits) in itertools.product((1, 2), BRAM18_SHAPES)
)
"""Halves of 18 kbit, words and bits: 36 kbit are two of the same width, joined in itself, or twice as wide (UG573)."""
_FEWEST_BLOCK_WORDS: Final = min(words for _, words, _ in _BLOCK_SHAPES)


def written_memory(*, depth: int, width: int, memory: int = LUT_MEMORY) -> Unit:
    """A memory with a port to write and one to read, the latter with a register behind it.

    In a cycle with ``write`` the word at ``write_address`` becomes ``write_data``; in a cycle with ``read`` the
    register ``read_data`` takes the word at ``read_address``. A word that is read in the cycle it is written is either
    one.

    Args:
        depth: words, 2 to 65536.
        width: bits of a word, 1 to 8192.
        memory: 0 keeps words in LUTs, 1 in block RAM.

    Raises:
        ValueError: if a number is out of range.

    >>> written_memory(depth=64, width=8).module
    'written_memory_depth64_width8_memory0'
    """
    _check(depth, width, memory)
    address = (depth - 1).bit_length()
    return render(
        "written_memory.v",
        family=WRITTEN_MEMORY,
        parameters={"depth": depth, "width": width, "memory": memory},
        ports=(
            Port(name="write", width=1, direction=Direction.IN),
            Port(name="write_address", width=address, direction=Direction.IN),
            Port(name="write_data", width=width, direction=Direction.IN),
            Port(name="read", width=1, direction=Direction.IN),
            Port(name="read_address", width=address, direction=Direction.IN),
            Port(name="read_data", width=width, direction=Direction.OUT),
        ),
        latency=1,
        ram_style="block" if memory == BLOCK_MEMORY else "distributed",
    )


def written_memory_structure(*, depth: int, width: int, memory: int = LUT_MEMORY) -> dict[str, float]:
    """LUTs that hold words, that choose between their outputs and that enable their inputs; and the register.

    >>> written_memory_structure(depth=256, width=7)
    {'memory_luts': 32, 'joins': 7.0, 'enables': 2.0, 'block_joins': 0, 'register_bits': 7}
    """
    _check(depth, width, memory)
    return storage_structure(depth, width, memory)


def storage_structure(depth: int, width: int, memory: int) -> dict[str, float]:
    """The structure of the words of a memory and the register behind them; see `written_memory_structure`."""
    if memory == BLOCK_MEMORY:
        several = block_pieces(depth, width) > 1
        joins = width if several else 0
        return {"memory_luts": 0, "joins": 0, "enables": 0, "block_joins": joins, "register_bits": 2 * several}
    pieces = memory_pieces(depth)
    return {
        "memory_luts": lut_memory_luts(depth, width),
        "joins": width * join_luts(pieces),
        "enables": pieces / 2 if pieces > 1 else 0,
        "block_joins": 0,
        "register_bits": width,
    }


def lut_memory_luts(words: int, bits: int) -> int:
    """LUTs that hold words, with a write and a read port: eight hold 32 x 14 or 64 x 7 bits.

    Source: UG574 (RAM32M16, RAM64M8), as Yosys 0.70 maps them.

    >>> lut_memory_luts(32, 14), lut_memory_luts(64, 14), lut_memory_luts(65, 7)
    (8, 16, 16)
    """
    if words <= 32:
        return 8 * -(-bits // 14)
    return 8 * -(-bits // 7) * memory_pieces(words)


def memory_pieces(words: int) -> int:
    """Memories of 64 words, one behind the other.

    >>> memory_pieces(64), memory_pieces(65)
    (1, 2)
    """
    return -(-words // 64)


def block_pieces(words: int, bits: int) -> int:
    """Block RAMs one behind the other, in the shape that needs fewest of them.

    >>> block_pieces(4096, 18), block_pieces(3000, 18)
    (1, 3)
    """
    if words <= _FEWEST_BLOCK_WORDS:
        return 1
    return min([(halves * -(-bits // width) * -(-words // d), -(-words // d)) for halves, d, width in _BLOCK_SHAPES])[1]


def join_luts(pieces: int) -> float:
    """LUTs a bit that choose one of several memories: four-to-one multiplexers, and two-to-one, two in a LUT.

    >>> [join_luts(pieces) for pieces in (1, 2, 4, 5, 8, 16)]
    [0.0, 0.5, 1.0, 1.5, 2.5, 5.0]
    """
    if pieces == 1:
        return 0.0
    if pieces == 2:
        return 0.5
    if pieces == 3:
        return 1.0
    fours, rest = divmod(pieces, 4)
    return fours + join_luts(max(rest, 1)) + join_luts(fours + (rest > 0))


def _check(depth: int, width: int, memory: int) -> None:
    if not 2 <= depth <= MAXIMUM_DEPTH:
        raise ValueError(f"depth of a memory must be 2 to {MAXIMUM_DEPTH} words, got {depth}")
    if not 1 <= width <= MAXIMUM_WIDTH:
        raise ValueError(f"width of a memory must be 1 to {MAXIMUM_WIDTH} bits, got {width}")
    if memory not in (LUT_MEMORY, BLOCK_MEMORY):
        raise ValueError(f"memory must be {LUT_MEMORY} (LUTs) or {BLOCK_MEMORY} (block RAM), got {memory}")
