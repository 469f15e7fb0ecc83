"""How ONNX's convolutions, pools, pads and means over space become layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from emulation import reading_rules
from emulation.network import NetworkError, Window
from emulation.onnx_reading import attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emulation.onnx_graph import Node
    from emulation.onnx_reading import OnnxReading


def _window(node: Node, kernel: Sequence[int], space: Sequence[int]) -> Window:
    """The window of a node's attributes, ``auto_pad`` included; pads are all befores, then all afters."""
    axes = len(kernel)
    stride = tuple(attribute(node, "strides", [1] * axes))
    dilation = tuple(attribute(node, "dilations", [1] * axes))
    pads = list(attribute(node, "pads", [0] * 2 * axes))
    automatic = attribute(node, "auto_pad", "NOTSET")
    if len(stride) != axes or len(dilation) != axes or len(pads) != 2 * axes or len(space) != axes:
        raise NetworkError(
            f"{node.operation} of {node.where} has a window {list(kernel)} with strides {list(stride)}, dilations "
            f"{list(dilation)}, pads {pads} over a space {list(space)}: their axes must agree"
        )
    if min((*stride, *dilation, *kernel), default=1) < 1 or min(pads, default=0) < 0:
        raise NetworkError(
            f"{node.operation} of {node.where} has strides {list(stride)}, dilations {list(dilation)} and pads {pads}: "
            "strides and dilations must be at least 1, pads at least 0"
        )
    sides = list(zip(pads[:axes], pads[axes:], strict=True))
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        totals = [
            max((math.ceil(size / step) - 1) * step + gap * (taps - 1) + 1 - size, 0)
            for size, step, gap, taps in zip(space, stride, dilation, kernel, strict=True)
        ]
        sides = [(total // 2, total - total // 2) for total in totals]
        if automatic == "SAME_LOWER":
            sides = [(after, before) for before, after in sides]
    elif automatic not in ("NOTSET", "VALID"):
        raise NetworkError(f"{node.where} pads by {automatic!r}: NOTSET, VALID, SAME_UPPER and SAME_LOWER are allowed")
    elif automatic == "VALID":
        sides = [(0, 0)] * axes
    return Window(kernel=tuple(kernel), stride=stride, padding=tuple(sides), dilation=dilation)


def _convolution(reading: OnnxReading, node: Node) -> None:
    weight = reading.required(node, 1, "weight")
    name = reading.batched(node)
    window = _window(node, weight.shape[2:], reading.shape(name, node)[1:])
    if weight.ndim not in (3, 4):
        raise NetworkError(f"Conv of {node.where} has {weight.ndim - 2} space axes: 1 or 2 can be read")
    groups, channels = int(attribute(node, "group", 1)), reading.shape(name, node)[0]
    if weight.shape[1] * groups != channels or weight.shape[0] % groups:
        raise NetworkError(
            f"Conv of {node.where} has weights of shape {weight.shape} in {groups} groups for {channels} channels: the "
            "channels of a group, and a whole number of outputs for each, are needed"
        )
    layer = reading_rules.convolution(
        reading,
        reading.place(node),
        name,
        window=window,
        groups=groups,
        weight=weight,
        bias=reading.constant(node, 2, "bias"),
    )
    reading.note_codes(layer, node.input(1))


def _pool_window(reading: OnnxReading, node: Node) -> Window:
    """The window with the padding that ceil mode adds, which never holds a whole step."""
    name = reading.batched(node)
    space = reading.shape(name, node)[1:]
    if len(space) not in (1, 2):
        raise NetworkError(f"{node.operation} of {node.where} has {len(space)} space axes: 1 or 2 can be read")
    window = _window(node, attribute(node, "kernel_shape", []), space)
    if not attribute(node, "ceil_mode", 0) or attribute(node, "auto_pad", "NOTSET") != "NOTSET":
        return window
    target = reading.shape(node.outputs[0], node)[1:]
    steps = zip(target, window.stride, window.padding, space, strict=True)
    if any((count - 1) * stride >= before + size for count, stride, (before, _), size in steps):
        raise NetworkError(
            f"{node.operation} of {node.where} has a last window that lies in the padding alone, which executors leave "
            "out and ONNX's shapes do not: use ceil_mode=0"
        )
    return reading_rules.ceil_sides(window, space, target)


def _max_pool(reading: OnnxReading, node: Node) -> None:
    if len([name for name in node.outputs if name]) > 1:
        raise NetworkError(f"MaxPool of {node.where} also returns indices: only the largest values can be read")
    reading_rules.max_pool(reading, reading.place(node), node.inputs[0], _pool_window(reading, node))


def _average_pool(reading: OnnxReading, node: Node) -> None:
    window = _pool_window(reading, node)
    plain = _window(node, window.kernel, reading.shape(node.inputs[0], node)[1:])
    padded = any(any(side) for side in plain.padding)
    if window != plain or (padded and not attribute(node, "count_include_pad", 0)):
        raise NetworkError(
            f"AveragePool of {node.where} divides by a number that changes along the border: use count_include_pad=1 "
            "and a window that ceil_mode does not extend"
        )
    if any(step != 1 for step in window.dilation):
        raise NetworkError(f"AveragePool of {node.where} is dilated by {list(window.dilation)}: only 1 can be read")
    reading_rules.average_pool(reading, reading.place(node), node.inputs[0], window)


def _global_average(reading: OnnxReading, node: Node) -> None:
    source = reading.source(node)
    reading_rules.space_mean(reading, reading.place(node), source, (1,) * (len(source.shape) - 1))


def _global_maximum(reading: OnnxReading, node: Node) -> None:
    space = reading.shape(reading.batched(node), node)[1:]
    if len(space) not in (1, 2):
        raise NetworkError(f"{node.operation} of {node.where} has {len(space)} space axes: 1 or 2 can be read")
    ones = (1,) * len(space)
    window = Window(kernel=space, stride=ones, padding=((0, 0),) * len(space), dilation=ones)
    reading_rules.max_pool(reading, reading.place(node), node.inputs[0], window)


def _mean(reading: OnnxReading, node: Node) -> None:
    source = reading.source(node)
    rank = len(source.shape) + 1
    axes = node.attributes.get("axes")
    if axes is None:
        given = reading.constant(node, 1, "axes")
        axes = range(rank) if given is None else given.astype(int).tolist()
    found = sorted(int(axis) % rank for axis in axes)
    if not found or found != list(range(2, rank)):
        raise NetworkError(
            f"ReduceMean over axes {found} of {node.where}: only that over all space axes {list(range(2, rank))} can "
            "be "
            "read"
        )
    reading_rules.space_mean(reading, reading.place(node), source, (1,) * (rank - 2))


def _pad(reading: OnnxReading, node: Node) -> None:
    """Zeros, which the convolution or pool behind takes into its window."""
    mode = attribute(node, "mode", "constant")
    value = reading.constant(node, 2, "value")
    filled = attribute(node, "value", 0.0) if value is None else float(value.reshape(-1)[0])
    if mode != "constant" or filled != 0.0:
        raise NetworkError(f"Pad of {node.where} by {mode} {filled:g}: only zeros can be read")
    rank = len(reading.sizes(node.inputs[0], node))
    pads = node.attributes.get("pads")
    given = reading.required(node, 1, "pads").astype(int).tolist() if pads is None else list(pads)
    axes = reading.constant(node, 3, "axes")
    places = list(range(rank)) if axes is None else [int(axis) % rank for axis in axes]
    sides = [(0, 0)] * rank
    for axis, before, after in zip(places, given[: len(places)], given[len(places) :], strict=True):
        sides[axis] = (before, after)
    if any(sides[0]) or min(min(side) for side in sides) < 0:
        raise NetworkError(f"Pad of {node.where} by {given}: axis 0 must keep its size, and nothing can be cut off")
    source = reading.source(node)
    place = reading.place(node)
    reading.layer_of[place.key] = source.name
    if any(map(any, sides)):
        reading.padding_of[place.key] = (place, tuple(sides[1:]))


WINDOW_READERS: Final[dict[str, Callable[[OnnxReading, Node], None]]] = {
    "AveragePool": _average_pool,
    "Conv": _convolution,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_maximum,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "ReduceMean": _mean,
}
