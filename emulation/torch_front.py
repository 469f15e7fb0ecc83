"""The front of a torch network that is no layer: kept as named pre-processing, run in float before the network.

Framing, reflected borders, normalisation of pixels or the look-up of embeddings come before anything that multiplies by
trained weights. Where such an operation cannot be read, it and all it depends on become pre-processing, as long as one
tensor leads from there to the rest. Layers with weights are kept in it only where the user names the end of the front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from emulation.network import NetworkError
from emulation.torch_constants import LIKE
from emulation.torch_graph import is_check, module_path, operation_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_MULTIPLYING: Final = ("conv", "linear", "matmul", "mm", "bmm", "addmm", "lstm", "gru", "rnn", "scaled_dot", "einsum")
"""Beginnings of the names of operations whose weights are what a study is about."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Front:
    """Operations before the first layer.

    Attributes:
        nodes: in order; the last makes what the network reads.
        constants: values of the other nodes that they read.
        input: the node of the samples.
        shape: of what the network reads, without the batch axis.
    """

    nodes: tuple[torch.fx.Node, ...]
    constants: Mapping[torch.fx.Node, torch.Tensor]
    input: torch.fx.Node
    shape: tuple[int, ...]

    @property
    def operations(self) -> tuple[str, ...]:
        """Their names, in order, those that only change types left out."""
        return tuple(operation_name(node) for node in self.nodes)

    def apply(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run samples ``(batch, *sample)`` through the front, one by one; float32 ``(batch, *shape)``."""
        rows = [self._run(torch.from_numpy(np.array(sample[None]))) for sample in samples]
        return np.stack(rows).astype(np.float32).reshape(-1, *self.shape)

    def _run(self, sample: torch.Tensor) -> NDArray[np.float32]:
        values: dict[torch.fx.Node, Any] = {self.input: sample, **self.constants}
        with torch.inference_mode():
            for node in self.nodes:
                arguments = torch.fx.map_arg(node.args, values.__getitem__)
                options = torch.fx.map_arg(node.kwargs, values.__getitem__)
                if callable(node.target):
                    values[node] = node.target(*arguments, **options)
        result: NDArray[np.float32] = values[self.nodes[-1]].float().numpy()
        return result


def ancestors(last: torch.fx.Node, activations: set[torch.fx.Node]) -> set[torch.fx.Node]:
    """A node and all that it depends on among the nodes that depend on the samples."""
    found: set[torch.fx.Node] = set()
    open_nodes = [last]
    while open_nodes:
        node = open_nodes.pop()
        if node not in found and node in activations and node.op == "call_function":
            found.add(node)
            open_nodes.extend(node.all_input_nodes)
    return found


def why_no_front(nodes: set[torch.fx.Node], last: torch.fx.Node) -> str:
    """Why nodes cannot be pre-processing unless the user asks for it; empty if they can."""
    weights = [node for node in nodes if operation_name(node).startswith(_MULTIPLYING)]
    if weights:
        first = min(weights, key=lambda node: node.name)
        return (
            f"it comes after {operation_name(first)} in {module_path(first) or 'the network'!r}; to keep all up to "
            f"it in float before the network, name it as the end of the front: front = {operation_name(last)!r}"
        )
    if not isinstance(last.meta.get("val"), torch.Tensor):
        return "it has several results"
    leaving = {node for node in nodes if any(user not in nodes and not _reads_shape(user) for user in node.users)}
    return "" if leaving <= {last} else "other operations read what comes before it, too"


def _reads_shape(node: torch.fx.Node) -> bool:
    return operation_name(node) in LIKE or is_check(node)


def named_end(nodes: Sequence[torch.fx.Node], front: str) -> torch.fx.Node:
    """The node that ends the front: the last of a module's path, or of an operation's name.

    Raises:
        NetworkError: if there is none.
    """
    calls = [node for node in nodes if node.op == "call_function"]
    found = [node for node in calls if front in {module_path(node), operation_name(node)}]
    if not found:
        names = ", ".join(dict.fromkeys(operation_name(node) for node in calls[:40]))
        raise NetworkError(f"front = {front!r} is neither a module nor an operation of the network: it has {names}")
    return found[-1]
