"""Fitting and pricing of units: a known law is found again, measured rows stand for themselves, ranges are flagged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from hwmodels.fitting import fit_models
from hwmodels.models import read_models, unit_estimate, unit_models, write_models
from hwmodels.rtl.families import FAMILIES
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import Measurement

if TYPE_CHECKING:
    from pathlib import Path

WIDTHS = (3, 4, 5, 6, 8, 10, 12)


def rows(factor: float) -> list[Measurement]:
    """Multipliers that follow their structure exactly."""
    found = []
    for a in WIDTHS:
        for b in WIDTHS:
            if a < b:
                continue
            parameters = {"a": a, "b": b, "a_signed": 1, "b_signed": 1}
            structure = FAMILIES["multiplier"].structure(**parameters)
            luts = factor * structure["row_bits"] + 0.5 * structure["tree_bits"] + 3
            found.append(
                Measurement(
                    family="multiplier",
                    parameters=parameters,
                    status=Status.OK,
                    values={"luts": luts},
                    rtl="",
                    seconds=0,
                    tool="",
                )
            )
    return found


def test_a_law_in_the_structure_is_found(tmp_path: Path) -> None:
    (model,) = fit_models("xcup", rows(1.25), ("luts",))
    assert model.coefficients["row_bits"] == pytest.approx(1.25)
    assert model.coefficients["tree_bits"] == pytest.approx(0.5)
    assert model.left_out_widths is not None
    assert model.left_out_widths.largest < 1e-6
    write_models(tmp_path / "models.json", [model])
    assert read_models(tmp_path / "models.json")["multiplier", "xcup", "luts"].value(
        {"a": 20, "b": 7, "a_signed": 1, "b_signed": 1}
    ) == pytest.approx(model.value({"a": 20, "b": 7, "a_signed": 1, "b_signed": 1}), rel=1e-4)


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
    assert "a = 24 (measured" in note
    assert "nearest measured: a 16, b 8" in note
    assert found.sigma > 0


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no model of luts of family 'abacus' by flow 'xcup': there are .*multiplier"):
        unit_estimate("abacus", a=3)


@pytest.mark.parametrize("key", unit_models(), ids=" ".join)
def test_committed_models_hold_the_promised_errors(key: tuple[str, str, str]) -> None:
    model = unit_models()[key]
    if key[1:] != ("xcup", "luts"):
        return
    for error in (model.left_out_widths, model.left_out_formats):
        if error is not None:
            assert error.median <= 0.03
            assert error.percentile95 <= 0.10
    assert all(math.isfinite(value) for value in model.coefficients.values())
