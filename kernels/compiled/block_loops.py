"""Compiled loops over blocks with a scale that is a power of two, in values or in codes.

The fast loops (rounding half to even, scales that are normal numbers) are made of the passes of `block_chunks`; the
others do one block after the other, by any rounding and with any scale. The step of a power-of-two rule is one integer
addition to the bits of the largest magnitude (see `blocks`). Integers are converted back to their width
after every operation, because Numba would widen them to 64 bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np
from numba import types

from kernels.compiled.bits import convert, from_bits, to_bits
from kernels.compiled.block_chunks import Scalar, find_scales, largest_magnitude, meaning_of, round_block
from kernels.compiled.block_elements import (
    Grid,
    magic_number,
    magnitude_code,
    magnitude_of,
    power_of_two,
    random_threshold,
    round_by_threshold,
    signed_code,
    signed_like,
)
from kernels.compiled.lanes import add, both, shift_right, sub
from kernels.compiled.vectors import LANES, load, smaller, spread, store

if TYPE_CHECKING:
    from numpy.typing import NDArray

DONE: Final = 0
NOT_FINITE: Final = 1
"""A block held infinity, or a NaN that is to be refused."""
TOO_LARGE: Final = 2
"""A result exceeds the dtype."""


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
def _clip(scaled: Scalar, bits: Scalar, grid: Grid) -> Scalar:
    return min(scaled, grid.negative_limit if bits > grid.magnitude_mask else grid.limit)


@numba.njit(forceinline=True)
def _signed(magnitude: Scalar, bits: Scalar, grid: Grid) -> Scalar:
    mask = grid.magnitude_mask
    return from_bits(to_bits(magnitude) | (bits & ~mask), grid.limit) + grid.zero


@numba.njit(cache=True, nogil=True)
def special_block(values: NDArray[Any], start: int, size: int, grid: Grid) -> int:
    """`DONE` if a block with specials may become NaN: that is asked for, and none of them is infinity."""
    for place in range(start, start + size):
        if abs(values[place]) == math.inf:
            return NOT_FINITE
    return DONE if grid.keep_nan else NOT_FINITE


@numba.njit(forceinline=True)
def _find_powers(largest: NDArray[Any], numbers: NDArray[Any], count: int, grid: Grid) -> Scalar:
    """Powers of two and their reciprocals, with the exponent kept in its place among the bits."""
    mask = grid.magnitude_mask
    unusual = convert(0, mask)
    for block in range(count):
        bits = to_bits(largest[block])
        field = convert(convert(bits + grid.addend, mask) & grid.exponent_mask, mask)
        up = convert(min(max(field, grid.low_field), grid.high_field) - grid.top_field, mask)
        numbers[0, block] = from_bits(up, grid.limit)
        numbers[1, block] = from_bits(grid.reciprocal - up, grid.limit)
        outside = convert(bits - grid.usual_low, mask) >= grid.usual_span
        unusual = add(unusual, convert(outside and bits != 0, mask))
    return unusual


@numba.njit(forceinline=True)
def _find_power_codes(
    largest: NDArray[Any], numbers: NDArray[Any], scales: NDArray[Any], index: int, count: int, grid: Grid
) -> Scalar:
    """The same, and the codes of the scales."""
    unusual = _find_powers(largest, numbers, count, grid)
    for block in range(count):
        exponent = np.int64(to_bits(numbers[0, block]) >> grid.float_bits) - grid.float_bias
        code = (grid.low if largest[block] == 0 else exponent) + grid.scale_offset
        scales[np.uintp(index + block)] = code & grid.scale_mask
    return unusual


@numba.njit(forceinline=True)
def _clipped(value: Scalar, down: Scalar, grid: Grid) -> Scalar:
    """Magnitudes divided by the scale, at most the largest element of their sign; of a value or a vector."""
    negative = shift_right(to_bits(value), spread(grid.sign_shift, value))  # all ones, or zero
    beyond = both(negative, spread(sub(to_bits(grid.negative_limit), to_bits(grid.limit)), value))
    limit = from_bits(add(spread(to_bits(grid.limit), value), beyond), grid.limit)
    return smaller(magnitude_of(value, grid) * spread(down, value), limit)


@numba.njit(forceinline=True)
def _decoded(value: Scalar, up: Scalar, down: Scalar, grid: Grid) -> Scalar:
    clipped = _clipped(value, down, grid)
    magic = magic_number(clipped, grid)
    rounded = ((clipped + magic) - magic) * spread(up, value)
    return signed_like(rounded, value, grid) + spread(grid.zero, value)


@numba.njit(forceinline=True)
def _cast_by_power(
    values: NDArray[Any], result: NDArray[Any], start: int, size: int, numbers: NDArray[Any], block: int, grid: Grid
) -> bool:
    up, down = numbers[0, block], numbers[1, block]
    in_vectors = size - size % LANES
    for place in range(0, in_vectors, LANES):
        index = np.uintp(start + place)  # unsigned: Numba then needs no code for negative indices
        store(result, index, _decoded(load(values, index), up, down, grid))
    for place in range(in_vectors, size):
        index = np.uintp(start + place)
        result[index] = _decoded(values[index], up, down, grid)
    return False


@numba.njit(forceinline=True)
def _encode_by_power(
    values: NDArray[Any], codes: NDArray[Any], start: int, size: int, numbers: NDArray[Any], block: int, grid: Grid
) -> bool:
    down = numbers[1, block]
    in_vectors = size - size % LANES
    for place in range(0, in_vectors, LANES):
        index = np.uintp(start + place)
        vector = load(values, index)
        store(codes, index, signed_code(magnitude_code(_clipped(vector, down, grid), grid), vector, grid))
    for place in range(in_vectors, size):
        index = np.uintp(start + place)
        code = magnitude_code(_clipped(values[index], down, grid), grid)
        codes[index] = signed_code(code, values[index], grid)
    return False


@meaning_of(find_scales)
def _find_scales(
    _largest: Scalar,
    _numbers: Scalar,
    result: Scalar,
    _scales: Scalar,
    _index: Scalar,
    _count: Scalar,
    constants: Scalar,
) -> Any:  # noqa: ANN401 - a function or None
    if getattr(constants, "instance_class", None) is not Grid:
        return None
    if isinstance(result.dtype, types.Float):
        return lambda largest, numbers, _result, _scales, _index, count, constants: _find_powers(
            largest, numbers, count, constants
        )
    return lambda largest, numbers, _result, scales, index, count, constants: _find_power_codes(
        largest, numbers, scales, index, count, constants
    )


@meaning_of(round_block)
def _round_block(
    _values: Scalar,
    result: Scalar,
    _start: Scalar,
    _size: Scalar,
    _numbers: Scalar,
    _block: Scalar,
    constants: Scalar,
) -> Any:  # noqa: ANN401 - a function or None
    if getattr(constants, "instance_class", None) is not Grid:
        return None
    function: Any = (
        _cast_by_power if isinstance(result.dtype, types.Float) else _encode_by_power
    ).py_func  # Numba compiles it itself
    return function


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
            largest = largest_magnitude(values, start, size)
            if largest >= grid.exponent_mask:
                result[start : start + size] = convert(math.nan, grid.limit)
                state |= special_block(values, start, size, grid)
                continue
            exponent = 0 if largest == 0 else _scale_exponent(largest, grid)
            first, second = exponent >> 1, exponent - (exponent >> 1)
            down_first, down_second = power_of_two(-first, grid), power_of_two(-second, grid)
            up_first, up_second = power_of_two(first, grid), power_of_two(second, grid)
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
            largest = largest_magnitude(values, start, size)
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
            first = power_of_two(-(exponent >> 1), grid)
            second = power_of_two((exponent >> 1) - exponent, grid)
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
            first, second = power_of_two(exponent >> 1, grid), power_of_two(exponent - (exponent >> 1), grid)
            for place in range(start, start + size):
                scaled = elements[place] * first * second
                if abs(scaled) == math.inf and abs(elements[place]) != math.inf:
                    state = TOO_LARGE
                elements[place] = scaled
    return state
