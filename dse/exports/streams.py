"""The order in which a tensor's values leave its engine, and what that does to the weights that read it.

Hardware streams positions one after the other with their channels side by side (NHWC); the network's tensors are
stored channels first. A *stream order* lists, for each place in the stream, the row-major index of the value there.
Moving layers change the index but not the stream; a linear layer on a flat tensor reads the stream as it comes, so its
weight columns are put into that order instead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

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
    from collections.abc import Mapping

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
        case Select(axis=axis, index=index) if not is_flat(network.by_name[layer.inputs[0]], orders[layer.inputs[0]]):
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
    if is_channels_last(layer, order):
        return (*layer.shape[1:], layer.shape[0])
    return (layer.elements,) if is_flat(layer, order) else layer.shape


def streamed_weight(layer: Layer, weight: NDArray[Any], input_order: NDArray[np.int64]) -> NDArray[Any]:
    """Weights in the order the hardware reads them.

    Returns:
        For convolutions ``(*kernel, in, out)``; for linear layers ``(in, out)`` with inputs in stream order.
    """
    if isinstance(layer.operation, Linear):
        columns = weight[:, input_order] if weight.shape[1] == len(input_order) else weight
        return columns.T
    return np.moveaxis(weight, (0, 1), (-1, -2))


class Reordering(NamedTuple):
    """A stream that is put into another order before a layer reads it.

    Attributes:
        places: for each value the layer reads, its place in the stream that arrives.
        shape: of which the new order is the row-major one.
    """

    places: NDArray[np.int64]
    shape: tuple[int, ...]


def reordered_inputs(
    network: Network, layer: Layer, orders: Mapping[str, NDArray[np.int64]]
) -> tuple[Reordering | None, ...]:
    """What happens to each input of a layer before it reads it; None where the stream is taken as it arrives."""
    return tuple(_reordered(network, layer, network.by_name[name], orders[name]) for name in layer.inputs)


def _reordered(network: Network, layer: Layer, source: Layer, order: NDArray[np.int64]) -> Reordering | None:
    if isinstance(layer.operation, Input | Reshape | Transpose):
        return None
    if isinstance(layer.operation, Select) and not is_flat(source, order):
        return None
    if isinstance(layer.operation, Linear) and len(source.shape) == 1:
        return None
    wanted = channels_last(source.shape) if _wants_image(network, layer) else np.arange(source.elements)
    if np.array_equal(order, wanted):
        return None
    return Reordering(np.argsort(order)[wanted], stream_shape(source, wanted))


def stream_axis(network: Network, layer: Layer, orders: Mapping[str, NDArray[np.int64]]) -> int:
    """The axis of a concatenation or selection, counted in the shape of the streams it reads."""
    operation, source = layer.operation, network.by_name[layer.inputs[0]]
    if not isinstance(operation, Concat | Select):
        raise TypeError(f"layer {layer.name!r} ({layer.kind}) has no axis")
    reordered = _reordered(network, layer, source, orders[source.name])
    order = orders[source.name] if reordered is None else orders[source.name][reordered.places]
    return (operation.axis - 1) % len(source.shape) if is_channels_last(source, order) else operation.axis


def is_channels_last(layer: Layer, order: NDArray[np.int64]) -> bool:
    """Whether a stream of a layer's output is position by position, its channels side by side."""
    return np.array_equal(order, channels_last(layer.shape))


def is_flat(layer: Layer, order: NDArray[np.int64]) -> bool:
    """Whether it is neither that nor in the network's own order: an image flattened or transposed on the way."""
    return not is_channels_last(layer, order) and not np.array_equal(order, np.arange(layer.elements))


def _wants_image(network: Network, layer: Layer) -> bool:
    return isinstance(layer.operation, _SPATIAL) or _is_image(network, layer)
