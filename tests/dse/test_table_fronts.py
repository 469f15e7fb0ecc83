"""`bitfront front --problem`: exit codes, JSON, words."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("bitfront")


def option(layer, number):
    return {"loss": (7 * layer + 5 * number) % 11, "lut": 3 * number + layer, "aout": number % 2}


TABLE = {
    "layers": [{"name": f"layer{i}", "options": [option(i, o) for o in range(4)]} for i in range(3)],
    "caps": {"lut": 14},
}


def run(tmp_path, table, *arguments):
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(table))
    return subprocess.run(
        [PROGRAM, "front", "--problem", path, *arguments], capture_output=True, text=True, check=False
    )


def test_a_front_in_json_and_in_words(tmp_path):
    done = run(tmp_path, TABLE, "--objectives", "loss, lut", "--json", "--verify", "5")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["objectives"] == ["loss", "lut"]
    assert found["complete"]
    assert found["verified"]["disagreements"] == []
    assert all(lut <= 14 for _, lut in found["points"])
    free = json.loads(run(tmp_path, TABLE, "--objectives", "loss,lut", "--json", "--no-caps").stdout)
    assert max(lut for _, lut in free["points"]) > 14
    done = run(tmp_path, TABLE, "--objectives", "loss,lut", "--max-points", "2")
    assert done.returncode == 0
    assert "2 of" in done.stdout
    assert "points are shown" in done.stdout


@pytest.mark.parametrize(
    ("table", "arguments", "code", "words"),
    [
        (
            TABLE | {"caps": {"lut": 2}},
            ["--objectives", "loss"],
            1,
            "'lut' needs at least 3 and is capped at 2 (1 short)",
        ),
        (TABLE, ["--objectives", ""], 2, "--problem needs --objectives"),
        (TABLE, ["--objectives", "watts"], 2, "uses attribute 'watts', which no layer has"),
        (TABLE, ["--objectives", "loss", "--gap", "1.5"], 2, "gap must be at least 0 and below 1, got 1.5"),
        (
            TABLE,
            ["--objectives", "loss", "--method", "magic"],
            2,
            "unknown method 'magic': it is one of auto",
        ),
        (TABLE, ["--objectives", "loss", "--time-limit", "-1"], 2, "time_limit_seconds must be at least 0, got -1.0"),
        (TABLE | {"typo": 1}, ["--objectives", "loss"], 2, "the problem has the unknown key 'typo'"),
    ],
)
def test_exit_codes_and_words(table, arguments, code, words, tmp_path):
    done = run(tmp_path, table, *arguments)
    assert done.returncode == code, done.stderr
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_couplings_that_contradict_each_other_along_a_path_are_bad_input(tmp_path):
    layers = [
        {"name": "a", "options": [{"loss": 1, "x": 0, "y": 1}, {"loss": 1, "x": 1, "y": 0}]},
        {"name": "b", "options": [{"loss": 1, "x": 0, "y": 0}, {"loss": 1, "x": 1, "y": 1}]},
    ]
    table = {"layers": layers, "couplings": [[0, "x", 1, "x"], [0, "y", 1, "y"]]}
    done = run(tmp_path, table, "--objectives", "loss")
    assert done.returncode == 2
    assert "No selection satisfies all couplings together" in " ".join(done.stderr.split())


def test_a_study_or_a_table_but_not_both(tmp_path):
    done = subprocess.run([PROGRAM, "front"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "takes either a study folder or --problem FILE" in done.stderr
