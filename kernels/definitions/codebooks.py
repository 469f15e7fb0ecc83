"""Levels of the formats that list theirs, each by the rule that makes them, and an optimal codebook for given values.

Integers wherever the rule is one on powers of two; the unit is named with each.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

NF4_LEVELS: Final = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""NormalFloat 4: float32 numbers, Dettmers et al., QLoRA (arXiv 2305.14314), appendix E; the code is the index."""

FP4_UNIT: Final = Fraction(1, 192)
FP4_LEVELS: Final = (-192, -128, -96, -64, -48, -32, -1, 0, 1, 32, 48, 64, 96, 128, 192)
"""The FP4 of bitsandbytes in units of 1/192: 1/192, 1/6, 1/4, 1/3, 1/2, 2/3 and 1 with both signs, and zero."""
FP4_CODES: Final = (11, 10, 13, 12, 15, 14, 9, 0, 1, 6, 7, 4, 5, 2, 3)
"""Their codes (sign, 3 bits), in the order of the levels; code 8, minus zero, also means zero."""


def power_of_two_levels(largest_exponent: int) -> tuple[int, ...]:
    """Zero and ``+-2**e`` for e from 0 to ``largest_exponent``.

    >>> power_of_two_levels(2)
    (-4, -2, -1, 0, 1, 2, 4)
    """
    return k_hot_levels(1, largest_exponent)


def k_hot_terms(terms: int, largest_exponent: int) -> dict[int, tuple[tuple[int, int], ...]]:
    """Every sum of at most ``terms`` signed powers of two of different exponents, and its terms (sign, exponent).

    Of several sums the one of fewest terms is kept, then the first in the order of exponents; levels ascend.

    Args:
        terms: 1 or more powers in a sum.
        largest_exponent: exponents are 0 to this.

    Raises:
        ValueError: if there are more terms than exponents, or the exponent is negative or above 62.

    >>> k_hot_terms(2, 2)[3], k_hot_terms(2, 2)[-5]
    (((1, 0), (1, 1)), ((-1, 0), (-1, 2)))
    """
    if not 0 <= largest_exponent <= 62 or not 1 <= terms <= largest_exponent + 1:
        raise ValueError(
            f"sums of powers of two need exponents up to 0 to 62 and 1 to as many terms as there are exponents, got "
            f"{terms} terms of exponents 0 to {largest_exponent}"
        )
    found: dict[int, tuple[tuple[int, int], ...]] = {0: ()}
    for count in range(1, terms + 1):
        for exponents in itertools.combinations(range(largest_exponent + 1), count):
            for signs in itertools.product((1, -1), repeat=count):
                parts = tuple(zip(signs, exponents, strict=True))
                found.setdefault(sum(sign << exponent for sign, exponent in parts), parts)
    return dict(sorted(found.items()))


def k_hot_levels(terms: int, largest_exponent: int) -> tuple[int, ...]:
    """The levels of `k_hot_terms`, ascending.

    >>> k_hot_levels(2, 2)
    (-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6)
    """
    return tuple(k_hot_terms(terms, largest_exponent))


def product_by_shifts(value: int, parts: Sequence[tuple[int, int]]) -> int:
    """The product of an integer and a sum of signed powers of two, by shifts and additions: what hardware does.

    >>> product_by_shifts(-7, k_hot_terms(2, 3)[6]), -7 * 6
    (-42, -42)
    """
    return sum(sign * (value << exponent) for sign, exponent in parts)


def additive_power_of_two_levels(terms: int, base_bits: int) -> tuple[tuple[int, ...], int]:
    """Additive powers of two (APoT): Li et al., "Additive Powers-of-Two Quantization", ICLR 2020, equation 5.

    A level is a sum of n terms, the i-th out of 0, ``2**-i``, ``2**-(i+n)``, ..., ``2**-(i+(2**k-2)n)``, where n is
    ``terms`` and k ``base_bits``: n·k bits without a sign. The paper's scale, which makes the largest level 1, is left
    to the caller.

    Args:
        terms: n, 1 or more.
        base_bits: k, 1 or more.

    Returns:
        Both signs of the levels as ascending integers, and the exponent u of their unit ``2**u``.

    Raises:
        ValueError: if the integers exceed 62 bits.

    >>> additive_power_of_two_levels(2, 1)
    ((-3, -2, -1, 0, 1, 2, 3), -1)
    """
    last = (terms - 1) + ((1 << base_bits) - 2) * terms
    if terms < 1 or base_bits < 1 or last > 60:
        raise ValueError(
            f"additive powers of two need 1 or more terms and base bits and exponents down to at most -60, got {terms} "
            f"terms of {base_bits} bits, down to {-last}"
        )
    choices = [[0, *(1 << (last - (i + step * terms)) for step in range((1 << base_bits) - 1))] for i in range(terms)]
    magnitudes = {sum(parts) for parts in itertools.product(*choices)}
    return tuple(sorted(magnitudes | {-magnitude for magnitude in magnitudes})), -last


def optimal_levels(values: Sequence[float], count: int) -> list[Fraction]:
    """The codebook of least squared error for a few values: k-means in one dimension, solved by dynamic programming.

    Clusters of sorted values are intervals (Wang and Song, "Ckmeans.1d.dp", The R Journal 2011); exact rationals, cubic
    in the number of values: the definition that faster fits are measured against.

    Args:
        values: finite numbers, at least ``count`` different ones.
        count: how many levels.

    >>> optimal_levels([0.0, 1.0, 10.0, 11.0, 30.0], 3)
    [Fraction(1, 2), Fraction(21, 2), Fraction(30, 1)]
    """
    points = sorted(Fraction(value) for value in values)
    if not 1 <= count <= len(set(points)):
        raise ValueError(f"{count} levels need at least as many different values, got {len(set(points))}")
    sums = [Fraction(0), *itertools.accumulate(points)]
    squares = [Fraction(0), *itertools.accumulate(point * point for point in points)]

    def cost(start: int, stop: int) -> Fraction:
        total = sums[stop] - sums[start]
        return squares[stop] - squares[start] - total * total / (stop - start)

    best = [cost(0, stop) if stop else Fraction(0) for stop in range(len(points) + 1)]
    cuts: list[list[int]] = []
    for cluster in range(1, count):
        previous = best
        best, cut = list(previous), [0] * (len(points) + 1)
        for stop in range(cluster + 1, len(points) + 1):
            options = [(previous[start] + cost(start, stop), start) for start in range(cluster, stop)]
            best[stop], cut[stop] = min(options)
        cuts.append(cut)
    stop, levels = len(points), []
    for cut in reversed(cuts):
        start = cut[stop]
        levels.append((sums[stop] - sums[start]) / (stop - start))
        stop = start
    levels.append(sums[stop] / stop)
    return levels[::-1]
