"""Reports of Vivado and Vitis HLS: whatever is written in their layouts is read back, figure by figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodels.reported.read import read_reports
from hwmodels.reported.text_tables import read_tables
from hwmodels.reported.usage import Report, ReportError, Stage
from tests.hwmodels.reported.samples import (
    PART,
    Cell,
    hls_function,
    hls_summary,
    hls_xml,
    usage,
    vivado_flat,
    vivado_hierarchy,
    vivado_timing,
)

if TYPE_CHECKING:
    from pathlib import Path

INNER = Cell("mac[0].product_i", "multiplier", usage(67, 0))
ENGINE = Cell("engine0", "engine_2x2", usage(512, 300, 4, 3, 1), (INNER, Cell("sum_i", "adder", usage(24))))
TOP = Cell("top", "top", usage(2048, 900, 8, 7, 2), (ENGINE, Cell("engine1", "engine_4x2", usage(77, 5))))


def read(tmp_path: Path, *texts: str) -> Report:
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"report{number}.txt")
        paths[-1].write_text(text, encoding="utf-8")
    (report,) = read_reports(paths)
    return report


def found(report: Report) -> list[tuple[str, object]]:
    return [(one.path, one.usage) for one in report.instances]


def expected(top: Cell) -> list[tuple[str, object]]:
    return [(path, cell.usage) for _, path, cell in top.walk()]


@pytest.mark.parametrize("percent", [False, True])
@pytest.mark.parametrize("dsp", ["DSP Blocks", "DSP48 Blocks"])
def test_vivado_hierarchy(tmp_path, percent, dsp):
    report = read(tmp_path, vivado_hierarchy(TOP, percent=percent, dsp=dsp))
    assert found(report) == expected(TOP)
    assert [one.module for one in report.instances] == ["(top)", "engine_2x2", "multiplier", "adder", "engine_4x2"]
    assert (report.tool, report.part, report.stage) == ("Vivado v.2022.2", PART, Stage.SYNTHESISED)
    assert (report.design, report.timing) == ("top", None)


@pytest.mark.parametrize("slices", [False, True])
def test_vivado_without_hierarchy(tmp_path, slices):
    used = usage(2048, 900, 8, 7, 0 if slices else 2)
    report = read(tmp_path, vivado_flat("top_wrapper", used, slices=slices))
    assert found(report) == [("top_wrapper", used)]
    assert report.part == PART


def test_block_ram_tiles_where_nothing_else_is_told(tmp_path):
    text = "\n".join(line for line in vivado_flat("top", usage(1, 2, 0, 7)).splitlines() if "RAMB" not in line)
    assert read(tmp_path, text).instances[0].usage.bram18s == 7


def test_csynth_xml(tmp_path):
    report = read(tmp_path, hls_xml(TOP))
    assert found(report) == expected(TOP)
    assert (report.tool, report.part, report.stage) == ("HLS 2023.2", PART, Stage.ESTIMATED)
    assert report.timing is not None
    assert (report.timing.slack_ns, report.timing.period_ns) == (1.35, 5.0)
    assert found(read(tmp_path, hls_xml(TOP, dsp="DSP48E"))) == expected(TOP)


def test_csynth_xml_of_one_function(tmp_path):
    assert found(read(tmp_path, hls_xml(TOP, hierarchy=False))) == [("top", TOP.usage)]


def test_csynth_summary(tmp_path):
    report = read(tmp_path, hls_summary(TOP))
    assert found(report) == expected(TOP)
    assert (report.tool, report.part, report.stage) == ("HLS 2023.2", PART, Stage.ESTIMATED)


@pytest.mark.parametrize("dsp", ["DSP48E", "DSP"])
def test_csynth_report_of_a_function(tmp_path, dsp):
    report = read(tmp_path, hls_function(TOP, dsp=dsp))
    assert found(report) == [
        ("top", TOP.usage),
        ("top/engine0", ENGINE.usage),
        ("top/engine1", TOP.below[1].usage),
    ]
    assert (report.tool, report.part) == ("HLS 2020.2", PART)


COUNT = st.integers(0, 10**6)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}(\[[0-9]{1,2}\])?(\.[a-z_]{1,6})?", fullmatch=True)
USAGES = st.builds(usage, COUNT, COUNT, COUNT, COUNT, COUNT)


def cells(below: st.SearchStrategy[tuple[Cell, ...]]) -> st.SearchStrategy[Cell]:
    return st.builds(Cell, NAMES, NAMES, USAGES, below)


TREES = cells(st.recursive(st.just(()), lambda inner: st.lists(cells(inner), max_size=4).map(tuple), max_leaves=12))


@given(TREES)
def test_any_hierarchy_of_vivado(tmp_path_factory, top):
    assert found(read(tmp_path_factory.mktemp("any"), vivado_hierarchy(top))) == expected(top)


@given(TREES)
def test_any_summary_of_hls(tmp_path_factory, top):
    assert found(read(tmp_path_factory.mktemp("any"), hls_summary(top))) == expected(top)


@pytest.mark.parametrize(
    ("slack", "periods", "reached"),
    [
        ("0.521", ["5.000"], 1000 / 4.479),
        ("-0.857", ["12.500", "12.500"], 1000 / 13.357),
        ("0.100", ["5.000", "8.000"], None),
    ],
)
def test_timing_goes_with_its_utilisation(tmp_path, slack, periods, reached):
    timing = read(tmp_path, vivado_hierarchy(TOP), vivado_timing(slack, periods)).timing
    assert timing is not None
    assert timing.slack_ns == float(slack)
    assert timing.reached_mhz == (None if reached is None else pytest.approx(reached))


def test_instances_by_path_by_its_end_and_by_module(tmp_path):
    report = read(tmp_path, vivado_hierarchy(TOP))
    assert report.find("top").usage == TOP.usage
    assert report.find("top/engine0/sum_i").usage == report.find("sum_i").usage == usage(24)
    assert report.find("engine0/mac[0].product_i").path == "top/engine0/mac[0].product_i"
    assert report.find("engine_4x2").path == "top/engine1"


def test_instances_that_are_not_there_or_not_the_only_ones(tmp_path):
    report = read(tmp_path, vivado_hierarchy(TOP))
    with pytest.raises(
        ReportError, match=r"has no instance 'engine2': did you mean top/engine[01] or top/engine[01]\?"
    ):
        report.find("engine2")
    with pytest.raises(ReportError, match="has no instance 'zzz': it has top, top/engine0, "):
        report.find("zzz")
    twins = Cell(
        "top",
        "top",
        usage(9),
        (Cell("a", "m", usage(1), (Cell("x", "u", usage(2)),)), Cell("b", "m", usage(1), (Cell("x", "u", usage(3)),))),
    )
    report = read(tmp_path, vivado_hierarchy(twins))
    with pytest.raises(ReportError, match="'x' names 2 instances: give more of the path, such as top/a/x or top/b/x"):
        report.find("x")
    assert report.find("m").path == "top/a"  # both are alike


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no report this tool knows: give what Vivado's report_utilization"),
        ("| Site Type | Used |\n", "has no table of instances and none of LUTs and registers"),
        (
            vivado_hierarchy(TOP).replace("| top ", "# top ").split("|   engine0")[0],
            "the table of the hierarchy is empty",
        ),
        ("<profile><AreaEstimates>", "is no XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + hls_xml(TOP), "declares entities"),
        (hls_xml(TOP).replace("TopModelName", "Other"), "has no UserAssignments/TopModelName"),
        (
            hls_xml(TOP, hierarchy=False).replace("Resources", "Others"),
            "has no AreaEstimates/Resources: run csynth_design",
        ),
        ("== Utilization Estimates\nnone\n", "has no total of its utilisation"),
        (
            "| Design Timing Summary\n\n  WNS(ns)  TNS(ns)\n  ----  ----\n    NA    NA\n",
            "tells no worst negative slack",
        ),
        (vivado_timing("0.5", ["5.000"]), "there is no utilisation report among the files"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, text, message):
    with pytest.raises(ReportError, match=message):
        read(tmp_path, text)


def test_files_that_do_not_go_together(tmp_path):
    with pytest.raises(ReportError, match=r"1 timing summaries and reports of 2 designs: import one design at a time"):
        read(tmp_path, vivado_flat("one", usage(1)), vivado_flat("two", usage(1)), vivado_timing("0.5", ["5.000"]))
    with pytest.raises(ReportError, match="cannot be read: No such file"):
        read_reports([tmp_path / "nothing.rpt"])


def test_tables_that_are_none():
    assert read_tables("| a | b |\n+---+\n| a | b |\nend".splitlines()) == []
    (table,) = read_tables("+---+---+\n| a | a |\n+---+---+\n| 1 | 2 |\n| 3 |\n+---+---+".splitlines())
    assert table.rows == ((" 1 ", " 2 "),)
    assert list(table.records()) == [{"a": " 1 "}]
