"""The flow for AMD parts with the real tool: figures that follow from the structure, and failures."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.families import unit
from hwmodels.synthesis.tools import ToolFailedError, ToolTimeoutError
from hwmodels.synthesis.xilinx import XCUP, XCUP_DSP

if TYPE_CHECKING:
    from pathlib import Path

    from hwmodels.rtl.unit import Unit


def wrapped(text: str, module: str) -> Unit:
    return dataclasses.replace(unit("multiplier", {"a": 2, "b": 2}), text=text, module=module)


def test_an_adder_takes_a_site_a_bit(tmp_path: Path) -> None:
    text = "module add12 (input wire [11:0] a, b, output wire [11:0] y);\n assign y = a + b;\nendmodule\n"
    found = XCUP.measure([wrapped(text, "add12")], tmp_path, 100)[0]
    assert (found["luts"], found["flip_flops"], found["carry_bits"]) == (12, 0, 12)


def test_registers_and_a_dsp(tmp_path: Path) -> None:
    text = (
        "module product (input wire clk, input wire signed [7:0] a, b, output reg signed [15:0] y);\n"
        "wire signed [26:0] wide = a; wire signed [17:0] narrow = b; wire signed [44:0] p = wide * narrow;\n"
        "always @(posedge clk) y <= p[15:0];\nendmodule\n"
    )
    found = XCUP_DSP.measure([wrapped(text, "product")], tmp_path, 100)[0]
    assert found["dsps"] == 1


def test_an_error_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match="ERROR"):
        XCUP.measure([wrapped("module broken (input wire a;\nendmodule\n", "broken")], tmp_path, 100)


def test_time_runs_out(tmp_path: Path) -> None:
    with pytest.raises(ToolTimeoutError, match=r"did not end within 0\.01 s"):
        XCUP.measure([unit("multiplier", {"a": 16, "b": 16})], tmp_path, 0.01)
