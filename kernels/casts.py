"""Casts of real numbers onto a format's grid of integers, for samples, weights and emulated edges.

A value ``x`` and a unit ``s`` (the real value of one integer step) are float64; the quotient ``x / s`` is rounded once
by IEEE 754 division and then once, half to even, to the grid. That order is the definition: Python floats, NumPy and
the compiled loop agree bit for bit because each of the two steps is correctly rounded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from kernels.canaries import check_subnormals
from kernels.compiled.bits import from_bits, to_bits
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cast_scalar(value: float, unit: float, *, low: int, high: int, mantissa_bits: int) -> int:
    """The definition: one value, in Python arithmetic.

    Args:
        value: a finite real number.
        unit: the real value of one integer step, > 0.
        low: least integer of the format.
        high: greatest integer of the format.
        mantissa_bits: `INTEGER_GRID`, or the mantissa bits of a minifloat with gradual underflow.

    >>> [cast_scalar(x, 1.0, low=-8, high=7, mantissa_bits=INTEGER_GRID) for x in (2.5, 3.5, -9.0, 100.0)]
    [2, 4, -8, 7]
    """
    quotient = min(max(value / unit, low), high)
    if mantissa_bits == INTEGER_GRID:
        return round(quotient)
    _, exponent = math.frexp(quotient)
    spacing = max(exponent - 1 - mantissa_bits, 0)
    # Dividing by a power of two is exact, and so is the product: only round() rounds.
    return round(math.ldexp(quotient, -spacing)) << spacing


@numba.njit(cache=True, nogil=True)
def _cast_loop(
    values: NDArray[Any], units: NDArray[np.float64], low: float, high: float, result: NDArray[np.float64]
) -> bool:
    """Every integer is on the grid; returns whether a NaN was met."""
    nan_found = False
    rows, columns = values.shape
    for row in range(rows):
        unit, reciprocal = units[row], _exact_reciprocal(units[row])
        for column in range(columns):
            value = np.float64(values[row, column])
            quotient = value * reciprocal if reciprocal else value / unit
            quotient = quotient if quotient > low else low
            quotient = quotient if quotient < high else high
            nan_found |= value != value  # noqa: PLR0124 - the test for NaN
            # Minus zero plus zero is zero.
            result[row, column] = np.rint(quotient) + 0.0
    return nan_found


@numba.njit(cache=True, nogil=True)
def _exact_reciprocal(unit: float) -> float:
    """``1 / unit`` if a product with it is the quotient by ``unit``, as for powers of two; else 0."""
    reciprocal = 1.0 / unit
    fraction = to_bits(unit) & np.uint64((1 << 52) - 1)
    is_exact = fraction == 0 and to_bits(reciprocal) & np.uint64((1 << 52) - 1) == 0 and reciprocal < np.inf
    return reciprocal if is_exact and unit * reciprocal == 1.0 else 0.0


@numba.njit(cache=True, nogil=True)
def _cast_float_loop(
    values: NDArray[Any],
    units: NDArray[np.float64],
    low: float,
    high: float,
    mantissa_bits: int,
    result: NDArray[np.float64],
) -> bool:
    """The grid of a minifloat, rounded by adding and subtracting the power of two whose last bit is the spacing.

    The spacing is that of the quotient's binade and at least 1, that of the binade ``2**mantissa_bits``. Returns
    whether a NaN was met.
    """
    nan_found = False
    sign_bit = np.uint64(1 << 63)
    exponent_mask = np.uint64(0x7FF << 52)
    least_exponent = np.uint64(1023 + mantissa_bits) << np.uint64(52)
    magic_offset = np.uint64(52 - mantissa_bits) << np.uint64(52)
    rows, columns = values.shape
    for row in range(rows):
        unit, reciprocal = units[row], _exact_reciprocal(units[row])
        for column in range(columns):
            value = np.float64(values[row, column])
            quotient = value * reciprocal if reciprocal else value / unit
            quotient = quotient if quotient > low else low
            quotient = quotient if quotient < high else high
            nan_found |= value != value  # noqa: PLR0124 - the test for NaN
            bits = to_bits(quotient)
            magic = from_bits(max(bits & exponent_mask, least_exponent) + magic_offset, low)
            rounded = (from_bits(bits & ~sign_bit, low) + magic) - magic
            result[row, column] = from_bits(to_bits(rounded) | (bits & sign_bit), low) + 0.0
    return nan_found


def cast_to_grid(
    values: NDArray[Any], units: NDArray[np.float64], *, low: int, high: int, mantissa_bits: int
) -> NDArray[np.float64]:
    """Cast an array; the integers come back as float64, which holds them exactly.

    A grid integer has at most 53 significant bits, so float64 is exact for every minifloat and for integers up to 53
    bits wide; wider ones are refused.

    Args:
        values: finite float32 or float64, any shape.
        units: one unit, or one per entry of axis 0, shape ``(1,)`` or ``(values.shape[0],)``; all > 0.
        low: least integer of the format.
        high: greatest integer of the format.
        mantissa_bits: `INTEGER_GRID`, or the mantissa bits of a minifloat with gradual underflow.

    Raises:
        ValueError: if a value is NaN, the integer grid is wider than 53 bits, or the units do not fit the values.
        RuntimeError: if this thread flushes subnormal numbers (see `kernels.canaries`).
    """
    if mantissa_bits == INTEGER_GRID and max(-low, high) > 1 << 53:
        raise ValueError(
            f"a cast to integers up to {max(-low, high)} would lose bits in float64: at most 2**53 is allowed"
        )
    rows = values.shape[0] if values.ndim else 1
    if units.size not in {1, rows} or not np.all((units > 0) & np.isfinite(units)):
        raise ValueError(
            f"{units.size} units from {units.min(initial=np.inf)} to {units.max(initial=-np.inf)} for values of shape "
            f"{values.shape}: one unit, or one per entry of axis 0, is needed, each above 0 and finite"
        )
    check_subnormals()
    if units.size == 1:
        rows = 1
    table = np.ascontiguousarray(values).reshape(rows, values.size // max(rows, 1))
    result = np.empty(table.shape, dtype=np.float64)
    units = np.ascontiguousarray(units, dtype=np.float64).reshape(-1)
    if mantissa_bits == INTEGER_GRID:
        nan_found = _cast_loop(table, units, float(low), float(high), result)
    else:
        nan_found = _cast_float_loop(table, units, float(low), float(high), mantissa_bits, result)
    if nan_found:
        raise ValueError(
            f"{int(np.isnan(values).sum())} of {values.size} values are NaN: a format here has no code for NaN"
        )
    return result.reshape(values.shape)
