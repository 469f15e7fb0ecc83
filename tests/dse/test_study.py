"""A study as Python sees it: steps resume, nothing is done twice, and changed settings make results stale."""

import json
import math
import re
import shutil
from collections.abc import Sequence

import pandas as pd
import pytest

import dse.study
import dse.study_keys
from dse import Study as LazyStudy
from dse.config import CONFIG_NAME, render_config
from dse.errors import StudyError
from dse.exports.folders import OnExisting
from dse.preparation import prepare
from dse.results import Front, FrontResult
from dse.study import Study, open_or_create, write_study
from hwmodels.costs import total
from reports.data import DESIGN_COLUMNS


@pytest.fixture
def study(explored_folder, tmp_path):
    """A copy of the explored study, open."""
    shutil.copytree(explored_folder, tmp_path / "study")
    with Study.open(tmp_path / "study") as opened:
        yield opened


def test_the_package_gives_the_class_lazily():
    import dse

    assert LazyStudy is Study
    assert dse.Front is Front
    with pytest.raises(AttributeError, match="module 'dse' has no attribute 'Studio'; it has Front, "):
        _ = dse.Studio


def test_nothing_is_done_twice(study, monkeypatch):
    def never(*arguments, **keywords):
        raise AssertionError("this was done before")

    for name in ("solve_front", "solve_uniform", "measure_formats"):
        monkeypatch.setattr(dse.study, name, never)
    outcome = study.sweep(jobs=1)
    assert (outcome.measured, outcome.known_before) == (0, len(study.prepared.probes()))
    assert study.front().result == study.measure().result


def test_a_front_is_a_sequence_with_a_frame(study):
    front = study.front()
    assert len(front) == len(list(front)) > 3
    assert front[0] == next(iter(front))
    assert front[-1] == front.result.designs[-1]
    assert list(front.frame["design"]) == [design.name for design in front]
    assert list(front.frame["measured_loss"]) == [design.validation.divergence for design in front]
    with pytest.raises(IndexError):
        front[len(front)]
    page = front._repr_html_()
    assert page.count("<tr") == len(front) + 1
    assert front[0].name in page
    assert isinstance(front, Sequence) or hasattr(front, "__getitem__")


def test_every_design_carries_its_proof_and_measurements(study):
    front = study.front()
    for design in front:
        assert design.proof.status == "optimal"
        assert design.proof.gap == design.proof.objective - design.proof.bound == 0
        assert design.total == total(part.cost for part in design.parts)
        assert design.validation is not None
        assert design.test is not None
        assert design.utilisation <= 1
        assert design.interval_cycles <= study.tables.interval_limit
    utilisations = [design.utilisation for design in front]
    assert utilisations == sorted(utilisations)
    result = front.result
    assert result.complete == (result.why_incomplete == "")
    assert result.solves <= study.config.front.solves
    assert -1 <= result.rank_correlation <= 1
    assert result.float_validation_accuracy == study.prepared.float_yardstick(study.prepared.validation).accuracy


def test_results_read_back_from_json_as_they_were(study):
    result = study.front().result
    again = FrontResult.from_json(json.loads(json.dumps(result.to_json())))
    assert again == result
    assert result.savings
    assert result.savings[0].saving.mixed == result.design(result.savings[0].saving.mixed.name)


def test_report_files_are_all_there_and_front_csv_holds_every_design(explored_folder):
    present = {path.name for path in explored_folder.iterdir()}
    assert {CONFIG_NAME, "study.sqlite", "front.csv", "figures", "exports"} <= present
    figures = {path.name for path in (explored_folder / "figures").iterdir()}
    for stem in ("front", "formats", "predicted_measured", "resources"):
        assert {f"{stem}.pdf", f"{stem}.png"} <= figures
    frame = pd.read_csv(explored_folder / "front.csv")
    assert set(DESIGN_COLUMNS) - {"gates"} <= set(frame.columns)  # gates are what a standard-cell process has
    with Study.open(explored_folder) as opened:
        front = opened.front()
    assert set(frame["design"]) >= {design.name for design in front} | {"float"}
    rows = frame.set_index("design")
    for design in front:
        assert rows.loc[design.name, "luts"] == design.total.luts
        assert rows.loc[design.name, "measured_loss"] == pytest.approx(design.validation.divergence)
        assert rows.loc[design.name, "test_accuracy"] == pytest.approx(design.test.accuracy)
    kinds = set(frame["kind"])
    assert kinds == {"front", "uniform", "float"}


def change(study, **sections):
    """The same folder opened again after its study.toml was edited."""
    folder = study.folder
    study.close()
    config = study.config
    for name, values in sections.items():
        config = config.model_copy(update={name: getattr(config, name).model_copy(update=values)})
    (folder / CONFIG_NAME).write_text(render_config(config))
    return Study.open(folder)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("device", {"clock_mhz": 50.0}),
        ("device", {"name": "xczu7ev"}),
        ("front", {"solves": 6}),
        ("data", {"validation_samples": 40}),
        ("data", {"test_samples": 30}),
        ("formats", {"weights": ("int2", "int4")}),
    ],
)
def test_a_changed_setting_makes_the_stored_front_stale(study, section, values):
    with change(study, **{section: values}) as changed:
        with pytest.raises(StudyError, match="has no front for its present settings: run `bitfront front` first"):
            changed.measure()
        outcome = changed.sweep(jobs=1)
        assert outcome.measured == 0  # none of these changes what was measured


def test_a_stale_front_is_solved_and_measured_again(study):
    before = study.front().result
    with change(study, data={"validation_samples": 40}, front={"solves": 5}) as changed:
        changed.front(jobs=1)
        after = changed.measure(jobs=1).result
        assert after.key != before.key
        assert {round(design.validation.accuracy * 40, 9) % 1 for design in after.designs} == {0}
        assert json.dumps(changed.front().result.to_json()) == json.dumps(after.to_json())


def test_a_menu_with_one_more_format_measures_only_what_is_new(study):
    known = {*study.prepared.probes()}
    with change(study, formats={"weights": ("int2", "int4", "int8", "int3")}) as changed:
        new = [probe for probe in changed.prepared.probes() if probe not in known]
        assert new
        with pytest.raises(StudyError, match=rf"{len(new)} of \d+ sensitivity measurements are missing: run"):
            changed.front()
        outcome = changed.sweep(jobs=1)
        assert (outcome.measured, outcome.known_before) == (len(new), len(known))


def test_a_front_stored_by_another_version_is_solved_again(study):
    content = study.store.get("front")
    del content["designs"][0]["proof"]
    study.store.put("front", content)
    with pytest.raises(StudyError, match="run `bitfront front` first"):
        study.measure()
    assert len(study.front(jobs=1)) > 3


def test_steps_out_of_order_say_which_comes_first(settings, tmp_path):
    with Study.create(tmp_path / "new", settings("digits-mlp")) as study:
        with pytest.raises(StudyError, match=r"\d+ of \d+ sensitivity .* missing: run `bitfront sweep` first"):
            study.front()
        with pytest.raises(StudyError, match="run `bitfront front` first"):
            study.measure()
        with pytest.raises(StudyError, match="run `bitfront front` first"):
            study.export("d01")
        study.sweep(jobs=1)
        study.front(jobs=1)
        with pytest.raises(StudyError, match="is not measured yet: run `bitfront measure` first"):
            study.report()
        with pytest.raises(StudyError, match="is not measured yet"):
            study.chosen()


def test_the_chosen_design_is_the_cheapest_good_one(study):
    result = study.front().result
    floor = result.float_validation_accuracy - dse.study.CHOSEN_ACCURACY_LOSS
    good = [design for design in result.designs if design.validation.accuracy >= floor]
    assert good
    assert study.chosen().utilisation == min(design.utilisation for design in good)


def test_an_unknown_design_is_named_with_those_there_are(study):
    with pytest.raises(StudyError, match=r"there is no design '\.\./x': the front has d01, d02"):
        study.export("../x")


def test_an_export_replaces_an_earlier_one_only_when_asked_to(study):
    name = study.chosen().name
    first = (study.folder / "exports" / name / "manifest.json").read_bytes()
    study.export(name.removeprefix("d"), on_existing=OnExisting.REPLACE)
    assert (study.folder / "exports" / name / "manifest.json").read_bytes() == first
    with pytest.raises(StudyError, match="exists and is not empty"):
        study.export(name)
    other = study.folder / "exports" / "d01"
    if name != "d01":
        other.mkdir()
        (other / "mine").write_text("keep")
        with pytest.raises(StudyError, match="exists and is no export"):
            study.export("d01", on_existing=OnExisting.REPLACE)
        assert (other / "mine").read_text() == "keep"


def test_explain_tells_a_study_that_fits_from_one_that_does_not(study):
    fits = study.explain()
    assert re.match(r"The caps can be met: the cheapest design \(w [^()]+, a [^()]+\) takes luts ", fits)
    used = int(fits.split("luts ")[1].split(" of ")[0])
    assert study.explain({"luts": used}).startswith("The caps can be met")
    short = study.explain({"luts": 3})
    assert short.startswith("No design meets the caps: 'luts' needs at least ")
    assert "capped at 3" in short
    least = int(short.split("at least ")[1].split(" ")[0])
    assert study.explain({"luts": least}).startswith("The caps can be met")
    assert study.explain({"luts": least - 1}).startswith("No design meets the caps")


def test_a_second_opening_is_refused_until_the_first_is_closed(study):
    with pytest.raises(StudyError, match="is in use by process"):
        Study.open(study.folder)
    study.close()
    Study.open(study.folder / CONFIG_NAME).close()


def test_open_or_create_keeps_the_settings_of_its_own_workload_only(settings, tmp_path):
    own = settings("digits-mlp", front={"solves": 9})
    write_study(tmp_path / "study", own)
    with open_or_create(tmp_path / "study", settings("digits-mlp")) as study:
        assert study.config == own
    with pytest.raises(StudyError, match=r"holds a study of 'digits-mlp', not of 'digits': choose another folder"):
        open_or_create(tmp_path / "study", settings("digits"))
    Study.open(tmp_path / "study").close()


def test_a_workload_that_cannot_be_prepared_leaves_no_folder(settings, tmp_path):
    with pytest.raises(StudyError, match="validation_samples = 9999, but the set has 300 samples: use at most that"):
        open_or_create(tmp_path / "study", settings("digits-mlp", data={"validation_samples": 9999}))
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_never_written_over(settings, tmp_path):
    write_study(tmp_path / "study", settings("digits-mlp"))
    with pytest.raises(StudyError, match=r"study\.toml exists already: choose another folder, or open this one"):
        Study.create(tmp_path / "study", settings("digits"))
    with pytest.raises(StudyError, match=r"study\.toml does not exist: make a study"):
        Study.open(tmp_path)
    assert not (tmp_path / "study.lock").exists()


def test_a_device_file_beside_the_study_is_found_from_anywhere(settings, tmp_path, monkeypatch):
    from hwmodels import devices

    text = (devices._FOLDER / "xc7z020.toml").read_text().replace('name = "xc7z020"', 'name = "mine"')
    write_study(tmp_path / "study", settings("digits-mlp", device={"name": "mine.toml"}))
    (tmp_path / "study" / "mine.toml").write_text(text)
    monkeypatch.chdir("/")
    with Study.open(tmp_path / "study") as study:
        assert study.device.name == "mine"


def test_samples_for_sensitivity_are_spread_over_the_calibration_set(settings):
    config = settings("digits-mlp")
    prepared = prepare(config)
    assert len(prepared.sensitivity) == 60
    assert len(prepared.calibration) == 900
    first, last = prepared.sensitivity.inputs[0], prepared.sensitivity.inputs[-1]
    assert (first == prepared.calibration.inputs[0]).all()
    assert (last == prepared.calibration.inputs[-1]).all()


def test_front_figures_are_finite_where_they_should_be(study):
    frame = study.front().frame
    for name in ("predicted_loss", "measured_loss", "utilisation", "interval_cycles", "bound"):
        assert all(math.isfinite(value) for value in frame[name]), name
    assert frame["nondominated"].any()


def test_a_front_of_other_costs_is_not_used_again(study, monkeypatch):
    assert study.report()
    monkeypatch.setattr(dse.study_keys, "cost_model_fingerprint", lambda: "other")
    with pytest.raises(StudyError, match="has no front for its present settings"):
        study.report()
