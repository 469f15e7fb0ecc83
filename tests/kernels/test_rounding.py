"""The definitions of rounding against rational arithmetic."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.rounding import FLOOR, HALF_AWAY, HALF_EVEN, HALF_UP, round_shift, round_to_float_grid

MODES = (HALF_EVEN, HALF_UP, HALF_AWAY, FLOOR)
modes = st.sampled_from(MODES)


def round_fraction(exact: Fraction, rounding: int) -> int:
    """Each mode as its sentence says it, on an exact rational."""
    below = math.floor(exact)
    if rounding == FLOOR:
        return below
    nearest = min((below, below + 1), key=lambda integer: abs(exact - integer))
    if exact - below != Fraction(1, 2):
        return nearest
    if rounding == HALF_EVEN:
        return below if below % 2 == 0 else below + 1
    if rounding == HALF_UP:
        return below + 1
    return max((below, below + 1), key=abs)


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
    if exact - below != above - exact:
        return below if exact - below < above - exact else above
    if rounding == HALF_UP:
        return above
    if rounding == HALF_AWAY:
        return max((below, above), key=abs)
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
