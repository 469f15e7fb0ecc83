"""Casts of real numbers: the compiled loop against the definition, and the definition against rationals."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.casts import cast_scalar, cast_to_grid
from kernels.rounding import INTEGER_GRID

GRIDS = {
    "int2": (-2, 1, INTEGER_GRID),
    "uint4": (0, 15, INTEGER_GRID),
    "int8 with zero point 10": (-138, 117, INTEGER_GRID),
    "int16": (-32768, 32767, INTEGER_GRID),
    "int53": (-(2**52), 2**52 - 1, INTEGER_GRID),
    "e2m1": (-12, 12, 1),
    "e3m2": (-112, 112, 2),
    "e5m0": (-(2**30), 2**30, 0),
    "unsigned e4m3": (0, 15 << 14, 3),
    "bf16": (-(255 << 253), 255 << 253, 7),
    "e8m23": (-(((1 << 24) - 1) << 253), ((1 << 24) - 1) << 253, 23),
}


def cast_fraction(quotient: Fraction, low: int, high: int, mantissa_bits: int) -> int:
    """Clip, find the spacing by comparison, and round half to even (what `round` of a Fraction does)."""
    clipped = min(max(quotient, Fraction(low)), Fraction(high))
    spacing = 1
    if mantissa_bits != INTEGER_GRID:
        while abs(clipped) >= spacing << (mantissa_bits + 1):
            spacing *= 2
    return round(clipped / spacing) * spacing


@pytest.mark.parametrize("name", GRIDS)
@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    unit=st.floats(1e-12, 1e12, allow_subnormal=False) | st.integers(-40, 40).map(lambda power: 2.0**power),
)
def test_definition_is_one_division_and_one_rounding(name: str, value: float, unit: float) -> None:
    low, high, mantissa_bits = GRIDS[name]
    quotient = value / unit
    exact = Fraction(quotient) if math.isfinite(quotient) else Fraction(high if value > 0 else low)
    expected = cast_fraction(exact, low, high, mantissa_bits)
    assert cast_scalar(value, unit, low=low, high=high, mantissa_bits=mantissa_bits) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", GRIDS)
def test_compiled_loop_equals_the_definition(name: str, dtype: type) -> None:
    low, high, mantissa_bits = GRIDS[name]
    random = np.random.default_rng(1)
    ties = np.arange(-40, 41) / 2  # every tie of a small grid, in units of 1
    wide = np.ldexp(random.normal(size=300), random.integers(-60, 100, 300))
    ends = np.array([float(low), float(high), float(low) * 1.5, float(high) * 0.75, 0.0, -0.0])
    with np.errstate(over="ignore"):
        values = np.concatenate([ties, wide, ends, random.normal(size=100) * 5]).astype(dtype)
    for unit in (1.0, 0.25, 0.1, 3.7e-5):
        fast = cast_to_grid(values, np.array([unit]), low=low, high=high, mantissa_bits=mantissa_bits)
        slow = [cast_scalar(float(v), unit, low=low, high=high, mantissa_bits=mantissa_bits) for v in values]
        assert fast.dtype == np.float64
        assert [int(v) for v in fast] == slow


def test_one_unit_for_each_entry_of_axis_0() -> None:
    values = np.linspace(-3, 3, 24, dtype=np.float32).reshape(2, 3, 4)
    units = np.array([0.1, 0.5])
    result = cast_to_grid(values, units, low=-8, high=7, mantissa_bits=INTEGER_GRID)
    for row, unit in enumerate(units):
        single = cast_to_grid(values[row], np.array([unit]), low=-8, high=7, mantissa_bits=INTEGER_GRID)
        np.testing.assert_array_equal(result[row], single)
    assert not np.array_equal(result[0], cast_to_grid(values[0], units[1:], low=-8, high=7, mantissa_bits=-1))


def test_values_that_are_not_contiguous_and_scalars() -> None:
    values = np.arange(12.0).reshape(3, 4).T
    result = cast_to_grid(values, np.array([2.0]), low=-100, high=100, mantissa_bits=INTEGER_GRID)
    np.testing.assert_array_equal(result, np.rint(values / 2))
    assert cast_to_grid(np.array(2.5), np.array([1.0]), low=-8, high=7, mantissa_bits=INTEGER_GRID) == 2
    assert cast_to_grid(np.empty((0, 3)), np.array([1.0]), low=-8, high=7, mantissa_bits=INTEGER_GRID).shape == (0, 3)


@pytest.mark.parametrize("mantissa_bits", [INTEGER_GRID, 0, 3])
@pytest.mark.parametrize("unit", [1.0, 2.0**-30, 2.0**1000, 2.0**-1022, 2.0**-1074, 1e-310, 0.3, 2.0**1023])
def test_division_is_exact_for_every_unit(unit: float, mantissa_bits: int) -> None:
    """Units that are powers of two are multiplied by their reciprocal where that exists; zeros are plus zero."""
    random = np.random.default_rng(2)
    with np.errstate(over="ignore", under="ignore"):
        values = np.concatenate([random.normal(size=200) * 20, np.arange(-24, 25) / 2, [0.0, -0.0, -1e-9]]) * unit
    fast = cast_to_grid(values, np.array([unit]), low=-(15 << 14), high=15 << 14, mantissa_bits=mantissa_bits)
    slow = [cast_scalar(v, unit, low=-(15 << 14), high=15 << 14, mantissa_bits=mantissa_bits) for v in values.tolist()]
    assert [int(v) for v in fast] == slow
    assert not np.signbit(fast[fast == 0]).any()


def test_infinity_saturates() -> None:
    result = cast_to_grid(np.array([np.inf, -np.inf]), np.array([1.0]), low=-8, high=7, mantissa_bits=INTEGER_GRID)
    assert result.tolist() == [7, -8]


@pytest.mark.parametrize("mantissa_bits", [INTEGER_GRID, 2])
def test_nan_is_refused(mantissa_bits: int) -> None:
    with pytest.raises(ValueError, match=r"2 of 3 values are NaN: a format here has no code for NaN"):
        cast_to_grid(np.array([np.nan, 1, np.nan]), np.array([1.0]), low=0, high=1, mantissa_bits=mantissa_bits)


def test_integers_wider_than_float64_are_refused() -> None:
    with pytest.raises(ValueError, match=r"integers up to 9007199254740993 would lose bits .* at most 2\*\*53"):
        cast_to_grid(np.ones(1), np.ones(1), low=0, high=2**53 + 1, mantissa_bits=INTEGER_GRID)


@pytest.mark.parametrize("units", [[1.0, 1.0], [0.0], [-1.0], [math.nan], [math.inf], [1.0, 1.0, 0.0]])
def test_units_that_do_not_fit_are_refused(units: list[float]) -> None:
    with pytest.raises(
        ValueError, match=r"units from .* one unit, or one per entry of axis 0, is needed, each above 0 and finite"
    ):
        cast_to_grid(np.ones((3, 2)), np.array(units), low=-8, high=7, mantissa_bits=INTEGER_GRID)
