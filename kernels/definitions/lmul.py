"""L-Mul: a multiplication of floats that adds their mantissas (arXiv 2410.00907), in its two meanings.

An operand is ``sign * (1 + mantissa * 2**-m) * 2**exponent`` with an integer mantissa of m bits, or zero. Zeros and
subnormal numbers give the product 0.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

from kernels.fields import (
    LMUL_FIELD,
    LMUL_FIELD_CLAMPED,
    LMUL_FORMULA,
    OVERFLOW_INFINITY,
    OVERFLOW_SATURATE,
    SUBNORMALS_KEEP_EXPONENT,
    FloatFields,
    LMulFields,
)


class Parts(NamedTuple):
    """A decoded operand: ``sign`` is 1, -1, or 0 for a zero or subnormal number (the other two are then 0)."""

    sign: int
    exponent: int
    mantissa: int


def offset_exponent(mantissa_bits: int) -> int:
    """The l(m) of the paper: m up to 3 bits, 3 for 4 bits, 4 above.

    >>> [offset_exponent(m) for m in range(8)]
    [0, 1, 2, 3, 3, 4, 4, 4]
    """
    if mantissa_bits <= 3:
        return mantissa_bits
    return 3 if mantissa_bits == 4 else 4


def parts_of_code(code: int, fields: FloatFields) -> Parts:
    """The operand behind a code; a zero or subnormal number has sign 0.

    Raises:
        ValueError: if the format has no sign bit or no mantissa fields to add, or the code is infinite or NaN.

    >>> parts_of_code(0b1_1000_010, FloatFields(4, 3, 7, 1, 1, 0, 1))
    Parts(sign=-1, exponent=1, mantissa=2)
    """
    from kernels.definitions import minifloat

    value = minifloat.decode_scalar(code, fields)
    if not math.isfinite(value):
        raise ValueError(f"code {code} of {fields} is {value}: L-Mul takes finite operands only")
    field = (code >> fields.mantissa_bits) & ((1 << fields.exponent_bits) - 1)
    if value == 0 or (field == 0 and fields.subnormals != SUBNORMALS_KEEP_EXPONENT):
        return Parts(0, 0, 0)
    negative = fields.signed and code >> (fields.exponent_bits + fields.mantissa_bits) & 1
    return Parts(-1 if negative else 1, field - fields.bias, code & ((1 << fields.mantissa_bits) - 1))


def multiply(left: Parts, right: Parts, fields: LMulFields) -> Fraction | float:
    """One L-Mul product, exact (a float only for the infinity of a clamped overflow).

    The mantissas are aligned to the left of ``m = max`` of the two widths; ``l = l(m)``. Formula:
    ``(1 + xm + ym + 2**-l) * 2**(xe + ye)``. Field addition: with ``f = Mx + My + 2**(m - l)``,
    ``(1 + (f mod 2**m) * 2**-m) * 2**(xe + ye + floor(f / 2**m))``. Clamped: the same, but below the least normal
    number the product is 0, and above the greatest one it is that one or infinity.

    Raises:
        ValueError: for an unknown kind, or an overflow rule that the clamped variant does not have.

    >>> multiply(Parts(1, 0, 4), Parts(-1, 1, 6), LMulFields(LMUL_FORMULA, 3, 3))
    Fraction(-19, 4)
    >>> multiply(Parts(1, 0, 4), Parts(-1, 1, 6), LMulFields(LMUL_FIELD, 3, 3))
    Fraction(-11, 2)
    """
    check(fields)
    if left.sign == 0 or right.sign == 0:
        return Fraction(0)
    sign = left.sign * right.sign
    bits = max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    one = 1 << bits
    fraction = (left.mantissa << (bits - fields.left_mantissa_bits)) + (
        right.mantissa << (bits - fields.right_mantissa_bits)
    )
    fraction += 1 << (bits - offset_exponent(bits))
    exponent = left.exponent + right.exponent
    if fields.kind == LMUL_FORMULA:
        return sign * (1 + Fraction(fraction, one)) * Fraction(2) ** exponent
    exponent, mantissa = exponent + fraction // one, fraction % one
    if fields.kind == LMUL_FIELD_CLAMPED:
        if exponent < fields.exponent_low:
            return Fraction(0)
        if (exponent, mantissa) > (fields.exponent_high, fields.mantissa_high):
            if fields.overflow == OVERFLOW_INFINITY:
                return sign * math.inf
            exponent, mantissa = fields.exponent_high, fields.mantissa_high
    return sign * (1 + Fraction(mantissa, one)) * Fraction(2) ** exponent


def check(fields: LMulFields) -> None:
    """Refuse kinds and overflow rules that L-Mul does not have.

    Raises:
        ValueError: with what was given and what is allowed.
    """
    kinds = (LMUL_FORMULA, LMUL_FIELD, LMUL_FIELD_CLAMPED)
    if fields.kind not in kinds:
        raise ValueError(f"L-Mul kind {fields.kind} is unknown: one of {kinds} of kernels.fields")
    if min(fields.left_mantissa_bits, fields.right_mantissa_bits) < 0:
        raise ValueError(
            f"L-Mul mantissas of {fields.left_mantissa_bits} and {fields.right_mantissa_bits} bits: at least 0 bits"
        )
    if fields.kind == LMUL_FIELD_CLAMPED and fields.overflow not in {OVERFLOW_SATURATE, OVERFLOW_INFINITY}:
        raise ValueError(
            f"overflow code {fields.overflow} is not for L-Mul: OVERFLOW_SATURATE ({OVERFLOW_SATURATE}) or "
            f"OVERFLOW_INFINITY ({OVERFLOW_INFINITY})"
        )
    mantissa_limit = 1 << max(fields.left_mantissa_bits, fields.right_mantissa_bits)
    if fields.kind == LMUL_FIELD_CLAMPED and not (
        fields.exponent_low <= fields.exponent_high and 0 <= fields.mantissa_high < mantissa_limit
    ):
        raise ValueError(
            f"a clamped L-Mul from exponent {fields.exponent_low} to {fields.exponent_high} with the mantissa "
            f"{fields.mantissa_high} at the top: exponents in rising order, and a mantissa below {mantissa_limit}"
        )
