"""Follow the batch axis through an ONNX graph: where it is in the result of each operation.

The graph is that of one sample, so the axis has size 1 wherever the model moves it, and layers have the shape that is
left without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulation.onnx_reading import attribute
from emulation.torch_graph import Batch, batch_on, permuted_batch, viewed_batch

if TYPE_CHECKING:
    from emulation.onnx_graph import Node
    from emulation.onnx_reading import OnnxReading

VIEWS: Final = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")


def follow_batch(reading: OnnxReading, node: Node) -> None:
    """Note where the batch is in a node's results, from where it is in the first activation that it reads."""
    source = next((name for name in node.inputs if name in reading.batch_of), None)
    if source is None:
        return
    batch, before = reading.batch_of[source], reading.sizes(source, node)
    for place, name in enumerate(node.outputs):
        if name in reading.graph.shapes:
            reading.batch_of[name] = _batch_after(node, batch, before, reading.graph.shapes[name], place)


def _batch_after(node: Node, batch: Batch, before: tuple[int, ...], after: tuple[int, ...], place: int) -> Batch:
    if node.operation == "LSTM":  # (steps, directions, batch, hidden), or both last states without the steps
        return batch_on(2 if place == 0 else 1, after) if batch.axis == 1 else batch_on(0, after)
    if node.operation == "Transpose":
        return permuted_batch(batch, before, permutation_of(node, len(before)))
    if node.operation in VIEWS:
        return viewed_batch(batch, after)
    if batch.axis is None:
        return batch
    axis = batch.axis
    if node.operation == "Gather" and len(after) < len(before):
        axis -= int(attribute(node, "axis", 0)) % len(before) < axis
    elif len(after) > len(before):
        axis += len(after) - len(before)  # operands are broadcast from the last axis on
    is_there = axis < len(after) and after[axis] == 1
    return batch_on(axis, after) if is_there else Batch(axis=None, outer=1)


def permutation_of(node: Node, rank: int) -> list[int]:
    """For each axis of the result, the axis of the input that it was."""
    return [int(axis) for axis in attribute(node, "perm", list(range(rank))[::-1])]
