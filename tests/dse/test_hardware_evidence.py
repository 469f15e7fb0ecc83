"""The committed rows as frames of the page about hardware costs, the bars they are held to, and missing rows."""

from __future__ import annotations

import shutil

import pytest

import dse.publish_hardware
from dse.hardware_bars import (
    MINUTES_BAR,
    Bar,
    at_least,
    at_most,
    effort_bar,
    engine_bars,
    layer_bars,
    unit_bars,
)
from dse.hardware_evidence import committed_rows, engine_way_bars, hardware_data, unit_rows
from dse.unit_models import committed_models
from hwmodels.engine_models import EngineErrors, engine_comparison, engine_errors
from hwmodels.fitting import FITTED_COLUMNS, SCALED_FLOWS
from hwmodels.models import ROWS_FOLDER
from hwmodels.peers import finn_r_luts
from hwmodels.rtl.engine_shape import STYLES
from hwmodels.synthesis.flows import FLOWS
from hwmodels.synthesis.measurements import read_rows
from hwmodels.vendor_rows import vendor_rows
from reports.hardware_data import ENGINES, OURS, UNITS, HardwareData, spread
from reports.hardware_page import page_text
from tests.benchmarks.cost_table import NETWORKS, measure
from tests.dse.test_models_verb import error, model


@pytest.fixture(scope="module")
def data() -> HardwareData:
    return hardware_data()


def test_units_have_the_errors_their_models_say(data):
    for found in committed_models():
        units = data.units[(data.units["flow"] == found.flow) & (data.units["column"] == found.column)]
        own = units[units["family"] == found.family]
        first = "unit" if found.flow in SCALED_FLOWS else "width"  # there the factor alone is judged
        for omitted, known in ((first, found.left_out_widths), ("format", found.left_out_formats)):
            judged = spread(own[own["omitted"] == omitted])
            assert (judged is None) == (known is None)
            if judged and known:
                assert judged.count == known.rows
                assert judged.median == pytest.approx(known.median, abs=1e-4)
                assert judged.percentile95 == pytest.approx(known.percentile95, abs=1e-4)
    assert set(zip(data.models["flow"], data.models["column"], strict=True)) == {
        (flow, column) for flow, columns in FITTED_COLUMNS.items() for column in columns
    } | {(flow, "luts") for flow in SCALED_FLOWS}


def test_engines_are_the_measured_ones_by_every_way(data):
    ours = data.engines[data.engines["way"] == OURS]
    known = engine_comparison()
    assert sorted(ours["measured"]) == sorted(one.luts for one in known)
    assert sorted(ours["estimated"]) == pytest.approx(sorted(one.predicted.luts for one in known))
    assert set(data.engines["way"]) == {OURS, "FINN-R", "EBOPs", "bit operations"}
    assert set(data.engines["style"]) <= set(STYLES.values())
    assert (data.engines["way"].value_counts() == len(known)).all()
    # a formula that knows nothing of windows, scales and control is further off than the sum of the parts
    for way in ("FINN-R", "EBOPs", "bit operations"):
        assert spread(data.engines[data.engines["way"] == way]).median > 2 * spread(ours).median


def test_layers_are_those_of_the_vendor_rows(data):
    finn_r = data.layers[(data.layers["way"] == "FINN-R") & (data.layers["style"] == "hls-lut")]
    formula = {(row.luts, round(finn_r_luts(row.layer), 6)) for row in vendor_rows()}
    pairs = zip(finn_r["measured"], finn_r["estimated"], strict=True)
    assert {(int(measured), round(estimate, 6)) for measured, estimate in pairs} <= formula
    assert data.known_layers == len(vendor_rows())


def test_effort_adds_up_to_the_rows(data):
    rows = committed_rows()
    assert data.effort["rows"].sum() == sum(map(len, rows.values()))
    units = data.effort[data.effort["what"] == UNITS]
    assert units["rows"].sum() == len(unit_rows(rows))
    assert units["seconds"].sum() == pytest.approx(sum(row.seconds for row in unit_rows(rows)))
    assert set(units["flow"]) == set(FLOWS)
    engines = data.effort[data.effort["what"] == ENGINES]
    assert engines["rows"].sum() == len(engine_comparison()) + engine_errors().failed


def test_every_bar_is_looked_at_once(data):
    assert data.checks["what"].is_unique
    held = data.checks[data.checks["bar"] != ""]
    assert len(held) == 4 + 8 + 1  # unit models, engines, time


def test_the_page_names_every_family_flow_and_anchor(data):
    text = page_text(data)
    for family in data.models["family"]:
        assert f"| {family} | " in text
    for flow in FLOWS:
        assert f"* `{flow}`: Yosys 0.70" in text
    assert "Published energies at 7nm that are quoted from memory: SRAM of 8 KB" in text


def test_the_page_is_written(monkeypatch, tmp_path, data):
    monkeypatch.setattr(dse.publish_hardware, "hardware_data", lambda: data)
    written = dse.publish_hardware.publish_hardware(tmp_path / "published")
    assert written[0] == tmp_path / "published" / "hardware.md"


def test_rows_of_a_flow_that_are_missing(tmp_path):
    for flow in FLOWS:
        if flow != "ecp5":
            shutil.copy(ROWS_FOLDER / f"{flow}.csv", tmp_path)
    with pytest.raises(ValueError, match=r"there are no rows of flow ecp5 in .*ecp5.csv: restore .*--flow ecp5 --rows"):
        hardware_data(tmp_path)
    (tmp_path / "ecp5.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"the rows of flow ecp5 cannot be read: .*ecp5.csv, line 1: column 'family'"):
        hardware_data(tmp_path)


def test_the_worst_family_of_each_kind_is_named():
    models = [
        model("adder", left_out_widths=error(0.01, 0.12)),
        model("relu", left_out_widths=error(0.02, 0.05)),
        model("mac", left_out_widths=None, left_out_formats=error(0.04, 0.05)),
        model("mac", column="flip_flops", left_out_widths=error(0.5, 0.6)),
    ]
    assert unit_bars(models) == [
        Bar(
            what="LUTs of 2 families (xcup), a width left out: median",
            found="worst 2.0 % (relu)",
            bar="at most 3.0 %",
            met=True,
        ),
        Bar(
            what="LUTs of 2 families (xcup), a width left out: 95th percentile",
            found="worst 12.0 % (adder)",
            bar="at most 10.0 %",
            met=False,
        ),
        Bar(
            what="LUTs of 1 families (xcup), a format left out: median",
            found="worst 4.0 % (mac)",
            bar="at most 3.0 %",
            met=False,
        ),
        Bar(
            what="LUTs of 1 families (xcup), a format left out: 95th percentile",
            found="worst 5.0 % (mac)",
            bar="at most 10.0 %",
            met=True,
        ),
        Bar(
            what="flip-flops of 1 families (xcup), a width left out",
            found="median worst 50.0 % (mac), 95th percentile worst 60.0 % (mac)",
        ),
    ]


def test_engines_are_held_to_eight_bars():
    good = {"engines": 40, "median": 0.08, "percentile95": 0.2, "largest": 0.3, "spearman": 0.98, "failed": 0}
    good |= {"with_dsps": 15, "dsp_exact": 0.95, "with_bram": 15, "bram_exact": 0.95}
    assert [bar.met for bar in engine_bars(EngineErrors(**good), [])] == [True] * 8 + [None]
    bad = {"engines": 39, "median": 0.081, "percentile95": 0.21, "largest": 0.3, "spearman": 0.979, "failed": 0}
    bad |= {"with_dsps": 14, "dsp_exact": 0.94, "with_bram": 14, "bram_exact": 0.94}
    assert [bar.met for bar in engine_bars(EngineErrors(**bad), [])] == [False] * 8 + [None]


def test_engines_are_estimated_closer_than_by_peers(data):
    lines = engine_way_bars()
    count = (data.engines["way"] == OURS).sum()
    ways = ("ours", "FINN-R", "bit operations")
    assert [line.what for line in lines] == [f"{count} engines, LUTs by {way}" for way in ways]
    ours, *peers = (float(line.found.split()[1]) for line in lines)  # medians in percent
    assert 10 * ours < min(peers)


def test_effort_is_held_to_its_minutes():
    rows = read_rows(ROWS_FOLDER / "xcup-dsp.csv")
    assert effort_bar(rows).met
    assert not effort_bar(rows * (1 + int(60 * MINUTES_BAR / sum(row.seconds for row in rows)))).met


@pytest.mark.parametrize("network", NETWORKS)
def test_the_cost_table_that_is_timed_has_all_its_options(network):
    layers = NETWORKS[network]()
    assert len(layers) == 50
    found = measure(layers)
    assert found["options"] == 25_000
    assert found["luts"] > 25_000
    assert min(found["seconds"], found["peak_mb"]) > 0


def test_layers_and_numbers_are_said_in_words():
    lines = layer_bars()
    assert len(lines) == 9  # three styles, ours, FINN-R and bit operations
    assert all(line.met is None and "nine in ten within" in line.found for line in lines)
    assert at_least("a", 2, 3) == Bar(what="a", found="2", bar="at least 3", met=False)
    assert at_most("a", 2, 3, "{:.1f} s".format) == Bar(what="a", found="2.0 s", bar="at most 3.0 s", met=True)
