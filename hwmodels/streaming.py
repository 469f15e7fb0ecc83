"""A network as a stream: latency of a sample, and what skip connections must hold.

Each layer has its own engine and all work at once. Everything here is recomputed per design from the layers' fill and
interval cycles and the shape of the graph.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from emulation.function_operations import LayerNorm, Softmax
from emulation.network import (
    ENGINE_OPERATIONS,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Linear,
    MatMul,
    MaxPool,
    Select,
    Transpose,
)
from hwmodels.windows import first_window_positions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulation.network import Layer, Network


def interval_cycles(interval: Mapping[str, int]) -> int:
    """Cycles between two samples of a stream: those of its slowest layer."""
    return max(interval.values(), default=0)


def latency_cycles(network: Network, fill: Mapping[str, int], interval: Mapping[str, int]) -> int:
    """Cycles from a sample's first input to its last output in an empty pipeline.

    The rule, layer by layer in order, with the first and last output of each layer in cycles:

    * first: the layer's fill after its inputs' first outputs, but not before its inputs have made the share of their
      outputs that its own first output needs (`first_output_share`);
    * last: the layer's interval after its first output, but not before the layer's fill after its inputs' last outputs.

    A chain of fast layers behind a slow one thus costs the sum of the fills plus the slow one's interval, while linear
    layers behind each other, each of which needs all values of the one before, cost the sum of their intervals.

    Args:
        network: the graph.
        fill: `Cost.fill_cycles` by layer; layers that are not listed (the input, reshapes) take none.
        interval: `Cost.interval_cycles` by layer.

    Raises:
        ValueError: if fill or interval name a layer the network does not have.
    """
    for what, cycles in (("fill", fill), ("interval", interval)):
        unknown = sorted(set(cycles) - set(network.by_name))
        if unknown:
            raise ValueError(f"{what} names {unknown[0]!r}, which is no layer of network {network.name!r}")
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for layer in network.layers:
        own_fill, own_interval = fill.get(layer.name, 0), interval.get(layer.name, 0)
        start = end = 0
        for position, name in enumerate(layer.inputs):
            share = first_output_share(network, layer, position)
            waited = math.ceil(share * (last[name] - first[name]))
            start = max(start, first[name] + max(own_fill, waited))
            end = max(end, last[name] + own_fill)
        if not layer.inputs:
            start = end = own_fill
        first[layer.name] = start
        last[layer.name] = max(start + own_interval, end)
    return last[network.output]


def first_output_share(network: Network, layer: Layer, position: int = 0) -> Fraction:
    """The share of an input's values a layer must see before its first output.

    A convolution or pool needs its first window, a linear layer, softmax or layer norm one vector of inputs, a MatMul
    one row of the left and all of the right operand, a transpose everything, a selection the share of its axis before
    the index, and all other layers a value at a time (0).

    Args:
        network: the graph.
        layer: of the network.
        position: which of its inputs.
    """
    operation = layer.operation
    if isinstance(operation, (Convolution, MaxPool, AveragePool)):
        space = network.by_name[layer.inputs[0]].shape[1:]
        return Fraction(first_window_positions(operation.window, space), math.prod(space))
    if isinstance(operation, (Linear, Softmax, LayerNorm)):
        return Fraction(1, layer.positions)
    if isinstance(operation, Select):
        return Fraction(operation.index, network.by_name[layer.inputs[0]].shape[operation.axis])
    if isinstance(operation, MatMul):
        sets = math.prod(layer.shape[:-2])
        return Fraction(1, layer.positions if position == 0 else sets)
    return Fraction(1 if isinstance(operation, Transpose) else 0)


def skip_fifo_depths(network: Network, join: Layer) -> tuple[int, ...]:
    """Values that each input of a join must hold so that the others can catch up: 0 for the one that comes last.

    The rule: a tensor lags behind the network's input by the sum, over the layers of its longest path, of the share of
    values each needs before its first output, and of one position for each engine, whose outputs come only after its
    accumulation. An input of the join holds its lead over the latest input, times its own number of values. Common
    layers before the branches cancel out.

    Args:
        network: the graph.
        join: an add or a concatenation of it.

    Raises:
        ValueError: if the layer is no join.
    """
    if not isinstance(join.operation, (Add, Concat)):
        raise ValueError(  # noqa: TRY004 - bad input like any other
            f"layer {join.name!r} ({join.kind}) is no join: only adds and concatenations have skip FIFOs"
        )
    lags = _lags(network)
    latest = max(lags[name] for name in join.inputs)
    return tuple(math.ceil((latest - lags[name]) * network.by_name[name].elements) for name in join.inputs)


def _lags(network: Network) -> dict[str, Fraction]:
    lags: dict[str, Fraction] = {}
    for layer in network.layers:
        ahead = [
            lags[name] + first_output_share(network, layer, position) for position, name in enumerate(layer.inputs)
        ]
        lag = max(ahead, default=Fraction(0))
        if isinstance(layer.operation, ENGINE_OPERATIONS):
            lag += Fraction(1, layer.positions)
        lags[layer.name] = lag
    return lags
