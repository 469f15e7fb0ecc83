"""Casts to listed levels by definition: the nearest level, ties to the smaller magnitude (design, section 6, rule 10).

Levels are sorted, different real numbers: Python integers, fractions or floats, all taken exactly. A value halfway
between two levels goes to the one of smaller magnitude; halfway between -a and +a, which is only 0, to +a. Values
beyond the ends, infinity included, go to the end levels. The code of a level is its index, unless codes are given.

Fast twins compare with thresholds instead: floats of the values' dtype such that ``value > threshold`` means that the
value belongs above a midpoint. They are exact, whatever the midpoint.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Real = int | float | Fraction

_PRECISION: Final = {"float32": (24, -149, 128), "float64": (53, -1074, 1024)}
"""Significant bits, exponent of the smallest subnormal, exponent beyond the largest number."""


def check_levels(levels: Sequence[Real]) -> None:
    """Refuse levels that are not at least two finite numbers in strictly ascending order.

    Raises:
        ValueError: naming the first fault.

    >>> check_levels([0, 2, 1])
    Traceback (most recent call last):
    ValueError: levels must ascend strictly, got 2 before 1 at position 2: sort them and drop repeated ones
    """
    if len(levels) < 2:
        raise ValueError(f"a table needs at least 2 levels, got {len(levels)}")
    for position, level in enumerate(levels):
        if not math.isfinite(level):
            raise ValueError(f"levels must be finite, got {level} at position {position}")
        if position and not level > levels[position - 1]:
            raise ValueError(
                f"levels must ascend strictly, got {levels[position - 1]} before {level} at position {position}: sort "
                "them and drop repeated ones"
            )


def midpoint(low: Real, high: Real) -> Fraction:
    """Halfway between two levels, exactly."""
    return (Fraction(low) + Fraction(high)) / 2


def tie_goes_up(low: Real, high: Real) -> bool:
    """Whether a value halfway between two levels goes to the upper one.

    >>> tie_goes_up(-2, -1), tie_goes_up(1, 2), tie_goes_up(-1, 1)
    (True, False, True)
    """
    return abs(Fraction(high)) <= abs(Fraction(low))


def index_of(value: Real, levels: Sequence[Real]) -> int:
    """The index of the level that a value is cast to.

    Args:
        value: a real number or infinity.
        levels: as `check_levels` wants them.

    Raises:
        ValueError: if the value is NaN.

    >>> [index_of(value, [-4, -1, 0, 1, 4]) for value in (-9, -2.5, -0.5, 0.5, 0.51, 2.5, 2.6, math.inf)]
    [0, 1, 2, 2, 3, 3, 4, 4]
    """
    if math.isnan(value):
        raise ValueError("a table has no level for NaN")
    if math.isinf(value):
        return len(levels) - 1 if value > 0 else 0
    exact, index = Fraction(value), 0
    for low, high in itertools.pairwise(levels):
        middle = midpoint(low, high)
        index += exact > middle or (exact == middle and tie_goes_up(low, high))
    return index


def float_at_most(number: Fraction, dtype: str) -> float:
    """The largest float of a dtype that is not above a number.

    >>> float_at_most(Fraction(1, 3), "float32") * 3 < 1, float_at_most(Fraction(1, 2), "float32")
    (True, 0.5)
    """
    bits, least, _ = _PRECISION[dtype]
    if number == 0:
        return 0.0
    exponent = abs(number.numerator).bit_length() - number.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > abs(number)
    spacing = Fraction(2) ** max(exponent - bits + 1, least)
    return float(math.floor(number / spacing) * spacing)


def thresholds(levels: Sequence[Real], dtype: str) -> list[float]:
    """One float for each pair of neighbours: a value is cast above the pair's midpoint if it is greater.

    Args:
        levels: as `check_levels` wants them, within the range of the dtype.
        dtype: ``float32`` or ``float64``, that of the values.

    >>> thresholds([-1, 1, 4], "float64")
    [-5e-324, 2.5]
    """
    check_levels(levels)
    result = []
    for low, high in itertools.pairwise(levels):
        middle = midpoint(low, high)
        below = float_at_most(middle, dtype)
        if below == middle and tie_goes_up(low, high):
            # The float before the midpoint: the midpoint itself is then greater than the threshold.
            bits, least, _ = _PRECISION[dtype]
            below = float_at_most(middle - Fraction(2) ** (least - bits), dtype)
        result.append(below)
    return result


def check_levels_in(levels: Sequence[Real], dtype: str) -> None:
    """Refuse levels that are no floats of a dtype.

    Raises:
        ValueError: naming the level.

    >>> check_levels_in([0, Fraction(1, 3)], "float64")
    Traceback (most recent call last):
    ValueError: level 1/3 is not exact in float64: use integer levels and a unit, or ... 2**-1074
    """
    bits, least, beyond = _PRECISION[dtype]
    for level in levels:
        exact = Fraction(level)
        if float_at_most(exact, dtype) != exact or abs(exact) >= Fraction(2) ** beyond:
            other = ", float64 values" if dtype == "float32" else ""
            raise ValueError(
                f"level {level} is not exact in {dtype}: use integer levels and a unit{other}, or levels of at most "
                f"{bits} bits and multiples of 2**{least}"
            )
