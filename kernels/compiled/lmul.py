"""L-Mul products and matrix products of codes, bit for bit those of `kernels.definitions.lmul`.

The formula is a plain product of twice the depth (DESIGN 5.4), ``(X + (2**-l - 1) * P_x) * P_y + P_x * Y`` with
``P = sign * 2**e`` and ``X = sign * (1 + m) * 2**e``. The field addition is an integer addition of float bit patterns,
with the signs in a word of their own and zeros as a large negative number.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kernels.compiled.exact_dots import check_shapes, exact_matmul_codes
from kernels.compiled.float_plans import IEEE_SINGLE
from kernels.compiled.lmul_products import (
    LMulTable,
    check_finite,
    greatest_exponent,
    least_exponent,
    multiply_codes,
    operand_table,
    product_unit,
)
from kernels.compiled.lmul_sums import classes, exact_field_sums, field_sums, narrow, sums_by_panels
from kernels.definitions import lmul as definition
from kernels.definitions.dots import check_options
from kernels.fields import (
    LMUL_FIELD_CLAMPED,
    LMUL_FORMULA,
    ORDER_ASCENDING,
    OVERFLOW_INFINITY,
    AccumulatorFields,
    FloatFields,
    LMulFields,
)
from kernels.rounding import HALF_EVEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LMulTable", "matmul_codes", "multiply_codes", "operand_table", "product_unit"]

_EXACT: Final = AccumulatorFields()
_WORD_SPAN: Final = 58
"""Operands that span so many bits, those of the mantissa among them, are integers of 62 bits."""


def matmul_codes(
    left: NDArray[Any],
    right: NDArray[Any],
    left_table: LMulTable,
    right_table: LMulTable,
    fields: LMulFields,
    *,
    accumulator: AccumulatorFields = _EXACT,
) -> NDArray[Any]:
    """The matrix product of codes with L-Mul in place of each multiplication.

    Args:
        left: codes (uint8, uint16), shape ``(m, k)``.
        right: codes, shape ``(k, n)``.
        left_table: `operand_table` of the left format.
        right_table: the same for the right one.
        fields: which L-Mul.
        accumulator: exact, or a format with rounding, overflow and order.

    Returns:
        Exact: integers in the unit of `product_unit` (int64, or Python integers where 62 bits do not suffice). Float:
        float64 values. Fixed point: integers in the accumulator's unit.

    Raises:
        ValueError: if shapes or options do not fit, an operand is not finite, products may be infinite in an
            accumulator that has no infinity, or 53 bits do not provably hold a chunk.
    """
    check_shapes(left, right)
    check_options(None, accumulator)
    definition.check(fields)
    check_finite(left, left_table)
    check_finite(right, right_table)
    clamps_to_infinity = fields.kind == LMUL_FIELD_CLAMPED and fields.overflow == OVERFLOW_INFINITY
    if clamps_to_infinity and not isinstance(accumulator.grid, FloatFields):
        raise ValueError(
            f"L-Mul products that overflow to infinity have no place in the accumulator {accumulator.grid}: saturate "
            "them or use a float accumulator"
        )
    if accumulator.grid is None:
        if fields.kind == LMUL_FORMULA:
            return _formula(left, right, left_table, right_table, fields)
        return exact_field_sums(left, right, left_table, right_table, fields)
    if fields.kind != LMUL_FORMULA and _single_precision_holds(left, left_table, right_table, fields, accumulator):
        return field_sums(left, right, left_table, right_table, fields, np.float32).astype(np.float64)
    return sums_by_panels(left, right, left_table, right_table, fields, accumulator)


def _formula(
    left: NDArray[Any], right: NDArray[Any], left_table: LMulTable, right_table: LMulTable, fields: LMulFields
) -> NDArray[Any]:
    """Exact sums by the formula; where exponents span more than words hold, class by class of exponents."""
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    tables = left_table, right_table
    if max(greatest_exponent(table) - least_exponent(table) for table in tables) + bits < _WORD_SPAN:
        return _formula_in_words(left, right, left_table, right_table, fields)
    unit = product_unit(left_table, right_table, fields)
    # Sums of two factors of this many bits fit float64.
    span = max((53 - left.shape[1].bit_length() - 2 * (bits + 2)) // 2, 1)
    total = np.zeros((left.shape[0], right.shape[1]), dtype=object)
    for (low, some_left), (other_low, some_right) in product(
        classes(left, left_table, span), classes(right, right_table, span)
    ):
        first, second = _counted_from(some_left, low), _counted_from(some_right, other_low)
        sums = _formula_in_words(left, right, first, second, fields)
        total += sums.astype(object) << (low + other_low - bits - unit)
    return narrow(total)


def _counted_from(table: LMulTable, low: int) -> LMulTable:
    """The table of a class with exponents from 0 on."""
    return table._replace(exponent=np.where(table.sign == 0, 0, table.exponent - low))


def _formula_in_words(
    left: NDArray[Any], right: NDArray[Any], left_table: LMulTable, right_table: LMulTable, fields: LMulFields
) -> NDArray[Any]:
    # Twice the depth: codes of the second half look into the second half of the tables.
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    left_power, left_value = _powers_and_values(left_table, bits, fields.left_mantissa_bits)
    right_power, right_value = _powers_and_values(right_table, bits, fields.right_mantissa_bits)
    offset = (1 << (bits - definition.offset_exponent(bits))) - (1 << bits)
    first = np.concatenate([left_value + offset * left_power, left_power])
    second = np.concatenate([right_power, right_value])
    beside = np.concatenate(_with_second_half(left, left_power.size), axis=1)
    below = np.concatenate(_with_second_half(right, right_power.size), axis=0)
    return exact_matmul_codes(beside, below, first, second)


def _with_second_half(codes: NDArray[Any], size: int) -> list[NDArray[Any]]:
    """The codes, and the same ones for the second half of a table, in the narrowest type that holds both."""
    first = codes.astype(np.min_scalar_type(2 * size - 1))
    return [first, first + first.dtype.type(size)]


def _powers_and_values(table: LMulTable, bits: int, own_bits: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """``sign * 2**e`` and ``sign * (1 + m) * 2**(e + bits)``, both over the least power, as integers."""
    raised: NDArray[Any] = np.where(table.sign == 0, 0, table.exponent - least_exponent(table))
    power = table.sign << raised
    mantissa: NDArray[Any] = table.mantissa << (bits - own_bits)
    return power, power * (mantissa + (1 << bits))


def _single_precision_holds(
    left: NDArray[Any],
    left_table: LMulTable,
    right_table: LMulTable,
    fields: LMulFields,
    accumulator: AccumulatorFields,
) -> bool:
    """Whether float32 sums in k order are the accumulator: no sum leaves the format, no product its normal range."""
    if accumulator.grid != IEEE_SINGLE or accumulator.rounding != HALF_EVEN or accumulator.order != ORDER_ASCENDING:
        return False
    if fields.kind == LMUL_FIELD_CLAMPED and fields.overflow == OVERFLOW_INFINITY:
        return False
    least = least_exponent(left_table) + least_exponent(right_table)
    greatest = greatest_exponent(left_table) + greatest_exponent(right_table) + 2
    # Half of the exponent's bias goes into each word: both stay positive and below 2**30.
    within = all(least_exponent(table) >= -63 and greatest_exponent(table) <= 60 for table in (left_table, right_table))
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    return within and bits <= 23 and least > -126 and greatest + 1 + left.shape[1].bit_length() < 127
