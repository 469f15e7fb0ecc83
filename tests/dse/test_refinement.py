"""The loop on a real study: it learns from whole designs, goes on where it was stopped, and never sees test data."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import dse.measurement
import dse.refinement
import dse.study
from dse.config import CONFIG_NAME, render_config
from dse.refinement import Refiner
from dse.refinement_results import Refinement, table_from_json, table_to_json
from dse.study import Study
from dse.sweep import loss_table


@pytest.fixture
def study(explored_folder, tmp_path):
    """A copy of the explored study, open."""
    shutil.copytree(explored_folder, tmp_path / "study")
    with Study.open(tmp_path / "study") as opened:
        yield opened


def test_a_refined_study_rests_on_corrected_losses(study):
    refined = study.refinement
    assert refined.audit.designs == study.config.accuracy.audit_designs
    assert refined.audit.chosen == refined.audit.verdicts[0].metric
    assert len(refined.audit.verdicts) == 8
    (found,) = refined.rounds
    assert found.unseen <= found.designs
    assert found.fitted_on == refined.audit.designs + found.unseen
    assert 0 <= found.hypervolume <= 1
    assert found.dominated <= found.designs
    assert found.error <= found.table_error
    network = study.prepared.network
    for design in study.front():
        expected = refined.table.total(network, design.formats)
        unit = study.config.front.loss_unit
        assert design.predicted_loss == pytest.approx(expected, abs=unit * len(study.tables.tables))
        if not refined.pairs_used:  # what two parts lose together is no part's
            shares = sum(part.loss for part in design.parts)
            assert shares == pytest.approx(design.predicted_loss, rel=0.05, abs=unit * len(study.tables.tables))


def test_corrected_losses_are_nearer_to_the_truth_than_the_swept_ones(study):
    network, plain = study.prepared.network, loss_table(study.prepared, study.store)
    measured = np.array([one.validation.divergence for one in study.front()])
    swept = np.array([plain.total(network, one.formats) for one in study.front()])
    corrected = np.array([one.predicted_loss for one in study.front()])
    errors = [np.median(np.abs(np.log((one + 1e-4) / (measured + 1e-4)))) for one in (corrected, swept)]
    assert errors[0] < errors[1]


def test_it_is_found_out_once(study, monkeypatch):
    monkeypatch.setattr(dse.study, "Refiner", None)
    before = study.refinement
    assert study.refine() is before


def test_it_reads_back_from_json(study):
    refined = study.refinement
    again = Refinement.from_json(json.loads(json.dumps(refined.to_json())))
    assert json.dumps(again.to_json()) == json.dumps(refined.to_json())
    assert again.table == refined.table
    assert table_from_json(table_to_json(refined.table)) == refined.table


@pytest.mark.parametrize("values", [{"seed": 1}, {"rounds": 0}, {"metric": "fisher"}, {"audit_designs": 5}])
def test_other_settings_make_it_stale(study, values):
    folder = study.folder
    study.close()
    config = study.config
    config = config.model_copy(update={"accuracy": config.accuracy.model_copy(update=values)})
    (folder / CONFIG_NAME).write_text(render_config(config))
    with Study.open(folder) as changed:
        assert changed.refinement is None


def small(settings, **accuracy):
    return settings("digits-mlp", accuracy={"audit_designs": 20, "rounds": 2, "round_solves": 4, **accuracy})


@pytest.fixture(scope="module")
def ready(settings, tmp_path_factory):
    """A folder whose sweep is done."""
    folder = tmp_path_factory.mktemp("ready") / "study"
    with Study.create(folder, small(settings)) as study:
        study.sweep(jobs=1)
    return folder


def refiner(study, solve=None):
    from dse.solving import solve_front

    def front(losses, solves):
        return solve_front(study.prepared, study._priced.with_losses(losses), solves=solves, jobs=1).designs

    return Refiner(prepared=study.prepared, store=study.store, solve=solve or front, jobs=1)


def timeless(found):
    rounds = [dataclasses.replace(one, seconds=0.0) for one in found.rounds]
    return found.to_json() | {"rounds": rounds}


def test_a_stopped_loop_goes_on_where_it_was_and_finds_the_same(ready, tmp_path, monkeypatch):
    for name in ("stopped", "whole"):
        shutil.copytree(ready, tmp_path / name)
    executed = []
    execute = dse.measurement.execute

    def counted(hardware, samples):
        executed.append(hardware)
        if len(executed) == 7:
            raise KeyboardInterrupt
        return execute(hardware, samples)

    monkeypatch.setattr(dse.measurement, "execute", counted)
    with Study.open(tmp_path / "stopped") as study:
        with pytest.raises(KeyboardInterrupt):
            study.refine(jobs=1)
        assert study.refinement is None
        again = study.refine(jobs=1)
    total = len(executed) - 1
    monkeypatch.undo()
    with Study.open(tmp_path / "whole") as study:
        whole = study.refine(jobs=1)
        samples = study.prepared.validation
        assert len(study.store.sampled(study.prepared.design_context(samples))) == total
    assert repr(timeless(again)) == repr(timeless(whole))


def test_rounds_end_when_the_front_stands_still(ready, tmp_path):
    shutil.copytree(ready, tmp_path / "study")
    with Study.open(tmp_path / "study") as study:
        solved = []

        def same(losses, solves):
            solved.append(solves)
            return study_front

        run = refiner(study)
        study_front = run.solve(loss_table(study.prepared, study.store), 4)
        found = refiner(study, same).run("key")
    assert solved == [4, 4]
    assert found.rounds[1].unseen == 0
    assert found.rounds[1].hypervolume == found.rounds[0].hypervolume
    assert found.stopped == "the front holds no design that was not measured before"


def test_each_round_is_judged_by_the_losses_before_it(ready, tmp_path, monkeypatch):
    """What a round predicted is what the fit before it said, not one that has seen its designs."""
    shutil.copytree(ready, tmp_path / "study")
    fits = []
    correct = dse.refinement.correct

    def watched(network, table, designs, losses, *, seed):
        fits.append({one.text for one in designs})
        return correct(network, table, designs, losses, seed=seed)

    monkeypatch.setattr(dse.refinement, "correct", watched)
    given = []
    with Study.open(tmp_path / "study") as study:
        run = refiner(study)

        def solve(losses, solves):
            designs = run.solve(losses, solves)
            given.append({one.formats.text for one in designs} - fits[-1])
            return designs

        found = refiner(study, solve).run("key")
    assert [one.unseen for one in found.rounds] == [len(one) for one in given]
    assert [one.fitted_on for one in found.rounds] == [len(one) for one in fits[-len(found.rounds) :]]


def test_without_audit_and_rounds_the_table_stays(settings, tmp_path):
    config = small(settings, audit_designs=0, rounds=0)
    with Study.create(tmp_path / "study", config) as study:
        study.sweep(jobs=1)
        found = study.refine(jobs=1)
        assert found.audit is None
        assert found.rounds == ()
        assert found.stopped == "no rounds are asked for"
        assert found.table == loss_table(study.prepared, study.store)
        assert not study.store.sampled(study.prepared.design_context(study.prepared.validation))


def test_validation_corrects_and_test_data_stay_closed(ready, tmp_path, monkeypatch):
    shutil.copytree(ready, tmp_path / "study")
    runs = []
    execute = dse.measurement.execute

    def watched(hardware, samples):
        runs.append(samples)
        return execute(hardware, samples)

    monkeypatch.setattr(dse.measurement, "execute", watched)
    with Study.open(tmp_path / "study") as study:
        study.refine(jobs=1)
        assert runs
        assert all(np.shares_memory(one, study.prepared.validation.inputs) for one in runs)
        assert not study.store.measurements(study.prepared.design_context(study.prepared.test))


def test_a_sweep_must_come_first(settings, tmp_path):
    from dse.errors import StudyError

    with Study.create(tmp_path / "study", small(settings)) as study, pytest.raises(StudyError, match="bitfront sweep"):
        study.refine(jobs=1)


def test_a_metric_in_another_unit_ends_in_nats(ready, tmp_path):
    shutil.copytree(ready, tmp_path / "study")
    with Study.open(tmp_path / "study") as study:
        config = study.config.model_copy(
            update={"accuracy": study.config.accuracy.model_copy(update={"metric": "norm", "rounds": 0})}
        )
        prepared = dataclasses.replace(study.prepared, config=config)
        found = Refiner(prepared=prepared, store=study.store, solve=lambda *_: (), jobs=1).run("key")
        assert found.audit.chosen == "norm"
        designs = np.array(found.audit.measured)
        predictions = np.array(found.audit.predictions["norm"])
        assert np.median(predictions / designs) != pytest.approx(1, rel=0.5)
        from dse.sampling import DesignDraw

        plain = loss_table(study.prepared, study.store)
        drawn = DesignDraw(prepared=study.prepared, losses=plain).distinct(20, seed=0)
        totals = np.array([found.table.total(study.prepared.network, one) for one in drawn])
        assert np.median(totals / designs) == pytest.approx(1, rel=0.5)
