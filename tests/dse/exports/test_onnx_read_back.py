"""QONNX models that were exported are read again: the same codes everywhere, whatever way the file says them."""

from __future__ import annotations

import numpy as np
import pytest

from dse.exports.manifest import Manifest
from dse.exports.qonnx_model import TARGET
from dse.exports.real_layers import MOVING, WeightedLayer, real_layers
from emulation.execution import execute
from emulation.lowering import lower
from emulation.read_onnx import read_onnx
from tests.dse.exports.folder_checks import written_by
from tests.missing_tools import foreign

foreign("onnx", "pip install onnx==1.21.0")

MINIFLOATS = {"weights": ["e2m1", "e3m2"], "activations": ["e2m1", "e2m3", "e3m2"], "output": "e5m10"}


def read_back(export, tmp_path):
    """The design of a model that was written, in integers again, and the folder of the model."""
    folder = written_by(TARGET, Manifest.read(export), tmp_path)
    model = read_onnx(folder / "model.onnx", name="again")
    return lower(model.network, model.assignment()), folder


@pytest.mark.parametrize("name", ["small_export", "row_export", "digits_export"])
def test_a_design_that_was_exported_computes_the_same_codes(request, name, tmp_path):
    hardware, folder = read_back(request.getfixturevalue(name), tmp_path)
    given, expected = np.load(folder / "input.npy"), np.load(folder / "output.npy")
    codes = execute(hardware, given)
    assert codes.shape == expected.shape
    assert np.count_nonzero(codes * hardware.output_unit != expected) == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_minifloats_compute_the_same_codes(export_of, tmp_path, seed):
    export = export_of("tests.dse.exports.small_networks:ROW", seed, **MINIFLOATS)
    hardware, folder = read_back(export, tmp_path)
    codes = execute(hardware, np.load(folder / "input.npy"))
    assert np.count_nonzero(codes * hardware.output_unit != np.load(folder / "output.npy")) == 0


@pytest.mark.parametrize("name", ["small_export", "row_export"])
def test_weights_have_the_codes_and_formats_that_were_written(request, name, tmp_path):
    export = request.getfixturevalue(name)
    hardware, _ = read_back(export, tmp_path)
    read = [layer for layer in hardware.layers if layer.weight is not None]
    written = [layer for layer in real_layers(Manifest.read(export)) if isinstance(layer, WeightedLayer)]
    assert len(read) == len(written) > 2
    for layer, entry in zip(read, written, strict=True):
        expected = np.ldexp(entry.weight, -np.array(entry.weight_units))  # outputs are the last axis
        axes = np.moveaxis(expected, (-1, -2), (0, 1))
        assert np.array_equal(layer.weight, axes)
        assert layer.second.format.width == entry.entry["weight"]["type"]["bits"]


def test_edges_have_the_formats_and_units_that_were_written(small_export, tmp_path):
    hardware, _ = read_back(small_export, tmp_path)
    written = [layer.output for layer in real_layers(Manifest.read(small_export)) if layer.op not in MOVING]
    read = [hardware.edges[edge] for edge in hardware.network.edges]
    assert [(one.format.width, float(one.unit[0])) for one in read] == [
        (one.type["bits"], 2.0**one.unit) for one in written
    ]
