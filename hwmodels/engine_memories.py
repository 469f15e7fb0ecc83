"""The memories of an engine: weights, scales, biases, requantisation tables, operand buffers and windows.

Each is as wide as what is read at once, so folding partitions the weights by pe x simd. Biases and multipliers lie in
LUTs, as in our RTL; weights and what is written lie where they take the smallest share of the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwmodels.bandwidth import BURST_WORDS, buffer_words
from hwmodels.bills import NOTHING
from hwmodels.block_units import blocks_at_once, scale_words
from hwmodels.composition import LOGIC, assumed
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
    from numpy.typing import NDArray

    from hwmodels.bills import Bills
    from hwmodels.energy import Anchor
    from hwmodels.engine_layouts import WindowLayout
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folded import Folded
    from hwmodels.memory import MemoryBudget
    from hwmodels.operands import Stored
    from hwmodels.sums import Sums
    from hwmodels.units import Priced

    Integers = NDArray[np.int64]
    Column = NDArray[np.float64]
    Accesses = tuple[Integers | int, Integers | Column | int]

WINDOW_LOGIC_LUTS = 10
"""Handshake of a window generator without RTL; assumed."""


class HeldMemories(NamedTuple):
    """Memories that engines keep on the chip, and what they read from elsewhere: columns of foldings.

    Attributes:
        bram18s: halves of block RAM.
        urams: UltraRAMs.
        offchip_bits: read from memory off the chip per sample.
        energy_pj: of all accesses on the chip per sample.
    """

    bram18s: Integers
    urams: Integers
    offchip_bits: Integers
    energy_pj: Column


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

    def add_to(self, bills: Bills, folded: Folded, *, word_bits: Integers) -> HeldMemories:
        """All memories of the foldings into their bills.

        Each is accessed per sample as often as its words are used. A double buffer of weights off the chip is written
        as often as it is read, a replayed operand is written once; a window's values are written once and read once
        for each tap they meet.

        Args:
            bills: of the foldings.
            folded: the foldings.
            word_bits: of the weights of a step, as they are stored.

        Raises:
            FoldingError: if the second operand of a product of activations is to lie off the chip.
        """
        accesses: list[Accesses] = []
        weights, offchip_bits = self._weights(folded, word_bits, accesses)
        bram18s, urams = np.zeros((2, len(folded.layouts)), dtype=np.int64)
        for memories in (*weights, *self._tables(folded, accesses), *self._operands(bills, folded, accesses)):
            blocks, ultra = bills.add_memories(memories)
            bram18s += blocks
            urams += ultra
        energy_pj = np.zeros(len(folded.layouts))
        access = self.process.access
        for words, bits in accesses:
            each = access(words) if isinstance(words, int) else np.array(list(map(access, words.tolist())))
            energy_pj += bits * each
        return HeldMemories(bram18s, urams, offchip_bits, energy_pj)

    def _weights(
        self, folded: Folded, word_bits: Integers, accesses: list[Accesses]
    ) -> tuple[list[list[MemoryUnit]], Integers]:
        """Memories of weights and of their scales, and the bits that are read from elsewhere per sample."""
        words, stage = folded.steps * folded.passes, self.sums.stage
        asked = [(words, word_bits, folded.pe * folded.simd * self.weight_bits)]
        if stage is not None and stage.scale_widths[0]:
            ended = [blocks_at_once(one.simd, self.sums.channels, stage.block) for one in folded.foldings]
            at_once = np.maximum(ended, 1)
            bits = folded.pe * at_once * stage.scale_widths[0]
            asked.append((folded.passes * -(-scale_words(self.shape, stage.block) // at_once), bits, bits))
        styles = [one.weight_memory for one in folded.foldings]
        is_offchip = np.array([style is MemoryStyle.OFFCHIP for style in styles])
        found, offchip_bits = [], np.zeros_like(words)
        for count, stored_bits, bits in asked:
            found.append(list(map(self._held, count.tolist(), stored_bits.tolist(), styles)))
            # A single word stays in its buffer; more are read again for every position.
            offchip_bits += is_offchip * stored_bits * count * np.where(count > 1, self.shape.positions, 1)
            held = np.where(is_offchip, 2 * np.minimum(count, BURST_WORDS), count)
            accesses.append((held, bits * count * self.shape.positions * (1 + is_offchip)))
        return found, offchip_bits

    def _operands(self, bills: Bills, folded: Folded, accesses: list[Accesses]) -> list[list[MemoryUnit]]:
        """Replay buffers, and window generators with their buffers."""
        shape, per_value, budget = self.shape, self.per_value, self.budget
        found = []
        if folded.has_replay.any():
            widths = per_value.bits(folded.operands).tolist()
            found.append(
                [
                    _replayed(layout.steps, width, layout.passes, budget) if layout.has_replay else NO_MEMORY
                    for layout, width in zip(folded.layouts, widths, strict=True)
                ]
            )
        if not shape.is_depthwise:
            read = folded.steps * (folded.passes + 1) * shape.positions * (folded.passes > 1)
            accesses.append((folded.steps, per_value.bits(folded.simd) * read))
        bits = per_value.bits(folded.input_lanes)
        windows = [layout.window for layout in folded.layouts]
        if any(windows):
            found.append(
                [
                    NO_MEMORY if window is None else window_memory(window, width, budget)
                    for window, width in zip(windows, bits.tolist(), strict=True)
                ]
            )
            if any(window is not None and window.parameters is None for window in windows):
                bills.add_each([_window_logic(window) for window in windows])
        if self._window_values is not None:
            positions_held, values = self._window_values
            words = positions_held * (shape.in_channels // folded.input_lanes)
            accesses.append((words, values * bits / folded.input_lanes))
        return found

    @cached_property
    def _window_values(self) -> tuple[int, int] | None:
        """Positions a window holds, and values written and read per sample; None if windows do not overlap."""
        shape = self.shape
        if shape.window is None or shape.window.taps == 1:
            return None
        values = shape.input_elements + shape.positions * shape.window.taps * shape.in_channels
        return held_positions(shape.window, shape.space), values

    def _tables(self, folded: Folded, accesses: list[Accesses]) -> list[list[MemoryUnit]]:
        """What is read once for each output: alphas of binary planes, biases, multipliers."""
        shape, planes = self.shape, self.sums.lane.planes
        outputs, tables = shape.outputs * shape.positions, shape.outputs // folded.at_once
        asked = []
        if planes is not None:
            alpha_bits = planes.planes * planes.alpha_bits
            asked.append((tables, folded.at_once * alpha_bits))
            accesses.append((shape.outputs, outputs * alpha_bits))
        if shape.has_bias:
            asked.append((folded.passes, folded.pe * self.sums.register.bits))
            accesses.append((folded.passes, outputs * self.sums.register.bits))
        if self.multipliers_per_output:
            asked.append((tables, self.multipliers_per_output * folded.at_once * self.multiplier_bits))
            accesses.append((shape.outputs, outputs * self.multiplier_bits))
        return [
            list(map(stored_in_luts, words.tolist(), widths.tolist(), repeat(self.budget))) for words, widths in asked
        ]

    def _held(self, words: int, bits: int, style: MemoryStyle) -> MemoryUnit:
        """A memory of weights or their scales on the chip, or the buffer before them."""
        is_stored = self.shape.weights is WeightSource.STORED
        if style is not MemoryStyle.OFFCHIP:
            if is_stored:
                return stored(words, bits, style, self.budget)
            # What is streamed has a double buffer: one half is filled while the other is used.
            return written(2 * words, bits, style, self.budget)
        if not is_stored:
            raise FoldingError(
                "the second operand of a product of activations is streamed, not stored off the chip: use auto, "
                "lutram, bram or uram as its memory"
            )
        return written(buffer_words(words), bits, MemoryStyle.AUTO, self.budget)


def _window_logic(window: WindowLayout | None) -> Priced:
    """Handshake and counters of a window generator without RTL."""
    if window is None or window.parameters is not None:
        return NOTHING
    return assumed(LOGIC, WINDOW_LOGIC_LUTS + window.counter_bits)._replace(flip_flops=window.counter_bits)


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
    words, rows = _buffered(layout)
    family, access = (PARALLEL_WINDOW, Access.SHIFT) if layout.is_parallel else (SERIAL_WINDOW, Access.READ_WRITE)
    bram18s = _blocks(words, rows * bits, access, budget) if words > 1 else 0
    memory = BLOCK_MEMORY if bram18s else LUT_MEMORY
    return MemoryUnit(unit=priced(family, **dict(layout.parameters), bits=bits, memory=memory), bram18s=bram18s)


@lru_cache(maxsize=1 << 14)
def _buffered(layout: WindowLayout) -> tuple[int, int]:
    """Words that the buffer of a window generator holds, and rows that lie beside each other in one."""
    given = dict(layout.parameters or ())
    if layout.is_parallel:
        return parallel_window_memory(**given, bits=1)
    return serial_window_words(**given), 1


def _blocks(words: int, bits: int, access: Access, budget: MemoryBudget) -> int:
    """Halves of block RAM of a buffer; 0 if LUTs take a smaller share of the device."""
    packed = packed_memory(words, bits, MemoryStyle.AUTO, access, budget)
    return block_count(words, bits, budget.block_shapes) if packed.urams else packed.bram18s
