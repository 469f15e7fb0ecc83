"""Latency of a network in a stream: when the positions of every tensor pass, layer by layer.

A tensor is an array of cycles, one per position in order: the cycle in which its last word passes, counted from the
first word of the sample. Where there is RTL (engines of convolutions and linear layers, pools, sums of two tensors,
width adapters) the arrays are mapped as it does (`hwmodels.rtl.network_cycles`), so that the latency of a network of
these is that of its simulation. Other layers follow one rule: a position leaves when the input positions it needs have
come and the layer's fill has passed, and no sooner after the one before than the layer's interval allows.

Nobody waits for a reader: skip FIFOs hold what comes early (`hwmodels.streaming.skip_fifo_depths`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from emulation.function_operations import LayerNorm, Lstm, Softmax
from emulation.network import (
    Add,
    AveragePool,
    Concat,
    Convolution,
    Input,
    Linear,
    MatMul,
    MaxPool,
    Reshape,
    Select,
    Transpose,
)
from hwmodels.engine_layouts import engine_layouts, rtl_engine
from hwmodels.engine_shapes import EngineShape
from hwmodels.folding import divisors
from hwmodels.recurrent import LstmShape, cells_at_once
from hwmodels.rtl.engine_shape import engine_cycles
from hwmodels.rtl.network_cycles import (
    Stream,
    add_cycles,
    engine_cycles_of,
    paced,
    pool_cycles,
    source_cycles,
)
from hwmodels.windows import needed_positions, overlaps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emulation.network import Layer, Network
    from hwmodels.folding import Folding
    from hwmodels.rtl.engine_shape import EngineCycles
    from hwmodels.rtl.engine_shape import EngineShape as RtlEngine

_POOLS = (MaxPool, AveragePool)
_ROWS = (Softmax, LayerNorm, Lstm)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTiming:
    """What a layer's hardware takes.

    Attributes:
        fill: `Cost.fill_cycles` of what works: an engine, a join, a pool, a function.
        interval: its `Cost.interval_cycles`.
        behind: cycles of what stands behind it, the fill of its output stage.
        lanes: values of an input word; an engine in RTL knows its own.
        outputs: values of an output word of an engine or LSTM; the same holds. Other layers give what they take.
        engine: in RTL, whatever its widths; None for other layers.
    """

    fill: int = 0
    interval: int = 0
    behind: int = 0
    lanes: int = 1
    outputs: int = 1
    engine: RtlEngine | None = None

    @classmethod
    def of_engine(cls, engine: RtlEngine) -> LayerTiming:
        """An engine as in RTL."""
        cycles = _cycles(engine)
        return cls(fill=cycles.fill, interval=cycles.interval, engine=engine)


def folded_timing(
    network: Network, layer: Layer, folding: Folding, *, fill: int, interval: int, behind: int = 0
) -> LayerTiming:
    """The timing of a layer with a folding: an engine, or an LSTM, which has no RTL.

    Args:
        network: the graph.
        layer: of the network; a convolution, linear layer, MatMul or LSTM.
        folding: which divides it.
        fill: of its cost.
        interval: of its cost.
        behind: fill of its output stage.

    Raises:
        ValueError: for any other layer.
    """
    if isinstance(layer.operation, Lstm):
        steps, hidden = layer.shape
        features = network.by_name[layer.inputs[0]].shape[-1]
        lstm = LstmShape(steps=steps, features=features, hidden=hidden, formats=layer.operation.formats)
        cells = cells_at_once(folding, lstm)
        return LayerTiming(fill=fill, interval=interval, behind=behind, lanes=folding.simd, outputs=cells)
    shape = EngineShape.from_layer(network, layer)
    layout = engine_layouts(shape)[folding.pe, folding.simd]
    return LayerTiming(
        fill=fill,
        interval=interval,
        behind=behind,
        lanes=layout.input_lanes,
        outputs=layout.at_once,
        engine=rtl_engine(shape, folding.pe, folding.simd),
    )


def network_latency(network: Network, timings: Mapping[str, LayerTiming], *, input_lanes: int | None = None) -> int:
    """Cycles from a sample's first input word to its last output word in an empty pipeline.

    Args:
        network: the graph.
        timings: by layer; the input and reshapes need none.
        input_lanes: values of a word of the network's input, one word a cycle; None for the fewest that keep the pace
            of the slowest layer.

    Raises:
        ValueError: if timings name a layer the network does not have, or lack one that it has.
    """
    unknown = sorted(set(timings) - set(network.by_name))
    if unknown:
        raise ValueError(f"timings name {unknown[0]!r}, which is no layer of network {network.name!r}")
    streams: dict[str, Stream] = {}
    for layer in network.layers:
        if isinstance(layer.operation, Input):
            streams[layer.name] = _source(network, layer, timings, input_lanes)
            continue
        inputs = [streams[name] for name in layer.inputs]
        if isinstance(layer.operation, Reshape):
            streams[layer.name] = inputs[0]
            continue
        timing = timings.get(layer.name)
        if timing is None:
            raise ValueError(f"layer {layer.name!r} ({layer.kind}) has no timing: all but inputs and reshapes need one")
        streams[layer.name] = _left(network, layer, inputs, timing)
    return int(streams[network.output].cycles[-1])


def _source(network: Network, layer: Layer, timings: Mapping[str, LayerTiming], lanes: int | None) -> Stream:
    """A sample as it arrives: an image position after position, a vector or what is flattened as one position."""
    readers = [network.by_name[name].operation for name in network.consumers[layer.name]]
    if any(isinstance(one, (Convolution, *_POOLS)) for one in readers):
        values = layer.shape[0]
    else:
        values = layer.elements if all(isinstance(one, Reshape) for one in readers) else layer.shape[-1]
    positions = layer.elements // values
    if lanes is None:
        pace = max((timing.interval for timing in timings.values()), default=0)
        lanes = next((one for one in divisors(values) if layer.elements // one <= pace), values)
    words = -(-values // lanes)
    return Stream(source_cycles(positions, words), words)


def _left(network: Network, layer: Layer, inputs: Sequence[Stream], timing: LayerTiming) -> Stream:
    """When a layer's output has left."""
    match layer.operation:
        case Convolution() | Linear() if timing.engine is not None:
            return _engine(inputs[0], timing, timing.engine)
        case Convolution() | Linear() | MatMul():
            return _engine_without_rtl(network, layer, inputs, timing)
        case MaxPool() | AveragePool():
            return _pool(network, layer, inputs[0], timing)
        case Add():
            return _add(layer, inputs, timing)
        case Concat():
            return _concat(layer, inputs, timing)
        case Select():
            return _select(network, layer, inputs[0], timing)
        case Transpose():
            # All of it is written before any of it is read.
            positions = layer.positions
            written = inputs[0].cycles[-1] + max(timing.fill - timing.interval, 0) + timing.behind
            read = np.full(positions, written - (-timing.interval // positions))
            return Stream(paced(read, timing.interval, positions), _words(layer, positions, timing))
        case _:
            return _one_by_one(layer, inputs[0], timing)


def _engine(source: Stream, timing: LayerTiming, engine: RtlEngine) -> Stream:
    own = _cycles(engine)
    arrived = source.cut(engine.window.positions, engine.input_words).cycles
    left = engine_cycles_of(engine, arrived) + timing.fill - own.fill + timing.behind
    slower = timing.interval - own.interval
    if slower > 0:  # weights come from off the chip
        left = paced(left + slower // engine.positions, timing.interval, engine.positions)
    return Stream(left, engine.outputs // engine.at_once, engine.passes, engine.steps)


def _engine_without_rtl(network: Network, layer: Layer, inputs: Sequence[Stream], timing: LayerTiming) -> Stream:
    """Begins a position when all it reads is there, and spreads its words over the time it takes."""
    source = network.by_name[layer.inputs[0]]
    positions, words = layer.positions, -(-layer.outputs // timing.outputs)
    counted = 0
    if isinstance(layer.operation, Convolution):
        channels, *space = source.shape
        taken = -(-channels // timing.lanes)
        needed = needed_positions(layer.operation.window, tuple(space))
        ready = inputs[0].cut(math.prod(space), taken).cycles[needed - 1]
        counted = int(needed[0]) * taken  # the fill counts the first window's arrival, too
    else:
        ready = inputs[0].cut(positions, -(-source.shape[-1] // timing.lanes)).cycles
    if isinstance(layer.operation, MatMul):
        sets = math.prod(layer.shape[:-2])
        ready = np.maximum(ready, np.repeat(inputs[1].of(sets).cycles, positions // sets))
    turn = timing.interval // positions
    fill = max(timing.fill - counted, 0) + timing.behind
    return Stream(
        paced(ready + 1, timing.interval, positions) + fill + turn - turn // words, words, words, turn // words
    )


def _pool(network: Network, layer: Layer, source: Stream, timing: LayerTiming) -> Stream:
    operation = layer.operation
    if not isinstance(operation, _POOLS):
        raise TypeError(f"layer {layer.name!r} is no pooling")
    channels, *space = network.by_name[layer.inputs[0]].shape
    words = -(-channels // timing.lanes)
    needed = needed_positions(operation.window, tuple(space))
    arrived = source.cut(math.prod(space), words)
    whole = pool_cycles(needed, arrived.cycles)
    if not overlaps(operation.window):
        return Stream(whole + timing.behind, words, arrived.bursts, arrived.spacing)
    # Windows that overlap are read from a line buffer, tap by tap.
    turn = operation.window.taps * words
    fill = max(timing.fill - int(needed[0]) * words, 0)
    return Stream(paced(whole, turn) + turn - 1 + fill + timing.behind, words, words, operation.window.taps)


def _add(layer: Layer, inputs: Sequence[Stream], timing: LayerTiming) -> Stream:
    positions = max(one.cycles.size for one in inputs)
    words = _words(layer, positions, timing)
    first, second = (one.cut(positions, words) for one in inputs)
    left = add_cycles(first.cycles, second.cycles, words) + timing.behind
    last = max(first, second, key=lambda one: int(one.cycles[-1]))
    return Stream(left, words, last.bursts, last.spacing)


def _concat(layer: Layer, inputs: Sequence[Stream], timing: LayerTiming) -> Stream:
    """Side by side within a position, or one tensor after the other."""
    operation = layer.operation
    if not isinstance(operation, Concat):
        raise TypeError(f"layer {layer.name!r} is no concatenation")
    if _is_inside(operation.axis, layer.shape):
        positions = max(one.cycles.size for one in inputs)
        ready = np.max([one.of(positions).cycles for one in inputs], axis=0)
    else:
        ready = np.concatenate([one.cycles for one in inputs])
    left = paced(ready + timing.fill + timing.behind, timing.interval, ready.size)
    return Stream(left, _words(layer, ready.size, timing))


def _select(network: Network, layer: Layer, source: Stream, timing: LayerTiming) -> Stream:
    """A share of every position, or what comes at an index of those that pass by."""
    operation, shape = layer.operation, network.by_name[layer.inputs[0]].shape
    if not isinstance(operation, Select):
        raise TypeError(f"layer {layer.name!r} is no selection")
    fill = timing.fill + timing.behind
    if _is_inside(operation.axis, shape):
        return Stream(source.cycles + fill, _words(layer, source.cycles.size, timing))
    taken = source.of(shape[operation.axis]).cycles[operation.index :][:1]
    return Stream(taken + fill, _words(layer, 1, timing))


def _one_by_one(layer: Layer, source: Stream, timing: LayerTiming) -> Stream:
    """Values, or rows, that leave a fill after they came."""
    arrived = source.of(layer.positions) if isinstance(layer.operation, _ROWS) else source
    positions = arrived.cycles.size
    if isinstance(layer.operation, Lstm):
        ready, words = arrived.cycles, -(-layer.outputs // timing.outputs)
    else:
        words = _words(layer, positions, timing)
        ready = arrived.as_words(words).cycles
    return Stream(paced(ready + timing.fill + timing.behind, timing.interval, positions), words)


def _is_inside(axis: int, shape: tuple[int, ...]) -> bool:
    """Whether an axis is that of the values of a position: the channels of an image, else the last one."""
    return axis == (0 if len(shape) == 3 else len(shape) - 1)


def _words(layer: Layer, positions: int, timing: LayerTiming) -> int:
    """Words of a position of a layer's output."""
    return max(layer.elements // (positions * timing.lanes), 1)


@lru_cache(maxsize=1 << 14)
def _cycles(engine: RtlEngine) -> EngineCycles:
    return engine_cycles(engine)
