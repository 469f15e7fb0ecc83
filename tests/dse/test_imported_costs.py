"""A study whose costs are calibrated on a user's own reports: what changes, and what is said about it."""

from __future__ import annotations

import shutil

import pytest

from dse.config import CONFIG_NAME
from dse.errors import StudyError
from dse.report_data import facts, notes
from dse.study import Study
from hwmodels.corrections import CALIBRATED
from hwmodels.devices import load_device
from hwmodels.reported.rows import ImportedRow, add_imported
from hwmodels.reported.subjects import Subject, estimate
from hwmodels.reported.usage import Stage, Usage

LAYER = {"outputs": "64", "depth": "64", "simd": "4", "weight_bits": "8", "activation_bits": "8", "ram": "auto"}


def rows(device_name, *, style, factor):
    """Reports of four layers that say ``factor`` times what is estimated."""
    device = load_device(device_name)
    found = []
    for pe in (2, 4, 8, 16):
        subject = Subject(family=style, parameters={**LAYER, "pe": str(pe)})
        counts = {name: round(factor * value) for name, value in estimate(subject, device, where="here").items()}
        found.append(
            ImportedRow(
                design="top",
                instance=f"top/{style}{pe}",
                subject=subject,
                usage=Usage(**counts),
                timing=None,
                stage=Stage.SYNTHESISED,
                device=device_name,
                part="",
                tool="",
                report="use.rpt",
            )
        )
    return found


@pytest.fixture
def study_folder(explored_folder, tmp_path):
    shutil.copytree(explored_folder, tmp_path / "mlp")
    return tmp_path / "mlp"


def set_rows(study_folder, name):
    path = study_folder / CONFIG_NAME
    text = path.read_text(encoding="utf-8")
    assert 'rows = ""' in text
    path.write_text(text.replace('rows = ""', f'rows = "{name}"'), encoding="utf-8")


def costs(study):
    """The costs of all choices by table and position; corrections of losses have none, and are learnt with a front."""
    priced = (table for table in study.tables.tables if table.role != "pair")
    return [(table.role, choice, choice.cost) for table in priced for choice in table.choices]


def test_engines_reported_whole_and_everything_else(study_folder, tmp_path):
    with Study.open(study_folder) as study:
        plain, key = costs(study), study._front_key()
        assert not study.correction
        device = study.config.device.name
    add_imported(tmp_path / "mine", rows(device, style="ours-lut", factor=2.0))
    add_imported(tmp_path / "mine", rows(device, style="hls-dsp", factor=1.0)[:2])
    set_rows(study_folder, "../mine")
    with Study.open(study_folder) as study:
        corrected = costs(study)
        correction = study.correction
        assert study._front_key() != key
    assert len(corrected) == len(plain)
    mean = correction.everything["luts"].value
    assert 1.0 < mean < 2.0
    doubled = 0
    for (role, choice, before), (_, _, after) in zip(plain, corrected, strict=True):
        assert (after.interval_cycles, after.fill_cycles) == (before.interval_cycles, before.fill_cycles)
        if role == "engine" and choice.folding.multipliers.value == "lut":
            assert after.luts == pytest.approx(2 * before.luts, abs=1)
            assert after.flip_flops == pytest.approx(2 * before.flip_flops, abs=1)
            doubled += 1
        elif before.luts:
            assert after.luts == pytest.approx(mean * before.luts, abs=2)
            assert after.dsps == before.dsps
        if before.sources:
            assert CALIBRATED in after.sources
            assert CALIBRATED not in before.sources
    assert doubled


def test_a_front_is_solved_again_and_says_whose_costs_it_has(study_folder, tmp_path):
    with Study.open(study_folder) as study:
        before = study.front(jobs=1).result
        assert facts(study.prepared, study.device, before)["costs"] == "our RTL"
        assert "vendor flows and HLS differ until their reports are imported" in notes(before, study.device)[1]
        device = study.config.device.name
    add_imported(tmp_path / "mine", rows(device, style="ours-lut", factor=1.5))
    set_rows(study_folder, tmp_path / "mine")
    with Study.open(study_folder) as study:
        assert study._stored() is None
        after = study.front(jobs=1).result
        assert facts(study.prepared, study.device, after)["costs"] == "calibrated on your reports"
        said = notes(after, study.device)[1]
        assert "calibrated on your reports: multiplied by factors fitted on rows you imported" in said
        assert study._stored().designs == after.designs
    assert after.designs[0].total.luts > before.designs[0].total.luts
    assert after.designs[0].utilisation > before.designs[0].utilisation


def test_folders_without_rows_are_refused(study_folder, tmp_path):
    set_rows(study_folder, "nowhere")
    with Study.open(study_folder) as study, pytest.raises(StudyError, match=r"\[costs\] rows = 'nowhere': .*no rows"):
        study.front(jobs=1)
    add_imported(study_folder / "nowhere", rows("xc7z020", style="ours-lut", factor=1.5)[:2])
    with (
        Study.open(study_folder) as study,
        pytest.raises(StudyError, match="2 imported rows, and a correction needs"),
    ):
        study.front(jobs=1)


def test_rows_of_another_family_of_parts_are_said_in_every_cost(study_folder):
    add_imported(study_folder / "mine", rows("xczu7ev", style="ours-lut", factor=1.5))
    set_rows(study_folder, "mine")
    with Study.open(study_folder) as study:
        assert study.device.family == "xc7"
        words = "costs are calibrated on reports of xczu7ev, and the device is xc7z020"
        assert all(words in cost.out_of_range for _, _, cost in costs(study) if cost.sources)
