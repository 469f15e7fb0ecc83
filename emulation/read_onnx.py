"""Read an ONNX file into a `Network`, and the quantisers in it into datapaths.

The file is parsed, never executed. Constants are folded and shapes inferred in one walk (`emulation.onnx_graph`),
functions that exporters spell out become one operation (`emulation.onnx_patterns`), and each operation becomes a layer
(`emulation.onnx_operations`) by the rules that every reader shares (`emulation.reading_rules`). What no table knows is
an error, never a guess.

Quantisers (QONNX's nodes, or pairs of QuantizeLinear and DequantizeLinear) are no layers: weights in the network are
those behind their quantisers, and `OnnxModel` holds what casts each edge and each weight tensor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from emulation.datapaths import Requantisation
from emulation.lowering import Assignment
from emulation.network import Input, Layer, Network, NetworkError
from emulation.onnx_batches import follow_batch
from emulation.onnx_files import load_model
from emulation.onnx_graph import graph_of
from emulation.onnx_operations import read_node
from emulation.onnx_patterns import combined
from emulation.onnx_reading import OnnxReading
from emulation.reading import Place
from emulation.rules import Rounding
from emulation.torch_graph import batch_on

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from emulation.onnx_quantisers import QuantisedConstant
    from emulation.quantisers import ScaledQuantiser


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxModel:
    """What an ONNX file says.

    Attributes:
        network: the layers, in real numbers; quantised weights are the numbers that their codes mean.
        edges: what casts each edge that a quantiser follows.
        weights: what made the weights of each layer that come through a quantiser.
    """

    network: Network
    edges: Mapping[str, ScaledQuantiser] = field(default_factory=dict)
    weights: Mapping[str, ScaledQuantiser] = field(default_factory=dict)

    @property
    def is_quantised(self) -> bool:
        """Whether the file has quantisers at all."""
        return bool(self.edges or self.weights)

    @property
    def rounding(self) -> Rounding:
        """How all edges but the input round; half to even if the file does not say.

        Raises:
            NetworkError: if they differ.
        """
        found = {
            quantiser.quantiser.rounding
            for edge, quantiser in self.edges.items()
            if not isinstance(self.network.by_name[edge].operation, Input)
        }
        if len(found) > 1:
            words = ", ".join(sorted(one.name for one in found))
            raise NetworkError(
                f"edges of network {self.network.name!r} round by {words}: hardware mode has one rounding"
            )
        return found.pop() if found else Rounding.HALF_EVEN

    def assignment(self, *, multiplier_bits: int = 16) -> Assignment:
        """The file's own design, for `emulation.lowering.lower`.

        Accumulators are exact and cast once to the next edge; scales that are no powers of two become multipliers of
        ``multiplier_bits``, so codes then agree with float executors but for ties and quotients next to them.

        Raises:
            NetworkError: if an edge or a weight tensor has no quantiser (all are named), or edges round differently.
        """
        network = self.network
        open_edges = [edge for edge in network.edges if edge not in self.edges]
        open_weights = [
            layer.name for layer in network.layers if layer.weight is not None and layer.name not in self.weights
        ]
        if open_edges or open_weights:
            raise NetworkError(
                f"network {network.name!r} has no quantiser for the outputs of {open_edges} and the weights of "
                f"{open_weights}: its own design is known if every tensor has one"
            )
        requantisation = Requantisation(multiplier_bits=multiplier_bits, rounding=self.rounding)
        return Assignment(edges=self.edges, weights=self.weights, requantisation=requantisation)


def read_onnx(path: Path, *, name: str, sample_shape: tuple[int, ...] | None = None) -> OnnxModel:
    """Read an ONNX file with one input and one output.

    Args:
        path: the file; external data lies in its folder.
        name: the network's name in reports.
        sample_shape: the shape of one sample, which fixes dynamic axes; None if the file fixes all but the batch.

    Returns:
        The network, whose layers have the names of the file's nodes, and its quantisers.

    Raises:
        NetworkError: for a file that is no sound model, an operation that cannot be read (named with its node and what
            can), dynamic shapes, or weights that are not numbers.
    """
    graph = combined(graph_of(load_model(path), sample_shape=sample_shape))
    nodes_after = graph.readers()
    reading = OnnxReading(
        name=name,
        readers_of=lambda tensor: [next(filter(None, node.outputs)) for node in nodes_after.get(tensor, ())],
        graph=graph,
        nodes_after=nodes_after,
    )
    start = Place(
        key=graph.input,
        operation="Input",
        where="the model's input",
        path="",
        is_module=False,
        shape=graph.shapes[graph.input][1:],
    )
    reading.add(start, Input(), (), fallback="input")
    reading.batch_of[graph.input] = batch_on(0, graph.shapes[graph.input])
    end = start
    for node in graph.nodes:
        follow_batch(reading, node)
        read_node(reading, node)
        end = reading.place(node)
    network = reading.network(reading.producer(graph.output, end))
    edges = set(network.edges)
    return OnnxModel(
        network=network,
        edges={
            layer: quantiser.scaled(quantiser.unit.reshape(-1))
            for layer, quantiser in reading.edge_quantisers.items()
            if layer in edges
        },
        weights={
            layer: _weight_quantiser(network.by_name[layer], known)
            for layer, known in reading.weight_codes.items()
            if layer in network.by_name
        },
    )


def _weight_quantiser(layer: Layer, known: QuantisedConstant) -> ScaledQuantiser:
    """The units of a layer's weights, whatever was folded into them since they were cast.

    Raises:
        NetworkError: if the weights are no longer codes times one unit per output.
    """
    weight = layer.weight
    if weight is None:
        raise NetworkError(f"layer {layer.name!r} has no weights")
    integers, rows = (values.reshape(weight.shape[0], -1) for values in (known.integers, weight))
    largest = np.abs(integers).argmax(axis=1)[:, None]
    codes, values = (np.take_along_axis(each, largest, axis=1)[:, 0] for each in (integers, rows))
    any_unit = np.full(codes.shape, float(known.quantiser.unit.reshape(-1)[0]))  # for rows that are all zero
    ratios = np.divide(values, codes, out=any_unit, where=codes != 0)
    if not np.allclose(rows, integers * ratios[:, None], rtol=1e-9, atol=0.0):
        raise NetworkError(
            f"the weights of layer {layer.name!r} have scales of shape {known.quantiser.scale.shape}: only one for the "
            "tensor, or one per output, can be read"
        )
    units = np.abs(ratios)
    is_one = np.allclose(units, units[0], rtol=1e-12, atol=0.0)
    quantiser = known.quantiser.scaled(units[:1] if is_one else units)
    if not np.array_equal(quantiser.integers(weight).reshape(integers.shape), integers * np.sign(ratios)[:, None]):
        raise NetworkError(
            f"the codes of layer {layer.name!r} do not fit {quantiser.format} once a factor below 0 (of a batch norm) "
            "is "
            "folded into them: quantise the weights with narrow=1, or fold the batch norm before training"
        )
    return quantiser
