"""The network in float32, layer by layer, with every tensor kept: the yardstick of all losses.

Sensitivity analysis changes one tensor and recomputes only what depends on it; everything before it, and beside it, is
taken from the tensors of the float run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as nnf

from emulation.float_functions import Parameters, activation_function, run_function, run_lstm
from emulation.function_operations import LayerNorm, Lstm, Softmax
from emulation.network import (
    Activation,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Input,
    Layer,
    Linear,
    MatMul,
    MaxPool,
    Multiply,
    Network,
    PRelu,
    Relu,
    Repeat,
    Reshape,
    Select,
    Slice,
    Transpose,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Tensors = dict[str, torch.Tensor]


def run_float(network: Network, samples: NDArray[np.float32]) -> Tensors:
    """All tensors of a float32 run, by layer name, shape ``(batch, *layer.shape)``.

    Raises:
        ValueError: if the samples are empty, hold NaN, or have another shape than the network's input.
    """
    expected = network.layers[0].shape
    if len(samples) == 0:
        raise ValueError(f"no samples were given to network {network.name!r}: at least one is needed")
    if samples.shape[1:] != expected:
        raise ValueError(f"samples have shape {samples.shape[1:]}, network {network.name!r} reads {expected}")
    if np.isnan(samples).any():
        raise ValueError(f"{int(np.isnan(samples).any(axis=tuple(range(1, samples.ndim))).sum())} samples hold NaN")
    tensors: Tensors = {network.layers[0].name: torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))}
    return rerun(tensors, network.layers)


def rerun(tensors: Mapping[str, torch.Tensor], layers: Sequence[Layer]) -> Tensors:
    """Recompute some layers, in order, on given tensors; all others keep theirs.

    Returns:
        A new mapping; the given tensors are not changed.
    """
    result = dict(tensors)
    with torch.inference_mode():
        for layer in layers:
            if not isinstance(layer.operation, Input):
                result[layer.name] = run_layer(layer, [result[name] for name in layer.inputs])
    return result


def run_layer(layer: Layer, inputs: Sequence[torch.Tensor], parameters: Parameters | None = None) -> torch.Tensor:
    """One layer with its activation, in float32; ``parameters`` stand in for the layer's own weights and biases."""
    values = _linear_part(layer, inputs, parameters)
    return apply_activation(layer.activation, values, channel_axis=_channel_axis(layer))


def _linear_part(layer: Layer, inputs: Sequence[torch.Tensor], parameters: Parameters | None) -> torch.Tensor:
    source = inputs[0]
    match layer.operation:
        case Convolution(window=window, groups=groups):
            convolve = nnf.conv1d if len(window.kernel) == 1 else nnf.conv2d
            weight, bias = parameters or _parameters(layer)
            return convolve(
                _padded(source, window, 0.0),
                weight,
                bias,
                stride=window.stride,
                dilation=window.dilation,
                groups=groups,
            )
        case Linear():
            weight, bias = parameters or _parameters(layer)
            return nnf.linear(source, weight, bias)
        case MatMul(factor=factor):
            product = source @ inputs[1]
            return product if factor == 1.0 else product * factor
        case Add():
            return source + inputs[1]
        case Multiply():
            return source * inputs[1]
        case Concat(axis=axis):
            return torch.cat(list(inputs), dim=axis + 1)
        case MaxPool() | AveragePool():
            return _pool(layer.operation, source)
        case Reshape() | Transpose() | Select() | Slice() | Repeat():
            return _moved(layer, source)
        case Softmax() | LayerNorm():
            return run_function(layer.operation, source)
        case Lstm():
            return run_lstm(layer.operation, source, parameters or _parameters(layer))
        case _:
            return source


def _moved(layer: Layer, source: torch.Tensor) -> torch.Tensor:
    operation = layer.operation
    if isinstance(operation, Transpose):
        return source.permute(0, *(axis + 1 for axis in operation.order))
    if isinstance(operation, Select):
        return source.select(operation.axis + 1, operation.index)
    if isinstance(operation, Slice):
        return source[(slice(None),) * (operation.axis + 1) + (slice(operation.start, operation.stop, operation.step),)]
    if isinstance(operation, Repeat):
        for axis, times in enumerate(operation.times, start=1):
            source = source.repeat_interleave(times, dim=axis) if times > 1 else source
        return source
    return source.reshape(-1, *layer.shape)


def _pool(operation: MaxPool | AveragePool, source: torch.Tensor) -> torch.Tensor:
    window = operation.window
    axes = len(window.kernel)
    if isinstance(operation, MaxPool):
        max_pool: Any = nnf.max_pool1d if axes == 1 else nnf.max_pool2d
        padded = _padded(source, window, -torch.inf)
        pooled: torch.Tensor = max_pool(padded, window.kernel, stride=window.stride, dilation=window.dilation)
        return pooled
    average_pool: Any = nnf.avg_pool1d if axes == 1 else nnf.avg_pool2d
    averaged: torch.Tensor = average_pool(_padded(source, window, 0.0), window.kernel, stride=window.stride)
    return averaged


def apply_activation(activation: Activation, values: torch.Tensor, *, channel_axis: int) -> torch.Tensor:
    """The activation function on real values."""
    match activation:
        case Relu(ceiling=ceiling):
            return values.clamp(min=0.0) if ceiling is None else values.clamp(min=0.0, max=ceiling)
        case PRelu(slopes=slopes):
            shape = [1] * values.ndim
            shape[channel_axis] = -1
            factors = torch.tensor(slopes, dtype=values.dtype).reshape(shape)
            return torch.where(values < 0, values * factors, values)
        case _:
            return activation_function(activation, values)


def _channel_axis(layer: Layer) -> int:
    return -1 if isinstance(layer.operation, Linear | MatMul) else 1


def _parameters(layer: Layer) -> Parameters:
    if layer.weight is None:
        raise ValueError(f"layer {layer.name!r} has no weights")
    bias = None if layer.bias is None else torch.from_numpy(layer.bias.astype(np.float32))
    return torch.from_numpy(layer.weight.astype(np.float32)), bias


def _padded(source: torch.Tensor, window: Window, value: float) -> torch.Tensor:
    if not any(before or after for before, after in window.padding):
        return source
    # torch lists the last axis first
    sides = [size for before, after in reversed(window.padding) for size in (before, after)]
    return nnf.pad(source, sides, value=value)
