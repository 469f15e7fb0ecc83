"""What reading a torch graph needs: the layers read so far, and questions to a node of ``torch.export``'s graph."""

from __future__ import annotations

import dataclasses
import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from emulation.network import Activation, Identity, Layer, NetworkError, Operation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(slots=True)
class Reading:
    """Layers read so far, and what every graph node stands for: a layer's output or a constant."""

    name: str
    layers: dict[str, Layer] = field(default_factory=dict)
    layer_of: dict[torch.fx.Node, str] = field(default_factory=dict)
    constant_of: dict[torch.fx.Node, NDArray[np.float64]] = field(default_factory=dict)
    final_state_of: dict[torch.fx.Node, str] = field(default_factory=dict)
    """Nodes that stand for the last state h of a recurrent layer, shape ``(1, batch, hidden)``."""

    def constant(self, argument: object) -> NDArray[np.float64] | None:
        """The values of a parameter argument, None if it is absent."""
        if argument is None:
            return None
        if isinstance(argument, torch.fx.Node) and argument in self.constant_of:
            return self.constant_of[argument]
        raise NetworkError(f"{argument} is computed from the samples where a trained parameter is expected")

    def producer(self, argument: object, node: torch.fx.Node) -> Layer:
        """The layer that makes an activation argument."""
        if isinstance(argument, torch.fx.Node) and argument in self.layer_of:
            return self.layers[self.layer_of[argument]]
        raise NetworkError(
            f"operation {operation_name(node)} in {where(node)} reads {argument}, which is no activation: "
            "only residual additions, products and concatenations of activations can be read"
        )

    def add(
        self,
        node: torch.fx.Node,
        operation: Operation,
        sources: tuple[Layer, ...],
        *,
        fallback: str,
        shape: tuple[int, ...] | None = None,
        weight: NDArray[np.float64] | None = None,
        bias: NDArray[np.float64] | None = None,
        activation: Activation | None = None,
    ) -> Layer:
        """Append a layer under a unique name; ``shape`` is the node's own if not given."""
        stem = layer_name(node, fallback)
        name, count = stem, 2
        while name in self.layers:
            name, count = f"{stem}_{count}", count + 1
        self.layers[name] = Layer(
            name=name,
            operation=operation,
            inputs=tuple(source.name for source in sources),
            shape=shape_of(node) if shape is None else shape,
            activation=Identity() if activation is None else activation,
            weight=weight,
            bias=bias,
            source=module_path(node),
        )
        self.layer_of[node] = name
        return self.layers[name]

    def replace(self, node: torch.fx.Node, name: str, **changes: object) -> None:
        """Change the layer ``name`` and let ``node`` stand for its output."""
        self.layers[name] = dataclasses.replace(self.layers[name], **changes)  # type: ignore[arg-type]
        self.layer_of[node] = name


def is_only_reader(reading: Reading, node: torch.fx.Node, source: Layer) -> bool:
    """Whether nothing but ``node`` sees what ``source`` computes, so that ``node`` can become part of it."""
    # Dropout and its like stand for the same layer, so the readers of all of them count.
    standing = {other for other, name in reading.layer_of.items() if name == source.name}
    readers = {user for other in standing for user in other.users} - standing
    return readers == {node} and isinstance(source.activation, Identity)


def operation_name(node: torch.fx.Node) -> str:
    """The operation without namespace, overload or in-place mark: ``conv2d``, ``add``, ``getitem``."""
    if node.target is operator.getitem:
        return "getitem"
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(packet).removeprefix("aten.").rstrip("_")


def module_path(node: torch.fx.Node) -> str:
    """Path of the module whose forward made the node, empty for the network itself."""
    stack = node.meta.get("nn_module_stack") or {}
    path = next(reversed(stack.values()), ("", None))[0] if stack else ""
    return re.sub(r"^L\['self'\]\.?", "", str(path))


def where(node: torch.fx.Node) -> str:
    """The module in words, for messages."""
    path = module_path(node)
    return f"module {path!r}" if path else "the network's own forward"


def shape_of(node: torch.fx.Node) -> tuple[int, ...]:
    """Shape of the node's result without the batch axis."""
    return tuple(int(size) for size in node.meta["val"].shape[1:])


def layer_name(node: torch.fx.Node, fallback: str) -> str:
    """The module path for operations that are a module of their own, else module and operation."""
    path = module_path(node)
    stack = node.meta.get("nn_module_stack") or {}
    kind = str(next(reversed(stack.values()), ("", ""))[1]) if stack else ""
    is_own_module = "torch.nn.modules" in kind
    if path and is_own_module:
        return path
    return f"{path}.{fallback}" if path else fallback


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
