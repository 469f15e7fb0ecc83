"""Single elements of blocks: the constants of their format, and how compiled loops round and encode a magnitude.

Rounding to the grid adds and subtracts the power of two whose last bit is the grid's spacing, so the adder rounds half
to even. Most functions take a number or a vector of them (`kernels.compiled.vectors`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np

from kernels.compiled.bits import convert, from_bits, to_bits
from kernels.compiled.lanes import add, both, either, exclusive, shift_right, sub
from kernels.compiled.vectors import larger_bits, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kernels.compiled.block_chunks import Scalar


class Grid(NamedTuple):
    """Constants of a block format for one dtype; unsigned integers and floats of that dtype where it says so."""

    magnitude_mask: Any
    """Unsigned: all bits but the sign."""
    exponent_mask: Any
    """Unsigned: the bits of infinity."""
    addend: Any
    """Unsigned: what the scale rule adds to the bits of the largest magnitude."""
    minimum_field: Any
    """Unsigned: the bits of ``2**minimum_exponent``."""
    magic_step: Any
    """Unsigned: from the bits of a number's power of two to those of the magic number that rounds it."""
    limit: Any
    """Float: the largest element above zero."""
    negative_limit: Any
    """Float: the largest magnitude below zero."""
    zero: Any
    """Float: -0.0 to keep minus zero, +0.0 to make it plus zero."""
    threshold: Any
    """Float: the part of a spacing from which magnitudes are rounded up, if not half to even."""
    half_even: bool
    float_bits: int
    """Mantissa bits of the dtype."""
    float_bias: int
    mantissa_bits: int
    top: int
    """Exponent of the largest element."""
    low: int
    """Least exponent of a scale."""
    high: int
    low_field: Any
    """Unsigned: the exponent bits of amax that lead to the least usual scale; ``high_field`` to the greatest."""
    high_field: Any
    top_field: Any
    """Unsigned: ``top`` in the place of an exponent field, modulo the width."""
    reciprocal: Any
    """Unsigned: from the bits of a power of two to those of its reciprocal."""
    usual_low: Any
    """Unsigned: the bits of the least amax above 0 whose block is usual."""
    usual_span: Any
    """Unsigned: from there to the first amax whose block is not."""
    code_shift: Any
    """Unsigned: from an exponent field to its place in a code."""
    sign_shift: Any
    """Unsigned: from the sign bit to the last one."""
    sign_code: Any
    """Unsigned: the sign bit of a code; 0 for two's complement, which has ``flip`` all ones (else 0) instead."""
    flip: Any
    code_mask: Any
    """Unsigned: the bits of a code."""
    scale_offset: int
    """From a scale's exponent to its code."""
    scale_mask: int
    width: int
    """Bits of an element's code."""
    twos_complement: bool
    keep_nan: bool
    """Whether a NaN makes a block NaN instead of being refused."""


@numba.njit(forceinline=True)
def power_of_two(exponent: int, grid: Grid) -> Scalar:
    """A normal power of two in the dtype."""
    return from_bits((exponent + grid.float_bias) << grid.float_bits, grid.limit)


@numba.njit(forceinline=True)
def magnitude_of(value: Scalar, grid: Grid) -> Scalar:
    """A number or a vector of them without signs."""
    return from_bits(both(to_bits(value), spread(grid.magnitude_mask, value)), grid.limit)


@numba.njit(forceinline=True)
def signed_like(magnitude: Scalar, value: Scalar, grid: Grid) -> Scalar:
    """A magnitude, or a vector of them, with the sign of a value."""
    sign = both(to_bits(value), spread(convert(~grid.magnitude_mask, grid.magnitude_mask), value))
    return from_bits(either(to_bits(magnitude), sign), grid.limit)


@numba.njit(forceinline=True)
def magic_number(clipped: Scalar, grid: Grid) -> Scalar:
    """The power of two whose last bit is the spacing of the grid at a magnitude, or a vector of them."""
    exponent = both(to_bits(clipped), spread(grid.exponent_mask, clipped))
    field = larger_bits(exponent, spread(grid.minimum_field, clipped))
    return from_bits(add(field, spread(grid.magic_step, clipped)), grid.limit)


@numba.njit(forceinline=True)
def round_by_threshold(clipped: Scalar, threshold: Scalar, grid: Grid) -> Scalar:
    """One magnitude to the grid, by any rounding: down to the grid, then up from the threshold on (both exact)."""
    magic = magic_number(clipped, grid)
    nearest = (clipped + magic) - magic
    mask = grid.magnitude_mask
    spacing = from_bits(to_bits(magic) - convert(grid.float_bits << grid.float_bits, mask), grid.limit)
    below = nearest - (spacing if nearest > clipped else convert(0, clipped))
    up = below + (spacing if clipped - below >= threshold * spacing else convert(0, clipped))
    return nearest if grid.half_even else up


@numba.njit(forceinline=True)
def random_threshold(random: NDArray[Any], place: int, random_width: int, grid: Grid) -> Scalar:
    """The part of a spacing from which a value is rounded up: where its top bits plus the random ones carry."""
    if random_width == 0:
        return grid.threshold
    steps = convert((1 << random_width) - np.int64(random[place]), grid.limit)
    return steps * power_of_two(-random_width, grid)


@numba.njit(forceinline=True)
def magnitude_code(clipped: Scalar, grid: Grid) -> Scalar:
    """The code of a magnitude rounded half to even: its steps of the grid's spacing, and where its binade begins."""
    magic = magic_number(clipped, grid)
    steps = sub(to_bits(clipped + magic), to_bits(magic))
    first = sub(to_bits(magic), spread(add(grid.magic_step, grid.minimum_field), clipped))
    return add(steps, shift_right(first, spread(grid.code_shift, clipped)))


@numba.njit(forceinline=True)
def signed_code(code: Scalar, value: Scalar, grid: Grid) -> Scalar:
    """The code with the sign of a value: above the magnitude, or in two's complement."""
    negative = shift_right(to_bits(value), spread(grid.sign_shift, value))
    flip = both(negative, spread(grid.flip, value))
    magnitude = both(sub(exclusive(code, flip), flip), spread(grid.code_mask, value))
    return add(magnitude, both(negative, spread(grid.sign_code, value)))
