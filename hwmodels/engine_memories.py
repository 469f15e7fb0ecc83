"""The memories of an engine: weights, scales, biases, requantisation tables, operand buffers and windows.

Each is as wide as what is read at once, so folding partitions the weights by pe x simd.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwmodels.bandwidth import buffer_words
from hwmodels.block_units import blocks_at_once, scale_words
from hwmodels.engine_shapes import WeightSource
from hwmodels.folding import FoldingError, MemoryStyle
from hwmodels.memory import Access, packed_memory
from hwmodels.operands import stored_bits
from hwmodels.windows import held_positions, held_rows

if TYPE_CHECKING:
    from emulation.formats import Format
    from emulation.network import Window
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding
    from hwmodels.memory import MemoryBudget, MemoryCost
    from hwmodels.sums import Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMemory:
    """What an engine keeps on the chip, and what it reads from elsewhere per sample."""

    luts: int
    bram18s: int
    urams: int
    offchip_bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMemories:
    """All that decides the memories of an engine but its folding.

    Attributes:
        weight_bits: of one weight.
        multiplier_bits: of a requantisation multiplier.
        multipliers_per_output: kept in a table; 0 if there is one for all outputs.
    """

    shape: EngineShape
    sums: Sums
    activation_format: Format
    weight_bits: int
    multiplier_bits: int
    multipliers_per_output: int
    budget: MemoryBudget

    def cost(self, folding: Folding, requantisers: int) -> HeldMemory:
        """All memories of one folding.

        Raises:
            FoldingError: if the second operand of a product of activations is to lie off the chip.
        """
        shape, pe, simd = self.shape, folding.pe, folding.simd
        passes, steps = shape.outputs // pe, shape.depth // simd
        found, offchip_bits = [], 0
        for words, bits in ((passes * steps, pe * simd * self.weight_bits), *self._scales(folding)):
            memory, read = self._weights(words, bits, folding.weight_memory)
            found.append(memory)
            offchip_bits += read
        if self.sums.lane.planes is not None:
            planes = self.sums.lane.planes
            alpha_bits = requantisers * planes.planes * planes.alpha_bits
            found.append(self._memory(-(-shape.outputs // requantisers), alpha_bits, Access.READ_ONLY))
        if shape.has_bias:
            found.append(self._memory(passes, pe * self.sums.register.bits, Access.READ_ONLY))
        if self.multipliers_per_output:
            table_bits = self.multipliers_per_output * requantisers * self.multiplier_bits
            found.append(self._memory(-(-shape.outputs // requantisers), table_bits, Access.READ_ONLY))
        if passes > 1 and not shape.is_depthwise:
            # The inputs of one position, read again for every pass over the outputs.
            found.append(self._memory(steps, stored_bits(self.activation_format, simd), Access.READ_WRITE))
        if shape.window is not None and shape.window.taps > 1:
            found.extend(self._window(folding, shape.window))
        return HeldMemory(
            luts=sum(memory.luts for memory in found),
            bram18s=sum(memory.bram18s for memory in found),
            urams=sum(memory.urams for memory in found),
            offchip_bits=offchip_bits,
        )

    def accesses(self, folding: Folding) -> list[tuple[int, float]]:
        """For each memory its words, and the bits read and written per sample (for `hwmodels.energy`).

        A window's values are written once and read once for each tap they meet; weights are read in every cycle. A
        double buffer of weights off the chip is written as often as it is read.
        """
        shape, pe, simd = self.shape, folding.pe, folding.simd
        passes, steps = shape.outputs // pe, shape.depth // simd
        cycles, outputs = passes * steps * shape.positions, shape.outputs * shape.positions
        offchip = folding.weight_memory is MemoryStyle.OFFCHIP
        found: list[tuple[int, float]] = []
        for words, bits in ((passes * steps, pe * simd * self.weight_bits), *self._scales(folding)):
            held = buffer_words(words) if offchip else words
            times = cycles if words == passes * steps else words * shape.positions
            found.append((held, bits * times * (2 if offchip else 1)))
        if self.sums.lane.planes is not None:
            found.append((shape.outputs, outputs * self.sums.lane.planes.planes * self.sums.lane.planes.alpha_bits))
        if shape.has_bias:
            found.append((passes, outputs * self.sums.register.bits))
        if self.multipliers_per_output:
            found.append((shape.outputs, outputs * self.multiplier_bits))
        if passes > 1 and not shape.is_depthwise:
            bits = stored_bits(self.activation_format, simd)
            found.append((steps, bits * (cycles + steps * shape.positions)))
        if shape.window is not None and shape.window.taps > 1:
            lanes = shape.input_lanes(folding)
            words = held_positions(shape.window, shape.space) * (shape.in_channels // lanes)
            values = shape.input_elements + shape.positions * shape.window.taps * shape.in_channels
            found.append((words, values * stored_bits(self.activation_format, lanes) / lanes))
        return found

    def _scales(self, folding: Folding) -> list[tuple[int, int]]:
        """Words and bits of the scales of blocks of weights."""
        stage = self.sums.stage
        if stage is None or not stage.scale_widths[0]:
            return []
        at_once = max(blocks_at_once(folding.simd, self.sums.channels, stage.block), 1)
        words = self.shape.outputs // folding.pe * -(-scale_words(self.shape, stage.block) // at_once)
        return [(words, folding.pe * at_once * stage.scale_widths[0])]

    def _weights(self, words: int, bits: int, style: MemoryStyle) -> tuple[MemoryCost, int]:
        """A memory of weights or their scales on the chip, or the buffer before them and the bits read per sample."""
        is_stored = self.shape.weights is WeightSource.STORED
        if style is not MemoryStyle.OFFCHIP:
            # What is streamed has a double buffer: one half is filled while the other is used.
            access = Access.READ_ONLY if is_stored else Access.READ_WRITE
            return self._memory(words if is_stored else 2 * words, bits, access, style), 0
        if not is_stored:
            raise FoldingError(
                "the second operand of a product of activations is streamed, not stored off the chip: use auto, "
                "lutram, bram or uram as its memory"
            )
        # A single word stays in its buffer; more are read again for every position.
        uses = self.shape.positions if words > 1 else 1
        return self._memory(buffer_words(words), bits, Access.READ_WRITE), words * bits * uses

    def _window(self, folding: Folding, window: Window) -> list[MemoryCost]:
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
