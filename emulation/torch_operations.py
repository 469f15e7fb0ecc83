"""How each torch operation becomes a layer: one reader per operation, and the table of all of them."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from emulation import reading_rules as rules
from emulation.network import Concat, Linear, MatMul, NetworkError, PRelu, Relu, Window
from emulation.reading_masks import HIDDEN, mask_of_scores
from emulation.torch_functions import FUNCTION_READERS
from emulation.torch_graph import TorchReading, arguments_of, operation_name, per_axis, sizes_of, where
from emulation.torch_moving import MOVING_READERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.torch_graph import Reader


def _convolution(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    weight = reading.constant(arguments["weight"])
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
    rules.convolution(
        reading,
        reading.place(node),
        arguments["input"],
        window=Window(kernel=kernel, stride=per_axis(arguments["stride"], axes), padding=sides, dilation=dilation),
        groups=int(arguments["groups"]),
        weight=weight,
        bias=reading.constant(arguments["bias"]),
    )


def _linear(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    source = reading.source(arguments["input"], node)
    weight, bias = reading.constant(arguments["weight"]), reading.constant(arguments["bias"])
    reading.add(reading.place(node), Linear(), (source,), fallback="linear", weight=weight, bias=bias)


def _matmul(reading: TorchReading, node: torch.fx.Node) -> None:
    left, right = list(arguments_of(node).values())[:2]
    source = reading.source(left, node)
    if right in reading.constant_of:
        weight = reading.constant_of[right]
        if weight.ndim != 2:
            raise NetworkError(f"matmul in {where(node)} has a constant of {weight.ndim} axes: 2 are allowed")
        transposed = np.ascontiguousarray(weight.T)
        reading.add(reading.place(node), Linear(), (source,), fallback="linear", weight=transposed)
        return
    other = reading.source(right, node)
    if source.shape[:-2] != other.shape[:-2] or len(source.shape) < 2:
        raise NetworkError(
            f"matmul in {where(node)} multiplies shapes {source.shape} and {other.shape}: "
            "the leading axes must be equal"
        )
    reading.add(reading.place(node), MatMul(), (source, other), fallback="matmul")


def _affine(reading: TorchReading, node: torch.fx.Node) -> None:
    """``addmm`` and ``baddbmm`` of constants: a linear layer."""
    arguments = arguments_of(node)
    source, weight = reading.source(arguments["mat1"], node), reading.constant(arguments["mat2"])
    if weight is None or arguments["alpha"] != 1 or arguments["beta"] != 1:
        raise NetworkError(f"addmm in {where(node)} has factors alpha and beta: only 1 can be read")
    added = reading.constant(arguments["self"])
    bias = None if added is None else np.broadcast_to(added, (weight.shape[1],))
    transposed = np.ascontiguousarray(weight.T)
    reading.add(reading.place(node), Linear(), (source,), fallback="linear", weight=transposed, bias=bias)


def _batch_norm(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    source = reading.source(arguments["input"], node)
    mean, variance = reading.constant(arguments["running_mean"]), reading.constant(arguments["running_var"])
    if mean is None or variance is None:
        raise NetworkError(f"batch norm in {where(node)} has no running statistics: train it with track_running_stats")
    if reading.axis(node, 1) != 0:
        raise NetworkError(f"batch norm in {where(node)} reads frames that are merged into the batch: keep axis 0")
    rules.batch_norm(
        reading,
        reading.place(node),
        source,
        mean=mean,
        variance=variance,
        gain=reading.constant(arguments["weight"]),
        offset=reading.constant(arguments["bias"]),
        epsilon=float(arguments["eps"]),
    )


def _relu(reading: TorchReading, node: torch.fx.Node) -> None:
    rules.activated(reading, reading.place(node), reading.source(node.args[0], node), Relu())


def _relu6(reading: TorchReading, node: torch.fx.Node) -> None:
    rules.activated(reading, reading.place(node), reading.source(node.args[0], node), Relu(ceiling=6.0))


def _clip(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    low, high = (arguments.get(name, arguments.get(other)) for name, other in (("min_val", "min"), ("max_val", "max")))
    bounds = (-math.inf if low is None else float(low), math.inf if high is None else float(high))
    rules.clipped(reading, reading.place(node), reading.source(node.args[0], node), *bounds)


def _prelu(reading: TorchReading, node: torch.fx.Node) -> None:
    slopes = reading.constant(node.args[1])
    if slopes is None:
        raise NetworkError(f"prelu in {where(node)} has no slopes")
    source = reading.source(node.args[0], node)
    if slopes.size > 1 and reading.axis(node, 1) != 0:
        raise NetworkError(f"prelu in {where(node)} has a slope per value of axis 1, which is no channel: keep axis 0")
    activation = PRelu(slopes=tuple(float(slope) for slope in slopes))
    rules.activated(reading, reading.place(node), source, activation)


def _leaky_relu(reading: TorchReading, node: torch.fx.Node) -> None:
    slope = float(arguments_of(node)["negative_slope"])
    rules.activated(reading, reading.place(node), reading.source(node.args[0], node), PRelu(slopes=(slope,)))


def _add(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    left, right = arguments["self"], arguments["other"]
    if arguments.get("alpha", 1) != 1:
        raise NetworkError(f"add in {where(node)} has alpha {arguments['alpha']}: only 1 can be read")
    place = reading.place(node)
    for constant, other in ((right, left), (left, right)):
        values = _values(reading, constant)
        if values is not None and other in reading.layer_of:
            source = reading.source(other, node)
            if values.size > 1 and values.min() <= HIDDEN:
                reading.mask_of[node] = mask_of_scores(values, source.shape, place, is_boolean=False)
                reading.layer_of[node] = source.name
                return
            rules.constant_added(reading, place, source, values)
            return
    rules.joined(reading, place, reading.source(left, node), reading.source(right, node))


def _subtract(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    values = _values(reading, arguments["other"])
    if values is None or arguments.get("alpha", 1) != 1:
        raise NetworkError(
            f"sub in {where(node)} subtracts an activation: only constants can be subtracted; put the sign into the "
            "weights before and add"
        )
    rules.constant_added(reading, reading.place(node), reading.source(arguments["self"], node), -values)


def _values(reading: TorchReading, argument: object) -> NDArray[np.float64] | None:
    if isinstance(argument, int | float):
        return np.array(float(argument))
    return reading.constant_of.get(argument) if isinstance(argument, torch.fx.Node) else None


def _concat(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    parts = [reading.source(part, node) for part in arguments["tensors"]]
    axis = reading.axis(node, int(arguments["dim"]))
    if axis is None or sizes_of(node)[0] != 1 == sizes_of(arguments["tensors"][0])[0]:
        raise NetworkError(f"cat in {where(node)} joins samples of the batch: only axes within a sample can be joined")
    reading.add(reading.place(node), Concat(axis=axis), tuple(parts), fallback="concat")


def _pool_window(node: torch.fx.Node, arguments: dict[str, Any], space: tuple[int, ...]) -> Window:
    axes = len(space)
    kernel = per_axis(arguments["kernel_size"], axes)
    window = Window(
        kernel=kernel,
        stride=per_axis(arguments["stride"] or kernel, axes),
        padding=tuple((size, size) for size in per_axis(arguments["padding"], axes)),
        dilation=per_axis(arguments.get("dilation", 1), axes),
    )
    return rules.ceil_sides(window, space, sizes_of(node)[-axes:]) if arguments.get("ceil_mode") else window


def _max_pool(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    if operation_name(node).endswith("with_indices") and any(user.args[1] for user in node.users):
        raise NetworkError(
            f"operation max_pool2d_with_indices in {where(node)} returns indices: only the values can be read"
        )
    window = _pool_window(node, arguments, _space(reading, arguments["self"], node))
    rules.max_pool(reading, reading.place(node), arguments["self"], window)
    for user in node.users:
        if operation_name(user) == "getitem":
            reading.layer_of[user] = reading.layer_of[node]


def _average_pool(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    space = _space(reading, arguments["self"], node)
    window = _pool_window(node, arguments, space)
    padded = any(map(any, window.padding))
    if arguments.get("divisor_override") or (arguments.get("ceil_mode") and padded):
        uneven = True  # of positions that ceil mode adds, torch counts only what lies inside the padded input
    else:
        uneven = padded and not arguments["count_include_pad"]
    if uneven:
        raise NetworkError(
            f"average pooling in {where(node)} divides by a number that changes along the border or is overridden: "
            "use count_include_pad=True, ceil_mode=False and no divisor_override"
        )
    rules.average_pool(reading, reading.place(node), arguments["self"], window)


def _space(reading: TorchReading, argument: torch.fx.Node, node: torch.fx.Node) -> tuple[int, ...]:
    batch, rank = reading.batch_of[argument], len(sizes_of(argument))
    if batch.axis != 0 or rank not in {3, 4}:
        raise NetworkError(
            f"pooling in {where(node)} reads a tensor of shape {sizes_of(argument)} whose axis 0 is no batch: "
            "keep axis 0 as it is"
        )
    return sizes_of(argument)[2:]


def _space_mean(reading: TorchReading, node: torch.fx.Node) -> None:
    source = reading.source(node.args[0], node)
    arguments, place = arguments_of(node), reading.place(node)
    rank = len(sizes_of(node.args[0])) if isinstance(node.args[0], torch.fx.Node) else 0
    if operation_name(node) != "mean":
        _space(reading, arguments["self"], node)
        cells = [
            source.shape[axis + 1] if size is None else int(size)
            for axis, size in enumerate(_listed(arguments["output_size"], rank - 2))
        ]
        rules.space_mean(reading, place, source, cells)
        return
    axes = sorted(axis % rank for axis in (arguments.get("dim") or range(rank)))
    own = [reading.axis(node.args[0], axis) for axis in axes]  # type: ignore[arg-type]
    if own and own == list(range(1, len(source.shape))):
        rules.space_mean(reading, place, source, [1] * len(own))
        return
    if None not in own and own == [0] and len(source.shape) == 2:
        swapped = rules.transposed(reading, place, source, (1, 0), shape=source.shape[::-1])
        rules.space_mean(reading, place, swapped, [1])
        return
    raise NetworkError(f"mean over axes {axes} in {where(node)}: only that over all space axes can be read")


def _listed(value: int | Sequence[int | None], axes: int) -> list[int | None]:
    items: list[int | None] = [value] if isinstance(value, int) else list(value)
    return items * axes if len(items) == 1 else items


def _pass_through(reading: TorchReading, node: torch.fx.Node) -> None:
    reading.layer_of[node] = reading.source(node.args[0], node).name


_READERS: dict[str, Reader] = {
    **dict.fromkeys(("conv1d", "conv2d"), _convolution),
    **dict.fromkeys(("batch_norm", "_native_batch_norm_legit_no_training"), _batch_norm),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool2d_with_indices"), _max_pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), _average_pool),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "mean"), _space_mean),
    **dict.fromkeys(
        (
            "dropout",
            "feature_dropout",
            "alpha_dropout",
            "clone",
            "contiguous",
            "alias",
            "detach",
            "lift_fresh_copy",
        ),
        _pass_through,
    ),
    **dict.fromkeys(("matmul", "mm", "bmm"), _matmul),
    "to": _pass_through,
    **dict.fromkeys(("hardtanh", "clamp", "clamp_min"), _clip),
    "add": _add,
    "addmm": _affine,
    "cat": _concat,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "prelu": _prelu,
    "relu": _relu,
    "relu6": _relu6,
    "sub": _subtract,
    **MOVING_READERS,
    **FUNCTION_READERS,
}
READABLE_OPERATIONS = tuple(sorted(_READERS))
"""Names of the torch operations that can be read."""


def reader_of(node: torch.fx.Node) -> Reader:
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
    return reader
