"""Blocks by definition, on Python integers and rationals: what `emulation.block_tensors` has to equal."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from kernels.rounding import HALF_EVEN, INTEGER_GRID, as_dyadic, round_shift, round_to_float_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulation.grids import BlockGrid, Grid


def on_grid(numerator: int, shift: int, grid: Grid, rounding: int = HALF_EVEN) -> int:
    """``numerator * 2**-shift`` rounded once to a range of integers or a minifloat's, and saturated."""
    if grid.mantissa_bits == INTEGER_GRID:
        value = round_shift(numerator, shift, rounding)
    else:
        value = round_to_float_grid(numerator, shift, grid.mantissa_bits, rounding)
    return min(max(value, grid.low), grid.high)


def encode_block(numbers: Sequence[Fraction], grid: BlockGrid) -> tuple[list[int], int]:
    """The elements and the scale of one block of exact numbers (multiples of powers of two).

    >>> from emulation.catalogue import parse
    >>> from emulation.grids import block_grid_of
    >>> encode_block([Fraction(5), Fraction(-1, 2), Fraction(100)], block_grid_of(parse("bfp4/4")))
    ([0, 0, 6], 4)
    """
    largest = max(abs(number) for number in numbers)
    if grid.scale_unit is None:
        low, high = grid.scale_levels
        scale = low
        if largest:
            numerator, shift = as_dyadic(largest)
            scale = min(max(numerator.bit_length() - 1 - shift - grid.top, low), high)
        return [_cast(number / Fraction(2) ** scale, grid.element) for number in numbers], scale
    unit = Fraction(2) ** grid.scale_unit
    scale = _nearest_scale(largest / grid.element.high / unit, grid.scale_levels)
    return [_cast(number / (scale * unit), grid.element) for number in numbers], scale


def _cast(number: Fraction, grid: Grid) -> int:
    numerator, shift = as_dyadic(abs(number))
    magnitude = on_grid(numerator, shift, grid)
    return magnitude if number >= 0 else on_grid(-numerator, shift, grid)


def _nearest_scale(number: Fraction, levels: Sequence[int]) -> int:
    """The nearest of the levels; halfway between two, the one with the even code, the codes counting from 1."""
    code = min(range(len(levels)), key=lambda place: (abs(levels[place] - number), place % 2 == 0))
    return levels[code]
