"""The order in which a tensor's values leave its engine, and what that does to the weights that read it.

Hardware streams positions one after the other with their channels side by side (NHWC); the network's tensors are
stored channels first. A *stream order* lists, for each place in the stream, the row-major index of the value there.
Moving layers change the index but not the stream; a linear layer on a flat tensor reads the stream as it comes, so its
weight columns are put into that order instead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.network import (
    Activate,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Input,
    Layer,
    Linear,
    MaxPool,
    Network,
    Reshape,
    Select,
    Transpose,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPATIAL = (Convolution, MaxPool, AveragePool)
_ELEMENTWISE = (Activate, Add, Concat)


def stream_orders(network: Network) -> dict[str, NDArray[np.int64]]:
    """The stream order of every layer's output, shape ``(elements,)``."""
    orders: dict[str, NDArray[np.int64]] = {}
    for layer in network.layers:
        orders[layer.name] = _order(network, layer, orders)
    return orders


def _order(network: Network, layer: Layer, orders: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    natural = np.arange(layer.elements)
    match layer.operation:
        case Reshape():
            return orders[layer.inputs[0]]
        case Transpose(order=axes):
            shape = network.by_name[layer.inputs[0]].shape
            # moved[k] is the input's row-major index of the value at the output's index k
            moved = natural.reshape(shape).transpose(axes).reshape(-1)
            return np.argsort(moved)[orders[layer.inputs[0]]]
        case Select(axis=axis, index=index):
            shape = network.by_name[layer.inputs[0]].shape
            places = np.unravel_index(orders[layer.inputs[0]], shape)
            taken = places[axis] == index
            rest = [place[taken] for position, place in enumerate(places) if position != axis]
            return np.ravel_multi_index(rest, layer.shape) if rest else natural
        case operation if isinstance(operation, _SPATIAL) or _is_image(network, layer):
            return channels_last(layer.shape)
        case _:
            return natural


def _is_image(network: Network, layer: Layer) -> bool:
    """Whether a tensor that is neither made by a convolution nor a pool is still channels first."""
    if isinstance(layer.operation, Input):
        return any(_reads_image(network, name) for name in network.consumers[layer.name])
    if isinstance(layer.operation, _ELEMENTWISE):
        source = network.by_name[layer.inputs[0]]
        return isinstance(source.operation, _SPATIAL) or _is_image(network, source)
    return False


def _reads_image(network: Network, name: str) -> bool:
    layer = network.by_name[name]
    if isinstance(layer.operation, _ELEMENTWISE):
        return any(_reads_image(network, reader) for reader in network.consumers[name])
    return isinstance(layer.operation, _SPATIAL)


def channels_last(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The stream order of a channels-first tensor: position by position, channels side by side.

    >>> channels_last((2, 3)).tolist()
    [0, 3, 1, 4, 2, 5]
    """
    indices = np.arange(math.prod(shape)).reshape(shape)
    return np.moveaxis(indices, 0, -1).reshape(-1)


def stream_shape(layer: Layer, order: NDArray[np.int64]) -> tuple[int, ...]:
    """The shape of which a layer's stream is the row-major order: channels last for images.

    A stream in neither order (an image that was flattened or transposed on the way) is a flat list.
    """
    if np.array_equal(order, channels_last(layer.shape)):
        return (*layer.shape[1:], layer.shape[0])
    return layer.shape if np.array_equal(order, np.arange(layer.elements)) else (layer.elements,)


def streamed_weight(layer: Layer, weight: NDArray[Any], input_order: NDArray[np.int64]) -> NDArray[Any]:
    """Weights in the order the hardware reads them.

    Returns:
        For convolutions ``(*kernel, in, out)``; for linear layers ``(in, out)`` with inputs in stream order.
    """
    if isinstance(layer.operation, Linear):
        columns = weight[:, input_order] if weight.shape[1] == len(input_order) else weight
        return columns.T
    return np.moveaxis(weight, (0, 1), (-1, -2))


def reads_its_stream(network: Network, layer: Layer, orders: dict[str, NDArray[np.int64]]) -> bool:
    """Whether a layer can take its inputs as they arrive; else a reordering buffer stands before it."""
    if isinstance(layer.operation, Input | Reshape | Select | Transpose):
        return True
    for name in layer.inputs:
        source = network.by_name[name]
        flat_linear = isinstance(layer.operation, Linear) and len(source.shape) == 1
        natural = np.arange(source.elements)
        wanted = channels_last(source.shape) if _wants_image(network, layer) else natural
        if not flat_linear and not np.array_equal(orders[name], wanted):
            return False
    return True


def _wants_image(network: Network, layer: Layer) -> bool:
    return isinstance(layer.operation, _SPATIAL) or _is_image(network, layer)
