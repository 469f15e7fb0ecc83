"""QONNX models: their own executor agrees with every layer, faults are found where they are, the rest is refused."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

from dse.errors import NotExportableError, StudyError
from dse.exports.manifest import Manifest
from dse.exports.processes import run
from dse.exports.qonnx_graph import qonnx_graph
from dse.exports.qonnx_model import TARGET
from dse.exports.real_layers import real_layers
from dse.exports.verification import Status
from tests.dse.exports.faults import refusal
from tests.dse.exports.folder_checks import agreement, written_by
from tests.missing_tools import foreign

onnx = foreign("onnx", "pip install onnx==1.21.0")
foreign("qonnx", "pip install qonnx==1.0.0")
(CHECK,) = TARGET.checks


def agrees(export, tmp_path):
    """Writes the model of an export, and executes all vectors."""
    text = agreement(TARGET, export, tmp_path)
    assert text.startswith("QONNX execution: 512 vectors, ")
    assert text.endswith(f" of {len(Manifest.read(export).layers)} layers, 0 differences")


@pytest.mark.parametrize("name", ["small_export", "row_export", "digits_export"])
def test_every_layer_is_executed_exactly(request, name, tmp_path):
    agrees(request.getfixturevalue(name), tmp_path)


@pytest.mark.slow
def test_a_deep_network_is_executed_exactly(deep_export, tmp_path):
    agrees(deep_export, tmp_path)


MINIFLOATS = {"weights": ["e2m1", "e3m2"], "activations": ["e2m1", "e2m3", "e3m2"], "output": "e5m10"}
WIDE = {"weights": ["int2"], "activations": ["e4m3fn"], "mixed_families": True}


@pytest.mark.parametrize(("seed", "menu"), [(1, MINIFLOATS), (2, MINIFLOATS), (3, MINIFLOATS), (4, WIDE)])
def test_minifloats_are_executed_exactly(export_of, tmp_path, seed, menu):
    agrees(export_of("tests.dse.exports.small_networks:ROW", seed, **menu), tmp_path)
    model = onnx.load(tmp_path / TARGET.name / "model.onnx")
    assert sum(node.op_type == "FloatQuant" for node in model.graph.node) >= 4


def test_weights_of_a_table_stay_plain_numbers(export_of, tmp_path):
    export = export_of("tests.dse.exports.small_networks:ROW", weights=["pot4", "nf4"], activations=["int8"])
    agrees(export, tmp_path)
    quantised = {node.output[0] for node in onnx.load(tmp_path / TARGET.name / "model.onnx").graph.node}
    assert "stem_weight" not in quantised


def test_the_model_is_what_other_tools_read(small_export, tmp_path):
    folder = written_by(TARGET, Manifest.read(small_export), tmp_path)
    model = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(model, full_check=False)
    assert model.ir_version == 8
    assert {one.domain: one.version for one in model.opset_import} == {"": 13, "qonnx.custom_op.general": 1}
    quantisers = [node for node in model.graph.node if node.op_type == "Quant"]
    values = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    for node in quantisers:
        assert np.all(np.log2(values[node.input[1]]) % 1 == 0)
        assert values[node.input[2]] == 0
    given = np.load(folder / "input.npy")
    assert given.dtype == np.float32
    assert given.shape == (512, 1, 8, 8)


def test_the_folder_s_own_script_compares_the_outputs(small_export, tmp_path):
    folder = written_by(TARGET, Manifest.read(small_export), tmp_path)
    ended = run([sys.executable, str(folder / "execute.py")], tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "512 vectors, 5120 outputs, 0 differences\n"), ended.stderr
    outputs = np.load(folder / "output.npy")
    outputs[3, 4] += 1
    np.save(folder / "output.npy", outputs)
    ended = run([sys.executable, str(folder / "execute.py")], tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "512 vectors, 5120 outputs, 1 differences\n")


def test_a_damaged_model_is_a_failure(small_export, tmp_path):
    manifest = Manifest.read(small_export)
    folder = written_by(TARGET, manifest, tmp_path)
    (folder / "model.onnx").write_bytes(b"nothing")
    outcome = CHECK.run(manifest, folder)
    assert outcome.status is Status.FAILED
    assert outcome.text.startswith("QONNX cannot execute model.onnx: ")


def test_sums_beyond_a_float_are_refused(export_of):
    export = export_of("tests.dse.exports.small_networks:RESIDUAL", weights=["int8"], activations=["int8"])
    text = refusal(lambda manifest: qonnx_graph(real_layers(manifest)), Manifest.read(export))
    assert re.match(r"layer widen: its sums need \d\d bits, and a float32 holds", text)
    assert text.endswith("; use narrower formats, or export to hls")


def half_up(folder, layer):
    layer["out_type"]["rounding"] = "half-up"


def test_rounding_that_floats_do_not_do_exactly_is_refused(small_export, changed, tmp_path):
    manifest = changed(small_export, "mix", half_up)
    with pytest.raises(NotExportableError, match="layer mix: it rounds by half-up, and QONNX exactly by half-even"):
        TARGET.write(manifest, tmp_path)


def test_without_its_packages_nothing_is_claimed(small_export, tmp_path, monkeypatch):
    manifest = Manifest.read(small_export)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    outcome = CHECK.run(manifest, tmp_path)
    assert outcome.status is Status.NOT_VERIFIED
    assert outcome.text.startswith("qonnx, onnx, onnxruntime not installed: pip install qonnx==1.0.0")
    with pytest.raises(StudyError, match="writing an ONNX model needs the package onnx: pip install"):
        TARGET.write(manifest, tmp_path)
    assert json.dumps(outcome.to_json())
