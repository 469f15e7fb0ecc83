"""ONNX models made by hand, and what onnxruntime computes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.float_execution import run_float
from emulation.read_onnx import OnnxModel, read_onnx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto, NodeProto

    from emulation.network import Network

QONNX = "qonnx.custom_op.general"


def op(kind: str, inputs: str, output: str, **settings: Any) -> NodeProto:
    """A node named after its output; inputs are words, ``-`` is one that is left out."""
    from onnx import helper

    given, made = (["" if name == "-" else name for name in text.split()] for text in (inputs, output))
    return helper.make_node(kind, given, made, name=f"/{next(filter(None, made))}/{kind}", **settings)


def quantiser(kind: str, inputs: str, output: str, **settings: Any) -> NodeProto:
    """A node of QONNX."""
    return op(kind, inputs, output, domain=QONNX, **settings)


def model_of(
    nodes: Sequence[NodeProto],
    shape: Sequence[int | str],
    constants: Mapping[str, Any] | None = None,
    *,
    opset: int = 17,
    result: Sequence[int | str] | None = None,
) -> ModelProto:
    """A model from ``x`` to ``y``; ``shape`` is that of a sample and lists of numbers are float32."""
    from onnx import TensorProto, helper, numpy_helper

    arrays = {
        name: np.asarray(values, dtype=None if isinstance(values, np.ndarray | np.generic) else np.float32)
        for name, values in (constants or {}).items()
    }
    graph = helper.make_graph(
        list(nodes),
        "made by hand",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, result)],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in arrays.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(QONNX, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def written(model: ModelProto, folder: Path) -> Path:
    """The file of a model."""
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def read(model: ModelProto, folder: Path) -> OnnxModel:
    """A model through its file."""
    return read_onnx(written(model, folder), name="net")


def samples_of(network: Network, count: int = 3) -> np.ndarray:
    """Random samples of a network's shape."""
    shape = (count, *network.layers[0].shape)
    return np.random.default_rng(1).normal(scale=2, size=shape).astype(np.float32)


def onnxruntime_results(path: Path, samples: np.ndarray) -> np.ndarray:
    """What onnxruntime computes, sample by sample."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: one[None]})[0].reshape(1, -1) for one in samples])


def largest_difference(path: Path, network: Network) -> float:
    """Between onnxruntime and the network that was read, relative to the results where they are above 1."""
    samples = samples_of(network)
    expected = onnxruntime_results(path, samples)
    found = run_float(network, samples)[network.output].numpy().reshape(expected.shape)
    return float((np.abs(found - expected) / np.maximum(np.abs(expected), 1)).max())


def words(network: Network) -> str:
    """The layers behind the input, as ``name:kind``."""
    return " ".join(f"{layer.name}:{layer.kind}" for layer in network.layers[1:])


def qonnx_results(path: Path, samples: np.ndarray) -> np.ndarray:
    """What QONNX's own executor computes, sample by sample."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    wrapper = ModelWrapper(str(path))
    first, last = wrapper.graph.input[0].name, wrapper.graph.output[0].name
    wrapper.set_tensor_shape(first, [1, *samples.shape[1:]])
    wrapper = wrapper.transform(InferShapes())
    return np.concatenate([execute_onnx(wrapper, {first: one[None]})[last].reshape(1, -1) for one in samples])
