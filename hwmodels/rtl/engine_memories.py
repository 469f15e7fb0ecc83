"""Read-only memories of an engine: weights, biases, requantisation multipliers; what they hold is part of the text."""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.memories import block_pieces, join_luts, memory_pieces
from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwmodels.rtl.unit import Unit

PARAMETER_MEMORY: Final = "parameter memory"
IN_LUTS: Final = 0
IN_BLOCK_RAM: Final = 1
SMALL_WORDS: Final = 32
"""Words that two columns of one LUT6 hold (UG474)."""
BLOCK_WORDS: Final = 128
"""Words of a block that is mapped by itself: two LUT6 and the multiplexer between them hold a column. Larger memories
mapped as a whole are torn into logic whose size is a matter of chance."""


def parameter_memory(
    *, words: int, bits: int, style: int = IN_LUTS, seed: int = 1, content: Sequence[int] | None = None
) -> Unit:
    """A read-only memory with a register behind it: ``data`` follows ``address`` by one cycle of ``enable``.

    Args:
        words: at least 2.
        bits: of a word.
        style: 0 keeps it in LUTs, 1 in block RAM.
        seed: of the pseudo-random words that stand for content that is not known yet.
        content: the words; names the module by its checksum instead of the seed.

    Raises:
        ValueError: if a number is out of range or the content does not fit.

    >>> parameter_memory(words=64, bits=32).module
    'parameter_memory_words64_bits32_style0_seed1'
    """
    if words < 2 or bits < 1 or style not in (IN_LUTS, IN_BLOCK_RAM):
        raise ValueError(
            f"a memory has 2 or more words of at least 1 bit in style 0 or 1, got {words} words of {bits} bits, style "
            f"{style}"
        )
    if content is None:
        held = seeded_words(words, bits, seed)
    else:
        held = list(content)
        if len(held) != words or any(word >> bits for word in held):
            raise ValueError(f"content of {len(held)} words does not fill {words} words of {bits} bits")
        seed = content_seed(held, bits)
    address_bits = (words - 1).bit_length()
    return render(
        "parameter_memory.v",
        family=PARAMETER_MEMORY,
        parameters={"words": words, "bits": bits, "style": style, "seed": seed},
        ports=(
            Port(name="enable", width=1, direction=Direction.IN),
            Port(name="address", width=address_bits, direction=Direction.IN),
            Port(name="data", width=bits, direction=Direction.OUT),
        ),
        latency=1,
        content=held,
        blocks=_blocks(held, style),
        block_address=_bits(BLOCK_WORDS),
        address_bits=address_bits,
        bit_count=_bits,
        digits=-(-bits // 4),
        attribute='(* rom_style = "block", ram_style = "block" *)'
        if style == IN_BLOCK_RAM
        else '(* rom_style = "logic", ram_style = "logic" *)',
    )


def parameter_memory_structure(*, words: int, bits: int, style: int = IN_LUTS, seed: int = 1) -> dict[str, float]:
    """LUTs of columns by the number of words, of what joins blocks, and registers.

    A column of up to 32 words is a function of five inputs, two of which share a LUT; few words make few different
    functions, of which each exists once, and one that is another's complement costs nothing. One that is constant in
    half of the addresses is mapped as a register with a reset, whose LUT reads enable and register, too, and is shared
    with no other. A column of a block of up to 128 words takes a LUT per 64 words and the slice's own multiplexer
    (UG474), LUTs join the blocks, whether of LUTs or of block RAM.

    >>> parameter_memory_structure(words=100, bits=8)["large_luts"]
    16
    """
    del seed
    found = {"small_columns": 0.0, "large_luts": 0.0, "joins": 0.0, "register_bits": 0.0}
    if style == IN_BLOCK_RAM:
        if block_pieces(words, bits) > 1:
            found["joins"], found["register_bits"] = bits, 2.0
    elif words > SMALL_WORDS:
        blocks, rest = divmod(words, BLOCK_WORDS)
        pieces = blocks * memory_pieces(BLOCK_WORDS) + (memory_pieces(rest) if rest > SMALL_WORDS else 0)
        found["large_luts"] = bits * pieces
        found["small_columns"] = bits * (1 < rest <= SMALL_WORDS)
        found["joins"] = bits * join_luts(blocks + (rest > 0))
        found["register_bits"] = bits
    else:
        found["small_columns"] = _tables(words, bits) * (1.0 + _one_sided(words))
        found["register_bits"] = _different(2.0**words - 2, bits)
    return found


def _blocks(content: Sequence[int], style: int) -> list[Sequence[int]]:
    """The words of each block of a memory in LUTs that has several."""
    if style == IN_BLOCK_RAM or len(content) <= BLOCK_WORDS:
        return []
    return [content[first : first + BLOCK_WORDS] for first in range(0, len(content), BLOCK_WORDS)]


def _tables(words: int, columns: int) -> float:
    """How many different functions so many random columns need, up to complement; an address bit alone is a wire."""
    functions = 2.0 ** (words - 1) - 1
    found = _different(functions, columns)
    return found * (1.0 - (words - 1).bit_length() / functions)


def _one_sided(words: int) -> float:
    """The share of random columns that are constant below or above the highest address bit.

    A single word above resets the registers of all columns alike, which is one signal and nothing of each.
    """
    lower = 1 << (words - 1).bit_length() - 1
    upper = words - lower
    return 2.0 ** (1 - lower) + (2.0 ** (1 - upper) if upper > 1 else 0.0)


def _different(functions: float, columns: int) -> float:
    """How many different functions so many random columns are expected to be."""
    if functions > 1 << 20:
        return float(columns)
    return functions * (1.0 - (1.0 - 1.0 / functions) ** columns)


def _bits(count: int) -> int:
    return max((count - 1).bit_length(), 1)


def seeded_words(words: int, bits: int, seed: int) -> list[int]:
    """Pseudo-random words, the same for the same numbers everywhere."""
    chosen = random.Random(seed * 1_000_003 + words * 1009 + bits)  # noqa: S311 - stands for weights, hides nothing
    return [chosen.getrandbits(bits) for _ in range(words)]


def content_seed(content: Sequence[int], bits: int) -> int:
    """A number that tells contents apart, for the name of a module."""
    size = -(-bits // 8)
    return zlib.crc32(b"".join(word.to_bytes(size, "little") for word in content))
