"""When positions pass: from the cycles in which a layer's input positions have arrived to those of its outputs.

A tensor in a stream is an array of cycles, one per position in order: the cycle in which its last word passes. Each
layer maps such arrays, so that a chain of them gives the latency of a network. Nobody waits for a reader here: buffers
hold what arrives early, and a stream's readers are at least as fast as the network's pace.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwmodels.rtl.engine_shape import pipeline_cycles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwmodels.rtl.engine_shape import EngineShape

    Cycles = NDArray[np.int64]


class Stream(NamedTuple):
    """A tensor on its way.

    Attributes:
        cycles: by position, when its last word passes.
        words: of a position.
        bursts: groups in which the words of a position come, one word a cycle within each.
        spacing: cycles from a burst to the next.
    """

    cycles: Cycles
    words: int
    bursts: int = 1
    spacing: int = 0

    def cut(self, positions: int, words: int) -> Stream:
        """The same values behind the width adapters that make so many words of each of so many positions."""
        have = self.cycles.size
        if have == positions:
            return self.as_words(words)
        each, rest = divmod(have, positions)
        if not rest and words % each == 0:
            found = self.as_words(words // each)
            return Stream(found.cycles[each - 1 :: each], words)
        return self.of(positions).as_words(words)

    def of(self, positions: int) -> Stream:
        """The same values cut into so many positions."""
        have = self.cycles.size
        if have == positions:
            return self
        words = max(self.words * have // positions, 1)
        if have % positions == 0:
            each = have // positions
            return Stream(
                self.cycles[each - 1 :: each], words, each, int(self.cycles[-1] - self.cycles[0]) // (have - 1)
            )
        # A position's words come one after the other at the latest.
        ends = np.arange(1, positions + 1) * have / positions
        place = np.ceil(ends).astype(np.int64)
        found = self.cycles[place - 1] - ((place - ends) * self.words).astype(np.int64)
        return Stream(np.maximum.accumulate(found), words)

    def as_words(self, words: int) -> Stream:
        """Behind a width adapter that makes so many words of a position.

        Where neither number divides the other, two adapters stand behind each other (`hwmodels.rtl.networks`).

        >>> Stream(source_cycles(2, 6), 6).as_words(4).cycles.tolist()
        [13, 25]
        """
        common = math.lcm(self.words, words)
        found = self if common == self.words else self.narrowed(common // self.words)
        return found if common == words else found.widened(common // words)

    def narrowed(self, ratio: int) -> Stream:
        """Each word as so many: in the end the adapter waits for the last burst, or has been busy since the first."""
        burst, words = self.words // self.bursts, self.words * ratio
        late = max(burst * ratio, words - (self.bursts - 1) * self.spacing) - (burst - 1)
        bursts, spacing = (self.bursts, self.spacing) if self.spacing > burst * ratio else (1, 0)
        return Stream(paced(self.cycles + late, words), words, bursts, spacing)

    def widened(self, ratio: int) -> Stream:
        """So many words as one, which leaves a cycle behind the last of them."""
        words, apart = self.words // ratio, max(self.spacing * self.bursts // self.words, 1)
        return Stream(self.cycles + 1, words, words, ratio * apart)


def source_cycles(positions: int, words: int) -> Cycles:
    """A source that never waits, from cycle 0; ``words`` of a position.

    >>> source_cycles(3, 2).tolist()
    [1, 3, 5]
    """
    return np.arange(1, positions + 1) * words - 1


def engine_cycles_of(shape: EngineShape, arrived: Cycles) -> Cycles:
    """When the output positions of one sample have left an engine.

    Args:
        shape: of the engine.
        arrived: by position of its input, shape (positions,).
    """
    if not shape.is_window:
        last = _linear(shape, arrived)
    elif not shape.is_parallel:
        turn = shape.passes * shape.steps
        last = paced(arrived[shape.window.needed - 1] + 1, turn) + turn - 1
    else:
        last = _parallel(shape, arrived)
    return last + pipeline_cycles(shape) + shape.beats - 1


@lru_cache(maxsize=1 << 14)
def engine_latency(shape: EngineShape) -> int:
    """Cycles from a sample's first input word to its last output word, with an empty engine and no one waiting.

    >>> from hwmodels.rtl.engine_shape import EngineShape
    >>> engine_latency(EngineShape(outputs=8, channels=8, pe=2, simd=2, weight_bits=4, activation_bits=4,
    ...     accumulator=16))
    24
    """
    return int(engine_cycles_of(shape, source_cycles(shape.window.positions, shape.input_words))[-1])


def pool_cycles(needed: Cycles, arrived: Cycles) -> Cycles:
    """When the outputs of a pool over windows side by side have left; by window, positions that it needs."""
    return arrived[needed - 1] + 1


def add_cycles(first: Cycles, second: Cycles, words: int) -> Cycles:
    """When the sums of two tensors of ``words`` a position have left."""
    return paced(np.maximum(first, second) + 1, words)


def paced(ready: Cycles, turn: int, events: int = 1) -> Cycles:
    """Each event no earlier than it is ready, and no sooner after those before than ``events`` in ``turn`` cycles.

    >>> paced(np.array([3, 4, 20]), 5).tolist(), paced(np.array([0, 0, 0]), 5, 2).tolist()
    ([3, 8, 20], [0, 2, 5])
    """
    order = np.arange(ready.size) * turn // events
    found: Cycles = order + np.maximum.accumulate(ready - order)
    return found


def _linear(shape: EngineShape, arrived: Cycles) -> Cycles:
    turn = shape.passes * shape.steps
    if not shape.has_replay:
        return paced(arrived, turn)
    # The first pass follows the words as they come, one cycle behind; the others are read from the buffer.
    return paced(arrived + 1 + (shape.passes - 1) * shape.steps, turn)


def _parallel(shape: EngineShape, arrived: Cycles) -> Cycles:
    window, words = shape.window, shape.input_words
    groups = shape.taps // shape.taps_at_once
    columns = window.columns
    # The last word of a window is moved in after the position that completes it, padding behind the input included.
    row = np.arange(window.rows.windows) * window.rows.stride + window.rows.kernel - 1 - window.rows.before
    column = np.arange(columns.windows) * columns.stride + columns.kernel - 1 - columns.before
    completes = (row[:, None] * columns.size + column[None, :]).reshape(-1)
    total = max(int(completes[-1]) + 1, window.positions)
    cost = np.full(total, words)
    cost[completes] = words * groups
    ready = np.zeros(total, dtype=np.int64)
    ready[: window.positions] = arrived + 1
    # The lines are done with position i no earlier than its own time after the one before.
    behind = np.cumsum(cost)
    emitted = np.where(np.isin(np.arange(total), completes), groups - 1, 0)
    done = behind + np.maximum.accumulate(ready + emitted - behind)
    last: Cycles = done[completes]
    if not shape.has_replay:
        return last
    turn = shape.passes * shape.steps
    return paced(last + 2 + (shape.passes - 1) * shape.steps, turn)
