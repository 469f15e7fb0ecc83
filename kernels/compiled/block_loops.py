"""Compiled loops over blocks with a scale that is a power of two, in values or in codes, and what other loops share.

The fast loops (rounding half to even, scales that are normal numbers) are made of the passes of `block_chunks`; the
others do one block after the other, by any rounding and with any scale. The step of a power-of-two rule is one integer
addition to the bits of the largest magnitude (see `blocks`); rounding to the grid adds and subtracts the power of two
whose last bit is the grid's spacing, so the adder rounds half to even. Integers are converted back to their width after
every operation, because Numba would widen them to 64 bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numba
import numpy as np
from numba import types

from kernels.compiled.bits import convert, from_bits, to_bits
from kernels.compiled.block_chunks import Scalar, find_scales, largest_magnitude, meaning_of, round_block
from kernels.compiled.lanes import add, both, exclusive, shift_right, sub

if TYPE_CHECKING:
    from numpy.typing import NDArray

DONE: Final = 0
NOT_FINITE: Final = 1
"""A block held infinity, or a NaN that is to be refused."""
TOO_LARGE: Final = 2
"""A result exceeds the dtype."""


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
    bits = to_bits(value)
    return _clip(from_bits(bits & grid.magnitude_mask, grid.limit) * down, bits, grid)


@numba.njit(forceinline=True)
def _cast_by_power(
    values: NDArray[Any], result: NDArray[Any], start: int, size: int, numbers: NDArray[Any], block: int, grid: Grid
) -> bool:
    up, down = numbers[0, block], numbers[1, block]
    for place in range(size):
        index = np.uintp(start + place)  # unsigned: Numba then needs no code for negative indices
        clipped = _clipped(values[index], down, grid)
        magic = magic_number(clipped, grid)
        result[index] = _signed(((clipped + magic) - magic) * up, to_bits(values[index]), grid)
    return False


@numba.njit(forceinline=True)
def magnitude_code(clipped: Scalar, grid: Grid) -> Scalar:
    """The code of a magnitude rounded half to even: its steps of the grid's spacing, and where its binade begins."""
    magic = to_bits(magic_number(clipped, grid))
    steps = sub(to_bits(clipped + from_bits(magic, grid.limit)), magic)
    return add(steps, shift_right(sub(sub(magic, grid.magic_step), grid.minimum_field), grid.code_shift))


@numba.njit(forceinline=True)
def signed_code(code: Scalar, value: Scalar, grid: Grid) -> Scalar:
    """The code with the sign of a value: above the magnitude, or in two's complement."""
    negative = shift_right(to_bits(value), grid.sign_shift)
    flip = both(negative, grid.flip)
    return add(both(sub(exclusive(code, flip), flip), grid.code_mask), both(negative, grid.sign_code))


@numba.njit(forceinline=True)
def _encode_by_power(
    values: NDArray[Any], codes: NDArray[Any], start: int, size: int, numbers: NDArray[Any], block: int, grid: Grid
) -> bool:
    down = numbers[1, block]
    for place in range(size):
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
