"""Requantisation of other systems, every rounding mode, and shifts per channel."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.compiled import requantise as compiled
from kernels.definitions import requantise as definition
from kernels.requantise import requantise, requantise_scalar
from kernels.rounding import INTEGER_GRID
from kernels.tensors import requantise as tensors

MODES = range(8)


def gemmlowp_high_multiply(a: int, b: int) -> int:
    """The steps of gemmlowp's fixedpoint.h: a nudge by sign, then a division that truncates."""
    if a == b == -(1 << 31):
        return (1 << 31) - 1
    product = a * b
    nudge = (1 << 30) if product >= 0 else 1 - (1 << 30)
    total = product + nudge
    return abs(total) // (1 << 31) * (1 if total >= 0 else -1)


def gemmlowp_divide(x: int, exponent: int) -> int:
    """The steps of gemmlowp's fixedpoint.h: mask, remainder, threshold."""
    mask = (1 << exponent) - 1
    remainder, threshold = x & mask, (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if remainder > threshold else 0)


INT32 = st.integers(-(1 << 31), (1 << 31) - 1) | st.sampled_from([-(1 << 31), (1 << 31) - 1, 0, -1, 1])


@given(INT32, INT32, st.integers(0, 31))
def test_definitions_against_the_steps_of_gemmlowp(a: int, b: int, exponent: int) -> None:
    assert definition.doubling_high_multiply(a, b) == gemmlowp_high_multiply(a, b)
    assert definition.rounding_divide_by_power(a, exponent) == gemmlowp_divide(a, exponent)


def test_all_small_divisions_and_their_ties() -> None:
    for exponent in range(6):
        for a in range(-130, 131):
            assert definition.rounding_divide_by_power(a, exponent) == gemmlowp_divide(a, exponent)
    for a in range(-6, 7):  # products next to half of 2**31
        for b in ((1 << 30) - 1, 1 << 30, (1 << 30) + 1):
            assert definition.doubling_high_multiply(a, b) == gemmlowp_high_multiply(a, b)


@given(st.lists(INT32, min_size=1, max_size=5), st.integers(0, (1 << 31) - 1), st.integers(-31, 30))
def test_both_rules_against_their_definitions(numbers: list[int], multiplier: int, shift: int) -> None:
    array, factors, shifts = np.array(numbers)[:, None], np.array([multiplier]), np.array([shift])
    for name in ("requantise_double_rounding", "requantise_single_rounding"):
        expected = [[getattr(definition, name)(number, multiplier, shift)] for number in numbers]
        assert getattr(compiled, name)(array, factors, shifts).tolist() == expected
        in_torch = getattr(tensors, name)(*(torch.from_numpy(values) for values in (array, factors, shifts)))
        assert in_torch.tolist() == expected
    exact = Fraction(numbers[0] * multiplier) / Fraction(2) ** (31 - shift)
    nearest = math.floor(exact + Fraction(1, 2))
    single = definition.requantise_single_rounding(numbers[0], multiplier, shift)
    assert single == min(max(nearest, -(1 << 31)), (1 << 31) - 1)


def test_the_two_rules_differ() -> None:
    """A first rounding up to a tie, which the second then rounds away."""
    differing = 0
    for accumulator in range(-200, 200):
        single = definition.requantise_single_rounding(accumulator, 3 << 29, -3)
        double = definition.requantise_double_rounding(accumulator, 3 << 29, -3)
        assert abs(single - double) <= 1
        differing += single != double
    assert differing > 0


@given(st.floats(1e-12, 1e12), st.integers(2, 62))
def test_decomposition_is_the_nearest_multiplier(scale: float, bits: int) -> None:
    multiplier, shift = definition.decompose(scale, bits=bits)
    assert 1 << (bits - 1) <= multiplier < 1 << bits
    exact = Fraction(scale) * Fraction(2) ** shift
    assert abs(exact - multiplier) <= Fraction(1, 2)
    if exact - math.floor(exact) == Fraction(1, 2):
        assert multiplier > exact  # half up
    assert [int(v[0]) for v in compiled.decompose_scales(np.array([scale]), bits=bits)] == [multiplier, shift]


def test_a_carry_of_the_decomposition_is_halved() -> None:
    assert definition.decompose(math.nextafter(1.0, 0.0), bits=4) == definition.Dyadic(8, 3)
    assert definition.decompose(1.0, bits=1) == definition.Dyadic(1, 0)


def rounded(exact: Fraction, mode: int) -> int:
    """HALF_EVEN, HALF_UP, HALF_AWAY, FLOOR, CEILING, TOWARD_ZERO, HALF_DOWN, HALF_TOWARD_ZERO."""
    down, up, half = math.floor(exact), math.ceil(exact), Fraction(1, 2)
    nearest = down if exact - down < half else up
    if mode in {3, 4, 5}:
        return {3: down, 4: up, 5: math.trunc(exact)}[mode]
    if exact - down != half:
        return nearest
    outer, inner = (up, down) if exact > 0 else (down, up)
    return {0: round(exact), 1: up, 2: outer, 6: down, 7: inner}[mode]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_with_a_shift_per_channel(mode: int) -> None:
    accumulators = np.arange(-90, 91).reshape(-1, 1).repeat(4, axis=1)
    multipliers, shifts = np.array([1, 3, 5, 7]), np.array([0, 1, 3, 4])
    limits = {"low": -60, "high": 59, "rounding": mode}
    expected = [
        [
            min(max(rounded(Fraction(int(a) * int(b), 1 << int(s)), mode), -60), 59)
            for a, b, s in zip(r, multipliers, shifts, strict=True)
        ]
        for r in accumulators
    ]
    assert requantise(accumulators, multipliers, shift=shifts, **limits).tolist() == expected
    assert requantise(accumulators.astype(object), multipliers, shift=shifts, **limits).tolist() == expected
    in_torch = tensors.requantise(
        torch.from_numpy(accumulators), torch.from_numpy(multipliers), shift=torch.from_numpy(shifts), **limits
    )
    assert in_torch.tolist() == expected


@given(
    st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=2),
    st.lists(st.integers(0, 2**16), min_size=2, max_size=2),
    st.lists(st.integers(0, 61), min_size=2, max_size=2),
    st.sampled_from((INTEGER_GRID, 0, 1, 3, 10)),
    st.sampled_from(MODES),
)
def test_twins_agree(
    numbers: list[int], multipliers: list[int], shifts: list[int], mantissa_bits: int, mode: int
) -> None:
    options = {"low": -(2**30), "high": 2**30, "rounding": mode, "mantissa_bits": mantissa_bits}
    expected = [
        requantise_scalar(number, multiplier, shift=shift, **options)
        for number, multiplier, shift in zip(numbers, multipliers, shifts, strict=True)
    ]
    arrays = np.array([numbers]), np.array(multipliers)
    assert requantise(*arrays, shift=np.array(shifts), **options).tolist() == [expected]
    in_torch = tensors.requantise(*map(torch.from_numpy, arrays), shift=torch.tensor(shifts), **options)
    assert in_torch.tolist() == [expected]


def test_errors() -> None:
    one, factors = np.array([[1]]), np.array([1])
    limits = {"low": -1, "high": 1}
    with pytest.raises(ValueError, match="rounding mode 8 is not for requantisation"):
        requantise(one, factors, shift=1, rounding=8, **limits)
    with pytest.raises(ValueError, match=r"shifts of shape \(2,\) for 1 channels"):
        requantise(one, factors, shift=np.array([1, 2]), rounding=0, **limits)
    with pytest.raises(ValueError, match="shifts from 62 to 62: 0 to 61"):
        tensors.requantise(torch.tensor([[1]]), torch.tensor([1]), shift=62, rounding=0, **limits)
    with pytest.raises(ValueError, match="products of 63 bits"):
        tensors.requantise(torch.tensor([[1 << 62]]), torch.tensor([1]), shift=1, rounding=0, **limits)
    with pytest.raises(ValueError, match="accumulators from 2147483648 to 2147483648: this rule is defined from"):
        compiled.requantise_single_rounding(np.array([1 << 31]), factors, factors)
    with pytest.raises(ValueError, match=r"a scale of 0\.0 has no dyadic multiplier"):
        definition.decompose(0.0)
    with pytest.raises(ValueError, match="a dyadic multiplier of 63 bits: 1 to 62"):
        definition.decompose(1.0, bits=63)
