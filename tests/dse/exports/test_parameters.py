"""Exports: an interpreter that reads nothing but the exported files gets the golden outputs, bit for bit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re

import numpy as np
import pytest

from dse.errors import StudyError
from dse.exports.base_checks import BASE_CHECKS
from dse.exports.folder_readme import folder_readme
from dse.exports.folders import OnExisting
from dse.exports.manifest import Manifest, file_entries
from dse.exports.parameters import export_design
from dse.exports.stimuli import VECTORS
from dse.exports.streams import stream_orders
from dse.exports.targets import Target
from emulation.calibrated import CalibratedNetwork
from emulation.execution import execute
from emulation.formats import FixedPoint
from emulation.network import Network
from tests.dse.exports.folder_checks import computed, files_of, intact

BESIDE = ("README.md", "manifest.json", "manifest.sha256")


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
@pytest.mark.parametrize("workload", ["digits-mlp", "digits"])
def test_the_files_alone_compute_the_golden_outputs(bench, tmp_path, workload, seed):
    """Random mixtures of integers and minifloats, families mixed within a layer."""
    found = bench(workload)
    design = found.design(100 + seed)
    export_design(found.prepared, found.tables.device, design, tmp_path / "out")
    intact(tmp_path / "out")
    _, golden = computed(tmp_path / "out", 8)
    hardware = found.prepared.calibrated.lower(design.formats)
    executed = execute(hardware, found.prepared.validation.inputs[:8]).reshape(8, -1)
    assert np.array_equal(golden, executed)
    assert len(np.unique(golden)) > 10


@pytest.mark.parametrize(
    ("workload", "seed"),
    [
        ("tests.dse.exports.small_networks:RESIDUAL", 200),
        *(pytest.param("digits-deep", seed, marks=pytest.mark.slow) for seed in range(200, 207)),
    ],
)
def test_the_files_alone_compute_depthwise_prelu_relu6_concat_and_pooling(bench, tmp_path, workload, seed):
    found = bench(workload)
    export_design(found.prepared, found.tables.device, found.design(seed), tmp_path / "out")
    layers = intact(tmp_path / "out").layers
    operations = {layer["op"] for layer in layers}
    assert {"depthwise", "averagepool", "add", "linear"} <= operations
    assert ("concat" in operations) == (workload == "digits-deep")
    assert any("negative_mult" in layer for layer in layers)


@pytest.fixture(scope="module", params=["digits-mlp", "digits"])
def exported(request, bench, tmp_path_factory):
    found = bench(request.param)
    design = found.design(7)
    folder = tmp_path_factory.mktemp("export") / "out"
    return found, design, export_design(found.prepared, found.tables.device, design, folder)


def test_every_file_is_listed_with_its_hash_count_and_range(exported):
    _, _, written = exported
    manifest = intact(written.folder)
    files = files_of(written.folder)
    assert written.files == len(files)
    entries = list(file_entries(manifest.entries))
    assert sorted([*(entry["file"] for entry in entries), *BESIDE]) == sorted(files)
    for entry in entries:
        content = files[entry["file"]]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        lines = content.decode().splitlines()
        assert len(lines) == entry.get("count", entry.get("rows"))
        values = [int(word) for line in lines for word in line.split()]
        bits, signed = entry["type"]["bits"], entry["type"]["signed"] and entry["type"].get("stored") != "code"
        assert -(1 << (bits - 1)) * signed <= min(values) <= max(values) < 1 << (bits - signed)
        if "shape" in entry:
            assert np.prod(entry["shape"]) == entry["count"]
    vectors = manifest.entries["vectors"]
    assert vectors["count"] == written.vectors == VECTORS >= 500
    assert manifest.rows(vectors["input"]).shape == (VECTORS, manifest.entries["input"]["size"])


def test_names_map_back_to_the_models_own(exported):
    found, _, written = exported
    manifest = Manifest.read(written.folder)
    assert list(manifest.entries["names"].values()) == [layer.name for layer in found.prepared.network.layers]
    assert list(manifest.entries["names"]) == manifest.names
    assert {layer["name"]: layer["source_name"] for layer in manifest.layers} == manifest.entries["names"]


def test_vectors_are_samples_then_random_codes_then_edges(exported):
    found, design, written = exported
    manifest = Manifest.read(written.folder)
    vectors, kind = manifest.entries["vectors"], design.edges[found.prepared.network.layers[0].name]
    inputs = manifest.rows(vectors["input"])
    hardware = found.prepared.calibrated.lower(design.formats)
    first = found.prepared.network.layers[0]
    cast = hardware.cast_samples(found.prepared.validation.inputs).reshape(vectors["validation"], -1)
    order = stream_orders(found.prepared.network)[first.name]
    assert np.array_equal(inputs[: vectors["validation"]], cast[:, order])
    drawn = inputs[vectors["validation"] : -4]
    assert len(drawn) > 250
    if isinstance(kind, FixedPoint):
        assert set(np.unique(drawn)) == set(range(kind.smallest_integer, kind.largest_integer + 1))
    low, high = kind.smallest_integer, kind.largest_integer
    assert vectors["edges"] == ["all-minimum", "all-maximum", "zero", "alternating"]
    edges = inputs[-4:]
    assert (edges[0] == low).all()
    assert (edges[1] == high).all()
    assert not edges[2].any()
    assert set(edges[3]) == {low, high}
    golden = vectors["golden"]
    assert golden[-4:] == list(range(508, 512))
    assert len(golden) == len(set(golden)) == 16
    output = manifest.layer(manifest.entries["output"]["layer"])
    assert np.array_equal(manifest.rows(output["golden"]["output"]), manifest.rows(vectors["output"])[golden])


def test_the_manifest_says_what_the_design_is(exported):
    found, design, written = exported
    manifest = json.loads((written.folder / "manifest.json").read_text())
    network = found.prepared.network
    assert [layer["source_name"] for layer in manifest["layers"]] == [layer.name for layer in network.layers]
    for entry, layer in zip(manifest["layers"], network.layers, strict=True):
        assert entry["output"]["type"]["format"] == str(design.edges[network.edge_of(layer.name)])
        low, high = entry["observed"]["minimum"], entry["observed"]["maximum"]
        kind = design.edges[network.edge_of(layer.name)]
        assert kind.smallest_integer <= low <= high <= kind.largest_integer
        parts = [part for part in design.parts if part.layer == layer.name]
        if parts:
            assert entry["estimate"]["luts"] == sum(part.cost.luts for part in parts)
        folding = next((part.folding for part in parts if part.folding), None)
        if folding is not None:
            assert (entry["pe"], entry["simd"]) == (folding.pe, folding.simd)
            assert entry["outputs"] % entry["pe"] == 0 == entry["depth"] % entry["simd"]
            assert entry["weight"]["type"]["format"] == str(design.weights[layer.name])
            assert entry["out_type"]["format"] == entry["output"]["type"]["format"]
            seen, width = entry["observed"], entry["acc_type"]["bits"]
            assert -(1 << (width - 1)) <= seen["acc_min"] <= seen["acc_max"] < 1 << (width - 1)
            assert width <= entry["acc_type"]["worst_case_bits"] + 1  # the bias may take one bit more than the products
            assert seen["wrap_count"] == 0 <= seen["sat_count"] <= layer.elements * seen["samples"]
    for name in ("luts", "flip_flops", "dsps", "bram18s"):
        assert manifest["estimate"][name] == design.total.resource(name)
        assert manifest["estimate"][name] == sum(
            one["estimate"][name] for one in manifest["layers"] if "estimate" in one
        )
    assert manifest["estimate"]["interval_cycles"] == design.interval_cycles
    assert manifest["estimate"]["latency_cycles"] == design.latency_cycles


def test_a_second_export_has_the_same_bytes(bench, tmp_path):
    found = bench("digits")
    for name in ("one", "two"):
        export_design(found.prepared, found.tables.device, found.design(7), tmp_path / name)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_no_file_holds_a_path_of_this_machine(exported):
    _, _, written = exported
    for name, content in files_of(written.folder).items():
        assert str(written.folder).encode() not in content, name
        assert not re.search(rb'"/|\b(tmp|home|root)/', content), name


def test_a_folder_that_is_not_empty_is_left_as_it_is(bench, tmp_path):
    found = bench("digits-mlp")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine").write_text("keep")
    with pytest.raises(StudyError, match=r"out exists and is not empty: nothing was written\. Choose another folder"):
        export_design(found.prepared, found.tables.device, found.design(0), folder)
    assert files_of(tmp_path) == {"out/mine": b"keep"}
    with pytest.raises(
        StudyError, match=r"exists and is no export \(it has no manifest\.json\): --force replaces nothing"
    ):
        export_design(found.prepared, found.tables.device, found.design(0), folder, on_existing=OnExisting.REPLACE)
    assert files_of(tmp_path) == {"out/mine": b"keep"}
    with pytest.raises(StudyError, match="exists and is not empty"):
        export_design(found.prepared, found.tables.device, found.design(0), folder / "mine")


def test_an_earlier_export_is_replaced_whole_and_only_by_one_that_is_complete(bench, tmp_path, monkeypatch):
    found = bench("digits-mlp")
    prepared, device = found.prepared, found.tables.device
    folder = tmp_path / "out"
    export_design(prepared, device, found.design(0), folder)
    before = files_of(folder)
    (folder / "hls").mkdir()
    (folder / "hls" / "mine.cpp").write_text("edited")

    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("dse.exports.parameters.json.dumps", full)
        with pytest.raises(StudyError, match="No space left on device"):
            export_design(prepared, device, found.design(1), folder, on_existing=OnExisting.REPLACE)
    assert files_of(folder) == before | {"hls/mine.cpp": b"edited"}
    export_design(prepared, device, found.design(0), folder, on_existing=OnExisting.REPLACE)
    assert files_of(folder) == before
    assert list(tmp_path.iterdir()) == [folder]


def test_an_empty_folder_and_missing_parents_are_fine(bench, tmp_path):
    found = bench("digits-mlp")
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b" / "c"):
        export_design(found.prepared, found.tables.device, found.design(0), folder)
        assert (folder / "manifest.json").is_file()


def test_an_export_that_fails_half_way_leaves_nothing(bench, tmp_path, monkeypatch):
    found = bench("digits-mlp")

    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dse.exports.parameters.json.dumps", full)
    with pytest.raises(StudyError, match=r"cannot be written \(No space left on device\)"):
        export_design(found.prepared, found.tables.device, found.design(0), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_cannot_be_written(bench, tmp_path):
    (tmp_path / "file").write_text("")
    found = bench("digits-mlp")
    with pytest.raises(StudyError, match=r"cannot be written .* choose a folder you may write to"):
        export_design(found.prepared, found.tables.device, found.design(0), tmp_path / "file" / "out")


HOSTILE = ["../../etc/passwd", "<script>alert(1)</script>", "a b;rm -rf ~", "1st", "", "ünïcode", "a_b_rm_rf"]


def test_hostile_layer_names_stay_inside_the_folder(bench, tmp_path):
    found = bench("digits-mlp")
    prepared, design = found.prepared, found.design(3)
    names = dict(zip([layer.name for layer in prepared.network.layers], HOSTILE, strict=False))
    layers = tuple(
        dataclasses.replace(layer, name=names[layer.name], inputs=tuple(names[one] for one in layer.inputs))
        for layer in prepared.network.layers
    )
    network = Network(name="../evil", layers=layers, output=names[prepared.network.output])
    calibrated = CalibratedNetwork(
        network=network,
        ranges={names[edge]: one for edge, one in prepared.calibrated.ranges.items()},
        scalings=prepared.calibrated.scalings,
    )
    renamed = design.replace(
        edges={names[edge]: one for edge, one in design.edges.items()},
        weights={names[layer]: one for layer, one in design.weights.items()},
        parts=tuple(dataclasses.replace(part, layer=names[part.layer]) for part in design.parts),
    )
    hostile = dataclasses.replace(prepared, network=network, calibrated=calibrated)
    export_design(hostile, found.tables.device, renamed, tmp_path / "deep" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
    manifest = intact(tmp_path / "deep" / "out")
    assert list(manifest.entries["names"].values()) == list(names.values())
    assert (
        manifest.names
        == ["etc_passwd", "script_alert_1_script", "a_b_rm_rf", "layer_1st", "layer", "n_code"][: len(manifest.names)]
    )


def test_the_readme_names_the_design_its_layers_and_what_is_checked(exported):
    _, design, written = exported
    text = (written.folder / "README.md").read_text()
    manifest = Manifest.read(written.folder)
    assert text.startswith(f"# Parameters of design {design.name}\n")
    assert f"512 vectors: {manifest.entries['vectors']['validation']} validation samples" in text
    for layer in manifest.layers:
        assert f"| {layer['name']} | {layer['op']} | " in text
    for check in BASE_CHECKS:
        assert check.name in text
    assert "Not verified here: synthesis, place and route, timing and power" in text


def test_the_readme_says_how_targets_are_run(exported):
    _, _, written = exported
    manifest = Manifest.read(written.folder)
    target = Target(name="own", description="a thing", how_to_run="make\nmake run", write=print, checks=())
    text = folder_readme({**manifest.entries, "network": "a`b\n# c"}, [target])
    assert "`own/`: a thing.\n\n    make\n    make run\n" in text
    assert "Network `ab # c` on " in text
