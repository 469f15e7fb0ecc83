"""Every verb with good and bad input: exit codes, one paragraph on standard error, nothing half written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from dse.config import CONFIG_NAME
from dse.errors import StudyError
from dse.store import Store
from dse.study import write_study
from hwmodels.devices import load_device

WORKLOADS = """
import dataclasses

import numpy as np
import torch
from torch import nn

from emulation.workloads import Samples, Splits, find_workload

PLAIN = find_workload("digits-mlp")


def with_weights(change):
    def build():
        network = PLAIN.load_network()
        change(network)
        return network

    return dataclasses.replace(PLAIN, name="changed", build=build, weights=None, score=None)


def spoil(network):
    network.second.weight[3, 5] = torch.nan


def silence(network):
    network.second.weight[7] = 0


class Wavy(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, 10)

    def forward(self, images):
        return torch.sin(self.fc(self.flatten(images)))


def empty_calibration():
    whole = PLAIN.load_splits()
    nothing = Samples(inputs=np.zeros((0, 1, 8, 8), np.float32), labels=np.zeros(0, np.int64))
    return Splits(calibration=nothing, validation=whole.validation, test=whole.test)


NAN = with_weights(spoil)
ZERO_CHANNEL = with_weights(silence)
UNREADABLE = dataclasses.replace(PLAIN, name="wavy", build=Wavy, weights=None, score=None)
EMPTY = dataclasses.replace(PLAIN, name="empty", load_splits=empty_calibration)
NUMBER = 3
"""


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working folder, with a module of workloads on the path."""
    library = tmp_path / "library"
    library.mkdir()
    (library / "strange_workloads.py").write_text(WORKLOADS)
    monkeypatch.syspath_prepend(library)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def study(explored_folder, place):
    """A copy of the explored study in the working folder."""
    shutil.copytree(explored_folder, place / "mlp")
    return place / "mlp"


def refused(outcome, *words):
    """Exit code 2, nothing on standard output, one paragraph on standard error that says these words."""
    assert outcome.code == 2
    assert outcome.out == ""
    one_paragraph(outcome.err, *words)


def one_paragraph(text, *words):
    assert text.startswith("bitfront: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert "Traceback" not in text
    assert [word for word in words if word not in text] == [], text


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_init_writes_a_study_that_explore_accepts(command, place):
    outcome = command("init", "new", "--workload", "digits-mlp", "--device", "xczu7ev")
    assert outcome == (0, "wrote new/study.toml. Next: bitfront explore new\n", "")
    assert files(place) == ["new", "new/study.toml"]
    text = (place / "new" / CONFIG_NAME).read_text()
    assert 'workload = "digits-mlp"' in text
    assert 'name = "xczu7ev"' in text


def test_names_of_folders_are_printed_as_they_are(command, place):
    assert command("init", "[red]x[/red]").out == "wrote [red]x[/red]/study.toml. Next: bitfront explore [red]x[/red]\n"
    long = "/".join(["a" * 60] * 4)
    assert f"wrote {long}/study.toml." in command("init", long).out
    refused(command("explore", f"{long}/nothing/study.toml"), f"{long}/nothing/study.toml does not exist")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--workload", "digit"], ["Unknown workload 'digit'", "digits-deep", "did you mean 'digits'?"]),
        (["--workload", "nowhere.module:X"], ["'nowhere.module:X' cannot be loaded", "package.module:name"]),
        (["--workload", "strange_workloads:ABSENT"], ["cannot be loaded", "ABSENT"]),
        (["--workload", "strange_workloads:NUMBER"], ["leads to a int, allowed is a Workload"]),
        (["--device", "xc7z02"], ["unknown device 'xc7z02'", "did you mean xc7z020?"]),
        (["--device", "mine.toml"], ["device file mine.toml does not exist"]),
    ],
)
def test_init_refuses_names_it_does_not_know(command, place, arguments, words):
    refused(command("init", "new", *arguments), *words)
    assert files(place) == []


def test_init_does_not_write_over_a_study(command, study):
    before = (study / CONFIG_NAME).read_text()
    refused(command("init", "mlp"), "mlp/study.toml exists already: choose another folder")
    assert (study / CONFIG_NAME).read_text() == before


def test_init_where_nothing_can_be_written(command, place):
    (place / "file").write_text("")
    refused(command("init", "file/new"), "study folder file/new is not writable", "choose a folder you may write to")
    assert files(place) == ["file"]


def test_a_device_file_is_found_from_another_folder_later(command, place, monkeypatch):
    write_device(place / "mine.toml", luts=9000)
    assert command("init", "new", "--workload", "digits-mlp", "--device", "mine.toml").code == 0
    monkeypatch.chdir("/")
    from dse.study import Study

    with Study.open(place / "new") as opened:
        assert opened.device.available("luts") == 9000


def write_device(path: Path, *, luts: int) -> None:
    from hwmodels import devices

    text = (devices._FOLDER / "xc7z020.toml").read_text()
    path.write_text(text.replace("count = 53200", f"count = {luts}").replace('name = "xc7z020"', 'name = "tiny"'))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NAN", ["weight[3, 5] of layer 'second' is nan", "must be finite"]),
        ("ZERO_CHANNEL", ["output channel 7 of layer 'second'", "zero", 'zero_channels = "keep"']),
        ("UNREADABLE", ["sin"]),
        ("EMPTY", ["Samples need at least one input, got none"]),
    ],
)
def test_workloads_that_cannot_be_explored_leave_no_study_behind(command, place, name, words):
    refused(command("explore", f"strange_workloads:{name}"), *words)
    assert files(place) == []


def test_an_unreadable_operation_is_named_with_what_to_do(command, place):
    error = command("explore", "strange_workloads:UNREADABLE").err
    assert re.search(r"operation '?sin'? ", error), error
    assert len(error) > 100


def test_a_channel_of_zeros_can_be_kept(command, place, settings):
    config = settings(
        "strange_workloads:ZERO_CHANNEL",
        formats={"weights": ["int4"], "activations": ["int4"], "zero_channels": "keep"},
    )
    write_study(place / "kept", config)
    outcome = command("sweep", "kept")
    assert outcome.code == 0
    assert re.fullmatch(r"7 measured, 0 known before, \d+\.\d s\n", outcome.out)


def test_verbs_on_a_finished_study(command, study):
    front = command("front", study)
    assert front.code == 0
    assert "Pareto front (" in front.out
    assert "complete: " in front.out
    content = json.loads(command("front", study, "--json").out)
    measured = json.loads(command("measure", study, "--json").out)
    assert content == measured
    assert content["designs"][0]["name"] == "d01"
    assert 0 < content["designs"][0]["validation"]["accuracy"] <= 1
    assert re.fullmatch(r"0 measured, \d+ known before, 0\.\d s\n", command("sweep", study).out)
    listed = command("report", study).out.splitlines()
    assert all((Path.cwd() / line).exists() for line in listed if "/" in line and " " not in line)
    assert "mlp/front.csv" in listed


def test_explore_a_finished_study_measures_nothing_and_says_what_to_try(command, study):
    outcome = command("explore", study)
    assert outcome.code == 0
    assert re.search(r"sensitivity: 0 measured, \d+ known before", outcome.err)
    for words in (
        "Pareto front",
        "Best uniform designs",
        "mixed against uniform",
        "Spearman",
        "parameters of d",
        "Next:",
    ):
        assert words in outcome.out
    lines = outcome.out.splitlines()
    tries = [line.strip() for line in lines[lines.index("Next:") + 1 :] if line.strip()]
    assert tries[0] == "source .venv/bin/activate"
    assert len(tries) == 4
    for line in tries[1:]:
        assert command(*line.split()[1:]).code == 0, line


def test_export_and_its_mistakes(command, study):
    outcome = command("export", study, "--point", "d01", "--folder", "out")
    assert outcome == (0, "wrote out: 12 files, 32 golden vectors\n", "")
    refused(command("export", study, "--point", "d01", "--folder", "out"), "out exists and is not empty")
    refused(command("export", study, "--point", "d999"), "there is no design 'd999': the front has d01, ")
    missing = command("export", study)
    assert missing.code == 2
    assert "--point" in missing.err


def test_a_study_key_that_does_not_exist(command, study):
    path = study / CONFIG_NAME
    path.write_text(path.read_text().replace("max_lanes", "max_lane"))
    refused(command("front", study), "[front] max_lane is not a setting; did you mean max_lanes?")


def test_a_study_from_a_newer_version(command, study):
    path = study / CONFIG_NAME
    path.write_text(path.read_text().replace("version = 1", "version = 2"))
    refused(command("sweep", study), "has version 2; this bitfront reads up to 1: install a newer bitfront")


def test_a_study_that_is_in_use(command, study):
    with Store(study):
        refused(command("sweep", study), f"mlp is in use by process {os.getpid()} on ", "wait until it has finished")


@pytest.mark.parametrize("verb", ["sweep", "front", "measure", "report", "explain"])
def test_a_folder_that_is_no_study(command, place, verb):
    refused(command(verb, "nothing"), "nothing/study.toml does not exist: make a study with `bitfront init FOLDER`")
    assert files(place) == []


def test_explore_prefers_a_workload_to_a_folder_of_its_name_without_a_study(command, place, settings, monkeypatch):
    import dse.study

    def stop(prepared, *arguments, **keywords):
        raise StudyError(f"swept {prepared.network.name} with {prepared.config.front.solves} solves")

    monkeypatch.setattr(dse.study, "run_sweep", stop)
    for name in ("digits-mlp", "other"):
        (place / name).mkdir()
    write_study(place / "studies" / "digits-mlp", settings("digits-mlp", front={"solves": 3}))
    refused(command("explore", "digits-mlp"), "swept digits-mlp with 3 solves")
    refused(command("explore", "digits-mlp", "--folder", "new"), "swept digits-mlp with 60 solves")
    assert files(place / "digits-mlp") == []
    refused(command("explore", "other"), "other/study.toml does not exist")
    mistake = command("explore", "studies/digits-mlp", "--folder", "x")
    refused(mistake, "--folder goes with a built-in workload only")
    mistake = command("explore", "digits", "--folder", "studies/digits-mlp")
    refused(mistake, "holds a study of 'digits-mlp', not of 'digits'")


def test_caps_that_nothing_meets_exit_with_1_and_say_what_is_short(command, place, settings):
    write_device(place / "tiny.toml", luts=200)
    write_study(place / "small", settings("digits-mlp", device={"name": str(place / "tiny.toml")}))
    assert command("sweep", "small").code == 0
    outcome = command("front", "small")
    assert (outcome.code, outcome.out) == (1, "")
    one_paragraph(
        outcome.err, "No design meets the caps: 'luts' needs at least ", "capped at 140", "raise 'luts' from 140"
    )
    explained = command("explain", "small")
    assert explained.code == 0
    assert explained.out == outcome.err.removeprefix("bitfront: ")
    needed = re.search(r"raise 'luts' from 140 to (\d+)", explained.out)
    assert needed
    enough = command("explain", "small", "--luts", needed[1])
    assert enough.out.startswith("The caps can be met")
    too_little = command("explain", "small", "--luts", int(needed[1]) - 1)
    assert too_little.out.startswith("No design meets the caps")


def test_a_frame_rate_nothing_reaches_is_explained(command, place, settings):
    write_study(place / "fast", settings("digits-mlp", device={"min_fps": 1e8, "clock_mhz": 100.0}))
    assert command("sweep", "fast").code == 0
    outcome = command("front", "fast")
    assert outcome.code == 1
    one_paragraph(outcome.err, "'interval_cycles' needs at least ", "capped at 1 ")


LAYERS = "name,outputs,depth,pe,simd,weight_bits,activation_bits,style,ram\nfc,64,64,8,16,4,4,lut,auto\n"


def test_cost_prices_a_file(command, place):
    (place / "layers.csv").write_text(LAYERS)
    assert "fc" in command("cost", "--layers", "layers.csv").out
    (row,) = json.loads(command("cost", "--layers", "layers.csv", "--device", "xczu7ev", "--json").out)
    assert row["interval_cycles"] == 64 * 64 // (8 * 16)
    assert row["luts"] > 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LAYERS.replace(",8,16,", ",7,16,"), ["7"]),
        (LAYERS.replace("lut,auto", "wood,auto"), ["wood"]),
        ("nothing\n1\n", ["column 'outputs' is missing"]),
        ("", []),
        (None, ["layers.csv"]),
    ],
)
def test_cost_refuses_layers_that_are_none(command, place, content, words):
    if content is not None:
        (place / "layers.csv").write_text(content)
    refused(command("cost", "--layers", "layers.csv"), *words)


def test_cost_refuses_an_unknown_device(command, place):
    (place / "layers.csv").write_text(LAYERS)
    refused(command("cost", "--layers", "layers.csv", "--device", "virtex"), "unknown device 'virtex'")


def test_lists(command):
    names = [row["name"] for row in json.loads(command("devices", "--json").out)]
    assert {"xc7z020", "xczu7ev"} <= set(names)
    assert all(name in command("devices").out for name in names)
    rows = json.loads(command("formats", "--json").out)
    by_name = {row["name"]: row for row in rows}
    assert by_name["e4m3fn"]["largest"] == 448
    assert by_name["int8"]["finite_codes"] == 256
    assert "e2m1" in command("formats").out


def test_doctor_finds_this_installation_well(command):
    outcome = command("doctor", "--json")
    checks = {row["what"]: row for row in json.loads(outcome.out)}
    assert outcome.code == 0
    assert checks["packages"]["verdict"] == checks["torch"]["verdict"] == "ok"
    assert "bitfront doctor" in command("doctor").out


def test_doctor_exits_with_1_if_a_library_is_missing(command, monkeypatch):
    import dse.doctor

    monkeypatch.setattr(dse.doctor, "LIBRARIES", ("numpy", "no-such-library"))
    outcome = command("doctor", "--json")
    assert outcome.code == 1
    checks = {row["what"]: row for row in json.loads(outcome.out)}
    assert checks["no-such-library"]["verdict"] == "problem"


def test_a_foreign_package_of_our_name_is_named(command, monkeypatch):
    import importlib.util

    spec = importlib.util.spec_from_file_location("kernels", "/elsewhere/kernels/__init__.py")
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "kernels" else original(name))
    refused(command("formats"), "the package 'kernels' in /elsewhere/kernels", "uninstall the other distribution")


@pytest.mark.parametrize("arguments", [["frobnicate"], ["front"], ["front", "x", "--what"], ["sweep", "x", "-j", "-1"]])
def test_wrong_usage_exits_with_2(command, arguments):
    outcome = command(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "Usage: bitfront" in outcome.err


def test_control_c_says_that_everything_is_kept(command, study, monkeypatch):
    import dse.study

    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(dse.study, "run_sweep", interrupted)
    outcome = command("sweep", study)
    assert outcome.code == 130
    one_paragraph(outcome.err, "everything measured so far is kept, run the same command again to go on")


# From here on in processes of their own.


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120, **options
    )


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


def test_help_loads_nothing_heavy():
    outcome = run("-c", HELP)
    assert outcome.returncode == 0, outcome.stderr
    for verb in ("init", "explore", "sweep", "front", "measure", "report", "export", "explain", "cost", "doctor"):
        assert f"  {verb} " in outcome.stdout


def test_works_beside_empty_folders_of_our_names(tmp_path):
    for name in ("reports", "tests", "kernels", "dse", "emulation"):
        (tmp_path / name).mkdir()
    outcome = run("-m", "dse", "devices", "--json", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)
    script = Path(sys.executable).with_name("bitfront")
    if script.exists():
        outcome = subprocess.run(
            [script, "formats", "--json"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
        assert outcome.returncode == 0, outcome.stderr


def test_an_error_in_a_process_of_its_own_is_one_paragraph_and_code_2(tmp_path):
    outcome = run("-m", "dse", "init", "new", "--workload", "digit", cwd=tmp_path)
    refused(Outcome(outcome.returncode, outcome.stdout, outcome.stderr), "Unknown workload 'digit'")
    assert files(tmp_path) == []


@pytest.mark.slow
def test_a_bad_workload_of_the_users_own_in_a_process_of_its_own(tmp_path):
    (tmp_path / "strange_workloads.py").write_text(WORKLOADS)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    outcome = run("-m", "dse", "explore", "strange_workloads:NAN", cwd=tmp_path, env=environment)
    refused(Outcome(outcome.returncode, outcome.stdout, outcome.stderr), "weight[3, 5] of layer 'second' is nan")
    assert not (tmp_path / "studies").exists()


def test_the_device_file_of_the_tests_is_one(tmp_path):
    write_device(tmp_path / "tiny.toml", luts=200)
    assert load_device(tmp_path / "tiny.toml").usable("luts") == 140
