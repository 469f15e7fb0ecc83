"""Hardware mode, fast: whole batches of integers through BLAS and compiled loops.

Bit for bit the same as `emulation.reference`, which executes the same `HardwareNetwork` in Python integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.network import (
    Activate,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Input,
    Linear,
    MatMul,
    MaxPool,
    Reshape,
    Transpose,
)
from kernels.products import exact_convolution, exact_matmul, windows
from kernels.requantise import requantise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.hardware import HardwareLayer, HardwareNetwork, Requantiser

BATCH = 128
"""Samples executed at once; bounds the memory of im2col."""


def execute(hardware: HardwareNetwork, samples: NDArray[np.float32]) -> NDArray[Any]:
    """Run samples through a design.

    Args:
        hardware: the lowered design.
        samples: float32 values, shape ``(batch, *sample)``; they are cast by the input quantiser.

    Returns:
        The integers of the output edge, int64 (or Python integers), shape ``(batch, *output)``; multiply by
        ``hardware.output_unit`` for real values.

    Raises:
        ValueError: if a sample holds NaN or has the wrong shape.
    """
    expected = hardware.network.layers[0].shape
    if samples.shape[1:] != expected:
        raise ValueError(f"samples have shape {samples.shape[1:]}, network {hardware.network.name!r} reads {expected}")
    if len(samples) == 0:
        raise ValueError("no samples were given: at least one is needed")
    parts = [
        execute_codes(hardware, hardware.input.integers(samples[start : start + BATCH]))
        for start in range(0, len(samples), BATCH)
    ]
    return np.concatenate(parts)


def execute_codes(hardware: HardwareNetwork, integers: NDArray[Any]) -> NDArray[Any]:
    """Run integers of the input edge, shape ``(batch, *sample)``, through a design; returns the output's integers."""
    return trace(hardware, integers)[hardware.network.output]


def trace(hardware: HardwareNetwork, integers: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The integers of every layer's output, by layer name, for integers of the input edge."""
    tensors: dict[str, NDArray[Any]] = {}
    for hardware_layer in hardware.layers:
        inputs = [tensors[name] for name in hardware_layer.layer.inputs]
        if isinstance(hardware_layer.layer.operation, Input):
            tensors[hardware_layer.layer.name] = _exact_integers(integers)
        else:
            tensors[hardware_layer.layer.name] = execute_layer(hardware_layer, inputs)
    return tensors


def execute_layer(hardware_layer: HardwareLayer, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One layer on integers, shape ``(batch, *shape)`` each."""
    layer, requantiser = hardware_layer.layer, hardware_layer.requantiser
    match layer.operation:
        case Reshape():
            return inputs[0].reshape(-1, *layer.shape)
        case Transpose(order=order):
            return inputs[0].transpose(0, *(axis + 1 for axis in order))
        case MaxPool():
            return _max_pool(layer.operation, inputs[0])
        case Concat(axis=axis):
            parts = [
                _requantise(rule, part, channel_axis=1)
                for rule, part in zip(hardware_layer.part_requantisers, inputs, strict=True)
            ]
            return np.concatenate(parts, axis=axis + 1)
        case Convolution() | Activate() | AveragePool() | Add():
            channel_axis = 1
        case _:
            channel_axis = -1
    if requantiser is None:
        raise ValueError(f"layer {layer.name!r} ({layer.kind}) has no requantiser")
    return _requantise(requantiser, accumulate(hardware_layer, inputs), channel_axis=channel_axis)


def accumulate(hardware_layer: HardwareLayer, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The exact accumulators of a layer, bias included, before activation and requantisation."""
    layer = hardware_layer.layer
    match layer.operation:
        case Convolution(window=window, groups=groups):
            weight = _weights(hardware_layer)
            sums = exact_convolution(
                inputs[0], weight, stride=window.stride, padding=window.padding, dilation=window.dilation, groups=groups
            )
            return _add_bias(hardware_layer, sums, channel_axis=1)
        case Linear():
            return _add_bias(hardware_layer, exact_matmul(inputs[0], _weights(hardware_layer).T), channel_axis=-1)
        case MatMul():
            return exact_matmul(inputs[0], inputs[1])
        case AveragePool(window=window):
            views = windows(
                _roomy(inputs[0], window.taps),
                kernel=window.kernel,
                stride=window.stride,
                padding=window.padding,
                dilation=window.dilation,
            )
            total: NDArray[Any] = views.sum(axis=tuple(range(views.ndim - len(window.kernel), views.ndim)))
            return total
        case Add():
            first, second = hardware_layer.addend_multipliers
            joined: NDArray[Any] = _roomy(inputs[0], 2 * first) * first + _roomy(inputs[1], 2 * second) * second
            return joined
        case _:
            return inputs[0]


def _roomy(values: NDArray[Any], growth: int) -> NDArray[Any]:
    """The values in a dtype that still holds them after they grew by the factor ``growth``."""
    if values.dtype == object or int(np.abs(values).max(initial=0)) * growth < 1 << 62:
        return values
    return values.astype(object)


def _weights(hardware_layer: HardwareLayer) -> NDArray[Any]:
    if hardware_layer.weight is None:
        raise ValueError(f"layer {hardware_layer.layer.name!r} has no weights")
    return hardware_layer.weight


def _add_bias(hardware_layer: HardwareLayer, sums: NDArray[Any], *, channel_axis: int) -> NDArray[Any]:
    if hardware_layer.bias is None:
        return sums
    largest = max(map(abs, hardware_layer.bias))
    dtype: type = np.int64 if sums.dtype != object and largest < 1 << 61 else object
    shape = [1] * sums.ndim
    shape[channel_axis] = -1
    return sums.astype(dtype, copy=False) + np.array(hardware_layer.bias, dtype=dtype).reshape(shape)


def _requantise(requantiser: Requantiser, accumulators: NDArray[Any], *, channel_axis: int) -> NDArray[Any]:
    rows = np.moveaxis(accumulators, channel_axis, -1)
    channels = rows.shape[-1]
    multipliers = _per_channel(requantiser.multipliers, channels)
    negative = requantiser.negative_multipliers
    result = requantise(
        rows.reshape(-1, channels),
        multipliers,
        shift=requantiser.shift,
        low=requantiser.low,
        high=requantiser.high,
        rounding=requantiser.rounding.value,
        mantissa_bits=requantiser.mantissa_bits,
        negative_multipliers=None if negative is None else _per_channel(negative, channels),
    )
    return np.moveaxis(result.reshape(rows.shape), -1, channel_axis)


def _per_channel(multipliers: tuple[int, ...], channels: int) -> NDArray[Any]:
    return np.array(multipliers * channels if len(multipliers) == 1 else multipliers, dtype=np.int64)


def _max_pool(operation: MaxPool, tensor: NDArray[Any]) -> NDArray[Any]:
    window = operation.window
    lowest = int(tensor.min()) if tensor.size else 0  # a padded position must never win
    views = windows(
        tensor,
        kernel=window.kernel,
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        fill=lowest,
    )
    result: NDArray[Any] = views.max(axis=tuple(range(views.ndim - len(window.kernel), views.ndim)))
    return result


def _exact_integers(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype != np.float64 or np.abs(values).max(initial=0) < 2.0**62:
        return values.astype(np.int64) if values.dtype != object else values
    return np.array([int(value) for value in values.ravel()], dtype=object).reshape(values.shape)
