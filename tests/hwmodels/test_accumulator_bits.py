"""Accumulator widths against the extreme sums themselves."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.formats import FixedPoint, MiniFloat, Sign
from hwmodels.accumulators import accumulator_bits, range_bits

small_formats = st.one_of(
    st.builds(FixedPoint, width=st.integers(1, 4), sign=st.sampled_from(Sign)),
    st.builds(MiniFloat, exponent_bits=st.integers(1, 2), mantissa_bits=st.integers(0, 2), sign=st.sampled_from(Sign)),
)


def fits(value, bits):
    return -(1 << (bits - 1)) <= value <= (1 << (bits - 1)) - 1


@given(small_formats, small_formats, st.integers(1, 3), st.integers(0, 40))
def test_narrowest_width_that_holds_every_sum(weight, activation, depth, bias):
    products = {
        w * a
        for w, a in itertools.product(
            range(weight.smallest_integer, weight.largest_integer + 1),
            range(activation.smallest_integer, activation.largest_integer + 1),
        )
    }
    sums = {depth * max(products) + bias, depth * min(products) - bias}
    bits = accumulator_bits(weight, activation, depth, bias=bias)
    assert all(fits(total, bits) for total in sums)
    if any(sums):
        assert bits == 1 or not all(fits(total, bits - 1) for total in sums)


@given(st.lists(st.integers(-8, 7), min_size=1, max_size=6), st.sampled_from(Sign), st.integers(0, 99))
def test_width_from_real_weights(weights, sign, bias):
    activation = FixedPoint(width=4, sign=sign)
    weight_sum = sum(abs(w) for w in weights)
    bits = accumulator_bits(FixedPoint(width=4), activation, len(weights), weight_sum=weight_sum, bias=bias)
    extremes = (activation.smallest_integer, activation.largest_integer)
    low = sum(min(w * a for a in extremes) for w in weights) - bias
    high = sum(max(w * a for a in extremes) for w in weights) + bias
    assert fits(low, bits)
    assert fits(high, bits)
    assert bits <= accumulator_bits(FixedPoint(width=4), activation, len(weights), bias=bias) + 1


def test_kulisch_widths():
    e4m3 = MiniFloat(exponent_bits=4, mantissa_bits=3)
    # 18 bits of magnitude each, 36 of the product, the sign.
    assert accumulator_bits(e4m3, e4m3, 1) == 37
    assert accumulator_bits(e4m3, e4m3, 128) == 44  # the width of the measured unit
    assert range_bits(0, 0) == 1


def test_bad_arguments():
    int8 = FixedPoint(width=8)
    with pytest.raises(ValueError, match="sums at least 1 product, got depth 0"):
        accumulator_bits(int8, int8, 0)
    with pytest.raises(ValueError, match="magnitudes of at least 0, got -1 and 0"):
        accumulator_bits(int8, int8, 4, weight_sum=-1)
