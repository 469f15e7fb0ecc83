"""Fitting and pricing of units: a known law is found again, measured rows stand for themselves, ranges are flagged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from hwmodels.fitting import BOOSTED, LINEAR, fit_models, refit, scale_models
from hwmodels.models import (
    ROWS_FOLDER,
    read_models,
    unit_estimate,
    unit_model,
    unit_models,
    write_models,
)
from hwmodels.rtl.families import FAMILIES
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import Measurement, append_rows, read_rows
from hwmodels.units import priced

if TYPE_CHECKING:
    from pathlib import Path

WIDTHS = (3, 4, 5, 6, 8, 10, 12)


SMALL = [(a, b) for b in (1, 2) for a in (2, 3, 4, 6, 8, 12)]


def rows(factor: float, sizes: list[tuple[int, int]] | None = None, columns: tuple[str, ...] = ()) -> list[Measurement]:
    """Multipliers that follow their structure exactly."""
    found = []
    for a, b in sizes or [(a, b) for a in WIDTHS for b in WIDTHS if a >= b]:
        parameters = {"a": a, "b": b, "a_signed": 1, "b_signed": 1}
        structure = FAMILIES["multiplier"].structure(**parameters)
        luts = factor * (2 * structure["row_bits"] + structure["tree_bits"] + structure["single_row_bits"] + 3)
        found.append(
            Measurement(
                family="multiplier",
                parameters=parameters,
                status=Status.OK,
                values={"luts": luts, **dict.fromkeys(columns, 0.0)},
                rtl="",
                seconds=0,
                tool="",
            )
        )
    return found


def test_a_law_in_the_structure_is_found(tmp_path: Path) -> None:
    (model,) = fit_models("xcup", rows(2.0), ("luts",))
    assert model.coefficients["row_bits"] == pytest.approx(4.0)
    assert model.coefficients["tree_bits"] == pytest.approx(2.0)
    assert model.left_out_widths is not None
    assert model.left_out_widths.largest == 0
    write_models(tmp_path / "models.json", [model])
    unseen = {"a": 20, "b": 7, "a_signed": 1, "b_signed": 1}
    assert read_models(tmp_path / "models.json")["multiplier", "xcup", "luts"].value(unseen) == model.value(unseen)


def test_the_regression_beats_trees_on_a_law() -> None:
    (model,) = fit_models("xcup", rows(2.0), ("luts",))
    assert model.rivals[LINEAR].median < model.rivals[BOOSTED].median
    assert model.rivals[LINEAR].rows == model.rivals[BOOSTED].rows


def test_small_units_have_coefficients_of_their_own() -> None:
    few, many = rows(3.0, SMALL), rows(1.0)
    (model,) = fit_models("xcup", [*few, *many], ("luts",))
    assert model.edges is not None
    assert model.edges.largest <= 0.1
    for row in few:
        assert model.is_edge(row.parameters)
        assert model.value(row.parameters) == pytest.approx(row.values["luts"], abs=1)
    for row in many:
        assert model.value(row.parameters) == pytest.approx(row.values["luts"], abs=1)


def test_a_column_of_zeros_costs_nothing() -> None:
    models = fit_models("xcup", rows(1.0, columns=("flip_flops",)), ("luts", "flip_flops"))
    (nothing,) = [model for model in models if model.column == "flip_flops"]
    assert nothing.value({"a": 9, "b": 9, "a_signed": 1, "b_signed": 1}) == 0


def test_another_flow_is_one_factor_away() -> None:
    models = fit_models("xcup", rows(1.0), ("luts",))
    (scaled,) = scale_models("xc7", rows(2.0, [(4, 4), (8, 6), (12, 12)]), models)
    assert scaled.flow == "xc7"
    assert scaled.coefficients["row_bits"] == pytest.approx(2 * models[0].coefficients["row_bits"])
    assert scaled.left_out_widths is not None
    assert scaled.left_out_widths.rows == 3
    assert scale_models("xc7", rows(2.0, [(4, 4)]), models) == []


def test_a_folder_of_rows_is_refitted(tmp_path: Path) -> None:
    append_rows(tmp_path / "xcup.csv", ("luts", "flip_flops"), rows(2.0, columns=("flip_flops",)))
    written = refit(tmp_path)
    assert {(model.family, model.column) for model in written} == {("multiplier", "luts"), ("multiplier", "flip_flops")}
    assert set(read_models(tmp_path / "models.json")) == {(m.family, m.flow, m.column) for m in written}


def test_failed_rows_are_not_fitted() -> None:
    failed = Measurement(
        family="multiplier",
        parameters={"a": 7, "b": 7, "a_signed": 1, "b_signed": 1},
        status=Status.TIMEOUT,
        rtl="",
        seconds=0,
        tool="",
    )
    (model,) = fit_models("xcup", [*rows(1.0), failed], ("luts",))
    assert model.rows == len(rows(1.0))


def test_a_measured_unit_stands_for_itself() -> None:
    found = unit_estimate("multiplier", a=8, b=8, a_signed=1, b_signed=1)
    assert found.value == 67
    assert (found.sigma, found.notes) == (0.0, ())


def test_outside_the_range_is_flagged_with_the_nearest_unit() -> None:
    found = unit_estimate("multiplier", a=24, b=8, a_signed=1, b_signed=1)
    (note,) = found.notes
    assert "a = 24 (measured 2 to 16)" in note
    assert "nearest measured: a 16, b 8" in note
    assert found.sigma > 0


def test_small_units_that_were_not_measured_are_flagged() -> None:
    found = unit_estimate("multiplier", a=13, b=2, a_signed=0, b_signed=1)
    (note,) = found.notes
    assert "b = 2 (too small for the model)" in note
    assert "nearest measured: a 12, b 2" in note
    model = unit_model("multiplier")
    assert model.edges is not None
    assert found.sigma == max(model.edges.sigma, model.sigma)


@pytest.mark.parametrize(
    ("family", "small", "larger", "name"),
    [
        ("table activation", {"index": 3, "entry": 5, "seed": 1}, {"index": 4, "entry": 5, "seed": 1}, "index"),
        (
            "codebook multiplier",
            {"index": 3, "entry": 5, "width": 7, "x_signed": 1, "seed": 1},
            {"index": 4, "entry": 5, "width": 7, "x_signed": 1, "seed": 1},
            "index",
        ),
        (
            "parameter memory",
            {"words": 7, "bits": 40, "style": 0, "seed": 1},
            {"words": 8, "bits": 40, "style": 0, "seed": 1},
            "words",
        ),
    ],
)
def test_tables_whose_content_decides_are_flagged_with_their_own_error(
    family: str, small: dict[str, int], larger: dict[str, int], name: str
) -> None:
    model = unit_model(family)
    assert model.edges is not None
    found = unit_estimate(family, flow="xcup", column="luts", **small)
    assert found.sigma == max(model.edges.sigma, model.sigma) > model.sigma
    (note,) = found.notes
    assert f"{name} = {small[name]} (too small for the model)" in note
    beyond = unit_estimate(family, flow="xcup", column="luts", **larger)
    assert (beyond.sigma, beyond.notes) == (model.sigma, ())


def test_inside_the_range_nothing_is_flagged() -> None:
    found = unit_estimate("multiplier", a=13, b=9, a_signed=1, b_signed=1)
    assert found.notes == ()
    assert found.sigma == unit_model("multiplier").sigma > 0
    assert found.value == round(found.value)


def test_prices_without_a_search_say_the_same() -> None:
    for a, b, names in ((24, 8, ("a",)), (13, 2, ("b",)), (13, 9, ()), (8, 8, ())):
        parameters = {"a": a, "b": b, "a_signed": 1, "b_signed": 1}
        whole = unit_estimate("multiplier", a=a, b=b, a_signed=1, b_signed=1)
        found = priced("multiplier", **parameters)
        assert (found.luts, found.spread, found.outside) == (whole.value, whole.value * whole.sigma, names)
        assert found.flip_flops == unit_estimate("multiplier", flow="xcup", column="flip_flops", **parameters).value


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no model of luts of family 'abacus' by flow 'xcup': there are .*multiplier"):
        unit_estimate("abacus", a=3)


COMMITTED = sorted(key for key in unit_models() if key[1:] == ("xcup", "luts"))


@pytest.mark.parametrize("key", COMMITTED, ids=lambda key: key[0])
def test_committed_models_hold_the_promised_errors(key: tuple[str, str, str]) -> None:
    model = unit_models()[key]
    for error in (model.left_out_widths, model.left_out_formats):
        if error is not None:
            assert error.median <= 0.03
            assert error.percentile95 <= 0.10
    assert all(math.isfinite(value) for value in model.coefficients.values())


def test_boosting_beats_no_committed_model() -> None:
    for model in unit_models().values():
        if model.rivals:
            ours, theirs = model.rivals[LINEAR], model.rivals[BOOSTED]
            assert ours.median <= theirs.median or ours.percentile95 <= theirs.percentile95


@pytest.mark.parametrize("flow", ["xcup", "xc7", "xcup-dsp"])
def test_rows_are_of_one_recipe(flow: str) -> None:
    assert len({row.tool for row in read_rows(ROWS_FOLDER / f"{flow}.csv")}) == 1


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "engine"])
def test_every_family_is_priced(family: str) -> None:
    flow = "xcup-dsp" if family in ("dsp multiplier", "packed multiplier") else "xcup"
    assert {column for name, found, column in unit_models() if (name, found) == (family, flow)} >= {
        "luts",
        "flip_flops",
    }
