"""The time-multiplexed engine: one pe x simd array that executes every multiplying layer, one layer after another.

What it is made of, each part paid once:

* a *datapath* per distinct pair of operand formats with its product and accumulator: lanes, decoders, adder trees and
  the multiplexers that choose its sum. Accumulators that saturate, round, align blocks or sum binary planes belong to
  their datapath, and so do the scales of block weights;
* exact *accumulators* of pe outputs, as wide as the widest any layer needs;
* *registers* of sums that wait for a requantiser, biases, and requantisers, as many as the layer with the fewest cycles
  per output needs: all as wide as the widest register;
* an output stage per distinct output format (`hwmodels.output_stage`), each serving all of them;
* one *weight memory*: the words of all layers behind each other, as wide as the array with its widest weights; or a
  double buffer before a memory off the chip;
* one *activation memory*: all tensors held at a time (`hwmodels.array_work.held_words`), as wide as simd values of the
  widest activation format, in two banks of which neighbouring words are read together and rotated into place, and the
  inputs of two positions in front of the lanes;
* control: counters, address generators, and a word of settings per layer.

Lanes, trees, requantisers are measured units; memories are counted as packed; multiplexers, rotation and control are
assumed. A memory with style AUTO is of one kind whatever formats are chosen: the kind that suits the widest one.

Layers run one after another: a layer takes the cycles of `hwmodels.array_work` and one filling and draining of the
pipeline (`SharedEngine.fill_cycles`), which is as deep as the deepest datapath and output stage it may have. Layers
that do not multiply have hardware of their own beside the activation memory and take their turn in the same order. So
cycles add up, and the interval of a sample is their sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from hwmodels.array_work import ArrayWork, array_work
from hwmodels.bandwidth import READER_FLIP_FLOPS, READER_LUTS, buffer_words
from hwmodels.composition import LOGIC, Bill, bill_of, compose, device_notes
from hwmodels.costs import Cost
from hwmodels.engine_prices import LUT_MULTIPLIER_STAGES
from hwmodels.engine_shapes import EngineShape, WeightSource
from hwmodels.folding import MemoryStyle, MultiplierStyle
from hwmodels.memory import Access, memory_budget, packed_memory
from hwmodels.memory_units import MemoryUnit, stored, written
from hwmodels.registers import names_its_chunk
from hwmodels.requantisers import RequantiseScale
from hwmodels.rtl.dsp_multipliers import DSP_MULTIPLIER
from hwmodels.rtl.dsp_multipliers import REGISTERS as DSP_STAGES
from hwmodels.shared_energy import array_logic_pj
from hwmodels.stream_units import HANDSHAKE_LUTS
from hwmodels.sums import usable_foldings
from hwmodels.table_units import TableScope
from hwmodels.units import Priced, accumulator, cast_of_product, priced, requantising_multiplier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulation.datapaths import Arithmetic
    from emulation.formats import Format
    from hwmodels.devices import Device
    from hwmodels.folding import Folding

SETTINGS_BITS: Final = 256
"""Bits of the settings of one layer: sixteen fields of sixteen bits (counts, addresses, which datapath); assumed."""
COUNTER_BITS: Final = 16
"""Bits of a counter or an address of the control; assumed."""
COUNTERS: Final = 12
"""Passes, steps, positions, four axes of a window and its place, and four addresses; assumed."""
REQUANTISER_STAGES: Final = 3
"""Registers of a requantiser: product, rounded, code."""
BIAS_BITS: Final = 32
"""Width of a bias that decides which kind of memory holds all of them."""
MULTIPLEXER_LUTS_PER_BIT: Final = 0.5
"""Two bits of a two-to-one multiplexer in one dual-output LUT (UG474)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLayer:
    """A multiplying layer of a network on the array: what it computes, and which multipliers requantise it."""

    shape: EngineShape
    scale: RequantiseScale = RequantiseScale.CHANNEL


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedEngine:
    """One array for some layers on a device; the costs of its parts.

    Attributes:
        array: its size, what multiplies, and where weights lie.
        layers: those it executes, by name.
        held_words: of the activation memory, each of simd values.
        device: whose resources are counted.
        multiplier_bits: of the dyadic requantisation multipliers.
        table_scope: of learned codebooks.
        widest_weight_bits: of all weight formats that may be chosen.
        widest_word_bits: of a word of activations in any format that may be chosen.
    """

    array: Folding
    layers: Mapping[str, SharedLayer]
    held_words: int
    device: Device
    multiplier_bits: int = 16
    table_scope: TableScope = TableScope.CHANNEL
    widest_weight_bits: int
    widest_word_bits: int

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("a shared array executes at least one convolution, linear layer or product of activations")

    @cached_property
    def work(self) -> dict[str, ArrayWork]:
        """What each layer is on this array."""
        return {name: array_work(layer.shape, self.array) for name, layer in self.layers.items()}

    @cached_property
    def requantisers(self) -> int:
        """An output takes ``steps`` cycles; the layer with the fewest decides how many leave at once."""
        return max(-(-self.array.pe // work.steps) for work in self.work.values())

    @property
    def in_dsps(self) -> bool:
        """Whether multiplications go into DSPs where their widths allow it."""
        return self.array.multipliers is MultiplierStyle.DSP

    @cached_property
    def largest_shape(self) -> EngineShape:
        """What every datapath is made for: the deepest sum, the most channels, and a bias if any layer has one."""
        shapes = [layer.shape for layer in self.layers.values()]
        return EngineShape(
            outputs=self.array.pe,
            depth=max(shape.depth for shape in shapes),
            in_channels=max(shape.in_channels // shape.groups for shape in shapes),
            has_bias=any(shape.has_bias for shape in shapes),
        )

    def fill_cycles(self, name: str, *, levels: int, output_fill: int) -> int:
        """Cycles a layer takes beyond its work: the first position arrives, the pipeline fills, the last outputs leave.

        Args:
            name: of the layer.
            levels: pipeline stages of the deepest datapath (`hwmodels.shared_datapaths`).
            output_fill: cycles of the slowest output stage.
        """
        stages = 2 + (DSP_STAGES if self.in_dsps else LUT_MULTIPLIER_STAGES) + levels + REQUANTISER_STAGES
        return self.work[name].fetch + stages + -(-self.array.pe // self.requantisers) + output_fill

    def can_use(self, name: str, *, weight: Format, activation: Format, arithmetic: Arithmetic) -> bool:
        """Whether the array computes a layer as its datapath says.

        Accumulators that depend on their chunk need simd = chunk, or a layer whose whole sum is one chunk that fits;
        blocks must not be cut (`hwmodels.sums.usable_foldings`).
        """
        shape = self.layers[name].shape
        if usable_foldings(
            (self.array,), shape, weight_format=weight, activation_format=activation, arithmetic=arithmetic
        ):
            return True
        is_chunk = names_its_chunk(arithmetic, weight, activation)
        has_blocks = bool(getattr(weight, "block_size", 0) or getattr(activation, "block_size", 0))
        chunk = getattr(arithmetic.accumulator, "chunk", 0)
        return is_chunk and not has_blocks and shape.depth <= min(chunk, self.array.simd)

    def accumulator_cost(self, bits: int) -> Cost:
        """Exact accumulators of so many bits: an adder and a register per output."""
        return compose(bill_of([(accumulator(bits, bits, bias=1, carry=0, several=True), self.array.pe)]))

    def register_cost(self, bits: int) -> Cost:
        """Sums of so many bits that wait while the next are made, biases as wide, and requantisers that read them."""
        pe, count = self.array.pe, self.requantisers
        words = sum(work.passes for name, work in self.work.items() if self.layers[name].shape.has_bias)
        biases = self.memory(words, pe * bits, Access.READ_ONLY, widest=pe * BIAS_BITS)
        bill = Bill()
        biases.add_to(bill)
        if count < pe:
            bill.assume(LOGIC, pe * bits * MULTIPLEXER_LUTS_PER_BIT)
        for unit in self._requantiser(bits, in_dsps=self.in_dsps):
            bill.add(unit, count)
        bill.flip_flops += pe * bits + count * (2 * bits + self.multiplier_bits)
        # An unsigned multiplier takes one more bit in the signed multiplier of a DSP.
        dsps = count * self.device.dsp.tiles(bits, self.multiplier_bits + 1) if self.in_dsps else 0
        return compose(bill, dsps=dsps, bram18s=biases.bram18s, urams=biases.urams)

    def _requantiser(self, bits: int, *, in_dsps: bool) -> tuple[Priced, Priced]:
        factor = self.multiplier_bits
        times = (
            priced(DSP_MULTIPLIER, a=bits, b=factor, a_signed=1, b_signed=0)
            if in_dsps
            else requantising_multiplier(bits, factor)
        )
        return times, cast_of_product(bits + factor)

    def weight_cost(self, bits: int) -> Cost:
        """The memory of all weights with formats of so many bits, and the register behind it."""
        lanes, widest = self.array.lanes, self.array.lanes * max(bits, self.widest_weight_bits)
        kept = [self.work[name].words for name, one in self.layers.items() if _is_stored(one)]
        copied = [self.work[name].words for name, one in self.layers.items() if not _is_stored(one)]
        bill = Bill()
        bill.flip_flops += lanes * bits
        notes: tuple[str, ...] = ()
        offchip = self.array.weight_memory is MemoryStyle.OFFCHIP
        found = []
        if offchip and kept:
            found.append(self.memory(buffer_words(max(kept)), lanes * bits, Access.READ_WRITE, widest=widest))
            bill.assume(LOGIC, READER_LUTS, READER_FLIP_FLOPS)
            notes = ("weights off the chip: bounded by the peak bandwidth; reader and double buffer assumed",)
        elif kept:
            style = self.array.weight_memory
            found.append(self.memory(sum(kept), lanes * bits, Access.READ_ONLY, widest=widest, style=style))
        if copied:
            found.append(self.memory(max(copied), lanes * bits, Access.READ_WRITE, widest=widest))
            bill.assume(LOGIC, lanes * bits * MULTIPLEXER_LUTS_PER_BIT if kept else 0.0)
        blocks = together(bill, found)
        return compose(bill, bram18s=blocks[0], urams=blocks[1], notes=notes)

    def activation_cost(self, word_bits: int) -> Cost:
        """The memory of all tensors with so many bits for simd values, its rotation, the inputs of two positions."""
        simd, widest = self.array.simd, max(word_bits, self.widest_word_bits)
        banks = 1 if simd == 1 else 2
        bank = self.memory(-(-self.held_words // banks), word_bits, Access.READ_WRITE, widest=widest)
        rotation = word_bits * (2 * simd - 1).bit_length() * MULTIPLEXER_LUTS_PER_BIT if banks == 2 else 0.0
        steps = max(work.steps for work in self.work.values())
        inputs = self.memory(2 * steps, word_bits, Access.READ_WRITE, widest=widest)
        bill = Bill()
        bill.assume(LOGIC, rotation, 2 * word_bits)
        blocks = together(bill, [*[bank] * banks, inputs])
        return compose(bill, bram18s=blocks[0], urams=blocks[1])

    @property
    def control_luts(self) -> float:
        """LUTs of counters, address generators and handshakes."""
        return float(HANDSHAKE_LUTS + COUNTERS * COUNTER_BITS)

    def requantise_pj(self, bits: int) -> float:
        """Picojoules of an output of so many bits: its multiplication, its rounding and its registers."""
        luts: dict[str, float] = {}
        for unit in self._requantiser(bits, in_dsps=False):
            luts[unit.family] = luts.get(unit.family, 0.0) + unit.luts
        return array_logic_pj(self, luts, 2 * bits + self.multiplier_bits)

    def control_cost(self) -> Cost:
        """Counters, addresses, settings and the tables of multipliers: what no format changes."""
        count, multiplier = self.requantisers, self.multiplier_bits
        words = sum(layer.scale.per_channel * -(-layer.shape.outputs // count) for layer in self.layers.values())
        multipliers = self.memory(words, count * multiplier, Access.READ_ONLY)
        settings = self.memory(len(self.layers), SETTINGS_BITS, Access.READ_ONLY)
        by_sign = any(layer.scale is RequantiseScale.CHANNEL_AND_SIGN for layer in self.layers.values())
        logic = self.control_luts
        logic += count * multiplier * MULTIPLEXER_LUTS_PER_BIT if by_sign else 0.0
        bill = Bill()
        bill.assume(LOGIC, logic, COUNTERS * COUNTER_BITS + SETTINGS_BITS)
        notes = (*device_notes(self.device), "shared array: its control has no RTL, counters and settings are assumed")
        blocks = together(bill, [multipliers, settings])
        return compose(bill, bram18s=blocks[0], urams=blocks[1], notes=notes)

    def memory(
        self,
        words: int,
        bits: int,
        access: Access,
        *,
        widest: int = 0,
        style: MemoryStyle = MemoryStyle.AUTO,
    ) -> MemoryUnit:
        """A memory of one kind for all widths up to ``widest``, so that its cost grows with the width."""
        budget = memory_budget(self.device)
        if style is MemoryStyle.AUTO:
            chosen = packed_memory(words, max(bits, widest), style, access, budget)
            style = MemoryStyle.URAM if chosen.urams else MemoryStyle.BRAM if chosen.bram18s else MemoryStyle.LUTRAM
        return (stored if access is Access.READ_ONLY else written)(words, bits, style, budget)


def _is_stored(layer: SharedLayer) -> bool:
    return layer.shape.weights is WeightSource.STORED


def together(bill: Bill, memories: list[MemoryUnit]) -> tuple[int, int]:
    """Several memories into a bill; returns halves of block RAM, and UltraRAMs."""
    for one in memories:
        one.add_to(bill)
    return sum(one.bram18s for one in memories), sum(one.urams for one in memories)


def grown(costs: list[Cost]) -> list[Cost]:
    """Costs of one part for ascending widths, each resource at least that of every narrower one.

    Hardware for a width serves all narrower ones, so it takes what they take.
    """
    found: list[Cost] = []
    for cost in costs:
        last = found[-1] if found else Cost()
        found.append(
            replace(
                cost,
                luts=max(cost.luts, last.luts),
                flip_flops=max(cost.flip_flops, last.flip_flops),
                dsps=max(cost.dsps, last.dsps),
                bram18s=max(cost.bram18s, last.bram18s),
                urams=max(cost.urams, last.urams),
                gates=max(cost.gates, last.gates),
            )
        )
    return found
