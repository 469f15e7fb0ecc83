"""What reading a torch graph needs beside the layers: questions to a node of ``torch.export``'s graph.

The graph is that of one sample, so the batch axis has size 1 wherever the module moves it: layers have the shape that
is left without it. Where the module merges the batch into another axis (heads, frames), nothing has to be left out.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from emulation.network import Layer, NetworkError
from emulation.reading import Place, Reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(slots=True, kw_only=True)
class TorchReading(Reading[torch.fx.Node]):
    """A `Reading` of a torch graph.

    Attributes:
        final_state_of: nodes that stand for the last state h of a recurrent layer, shape ``(1, batch, hidden)``.
        batch_of: where the batch of an activation is.
        current: the node being read.
        mask_of: nodes that stand for scores some of which are hidden: by row, the columns that are not, as bits.
    """

    final_state_of: dict[torch.fx.Node, str] = field(default_factory=dict)
    batch_of: dict[torch.fx.Node, Batch] = field(default_factory=dict)
    current: torch.fx.Node | None = None
    mask_of: dict[torch.fx.Node, tuple[int, ...] | None] = field(default_factory=dict)

    def constant(self, argument: object) -> NDArray[np.float64] | None:
        """The values of a parameter argument, None if it is absent."""
        if argument is None:
            return None
        if isinstance(argument, torch.fx.Node) and argument in self.constant_of:
            return self.constant_of[argument]
        raise NetworkError(f"{argument} is computed from the samples where a trained parameter is expected")

    def source(self, argument: object, node: torch.fx.Node) -> Layer:
        """The layer that makes an activation argument of a node.

        Raises:
            NetworkError: if it is no activation, or scores with a mask that something but a softmax reads.
        """
        if isinstance(argument, torch.fx.Node) and argument in self.mask_of and "softmax" not in operation_name(node):
            raise NetworkError(
                f"{operation_name(node)} in {where(node)} reads scores with a mask: only a softmax can read them"
            )
        if not isinstance(argument, torch.fx.Node):
            raise NetworkError(
                f"operation {operation_name(node)} in {where(node)} reads {argument}, which is no activation"
            )
        return self.producer(argument, self.place(node))

    def place(self, node: torch.fx.Node) -> Place[torch.fx.Node]:
        """The node as builders need to know it."""
        return Place(
            key=node,
            operation=operation_name(node),
            where=where(node),
            path=module_path(node),
            is_module=_is_module(node),
            shape=self.shape(node),
        )

    def shape(self, node: torch.fx.Node) -> tuple[int, ...]:
        """Shape of an activation without the batch axis; empty for several results."""
        sizes = sizes_of(node)
        batch = self.batch_of.get(node)
        if batch is None or batch.axis is None:
            return sizes
        return sizes[: batch.axis] + sizes[batch.axis + 1 :]

    def axis(self, node: torch.fx.Node, dim: int) -> int | None:
        """The layer's axis for an axis of the torch tensor, None for that of the batch."""
        batch = self.batch_of[node]
        place = dim % max(len(sizes_of(node)), 1)
        if batch.axis is None:
            return place
        return None if place == batch.axis else place - (place > batch.axis)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Where the batch is in a tensor: on an axis of size 1, or merged into another after so many outer elements."""

    axis: int | None
    outer: int

    def __post_init__(self) -> None:
        if self.outer < 1:
            raise ValueError(f"the batch comes after at least 1 element, got {self.outer}")


def permuted_batch(batch: Batch, sizes: tuple[int, ...], order: list[int]) -> Batch:
    """Where the batch is after a permutation of a tensor's axes."""
    if batch.axis is not None:
        return batch_on(order.index(batch.axis), tuple(sizes[axis] for axis in order))
    outer, merged = 1, len(sizes) - 1
    for axis, size in enumerate(sizes):
        if outer * size > batch.outer:
            merged = axis
            break
        outer *= size
    inside = batch.outer // outer
    before = order[: order.index(merged)]
    return Batch(axis=None, outer=inside * math.prod(sizes[axis] for axis in before))


def viewed_batch(batch: Batch, sizes: tuple[int, ...]) -> Batch:
    """Where the batch is once the values in order have another shape."""
    found = [axis for axis, size in enumerate(sizes) if size == 1 and math.prod(sizes[:axis]) == batch.outer]
    if not found:
        return Batch(axis=None, outer=batch.outer)
    return Batch(axis=batch.axis if batch.axis in found else found[0], outer=batch.outer)


def batch_on(axis: int, sizes: tuple[int, ...]) -> Batch:
    """The batch on an axis of its own."""
    return Batch(axis=axis, outer=max(math.prod(sizes[:axis]), 1))


def sizes_of(node: torch.fx.Node) -> tuple[int, ...]:
    """Shape of the node's result with the batch axis, empty for several results."""
    value = node.meta.get("val")
    return tuple(int(size) for size in value.shape) if isinstance(value, torch.Tensor) else ()


def operation_name(node: torch.fx.Node) -> str:
    """The operation without namespace, overload or in-place mark: ``conv2d``, ``add``, ``getitem``."""
    if node.target is operator.getitem:
        return "getitem"
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(packet).removeprefix("aten.").rstrip("_")


def is_check(node: torch.fx.Node) -> bool:
    """Whether a node only checks what ``torch.export`` has assumed, and makes nothing."""
    return operation_name(node).startswith(("_assert", "sym_constrain"))


def module_path(node: torch.fx.Node) -> str:
    """Path of the module whose forward made the node, empty for the network itself."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next(reversed(stack.values()), ("", None))[0] if stack else ""
    return re.sub(r"^L\['self'\]\.?", "", str(path))


def where(node: torch.fx.Node) -> str:
    """The module in words, for messages."""
    path = module_path(node)
    return f"module {path!r}" if path else "the network's own forward"


def _is_module(node: torch.fx.Node) -> bool:
    stack = node.meta.get("nn_module_stack") or {}
    kind = str(next(reversed(stack.values()), ("", ""))[1]) if stack else ""
    composite = "MultiheadAttention" in kind or "torch.nn.modules.transformer" in kind
    return "torch.nn.modules" in kind and not composite


def per_axis(value: int | list[int] | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """A torch argument that is one number or one per axis, as one per axis."""
    items = (value,) if isinstance(value, int) else tuple(value)
    return tuple(int(item) for item in (items * axes if len(items) == 1 else items))


def arguments_of(node: torch.fx.Node) -> dict[str, Any]:
    """All arguments by the names of the operator's schema, defaults filled in."""
    schema = getattr(node.target, "_schema")  # noqa: B009 - the only place torch keeps an operator's argument names
    values = {argument.name: argument.default_value for argument in schema.arguments if argument.has_default_value()}
    names = [argument.name for argument in schema.arguments]
    values.update(zip(names, node.args, strict=False))
    values.update(node.kwargs)
    return values


Reader: TypeAlias = Callable[[TorchReading, torch.fx.Node], None]
"""How one operation becomes layers."""
