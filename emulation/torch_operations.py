"""How each torch operation becomes a layer: one reader per operation, and the table of all of them."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from emulation.network import (
    Activate,
    Activation,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Linear,
    MatMul,
    MaxPool,
    NetworkError,
    PRelu,
    Relu,
    Reshape,
    Transpose,
    Window,
)
from emulation.torch_functions import FUNCTION_READERS
from emulation.torch_graph import Reading, arguments_of, is_only_reader, operation_name, per_axis, shape_of, where

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_FUSABLE = (Convolution, Linear, MatMul, Add, AveragePool, Activate)


def _convolution(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    weight = reading.constant(arguments["weight"])
    source = reading.producer(arguments["input"], node)
    if weight is None:
        raise NetworkError(f"convolution in {where(node)} has no weight")
    axes = weight.ndim - 2
    dilation = per_axis(arguments["dilation"], axes)
    kernel = weight.shape[2:]
    padding = arguments["padding"]
    if isinstance(padding, str):
        totals = [step * (taps - 1) if padding == "same" else 0 for step, taps in zip(dilation, kernel, strict=True)]
        sides = tuple((total // 2, total - total // 2) for total in totals)
    else:
        sides = tuple((size, size) for size in per_axis(padding, axes))
    window = Window(kernel=kernel, stride=per_axis(arguments["stride"], axes), padding=sides, dilation=dilation)
    reading.add(
        node,
        Convolution(window=window, groups=int(arguments["groups"])),
        (source,),
        fallback="conv",
        weight=weight,
        bias=reading.constant(arguments["bias"]),
    )


def _linear(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    source = reading.producer(arguments["input"], node)
    weight, bias = reading.constant(arguments["weight"]), reading.constant(arguments["bias"])
    reading.add(node, Linear(), (source,), fallback="linear", weight=weight, bias=bias)


def _matmul(reading: Reading, node: torch.fx.Node) -> None:
    left, right = list(arguments_of(node).values())[:2]
    source = reading.producer(left, node)
    if right in reading.constant_of:
        weight = reading.constant_of[right]
        if weight.ndim != 2:
            raise NetworkError(f"matmul in {where(node)} has a constant of {weight.ndim} axes: 2 are allowed")
        reading.add(node, Linear(), (source,), fallback="linear", weight=np.ascontiguousarray(weight.T))
        return
    other = reading.producer(right, node)
    if source.shape[:-2] != other.shape[:-2] or len(source.shape) < 2:
        raise NetworkError(
            f"matmul in {where(node)} multiplies shapes {source.shape} and {other.shape}: "
            "the leading axes must be equal"
        )
    reading.add(node, MatMul(), (source, other), fallback="matmul")


def _batch_norm(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    source = reading.producer(arguments["input"], node)
    mean, variance = reading.constant(arguments["running_mean"]), reading.constant(arguments["running_var"])
    if mean is None or variance is None:
        raise NetworkError(f"batch norm in {where(node)} has no running statistics: train it with track_running_stats")
    gain, offset = reading.constant(arguments["weight"]), reading.constant(arguments["bias"])
    scale = (np.ones_like(mean) if gain is None else gain) / np.sqrt(variance + float(arguments["eps"]))
    shift = (np.zeros_like(mean) if offset is None else offset) - mean * scale
    foldable = isinstance(source.operation, Convolution) or (
        isinstance(source.operation, Linear) and len(source.shape) == 1
    )
    if foldable and source.weight is not None and is_only_reader(reading, node, source):
        weight = source.weight * scale.reshape(-1, *([1] * (source.weight.ndim - 1)))
        bias = shift if source.bias is None else source.bias * scale + shift
        reading.replace(node, source.name, weight=weight, bias=bias)
        return
    axes = len(source.shape) - 1
    if axes == 0:
        raise NetworkError(f"batch norm in {where(node)} follows no linear layer and has no space axes: fold it first")
    ones = (1,) * axes
    window = Window(kernel=ones, stride=ones, padding=((0, 0),) * axes, dilation=ones)
    reading.add(
        node,
        Convolution(window=window, groups=len(scale)),
        (source,),
        fallback="batch_norm",
        shape=source.shape,
        weight=scale.reshape(-1, 1, *ones),
        bias=shift,
    )


def _activate(reading: Reading, node: torch.fx.Node, activation: Activation) -> None:
    source = reading.producer(node.args[0], node)
    # Slopes belong to axis 0 of a sample; a matrix product has its channels on the last axis.
    other_axis = isinstance(source.operation, Linear | MatMul) and len(source.shape) > 1
    many_slopes = isinstance(activation, PRelu) and len(activation.slopes) > 1
    fusable = isinstance(source.operation, _FUSABLE) and not (other_axis and many_slopes)
    if fusable and is_only_reader(reading, node, source):
        reading.replace(node, source.name, activation=activation)
        return
    reading.add(node, Activate(), (source,), fallback="activation", shape=source.shape, activation=activation)


def _relu(reading: Reading, node: torch.fx.Node) -> None:
    _activate(reading, node, Relu())


def _relu6(reading: Reading, node: torch.fx.Node) -> None:
    _activate(reading, node, Relu(ceiling=6.0))


def _hardtanh(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    low, high = float(arguments["min_val"]), float(arguments["max_val"])
    if low != 0.0 or high <= 0.0:
        raise NetworkError(
            f"hardtanh from {low} to {high} in {where(node)} cannot be read: only a lower bound of 0 and a "
            "positive upper bound (ReLU6) can; use nn.ReLU or nn.ReLU6"
        )
    _activate(reading, node, Relu(ceiling=high))


def _prelu(reading: Reading, node: torch.fx.Node) -> None:
    slopes = reading.constant(node.args[1])
    if slopes is None:
        raise NetworkError(f"prelu in {where(node)} has no slopes")
    _activate(reading, node, PRelu(slopes=tuple(float(slope) for slope in slopes)))


def _add(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    left, right = arguments["self"], arguments["other"]
    if arguments.get("alpha", 1) != 1:
        raise NetworkError(f"add in {where(node)} has alpha {arguments['alpha']}: only 1 can be read")
    for bias, other in ((right, left), (left, right)):
        if bias in reading.constant_of and other in reading.layer_of:
            _fold_bias(reading, node, reading.constant_of[bias], other)
            return
    first, second = reading.producer(left, node), reading.producer(right, node)
    if first.shape != second.shape:
        raise NetworkError(
            f"add in {where(node)} joins shapes {first.shape} and {second.shape}: broadcasting cannot be read, "
            "give both branches one shape"
        )
    reading.add(node, Add(), (first, second), fallback="add", shape=first.shape)


def _fold_bias(reading: Reading, node: torch.fx.Node, values: NDArray[np.float64], argument: torch.fx.Node) -> None:
    source = reading.producer(argument, node)
    sizes = values.shape[-len(source.shape) :]
    along = sizes[:1] if isinstance(source.operation, Convolution) else sizes[-1:]
    has_outputs = isinstance(source.operation, Convolution | Linear) and along == (source.outputs,)
    if not has_outputs or values.size != source.outputs or not is_only_reader(reading, node, source):
        raise NetworkError(
            f"add in {where(node)} adds a constant of shape {values.shape} to the output of {source.name!r}, shape "
            f"{source.shape}: only one value per output of a linear layer or convolution can be read (a bias)"
        )
    bias = values.reshape(-1)
    reading.replace(node, source.name, bias=bias if source.bias is None else source.bias + bias)


def _concat(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    parts = [reading.producer(part, node) for part in arguments["tensors"]]
    rank = len(parts[0].shape) + 1
    axis = int(arguments["dim"]) % rank
    if axis == 0:
        raise NetworkError(f"cat in {where(node)} joins samples of the batch: only axes within a sample can be joined")
    reading.add(node, Concat(axis=axis - 1), tuple(parts), fallback="concat")


def _pool_window(node: torch.fx.Node, arguments: dict[str, Any], space: tuple[int, ...]) -> Window:
    axes = len(space)
    kernel = per_axis(arguments["kernel_size"], axes)
    stride = per_axis(arguments["stride"] or arguments["kernel_size"], axes)
    padding = per_axis(arguments["padding"], axes)
    dilation = per_axis(arguments.get("dilation", 1), axes)
    sides = [(size, size) for size in padding]
    if arguments.get("ceil_mode"):
        for axis, target in enumerate(shape_of(node)[1:]):
            needed = (target - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
            sides[axis] = (padding[axis], max(padding[axis], needed - space[axis] - padding[axis]))
    return Window(kernel=kernel, stride=stride, padding=tuple(sides), dilation=dilation)


def _max_pool(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    source = reading.producer(arguments["self"], node)
    window = _pool_window(node, arguments, source.shape[1:])
    reading.add(node, MaxPool(window=window), (source,), fallback="max_pool")


def _average_pool(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    source = reading.producer(arguments["self"], node)
    padded = any(per_axis(arguments["padding"], 1))
    uneven = padded and not arguments["count_include_pad"]
    if arguments.get("divisor_override") or arguments.get("ceil_mode") or uneven:
        raise NetworkError(
            f"average pooling in {where(node)} divides by a number that changes along the border or is overridden: "
            "use count_include_pad=True, ceil_mode=False and no divisor_override"
        )
    window = _pool_window(node, arguments, source.shape[1:])
    reading.add(node, AveragePool(window=window), (source,), fallback="average_pool")


def _global_average(reading: Reading, node: torch.fx.Node) -> None:
    source = reading.producer(node.args[0], node)
    space = source.shape[1:]
    operation = operation_name(node)
    if operation == "mean":
        arguments = arguments_of(node)
        rank = len(source.shape) + 1
        axes = sorted(axis % rank for axis in (arguments.get("dim") or range(rank)))
        if not axes or axes != list(range(2, rank)):
            raise NetworkError(f"mean over axes {axes} in {where(node)}: only that over all space axes can be read")
    elif any(size != 1 for size in per_axis(arguments_of(node)["output_size"], len(space))):
        size = arguments_of(node)["output_size"]
        raise NetworkError(
            f"adaptive average pooling to {size} in {where(node)}: only size 1 (global) can be read; use AvgPool"
        )
    ones = (1,) * len(space)
    window = Window(kernel=space, stride=space, padding=((0, 0),) * len(space), dilation=ones)
    pooled = (source.shape[0], *ones)
    pool = reading.add(node, AveragePool(window=window), (source,), fallback="global_average", shape=pooled)
    if shape_of(node) != pooled:
        reading.add(node, Reshape(), (pool,), fallback="flatten")


def _reshape(reading: Reading, node: torch.fx.Node) -> None:
    source = reading.producer(node.args[0], node)
    shape = shape_of(node)
    if math.prod(shape) != source.elements:
        raise NetworkError(
            f"{operation_name(node)} in {where(node)} moves values between samples of the batch: keep axis 0 as it is"
        )
    reading.add(node, Reshape(), (source,), fallback="reshape", shape=shape)


def _permute(reading: Reading, node: torch.fx.Node) -> None:
    source = reading.producer(node.args[0], node)
    rank = len(source.shape) + 1
    operation = operation_name(node)
    arguments = arguments_of(node)
    if operation == "permute":
        axes = [axis % rank for axis in arguments["dims"]]
    else:
        first, second = arguments.get("dim0", 0) % rank, arguments.get("dim1", 1) % rank
        axes = list(range(rank))
        axes[first], axes[second] = axes[second], axes[first]
    if axes[0] != 0:
        raise NetworkError(f"{operation} in {where(node)} moves the batch axis: keep axis 0 as it is")
    reading.add(node, Transpose(order=tuple(axis - 1 for axis in axes[1:])), (source,), fallback="transpose")


def _pass_through(reading: Reading, node: torch.fx.Node) -> None:
    reading.layer_of[node] = reading.producer(node.args[0], node).name


def _parameter_view(reading: Reading, node: torch.fx.Node) -> bool:
    """Transposes and reshapes of parameters are constants too."""
    argument = node.args[0] if node.args else None
    if not (isinstance(argument, torch.fx.Node) and argument in reading.constant_of):
        return False
    others: list[Any] = list(node.args[1:])
    if any(isinstance(other, torch.fx.Node) for other in others) or not callable(node.target):
        return False
    reading.constant_of[node] = node.target(torch.from_numpy(reading.constant_of[argument]), *others).numpy()
    return True


_READERS: dict[str, Callable[[Reading, torch.fx.Node], None]] = {
    **dict.fromkeys(("conv1d", "conv2d"), _convolution),
    **dict.fromkeys(("batch_norm", "_native_batch_norm_legit_no_training"), _batch_norm),
    **dict.fromkeys(("max_pool1d", "max_pool2d"), _max_pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), _average_pool),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "mean"), _global_average),
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "unsqueeze", "_unsafe_view"), _reshape),
    **dict.fromkeys(("permute", "transpose", "t"), _permute),
    **dict.fromkeys(("dropout", "feature_dropout", "clone", "contiguous", "alias", "detach"), _pass_through),
    **dict.fromkeys(("matmul", "mm", "bmm"), _matmul),
    "add": _add,
    "cat": _concat,
    "hardtanh": _hardtanh,
    "linear": _linear,
    "prelu": _prelu,
    "relu": _relu,
    "relu6": _relu6,
    **FUNCTION_READERS,
}
READABLE_OPERATIONS = tuple(sorted(_READERS))
"""Names of the torch operations that can be read."""


def reader_of(node: torch.fx.Node) -> Callable[[Reading, torch.fx.Node], None]:
    """The reader of a call node.

    Raises:
        NetworkError: if no reader knows the operation; names it, its module and the operations that can be read.
    """
    operation = operation_name(node)
    reader = _READERS.get(operation)
    if reader is None:
        close = difflib.get_close_matches(operation, _READERS, n=1)
        hint = f" (the nearest that can is {close[0]})" if close else ""
        raise NetworkError(
            f"operation {operation} in {where(node)} cannot be read{hint}. Replace it by operations that can: "
            f"{', '.join(READABLE_OPERATIONS)}"
        )

    def read(reading: Reading, current: torch.fx.Node) -> None:
        if not _parameter_view(reading, current):
            reader(reading, current)

    return read
