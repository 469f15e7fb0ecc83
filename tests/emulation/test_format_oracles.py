"""Formats, codes and casts against foreign implementations: ml_dtypes, NumPy, gfloat and APyTypes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from apytypes import APyFixedArray, OverflowMode, QuantizationMode
from gfloat import FormatInfo, RoundMode, decode_float, round_ndarray
from gfloat.types import Domain

from emulation.catalogue import CATALOGUE, parse
from emulation.datapaths import Requantisation
from emulation.formats import FixedPoint, Format, MiniFloat, Sign, Specials, Subnormals, Zero
from emulation.quantisers import (
    Quantiser,
    Rounding,
    ScaledQuantiser,
    code_of,
    integer_of,
)
from kernels.requantise import requantise

FOREIGN_TYPES: dict[str, Any] = {
    "e2m1": ml_dtypes.float4_e2m1fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m4": ml_dtypes.float8_e3m4,
    "e4m3": ml_dtypes.float8_e4m3,
    "e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
}


def decode_foreign(name: str) -> np.ndarray:
    """The value of every code, as the foreign type decodes it."""
    width = parse(name).width
    storage = np.uint16 if width == 16 else np.uint8
    with np.errstate(invalid="ignore"):  # signalling NaNs of bfloat16
        return np.arange(1 << width, dtype=storage).view(FOREIGN_TYPES[name]).astype(np.float64)


def cast(number_format: Format, values: np.ndarray) -> np.ndarray:
    """Our cast with the unit that the format's own values have."""
    unit = np.array([math.ldexp(1.0, number_format.unit_exponent)])
    return ScaledQuantiser(quantiser=Quantiser(format=number_format), unit=unit).cast(values)


def interesting_inputs(finite: np.ndarray) -> np.ndarray:
    """float32 inputs: codes, midpoints of neighbours, their float32 neighbours, a dense grid, and beyond the range."""
    codes = np.unique(finite)
    middles = (codes[1:] + codes[:-1]) / 2
    largest = codes.max()
    with np.errstate(over="ignore"):
        points = np.concatenate([codes, middles, [largest * 1.03125, largest * 1.0625, largest * 1.5, largest * 4]])
        points = np.concatenate([points, -points]).astype(np.float32)
    dense = np.ldexp(np.arange(256, 512, dtype=np.float32)[:, None], np.arange(-160, 112)).reshape(-1)
    grid = np.concatenate([dense[::7], -dense[3::7]])
    beside = [np.nextafter(points, np.float32(np.inf)), np.nextafter(points, np.float32(-np.inf))]
    inputs = np.concatenate([points, *beside, grid.astype(np.float32), [0.0, -0.0]]).astype(np.float32)
    return inputs[np.isfinite(inputs)]


@pytest.mark.parametrize("name", FOREIGN_TYPES)
def test_cast_equals_the_foreign_type(name: str) -> None:
    """Round to nearest even; where the foreign type gives infinity or NaN, ours saturates."""
    number_format = parse(name)
    finite = decode_foreign(name)
    finite = finite[np.isfinite(finite)]
    inputs = interesting_inputs(finite)
    with np.errstate(over="ignore", invalid="ignore"):
        foreign = inputs.astype(FOREIGN_TYPES[name]).astype(np.float64)
    saturated = ~np.isfinite(foreign)
    expected = np.where(saturated, np.copysign(finite.max(), inputs), foreign)
    ours = cast(number_format, inputs)
    wrong = np.flatnonzero(ours != expected)
    assert not wrong.size, [(float(inputs[i]), float(ours[i]), float(expected[i])) for i in wrong[:5]]
    assert inputs.size > 5000
    assert np.any(np.abs(ours) == finite.max())


@pytest.mark.parametrize("name", FOREIGN_TYPES)
def test_every_code_means_what_the_foreign_type_says(name: str) -> None:
    number_format = parse(name)
    values = decode_foreign(name)
    assert len(values) == 1 << number_format.width
    unit = Fraction(2) ** number_format.unit_exponent
    specials = 0
    for code, value in enumerate(values.tolist()):
        if not math.isfinite(value):
            specials += 1
            with pytest.raises(ValueError, match=rf"code {code:#x} of {number_format} is not a finite number"):
                integer_of(code, number_format)
            continue
        integer = integer_of(code, number_format)
        assert integer * unit == Fraction(value)
        is_minus_zero = integer == 0 and code != 0
        assert code_of(integer, number_format) == (0 if is_minus_zero else code)
    kinds = {
        Specials.NONE: 0,
        Specials.FINITE_NAN: 2,
        Specials.FNUZ: 1,
        Specials.IEEE: 2 << number_format.mantissa_bits,
    }
    assert specials == kinds[number_format.specials]


@pytest.mark.parametrize("entry", [e for e in CATALOGUE if isinstance(e.format, FixedPoint)], ids=lambda e: e.name)
def test_every_integer_code(entry: Any) -> None:
    """Two's complement as NumPy stores it."""
    width, signed = entry.format.width, entry.format.sign is Sign.SIGNED
    codes = np.arange(1 << width, dtype=np.uint16)
    spare = 16 - width
    shifted = codes << np.uint16(spare)
    values = (shifted.view(np.int16) >> spare) if signed else (shifted >> np.uint16(spare))
    for code, value in zip(codes.tolist(), values.tolist(), strict=True):
        assert integer_of(code, entry.format) == value
        assert code_of(value, entry.format) == code
    zero_point = int(values.max()) // 2
    assert [integer_of(int(c), entry.format, zero_point) for c in codes] == [int(v) - zero_point for v in values]
    assert [code_of(int(v) - zero_point, entry.format, zero_point) for v in values] == codes.tolist()


def gfloat_twin(number_format: MiniFloat) -> FormatInfo:
    """The same format described for gfloat."""
    specials, mantissa_bits = number_format.specials, number_format.mantissa_bits
    nans = {Specials.IEEE: (1 << mantissa_bits) - 1, Specials.FINITE_NAN: 1}.get(specials, 0)
    return FormatInfo(
        str(number_format),
        number_format.width,
        mantissa_bits + 1,
        bias=number_format.resolved_bias,
        is_signed=True,
        domain=Domain.Extended if specials in (Specials.IEEE, Specials.P3109) else Domain.Finite,
        has_nz=specials not in (Specials.FNUZ, Specials.P3109),
        num_high_nans=nans,
        has_subnormals=True,
        is_twos_complement=False,
    )


SPLITS = [(exponent_bits, mantissa_bits) for exponent_bits in range(2, 6) for mantissa_bits in range(6)]


@pytest.mark.parametrize(
    ("exponent_bits", "mantissa_bits", "specials"),
    # Without mantissa bits IEEE has no NaN code beside infinity, which gfloat cannot describe.
    [(e, m, s) for e, m in SPLITS for s in Specials if m or s is not Specials.IEEE],
)
def test_any_split_against_gfloat(exponent_bits: int, mantissa_bits: int, specials: Specials) -> None:
    """Codes and saturating casts of every minifloat of 2 to 5 exponent and 0 to 5 mantissa bits."""
    number_format = MiniFloat(exponent_bits=exponent_bits, mantissa_bits=mantissa_bits, specials=specials)
    twin = gfloat_twin(number_format)
    unit = Fraction(2) ** number_format.unit_exponent
    finite = []
    for code in range(1 << number_format.width):
        value = decode_float(twin, code).fval
        if math.isfinite(value):
            assert integer_of(code, number_format) * unit == Fraction(value), code
            finite.append(value)
        else:
            with pytest.raises(ValueError, match="is not a finite number"):
                integer_of(code, number_format)
    assert max(finite) == number_format.largest_integer * unit
    points = np.unique(np.array(finite))
    middles = (points[1:] + points[:-1]) / 2
    beyond = np.array([points[0] * 1.3, points[-1] * 1.1, points[-1] * 3])
    inputs = np.concatenate([points, middles, np.nextafter(middles, -1e9), np.nextafter(middles, 1e9), beyond])
    expected = round_ndarray(twin, inputs, sat=True)
    if mantissa_bits == 0:
        # Neither neighbour has an even significand: gfloat takes the even code, our definition the larger power of two.
        away = round_ndarray(twin, inputs, RoundMode.TiesToAway, sat=True)
        expected = np.where(np.abs(inputs) > points[points > 0][0], away, expected)
    np.testing.assert_array_equal(cast(number_format, inputs), expected)


QUANTISATION = {
    Rounding.HALF_EVEN: QuantizationMode.TIES_EVEN,  # AP_RND_CONV
    Rounding.HALF_UP: QuantizationMode.TIES_POS,  # AP_RND
    Rounding.HALF_AWAY: QuantizationMode.TIES_AWAY,  # AP_RND_INF
    Rounding.FLOOR: QuantizationMode.TO_NEG,  # AP_TRN
    Rounding.CEILING: QuantizationMode.TO_POS,
    Rounding.TOWARD_ZERO: QuantizationMode.TO_ZERO,  # AP_TRN_ZERO
    Rounding.HALF_DOWN: QuantizationMode.TIES_NEG,  # AP_RND_MIN_INF
    Rounding.HALF_TOWARD_ZERO: QuantizationMode.TIES_ZERO,  # AP_RND_ZERO
}


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("name", ["fixed<8,4>", "fixed<6,6>", "fixed<3,1>", "fixed<9,12>", "int4", "fixed<16,6>"])
def test_fixed_point_casts_against_apytypes(name: str, rounding: Rounding) -> None:
    """Every 14-bit source code with 10 fraction bits, rounded and saturated."""
    number_format = parse(name)
    assert isinstance(number_format, FixedPoint)
    sources = np.arange(-(1 << 13), 1 << 13)
    foreign = APyFixedArray([int(code) for code in sources], int_bits=4, frac_bits=10).cast(
        int_bits=number_format.width - number_format.fraction_bits,
        frac_bits=number_format.fraction_bits,
        quantization=QUANTISATION[rounding],
        overflow=OverflowMode.SAT,
    )
    mask = (1 << number_format.width) - 1
    expected = [int(bits) & mask for bits in foreign.to_bits()]
    ours = requantise(
        sources.reshape(-1, 1),
        np.array([1]),
        shift=10 - number_format.fraction_bits,
        low=number_format.smallest_integer,
        high=number_format.largest_integer,
        rounding=rounding.value,
    )
    assert [code_of(int(integer), number_format) for integer in ours[:, 0]] == expected


def test_sampled_values_go_to_the_same_fixed_point_codes_as_apytypes() -> None:
    number_format = parse("fixed<10,4>")
    values = np.random.default_rng(5).normal(scale=6, size=2000)
    foreign = APyFixedArray.from_float(values.tolist(), int_bits=20, frac_bits=60).cast(
        int_bits=4, frac_bits=6, quantization=QuantizationMode.TIES_EVEN, overflow=OverflowMode.SAT
    )
    np.testing.assert_array_equal(cast(number_format, values), foreign.to_numpy())
    assert np.abs(cast(number_format, values)).max() == 8.0


def test_minus_zero_and_codes_out_of_range() -> None:
    assert integer_of(0x80, parse("e4m3fn")) == 0
    assert code_of(0, parse("e4m3fn")) == 0
    with pytest.raises(ValueError, match="code 0x80 of e4m3fnuz is not a finite number"):
        integer_of(0x80, parse("e4m3fnuz"))
    with pytest.raises(ValueError, match=r"code 256 of int8 must lie in \[0, 255\]"):
        integer_of(256, parse("int8"))
    with pytest.raises(ValueError, match=r"code -1 of e2m1 must lie in \[0, 15\]"):
        integer_of(-1, parse("e2m1"))


@pytest.mark.parametrize(
    ("integer", "name", "zero_point", "message"),
    [
        (128, "int8", 0, "128 has no code in int8 with zero point 0"),
        (-12, "uint4", 11, "-12 has no code in uint4 with zero point 11"),
        (5, "e2m1", 0, "5 has no code in e2m1"),
        (13, "e2m1", 0, "13 has no code in e2m1"),
        (480 << 9, "e4m3fn", 0, "245760 has no code in e4m3fn"),
        (-1, "ue4m3fn", 0, "-1 has no code in ue4m3fn"),
    ],
)
def test_integers_without_a_code(integer: int, name: str, zero_point: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        code_of(integer, parse(name), zero_point)


@pytest.mark.parametrize("subnormals", list(Subnormals))
@pytest.mark.parametrize("zero", list(Zero))
@pytest.mark.parametrize(("exponent_bits", "mantissa_bits"), [(2, 1), (3, 0), (2, 3), (4, 2)])
def test_codes_with_other_subnormals_and_zeros(
    exponent_bits: int, mantissa_bits: int, subnormals: Subnormals, zero: Zero
) -> None:
    """The least code that means an integer is found again, whatever field 0 means."""
    number_format = MiniFloat(
        exponent_bits=exponent_bits, mantissa_bits=mantissa_bits, subnormals=subnormals, zero=zero, sign=Sign.UNSIGNED
    )
    first_code: dict[int, int] = {}
    for code in range(1 << number_format.width):
        first_code.setdefault(integer_of(code, number_format), code)
    assert sorted(first_code.values()) == sorted(code_of(integer, number_format) for integer in first_code)
    assert all(code_of(integer, number_format) == code for integer, code in first_code.items())


@pytest.mark.parametrize("bits", [1, 32])
def test_multiplier_bits_are_checked(bits: int) -> None:
    with pytest.raises(ValueError, match=f"multiplier_bits must be 2 to 31, got {bits}"):
        Requantisation(multiplier_bits=bits)
