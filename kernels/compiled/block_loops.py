"""Compiled loops over blocks: the largest magnitude, the scale, one rounding per value; in values or in codes.

All loops run in two passes over a block that stays in registers or the first-level cache, without branches on values.
The step of a power-of-two rule is one integer addition to the bits of the largest magnitude (see `blocks`); rounding
to the grid adds and subtracts the power of two whose last bit is the grid's spacing, so the adder rounds half to even.
Integers are converted back to their width after every operation, because Numba would widen them to 64 bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from kernels.compiled.bits import convert, from_bits, to_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

DONE: Final = 0
NOT_FINITE: Final = 1
"""A block held infinity, or a NaN that is to be refused."""
TOO_LARGE: Final = 2
"""A result exceeds the dtype."""

Scalar: TypeAlias = Any
"""A float or an unsigned integer of the width of the values: the loops compile for both widths."""
_LANES: Final = 16


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
    width: int
    """Bits of an element's code."""
    twos_complement: bool
    keep_nan: bool
    """Whether a NaN makes a block NaN instead of being refused."""


@intrinsic
def _largest_of_lanes(_context: Any, values: Any, start: Any, mask: Any) -> Any:  # noqa: ANN401 - Numba's protocol
    """The largest magnitude, as bits, of 16 values from a flat position on, as one vector operation.

    LLVM unrolls short loops before it looks for vectors, so a plain loop over a block compares one value at a time.
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - Numba's protocol
        word = context.get_value_type(mask)
        vector = ir.VectorType(word, _LANES)
        data = context.make_array(values)(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())
        lanes = builder.load(pointer)
        lanes.align = word.width // 8
        magnitudes = ir.Constant(vector, [ir.Constant(word, (1 << (word.width - 1)) - 1)] * _LANES)
        kind = ir.FunctionType(word, [vector])
        largest = builder.module.declare_intrinsic(f"llvm.vector.reduce.umax.v{_LANES}i{word.width}", fnty=kind)
        return builder.call(largest, [builder.and_(lanes, magnitudes)])

    return mask(values, start, mask), generate


@numba.njit(forceinline=True)
def largest_magnitude(values: NDArray[Any], start: int, size: int, mask: Scalar) -> Scalar:
    """The bits of the largest magnitude of a block."""
    largest = convert(0, mask)
    groups = size // _LANES
    for group in range(groups):
        largest = max(largest, _largest_of_lanes(values, start + group * _LANES, mask))
    for place in range(groups * _LANES, size):
        largest = max(largest, convert(to_bits(values[np.uintp(start + place)]) & mask, mask))
    return largest


@numba.njit(forceinline=True)
def _scale_exponent(largest: Scalar, grid: Grid) -> Scalar:
    """The scale's exponent; a zero block takes the least one. A subnormal is made normal first."""
    if largest == 0:
        return grid.low
    shift = 0
    if largest >> grid.float_bits == 0:
        shift = grid.float_bits + 1
        factor = from_bits((grid.float_bias + shift) << grid.float_bits, grid.limit)
        largest = to_bits(from_bits(largest, grid.limit) * factor)
    exponent = np.int64(convert(largest + grid.addend, largest) >> grid.float_bits)
    return min(max(exponent - grid.float_bias - shift - grid.top, grid.low), grid.high)


@numba.njit(forceinline=True)
def _power_of_two(exponent: int, grid: Grid) -> Scalar:
    return from_bits((exponent + grid.float_bias) << grid.float_bits, grid.limit)


@numba.njit(forceinline=True)
def magic_number(clipped: Scalar, grid: Grid) -> Scalar:
    """The power of two whose last bit is the spacing of the grid at a magnitude."""
    mask = grid.magnitude_mask
    field = max(convert(to_bits(clipped) & grid.exponent_mask, mask), grid.minimum_field)
    return from_bits(field + grid.magic_step, grid.limit)


@numba.njit(forceinline=True)
def _clip(scaled: Scalar, bits: Scalar, grid: Grid) -> Scalar:
    return min(scaled, grid.negative_limit if bits > grid.magnitude_mask else grid.limit)


@numba.njit(forceinline=True)
def _signed(magnitude: Scalar, bits: Scalar, grid: Grid) -> Scalar:
    mask = grid.magnitude_mask
    return from_bits(to_bits(magnitude) | (bits & ~mask), grid.limit) + grid.zero


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
    return steps * _power_of_two(-random_width, grid)


@numba.njit(cache=True, nogil=True)
def special_block(values: NDArray[Any], start: int, size: int, grid: Grid) -> int:
    """`DONE` if a block with specials may become NaN: that is asked for, and none of them is infinity."""
    for place in range(start, start + size):
        if abs(values[place]) == math.inf:
            return NOT_FINITE
    return DONE if grid.keep_nan else NOT_FINITE


@numba.njit(forceinline=True)
def _cast_usual_block(values: NDArray[Any], result: NDArray[Any], start: int, size: int, grid: Grid) -> Scalar:
    """Half to even, where the scale and its reciprocal are normal numbers; returns 1 if the block is not so, else 0.

    Without branches: the exponent stays in its place among the bits, and an unusual block gets a meaningless result.
    """
    mask = grid.magnitude_mask
    largest = largest_magnitude(values, start, size, mask)
    field = convert(convert(largest + grid.addend, mask) & grid.exponent_mask, mask)
    up_bits = convert(min(max(field, grid.low_field), grid.high_field) - grid.top_field, mask)
    up = from_bits(up_bits, grid.limit)
    down = from_bits(grid.reciprocal - up_bits, grid.limit)
    for place in range(size):
        index = np.uintp(start + place)  # unsigned: Numba then needs no code for negative indices
        bits = to_bits(values[index])
        clipped = _clip(from_bits(bits & mask, grid.limit) * down, bits, grid)
        magic = magic_number(clipped, grid)
        result[index] = _signed(((clipped + magic) - magic) * up, bits, grid)
    return np.int64(convert(largest - grid.usual_low, mask) >= grid.usual_span and largest != 0)


@numba.njit(cache=True, nogil=True)
def cast_usual_rows(values: NDArray[Any], result: NDArray[Any], columns: int, block_size: int, grid: Grid) -> int:
    """Quantise and dequantise rows of ``columns`` values, flat; returns how many blocks are not usual.

    The results of those are meaningless: they are for `cast_rows`. Nothing but the usual case is in this loop, so that
    all of it stays in registers; known sizes become whole vectors.
    """
    unusual = 0
    full = columns - columns % block_size
    for row in range(0, values.size, columns):
        if block_size == 32:
            for block in range(0, full, 32):
                unusual += _cast_usual_block(values, result, row + block, 32, grid)
        elif block_size == 16:
            for block in range(0, full, 16):
                unusual += _cast_usual_block(values, result, row + block, 16, grid)
        else:
            for block in range(0, full, block_size):
                unusual += _cast_usual_block(values, result, row + block, block_size, grid)
        if full < columns:
            unusual += _cast_usual_block(values, result, row + full, columns - full, grid)
    return unusual


@numba.njit(cache=True, nogil=True)
def cast_rows(
    values: NDArray[Any],
    result: NDArray[Any],
    columns: int,
    block_size: int,
    random: NDArray[np.uint32],
    random_width: int,
    grid: Grid,
) -> int:
    """Quantise and dequantise rows of ``columns`` values, flat, by any rounding and with any scale.

    Both factors of a scale are halved, so that each half is a normal number. Returns `DONE` or what went wrong.
    """
    state = DONE
    for row in range(0, values.size, columns):
        for block in range(0, columns, block_size):
            start, size = row + block, min(block_size, columns - block)
            largest = largest_magnitude(values, start, size, grid.magnitude_mask)
            if largest >= grid.exponent_mask:
                result[start : start + size] = convert(math.nan, grid.limit)
                state |= special_block(values, start, size, grid)
                continue
            exponent = 0 if largest == 0 else _scale_exponent(largest, grid)
            first, second = exponent >> 1, exponent - (exponent >> 1)
            down_first, down_second = _power_of_two(-first, grid), _power_of_two(-second, grid)
            up_first, up_second = _power_of_two(first, grid), _power_of_two(second, grid)
            for place in range(size):
                index = np.uintp(start + place)
                bits = to_bits(values[index])
                magnitude = from_bits(bits & grid.magnitude_mask, grid.limit)
                clipped = _clip(magnitude * down_first * down_second, bits, grid)
                threshold = random_threshold(random, index, random_width, grid)
                rounded = round_by_threshold(clipped, threshold, grid) * up_first * up_second
                if to_bits(rounded) == grid.exponent_mask:
                    state |= TOO_LARGE
                result[index] = _signed(rounded, bits, grid)
    return state


@numba.njit(cache=True, nogil=True)
def encode_rows(
    values: NDArray[Any],
    elements: NDArray[Any],
    scales: NDArray[np.int64],
    columns: int,
    block_size: int,
    random: NDArray[np.uint32],
    random_width: int,
    grid: Grid,
) -> int:
    """Codes of the elements and exponents of the scales, in the order of the blocks; returns as `cast_rows`.

    A block with a NaN has the exponent ``grid.high + 1``, if it is not refused.
    """
    state, index = DONE, 0
    minimum = from_bits(grid.minimum_field, grid.limit)
    drop = grid.float_bits - grid.mantissa_bits
    sign = 1 << (grid.width - 1)
    for row in range(0, values.size, columns):
        for block in range(0, columns, block_size):
            start, size = row + block, min(block_size, columns - block)
            largest = largest_magnitude(values, start, size, grid.magnitude_mask)
            if largest >= grid.exponent_mask:
                state |= special_block(values, start, size, grid)
                elements[start : start + size] = 0
                scales[index] = grid.high + 1
                index += 1
                continue
            exponent = _scale_exponent(largest, grid)
            scales[index] = exponent
            index += 1
            if largest == 0:
                exponent = 0
            first = _power_of_two(-(exponent >> 1), grid)
            second = _power_of_two((exponent >> 1) - exponent, grid)
            for place in range(start, start + size):
                bits = to_bits(values[place])
                magnitude = from_bits(bits & grid.magnitude_mask, grid.limit)
                clipped = _clip(magnitude * first * second, bits, grid)
                rounded = round_by_threshold(clipped, random_threshold(random, place, random_width, grid), grid)
                # A magnitude code grows by one at each number of the grid. Below the first normal number the grid is
                # that of the first binade, so adding that number gives its mantissa.
                if rounded < minimum:
                    code = np.int64((to_bits(rounded + minimum) - grid.minimum_field) >> drop)
                else:
                    code = np.int64((to_bits(rounded) - grid.minimum_field) >> drop) + (1 << grid.mantissa_bits)
                if bits > grid.magnitude_mask:
                    code = ((1 << grid.width) - code) & ((1 << grid.width) - 1) if grid.twos_complement else code + sign
                elements[place] = code
    return state


@numba.njit(cache=True, nogil=True)
def scale_rows(
    elements: NDArray[Any], exponents: NDArray[np.int64], columns: int, block_size: int, nan_exponent: int, grid: Grid
) -> int:
    """Multiply the values of elements, flat, by the scales of their blocks, in place; returns as `cast_rows`."""
    state, index = DONE, 0
    for row in range(0, elements.size, columns):
        for block in range(0, columns, block_size):
            start, size = row + block, min(block_size, columns - block)
            exponent = exponents[index]
            index += 1
            if exponent == nan_exponent:
                elements[start : start + size] = convert(math.nan, grid.limit)
                continue
            first, second = _power_of_two(exponent >> 1, grid), _power_of_two(exponent - (exponent >> 1), grid)
            for place in range(start, start + size):
                scaled = elements[place] * first * second
                if abs(scaled) == math.inf and abs(elements[place]) != math.inf:
                    state = TOO_LARGE
                elements[place] = scaled
    return state
