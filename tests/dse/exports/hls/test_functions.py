"""LSTMs and polynomial GELUs in the manifest and in C++: each layer alone on every vector, and planted faults."""

from __future__ import annotations

import math
import re
import shutil

import numpy as np
import pytest

import dse.exports.parameters
from dse.exports.base_checks import BASE_CHECKS
from dse.exports.hls import TARGET
from dse.exports.manifest import Manifest
from dse.exports.parameters import export_design
from dse.exports.stimuli import VECTORS
from dse.exports.verification import Status
from tests.dse.exports.faults import found_in
from tests.dse.exports.folder_checks import entries_of, intact, rehashed

pytestmark = pytest.mark.filterwarnings("ignore")
HERE = "tests.dse.exports.hls.function_networks"
GELUS = {
    "weights": ["int4", "e3m2"],
    "activations": ["int8", "int16", "e4m3fn"],
    "mixed_families": True,
    "gelu": "polynomial",
}
RECURRENT = {"weights": ["int4", "e3m2"], "activations": ["int8", "e4m3fn"], "mixed_families": True}
EVERY_WEIGHT = {
    "weights": ["int8", "uint4", "e2m1", "pot4", "apot2x2", "nf4", "bcq2"],
    "activations": ["int8", "int16", "e5m2", "pot4"],
    "mixed_families": True,
}


@pytest.fixture(scope="module")
def export_on_all_vectors(custom_bench, tmp_path_factory):
    """A function that exports a design whose layers all have golden outputs for every vector."""

    def export(workload: str, menu: dict, seed: int):
        found = custom_bench(f"{HERE}:{workload}", formats=menu, front={"max_lanes": 8}, device={"min_fps": 0.0})
        folder = tmp_path_factory.mktemp("functions") / "out"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dse.exports.parameters, "GOLDEN_SAMPLES", VECTORS)
            export_design(found.prepared, found.tables.device, found.design(seed), folder, targets=["hls"])
        return folder

    return export


@pytest.fixture(scope="module")
def gelus(export_on_all_vectors):
    return export_on_all_vectors("GELUS", GELUS, 1)


@pytest.fixture(scope="module")
def recurrent(export_on_all_vectors):
    return export_on_all_vectors("RECURRENT", RECURRENT, 1)


def of_function(manifest, function):
    return [layer for layer in manifest.layers if layer.get("function") == function]


def agreed(folder, simulated) -> Manifest:
    """The manifest, of which neither the interpreter nor C++ differs on any vector of any layer."""
    manifest = intact(folder)
    assert {layer["golden"]["count"] for layer in manifest.layers} == {VECTORS}
    outcome = simulated(folder)
    assert outcome.status is Status.PASSED, (outcome.text, [str(one) for one in outcome.where])
    counted = re.search(r": 0 of (\d+) numbers differ", outcome.text)
    assert counted
    assert int(counted[1]) > sum(layer["out_size"] for layer in manifest.layers if "function" in layer) * VECTORS
    return manifest


def test_polynomial_gelus_of_narrow_wide_and_float_codes(gelus, simulated):
    manifest = agreed(gelus, simulated)
    layers = of_function(manifest, "gelu-polynomial")
    read = {manifest.layer(layer["inputs"][0])["output"]["type"]["format"] for layer in layers}
    assert read == {"e4m3fn", "int16"}
    for layer in layers:
        assert layer["limits"]["names"] == ["all-minimum", "all-maximum", "zero", "alternating"]
        assert {"ties", "acc_type", "constants"} <= set(layer)
        assert (
            max(abs(layer["observed"][end]) for end in ("acc_min", "acc_max")).bit_length() < layer["acc_type"]["bits"]
        )


def test_lstms_of_several_steps_and_of_one(recurrent, simulated):
    manifest = agreed(recurrent, simulated)
    layers = of_function(manifest, "lstm")
    assert [layer["lstm"]["steps"] for layer in layers] == [8, 8, 1]
    assert {layer["output"]["type"]["format"] for layer in layers} == {"int8", "e4m3fn"}
    for layer in layers:
        rows = 4 * layer["lstm"]["hidden"]
        assert layer["limits"]["names"][:2] == ["maximum-0", "minimum-0"]
        assert layer["weight"]["shape"] == [layer["lstm"]["features"] + layer["lstm"]["hidden"], rows]
        assert {layer["lstm"][name]["count"] for name in ("input_mult", "state_mult", "bias")} == {rows}
    assert max(layer["observed"]["sat_count"] for layer in layers) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4, 5, 6])
def test_lstms_with_every_kind_of_weight_in_every_folding(export_on_all_vectors, simulated, seed):
    manifest = agreed(export_on_all_vectors("RECURRENT", EVERY_WEIGHT, seed), simulated)
    assert all({"pe", "simd", "multipliers"} <= set(layer) for layer in of_function(manifest, "lstm"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_polynomial_gelus_in_every_width(export_on_all_vectors, simulated, seed):
    agreed(export_on_all_vectors("GELUS", {**GELUS, "activations": ["int4", "int12", "e5m2", "pot4"]}, seed), simulated)


def test_a_folding_becomes_both_engines_and_their_storage(recurrent, tmp_path):
    folder = shutil.copytree(recurrent, tmp_path / "copy")
    entries = entries_of(folder)
    layer = next(layer for layer in entries["layers"] if layer.get("function") == "lstm")
    layer["weight_memory"] = "bram"
    rehashed(folder, entries)
    project = tmp_path / "hls"
    project.mkdir()
    TARGET.write(Manifest.read(folder), project)
    name, parameters, top = layer["name"], (project / "params.h").read_text(), (project / "top.cpp").read_text()
    for config in ("engine_config", "cells_config"):
        struct = re.search(rf"struct {name}_{config} {{.*?^}};", parameters, re.DOTALL | re.MULTILINE)
        assert struct
        assert f"static const int pe = {layer['pe']};" in struct[0]
        assert f"static const int beat = {layer['simd']};" in struct[0]
    for array in ("w", "h"):
        assert f"#pragma HLS BIND_STORAGE variable={name}_{array} type=rom_np impl=bram" in top


FILES = ["weight", "input_mult", "state_mult", "bias", "sigmoid", "tanh", "cell_tanh"]


def turned_around(folder, entry):
    """The numbers of a file from the last to the first."""
    path = folder / entry["file"]
    path.write_text("\n".join(reversed(path.read_text().split())) + "\n")


def failures(folder):
    manifest = Manifest.read(folder)
    golden = next(check for check in BASE_CHECKS if check.name == "golden")
    return golden.run(manifest, folder)


@pytest.mark.parametrize("what", FILES)
def test_a_fault_in_the_constants_of_an_lstm_is_found_in_its_layer(recurrent, tmp_path, what):
    folder = shutil.copytree(recurrent, tmp_path / "copy")
    entries = entries_of(folder)
    layer = next(layer for layer in entries["layers"] if layer.get("function") == "lstm")
    turned_around(folder, layer["weight"] if what == "weight" else layer["lstm"][what])
    rehashed(folder, entries)
    found_in(failures(folder), layer["name"])


def test_sums_beyond_their_declared_width_are_told(recurrent, tmp_path):
    folder = shutil.copytree(recurrent, tmp_path / "copy")
    entries = entries_of(folder)
    layer = next(layer for layer in entries["layers"] if layer.get("function") == "lstm")
    layer["lstm"]["state_sums"]["bits"] = 8
    rehashed(folder, entries)
    outcome = failures(folder)
    assert outcome.status is Status.FAILED
    assert re.search(
        rf"layer {layer['name']} cannot be executed .* accumulators do not fit \[-128, 127\]", outcome.text
    )


@pytest.mark.slow
def test_a_fault_in_an_lstm_of_the_c_plus_plus_is_found_in_its_layer(recurrent, simulated, tmp_path):
    folder = shutil.copytree(recurrent, tmp_path / "copy")
    header = folder / "hls" / "layers" / "recurrent.h"
    text = header.read_text()
    for right, wrong in (("state[step % 2]", "state[(step + 1) % 2]"), ("<< C::kept_shift", "<< 0")):
        assert right in text
        header.write_text(text.replace(right, wrong))
        outcome = simulated(folder)
        assert outcome.status is Status.FAILED
        assert outcome.where[0].layer in [layer["name"] for layer in of_function(Manifest.read(folder), "lstm")]


def test_a_polynomial_is_close_to_gelu(gelus):
    """I-BERT's polynomial is within 0.02 of it on inputs up to 4, where outputs are not cut off."""
    manifest = Manifest.read(gelus)
    layer = of_function(manifest, "gelu-polynomial")[-1]
    source = manifest.layer(layer["inputs"][0])
    given = manifest.rows(source["golden"]["output"]).reshape(-1) * source["output"]["unit"]
    found = manifest.rows(layer["golden"]["output"]).reshape(-1) * layer["output"]["unit"]
    near = np.abs(given) < 4
    wanted = np.array([x / 2 * (1 + math.erf(x / math.sqrt(2))) for x in given[near].tolist()])
    assert near.sum() > 500
    assert np.abs(found[near] - wanted).max() < 0.02 + layer["output"]["unit"]
