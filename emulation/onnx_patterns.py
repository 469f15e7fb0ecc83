"""Functions that exporters write as several operations: GELU, SiLU, layer norm, leaky ReLU and their like.

A group of operations that starts from one tensor is recognised by what it computes and not by how it is written: it is
executed, and its numbers are compared with those of each known function. So every spelling is read alike, and what is
close to a function, such as GELU with another factor, is not taken for it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.network import NetworkError
from emulation.onnx_graph import Graph, Node
from emulation.onnx_reading import path_of
from emulation.onnx_values import executed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Values = NDArray[np.float64]

_POINTWISE: Final = frozenset({
    *("Abs", "Add", "Clip", "Div", "Erf", "Exp", "HardSigmoid", "Max", "Min", "Mul", "Neg", "Pow", "Reciprocal"),
    *("Relu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Tanh"),
})  # fmt: skip
_ROOTS: Final = frozenset({"Add", "Clip", "Div", "Max", "Min", "Mul", "Sub"})
"""What the last operation of such a group can be."""
_MOST_NODES: Final = 20
_POINTS: Final = np.linspace(-12.0, 12.0, 2401)
_TOLERANCE: Final = 1e-5
"""Constants of files are float32; the erf and tanh forms of GELU differ by 5e-4."""


def combined(graph: Graph) -> Graph:
    """The graph with every known function as one node; what nothing reads any more is left out.

    The node of a function has ONNX's name of it: ``Gelu``, ``LayerNormalization``, ``Clip``, ``LeakyRelu``; and
    ``Silu``, which older versions of ONNX do not have.
    """
    maker = {name: (place, node) for place, node in enumerate(graph.nodes) for name in node.outputs if name}
    found = [_function_of(graph, maker, node) or node for node in graph.nodes]
    return graph.with_nodes(found)


def _function_of(graph: Graph, maker: dict[str, tuple[int, Node]], root: Node) -> Node | None:
    if root.operation not in _ROOTS or root.outputs[0] not in graph.shapes:
        return None
    for source, group in _groups(graph, maker, root):
        if len(group) < 2 or graph.shapes.get(source) != graph.shapes[root.outputs[0]]:
            continue
        is_norm = any(node.operation == "ReduceMean" for node in group)
        known = _layer_norm(graph, source, group, root) if is_norm else _pointwise(graph, source, group, root)
        if known is not None:
            operation, attributes = known
            return Node(
                operation=operation, name=path_of(root), inputs=(source,), outputs=root.outputs, attributes=attributes
            )
    return None


def _groups(graph: Graph, maker: dict[str, tuple[int, Node]], root: Node) -> Iterator[tuple[str, list[Node]]]:
    """Groups of operations that end in ``root`` and start from one tensor, the smallest first."""
    group: dict[int, Node] = {}
    tensors = {root.outputs[0]}
    while len(group) < _MOST_NODES:
        latest = max(tensors, key=lambda name: maker[name][0] if name in maker else -1)
        if latest not in maker:
            return
        place, node = maker[latest]
        constants = [name for name in node.inputs if name in graph.constants]
        is_mean = node.operation == "ReduceMean"
        if node.operation not in _POINTWISE and not is_mean:
            return
        if not is_mean and any(graph.constants[name].size != 1 for name in constants):
            return
        group[place] = node
        tensors.remove(latest)
        tensors.update(name for name in node.inputs if name and name not in graph.constants)
        if len(tensors) == 1:
            yield next(iter(tensors)), [group[key] for key in sorted(group)]


def _computed(graph: Graph, source: str, group: list[Node], root: Node, values: Values) -> Values | None:
    names = {name for node in group for name in node.inputs if name in graph.constants}
    constants = {name: graph.constants[name] for name in names}
    widened = {name: one.astype(np.float64) if one.dtype.kind == "f" else one for name, one in constants.items()}
    try:
        with np.errstate(all="ignore"):
            found = executed(group, {source: values, **widened}, root.outputs[0], graph.opset)
    except NetworkError:  # types or shapes that only this test gives it
        return None
    return found if found.shape == values.shape and np.isfinite(found).all() else None


def _pointwise(graph: Graph, source: str, group: list[Node], root: Node) -> tuple[str, dict[str, Any]] | None:
    values = _POINTS
    found = _computed(graph, source, group, root, values)
    if found is None:
        return None
    erf = np.vectorize(math.erf)
    sigmoid = 1 / (1 + np.exp(-values))
    highest, slope = float(found[-1]), float(found[0] / values[0])
    inner = math.sqrt(2 / math.pi) * (values + 0.044715 * values**3)
    known: list[tuple[str, dict[str, Any], Values]] = [
        ("Silu", {}, values * sigmoid),
        ("Gelu", {}, values / 2 * (1 + erf(values / math.sqrt(2)))),
        ("Gelu", {"approximate": "tanh"}, values / 2 * (1 + np.tanh(inner))),
        ("Sigmoid", {}, sigmoid),
        ("Tanh", {}, np.tanh(values)),
        ("Relu", {}, np.maximum(values, 0)),
        ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, np.clip(values / 6 + 0.5, 0, 1)),
        ("HardSwish", {}, values * np.clip(values / 6 + 0.5, 0, 1)),
        ("Clip", {"min": 0.0, "max": highest}, np.clip(values, 0, max(highest, 0.0))),
        ("LeakyRelu", {"alpha": slope}, np.where(values < 0, slope * values, values)),
    ]
    for operation, attributes, expected in known:
        if np.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE):
            return operation, attributes
    return None


def _layer_norm(graph: Graph, source: str, group: list[Node], root: Node) -> tuple[str, dict[str, Any]] | None:
    """A normalisation over the last axis; its epsilon is one of the constants of the group."""
    features = graph.shapes[source][-1]
    if features < 2:
        return None
    shape = (*(min(size, 2) for size in graph.shapes[source][:-1]), features)
    values = np.random.default_rng(1).normal(loc=0.02, scale=0.03, size=shape)
    found = _computed(graph, source, group, root, values)
    if found is None:
        return None
    centred = values - values.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    constants = [graph.constants[name] for node in group for name in node.inputs if name in graph.constants]
    for epsilon in {float(one.reshape(-1)[0]) for one in constants if one.size == 1}:
        if epsilon > 0 and np.allclose(found, centred / np.sqrt(variance + epsilon), rtol=_TOLERANCE, atol=_TOLERANCE):
            return "LayerNormalization", {"axis": -1, "epsilon": epsilon}
    return None
