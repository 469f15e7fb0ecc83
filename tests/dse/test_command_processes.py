"""The command line in processes of its own: what it loads, where it works, and how it ends."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.missing_tools import skip_or_fail

HELP = """
import sys
sys.argv = ["bitfront", "--help"]
from dse.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code
heavy = {"torch", "numba", "pandas", "pyomo", "highspy", "matplotlib", "sklearn", "altair"} & set(sys.modules)
assert not heavy, heavy
"""


def test_help_loads_nothing_heavy(process):
    outcome = process(sys.executable, "-c", HELP)
    assert outcome.code == 0, outcome.err
    for verb in ("init", "explore", "sweep", "front", "measure", "report", "export", "explain", "cost", "doctor"):
        assert f"  {verb} " in outcome.out


SCRIPT = Path(sys.executable).with_name("bitfront")


@pytest.mark.parametrize("command", [[sys.executable, "-m", "dse"], [SCRIPT]], ids=["module", "script"])
def test_works_beside_empty_folders_of_our_names(process, tmp_path, command):
    if command == [SCRIPT] and not SCRIPT.exists():
        skip_or_fail("bitfront is not installed as a script beside this Python")
    for name in ("reports", "tests", "kernels", "dse", "emulation"):
        (tmp_path / name).mkdir()
    outcome = process(*command, "formats", "--json", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert {row["name"] for row in json.loads(outcome.out)} >= {"int8", "e4m3fn"}


def test_bad_input_ends_with_one_paragraph_and_code_2(process, tmp_path):
    outcome = process(sys.executable, "-m", "dse", "init", "new", "--workload", "digit", cwd=tmp_path)
    outcome.refused("Unknown workload 'digit'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_bad_workload_of_the_users_own_leaves_nothing(process, place):
    environment = {**os.environ, "PYTHONPATH": str(place.parent / "library")}
    outcome = process(sys.executable, "-m", "dse", "explore", "strange_workloads:NAN", cwd=place, env=environment)
    outcome.refused("weight[3, 5] of layer 'second' is nan")
    assert list(place.iterdir()) == []
