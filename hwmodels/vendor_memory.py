"""Weight memories of vendor flows: how Vivado packs what FINN streams to a matrix-vector unit.

The rules reproduce the committed rows: block RAM in all of them, LUTs of memories in LUTs (rows that differ in the
memory alone) within 6 % of the layer, 1 % on average.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.folding import MemoryStyle
from hwmodels.memory import BRAM18_SHAPES
from hwmodels.vendor_rows import vendor_rows

if TYPE_CHECKING:
    from hwmodels.vendor_rows import VendorLayer

PIECE_LUTS_PER_BIT: Final = {"xc7": 1.0, "xcup": 0.5}
"""LUTs per bit of up to 32 words, by family: measured. On UltraScale+ Vivado uses both outputs of a LUT."""

URAM_WORDS: Final = 4096
URAM_BITS: Final = 72
"""One UltraRAM holds 4096 words of 72 bits (AMD UG573)."""


def memory_shape(layer: VendorLayer) -> tuple[int, int]:
    """Words and bits of the weight memory: one word a cycle, padded to whole bytes as its stream is.

    >>> from hwmodels.vendor_rows import VendorStyle, VendorLayer
    >>> layer = VendorLayer(outputs=64, depth=784, pe=1, simd=49, weight_bits=1, activation_bits=1,
    ...                     style=VendorStyle.HLS_LUT)
    >>> memory_shape(layer)
    (1024, 56)
    """
    return layer.groups * layer.passes, -(-layer.lanes * layer.weight_bits // 8) * 8


def weights_in(layer: VendorLayer) -> MemoryStyle:
    """Where the weights are, with `MemoryStyle.AUTO` decided as Vivado did: small memories in LUTs."""
    if layer.weights is not MemoryStyle.AUTO:
        return layer.weights
    words, bits = memory_shape(layer)
    return MemoryStyle.LUTRAM if words * bits <= auto_limit_bits() else MemoryStyle.BRAM


def memory_luts(layer: VendorLayer, family: str) -> float:
    """LUTs of the weight memory, 0 if it is elsewhere.

    Words are cut into powers of two: up to 32 words are one piece, more take a LUT per 64 words and bit, and beyond
    256 words the multiplexers between them. Pieces are joined by a multiplexer of one LUT a bit. One or two words left
    over vanish in it.
    """
    words, bits = memory_shape(layer)
    if words <= 1 or weights_in(layer) is not MemoryStyle.LUTRAM:
        return 0.0
    pieces = [1 << place for place in range(words.bit_length()) if words >> place & 1 and place > 1]
    if not pieces:
        return PIECE_LUTS_PER_BIT[family] * bits
    stored = sum(_piece_luts_per_bit(piece, family) for piece in pieces)
    return bits * (stored + len(pieces) - 1)


def memory_bram18s(layer: VendorLayer) -> int:
    """Block RAMs of 18 kbit of the weights, 0 if they are elsewhere: words filled up to a power of two, best shape.

    A single word is wiring.
    """
    words, bits = memory_shape(layer)
    if words <= 1 or weights_in(layer) is not MemoryStyle.BRAM:
        return 0
    filled = 1 << (words - 1).bit_length()
    return min(-(-bits // width) * -(-filled // depth) for depth, width in BRAM18_SHAPES)


def memory_urams(layer: VendorLayer) -> int:
    """UltraRAMs of the weights, 0 if they are elsewhere."""
    words, bits = memory_shape(layer)
    if weights_in(layer) is not MemoryStyle.URAM:
        return 0
    return -(-bits // URAM_BITS) * -(-words // URAM_WORDS)


@lru_cache(maxsize=1)
def auto_limit_bits() -> int:
    """Bits up to which `MemoryStyle.AUTO` means LUTs: between the largest memory seen there and the smallest in BRAM.

    The geometric mean of both; nothing was measured in between.
    """
    in_luts: list[int] = []
    in_blocks: list[int] = []
    for row in vendor_rows():
        words, bits = memory_shape(row.layer)
        if row.layer.weights is MemoryStyle.AUTO and words > 1:
            (in_blocks if row.bram18s else in_luts).append(words * bits)
    return round(math.sqrt(max(in_luts) * min(in_blocks)))


def _piece_luts_per_bit(words: int, family: str) -> float:
    if words <= 32:
        return PIECE_LUTS_PER_BIT[family]
    return words / 64 + max(0.0, words / 256 - 1) / 3
