"""hls4ml projects: hls4ml's own simulation agrees with every layer, faults are found where they are."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from dse.errors import NotExportableError
from dse.exports.hls4ml_layers import hls4ml_nodes, legal_reuse, type_of
from dse.exports.hls4ml_project import TARGET
from dse.exports.manifest import Manifest
from dse.exports.processes import run
from dse.exports.real_layers import real_layers
from dse.exports.verification import Status
from tests.dse.exports.faults import refusal
from tests.dse.exports.folder_checks import agreement, written_by
from tests.missing_tools import foreign, program

foreign("hls4ml", "pip install hls4ml==1.3.0")
(CHECK,) = TARGET.checks


def agrees(export, tmp_path, *, layers):
    """Writes the project of an export, and simulates all vectors; hls4ml merges reshapes into what reads them."""
    program("g++")
    text = agreement(TARGET, export, tmp_path)
    assert text.startswith("hls4ml csim: 512 vectors, ")
    assert text.endswith(f" values of {layers} layers, 0 differences")


def test_every_kind_of_layer_is_simulated_exactly(small_export, tmp_path):
    """Dense, strided, padded, depthwise and pointwise convolutions, both poolings, a residual, ReLU6, PReLU."""
    agrees(small_export, tmp_path, layers=8)


@pytest.mark.slow
def test_a_network_without_windows_is_simulated_exactly(export_of, tmp_path):
    agrees(export_of("digits-mlp"), tmp_path, layers=3)


@pytest.mark.slow
def test_windows_over_one_axis_are_simulated_exactly(row_export, tmp_path):
    agrees(row_export, tmp_path, layers=5)


@pytest.mark.slow
def test_weights_of_other_formats_are_simulated_exactly(export_of, tmp_path):
    menu = {"weights": ["e3m2", "pot4", "nf4"], "activations": ["int8"], "mixed_families": True}
    agrees(export_of("tests.dse.exports.small_networks:ROW", 5, **menu), tmp_path, layers=5)


@pytest.mark.slow
def test_the_residual_network_is_simulated_exactly(digits_export, tmp_path):
    agrees(digits_export, tmp_path, layers=10)


@pytest.mark.slow
def test_a_deep_network_is_simulated_exactly(deep_export, tmp_path):
    agrees(deep_export, tmp_path, layers=29)


def converted(folder, tmp_path):
    """The folder's own script, as a user runs it."""
    return run([sys.executable, str(folder / "convert.py"), "--output", str(tmp_path / "project")], tmp_path)


def test_the_folder_s_own_script_writes_the_project(small_export, tmp_path):
    folder = written_by(TARGET, Manifest.read(small_export), tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        "convert.py",
        "hls4ml_config.json",
        "layers.json",
        "weights.npz",
    ]
    ended = converted(folder, tmp_path)
    assert ended.returncode == 0, ended.stderr
    firmware = tmp_path / "project" / "firmware"
    assert "ap_fixed" in (firmware / "defines.h").read_text()
    assert "WARNING: Invalid ReuseFactor" not in ended.stdout


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"ReuseFactor": 7}, "  mix: ReuseFactor is 6, not 7"),
        (
            {"Precision": {"result": "ap_fixed<4,2>", "scale": "ap_fixed<3,1>"}},
            "  mix: scale is None, promised ap_fixed",
        ),
    ],
    ids=["reuse", "precision"],
)
def test_what_hls4ml_does_not_use_is_said(small_export, tmp_path, change, text):
    folder = written_by(TARGET, Manifest.read(small_export), tmp_path)
    config = json.loads((folder / "hls4ml_config.json").read_text())
    config["HLSConfig"]["LayerName"]["mix"] |= change
    (folder / "hls4ml_config.json").write_text(json.dumps(config))
    ended = converted(folder, tmp_path)
    assert ended.returncode == 1
    assert "hls4ml does not use what hls4ml_config.json says:\n" in ended.stderr
    assert text in ended.stderr
    assert not (tmp_path / "project").exists()


def test_a_damaged_project_is_a_failure(small_export, tmp_path):
    program("g++")
    manifest = Manifest.read(small_export)
    folder = written_by(TARGET, manifest, tmp_path)
    (folder / "layers.json").write_text("[]")
    outcome = CHECK.run(manifest, folder)
    assert outcome.status is Status.FAILED
    assert outcome.text.startswith("hls4ml cannot make or simulate the project: ")


@pytest.mark.parametrize(("place", "lacking"), [("importlib.util.find_spec", "hls4ml"), ("shutil.which", "g++")])
def test_without_its_tools_nothing_is_claimed(small_export, tmp_path, monkeypatch, place, lacking):
    monkeypatch.setattr(place, lambda _: None)
    outcome = CHECK.run(Manifest.read(small_export), tmp_path)
    assert outcome.status is Status.NOT_VERIFIED
    assert outcome.text.startswith(f"{lacking} is not installed: ")


def test_reuse_factors_are_those_of_hls4ml():
    from hls4ml.backends import get_backend

    backend = get_backend("Vitis")
    for inputs in range(1, 19):
        for outputs in range(1, 13):
            legal = backend.get_valid_reuse_factors(inputs, outputs)
            for wanted in range(1, inputs * outputs + 2):
                assert legal_reuse(inputs, outputs, wanted) == max(one for one in legal if one <= wanted)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0.0], "ap_ufixed<1,1>"),
        ([0.5, 3.0], "ap_ufixed<3,2>"),
        ([-8.0, 4.0], "ap_fixed<2,4>"),
        ([-0.125, 0.125], "ap_fixed<2,-1>"),
        ([16.0, 48.0], "ap_ufixed<2,6>"),
    ],
)
def test_types_are_the_narrowest_that_hold_all(numbers, expected):
    assert type_of(np.array(numbers)) == expected


def overlapping(folder, layer):
    layer["stride"] = [1, 1]


def dilated(folder, layer):
    layer["dilation"] = [2, 2]


def upwards(folder, layer):
    layer["out_type"]["rounding"] = "ceiling"


def grouped(folder, layer):
    layer["groups"] = 2


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        (
            "pool",
            overlapping,
            "it pools windows of [2, 2] at a stride of [1, 1], and hls4ml's streams pool side by side",
        ),
        ("mix", dilated, "its window is dilated by [2, 2]; export to hls"),
        ("mix", upwards, "it rounds by ceiling, and hls4ml by half-even, half-up, half-away, half-down"),
        ("mix", grouped, "it has 2 groups of 36 inputs and 4 outputs; export to hls"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_hls4ml_lacks_is_refused(small_export, changed, name, change, text):
    said = refusal(lambda manifest: hls4ml_nodes(real_layers(manifest)), changed(small_export, name, change))
    assert said.startswith(f"layer {name}: {text}")


def test_minifloats_between_layers_are_refused(export_of, tmp_path):
    export = export_of("tests.dse.exports.small_networks:ROW", weights=["e3m2"], activations=["e3m2"])
    with pytest.raises(NotExportableError, match="layer layer_input: its outputs are e3m2; use integers, or export"):
        TARGET.write(Manifest.read(export), tmp_path)
