"""The definition of every rounding step, on Python integers: readable, exact, and what all fast twins must equal.

A quantity to round is always the exact rational ``numerator * 2**-shift``. Codes of rounding modes are small integers
because compiled kernels take them as arguments; `emulation.quantisers.Rounding` names them for people.
"""

from __future__ import annotations

from typing import Final

HALF_EVEN: Final = 0
"""Nearest; ties to the even integer (IEEE 754 roundTiesToEven, ap_fixed AP_RND_CONV)."""
HALF_UP: Final = 1
"""Nearest; ties to plus infinity (ap_fixed AP_RND)."""
HALF_AWAY: Final = 2
"""Nearest; ties away from zero (ap_fixed AP_RND_INF)."""
FLOOR: Final = 3
"""Toward minus infinity (ap_fixed AP_TRN)."""

INTEGER_GRID: Final = -1
"""In place of a number of mantissa bits: every integer is a code."""


def round_shift(numerator: int, shift: int, rounding: int) -> int:
    """Round ``numerator * 2**-shift`` to an integer.

    Args:
        numerator: any integer.
        shift: any integer; a negative one multiplies, exactly.
        rounding: one of the modes of this module.

    >>> [round_shift(n, 1, HALF_EVEN) for n in (-3, -1, 1, 3)], [round_shift(n, 1, HALF_AWAY) for n in (-3, -1, 1, 3)]
    ([-2, 0, 0, 2], [-2, -1, 1, 2])
    >>> [round_shift(n, 1, HALF_UP) for n in (-3, -1, 1, 3)], [round_shift(n, 1, FLOOR) for n in (-3, -1, 1, 3)]
    ([-1, 0, 1, 2], [-2, -1, 0, 1])
    """
    if shift <= 0:
        return numerator << -shift
    floor = numerator >> shift
    twice_rest = (numerator - (floor << shift)) << 1
    one = 1 << shift
    if rounding == FLOOR or twice_rest < one:
        return floor
    if twice_rest > one:
        return floor + 1
    if rounding == HALF_EVEN:
        return floor + (floor & 1)
    if rounding == HALF_AWAY and numerator < 0:
        return floor
    return floor + 1


def round_to_float_grid(numerator: int, shift: int, mantissa_bits: int, rounding: int) -> int:
    """Round ``numerator * 2**-shift`` to the nearest integer with at most ``mantissa_bits + 1`` significant bits.

    This is the grid of a minifloat with gradual underflow, counted in its smallest subnormal: the spacing is 1 up to
    ``2**(mantissa_bits + 1)`` and doubles with every binade above (one rounding; a carry into the next binade is right
    by itself). HALF_UP and FLOOR look at the signed value, as for integers. HALF_EVEN counts spacings of the binade the
    number lies in, so without mantissa bits a tie goes to the larger power of two (1.5 spacings round to 2).

    >>> [round_to_float_grid(n, 0, 1, HALF_EVEN) for n in (3, 5, 7, 9, 11)]
    [3, 4, 8, 8, 12]
    """
    magnitude = abs(numerator)
    # floor(log2(magnitude * 2**-shift)); the spacing never falls below 1.
    binade = magnitude.bit_length() - 1 - shift
    spacing = max(binade - mantissa_bits, 0)
    return round_shift(numerator, shift + spacing, rounding) << spacing
