"""Reading an ONNX graph: the layers so far, what nodes ask of their inputs, and the quantisers that were met."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.network import MOVING_OPERATIONS, Activate, Layer, NetworkError
from emulation.reading import Place, Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.onnx_graph import Graph, Node
    from emulation.onnx_quantisers import QuantisedConstant, TensorQuantiser
    from emulation.torch_graph import Batch


@dataclass(kw_only=True)
class OnnxReading(Reading[str]):
    """A `Reading` of an ONNX graph; its keys are the names of tensors.

    Attributes:
        graph: the graph.
        nodes_after: the nodes that read each tensor.
        edge_quantisers: by the name of the layer whose output they cast.
        weight_codes: by layer, the integers of its weights in the layer's own axes, and the quantiser they came from.
        batch_of: where the batch of an activation is.
        mask_of: tensors that stand for scores some of which are hidden: by row, the columns that are not, as bits.
    """

    graph: Graph
    nodes_after: dict[str, list[Node]]
    edge_quantisers: dict[str, TensorQuantiser] = field(default_factory=dict)
    weight_codes: dict[str, QuantisedConstant] = field(default_factory=dict)
    batch_of: dict[str, Batch] = field(default_factory=dict)
    mask_of: dict[str, tuple[int, ...] | None] = field(default_factory=dict)

    def place(self, node: Node) -> Place[str]:
        """The node as builders need to know it."""
        path, key = path_of(node), next(filter(None, node.outputs))
        return Place(
            key=key,
            operation=node.operation,
            where=node.where,
            path=path,
            is_module=bool(path),
            shape=self.shape(key, node),
        )

    def source(self, node: Node, index: int = 0) -> Layer:
        """The layer that makes an input of a node."""
        name = node.input(index)
        if name in self.mask_of and node.operation != "Softmax":
            raise NetworkError(
                f"{node.operation} of {node.where} reads scores with a mask: only a softmax can read them"
            )
        return self.producer(name, self.place(node))

    def batched(self, node: Node, index: int = 0) -> str:
        """The name of an input, whose batch must be on axis 0, as windows and channels want it."""
        name = node.input(index)
        if name in self.batch_of and self.batch_of[name].axis != 0:
            raise NetworkError(
                f"operation {node.operation} of {node.where} reads {name!r}, {list(self.sizes(name, node))}, whose "
                "axis 0 "
                "is no longer the batch: keep axis 0 as it is"
            )
        return name

    def shape(self, name: str, node: Node) -> tuple[int, ...]:
        """The shape of a tensor without its batch axis."""
        sizes = self.sizes(name, node)
        batch = self.batch_of.get(name)
        if batch is None or batch.axis is None:
            return sizes
        return sizes[: batch.axis] + sizes[batch.axis + 1 :]

    def axis(self, name: str, node: Node, place: int) -> int | None:
        """The layer's axis for an axis of a tensor, None for that of the batch."""
        batch, place = self.batch_of[name], place % max(len(self.sizes(name, node)), 1)
        if batch.axis is None:
            return place
        return None if place == batch.axis else place - (place > batch.axis)

    def sizes(self, name: str, node: Node) -> tuple[int, ...]:
        """The shape of a tensor with all axes.

        Raises:
            NetworkError: if it depends on the samples.
        """
        if name not in self.graph.shapes:
            raise NetworkError(
                f"the shape of {name!r} at {node.where} ({node.operation}) is not known before the network runs: only "
                "fixed shapes can be read; give samples, or fix the dynamic axes when the model is exported"
            )
        return self.graph.shapes[name]

    def is_constant(self, name: str) -> bool:
        """Whether a tensor is known."""
        return name in self.graph.constants

    def constant(self, node: Node, index: int, what: str) -> NDArray[np.float64] | None:
        """A constant input of a node, None if it is left out; what came through a quantiser is not rounded again.

        Raises:
            NetworkError: if it is computed from the samples.
        """
        name = node.input(index)
        if not name:
            return None
        if name not in self.graph.constants:
            raise NetworkError(
                f"the {what} of {node.where} ({node.operation}) is computed from the samples where a trained parameter "
                "is expected"
            )
        if name in self.graph.quantised:
            known = self.graph.quantised[name]
            return known.integers * known.quantiser.unit
        return np.asarray(self.graph.constants[name], dtype=np.float64)

    def required(self, node: Node, index: int, what: str) -> NDArray[np.float64]:
        """A constant input that may not be left out."""
        values = self.constant(node, index, what)
        if values is None:
            raise NetworkError(f"{node.where} ({node.operation}) has no {what}")
        return values

    def note_codes(self, layer: Layer, name: str, *, transpose: bool = False) -> None:
        """Remember the codes of a layer's weights, if the tensor came through a quantiser."""
        known = self.graph.quantised.get(name)
        if known is not None:
            integers = known.integers.T if transpose else known.integers
            self.weight_codes[layer.name] = type(known)(quantiser=known.quantiser, integers=integers)

    def quantise(self, node: Node, quantiser: TensorQuantiser) -> None:
        """Cast an activation: its edge gets the quantiser, or a layer of its own where that edge has another one."""
        place, source = self.place(node), self.source(node)
        target = self._decider(place.key, source)
        if target is None or target.name in self.edge_quantisers:
            if target is not None and self.edge_quantisers[target.name].does_the_same(quantiser):
                self.layer_of[place.key] = source.name
                return
            target = source = self.add(place, Activate(), (source,), fallback="quantise", shape=source.shape)
        self.edge_quantisers[target.name] = quantiser
        self.layer_of[place.key] = source.name

    def _decider(self, key: str, source: Layer) -> Layer | None:
        """The layer that decides the numbers that only ``key`` reads; None if anything else sees them uncast."""
        seen_by, reader = {key}, None
        while True:
            if source.name in self.edge_quantisers:
                return source
            if not super()._is_seen_by(seen_by, reader, source):
                return None
            if not isinstance(source.operation, MOVING_OPERATIONS):
                return source
            seen_by, reader = self.standing_for(source), source
            source = self.layers[source.inputs[0]]

    def _is_seen_by(self, keys: set[str], reader: Layer | None, source: Layer) -> bool:
        """What was cast stays as it is: nothing after the cast becomes part of the layer before it."""
        return source.name not in self.edge_quantisers and super()._is_seen_by(keys, reader, source)


def path_of(node: Node) -> str:
    """The name of a node as a path: ``/layer1/conv/Conv`` is ``layer1.conv``; empty for nodes without a name."""
    parts = [part for part in re.split(r"[/.]+", node.name) if part]
    if len(parts) > 1 and re.fullmatch(rf"{re.escape(node.operation)}(_\d+)?", parts[-1]):
        parts.pop()
    return ".".join(parts)


def attribute(node: Node, name: str, default: Any) -> Any:  # noqa: ANN401 - whatever the attribute holds
    """An attribute, or its default."""
    return node.attributes.get(name, default)
