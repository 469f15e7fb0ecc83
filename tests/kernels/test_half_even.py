"""The quick cast, half to even and saturating, at the ends of the values' type: ties, patterns, scaled magnitudes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.cast_constants import CastOptions
from kernels.compiled import fixed as compiled_fixed
from kernels.compiled import minifloat as compiled_minifloat
from kernels.definitions import fixed as defined_fixed
from kernels.definitions import minifloat as defined_minifloat
from kernels.extents import FLOAT32, FLOAT64, FloatType, check_holds, holds, value_of
from kernels.fields import SUBNORMALS_FLUSH, SUBNORMALS_GRADUAL, SUBNORMALS_KEEP_EXPONENT, FixedFields, FloatFields
from kernels.half_even_constants import half_even_constants
from tests.kernels.format_list import FLOATS, minifloat
from tests.kernels.twins import Fields, same

WIDE = {
    **{
        name: FLOATS[name]
        for name in ("e8m0", "p3109 k8p1", "e7m2 bias 0", "e8m2 bias 140", "bf16", "e8m6 bias 131 keep")
    },
    "e7m2 bias 148": minifloat(7, 2, 148),
    "e5m0 bias 149": minifloat(5, 0, 149, subnormals=SUBNORMALS_KEEP_EXPONENT),
    "e4m2 bias 147": minifloat(4, 2, 147),
    "ue6m3 bias 140 flush": minifloat(6, 3, 140, subnormals=SUBNORMALS_FLUSH, signed=0),
    "e2m3 bias -123": minifloat(2, 3, -123),
    "e0m4 bias -123": minifloat(0, 4, -123),
    "e0m23 bias -126": minifloat(0, 23, -126),
    "e3m2 bias -119 flush": minifloat(3, 2, -119, subnormals=SUBNORMALS_FLUSH),
}
"""Minifloats at the ends of float32: with its own subnormals, with binades among them, or with coarse spacings."""

WIDE_FIXED = {
    "fixed<8,-140>": FixedFields(8, 148, 1),
    "fixed<24,-125>": FixedFields(24, 149, 1),
    "fixed<8,127>": FixedFields(8, -119, 1),
    "ufixed<24,128>": FixedFields(24, -104, 0),
    "fixed<25,128>": FixedFields(25, -103, 1),
}
"""Fixed point there; none of it is scaled to integers."""


def neighbourhood(fields: Fields, dtype: Any) -> np.ndarray:
    """Every number of a format (up to 16 bits; else its first and last), every midpoint, and what lies beside both."""
    is_fixed = isinstance(fields, FixedFields)
    width = fields.width if is_fixed else defined_minifloat.code_width(fields)
    half = 1 << (width - 1)
    few = [range(200), range(half - 200, half + 200), range(2 * half - 200, 2 * half)]
    codes = range(2 * half) if width <= 16 else [code for part in few for code in part]
    numbers = np.array([value_of(code, fields) for code in codes])
    numbers = np.unique(numbers[np.isfinite(numbers)])
    ends = [0.0, -0.0, np.inf, -np.inf, 1.4e-45, -1.4e-45, 3.4e38, -3.4e38]
    with np.errstate(over="ignore"):
        exact = np.concatenate([numbers, (numbers[1:] + numbers[:-1]) / 2, numbers[[0, -1]] * 1.5, ends]).astype(dtype)
        return np.concatenate([exact, np.nextafter(exact, dtype(np.inf)), np.nextafter(exact, dtype(-np.inf))])


def by_definition(values: np.ndarray, fields: Fields) -> np.ndarray:
    definition: Any = defined_fixed if isinstance(fields, FixedFields) else defined_minifloat
    codes = [definition.encode_scalar(value, fields, rounding=0, overflow=0) for value in values.tolist()]
    return np.array([value_of(code, fields) for code in codes], dtype=values.dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*WIDE, *WIDE_FIXED])
def test_every_number_and_midpoint_at_the_ends_of_float32(name: str, dtype: type) -> None:
    fields: Any = (WIDE | WIDE_FIXED)[name]
    check_holds(FLOAT32, fields)
    values = neighbourhood(fields, dtype)
    values = values[:: max(values.size // 4000, 1)]
    compiled: Any = compiled_fixed if isinstance(fields, FixedFields) else compiled_minifloat
    options = {"rounding": 0, "overflow": 0}
    wrong = ~same(compiled.cast(values, fields, **options), by_definition(values, fields))
    assert values.size > 150
    assert not wrong.any(), values[wrong][:5]


def differences_from_float64(fields: FloatFields, values: np.ndarray) -> int:
    """Where the cast in float32 is not the one in float64, which is far from that type's ends and scales nothing."""
    nan_code = None if defined_minifloat.nan_code(fields) is not None else 0
    narrow = compiled_minifloat.cast(values, fields, nan_code=nan_code)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        values = values.astype(np.float64)
    wide = compiled_minifloat.cast(values, fields, nan_code=nan_code)
    return int((~same(narrow, wide)).sum())


@pytest.mark.parametrize("name", sorted({*WIDE, *FLOATS}))
def test_patterns_of_float32_are_rounded_as_in_float64(name: str) -> None:
    fields = {**FLOATS, **WIDE}[name]
    patterns = np.arange(0, 1 << 32, 12_289, dtype=np.uint64).astype(np.uint32)
    ties = np.arange(0, 1 << 32, 1 << 16, dtype=np.uint64).astype(np.uint32)
    assert differences_from_float64(fields, np.concatenate([patterns, ties]).view(np.float32)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["e8m0", "e7m2 bias 0", "e8m6 bias 131 keep", "e0m4 bias -123"])
def test_every_pattern_of_float32_is_rounded_as_in_float64(name: str) -> None:
    for start in range(0, 1 << 32, 1 << 24):
        values = np.arange(start, start + (1 << 24), dtype=np.uint32).view(np.float32)
        assert differences_from_float64(WIDE[name], values) == 0


@st.composite
def fields_of_float32(draw: st.DrawFn) -> FloatFields:
    """Minifloats that float32 holds, most of them at one of its ends."""
    exponent_bits, mantissa_bits = draw(st.integers(0, 8)), draw(st.integers(0, 23))
    fields = FloatFields(
        exponent_bits=exponent_bits,
        mantissa_bits=mantissa_bits,
        bias=draw(st.integers(-128, 150)),
        signed=draw(st.integers(0, 1)),
        specials=2,
        subnormals=draw(st.sampled_from([SUBNORMALS_GRADUAL, SUBNORMALS_KEEP_EXPONENT, SUBNORMALS_FLUSH])),
        zero=draw(st.integers(0, 1)),
    )
    try:
        defined_minifloat.check_fields(fields)
    except ValueError:
        return FLOATS["e8m0"]
    return fields if holds(FLOAT32, fields) else FLOATS["e7m2 bias 0"]


@given(fields=fields_of_float32(), patterns=st.lists(st.integers(0, 0xFFFF_FFFF), min_size=1, max_size=6))
def test_any_pattern_to_any_minifloat_of_float32(fields: FloatFields, patterns: list[int]) -> None:
    values = np.array(patterns, dtype=np.uint32).view(np.float32)
    values = np.concatenate([values, (np.array(patterns, np.uint32) & np.uint32(0xFFFF_0000)).view(np.float32)])
    values = values[~np.isnan(values)]
    assert same(compiled_minifloat.cast(values, fields), by_definition(values, fields)).all()


@pytest.mark.parametrize(
    ("name", "float_type", "scale"),
    [
        ("e4m3fn", FLOAT32, 1.0),
        ("e8m0", FLOAT32, 1.0),  # one more binade has the spacing of the least one
        ("e7m2 bias 0", FLOAT32, 1.0),
        ("e8m6 bias 131 keep", FLOAT32, 2.0**24),
        ("e8m6 bias 131 keep", FLOAT64, 1.0),
        ("e0m4 bias -123", FLOAT32, 2.0**-64),
    ],
)
def test_magnitudes_are_scaled_only_where_it_is_needed(name: str, float_type: FloatType, scale: float) -> None:
    numbers = half_even_constants({**FLOATS, **WIDE}[name], CastOptions(), float_type, 0.0)
    assert (numbers.scale, numbers.scale * numbers.unscale) == (scale, 1.0)
    assert numbers.magic < 2.0**float_type.greatest_exponent
    assert (numbers.scaled_end > 0) == (scale != 1)


@pytest.mark.parametrize("size", [0, 1, 15, 127, 128, 129, 1000, 4096])
def test_arrays_of_any_length_and_in_place(size: int) -> None:
    """The loop asks for memory behind the end of short arrays, which is no access."""
    values = np.random.default_rng(size).normal(size=size).astype(np.float32)
    expected = by_definition(values, FLOATS["e4m3fn"])
    assert same(compiled_minifloat.cast(values, FLOATS["e4m3fn"]), expected).all()
    compiled_minifloat.cast(values, FLOATS["e4m3fn"], out=values)
    assert same(values, expected).all()
