"""The files of a project: what they are made of, what they promise, and what happens without a compiler."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import dse.exports.hls
from dse.errors import NotExportableError
from dse.exports.hls import TARGET
from dse.exports.hls.ap_types import find_ap_types
from dse.exports.hls.simulation import simulate
from dse.exports.manifest import Manifest
from dse.exports.parameters import export_design
from dse.exports.verification import Status
from tests.dse.exports.folder_checks import entries_of, files_of, rehashed

LAYERS = Path(dse.exports.hls.__file__).parent / "layers"


@pytest.fixture(scope="module")
def written(custom_bench, tmp_path_factory):
    """The residual network on digits, in a folding with several lanes."""
    found = custom_bench(
        "digits",
        formats={"weights": ["int4", "e3m2"], "activations": ["int8", "e4m3fn"], "mixed_families": True},
        front={"max_lanes": 8},
        device={"min_fps": 0.0},
    )
    folder = tmp_path_factory.mktemp("hls") / "out"
    export_design(found.prepared, found.tables.device, found.design(5), folder, targets=["hls"])
    return folder


def rewritten(folder):
    """The project written again; its folder."""
    project = folder / "hls"
    shutil.rmtree(project)
    project.mkdir()
    TARGET.write(Manifest.read(folder), project)
    return project


def test_the_files_hold_no_place_of_this_machine(written):
    files = files_of(written / "hls")
    assert {"Makefile", "params.h", "top.cpp", "top.h", "tb.cpp", "run_hls.tcl", "hls_config.cfg"} <= set(files)
    for name, content in files.items():
        assert str(written).encode() not in content, name
        assert b"/home/" not in content, name
        assert content.endswith(b"\n"), name


def test_only_one_header_is_not_ours(written):
    foreign = set()
    for path in (written / "hls").rglob("*.[h]"):
        if path.name != "testbench.h":
            foreign |= set(re.findall(r"#include [<\"](.*?)[>\"]", path.read_text()))
    ours = {path.name for path in (written / "hls").rglob("*.h")}
    assert {Path(name).name for name in foreign} - ours == {"ap_int.h"}


def test_foldings_become_pragmas_and_parameters(written):
    manifest, parameters = Manifest.read(written), (written / "hls" / "params.h").read_text()
    for layer in manifest.layers:
        if layer["op"] not in ("convolution", "linear"):
            continue
        struct = re.search(rf"struct {layer['name']}_engine_config {{.*?^}};", parameters, re.DOTALL | re.MULTILINE)
        assert struct, layer["name"]
        assert f"static const int pe = {layer['pe']};" in struct[0]
        assert f"static const int beat = {layer['simd']};" in struct[0]
        style = {"dsp": "in_dsps", "lut": "in_fabric"}[layer["multipliers"]]
        assert f", {style}> product;" in struct[0]
    engine = (LAYERS / "engines.h").read_text()
    for pragma in ("PIPELINE II=1", "UNROLL", "ARRAY_PARTITION", "ARRAY_RESHAPE variable=weight dim=2 cyclic"):
        assert f"#pragma HLS {pragma}" in engine
    top = (written / "hls" / "top.cpp").read_text()
    assert (
        top.count("#pragma HLS DATAFLOW")
        == sum(layer["op"] not in ("input", "reshape") for layer in manifest.layers) + 1
    )
    streams = re.findall(r"^    word<.*> (\w+)\[", top, re.MULTILINE)
    assert len(streams) == top.count("#pragma HLS STREAM")


@pytest.mark.parametrize(
    ("memory", "pragma"), [("bram", "impl=bram"), ("lutram", "impl=lutram"), ("uram", "impl=uram")]
)
def test_weight_memories_become_storage(written, tmp_path, memory, pragma):
    folder = shutil.copytree(written, tmp_path / "copy")
    entries = entries_of(folder)
    next(layer for layer in entries["layers"] if layer["name"] == "hidden")["weight_memory"] = memory
    rehashed(folder, entries)
    assert (
        f"#pragma HLS BIND_STORAGE variable=hidden_w type=rom_np {pragma}"
        in (rewritten(folder) / "top.cpp").read_text()
    )


def test_weights_off_the_chip_are_refused(written, tmp_path):
    folder = shutil.copytree(written, tmp_path / "copy")
    entries = entries_of(folder)
    next(layer for layer in entries["layers"] if layer["name"] == "hidden")["weight_memory"] = "offchip"
    rehashed(folder, entries)
    with pytest.raises(NotExportableError, match=r"layer 'hidden.*' reads its weights from off the chip.*on the chip"):
        rewritten(folder)


def test_an_operation_without_a_template_is_refused_by_name(written, tmp_path):
    folder = shutil.copytree(written, tmp_path / "copy")
    manifest = Manifest.read(folder)
    manifest.layers[-1]["op"] = "fourier"
    (tmp_path / "hls").mkdir()
    with pytest.raises(NotExportableError, match=r"\(fourier\) has no C\+\+ template: they exist for activate, add, "):
        TARGET.write(manifest, tmp_path / "hls")


DEFINED = r"^(?:struct|typedef .*|static const [a-z ]+|void|    word<.*>) (\w+)[\[{(; ]"
"""What generated code gives a name: structs, types, arrays, functions, streams."""
LIBRARY = r"(?:struct|class|enum|void|int|auto|typename [\w:]+|ap_u?int<[^;]*>) (\w+) *[({:]"


def test_no_name_of_a_layer_can_hide_a_name_of_the_library(written):
    """Names of a design are a layer's name, an underscore and a word, with which no name of the library ends."""
    names = sorted((layer["name"] for layer in Manifest.read(written).layers), key=len, reverse=True)
    suffixes = set()
    for file in ("params.h", "top.cpp"):
        for found in re.findall(DEFINED, (written / "hls" / file).read_text(), re.MULTILINE):
            name = next((name for name in names if found.startswith(f"{name}_")), None)
            assert name or found == "top" or re.fullmatch(r"stage\d+", found), found
            suffixes |= {found.removeprefix(name)} if name else set()
    assert {"_w", "_edge", "_cast", "_layer", "_stream", "_pool_config"} <= suffixes
    library = {"top"}
    for path in LAYERS.glob("*.h"):
        text = re.sub(r"//.*", "", path.read_text())
        library |= set(re.findall(LIBRARY, text))
        library |= {word.strip() for words in re.findall(r"enum \w+ {(.*?)}", text) for word in words.split(",")}
    assert {"average_pool", "sliding_window", "half_even", "grid", "floor_divided", "duplicate"} <= library
    assert [(name, one) for name in sorted(library) for one in suffixes if name.endswith(one)] == []


def test_headers_are_found_where_the_user_says(monkeypatch, tmp_path):
    (tmp_path / "ap_int.h").write_text("")
    monkeypatch.setenv("AP_TYPES", str(tmp_path))
    assert find_ap_types() == tmp_path
    monkeypatch.setenv("AP_TYPES", str(tmp_path / "elsewhere"))
    assert find_ap_types() is None


def test_headers_of_vitis_are_found(monkeypatch, tmp_path):
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "ap_int.h").write_text("")
    monkeypatch.delenv("AP_TYPES", raising=False)
    monkeypatch.setenv("XILINX_HLS", str(tmp_path))
    monkeypatch.setattr("dse.exports.hls.ap_types.importlib.util.find_spec", {}.get)
    assert find_ap_types() == tmp_path / "include"


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ("", ["ap_int.h was not found", "pip install hls4ml"]),
        ("/nowhere", ["AP_TYPES=/nowhere holds no ap_int.h", "name the folder that does"]),
    ],
)
def test_without_headers_nothing_is_verified_and_the_package_is_named(written, monkeypatch, tool, headers, words):
    tool("g++")
    monkeypatch.setenv("AP_TYPES", headers)
    for name in ("XILINX_HLS", "XILINX_VITIS", "XILINX_VIVADO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("dse.exports.hls.ap_types.importlib.util.find_spec", {}.get)
    outcome = simulate(Manifest.read(written), written / "hls")
    assert outcome.status is Status.NOT_VERIFIED
    assert [word for word in words if word not in outcome.text] == []


def test_without_a_compiler_nothing_is_verified_and_the_package_is_named(written, monkeypatch):
    monkeypatch.setenv("PATH", "")
    outcome = simulate(Manifest.read(written), written / "hls")
    assert outcome.status is Status.NOT_VERIFIED
    assert outcome.text == "g++ is not installed: the sources were not compiled (Debian package g++)"


@pytest.mark.slow
def test_the_makefile_simulates_as_a_user_would(custom_bench, tool, simulated, tmp_path):
    tool("make")
    found = custom_bench("digits-mlp", device={"min_fps": 0.0})
    export_design(found.prepared, found.tables.device, found.design(1), tmp_path / "out", targets=["hls"])
    project = tmp_path / "out" / "hls"
    command = ["make", "csim", f"AP_TYPES={find_ap_types()}"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"compared\t\d+\tdifferent\t0\n", done.stdout)
    missing = subprocess.run(
        ["make", "-B", "csim", "AP_TYPES=nowhere"], cwd=project, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert "ap_int.h not found: pip install hls4ml, or make AP_TYPES=folder" in missing.stdout
    vectors = tmp_path / "out" / Manifest.read(tmp_path / "out").entries["vectors"]["output"]["file"]
    vectors.write_text(vectors.read_text().replace("1", "2", 1))
    wrong = subprocess.run([str(project / "csim.out")], cwd=project, capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert re.match(r"difference\tclassify\tnetwork\t\d+\t\d+\t-?\d+\t-?\d+\n", wrong.stdout)
    vectors.unlink()
    cut = subprocess.run([str(project / "csim.out")], cwd=project, capture_output=True, text=True, check=False)
    assert cut.returncode == 2
    assert "cannot read" in cut.stderr
