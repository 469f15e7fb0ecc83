"""Rounded accumulators against foreign code: APyTypes, gfloat, torch's half precision."""

from __future__ import annotations

import gfloat
import gfloat.formats
import ml_dtypes
import numpy as np
import pytest
import torch
from apytypes import (
    APyFixedAccumulatorContext,
    APyFixedArray,
    APyFloatAccumulatorContext,
    APyFloatArray,
    OverflowMode,
    QuantizationMode,
)

from kernels.compiled import dots
from kernels.fields import (
    OVERFLOW_INFINITY,
    OVERFLOW_SATURATE,
    AccumulatorFields,
    FixedFields,
    FloatFields,
    ProductFields,
)
from kernels.rounding import CEILING, FLOOR, HALF_AWAY, HALF_EVEN, HALF_UP, TOWARD_ZERO

SIZE = 48


def e4m3_integers(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Numbers of E4M3 in units of their least, 2**-9, with every finite code below 240 (IEEE kinds end there)."""
    codes = random.integers(0, 0x78, shape).astype(np.uint8) | (random.integers(0, 2, shape) << 7).astype(np.uint8)
    return (codes.view(ml_dtypes.float8_e4m3fn).astype(np.float64) * 512).astype(np.int64)


@pytest.mark.parametrize(
    ("exponent_bits", "mantissa_bits"), [(5, 10), (4, 3), (8, 7), (6, 9), (8, 12), (5, 2), (8, 23)]
)
def test_float_accumulators_against_apytypes(exponent_bits: int, mantissa_bits: int) -> None:
    """Products rounded to the accumulator, then added in order: each of 2304 results, infinities included."""
    random = np.random.default_rng(exponent_bits)
    left, right = e4m3_integers(random, (SIZE, SIZE)), e4m3_integers(random, (SIZE, SIZE))
    first, second = (APyFloatArray.from_float(values / 512, 4, 3) for values in (left, right))
    np.testing.assert_array_equal(first.to_numpy() * 512, left)
    with APyFloatAccumulatorContext(
        exp_bits=exponent_bits, man_bits=mantissa_bits, quantization=QuantizationMode.TIES_EVEN
    ):
        expected = (first @ second).to_numpy()
    fields = FloatFields(exponent_bits, mantissa_bits, (1 << (exponent_bits - 1)) - 1, 1, 0, 0, 1)
    result = dots.matmul(
        left,
        right,
        unit=-18,
        product=ProductFields(fields, HALF_EVEN, OVERFLOW_INFINITY),
        accumulator=AccumulatorFields(fields, HALF_EVEN, OVERFLOW_INFINITY),
    )
    np.testing.assert_array_equal(result, expected)


GFLOAT_ROUNDINGS = {
    HALF_EVEN: gfloat.RoundMode.TiesToEven,
    HALF_AWAY: gfloat.RoundMode.TiesToAway,
    TOWARD_ZERO: gfloat.RoundMode.TowardZero,
    FLOOR: gfloat.RoundMode.TowardNegative,
    CEILING: gfloat.RoundMode.TowardPositive,
}


@pytest.mark.parametrize("rounding", GFLOAT_ROUNDINGS)
@pytest.mark.parametrize("name", ["format_info_ocp_e4m3", "format_info_ocp_e3m2", "format_info_bfloat16"])
def test_float_accumulators_against_gfloat(name: str, rounding: int) -> None:
    """An exact product added and rounded at every step, saturating, by gfloat in float64."""
    info = getattr(gfloat.formats, name)
    specials = {"format_info_ocp_e4m3": 1, "format_info_ocp_e3m2": 2, "format_info_bfloat16": 0}[name]
    fields = FloatFields(info.expBits, info.tSignificandBits, info.bias, 1, specials, 0, 1)
    random = np.random.default_rng(4)
    left, right = random.integers(-31, 32, (24, 40)), random.integers(-31, 32, (40, 24))
    total = np.zeros((24, 24))
    for k in range(40):
        exact = total + np.ldexp(left[:, k : k + 1] * right[k].astype(np.float64), -6)
        total = gfloat.round_ndarray(info, exact, GFLOAT_ROUNDINGS[rounding], sat=True)
    accumulator = AccumulatorFields(fields, rounding, OVERFLOW_SATURATE)
    np.testing.assert_array_equal(dots.matmul(left, right, unit=-6, accumulator=accumulator), total)


@pytest.mark.parametrize("scale", [-30, -26, -18])
def test_half_accumulators_against_torch(scale: int) -> None:
    """A loop over k on torch's half: exact product and sum in float32, then rounded; 65,536 results."""
    random = np.random.default_rng(5)
    left, right = e4m3_integers(random, (256, 64)), e4m3_integers(random, (64, 256))
    first, second = torch.from_numpy(left).float() * 2.0**scale, torch.from_numpy(right).float()
    total = torch.zeros(256, 256)
    for k in range(64):
        total = (total + first[:, k, None] * second[k]).half().float()
    half = FloatFields(5, 10, 15, 1, 0, 0, 1)
    accumulator = AccumulatorFields(half, HALF_EVEN, OVERFLOW_INFINITY)
    result = dots.matmul(left, right, unit=scale, accumulator=accumulator)
    np.testing.assert_array_equal(result, total.numpy().astype(np.float64))
    assert np.isinf(result).any() == (scale == -18)


@pytest.mark.parametrize(
    ("rounding", "mode"),
    [
        (FLOOR, QuantizationMode.TRN),
        (HALF_UP, QuantizationMode.RND),
        (HALF_EVEN, QuantizationMode.RND_CONV),
        (HALF_AWAY, QuantizationMode.RND_INF),
        (TOWARD_ZERO, QuantizationMode.TRN_ZERO),
    ],
)
def test_fixed_accumulators_against_apytypes(rounding: int, mode: QuantizationMode) -> None:
    """Products rounded to fewer fraction bits, then added; APyTypes' accumulators never saturate: sums stay inside."""
    random = np.random.default_rng(6)
    left, right = random.integers(-512, 512, (SIZE, SIZE)), random.integers(-512, 512, (SIZE, SIZE))
    first, second = (APyFixedArray(values, bits=12, int_bits=6) for values in (left, right))
    with APyFixedAccumulatorContext(int_bits=16, frac_bits=7, quantization=mode, overflow=OverflowMode.SAT):
        expected = (first @ second).to_numpy()
    grid = FixedFields(23, 7, 1)
    result = dots.matmul(
        left, right, unit=-12, product=ProductFields(grid, rounding), accumulator=AccumulatorFields(grid, rounding)
    )
    np.testing.assert_array_equal(result / 128, expected)
