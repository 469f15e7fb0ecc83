"""L-Mul on arrays of codes by `kernels.definitions.lmul`, one product at a time; formats are given as their fields."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kernels.definitions import lmul as definition
from kernels.definitions.dots import accumulate, check_options
from kernels.dot_bounds import result_exponent
from kernels.fields import LMUL_FIELD_CLAMPED, SUBNORMALS_KEEP_EXPONENT, AccumulatorFields, FloatFields, LMulFields

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXACT: Final = AccumulatorFields()
_INT64_BITS: Final = 62


def product_unit(left_fields: FloatFields, right_fields: FloatFields, fields: LMulFields) -> int:
    """Binary exponent of the unit that exact sums of products are counted in.

    >>> e4m3fn = FloatFields(4, 3, 7, 1, 1, 0, 1)
    >>> product_unit(e4m3fn, e4m3fn, LMulFields(0, 3, 3))
    -15
    """
    least = sum(
        (0 if one.subnormals == SUBNORMALS_KEEP_EXPONENT else 1) - one.bias for one in (left_fields, right_fields)
    )
    least = fields.exponent_low if fields.kind == LMUL_FIELD_CLAMPED else min(least, 0)
    return least - max(fields.left_mantissa_bits, fields.right_mantissa_bits)


def multiply_codes(
    left: NDArray[Any],
    right: NDArray[Any],
    left_fields: FloatFields,
    right_fields: FloatFields,
    fields: LMulFields,
) -> NDArray[np.float64]:
    """Elementwise products of codes that broadcast, as float64, which must hold them.

    >>> e4m3fn = FloatFields(4, 3, 7, 1, 1, 0, 1)
    >>> multiply_codes(np.array([60]), np.array([70]), e4m3fn, e4m3fn, LMulFields(0, 3, 3))
    array([4.75])
    """
    pairs = np.broadcast(left, right)
    products = [
        definition.multiply(
            definition.parts_of_code(int(one), left_fields), definition.parts_of_code(int(other), right_fields), fields
        )
        for one, other in pairs
    ]
    return np.array([float(product) for product in products], dtype=np.float64).reshape(pairs.shape)


def matmul_codes(
    left: NDArray[Any],
    right: NDArray[Any],
    left_fields: FloatFields,
    right_fields: FloatFields,
    fields: LMulFields,
    *,
    accumulator: AccumulatorFields = _EXACT,
) -> NDArray[Any]:
    """The matrix product of codes ``(m, k)`` and ``(k, n)`` with L-Mul in place of each multiplication.

    Returns:
        Exact: integers in the unit of `product_unit`. Fixed point: integers in the accumulator's unit. Float: float64
        values. Integers are Python's in an object array where 62 bits do not suffice.

    >>> e4m3fn, one = FloatFields(4, 3, 7, 1, 1, 0, 1), np.array([[60]])
    >>> matmul_codes(one, one, e4m3fn, e4m3fn, LMulFields(0, 3, 3))
    array([[69632]])
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(
            f"operands of shapes {left.shape} and {right.shape} have no matrix product: give (m, k) and (k, n)"
        )
    check_options(None, accumulator)
    rows = [[definition.parts_of_code(code, left_fields) for code in line] for line in left.tolist()]
    columns = [[definition.parts_of_code(code, right_fields) for code in line] for line in right.T.tolist()]
    sums = [
        [
            accumulate([definition.multiply(*pair, fields) for pair in zip(row, column, strict=True)], accumulator)
            for column in columns
        ]
        for row in rows
    ]
    shape = left.shape[0], right.shape[1]
    if isinstance(accumulator.grid, FloatFields):
        return np.array([[float(value) for value in line] for line in sums], dtype=np.float64).reshape(shape)
    infinite = sum(not math.isfinite(value) for line in sums for value in line)
    if infinite:
        raise ValueError(
            f"{infinite} sums are infinite, which no integer accumulator holds: saturate L-Mul products or use a float "
            "accumulator"
        )
    unit = Fraction(2) ** result_exponent(product_unit(left_fields, right_fields, fields), None, accumulator)
    integers = [int(value / unit) for line in sums for value in line]
    bits = max((abs(value) for value in integers), default=0).bit_length()
    return np.array(integers, dtype=np.int64 if bits <= _INT64_BITS else object).reshape(shape)
