"""Follow the batch axis through a torch graph: where it is in the result of each operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulation.torch_graph import Batch, arguments_of, batch_on, operation_name, permuted_batch, sizes_of, viewed_batch

if TYPE_CHECKING:
    import torch

    from emulation.torch_graph import TorchReading

VIEWS = ("flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten", "_unsafe_view")
PERMUTATIONS = ("permute", "transpose", "t", "swapaxes", "movedim")
_REMOVING = ("select", "mean")


def follow_batch(reading: TorchReading, node: torch.fx.Node) -> None:
    """Note where the batch is in a node's result, from where it is in the first activation that it reads."""
    source = next((one for one in node.all_input_nodes if one in reading.batch_of), None)
    if source is None:
        return
    batch, before, after = reading.batch_of[source], sizes_of(source), sizes_of(node)
    name = operation_name(node)
    if name == "unbind" and batch.axis is not None:
        axis = int(arguments_of(node)["dim"]) % len(before)
        reading.batch_of[node] = Batch(axis=batch.axis - (axis < batch.axis), outer=batch.outer)
    elif name == "getitem" or not after:  # several results, and one of them
        reading.batch_of[node] = batch
    elif name in PERMUTATIONS:
        reading.batch_of[node] = permuted_batch(batch, before, permutation_of(node))
    elif name in VIEWS:
        reading.batch_of[node] = viewed_batch(batch, after)
    elif batch.axis is None:
        reading.batch_of[node] = batch
    else:
        axis = batch.axis
        if name == "stack":
            axis += int(arguments_of(node)["dim"]) % len(after) <= axis
        elif name in _REMOVING and len(after) < len(before):
            axis -= sum(removed < axis for removed in _removed(node, len(before)))
        elif name != "embedding" and (len(after) > len(before) or axis >= len(after)):
            axis += len(after) - len(before)
        is_there = 0 <= axis < len(after) and after[axis] == 1
        reading.batch_of[node] = batch_on(axis, after) if is_there else Batch(axis=None, outer=1)


def _removed(node: torch.fx.Node, rank: int) -> list[int]:
    dims = arguments_of(node).get("dim")
    found = dims if isinstance(dims, list | tuple) else [dims] if dims is not None else list(range(rank))
    return [int(dim) % rank for dim in found]


def permutation_of(node: torch.fx.Node) -> list[int]:
    """For each axis of the result, the axis of the input that it was."""
    arguments, rank = arguments_of(node), len(sizes_of(node))
    if operation_name(node) == "permute":
        return [axis % rank for axis in arguments["dims"]]
    order = list(range(rank))
    if operation_name(node) == "movedim":
        moved = [_listed(arguments[name], rank) for name in ("source", "destination")]
        rest = iter(axis for axis in order if axis not in moved[0])
        placed = dict(zip(moved[1], moved[0], strict=True))
        return [placed[axis] if axis in placed else next(rest) for axis in order]
    names = ("axis0", "axis1") if "axis0" in arguments else ("dim0", "dim1")
    if rank > 1:
        first, second = (arguments.get(name, place) % rank for place, name in enumerate(names))
        order[first], order[second] = order[second], order[first]
    return order


def _listed(dims: int | list[int], rank: int) -> list[int]:
    return [int(dim) % rank for dim in (dims if isinstance(dims, list | tuple) else [dims])]
