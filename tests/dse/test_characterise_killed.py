"""A characterisation that is really killed, with the real tool: what it measured is kept, only the rest is measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from hwmodels.synthesis.characterise import rows_path
from hwmodels.synthesis.flows import FLOWS, missing_tools
from hwmodels.synthesis.measurements import read_rows
from tests.missing_tools import skip_or_fail

PLAN = """
[[units]]
family = "multiplier"
flows = ["xcup"]
grid = { a = [2, 3, 4, 5, 6, 7, 8, 9, 10], b = [1, 2] }
"""
UNITS = 18


@pytest.fixture
def plan(tmp_path):
    for words in missing_tools([FLOWS["xcup"]]).values():
        skip_or_fail(words)
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    return tmp_path / "plan.toml"


def start(plan, *options):
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dse",
            "characterise",
            "--plan",
            str(plan),
            "--rows",
            str(plan.parent / "rows"),
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_killed_run_goes_on_where_it_was(plan):
    path = rows_path(plan.parent / "rows", "xcup")
    with start(plan, "--jobs", "1") as killed:
        try:
            deadline = time.monotonic() + 240
            while not read_rows(path):
                assert killed.poll() is None, f"it ended by itself: {killed.communicate()}"
                assert time.monotonic() < deadline, "no rows appeared"
                time.sleep(0.02)
        finally:
            os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    before = read_rows(path)
    assert 0 < len(before) < UNITS, "killed too late: make the plan longer"
    with path.open("a", encoding="utf-8") as file:
        file.write("multiplier,a=10;b=2,o")  # a line cut short, as a kill at the worst moment leaves it

    with start(plan, "--json") as resumed:
        out, err = resumed.communicate(timeout=240)
    assert resumed.returncode == 0, err
    (family,) = json.loads(out)["families"]
    assert (family["measured"], family["known_before"]) == (UNITS - len(before), len(before))
    assert (family["failed"], family["timed_out"]) == (0, 0)
    after = read_rows(path)
    assert after[: len(before)] == before
    assert len({row.key for row in after}) == len(after) == UNITS
    assert family["cpu_seconds"] == pytest.approx(sum(row.seconds for row in after), abs=0.02)
    assert all(row.seconds > 0 for row in after)
