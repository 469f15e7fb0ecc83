"""Pricing one engine under many foldings: what its shape and datapath decide once, and the bills of its foldings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from hwmodels.bandwidth import READER_FLIP_FLOPS, READER_LUTS, bandwidth_interval
from hwmodels.bills import NOTHING, Bills
from hwmodels.composition import LOGIC, assumed, device_notes
from hwmodels.dsp_lanes import DspLanes, dsp_lanes
from hwmodels.dsp_mapping import Combining
from hwmodels.energy import anchor
from hwmodels.engine_energy import sample_energy, sum_cost, units_energy
from hwmodels.engine_layouts import engine_layouts
from hwmodels.engine_memories import EngineMemories
from hwmodels.folded import Folded
from hwmodels.folding import LanesPerDsp, MultiplierStyle
from hwmodels.memory import memory_budget
from hwmodels.operands import Stored
from hwmodels.regions import noted_crossings
from hwmodels.requantisers import Requantiser, RequantiseScale
from hwmodels.rtl.dsp_multipliers import REGISTERS as DSP_STAGES
from hwmodels.rtl.engine_control import ENGINE_CONTROL
from hwmodels.rtl.engine_streams import SERIALISER
from hwmodels.rtl.streams import MAXIMUM_WIDTH, WIDTH_ADAPTER
from hwmodels.sums import ChunkRule, sums_of
from hwmodels.table_units import TableScope
from hwmodels.timing import engine_delay
from hwmodels.units import priced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.datapaths import Arithmetic
    from emulation.formats import Format
    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from hwmodels.engine_memories import HeldMemories
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding
    from hwmodels.sums import SumCost
    from hwmodels.units import Priced

    Integers = NDArray[np.int64]
    Column = NDArray[np.float64]
    Mask = NDArray[np.bool_]

LUT_MULTIPLIER_STAGES: Final = 1
OFFCHIP_NOTE: Final = "weights off the chip: bounded by the peak bandwidth; reader and double buffer assumed"
LOADER_NOTE: Final = "UltraRAM: what it is loaded with at the start comes from elsewhere; loader assumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Multiplying:
    """What follows from where multiplications are asked to be.

    Attributes:
        lanes: that are in DSPs; None leaves them in LUTs.
        in_dsps: whether DSPs are asked for, as those of requantisers are.
        stages: registers of a product.
        finish: registers of a requantiser.
        delay: of the slowest stage.
        notes: what is assumed of every folding.
        sums: by simd and carries, what sums the products of an output, and its energy in a cycle.
    """

    lanes: DspLanes | None
    in_dsps: bool
    stages: int
    finish: int
    delay: float
    notes: tuple[str, ...]
    sums: dict[tuple[int, int], tuple[SumCost, float]] = field(default_factory=dict)


class EnginePrices:
    """All that one shape and datapath decide; what is left per folding is arithmetic."""

    def __init__(
        self,
        shape: EngineShape,
        *,
        weight_format: Format,
        activation_format: Format,
        device: Device,
        multiplier_bits: int,
        scale: RequantiseScale,
        accumulator: int | None,
        arithmetic: Arithmetic,
        table_scope: TableScope,
        clock_mhz: float | None,
    ) -> None:
        self.shape, self.device, self.clock_mhz = shape, device, clock_mhz
        self.sums = sums_of(
            shape,
            weight_format=weight_format,
            activation_format=activation_format,
            arithmetic=arithmetic,
            table_scope=table_scope,
            accumulator=accumulator,
        )
        self.lane, self.register, self.layouts = self.sums.lane, self.sums.register, engine_layouts(shape)
        rule = ChunkRule.of(shape, weight_format, activation_format, arithmetic)
        self.rule = None if rule.takes_any else rule
        self.activation_bits, self.weight_bits = activation_format.width, weight_format.width
        self.per_value = Stored.of(activation_format)
        self.process = anchor(device.energy_anchor)
        self.requantiser = Requantiser(sums=self.sums, scale=scale, multiplier_bits=multiplier_bits, dsp=device.dsp)
        self.memories = EngineMemories(
            shape=shape,
            sums=self.sums,
            weight_bits=self.weight_bits,
            per_value=self.per_value,
            multiplier_bits=multiplier_bits,
            multipliers_per_output=scale.per_channel,
            budget=memory_budget(device),
            process=self.process,
        )
        self.largest_region = device.largest_region()
        self.register_pj, self.offchip_pj = self.process.register, self.process.offchip
        self.control_pj = self.process.logic(ENGINE_CONTROL)
        self.plain_lane = [(unit, 1.0) for unit in self.lane.units]
        self.outputs = shape.outputs * shape.positions
        self.products = self.outputs * shape.depth
        self.lane_pj = units_energy(self.plain_lane, self.process)
        self.output_pj = units_energy(self.requantiser.units(in_dsps=False), self.process)
        self.in_luts = self._multiplying(None, in_dsps=False)
        self.in_dsps = {style: self._multiplying(self._dsps(style), in_dsps=True) for style in LanesPerDsp}

    def _multiplying(self, lanes: DspLanes | None, *, in_dsps: bool) -> _Multiplying:
        refused = in_dsps and lanes is None
        notes = device_notes(self.device) + self.sums.notes + (self._refusal() if refused else ())
        return _Multiplying(
            lanes=lanes,
            in_dsps=in_dsps,
            stages=DSP_STAGES if lanes else LUT_MULTIPLIER_STAGES,
            finish=self.requantiser.stages(in_dsps=in_dsps),
            delay=engine_delay(
                None if lanes else self.lane.operand_bits,
                self.register.bits,
                None if in_dsps else self.requantiser.multiplied,
            ),
            notes=notes + (lanes.notes if lanes else self.lane.notes),
        )

    def _dsps(self, style: LanesPerDsp) -> DspLanes | None:
        # The lanes of a depthwise convolution share no operand. Products are only added up unless something stands
        # between them and the tree: an aligner, the scale of a block.
        combining = set() if self.shape.is_depthwise else {Combining.OPERAND}
        if self.lane.is_dsp_alone and self.sums.stage is None:
            combining.add(Combining.SUM)
        return dsp_lanes(self.lane, self.device.dsp, combining=combining, lanes_per_dsp=style)

    def _refusal(self) -> tuple[str, ...]:
        return () if self.lane.operand_bits is None else (self.device.dsp.refusal(*self.lane.operand_bits),)

    def costs(self, foldings: Sequence[Folding]) -> list[Cost]:
        """Resources and cycles of each folding.

        Raises:
            FoldingError: if one does not divide the shape, or cuts the datapath's chunks or blocks.
        """
        if not foldings:
            return []
        folded, several = Folded.of(foldings, self.layouts), len(foldings)
        if self.rule is not None:
            for folding in foldings:
                self.rule.check(folding)
        chosen = [self._chosen(folding) for folding in foldings]
        summed, sum_pj = zip(*map(self._sums, chosen, folded.simd.tolist()), strict=True)
        bills, lanes = Bills(several), folded.pe * folded.simd
        in_luts = lanes * np.array([not one.holds_lanes for one in summed])
        dsps, word_bits = self._add_lanes(bills, folded, chosen, summed, in_luts)
        bills.flip_flops += self._operand_registers(folded)
        for in_dsps in (False, True):
            here = folded.at_once * np.array([style.in_dsps is in_dsps for style in chosen])
            if here.any():
                dsps += self.requantiser.add_to(bills, here, in_dsps=in_dsps)
        held = self.memories.add_to(bills, folded, word_bits=word_bits)
        self._add_streams(bills, folded)
        decoder_pj = self._add_decoders(bills, folded)
        stages, finish = np.array([(style.stages, style.finish) for style in chosen]).T
        levels, beats = np.array([one.levels for one in summed]), folded.pe // folded.at_once
        control = self._controls(folded, 1 + stages + levels, beats, finish)
        bills.add_each(control)
        interval, notes = self._elsewhere(bills, folded, held)
        a_cycle = in_luts * self.lane_pj + folded.pe * np.array(sum_pj) + decoder_pj
        energy = sample_energy(
            register_pj=self.register_pj,
            offchip_pj=self.offchip_pj,
            cycles=self.products / lanes,
            a_cycle=a_cycle + np.array([one.luts for one in control]) * self.control_pj,
            flip_flops=bills.flip_flops,
            outputs=self.outputs,
            an_output=self.output_pj,
            memory_pj=held.energy_pj,
            offchip_bits=held.offchip_bits,
        )
        costs = bills.costs(
            dsps=dsps,
            bram18s=held.bram18s,
            urams=held.urams,
            interval_cycles=interval,
            fill_cycles=folded.first + 2 + stages + levels + (beats > 1) + finish,
            offchip_bits=held.offchip_bits,
            energy_pj=energy.total_pj,
            memory_pj=energy.memory_pj,
            offchip_pj=energy.offchip_pj,
            relative_delay=[style.delay for style in chosen],
            notes=[
                style.notes + layout.notes + more
                for style, layout, more in zip(chosen, folded.layouts, notes, strict=True)
            ],
        )
        if self.largest_region:
            return [noted_crossings(cost, self.largest_region, self.device.name) for cost in costs]
        return costs

    def _chosen(self, folding: Folding) -> _Multiplying:
        if folding.multipliers is MultiplierStyle.LUT:
            return self.in_luts
        self.device.dsp.require()
        return self.in_dsps[folding.lanes_per_dsp]

    def _sums(self, chosen: _Multiplying, simd: int, carries: int = 0) -> tuple[SumCost, float]:
        """What sums the products of an output, and its energy in a cycle with multipliers in LUTs."""
        found = chosen.sums.get((simd, carries))
        if found is None:
            found = chosen.sums[simd, carries] = sum_cost(
                self.sums,
                simd,
                several=simd < self.shape.depth,
                in_dsps=chosen.lanes is not None,
                dsp_inputs=chosen.lanes.mapping.inputs if chosen.lanes else 1,
                carries=carries,
                process=self.process.name,
            )
        return found

    def _add_lanes(
        self,
        bills: Bills,
        folded: Folded,
        chosen: Sequence[_Multiplying],
        summed: Sequence[SumCost],
        in_luts: Integers,
    ) -> tuple[Integers, Integers]:
        """Lanes, trees and accumulators; returns DSPs, and bits of the weights of a step as they are stored."""
        dsps, borrowing = np.zeros((2, len(chosen)), dtype=np.int64)
        for style in {id(style): style for style in chosen}.values():
            here = np.array([one is style for one in chosen])
            if style.lanes is None:
                self._add_lut_lanes(bills, folded, in_luts * here)
                continue
            dsps += style.lanes.add_each(bills, folded.pe * here, folded.simd)
            lent = style.lanes.borrowings(folded.pe * here)
            if lent.any():
                _add_sums(bills, [self._sums(style, simd, 1)[0] for simd in folded.simd.tolist()], lent)
                borrowing += lent
        _add_sums(bills, summed, folded.pe - borrowing)
        # A weight whose product borrows is stored a bit wider.
        return dsps, folded.simd * (folded.pe * self.weight_bits + borrowing)

    def _add_lut_lanes(self, bills: Bills, folded: Folded, lanes: Integers) -> None:
        """Lanes in LUTs, and the registers behind their products."""
        if self.lane.decoded is None:
            bills.add_all(self.plain_lane, lanes)
        else:
            is_decoded = self._is_decoded(folded)
            bills.add_all(self.plain_lane, lanes * ~is_decoded)
            bills.add(self.lane.decoded, lanes * is_decoded)
        bills.flip_flops += lanes * (self.lane.product_bits + self.lane.carries)

    def _operand_registers(self, folded: Folded) -> Integers:
        """Bits of the operands of a step, where neither a window generator nor a replay buffer holds them."""
        windows = np.array([layout.window is not None for layout in folded.layouts])
        held = np.where(windows, folded.has_replay, self.per_value.bits(folded.operands))
        return np.where(folded.has_replay & ~windows, 0, held)

    def _is_decoded(self, folded: Folded) -> Mask:
        """Whether lanes hold the decoder of their weight: a measured unit, if one table serves all channels."""
        decoder = self.lane.weight_decoder
        if self.lane.decoded is None or decoder is None:
            return np.zeros(len(folded.layouts), dtype=np.bool_)
        found: Mask = np.logical_or(folded.passes == 1, decoder.scope is TableScope.TENSOR)
        return found

    def _add_decoders(self, bills: Bills, folded: Folded) -> Column:
        """Decoders of weights stand in every lane, those of activations before the lanes that share one.

        Returns picojoules of a cycle.
        """
        weight, activation = self.lane.weight_decoder, self.lane.activation_decoder
        picojoules = np.zeros(len(folded.layouts))
        if weight is not None:
            in_luts = np.array([one.multipliers is MultiplierStyle.LUT for one in folded.foldings])
            counts = folded.pe * folded.simd * ~(in_luts & self._is_decoded(folded))
            units = [weight.unit(passes) for passes in folded.passes.tolist()]
            bills.add_each(units, counts)
            picojoules += counts * np.array([units_energy([(one, 1)], self.process) for one in units])
        if activation is not None:
            bills.add(activation.unit(1), folded.operands)
            picojoules += folded.operands * units_energy([(activation.unit(1), 1)], self.process)
        return picojoules

    def _add_streams(self, bills: Bills, folded: Folded) -> None:
        """The adapter in front of the engine, and what hands results on one after the other."""
        value, words = self.activation_bits, folded.input_lanes * self.activation_bits
        adapters = {
            word: priced(WIDTH_ADAPTER, input=value, output=word) if value < word <= MAXIMUM_WIDTH else NOTHING
            for word in set(words.tolist())
        }
        bills.add_each([adapters[word] for word in words.tolist()])
        bills.flip_flops += words * ((folded.input_lanes > 1) & (words > MAXIMUM_WIDTH))
        serialisers = [
            priced(SERIALISER, lanes=pe, at_once=at_once, bits=self.sums.held_bits) if at_once < pe else NOTHING
            for pe, at_once in zip(folded.pe.tolist(), folded.at_once.tolist(), strict=True)
        ]
        bills.add_each(serialisers)

    def _controls(self, folded: Folded, stages: Integers, beats: Integers, finish: Integers) -> list[Priced]:
        """What counts in each engine."""
        read = self.requantiser.tables(self.shape.outputs, folded.at_once)
        columns = np.broadcast_arrays(folded.steps, folded.passes, stages, beats, finish, read)
        return [
            priced(
                ENGINE_CONTROL,
                steps=steps,
                passes=passes,
                stages=registers,
                beats=words,
                finish=behind,
                bias=self.sums.bias,
                tables=tables,
            )
            for steps, passes, registers, words, behind, tables in zip(*(one.tolist() for one in columns), strict=True)
        ]

    def _elsewhere(self, bills: Bills, folded: Folded, held: HeldMemories) -> tuple[Integers, list[tuple[str, ...]]]:
        """What brings weights from elsewhere; returns the interval it leaves, and notes."""
        interval, bits = folded.interval, held.offchip_bits
        if bits.any():
            bills.add(assumed(LOGIC, READER_LUTS)._replace(flip_flops=READER_FLIP_FLOPS), bits > 0)
            read = [bandwidth_interval(one, self.device, self.clock_mhz) if one else 0 for one in bits.tolist()]
            interval = np.maximum(interval, read)
        is_read, is_loaded = (bits > 0).tolist(), (held.urams > 0).tolist()
        notes = [
            (OFFCHIP_NOTE,) * read + (LOADER_NOTE,) * loaded for read, loaded in zip(is_read, is_loaded, strict=True)
        ]
        return interval, notes


def _add_sums(bills: Bills, summed: Sequence[SumCost], outputs: Integers) -> None:
    """What sums the products of so many outputs, in each design."""
    for place in range(max(len(one.units) for one in summed)):
        there = [one.units[place] if place < len(one.units) else (NOTHING, 0.0) for one in summed]
        bills.add_each([unit for unit, _ in there], outputs * np.array([count for _, count in there]))
    registers, chosen_bits = np.array([(one.registers, one.chosen_bits) for one in summed]).T
    bills.flip_flops += outputs * registers
    if chosen_bits.any():
        # Which partial sum is added: two bits of a two-to-one multiplexer in a LUT (UG474).
        bills.assume(LOGIC, outputs * chosen_bits / 2)
