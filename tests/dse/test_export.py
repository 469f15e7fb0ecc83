"""Exports: an interpreter that reads nothing but the exported files gets the golden outputs, bit for bit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dse.errors import StudyError
from dse.export import VECTOR_COUNT, export_design, file_names
from emulation.calibrated import CalibratedNetwork
from emulation.execution import execute
from emulation.network import Network
from tests.dse.manifest_interpreter import Interpreter

if TYPE_CHECKING:
    from pathlib import Path

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("workload", ["digits-mlp", "digits"])
def test_the_files_alone_compute_the_golden_outputs(bench, tmp_path, workload, seed):
    """Random mixtures of integers and minifloats, families mixed within a layer."""
    found = bench(workload)
    design = found.design(100 + seed)
    export_design(found.prepared, found.tables.device, design, tmp_path / "out")
    ours, golden = Interpreter(tmp_path / "out").run(most=8)
    assert np.array_equal(ours, golden)
    hardware = found.prepared.calibrated.lower(design.formats)
    executed = execute(hardware, found.prepared.validation.inputs[:8]).reshape(8, -1)
    assert np.array_equal(golden, executed)
    assert len(np.unique(golden)) > 10


@pytest.mark.parametrize("seed", [200, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(201, 207))])
def test_the_files_alone_compute_depthwise_prelu_relu6_concat_and_global_pooling(bench, tmp_path, seed):
    found = bench("digits-deep")
    export_design(found.prepared, found.tables.device, found.design(seed), tmp_path / "out")
    interpreter = Interpreter(tmp_path / "out")
    layers = interpreter.manifest["layers"]
    assert {"depthwise", "concat", "averagepool", "add", "linear"} <= {layer["op"] for layer in layers}
    assert any("negative_mult" in layer for layer in layers)
    ours, golden = interpreter.run(most=3)
    assert np.array_equal(ours, golden)


def test_an_altered_weight_is_noticed(bench, tmp_path):
    """The interpreter can fail: it really reads the weights."""
    found = bench("digits")
    export_design(found.prepared, found.tables.device, found.design(100), tmp_path / "out")
    path = tmp_path / "out" / "weights" / "classify_b.txt"
    path.write_text("".join(f"{int(line) + 1000}\n" for line in path.read_text().split()))
    ours, golden = Interpreter(tmp_path / "out").run(most=4)
    assert not np.array_equal(ours, golden)


@pytest.fixture(scope="module", params=["digits-mlp", "digits", "digits-deep"])
def exported(request, bench, tmp_path_factory):
    found = bench(request.param)
    design = found.design(7)
    folder = tmp_path_factory.mktemp("export") / "out"
    return found, design, export_design(found.prepared, found.tables.device, design, folder)


def entries_with_files(content: Any):
    if isinstance(content, dict):
        if "file" in content:
            yield content
        for value in content.values():
            yield from entries_with_files(value)
    elif isinstance(content, list):
        for value in content:
            yield from entries_with_files(value)


def test_every_file_is_listed_with_its_hash_count_and_range(exported):
    _, _, written = exported
    files = files_of(written.folder)
    manifest = json.loads(files.pop("manifest.json"))
    assert written.files == len(files) + 1
    entries = list(entries_with_files(manifest))
    assert sorted(entry["file"] for entry in entries) == sorted(files)
    for entry in entries:
        content = files[entry["file"]]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        if "count" not in entry:
            continue
        values = [int(line) for line in content.decode().splitlines()]
        assert len(values) == entry["count"]
        bits = entry["type"]["bits"]
        signed = entry["type"]["signed"] and entry["type"].get("stored") != "code"
        assert -(1 << (bits - 1)) * signed <= min(values) <= max(values) < 1 << (bits - signed)
        if "shape" in entry:
            assert np.prod(entry["shape"]) == entry["count"]
    rows = files[manifest["vectors"]["input"]["file"]].decode().splitlines()
    assert len(rows) == manifest["vectors"]["count"] == written.vectors == VECTOR_COUNT
    assert {len(row.split()) for row in rows} == {manifest["input"]["size"]}


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
    with pytest.raises(StudyError, match="exists and is not empty"):
        export_design(found.prepared, found.tables.device, found.design(0), folder / "mine")


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

    monkeypatch.setattr("dse.export.json.dumps", full)
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
    interpreter = Interpreter(tmp_path / "deep" / "out")
    assert all(NAME.fullmatch(layer["name"]) for layer in interpreter.manifest["layers"])
    assert [layer["source_name"] for layer in interpreter.manifest["layers"]] == list(names.values())
    ours, golden = interpreter.run(most=4)
    assert np.array_equal(ours, golden)


@given(some.lists(some.text(max_size=80), unique=True, max_size=12))
def test_file_names_are_safe_and_distinct_whatever_the_case(names):
    found = file_names(names)
    assert list(found) == names
    assert all(NAME.fullmatch(name) and len(name) < 100 for name in found.values())
    assert len({name.lower() for name in found.values()}) == len(names)


def test_file_names_keep_what_they_can():
    assert file_names(["stem.conv", "Stem_Conv", "stem_conv_2", "9"]) == {
        "stem.conv": "stem_conv",
        "Stem_Conv": "Stem_Conv_2",
        "stem_conv_2": "stem_conv_2_2",
        "9": "layer_9",
    }
