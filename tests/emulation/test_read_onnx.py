"""Every readable ONNX operation: the same numbers as onnxruntime, and the layers that are expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emulation.network import NetworkError, PRelu, Relu
from emulation.onnx_operations import READABLE_OPERATIONS
from tests.emulation.onnx_models import largest_difference, model_of, op, read, words, written
from tests.missing_tools import foreign

if TYPE_CHECKING:
    from collections.abc import Sequence

foreign("onnx", "pip install onnx==1.21.0")
foreign("onnxruntime", "pip install onnxruntime==1.25.1")

TOLERANCE = 1e-5


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.6, 0.6, size=shape).astype(np.float32)


def integers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@dataclass(frozen=True)
class Case:
    """A graph from x to y, the shape of a sample, its constants, and the layers that are expected."""

    name: str
    nodes: Sequence[Any]
    shape: tuple[int, ...]
    layers: str
    constants: dict[str, Any] = field(default_factory=dict)
    opset: int = 17


IMAGE, SIGNAL, TOKENS = (4, 6, 5), (4, 9), (5, 6)
CONV = {"w": numbers(3, 4, 3, 2), "b": numbers(3)}
POINT = {"w": numbers(4, 4, 1, 1), "b": numbers(4)}
CHANNELS = {name: np.abs(numbers(3, seed=place)) + 0.1 for place, name in enumerate("gomv")}
NORM = [
    op("ReduceMean", "x", "m", axes=[-1]),
    op("Sub", "x m", "d"),
    op("Pow", "d two", "s"),
    op("ReduceMean", "s", "v", axes=[-1]),
    op("Add", "v eps", "e"),
    op("Sqrt", "e", "r"),
    op("Div", "d r", "n"),
    op("Mul", "n gain", "p"),
    op("Add", "p offset", "y"),
]
CASES = [
    Case("conv", [op("Conv", "x w b", "y")], IMAGE, "y:convolution", CONV),
    Case("no bias", [op("Conv", "x w", "y", pads=[1, 0, 2, 1], strides=[2, 1])], IMAGE, "y:convolution", CONV),
    Case("same upper", [op("Conv", "x w", "y", auto_pad="SAME_UPPER")], IMAGE, "y:convolution", CONV),
    Case("same lower", [op("Conv", "x w", "y", auto_pad="SAME_LOWER", strides=[2, 2])], IMAGE, "y:convolution", CONV),
    Case("1-D", [op("Conv", "x w", "y", dilations=[2], pads=[1, 2])], SIGNAL, "y:convolution", {"w": numbers(2, 4, 3)}),
    Case("depthwise", [op("Conv", "x w", "y", group=4)], IMAGE, "y:depthwise", {"w": numbers(8, 1, 3, 3)}),
    Case("grouped", [op("Conv", "x w", "y", group=2)], IMAGE, "y:convolution", {"w": numbers(6, 2, 3, 3)}),
    Case("gemm", [op("Gemm", "x w b", "y", transB=1)], (6,), "y:linear", {"w": numbers(3, 6), "b": numbers(3)}),
    Case(
        "gemm with factors",
        [op("Gemm", "x w b", "y", alpha=0.5, beta=2.0)],
        (6,),
        "y:linear",
        {"w": numbers(6, 3), "b": numbers(1)},
    ),
    Case(
        "matmul and bias",
        [op("MatMul", "x w", "p"), op("Add", "b p", "y")],
        TOKENS,
        "p:linear",
        {"w": numbers(6, 3), "b": numbers(3)},
    ),
    Case(
        "batch norm",
        [op("Conv", "x w", "p"), op("BatchNormalization", "p g o m v", "y", epsilon=0.01)],
        IMAGE,
        "p:convolution",
        CONV | CHANNELS,
    ),
    Case(
        "batch norm alone",
        [op("BatchNormalization", "x g o m v", "y")],
        (3, 4, 4),
        "y:depthwise",
        CHANNELS,
    ),
    Case("normalised samples", [op("Sub", "x a", "p"), op("Div", "p s", "y")], IMAGE, "p:depthwise",
         {"a": numbers(4, 1, 1), "s": np.abs(numbers(4, 1, 1)) + 0.5}),
    Case("relu", [op("Conv", "x w", "p"), op("Relu", "p", "y")], IMAGE, "p:convolution", CONV),
    Case("clip", [op("Conv", "x w", "p"), op("Clip", "p l h", "y")], IMAGE, "p:convolution",
         CONV | {"l": 0.0, "h": 1.5}),
    Case("clip of version 6", [op("Clip", "x", "y", min=0.0, max=6.0)], IMAGE, "y:activate", opset=10),
    Case("no clip", [op("Clip", "x", "p"), op("Relu", "p", "y")], IMAGE, "y:activate"),
    Case("leaky relu", [op("LeakyRelu", "x", "y", alpha=0.2)], IMAGE, "y:activate"),
    Case("prelu", [op("PRelu", "x s", "y")], IMAGE, "y:activate", {"s": numbers(4, 1, 1)}),
    Case("sigmoid", [op("Sigmoid", "x", "y")], IMAGE, "y:activate"),
    Case("tanh", [op("Tanh", "x", "y")], IMAGE, "y:activate"),
    Case("hard sigmoid", [op("HardSigmoid", "x", "y", alpha=1 / 6, beta=0.5)], IMAGE, "y:activate"),
    Case("hard swish", [op("HardSwish", "x", "y")], IMAGE, "y:activate"),
    Case("gelu", [op("Gelu", "x", "y")], IMAGE, "y:activate", opset=20),
    Case("gelu by tanh", [op("Gelu", "x", "y", approximate="tanh")], IMAGE, "y:activate", opset=20),
    Case("softmax", [op("Softmax", "x", "y")], TOKENS, "y:softmax"),
    Case("softmax of version 11", [op("Softmax", "x", "y")], (6,), "y:softmax", opset=11),
    Case("layer norm", [op("LayerNormalization", "x g b", "y", epsilon=0.01)], TOKENS, "y:layernorm",
         {"g": numbers(6), "b": numbers(6, seed=1)}),
    Case("written layer norm", NORM, TOKENS, "n:layernorm",
         {"two": 2.0, "eps": 1e-3, "gain": numbers(6), "offset": numbers(6, seed=1)}),
    Case("written silu", [op("Sigmoid", "x", "s"), op("Mul", "s x", "y")], IMAGE, "y:activate"),
    Case(
        "written gelu",
        [op("Div", "x r", "p"), op("Erf", "p", "q"), op("Add", "q one", "s"), op("Mul", "x s", "t"),
         op("Mul", "t half", "y")],
        IMAGE,
        "y:activate",
        {"r": 2**0.5, "one": 1.0, "half": 0.5},
    ),
    Case(
        "written hard swish",
        [op("Add", "x three", "p"), op("Clip", "p zero six", "q"), op("Mul", "x q", "s"), op("Div", "s six", "y")],
        IMAGE,
        "y:activate",
        {"three": 3.0, "zero": 0.0, "six": 6.0},
    ),
    Case("written leaky relu", [op("Mul", "x s", "p"), op("Max", "p x", "y")], IMAGE, "y:activate", {"s": 0.1}),
    Case("relu by a maximum", [op("Max", "x z", "p"), op("Min", "p c", "y")], IMAGE, "y:activate",
         {"z": 0.0, "c": 4.0}),
    Case("residual", [op("Conv", "x w b", "p"), op("Add", "x p", "y")], IMAGE, "p:convolution y:add", POINT),
    Case(
        "squeeze and excite",
        [op("GlobalAveragePool", "x", "p"), op("Conv", "p w b", "q"), op("Sigmoid", "q", "s"), op("Mul", "x s", "y")],
        IMAGE,
        "p:averagepool q:convolution s:activate y:multiply",
        POINT,
    ),
    Case("factor", [op("Conv", "x w", "p"), op("Mul", "p f", "y")], IMAGE, "p:convolution", CONV | {"f": -0.3}),
    Case("constant minus a result", [op("Conv", "x w b", "p"), op("Sub", "c p", "y")], IMAGE, "p:convolution",
         CONV | {"c": numbers(3, 1, 1)}),
    Case("concatenation", [op("Conv", "x w b", "p"), op("Concat", "x p", "y", axis=-3)], IMAGE,
         "p:convolution y:concat", POINT),
    Case("pools", [op("MaxPool", "x", "p", kernel_shape=[2, 2]), op("AveragePool", "p", "y", kernel_shape=[3, 1])],
         IMAGE, "p:maxpool y:averagepool"),
    Case("global pools", [op("GlobalMaxPool", "x", "y")], IMAGE, "y:maxpool"),
    Case("global average", [op("GlobalAveragePool", "x", "p"), op("Flatten", "p", "y")], IMAGE,
         "p:averagepool y:reshape"),
    Case("mean over space", [op("ReduceMean", "x", "y", axes=[2, 3], keepdims=0)], IMAGE,
         "y:averagepool y_2:reshape"),
    Case("mean of version 18", [op("ReduceMean", "x a", "y")], SIGNAL, "y:averagepool", {"a": integers(-1)}, 18),
    Case("pad", [op("Pad", "x s", "p"), op("Conv", "p w", "y")], IMAGE, "y:convolution",
         CONV | {"s": integers(0, 0, 0, 1, 0, 0, 2, 0)}),
    Case("resize", [op("Resize", "x - f", "y", mode="nearest", nearest_mode="floor",
                       coordinate_transformation_mode="asymmetric")],
         IMAGE, "y:repeat", {"f": [1.0, 1.0, 2.0, 3.0]}),
    Case("resize by half pixels", [op("Resize", "x - f", "y")], IMAGE, "y:repeat", {"f": [1.0, 1.0, 3.0, 2.0]}),
    Case("slice", [op("Slice", "x s e a t", "y")], IMAGE, "y:slice y_2:slice",
         {"s": integers(1, 0), "e": integers(3, -1), "a": integers(1, 2), "t": integers(1, 2)}),
    Case("split", [op("Split", "x s", "p q", axis=1), op("Add", "p q", "y")], IMAGE, "p:slice p_2:slice y:add",
         {"s": integers(2, 2)}),
    Case("gather", [op("Gather", "x i", "y", axis=1)], TOKENS, "y:select", {"i": np.array(-2, dtype=np.int64)}),
    Case("moving", [op("Transpose", "x", "p", perm=[0, 2, 1]), op("Unsqueeze", "p a", "q"), op("Squeeze", "q a", "r"),
                    op("Identity", "r", "s"), op("Dropout", "s", "t"), op("Cast", "t", "y", to=1)],
         TOKENS, "p:transpose", {"a": integers(1)}),
    Case("shape arithmetic", [op("Shape", "x", "s"), op("Gather", "s zero", "n"), op("Unsqueeze", "n axis", "u"),
                              op("Concat", "u rest", "t", axis=0), op("Reshape", "x t", "y")],
         IMAGE, "y:reshape", {"zero": np.array(0, dtype=np.int64), "axis": integers(0), "rest": integers(-1)}),
    Case(
        "attention with a mask",
        [op("MatMul", "x q", "a"), op("MatMul", "x k", "b"), op("Transpose", "b", "c", perm=[0, 2, 1]),
         op("MatMul", "a c", "s"), op("Mul", "s f", "t"), op("Add", "t mask", "u"), op("Softmax", "u", "v"),
         op("MatMul", "v x", "y")],
        TOKENS,
        "a:linear b:linear c:transpose s:matmul v:softmax y:matmul",
        {"q": numbers(6, 6), "k": numbers(6, 6, seed=1), "f": 0.4, "mask": np.triu(np.full((5, 5), -1e9), 1)
         .astype(np.float32)},
    ),
    Case(
        "lstm",
        [op("Transpose", "x", "p", perm=[1, 0, 2]), op("LSTM", "p w r b", "q h", hidden_size=4),
         op("Squeeze", "q a", "s"), op("Transpose", "s", "y", perm=[1, 0, 2])],
        TOKENS,
        "q:lstm",
        {"w": numbers(1, 16, 6), "r": numbers(1, 16, 4), "b": numbers(1, 32), "a": integers(1)},
    ),
    Case(
        "last state of an lstm",
        [op("Transpose", "x", "p", perm=[1, 0, 2]), op("LSTM", "p w r b", "- h", hidden_size=4),
         op("Squeeze", "h a", "s"), op("Relu", "s", "y")],
        TOKENS,
        "h:lstm h_2:select y:activate",
        {"w": numbers(1, 16, 6), "r": numbers(1, 16, 4), "b": numbers(1, 32), "a": integers(0)},
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_numbers_are_those_of_onnxruntime(case, tmp_path):
    model = model_of(case.nodes, case.shape, case.constants, opset=case.opset)
    network = read(model, tmp_path).network
    assert words(network) == case.layers
    assert largest_difference(written(model, tmp_path), network) < TOLERANCE


def test_every_readable_operation_has_a_case():
    used = {node.op_type for case in CASES for node in case.nodes}
    elsewhere = {"BipolarQuant", "Constant", "DequantizeLinear", "FloatQuant", "IntQuant", "Quant", "QuantizeLinear"}
    assert set(READABLE_OPERATIONS) - used - elsewhere == {"Upsample"}  # which onnxruntime no longer has


def test_activations_are_fused_with_their_constants(tmp_path):
    nodes = [op("Conv", "x w", "p"), op("Clip", "p l h", "q"), op("Conv", "q v", "r"), op("LeakyRelu", "r", "y")]
    constants = CONV | {"l": 0.0, "h": 1.5, "v": numbers(2, 3, 1, 1)}
    network = read(model_of(nodes, IMAGE, constants), tmp_path).network
    assert [layer.activation for layer in network.layers[1:]] == [
        Relu(ceiling=1.5),
        PRelu(slopes=(pytest.approx(0.01),)),
    ]


def test_functions_are_told_apart_by_their_numbers(tmp_path):
    """x * sigmoid(1.702 x) is near GELU and is not it."""
    nodes = [op("Mul", "x c", "p"), op("Sigmoid", "p", "q"), op("Mul", "x q", "y")]
    with pytest.raises(NetworkError, match=r"applies constants of 1 numbers along axis None to the output of 'input'"):
        read(model_of(nodes, (6,), {"c": 1.702}), tmp_path)
    network = read(model_of(nodes, IMAGE, {"c": 1.702}), tmp_path).network
    assert [layer.kind for layer in network.layers[1:]] == ["depthwise", "activate", "multiply"]


def test_nodes_that_lie_in_any_order_are_read(tmp_path):
    nodes = [op("Relu", "p", "y"), op("Conv", "x w", "p"), op("Relu", "x", "unused")]
    assert words(read(model_of(nodes, IMAGE, CONV), tmp_path).network) == "p:convolution"
