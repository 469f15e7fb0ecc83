"""Energy in place of the interval: what is minimised, what a design shows, and what is refused."""

from __future__ import annotations

import math

import pytest

from dse.config import check_config, render_config
from dse.errors import StudyError
from dse.study import Study
from dse.target import target_device


def test_energy_takes_the_place_of_the_interval(custom_bench) -> None:
    by_default = custom_bench("digits-mlp").tables.problem()
    assert by_default.objective_names == ("utilisation", "loss", "interval_cycles")
    tables = custom_bench("digits-mlp", energy={"objective": True}).tables
    problem = tables.problem()
    assert problem.objective_names == ("utilisation", "loss", "energy_pj")
    for table, layer in zip(tables.tables, problem.layers, strict=True):
        assert list(layer.column("energy_pj")) == [math.ceil(choice.cost.energy_pj) for choice in table.choices]
    assert {cap.resource for cap in problem.caps} == {cap.resource for cap in by_default.caps}


def test_a_design_still_shows_its_interval(custom_bench) -> None:
    for seed in range(5):
        shown = custom_bench("digits-mlp", energy={"objective": True}).design(seed)
        assert shown.interval_cycles == max(part.cost.interval_cycles for part in shown.parts) > 0
        assert shown.total.energy_pj == pytest.approx(sum(part.cost.energy_pj for part in shown.parts))


def test_the_process_of_a_study_is_that_of_its_device(tmp_path, settings) -> None:
    for process in ("45nm", "7nm"):
        assert target_device(tmp_path, settings("digits-mlp", energy={"process": process})).energy_anchor == process


def test_a_front_by_energy(tmp_path, settings) -> None:
    folder = tmp_path / "study"
    with Study.create(folder, settings("digits-mlp", energy={"objective": True})) as study:
        study.sweep(jobs=1)
        frame = study.front().frame
    kept = frame[frame["nondominated"]] if "nondominated" in frame else frame
    assert (frame["energy_pj"].dropna() > 0).all()
    # By energy more lanes pay: what reads its weights from the smallest memory is not the smallest design.
    least = kept.loc[kept["energy_pj"].idxmin()]
    assert least["utilisation"] > kept["utilisation"].min()


def test_a_shared_engine_has_no_energy_to_compete_by() -> None:
    asked = {"energy": {"objective": True}, "architecture": {"kind": "shared-engine"}}
    with pytest.raises(StudyError, match=r"^the test: \[energy\] objective = true asks for .* or objective = false$"):
        check_config(asked, source="the test")


def test_the_settings_are_written_with_their_meaning() -> None:
    text = render_config(check_config({"energy": {"process": "7nm"}}, source="the test"))
    assert 'process = "7nm"' in text
    assert "published process of the energies" in text
    with pytest.raises(StudyError, match="process"):
        check_config({"energy": {"process": "5nm"}}, source="the test")
