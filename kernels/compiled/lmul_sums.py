"""Sums of L-Mul products: a fast loop for field additions, exact sums over any exponents, and any accumulator."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numba
import numpy as np

from kernels.compiled.dot_panels import add_to_odd, cast_array
from kernels.compiled.exact_dots import look_up
from kernels.compiled.lanes import Lane, add, exclusive, float_of
from kernels.compiled.lmul_products import greatest_exponent, least_exponent, multiply_codes, product_unit
from kernels.definitions import lmul as definition
from kernels.fields import LMUL_FIELD_CLAMPED, ORDER_CHUNKS_EXACT, AccumulatorFields, FixedFields, LMulFields
from kernels.orders import ordered_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kernels.compiled.lmul_products import LMulTable

_TILE: Final = 512
_PANEL_ROWS: Final = 16
_FLOAT64_BITS: Final = 53


class Words(NamedTuple):
    """A product's bit pattern: the limits of its magnitude, and the pattern of zero."""

    least: Any
    greatest: Any
    zero: Any


def exact_field_sums(
    left: NDArray[Any], right: NDArray[Any], left_table: LMulTable, right_table: LMulTable, fields: LMulFields
) -> NDArray[Any]:
    """Exact sums of field additions, as integers in `kernels.compiled.lmul_products.product_unit`.

    Float64 sums are exact while all products lie within 53 bits. Where the formats' exponents span more, the operands
    are split into classes of exponents (the others count as zero), and the classes' sums are added as integers.
    """
    unit = product_unit(left_table, right_table, fields)
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    depth_bits = left.shape[1].bit_length()
    # A product's exponent is at most two above the sum of its operands', and its mantissa has `bits` bits below it.
    needed = 3 + sum(greatest_exponent(table) - least_exponent(table) for table in (left_table, right_table))
    if fields.kind == LMUL_FIELD_CLAMPED:
        needed = fields.exponent_high - fields.exponent_low + 1
    if needed + bits + depth_bits <= _FLOAT64_BITS:
        sums = field_sums(left, right, left_table, right_table, fields, np.float64)
        integers: NDArray[np.int64] = np.ldexp(sums, -unit).astype(np.int64)
        return integers
    span = max((_FLOAT64_BITS - bits - 5 - depth_bits) // 2, 1)
    total = np.zeros((left.shape[0], right.shape[1]), dtype=object)
    for (low, some_left), (other_low, some_right) in product(
        classes(left, left_table, span), classes(right, right_table, span)
    ):
        sums = field_sums(left, right, some_left, some_right, fields, np.float64)
        least = low + other_low
        if fields.kind == LMUL_FIELD_CLAMPED:
            least = min(max(least, fields.exponent_low), fields.exponent_high)
        total += np.ldexp(sums, bits - least).astype(np.int64).astype(object) << (least - bits - unit)
    return narrow(total)


def classes(codes: NDArray[Any], table: LMulTable, span: int) -> list[tuple[int, LMulTable]]:
    """The least of ``span`` neighbouring exponents, and a table that keeps their operands and takes all others as zero.

    Only classes of which there is a code.
    """
    present = np.zeros(table.sign.size, dtype=np.bool_)
    present[codes.reshape(-1)] = True
    present &= table.sign != 0
    result = []
    while present.any():
        low = int(table.exponent[present].min())
        inside = (table.exponent >= low) & (table.exponent < low + span)
        result.append((low, table._replace(sign=np.where(inside, table.sign, 0))))
        present &= ~inside
    return result


def narrow(total: NDArray[Any]) -> NDArray[Any]:
    """Python integers as int64 if 62 bits hold all of them."""
    largest = max((abs(value) for value in total.ravel()), default=0)
    return total.astype(np.int64) if largest.bit_length() <= 62 else total


def sums_by_panels(
    left: NDArray[Any],
    right: NDArray[Any],
    left_table: LMulTable,
    right_table: LMulTable,
    fields: LMulFields,
    accumulator: AccumulatorFields,
) -> NDArray[Any]:
    """L-Mul products in any accumulator and order, a few rows at a time.

    Raises:
        ValueError: if a fixed-point accumulator, or the exact sum of a chunk, needs more than the 53 bits of float64.
    """
    grid = accumulator.grid
    exact_parts = accumulator.order == ORDER_CHUNKS_EXACT and accumulator.chunk > 1
    if isinstance(grid, FixedFields) or exact_parts:
        finest = product_unit(left_table, right_table, fields)
        exponents = [int(table.exponent[table.sign != 0].max(initial=0)) for table in (left_table, right_table)]
        highest = fields.exponent_high if fields.kind == LMUL_FIELD_CLAMPED else sum(exponents)
        top = highest + 2 + min(accumulator.chunk, max(left.shape[1], 1)).bit_length()
        if isinstance(grid, FixedFields):
            finest, top = min(finest, -grid.fraction_bits), max(top, grid.width - grid.fraction_bits) + 1
        if top - finest > 53:
            raise ValueError(
                f"L-Mul sums in {grid} need {top - finest} bits from the finest product to the largest sum, and 53 are "
                "there: use formats with fewer exponents, a smaller chunk, or the exact accumulator"
            )
    result = np.empty((left.shape[0], right.shape[1]), dtype=np.float64)
    for row in range(0, left.shape[0], _PANEL_ROWS):
        rows = slice(row, row + _PANEL_ROWS)

        def product_of(k: int, rows: slice = rows) -> NDArray[np.float64]:
            return multiply_codes(left[rows, k : k + 1], right[k : k + 1], left_table, right_table, fields)

        def cast_sum(total: NDArray[np.float64], added: NDArray[np.float64]) -> NDArray[np.float64]:
            return cast_array(add_to_odd(total, added), accumulator)

        zero = np.zeros((min(_PANEL_ROWS, left.shape[0] - row), right.shape[1]))
        result[rows] = ordered_sum(
            product_of,
            left.shape[1],
            accumulator,
            initial=zero,
            zero=zero,
            exact_sum=np.add,
            cast_sum=cast_sum,
        )
    if isinstance(grid, FixedFields):
        return np.ldexp(result, grid.fraction_bits).astype(np.int64)
    return result


def words_of(table: LMulTable, own_bits: int, dtype: Any, added: int) -> tuple[NDArray[Any], NDArray[Any]]:  # noqa: ANN401 - a NumPy integer type
    """Tables of magnitude words and sign words; ``added`` is put into every magnitude.

    A magnitude word is half of a float's bit pattern: the sum of two is the pattern of the product.
    """
    stored, zero = (23, -(1 << 30)) if dtype is np.int32 else (52, -(1 << 62))
    half_bias = 1 << (8 * np.dtype(dtype).itemsize - stored - 3)
    magnitude = ((table.exponent + half_bias) << stored) + (table.mantissa << (stored - own_bits)) + added
    sign = np.where(table.sign < 0, np.iinfo(dtype).min, 0)
    return np.where(table.sign == 0, zero, magnitude).astype(dtype), sign.astype(dtype)


def field_sums(
    left: NDArray[Any],
    right: NDArray[Any],
    left_table: LMulTable,
    right_table: LMulTable,
    fields: LMulFields,
    dtype: type[np.floating[Any]],
) -> NDArray[Any]:
    """Sums of field additions in k order, in float32 or float64; the caller has proven that the type suffices."""
    integer: Any = np.int32 if dtype is np.float32 else np.int64
    stored = 23 if dtype is np.float32 else 52
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    # Each half of the bias is a power of two; the bias itself is one less.
    offset = (1 << (stored - definition.offset_exponent(bits))) - (1 << stored)
    left_words, left_signs = words_of(left_table, fields.left_mantissa_bits, integer, offset)
    right_words, right_signs = words_of(right_table, fields.right_mantissa_bits, integer, 0)
    highest = np.iinfo(integer).max
    words = Words(integer(1), integer(highest), integer(0))
    if fields.kind == LMUL_FIELD_CLAMPED:
        bias = (1 << (8 * np.dtype(integer).itemsize - stored - 2)) - 1
        least = max((fields.exponent_low + bias) << stored, 1)
        greatest = ((fields.exponent_high + bias) << stored) + (fields.mantissa_high << (stored - bits))
        greatest = min(greatest, int(highest))
        words = Words(integer(least), integer(greatest), integer(0))
    result = np.zeros((left.shape[0], right.shape[1]), dtype=dtype)
    if left.size and right.size:
        _field_loop(
            look_up(left, left_words, integer),
            look_up(left, left_signs, integer),
            look_up(right, right_words, integer),
            look_up(right, right_signs, integer),
            words,
            result,
        )
    return result


@numba.njit(cache=True, nogil=True)
def _product(first: Lane, first_sign: Lane, second: Lane, second_sign: Lane, words: Words) -> Lane:
    pattern = min(add(first, second), words.greatest)
    # A zero operand makes the sum negative; so does an underflow below the least number, which is at least 1.
    pattern = words.zero if pattern < words.least else pattern
    return float_of(exclusive(pattern, exclusive(first_sign, second_sign)))


@numba.njit(cache=True, nogil=True)
def _field_loop(
    left: NDArray[Any],
    left_signs: NDArray[Any],
    right: NDArray[Any],
    right_signs: NDArray[Any],
    words: Words,
    result: NDArray[Any],
) -> None:
    rows, depth = left.shape
    columns = right.shape[1]
    sums = np.empty((4, _TILE), dtype=result.dtype)
    for start in range(0, columns, _TILE):
        width = min(_TILE, columns - start)
        for row in range(0, rows, 4):
            second, third, last = min(row + 1, rows - 1), min(row + 2, rows - 1), min(row + 3, rows - 1)
            sums[:] = 0
            for k in range(depth):
                a, b, c, d = left[row, k], left[second, k], left[third, k], left[last, k]
                sa, sb, sc, sd = left_signs[row, k], left_signs[second, k], left_signs[third, k], left_signs[last, k]
                others, signs = right[k, start : start + width], right_signs[k, start : start + width]
                for column in range(width):
                    other, sign = others[column], signs[column]
                    sums[0, column] += _product(a, sa, other, sign, words)
                    sums[1, column] += _product(b, sb, other, sign, words)
                    sums[2, column] += _product(c, sc, other, sign, words)
                    sums[3, column] += _product(d, sd, other, sign, words)
            for place in range(min(4, rows - row)):
                result[row + place, start : start + width] = sums[place, :width]
