"""Estimates of rows left out: they are what the errors of models sum up, and leave out what they say."""

from __future__ import annotations

import numpy as np
import pytest

from hwmodels.fitting import fit_models
from hwmodels.left_out import Omitted, left_out_units
from hwmodels.models import ROWS_FOLDER
from hwmodels.peers import peer_errors, peer_estimates
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import Measurement, read_rows
from hwmodels.timing_fitting import fit_delays, left_out_delays
from hwmodels.vendor_rows import VendorStyle, fit_rows

FAMILIES = ("adder", "l-mul with flush and saturation", "minifloat exact product", "multiplier", "thresholds")


def adder(width: int, luts: float, status: Status = Status.OK) -> Measurement:
    return Measurement(
        family="adder",
        parameters={"width": width, "signed": 0},
        status=status,
        values={"luts": float(luts)} if status is Status.OK else {},
        rtl="",
        seconds=0,
        tool="",
    )


def test_a_row_is_estimated_by_those_of_other_widths():
    # an adder has one LUT a bit; the odd one must not see itself, and the others see it
    rows = [adder(width, width) for width in (40, 80, 160, 320)] + [adder(400, 600)]
    found = {one.parameters["width"]: one for one in left_out_units(rows, "luts")}
    assert found[400].estimated == pytest.approx(400)
    # weights are 1 / value**2, so each ratio of structure and value counts by its square; estimates are whole LUTs
    ratios = np.array([1, 1, 1, 400 / 600])
    assert found[40].estimated == pytest.approx(40 * ratios.sum() / (ratios**2).sum(), abs=0.5)
    assert {one.omitted for one in found.values()} == {Omitted.WIDTH}


def test_failed_and_edge_rows_are_left_alone():
    rows = [adder(width, width) for width in (2, 4, 8, 16, 32, 48)] + [adder(24, 0, Status.TIMEOUT)]
    assert sorted(one.parameters["width"] for one in left_out_units(rows, "luts")) == [4, 8, 16, 32, 48]


def test_errors_of_models_are_those_of_the_rows():
    rows = [row for row in read_rows(ROWS_FOLDER / "xcup.csv") if row.family in FAMILIES]
    found = left_out_units(rows, "luts")
    models = fit_models("xcup", rows, ("luts",))
    assert sorted(model.family for model in models) == sorted(FAMILIES)
    for model in models:
        for omitted, error in ((Omitted.WIDTH, model.left_out_widths), (Omitted.FORMAT, model.left_out_formats)):
            own = [one for one in found if one.family == model.family and one.omitted is omitted]
            assert len(own) == (error.rows if error else 0)
            if error:
                errors = [abs(one.estimated / one.measured - 1) for one in own]
                assert np.median(errors) == pytest.approx(error.median)
                assert max(errors) == pytest.approx(error.largest)
    formats = {one.family for one in found if one.omitted is Omitted.FORMAT}
    assert formats == {"l-mul with flush and saturation", "minifloat exact product"}


def test_delays_left_out_are_behind_the_error_of_their_model():
    rows = read_rows(ROWS_FOLDER / "ecp5.csv")
    found, model = left_out_delays(rows), fit_delays(rows)
    assert len(found) == model.rows
    errors = [one.estimated / one.measured - 1 for one in found]
    assert float(np.sqrt(np.mean(np.square(errors)))) == pytest.approx(model.sigma)
    reference = [one for one in found if one.row.family == "multiplier" and one.row.parameters["a"] == 8]
    assert 1.0 in [one.measured for one in reference]


def test_peers_say_the_same_of_layers_wherever_they_are_asked():
    rows = fit_rows(VendorStyle.HLS_LUT)
    measured = [float(row.luts) for row in rows]
    found = {one.peer: one for one in peer_estimates([row.layer for row in rows], measured)}
    judged = {one.peer: one for one in peer_errors() if one.style is VendorStyle.HLS_LUT}
    assert set(found) == set(judged) - {"ours"}
    for peer, one in found.items():
        assert one.scale == judged[peer].scale
        errors = np.abs(np.array(one.luts) / measured - 1)
        assert np.median(errors) == pytest.approx(judged[peer].errors.median)
    assert found["FINN-R"].scale == 1
    # the scale of a count of bit operations is the median of the ratios, so half of the layers lie above
    above = [estimate > whole for estimate, whole in zip(found["EBOPs"].luts, measured, strict=True)]
    assert sum(above) / len(above) == pytest.approx(0.5, abs=0.1)
