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
    values: NDArray[Any], units: NDArray[np.float64], low: float, high: float, mantissa_bits: int, result: NDArray[Any]
) -> None:
    rows, columns = values.shape
    for row in range(rows):
        unit = units[row if units.size > 1 else 0]
        for column in range(columns):
            quotient = min(max(np.float64(values[row, column]) / unit, low), high)
            if mantissa_bits >= 0:
                _, exponent = math.frexp(quotient)
                spacing = max(exponent - 1 - mantissa_bits, 0)
                result[row, column] = math.ldexp(np.rint(math.ldexp(quotient, -spacing)), spacing)
            else:
                result[row, column] = np.rint(quotient)


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
    """
    if mantissa_bits == INTEGER_GRID and max(-low, high) > 1 << 53:
        raise ValueError(
            f"a cast to integers up to {max(-low, high)} would lose bits in float64: at most 2**53 is allowed"
        )
    if np.isnan(values).any():
        raise ValueError(
            f"{int(np.isnan(values).sum())} of {values.size} values are NaN: a format here has no code for NaN"
        )
    rows = values.shape[0] if values.ndim else 1
    if units.size not in (1, rows) or not np.all(units > 0):
        raise ValueError(
            f"{units.size} units from {units.min(initial=np.inf)} to {units.max(initial=-np.inf)} for values of shape "
            f"{values.shape}: one unit, or one per entry of axis 0, is needed, each above 0"
        )
    table = np.ascontiguousarray(values).reshape(rows, values.size // max(rows, 1))
    result = np.empty(table.shape, dtype=np.float64)
    _cast_loop(table, np.atleast_1d(units), float(low), float(high), mantissa_bits, result)
    return result.reshape(values.shape)
