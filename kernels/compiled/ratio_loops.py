"""Compiled loops over blocks whose scale is an E4M3 number (NVFP4): scales by division, E2M1 elements.

The work is done in float32 steps (by reciprocal or division), or in float64, where it is exact: the scale times the
tensor's scale has 28 significant bits, times a midpoint of E2M1 31, so a midpoint's product is a float64 and a rounded
quotient meets a midpoint only if the exact one does. The decoded value has 30 bits before it is rounded to the dtype.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numba
import numpy as np

from kernels.compiled.bits import convert, from_bits, to_bits
from kernels.compiled.block_loops import (
    DONE,
    Grid,
    Scalar,
    largest_magnitude,
    magic_number,
    random_threshold,
    round_by_threshold,
    special_block,
)
from kernels.fields import ARITHMETIC_EXACT, ARITHMETIC_RECIPROCAL

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Ratio(NamedTuple):
    """Constants of E4M3 scales; floats of the dtype the steps are done in."""

    tensor_scale: Any
    """Float: the scale of the whole tensor."""
    reciprocal: Any
    """Float: 1 by it."""
    minimum: Any
    """Float: the least block scale."""
    maximum: Any
    """Float: the greatest block scale, 448."""
    scale_grid: Grid
    """The grid of E4M3."""


Constants: TypeAlias = tuple[Grid, Grid, Ratio]
"""Of the values' dtype, of the dtype of the steps, of the scales."""


@numba.njit(forceinline=True, error_model="numpy")
def _block_scale(largest: Scalar, ratio: Ratio, element_limit: Scalar, arithmetic: int) -> Scalar:
    tensor_scale = ratio.tensor_scale
    if arithmetic == ARITHMETIC_EXACT:
        quotient = largest / (element_limit * tensor_scale)
    else:
        quotient = (largest / element_limit) / tensor_scale
    clipped = min(max(quotient, ratio.minimum), ratio.maximum)
    magic = magic_number(clipped, ratio.scale_grid)
    return (clipped + magic) - magic


@numba.njit(forceinline=True, error_model="numpy")
def _ratio_block(
    values: NDArray[Any],
    result: NDArray[Any],
    codes: NDArray[Any],
    start: int,
    size: int,
    random: NDArray[Any],
    random_width: int,
    arithmetic: int,
    grid: Grid,
    work: Grid,
    ratio: Ratio,
) -> Scalar:
    """One block: values if there is room for them, else codes; returns the block's scale."""
    mask = grid.magnitude_mask
    largest = from_bits(largest_magnitude(values, start, size, mask), grid.limit)
    scale = _block_scale(convert(largest, work.limit), ratio, work.limit, arithmetic)
    whole = ratio.tensor_scale * scale
    reciprocal = convert(1.0, work.limit) / whole
    if arithmetic == ARITHMETIC_RECIPROCAL:
        reciprocal = ratio.reciprocal / scale
    for place in range(size):
        value = values[start + place]
        magnitude = convert(abs(value), work.limit)
        quotient = magnitude * reciprocal if arithmetic == ARITHMETIC_RECIPROCAL else magnitude / whole
        clipped = min(quotient, work.limit)
        if work.half_even:
            magic = magic_number(clipped, work)
            rounded = (clipped + magic) - magic
        else:
            rounded = round_by_threshold(clipped, random_threshold(random, start + place, random_width, work), work)
        if codes.size:
            # The eight magnitudes 0, .5, 1, 1.5, 2, 3, 4, 6 in order: their doubles in steps of 1, 2 and 4.
            twice = convert(rounded + rounded, 0)
            code = min(twice, 2 + twice // 2, 4 + twice // 4)
            codes[start + place] = code + (8 if to_bits(value) > mask else 0)
        else:
            decoded = convert(rounded * whole, grid.limit)
            result[start + place] = math.copysign(decoded, value)
    return scale


@numba.njit(forceinline=True, error_model="numpy")
def _nearest(value: Scalar, quotient: Scalar, whole: Scalar, grid: Grid, work: Grid) -> Scalar:
    """The decoded value: the quotient rounded half to even to an element, times the scale, with the value's sign."""
    clipped = min(quotient, work.limit)
    magic = magic_number(clipped, work)
    decoded = convert(((clipped + magic) - magic) * whole, grid.limit)
    return from_bits(to_bits(decoded) | (to_bits(value) & ~grid.magnitude_mask), grid.limit)


@numba.njit(forceinline=True, error_model="numpy")
def _multiply_usual_block(
    values: NDArray[Any], result: NDArray[Any], start: int, size: int, arithmetic: int, constants: Constants
) -> Scalar:
    """By reciprocal, half to even, without branches; returns 1 if the block holds infinity or NaN, else 0."""
    grid, work, ratio = constants
    bits = largest_magnitude(values, start, size, grid.magnitude_mask)
    scale = _block_scale(convert(from_bits(bits, grid.limit), work.limit), ratio, work.limit, arithmetic)
    whole = ratio.tensor_scale * scale
    reciprocal = ratio.reciprocal / scale
    for place in range(size):
        index = np.uintp(start + place)
        result[index] = _nearest(values[index], abs(values[index]) * reciprocal, whole, grid, work)
    return np.int64(bits >= grid.exponent_mask)


@numba.njit(forceinline=True, error_model="numpy")
def _divide_usual_block(
    values: NDArray[Any], result: NDArray[Any], start: int, size: int, arithmetic: int, constants: Constants
) -> Scalar:
    """The same by division. One function for both would branch, and Numba then counts references at every block."""
    grid, work, ratio = constants
    bits = largest_magnitude(values, start, size, grid.magnitude_mask)
    scale = _block_scale(convert(from_bits(bits, grid.limit), work.limit), ratio, work.limit, arithmetic)
    whole = ratio.tensor_scale * scale
    for place in range(size):
        index = np.uintp(start + place)
        quotient = convert(abs(values[index]), work.limit) / whole
        result[index] = _nearest(values[index], quotient, whole, grid, work)
    return np.int64(bits >= grid.exponent_mask)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def multiply_usual_rows(
    values: NDArray[Any], result: NDArray[Any], columns: int, block_size: int, arithmetic: int, constants: Constants
) -> int:
    """Quantise and dequantise half to even; returns how many blocks, for `ratio_rows`, are not finite."""
    unusual = 0
    full = columns - columns % block_size
    for row in range(0, values.size, columns):
        if block_size == 16:
            for block in range(0, full, 16):
                unusual += _multiply_usual_block(values, result, row + block, 16, arithmetic, constants)
        else:
            for block in range(0, full, block_size):
                unusual += _multiply_usual_block(values, result, row + block, block_size, arithmetic, constants)
        if full < columns:
            unusual += _multiply_usual_block(values, result, row + full, columns - full, arithmetic, constants)
    return unusual


@numba.njit(cache=True, nogil=True, error_model="numpy")
def divide_usual_rows(
    values: NDArray[Any], result: NDArray[Any], columns: int, block_size: int, arithmetic: int, constants: Constants
) -> int:
    """The same as `multiply_usual_rows` by division."""
    unusual = 0
    full = columns - columns % block_size
    for row in range(0, values.size, columns):
        if block_size == 16:
            for block in range(0, full, 16):
                unusual += _divide_usual_block(values, result, row + block, 16, arithmetic, constants)
        else:
            for block in range(0, full, block_size):
                unusual += _divide_usual_block(values, result, row + block, block_size, arithmetic, constants)
        if full < columns:
            unusual += _divide_usual_block(values, result, row + full, columns - full, arithmetic, constants)
    return unusual


@numba.njit(cache=True, nogil=True, error_model="numpy")
def ratio_rows(
    values: NDArray[Any],
    result: NDArray[Any],
    codes: NDArray[Any],
    scales: NDArray[Any],
    columns: int,
    block_size: int,
    random: NDArray[Any],
    random_width: int,
    arithmetic: int,
    grid: Grid,
    work: Grid,
    ratio: Ratio,
) -> int:
    """Quantise rows of ``columns`` values, flat, to values (``codes`` empty) or to codes (``result`` empty).

    ``grid`` holds the constants of the values' dtype, ``work`` those of the dtype of the steps. ``scales``, if it is
    not empty, receives the scale of each block. Returns `DONE` or what went wrong.
    """
    state, index = DONE, 0
    for row in range(0, values.size, columns):
        for block in range(0, columns, block_size):
            start, size = row + block, min(block_size, columns - block)
            if largest_magnitude(values, start, size, grid.magnitude_mask) >= grid.exponent_mask:
                state |= special_block(values, start, size, grid)
                scale = convert(math.nan, work.limit)
                if codes.size:
                    codes[start : start + size] = 0
                else:
                    result[start : start + size] = convert(math.nan, grid.limit)
            else:
                scale = _ratio_block(
                    values, result, codes, start, size, random, random_width, arithmetic, grid, work, ratio
                )
            if scales.size:
                scales[index] = scale
                index += 1
    return state
