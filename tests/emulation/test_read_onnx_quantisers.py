"""Quantisers in ONNX files become datapaths: hardware mode computes what the files' own executors do."""

from __future__ import annotations

import numpy as np
import pytest

from emulation.catalogue import parse
from emulation.execution import execute
from emulation.lowering import lower
from emulation.network import NetworkError
from emulation.rules import Overflow, Rounding
from tests.emulation.onnx_models import (
    model_of,
    onnxruntime_results,
    op,
    qonnx_results,
    quantiser,
    read,
    words,
    written,
)
from tests.missing_tools import foreign

foreign("onnx", "pip install onnx==1.21.0")
foreign("onnxruntime", "pip install onnxruntime==1.25.1")
foreign("qonnx", "pip install qonnx==1.0.0")

SAMPLES = 64
IMAGE = (3, 6, 5)


def samples_of(shape=IMAGE, seed=3):
    return np.random.default_rng(seed).normal(scale=1.5, size=(SAMPLES, *shape)).astype(np.float32)


def weights(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, size=shape).astype(np.float32)


CONSTANTS = {
    "zero": 0.0,
    "two": 2.0,
    "three": 3.0,
    "four": 4.0,
    "six": 6.0,
    "eight": 8.0,
    "si": 2.0**-4,
    "sa": 2.0**-3,
    "so": 2.0**-2,
    "w": weights(4, 3, 3, 3),
    "sw": 2.0**-3,
    "swc": 2.0 ** np.array([-2, -3, -4, -3], dtype=np.float32).reshape(4, 1, 1, 1),
    "b": np.round(weights(4, seed=1) * 64) / 64,  # integers of every accumulator here
    "sv": 2.0**-4,
    "flat": np.array([-1, 48], dtype=np.int64),
}


def layers(*, weight, relu=True, middle=None, first=None):
    """Samples, a quantised convolution, a ReLU, a quantiser, another layer, a quantiser."""
    return [
        first or quantiser("Quant", "x si zero eight", "i", signed=1, narrow=0, rounding_mode="ROUND"),
        weight,
        op("Conv", "i wq b", "c"),
        op("Relu" if relu else "Identity", "c", "r"),
        middle or quantiser("Quant", "r sa zero four", "a", signed=int(not relu), narrow=0, rounding_mode="ROUND"),
        op("Reshape", "a flat", "f"),
        quantiser("Quant", "v2 sv zero six", "vq", signed=1, narrow=1, rounding_mode="ROUND"),
        op("MatMul", "f vq", "m"),
        quantiser("Quant", "m so zero eight", "y", signed=1, narrow=0, rounding_mode="ROUND"),
    ]


def differences(nodes, folder, constants=None, shape=IMAGE, results=qonnx_results):
    """Codes of all samples that hardware mode and the executor do not share, and the model that was read."""
    known = {**CONSTANTS, "v2": weights(48, 5), **(constants or {})}
    used = {name for node in nodes for name in node.input}
    model = model_of(nodes, shape, {name: values for name, values in known.items() if name in used}, opset=21)
    found = read(model, folder)
    hardware = lower(found.network, found.assignment())
    samples = samples_of(shape)
    expected = results(written(model, folder), samples)
    codes = execute(hardware, samples).reshape(expected.shape)
    steps = expected / hardware.output_unit
    assert np.abs(steps - np.round(steps)).max() < 1e-3
    return int(np.count_nonzero(codes != np.round(steps))), found


def weight(scale="sw", bits="four", **settings):
    chosen = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"} | settings
    return quantiser("Quant", f"w {scale} zero {bits}", "wq", **chosen)


@pytest.mark.parametrize(
    "nodes",
    [
        layers(weight=weight()),
        layers(weight=weight("swc", "six")),
        layers(weight=weight(narrow=0)),
        layers(weight=weight(bits="two")),
        layers(weight=weight(), relu=False),
        layers(weight=weight(rounding_mode="FLOOR")),
        layers(weight=quantiser("IntQuant", "w sw zero four", "wq", signed=1, narrow=0)),
        layers(weight=quantiser("BipolarQuant", "w sw", "wq")),
    ],
    ids=["tensor", "channel", "wide", "2 bits", "signed", "floor", "IntQuant", "bipolar"],
)
def test_hardware_mode_is_what_qonnx_executes(nodes, tmp_path):
    count, found = differences(nodes, tmp_path)
    assert count == 0
    assert words(found.network) == "c:convolution f:reshape m:linear"
    assert set(found.edges) == {"input", "c", "m"}


def test_what_a_quantiser_says_is_what_the_design_has(tmp_path):
    _, found = differences(layers(weight=weight("swc", "six"), relu=False), tmp_path)
    assert found.edges["c"].format == parse("int4")
    assert found.edges["c"].unit.tolist() == [0.125]
    assert found.weights["c"].format == parse("int6")
    assert found.weights["c"].quantiser.overflow is Overflow.SATURATE_SYMMETRIC
    assert found.weights["c"].unit.tolist() == [0.25, 0.125, 0.0625, 0.125]
    assert found.assignment().requantisation.rounding is Rounding.HALF_EVEN


@pytest.mark.parametrize(
    ("word", "rounding"),
    [
        ("FLOOR", Rounding.FLOOR),
        ("CEIL", Rounding.CEILING),
        ("DOWN", Rounding.TOWARD_ZERO),
        ("HALF_UP", Rounding.HALF_AWAY),
        ("HALF_DOWN", Rounding.HALF_TOWARD_ZERO),
    ],
)
def test_every_rounding_of_hardware_mode_is_read(word, rounding, tmp_path):
    nodes = layers(weight=weight(), relu=False)
    for node in nodes[4], nodes[-1]:
        for attribute in node.attribute:
            if attribute.name == "rounding_mode":
                attribute.s = word.encode()
    count, found = differences(nodes, tmp_path)
    assert count == 0
    assert found.assignment().requantisation.rounding is rounding


def test_activations_without_the_least_code(tmp_path):
    narrow = quantiser("Quant", "r sa zero three", "a", signed=1, narrow=1, rounding_mode="ROUND")
    count, found = differences(layers(weight=weight(), relu=False, middle=narrow), tmp_path)
    assert count == 0
    assert (found.edges["c"].grid.low, found.edges["c"].grid.high) == (-3, 3)


def test_a_zero_point_is_kept(tmp_path):
    """QONNX adds it before it rounds: even ones tie alike."""
    shifted = quantiser("Quant", "r sa two four", "a", signed=0, narrow=0, rounding_mode="ROUND")
    count, found = differences(layers(weight=weight(), relu=False, middle=shifted), tmp_path)
    assert count == 0
    assert found.edges["c"].zero_point == 2


def test_minifloats(tmp_path):
    settings = {"has_inf": 0, "has_nan": 0, "has_subnormal": 1, "saturation": 1, "rounding_mode": "ROUND"}
    nodes = layers(
        weight=quantiser("FloatQuant", "w sw two one one six", "wq", **settings),
        middle=quantiser("FloatQuant", "r sa four three seven most", "a", **settings),
        relu=False,
    )
    constants = {"one": 1.0, "seven": 7.0, "most": 448.0}
    count, found = differences(nodes, tmp_path, constants)
    assert count == 0
    assert (found.weights["c"].format, found.edges["c"].format) == (parse("e2m1"), parse("e4m3fn"))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_batch_norm_is_folded_into_codes(sign, tmp_path):
    """Codes keep their magnitudes; factors below 0 turn their signs."""
    nodes = layers(weight=weight(bits="six"))
    nodes[2:3] = [op("Conv", "i wq", "d"), op("BatchNormalization", "d g o n n1", "c", epsilon=0.0)]
    factors = np.array([0.5, 0.25, sign * 1.0, 2.0], dtype=np.float32)
    constants = {
        "g": factors,
        "o": np.round(weights(4, seed=5) * 64) / 64,
        "n": np.zeros(4, np.float32),
        "n1": np.ones(4, np.float32),
    }
    count, found = differences(nodes, tmp_path, constants)
    assert count == 0
    assert found.weights["d"].unit.tolist() == (np.abs(factors) * 0.125).tolist()


def test_a_least_code_cannot_change_its_sign(tmp_path):
    nodes = layers(weight=weight(bits="two", narrow=0, signed=1))
    nodes[2:3] = [op("Conv", "i wq", "d"), op("Neg", "one", "n"), op("Mul", "d n", "c")]
    with pytest.raises(NetworkError, match=r"the codes of layer 'd' do not fit int2 once a factor below 0"):
        differences(nodes, tmp_path, {"one": 1.0})


def qdq(name, source, target, scale, zero, *clip):
    middle = [op("Clip", f"{name}_q {clip[0]} {clip[1]}", f"{name}_c")] if clip else []
    last = f"{name}_c" if clip else f"{name}_q"
    return [
        op("QuantizeLinear", f"{source} {scale} {zero}", f"{name}_q"),
        *middle,
        op("DequantizeLinear", f"{last} {scale} {zero}", target),
    ]


def test_pairs_of_linear_quantisers_compute_what_onnxruntime_does(tmp_path):
    nodes = [
        *qdq("i", "x", "i", "si", "z8"),
        *qdq("w", "w", "wq", "sw", "z8", "low", "high"),
        op("Conv", "i wq b", "c"),
        *qdq("a", "c", "a", "sa", "zu"),
        op("Reshape", "a flat", "f"),
        op("DequantizeLinear", "vi sv", "vq", axis=1),
        op("MatMul", "f vq", "m"),
        *qdq("y", "m", "y", "so", "z8"),
    ]
    constants = {
        "z8": np.int8(0),
        "zu": np.uint8(6),
        "low": np.int8(-7),
        "high": np.int8(7),
        "vi": np.random.default_rng(1).integers(-128, 128, size=(48, 5)).astype(np.int8),
        "sv": 2.0 ** np.array([-5, -6, -7, -8, -6], dtype=np.float32),
    }
    count, found = differences(nodes, tmp_path, constants, results=onnxruntime_results)
    assert count == 0
    assert words(found.network) == "c:convolution f:reshape m:linear"
    assert (found.edges["c"].format, found.edges["c"].zero_point) == (parse("uint8"), 6)
    assert (found.weights["c"].format, found.weights["m"].format) == (parse("int4"), parse("int8"))
    assert found.weights["m"].unit.size == 5


def test_scales_that_are_no_powers_of_two_differ_at_most_by_a_step(tmp_path):
    constants = {"si": 0.031, "sw": 0.0471, "sa": 0.211, "sv": 0.0193, "so": 0.17}
    count, _ = differences(layers(weight=weight(bits="six"), relu=False), tmp_path, constants)
    assert count <= SAMPLES * 5 * 0.05


def test_one_cast_twice_is_one_edge_and_another_cast_a_layer(tmp_path):
    again = quantiser("Quant", "a sa zero four", "e", signed=0, narrow=0, rounding_mode="ROUND")
    coarser = quantiser("Quant", "a so zero three", "e", signed=0, narrow=0, rounding_mode="ROUND")
    for extra, expected in (
        (again, "c:convolution f:reshape m:linear"),
        (coarser, "c:convolution e:activate f:reshape m:linear"),
    ):
        nodes = layers(weight=weight())
        nodes[5:6] = [extra, op("Reshape", "e flat", "f")]
        count, found = differences(nodes, tmp_path)
        assert (count, words(found.network)) == (0, expected)


def test_a_pool_before_the_quantiser_keeps_the_edge_of_the_layer_before(tmp_path):
    nodes = layers(weight=weight())
    nodes[4:6] = [
        op("MaxPool", "r", "p", kernel_shape=[2, 1], strides=[1, 1]),
        quantiser("Quant", "p sa zero four", "a", signed=0, narrow=0, rounding_mode="ROUND"),
        op("Reshape", "a flat", "f"),
    ]
    count, found = differences(nodes, tmp_path, {"v2": weights(36, 5), "flat": np.array([-1, 36], dtype=np.int64)})
    assert (count, words(found.network)) == (0, "c:convolution p:maxpool f:reshape m:linear")


def test_a_file_that_is_quantised_in_part_says_what_is_missing(tmp_path):
    nodes = layers(weight=op("Identity", "w", "wq"))
    with pytest.raises(NetworkError, match=r"no quantiser for the outputs of \[\] and the weights of \['c'\]"):
        differences(nodes, tmp_path)


@pytest.mark.parametrize(
    ("node", "words_"),
    [
        (quantiser("Quant", "r swc zero four", "a"), r"has 4 scales for activations: one for the whole tensor"),
        (quantiser("Quant", "r x zero four", "a"), r"the scale of node '/a/Quant' \(Quant\) is computed from samples"),
        (quantiser("Quant", "r sa zero half", "a"), r"the bit width of node '/a/Quant' is \[0\.5\]: one whole number"),
        (quantiser("Quant", "r sa zero many", "a"), r"quantises to 99 bits: 1 to 32 can be read"),
        (quantiser("Quant", "r sa many four", "a", signed=1, narrow=0), r"the zero point 99 of .* is no code of int4"),
        (quantiser("Quant", "r minus zero four", "a"), r"is -1: scales must be finite and above 0"),
        (quantiser("Quant", "r sa zero four", "a", rounding_mode="UP"), r"rounds by UP, which hardware mode does not"),
        (quantiser("Quant", "r sa zero four", "a", signed=0, narrow=1), r"a range that no format has: use narrow=0"),
        (quantiser("BipolarQuant", "r sa", "a"), r"makes activations of -1 and 1, and formats have a 0"),
        (quantiser("FloatQuant", "r sa two one one many", "a", saturation=0), r"only saturation=1 can be read"),
        (quantiser("FloatQuant", "r sa two one one five", "a", saturation=1), r"minifloats end at 6, 4, 3"),
        (
            quantiser("Trunc", "r sa zero eight four", "a"),
            r"operation qonnx.custom_op.general.Trunc of node",
        ),
        (op("QuantizeLinear", "r sa zero8", "a"), r"does not fit its inputs .*unsupported type: tensor\(int8\)"),
        (op("DequantizeLinear", "r sa", "a"), r"does not fit its inputs|which no QuantizeLinear makes"),
    ],
    ids=lambda value: value.op_type if hasattr(value, "op_type") else "",
)
def test_quantisers_that_no_datapath_has_are_refused(node, words_, tmp_path):
    constants = {"half": 0.5, "many": 99.0, "minus": -1.0, "one": 1.0, "five": 5.0, "zero8": np.int8(0)}
    with pytest.raises(NetworkError, match=words_):
        differences(layers(weight=weight(), relu=False, middle=node), tmp_path, constants)
