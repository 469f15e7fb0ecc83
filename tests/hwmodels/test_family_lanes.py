"""Lanes of every family: which units they are, and what is said about those without RTL."""

import pytest

from emulation.catalogue import parse
from emulation.datapaths import Arithmetic, Product, parse_accumulator
from emulation.formats import KHot
from hwmodels.lanes import lane
from hwmodels.lmul_lanes import largest_product, lmul_lane
from hwmodels.operands import decoder, fields_of, stored_bits, value_bits
from hwmodels.rtl.engine_lanes import lane as rtl_lane
from hwmodels.rtl.lanes import MINIFLOAT_LANE
from hwmodels.rtl.lmul import LMUL_LANE
from hwmodels.rtl.multipliers import MULTIPLIER
from hwmodels.rtl.powers_of_two import K_HOT_MULTIPLIER, POWER_LANE
from hwmodels.table_units import LookUp, TableScope, code_table, level_count, level_search, search_stages
from hwmodels.units import multiplier, priced

WEIGHTS = ("int4", "fixed<6,2>", "e4m3fn", "pot4", "2hot4", "apot2x2", "nf4", "fp4", "codebook4", "bcq3", "dfp8")
ACTIVATIONS = ("uint4", "int8", "e4m3fn", "pot4", "nf4", "apot2x2", "dfp8")
INT20_WRAP = Arithmetic(accumulator=parse_accumulator("int20 wrap"))


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_product_of_two_values_fits_what_enters_the_tree(weight, activation):
    first, second = parse(weight), parse(activation)
    unit = lane(first, second, INT20_WRAP)
    corners = [
        one * other
        for one in (first.smallest_integer, first.largest_integer)
        for other in (second.smallest_integer, second.largest_integer)
    ]
    assert -(1 << (unit.product_bits - 1)) <= min(corners)
    # Two's complement, or unsigned where nothing is negative; the one product of two least integers may take the sign.
    assert max(corners) <= 1 << (unit.product_bits - (min(corners) < 0))
    assert unit.luts > 0
    assert unit.family
    beside = sum(one.luts for one in unit.beside_dsp)
    assert unit.luts >= beside >= 0


@pytest.mark.parametrize(
    ("weight", "activation", "shape"),
    [
        ("int4", "int8", {}),
        ("int4", "uint8", {"activation_signed": 0}),
        ("e2m1", "e2m1", {"weight_exponent": 2, "activation_exponent": 2}),
        ("e4m3fn", "int8", {"weight_exponent": 4}),
        ("int8", "e4m3fn", {"activation_exponent": 4}),
        ("pot4", "int6", {"weight_places": 7}),
    ],
)
def test_lanes_are_those_of_the_engine_in_rtl(weight, activation, shape):
    first, second = parse(weight), parse(activation)
    known = {"weight_bits": first.width, "activation_bits": second.width, "activation_signed": 1, "weight_exponent": 0}
    known |= {"activation_exponent": 0, "weight_places": 0} | shape
    ours, theirs = lane(first, second), rtl_lane(**known)
    assert ours.family == theirs.family
    assert ours.units == (priced(theirs.family, **theirs.parameters),)
    assert (ours.product_bits, bool(ours.carries)) == (theirs.term_bits, theirs.carries)
    assert ours.notes == ()


def test_sums_of_powers_are_one_unit_where_their_terms_are_alike():
    two, int8 = parse("2hot4"), parse("int8")
    assert isinstance(two, KHot)
    unit = lane(two, int8)
    assert unit.units == (priced(K_HOT_MULTIPLIER, width=8, terms=2, places=4, x_signed=1),)
    assert unit.units == lane(int8, two).units
    assert unit.beside_dsp == unit.units
    assert unit.operand_bits is None
    assert lane(parse("pot4"), int8).family == POWER_LANE
    assert lane(parse("pot4"), int8).luts < unit.luts
    assert lane(parse("apot2x2"), int8).notes == ("lane apot2x2: priced as terms of powers next to each other",)


def test_two_powers_of_two_add_their_exponents():
    pair = lane(parse("pot3"), parse("pot3"))
    assert pair.family == MINIFLOAT_LANE
    assert len(pair.units) == 1
    assert "has no RTL" in pair.notes[0]
    assert lane(parse("apot2x2"), parse("pot3")).luts > 2 * pair.luts
    assert lane(parse("pot3"), parse("e4m3fn")).luts > pair.luts


def test_unsigned_integers_beside_minifloats_are_flagged():
    unit = lane(parse("e4m3fn"), parse("uint8"))
    assert unit.luts > lane(parse("e4m3fn"), parse("int8")).luts
    assert unit.notes == ("lane: uint8 beside a minifloat has no RTL: priced as a signed integer",)


def test_fields_of_factors():
    known = {name: fields_of(parse(name)) for name in ("int8", "uint8", "e4m3fn", "nf4")}
    assert {name: (one.exponent_bits, one.mantissa_bits) for name, one in known.items()} == {
        "int8": (0, 7),
        "uint8": (0, 8),
        "e4m3fn": (4, 3),
        "nf4": (0, 7),
    }
    with pytest.raises(ValueError, match="no cost model for pot4 as a factor"):
        fields_of(parse("pot4"))


def test_codebooks_are_decoded_and_multiplied():
    nf4, learned, int8 = parse("nf4"), parse("codebook4"), parse("int8")
    for weight in (nf4, learned):
        unit = lane(weight, int8)
        assert unit.units == (multiplier(8, 8),)
        assert unit.operand_bits == (8, 8)
        assert unit.decoded == priced("codebook multiplier", index=4, entry=8, width=8, x_signed=1, seed=1)
        assert unit.weight_decoder is not None
        assert unit.weight_decoder.unit(1).luts == 4  # 16 words of 8 bits, two bits in a LUT
    assert lane(nf4, int8).weight_decoder.unit(8).luts == 4
    assert lane(learned, int8).weight_decoder.unit(8) == priced("parameter memory", words=128, bits=8, style=0, seed=1)
    shared = lane(learned, int8, Arithmetic(), TableScope.TENSOR).weight_decoder
    assert shared == LookUp(index_bits=4, entry_bits=8, scope=TableScope.TENSOR)
    assert lane(int8, nf4).activation_decoder == LookUp(index_bits=4, entry_bits=8)
    assert lane(nf4, int8).activation_decoder is None


def test_binary_codes_are_planes_where_sums_are_exact_and_a_table_elsewhere():
    bcq, int8 = parse("bcq3"), parse("int8")
    unit = lane(bcq, int8)
    assert unit.planes is not None
    assert (unit.planes.planes, unit.planes.alpha_bits) == (3, 8)
    assert unit.product_bits == 9
    assert unit.luts == 0
    rounded = lane(bcq, int8, INT20_WRAP)
    assert rounded.planes is None
    assert rounded.weight_decoder == LookUp(index_bits=3, entry_bits=8, scope=TableScope.CHANNEL)
    assert lane(bcq, parse("e4m3fn")).planes is None


@pytest.mark.parametrize("product", [one for one in Product if one is not Product.EXACT])
@pytest.mark.parametrize("name", ["e2m1", "e3m2", "e4m3fn", "e5m2", "e3m4", "e4m3b16"])
def test_lmul_lanes_hold_their_largest_product(product, name):
    number = parse(name)
    unit = lane(number, number, Arithmetic(product=product))
    assert unit.family == LMUL_LANE
    largest = largest_product(number, number, product)
    assert largest.bit_length() == unit.product_bits - 1  # its sign is a bit, too
    assert (unit.carries, unit.notes) == (1, ())


def test_clamped_lmul_takes_less_than_the_unbounded_one():
    e4m3, e5m2 = parse("e4m3fn"), parse("e5m2")
    product = Product.LMUL_FIELD_CLAMPED
    field, clamped = (lane(e4m3, e4m3, Arithmetic(product=one)) for one in (Product.LMUL_FIELD, product))
    assert (clamped.product_bits, field.product_bits) == (19, 34)
    assert clamped.luts < 0.9 * field.luts
    mixed = lmul_lane(e4m3, e5m2, product)
    assert mixed.notes == ("lane l-mul e4m3fn x e5m2: clamped products of two formats have no RTL, priced as e5m3",)
    assert mixed.unit.luts > clamped.luts


def test_lmul_takes_minifloats_only():
    with pytest.raises(ValueError, match="no cost model for l-mul-field of int8 x e4m3fn: L-Mul adds the exponents"):
        lane(parse("int8"), parse("e4m3fn"), Arithmetic(product=Product.LMUL_FIELD))


@pytest.mark.parametrize(
    ("block", "element", "family"),
    [("mxint8", "int8", MULTIPLIER), ("mxfp4", "e2m1", MINIFLOAT_LANE), ("bfp6/16", "int6", MULTIPLIER)],
)
def test_blocks_have_the_lanes_of_their_elements(block, element, family):
    ours, theirs = lane(parse(block), parse(block)), lane(parse(element), parse(element))
    assert (ours.luts, ours.product_bits, ours.operand_bits) == (theirs.luts, theirs.product_bits, theirs.operand_bits)
    assert ours.family == theirs.family == family


def test_a_search_tells_every_level():
    assert [search_stages(levels) for levels in (2, 3, 15, 16, 17)] == [1, 2, 4, 4, 5]
    assert level_search(16, 12) == priced("level search", code_bits=4, width=12, signed=1, seed=1)
    assert level_search(4096, 12).luts == pytest.approx(4 * level_search(1024, 12).luts)
    assert level_count(parse("nf4")) == 16
    assert level_count(parse("pot4")) == 15
    assert code_table(parse("nf4")).luts == 0
    assert code_table(parse("pot4")).luts == 2


@pytest.mark.parametrize("name", ["int8", "uint4", "e4m3fn", "pot4", "apot2x2", "nf4", "dfp8", "fixed<6,2>"])
def test_value_bits_hold_every_value(name):
    number = parse(name)
    bits, low, high = value_bits(number), number.smallest_integer, number.largest_integer
    signed = low < 0
    assert -(1 << (bits - 1)) * signed <= low
    assert high < 1 << (bits - signed)
    assert sum(unit.luts for unit in decoder(number)) >= 0


def test_scales_are_stored_with_their_blocks():
    assert stored_bits(parse("mxfp4"), 32) == 32 * 4 + 8
    assert stored_bits(parse("nvfp4"), 32) == 32 * 4 + 2 * 8
    assert stored_bits(parse("mxfp4"), 1) == 5
    assert stored_bits(parse("dfp8"), 7) == stored_bits(parse("int8"), 7) == 56
