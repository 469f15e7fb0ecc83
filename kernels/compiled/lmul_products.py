"""L-Mul operands and elementwise products of codes, bit for bit those of `kernels.definitions.lmul`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from kernels.compiled.exact_dots import look_up
from kernels.definitions import lmul as definition
from kernels.definitions.minifloat import code_width, decode_scalar
from kernels.fields import LMUL_FIELD_CLAMPED, LMUL_FORMULA, OVERFLOW_INFINITY, FloatFields, LMulFields

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_CODE_BITS: Final = 16


class LMulTable(NamedTuple):
    """What every code of a format is to L-Mul: sign (1, -1; 0 for zero and subnormal), exponent and mantissa (int64).

    ``finite`` is False for infinities and NaN, which no operand may be.
    """

    sign: NDArray[np.int64]
    exponent: NDArray[np.int64]
    mantissa: NDArray[np.int64]
    finite: NDArray[np.bool_]


def operand_table(fields: FloatFields) -> LMulTable:
    """The table of a format of at most 16 bits.

    Raises:
        ValueError: if the format is wider.

    >>> table = operand_table(FloatFields(2, 1, 1, 1, 2, 0, 1))
    >>> [int(table.sign[c] * (2 + table.mantissa[c])) << int(table.exponent[c]) for c in (0, 1, 2, 7, 15)]
    [0, 0, 2, 12, -12]
    """
    if code_width(fields) > _MOST_CODE_BITS:
        raise ValueError(f"L-Mul tables take formats up to {_MOST_CODE_BITS} bits, {fields} has {code_width(fields)}")
    codes = range(1 << code_width(fields))
    finite = np.array([math.isfinite(decode_scalar(code, fields)) for code in codes])
    parts = [definition.parts_of_code(code, fields) if finite[code] else definition.Parts(0, 0, 0) for code in codes]
    columns = np.array(parts, dtype=np.int64).T
    return LMulTable(columns[0], columns[1], columns[2], finite)


def product_unit(left: LMulTable, right: LMulTable, fields: LMulFields) -> int:
    """Binary exponent of the unit that exact sums of products are counted in."""
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    if fields.kind == LMUL_FIELD_CLAMPED:
        return fields.exponent_low - bits
    return least_exponent(left) + least_exponent(right) - bits


def least_exponent(table: LMulTable) -> int:
    """Of the operands that are not zero."""
    return int(table.exponent[table.sign != 0].min(initial=0))


def greatest_exponent(table: LMulTable) -> int:
    """Of the operands that are not zero."""
    return int(table.exponent[table.sign != 0].max(initial=0))


def multiply_codes(
    left: NDArray[Any], right: NDArray[Any], left_table: LMulTable, right_table: LMulTable, fields: LMulFields
) -> NDArray[np.float64]:
    """Elementwise exact products of codes (they broadcast), as float64.

    Raises:
        ValueError: if an operand is infinite or NaN, or the kind or overflow rule is unknown.
    """
    definition.check(fields)
    check_finite(left, left_table)
    check_finite(right, right_table)
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    one = 1 << bits
    sign = left_table.sign[left] * right_table.sign[right]
    exponent = left_table.exponent[left] + right_table.exponent[right]
    fraction = (left_table.mantissa[left] << (bits - fields.left_mantissa_bits)) + (
        right_table.mantissa[right] << (bits - fields.right_mantissa_bits)
    )
    fraction = fraction + (1 << (bits - definition.offset_exponent(bits)))
    if fields.kind == LMUL_FORMULA:
        products: NDArray[np.float64] = np.ldexp((sign * (one + fraction)).astype(np.float64), exponent - bits)
        return products
    exponent, mantissa = exponent + (fraction >> bits), fraction & (one - 1)
    magnitude = np.ldexp((one + mantissa).astype(np.float64), exponent - bits)
    if fields.kind == LMUL_FIELD_CLAMPED:
        greatest = math.ldexp(one + fields.mantissa_high, fields.exponent_high - bits)
        top = math.inf if fields.overflow == OVERFLOW_INFINITY else greatest
        magnitude = np.where(magnitude > greatest, top, magnitude)
        magnitude = np.where(exponent < fields.exponent_low, 0.0, magnitude)
    return np.where(sign == 0, 0.0, sign * np.where(sign == 0, 0.0, magnitude)) + 0.0


def check_finite(codes: NDArray[Any], table: LMulTable) -> None:
    """Refuse operands that are infinite or NaN.

    Raises:
        ValueError: with their number.
    """
    if table.finite.all():
        return
    wrong = ~look_up(codes, table.finite, np.bool_)
    if wrong.any():
        raise ValueError(
            f"{int(wrong.sum())} of {codes.size} codes are infinite or NaN: L-Mul takes finite operands only"
        )
