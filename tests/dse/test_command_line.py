"""Every verb with good and bad input: exit codes, one paragraph on standard error, nothing half written."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from dse.config import CONFIG_NAME
from dse.errors import StudyError
from dse.store import Store
from dse.study import write_study
from hwmodels.devices import load_device


@pytest.fixture
def study(explored_folder, place):
    """A copy of the explored study in the working folder."""
    shutil.copytree(explored_folder, place / "mlp")
    return place / "mlp"


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
    command("explore", f"{long}/nothing/study.toml").refused(f"{long}/nothing/study.toml does not exist")


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
    command("init", "new", *arguments).refused(*words)
    assert files(place) == []


def test_init_does_not_write_over_a_study(command, study):
    before = (study / CONFIG_NAME).read_text()
    command("init", "mlp").refused("mlp/study.toml exists already: choose another folder")
    assert (study / CONFIG_NAME).read_text() == before


def test_init_where_nothing_can_be_written(command, place):
    (place / "file").write_text("")
    command("init", "file/new").refused("study folder file/new is not writable", "choose a folder you may write to")
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
    command("explore", f"strange_workloads:{name}").refused(*words)
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
    files = sum(path.is_file() for path in Path("out").rglob("*"))
    assert outcome == (0, f"wrote out: {files} files, 512 vectors\nNext: bitfront verify out\n", "")
    assert command("verify", "out").code == 0
    command("export", study, "--point", "d01", "--folder", "out").refused("out exists and is not empty", "--force")
    assert command("export", study, "--point", "1", "--folder", "out", "--force").code == 0
    (Path("mine") / "notes").mkdir(parents=True)
    command("export", study, "--point", "1", "--folder", "mine", "--force").refused("mine exists and is no export")
    command("export", study, "--point", "1", "--to", "vhdl").refused("there is no export target 'vhdl'")
    command("export", study, "--point", "999").refused("there is no design '999': the front has d01, ")
    command("export", study, "--point", "d999").refused("there is no design 'd999': the front has d01, ")
    missing = command("export", study)
    assert missing.code == 2
    assert "--point" in missing.err


def test_a_study_key_that_does_not_exist(command, study):
    path = study / CONFIG_NAME
    path.write_text(path.read_text().replace("max_lanes", "max_lane"))
    command("front", study).refused("[front] max_lane is not a setting; did you mean max_lanes?")


def test_a_study_from_a_newer_version(command, study):
    path = study / CONFIG_NAME
    path.write_text(path.read_text().replace("version = 1", "version = 2"))
    command("sweep", study).refused("has version 2; this bitfront reads up to 1: install a newer bitfront")


def test_a_study_that_is_in_use(command, study):
    with Store(study):
        command("sweep", study).refused(f"mlp is in use by process {os.getpid()} on ", "wait until it has finished")


@pytest.mark.parametrize("verb", ["sweep", "front", "measure", "report", "explain"])
def test_a_folder_that_is_no_study(command, place, verb):
    command(verb, "nothing").refused("nothing/study.toml does not exist: make a study with `bitfront init FOLDER`")
    assert files(place) == []


def test_explore_prefers_a_workload_to_a_folder_of_its_name_without_a_study(command, place, settings, monkeypatch):
    import dse.study

    def stop(prepared, *arguments, **keywords):
        raise StudyError(f"swept {prepared.network.name} with {prepared.config.front.solves} solves")

    monkeypatch.setattr(dse.study, "run_sweep", stop)
    for name in ("digits-mlp", "other"):
        (place / name).mkdir()
    write_study(place / "studies" / "digits-mlp", settings("digits-mlp", front={"solves": 3}))
    command("explore", "digits-mlp").refused("swept digits-mlp with 3 solves")
    command("explore", "digits-mlp", "--folder", "new").refused("swept digits-mlp with 60 solves")
    assert files(place / "digits-mlp") == []
    command("explore", "other").refused("other/study.toml does not exist")
    mistake = command("explore", "studies/digits-mlp", "--folder", "x")
    mistake.refused("--folder goes with a built-in workload only")
    mistake = command("explore", "digits", "--folder", "studies/digits-mlp")
    mistake.refused("holds a study of 'digits-mlp', not of 'digits'")


def test_caps_that_nothing_meets_exit_with_1_and_say_what_is_short(command, place, settings):
    write_device(place / "tiny.toml", luts=200)
    write_study(place / "small", settings("digits-mlp", device={"name": str(place / "tiny.toml")}))
    assert command("sweep", "small").code == 0
    outcome = command("front", "small")
    assert (outcome.code, outcome.out) == (1, "")
    outcome.paragraph("No design meets the caps: 'luts' needs at least ", "capped at 140", "raise 'luts' from 140")
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
    outcome.paragraph("'interval_cycles' needs at least ", "capped at 1 ")


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
    command("cost", "--layers", "layers.csv").refused(*words)


def test_cost_refuses_an_unknown_device(command, place):
    (place / "layers.csv").write_text(LAYERS)
    command("cost", "--layers", "layers.csv", "--device", "virtex").refused("unknown device 'virtex'")


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
    command("formats").refused("the package 'kernels' in /elsewhere/kernels", "uninstall the other distribution")


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["measure"], ["front", "x", "--what"], ["sweep", "x", "-j", "-1"]]
)
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
    outcome.paragraph("everything measured so far is kept, run the same command again to go on")


def test_the_device_file_of_the_tests_is_one(tmp_path):
    write_device(tmp_path / "tiny.toml", luts=200)
    assert load_device(tmp_path / "tiny.toml").usable("luts") == 140
