"""Names of formats: the catalogue, the grammar, and what its errors say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.catalogue import CATALOGUE, Entry, UnknownFormatError, parse
from emulation.formats import FixedPoint, Format, MiniFloat, Sign, Specials, Subnormals, Zero
from emulation.quantisers import Quantiser, Scaling, grid_of

fixed_points = st.builds(
    FixedPoint,
    width=st.integers(1, 64),
    fraction_bits=st.integers(-80, 80),
    sign=st.sampled_from(Sign),
)


@st.composite
def minifloats(draw: st.DrawFn) -> MiniFloat:
    exponent_bits, mantissa_bits = draw(st.integers(1, 8)), draw(st.integers(0, 23))
    specials = draw(st.sampled_from(Specials))
    if exponent_bits + mantissa_bits < 3:  # too few codes for special ones
        exponent_bits, specials = 3, Specials.NONE
    return MiniFloat(
        exponent_bits=exponent_bits,
        mantissa_bits=mantissa_bits,
        bias=draw(st.none() | st.integers(-300, 300)),
        sign=draw(st.sampled_from(Sign)),
        specials=specials,
    )


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_catalogue_name_is_the_formats_own(entry: Entry) -> None:
    assert parse(entry.name) == entry.format
    assert str(entry.format) == entry.name
    assert parse(f"  {entry.name.upper()} ") == entry.format
    assert entry.source


def test_catalogue_names_and_formats_are_unique() -> None:
    assert len({entry.name for entry in CATALOGUE}) == len({entry.format for entry in CATALOGUE}) == len(CATALOGUE)


@given(fixed_points | minifloats())
def test_every_format_is_read_back_from_its_name(number_format: Format) -> None:
    assert parse(str(number_format)) == number_format


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int8", FixedPoint(width=8)),
        ("uint4", FixedPoint(width=4, sign=Sign.UNSIGNED)),
        ("fixed<16,6>", FixedPoint(width=16, fraction_bits=10)),
        ("fixed<8, 8>", FixedPoint(width=8)),
        ("ufixed<8,-3>", FixedPoint(width=8, fraction_bits=11, sign=Sign.UNSIGNED)),
        ("fixed<8,12>", FixedPoint(width=8, fraction_bits=-4)),
        ("e4m3fn", MiniFloat(exponent_bits=4, mantissa_bits=3, specials=Specials.FINITE_NAN)),
        ("e4m3", MiniFloat(exponent_bits=4, mantissa_bits=3, specials=Specials.IEEE)),
        ("e4m3none", MiniFloat(exponent_bits=4, mantissa_bits=3, specials=Specials.NONE)),
        ("e5m2", MiniFloat(exponent_bits=5, mantissa_bits=2, specials=Specials.IEEE)),
        ("e4m3b11fnuz", MiniFloat(exponent_bits=4, mantissa_bits=3, bias=11, specials=Specials.FNUZ)),
        ("e3m1b-5", MiniFloat(exponent_bits=3, mantissa_bits=1, bias=-5)),
        ("ue5m3fn", MiniFloat(exponent_bits=5, mantissa_bits=3, specials=Specials.FINITE_NAN, sign=Sign.UNSIGNED)),
        ("e4m3p3109", MiniFloat(exponent_bits=4, mantissa_bits=3, specials=Specials.P3109)),
        ("bf16", MiniFloat(exponent_bits=8, mantissa_bits=7, specials=Specials.IEEE)),
        ("e8m7ieee", MiniFloat(exponent_bits=8, mantissa_bits=7, specials=Specials.IEEE)),
    ],
)
def test_grammar(text: str, expected: Format) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "int",
            "'int' is not a format. Allowed are intN, uintN, fixed<W,I>, ufixed<W,I>, eXmY with an optional suffix",
        ),
        ("int8x", "Did you mean int8"),
        ("e4m3fm", "Did you mean e4m3fn"),
        ("posit8", "'posit8' is not a format"),
        ("", "'' is not a format"),
        ("fixed<16>", "'fixed<16>' is not a format"),
        ("e4m3fn fnuz", "and the names that `bitfront formats` lists."),
        ("-int8", "'-int8' is not a format"),
    ],
)
def test_text_that_is_no_format(text: str, message: str) -> None:
    with pytest.raises(UnknownFormatError, match=re.escape(message)):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int0", "FixedPoint width must be 1 to 64 bits, got 0"),
        ("uint65", "FixedPoint width must be 1 to 64 bits, got 65"),
        ("fixed<99,1>", "FixedPoint width must be 1 to 64 bits, got 99"),
        ("e9m3", "MiniFloat exponent_bits must be 0 to 8 bits, got 9"),
        ("e4m24", "MiniFloat mantissa_bits must be 0 to 23 bits, got 24"),
        ("e0m3ieee", "MiniFloat e0m3 with specials 'ieee' has no finite code but zero: use more bits"),
        ("e1m0fn", "MiniFloat e1m0 with specials 'finite-nan' has no finite code but zero"),
        ("e0m0", "MiniFloat e0m0 with specials 'none' has no finite code but zero"),
    ],
)
def test_widths_out_of_range(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(text)


@pytest.mark.parametrize(
    ("name", "largest", "smallest_positive"),
    [  # maxima and least subnormals as the specifications' tables print them
        ("e4m3fn", 448.0, 2.0**-9),
        ("e5m2", 57344.0, 2.0**-16),
        ("e3m2", 28.0, 2.0**-4),
        ("e2m3", 7.5, 2.0**-3),
        ("e2m1", 6.0, 0.5),
        ("e4m3", 240.0, 2.0**-9),
        ("e4m3fnuz", 240.0, 2.0**-10),
        ("e5m2fnuz", 57344.0, 2.0**-17),
        ("e3m4", 15.5, 2.0**-6),
        ("fp16", 65504.0, 2.0**-24),
        ("bf16", 3.3895313892515355e38, 2.0**-133),
        ("fixed<16,6>", 31.9990234375, 2.0**-10),
        ("int8", 127.0, 1.0),
    ],
)
def test_ranges_that_specifications_print(name: str, largest: float, smallest_positive: float) -> None:
    number_format = parse(name)
    assert number_format.largest_integer * 2.0**number_format.unit_exponent == largest
    assert 2.0**number_format.unit_exponent == smallest_positive


def test_limits_of_fixed_point() -> None:
    assert (parse("int8").smallest_integer, parse("int8").largest_integer) == (-128, 127)
    assert (parse("uint8").smallest_integer, parse("uint8").largest_integer) == (0, 255)
    assert (parse("int1").smallest_integer, parse("int1").largest_integer) == (-1, 0)
    assert parse("ue4m3fn").smallest_integer == 0
    assert parse("ue4m3fn").width == 7


@pytest.mark.parametrize(
    ("number_format", "name"),
    [
        (MiniFloat(exponent_bits=3, mantissa_bits=2, subnormals=Subnormals.FLUSH), "e3m2[flush]"),
        (
            MiniFloat(exponent_bits=3, mantissa_bits=2, subnormals=Subnormals.KEEP_EXPONENT, zero=Zero.ABSENT),
            "e3m2[keep-exponent, absent]",
        ),
    ],
)
def test_unusual_formats_print_but_have_no_name_and_no_cast(number_format: MiniFloat, name: str) -> None:
    assert str(number_format) == name
    with pytest.raises(UnknownFormatError, match=re.escape(f"{name!r} is not a format")):
        parse(name)
    with pytest.raises(ValueError, match=re.escape(f"no cast to {name} is defined: only minifloats with gradual")):
        grid_of(number_format)
    with pytest.raises(ValueError, match="no cast to"):
        Quantiser(format=number_format)


@pytest.mark.parametrize(
    ("name", "zero_point", "message"),
    [
        ("e2m1", 1, "a zero point needs an integer format, got zero_point 1 with e2m1"),
        ("uint4", 16, "zero_point 16 is no code of uint4: it must lie in [0, 15]"),
        ("int4", -9, "zero_point -9 is no code of int4: it must lie in [-8, 7]"),
    ],
)
def test_zero_points_out_of_range(name: str, zero_point: int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Quantiser(format=parse(name), scaling=Scaling(zero_point=zero_point))
