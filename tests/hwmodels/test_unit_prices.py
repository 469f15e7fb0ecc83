"""Priced units: what models say, in proportion beyond generators, parted casts, and bills that add up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hwmodels.asic_area import logic_gates, memory_gates
from hwmodels.composition import ASSUMED_ERRORS, LOGIC, Bill, bill_of, compose
from hwmodels.models import unit_estimate, unit_model
from hwmodels.rtl.requantisers import REQUANTISER
from hwmodels.units import (
    REFERENCE_CODE,
    REFERENCE_PRODUCT,
    Priced,
    accumulator,
    adder,
    adder_tree,
    cast,
    cast_of_product,
    minifloat_cast,
    multiplier,
    priced,
    requantising_multiplier,
    shifter,
    tree_bits,
)

UNITS = [
    ("multiplier", {"a": 8, "b": 8, "a_signed": 1, "b_signed": 1}),
    ("multiplier", {"a": 21, "b": 16, "a_signed": 1, "b_signed": 0}),
    ("adder tree", {"lanes": 7, "width": 11, "signed": 1, "carries": 1}),
    ("engine control", {"steps": 7, "passes": 3, "stages": 4, "beats": 1, "finish": 2, "bias": 1, "tables": 9}),
    ("parameter memory", {"words": 999, "bits": 200, "style": 0, "seed": 1}),
    ("fifo", {"depth": 77, "width": 9, "memory": 0}),
]


@pytest.mark.parametrize(("family", "parameters"), UNITS)
def test_a_price_is_what_the_models_say(family: str, parameters: dict[str, int]) -> None:
    found = priced(family, **parameters)
    luts = unit_estimate(family, column="luts", **parameters)
    assert found.luts == luts.value
    assert found.spread == pytest.approx(luts.value * luts.sigma)
    assert found.flip_flops == unit_estimate(family, column="flip_flops", **parameters).value
    assert bool(found.outside) == bool(luts.notes)


@given(some.integers(1, 70), some.integers(1, 70))
def test_multipliers_of_any_width(a: int, b: int) -> None:
    found = multiplier(a, b)
    assert found.luts >= 0
    assert ("a" in found.outside) or max(a, b) <= 64
    assert multiplier(a + 2, b + 2).luts > found.luts


def test_beyond_the_generator_widths_go_in_proportion() -> None:
    assert multiplier(128, 16).luts == 2 * multiplier(64, 16).luts
    assert adder_tree(4, 128).luts == 2 * adder_tree(4, 64).luts
    assert adder_tree(4096, 8).luts == pytest.approx(4 * adder_tree(1024, 8).luts, rel=0.01)
    assert tree_bits(4096, 8) == 20
    assert accumulator(40, 256, bias=1, carry=0, several=True).luts == pytest.approx(
        2 * accumulator(40, 128, bias=1, carry=0, several=True).luts
    )
    assert shifter(512, 5).luts == 2 * shifter(256, 5).luts
    assert cast(384, 8).luts == 2 * cast(192, 8).luts
    with pytest.raises(ValueError, match="operands of at least 1 bit, got 0 x 8"):
        multiplier(0, 8)


def test_nothing_takes_nothing() -> None:
    assert adder_tree(1, 16).luts == shifter(32, 0).luts == 0
    assert adder(8).luts == 9  # with the carry out


def test_a_cast_is_parted_exactly_where_its_code_is_the_reference() -> None:
    for bits in (20, 27, 40, 56, 72):
        whole = cast(bits, REFERENCE_CODE).luts
        assert cast_of_product(bits).luts + cast(REFERENCE_PRODUCT, REFERENCE_CODE).luts == whole
        for code in (2, 4, 6, 12, 16):
            parted = cast_of_product(bits).luts + cast(REFERENCE_PRODUCT, code).luts
            assert parted == pytest.approx(cast(bits, code).luts, abs=3)


def test_requantisers_hold_multiplications_of_their_own_measured_widths() -> None:
    ranges = unit_model(REQUANTISER).ranges
    assert requantising_multiplier(ranges["accumulator"][1], ranges["multiplier"][1]).outside == ()
    assert requantising_multiplier(ranges["accumulator"][1] + 9, 16).outside != ()
    whole = priced(
        REQUANTISER,
        accumulator=24,
        multiplier=16,
        accumulator_signed=1,
        output=8,
        shift=14,
        shift_bits=0,
        output_signed=1,
        rounding=0,
        zero_point=0,
    )
    parts = requantising_multiplier(24, 16).luts + cast(40, 8).luts
    assert parts == pytest.approx(whole.luts, rel=0.03)


def test_minifloat_casts_grow_with_the_format() -> None:
    costs = [minifloat_cast(39, e, m).luts for e, m in ((2, 1), (3, 2), (4, 3), (5, 4))]
    assert costs == sorted(costs)


def test_bills_add_up() -> None:
    one, other = Priced("multiplier", 10.0, 1.0, 0.5, ("a",)), Priced("adder", 4.0, 2.0, 0.1)
    bill = bill_of([(one, 3), (other, 2)])
    assert bill.luts == {"multiplier": 30.0, "adder": 8.0}
    assert (bill.flip_flops, bill.families["multiplier"]) == (7.0, (30.0, 1.5))
    bill.assume(LOGIC, 10.0, 5.0)
    twice = Bill()
    twice.extend(bill, 2)
    assert twice.luts == {"multiplier": 60.0, "adder": 16.0, LOGIC: 20.0}
    assert twice.flip_flops == 24.0
    cost = compose(bill)
    assert cost.gates == math.ceil(logic_gates(bill.luts, bill.flip_flops))
    assert compose(twice).gates == math.ceil(2 * logic_gates(bill.luts, bill.flip_flops))
    spread = math.hypot(1.5, 0.2, 10 * ASSUMED_ERRORS[LOGIC])
    assert (cost.luts, cost.flip_flops) == (48, 12)
    assert cost.error_band == pytest.approx(spread / 48)
    assert cost.sources == ("multiplier", "adder", LOGIC)
    assert cost.out_of_range == (f"multiplier: beyond the nearest measured units, a {_range('multiplier', 'a')}",)


def test_one_note_a_family() -> None:
    bill = bill_of([(Priced("multiplier", 1.0, 0.0, 0.0, (name,)), 1) for name in ("b", "a", "b")])
    (note,) = bill.notes
    assert note.count("to") == 2


def test_what_holds_bits_is_worth_the_gates_of_a_memory() -> None:
    memory = priced("parameter memory", words=64, bits=16, style=0, seed=1)
    gates = compose(bill_of([(memory._replace(flip_flops=0.0), 1)])).gates
    assert gates == math.ceil(memory_gates(memory.luts)) > logic_gates({"parameter memory": memory.luts}) + 1


def _range(family: str, name: str) -> str:
    low, high = unit_model(family).ranges[name]
    return f"{low} to {high}"
