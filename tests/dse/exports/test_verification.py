"""Verdicts of checks, targets by name, and what `bitfront verify` prints of them."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from dse.errors import NotExportableError, StudyError
from dse.exports import targets
from dse.exports.manifest import Manifest
from dse.exports.targets import TARGETS, Target, load_target, verify_folder, write_targets
from dse.exports.verification import Check, Difference, Extent, Outcome, Status, passed
from tests.dse.exports.folder_checks import entries_of, rehashed


def write_sizes(manifest, folder):
    folder.joinpath("sizes.json").write_text(json.dumps({one["name"]: one["out_size"] for one in manifest.layers}))


def same_sizes(manifest, folder):
    found = json.loads((folder / "sizes.json").read_text())
    wrong = [
        Difference(layer=one["name"], vector="sizes", element=0, expected=one["out_size"], got=found[one["name"]])
        for one in manifest.layers
        if found[one["name"]] != one["out_size"]
    ]
    status = Status.FAILED if wrong else Status.PASSED
    return Outcome(status=status, text=f"{len(found)} sizes, {len(wrong)} differences", where=tuple(wrong))


def without_a_tool(manifest, folder):
    return Outcome(status=Status.NOT_VERIFIED, text="there is no sizer: install the package sizer")


def in_part(manifest, folder):
    return Outcome(status=Status.PASSED, text="1 of 9 sizes (--all for all)")


def in_full(manifest, folder):
    return Outcome(status=Status.PASSED, text="9 sizes")


SIZES = Target(
    name="sizes",
    description="the size of each layer",
    how_to_run="sizer sizes.json",
    write=write_sizes,
    checks=(Check(name="sizes", run=same_sizes), Check(name="sizer", run=without_a_tool)),
)


def refuse(manifest, folder):
    raise NotExportableError(f"layer {manifest.layers[1]['name']} has no words: give it some")


REFUSING = Target(name="wordy", description="words", how_to_run="read", write=refuse, checks=())


def test_a_target_of_the_users_own_is_loaded_by_its_place(monkeypatch):
    monkeypatch.setitem(sys.modules, "mine.module", SimpleNamespace(SIZES=SIZES, NO_TARGET=3))
    monkeypatch.setitem(sys.modules, "mine", SimpleNamespace())
    assert load_target("mine.module:SIZES") is SIZES
    with pytest.raises(StudyError, match=r"'mine\.module:NO_TARGET' is of type int: it must be a Target of dse"):
        load_target("mine.module:NO_TARGET")
    with pytest.raises(StudyError, match=r"'mine\.module:NOBODY' cannot be loaded .* importable and have NOBODY"):
        load_target("mine.module:NOBODY")


def test_targets_that_do_not_exist_are_named_with_those_that_do():
    with pytest.raises(
        StudyError, match=r"no export target 'vhdl': the built-in ones are hls, hls4ml, qonnx, finn, rtl;"
    ):
        load_target("vhdl")
    with pytest.raises(StudyError, match=r"'nowhere\.module:T' cannot be loaded \(No module named 'nowhere'\)"):
        load_target("nowhere.module:T")


@pytest.mark.parametrize("name", TARGETS)
def test_built_in_targets_load_under_their_own_name(name):
    found = load_target(name)
    assert found.name == name
    assert found.checks
    assert found.how_to_run
    assert len({check.name for check in found.checks}) == len(found.checks)


def test_targets_write_into_their_own_folders_and_are_verified(copied, monkeypatch):
    folder = copied()
    monkeypatch.setattr(targets, "load_target", {"own:SIZES": SIZES}.__getitem__)
    write_targets(folder, [SIZES])
    verdicts = verify_folder(folder, ["own:SIZES"])
    assert passed(verdicts)
    found = {(one.target, one.check): one.outcome for one in verdicts}
    assert found["sizes", "sizes"].status is Status.PASSED
    assert found["sizes", "sizer"].text == "there is no sizer: install the package sizer"
    for name in TARGETS:
        absent = found[name, "all"]
        assert absent.status is Status.NOT_EXPORTED
        assert absent.text == f"this export has no folder {name}: `bitfront export --to {name}` writes it"
    path = folder / "sizes" / "sizes.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hidden": 7}))
    verdicts = verify_folder(folder, ["own:SIZES"])
    assert not passed(verdicts)
    (place,) = next(one.outcome for one in verdicts if one.check == "sizes").where
    assert str(place) == f"layer hidden, sizes, element 0: expected {place.expected}, got 7"


def test_a_target_that_was_not_written_is_said_to_be_missing(copied, monkeypatch):
    monkeypatch.setattr(targets, "load_target", {"own:SIZES": SIZES}.__getitem__)
    verdict = verify_folder(copied(), ["own:SIZES"])[-1]
    assert (verdict.target, verdict.outcome.status) == ("sizes", Status.NOT_EXPORTED)
    assert verdict.outcome.text == "this export has no folder sizes"


SLOW = Target(
    name="slow",
    description="sizes that take long",
    how_to_run="wait",
    write=write_sizes,
    checks=(Check(name="sizes", run=in_part, run_all=in_full), Check(name="same", run=same_sizes)),
)


@pytest.mark.parametrize(("extent", "text"), [(Extent.SOME, "1 of 9 sizes (--all for all)"), (Extent.ALL, "9 sizes")])
def test_checks_that_take_a_part_take_everything_if_asked(copied, monkeypatch, extent, text):
    folder = copied()
    monkeypatch.setattr(targets, "load_target", {"own:SLOW": SLOW}.__getitem__)
    write_targets(folder, [SLOW])
    first, second = verify_folder(folder, ["own:SLOW"], extent)[-2:]
    assert (first.outcome.text, second.outcome.status) == (text, Status.PASSED)
    assert min(first.seconds, second.seconds) >= 0


def test_all_refusals_are_told_at_once(copied):
    folder = copied()
    first = Manifest.read(folder).layers[1]["name"]
    with pytest.raises(NotExportableError) as caught:
        write_targets(folder, [REFUSING, SIZES])
    assert str(caught.value) == (
        f"wordy cannot express this design: layer {first} has no words: give it some. Nothing was written; leave these "
        "targets out of --to, or choose another design"
    )


def test_checks_of_the_base_folder_share_no_code_with_what_wrote_it(process):
    program = "import sys, dse.exports.targets; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = process(sys.executable, "-c", program).out.split()
    assert "dse" in loaded
    assert not {"emulation", "kernels", "hwmodels", "torch"} & set(loaded)


def test_verify_prints_a_table_and_ends_with_0(command, copied, monkeypatch, tmp_path):
    folder = copied()
    outcome = command("verify", folder)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1] == f"6 passed, 0 failed, 0 not verified, {len(TARGETS)} not exported"
    for name in TARGETS:
        assert f"`bitfront export --to {name}` writes it" in " ".join(outcome.out.split())
    content = json.loads(command("verify", folder, "--json").out)
    assert content["passed"] is True
    assert [one["check"] for one in content["checks"]][:6] == ["files", "types", "golden", "limits", "ties", "network"]
    assert {one["status"] for one in content["checks"]} == {"passed", "not exported"}


def test_verify_ends_with_2_if_nothing_of_a_target_can_be_checked(command, copied, monkeypatch):
    folder = copied()
    write_targets(folder, [load_target("hls")])
    monkeypatch.setenv("PATH", str(folder / "nowhere"))
    outcome = command("verify", folder)
    assert outcome.code == 2
    assert "1 not verified" in outcome.out.splitlines()[-1]
    told = " ".join(outcome.err.split())
    assert "nothing of hls could be verified here (hls: " in told
    assert "g++" in told


def test_verify_ends_with_1_if_a_check_fails_and_says_where(command, copied):
    folder = copied()
    entries = entries_of(folder)
    next(layer for layer in entries["layers"] if layer["name"] == "hidden")["shift"] += 1
    rehashed(folder, entries)
    outcome = command("verify", folder)
    assert (outcome.code, outcome.err) == (1, "")
    assert "base golden: layer hidden, golden 0, element " in outcome.out
    assert "3 passed, 3 failed" in outcome.out or "2 passed, 4 failed" in outcome.out
    content = json.loads(command("verify", folder, "--json").out)
    assert content["passed"] is False
    where = next(one for one in content["checks"] if one["check"] == "golden")["where"]
    assert {place["layer"] for place in where} == {"hidden"}
    assert len(where) == 5
    assert set(where[0]) == {"layer", "vector", "element", "expected", "got"}


def test_verify_ends_with_2_for_what_is_no_export_or_was_changed(command, copied, tmp_path):
    command("verify", tmp_path).refused("is no export: manifest.json cannot be read")
    folder = copied()
    path = folder / "weights" / "hidden_w.txt"
    path.write_text(path.read_text()[:50])
    command("verify", folder).refused("hidden_w.txt was changed after the export or cut short")
    command("verify", folder, "--target", "hls").refused("--target is for your own: hls, hls4ml, ")
    assert command("verify").code == 2
