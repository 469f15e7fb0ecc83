"""`bitfront devices --models`: what tables and JSON say at any width, and what is refused."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

import dse.unit_models
from dse.unit_models import committed_models, model_rows, models_tables
from hwmodels.fitting import BOOSTED, LINEAR
from hwmodels.models import MODELS_FILE, ROWS_FOLDER, ModelError, UnitModel, write_models
from hwmodels.rtl.families import FAMILIES
from hwmodels.rtl.family import Pricing


def error(median: float, percentile95: float) -> ModelError:
    return ModelError(rows=9, median=median, percentile95=percentile95, largest=0.5, sigma=0.1)


def model(family: str = "adder", **fields) -> UnitModel:
    given = {
        "flow": "xcup",
        "column": "luts",
        "coefficients": {"adder_bits": 1.0, "one": 2.0},
        "left_out_widths": error(0.012, 0.043),
        "left_out_formats": None,
        "rivals": {LINEAR: error(0.011, 0.1), BOOSTED: error(0.234, 0.3)},
        "rows": 18,
        "ranges": {"width": (3, 48), "signed": (0, 1), "kind": (2, 2)},
    }
    return UnitModel(family=family, **(given | fields))


def printed(models, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    for table in models_tables(models, width):
        console.print(table)
    return console.file.getvalue()


def test_a_wide_line_says_everything():
    text = printed([model()], 150)
    assert "Flow xcup: luts" in text
    (row,) = (line for line in text.splitlines() if line.split()[:1] == ["adder"])
    assert row.split() == ["adder", "18", "2", "1.2", "4.3", "50.0", "1.1", "23.4", "width", "3-48,", "signed", "0-1"]
    assert f"Every model is {LINEAR}. Its rival is {BOOSTED}" in " ".join(text.split())
    assert "better in median and 95 % in none of 1." in " ".join(text.split())


@pytest.mark.parametrize("width", [72, 80, 100, 110, 132, 200])
def test_no_line_is_longer_than_the_terminal(width):
    lines = printed(committed_models(), width).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    shown = {" ".join(line.split()) for line in lines}
    for family in {found.family for found in committed_models()}:
        assert any(line.startswith(f"{family} ") for line in shown), family


def test_a_narrow_line_names_where_the_rest_is():
    text = " ".join(printed([model()], 80).split())
    assert "adder 18 1.2 4.3" in text
    assert "23.4" not in text
    assert "Lines of 132 characters and --json show more." in text


@pytest.mark.parametrize(
    ("late", "count"),
    [({}, "no"), ({"left_out_widths": error(0.031, 0.05)}, "1"), ({"left_out_formats": error(0.01, 0.11)}, "1")],
)
def test_models_beyond_the_bars_are_counted(late, count):
    words = " ".join(printed([model(), model("relu", **late)], 120).split())
    assert f"beyond 3 % (median) or 10 % (95 %): {count} of 2." in words


def test_families_without_flip_flops_are_counted_below():
    text = printed([model(column="flip_flops"), model("relu", column="flip_flops", coefficients={})], 120)
    assert "relu" not in text
    assert "no of 1. 0 throughout 1 other families." in " ".join(text.split())


def test_a_rival_that_wins_is_counted():
    rivals = {LINEAR: error(0.05, 0.1), BOOSTED: error(0.04, 0.09)}
    assert "better in median and 95 % in 1 of 2." in " ".join(
        printed([model(), model("relu", rivals=rivals)], 120).split()
    )


def test_the_command_prints_every_flow_and_column(command):
    outcome = command("devices", "--models")
    assert outcome.code == 0
    for key in {(found.flow, found.column) for found in committed_models()}:
        assert f"Flow {key[0]}: {key[1]}" in outcome.out


def test_json_says_what_the_committed_file_says(command):
    rows = json.loads(command("devices", "--models", "--json").out)
    committed = json.loads((ROWS_FOLDER / MODELS_FILE).read_text(encoding="utf-8"))

    def keyed(records):
        return {(one["family"], one["flow"], one["column"]): one for one in records}

    found = keyed(rows)
    assert set(found) == set(keyed(committed))
    for key, record in keyed(committed).items():
        assert found[key]["estimator"] == LINEAR
        assert {name: found[key][name] for name in record} == record


def test_the_models_priced_by_come_first():
    flows = [found.flow for found in committed_models()]
    assert flows[0] == "xcup"
    assert flows == sorted(flows, key=flows.index)  # each flow's models stand together
    assert model_rows(committed_models())[0]["column"] == "luts"


def test_every_fitted_family_has_a_model():
    modelled = {found.family for found in committed_models()}
    assert modelled == {name for name, family in FAMILIES.items() if family.pricing is Pricing.FITTED}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "models.json is missing, and without it no unit has a price: restore hwmodels/data/rows from the"),
        ("{", "models.json cannot be read as models of units (JSONDecodeError: Expecting property name"),
        ("[{}]", "models.json cannot be read as models of units (KeyError: 'family'): restore"),
        ("3", "models.json cannot be read as models of units (TypeError: "),
        ("[]", "models.json holds no model: restore hwmodels/data/rows from the repository, or install bitfront again"),
    ],
)
def test_missing_and_broken_files(command, monkeypatch, tmp_path, content, words):
    if content is not None:
        (tmp_path / MODELS_FILE).write_text(content, encoding="utf-8")
    monkeypatch.setattr(dse.unit_models, "ROWS_FOLDER", tmp_path)
    outcome = command("devices", "--models")
    assert (outcome.code, outcome.out) == (2, "")
    assert words in outcome.err


def test_models_are_read_from_another_folder(tmp_path):
    write_models(tmp_path / MODELS_FILE, [model()])
    assert [found.family for found in committed_models(tmp_path)] == ["adder"]
