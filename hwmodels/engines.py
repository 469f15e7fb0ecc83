"""The engine of a layer: pe x simd lanes, adder trees, accumulators, weights, requantisers, window, streams.

Composition, with the origin of each part:

* lanes, trees, accumulators: measured units (`hwmodels.lanes`, `hwmodels.units`). In DSP style the DSP multiplies only;
  trees and accumulators stay in LUTs, which is on the safe side of flows that cascade DSPs.
* the requantiser's multiplication and rounding: measured units; what depends on the output format alone is
  `hwmodels.output_stage`, because the format of an edge is chosen for all its consumers at once.
* memories: counted as packed (`hwmodels.memory`).
* stream and control logic: a count of counter bits, registers and multiplexers, assumed, not measured. FINN-R's
  constant of 300 LUTs is not used: it was fitted to whole HLS layers and holds much that is counted here by name.
* registers: one level behind the operands, the multipliers, each tree level, the accumulator and three in the
  requantiser; an assumption about our own RTL.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from emulation.datapaths import Arithmetic
from hwmodels.block_units import blocks_at_once, scale_words
from hwmodels.composition import FIXED_LANE, LOGIC, MEMORY, REQUANTISER, SHIFTER, compose, device_notes
from hwmodels.engine_shapes import WeightSource, requantisers
from hwmodels.folding import MemoryStyle, MultiplierStyle, check_folding
from hwmodels.memory import Access, memory_budget, packed_memory
from hwmodels.operands import stored_bits
from hwmodels.sums import check_datapath, sums_of
from hwmodels.table_units import TableScope
from hwmodels.units import multiplier_luts, requantiser_notes, requantiser_round_luts_per_bit, shifter_luts
from hwmodels.windows import first_window_positions, held_positions, held_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulation.formats import Format
    from emulation.network import Window
    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding
    from hwmodels.memory import MemoryCost
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

    Raises:
        ValueError: if a folding does not divide the shape or the datapath's chunks or blocks, a format has no cost
            model or a width is below 1.
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
    )
    return [engine.cost(folding) for folding in foldings]


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
    ) -> None:
        self.shape, self.device, self.scale, self.multiplier_bits = shape, device, scale, multiplier_bits
        self.datapath = (weight_format, activation_format, arithmetic)
        self.budget = memory_budget(device)
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
        self.packing = 0
        if self.lane.operand_bits is not None:
            self.packing = device.dsp.multiplications_per_dsp(*self.lane.operand_bits)
        if shape.is_depthwise:
            # Packed multiplications share an operand; the lanes of a depthwise convolution share none.
            self.packing = min(self.packing, 1)
        self.read_bits = self.register.read_bits
        self.sum_costs: dict[int, SumCost] = {}
        requantise = scale is not RequantiseScale.NONE
        self.round_luts = requantiser_round_luts_per_bit() * self.read_bits if requantise else 0.0
        self.multiply_luts = multiplier_luts(self.read_bits, multiplier_bits) if requantise else 0.0
        # An unsigned multiplier takes one more bit in the signed multiplier of a DSP.
        self.multiply_dsps = device.dsp.tiles(self.read_bits, multiplier_bits + 1) if requantise else 0
        self.notes = self._notes(MultiplierStyle.LUT)
        self.dsp_notes = self._notes(MultiplierStyle.DSP)

    def _notes(self, style: MultiplierStyle) -> tuple[str, ...]:
        notes = device_notes(self.device)
        if style is MultiplierStyle.DSP and not self.packing and self.lane.operand_bits is not None:
            first, second = self.lane.operand_bits
            notes += (f"multiplier {first}x{second} fits no {self.device.dsp.kind}: priced in LUTs",)
        in_dsp = style is MultiplierStyle.DSP and self.packing > 0
        notes += self.lane.notes_beside_dsp if in_dsp else self.lane.notes
        if style is MultiplierStyle.LUT and self.scale is not RequantiseScale.NONE:
            notes += requantiser_notes(self.read_bits, self.multiplier_bits)
        return notes + self.register.notes + (self.sums.stage.notes if self.sums.stage else ())

    def cost(self, folding: Folding) -> Cost:
        """Resources and cycles of one folding."""
        shape, pe, simd = self.shape, folding.pe, folding.simd
        check_folding(folding, shape.outputs, shape.depth, groups=shape.groups)
        check_datapath(folding, shape, *self.datapath)
        in_dsps = folding.multipliers is MultiplierStyle.DSP
        count = requantisers(folding, shape)
        sums = self.sum_costs.get(simd)
        if sums is None:
            sums = self.sum_costs[simd] = self.sums.cost(simd)
        luts = {family: pe * one for family, one in sums.luts.items()}
        logic_luts = self._logic_luts(folding, count)
        dsps = 0
        if in_dsps and self.packing:
            dsps = -(-pe // self.packing) * simd
            lane_luts = pe * simd * self.lane.luts_beside_dsp
            # Products beside each other borrow from each other's sign: one LUT each to correct, assumed.
            logic_luts += pe * simd if self.packing > 1 else 0
        else:
            lane_luts = pe * simd * self.lane.luts
        luts[self.lane.family] = luts.get(self.lane.family, 0.0) + lane_luts
        memory_luts, bram18s = self._memories(folding, count)
        luts[MEMORY] = luts.get(MEMORY, 0.0) + memory_luts + self._decoder_luts(folding)
        luts[LOGIC] = luts.get(LOGIC, 0.0) + logic_luts
        requantiser_luts, requantiser_dsps = self._requantisers(folding, count)
        for family, one in requantiser_luts.items():
            luts[family] = luts.get(family, 0.0) + one
        interval, fill = self._cycles(folding)
        stages = 2 + (DSP_STAGES if dsps else LUT_MULTIPLIER_STAGES) + sums.levels
        stages += REQUANTISER_STAGES if self.scale is not RequantiseScale.NONE else 0
        product_registers = 0 if dsps or self.lane.planes else pe * simd * self.lane.product_bits
        return compose(
            luts,
            flip_flops=product_registers + pe * sums.registers + self._flip_flops(folding, count),
            dsps=dsps + requantiser_dsps,
            bram18s=bram18s,
            interval_cycles=interval,
            fill_cycles=fill + stages,
            notes=self.dsp_notes if in_dsps else self.notes,
        )

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

    def _memories(self, folding: Folding, count: int) -> tuple[int, int]:
        shape, pe, simd = self.shape, folding.pe, folding.simd
        passes, steps = shape.outputs // pe, shape.depth // simd
        memories = []
        if shape.weights is WeightSource.STORED:
            memories.append(
                self._memory(passes * steps, pe * simd * self.weight_bits, Access.READ_ONLY, folding.weight_memory)
            )
        else:
            memories.append(
                self._memory(2 * passes * steps, pe * simd * self.weight_bits, Access.READ_WRITE, folding.weight_memory)
            )
        memories += self._constants(folding, count)
        if shape.has_bias:
            memories.append(self._memory(passes, pe * self.register.bits, Access.READ_ONLY))
        if self.scale.per_channel:
            table_bits = self.scale.per_channel * count * self.multiplier_bits
            memories.append(self._memory(-(-shape.outputs // count), table_bits, Access.READ_ONLY))
        if passes > 1 and not shape.is_depthwise:
            # The inputs of one position, read again for every pass over the outputs.
            memories.append(self._memory(steps, stored_bits(self.activation_format, simd), Access.READ_WRITE))
        if shape.window is not None and shape.window.taps > 1:
            memories.extend(self._window_memories(folding, shape.window))
        return sum(memory.luts for memory in memories), sum(memory.bram18s for memory in memories)

    def _constants(self, folding: Folding, count: int) -> list[MemoryCost]:
        """Scales of blocks of weights, and alphas of binary planes."""
        shape, found = self.shape, []
        stage, planes = self.sums.stage, self.lane.planes
        if stage is not None and stage.scale_widths[0]:
            at_once = max(blocks_at_once(folding.simd, self.sums.channels, stage.block), 1)
            words = shape.outputs // folding.pe * -(-scale_words(shape, stage.block) // at_once)
            bits = folding.pe * at_once * stage.scale_widths[0]
            found.append(self._memory(words, bits, Access.READ_ONLY, folding.weight_memory))
        if planes is not None:
            bits = count * planes.planes * planes.alpha_bits
            found.append(self._memory(-(-shape.outputs // count), bits, Access.READ_ONLY))
        return found

    def _window_memories(self, folding: Folding, window: Window) -> list[MemoryCost]:
        shape = self.shape
        lanes = shape.input_lanes(folding)
        words_per_position, bits = shape.in_channels // lanes, stored_bits(self.activation_format, lanes)
        if not shape.parallel_window(folding):
            words = held_positions(window, shape.space) * words_per_position
            return [self._memory(words, bits, Access.READ_WRITE)]
        rows, row_positions = held_rows(window, shape.space)
        return [
            self._memory(row_positions * words_per_position, rows * bits, Access.SHIFT),
            self._memory(words_per_position, window.taps * bits, Access.SHIFT),
        ]

    def _memory(self, words: int, bits: int, access: Access, style: MemoryStyle = MemoryStyle.AUTO) -> MemoryCost:
        return packed_memory(words, bits, style, access, self.budget)

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
