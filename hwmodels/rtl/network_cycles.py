"""When positions pass: from the cycles in which a layer's input positions have arrived to those of its outputs.

A tensor in a stream is an array of cycles, one per position in order: the cycle in which its last word passes. Each
layer maps such arrays, so that a chain of them gives the latency of a network. Nobody waits for a reader here: buffers
hold what arrives early, and a stream's readers are at least as fast as the network's pace.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hwmodels.rtl.engine_shape import pipeline_cycles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwmodels.rtl.engine_shape import EngineShape
    from hwmodels.rtl.window_shapes import WindowShape

    Cycles = NDArray[np.int64]


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
        last = _paced(arrived[shape.window.needed - 1] + 1, turn) + turn - 1
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


def pool_cycles(shape: WindowShape, arrived: Cycles) -> Cycles:
    """When the outputs of a pool over windows side by side have left."""
    return arrived[shape.needed - 1] + 1


def add_cycles(first: Cycles, second: Cycles, words: int) -> Cycles:
    """When the sums of two tensors of ``words`` a position have left."""
    return _paced(np.maximum(first, second) + 1, words)


def adapter_cycles(arrived: Cycles, words_in: int, words_out: int) -> Cycles:
    """When positions have left a width adapter, which takes so many words of a position and gives so many others."""
    if words_in == words_out:
        return arrived
    ratio = max(words_out // words_in, 1)
    return _paced(arrived + ratio, words_out)


def _linear(shape: EngineShape, arrived: Cycles) -> Cycles:
    turn = shape.passes * shape.steps
    if not shape.has_replay:
        return _paced(arrived, turn)
    # The first pass follows the words as they come, one cycle behind; the others are read from the buffer.
    return _paced(arrived + 1 + (shape.passes - 1) * shape.steps, turn)


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
    return _paced(last + 2 + (shape.passes - 1) * shape.steps, turn)


def _paced(ready: Cycles, turn: int) -> Cycles:
    """Each event no earlier than it is ready, and ``turn`` cycles after the one before."""
    order = np.arange(ready.size) * turn
    paced: Cycles = order + np.maximum.accumulate(ready - order)
    return paced
