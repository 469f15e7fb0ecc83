"""Casts by Triton kernels, interpreted, against the definitions and, for the kinds it has, against ml_dtypes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import rounding as rules
from kernels.definitions import fixed as fixed_definition
from kernels.definitions import minifloat as minifloat_definition
from kernels.fields import (
    FLUSH_AFTER_ROUNDING,
    FLUSH_BEFORE_ROUNDING,
    OVERFLOW_INFINITY,
    OVERFLOW_NAN,
    OVERFLOW_SATURATE,
    OVERFLOW_WRAP,
    SUBNORMALS_GRADUAL,
    FixedFields,
    FloatFields,
)
from kernels.gpu import fixed, minifloat
from tests.kernels.format_list import FIXED, FLOATS, STANDARD_FLOATS, WIDE_FIXED, WIDEST_FIXED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

E4M3FN = STANDARD_FLOATS["e4m3fn"]
E2M1 = STANDARD_FLOATS["e2m1"]
INT8 = FixedFields(8, 0, 1)
ML_DTYPES = {
    "e4m3fn": (ml_dtypes.float8_e4m3fn, OVERFLOW_NAN),
    "e5m2": (ml_dtypes.float8_e5m2, OVERFLOW_INFINITY),
    "e3m2": (ml_dtypes.float6_e3m2fn, OVERFLOW_SATURATE),
    "e2m3": (ml_dtypes.float6_e2m3fn, OVERFLOW_SATURATE),
    "e2m1": (ml_dtypes.float4_e2m1fn, OVERFLOW_SATURATE),
    "e4m3": (ml_dtypes.float8_e4m3, OVERFLOW_INFINITY),
    "e3m4": (ml_dtypes.float8_e3m4, OVERFLOW_INFINITY),
    "e4m3fnuz": (ml_dtypes.float8_e4m3fnuz, OVERFLOW_NAN),
    "e5m2fnuz": (ml_dtypes.float8_e5m2fnuz, OVERFLOW_NAN),
    "e4m3b11fnuz": (ml_dtypes.float8_e4m3b11fnuz, OVERFLOW_NAN),
}


def same_bits(left: torch.Tensor, right: Sequence[float]) -> list[tuple[float, float]]:
    """The pairs that differ, the sign of zero included; all NaNs are equal."""
    return [
        (one, other)
        for one, other in zip(left.tolist(), right, strict=True)
        if not (math.isnan(one) and math.isnan(other))
        and (one != other or math.copysign(1, one) != math.copysign(1, other))
    ]


def with_neighbours(numbers: Iterable[float], dtype: torch.dtype) -> torch.Tensor:
    values = torch.tensor(list(numbers), dtype=dtype)
    ends = [torch.full_like(values, end) for end in (-math.inf, math.inf)]
    values = torch.cat([values, *(torch.nextafter(values, end) for end in ends)])
    return torch.cat([values, -values]).unique()


def roundings(dtype: torch.dtype, random: np.random.Generator) -> list[int]:
    """All modes for float32, one for float64, whose kernels differ by the width of their words only."""
    modes = list(range(rules.HALF_EVEN, rules.STOCHASTIC + 1))
    return modes if dtype == torch.float32 else [int(random.choice(modes))]


def float_samples(fields: FloatFields, dtype: torch.dtype, random: np.random.Generator) -> torch.Tensor:
    """Numbers of a format and midpoints with their neighbours, both ends, and what lies beyond."""
    last = minifloat_definition.largest_magnitude_code(fields)
    unit = Fraction(2) ** minifloat_definition.unit_exponent(fields)
    number_of = minifloat_definition.magnitude_integer
    picked = {0, 1, 2, last - 1, last, *random.integers(0, last + 1, 3).tolist()}
    pairs = [[number_of(min(max(code + step, 0), last), fields) for step in (0, 1)] for code in picked]
    numbers = [float(pair[0] * unit) for pair in pairs] + [float(sum(pair) * unit / 2) for pair in pairs]
    largest = float(number_of(last, fields) * unit)
    numbers += [largest * factor for factor in (1.03125, 1.0625, 1.25, 1.5, 100.0)]
    numbers += [1e-45, 1.0, 3e38, float(random.normal())]
    top = torch.finfo(dtype).max
    values = with_neighbours([min(number, top) for number in numbers], dtype)
    ends = torch.tensor([math.inf, -math.inf, math.nan, -0.0], dtype=dtype)
    return torch.cat([values, ends])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FLOATS)
def test_minifloat_equals_the_definition(name: str, dtype: torch.dtype) -> None:
    fields = FLOATS[name]
    random = np.random.default_rng([1, *name.encode()])
    values = float_samples(fields, dtype, random)
    nan_code = 1
    for rounding in roundings(dtype, random):
        overflow = int(random.integers(0, 4))
        underflow = int(random.integers(0, 2)) if fields.subnormals != SUBNORMALS_GRADUAL else FLUSH_AFTER_ROUNDING
        width = int(random.choice([1, 7, 32])) if rounding == rules.STOCHASTIC else 0
        bits = torch.from_numpy(random.integers(0, 1 << width, values.shape))
        options = {
            "rounding": rounding,
            "overflow": overflow,
            "underflow": underflow,
            "random_width": width,
            "nan_code": nan_code,
        }
        expected = [
            minifloat_definition.encode_scalar(value, fields, random_bits=one, **options)
            for value, one in zip(values.tolist(), bits.tolist(), strict=True)
        ]
        given_bits = bits if width else None
        assert minifloat.encode(values, fields, random_bits=given_bits, **options).tolist() == expected, options
        if rounding % 3:  # the same kernel, once more
            continue
        numbers = [float(minifloat_definition.decode_scalar(code, fields)) for code in expected]
        assert not same_bits(minifloat.cast(values, fields, random_bits=given_bits, **options), numbers), options


@pytest.mark.parametrize("name", FLOATS)
def test_all_minifloat_codes_decode_and_encode_back(name: str) -> None:
    fields = FLOATS[name]
    width = minifloat_definition.code_width(fields)
    numbers = np.arange(1 << width) if width <= 11 else np.random.default_rng(2).integers(0, 1 << width, 1000)
    codes = torch.from_numpy(numbers).to(minifloat.code_dtype(width))
    expected = [float(minifloat_definition.decode_scalar(int(code), fields)) for code in numbers]
    for dtype in (torch.float64, torch.float32):
        values = minifloat.decode(codes, fields, dtype)
        assert values.dtype == dtype
        assert not same_bits(values, expected)
    numbers = values[values.isfinite() & (values != 0)]
    back = minifloat.encode(numbers, fields, underflow=FLUSH_BEFORE_ROUNDING).tolist()
    assert not same_bits(numbers, [float(minifloat_definition.decode_scalar(code, fields)) for code in back])


@pytest.mark.parametrize("name", ML_DTYPES)
def test_every_bfloat16_becomes_what_ml_dtypes_makes_of_it(name: str) -> None:
    kind, overflow = ML_DTYPES[name]
    fields = STANDARD_FLOATS[name]
    values = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16).astype(np.float32)
    if minifloat_definition.nan_code(fields) is None:  # NaN is an error here and -0 in ml_dtypes
        values = values[~np.isnan(values)]
    with np.errstate(all="ignore"):
        foreign = values.astype(kind)
    codes = minifloat.encode(torch.from_numpy(values), fields, overflow=overflow).numpy()
    no_number = np.isnan(foreign.astype(np.float32))  # NaN codes may carry a sign there
    assert ((codes == foreign.view(np.uint8)) | no_number).all()
    decoded = minifloat.decode(torch.from_numpy(codes), fields).numpy()
    assert np.array_equal(np.isnan(decoded), no_number)


def fixed_samples(fields: FixedFields, dtype: torch.dtype, random: np.random.Generator) -> torch.Tensor:
    low, high = fixed_definition.integer_range(fields)
    integers = [0, 1, 2, low - 2, low - 1, low, low + 1, high - 1, high, high + 1, 2 * high + 1, 4 * low - 1]
    integers += [*random.integers(-(1 << 40), 1 << 40, 6).tolist()]
    step = Fraction(1, 4) / Fraction(2) ** fields.fraction_bits
    numbers = [float((4 * integer + quarter) * step) for integer in integers for quarter in range(4)]
    values = with_neighbours([*numbers, float(step) * 2.0**-60, 1e-45, 1e30], dtype)
    return values[values.isfinite()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FIXED | WIDE_FIXED | WIDEST_FIXED)
def test_fixed_point_equals_the_definition(name: str, dtype: torch.dtype) -> None:
    fields = (FIXED | WIDE_FIXED | WIDEST_FIXED)[name]
    random = np.random.default_rng([3, *name.encode()])
    values = fixed_samples(fields, dtype, random)
    overflows = [mode for mode in fixed_definition.OVERFLOWS if fields.signed or mode != 5]
    holds = name in FIXED or (dtype == torch.float64 and name in WIDE_FIXED)
    for rounding in roundings(dtype, random):
        overflow = overflows[rounding % len(overflows)]
        most = min(fields.width, 5) if overflow in fixed_definition.WRAPS else 0
        width = int(random.choice([1, 7, 32])) if rounding == rules.STOCHASTIC else 0
        picked = torch.from_numpy(random.permutation(len(values))[:60])
        some = values[picked]
        if not most:
            some = torch.cat([some, torch.tensor([math.inf, -math.inf, math.nan, -0.0], dtype=dtype)])
        bits = torch.from_numpy(random.integers(0, 1 << width, some.shape))
        options = {
            "rounding": rounding,
            "overflow": overflow,
            "saturation_bits": int(random.integers(0, most + 1)),
            "random_width": width,
            "nan_code": (1 << fields.width) - 1,
        }
        expected = [
            fixed_definition.encode_scalar(value, fields, random_bits=one, **options)
            for value, one in zip(some.tolist(), bits.tolist(), strict=True)
        ]
        given_bits = bits if width else None
        assert fixed.encode(some, fields, random_bits=given_bits, **options).tolist() == expected, options
        if holds and rounding % 3 == 0:  # the same kernel, once more
            numbers = [float(fixed_definition.decode_scalar(code, fields)) for code in expected]
            assert not same_bits(fixed.cast(some, fields, random_bits=given_bits, **options), numbers), options
            codes = torch.tensor(expected, dtype=torch.int64).to(fixed.code_dtype(fields.width))
            assert not same_bits(fixed.decode(codes, fields, dtype), numbers)


@pytest.mark.parametrize(
    ("overflow", "saturation_bits"),
    [(mode, bits) for mode in fixed_definition.OVERFLOWS for bits in range(6 if mode in fixed_definition.WRAPS else 1)],
)
def test_every_overflow_of_a_small_word(overflow: int, saturation_bits: int) -> None:
    values = torch.arange(-256, 256, dtype=torch.float32) / 4
    for signed in (0, 1):
        if not signed and overflow == 5:
            continue
        fields = FixedFields(5, 0, signed)
        for rounding in (rules.FLOOR, rules.HALF_UP, rules.HALF_EVEN):
            options = {"rounding": rounding, "overflow": overflow, "saturation_bits": saturation_bits}
            expected = [fixed_definition.encode_scalar(value, fields, **options) for value in values.tolist()]
            assert fixed.encode(values, fields, **options).tolist() == expected


@settings(max_examples=30)
@given(
    fields=st.sampled_from(sorted(FLOATS.values())),
    rounding=st.integers(0, 7),
    overflow=st.integers(0, 3),
    values=st.lists(st.floats(width=32), min_size=1, max_size=40),
)
def test_any_float32_into_any_minifloat(fields: FloatFields, rounding: int, overflow: int, values: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        options = {"rounding": rounding, "overflow": overflow, "nan_code": 0}
        codes = minifloat.encode(torch.tensor(values, dtype=torch.float32), fields, **options).tolist()
    assert codes == [minifloat_definition.encode_scalar(value, fields, **options) for value in values]


def test_shapes_and_strides() -> None:
    values = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(1)).transpose(0, 2)
    assert torch.equal(minifloat.cast(values, E4M3FN), minifloat.cast(values.contiguous(), E4M3FN))
    assert minifloat.encode(values, E4M3FN).shape == (7, 5, 3)
    assert fixed.cast(torch.empty(0, 4), INT8).shape == (0, 4)
    assert fixed.encode(torch.tensor(3.7), INT8).item() == 4


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: minifloat.cast(torch.zeros(2, dtype=torch.float16), E2M1),
            TypeError,
            "must be float32 or float64",
        ),
        (lambda: minifloat.encode(torch.tensor([1.0, math.nan]), E2M1), ValueError, "1 of 2 values are NaN"),
        (lambda: fixed.encode(torch.tensor([math.nan]), INT8), ValueError, "give nan_code"),
        (
            lambda: fixed.encode(torch.tensor([math.inf]), INT8, overflow=OVERFLOW_WRAP),
            ValueError,
            "1 of 1 values",
        ),
        (lambda: fixed.cast(torch.zeros(1), FixedFields(26, 0, 1)), ValueError, "float32 does not hold .* use float64"),
        (lambda: fixed.cast(torch.zeros(1), FixedFields(64, 0, 1)), ValueError, "no float type does"),
        (lambda: minifloat.cast(torch.zeros(1), FloatFields(8, 2, 160, 1, 2, 0, 1)), ValueError, "use float64"),
        (
            lambda: fixed.encode(torch.zeros(1), INT8, nan_code=256),
            ValueError,
            r"in \[0, 255\], got 256",
        ),
        (lambda: fixed.encode(torch.zeros(1), INT8, rounding=9), ValueError, "rounding mode must be 0 to 8, got 9"),
        (
            lambda: fixed.decode(torch.tensor([16], dtype=torch.uint8), FixedFields(4, 0, 1)),
            ValueError,
            "code 16 of 4",
        ),
        (lambda: fixed.decode(torch.tensor([1]), INT8), TypeError, "codes of 8 bits are torch.uint8, got torch.int64"),
        (lambda: fixed.decode(torch.tensor([1], dtype=torch.uint8), INT8, torch.int32), TypeError, "not torch.int32"),
        (
            lambda: minifloat.encode(torch.zeros(1), E2M1, rounding=rules.STOCHASTIC, random_width=3),
            ValueError,
            r"needs random_bits, integers below 2\*\*3",
        ),
        (
            lambda: fixed.encode(
                torch.zeros(1), INT8, rounding=8, random_width=3, random_bits=torch.tensor([8], dtype=torch.int32)
            ),
            ValueError,
            "random_bits from 8 to 8: random_width 3 allows 0 to 7",
        ),
        (
            lambda: fixed.encode(torch.zeros(2), INT8, rounding=8, random_width=3, random_bits=torch.tensor([1])),
            ValueError,
            r"random_bits of shape \(1,\) for values of shape \(2,\)",
        ),
    ],
)
def test_errors_say_what_was_given(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
