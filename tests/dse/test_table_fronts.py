"""`bitfront front --problem`: exit codes, JSON, words. What a file may hold is tested in tests/solve."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.optimiser_instances import as_table, make_problem

PROGRAM = Path(sys.executable).with_name("bitfront")
PROMISED = {"objectives", "points", "designs", "complete", "gap", "gap_kind", "certificates", "seconds"}


def option(layer, number):
    return {"loss": (7 * layer + 5 * number) % 11, "lut": 3 * number + layer, "aout": number % 2}


TABLE = {
    "layers": [{"name": f"layer{i}", "options": [option(i, o) for o in range(4)]} for i in range(3)],
    "caps": {"lut": 14},
}


def either(one, two):
    """Two layers that take ``one`` of luts and little of dsps, or ``two`` of dsps and little of luts."""
    options = [{"loss": 1, "lut": one, "dsp": 1}, {"loss": 0, "lut": 1, "dsp": two}]
    return [{"name": name, "options": options} for name in "ab"]


CONTRADICTING = {
    "layers": [
        {"name": "a", "options": [{"loss": 1, "x": 0, "y": 1}, {"loss": 1, "x": 1, "y": 0}]},
        {"name": "b", "options": [{"loss": 1, "x": 0, "y": 0}, {"loss": 1, "x": 1, "y": 1}]},
    ],
    "couplings": [[0, "x", 1, "x"], [0, "y", 1, "y"]],
}


@pytest.fixture
def front(command, tmp_path):
    """``bitfront front --problem`` with a table."""

    def run(table, *arguments):
        path = tmp_path / "problem.json"
        path.write_text(json.dumps(table))
        return command("front", "--problem", path, *arguments)

    return run


def test_the_installed_command(tmp_path):
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(TABLE))
    command = [PROGRAM, "front", "--problem", path, "--objectives", "loss,lut", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["complete"]


def test_a_front_in_json(front):
    found = json.loads(front(TABLE, "--objectives", "loss, lut", "--json", "--verify", "5").out)
    assert set(found) >= PROMISED
    assert found["objectives"] == ["loss", "lut"]
    assert found["complete"]
    assert found["verified"]["disagreements"] == []
    assert all(lut <= 14 for _, lut in found["points"])
    free = json.loads(front(TABLE, "--objectives", "loss,lut", "--json", "--no-caps").out)
    assert max(lut for _, lut in free["points"]) > 14


def test_a_front_in_words(front):
    shown = front(TABLE | {"loss_unit": 0.25}, "--objectives", "loss,lut")
    assert shown.code == 0
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert lines[3:5] == ["point loss x 0.25 lut option of each layer", "─" * 46]
    assert "1 4 1 6 0 1 0" in lines
    assert "Complete: one design of every nondominated vector is here, and no other such vector exists" in lines
    few = front(TABLE, "--objectives", "loss,lut", "--max-points", "2").out
    assert "Not complete: 2 of 3 points are shown; all are complete" in few
    assert "Hypervolume gap 100.000%: of the volume that designs can dominate" in few


def test_the_words_for_what_an_unfinished_front_proves(front):
    table = as_table(make_problem(6, 40, ("loss", "lut"), capped=True, latency="max"))
    shown = front(table, "--objectives", "loss,cycles,lut", "--time-limit", "0").out
    assert "Not complete: the time allowed ended before every nondominated vector was proven to be found" in shown
    assert "Hypervolume gap " in shown
    assert "Of cycles the largest of the layers counts; everything else adds up" in shown
    table = as_table(make_problem(200, 60, ("loss", "lut")))
    shown = front(table, "--objectives", "loss,lut", "--gap", "0.01").out
    assert "Coverage gap 1." in shown or "Coverage gap 0." in shown
    assert "and in loss worse by at most this share of its range" in shown
    assert "(options: --json)" in shown  # 200 of them fit no line


def test_no_time_is_an_answer_of_every_method_and_objective(front):
    table = as_table(make_problem(20, 30, ("loss", "lut"), capped=True, chain=True))
    for objectives in ("loss", "loss,lut", "loss,lut,cycles"):
        for method in ("auto", "milp"):
            done = front(table, "--objectives", objectives, "--time-limit", "0", "--method", method, "--json")
            assert done.code == 0, done.err
            found = json.loads(done.out)
            # A single least loss is found before the clock is looked at; all else is cut short, and says so.
            assert found["complete"] == (not found["why_incomplete"])
            assert objectives == "loss" or not found["complete"]
            assert found["gap_kind"] in {"none", "hypervolume", "shortfall", "coverage", "unknown"}
            assert (found["gap_kind"] == "none") == found["complete"]
            assert len(found["designs"]) == len(found["points"]) == len(found["certificates"])


def test_prices_and_edits(front):
    table, asked = TABLE | {"caps": {"lut": 11}}, ("--objectives", "loss,lut", "--prices", "--edit", "0,1")
    words = " ".join(front(table, *asked).out.split())
    assert "What caps cost in loss" in words
    assert re.search(r"lut 11 0\.166\d 12 4 3 -1 \(-25\.0%\)", words)
    assert "From point 0 to a design as good as point 1: 1 of 3 layers change" in words
    assert "layer1 1 0 It has loss 10, lut 3; fewer changes are not enough" in words
    found = json.loads(front(table, *asked, "--json").out)
    assert [(row["cap"], row["larger"], row["before"], row["after"]) for row in found["prices"]] == [("lut", 12, 4, 3)]
    assert found["edit"] == {"changes": {"layer1": [1, 0]}, "design": [0, 0, 0], "proven": True}


@pytest.mark.parametrize(
    ("table", "arguments", "words"),
    [
        (TABLE, ["--objectives", ""], ["--problem needs --objectives", "got ''"]),
        (TABLE, ["--objectives", "loss,,lut"], ["--problem needs --objectives", "got 'loss,,lut'"]),
        (TABLE, ["--objectives", "watts"], ["problem.json: objective 'watts' uses attribute 'watts', which no layer"]),
        (TABLE | {"typo": 1}, ["--objectives", "loss"], ["problem.json: the problem has the unknown key 'typo'"]),
        (TABLE | {"caps": {"lut": -1}}, ["--objectives", "loss"], ["the cap on 'lut' is -1: resources must not be"]),
        (TABLE, ["--objectives", "loss", "--gap", "1.5"], ["gap must be at least 0 and below 1, got 1.5"]),
        (TABLE, ["--objectives", "loss", "--gap", "nan"], ["gap must be at least 0 and below 1, got nan"]),
        (
            TABLE,
            ["--objectives", "loss", "--method", "magic"],
            ["unknown method 'magic': it is one of auto, dp, milp,"],
        ),
        (TABLE, ["--objectives", "loss", "--time-limit", "-1"], ["time_limit_seconds must be at least 0, got -1.0"]),
        (TABLE, ["--objectives", "loss", "--time-limit", "nan"], ["time_limit_seconds must be at least 0, got nan"]),
        (TABLE, ["--objectives", "loss", "--max-points", "0"], ["max_points must be at least 1, got 0"]),
        (
            TABLE,
            ["--objectives", "loss,lut", "--edit", "0"],
            ["--edit takes two points by number, as in 0,2", "got '0'"],
        ),
        (TABLE, ["--objectives", "loss,lut", "--edit", "0,7"], ["this front has points 0 to 2, got '0,7'"]),
        (TABLE, ["--objectives", "loss", "--no-caps", "--prices"], ["--prices needs caps: the problem has none, or"]),
        (
            CONTRADICTING,
            ["--objectives", "loss"],
            ["No selection satisfies all couplings together", "a.x = b.x, a.y = b.y contradict each other"],
        ),
    ],
)
def test_bad_input_is_refused(table, arguments, words, front):
    front(table, *arguments).refused(*words)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            TABLE | {"caps": {"lut": 2}},
            [
                "No design meets the caps: 'lut' needs at least 3 and is capped at 2 (1 short).",
                "It would suffice to raise 'lut' from 2 to 3 (+50.0 %).",
                "The nearest design takes lut 3 of 2: options 0 0 0.",
            ],
        ),
        (
            {"layers": either(9, 9), "caps": {"lut": 10, "dsp": 9}},
            [
                "No design meets the caps together, although each alone could be met: 'lut' 2 of 10, 'dsp' 2 of 9.",
                "Growing every cap that adds up by 11.11 % would suffice.",
                "The caps that clash are those on 'lut', 'dsp'.",
                "Any one of these would suffice: raise 'lut' from 10 to 18 (+80.0 %); ",
                "raise 'dsp' from 9 to 10 (+11.1 %).",
                "The nearest design takes lut 10 of 10, dsp 10 of 9: options 0 1.",
            ],
        ),
    ],
)
def test_what_no_design_meets_is_explained(table, words, front):
    for arguments in ([], ["--time-limit", "0"], ["--method", "milp"]):
        done = front(table, "--objectives", "loss", *arguments)
        assert (done.code, done.out) == (1, "")
        done.paragraph(*words)
    done = front(table, "--objectives", "loss", "--json")
    assert done.code == 1
    assert json.loads(done.out)["explanation"]["nearest"] in ([0, 0, 0], [0, 1])


def test_a_study_or_a_table_but_not_both(command):
    command("front").refused("takes either a study folder or --problem FILE")
