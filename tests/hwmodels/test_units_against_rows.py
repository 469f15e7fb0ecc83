"""Every committed row that a model rests on against the composed estimate, within bounds that were measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.formats import FixedPoint, MiniFloat, Subnormals
from hwmodels.composition import (
    FIXED_LANE,
    LEADING_ONE,
    LMUL_LANE,
    LOGIC,
    MINIFLOAT_LANE,
    REQUANTISER,
    SHIFT_LANE,
    SHIFTER,
    family_error,
)
from hwmodels.lanes import lane
from hwmodels.leading_ones import leading_one_luts, leading_one_notes, measured_leading_one
from hwmodels.lmul_units import lmul_luts
from hwmodels.minifloat_units import (
    Significand,
    align_luts,
    block_dot_luts,
    minifloat_lane_error,
    multiply_accumulate_luts,
    product_luts,
    product_overhead_luts,
)
from hwmodels.operands import value_bits
from hwmodels.rows import family_rows, published_fit, unit_rows
from hwmodels.shift_units import measured_power_of_two
from hwmodels.units import (
    adder_tree,
    fixed_lane_luts,
    fixed_lane_rows,
    multiplier_luts,
    multiplier_notes,
    requantiser_luts,
    requantiser_notes,
    requantiser_round_luts_per_bit,
    shifter_luts,
)


def by_unit(rows):
    return pytest.mark.parametrize("row", rows, ids=[row.unit.replace(" ", "-") for row in rows])


def test_rows_are_whole():
    assert len(unit_rows()) == 83
    assert len({row.unit for row in unit_rows()}) == 83
    assert all(row.luts > 0 and row.flip_flops >= 0 and "yosys 0.23" in row.source for row in unit_rows())
    with pytest.raises(ValueError, match="no unit of family 'magic' was measured: families are adder, block leading"):
        family_rows("magic")
    with pytest.raises(ValueError, match="there is no fit 'magic': fits are multiplier by parity"):
        published_fit("magic")


@by_unit(family_rows("multiplier"))
def test_multiplier(row):
    assert multiplier_luts(row["a"], row["b"]) == pytest.approx(row.luts, rel=0.025)


@by_unit(family_rows("adder"))
def test_adder(row):
    assert adder_tree(2, row["width"])[0] == row.luts


@by_unit(fixed_lane_rows())
def test_multiply_accumulate_and_dot(row):
    assert fixed_lane_luts(row) == pytest.approx(row.luts, rel=0.03)


@by_unit(family_rows("requantiser"))
def test_requantiser(row):
    estimate = requantiser_luts(row["accumulator"], row["multiplier"], row["output"])
    assert estimate == pytest.approx(row.luts, rel=0.012)


def test_rounding_takes_a_lut_per_accumulator_bit():
    # Fitted, and what the structure says: one adder as wide as the accumulator.
    assert requantiser_round_luts_per_bit() == pytest.approx(1.0, abs=0.05)


@by_unit(family_rows("requantiser with runtime shift"))
def test_runtime_shift_is_a_requantiser_and_a_shifter(row):
    bits = row["accumulator"] + row["multiplier"]
    shift = shifter_luts(bits, (bits - 1).bit_length())
    estimate = requantiser_luts(row["accumulator"], row["multiplier"], row["output"]) + shift
    assert estimate == pytest.approx(row.luts, rel=0.08)


@by_unit(family_rows("shifter"))
def test_shifter(row):
    assert shifter_luts(row["width"], row["amount_bits"]) == pytest.approx(row.luts, rel=0.12)


def significand(row):
    return Significand(
        bits=row["mantissa"] + 1, exponent_bits=row["exponent"], largest_shift=(1 << row["exponent"]) - 2
    )


@by_unit(family_rows("minifloat exact product"))
def test_minifloat_product(row):
    number = significand(row)
    assert product_luts(number, number) == row.luts
    composed = multiplier_luts(number.bits, number.bits) + product_overhead_luts(number, number)
    assert composed == pytest.approx(row.luts, abs=2.1)


@by_unit(family_rows("minifloat multiply-accumulate"))
def test_minifloat_multiply_accumulate(row):
    assert multiply_accumulate_luts(row) == pytest.approx(row.luts, rel=0.04)
    # The accumulator's width follows from the formats: the product's magnitude and eight guard bits.
    number = significand(row)
    assert row["accumulator"] == row.flip_flops == 2 * (number.bits + number.largest_shift) + 8


@by_unit(family_rows("block-scaled dot product"))
def test_block_dot_is_in_no_fit(row):
    assert block_dot_luts(row) == pytest.approx(row.luts, rel=0.08)


@by_unit(family_rows("power-of-two multiplier"))
def test_power_of_two_multiply_is_an_aligner_in_no_fit(row):
    # A smaller unit than any the aligner was fitted on: within 5 LUTs or 25 %.
    estimate = align_luts(row["width"], (1 << row["exponent"]) - 1)
    assert estimate == pytest.approx(row.luts, rel=0.25, abs=5)


@by_unit(family_rows("power-of-two multiplier"))
def test_power_of_two_multiply(row):
    assert measured_power_of_two(row) == pytest.approx(row.luts, rel=0.05)


@by_unit(family_rows("l-mul with flush and saturation"))
def test_lmul_has_its_measured_rows_and_a_fit_between_them(row):
    exponent, mantissa = row["exponent"], row["mantissa"]
    assert lmul_luts(exponent, mantissa) == row.luts
    neighbours = [lmul_luts(exponent, mantissa + step) for step in (-1, 1) if mantissa + step > 0]
    assert all(abs(one - row.luts) < 0.3 * row.luts + 4 for one in neighbours)


def test_raw_lmul_is_cheaper_than_the_unit_that_is_priced():
    flush = {(row["exponent"], row["mantissa"]): row.luts for row in family_rows("l-mul with flush and saturation")}
    raw = {(row["exponent"], row["mantissa"]): row.luts for row in family_rows("l-mul")}
    assert flush.keys() == raw.keys()
    assert all(raw[split] < flush[split] for split in raw)


@by_unit(family_rows("block leading one"))
def test_block_leading_one(row):
    assert measured_leading_one(row) == pytest.approx(row.luts, rel=0.03)
    assert leading_one_notes(row["lanes"], row["width"]) == ()
    # A running OR over several cycles takes one more operand.
    assert leading_one_luts(row["lanes"], row["width"]) > measured_leading_one(row)


def test_error_bands_come_from_the_rows():
    families = (FIXED_LANE, REQUANTISER, MINIFLOAT_LANE, SHIFTER, SHIFT_LANE, LMUL_LANE, LEADING_ONE)
    errors = [family_error(name) for name in families]
    assert errors == pytest.approx([0.0155, 0.0071, 0.040, 0.0805, 0.0389, 0.0561, 0.0183], abs=0.001)
    assert minifloat_lane_error() == errors[2]
    assert family_error(LOGIC) == 0.5
    with pytest.raises(ValueError, match="no error is known for units of family 'magic'"):
        family_error("magic")


@given(st.integers(1, 70), st.integers(1, 40))
def test_multiplier_grows_with_either_width(first, second):
    assert multiplier_luts(first, second) == multiplier_luts(second, first) > 0
    # Odd and even widths differ in a last half row: the published fit gives at most a LUT back.
    assert multiplier_luts(first + 1, second) >= multiplier_luts(first, second) - 1.0
    assert multiplier_luts(first + 2, second) > multiplier_luts(first, second) - 0.01


def test_multiplier_notes():
    assert multiplier_notes(3, 16) == multiplier_notes(8, 8) == ()
    assert multiplier_notes(2, 8) == ("multiplier 8x2: outside the measured 3 to 16 bits",)
    assert multiplier_notes(16, 24) == ("multiplier 24x16: outside the measured 3 to 16 bits",)
    with pytest.raises(ValueError, match="a multiplier needs operands of at least 1 bit, got 8 x 0"):
        multiplier_luts(8, 0)


@given(st.integers(1, 200), st.integers(1, 60))
def test_adder_tree_counts_its_adders(operands, bits):
    luts, registers, levels = adder_tree(operands, bits)
    widths, numbers = [], [bits] * operands
    depth = 0
    stored = 0
    while len(numbers) > 1:
        pairs = [numbers[i : i + 2] for i in range(0, len(numbers), 2)]
        widths += [max(pair) for pair in pairs if len(pair) == 2]
        numbers = [max(numbers) + 1] * len(pairs)
        stored += sum(numbers)
        depth += 1
    assert (luts, registers, levels) == (sum(widths), stored, depth)
    assert len(widths) == operands - 1


MINIFLOATS = [
    MiniFloat(exponent_bits=exponent, mantissa_bits=mantissa)
    for exponent in range(8)
    for mantissa in range(8)
    if 1 <= exponent + mantissa <= 7
]


@pytest.mark.parametrize("number_format", MINIFLOATS, ids=str)
def test_every_small_minifloat_has_a_price(number_format):
    unit = lane(number_format, number_format)
    split = (number_format.exponent_bits, number_format.mantissa_bits)
    measured = {(2, 1), (2, 3), (3, 2), (4, 3), (5, 2), (3, 4)}
    assert unit.luts > 0
    assert unit.luts >= unit.luts_beside_dsp >= 0
    assert bool(unit.notes) == (split not in measured and not (2 <= split[0] <= 5 and 1 <= split[1] <= 4))
    # The product of the two largest numbers and a sign fit what enters the tree.
    assert (number_format.largest_integer**2).bit_length() + 1 <= unit.product_bits


@pytest.mark.parametrize("exponent_bits", range(7))
def test_lane_grows_with_the_mantissa(exponent_bits):
    formats = [
        MiniFloat(exponent_bits=exponent_bits, mantissa_bits=mantissa) for mantissa in range(1, 8 - exponent_bits)
    ]
    luts = [lane(number_format, number_format).luts for number_format in formats]
    assert luts == sorted(luts)


def test_mixed_lanes_are_flagged_and_sensible():
    e4m3, int8 = MiniFloat(exponent_bits=4, mantissa_bits=3), FixedPoint(width=8)
    mixed = lane(int8, e4m3)
    assert mixed.luts == lane(e4m3, int8).luts
    assert mixed.operand_bits == (8, 4)
    assert "int8 x e4m3none: fixed point beside a minifloat" in mixed.notes[0]
    e5m2 = MiniFloat(exponent_bits=5, mantissa_bits=2)
    pair = lane(e4m3, e5m2)
    assert pair.notes == ()
    assert lane(e4m3, e4m3).luts < pair.luts < 2 * lane(e5m2, e5m2).luts


def test_no_exponent_no_aligner():
    e0m7 = MiniFloat(exponent_bits=0, mantissa_bits=7)
    assert Significand.of(e0m7) == Significand(bits=7, exponent_bits=0, largest_shift=0)
    assert align_luts(14, 0) == 0
    keep = MiniFloat(exponent_bits=3, mantissa_bits=2, subnormals=Subnormals.KEEP_EXPONENT)
    assert Significand.of(keep).largest_shift == 7
    assert value_bits(MiniFloat(exponent_bits=4, mantissa_bits=3)) == 4 + 14 + 1


def test_formats_without_a_cost_model_are_refused():
    with pytest.raises(ValueError, match="there is no cost model for nf4: use a FixedPoint, MiniFloat, KHot"):
        lane("nf4", FixedPoint(width=8))


def test_requantiser_notes():
    assert requantiser_notes(20, 16) == requantiser_notes(32, 16) == requantiser_notes(8, 8) == ()
    outside = "outside the measured 3 to 32 by 3 to 16 bits"
    assert requantiser_notes(33, 16) == (f"requantiser 33x16: {outside}",)
    assert requantiser_notes(24, 17) == (f"requantiser 24x17: {outside}",)
