"""Requantisation on Python integers: dyadic with every tie rule, and the rules of gemmlowp, TFLite and HAWQ-V3."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from kernels.rounding import HALF_AWAY, HALF_UP, INTEGER_GRID, round_shift, round_to_float_grid

INT32_LEAST: Final = -(1 << 31)
INT32_GREATEST: Final = (1 << 31) - 1


class Dyadic(NamedTuple):
    """The real number ``multiplier * 2**-shift``."""

    multiplier: int
    shift: int


def requantise_scalar(
    accumulator: int, multiplier: int, *, shift: int, low: int, high: int, rounding: int, mantissa_bits: int
) -> int:
    """The definition of dyadic requantisation: the exact product is rounded once, then saturated.

    Args:
        accumulator: any integer.
        multiplier: b of ``b * 2**-c``.
        shift: c of ``b * 2**-c``; a negative one multiplies.
        low: least result.
        high: greatest result.
        rounding: a mode of `kernels.rounding` without STOCHASTIC.
        mantissa_bits: `INTEGER_GRID`, or the mantissa bits of the minifloat grid to round to.

    >>> requantise_scalar(13, 3, shift=2, low=-128, high=127, rounding=HALF_UP, mantissa_bits=INTEGER_GRID)
    10
    """
    product = accumulator * multiplier
    if mantissa_bits == INTEGER_GRID:
        value = round_shift(product, shift, rounding)
    else:
        value = round_to_float_grid(product, shift, mantissa_bits, rounding)
    return min(max(value, low), high)


def decompose(scale: float, *, bits: int = 31) -> Dyadic:
    """The dyadic number next to a positive scale, as HAWQ-V3 makes it: the mantissa from frexp, rounded half up.

    The multiplier lies in ``2**(bits - 1) .. 2**bits``; the upper end, a carry of the rounding, is halved.

    Args:
        scale: a positive finite number.
        bits: bits of the multiplier, 1 to 62.

    Raises:
        ValueError: if the scale is not positive and finite, or the bits are out of range.

    >>> decompose(0.75, bits=4)
    Dyadic(multiplier=12, shift=4)
    >>> decompose(0.01)
    Dyadic(multiplier=1374389535, shift=37)
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"a scale of {scale} has no dyadic multiplier: give a positive finite number")
    if not 1 <= bits <= 62:
        raise ValueError(f"a dyadic multiplier of {bits} bits: 1 to 62 are allowed")
    mantissa, exponent = math.frexp(scale)
    numerator, denominator = mantissa.as_integer_ratio()
    multiplier = round_shift(numerator << bits, denominator.bit_length() - 1, HALF_UP)
    shift = bits - exponent
    return Dyadic(multiplier >> 1, shift - 1) if multiplier == 1 << bits else Dyadic(multiplier, shift)


def doubling_high_multiply(left: int, right: int) -> int:
    """SaturatingRoundingDoublingHighMul of gemmlowp: ``(left * right + 2**30) >> 31`` on 32-bit integers.

    Ties go to plus infinity; only ``-2**31`` twice saturates.

    >>> doubling_high_multiply(1 << 30, 3), doubling_high_multiply(INT32_LEAST, INT32_LEAST) == INT32_GREATEST
    (2, True)
    """
    return min(round_shift(left * right, 31, HALF_UP), INT32_GREATEST)


def rounding_divide_by_power(value: int, exponent: int) -> int:
    """RoundingDivideByPOT of gemmlowp: ``value / 2**exponent`` to the nearest integer, ties away from zero.

    >>> [rounding_divide_by_power(v, 1) for v in (-3, -1, 1, 3)]
    [-2, -1, 1, 2]
    """
    return round_shift(value, exponent, HALF_AWAY)


def requantise_double_rounding(accumulator: int, multiplier: int, shift: int) -> int:
    """TFLite's older MultiplyByQuantizedMultiplier: two roundings (gemmlowp).

    Args:
        accumulator: 32-bit integer.
        multiplier: Q31 multiplier, ``0 .. 2**31 - 1``.
        shift: power of two to multiply with, ``-31 .. 30``; positive shifts left first, wrapping like int32.

    >>> requantise_double_rounding(100, 1 << 30, -1)
    25
    """
    shifted = (accumulator << max(shift, 0)) + (1 << 31)
    wrapped = (shifted & ((1 << 32) - 1)) - (1 << 31)
    return rounding_divide_by_power(doubling_high_multiply(wrapped, multiplier), max(-shift, 0))


def requantise_single_rounding(accumulator: int, multiplier: int, shift: int) -> int:
    """TFLite's newer MultiplyByQuantizedMultiplier (TFLITE_SINGLE_ROUNDING): one rounding, ties to plus infinity.

    ``(accumulator * multiplier + 2**(30 - shift)) >> (31 - shift)``, saturated to 32 bits.

    Args:
        accumulator: 32-bit integer.
        multiplier: Q31 multiplier, ``0 .. 2**31 - 1``.
        shift: power of two to multiply with, ``-31 .. 30``.

    >>> requantise_single_rounding(101, 1 << 30, -1)
    25
    """
    return min(max(round_shift(accumulator * multiplier, 31 - shift, HALF_UP), INT32_LEAST), INT32_GREATEST)
