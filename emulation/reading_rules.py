"""What every reader does alike: fold batch norms, biases and factors, fuse activations and padding, find windows.

Each builder takes the `Reading`, the `Place` of the operation, the layers it reads and its constants, and leaves the
result standing for ``place.key``. Axes never count the batch.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from emulation.network import (
    Activate,
    Activation,
    Add,
    AveragePool,
    Convolution,
    Layer,
    Linear,
    MatMul,
    MaxPool,
    Multiply,
    NetworkError,
    PRelu,
    Relu,
    Reshape,
    Select,
    Slice,
    Transpose,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from emulation.reading import Place, Reading, Sides

Key = TypeVar("Key", bound="Hashable")

_FUSABLE = (Convolution, Linear, MatMul, Add, AveragePool, Activate)
MOVED = (Reshape, Transpose, Select)


def convolution(
    reading: Reading[Key],
    place: Place[Key],
    source: Key,
    *,
    window: Window,
    groups: int,
    weight: NDArray[np.float64],
    bias: NDArray[np.float64] | None,
) -> Layer:
    """A convolution, zeros around its input fused. One with a space axis less than its input works row by row.

    Args:
        reading: the network so far.
        place: the operation.
        source: the value it reads; ``(channels, *space)``, or for a 1-D window also ``(rows, channels, space)``.
        window: of the operation alone.
        groups: of channels.
        weight: ``(out_channels, in_channels / groups, *kernel)``.
        bias: one per output channel, or None.
    """
    layer, sides = reading.unpadded(source, place)
    axes = len(window.kernel)
    if any(sides[0]) or len(layer.shape) != axes + 1:
        layer, sides = reading.producer(source, place), ((0, 0),) * (axes + 1)
    if len(layer.shape) == axes + 1:
        window = _wider(window, sides[1:])
        operation = Convolution(window=window, groups=groups)
        return reading.add(place, operation, (layer,), fallback="conv", weight=weight, bias=bias)
    if axes != 1 or len(layer.shape) != 3:
        raise NetworkError(
            f"convolution in {place.where} has a window of {axes} axes and reads a tensor of shape {layer.shape}: "
            f"{axes + 1} axes are needed, channels first"
        )
    # Rows are a space axis that the window does not extend over, once the channels are first.
    rows, channels, length = layer.shape
    swap = (1, 0, 2)
    turned = transposed(reading, place, layer, swap, shape=(channels, rows, length))
    flat = Window(
        kernel=(1, *window.kernel),
        stride=(1, *window.stride),
        padding=((0, 0), *window.padding),
        dilation=(1, *window.dilation),
    )
    outputs = weight.shape[0]
    convolved = reading.add(
        place,
        Convolution(window=flat, groups=groups),
        (turned,),
        fallback="conv",
        shape=(outputs, rows, *window.output_space((length,))),
        weight=weight[:, :, None, :],
        bias=bias,
    )
    return transposed(reading, place, convolved, swap, shape=place.shape)


def _wider(window: Window, sides: Sides) -> Window:
    padding = tuple((own[0] + more[0], own[1] + more[1]) for own, more in zip(window.padding, sides, strict=True))
    return Window(kernel=window.kernel, stride=window.stride, padding=padding, dilation=window.dilation)


def transposed(
    reading: Reading[Key], place: Place[Key], source: Layer, order: Sequence[int], *, shape: tuple[int, ...]
) -> Layer:
    """Axes in another order; two transpositions in a row become one, and one that changes nothing none."""
    order = tuple(order)
    if isinstance(source.operation, Transpose):
        inner = source.operation.order
        order = tuple(inner[axis] for axis in order)
        source = reading.layers[source.inputs[0]]
    if order == tuple(range(len(order))):
        reading.layer_of[place.key] = source.name
        return source
    return reading.add(place, Transpose(order=order), (source,), fallback="transpose", shape=shape)


def reshaped(reading: Reading[Key], place: Place[Key], source: Layer, shape: tuple[int, ...]) -> Layer:
    """The same values in order under another shape; nothing if it is the same shape."""
    if isinstance(source.operation, Reshape):  # of two in a row only the last shape counts
        source = reading.layers[source.inputs[0]]
    if shape == source.shape:
        reading.layer_of[place.key] = source.name
        return source
    return reading.add(place, Reshape(), (source,), fallback="reshape", shape=shape)


def batch_norm(
    reading: Reading[Key],
    place: Place[Key],
    source: Layer,
    *,
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    gain: NDArray[np.float64] | None,
    offset: NDArray[np.float64] | None,
    epsilon: float,
) -> Layer:
    """A batch norm over axis 0: folded into the layer before, or a depthwise convolution where that cannot be."""
    scale = (np.ones_like(mean) if gain is None else gain) / np.sqrt(variance + epsilon)
    shift = (np.zeros_like(mean) if offset is None else offset) - mean * scale
    return scaled_channels(reading, place, source, scale, shift, fallback="batch_norm")


def scaled_channels(
    reading: Reading[Key],
    place: Place[Key],
    source: Layer,
    scale: NDArray[np.float64],
    shift: NDArray[np.float64],
    *,
    fallback: str,
) -> Layer:
    """``scale[i] * x[i] + shift[i]`` along axis 0, folded where possible, else a depthwise convolution of one tap."""
    foldable = isinstance(source.operation, Convolution) or (
        isinstance(source.operation, Linear) and len(source.shape) == 1
    )
    if foldable and source.weight is not None and reading.is_only_reader(place.key, source):
        weight = source.weight * scale.reshape(-1, *([1] * (source.weight.ndim - 1)))
        bias = shift if source.bias is None else source.bias * scale + shift
        reading.layer_of[place.key] = source.name
        return reading.replace(source, weight=weight, bias=bias)
    axes = len(source.shape) - 1
    if axes not in {1, 2}:
        words = "and has no space axes" if axes == 0 else f"and has {axes} space axes (1 or 2 are allowed)"
        raise NetworkError(
            f"{fallback.replace('_', ' ')} in {place.where} follows no linear layer {words}: fold it first"
        )
    ones = (1,) * axes
    window = Window(kernel=ones, stride=ones, padding=((0, 0),) * axes, dilation=ones)
    return reading.add(
        place,
        Convolution(window=window, groups=len(scale)),
        (source,),
        fallback=fallback,
        shape=source.shape,
        weight=scale.reshape(-1, 1, *ones),
        bias=shift,
    )


def activated(reading: Reading[Key], place: Place[Key], source: Layer, activation: Activation) -> Layer:
    """An activation that costs no table: fused into the layer before if nothing else reads that."""
    many_slopes = isinstance(activation, PRelu) and len(activation.slopes) > 1
    # One function for all values may run before they are moved, and a rising one before the largest is taken; slopes
    # belong to axis 0 of what they follow.
    moving = () if many_slopes else (*MOVED, MaxPool) if isinstance(activation, Relu) else MOVED
    target = reading.behind(place.key, source, moving)
    if target is not None and isinstance(target.operation, _FUSABLE):
        other_axis = isinstance(target.operation, Linear | MatMul) and len(target.shape) > 1
        if not (other_axis and many_slopes):
            reading.replace(target, activation=activation)
            reading.layer_of[place.key] = source.name
            return reading.layers[source.name]
    return reading.add(place, Activate(), (source,), fallback="activation", shape=source.shape, activation=activation)


def function(reading: Reading[Key], place: Place[Key], source: Layer, activation: Activation) -> Layer:
    """An activation that is a table: never fused, because the codes of its input index it and have their own format."""
    word = type(activation).__name__.lower()
    return reading.add(place, Activate(), (source,), fallback=word, shape=source.shape, activation=activation)


def clipped(reading: Reading[Key], place: Place[Key], source: Layer, low: float, high: float) -> Layer:
    """Values held between two bounds, which must be 0 and something above (ReLU6; infinity is ReLU)."""
    if low != 0.0 or high <= 0.0:
        raise NetworkError(
            f"{place.operation} from {low} to {high} in {place.where} cannot be read: only a lower bound of 0 and a "
            "positive upper bound (ReLU6) can; use nn.ReLU or nn.ReLU6"
        )
    return activated(reading, place, source, Relu(ceiling=None if math.isinf(high) else high))


def constant_added(reading: Reading[Key], place: Place[Key], source: Layer, values: NDArray[np.float64]) -> Layer:
    """A constant added to an activation: one value per output of a layer with weights is its bias."""
    sizes = values.shape[-len(source.shape) :]
    along = sizes[:1] if isinstance(source.operation, Convolution) else sizes[-1:]
    has_outputs = isinstance(source.operation, Convolution | Linear) and along == (source.outputs,)
    if values.size == 1 and isinstance(source.operation, Convolution | Linear):
        values, has_outputs = np.full(source.outputs, float(values.reshape(-1)[0])), True
    if not has_outputs or values.size != source.outputs or not reading.is_only_reader(place.key, source):
        raise NetworkError(
            f"{place.operation} in {place.where} adds a constant of shape {values.shape} to the output of "
            f"{source.name!r}, shape {source.shape}: only one value per output of a linear layer or convolution can be "
            "read (a bias)"
        )
    bias = values.reshape(-1)
    reading.layer_of[place.key] = source.name
    return reading.replace(source, bias=bias if source.bias is None else source.bias + bias)


def joined(reading: Reading[Key], place: Place[Key], first: Layer, second: Layer) -> Layer:
    """The sum of two activations of one shape."""
    if first.shape != second.shape:
        raise NetworkError(
            f"{place.operation} in {place.where} joins shapes {first.shape} and {second.shape}: broadcasting cannot be "
            "read, give both branches one shape"
        )
    return reading.add(place, Add(), (first, second), fallback="add", shape=first.shape)


def factored(reading: Reading[Key], place: Place[Key], source: Layer, factor: float) -> Layer:
    """An activation times a constant: folded into the weights or the product that it follows."""
    target = reading.behind(place.key, source, MOVED)
    if target is None or not isinstance(target.operation, Linear | Convolution | MatMul):
        raise NetworkError(
            f"{place.operation} by {factor:g} in {place.where} follows {source.name!r} ({source.kind}): a constant "
            "factor can only be read after a linear layer, a convolution or a matrix product that nothing else reads"
        )
    if isinstance(target.operation, MatMul):
        reading.replace(target, operation=MatMul(factor=positive(target.operation.factor * factor, place)))
    elif target.weight is not None:
        bias = None if target.bias is None else target.bias * factor
        reading.replace(target, weight=target.weight * factor, bias=bias)
    reading.layer_of[place.key] = source.name
    return reading.layers[source.name]


def positive(factor: float, place: Place[Key]) -> float:
    """A factor of a product of activations, checked.

    Raises:
        NetworkError: if it is not above 0 and finite.
    """
    if not (factor > 0 and math.isfinite(factor)):
        raise NetworkError(
            f"the factor {factor:g} in {place.where} must be above 0 and finite: put its sign into weights"
        )
    return factor


def max_pool(reading: Reading[Key], place: Place[Key], source: Key, window: Window) -> Layer:
    """A maximum; zeros around its input are fused where no value is below them."""
    layer, sides = reading.unpadded(source, place)
    is_positive = isinstance(layer.activation, Relu) and isinstance(layer.operation, _FUSABLE)
    covered = all(
        max(own + more for own, more in zip(ours, theirs, strict=True)) < kernel
        for ours, theirs, kernel in zip(window.padding, sides[1:], window.kernel, strict=True)
    )
    if any(map(any, sides)):
        if is_positive and covered and not any(sides[0]):
            window = _wider(window, sides[1:])
        else:
            layer = reading.producer(source, place)
    return reading.add(place, MaxPool(window=window), (layer,), fallback="max_pool")


def average_pool(reading: Reading[Key], place: Place[Key], source: Key, window: Window) -> Layer:
    """A mean in which padded zeros count."""
    layer, sides = reading.unpadded(source, place)
    if any(sides[0]):
        layer, sides = reading.producer(source, place), ((0, 0),) * (len(window.kernel) + 1)
    operation = AveragePool(window=_wider(window, sides[1:]))
    return reading.add(place, operation, (layer,), fallback="average_pool")


def space_mean(reading: Reading[Key], place: Place[Key], source: Layer, cells: Sequence[int]) -> Layer:
    """The means of so many equal cells per space axis; 1 is the global mean. The result has the place's shape.

    Raises:
        NetworkError: if the cells are not equal.
    """
    space = source.shape[1:]
    if len(space) not in {1, 2}:
        raise NetworkError(
            f"average pooling in {place.where} reads a tensor of shape {source.shape}: 1 or 2 space axes after the "
            "channels are allowed"
        )
    if any(size % count for size, count in zip(space, cells, strict=True)):
        raise NetworkError(
            f"adaptive average pooling of {space} to {tuple(cells)} in {place.where}: only sizes that divide the "
            "input's can be read (1 is global); use AvgPool"
        )
    kernel = tuple(size // count for size, count in zip(space, cells, strict=True))
    window = Window(kernel=kernel, stride=kernel, padding=((0, 0),) * len(space), dilation=(1,) * len(space))
    pooled = (source.shape[0], *cells)
    word = "global_average" if all(count == 1 for count in cells) else "average_pool"
    pool = reading.add(place, AveragePool(window=window), (source,), fallback=word, shape=pooled)
    if place.shape == pooled:
        return pool
    return reading.add(place, Reshape(), (pool,), fallback="flatten")


def ceil_sides(window: Window, space: Sequence[int], target: Sequence[int]) -> Window:
    """The window with as much padding after each axis as it takes to reach ``target`` positions (ceil mode)."""
    padding = [
        (before, max(after, (count - 1) * stride + dilation * (kernel - 1) + 1 - size - before))
        for size, count, kernel, stride, (before, after), dilation in zip(
            space, target, window.kernel, window.stride, window.padding, window.dilation, strict=True
        )
    ]
    return Window(kernel=window.kernel, stride=window.stride, padding=tuple(padding), dilation=window.dilation)


def multiplied(reading: Reading[Key], place: Place[Key], first: Layer, second: Layer) -> Layer:
    """The product of two activations value by value, one of them repeated along axes where it has size 1."""
    shape = np.broadcast_shapes(first.shape, second.shape)
    larger, smaller = (first, second) if first.shape == shape else (second, first)
    if larger.shape != shape or len(smaller.shape) != len(shape):
        raise NetworkError(
            f"{place.operation} in {place.where} multiplies shapes {first.shape} and {second.shape}: one must have the "
            "shape of the result, the other as many axes"
        )
    return reading.add(place, Multiply(), (larger, smaller), fallback="multiply", shape=shape)


def sliced(reading: Reading[Key], place: Place[Key], source: Layer, operation: Slice, *, only_slices: bool) -> Layer:
    """A range of an axis. Of the outputs of a layer with weights it is a layer with a range of the weights.

    Args:
        reading: the network so far.
        place: the operation.
        source: what it reads.
        operation: which range.
        only_slices: whether everything that reads the source takes a range of it, so that nothing needs all of it.
    """
    start, stop, step = operation.start, operation.stop, operation.step
    if (start, stop, step) == (0, source.shape[operation.axis], 1):
        reading.layer_of[place.key] = source.name
        return source
    is_output = isinstance(source.operation, Convolution | Linear) and (
        operation.axis == (0 if isinstance(source.operation, Convolution) else len(source.shape) - 1)
    )
    is_grouped = isinstance(source.operation, Convolution) and source.operation.groups > 1
    if source.weight is None or not only_slices or not is_output or is_grouped:
        return reading.add(place, operation, (source,), fallback="slice")
    taken = slice(start, stop, step)
    activation = source.activation
    if isinstance(activation, PRelu) and len(activation.slopes) > 1:
        activation = PRelu(slopes=activation.slopes[taken])
    return reading.add(
        dataclasses.replace(place, path=f"{source.name}.{start}_{stop}", is_module=True),
        source.operation,
        tuple(reading.layers[name] for name in source.inputs),
        fallback="slice",
        weight=source.weight[taken],
        bias=None if source.bias is None else source.bias[taken],
        activation=activation,
    )
