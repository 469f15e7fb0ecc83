"""Tables of activation functions, against arithmetic of arbitrary precision and other people's correct rounding."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import ml_dtypes
import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as nnf
from hypothesis import given
from hypothesis import strategies as st

from kernels.definitions import function_tables
from kernels.definitions.function_tables import (
    EXPONENTIAL,
    FIRST_BITS,
    FUNCTION_NAMES,
    GELU,
    GELU_TANH,
    HARD_SIGMOID,
    HARD_SWISH,
    SIGMOID,
    SILU,
    TANH,
    function_table,
    logarithm_of_two,
    round_to_grid,
)
from kernels.rounding import HALF_EVEN, INTEGER_GRID, round_to_float_grid
from tests.missing_tools import foreign

if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTIONS = (SIGMOID, TANH, GELU, GELU_TANH, SILU, EXPONENTIAL)


def exact(function: int, argument: Fraction) -> mpmath.mpf:
    """The function by mpmath, in the working precision of the caller."""
    x = mpmath.mpf(argument.numerator) / argument.denominator
    if function in (SIGMOID, SILU):
        return (x if function == SILU else 1) / (1 + mpmath.exp(-x))
    if function == GELU:
        return x * mpmath.ncdf(x)
    if function == GELU_TANH:
        cube = mpmath.mpf(44715) / 1000000
        return x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + cube * x**3)))
    return mpmath.tanh(x) if function == TANH else mpmath.exp(x)


def nearest(function: int, argument: Fraction, unit: Fraction) -> int:
    """The nearest integer by mpmath at 400 bits, which must not lie within 2**-100 of a tie unless it is one."""
    with mpmath.workprec(400):
        quotient = exact(function, argument) * unit.denominator / unit.numerator
        to_tie = abs(quotient - mpmath.floor(quotient) - mpmath.mpf(0.5))
        assert to_tie > mpmath.mpf(2) ** -100 or argument == 0
        return int(mpmath.nint(quotient))  # half to even


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda code: FUNCTION_NAMES[code])
@pytest.mark.parametrize(
    ("input_unit", "output_unit", "low", "high"),
    [
        (Fraction(1, 64), Fraction(1, 128), -128, 127),
        (Fraction(8.0 / 511), Fraction(1.0 / 127), -128, 127),
        (Fraction(0.37), Fraction(1, 1 << 15), -(1 << 15), (1 << 15) - 1),
        (Fraction(1, 4096), Fraction(1, 1 << 30), -(1 << 31), (1 << 31) - 1),
    ],
)
def test_all_codes_of_ten_bits(function: int, input_unit: Fraction, output_unit: Fraction, low: int, high: int) -> None:
    integers = range(-512, 512)
    table = function_table(function, integers, input_unit=input_unit, output_unit=output_unit, low=low, high=high)
    expected = [min(max(nearest(function, v * input_unit, output_unit), low), high) for v in integers]
    assert table == expected
    assert len(set(table)) > 8


@pytest.mark.parametrize("function", [SIGMOID, TANH, GELU, SILU, EXPONENTIAL], ids=lambda code: FUNCTION_NAMES[code])
@pytest.mark.parametrize("input_fraction_bits", [0, 2, 5, 7, 9])
@pytest.mark.parametrize("output_fraction_bits", [0, 7, 15])
def test_against_a_library_of_correct_rounding(
    function: int, input_fraction_bits: int, output_fraction_bits: int
) -> None:
    crfix = foreign("crfix")
    integers = np.arange(-512, 512)
    call = crfix.exp if function == EXPONENTIAL else getattr(crfix, FUNCTION_NAMES[function])
    expected = call(integers, input_fraction_bits, output_fraction_bits, bits=16, mode="nearest")
    table = function_table(
        function,
        integers.tolist(),
        input_unit=Fraction(1, 1 << input_fraction_bits),
        output_unit=Fraction(1, 1 << output_fraction_bits),
        low=-(1 << 15),
        high=(1 << 15) - 1,
    )
    assert table == np.asarray(expected).tolist()


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda code: FUNCTION_NAMES[code])
@pytest.mark.parametrize("bits", [20, 64, 200])
@given(numerator=st.integers(-4000, 4000).filter(bool), denominator=st.sampled_from((100, 300, 777, 4096, 1 << 20)))
def test_enclosures_hold_the_exact_value(function: int, bits: int, numerator: int, denominator: int) -> None:
    argument = Fraction(numerator, denominator)
    low, high = function_tables._ENCLOSURES[function](argument, bits)
    with mpmath.workprec(2 * bits + 400):
        value = exact(function, argument)
        assert mpmath.mpf(low.numerator) / low.denominator <= value <= mpmath.mpf(high.numerator) / high.denominator
    scale = max(Fraction(1), abs(argument)) * (high if function == EXPONENTIAL and argument > 0 else 1)
    assert high - low <= max(scale, Fraction(1)) * 8 / (1 << bits)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda code: FUNCTION_NAMES[code])
def test_tables_into_a_minifloat(function: int) -> None:
    """E4M3 with the unit 2**-9 of its smallest subnormal; float64 has bits to spare before the cast."""
    integers = np.arange(-128, 128)
    unit = 1 / 32
    with mpmath.workprec(200):
        values = np.array([float(exact(function, v * Fraction(unit))) for v in integers.tolist()])
    expected = np.clip(values, -448, 448).astype(ml_dtypes.float8_e4m3fn).astype(np.float64) * 512
    table = function_table(
        function,
        integers.tolist(),
        input_unit=Fraction(unit),
        output_unit=Fraction(1, 512),
        low=-448 * 512,
        high=448 * 512,
        mantissa_bits=3,
    )
    assert table == expected.astype(np.int64).tolist()


@given(numerator=st.integers(-(1 << 30), 1 << 30), shift=st.integers(0, 20), mantissa_bits=st.integers(0, 8))
def test_the_grid_is_that_of_the_casts(numerator: int, shift: int, mantissa_bits: int) -> None:
    value = Fraction(numerator, 1 << shift)
    assert round_to_grid(value, mantissa_bits) == round_to_float_grid(numerator, shift, mantissa_bits, HALF_EVEN)
    assert round_to_grid(value, INTEGER_GRID) == round(value)


@pytest.mark.parametrize(
    ("function", "call"), [(HARD_SIGMOID, nnf.hardsigmoid), (HARD_SWISH, nnf.hardswish)], ids=["sigmoid", "swish"]
)
@pytest.mark.parametrize("input_unit", [Fraction(1, 64), Fraction(1, 3), Fraction(0.37)])
@pytest.mark.parametrize("output_unit", [Fraction(1, 16), Fraction(1, 127), Fraction(1, 1 << 12)])
def test_hard_functions(
    function: int, call: Callable[[torch.Tensor], torch.Tensor], input_unit: Fraction, output_unit: Fraction
) -> None:
    """Torch in float64 is nearer than 2**-30 of a step; what is that near to a tie is rounded from the exact value."""
    integers = np.arange(-512, 512)
    found = function_table(
        function, integers.tolist(), input_unit=input_unit, output_unit=output_unit, low=-(1 << 20), high=1 << 20
    )
    quotients = call(torch.from_numpy(integers) * float(input_unit)).numpy() / float(output_unit)
    is_tie = np.abs(np.abs(quotients - np.floor(quotients)) - 0.5) < 2.0**-30
    assert np.array_equal(np.array(found)[~is_tie], np.rint(quotients)[~is_tie])
    for place in np.flatnonzero(is_tie).tolist():
        argument = int(integers[place]) * input_unit
        ramp = min(max(argument + 3, 0), 6) / Fraction(6)
        assert found[place] == round((ramp if function == HARD_SIGMOID else ramp * argument) / output_unit)


def test_ties_are_at_zero_and_go_to_even() -> None:
    def at_zero(function: int, unit: Fraction) -> int:
        return function_table(function, [0], input_unit=Fraction(1), output_unit=unit, low=-9, high=9)[0]

    assert [at_zero(SIGMOID, Fraction(1, count)) for count in (1, 3, 5, 7)] == [0, 2, 2, 4]
    assert [at_zero(EXPONENTIAL, Fraction(2, count)) for count in (1, 3, 5)] == [0, 2, 2]
    assert [at_zero(function, Fraction(1, 7)) for function in (TANH, GELU, GELU_TANH, SILU)] == [0, 0, 0, 0]


def test_results_next_to_a_tie_are_decided() -> None:
    """Sigmoid comes as near to 1 as e**-x is small; in units of 2 that is half a unit, less e**-x."""
    table = function_table(
        SIGMOID, [-900, -40, 40, 900], input_unit=Fraction(1), output_unit=Fraction(2, 3), low=-9, high=9
    )
    assert table == [0, 0, 1, 1]  # 1.5 units, less very little, is 1 and not 2
    halves = {"input_unit": Fraction(1, 2), "output_unit": Fraction(1), "low": -999, "high": 999}
    assert function_table(GELU, [199, 201, 203], **halves) == [99, 100, 101]  # below 99.5, 100.5 and 101.5
    assert function_table(SILU, [199, 201, 203], **halves) == [99, 100, 101]
    # The grid of one mantissa bit: 96 and 128 have 112 between them.
    halves |= {"mantissa_bits": 1}
    assert function_table(GELU, [223, 224, 225], **halves) == [96, 96, 128]


def test_results_beyond_the_output_saturate() -> None:
    table = function_table(
        EXPONENTIAL, [10**6, 5, -(10**6)], input_unit=Fraction(1), output_unit=Fraction(1), low=0, high=99
    )
    assert table == [99, 99, 0]


def test_logarithm_of_two() -> None:
    with mpmath.workprec(400):
        for bits in (8, 64, 300):
            low, high = logarithm_of_two(bits)
            assert mpmath.mpf(low.numerator) / low.denominator < mpmath.log(2)
            assert mpmath.log(2) < mpmath.mpf(high.numerator) / high.denominator
            assert high - low < Fraction(1, 1 << bits)
    assert float(logarithm_of_two(64)[0]) == math.log(2)


def test_errors() -> None:
    limits = {"low": 0, "high": 1}
    with pytest.raises(ValueError, match=r"units must be above 0, got 0\.0 for inputs and 1\.0 for outputs"):
        function_table(TANH, [1], input_unit=Fraction(0), output_unit=Fraction(1), **limits)
    with pytest.raises(ValueError, match=r"function 8 is not known: it must be 0 to 7"):
        function_table(len(FUNCTION_NAMES), [1], input_unit=Fraction(1), output_unit=Fraction(1), **limits)


def test_an_undecided_rounding_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function_tables, "MOST_BITS", FIRST_BITS - 1)
    with pytest.raises(ArithmeticError, match=r"tanh\(2\.0\) lies nearer than 2\*\*-63 to a midpoint of outputs"):
        function_table(TANH, [2], input_unit=Fraction(1), output_unit=Fraction(1), low=0, high=1)
