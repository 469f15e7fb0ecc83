"""Requantisation: compiled 64-bit loops and Python integers against rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.requantise import requantise, requantise_scalar
from kernels.rounding import FLOOR, HALF_AWAY, HALF_EVEN, HALF_UP, INTEGER_GRID

MODES = (HALF_EVEN, HALF_UP, HALF_AWAY, FLOOR)


def exact_result(exact: Fraction, low: int, high: int, mantissa_bits: int, rounding: int) -> int:
    """Rounded once on the grid, then saturated, in rationals only."""
    spacing = 1
    if mantissa_bits != INTEGER_GRID:
        while abs(exact) >= spacing << (mantissa_bits + 1):
            spacing *= 2
    steps = exact / spacing
    half = Fraction(1, 2)
    rounded = {
        HALF_EVEN: lambda: round(steps),
        HALF_UP: lambda: math.floor(steps + half),
        HALF_AWAY: lambda: math.floor(steps + half) if steps >= 0 else math.ceil(steps - half),
        FLOOR: lambda: math.floor(steps),
    }[rounding]()
    return min(max(rounded * spacing, low), high)


@pytest.mark.parametrize("rounding", MODES)
@pytest.mark.parametrize(("mantissa_bits", "low", "high"), [(INTEGER_GRID, -30, 29), (1, -24, 24), (2, 0, 56)])
def test_small_cases_exhaustively(rounding: int, mantissa_bits: int, low: int, high: int) -> None:
    accumulators = np.arange(-70, 71).reshape(-1, 1).repeat(3, axis=1)
    multipliers = np.array([1, 3, 7])
    for shift in range(6):
        limits = {"shift": shift, "low": low, "high": high, "rounding": rounding, "mantissa_bits": mantissa_bits}
        fast = requantise(accumulators, multipliers, **limits)
        exact = requantise(accumulators.astype(object), multipliers, **limits)
        assert fast.dtype == exact.dtype == np.int64
        expected = [
            [exact_result(Fraction(int(a) * int(b), 1 << shift), low, high, mantissa_bits, rounding) for a, b in pairs]
            for pairs in (zip(row, multipliers, strict=True) for row in accumulators)
        ]
        assert fast.tolist() == expected
        assert exact.tolist() == expected
    assert {low, high} <= set(np.ravel(expected).tolist()) or shift > 2  # the range reaches saturation


@pytest.mark.parametrize("path", ["64 bits", "Python integers"])
@given(
    accumulators=st.lists(st.integers(-(2**45), 2**45), min_size=4, max_size=4),
    multipliers=st.lists(st.integers(0, 2**16 - 1), min_size=2, max_size=2),
    negative=st.lists(st.integers(-(2**15), 2**15), min_size=2, max_size=2) | st.none(),
    shift=st.integers(-8, 100),
    mantissa_bits=st.sampled_from((INTEGER_GRID, 0, 1, 3, 10)),
    rounding=st.sampled_from(MODES),
)
def test_both_paths_against_rationals(
    *,
    path: str,
    accumulators: list[int],
    multipliers: list[int],
    negative: list[int] | None,
    shift: int,
    mantissa_bits: int,
    rounding: int,
) -> None:
    table = np.array(accumulators, dtype=np.int64 if path == "64 bits" else object).reshape(2, 2)
    low, high = (-(2**20), 2**20) if mantissa_bits != INTEGER_GRID else (-(2**20), 2**20 - 1)
    result = requantise(
        table,
        np.array(multipliers),
        shift=shift,
        low=low,
        high=high,
        rounding=rounding,
        mantissa_bits=mantissa_bits,
        negative_multipliers=None if negative is None else np.array(negative),
    )
    for index, accumulator in np.ndenumerate(table):
        channel = index[1]
        below_zero = multipliers if negative is None else negative
        factor = below_zero[channel] if accumulator < 0 else multipliers[channel]
        exact = Fraction(int(accumulator) * factor) / Fraction(2) ** shift
        assert int(result[index]) == exact_result(exact, low, high, mantissa_bits, rounding), index


@pytest.mark.parametrize("mantissa_bits", [INTEGER_GRID, 0, 3])
@pytest.mark.parametrize("rounding", MODES)
@pytest.mark.parametrize("shift", [0, 1, 5, 30, 59, 60, 61, 62, 63, 64, 100])
def test_products_around_the_limit_of_64_bits(shift: int, rounding: int, mantissa_bits: int) -> None:
    """Where the compiled path hands over to Python integers, nothing changes."""
    high = (1 << 61) - 1 if mantissa_bits == INTEGER_GRID else 1 << 61
    for power in (58, 59, 60, 61, 62):
        for accumulator in ((1 << power) - 1, 1 << power, -(1 << power), 1 - (1 << power)):
            for multiplier in (1, 2, 3):
                result = requantise(
                    np.array([[accumulator]]),
                    np.array([multiplier]),
                    shift=shift,
                    low=-high,
                    high=high,
                    rounding=rounding,
                    mantissa_bits=mantissa_bits,
                )
                exact = Fraction(accumulator * multiplier, 1 << shift)
                assert int(result[0, 0]) == exact_result(exact, -high, high, mantissa_bits, rounding)


def test_limits_beyond_64_bits_give_python_integers() -> None:
    high = 1 << 100
    result = requantise(
        np.array([[5, -(2**40)]]), np.array([1, 1]), shift=-90, low=-high, high=high, rounding=HALF_EVEN
    )
    assert result.dtype == object
    assert result.tolist() == [[5 << 90, -high]]


def test_multipliers_belong_to_columns() -> None:
    result = requantise(np.array([[8, 8], [-8, -8]]), np.array([1, 2]), shift=1, low=-99, high=99, rounding=HALF_EVEN)
    assert result.tolist() == [[4, 8], [-4, -8]]


def test_the_least_integer_of_64_bits() -> None:
    """Its magnitude does not fit into 64 bits."""
    lowest = np.iinfo(np.int64).min
    result = requantise(np.array([[lowest]]), np.array([1]), shift=60, low=-99, high=99, rounding=HALF_EVEN)
    assert result.tolist() == [[-8]]


@given(st.integers(-(2**90), 2**90), st.integers(-(2**31), 2**31), st.integers(-10, 120), st.sampled_from(MODES))
def test_scalar_definition(accumulator: int, multiplier: int, shift: int, rounding: int) -> None:
    for mantissa_bits, low, high in ((INTEGER_GRID, -128, 127), (2, -112, 112)):
        exact = Fraction(accumulator * multiplier) / Fraction(2) ** shift
        expected = exact_result(exact, low, high, mantissa_bits, rounding)
        given_result = requantise_scalar(
            accumulator, multiplier, shift=shift, low=low, high=high, rounding=rounding, mantissa_bits=mantissa_bits
        )
        assert given_result == expected


def test_empty_accumulators() -> None:
    result = requantise(np.empty((0, 2), dtype=np.int64), np.array([1, 2]), shift=1, low=0, high=1, rounding=HALF_EVEN)
    assert result.shape == (0, 2)
