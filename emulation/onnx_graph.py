"""An ONNX graph as plain data: nodes in order, constants folded, every shape known.

One walk in topological order does all three at once, because shapes decide constants (Shape, Gather, Concat, ...) and
constants decide shapes (Reshape, Slice, Pad, ...). Constants are folded by ONNX's own reference evaluator, operation by
operation, and only operations of `FOLDABLE`: numbers in, numbers out, with a size that is known beforehand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.network import NetworkError
from emulation.onnx_checks import check_names, check_node, check_single, check_window, input_shape, sample_type
from emulation.onnx_order import in_order
from emulation.onnx_quantisers import (
    QuantisedConstant,
    TensorQuantiser,
    is_bipolar,
    linear_quantiser,
    quantised,
    quantiser_of,
)
from emulation.onnx_values import array_of, attributes_of, constant_value, evaluated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TypeProto, ValueInfoProto

FOLDABLE: Final = frozenset({
    *("Abs", "Add", "And", "Cast", "CastLike", "Ceil", "Clip", "Concat", "ConstantOfShape", "CumSum", "Div", "Equal"),
    *("Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "Gemm", "Greater", "GreaterOrEqual"),
    *("Identity", "Less", "LessOrEqual", "Log", "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pad", "Pow"),
    *("QuantizeLinear", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"),
    *("Reshape", "Round", "ScatterND", "Sigmoid", "Sign", "Slice", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Tile"),
    *("Transpose", "Trilu", "Unsqueeze", "Where"),
})  # fmt: skip
"""Operations that are computed once, when all their inputs are constants."""
_MOVING: Final = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Those that keep the codes of a quantised constant."""
STANDARD_DOMAINS: Final = frozenset({"", "ai.onnx"})
QUANTISER_DOMAINS: Final = frozenset({"qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"})
QUANTISERS: Final = frozenset({"Quant", "IntQuant", "FloatQuant", "BipolarQuant"})
"""Quantisers of QONNX; they keep the shape of their first input."""
QUANTISE: Final = "Quantise"
"""The operation of nodes that stand for a quantiser of activations, whichever way the file writes it; the attribute
``quantiser`` says what it does."""
_KNOWN_TO_INFERENCE: Final = 4096
"""Constants of at most so many numbers are shown to shape inference, which wants shapes, axes, pads and the like."""
_LARGEST_FOLDED: Final = 1 << 24
"""Constants may grow to so many numbers when they are folded, or stay as large as they were given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operation. ``inputs`` that are left out are the empty name."""

    operation: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def input(self, place: int) -> str:
        """The name of an input, empty if it is left out."""
        return self.inputs[place] if place < len(self.inputs) else ""

    @property
    def where(self) -> str:
        """The node in words, for messages."""
        return f"node {self.name!r}" if self.name else f"the node that makes {next(filter(None, self.outputs), '')!r}"


@dataclass(slots=True, kw_only=True)
class Graph:
    """Nodes in topological order, and what is known of their tensors.

    Attributes:
        input: the tensor of samples.
        output: the result.
        opset: the version of ONNX's operators.
        nodes: all that are no constants.
        shapes: of every tensor, the batch axis first.
        constants: the tensors that are known.
        quantised: those of them that came through a quantiser, as it made them.
    """

    input: str
    output: str
    opset: int
    nodes: list[Node] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    quantised: dict[str, QuantisedConstant] = field(default_factory=dict)

    def with_nodes(self, nodes: Sequence[Node]) -> Graph:
        """The same graph of other nodes, in order, without those that the output does not need."""
        needed, kept = {self.output}, []
        for node in reversed(nodes):
            if needed.intersection(node.outputs):
                needed.update(node.inputs)
                kept.append(node)
        return replace(self, nodes=kept[::-1])

    def readers(self) -> dict[str, list[Node]]:
        """The nodes that read each tensor."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(filter(None, node.inputs)):
                found.setdefault(name, []).append(node)
        return found


def graph_of(model: ModelProto, *, sample_shape: tuple[int, ...] | None) -> Graph:
    """The graph of a model with everything folded that does not depend on samples.

    Args:
        model: as `emulation.onnx_files.load_model` gives it.
        sample_shape: the shape of one sample, for models with dynamic axes; None if the model knows it.

    Raises:
        NetworkError: for a graph that is no graph (a cycle, a missing or doubled tensor), several inputs or outputs,
            axes of unknown size, operations whose inputs do not fit, or constants that are not numbers.
    """
    return _Walk(model, sample_shape).graph


class _Walk:
    """The walk over a model's nodes."""

    def __init__(self, model: ModelProto, sample_shape: tuple[int, ...] | None) -> None:
        opsets = {one.domain: one.version for one in model.opset_import}
        opset = next((opsets[domain] for domain in STANDARD_DOMAINS if domain in opsets), None)
        if opset is None:
            raise NetworkError("the model does not say which version of ONNX's operators it uses: export it again")
        check_names(model)
        self._model = model
        self._types: dict[str, TypeProto] = {}
        self._maker: dict[str, Node] = {}
        self._bounds: dict[str, tuple[int, int]] = {}
        initial = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in initial]
        check_single("input", inputs)
        check_single("output", model.graph.output)
        self.graph = Graph(input=inputs[0].name, output=model.graph.output[0].name, opset=opset)
        self._read_constants()
        self._place(inputs[0], sample_shape)
        for proto in in_order(model, known={self.graph.input, *self.graph.constants}):
            self._visit(proto)

    def _read_constants(self) -> None:
        if self._model.graph.sparse_initializer:
            raise NetworkError("sparse initialisers cannot be read: store the weights as dense tensors")
        for tensor in self._model.graph.initializer:
            self._know(tensor.name, array_of(tensor, tensor.name))

    def _place(self, given: ValueInfoProto, sample_shape: tuple[int, ...] | None) -> None:
        """The input with a batch of one."""
        from onnx import helper

        kind = sample_type(given)
        shape = input_shape(given, sample_shape)
        self.graph.shapes[given.name] = shape
        self._types[given.name] = helper.make_tensor_type_proto(kind, shape)

    def _know(self, name: str, values: NDArray[Any]) -> None:
        from onnx import helper

        if values.dtype.kind == "f" and np.isnan(values).any():
            place = ", ".join(map(str, np.argwhere(np.isnan(values))[0]))
            raise NetworkError(
                f"{name}[{place}] is nan, one of {int(np.isnan(values).sum())} in this tensor of {values.size}: all "
                "weights must be numbers. Check the training run or the file"
            )
        self.graph.constants[name] = values
        self.graph.shapes[name] = values.shape
        self._types[name] = helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)

    def _visit(self, proto: NodeProto) -> None:
        check_node(proto, self.graph.opset)
        node = _node(proto)
        if node.operation == "Constant":
            self._know(node.outputs[0], constant_value(proto))
        elif node.operation in ("Shape", "Size") and node.inputs[0] in self.graph.shapes:
            self._know(node.outputs[0], self._shape_value(node))
        elif node.operation in QUANTISERS:
            self._quantiser(node)
        else:
            self._infer(proto, node)
            if node.operation == "DequantizeLinear":
                self._dequantiser(node)
            elif node.operation in FOLDABLE and self._is_known(node) and self._is_bounded(node):
                self._fold(proto, node)
            else:
                self._append(node)

    def _append(self, node: Node) -> None:
        self.graph.nodes.append(node)
        self._maker.update(dict.fromkeys(node.outputs, node))

    def _is_known(self, node: Node) -> bool:
        return all(name in self.graph.constants for name in node.inputs if name)

    def _quantiser(self, node: Node) -> None:
        """A quantiser of QONNX: of a constant, or of an activation."""
        source, target = node.inputs[0], node.outputs[0]
        if source in self.graph.constants:
            self.graph.quantised[target] = quantised(node, self.graph.constants)
            self._know(target, self.graph.quantised[target].values)
            return
        if is_bipolar(node, self.graph.constants):
            raise NetworkError(
                f"{node.where} makes activations of -1 and 1, and formats have a 0: only weights can be bipolar"
            )
        self._have(target, self._types.get(source))
        self._append_quantiser(node, source, quantiser_of(node, self.graph.constants))

    def _append_quantiser(self, node: Node, source: str, quantiser: TensorQuantiser) -> None:
        if quantiser.scale.size != 1:
            raise NetworkError(
                f"{node.where} has {quantiser.scale.size} scales for activations: one for the whole tensor can be read"
            )
        name = node.name.removesuffix(f"/{node.operation}")
        attributes = {"quantiser": quantiser}
        self._append(
            Node(operation=QUANTISE, name=name, inputs=(source,), outputs=node.outputs[:1], attributes=attributes)
        )

    def _dequantiser(self, node: Node) -> None:
        """Codes that are constants, or that a QuantizeLinear before makes."""
        constants, source, target = self.graph.constants, node.inputs[0], node.outputs[0]
        if source in constants:
            codes = constants[source]
            bounds = self._bounds.get(source)
            quantiser = linear_quantiser(node, constants, dtype=codes.dtype, rank=codes.ndim, bounds=bounds)
            steps = np.ldexp(codes.astype(np.float64) - quantiser.zero_point, -quantiser.format.unit_exponent)
            self.graph.quantised[target] = QuantisedConstant(quantiser=quantiser, integers=steps)
            self._know(target, self.graph.quantised[target].values)
            return
        before, bounds = self._maker.get(source), None
        if before is not None and before.operation == "Clip" and all(name in constants for name in before.inputs[1:3]):
            low, high = (constants[name] for name in before.inputs[1:3])
            bounds, before = (int(low), int(high)), self._maker.get(before.inputs[0])
        if before is None or before.operation != "QuantizeLinear":
            raise NetworkError(
                f"{node.where} reads {source!r}, which no QuantizeLinear makes: export the model with pairs of "
                "QuantizeLinear and DequantizeLinear (QDQ), or in float"
            )
        dtype = self._dtype(source)
        rank = len(self.graph.shapes.get(source, ()))
        first, second = (
            linear_quantiser(one, constants, dtype=dtype, rank=rank, bounds=bounds) for one in (before, node)
        )
        if not first.does_the_same(second):
            raise NetworkError(f"{before.where} and {node.where} differ in scale or zero point: they must be a pair")
        self._append_quantiser(node, before.inputs[0], first)

    def _dtype(self, name: str) -> np.dtype[Any]:
        from onnx import helper

        return helper.tensor_dtype_to_np_dtype(self._types[name].tensor_type.elem_type)

    def _shape_value(self, node: Node) -> NDArray[np.int64]:
        shape = np.array(self.graph.shapes[node.inputs[0]], dtype=np.int64)
        if node.operation == "Size":
            return np.array(int(np.prod(shape)), dtype=np.int64)
        return shape[node.attributes.get("start", 0) : node.attributes.get("end", len(shape))]

    def _infer(self, proto: NodeProto, node: Node) -> None:
        """The shapes of a node's outputs; those that are not known stay out, and whoever reads them says so."""
        import onnx

        if proto.domain not in STANDARD_DOMAINS or any(name and name not in self._types for name in node.inputs):
            return
        version = self.graph.opset
        check_window(proto, self.graph.shapes)
        constants = self.graph.constants
        small = {
            name: onnx.numpy_helper.from_array(constants[name], name)
            for name in proto.input
            if name in constants and constants[name].size <= _KNOWN_TO_INFERENCE
        }
        try:
            schema = onnx.defs.get_schema(proto.op_type, version, "")
            types = {name: self._types[name] for name in proto.input if name}
            inferred = onnx.shape_inference.infer_node_outputs(
                schema, proto, types, small, opset_imports=[onnx.helper.make_opsetid("", version)]
            )
        except Exception as error:  # the checker behind it has errors of many classes
            given = {name: list(self.graph.shapes[name]) for name in proto.input if name in self.graph.shapes}
            reason = " ".join(str(error).split())
            raise NetworkError(
                f"operation {proto.op_type} of {node.where} does not fit its inputs {given} (opset {version}): {reason}"
            ) from error
        for name in proto.output:
            self._have(name, inferred.get(name))

    def _have(self, name: str, found: TypeProto | None) -> None:
        if found is None or not name:
            return
        self._types[name] = found
        tensor = found.tensor_type
        if tensor.HasField("shape") and all(one.HasField("dim_value") for one in tensor.shape.dim):
            self.graph.shapes[name] = tuple(int(one.dim_value) for one in tensor.shape.dim)

    def _is_bounded(self, node: Node) -> bool:
        given = max((self.graph.constants[name].size for name in node.inputs if name), default=0)
        shapes = [self.graph.shapes.get(name) for name in node.outputs if name]
        return all(shape is not None and math.prod(shape) <= max(given, _LARGEST_FOLDED) for shape in shapes)

    def _fold(self, proto: NodeProto, node: Node) -> None:
        constants = [self.graph.constants.get(name) for name in node.inputs]
        for name, values in zip(node.outputs, evaluated(proto, constants, self.graph.opset), strict=False):
            if name:
                self._know(name, np.asarray(values))
        source, target = node.input(0), node.outputs[0]
        if node.operation == "Clip" and constants[0] is not None and constants[0].dtype.kind not in "f":
            self._bounds[target] = _ends(constants)
        if node.operation in _MOVING and source in self.graph.quantised:
            known = self.graph.quantised[source]
            (integers,) = evaluated(proto, [known.integers.astype(np.float32), *constants[1:]], self.graph.opset)
            moved = QuantisedConstant(quantiser=known.quantiser, integers=integers.astype(np.float64))
            self.graph.quantised[target] = moved


def _ends(constants: Sequence[NDArray[Any] | None]) -> tuple[int, int]:
    """The bounds of a Clip of integers; one that is left out is beyond every format."""
    low, high = (*constants[1:3], None, None)[:2]
    return (-(1 << 40) if low is None else int(low), 1 << 40 if high is None else int(high))


def _node(proto: NodeProto) -> Node:
    is_quantiser = proto.domain in QUANTISER_DOMAINS and proto.op_type in QUANTISERS
    is_standard = proto.domain in STANDARD_DOMAINS and proto.op_type not in QUANTISERS
    return Node(
        operation=proto.op_type if is_quantiser or is_standard else f"{proto.domain}.{proto.op_type}",
        name=proto.name,
        inputs=tuple(proto.input),
        outputs=tuple(proto.output),
        attributes=attributes_of(proto),
    )
