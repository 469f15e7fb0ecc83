"""The numbers of a format on either side of zero: which they are, and how densely they lie."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    Codebook,
    FixedPoint,
    KHot,
    LearnedCodebook,
    MiniFloat,
    Sign,
    SignMagnitude,
    Subnormals,
    Zero,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulation.formats import Format

LISTED_AT_MOST: Final = 4096
"""Levels a table format has at most."""


class Side(Enum):
    """Above or below zero."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


class Symmetry(Enum):
    """What there is below zero."""

    POSITIVE_ONLY = "no negative numbers"
    MIRRORED = "the positive half mirrored"
    ONE_MORE = "the positive half mirrored, and one number beyond it"
    OWN = "other numbers than above zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class Magnitudes:
    """The numbers on one side of zero, without their sign, ascending, by index: found by bisection, not listed.

    They are ``integer(index) * unit``.
    """

    count: int
    integer: Callable[[int], int]
    unit: Fraction

    def at(self, index: int) -> Fraction:
        """The number of an index."""
        return self.integer(index) * self.unit

    def real(self, index: int) -> float:
        """One of them as float64, infinite beyond."""
        return _real(self.at(index))

    def below(self, bound: Fraction) -> int:
        """How many are less than a bound."""
        limit = math.ceil(bound / self.unit)
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self.integer(middle) < limit:
                low = middle + 1
            else:
                high = middle
        return low


@dataclass(frozen=True, slots=True, kw_only=True)
class Binades:
    """Neighbouring binades ``[2**first, 2**(last + 1))`` with the same number of values in each.

    ``spacing`` is the least distance of two values in the first of them (of its value to the next one if it has one
    value, 0 if there is no next one).
    """

    first: int
    last: int
    values: int
    spacing: float


def magnitudes(number_format: Format, side: Side = Side.POSITIVE) -> Magnitudes | None:
    """The numbers on one side of zero (of a block's element), or None where they are learned from data.

    >>> from emulation.catalogue import parse
    >>> line = magnitudes(parse("e2m1"))
    >>> [float(line.at(index)) for index in range(line.count)]
    [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    >>> magnitudes(parse("int8"), Side.NEGATIVE).count, magnitudes(parse("uint8"), Side.NEGATIVE).count
    (128, 0)
    """
    if isinstance(number_format, LearnedCodebook | BinaryCoded):
        return None
    element = number_format.element if isinstance(number_format, BlockScaled) else number_format
    sign = -1 if side is Side.NEGATIVE else 1
    if isinstance(element, Codebook | KHot):
        levels = sorted({sign * Fraction(level) for level in element.levels if sign * level > 0})
        # All denominators are powers of two: levels are floats or integers.
        finest = max((level.denominator for level in levels), default=1)
        integers = [int(level * finest) for level in levels]
        return Magnitudes(count=len(levels), integer=integers.__getitem__, unit=Fraction(1, finest))
    unit = Fraction(2) ** element.unit_exponent
    if isinstance(element, FixedPoint | SignMagnitude):
        count = element.largest_integer if side is Side.POSITIVE else -element.smallest_integer
        return Magnitudes(count=count, integer=lambda index: index + 1, unit=unit)
    if side is Side.NEGATIVE and element.sign is Sign.UNSIGNED:
        return Magnitudes(count=0, integer=lambda index: index, unit=unit)
    return _of_minifloat(element, unit)


def _of_minifloat(number_format: MiniFloat, unit: Fraction) -> Magnitudes:
    if number_format.subnormals is Subnormals.FLUSH:
        first = 1 << number_format.mantissa_bits
    elif number_format.subnormals is Subnormals.KEEP_EXPONENT and number_format.zero is Zero.ABSENT:
        first = 0
    else:
        first = 1
    return Magnitudes(
        count=number_format.largest_magnitude_code - first + 1,
        integer=lambda index: number_format.magnitude_integer(first + index),
        unit=unit,
    )


def symmetry(positive: Magnitudes, negative: Magnitudes) -> Symmetry:
    """How the numbers below zero relate to those above it.

    >>> from emulation.catalogue import parse
    >>> formats = [parse(name) for name in ("uint8", "e4m3fn", "int8", "nf4")]
    >>> [symmetry(magnitudes(one), magnitudes(one, Side.NEGATIVE)).name for one in formats]
    ['POSITIVE_ONLY', 'MIRRORED', 'ONE_MORE', 'OWN']
    """
    if not negative.count:
        return Symmetry.POSITIVE_ONLY
    further = negative.count - positive.count
    # Only listed levels, few of them, can differ within the part that both sides have; others count from zero alike.
    both = range(min(positive.count, negative.count, LISTED_AT_MOST))
    if further not in {0, 1} or not positive.count or any(positive.at(one) != negative.at(one) for one in both):
        return Symmetry.OWN
    return Symmetry.ONE_MORE if further else Symmetry.MIRRORED


def binades(line: Magnitudes) -> list[Binades]:
    """How many numbers there are from each power of two to the next; equal neighbours are one entry.

    >>> from emulation.catalogue import parse
    >>> [(one.first, one.last, one.values) for one in binades(magnitudes(parse("e4m3fn")))]
    [(-9, -9, 1), (-8, -8, 2), (-7, -7, 4), (-6, 7, 8), (8, 8, 7)]
    """
    found: list[Binades] = []
    if not line.count:
        return found
    below = 0
    last = _exponent(line.at(line.count - 1))
    for exponent in range(_exponent(line.at(0)), last + 1):
        up_to = line.below(Fraction(2) ** (exponent + 1))
        values, below = up_to - below, up_to
        if found and found[-1].values == values:
            found[-1] = dataclasses.replace(found[-1], last=exponent)
        else:
            spacing = _spacing(line, up_to - values, up_to)
            found.append(Binades(first=exponent, last=exponent, values=values, spacing=spacing))
    return found


def _spacing(line: Magnitudes, start: int, stop: int) -> float:
    # Listed levels are anywhere; the numbers of all other formats are evenly spaced within a binade.
    stop = min(max(stop, start + 2), line.count, start + LISTED_AT_MOST)
    values = [line.at(index) for index in range(start, stop)]
    return _real(min((upper - lower for lower, upper in itertools.pairwise(values)), default=Fraction(0)))


def _real(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _exponent(value: Fraction) -> int:
    """``floor(log2(value))``."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= value else exponent - 1


def densities(line: Magnitudes, columns: int) -> list[int]:
    """How many numbers lie in each of equally wide parts of the way from zero to the largest one.

    >>> from emulation.catalogue import parse
    >>> densities(magnitudes(parse("e2m1")), 4)
    [2, 2, 2, 1]
    """
    if not line.count:
        return [0] * columns
    largest = line.at(line.count - 1)
    bounds = [line.below(largest * column / columns) for column in range(columns)] + [line.count]
    return [upper - lower for lower, upper in itertools.pairwise(bounds)]
