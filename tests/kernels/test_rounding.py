"""The definitions of rounding against rational arithmetic."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.rounding import (
    CEILING,
    FLOOR,
    HALF_AWAY,
    HALF_DOWN,
    HALF_EVEN,
    HALF_TOWARD_ZERO,
    HALF_UP,
    STOCHASTIC,
    TOWARD_ZERO,
    as_dyadic,
    round_shift,
    round_to_float_grid,
)

MODES = (HALF_EVEN, HALF_UP, HALF_AWAY, FLOOR, CEILING, TOWARD_ZERO, HALF_DOWN, HALF_TOWARD_ZERO)
modes = st.sampled_from(MODES)


def round_fraction(exact: Fraction, rounding: int) -> int:
    """Each mode as its sentence says it, on an exact rational."""
    below = math.floor(exact)
    if rounding in (FLOOR, CEILING, TOWARD_ZERO):
        return {FLOOR: below, CEILING: math.ceil(exact), TOWARD_ZERO: math.trunc(exact)}[rounding]
    nearest = min((below, below + 1), key=lambda integer: abs(exact - integer))
    if exact - below != Fraction(1, 2):
        return nearest
    if rounding == HALF_EVEN:
        return below if below % 2 == 0 else below + 1
    if rounding in (HALF_UP, HALF_DOWN):
        return below + (rounding == HALF_UP)
    return (max if rounding == HALF_AWAY else min)((below, below + 1), key=abs)


def float_grid(mantissa_bits: int, limit: int) -> list[int]:
    """All integers up to the limit with at most mantissa_bits + 1 significant bits, both signs, by enumeration."""
    positive = [n for n in range(1, limit + 1) if (n // (n & -n)).bit_length() <= mantissa_bits + 1]
    return [-n for n in reversed(positive)] + [0] + positive


def round_to_list(exact: Fraction, grid: list[int], rounding: int) -> int:
    """Round to an explicit grid; which of two neighbours is even is told by their distance in spacings from 0."""
    below = max(n for n in grid if n <= exact)
    above = min(n for n in grid if n >= exact)
    if below == above or rounding == FLOOR:
        return below
    if rounding == CEILING:
        return above
    if rounding == TOWARD_ZERO:
        return min((below, above), key=abs)
    if exact - below != above - exact:
        return below if exact - below < above - exact else above
    if rounding in (HALF_UP, HALF_DOWN):
        return above if rounding == HALF_UP else below
    if rounding in (HALF_AWAY, HALF_TOWARD_ZERO):
        return (max if rounding == HALF_AWAY else min)((below, above), key=abs)
    return below if (below // (above - below)) % 2 == 0 else above


@pytest.mark.parametrize("rounding", MODES)
def test_round_shift_exhaustively(rounding: int) -> None:
    for numerator, shift in itertools.product(range(-300, 301), range(-3, 11)):
        expected = round_fraction(Fraction(numerator) / Fraction(2) ** shift, rounding)
        assert round_shift(numerator, shift, rounding) == expected, (numerator, shift)


@given(st.integers(-(2**200), 2**200), st.integers(-100, 220), modes)
def test_round_shift_of_large_integers(numerator: int, shift: int, rounding: int) -> None:
    assert round_shift(numerator, shift, rounding) == round_fraction(
        Fraction(numerator) / Fraction(2) ** shift, rounding
    )


@given(st.integers(-(2**80), 2**80), st.integers(1, 90), modes)
def test_round_shift_at_ties_and_beside_them(integer: int, shift: int, rounding: int) -> None:
    tie = (2 * integer + 1) << (shift - 1)
    for numerator in (tie - 1, tie, tie + 1):
        assert round_shift(numerator, shift, rounding) == round_fraction(Fraction(numerator, 1 << shift), rounding)


@pytest.mark.parametrize("mantissa_bits", [0, 1, 2, 3])
@pytest.mark.parametrize("rounding", MODES)
def test_round_to_float_grid_exhaustively(mantissa_bits: int, rounding: int) -> None:
    grid = float_grid(mantissa_bits, 256)
    for shift in (0, 1, 3):
        for numerator in range(-(200 << shift), (200 << shift) + 1):
            expected = round_to_list(Fraction(numerator, 1 << shift), grid, rounding)
            assert round_to_float_grid(numerator, shift, mantissa_bits, rounding) == expected, (numerator, shift)


@given(st.integers(-(2**150), 2**150), st.integers(-20, 120), st.integers(0, 23), modes)
def test_float_grid_of_large_numbers(numerator: int, shift: int, mantissa_bits: int, rounding: int) -> None:
    exact = Fraction(numerator) / Fraction(2) ** shift
    result = round_to_float_grid(numerator, shift, mantissa_bits, rounding)
    significant = abs(result) // (result & -result) if result else 0
    assert significant.bit_length() <= mantissa_bits + 1
    # The spacing where the exact number lies, by comparison and not by bit lengths.
    spacing = 1
    while abs(exact) >= spacing << (mantissa_bits + 1):
        spacing *= 2
    assert result == round_fraction(exact / spacing, rounding) * spacing


@given(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40), st.integers(0, 30), st.integers(0, 5), modes)
def test_rounding_is_monotonic(first: int, second: int, shift: int, mantissa_bits: int, rounding: int) -> None:
    low, high = sorted((first, second))
    assert round_shift(low, shift, rounding) <= round_shift(high, shift, rounding)
    assert round_to_float_grid(low, shift, mantissa_bits, rounding) <= round_to_float_grid(
        high, shift, mantissa_bits, rounding
    )


@given(st.integers(-(2**40), 2**40), st.integers(0, 5), modes)
def test_numbers_on_the_grid_stay(integer: int, mantissa_bits: int, rounding: int) -> None:
    on_grid = round_to_float_grid(integer, 0, mantissa_bits, rounding)
    assert round_to_float_grid(on_grid, 0, mantissa_bits, rounding) == on_grid


@pytest.mark.parametrize("random_width", [1, 3, 6])
def test_stochastic_rounding_goes_up_as_often_as_the_truncated_fraction_says(random_width: int) -> None:
    draws = range(1 << random_width)
    for numerator, shift in itertools.product(range(-80, 81), range(6)):
        exact = Fraction(numerator, 1 << shift)
        below = math.floor(exact)
        results = [
            round_shift(numerator, shift, STOCHASTIC, random_bits=bits, random_width=random_width) for bits in draws
        ]
        ups = math.floor((exact - below) * len(draws))
        assert results == [below] * (len(draws) - ups) + [below + 1] * ups, (numerator, shift)


def test_stochastic_rounding_of_floats_is_that_of_the_magnitude() -> None:
    for numerator, bits in itertools.product(range(1, 200), range(8)):
        up = round_to_float_grid(numerator, 2, 2, STOCHASTIC, random_bits=bits, random_width=3)
        assert round_to_float_grid(-numerator, 2, 2, STOCHASTIC, random_bits=bits, random_width=3) == -up
        assert up in {round_to_float_grid(numerator, 2, 2, mode) for mode in (FLOOR, CEILING)}


@given(st.fractions(max_denominator=1000), modes, st.integers(0, 3))
def test_rationals_round_as_their_dyadic_stand_ins(exact: Fraction, rounding: int, mantissa_bits: int) -> None:
    numerator, shift = as_dyadic(exact)
    assert round_shift(numerator, shift, rounding) == round_fraction(exact, rounding)
    spacing = 1
    while abs(exact) >= spacing << (mantissa_bits + 1):
        spacing *= 2
    expected = round_fraction(exact / spacing, rounding) * spacing
    assert round_to_float_grid(numerator, shift, mantissa_bits, rounding) == expected


@given(st.fractions(max_denominator=1000), st.integers(1, 8), st.integers(0, 255))
def test_rationals_round_stochastically_as_their_dyadic_stand_ins(exact: Fraction, width: int, bits: int) -> None:
    bits %= 1 << width
    numerator, shift = as_dyadic(exact, width)
    below = math.floor(exact)
    expected = below + (math.floor((exact - below) * 2**width) + bits >= 2**width)
    assert round_shift(numerator, shift, STOCHASTIC, random_bits=bits, random_width=width) == expected


def test_bad_modes_and_random_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="rounding mode must be 0 to 8, got 9"):
        round_shift(1, 1, 9)
    with pytest.raises(ValueError, match=r"random_bits must be 0 to 2\*\*3 - 1 for random_width 3, got 8"):
        round_shift(5, 3, STOCHASTIC, random_bits=8, random_width=3)
