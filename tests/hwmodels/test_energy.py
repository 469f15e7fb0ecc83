"""Energies: published figures met exactly, the rest by ratios; engines by hand; what must grow and what must not."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.catalogue import parse
from hwmodels.asic_area import area_um2, logic_gates
from hwmodels.composition import LOGIC
from hwmodels.costs import Cost, total
from hwmodels.devices import load_device
from hwmodels.energy import FIXED_LANE, anchor, anchor_names, energy_words, logic_energy, memory_energy, published
from hwmodels.engine_shapes import EngineShape
from hwmodels.engines import engine_cost
from hwmodels.folding import Folding, MemoryStyle, MultiplierStyle
from hwmodels.functions import select_cost, table_cost
from hwmodels.joins import Join, Rescale, activation_cost, fifo_cost, join_cost, transpose_cost
from hwmodels.output_stage import output_stage_cost
from hwmodels.requantisers import RequantiseScale
from hwmodels.units import (
    accumulator,
    adder_tree,
    cast_of_product,
    multiplier,
    priced,
    requantising_multiplier,
    tree_bits,
)

DEVICE = load_device("xczu7ev")
INT8 = parse("int8")


def energy(shape: EngineShape, weight: str = "int8", activation: str = "int8", device=DEVICE, **folding) -> float:
    cost = engine_cost(
        shape,
        weight_format=parse(weight),
        activation_format=parse(activation),
        folding=Folding(**folding),
        device=device,
    )
    return cost.energy_pj


class TestAnchors:
    def test_published_memories_are_met_exactly(self) -> None:
        words = (1024, 4096, 131072)  # of 64 bits: 8 KB, 32 KB, 1 MB
        assert [anchor("45nm").access(count) * 64 for count in words] == pytest.approx([10, 20, 100])
        assert [anchor("7nm").access(count) * 64 for count in words] == pytest.approx([7.5, 8.5, 14])

    def test_off_the_chip_is_the_middle_of_what_is_published(self) -> None:
        assert anchor("45nm").offchip * 64 == (1300 + 2600) / 2

    @pytest.mark.parametrize("name", anchor_names())
    def test_larger_memories_never_take_less(self, name) -> None:
        sizes = [2**power for power in range(1, 26)]
        taken = [anchor(name).access(words) for words in sizes]
        assert taken == sorted(taken)
        assert taken[0] > anchor(name).register  # the smallest memory is no cheaper than flip-flops

    def test_small_memories_go_with_the_square_root(self) -> None:
        assert anchor().access(256) == pytest.approx(anchor().access(1024) / 2)
        assert anchor().access(1) == 0

    def test_beyond_the_largest_the_last_two_go_on(self) -> None:
        process = anchor()
        slope = math.log(100 / 20) / math.log(32)
        assert process.access(4 * 131072) == pytest.approx(100 / 64 * 4**slope)

    def test_what_is_verified(self) -> None:
        assert anchor("45nm").verified
        assert not anchor("7nm").verified  # its multiplication is, its memories are from memory
        assert all(entry["source"] for entry in (*published()["anchors"], *published()["operations"]))

    def test_an_unknown_process(self) -> None:
        with pytest.raises(ValueError, match="there is no process '5nm' to scale energies to: there are 45nm, 7nm"):
            anchor("5nm")

    def test_logic_scales_with_the_multiplication(self) -> None:
        ratio = anchor("7nm").logic(FIXED_LANE) / anchor("45nm").logic(FIXED_LANE)
        assert ratio == pytest.approx(0.07 / 0.2)

    def test_unknown_logic_takes_the_median_of_all(self) -> None:
        assert anchor().logic("no such family") == anchor().logic(LOGIC)

    def test_an_eight_bit_multiplication_takes_about_what_is_published(self) -> None:
        assert logic_energy({FIXED_LANE: multiplier(8, 8).luts}, 0, anchor()) == pytest.approx(0.2, rel=0.1)


def test_an_engine_by_hand() -> None:
    """All lanes at once: no memories but the bias's wiring; every part works once."""
    shape = EngineShape(outputs=4, depth=8, in_channels=8, positions=10, has_bias=False)
    cost = engine_cost(
        shape,
        weight_format=INT8,
        activation_format=INT8,
        folding=Folding(pe=4, simd=8),
        device=DEVICE,
        accumulator=19,
        scale=RequantiseScale.TENSOR,
    )
    process = anchor()
    term = tree_bits(8, 16)
    in_a_cycle = [
        *[multiplier(8, 8)] * 32,
        *[adder_tree(8, 16), accumulator(term, 19, bias=0, carry=0, several=False)] * 4,
        priced("engine control", steps=1, passes=1, stages=5, beats=1, finish=2, bias=0, tables=1),
    ]
    for_an_output = [requantising_multiplier(19, 16), cast_of_product(35)]
    a_position, an_output = (
        sum(unit.luts * process.logic(unit.family) for unit in units) for units in (in_a_cycle, for_an_output)
    )
    registers = process.register * cost.flip_flops
    assert cost.energy_pj == pytest.approx(10 * (a_position + 4 * an_output + registers))


class TestEngines:
    SHAPE = EngineShape(outputs=32, depth=64, in_channels=64, positions=49)

    def test_twice_the_positions_take_twice_the_energy(self) -> None:
        twice = dataclasses.replace(self.SHAPE, positions=98)
        assert energy(twice, pe=4, simd=8) == pytest.approx(2 * energy(self.SHAPE, pe=4, simd=8), rel=0.01)

    def test_dsps_count_as_the_logic_they_are(self) -> None:
        """But for registers: a DSP has one more behind each product."""
        in_luts = energy(self.SHAPE, pe=4, simd=8)
        assert energy(self.SHAPE, pe=4, simd=8, multipliers=MultiplierStyle.DSP) == pytest.approx(in_luts, rel=0.08)

    def test_narrower_formats_take_less(self) -> None:
        taken = [energy(self.SHAPE, name, name, pe=4, simd=8) for name in ("int2", "int3", "int4", "int6", "int8")]
        assert taken == sorted(taken)

    def test_wider_words_are_read_from_smaller_memories(self) -> None:
        taken = [energy(self.SHAPE, pe=pe, simd=simd) for pe, simd in ((1, 1), (1, 8), (8, 8), (32, 64))]
        assert taken == sorted(taken, reverse=True)

    def test_weights_off_the_chip(self) -> None:
        device = load_device("xc7z020")
        shape = dataclasses.replace(self.SHAPE, positions=1)
        inside = energy(shape, device=device, pe=4, simd=8)
        outside = energy(shape, device=device, pe=4, simd=8, weight_memory=MemoryStyle.OFFCHIP)
        moved = 32 * 64 * 8 * anchor().offchip
        assert outside > inside + 0.9 * moved
        assert outside == pytest.approx(moved, rel=0.1)

    def test_a_smaller_process_takes_less(self) -> None:
        modern = dataclasses.replace(DEVICE, energy_anchor="7nm")
        assert energy(self.SHAPE, device=modern, pe=4, simd=8) < energy(self.SHAPE, pe=4, simd=8)

    @pytest.mark.parametrize(
        ("weight", "activation"),
        [("pot4", "int8"), ("nf4", "int8"), ("e4m3fn", "e4m3fn"), ("mxfp4", "mxfp4"), ("nvfp4", "nvfp4")],
    )
    def test_every_family_is_priced(self, weight, activation) -> None:
        taken = energy(self.SHAPE, weight, activation, pe=4, simd=8)
        assert 0.1 < taken / (32 * 64 * 49) < 5  # picojoules a multiplication, memories and registers with it

    def test_minifloats_against_integers(self) -> None:
        """An exact minifloat accumulator costs more than the multiplier saves, as published of FP8 beside INT8."""
        integer, minifloat = energy(self.SHAPE, pe=8, simd=32), energy(self.SHAPE, "e4m3fn", "e4m3fn", pe=8, simd=32)
        assert 1 < minifloat / integer < 2


class TestOtherLayers:
    def test_joins_take_energy_by_the_value(self) -> None:
        few, many = (
            join_cost([INT8, INT8], join=Join.ADD, rescale=Rescale.NEEDED, elements=count, lanes=4, device=DEVICE)
            for count in (64, 1024)
        )
        assert many.energy_pj == pytest.approx(16 * few.energy_pj, rel=0.1)

    def test_joins_in_dsps_take_the_same(self) -> None:
        in_luts, in_dsps = (
            activation_cost(INT8, elements=64, lanes=4, device=DEVICE, multipliers=style) for style in MultiplierStyle
        )
        assert in_dsps.energy_pj == pytest.approx(in_luts.energy_pj)

    def test_streams_of_more_lanes_take_about_the_same(self) -> None:
        one, eight = (select_cost(INT8, elements=64, lanes=lanes, device=DEVICE) for lanes in (1, 8))
        assert one.energy_pj / 8 < eight.energy_pj < one.energy_pj

    def test_a_transpose_writes_and_reads_every_value(self) -> None:
        cost = transpose_cost(INT8, elements=4096, lanes=1, device=DEVICE)
        assert cost.energy_pj > memory_energy([(8192, 2 * 4096 * 8)], anchor())

    def test_a_fifo_takes_energy_for_what_passes(self) -> None:
        assert fifo_cost(8, 64, device=DEVICE).energy_pj == 0
        one, two = (fifo_cost(8, 64, device=DEVICE, words=words).energy_pj for words in (100, 200))
        assert two == pytest.approx(2 * one)
        with pytest.raises(ValueError, match="the words that pass a FIFO per sample are at least 0, got -1"):
            fifo_cost(8, 64, device=DEVICE, words=-1)

    def test_a_table_is_read_once_a_value(self) -> None:
        cost = table_cost(INT8, INT8, elements=1000, lanes=1, device=DEVICE)
        assert cost.energy_pj > memory_energy([(256, 1000 * 8)], anchor())

    @pytest.mark.parametrize("name", ["int8", "e4m3fn", "pot4", "mxfp4"])
    def test_output_stages_take_energy_by_the_value_however_many_work(self, name) -> None:
        none, few = (output_stage_cost(parse(name), requantisers=2, device=DEVICE, values=count) for count in (0, 100))
        assert none.energy_pj == 0 < few.energy_pj
        twice = output_stage_cost(parse(name), requantisers=2, device=DEVICE, values=200)
        assert twice.energy_pj == pytest.approx(2 * few.energy_pj)


@given(st.lists(st.floats(0, 1e9), max_size=6))
def test_energies_add_up(values) -> None:
    assert total(Cost(energy_pj=value) for value in values).energy_pj == pytest.approx(sum(values))


def test_areas() -> None:
    process = load_device("asic-45nm").asic
    assert process is not None
    assert logic_gates({}, flip_flops=10) == 40
    assert area_um2(40, process) == pytest.approx(40 * 0.798)
    areas = [logic_gates({FIXED_LANE: multiplier(bits, bits).luts}) for bits in (4, 6, 8, 12)]
    assert all(narrow < wide for narrow, wide in itertools.pairwise(areas))
    assert areas[2] == pytest.approx(11102 / 24, rel=0.1)  # the measured multiplier, in gates of the same cells


class TestParts:
    """What takes the energy: logic, memories, and what is off the chip."""

    def test_they_are_all_of_it(self) -> None:
        for memory in (MemoryStyle.AUTO, MemoryStyle.OFFCHIP):
            cost = engine_cost(
                TestEngines.SHAPE,
                weight_format=INT8,
                activation_format=INT8,
                folding=Folding(pe=4, simd=8, weight_memory=memory),
                device=DEVICE,
            )
            assert cost.logic_pj + cost.memory_pj + cost.offchip_pj == pytest.approx(cost.energy_pj)
            assert cost.offchip_pj == pytest.approx(cost.offchip_bits * anchor().offchip)
            assert (cost.offchip_pj > 0) == (memory is MemoryStyle.OFFCHIP)
            assert cost.logic_pj > 0 < cost.memory_pj

    @pytest.mark.parametrize(
        "price",
        [
            lambda: table_cost(INT8, INT8, elements=64, lanes=2, device=DEVICE),
            lambda: transpose_cost(INT8, elements=64, lanes=2, device=DEVICE),
            lambda: fifo_cost(8, 100, device=DEVICE, words=64),
        ],
        ids=["table", "transpose", "fifo"],
    )
    def test_layers_that_hold_values_take_some_for_their_memories(self, price) -> None:
        cost = price()
        assert 0 < cost.memory_pj < cost.energy_pj
        assert cost.offchip_pj == 0

    def test_logic_alone(self) -> None:
        cost = select_cost(INT8, elements=64, lanes=2, device=DEVICE)
        assert cost.logic_pj == cost.energy_pj > 0

    def test_parts_add_up(self) -> None:
        parts = [Cost(energy_pj=10.0, memory_pj=4.0, offchip_pj=1.0, gates=3), Cost(energy_pj=5.0, gates=4)]
        added = total(parts)
        assert (added.logic_pj, added.memory_pj, added.offchip_pj, added.gates) == (10.0, 4.0, 1.0, 7)
        assert added.resource("gates") == 7


def test_words_say_where_energies_come_from() -> None:
    assert energy_words("45nm").startswith("picojoules as standard cells of the 45 nm process whose 8-bit")
    assert "Horowitz" in energy_words("45nm")
    assert "not all of its figures are verified" in energy_words("7nm")
    for name in anchor_names():
        assert energy_words(name).endswith("good for comparing designs, static power is not modelled")
