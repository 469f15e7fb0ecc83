"""Matrix products of block-scaled operands: exact (a Kulisch sum), and by the hardware's aligned rule.

Operands are element integers with one binary exponent per block along k. A common power of two of a row of the left, or
of a column of the right operand changes no bit of a sum, so exponents count from the least one of each row and column.
What is left is folded into the integers: one float64 product where all sums fit 53 bits, int8 limbs beyond.

Extra memory: both operands in float64, or as many int8 limbs as their widths need, and the result.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

from kernels.block_sums import BlockSums, check_blocks, check_width
from kernels.compiled.dot_panels import largest_magnitude
from kernels.compiled.int8_dots import int8_matmul_is_exact
from kernels.compiled.limbs import fits, has_int8_dot_products, limb_matmul, limbs_for, split
from kernels.definitions.dots import block_dot_aligned
from kernels.products import exact_matmul, matmul_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS: Final = 128
_INT64_BITS: Final = 62
_FLOAT64_BITS: Final = 53


@numba.njit(cache=True, nogil=True)
def _scale_rows(
    values: NDArray[Any],
    factors: NDArray[np.float64],
    block: int,
    result: NDArray[np.float64],
    largest: NDArray[np.float64],
) -> None:
    """Fold the factors in, and note the largest magnitude of every k."""
    for row in range(values.shape[0]):
        for index in range(factors.shape[1]):
            factor = factors[row, index]
            for k in range(index * block, min((index + 1) * block, values.shape[1])):
                scaled = np.float64(values[row, k]) * factor
                result[row, k] = scaled
                largest[k] = max(largest[k], abs(scaled))


@numba.njit(cache=True, nogil=True)
def _scale_columns(
    values: NDArray[Any],
    factors: NDArray[np.float64],
    block: int,
    largest: NDArray[np.float64],
    result: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Fold the factors in, and sum magnitudes times the left side's largest: a bound of every partial sum."""
    for k in range(values.shape[0]):
        factor, most = factors[k // block], largest[k]
        for column in range(values.shape[1]):
            scaled = np.float64(values[k, column]) * factor[column]
            result[k, column] = scaled
            sums[column] += most * abs(scaled)


def block_matmul(
    left: NDArray[Any],
    right: NDArray[Any],
    left_exponents: NDArray[Any],
    right_exponents: NDArray[Any],
    *,
    block: int,
) -> BlockSums:
    """The exact product of two block-scaled matrices, as `kernels.definitions.dots.block_dot`.

    Args:
        left: element integers in any numeric dtype that holds them, shape ``(m, k)``.
        right: the same, shape ``(k, n)``.
        left_exponents: binary exponent of each block's unit, shape ``(m, ceil(k / block))``.
        right_exponents: the same, shape ``(ceil(k / block), n)``.
        block: elements per block along k; the last block may be shorter.

    Raises:
        ValueError: if shapes do not fit.

    >>> one, eight = np.array([[0, 3]]), np.array([[0], [0]])
    >>> sums = block_matmul(np.array([[1, 1]]), np.array([[5], [1]]), one, eight, block=1)
    >>> sums.integers(), sums.row_exponents, sums.column_exponents
    (array([[13]]), array([0]), array([0]))
    """
    check_blocks(left, right, left_exponents, right_exponents, block)
    rows, columns = left_exponents.min(axis=1, initial=1 << 40), right_exponents.min(axis=0, initial=1 << 40)
    if left.shape[1] == 0:
        rows, columns = np.zeros_like(rows), np.zeros_like(columns)
    left_shifts = (left_exponents - rows[:, None]).astype(np.int64)
    right_shifts = (right_exponents - columns[None, :]).astype(np.int64)
    exponents = rows.astype(np.int64), columns.astype(np.int64)
    bits = [largest_magnitude(values).bit_length() for values in (left, right)]
    widest = [own + int(shifts.max(initial=0)) for own, shifts in zip(bits, (left_shifts, right_shifts), strict=True)]
    if max(widest) > _INT64_BITS or max(bits) > _FLOAT64_BITS:
        sums = exact_matmul(_shifted(left, left_shifts, block, 1), _shifted(right, right_shifts, block, 0))
        return BlockSums(sums[None], *exponents)
    # Exact: elements have at most 53 bits here, and the factors are powers of two.
    scaled_left, scaled_right = np.empty(left.shape), np.empty(right.shape)
    largest, sums_of = np.zeros(left.shape[1]), np.zeros(right.shape[1])
    _scale_rows(left, np.ldexp(1.0, left_shifts), block, scaled_left, largest)
    _scale_columns(right, np.ldexp(1.0, right_shifts), block, largest, scaled_right, sums_of)
    # The relative excess covers the rounding of these sums themselves.
    bound = math.ceil(float(sums_of.max(initial=0.0)) * (1 + 2.0**-20))
    if bound < 1 << 53:
        return BlockSums(matmul_in(np.float64, scaled_left, scaled_right)[None], *exponents)
    integers = scaled_left.astype(np.int64), scaled_right.astype(np.int64)
    limbs = [limbs_for(-largest_magnitude(values), largest_magnitude(values)) for values in integers]
    if not (has_int8_dot_products() and int8_matmul_is_exact() and fits(left.shape[1], *limbs)):
        return BlockSums(exact_matmul(*integers)[None], *exponents)
    wide = 0 if bound < 1 << _INT64_BITS else -(-(sum(limbs) - 1) // 4)
    sums = limb_matmul(split(integers[0], limbs[0]), split(integers[1], limbs[1]), wide=wide)
    return BlockSums(sums if wide else sums[None], *exponents)


def _shifted(values: NDArray[Any], shifts: NDArray[np.int64], block: int, axis: int) -> NDArray[Any]:
    """Python integers with the exponents folded in."""
    repeated = np.repeat(shifts, block, axis=axis)
    repeated = repeated[:, : values.shape[1]] if axis else repeated[: values.shape[0]]
    integers = np.array([int(value) for value in values.ravel().tolist()], dtype=object).reshape(values.shape)
    result: NDArray[Any] = integers << repeated.astype(object)
    return result


@numba.njit(cache=True, nogil=True)
def _add_shifted(
    parts: NDArray[Any], rows: NDArray[np.float64], columns: NDArray[np.float64], sums: NDArray[np.float64]
) -> None:
    for row in range(parts.shape[0]):
        factor = rows[row]
        for column in range(parts.shape[1]):
            sums[row, column] += math.floor(np.float64(parts[row, column]) * (factor * columns[column]))


@numba.njit(cache=True, nogil=True)
def _add_shifted_integers(
    parts: NDArray[Any], rows: NDArray[np.int64], columns: NDArray[np.int64], sums: NDArray[np.int64]
) -> None:
    for row in range(parts.shape[0]):
        for column in range(parts.shape[1]):
            part, shift = np.int64(parts[row, column]), rows[row] + columns[column]
            sums[row, column] += part << shift if shift >= 0 else part >> min(-shift, 63)


def block_matmul_aligned(
    left: NDArray[Any],
    right: NDArray[Any],
    left_exponents: NDArray[Any],
    right_exponents: NDArray[Any],
    *,
    block: int,
    unit: int,
    width: int,
    initial: NDArray[Any] | None = None,
) -> NDArray[np.int64]:
    """The hardware rule for blocks, element by element `kernels.definitions.dots.block_dot_aligned`.

    Args:
        left: element integers, shape ``(m, k)``.
        right: element integers, shape ``(k, n)``.
        left_exponents: as in `block_matmul`.
        right_exponents: as in `block_matmul`.
        block: elements per block along k.
        unit: binary exponent of the result's unit.
        width: bits of the two's complement result, 1 to 63.
        initial: integers in the result's unit added before saturation, broadcasting to ``(m, n)``; 0 if None.

    Returns:
        int64, shape ``(m, n)``.

    Raises:
        ValueError: if shapes do not fit or the width is out of range.
    """
    check_blocks(left, right, left_exponents, right_exponents, block)
    check_width(width)
    shape = left.shape[0], right.shape[1]
    first = np.zeros(shape) if initial is None else np.broadcast_to(initial, shape)
    largest = min(block, max(left.shape[1], 1)) * largest_magnitude(left) * largest_magnitude(right)
    highest = int(left_exponents.max(initial=-2000)) + int(right_exponents.max(initial=-2000)) - unit
    lowest = int(left_exponents.min(initial=2000)) + int(right_exponents.min(initial=2000)) - unit
    bits = largest.bit_length() + max(highest, 0) + left_exponents.shape[1].bit_length() + 1
    bits = max(bits, largest_magnitude(first).bit_length() + 2)
    if largest >= 1 << 53 or bits > _INT64_BITS:
        return _aligned_by_definition(
            left, right, left_exponents, right_exponents, block=block, unit=unit, width=width, first=first
        )
    lowest = min(lowest, int(left_exponents.min(initial=0)) - unit, int(right_exponents.min(initial=0)))
    reach = max(highest, int(left_exponents.max(initial=0)) - unit, int(right_exponents.max(initial=0)))
    # In float64, factors of blocks must be normal numbers.
    in_float = bits <= 53 and lowest > -900 and reach < 900
    dtype = np.float32 if largest < 1 << 24 else np.float64
    row_shifts, column_shifts = (left_exponents - unit).astype(np.int64), right_exponents.astype(np.int64)
    row_factors, column_factors = _powers(row_shifts), _powers(column_shifts)
    values, others = left.astype(dtype), right.astype(dtype)
    sums = np.array(first, dtype=np.float64 if in_float else np.int64)
    part = np.empty((min(_ROWS, shape[0]), shape[1]), dtype=dtype)
    for row in range(0, shape[0], _ROWS):
        stop = min(row + _ROWS, shape[0])
        for index in range(left_exponents.shape[1]):
            inside = slice(index * block, (index + 1) * block)
            product = np.matmul(values[row:stop, inside], others[inside], out=part[: stop - row])
            if in_float:
                factors = np.ascontiguousarray(row_factors[row:stop, index])
                _add_shifted(product, factors, column_factors[index], sums[row:stop])
            else:
                shifts = np.ascontiguousarray(row_shifts[row:stop, index])
                _add_shifted_integers(product, shifts, column_shifts[index], sums[row:stop])
    limit = 1 << (width - 1)
    return np.clip(sums.astype(np.int64), -limit, limit - 1)


def _powers(exponents: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.ldexp(1.0, np.clip(exponents, -1000, 1000))


def _aligned_by_definition(
    left: NDArray[Any],
    right: NDArray[Any],
    left_exponents: NDArray[Any],
    right_exponents: NDArray[Any],
    *,
    block: int,
    unit: int,
    width: int,
    first: NDArray[Any],
) -> NDArray[np.int64]:
    result = np.empty(first.shape, dtype=np.int64)
    for row, column in np.ndindex(*first.shape):
        result[row, column] = block_dot_aligned(
            [int(value) for value in left[row].tolist()],
            [int(value) for value in right[:, column].tolist()],
            left_exponents[row].tolist(),
            right_exponents[:, column].tolist(),
            block=block,
            unit=unit,
            width=width,
            initial=int(first[row, column]),
        )
    return result
