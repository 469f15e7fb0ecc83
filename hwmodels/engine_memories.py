"""The memories of an engine: weights, scales, biases, requantisation tables, operand buffers and windows.

Each is as wide as what is read at once, so folding partitions the weights by pe x simd. Biases and multipliers lie in
LUTs, as in our RTL; weights and what is written lie where they take the smallest share of the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hwmodels.bandwidth import buffer_words
from hwmodels.block_units import blocks_at_once, scale_words
from hwmodels.composition import LOGIC, MEMORY
from hwmodels.energy import memory_energy
from hwmodels.engine_shapes import WeightSource
from hwmodels.folding import FoldingError, MemoryStyle
from hwmodels.memory import Access, block_count, packed_memory
from hwmodels.memory_units import NO_MEMORY, MemoryUnit, stored, stored_in_luts, written
from hwmodels.rtl.engine_streams import REPLAY_BUFFER
from hwmodels.rtl.memories import BLOCK_MEMORY, LUT_MEMORY
from hwmodels.rtl.parallel_windows import PARALLEL_WINDOW, parallel_window_memory
from hwmodels.rtl.windows import SERIAL_WINDOW, serial_window_words
from hwmodels.units import priced
from hwmodels.windows import held_positions

if TYPE_CHECKING:
    from hwmodels.block_units import BlockStage
    from hwmodels.composition import Bill
    from hwmodels.energy import Anchor
    from hwmodels.engine_layouts import Layout, WindowLayout
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding
    from hwmodels.memory import MemoryBudget
    from hwmodels.operands import Stored
    from hwmodels.sums import Sums
    from hwmodels.units import Priced

WINDOW_LOGIC_LUTS = 10
"""Handshake of a window generator without RTL; assumed."""


class HeldMemory(NamedTuple):
    """Memory an engine keeps on the chip, and what it reads from elsewhere.

    Attributes:
        bram18s: halves of block RAM.
        urams: UltraRAMs.
        offchip_bits: read from memory off the chip per sample.
        energy_pj: of all accesses on the chip per sample.
    """

    bram18s: int
    urams: int
    offchip_bits: int
    energy_pj: float


@dataclass(frozen=True, kw_only=True)
class EngineMemories:
    """All that decides the memories of an engine but its folding.

    Attributes:
        shape: what is computed.
        sums: lanes and registers.
        weight_bits: of a weight.
        per_value: bits of the activations that are buffered.
        multiplier_bits: of a requantisation multiplier.
        multipliers_per_output: kept in a table; 0 if there is one for all outputs.
        budget: of the device.
        process: to which energy is scaled.
    """

    shape: EngineShape
    sums: Sums
    weight_bits: int
    per_value: Stored
    multiplier_bits: int
    multipliers_per_output: int
    budget: MemoryBudget
    process: Anchor

    def add_to(self, bill: Bill, folding: Folding, layout: Layout, *, word_bits: int) -> HeldMemory:
        """All memories of one folding into a bill.

        Each is accessed per sample as often as its words are used. A double buffer of weights off the chip is written
        as often as it is read, a replayed operand is written once; a window's values are written once and read once
        for each tap they meet.

        Args:
            bill: of the engine.
            folding: of the engine.
            layout: of the folding.
            word_bits: of the weights of a step, as they are stored.

        Raises:
            FoldingError: if the second operand of a product of activations is to lie off the chip.
        """
        budget, shape, per_value = self.budget, self.shape, self.per_value
        steps, passes, words, positions = layout.steps, layout.passes, layout.words, shape.positions
        is_offchip = folding.weight_memory is MemoryStyle.OFFCHIP
        offchip_bits = 0
        found: list[MemoryUnit] = []
        accesses: list[tuple[int, float]] = []
        read_at_once = [(words, word_bits, folding.pe * folding.simd * self.weight_bits)]
        if self.sums.stage is not None:
            read_at_once += [(count, bits, bits) for count, bits in self._scales(folding, self.sums.stage)]
        for count, stored_bits, bits in read_at_once:
            memory, read = self._weights(count, stored_bits, folding.weight_memory)
            found.append(memory)
            offchip_bits += read
            held, times = (buffer_words(count), 2) if is_offchip else (count, 1)
            accesses.append((held, bits * count * positions * times))
        self._tables(folding.pe, layout, found, accesses)
        if layout.has_replay:
            found.append(_replayed(steps, per_value.bits(layout.operands), passes, budget))
        if passes > 1 and not shape.is_depthwise:
            accesses.append((steps, per_value.bits(folding.simd) * (words + steps) * positions))
        if layout.window is not None:
            bits = per_value.bits(layout.input_lanes)
            found.append(window_memory(layout.window, bits, budget))
            if layout.window.parameters is None:
                bill.assume(LOGIC, WINDOW_LOGIC_LUTS + layout.window.counter_bits, layout.window.counter_bits)
        if self._window_values is not None:
            lanes, (positions_held, values) = layout.input_lanes, self._window_values
            bits = per_value.bits(lanes)
            accesses.append((positions_held * (shape.in_channels // lanes), values * bits / lanes))
        bram18s = urams = 0
        units: list[tuple[Priced, float]] = []
        for one in found:
            if one.unit is not None:
                units.append((one.unit, 1))
            if one.assumed_luts or one.flip_flops:
                bill.add_all(units)  # families in the order of the memories
                bill.assume(MEMORY, one.assumed_luts, one.flip_flops)
                units.clear()
            bram18s += one.bram18s
            urams += one.urams
        bill.add_all(units)
        return HeldMemory(bram18s, urams, offchip_bits, memory_energy(accesses, self.process))

    @cached_property
    def _window_values(self) -> tuple[int, int] | None:
        """Positions a window holds, and values written and read per sample; None if windows do not overlap."""
        shape = self.shape
        if shape.window is None or shape.window.taps == 1:
            return None
        values = shape.input_elements + shape.positions * shape.window.taps * shape.in_channels
        return held_positions(shape.window, shape.space), values

    def _tables(self, pe: int, layout: Layout, found: list[MemoryUnit], accesses: list[tuple[int, float]]) -> None:
        """What is read once for each output: alphas of binary planes, biases, multipliers."""
        shape, budget = self.shape, self.budget
        outputs, tables = shape.outputs * shape.positions, shape.outputs // layout.at_once
        planes = self.sums.lane.planes
        if planes is not None:
            alpha_bits = planes.planes * planes.alpha_bits
            found.append(stored_in_luts(tables, layout.at_once * alpha_bits, budget))
            accesses.append((shape.outputs, outputs * alpha_bits))
        if shape.has_bias:
            found.append(stored_in_luts(layout.passes, pe * self.sums.register.bits, budget))
            accesses.append((layout.passes, outputs * self.sums.register.bits))
        if self.multipliers_per_output:
            table_bits = self.multipliers_per_output * layout.at_once * self.multiplier_bits
            found.append(stored_in_luts(tables, table_bits, budget))
            accesses.append((shape.outputs, outputs * self.multiplier_bits))

    def _scales(self, folding: Folding, stage: BlockStage) -> list[tuple[int, int]]:
        """Words and bits of the scales of blocks of weights."""
        if not stage.scale_widths[0]:
            return []
        at_once = max(blocks_at_once(folding.simd, self.sums.channels, stage.block), 1)
        words = self.shape.outputs // folding.pe * -(-scale_words(self.shape, stage.block) // at_once)
        return [(words, folding.pe * at_once * stage.scale_widths[0])]

    def _weights(self, words: int, bits: int, style: MemoryStyle) -> tuple[MemoryUnit, int]:
        """A memory of weights or their scales on the chip, or the buffer before them and the bits read per sample."""
        is_stored = self.shape.weights is WeightSource.STORED
        if style is not MemoryStyle.OFFCHIP:
            # What is streamed has a double buffer: one half is filled while the other is used.
            if is_stored:
                return stored(words, bits, style, self.budget), 0
            return written(2 * words, bits, style, self.budget), 0
        if not is_stored:
            raise FoldingError(
                "the second operand of a product of activations is streamed, not stored off the chip: use auto, "
                "lutram, bram or uram as its memory"
            )
        # A single word stays in its buffer; more are read again for every position.
        uses = self.shape.positions if words > 1 else 1
        return written(buffer_words(words), bits, MemoryStyle.AUTO, self.budget), words * bits * uses


@lru_cache(maxsize=1 << 16)
def _replayed(steps: int, bits: int, passes: int, budget: MemoryBudget) -> MemoryUnit:
    """The buffer whose words are read pass after pass, while those of the next position arrive."""
    bram18s = _blocks(2 * steps, bits, Access.READ_WRITE, budget)
    memory = BLOCK_MEMORY if bram18s else LUT_MEMORY
    return MemoryUnit(unit=priced(REPLAY_BUFFER, steps=steps, bits=bits, passes=passes, memory=memory), bram18s=bram18s)


@lru_cache(maxsize=1 << 16)
def window_memory(layout: WindowLayout, bits: int, budget: MemoryBudget) -> MemoryUnit:
    """The window generator with its buffer; of one without RTL the buffer alone."""
    if layout.parameters is None:
        return written(layout.counted_words, bits, MemoryStyle.AUTO, budget) if layout.counted_words else NO_MEMORY
    given = dict(layout.parameters)
    if layout.is_parallel:
        words, row_bits = parallel_window_memory(**given, bits=bits)
        bram18s = _blocks(words, row_bits, Access.SHIFT, budget) if words > 1 else 0
        family = PARALLEL_WINDOW
    else:
        bram18s = _blocks(serial_window_words(**given, bits=bits), bits, Access.READ_WRITE, budget)
        family = SERIAL_WINDOW
    memory = BLOCK_MEMORY if bram18s else LUT_MEMORY
    return MemoryUnit(unit=priced(family, **given, bits=bits, memory=memory), bram18s=bram18s)


def _blocks(words: int, bits: int, access: Access, budget: MemoryBudget) -> int:
    """Halves of block RAM of a buffer; 0 if LUTs take a smaller share of the device."""
    packed = packed_memory(words, bits, MemoryStyle.AUTO, access, budget)
    return block_count(words, bits, budget.block_shapes) if packed.bram18s or packed.urams else 0
