"""FINN builds: thresholds on integer sums give every layer's outputs, and foldings are in FINN's words."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from dse.errors import NotExportableError
from dse.exports.finn_build import PYTHON_VARIABLE, TARGET
from dse.exports.finn_folding import cycles, folding
from dse.exports.finn_graph import finn_graph, thresholds
from dse.exports.interpreter import Interpreter
from dse.exports.manifest import Manifest
from dse.exports.verification import Status
from tests.dse.exports.faults import refusal
from tests.dse.exports.folder_checks import agreement, written_by
from tests.missing_tools import foreign, skip_or_fail

onnx = foreign("onnx", "pip install onnx==1.21.0")
foreign("qonnx", "pip install qonnx==1.0.0")
_, ESTIMATES = TARGET.checks


def agrees(export, tmp_path):
    layers = len(Manifest.read(export).layers)
    assert agreement(TARGET, export, tmp_path).endswith(f" of {layers} layers, 0 differences")


@pytest.mark.parametrize("name", ["small_export", "digits_export"])
def test_every_layer_is_executed_exactly(request, name, tmp_path):
    agrees(request.getfixturevalue(name), tmp_path)


@pytest.mark.parametrize("scale_kind", ["real", "power-of-two"])
def test_scales_may_be_real(export_of, tmp_path, scale_kind):
    """Thresholds need no power of two, and integers that stand for other formats are weights like any."""
    menu = {"weights": ["int4", "e2m1", "pot4"], "activations": ["int4", "int6"], "mixed_families": True}
    workload = "tests.dse.exports.small_networks:RESIDUAL"
    agrees(export_of(workload, 1, **menu, scale_kind=scale_kind), tmp_path)


@pytest.mark.slow
def test_a_deep_network_is_executed_exactly(deep_export, tmp_path):
    agrees(deep_export, tmp_path)


def test_the_model_holds_integers_only(small_export, tmp_path):
    folder = written_by(TARGET, Manifest.read(small_export), tmp_path)
    model = onnx.load(folder / "model.onnx")
    assert {node.op_type for node in model.graph.node} == {
        *("Quant", "Conv", "MatMul", "Add", "Mul", "MaxPool", "MultiThreshold", "Transpose", "Reshape"),
    }
    for values in map(onnx.numpy_helper.to_array, model.graph.initializer):
        assert np.array_equal(values, np.rint(values))
    (annotation,) = model.graph.quantization_annotation
    assert annotation.tensor_name == model.graph.input[0].name == "layer_input"
    assert annotation.quant_parameter_tensor_names[0].value == "UINT4"


@pytest.mark.parametrize("name", ["stem", "depthwise", "mix", "widen", "add", "average"])
def test_thresholds_tell_every_sum_s_output(small_export, name):
    """Beside the interpreter on all sums in reach: with ReLU, ReLU6, PReLU and neither."""
    manifest = Manifest.read(small_export)
    entry = manifest.layer(name)
    channels = entry["shape"][-1] if isinstance(entry["mult"], dict) else 1
    low, high = -5000, 5000
    found = thresholds(manifest, entry, entry, [low] * channels, [high] * channels)
    sums = np.broadcast_to(np.arange(low, high + 1)[:, None], (high - low + 1, channels))
    expected = Interpreter(manifest).requantise(entry, sums)
    kind = entry["output"]["type"]
    least = -(1 << (kind["bits"] - 1)) if kind["signed"] else 0
    counted = np.stack([np.searchsorted(found[channel], sums[:, channel], side="right") for channel in range(channels)])
    assert found.shape == (channels, (1 << kind["bits"]) - 1)
    assert np.array_equal(least + counted.T, expected)
    assert len(np.unique(expected)) > 10


def test_foldings_are_in_the_words_of_each_version(digits_export, tmp_path):
    manifest = Manifest.read(digits_export)
    folder = written_by(TARGET, manifest, tmp_path)
    new = json.loads((folder / "folding_config.json").read_text())
    old = json.loads((folder / "folding_config_before_0.10.json").read_text())
    assert list(new) == [
        "Defaults",
        *(f"MVAU_hls_{place}" for place in range(5)),
        "VVAU_hls_0",
        "MVAU_hls_5",
        "MVAU_hls_6",
    ]
    assert list(old)[1:3] == ["MatrixVectorActivation_0", "MatrixVectorActivation_1"]
    assert list(old.values()) == list(new.values())
    stem = manifest.layer("stem_convolution")
    assert new["MVAU_hls_0"] == {
        "PE": stem["pe"],
        "SIMD": stem["simd"],
        "resType": stem["multipliers"],
        "mem_mode": "internal_decoupled",
        "runtime_writeable_weights": 0,
        "ram_style": "auto",
    }
    assert cycles(stem) == 64 * (16 // stem["pe"]) * (9 // stem["simd"])


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ("lutram", {"mem_mode": "internal_decoupled", "ram_style": "distributed"}),
        ("bram", {"mem_mode": "internal_decoupled", "ram_style": "block"}),
        ("uram", {"mem_mode": "internal_decoupled", "ram_style": "ultra"}),
        ("offchip", {"mem_mode": "external"}),
    ],
)
def test_memories_have_finn_s_names(small_export, memory, expected):
    manifest = Manifest.read(small_export)
    manifest.layer("head")["weight_memory"] = memory
    found = folding(manifest, "MVAU_hls", "VVAU_hls")["MVAU_hls_3"]
    assert expected.items() <= found.items()
    assert ("ram_style" in found) == ("ram_style" in expected)


def unfit(folder, layer):
    layer["pe"] = 3


def wide(folder, layer):
    layer["output"]["type"] |= {"format": "int12", "bits": 12}


def grouped(folder, layer):
    layer["groups"] = 2


def dilated(folder, layer):
    layer["dilation"] = [2, 2]


def falling(folder, layer):
    path = folder / layer["negative_mult"]["file"]
    path.write_text(f"-{path.read_text()}")
    layer["negative_mult"]["type"] = {"bits": 16, "signed": True}


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("mix", unfit, "pe 3 of 4 outputs and simd "),
        ("mix", wide, "int12 takes 4095 thresholds; use at most 10 bits, or export to hls"),
        ("mix", grouped, "it has 2 groups; use one, or one for each channel, or export to hls"),
        ("pool", dilated, "its maximum is dilated by [2, 2]; export to hls"),
        ("widen", falling, "larger sums become smaller outputs; use activations that never fall, or export to hls"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_finn_lacks_is_refused(small_export, changed, name, change, text):
    def build(manifest):
        return finn_graph(manifest), folding(manifest, "MVAU_hls", "VVAU_hls")

    assert refusal(build, changed(small_export, name, change)).startswith(f"layer {name}: {text}")


def test_windows_over_one_axis_are_refused(row_export):
    with pytest.raises(NotExportableError, match=r"its outputs have shape \[64, 1\]; use images or vectors"):
        finn_graph(Manifest.read(row_export))


def test_without_finn_nothing_is_claimed(small_export, tmp_path, monkeypatch):
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    outcome = ESTIMATES.run(Manifest.read(small_export), tmp_path)
    assert outcome.status is Status.NOT_VERIFIED
    assert outcome.text.startswith("finn-plus is not installed: install finn-plus 1.6.1 in an environment of its own")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small_export", "digits_export", "deep_export"])
def test_finn_counts_the_same_cycles(request, name, tmp_path):
    if not os.environ.get(PYTHON_VARIABLE):
        skip_or_fail(f"{PYTHON_VARIABLE} names no environment with finn-plus (make slow makes one)")
    manifest = Manifest.read(request.getfixturevalue(name))
    outcome = ESTIMATES.run(manifest, written_by(TARGET, manifest, tmp_path))
    assert outcome.status is Status.PASSED, outcome
    assert outcome.text.endswith(" engines, 0 with other cycles than the design")
