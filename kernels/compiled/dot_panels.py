"""The general paths of matrix products: float64 panels with any cast and order, and Python integers.

In float64 a sum is rounded to odd before its cast, which no cast to 51 bits or fewer can tell from the exact sum; fixed
point, whose wrapping needs the last bit of numbers of any size, is taken only if every sum is exact.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

from kernels.compiled.float_sums import odd_sum, significant_bits
from kernels.definitions import dots as definition
from kernels.dot_bounds import Operands, initial_value, panels_are_exact, result_exponent
from kernels.fields import AccumulatorFields, FixedFields, ProductFields
from kernels.orders import ordered_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PANEL_ROWS: Final = 16


def largest_magnitude(values: NDArray[Any]) -> int:
    """The largest magnitude of an array of integers, 0 if it is empty."""
    return max(int(values.max()), -int(values.min())) if values.size else 0


def describe(left: NDArray[Any], right: NDArray[Any], first: NDArray[Any]) -> Operands:
    """What proofs need to know of operands and initial values."""
    return Operands(
        largest_left=largest_magnitude(left),
        largest_right=largest_magnitude(right),
        left_bits=significant_bits(left),
        right_bits=significant_bits(right),
        depth=left.shape[1],
        largest_initial=float(np.abs(first).max()) if first.size else 0.0,
    )


@numba.njit(cache=True, nogil=True)
def _odd_sums(left: NDArray[np.float64], right: NDArray[np.float64], result: NDArray[np.float64]) -> None:
    for index in range(result.size):
        result[index] = odd_sum(left[index], right[index])


def add_to_odd(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Elementwise sums of contiguous float64 arrays, rounded to odd."""
    result = np.empty_like(left)
    _odd_sums(left.reshape(-1), right.reshape(-1), result.reshape(-1))
    return result


def cast_array(values: NDArray[np.float64], cast: ProductFields | AccumulatorFields) -> NDArray[np.float64]:
    """`kernels.definitions.dots.cast_to_fields` for an array."""
    from kernels.compiled import fixed, minifloat

    if cast.grid is None:
        return values
    if isinstance(cast.grid, FixedFields):
        result = fixed.cast(
            values, cast.grid, rounding=cast.rounding, overflow=cast.overflow, saturation_bits=cast.saturation_bits
        )
    else:
        result = minifloat.cast(
            values, cast.grid, rounding=cast.rounding, overflow=cast.overflow, underflow=cast.underflow
        )
    return result + 0.0


def matmul_by_panels(
    left: NDArray[Any],
    right: NDArray[Any],
    unit: int,
    product: ProductFields | None,
    accumulator: AccumulatorFields,
    first: NDArray[Any],
) -> NDArray[Any] | None:
    """Any casts and orders in float64, one k of a few rows at a time; None where float64 may not hold the sums."""
    if object in {left.dtype, right.dtype, first.dtype}:
        return None
    if not panels_are_exact(describe(left, right, first), unit=unit, product=product, accumulator=accumulator):
        return None
    depth = left.shape[1]
    scaled = np.ldexp(left.astype(np.float64), unit)
    others = right.astype(np.float64)
    start = first.astype(np.float64)
    if accumulator.grid is None or isinstance(accumulator.grid, FixedFields):
        start = np.ldexp(start, result_exponent(unit, product, accumulator))
    result = np.empty(first.shape, dtype=np.float64)

    def cast_sum(total: NDArray[np.float64], added: NDArray[np.float64]) -> NDArray[np.float64]:
        return cast_array(add_to_odd(total, added), accumulator)

    for row in range(0, left.shape[0], _PANEL_ROWS):
        rows = slice(row, row + _PANEL_ROWS)

        def product_of(k: int, rows: slice = rows) -> NDArray[np.float64]:
            exact = scaled[rows, k : k + 1] * others[k]
            return exact if product is None else cast_array(exact, product)

        panel = np.ascontiguousarray(start[rows])
        result[rows] = ordered_sum(
            product_of,
            depth,
            accumulator,
            initial=panel,
            zero=np.zeros_like(panel),
            exact_sum=np.add,
            cast_sum=cast_sum,
        )
    if accumulator.grid is None or isinstance(accumulator.grid, FixedFields):
        return np.ldexp(result, -result_exponent(unit, product, accumulator)).astype(np.int64)
    return result


def matmul_by_definition(
    left: NDArray[Any],
    right: NDArray[Any],
    unit: int,
    product: ProductFields | None,
    accumulator: AccumulatorFields,
    first: NDArray[Any],
) -> NDArray[Any]:
    """Every element by the definition: right for numbers of any size, at the speed of Python."""
    rows = [[int(value) for value in row] for row in left.tolist()]
    columns = [[int(value) for value in column] for column in right.T.tolist()]
    is_float = accumulator.grid is not None and not isinstance(accumulator.grid, FixedFields)
    exponent = (
        0
        if is_float
        else (unit if accumulator.grid is None and product is None else result_exponent(unit, product, accumulator))
    )
    result = np.empty(first.shape, dtype=np.float64 if is_float else object)
    for row, column in np.ndindex(*first.shape):
        value = definition.dot(
            rows[row],
            columns[column],
            unit=unit,
            product=product,
            accumulator=accumulator,
            initial=initial_value(first.item(row, column), exponent, accumulator),
        )
        result[row, column] = float(value) if is_float else int(value / Fraction(2) ** exponent)
    if not is_float and largest_magnitude(result).bit_length() <= 62:
        return result.astype(np.int64)
    return result
