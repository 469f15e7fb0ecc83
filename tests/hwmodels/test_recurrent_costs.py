"""LSTMs and GELUs by a polynomial: what grows and what must not, cycles by hand, energy by its parts, refusals."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from emulation.catalogue import parse
from emulation.function_operations import RecurrentFormats
from hwmodels.devices import load_device
from hwmodels.energy import anchor
from hwmodels.engines import RequantiseScale, engine_cost
from hwmodels.folding import Folding, MultiplierStyle
from hwmodels.lane_parts import LaneParts
from hwmodels.models import unit_estimate
from hwmodels.polynomial import gelu_cost
from hwmodels.recurrent import LstmShape, cells_at_once, lstm_cost
from kernels.integer_constants import gelu_fields

DEVICE, ASIC = load_device("xczu7ev"), load_device("asic-45nm")
INT4, INT8 = parse("int4"), parse("int8")
SHAPE = LstmShape(steps=8, features=8, hidden=12, formats=RecurrentFormats())


def lstm(shape=SHAPE, weight=INT8, activation=INT8, device=DEVICE, **folding):
    return lstm_cost(
        shape, weight_format=weight, activation_format=activation, folding=Folding(**folding), device=device
    )


class TestLaneParts:
    """Units added one after another."""

    def test_a_multiplier_is_the_measured_unit(self) -> None:
        lane = LaneParts(device=DEVICE, style=MultiplierStyle.LUT)
        assert lane.multiply(8, 8, signed=(True, True)) == 16
        assert sum(lane.bill.luts.values()) == unit_estimate("multiplier", a=8, b=8, a_signed=1, b_signed=1).value
        assert (lane.bill.flip_flops, lane.stages, lane.dsps, lane.bill.notes) == (16, 1, 0, ())

    def test_in_a_dsp_it_takes_the_energy_of_the_luts_it_replaces(self) -> None:
        lanes = [LaneParts(device=DEVICE, style=style) for style in (MultiplierStyle.LUT, MultiplierStyle.DSP)]
        for lane in lanes:
            lane.multiply(12, 16, signed=(True, False))
        assert [lane.dsps for lane in lanes] == [0, 1]
        assert lanes[1].bill.luts == {}
        in_luts, in_dsps = (lane.energy_pj() for lane in lanes)
        assert in_luts == pytest.approx(in_dsps)
        assert in_dsps > 28 * anchor().register

    def test_a_cast_that_changes_nothing_is_wiring(self) -> None:
        lane = LaneParts(device=DEVICE, style=MultiplierStyle.LUT)
        assert lane.cast(9, 10, shift=0) == 10
        assert (lane.bill.luts, lane.stages) == ({}, 0)

    def test_one_note_a_family(self) -> None:
        lane = LaneParts(device=DEVICE, style=MultiplierStyle.LUT)
        lane.multiply(40, 8, signed=(True, True))
        lane.multiply(50, 8, signed=(True, True))
        (note,) = lane.bill.notes
        assert note.startswith("multiplier: beyond the nearest measured units, a 2 to ")


class TestLstm:
    """Two engines, gates and cells."""

    def test_it_costs_more_than_its_engines(self) -> None:
        cost = lstm(pe=4, simd=4)
        engines = [
            engine_cost(
                shape,
                weight_format=INT8,
                activation_format=operand,
                folding=Folding(pe=4, simd=4),
                device=DEVICE,
                scale=RequantiseScale.NONE,
                accumulator=8 + operand.width + (depth - 1).bit_length(),
            )
            for shape, operand, depth in (
                (SHAPE.of_inputs, INT8, 8),
                (SHAPE.of_states, SHAPE.formats.hidden, 12),
            )
        ]
        for name in ("luts", "flip_flops", "energy_pj", "memory_pj"):
            assert getattr(cost, name) > sum(getattr(one, name) for one in engines)
        assert cost.interval_cycles > max(one.interval_cycles for one in engines)

    def test_a_step_waits_for_the_state_of_the_one_before(self) -> None:
        twice = dataclasses.replace(SHAPE, steps=16)
        assert lstm(twice, pe=4, simd=4).interval_cycles == 2 * lstm(pe=4, simd=4).interval_cycles
        # All rows and operands at once: a step still takes the pipelines' fill.
        whole = lstm(pe=48, simd=4)
        states = SHAPE.of_states
        cycles = states.depth // 4
        assert whole.interval_cycles // SHAPE.steps > cycles + 12
        assert lstm(pe=1, simd=1).interval_cycles > SHAPE.steps * 48 * 12

    def test_more_features_run_ahead_until_they_are_slower(self) -> None:
        few, many = (dataclasses.replace(SHAPE, features=count) for count in (4, 400))
        assert lstm(few, pe=4, simd=4).interval_cycles == lstm(pe=4, simd=4).interval_cycles
        assert lstm(many, pe=4, simd=4).interval_cycles == SHAPE.steps * 12 * 100

    def test_narrower_weights_cost_less(self) -> None:
        narrow, wide = lstm(weight=INT4, pe=4, simd=4), lstm(pe=4, simd=4)
        assert narrow.luts < wide.luts
        assert narrow.energy_pj < wide.energy_pj
        assert narrow.interval_cycles == wide.interval_cycles

    def test_dsps_multiply(self) -> None:
        in_luts, in_dsps = (lstm(pe=4, simd=4, multipliers=style) for style in MultiplierStyle)
        assert in_dsps.dsps > 0 == in_luts.dsps
        assert in_dsps.luts < in_luts.luts
        assert in_dsps.energy_pj == pytest.approx(in_luts.energy_pj, rel=0.06)

    def test_wider_formats_inside_cost_more(self) -> None:
        wide = RecurrentFormats(cell=parse("fixed<24,5>"))
        assert lstm(dataclasses.replace(SHAPE, formats=wide), pe=4, simd=4).luts > lstm(pe=4, simd=4).luts

    def test_on_a_process_it_has_gates(self) -> None:
        cost = lstm(device=ASIC, pe=4, simd=4)
        assert cost.gates > 4 * 12 * 20 * 8 / 2  # all weights, at half a gate a bit at least
        assert cost.dsps == cost.bram18s == 0

    def test_cells_keep_up_with_gates(self) -> None:
        assert [cells_at_once(Folding(pe=pe, simd=4), SHAPE) for pe in (1, 4, 16, 48)] == [1, 1, 2, 6]

    def test_it_says_that_it_is_composed(self) -> None:
        notes = lstm(pe=4, simd=4).out_of_range
        assert "lstm: composed of measured engines and units; none was synthesised whole" in notes
        assert sum(note.startswith("multiplier: beyond") for note in notes) == 1

    def test_what_does_not_divide(self) -> None:
        with pytest.raises(ValueError, match="5"):
            lstm(pe=5, simd=4)
        with pytest.raises(ValueError, match="steps of an LSTM must be at least 1, got 0"):
            LstmShape(steps=0, features=1, hidden=1, formats=RecurrentFormats())


class TestGelu:
    """A square and a product a value."""

    FIELDS = gelu_fields(Fraction(1, 16), magnitude=128)

    def cost(self, lanes=2, operand=INT8, fields=FIELDS, device=DEVICE, **more):
        return gelu_cost(operand, fields, elements=64, lanes=lanes, device=device, **more)

    def test_lanes_share_the_values(self) -> None:
        one, four = self.cost(1), self.cost(4)
        assert (one.interval_cycles, four.interval_cycles) == (64, 16)
        assert 3.5 * one.luts < four.luts < 4 * one.luts
        assert four.energy_pj == pytest.approx(one.energy_pj, rel=0.05)
        assert one.memory_pj == 0

    def test_multipliers_are_most_of_it(self) -> None:
        in_luts, in_dsps = (self.cost(multipliers=style) for style in MultiplierStyle)
        assert in_dsps.luts < in_luts.luts / 4
        assert in_dsps.dsps >= 2 * 3
        assert in_dsps.energy_pj == pytest.approx(in_luts.energy_pj)

    def test_wider_inputs_cost_more(self) -> None:
        wide = gelu_fields(Fraction(1, 256), magnitude=2048)
        assert self.cost(operand=parse("int12"), fields=wide).luts > self.cost().luts

    def test_on_a_process_it_has_gates(self) -> None:
        assert self.cost(device=ASIC).gates > self.cost(1, device=ASIC).gates > 1000

    def test_what_does_not_divide(self) -> None:
        with pytest.raises(ValueError, match="divide the values, got 5 lanes for 64 values"):
            self.cost(5)
