"""Energy in place of the interval: what is minimised, what a design shows, and what is refused."""

from __future__ import annotations

import dataclasses
import math

import pytest

from dse.comparison import Pace, mark_nondominated
from dse.config import check_config, render_config
from dse.designs import ARRAY
from dse.errors import StudyError
from dse.results import FrontResult
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


@pytest.fixture(scope="module")
def by_energy(tmp_path_factory, settings):
    """A study with a measured front by energy; few foldings, as sums of energies are many."""
    sections = {"energy": {"objective": True}, "front": {"solves": 14, "max_lanes": 8}}
    with Study.create(tmp_path_factory.mktemp("energy") / "study", settings("digits-mlp", **sections)) as study:
        study.sweep(jobs=1)
        study.front()
        return study.measure(jobs=1)


def test_a_front_by_energy(by_energy) -> None:
    frame = by_energy.frame
    kept = frame[frame["nondominated"]]
    assert (frame["energy_pj"].dropna() > 0).all()
    # By energy more lanes pay: what reads its weights from the smallest memory is not the smallest design.
    least = kept.loc[kept["energy_pj"].idxmin()]
    assert least["utilisation"] > kept["utilisation"].min()


def test_designs_of_a_shared_array_compete_by_energy(tmp_path, settings) -> None:
    sections = {
        "energy": {"objective": True},
        "architecture": {"kind": "shared-engine", "array_pe": [4, 8], "array_simd": [4, 8]},
    }
    with Study.create(tmp_path / "study", settings("digits-mlp", **sections)) as study:
        study.sweep(jobs=1)
        found = study.front()
        assert study.tables.problem().objective_names == ("utilisation", "loss", "energy_pj")
        for design in found.result.designs:
            # Energy is that of the layers' turns: hardware alone takes none.
            parts = {part.layer: part.cost.energy_pj for part in design.parts if part.layer == ARRAY}
            assert set(parts.values()) == {0.0}
            assert 0 < design.total.memory_pj < design.total.energy_pj
            assert design.total.relative_delay > 0


def test_what_designs_compete_by_decides_which_are_dominated(by_energy) -> None:
    result = by_energy.result
    assert result.pace is Pace.ENERGY
    assert FrontResult.from_json(result.to_json()).pace is Pace.ENERGY
    slow = result.designs[0].replace(name="slow", interval_cycles=10**9)
    thrifty = slow.replace(name="thrifty", total=dataclasses.replace(slow.total, energy_pj=0.5 * slow.total.energy_pj))
    pair = [slow.replace(interval_cycles=5), thrifty]
    assert mark_nondominated(pair) == [True, False]
    assert mark_nondominated(pair, by=Pace.ENERGY) == [False, True]
    broken = result.to_json() | {"pace": "colour"}
    with pytest.raises(StudyError, match=r"a stored front cannot be read .*'colour'.*: run `bitfront front` again"):
        FrontResult.from_json(broken)


def test_another_objective_is_another_front(tmp_path, settings) -> None:
    folder = tmp_path / "study"
    with Study.create(folder, settings("digits-mlp")) as study:
        study.sweep(jobs=1)
        study.front()
    text = (folder / "study.toml").read_text(encoding="utf-8")
    (folder / "study.toml").write_text(text.replace("objective = false", "objective = true"), encoding="utf-8")
    with Study.open(folder) as study, pytest.raises(StudyError, match="has no front for its present settings"):
        study.measure()


def test_the_settings_are_written_with_their_meaning() -> None:
    text = render_config(check_config({"energy": {"process": "7nm"}}, source="the test"))
    assert 'process = "7nm"' in text
    assert "published process of the energies" in text
    with pytest.raises(StudyError, match="process"):
        check_config({"energy": {"process": "5nm"}}, source="the test")
