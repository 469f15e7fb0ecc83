"""Minifloats against foreign implementations: ml_dtypes, gfloat, APyTypes and NumPy, exhaustively where codes are few.

Known disagreements between them are listed in kernels/README.md; where one concerns a comparison here, it is named.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import gfloat
import ml_dtypes
import numpy as np
import pytest
from apytypes import APyFloatArray, QuantizationMode
from gfloat import FormatInfo, RoundMode
from gfloat.formats import format_info_ocp_e8m0, format_info_p3109
from gfloat.types import Domain, Signedness

from kernels.compiled import minifloat
from kernels.definitions.minifloat import code_width, has_minus_zero
from kernels.extents import extent
from kernels.fields import (
    OVERFLOW_INFINITY,
    OVERFLOW_NAN,
    OVERFLOW_SATURATE,
    SPECIALS_FINITE_NAN,
    SPECIALS_FNUZ,
    SPECIALS_IEEE,
    SPECIALS_NONE,
    SPECIALS_P3109,
    SUBNORMALS_GRADUAL,
    FloatFields,
)
from kernels.rounding import (
    CEILING,
    FLOOR,
    HALF_AWAY,
    HALF_DOWN,
    HALF_EVEN,
    HALF_TOWARD_ZERO,
    HALF_UP,
    STOCHASTIC,
    TOWARD_ZERO,
)
from tests.kernels.format_list import FLOATS, SMALL_FLOATS
from tests.kernels.twins import interesting_values, same

FOREIGN_TYPES: dict[str, tuple[Any, int]] = {
    "e4m3fn": (ml_dtypes.float8_e4m3fn, OVERFLOW_NAN),
    "e5m2": (ml_dtypes.float8_e5m2, OVERFLOW_INFINITY),
    "e4m3": (ml_dtypes.float8_e4m3, OVERFLOW_INFINITY),
    "e3m4": (ml_dtypes.float8_e3m4, OVERFLOW_INFINITY),
    "e4m3fnuz": (ml_dtypes.float8_e4m3fnuz, OVERFLOW_NAN),
    "e5m2fnuz": (ml_dtypes.float8_e5m2fnuz, OVERFLOW_NAN),
    "e4m3b11fnuz": (ml_dtypes.float8_e4m3b11fnuz, OVERFLOW_NAN),
    "e3m2": (ml_dtypes.float6_e3m2fn, OVERFLOW_SATURATE),
    "e2m3": (ml_dtypes.float6_e2m3fn, OVERFLOW_SATURATE),
    "e2m1": (ml_dtypes.float4_e2m1fn, OVERFLOW_SATURATE),
    "e8m0": (ml_dtypes.float8_e8m0fnu, OVERFLOW_NAN),
    "bf16": (ml_dtypes.bfloat16, OVERFLOW_INFINITY),
    "fp16": (np.float16, OVERFLOW_INFINITY),
}
"""The foreign type and the overflow rule it has built in."""

GFLOAT_ROUNDINGS = {
    HALF_EVEN: RoundMode.TiesToEven,
    HALF_AWAY: RoundMode.TiesToAway,
    TOWARD_ZERO: RoundMode.TowardZero,
    CEILING: RoundMode.TowardPositive,
    FLOOR: RoundMode.TowardNegative,
}
APYTYPES_ROUNDINGS = {
    HALF_EVEN: QuantizationMode.TIES_EVEN,
    HALF_AWAY: QuantizationMode.TIES_AWAY,
    HALF_TOWARD_ZERO: QuantizationMode.TIES_ZERO,
    HALF_UP: QuantizationMode.TIES_POS,
    HALF_DOWN: QuantizationMode.TIES_NEG,
    TOWARD_ZERO: QuantizationMode.TO_ZERO,
    CEILING: QuantizationMode.TO_POS,
    FLOOR: QuantizationMode.TO_NEG,
}


@cache
def every_short_input() -> np.ndarray:
    """Every bfloat16 and every float16 number, as float32; one NaN is among them."""
    patterns = np.arange(1 << 16, dtype=np.uint16)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        values = np.concatenate(
            [patterns.view(ml_dtypes.bfloat16).astype(np.float32), patterns.view(np.float16).astype(np.float32)]
        )
    return np.concatenate([values[~np.isnan(values)], np.array([np.nan], dtype=np.float32)])


def midpoints(fields: FloatFields) -> np.ndarray:
    """Every midpoint between neighbouring numbers of a format (up to 16 bits), with its neighbours in float64."""
    with np.errstate(invalid="ignore"):
        values = minifloat.decode(np.arange(1 << code_width(fields)), fields, np.float64)
    finite = np.unique(values[np.isfinite(values)])
    beyond = [finite[-1] + (finite[-1] - finite[-2]) / 2, finite[-1] * 1.5]
    middles = np.concatenate([(finite[1:] + finite[:-1]) / 2, beyond, [-x for x in beyond if finite[0] < 0]])
    return np.concatenate([middles, np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf)])


def report(values: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> list[tuple[float, float, float]]:
    """The first differences."""
    wrong = np.flatnonzero(~same(ours, theirs))
    return [(float(values[i]), float(ours[i]), float(theirs[i])) for i in wrong[:5]]


@pytest.mark.parametrize("name", FOREIGN_TYPES)
def test_every_code_decodes_as_in_ml_dtypes(name: str) -> None:
    fields, foreign = FLOATS[name], FOREIGN_TYPES[name][0]
    width = code_width(fields)
    codes = np.arange(1 << width, dtype=np.uint16 if width == 16 else np.uint8)
    with np.errstate(invalid="ignore"):
        expected = codes.view(foreign).astype(np.float32)
    assert not report(codes, minifloat.decode(codes, fields, np.float32), expected)


@pytest.mark.parametrize("name", FOREIGN_TYPES)
def test_casts_equal_ml_dtypes(name: str) -> None:
    """All short inputs and every midpoint with its neighbours; NaN where the type has one."""
    fields, (foreign, overflow) = FLOATS[name], FOREIGN_TYPES[name]
    with np.errstate(over="ignore", under="ignore"):
        ties = midpoints(fields).astype(np.float32)
        ties = np.concatenate([ties, np.nextafter(ties, np.float32(np.inf)), np.nextafter(ties, np.float32(-np.inf))])
    values = np.concatenate([every_short_input(), interesting_values(fields, np.float32), ties])
    if overflow == OVERFLOW_SATURATE:
        values = values[~np.isnan(values)]
    if name == "e8m0":  # ml_dtypes rounds up all of the lowest binade, below its midpoint too; gfloat does not
        values = values[~((values > 2.0**-127) & (values < 1.5 * 2.0**-127))]
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(foreign)
    ours = minifloat.cast(values, fields, overflow=overflow)
    assert not report(values, ours, expected.astype(np.float32))
    codes = minifloat.encode(values, fields, overflow=overflow)
    numbers = ~np.isnan(ours)
    np.testing.assert_array_equal(codes[numbers], expected.view(codes.dtype)[numbers])
    assert values.size > 125_000


def gfloat_format(name: str, fields: FloatFields) -> FormatInfo:
    """The same format in gfloat's terms."""
    p3109 = fields.specials == SPECIALS_P3109
    high_nans = {
        SPECIALS_IEEE: (1 << fields.mantissa_bits) - 1,
        SPECIALS_FINITE_NAN: 1,
        SPECIALS_P3109: 0 if fields.signed else 1,
    }
    return FormatInfo(
        name,
        k=code_width(fields),
        precision=fields.mantissa_bits + 1,
        bias=fields.bias,
        is_signed=bool(fields.signed),
        domain=Domain.Extended if p3109 or fields.specials == SPECIALS_IEEE else Domain.Finite,
        has_nz=has_minus_zero(fields),
        num_high_nans=high_nans.get(fields.specials, 0),
        has_subnormals=True,
        is_twos_complement=False,
    )


GFLOAT_NAMES = [
    name
    for name, fields in SMALL_FLOATS.items()
    # gfloat has no flush, keeps no exponent in field 0 of a format with zero, and counts no exponent-free minus zero.
    if fields.subnormals == SUBNORMALS_GRADUAL and not (fields.specials == SPECIALS_FNUZ and not fields.signed)
]


def gfloat_inputs(fields: FloatFields, *, finite: bool) -> np.ndarray:
    """float64 inputs; gfloat has no rule for negative numbers in unsigned formats, and NaN needs a code."""
    short = every_short_input().astype(np.float64)[::3]
    values = np.concatenate([short, midpoints(fields), interesting_values(fields, np.float64, count=2000)])
    # gfloat scales by ldexp, which loses float64's own subnormals.
    values = values[~np.isnan(values) & ((values == 0) | (np.abs(values) > 1e-300))]
    if not fields.signed:
        values = values[~np.signbit(values)]
    return values[np.isfinite(values)] if finite else values


@pytest.mark.parametrize("name", GFLOAT_NAMES)
def test_every_code_decodes_as_in_gfloat(name: str) -> None:
    fields = SMALL_FLOATS[name]
    info = gfloat_format(name, fields)
    codes = np.arange(1 << code_width(fields))
    expected = np.array([gfloat.decode_float(info, int(code)).fval for code in codes])
    assert not report(codes, minifloat.decode(codes, fields, np.float64), expected)


@pytest.mark.parametrize("rounding", GFLOAT_ROUNDINGS)
@pytest.mark.parametrize("name", GFLOAT_NAMES)
def test_casts_equal_gfloat(name: str, rounding: int) -> None:
    """With and without saturation. Without mantissa bits ties go by other rules, so they are left out there."""
    fields = SMALL_FLOATS[name]
    info = gfloat_format(name, fields)
    values = gfloat_inputs(fields, finite=False)
    if rounding == HALF_EVEN and not fields.mantissa_bits:
        values = values[np.abs(np.frexp(values)[0]) != 0.75]
    expected = gfloat.round_ndarray(info, values, GFLOAT_ROUNDINGS[rounding], sat=True)
    assert not report(values, minifloat.cast(values, fields, rounding=rounding), expected)
    if fields.specials == SPECIALS_NONE or (fields.specials == SPECIALS_IEEE and not fields.mantissa_bits):
        return  # gfloat refuses to overflow without NaN, and has no format with infinity but without NaN
    overflow = OVERFLOW_NAN if info.domain == Domain.Finite else OVERFLOW_INFINITY
    expected = gfloat.round_ndarray(info, values, GFLOAT_ROUNDINGS[rounding], sat=False)
    expected = np.where(np.isinf(values) & (info.domain == Domain.Finite), np.nan, expected)
    assert not report(values, minifloat.cast(values, fields, rounding=rounding, overflow=overflow), expected)


@pytest.mark.parametrize("rounding", GFLOAT_ROUNDINGS)
def test_casts_to_powers_of_two_equal_gfloat(rounding: int) -> None:
    """E8M0 from its smallest number on (gfloat does not end there), without the ties of half to even."""
    fields = FLOATS["e8m0"]
    values = gfloat_inputs(fields, finite=True)
    values = values[(values >= 2.0**-127) & ((np.frexp(values)[0] != 0.75) | (rounding != HALF_EVEN))]
    expected = gfloat.round_ndarray(format_info_ocp_e8m0, values, GFLOAT_ROUNDINGS[rounding], sat=False)
    ours = minifloat.cast(values, fields, rounding=rounding, overflow=OVERFLOW_NAN)
    assert not report(values, ours, expected)
    assert np.isnan(ours).any() != (rounding in {FLOOR, TOWARD_ZERO})


@pytest.mark.parametrize("random_width", [1, 4, 8, 13])
@pytest.mark.parametrize("name", GFLOAT_NAMES)
def test_stochastic_casts_equal_gfloat(name: str, random_width: int) -> None:
    """The variant that adds random bits to the truncated fraction, given the same bits.

    On float32 inputs: gfloat adds fraction and random bits in float64, which can itself round up to the carry.
    """
    fields = SMALL_FLOATS[name]
    info = gfloat_format(name, fields)
    values = gfloat_inputs(fields, finite=True)[::2].astype(np.float32).astype(np.float64)
    values = values[np.isfinite(values)]
    random = np.random.default_rng(random_width).integers(0, 1 << random_width, values.size)
    expected = gfloat.round_ndarray(
        info, values, RoundMode.StochasticFastest, sat=True, srbits=random, srnumbits=random_width
    )
    ours = minifloat.cast(values, fields, rounding=STOCHASTIC, random_bits=random, random_width=random_width)
    assert not report(values, ours, expected)


@pytest.mark.parametrize("signedness", list(Signedness))
@pytest.mark.parametrize("precision", [2, 3, 4, 5])
def test_p3109_formats_are_gfloats_own(precision: int, signedness: Signedness) -> None:
    """Bias, NaN and infinity of the standard's formats as gfloat lists them, not as translated above."""
    info = format_info_p3109(8, precision, signedness, Domain.Extended)
    signed = int(signedness == Signedness.Signed)
    fields = FloatFields(
        9 - signed - precision, precision - 1, info.bias, signed, SPECIALS_P3109, SUBNORMALS_GRADUAL, 1
    )
    codes = np.arange(256)
    expected = np.array([gfloat.decode_float(info, int(code)).fval for code in codes])
    assert not report(codes, minifloat.decode(codes, fields, np.float64), expected)
    again = gfloat.encode_ndarray(info, expected)
    np.testing.assert_array_equal(minifloat.encode(expected, fields, overflow=OVERFLOW_INFINITY), again)


@pytest.mark.parametrize("rounding", APYTYPES_ROUNDINGS)
@pytest.mark.parametrize("name", ["e5m2", "e4m3", "e3m4", "fp16", "e6m9", "e4m3 bias 60"])
def test_ieee_casts_equal_apytypes(name: str, rounding: int) -> None:
    """APyTypes has IEEE formats only; every rounding but the stochastic one, overflow to infinity.

    It turns what rounds up from the subnormals to the smallest normal number into 0: all differences are there.
    """
    fields = FLOATS[name]
    every = 1 if extent(fields).significant_bits <= 8 else 21
    values = np.concatenate([interesting_values(fields, np.float64, count=1500), midpoints(fields)[::every]])
    wide = APyFloatArray.from_float(values.tolist(), exp_bits=11, man_bits=52)
    foreign = wide.cast(
        exp_bits=fields.exponent_bits,
        man_bits=fields.mantissa_bits,
        bias=fields.bias,
        quantization=APYTYPES_ROUNDINGS[rounding],
    ).to_numpy()
    ours = minifloat.cast(values, fields, rounding=rounding, overflow=OVERFLOW_INFINITY)
    smallest_normal = np.ldexp(1.0, extent(fields).first_binade)
    known = (np.abs(values) < smallest_normal) & (np.abs(ours) == smallest_normal) & (foreign == 0)
    assert known.any() == (rounding != TOWARD_ZERO)
    assert not report(values[~known], ours[~known], foreign[~known])


def test_ties_of_powers_of_two_differ_from_gfloat_only_there() -> None:
    """The one disagreement on rounding: gfloat and P3109 take the even code, ml_dtypes and we the larger power."""
    fields = FLOATS["p3109 k8p1"]
    values = gfloat_inputs(fields, finite=False)
    theirs = gfloat.round_ndarray(gfloat_format("k8p1", fields), values, RoundMode.TiesToEven, sat=True)
    ours = minifloat.cast(values, fields)
    fraction, _ = np.frexp(values)
    different = ~same(ours, theirs)
    assert different.any()
    assert (np.abs(fraction[different]) == 0.75).all()
    assert (np.abs(ours[different]) > np.abs(theirs[different])).all()
