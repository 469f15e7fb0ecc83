"""The definition of every rounding step, on Python integers: readable, exact, and what all fast twins must equal.

A quantity to round is always the exact rational ``numerator * 2**-shift``. Codes of rounding modes are small integers
because compiled kernels take them as arguments; `emulation.quantisers.Rounding` names them for people.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fractions import Fraction

HALF_EVEN: Final = 0
"""Nearest; ties to the even integer (IEEE 754 roundTiesToEven, ap_fixed AP_RND_CONV)."""
HALF_UP: Final = 1
"""Nearest; ties to plus infinity (ap_fixed AP_RND)."""
HALF_AWAY: Final = 2
"""Nearest; ties away from zero (ap_fixed AP_RND_INF)."""
FLOOR: Final = 3
"""Toward minus infinity (ap_fixed AP_TRN)."""
CEILING: Final = 4
"""Toward plus infinity."""
TOWARD_ZERO: Final = 5
"""Toward zero (ap_fixed AP_TRN_ZERO)."""
HALF_DOWN: Final = 6
"""Nearest; ties to minus infinity (ap_fixed AP_RND_MIN_INF)."""
HALF_TOWARD_ZERO: Final = 7
"""Nearest; ties toward zero (ap_fixed AP_RND_ZERO)."""
STOCHASTIC: Final = 8
"""Up with a probability equal to the distance, by given random bits (see `round_shift`)."""

INTEGER_GRID: Final = -1
"""In place of a number of mantissa bits: every integer is a code."""


def round_shift(numerator: int, shift: int, rounding: int, *, random_bits: int = 0, random_width: int = 0) -> int:
    """Round ``numerator * 2**-shift`` to an integer.

    STOCHASTIC adds the random bits to the first ``random_width`` bits of the fraction above the floor and rounds up if
    the sum carries out, so a number goes up in (fraction, truncated to ``random_width`` bits) of all cases.

    Args:
        numerator: any integer.
        shift: any integer; a negative one multiplies, exactly.
        rounding: one of the modes of this module.
        random_bits: for STOCHASTIC, 0 to ``2**random_width - 1``.
        random_width: how many random bits there are.

    Raises:
        ValueError: if the mode is unknown or the random bits do not fit their width.

    >>> [round_shift(n, 1, HALF_EVEN) for n in (-3, -1, 1, 3)], [round_shift(n, 1, HALF_AWAY) for n in (-3, -1, 1, 3)]
    ([-2, 0, 0, 2], [-2, -1, 1, 2])
    >>> [round_shift(n, 1, HALF_UP) for n in (-3, -1, 1, 3)], [round_shift(n, 1, FLOOR) for n in (-3, -1, 1, 3)]
    ([-1, 0, 1, 2], [-2, -1, 0, 1])
    >>> [round_shift(5, 3, STOCHASTIC, random_bits=bits, random_width=3) for bits in range(8)]  # 5/8: up 5 times of 8
    [0, 0, 0, 1, 1, 1, 1, 1]
    """
    if shift <= 0:
        return numerator << -shift
    floor = numerator >> shift
    rest = numerator - (floor << shift)
    return floor + _goes_up(floor, rest, shift, rounding, random_bits, random_width)


def _goes_up(floor: int, rest: int, shift: int, rounding: int, random_bits: int, random_width: int) -> bool:
    """Whether ``floor + rest * 2**-shift`` rounds to ``floor + 1``."""
    if rounding == STOCHASTIC:
        if not 0 <= random_bits < 1 << random_width:
            raise ValueError(
                f"random_bits must be 0 to 2**{random_width} - 1 for random_width {random_width}, got {random_bits}"
            )
        return ((rest << random_width) >> shift) + random_bits >= 1 << random_width
    if rest == 0 or rounding == FLOOR:
        return False
    if rounding == CEILING:
        return True
    if rounding == TOWARD_ZERO:
        return floor < 0
    distance = 2 * rest - (1 << shift)
    if distance:
        return distance > 0
    # A tie. A floor of -1 or less means a negative number, for which up is toward zero.
    up_at_ties = {
        HALF_EVEN: floor % 2 == 1,
        HALF_UP: True,
        HALF_AWAY: floor >= 0,
        HALF_DOWN: False,
        HALF_TOWARD_ZERO: floor < 0,
    }
    if rounding not in up_at_ties:
        raise ValueError(f"rounding mode must be {HALF_EVEN} to {STOCHASTIC}, got {rounding}")
    return up_at_ties[rounding]


def round_to_float_grid(
    numerator: int, shift: int, mantissa_bits: int, rounding: int, *, random_bits: int = 0, random_width: int = 0
) -> int:
    """Round ``numerator * 2**-shift`` to an integer with at most ``mantissa_bits + 1`` significant bits.

    This is the grid of a minifloat with gradual underflow, counted in its smallest subnormal: the spacing is 1 up to
    ``2**(mantissa_bits + 1)`` and doubles with every binade above (one rounding; a carry into the next binade is right
    by itself). Directed modes, HALF_UP and HALF_DOWN look at the signed value, as for integers; STOCHASTIC rounds the
    magnitude, as hardware with a sign bit does. HALF_EVEN counts spacings of the binade the number lies in, so without
    mantissa bits a tie goes to the larger power of two (1.5 spacings round to 2).

    >>> [round_to_float_grid(n, 0, 1, HALF_EVEN) for n in (3, 5, 7, 9, 11)]
    [3, 4, 8, 8, 12]
    """
    magnitude = abs(numerator)
    # floor(log2(magnitude * 2**-shift)); the spacing never falls below 1.
    binade = magnitude.bit_length() - 1 - shift
    spacing = max(binade - mantissa_bits, 0)
    if rounding == STOCHASTIC:
        rounded = round_shift(magnitude, shift + spacing, rounding, random_bits=random_bits, random_width=random_width)
        return (-rounded if numerator < 0 else rounded) << spacing
    return round_shift(numerator, shift + spacing, rounding) << spacing


def as_dyadic(value: Fraction, extra_bits: int = 0) -> tuple[int, int]:
    """A numerator and a shift whose ``numerator * 2**-shift`` rounds to integers, in every mode, as the value does.

    A dyadic value comes back exactly. Any other is cut ``2 + extra_bits`` bits after its binary point, and a last bit
    set to 1 stands for the rest (a sticky bit), so it lies strictly on the right side of every tie.

    Args:
        value: any rational.
        extra_bits: ``random_width`` for STOCHASTIC; on the grid of a minifloat nothing more is needed, since its
            spacing is never below 1.

    >>> from fractions import Fraction
    >>> as_dyadic(Fraction(3, 8)), as_dyadic(Fraction(1, 3))
    ((3, 3), (3, 3))
    """
    if value.denominator & (value.denominator - 1) == 0:
        return value.numerator, value.denominator.bit_length() - 1
    bits = 2 + extra_bits
    return 2 * math.floor(value * (1 << bits)) + 1, bits + 1
