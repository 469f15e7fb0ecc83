"""Compiled loops over blocks whose scale is an E4M3 number (NVFP4): scales by division, E2M1 elements.

The work is done in float32 steps (by reciprocal or division), or in float64, where it is exact: the scale times the
tensor's scale has 28 significant bits, times a midpoint of E2M1 31, so a midpoint's product is a float64 and a rounded
quotient meets a midpoint only if the exact one does. The decoded value has 30 bits before it is rounded to the dtype.

The fast loops (half to even) multiply by a reciprocal. That is the definition of one arithmetic; for the others it is
the quotient but for an error below 2**-22 of it, which matters beside a midpoint only: a block with such a value is
done again by thresholds. A quotient rounds up from a midpoint on exactly if the value exceeds the midpoint times the
scale.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numba
import numpy as np
from numba import types

from kernels.compiled.bits import convert, from_bits, to_bits
from kernels.compiled.block_chunks import NUMBERS, Scalar, find_scales, largest_magnitude, meaning_of, round_block
from kernels.compiled.block_elements import (
    Grid,
    magic_number,
    magnitude_code,
    magnitude_of,
    random_threshold,
    round_by_threshold,
    signed_code,
    signed_like,
)
from kernels.compiled.block_loops import DONE, special_block
from kernels.compiled.lanes import add, choose, multiply_add
from kernels.compiled.vectors import LANES, any_reaches, load, smaller, spread, store
from kernels.fields import ARITHMETIC_RECIPROCAL

if TYPE_CHECKING:
    from numpy.typing import NDArray


_SCALE: Final = NUMBERS - 1
"""The row of a chunk's numbers that holds the scales."""


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
    first_divisor: Any
    """Float: what the largest magnitude is divided by for the scale; then by ``second_divisor``, maybe 1."""
    second_divisor: Any
    scale_grid: Grid
    """The grid of E4M3."""
    certain: float
    """Which part of a magic number the rounding error of an approximate quotient must reach to be uncertain."""
    midpoints: tuple[float, float, float, float]
    """Beyond (first and third) or from (others) which quotients round up: 0.25, 0.75, 1.25 and 1.75, or half a unit in
    the last place of a float32 quotient more and less, so that the exact quotient can be asked."""


Constants: TypeAlias = tuple[Grid, Grid, Ratio]
"""Of the values' dtype, of the dtype of the steps, of the scales."""


@numba.njit(forceinline=True, error_model="numpy")
def _block_scale(largest: Scalar, ratio: Ratio) -> Scalar:
    quotient = largest / ratio.first_divisor / ratio.second_divisor
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
    largest = from_bits(largest_magnitude(values, start, size), grid.limit)
    scale = _block_scale(convert(largest, work.limit), ratio)
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
def _find_ratios(largest: NDArray[Any], numbers: NDArray[Any], count: int, constants: Constants) -> Scalar:
    """The reciprocal of each scale (times the tensor's), the product itself, and what its rounding left over."""
    grid, work, ratio = constants
    unusual = convert(0, grid.exponent_mask)
    for block in range(count):
        scale = _block_scale(convert(largest[block], work.limit), ratio)
        whole = ratio.tensor_scale * scale
        rounded = convert(whole, grid.limit)
        numbers[0, block] = convert(ratio.reciprocal, grid.limit) / convert(scale, grid.limit)
        numbers[1, block] = rounded
        numbers[2, block] = convert(whole - convert(rounded, work.limit), grid.limit)
        numbers[_SCALE, block] = scale
        unusual = add(unusual, convert(to_bits(largest[block]) >= grid.exponent_mask, grid.exponent_mask))
    return unusual


@numba.njit(forceinline=True)
def _find_ratios_and_codes(
    largest: NDArray[Any], numbers: NDArray[Any], scales: NDArray[Any], index: int, count: int, constants: Constants
) -> Scalar:
    """The same, and the codes of the scales."""
    _, work, ratio = constants
    unusual = _find_ratios(largest, numbers, count, constants)
    for block in range(count):
        code = magnitude_code(convert(numbers[_SCALE, block], work.limit), ratio.scale_grid)
        scales[np.uintp(index + block)] = code
    return unusual


@numba.njit(forceinline=True)
def _clipped(value: Scalar, reciprocal: Scalar, grid: Grid) -> Scalar:
    return smaller(magnitude_of(value, grid) * spread(reciprocal, value), spread(grid.limit, value))


@numba.njit(forceinline=True)
def _round_quotient(clipped: Scalar, constants: Constants) -> tuple[Scalar, bool]:
    """The element nearest to a quotient, and whether one of a vector is too near a midpoint to be sure."""
    grid, _, ratio = constants
    magic = magic_number(clipped, grid)
    element = (clipped + magic) - magic
    uncertain = any_reaches(
        magnitude_of(clipped - element, grid), magic * spread(convert(ratio.certain, grid.limit), clipped)
    )
    return element, uncertain


@numba.njit(forceinline=True)
def _decoded(element: Scalar, value: Scalar, numbers: NDArray[Any], block: int, grid: Grid) -> Scalar:
    """An element times the scale: both products are exact, so the sum is the only rounding."""
    whole, rest = spread(numbers[1, block], value), spread(numbers[2, block], value)
    return signed_like(multiply_add(element, whole, element * rest), value, grid)


@numba.njit(forceinline=True)
def _cast_by_ratio(
    values: NDArray[Any],
    result: NDArray[Any],
    start: int,
    size: int,
    numbers: NDArray[Any],
    block: int,
    constants: Constants,
) -> bool:
    grid, _, _ = constants
    # Chosen, for a branch would make Numba count references.
    yes, uncertain = bool(1), bool(0)
    in_vectors = size - size % LANES
    for place in range(0, in_vectors, LANES):
        index = np.uintp(start + place)  # unsigned: Numba then needs no code for negative indices
        vector = load(values, index)
        element, unsure = _round_quotient(_clipped(vector, numbers[0, block], grid), constants)
        uncertain = choose(unsure, yes, uncertain)
        store(result, index, _decoded(element, vector, numbers, block, grid))
    for place in range(in_vectors, size):
        index = np.uintp(start + place)
        element, unsure = _round_quotient(_clipped(values[index], numbers[0, block], grid), constants)
        uncertain = choose(unsure, yes, uncertain)
        result[index] = _decoded(element, values[index], numbers, block, grid)
    return uncertain


@numba.njit(forceinline=True)
def _encode_by_ratio(
    values: NDArray[Any],
    codes: NDArray[Any],
    start: int,
    size: int,
    numbers: NDArray[Any],
    block: int,
    constants: Constants,
) -> bool:
    grid, _, _ = constants
    yes, uncertain = bool(1), bool(0)
    in_vectors = size - size % LANES
    for place in range(0, in_vectors, LANES):
        index = np.uintp(start + place)
        vector = load(values, index)
        clipped = _clipped(vector, numbers[0, block], grid)
        _, unsure = _round_quotient(clipped, constants)
        uncertain = choose(unsure, yes, uncertain)
        store(codes, index, signed_code(magnitude_code(clipped, grid), vector, grid))
    for place in range(in_vectors, size):
        index = np.uintp(start + place)
        scalar = _clipped(values[index], numbers[0, block], grid)
        _, unsure = _round_quotient(scalar, constants)
        uncertain = choose(unsure, yes, uncertain)
        codes[index] = signed_code(magnitude_code(scalar, grid), values[index], grid)
    return uncertain


@numba.njit(forceinline=True, error_model="numpy")
def _not_above(number: float, like: Scalar) -> Scalar:
    """The greatest float of a type that is not above a positive float64."""
    nearest = convert(number, like)
    bits = to_bits(nearest)
    return from_bits(bits - convert(np.float64(nearest) > number, bits), like)


@numba.njit(forceinline=True, error_model="numpy")
def _not_below(number: float, like: Scalar) -> Scalar:
    nearest = convert(number, like)
    bits = to_bits(nearest)
    return from_bits(bits + convert(np.float64(nearest) < number, bits), like)


@numba.njit(forceinline=True, error_model="numpy")
def _thresholds(whole: float, ratio: Ratio, like: Scalar) -> tuple[Scalar, ...]:
    """Above (0, 2, 4, 6) or from (others) which magnitudes each element is taken: exact products in float64."""
    two, four = convert(2, like), convert(4, like)
    quarter, three_quarters, five_quarters, seven_quarters = ratio.midpoints
    third = _not_above(whole * five_quarters, like)
    fourth = _not_below(whole * seven_quarters, like)
    first, second = _not_above(whole * quarter, like), _not_below(whole * three_quarters, like)
    return first, second, third, fourth, third * two, fourth * two, third * four


@numba.njit(forceinline=True)
def _count_below(magnitude: Scalar, thresholds: tuple[Scalar, ...]) -> int:
    """The code of the element: how many thresholds a magnitude has passed."""
    t0, t1, t2, t3, t4, t5, t6 = thresholds
    low = np.int64(magnitude > t0) + (magnitude >= t1) + (magnitude > t2) + (magnitude >= t3)
    code: int = low + (magnitude > t4) + (magnitude >= t5) + (magnitude > t6)
    return code


@numba.njit(cache=True, nogil=True, error_model="numpy")
def ratio_rows_again(
    values: NDArray[Any],
    result: NDArray[Any],
    codes: NDArray[Any],
    blocks: NDArray[np.intp],
    columns: int,
    block_size: int,
    constants: Constants,
) -> None:
    """Some blocks by thresholds, to values (``codes`` empty) or to codes: slower, and never in doubt."""
    grid, _, ratio = constants
    blocks_per_row = -(-columns // block_size)
    for index in blocks:
        row, place_in_row = index // blocks_per_row, index % blocks_per_row * block_size
        start, size = row * columns + place_in_row, min(block_size, columns - place_in_row)
        largest = from_bits(largest_magnitude(values, start, size), grid.limit)
        whole = np.float64(ratio.tensor_scale * _block_scale(convert(largest, ratio.minimum), ratio))
        thresholds = _thresholds(whole, ratio, grid.limit)
        for place in range(start, start + size):
            code = _count_below(abs(values[place]), thresholds)
            if codes.size:
                codes[place] = code + (8 if to_bits(values[place]) > grid.magnitude_mask else 0)
            else:
                # 0, 0.5, 1, 1.5, 2, 3, 4, 6; a float64 holds the product.
                element = code * 0.5 if code < 4 else (code - 2) * 1.0 if code < 6 else (code - 4) * 2.0
                result[place] = math.copysign(convert(element * whole, grid.limit), values[place])


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
    if not isinstance(constants, types.BaseAnonymousTuple):
        return None
    if isinstance(result.dtype, types.Float):
        return lambda largest, numbers, _result, _scales, _index, count, constants: _find_ratios(
            largest, numbers, count, constants
        )
    return lambda largest, numbers, _result, scales, index, count, constants: _find_ratios_and_codes(
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
    if not isinstance(constants, types.BaseAnonymousTuple):
        return None
    function: Any = (
        _cast_by_ratio if isinstance(result.dtype, types.Float) else _encode_by_ratio
    ).py_func  # Numba compiles it itself
    return function


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
            if largest_magnitude(values, start, size) >= grid.exponent_mask:
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
