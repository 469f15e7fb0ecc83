"""Hardware mode, fast: whole batches of integers through BLAS and compiled loops.

Bit for bit the same as `emulation.reference`, which executes the same `HardwareNetwork` in Python integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from emulation.block_tensors import BlockTensor
from emulation.engine_execution import engine_sums
from emulation.function_execution import function_accumulators, table_integers
from emulation.function_rules import TableRule
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
    Multiply,
    Repeat,
    Reshape,
    Select,
    Slice,
    Transpose,
)
from emulation.requantisation import concatenate, requantise_tensor
from kernels.products import exact_convolution, exact_matmul, windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.hardware import HardwareLayer, HardwareNetwork
    from emulation.network import Network

Tensor: TypeAlias = Any
"""Integers in an array, or a `BlockTensor`."""
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
    check_samples(hardware.network, samples.shape)
    parts = [
        execute_codes(hardware, hardware.cast_samples(samples[start : start + BATCH]))
        for start in range(0, len(samples), BATCH)
    ]
    return np.concatenate(parts)


def check_samples(network: Network, shape: tuple[int, ...]) -> None:
    """Refuse samples of a shape that a network does not read.

    Raises:
        ValueError: with both shapes, or if there are no samples.
    """
    expected = network.layers[0].shape
    if shape[1:] != expected:
        raise ValueError(f"samples have shape {shape[1:]}, network {network.name!r} reads {expected}")
    if not shape[0]:
        raise ValueError("no samples were given: at least one is needed")


def execute_codes(hardware: HardwareNetwork, integers: Tensor) -> NDArray[Any]:
    """Run integers of the input edge, shape ``(batch, *sample)``, through a design; returns the output's integers."""
    outputs: NDArray[Any] = trace(hardware, integers)[hardware.network.output]
    return outputs


def trace(hardware: HardwareNetwork, integers: Tensor) -> dict[str, Tensor]:
    """The integers of every layer's output, by layer name, for integers (or blocks) of the input edge."""
    tensors: dict[str, Tensor] = {}
    for hardware_layer in hardware.layers:
        inputs = [tensors[name] for name in hardware_layer.layer.inputs]
        if isinstance(hardware_layer.layer.operation, Input):
            tensors[hardware_layer.layer.name] = exact_integers(integers)
        else:
            tensors[hardware_layer.layer.name] = execute_layer(hardware_layer, inputs)
    return tensors


def execute_layer(hardware_layer: HardwareLayer, inputs: Sequence[Tensor]) -> Tensor:
    """One layer on integers or blocks, shape ``(batch, *shape)`` each."""
    layer, requantiser = hardware_layer.layer, hardware_layer.requantiser
    match layer.operation:
        case Reshape():
            return inputs[0].reshape(-1, *layer.shape)
        case Transpose(order=order):
            return inputs[0].transpose(0, *(axis + 1 for axis in order))
        case MaxPool():
            return _max_pool(layer.operation, inputs[0])
        case Select(axis=axis, index=index):
            return inputs[0].take(index, axis=axis + 1)
        case Slice(axis=axis, start=start, stop=stop, step=step):
            return inputs[0][(slice(None),) * (axis + 1) + (slice(start, stop, step),)]
        case Repeat(times=times):
            return _repeat(inputs[0], times)
        case _ if isinstance(hardware_layer.function, TableRule):
            return table_integers(hardware_layer.function, inputs[0])
        case Concat(axis=axis):
            unit = float(hardware_layer.output.unit[0])
            return concatenate(hardware_layer.part_requantisers, inputs, axis=axis + 1, unit=unit)
        case Convolution() | Activate() | AveragePool() | Add() | Multiply():
            channel_axis = 1
        case _:
            channel_axis = -1
    if requantiser is None:
        raise ValueError(f"layer {layer.name!r} ({layer.kind}) has no requantiser")
    unit = float(hardware_layer.output.unit[0])
    return requantise_tensor(requantiser, accumulate(hardware_layer, inputs), channel_axis=channel_axis, unit=unit)


def accumulate(hardware_layer: HardwareLayer, inputs: Sequence[Tensor]) -> NDArray[Any]:
    """The accumulators of a layer, bias included, before activation and requantisation."""
    layer, engine = hardware_layer.layer, hardware_layer.engine
    if hardware_layer.function is not None:
        return function_accumulators(hardware_layer, hardware_layer.function, inputs[0])
    if engine is not None and not engine.is_plain:
        return engine_sums(hardware_layer, engine, inputs)
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
        case Multiply():
            return _product(inputs[0], inputs[1])
        case _:
            values: NDArray[Any] = inputs[0]
            return values


def _roomy(values: NDArray[Any], growth: int) -> NDArray[Any]:
    """The values in a dtype that still holds them after they grew by the factor ``growth``."""
    if values.dtype == object or int(np.abs(values).max(initial=0)) * growth < 1 << 62:
        return values
    return values.astype(object)


def _product(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """Products value by value, in a dtype that holds them."""
    product: NDArray[Any] = _roomy(left, int(np.abs(right).max(initial=0))) * right
    return product


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


def _repeat(tensor: NDArray[Any], times: tuple[int, ...]) -> NDArray[Any]:
    for axis, count in enumerate(times, start=1):
        tensor = tensor.repeat(count, axis=axis)
    return tensor


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


def exact_integers(values: Tensor) -> Tensor:
    """What a quantiser made, as int64 or, beyond 62 bits, Python integers; blocks as they are."""
    if isinstance(values, BlockTensor):
        return values
    if values.dtype != np.float64 or np.abs(values).max(initial=0) < 2.0**62:
        return values.astype(np.int64) if values.dtype != object else values
    return np.array([int(value) for value in values.ravel()], dtype=object).reshape(values.shape)
