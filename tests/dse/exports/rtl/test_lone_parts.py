"""The check of engines and casts alone: it passes on what was exported, and names the limit or tie that differs."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from dse.exports.rtl.lone_parts import UnknownTextError, lone_parts
from dse.exports.rtl.lone_simulation import simulate_alone
from dse.exports.rtl.stages import design_of
from dse.exports.verification import Status
from hwmodels.rtl.casts import cast
from tests.dse.exports.faults import found_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dse.exports.manifest import Manifest

    Exported = Callable[[str, str], Manifest]

CASES = [
    ("RESIDUAL", "integers"),
    ("RESIDUAL", "minifloats"),
    ("RESIDUAL", "mixture"),
    ("RESIDUAL", "l-mul-formula"),
    ("CONVOLUTIONS", "mixture"),
    ("PERCEPTRON", "powers"),
    ("PERCEPTRON", "codebook"),
    ("PERCEPTRON", "l-mul-field"),
]


@pytest.fixture(autouse=True)
def verilator(tool: Callable[[str], Path]) -> None:
    for name in ("verilator", "g++", "make"):
        tool(name)


def promised(manifest: Manifest) -> int:
    """Limits and ties of all engines."""
    engines = [layer for layer in manifest.layers if "limits" in layer]
    return sum(len(layer["limits"]["names"]) + layer["ties"]["accumulators"]["rows"] for layer in engines)


def passes(manifest: Manifest) -> None:
    found = simulate_alone(manifest, manifest.folder / "rtl")
    assert found.status is Status.PASSED, (found.text, [str(one) for one in found.where])
    engines = sum("limits" in layer for layer in manifest.layers)
    words = f"Verilator: {promised(manifest)} limits and ties of {engines} engines alone, 0 differences"
    assert found.text == words


def test_wrapping_engines_at_their_limits_and_their_casts_at_ties(exported: Exported) -> None:
    manifest = exported("PERCEPTRON", "wrapping")
    assert {layer["acc_type"]["overflow"] for layer in manifest.layers if "limits" in layer} == {"WRAP"}
    passes(manifest)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "menu"), CASES)
def test_engines_and_casts_of_every_family(network: str, menu: str, exported: Exported) -> None:
    passes(exported(network, menu))


def other_rounding(text: str) -> str:
    """Casts that round half up, under the names of those that round half to even."""
    name = r"module (cast_input(\d+)_output(\d+)_shift(\d+)_shift_bits0_input_signed1_output_signed(\d)\S*)"
    for module, *widths in re.findall(name, text):
        given = dict(zip(("input", "output", "shift", "output_signed"), map(int, widths), strict=True))
        even, up = cast(**given), cast(**given, rounding=1)
        assert even.module == module
        text = text.replace(even.text, up.text.replace(up.module, module))
    return text


def one_weight_memory(text: str) -> str:
    """Another first word in the first memory of weights."""
    memory = re.search(r"(\w+) weight_memory \(", text)
    assert memory
    body = re.search(rf"module {memory[1]} \(.*?endmodule", text, re.DOTALL)
    assert body
    word = re.search(r"'h([0-9a-f]+)", body[0])
    assert word
    other = f"{int(word[1], 16) ^ 1:x}"
    return text.replace(body[0], body[0].replace(word[0], f"'h{other}", 1))


@pytest.mark.slow
@pytest.mark.parametrize("fault", [other_rounding, one_weight_memory])
def test_a_fault_in_a_unit_is_found_in_its_layer(
    fault: Callable[[str], str], exported: Exported, tmp_path: Path
) -> None:
    manifest = exported("CONVOLUTIONS", "shifts")
    shutil.copytree(manifest.folder / "rtl", tmp_path / "rtl")
    path = tmp_path / "rtl" / "units.v"
    text = path.read_text()
    path.write_text(fault(text))
    assert path.read_text() != text
    found = simulate_alone(manifest, tmp_path / "rtl")
    engines = [layer["name"] for layer in manifest.layers if "limits" in layer]
    first = found_in(found, found.where[0].layer)
    assert first.layer in engines
    assert first.vector.startswith(("limits ", "ties channel "))
    assert re.search(rf"{first.layer}: FAILED: \d+ of \d+ words differ", found.text)


def test_a_stage_that_is_not_there_is_named(exported: Exported, tmp_path: Path) -> None:
    manifest = exported("PERCEPTRON", "wrapping")
    design = design_of(manifest)
    stage = design.stages[0].name
    rtl = shutil.copytree(manifest.folder / "rtl", tmp_path / "rtl")
    units, wiring = ((rtl / name).read_text() for name in ("units.v", "network.v"))
    with pytest.raises(UnknownTextError, match=f"stage {stage} is not in the Verilog"):
        lone_parts(manifest, design, units=units, wiring=wiring.replace(f" {stage} (", " other ("))
    (rtl / "units.v").write_text(units.replace(" cast0 (", " other0 ("))
    found = simulate_alone(manifest, rtl)
    assert found.status is Status.FAILED
    assert re.match(r"Verilator: the cast of \w+ is not in the Verilog", found.text)
