"""The engine of a layer: pe x simd lanes, adder trees, accumulators, weights, requantisers, window, streams.

Composition, with the origin of each part:

* lanes, trees, accumulators: measured units (`hwmodels.lanes`, `hwmodels.units`). In DSP style the DSP multiplies only;
  trees and accumulators stay in LUTs, which is on the safe side of flows that cascade DSPs.
* the requantiser's multiplication and rounding: measured units; what depends on the output format alone is
  `hwmodels.output_stage`, because the format of an edge is chosen for all its consumers at once.
* memories: counted as packed (`hwmodels.engine_memories`).
* stream and control logic: a count of counter bits, registers and multiplexers, assumed, not measured. FINN-R's
  constant of 300 LUTs is not used: it was fitted to whole HLS layers and holds much that is counted here by name.
* registers: one level behind the operands, the multipliers, each tree level, the accumulator and three in the
  requantiser; an assumption about our own RTL.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import TYPE_CHECKING, Final

from emulation.datapaths import Arithmetic
from hwmodels.bandwidth import READER_FLIP_FLOPS, READER_LUTS, bandwidth_interval
from hwmodels.composition import FIXED_LANE, LOGIC, MEMORY, REQUANTISER, SHIFTER, compose, device_notes
from hwmodels.dsp_mapping import Combining, lane_mapping
from hwmodels.energy import anchor
from hwmodels.engine_energy import EngineEnergy
from hwmodels.engine_memories import EngineMemories
from hwmodels.engine_shapes import WeightSource, requantisers
from hwmodels.folding import Folding, LanesPerDsp, MultiplierStyle, check_folding
from hwmodels.memory import memory_budget
from hwmodels.operands import stored_bits
from hwmodels.own_engines import corrected_engine
from hwmodels.regions import noted_crossings
from hwmodels.sums import check_datapath, sums_of
from hwmodels.table_units import TableScope
from hwmodels.timing import engine_delay
from hwmodels.units import multiplier_luts, requantiser_notes, requantiser_round_luts_per_bit, shifter_luts
from hwmodels.windows import first_window_positions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulation.formats import Format
    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from hwmodels.dsp_mapping import LaneMapping
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.sums import SumCost

EXACT: Final = Arithmetic()
"""Exact products in an accumulator that holds every sum."""

REQUANTISER_STAGES: Final = 3
"""Pipeline registers of a requantiser: product, rounded, saturated. Assumed, as all pipeline depths here."""
LUT_MULTIPLIER_STAGES: Final = 1
DSP_STAGES: Final = 3
"""Registers of a fully pipelined DSP: operands, product, output (UG479 and UG579)."""
HANDSHAKE_LUTS: Final = 10
"""Ready and valid of two streams and the enables of the pipeline; assumed."""


class RequantiseScale(Enum):
    """Which multiplier takes an accumulator to the output."""

    NONE = "none"
    """None: the accumulators leave as they are."""
    TENSOR = "tensor"
    """One for all channels."""
    CHANNEL = "channel"
    """One per output channel, from a table."""
    CHANNEL_AND_SIGN = "channel-and-sign"
    """Two per output channel, from a table; the accumulator's sign selects (a fused PReLU)."""

    @property
    def per_channel(self) -> int:
        """Multipliers kept in a table for each output channel."""
        return {"channel": 1, "channel-and-sign": 2}.get(self.value, 0)


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
    return [corrected_engine(folding, engine.cost) for folding in foldings]


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
        self.shape, self.device, self.scale, self.multiplier_bits = shape, device, scale, multiplier_bits
        self.clock_mhz = clock_mhz
        self.datapath = (weight_format, activation_format, arithmetic)
        budget = memory_budget(device)
        self.sums = sums_of(
            shape,
            weight_format=weight_format,
            activation_format=activation_format,
            arithmetic=arithmetic,
            table_scope=table_scope,
            accumulator=accumulator,
        )
        self.lane, self.register = self.sums.lane, self.sums.register
        self.activation_format = activation_format
        self.weight_bits, self.activation_bits = weight_format.width, activation_format.width
        self.memories = EngineMemories(
            shape=shape,
            sums=self.sums,
            activation_format=activation_format,
            weight_bits=self.weight_bits,
            multiplier_bits=multiplier_bits,
            multipliers_per_output=scale.per_channel,
            budget=budget,
        )
        self.largest_region = device.largest_region()
        self.mappings = {style: self._mapping(style) for style in LanesPerDsp}
        self.read_bits = self.register.read_bits
        self.sum_costs: dict[tuple[int, int], SumCost] = {}
        requantise = scale is not RequantiseScale.NONE
        self.round_luts = requantiser_round_luts_per_bit() * self.read_bits if requantise else 0.0
        self.multiply_luts = multiplier_luts(self.read_bits, multiplier_bits) if requantise else 0.0
        # An unsigned multiplier takes one more bit in the signed multiplier of a DSP.
        self.multiply_dsps = device.dsp.tiles(self.read_bits, multiplier_bits + 1) if requantise else 0
        self.energy = EngineEnergy(
            shape=shape,
            sums=self.sums,
            memories=self.memories,
            requantiser=self._requantisers(Folding(), 1)[0],
            process=anchor(device.energy_anchor),
        )
        self.notes = self._lut_notes()
        self.dsp_notes = {style: self._dsp_notes(mapping) for style, mapping in self.mappings.items()}

    def _mapping(self, style: LanesPerDsp) -> LaneMapping | None:
        if self.lane.operand_bits is None:
            return None
        # The lanes of a depthwise convolution share no operand. Products are only added up unless something stands
        # between them and the tree: an aligner, the scale of a block.
        combining = set() if self.shape.is_depthwise else {Combining.OPERAND}
        if not self.lane.luts_beside_dsp and self.sums.stage is None:
            combining.add(Combining.SUM)
        return lane_mapping(self.device.dsp, self.lane.operand_bits, combining=combining, lanes_per_dsp=style)

    def _lut_notes(self) -> tuple[str, ...]:
        notes = device_notes(self.device) + self.lane.notes
        if self.scale is not RequantiseScale.NONE:
            notes += requantiser_notes(self.read_bits, self.multiplier_bits)
        return notes + self._sum_notes()

    def _dsp_notes(self, mapping: LaneMapping | None) -> tuple[str, ...]:
        notes = device_notes(self.device)
        if mapping is None and self.lane.operand_bits is not None:
            notes += (self.device.dsp.refusal(*self.lane.operand_bits),)
        return notes + (self.lane.notes_beside_dsp if mapping else self.lane.notes) + self._sum_notes()

    def _sum_notes(self) -> tuple[str, ...]:
        return self.register.notes + (self.sums.stage.notes if self.sums.stage else ())

    def _sums(self, simd: int, mapping: LaneMapping | None) -> SumCost:
        """Trees and accumulators; where DSPs sum products up, of what leaves them."""
        inputs = mapping.inputs if mapping else 1
        found = self.sum_costs.get((simd, inputs))
        if found is None:
            sums = self.sums
            if inputs > 1:
                wider = self.lane.product_bits + (inputs - 1).bit_length()
                sums = dataclasses.replace(sums, lane=dataclasses.replace(self.lane, product_bits=wider))
            found = self.sum_costs[simd, inputs] = sums.cost(-(-simd // inputs))
        return found

    def cost(self, folding: Folding) -> Cost:
        """Resources and cycles of one folding."""
        shape, pe, simd = self.shape, folding.pe, folding.simd
        check_folding(folding, shape.outputs, shape.depth, groups=shape.groups)
        check_datapath(folding, shape, *self.datapath)
        in_dsps = folding.multipliers is MultiplierStyle.DSP
        mapping = self.mappings[folding.lanes_per_dsp] if in_dsps else None
        count = requantisers(folding, shape)
        sums = self._sums(simd, mapping)
        luts = {family: pe * one for family, one in sums.luts.items()}
        logic_luts = self._logic_luts(folding, count)
        dsps = 0
        if mapping is not None:
            dsps = mapping.dsps(pe, simd)
            lane_luts = pe * simd * self.lane.luts_beside_dsp
            logic_luts += pe * simd * mapping.corrections
        else:
            lane_luts = pe * simd * self.lane.luts
        luts[self.lane.family] = luts.get(self.lane.family, 0.0) + lane_luts
        held = self.memories.cost(folding, count)
        luts[MEMORY] = luts.get(MEMORY, 0.0) + held.luts + self._decoder_luts(folding)
        luts[LOGIC] = luts.get(LOGIC, 0.0) + logic_luts
        requantiser_luts, requantiser_dsps = self._requantisers(folding, count)
        for family, one in requantiser_luts.items():
            luts[family] = luts.get(family, 0.0) + one
        interval, fill = self._cycles(folding)
        notes = self.dsp_notes[folding.lanes_per_dsp] if in_dsps else self.notes
        flip_flops = self._flip_flops(folding, count)
        if held.offchip_bits:
            interval = max(interval, bandwidth_interval(held.offchip_bits, self.device, self.clock_mhz))
            luts[LOGIC] += READER_LUTS
            flip_flops += READER_FLIP_FLOPS
            notes += ("weights off the chip: bounded by the peak bandwidth; reader and double buffer assumed",)
        if held.urams:
            notes += ("UltraRAM: what it is loaded with at the start comes from elsewhere; loader assumed",)
        stages = 2 + (DSP_STAGES if dsps else LUT_MULTIPLIER_STAGES) + sums.levels
        stages += REQUANTISER_STAGES if self.scale is not RequantiseScale.NONE else 0
        product_registers = 0 if dsps or self.lane.planes else pe * simd * self.lane.product_bits
        energy = self.energy.per_sample(
            folding,
            sums=self._sums(simd, None).luts,
            control_luts=self._logic_luts(folding, count),
            decoder_luts=self._decoder_luts(folding),
            flip_flops=pe * sums.registers + flip_flops,
            offchip_bits=held.offchip_bits,
        )
        requantised = None if self.scale is RequantiseScale.NONE else (self.read_bits, self.multiplier_bits)
        delay = engine_delay(
            None if mapping else self.lane.operand_bits, self.register.bits, None if in_dsps else requantised
        )
        cost = compose(
            luts,
            flip_flops=product_registers + pe * sums.registers + flip_flops,
            dsps=dsps + requantiser_dsps,
            bram18s=held.bram18s,
            urams=held.urams,
            interval_cycles=interval,
            fill_cycles=fill + stages,
            offchip_bits=held.offchip_bits,
            energy_pj=energy,
            relative_delay=delay,
            notes=notes,
        )
        return noted_crossings(cost, self.largest_region, self.device.name) if self.largest_region else cost

    def _requantisers(self, folding: Folding, count: int) -> tuple[dict[str, float], int]:
        """LUTs by family and DSPs of the joining of binary planes, the multiplications, shifts and roundings."""
        in_dsps = folding.multipliers is MultiplierStyle.DSP
        luts, dsps = count * (self.round_luts + (0.0 if in_dsps else self.multiply_luts)), 0
        if in_dsps:
            dsps = count * self.multiply_dsps
        found = {REQUANTISER: luts} if luts else {}
        if self.register.read_shift_bits and self.scale is not RequantiseScale.NONE:
            shifted = self.read_bits + self.multiplier_bits
            found[SHIFTER] = count * shifter_luts(shifted, self.register.read_shift_bits)
        if self.lane.planes is not None:
            planes = self.lane.planes
            joined = self.sums.output_luts() + (0.0 if in_dsps else self.sums.alpha_luts())
            found[FIXED_LANE] = count * joined
            if in_dsps:
                dsps += count * planes.planes * self.device.dsp.tiles(self.sums.plane_bits, planes.alpha_bits)
        return found, dsps

    def _decoder_luts(self, folding: Folding) -> int:
        """Decoders of weights stand in every lane, those of activations before the lanes that share one."""
        passes = self.shape.outputs // folding.pe
        weight, activation = self.lane.weight_decoder, self.lane.activation_decoder
        luts = folding.lanes * weight.luts(passes) if weight is not None else 0
        if activation is not None:
            luts += folding.simd * (folding.pe if self.shape.is_depthwise else 1) * activation.luts(1)
        return luts

    def _flip_flops(self, folding: Folding, count: int) -> int:
        shape, pe, simd = self.shape, folding.pe, folding.simd
        operands = simd * self.activation_bits * (pe if shape.is_depthwise else 1)
        weights_change = shape.outputs > pe or shape.depth > simd or shape.weights is WeightSource.STREAMED
        operands += pe * simd * self.weight_bits if weights_change else 0
        held = self.sums.held_bits
        serial = pe * held if count < pe else 0
        requantise = 0
        if self.scale is not RequantiseScale.NONE:
            requantise = count * (2 * self.read_bits + self.multiplier_bits)
        adapter = stored_bits(self.activation_format, shape.input_lanes(folding))
        return operands + pe * held + serial + requantise + adapter + self._counter_bits(folding)

    def _counter_bits(self, folding: Folding) -> int:
        shape = self.shape
        passes, steps = shape.outputs // folding.pe, shape.depth // folding.simd
        bits = passes.bit_length() + steps.bit_length() + shape.positions.bit_length()
        if passes * steps > 1:
            bits += (passes * steps).bit_length()  # address of the weights
        if shape.window is not None and shape.window.taps > 1:
            # Where the next value is written, which window is read and which of its taps.
            bits += 2 * sum(size.bit_length() for size in shape.space)
            bits += sum(size.bit_length() for size in shape.window.kernel)
        return bits

    def _logic_luts(self, folding: Folding, count: int) -> float:
        # A counter bit is a LUT; two bits of a two-to-one multiplexer share one dual-output LUT (UG474).
        adapter = stored_bits(self.activation_format, self.shape.input_lanes(folding)) / 2
        serial = folding.pe * self.sums.held_bits / 2 if count < folding.pe else 0.0
        by_sign = count * self.multiplier_bits / 2 if self.scale is RequantiseScale.CHANNEL_AND_SIGN else 0.0
        return HANDSHAKE_LUTS + self._counter_bits(folding) + adapter + serial + by_sign

    def _cycles(self, folding: Folding) -> tuple[int, int]:
        shape = self.shape
        steps = shape.depth // folding.simd
        compute = (shape.outputs // folding.pe) * steps * shape.positions
        lanes = shape.input_lanes(folding)
        arrive = -(-shape.input_elements // lanes)
        if shape.weights is WeightSource.STREAMED:
            arrive = max(arrive, shape.weight_sets * shape.outputs * steps)
        fill = steps
        if shape.window is not None:
            fill += first_window_positions(shape.window, shape.space) * (shape.in_channels // lanes)
        return max(compute, arrive), fill
