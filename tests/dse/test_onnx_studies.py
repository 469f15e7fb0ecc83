"""Studies of ONNX files: quantisers of a file are on the menu of its study, whose designs have the file's own."""

from __future__ import annotations

import numpy as np
import pytest

from dse.config import CONFIG_NAME, load_config
from dse.preparation import prepare
from emulation.calibrated import Formats
from emulation.catalogue import parse
from emulation.execution import execute
from emulation.lowering import lower
from emulation.read_onnx import read_onnx
from tests.emulation.onnx_models import model_of, op, qonnx_results, quantiser, written
from tests.missing_tools import foreign

foreign("onnx", "pip install onnx==1.21.0")


def weights(*shape):
    return np.random.default_rng(2).uniform(-1, 1, size=shape).astype(np.float32)


def digits_model(*, rounding="ROUND", classes=10):
    """A quantised perceptron for the digits: 6-bit samples, 4-bit weights, 5- and 12-bit results."""
    casts = {"narrow": 0, "rounding_mode": rounding}
    nodes = [
        quantiser("Quant", "x sx zero six", "i", signed=0, narrow=0),
        op("Flatten", "i", "f"),
        quantiser("Quant", "w sw zero four", "wq", signed=1, narrow=1),
        op("MatMul", "f wq", "h"),
        op("Relu", "h", "r"),
        quantiser("Quant", "r sr zero five", "a", signed=0, **casts),
        quantiser("Quant", "v sv zero four", "vq", signed=1, narrow=1),
        op("MatMul", "a vq", "o"),
        quantiser("Quant", "o so zero twelve", "y", signed=1, **casts),
    ]
    constants = {
        "zero": 0.0,
        "four": 4.0,
        "five": 5.0,
        "six": 6.0,
        "twelve": 12.0,
        "sx": 0.25,
        "sw": 0.125,
        "sr": 0.5,
        "sv": 0.0625,
        "so": 2.0**-5,
        "w": weights(64, 12),
        "v": weights(12, classes),
    }
    return model_of(nodes, (1, 8, 8), constants)


def study_of(command, place, **options):
    written(digits_model(**options), place)
    assert command("init", "new", "--onnx", "model.onnx").code == 0
    return prepare(load_config(place / "new" / CONFIG_NAME))


@pytest.mark.parametrize("rounding", ["ROUND", "FLOOR"])
def test_the_design_of_the_file_is_one_of_the_study_s(command, place, rounding):
    prepared = study_of(command, place, rounding=rounding)
    model = read_onnx(place / "model.onnx", name="model")
    own = Formats(
        edges={edge: one.format for edge, one in model.edges.items()},
        weights={layer: one.format for layer, one in model.weights.items()},
    )
    assert all(own.edges[edge] in prepared.edge_menu(edge) for edge in prepared.network.edges)
    assert set(own.weights.values()) <= set(prepared.weight_formats)
    samples = prepared.validation.inputs[:100]
    codes = execute(prepared.calibrated.lower(own), samples)
    assert np.array_equal(codes, execute(lower(model.network, model.assignment()), samples))
    foreign("qonnx", "pip install qonnx==1.0.0")
    assert np.array_equal(codes * 2.0**-5, qonnx_results(place / "model.onnx", samples))


def test_other_formats_than_the_file_s_are_calibrated(command, place):
    prepared = study_of(command, place)
    weight = prepared.network.layers[2].name
    own, other = (prepared.calibrated.weights(weight, parse(name)) for name in ("int4", "int3"))
    assert own.unit.tolist() == [0.125]
    assert other is not own


def test_the_study_file_names_the_model_and_its_formats(command, place):
    study_of(command, place)
    text = (place / "new" / CONFIG_NAME).read_text()
    assert f'onnx = "{place / "model.onnx"}"' in text
    for line in (
        'weights = ["int4"]',
        'activations = ["int5", "int6"]',
        'output = "int12"',
        'scale_kind = "power-of-two"',
    ):
        assert line in text


def test_keys_of_stored_losses_know_the_quantisers(command, place):
    first = study_of(command, place)
    assert "0.125" in first.calibrated.own_text
    other = digits_model()
    next(one for one in other.graph.initializer if one.name == "sr").raw_data = np.float32(0.25).tobytes()
    written(other, place)
    second = prepare(load_config(place / "new" / CONFIG_NAME))
    assert first.sweep_context != second.sweep_context


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink(), ["model.onnx cannot be read (No such file or directory)"]),
        (lambda path: path.write_bytes(b"text"), ["model.onnx is no ONNX model, or its end is missing (4 bytes)"]),
        (
            lambda path: path.write_bytes(digits_model(classes=7).SerializeToString()),
            ["returns results of shape (7,)", "workload 'digits' has 10 classes", "--workload package.module:name"],
        ),
    ],
)
def test_files_that_do_not_fit_are_refused_and_nothing_is_written(command, place, change, words):
    change(written(digits_model(), place))
    outcome = command("init", "new", "--onnx", "model.onnx")
    outcome.refused(*words)
    assert not (place / "new").exists()
