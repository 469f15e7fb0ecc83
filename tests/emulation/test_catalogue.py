"""Names of formats: the catalogue, the grammar, and what its errors say."""

from __future__ import annotations

import dataclasses
import math
import re
from fractions import Fraction

import pytest
from gfloat import decode_float
from gfloat.formats import format_info_p3109
from hypothesis import given, reject
from hypothesis import strategies as st

from emulation.catalogue import (
    CATALOGUE,
    Entry,
    Family,
    Source,
    UnknownFormatError,
    finite_codes,
    highest,
    lowest,
    parse,
    smallest_positive,
)
from emulation.format_names import ALIASES
from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    Codebook,
    FixedPoint,
    Format,
    KHot,
    LearnedCodebook,
    MiniFloat,
    Sign,
    SignMagnitude,
    Specials,
    Subnormals,
    TermSigns,
    Zero,
)
from emulation.formats.blocks import E4M3FN, NVFP4_ELEMENT, exponent_only
from emulation.formats.scalar import E8M0
from emulation.formats.tables import NF4, additive_powers, k_hot, power_of_two
from emulation.quantisers import Quantiser, Scaling
from kernels.definitions import minifloat
from tests.emulation.formats_of_fields import SCALARS
from tests.kernels.format_list import FLOATS

fixed_points = st.builds(
    FixedPoint,
    width=st.integers(1, 64),
    fraction_bits=st.integers(-80, 80),
    sign=st.sampled_from(Sign),
)


@st.composite
def minifloats(draw: st.DrawFn) -> MiniFloat:
    """Any minifloat that can be made; tests of errors say which cannot."""
    try:
        return MiniFloat(
            exponent_bits=draw(st.integers(0, 8)),
            mantissa_bits=draw(st.integers(0, 23)),
            bias=draw(st.none() | st.integers(-300, 300)),
            sign=draw(st.sampled_from(Sign)),
            specials=draw(st.sampled_from(Specials)),
            subnormals=draw(st.sampled_from(Subnormals)),
            zero=draw(st.sampled_from(Zero)),
        )
    except ValueError:
        reject()


elements = fixed_points | minifloats() | st.builds(SignMagnitude, magnitude_bits=st.integers(1, 23))
scales = minifloats() | st.integers(0, 8).map(exponent_only)
blocks = st.builds(
    BlockScaled, element=elements, scale=scales | st.just(E8M0), block_size=st.sampled_from([0, 1, 16, 32, 1000])
) | st.sampled_from([32, 16, 8, 0]).map(lambda size: BlockScaled(element=NVFP4_ELEMENT, scale=E4M3FN, block_size=size))
exponents = st.integers(0, 30)
small_terms = st.lists(exponents, min_size=1, max_size=3).map(tuple)
k_hots = st.builds(
    KHot, terms=st.lists(small_terms, min_size=1, max_size=4).map(tuple), signs=st.sampled_from(TermSigns)
) | st.sampled_from([*map(power_of_two, range(2, 7)), k_hot(3, 3), additive_powers(2, 3), additive_powers(3, 2)])
levels = st.integers(1, 4).flatmap(
    lambda bits: st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1 << bits, max_size=1 << bits)
)
codebooks = st.builds(
    Codebook,
    name=st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
    levels=levels.filter(any).map(tuple),
    entry_bits=st.integers(2, 16),
) | st.integers(2, 16).map(lambda bits: dataclasses.replace(NF4, entry_bits=bits))
learned = st.builds(LearnedCodebook, index_bits=st.integers(1, 8), entry_bits=st.integers(2, 16)) | st.builds(
    BinaryCoded, planes=st.integers(1, 8), entry_bits=st.integers(2, 16)
)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_catalogue_name_is_the_formats_own(entry: Entry) -> None:
    assert parse(entry.name) == entry.format
    assert str(entry.format) == entry.name
    assert parse(f"  {entry.name.upper()} ") == entry.format
    assert entry.source


def test_catalogue_names_and_formats_are_unique() -> None:
    assert len({entry.name for entry in CATALOGUE}) == len({entry.format for entry in CATALOGUE}) == len(CATALOGUE)


@given(fixed_points | minifloats() | blocks | k_hots | codebooks | learned)
def test_every_format_is_read_back_from_its_name(number_format: Format) -> None:
    assert parse(str(number_format)) == number_format
    assert parse(str(number_format).upper()) == number_format


def test_the_catalogue_has_every_family() -> None:
    assert {entry.family for entry in CATALOGUE} == set(Family)
    assert {entry.source for entry in CATALOGUE} == set(Source)


@pytest.mark.parametrize(
    ("name", "exact"),
    [  # smallest, largest, smallest above zero, epsilon, finite codes
        ("int8", (-128, 127, 1, 1, 256)),
        ("fixed<16,6>", (-32, 32 - 2**-10, 2**-10, 2**-10, 1 << 16)),
        ("e4m3fn", (-448, 448, 2**-9, 2**-3, 254)),
        ("e5m2", (-57344, 57344, 2**-16, 2**-2, 248)),
        ("e4m3fnuz", (-240, 240, 2**-10, 2**-3, 255)),
        ("binary8p4", (-224, 224, 2**-10, 2**-3, 253)),
        ("e8m0", (2**-127, 2.0**127, 2**-127, 1, 255)),
        ("e2m1ftz", (-6, 6, 1, 0.5, 16)),
        ("e2m1keep", (-6, 6, 0.75, 0.5, 16)),
        ("e2m1keepnz", (-6, 6, 0.5, 0.5, 16)),
        ("mxfp4", (-6, 6, 0.5, 0.5, 16)),
        ("mxint8", (-2, 127 / 64, 2**-6, 2**-6, 256)),
        ("bfp8/32", (-127 / 64, 127 / 64, 2**-6, 2**-6, 256)),
        ("pot4", (-64, 64, 1, 1, 16)),
        ("2hot4", (-16, 16, 1, 1, 100)),
        ("nf4", (-1, 1, NF4.levels[8], NF4.levels[8], 16)),
        ("codebook4", (-127, 127, 1, 1, 16)),
    ],
)
def test_what_the_catalogue_says_of_a_format(name: str, exact: tuple[float, ...]) -> None:
    entry = Entry(name=name, format=parse(name), source=Source.OCP_MX)
    said = (entry.smallest, entry.largest, entry.smallest_positive, entry.epsilon, entry.finite_codes)
    assert said == exact


def test_numbers_beyond_float64_are_infinite() -> None:
    assert lowest(parse("e8m23b-900")) == -math.inf
    assert smallest_positive(parse("e8m1b4000")) == 0


SMALL = {name: one for name, one in SCALARS.items() if isinstance(one, MiniFloat) and one.width <= 10}


@pytest.mark.parametrize("name", SMALL)
def test_range_and_codes_are_those_of_the_decoded_codes(name: str) -> None:
    """Every code of every small minifloat, decoded by the definition of the kernels."""
    number_format = SMALL[name]
    decoded = [minifloat.decode_scalar(code, FLOATS[name]) for code in range(1 << number_format.width)]
    finite = [Fraction(value) for value in decoded if math.isfinite(value)]
    assert finite_codes(number_format) == len(finite)
    assert (lowest(number_format), highest(number_format)) == (min(finite), max(finite))
    assert smallest_positive(number_format) == min(value for value in finite if value > 0)


@pytest.mark.parametrize("width", [4, 6, 8])
@pytest.mark.parametrize("precision", [2, 3, 4])
def test_p3109_names_mean_what_gfloat_says(width: int, precision: int) -> None:
    foreign = format_info_p3109(width, precision)
    number_format = parse(f"binary{width}p{precision}")
    assert highest(number_format) == foreign.max
    assert smallest_positive(number_format) == foreign.smallest
    assert finite_codes(number_format) == sum(
        math.isfinite(decode_float(foreign, code).fval) for code in range(1 << width)
    )


@pytest.mark.parametrize(("foreign", "ours"), ALIASES.items())
def test_names_that_others_use(foreign: str, ours: str) -> None:
    assert parse(foreign) == parse(ours)
    assert str(parse(foreign)) == ours


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
        ("tf32", MiniFloat(exponent_bits=8, mantissa_bits=10, specials=Specials.IEEE)),
        ("e8m0", exponent_only()),
        ("e8m0none", MiniFloat(exponent_bits=8, mantissa_bits=0)),
        (
            "e4m3fnftz",
            MiniFloat(exponent_bits=4, mantissa_bits=3, specials=Specials.FINITE_NAN, subnormals=Subnormals.FLUSH),
        ),
        ("binary8p3", MiniFloat(exponent_bits=5, mantissa_bits=2, bias=16, specials=Specials.P3109)),
        ("ubinary8p3", MiniFloat(exponent_bits=6, mantissa_bits=2, sign=Sign.UNSIGNED, specials=Specials.P3109)),
        ("mx-int8", BlockScaled(element=FixedPoint(width=8), scale=E8M0, block_size=32)),
        ("mxint8", BlockScaled(element=FixedPoint(width=8, fraction_bits=6), scale=E8M0, block_size=32)),
        ("block<sm4,e4m3fn,8>", BlockScaled(element=SignMagnitude(magnitude_bits=3), scale=E4M3FN, block_size=8)),
        ("bfp8e8/32", BlockScaled(element=SignMagnitude(magnitude_bits=7), scale=E8M0, block_size=32)),
        ("khot<0,2;1>", KHot(terms=((0, 2), (1,)))),
        ("table<mine:-1,0.5>x4", Codebook(name="mine", levels=(-1.0, 0.5), entry_bits=4)),
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
        ("mxfp8", "or mxfp8-e5m2 or mxfp8-e4m3?"),
        ("mx-nf4", "'mx-nf4' is not a format"),
        ("block<nf4,e8m0,16>", "'block<nf4,e8m0,16>' is not a format"),
        ("table<mine:a,b>", "'table<mine:a,b>' is not a format"),
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
        ("e0m3ftz", "MiniFloat e0m3 with specials 'none' has no finite code but zero"),
        ("e4m3fnuzkeepnz", "MiniFloat e4m3 with specials 'fnuz' gives NaN the code of minus zero, and has no zero"),
        ("bfp1/16", "SignMagnitude magnitude_bits must be 1 to 23 bits, got 0"),
        ("bfp8/0", "a block has at least 1 element, got /0; dfpN shares one exponent in the whole tensor"),
        ("pot0", "power-of-two width must be 2 to 6 bits, got 0"),
        ("upot7", "power-of-two width must be 1 to 5 bits, got 7"),
        ("0hot4", "K-hot terms must be 1 to 6 terms, got 0"),
        ("2hot99", "K-hot exponents must be 1 to 31 exponents, got 99"),
        ("apot3x4", "KHot exponents must be 0 to 30, got 0 to 44"),
        ("5hot4", "KHot codes must have at most 12 bits, got 20"),
        ("khot<31>", "KHot exponents must be 0 to 30, got 31 to 31"),
        ("nf4x17", "table entry_bits must be 2 to 16 bits, got 17"),
        ("table<mine:0,0>", "codebook 'mine' must have 2 to 4096 levels, a power of two of them, not all 0; got 2"),
        ("table<mine:1,inf>", "codebook 'mine' must have finite levels, got (1.0, inf)"),
        ("codebook9", "LearnedCodebook index_bits must be 1 to 8 bits, got 9"),
        ("bcq0", "BinaryCoded planes must be 1 to 8 bits, got 0"),
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
