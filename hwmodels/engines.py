"""The engine of a layer: pe x simd lanes, adder trees, accumulators, weights, requantisers, window, streams.

The price of an engine is the sum of the prices of its parts, each a unit that was synthesised (`hwmodels.units`), with
registers at the parts' borders: for integers, minifloats with exact products and powers of two the parts are those of
`hwmodels.rtl.engines.engine_parts`, and cycles those of that RTL. Other datapaths replace its lanes, trees and sums by
units of their own and keep the rest (`hwmodels.sums`). Beside the parts stands:

* what depends on the output format alone (`hwmodels.output_stage`), because the format of an edge is chosen for all its
  consumers at once;
* a width adapter in front, from single activations to the words the engine takes;
* DSPs: our RTL's packings on DSP48E2, else as the device's packing table counts them (`hwmodels.dsp_mapping`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emulation.datapaths import Arithmetic
from hwmodels.bandwidth import READER_FLIP_FLOPS, READER_LUTS, bandwidth_interval
from hwmodels.collector import without_collector
from hwmodels.composition import LOGIC, Bill, compose, device_notes
from hwmodels.dsp_lanes import DspLanes, dsp_lanes
from hwmodels.dsp_mapping import Combining
from hwmodels.energy import anchor
from hwmodels.engine_energy import sample_energy, sum_cost, units_energy
from hwmodels.engine_layouts import engine_layouts
from hwmodels.engine_memories import EngineMemories
from hwmodels.folding import Folding, LanesPerDsp, MultiplierStyle, check_folding
from hwmodels.memory import memory_budget
from hwmodels.operands import Stored
from hwmodels.own_engines import corrected_engine
from hwmodels.regions import noted_crossings
from hwmodels.requantisers import Requantiser, RequantiseScale
from hwmodels.rtl.dsp_multipliers import REGISTERS as DSP_STAGES
from hwmodels.rtl.engine_control import ENGINE_CONTROL
from hwmodels.rtl.engine_streams import SERIALISER
from hwmodels.rtl.streams import MAXIMUM_WIDTH, WIDTH_ADAPTER
from hwmodels.sums import ChunkRule, sums_of
from hwmodels.table_units import TableScope
from hwmodels.timing import engine_delay
from hwmodels.units import Priced, priced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulation.formats import Format
    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from hwmodels.engine_layouts import Layout
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.sums import SumCost

EXACT: Final = Arithmetic()
"""Exact products in an accumulator that holds every sum."""

LUT_MULTIPLIER_STAGES: Final = 1


def engine_cost(
    shape: EngineShape,
    *,
    weight_format: Format,
    activation_format: Format,
    folding: Folding,
    device: Device,
    multiplier_bits: int = 16,
    scale: RequantiseScale = RequantiseScale.CHANNEL,
    accumulator: int | None = None,
    arithmetic: Arithmetic = EXACT,
    table_scope: TableScope = TableScope.CHANNEL,
    clock_mhz: float | None = None,
) -> Cost:
    """The cost of one folding; see `engine_costs`."""
    costs = engine_costs(
        shape,
        weight_format=weight_format,
        activation_format=activation_format,
        foldings=(folding,),
        device=device,
        multiplier_bits=multiplier_bits,
        scale=scale,
        accumulator=accumulator,
        arithmetic=arithmetic,
        table_scope=table_scope,
        clock_mhz=clock_mhz,
    )
    return costs[0]


def engine_costs(
    shape: EngineShape,
    *,
    weight_format: Format,
    activation_format: Format,
    foldings: Iterable[Folding],
    device: Device,
    multiplier_bits: int = 16,
    scale: RequantiseScale = RequantiseScale.CHANNEL,
    accumulator: int | None = None,
    arithmetic: Arithmetic = EXACT,
    table_scope: TableScope = TableScope.CHANNEL,
    clock_mhz: float | None = None,
) -> list[Cost]:
    """Costs of an engine under each folding, up to the rounded but not yet saturated output.

    Args:
        shape: what is computed.
        weight_format: of the weights (of the second activation of a MatMul).
        activation_format: of the activations.
        foldings: each must divide the shape.
        device: whose DSPs pack multiplications and whose size decides between LUTs and block RAM.
        multiplier_bits: of the dyadic requantisation multiplier (unsigned).
        scale: which multiplier requantises.
        accumulator: bits of an exact accumulator; None takes the worst case of `hwmodels.accumulators` with a bias as
            large as the largest sum. A narrow accumulator has its own width, a block engine's 32 bits unless given.
        arithmetic: product and accumulator.
        table_scope: whether a learned codebook's table is one per layer or one per output channel.
        clock_mhz: against which weights off the chip arrive; None takes the device's typical clock.

    Raises:
        ValueError: if a folding does not divide the shape or the datapath's chunks or blocks, a format has no cost
            model or a width is below 1; if the device is no FPGA, or lacks the memory or the bandwidth a folding asks
            for (`hwmodels.devices.DeviceError`).
    """
    if multiplier_bits < 1 or (accumulator is not None and accumulator < 1):
        raise ValueError(f"widths are at least 1 bit, got multiplier {multiplier_bits}, accumulator {accumulator}")
    engine = _Engine(
        shape,
        weight_format=weight_format,
        activation_format=activation_format,
        device=device,
        multiplier_bits=multiplier_bits,
        scale=scale,
        accumulator=accumulator,
        arithmetic=arithmetic,
        table_scope=table_scope,
        clock_mhz=clock_mhz,
    )
    with without_collector():
        return [corrected_engine(folding, engine.cost) for folding in foldings]


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
    """

    lanes: DspLanes | None
    in_dsps: bool
    stages: int
    finish: int
    delay: float
    notes: tuple[str, ...]


class _Engine:
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
        self.has_decoders = bool(self.lane.weight_decoder or self.lane.activation_decoder)
        self.register_pj, self.offchip_pj = self.process.register, self.process.offchip
        self.control_pj = self.process.logic(ENGINE_CONTROL)
        self.plain_lane = [(unit, 1.0) for unit in self.lane.units]
        self.decoded_lane = [] if self.lane.decoded is None else [(self.lane.decoded, 1.0)]
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

    def cost(self, folding: Folding) -> Cost:
        """Resources and cycles of one folding."""
        shape, pe, simd = self.shape, folding.pe, folding.simd
        check_folding(folding, shape.outputs, shape.depth, groups=shape.groups)
        if self.rule is not None:
            self.rule.check(folding)
        if folding.multipliers is MultiplierStyle.DSP:
            self.device.dsp.require()
            chosen = self.in_dsps[folding.lanes_per_dsp]
        else:
            chosen = self.in_luts
        inside = chosen.lanes
        layout = self.layouts[pe, simd]
        bill = Bill()
        summed, sum_pj = self._sums(simd, layout.steps, inside, 0)
        dsps = self._lanes(bill, folding, layout, inside, summed)
        dsps += self.requantiser.add_to(bill, layout.at_once, in_dsps=chosen.in_dsps)
        word_bits = inside.word_bits(pe, simd, self.weight_bits) if inside else pe * simd * self.weight_bits
        held = self.memories.add_to(bill, folding, layout, word_bits=word_bits)
        units = self._streams(bill, pe, layout)
        decoder_pj = 0.0
        if self.has_decoders:
            decoders = self._decoders(folding, layout)
            decoder_pj = units_energy(decoders, self.process)
            units += decoders
        beats = pe // layout.at_once
        control = priced(
            ENGINE_CONTROL,
            steps=layout.steps,
            passes=layout.passes,
            stages=1 + chosen.stages + summed.levels,
            beats=beats,
            finish=chosen.finish,
            bias=self.sums.bias,
            tables=self.requantiser.tables(shape.outputs, layout.at_once),
        )
        units.append((control, 1))
        bill.add_all(units)
        notes = chosen.notes + layout.notes
        interval = layout.interval
        if held.offchip_bits:
            interval = max(interval, bandwidth_interval(held.offchip_bits, self.device, self.clock_mhz))
            bill.assume(LOGIC, READER_LUTS, READER_FLIP_FLOPS)
            notes += ("weights off the chip: bounded by the peak bandwidth; reader and double buffer assumed",)
        if held.urams:
            notes += ("UltraRAM: what it is loaded with at the start comes from elsewhere; loader assumed",)
        lane_pj = 0.0 if summed.holds_lanes else self.lane_pj
        outputs = shape.outputs * shape.positions
        energy = sample_energy(
            register_pj=self.register_pj,
            offchip_pj=self.offchip_pj,
            cycles=outputs * shape.depth / (pe * simd),
            a_cycle=pe * (simd * lane_pj + sum_pj) + control.luts * self.control_pj + decoder_pj,
            flip_flops=bill.flip_flops,
            outputs=outputs,
            an_output=self.output_pj,
            memory_pj=held.energy_pj,
            offchip_bits=held.offchip_bits,
        )
        cost = compose(
            bill,
            dsps=dsps,
            bram18s=held.bram18s,
            urams=held.urams,
            interval_cycles=interval,
            fill_cycles=layout.first + 2 + chosen.stages + summed.levels + (beats > 1) + chosen.finish,
            offchip_bits=held.offchip_bits,
            energy_pj=energy.total_pj,
            memory_pj=energy.memory_pj,
            offchip_pj=energy.offchip_pj,
            relative_delay=chosen.delay,
            notes=notes,
        )
        return noted_crossings(cost, self.largest_region, self.device.name) if self.largest_region else cost

    def _sums(self, simd: int, steps: int, inside: DspLanes | None, carries: int) -> tuple[SumCost, float]:
        """What sums the products of an output, and its energy in a cycle with multipliers in LUTs."""
        inputs = inside.mapping.inputs if inside else 1
        return sum_cost(
            self.sums,
            simd,
            several=steps > 1,
            in_dsps=inside is not None,
            dsp_inputs=inputs,
            carries=carries,
            process=self.process.name,
        )

    def _lanes(self, bill: Bill, folding: Folding, layout: Layout, inside: DspLanes | None, summed: SumCost) -> int:
        """Lanes, trees, accumulators, and the registers behind operands and products; returns DSPs."""
        pe, simd, lanes = folding.pe, folding.simd, folding.lanes
        dsps = 0
        if inside is not None:
            dsps = inside.add_to(bill, pe, simd)
            borrowing = inside.borrowing(pe)
            if borrowing:
                _add_sums(bill, self._sums(simd, layout.steps, inside, 1)[0], borrowing)
            _add_sums(bill, summed, pe - borrowing)
        else:
            if not summed.holds_lanes:
                bill.add_all(self.decoded_lane if self._is_decoded(layout) else self.plain_lane, lanes)
                bill.flip_flops += lanes * (self.lane.product_bits + self.lane.carries)
            _add_sums(bill, summed, pe)
        if layout.window is None and not layout.has_replay:
            bill.flip_flops += self.per_value.bits(layout.operands)
        elif layout.has_replay and layout.window is not None:
            bill.flip_flops += 1
        return dsps

    def _is_decoded(self, layout: Layout) -> bool:
        """Whether lanes hold the decoder of their weight: a measured unit, if one table serves all channels."""
        decoder = self.lane.weight_decoder
        if self.lane.decoded is None or decoder is None:
            return False
        return decoder.scope is TableScope.TENSOR or layout.passes == 1

    def _decoders(self, folding: Folding, layout: Layout) -> list[tuple[Priced, float]]:
        """Decoders of weights stand in every lane, those of activations before the lanes that share one."""
        weight, activation = self.lane.weight_decoder, self.lane.activation_decoder
        found: list[tuple[Priced, float]] = []
        in_lane = folding.multipliers is MultiplierStyle.LUT and self._is_decoded(layout)
        if weight is not None and not in_lane:
            found.append((weight.unit(layout.passes), folding.lanes))
        if activation is not None:
            found.append((activation.unit(1), layout.operands))
        return found

    def _streams(self, bill: Bill, pe: int, layout: Layout) -> list[tuple[Priced, float]]:
        """The adapter in front of the engine, and what hands results on one after the other."""
        word = layout.input_lanes * self.activation_bits
        found: list[tuple[Priced, float]] = []
        if layout.input_lanes > 1 and word <= MAXIMUM_WIDTH:
            found.append((priced(WIDTH_ADAPTER, input=self.activation_bits, output=word), 1))
        elif layout.input_lanes > 1:
            bill.flip_flops += word
        if layout.at_once < pe:
            found.append((priced(SERIALISER, lanes=pe, at_once=layout.at_once, bits=self.sums.held_bits), 1))
        return found


def _add_sums(bill: Bill, summed: SumCost, outputs: int) -> None:
    bill.add_all(summed.units, outputs)
    bill.flip_flops += outputs * summed.registers
    if summed.chosen_bits:
        # Which partial sum is added: two bits of a two-to-one multiplexer in a LUT (UG474).
        bill.assume(LOGIC, outputs * summed.chosen_bits / 2)
