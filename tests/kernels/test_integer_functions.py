"""Integer square root, softmax, layer norm and GELU: twins against definitions, these against exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.compiled import integer_functions as compiled
from kernels.definitions import integer_functions as definitions
from kernels.integer_constants import (
    ERROR_FUNCTION_COEFFICIENTS,
    EXPONENTIAL_COEFFICIENTS,
    SAFE_BITS,
    gelu_fields,
    gelu_unit,
    layer_norm_fields,
    softmax_fields,
)
from kernels.rounding import FLOOR, HALF_EVEN
from kernels.tensors import integer_functions as tensors

# (unit of a step, largest magnitude): 8-bit codes coarse to fine, 10 and 16 bits, a minifloat's wide integers
INPUTS = [
    (Fraction(1), 7),
    (Fraction(3.7), 127),
    (Fraction(1, 16), 128),
    (Fraction(0.0123), 127),
    (Fraction(8.0 / 511), 512),
    (Fraction(1, 4096), 32768),
    (Fraction(1, 512), 448 * 512),
    (Fraction(1, 1 << 40), 1 << 45),
]


def rows_of(seed: int, count: int, length: int, magnitude: int) -> np.ndarray[Any, Any]:
    """Rows of small and of large spread, of equal values, and of extremes."""
    random = np.random.default_rng(seed)
    spread = (magnitude ** random.random((count, 1))).astype(np.int64) + 1
    rows = np.clip(random.integers(-spread, spread + 1, (count, length)), -magnitude, magnitude)
    rows[0], rows[1] = magnitude, -magnitude
    rows[2] = np.where(np.arange(length) % 2, magnitude, -magnitude)
    return rows


def test_square_roots_exhaustively() -> None:
    values = np.arange(1 << 16)
    expected = [math.isqrt(value) for value in range(1 << 16)]
    assert [definitions.integer_square_root(value) for value in range(1 << 16)] == expected
    assert compiled.integer_square_root(values).tolist() == expected
    assert tensors.integer_square_root(torch.from_numpy(values)).tolist() == expected


def test_square_roots_around_squares() -> None:
    random = np.random.default_rng(1)
    roots = np.concatenate([random.integers(1, 1 << 31, 20_000), (1 << np.arange(32)), (1 << np.arange(1, 32)) - 1])
    for change in (-1, 0, 1):
        values = np.minimum(roots * roots + change, 1 << 62)
        expected = [math.isqrt(value) for value in values.tolist()]
        assert compiled.integer_square_root(values).tolist() == expected
        assert tensors.integer_square_root(torch.from_numpy(values)).tolist() == expected
        assert [definitions.integer_square_root(value) for value in values.tolist()] == expected


@given(st.integers(0, 1 << 300))
def test_newton_is_the_exact_root(value: int) -> None:
    assert definitions.integer_square_root(value) == math.isqrt(value)
    assert compiled.integer_square_root(np.array([value], dtype=object)).tolist() == [math.isqrt(value)]


def test_square_roots_up_to_the_last_of_64_bits() -> None:
    values = np.array([(1 << 62) - 1, 1 << 62, (1 << 63) - 1])
    assert compiled.integer_square_root(values).tolist() == [2147483647, 2147483648, 3037000499]


@pytest.mark.parametrize(("unit", "magnitude"), INPUTS)
@pytest.mark.parametrize("length", [1, 2, 10, 197])
def test_softmax_twins(unit: Fraction, magnitude: int, length: int) -> None:
    fields = softmax_fields(unit, length=length, magnitude=magnitude)
    rows = rows_of(2, 60, length, magnitude)
    expected = [definitions.integer_softmax(row, fields) for row in rows.tolist()]
    assert compiled.integer_softmax(rows, fields).tolist() == expected
    if fields.widest_bits <= SAFE_BITS:
        assert tensors.integer_softmax(torch.from_numpy(rows), fields).tolist() == expected
    for row in expected:
        assert 0.99 < sum(row) / (1 << fields.reciprocal_bits) <= 1


@pytest.mark.parametrize(("unit", "magnitude"), INPUTS)
def test_softmax_is_near_the_exact_one(unit: Fraction, magnitude: int) -> None:
    fields = softmax_fields(unit, length=10, magnitude=magnitude)
    rows = rows_of(3, 300, 10, magnitude)
    logits = rows * float(unit)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    exact = exponentials / exponentials.sum(axis=1, keepdims=True)
    found = compiled.integer_softmax(rows, fields).astype(np.float64) / 2.0**fields.reciprocal_bits
    assert np.abs(found - exact).max() < 0.003  # the polynomial's own error is 0.0019


def test_the_exponential_is_the_papers_polynomial() -> None:
    """With constants that are not rounded, ``a * (p + b)**2 + c`` halved z times; integers lose little of it."""
    factor, offset, constant = EXPONENTIAL_COEFFICIENTS
    fields = softmax_fields(Fraction(1, 1 << 12), length=1, magnitude=1 << 16)
    assert fields.shift == 0
    at_zero = factor * offset**2 + constant
    for difference in range(-40_000, 1, 7):
        halvings, rest = divmod(-difference, fields.log_two)
        exact = (factor * (offset - Fraction(rest, 1 << 12)) ** 2 + constant) / at_zero / (1 << halvings)
        found = Fraction(definitions.integer_exponential(difference, fields), fields.largest_exponential)
        assert abs(found - exact) < Fraction(1, 1 << 11) * exact + Fraction(2, 1 << 16)


def test_nothing_is_lost_below_the_lowest_difference() -> None:
    fields = softmax_fields(Fraction(1, 16), length=2, magnitude=1 << 12)
    assert definitions.integer_exponential(-fields.lowest + 16, fields) > 0
    assert definitions.integer_exponential(-fields.lowest, fields) == 0
    assert definitions.integer_exponential(-(10**9), fields) == 0


@pytest.mark.parametrize(("unit", "magnitude"), INPUTS)
@pytest.mark.parametrize("length", [1, 2, 10, 384])
@pytest.mark.parametrize("epsilon", [Fraction(0), Fraction(1e-5), Fraction(1)])
def test_layer_norm_twins(unit: Fraction, magnitude: int, length: int, epsilon: Fraction) -> None:
    fields = layer_norm_fields(unit, length=length, magnitude=magnitude, epsilon=epsilon)
    rows = rows_of(4, 60, length, magnitude)
    expected = [definitions.integer_layer_norm(row, fields) for row in rows.tolist()]
    assert compiled.integer_layer_norm(rows, fields).tolist() == expected
    if fields.widest_bits <= SAFE_BITS:
        assert tensors.integer_layer_norm(torch.from_numpy(rows), fields).tolist() == expected
    assert max(max(map(abs, row)) for row in expected) <= fields.largest_result


@pytest.mark.parametrize(("unit", "magnitude"), INPUTS)
def test_layer_norm_is_near_the_exact_one(unit: Fraction, magnitude: int) -> None:
    fields = layer_norm_fields(unit, length=64, magnitude=magnitude, epsilon=Fraction(1e-5))
    rows = rows_of(5, 200, 64, magnitude)
    exact = torch.nn.functional.layer_norm(torch.from_numpy(rows * float(unit)), (64,), eps=1e-5).numpy()
    found = compiled.integer_layer_norm(rows, fields).astype(np.float64) / 2.0**fields.reciprocal_bits
    # The mean is off by half a step and the root by less than one: of a deviation of so many steps.
    deviation = np.sqrt(rows.astype(np.float64).var(axis=1) + fields.epsilon / 4.0**fields.fraction_bits)
    steps = np.maximum(deviation * 2.0**fields.fraction_bits, 1)[:, None]
    assert np.all(np.abs(found - exact) <= (np.abs(exact) + 1) * (1.5 / steps + 2.0**-14))


@pytest.mark.parametrize(("unit", "magnitude"), INPUTS)
def test_gelu_twins_and_its_paper(unit: Fraction, magnitude: int) -> None:
    fields = gelu_fields(unit, magnitude=magnitude)
    values = np.unique(np.concatenate([rows_of(6, 40, 50, magnitude).reshape(-1), [0, 1, -1]]))
    expected = [definitions.integer_gelu(value, fields) for value in values.tolist()]
    assert compiled.integer_gelu(values, fields).tolist() == expected
    if fields.widest_bits <= SAFE_BITS:
        assert tensors.integer_gelu(torch.from_numpy(values), fields).tolist() == expected
    factor, offset = (float(each) for each in ERROR_FUNCTION_COEFFICIENTS)
    real = values * float(unit)
    polynomial = np.sign(real) * (1 - factor * (np.minimum(np.abs(real) / math.sqrt(2), offset) - offset) ** 2)
    found = np.array(expected, dtype=np.float64) * float(gelu_unit(unit, fields))
    assert np.all(np.abs(found - real / 2 * (1 + polynomial)) <= np.abs(real) * 1e-3)
    gelu = torch.nn.functional.gelu(torch.from_numpy(real)).numpy()
    assert np.abs(found - gelu).max() < 0.02


def test_averages() -> None:
    values = list(range(-20, 29))
    for multiplier, shift in ((1, 0), (1337, 16), (65535, 20)):
        for rounding in (HALF_EVEN, FLOOR):
            exact = Fraction(sum(values) * multiplier, 1 << shift)
            expected = round(exact) if rounding == HALF_EVEN else math.floor(exact)
            assert definitions.integer_average(values, multiplier, shift, rounding) == expected


def test_tables_by_integers() -> None:
    integers = np.array([-12, -8, -1, 0, 1, 8, 12])
    entries = np.arange(7) * 3
    values = np.array([[12, -12, 0], [-1, 8, 8]])
    assert compiled.look_up(values, integers, entries).tolist() == [[18, 0, 9], [6, 15, 15]]
    found = tensors.look_up(torch.from_numpy(values), torch.from_numpy(integers), torch.from_numpy(entries))
    assert found.tolist() == [[18, 0, 9], [6, 15, 15]]
    for value in (-13, 2, 99):
        with pytest.raises(ValueError, match=f"1 values are no input of the table, the first is {value}"):
            compiled.look_up(np.array([0, value]), integers, entries)
        with pytest.raises(ValueError, match=f"1 values are no input of the table, the first is {value}"):
            tensors.look_up(torch.tensor([0, value]), torch.from_numpy(integers), torch.from_numpy(entries))


@given(
    unit=st.fractions(Fraction(1, 1 << 20), 64),
    row=st.lists(st.integers(-(1 << 17), 1 << 17), min_size=1, max_size=20),
    epsilon=st.fractions(0, 10),
)
def test_stated_widths_hold(unit: Fraction, row: list[int], epsilon: Fraction) -> None:
    """The largest intermediates, computed apart, never exceed the stated width."""
    magnitude = max(*map(abs, row), 1)
    softmax = softmax_fields(unit, length=len(row), magnitude=magnitude)
    exponentials = [definitions.integer_exponential(value - max(row), softmax) for value in row]
    norm = layer_norm_fields(unit, length=len(row), magnitude=magnitude, epsilon=epsilon)
    scaled = [value << norm.fraction_bits for value in row]
    squares = sum((value - round(Fraction(sum(scaled), len(row)))) ** 2 for value in scaled)
    gelu = gelu_fields(unit, magnitude=magnitude)
    for largest, bits in (
        (sum(exponentials), softmax.widest_bits),
        (max(definitions.integer_softmax(row, softmax)), softmax.widest_bits),
        (squares, norm.widest_bits),
        (max(map(abs, definitions.integer_layer_norm(row, norm))), norm.widest_bits),
        (max(abs(definitions.integer_gelu(value, gelu)) for value in row), gelu.widest_bits),
    ):
        assert largest.bit_length() <= bits


def test_shapes_are_kept() -> None:
    fields = softmax_fields(Fraction(1, 8), length=5, magnitude=100)
    cube = rows_of(7, 24, 5, 100).reshape(2, 3, 4, 5)
    assert compiled.integer_softmax(cube, fields).shape == (2, 3, 4, 5)
    assert tensors.integer_softmax(torch.from_numpy(cube), fields).shape == (2, 3, 4, 5)
    assert compiled.integer_softmax(cube[:0], fields).shape == (0, 3, 4, 5)
    strided = rows_of(8, 6, 5, 100).T.copy().T
    assert np.array_equal(
        compiled.integer_softmax(strided, fields), compiled.integer_softmax(strided.copy("C"), fields)
    )


def test_errors() -> None:
    softmax = softmax_fields(Fraction(1), length=3, magnitude=7)
    norm = layer_norm_fields(Fraction(1), length=3, magnitude=7, epsilon=Fraction(0))
    gelu = gelu_fields(Fraction(1), magnitude=7)
    wide = gelu_fields(Fraction(1, 1 << 40), magnitude=1 << 40)
    for call in (
        lambda: definitions.integer_softmax([1, 2], softmax),
        lambda: compiled.integer_softmax(np.array([[1, 2]]), softmax),
        lambda: tensors.integer_layer_norm(torch.tensor([[1, 2]]), norm),
    ):
        with pytest.raises(ValueError, match="the constants are for rows of 3 values, got"):
            call()
    for call in (
        lambda: definitions.integer_layer_norm([1, 2, -8], norm),
        lambda: definitions.integer_gelu(-8, gelu),
        lambda: compiled.integer_layer_norm(np.array([[1, 2, -8]]), norm),
        lambda: compiled.integer_gelu(np.array([8]), gelu),
        lambda: tensors.integer_softmax(torch.tensor([[1, 2, -8]]), softmax),
    ):
        with pytest.raises(ValueError, match=r"the constants allow magnitudes up to 7, got -?8"):
            call()
    with pytest.raises(ValueError, match=r"take tensors of torch\.int64, got torch\.float32: convert them first"):
        tensors.integer_gelu(torch.ones(3), gelu)
    with pytest.raises(ValueError, match="these constants need intermediates of 124 bits, but tensors hold 62"):
        tensors.integer_gelu(torch.tensor([1]), wide)
    with pytest.raises(ValueError, match=r"square root needs a number of at least 0, got -1"):
        definitions.integer_square_root(-1)
    with pytest.raises(ValueError, match=r"square root needs numbers of at least 0, got -1"):
        compiled.integer_square_root(np.array([4, -1]))
    with pytest.raises(ValueError, match=r"need numbers from 0 to 2\*\*62, got -1 to 4"):
        tensors.integer_square_root(torch.tensor([4, -1]))
    with pytest.raises(ValueError, match="defined for differences of at most 0"):
        definitions.integer_exponential(1, softmax)
    with pytest.raises(ValueError, match=r"the unit of the inputs must be above 0, got 0\.0"):
        softmax_fields(Fraction(0), length=1, magnitude=1)
    with pytest.raises(ValueError, match="rows of at least 1 value and a magnitude of at least 1, got 0, 1"):
        softmax_fields(Fraction(1), length=0, magnitude=1)
    with pytest.raises(ValueError, match="magnitude of at least 1, got 0"):
        gelu_fields(Fraction(1), magnitude=0)
    with pytest.raises(ValueError, match=r"an epsilon of at least 0, got 1, 1 and -1\.0"):
        layer_norm_fields(Fraction(1), length=1, magnitude=1, epsilon=Fraction(-1))
