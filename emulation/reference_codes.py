"""Tensors of the reference: codes as they are stored, and the integers they mean, flat in row-major order.

A tensor in blocks has its elements in the tensor's own order, and its scales in the order of a tensor with one entry
per block in place of the channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from emulation.block_reference import encode_block
from emulation.codes import code_of, integer_of, scale_code_of, scale_of_code
from emulation.formats import BlockScaled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from emulation.grids import BlockGrid
    from emulation.quantisers import ScaledQuantiser


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Elements and scales: integers, or codes."""

    elements: list[int]
    scales: list[int]


Integers: TypeAlias = list[int] | Blocks
Codes: TypeAlias = list[int] | Blocks


def plain(integers: Integers) -> list[int]:
    """Integers of a tensor that has no blocks.

    Raises:
        TypeError: if it has some.
    """
    if isinstance(integers, Blocks):
        raise TypeError("an operation that hardware mode does not define on blocks was given blocks")
    return integers


def encode(integers: Integers, quantiser: ScaledQuantiser) -> Codes:
    """The codes that mean these integers."""
    number_format, zero_point = quantiser.format, quantiser.zero_point
    if isinstance(integers, Blocks):
        block_format = _block_format(quantiser)
        return Blocks(
            elements=[code_of(integer, block_format) for integer in integers.elements],
            scales=[scale_code_of(scale, block_format) for scale in integers.scales],
        )
    return [code_of(integer, number_format, zero_point) for integer in integers]


def decode(codes: Codes, quantiser: ScaledQuantiser) -> Integers:
    """The integers these codes mean."""
    number_format, zero_point = quantiser.format, quantiser.zero_point
    if isinstance(codes, Blocks):
        block_format = _block_format(quantiser)
        return Blocks(
            elements=[integer_of(code, block_format) for code in codes.elements],
            scales=[scale_of_code(code, block_format) for code in codes.scales],
        )
    return [integer_of(code, number_format, zero_point) for code in codes]


def _block_format(quantiser: ScaledQuantiser) -> BlockScaled:
    if not isinstance(quantiser.format, BlockScaled):
        raise TypeError(f"{quantiser.format} has no blocks")
    return quantiser.format


def block_integers(numbers: Sequence[Fraction], grid: BlockGrid, *, shape: tuple[int, ...], axis: int) -> Blocks:
    """Exact numbers cast to blocks along an axis of the batch: 1 (channels first) or -1 (the last)."""
    length = shape[0] if axis == 1 else shape[-1]
    inner = math.prod(shape[1:]) if axis == 1 else 1
    outer = math.prod(shape) // (length * inner)
    count = -(-length // grid.size)
    elements, scales = [0] * len(numbers), [0] * (outer * count * inner)
    for row in range(outer):
        for place in range(inner):
            for block in range(count):
                channels = range(block * grid.size, min((block + 1) * grid.size, length))
                places = [(row * length + channel) * inner + place for channel in channels]
                found, scale = encode_block([numbers[index] for index in places], grid)
                scales[(row * count + block) * inner + place] = scale
                for index, element in zip(places, found, strict=True):
                    elements[index] = element
    return Blocks(elements=elements, scales=scales)


def nearest_level(number: Fraction, levels: Sequence[int]) -> int:
    """The nearest level; midpoints to the smaller magnitude, between ``-a`` and ``a`` to ``a`` (DESIGN 6.10).

    >>> from fractions import Fraction
    >>> [nearest_level(Fraction(n), (-4, -2, 2, 4)) for n in (-3, 0, 3, 9)]
    [-2, 2, 2, 4]
    """
    return min(levels, key=lambda level: (abs(level - number), abs(level), level < 0))
