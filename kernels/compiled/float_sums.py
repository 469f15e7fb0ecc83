"""Casts of floating-point accumulators inside the loops of matrix products, on float32 or float64.

A cast to a grid of m mantissa bits adds and subtracts ``1.5 * 2**(e + t - 1 - m)``, with e the exponent of the sum (at
least that of the format's smallest normal number) and t the significant bits of the loop's type: the processor's own
half-even rounding of the addition is the cast. The caller proves that the sum before it is exact, or that rounding it
twice changes nothing (`kernels.compiled.float_plans`); else the sum is rounded to odd, which never does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numba
import numpy as np
from numba.extending import overload

from kernels.compiled.lanes import Lane, add, bits_of, both, float_of, through_half
from kernels.compiled.sum_loops import add_values, cast_value

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


class Saturating(NamedTuple):
    """A cast by addition and subtraction whose overflow saturates.

    ``least_exponent`` (of the smallest normal number) and ``up`` are bit patterns to compare with and to add to an
    exponent field; ``largest`` is the largest finite number.
    """

    exponent_mask: Any
    least_exponent: Any
    up: Any
    largest: Any


class Overflowing(NamedTuple):
    """The same cast, but what rounds to more than ``largest`` becomes ``beyond`` (infinity or NaN)."""

    exponent_mask: Any
    least_exponent: Any
    up: Any
    largest: Any
    beyond: Any


class HalfSaturating(NamedTuple):
    """float32 through IEEE half precision and back, in hardware (E5M10 only); saturates."""

    largest: Any


class HalfOverflowing(NamedTuple):
    """The same; overflow gives infinity."""

    unused: Any


class OddSum(NamedTuple):
    """The sum rounded to odd (float64 only)."""

    unused: Any


def float_cast(
    *, mantissa_bits: int, least_exponent: int, largest: float, beyond: float, dtype: DTypeLike
) -> Saturating | Overflowing:
    """The constants for a format.

    Args:
        mantissa_bits: at most 3 below the significant bits of the loop's type.
        least_exponent: binary exponent of the format's smallest normal number.
        largest: the largest finite number.
        beyond: what a larger one becomes: ``largest`` itself, infinity or NaN.
        dtype: the loop's type.
    """
    information = np.finfo(dtype)
    real = information.dtype.type
    integer = np.int32 if real is np.float32 else np.int64
    stored = int(information.nmant)
    mask = (1 << (8 * np.dtype(real).itemsize - 1)) - (1 << stored)
    # An exponent field below 1 would be a subnormal of the loop's type; only formats without sums reach that.
    field = max(least_exponent + int(information.maxexp) - 1, 1)
    up = ((stored - mantissa_bits) << stored) | (1 << (stored - 1))
    patterns = (integer(mask), integer(field << stored), integer(up))
    if beyond == largest:
        return Saturating(*patterns, real(largest))
    return Overflowing(*patterns, real(largest), real(beyond))


@numba.njit(cache=True, nogil=True)
def _to_grid(value: Lane, cast: Lane) -> Lane:
    magic = float_of(add(max(both(bits_of(value), cast.exponent_mask), cast.least_exponent), cast.up))
    return (value + magic) - magic


@numba.njit(cache=True, nogil=True)
def _saturating(value: Lane, cast: Saturating) -> Lane:
    return _to_grid(min(max(value, -cast.largest), cast.largest), cast)


@numba.njit(cache=True, nogil=True)
def _overflowing(value: Lane, cast: Overflowing) -> Lane:
    # Infinity and NaN pass: the magic number is finite even if their exponent field overflows into the sign.
    rounded = _to_grid(value, cast)
    if rounded > cast.largest:
        return cast.beyond
    return -cast.beyond if rounded < -cast.largest else rounded


@numba.njit(cache=True, nogil=True)
def _half_saturating(value: Lane, cast: HalfSaturating) -> Lane:
    return through_half(min(max(value, -cast.largest), cast.largest))


@numba.njit(cache=True, nogil=True)
def _half_overflowing(value: Lane, _cast: HalfOverflowing) -> Lane:
    return through_half(value)


@numba.njit(cache=True, nogil=True)
def odd_sum(left: Lane, right: Lane) -> Lane:
    """The float64 sum rounded to odd: exact, or the neighbour of the exact sum whose last bit is 1."""
    total = left + right
    moved = total - left
    error = (left - (total - moved)) + (right - moved)
    pattern = bits_of(total)
    # An infinite or NaN sum has no error to look at: both comparisons fail.
    if (error > 0.0 or error < 0.0) and both(pattern, np.int64(1)) == 0:
        away = (error > 0.0) == (total > 0.0)
        return float_of(add(pattern, np.int64(1) if away else np.int64(-1)))
    return total


@numba.njit(cache=True, nogil=True)
def _all_mantissas(values: NDArray[np.float64]) -> int:
    pattern = np.int64(0)
    for index in range(values.size):
        pattern |= bits_of(values[index])
    return int(pattern & np.int64((1 << 52) - 1))


def significant_bits(values: NDArray[Any]) -> int:
    """An upper bound of the bits from the first to the last 1 of any integer: 4 for E4M3 numbers as integers.

    >>> significant_bits(np.array([5, -384])), significant_bits(np.array([5 << 20]))
    (3, 3)
    """
    if not values.size:
        return 1
    largest = max(int(values.max()), -int(values.min()))
    if largest.bit_length() > 53 or values.dtype == object:
        return largest.bit_length()
    # Left-aligned mantissas, combined: the lowest 1 of any of them ends the longest.
    pattern = int(_all_mantissas(values.astype(np.float64).reshape(-1)))
    return 53 - (pattern & -pattern).bit_length() + 1 if pattern else 1


_RULES: Final = {
    Saturating: _saturating,
    Overflowing: _overflowing,
    HalfSaturating: _half_saturating,
    HalfOverflowing: _half_overflowing,
}


@overload(cast_value, strict=False)
def _cast_float(_value: Lane, cast: Lane) -> Lane:
    rule = _RULES.get(cast.instance_class)
    return None if rule is None else lambda value, cast: rule(value, cast)  # noqa: PLW0108 - Numba takes no dispatcher here


@overload(add_values, strict=False)
def _odd_sum(_left: Lane, _right: Lane, summing: Lane) -> Lane:
    if summing.instance_class is not OddSum:
        return None
    return lambda left, right, summing: odd_sum(left, right)  # noqa: ARG005 - Numba's signature
