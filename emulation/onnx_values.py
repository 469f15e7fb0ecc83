"""Numbers in ONNX files: attributes, tensors, constants, and operations on constants."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.network import NetworkError
from emulation.onnx_files import MAXIMUM_ELEMENTS
from emulation.onnx_order import label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import NodeProto, TensorProto

    from emulation.onnx_graph import Node


def attributes_of(proto: NodeProto) -> dict[str, Any]:
    """The attributes of a node, text as text.

    Raises:
        NetworkError: for an attribute without a type.
    """
    from onnx import helper

    found = {}
    for attribute in proto.attribute:
        try:
            value = helper.get_attribute_value(attribute)
        except ValueError as error:
            raise NetworkError(f"attribute {attribute.name!r} of {label(proto)} cannot be read: {error}") from error
        found[attribute.name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return found


def array_of(tensor: TensorProto, name: str) -> NDArray[Any]:
    """The numbers of a tensor, which messages call ``name``.

    Raises:
        NetworkError: if it is too large, or its data does not fit its shape.
    """
    from onnx import numpy_helper

    if math.prod(tensor.dims) > MAXIMUM_ELEMENTS or min(tensor.dims, default=0) < 0:
        raise NetworkError(
            f"tensor {name!r} has shape {list(tensor.dims)}: at most {MAXIMUM_ELEMENTS} numbers are read"
        )
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:  # a damaged tensor fails in many ways
        raise NetworkError(f"tensor {name!r}, {list(tensor.dims)}, is damaged: {error}") from error


def constant_value(proto: NodeProto) -> NDArray[Any]:
    """The value of a Constant node, in whichever attribute it is."""
    attributes = attributes_of(proto)
    if "value" in attributes:
        return array_of(attributes["value"], proto.output[0])
    for name, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        for key in (name, f"{name}s"):
            if key in attributes:
                return np.array(attributes[key], dtype=dtype)
    raise NetworkError(f"{label(proto)} holds no dense numbers: only constants of numbers can be read")


def evaluated(proto: NodeProto, inputs: Sequence[NDArray[Any] | None], opset: int) -> list[NDArray[Any]]:
    """The outputs of one standard operation for known inputs, by ONNX's reference evaluator.

    Raises:
        NetworkError: if the inputs do not fit.
    """
    known = {name: values for name, values in zip(proto.input, inputs, strict=True) if name and values is not None}
    return _run([proto], known, [name for name in proto.output if name], opset)


def executed(nodes: Sequence[Node], known: Mapping[str, NDArray[Any]], output: str, opset: int) -> NDArray[Any]:
    """One tensor of a few standard operations for known others.

    Raises:
        NetworkError: if they do not fit.
    """
    from onnx import helper

    protos = [helper.make_node(one.operation, one.inputs, one.outputs, **one.attributes) for one in nodes]
    return np.asarray(_run(protos, known, [output], opset)[0])


def _run(
    protos: Sequence[NodeProto], known: Mapping[str, NDArray[Any]], outputs: Sequence[str], opset: int
) -> list[NDArray[Any]]:
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    unknown = TensorProto.UNDEFINED
    inputs, results = (
        [helper.make_tensor_value_info(name, unknown, None) for name in names] for names in (known, outputs)
    )
    graph = helper.make_graph(list(protos), "constants", inputs, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    try:
        return list(ReferenceEvaluator(model).run(None, dict(known)))
    except Exception as error:  # numpy's and the evaluator's own errors are of many classes
        shapes = {name: list(values.shape) for name, values in known.items()}
        raise NetworkError(
            f"{label(protos[-1])} cannot be computed from constants of shapes {shapes}: {error}"
        ) from error
