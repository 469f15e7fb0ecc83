"""How ONNX's operations that only move values become layers: reshapes, transposes, selections, repetitions."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Final

import numpy as np

from emulation import reading_rules
from emulation.network import Concat, NetworkError, Repeat, Reshape, Select, Slice
from emulation.onnx_batches import VIEWS, permutation_of
from emulation.onnx_reading import attribute

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from emulation.onnx_graph import Node
    from emulation.onnx_reading import OnnxReading


def _concat(reading: OnnxReading, node: Node) -> None:
    for name in node.inputs:
        if reading.is_constant(name):
            raise NetworkError(f"Concat of {node.where} joins the constant {name!r}: only activations can be joined")
    parts = tuple(reading.source(node, place) for place in range(len(node.inputs)))
    axes = {reading.axis(name, node, int(attribute(node, "axis", 1))) for name in node.inputs}
    axis = axes.pop()
    if axis is None or axes:
        raise NetworkError(
            f"Concat of {node.where} joins samples of the batch: only axes within a sample can be joined"
        )
    reading.add(reading.place(node), Concat(axis=axis), parts, fallback="concat")


def _reshape(reading: OnnxReading, node: Node) -> None:
    place, source = reading.place(node), reading.source(node)
    if math.prod(place.shape) != source.elements:
        raise NetworkError(
            f"{node.operation} of {node.where} from {list(reading.sizes(node.inputs[0], node))} to "
            f"{list(reading.sizes(node.outputs[0], node))} mixes samples of the batch"
        )
    if isinstance(source.operation, Reshape):  # two in a row are one
        source = reading.layers[source.inputs[0]]
    reading_rules.reshaped(reading, place, source, place.shape)


def _transpose(reading: OnnxReading, node: Node) -> None:
    source, place, name = reading.source(node), reading.place(node), node.inputs[0]
    order = [reading.axis(name, node, axis) for axis in permutation_of(node, len(reading.sizes(name, node)))]
    kept = tuple(axis for axis in order if axis is not None)
    reading_rules.transposed(reading, place, source, kept, shape=place.shape)


def _gather(reading: OnnxReading, node: Node) -> None:
    """One index of an axis."""
    if reading.is_constant(node.input(0)):
        raise NetworkError(
            f"Gather of {node.where} looks up rows of a table by samples (an embedding): only one fixed index of an "
            "activation can be read; feed the network with the rows"
        )
    source, index = reading.source(node), reading.required(node, 1, "index")
    axis = reading.axis(node.inputs[0], node, int(attribute(node, "axis", 0)))
    if axis is None or index.ndim:
        raise NetworkError(
            f"Gather of {node.where} takes indices of shape {index.shape} of the axis {attribute(node, 'axis', 0)}: "
            "one "
            "index of an axis within a sample can be read"
        )
    operation = Select(axis=axis, index=int(index) % source.shape[axis])
    reading.add(reading.place(node), operation, (source,), fallback="select")


def _slice(reading: OnnxReading, node: Node) -> None:
    """Ranges of axes, one layer for each axis that loses values."""
    given = [
        attribute(node, name, None) if values is None else values.astype(np.int64).tolist()
        for name, values in (
            (name, reading.constant(node, place, name))
            for place, name in enumerate(("starts", "ends", "axes", "steps"), start=1)
        )
    ]
    starts, ends = given[0] or [], given[1] or []
    axes, steps = given[2] or list(range(len(starts))), given[3] or [1] * len(starts)
    source, place = reading.source(node), reading.place(node)
    reading.layer_of[place.key] = source.name
    sizes = reading.sizes(node.inputs[0], node)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        taken = range(sizes[axis])[slice(start, end, step)]
        own = reading.axis(node.inputs[0], node, axis)
        if step < 1 or not taken or (own is None and len(taken) != 1):
            raise NetworkError(
                f"Slice of {node.where} takes {start} to {end} in steps of {step} of axis {axis}, which has "
                f"{sizes[axis]} values: only ranges within a sample, in their order, can be read"
            )
        if own is None:
            continue
        shape = (*source.shape[:own], len(taken), *source.shape[own + 1 :])
        operation = Slice(axis=own, start=taken.start, stop=taken.stop, step=step)
        part = dataclasses.replace(place, shape=shape)
        source = reading_rules.sliced(reading, part, source, operation, only_slices=False)


def _split(reading: OnnxReading, node: Node) -> None:
    source, start = reading.source(node), 0
    axis = reading.axis(node.inputs[0], node, int(attribute(node, "axis", 0)))
    if axis is None:
        raise NetworkError(f"Split of {node.where} splits the batch: only axes within a sample can be split")
    for name in filter(None, node.outputs):
        shape = reading.shape(name, node)
        operation = Slice(axis=axis, start=start, stop=start + shape[axis])
        place = dataclasses.replace(reading.place(node), key=name, shape=shape)
        reading_rules.sliced(reading, place, source, operation, only_slices=False)
        start += shape[axis]


def _resize(reading: OnnxReading, node: Node) -> None:
    """Whole multiples to the nearest value, whichever way the file says which one is nearest."""
    source, place = reading.source(node), reading.place(node)
    times = tuple(after // before for before, after in zip(source.shape, place.shape, strict=False))
    is_whole = place.shape == tuple(size * count for size, count in zip(source.shape, times, strict=False))
    is_repeated = is_whole and all(
        np.array_equal(_nearest(node, size, count), np.arange(size).repeat(count))
        for size, count in zip(source.shape, times, strict=True)
    )
    if attribute(node, "mode", "nearest") != "nearest" or not is_repeated:
        raise NetworkError(
            f"{node.operation} of {node.where} from {list(source.shape)} to {list(place.shape)}, mode "
            f"{attribute(node, 'mode', 'nearest')}: only whole multiples by the nearest value can be read"
        )
    reading.add(place, Repeat(times=times), (source,), fallback="resize")


def _nearest(node: Node, size: int, count: int) -> NDArray[np.float64]:
    """The input's position of each output along one axis (ONNX's operator Resize)."""
    place = np.arange(size * count, dtype=np.float64)
    # Upsample, its predecessor, knows no modes and is asymmetric and floors.
    old = node.operation == "Upsample"
    mode = "asymmetric" if old else attribute(node, "coordinate_transformation_mode", "half_pixel")
    if mode == "asymmetric":
        place /= count
    elif mode in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
        place = (place + 0.5) / count - 0.5
    else:
        place = np.full(place.shape, np.nan)
    rounding = "floor" if old else attribute(node, "nearest_mode", "round_prefer_floor")
    nearest = {
        "floor": np.floor(place),
        "ceil": np.ceil(place),
        "round_prefer_floor": np.ceil(place - 0.5),
        "round_prefer_ceil": np.floor(place + 0.5),
    }.get(rounding, np.full(place.shape, np.nan))
    return np.clip(nearest, 0, size - 1)


MOVING_READERS: Final[dict[str, Callable[[OnnxReading, Node], None]]] = {
    **dict.fromkeys(VIEWS, _reshape),
    "Concat": _concat,
    "Gather": _gather,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    "Slice": _slice,
    "Split": _split,
    "Transpose": _transpose,
}
