"""A network as a stream: what a layer must see before its first output, and what skip connections must hold.

Each layer has its own engine and all work at once. The latency of a sample is in `hwmodels.network_latency`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final

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
    from emulation.network import Layer, Network


ENGINE_CYCLES: Final = 16
"""Cycles from the last operands of a position to its last value: the registers of an engine of 64 inputs at once
(`hwmodels.rtl.engine_shape.pipeline_cycles`: 14) and the hand-over from its window generator."""


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


def skip_fifo_depths(network: Network, join: Layer, *, lanes: int | None = None) -> tuple[int, ...]:
    """Values that each input of a join must hold so that the others can catch up: 0 for the one that comes last.

    The rule: a tensor lags behind the network's input by the sum, over the layers of its longest path, of the share of
    values each needs before its first output, and of one position for each engine, whose outputs come only after its
    accumulation. An input of the join holds its lead over the latest input, times its own number of values. Common
    layers before the branches cancel out. So much cannot block.

    To keep the pace as well, it must hold what is under way in those engines: another position for each, which is
    handed over while the next one is summed, and `ENGINE_CYCLES` at the fastest pace the join itself can go.

    Args:
        network: the graph.
        join: an add or a concatenation of it.
        lanes: values the join takes at once; None for what cannot block, whatever the pace.

    Raises:
        ValueError: if the layer is no join, or lanes are below 1.
    """
    if not isinstance(join.operation, (Add, Concat)):
        raise ValueError(  # noqa: TRY004 - bad input like any other
            f"layer {join.name!r} ({join.kind}) is no join: only adds and concatenations have skip FIFOs"
        )
    if lanes is not None and lanes < 1:
        raise ValueError(f"lanes of join {join.name!r} must be at least 1, got {lanes}")
    under_way = Fraction(0) if lanes is None else Fraction(ENGINE_CYCLES * lanes, join.elements)
    lags = _lags(network, positions=1 if lanes is None else 2, under_way=under_way)
    latest = max(lags[name] for name in join.inputs)
    return tuple(math.ceil((latest - lags[name]) * network.by_name[name].elements) for name in join.inputs)


def _lags(network: Network, *, positions: int, under_way: Fraction) -> dict[str, Fraction]:
    """By tensor, its lag as a share of its values; each engine adds so many positions and what is under way."""
    lags: dict[str, Fraction] = {}
    for layer in network.layers:
        ahead = [
            lags[name] + first_output_share(network, layer, position) for position, name in enumerate(layer.inputs)
        ]
        lag = max(ahead, default=Fraction(0))
        if isinstance(layer.operation, ENGINE_OPERATIONS):
            lag += Fraction(positions, layer.positions) + under_way
        lags[layer.name] = lag
    return lags
