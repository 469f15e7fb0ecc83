"""`bitfront characterise` with flows that are no tools: plans, what is missing, the drift check, imports."""

from __future__ import annotations

import fcntl
import json

import pytest

import dse.characterisation
from hwmodels.models import unit_estimate
from hwmodels.synthesis.characterise import rows_path
from hwmodels.synthesis.measurements import append_rows, read_rows
from tests.hwmodels.reported.samples import PART, Cell, hls_xml, usage, vivado_hierarchy, vivado_timing
from tests.hwmodels.synthesis.pretended import Missing, Pretended

PLAN = """
[[units]]
family = "multiplier"
flows = ["pretended", "missing"]
grid = { a = [4, 5, 6, 7, 8, 9], b = [3] }

[[units]]
family = "adder"
flows = ["missing"]
grid = { width = [4, 5] }
"""


@pytest.fixture
def flow(monkeypatch):
    """The flows that can be had: one that works, one without its tool."""
    pretended = Pretended()
    monkeypatch.setattr(dse.characterisation, "FLOWS", {"pretended": pretended, "missing": Missing()})
    return pretended


@pytest.fixture
def plan(place):
    (place / "plan.toml").write_text(PLAN, encoding="utf-8")
    return place / "plan.toml"


def test_flows_that_can_run_do_and_the_others_say_what_is_missing(command, flow, plan, place):
    outcome = command("characterise", "--plan", plan, "--jobs", "1")
    assert outcome.code == 0
    assert outcome.err == "bitfront: warning: flow missing is skipped: pip install nothing installs it\n"
    words = outcome.out.split()
    start = words.index("pretended")
    assert words[start : start + 6] == ["pretended", "multiplier", "6", "0", "1", "1"]
    assert "rows: characterised, " in outcome.out
    rows = read_rows(rows_path(place / "characterised", "pretended"))
    assert {row.parameters["a"]: row.status.value for row in rows} == {
        **dict.fromkeys((4, 5, 6, 8), "ok"),
        7: "failed",
        9: "timeout",
    }


def test_a_second_run_measures_nothing(command, flow, plan):
    first = json.loads(command("characterise", "--plan", plan, "--json").out)
    flow.batches.clear()
    outcome = command("characterise", "--plan", plan, "--json")
    assert (outcome.code, flow.batches) == (0, [])
    again = json.loads(outcome.out)
    assert again["skipped"] == {"missing": "pip install nothing installs it"}
    (one,), (two,) = first["families"], again["families"]
    assert (one["measured"], one["known_before"]) == (6, 0)
    assert two == {**one, "measured": 0, "known_before": 6}


@pytest.mark.parametrize(
    "arguments", [["--flow", "missing"], ["--family", "adder"], ["--flow", "missing", "--family", "multiplier"]]
)
def test_nothing_that_can_run(command, flow, plan, place, arguments):
    outcome = command("characterise", "--plan", plan, *arguments)
    assert outcome.code == 1
    warning, verdict = outcome.err.splitlines()
    assert warning == "bitfront: warning: flow missing is skipped: pip install nothing installs it"
    assert verdict == "bitfront: nothing could be measured; costs go on with the committed rows"
    assert not rows_path(place / "characterised", "missing").exists()


def test_a_plan_of_which_everything_fails(command, flow, place):
    (place / "plan.toml").write_text(PLAN.replace("[4, 5, 6, 7, 8, 9]", "[7, 9]"), encoding="utf-8")
    outcome = command("characterise", "--plan", "plan.toml", "--flow", "pretended")
    assert outcome.code == 1
    assert "nothing could be measured" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--flow", "xcup"], ["there is no flow 'xcup': use pretended, missing"]),
        (["--family", "multiplierz"], ["there is no family 'multiplierz': use multiplier, "]),
        (["--flow", "pretended", "--family", "adder"], ["has no such experiments", "adder by missing"]),
        (["--plan", "nothing.toml"], ["plan nothing.toml cannot be read as TOML"]),
        (["--rows", "plan.toml"], ["folder plan.toml is not writable", "name another one with --rows"]),
        (["--instances", "map.csv"], ["name the report with --import"]),
        (["--import", "a.rpt"], ["--import needs --instances FILE", "instance, family, parameters"]),
        (["--import", "a.rpt", "--check", "3"], ["use one of them"]),
        (["--check", "3", "--rows", "empty"], ["folder empty has no measured rows: name another one with --rows"]),
        (["--check", "3", "--family", "adder"], ["no measured rows of family adder"]),
    ],
)
def test_bad_input(command, flow, plan, arguments, words):
    command("characterise", "--plan", plan, *arguments).refused(*words)
    assert flow.batches == []


def test_one_process_measures_into_a_folder(command, flow, plan, place):
    (place / "characterised").mkdir()
    with (place / "characterised" / dse.characterisation.LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        command("characterise", "--plan", plan).refused("another process measures into characterised: wait for it")
    assert command("characterise", "--plan", plan).code == 0


def test_rows_that_come_out_as_before(command, flow, plan):
    command("characterise", "--plan", plan)
    outcome = command("characterise", "--check", "2", "--rows", "characterised", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    checked = json.loads(outcome.out)["checked"]
    assert [(one["family"], one["differences"]) for one in checked] == [("multiplier", [])] * 2
    assert "2 rows came out as committed" in command("characterise", "--check", "2", "--rows", "characterised").out


def test_rows_that_differ_are_named(command, flow, plan):
    command("characterise", "--plan", plan)
    flow.more_luts = 1
    outcome = command("characterise", "--check", "1", "--rows", "characterised")
    assert outcome.code == 1
    outcome.paragraph("1 of 1 rows differ: pretended: multiplier a=", "luts ", " -> ")
    assert "b=3;a_signed=1;b_signed=1" in outcome.err


def test_rows_whose_tool_is_missing_cannot_be_checked(command, flow, plan, place):
    command("characterise", "--plan", plan)
    rows = read_rows(rows_path(place / "characterised", "pretended"))
    append_rows(rows_path(place / "theirs", "missing"), ("luts",), rows)
    outcome = command("characterise", "--check", "2", "--rows", "theirs")
    assert outcome.code == 1
    assert "flow missing is skipped" in outcome.err
    assert "nothing could be checked; costs go on with the committed rows" in outcome.err


WIDTHS = (8, 10, 12, 16)
"""Of multipliers that are reported with twice the LUTs they are estimated with."""


def estimated(width: int) -> float:
    return unit_estimate("multiplier", a=width, b=width, a_signed=1, b_signed=1).value


CELLS = tuple(Cell(f"m{width}", "multiplier", usage(round(2 * estimated(width)))) for width in WIDTHS)
MAP = "instance,family,parameters\n" + "".join(
    f"{cell.name},multiplier,a={cell.name[1:]};b={cell.name[1:]}\n" for cell in CELLS
)


@pytest.fixture
def reports(place):
    top = Cell("top", "top", usage(5000, 100), CELLS)
    (place / "use.rpt").write_text(vivado_hierarchy(top), encoding="utf-8")
    (place / "time.rpt").write_text(vivado_timing("0.521", ["5.000"]), encoding="utf-8")
    (place / "csynth.xml").write_text(hls_xml(top), encoding="utf-8")
    (place / "map.csv").write_text(MAP, encoding="utf-8")
    return place


def test_reports_become_rows_and_factors(command, reports):
    given = ("--import", "use.rpt", "--import", "time.rpt", "--instances", "map.csv", "--device", "xczu7ev")
    outcome = command("characterise", *given, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = json.loads(outcome.out)
    assert found["imported"] == 4
    assert found["rows"][0]["reported"]["luts"] == CELLS[0].usage.luts
    assert found["rows"][0]["estimated"]["luts"] == estimated(8)
    assert found["rows"][0]["part"] == PART
    assert found["rows"][0]["reached_mhz"] == pytest.approx(1000 / 4.479)
    factor = next(one for one in found["factors"] if one["family"] == "multiplier")
    assert factor["factor"] == pytest.approx(2.0, rel=0.01)
    assert factor["error_left_out"] < 0.02 < factor["error_before"]
    shown = command("characterise", *given)
    assert "timing of top (synthesised): slack 0.521 ns of 5 ns: 223.3 MHz" in shown.out
    assert f'[costs] rows = "{reports / "characterised"}"' in shown.out
    assert len((reports / "characterised" / "imported.csv").read_text(encoding="utf-8").splitlines()) == 5


def test_estimates_of_hls_are_read_too(command, reports):
    given = ("--import", "csynth.xml", "--instances", "map.csv", "--device", "xczu7ev", "--rows", "hls")
    rows = json.loads(command("characterise", *given, "--json").out)["rows"]
    assert {row["stage"] for row in rows} == {"estimated by HLS"}


def test_few_rows_are_kept_and_correct_nothing_yet(command, reports):
    (reports / "map.csv").write_text("".join(MAP.splitlines(keepends=True)[:3]), encoding="utf-8")
    outcome = command("characterise", "--import", "use.rpt", "--instances", "map.csv", "--device", "xczu7ev")
    assert outcome.code == 0
    assert "a factor needs 3 rows with LUTs: import more; until then costs stay as they are" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--import", "nothing.rpt"], ["report nothing.rpt cannot be read"]),
        (["--import", "map.csv"], ["map.csv is no report this tool knows"]),
        (["--import", "time.rpt"], ["there is no utilisation report among the files"]),
        (["--import", "use.rpt", "--device", "xc7z020"], [f"is of part {PART}, and the device is xc7z020"]),
        (["--import", "use.rpt", "--instances", "other.csv"], ["has no instance 'm9': it has top, top/m8, top/m10"]),
        (["--import", "use.rpt", "--instances", "bad.csv"], ["bad.csv, instance top/m8: parameter a of multiplier"]),
        (["--import", "use.rpt", "--instances", "none.csv"], ["file of instances none.csv cannot be read"]),
    ],
)
def test_an_import_that_fails_leaves_nothing(command, reports, arguments, words):
    (reports / "other.csv").write_text(MAP.replace("m10,", "m9,"), encoding="utf-8")
    (reports / "bad.csv").write_text(MAP.replace("a=8;", "a=x;"), encoding="utf-8")
    given = {"--instances": "map.csv", "--device": "xczu7ev"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    command("characterise", *(word for pair in given.items() for word in pair)).refused(*words)
    assert not (reports / "characterised").exists()


COLUMNS = "outputs,depth,pe,simd,weight_bits,activation_bits,style,ram"
LAYERS = f"{COLUMNS}\n64,64,4,4,8,8,ours-lut,auto\n"


def test_prices_of_layers_follow_the_imported_rows(command, reports):
    (reports / "layers.csv").write_text(LAYERS, encoding="utf-8")
    price = ("cost", "--layers", "layers.csv", "--device", "xczu7ev", "--json")
    (plain,) = json.loads(command(*price).out)
    command("characterise", "--import", "use.rpt", "--instances", "map.csv", "--device", "xczu7ev")
    (corrected,) = json.loads(command(*price, "--rows", "characterised").out)
    assert corrected["luts"] == pytest.approx(2 * plain["luts"], rel=0.02)
    assert corrected["dsps"] == plain["dsps"]
    assert corrected["sources"][-1] == "calibrated on your reports"
    command(*price, "--rows", "nowhere").refused("imported.csv holds no rows")
