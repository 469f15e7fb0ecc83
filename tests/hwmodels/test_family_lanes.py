"""Lanes of every family: what they are made of, counted by hand, and what is said about them."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as some

from emulation.catalogue import parse
from emulation.datapaths import Arithmetic, Product, parse_accumulator
from emulation.formats import KHot
from hwmodels.composition import FIXED_LANE, LMUL_LANE, MINIFLOAT_LANE, SHIFT_LANE
from hwmodels.lanes import lane
from hwmodels.lmul_units import largest_product, lmul_luts, lmul_shape, lmul_widths
from hwmodels.memory import Access, lut_memory_count
from hwmodels.minifloat_units import align_luts, shift_cells
from hwmodels.operands import decode_luts, stored_bits, value_bits
from hwmodels.shift_units import place_cells, power_of_two_luts, terms_luts
from hwmodels.table_units import LookUp, TableScope, level_count, level_search_luts
from hwmodels.units import adder_tree

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
    assert unit.luts >= unit.luts_beside_dsp >= 0


@pytest.mark.parametrize("bits", [1, 4, 8, 13])
@pytest.mark.parametrize("digits", [1, 2, 3, 4])
def test_dense_places_are_the_multiplexers_of_an_aligner(bits, digits):
    assert place_cells(bits, tuple(range(1 << digits))) == shift_cells(bits, (1 << digits) - 1)


@given(some.integers(1, 16), some.lists(some.integers(0, 20), min_size=1, max_size=8, unique=True))
def test_a_term_costs_no_less_with_more_bits_and_nothing_for_where_it_starts(bits, exponents):
    term = tuple(exponents)
    assert power_of_two_luts(bits, term) >= bits / 2
    assert power_of_two_luts(bits + 1, term) >= power_of_two_luts(bits, term)
    assert power_of_two_luts(bits, tuple(one + 3 for one in term)) == power_of_two_luts(bits, term)


def test_sums_of_powers_are_their_terms_and_adders():
    two = parse("2hot4")
    assert isinstance(two, KHot)
    widest = 8 + 3 + 1
    assert terms_luts(two, 8) == 2 * power_of_two_luts(8, (0, 1, 2, 3)) + adder_tree(2, widest)[0]
    assert lane(two, parse("int8")).luts == terms_luts(two, 8) == lane(parse("int8"), two).luts
    one = KHot(terms=((0, 1, 2, 3),))
    assert lane(one, parse("int8")).notes == ()
    assert lane(one, parse("int8")).family == SHIFT_LANE
    assert lane(one, parse("int8")).operand_bits is None
    assert "outside the measured one term of up to 8 places over 4 to 16 bits" in lane(two, parse("int8")).notes[0]
    spread = parse("apot2x2")
    assert isinstance(spread, KHot)
    assert spread.terms[0] == (5, 3, 1)
    assert power_of_two_luts(8, (5, 3, 1)) > power_of_two_luts(8, (3, 2, 1))


def test_two_powers_of_two_add_their_exponents():
    pair = lane(parse("pot3"), parse("pot3"))
    assert pair.luts == 2 + align_luts(1, 4)
    assert "none was measured" in pair.notes[0]
    assert lane(parse("apot2x2"), parse("pot3")).luts > 2 * pair.luts


def test_codebooks_are_decoded_and_multiplied():
    nf4, learned, int8 = parse("nf4"), parse("codebook4"), parse("int8")
    product = lane(int8, int8)
    for weight, tables in ((nf4, 1), (learned, 8)):
        unit = lane(weight, int8)
        assert dataclasses.replace(unit, weight_decoder=None, notes=(), notes_beside_dsp=()) == product
        assert unit.weight_decoder is not None
        assert unit.weight_decoder.luts(8) == lut_memory_count(tables * 16, 8, Access.READ_ONLY)
        assert "decoder counted as read-only memory" in unit.notes[-1]
        assert unit.operand_bits == (8, 8)
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
@pytest.mark.parametrize("name", ["e2m1", "e3m2", "e4m3fn", "e5m2", "e3m4", "e4m3b16", "bf16"])
def test_lmul_lanes_hold_their_largest_product(product, name):
    number = parse(name)
    unit = lane(number, number, Arithmetic(product=product))
    bits, places = lmul_shape(number, number, product)
    assert unit.family == LMUL_LANE
    assert unit.luts == lmul_luts(number.exponent_bits, number.mantissa_bits) + align_luts(bits, places)
    largest = largest_product(number, number, product)
    assert largest.bit_length() < unit.product_bits  # its sign is a bit, too
    if product is not Product.LMUL_FORMULA:  # whose significand has two bits before the point, of which one may be 0
        assert largest.bit_length() == unit.product_bits - 1
    assert "never measured together" in unit.notes[0]


def test_clamped_lmul_is_the_measured_unit_with_a_short_aligner():
    e4m3, e5m2 = parse("e4m3fn"), parse("e5m2")
    product = Product.LMUL_FIELD_CLAMPED
    field, clamped = (lane(e4m3, e4m3, Arithmetic(product=one)) for one in (Product.LMUL_FIELD, product))
    # 15 exponents where the unbounded addition has 2 * 14 + 2; of the unit itself 23 LUTs are measured.
    assert lmul_shape(e4m3, e4m3, product) == (4, 14)
    assert clamped.luts == 23 + align_luts(4, 14)
    assert (clamped.product_bits, field.product_bits) == (19, 34)
    assert clamped.luts < 0.75 * field.luts
    # Two formats: the exponents of both together, the wider mantissa.
    assert lmul_widths(e4m3, e5m2, product) == (5, 3)
    assert lmul_shape(e4m3, e5m2, product) == (4, 29)
    assert lmul_widths(e4m3, parse("e4m3b24"), product) == (6, 3)  # biases apart: 32 exponents and zero
    # Products that never reach the format's end need no place for it.
    assert lmul_shape(parse("e4m3b16"), parse("e4m3b16"), product)[1] < 14


def test_lmul_takes_minifloats_only():
    with pytest.raises(ValueError, match="no cost model for l-mul-field of int8 x e4m3fn: L-Mul adds the exponents"):
        lane(parse("int8"), parse("e4m3fn"), Arithmetic(product=Product.LMUL_FIELD))


@pytest.mark.parametrize(
    ("block", "element", "family"),
    [("mxint8", "int8", FIXED_LANE), ("mxfp4", "e2m1", MINIFLOAT_LANE), ("bfp6/16", "int6", FIXED_LANE)],
)
def test_blocks_have_the_lanes_of_their_elements(block, element, family):
    ours, theirs = lane(parse(block), parse(block)), lane(parse(element), parse(element))
    assert (ours.luts, ours.product_bits, ours.operand_bits) == (theirs.luts, theirs.product_bits, theirs.operand_bits)
    assert ours.family == theirs.family == family


def test_a_search_tells_every_level():
    assert level_search_luts(2, 5) == 5  # one comparison with a constant
    assert level_search_luts(16, 10) == 4 * 10 + 3 * 5  # tables of 2, 4 and 8 midpoints of 10 bits, two bits a LUT
    assert level_count(parse("nf4")) == 16
    assert level_count(parse("pot4")) == 15


@pytest.mark.parametrize("name", ["int8", "uint4", "e4m3fn", "pot4", "apot2x2", "nf4", "dfp8", "fixed<6,2>"])
def test_value_bits_hold_every_value(name):
    number = parse(name)
    bits, low, high = value_bits(number), number.smallest_integer, number.largest_integer
    signed = low < 0
    assert -(1 << (bits - 1)) * signed <= low
    assert high < 1 << (bits - signed)
    assert decode_luts(number) >= 0


def test_scales_are_stored_with_their_blocks():
    assert stored_bits(parse("mxfp4"), 32) == 32 * 4 + 8
    assert stored_bits(parse("nvfp4"), 32) == 32 * 4 + 2 * 8
    assert stored_bits(parse("mxfp4"), 1) == 5
    assert stored_bits(parse("dfp8"), 7) == stored_bits(parse("int8"), 7) == 56
