"""What `ReportData` accepts, and what it says when it does not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from reports.checks import ReportDataError
from reports.data import DESIGN_COLUMNS, DEVICE_COLUMNS, LAYER_COLUMNS, RESOURCES, ReportData

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = {"designs": DESIGN_COLUMNS, "layers": LAYER_COLUMNS, "device": DEVICE_COLUMNS}


@pytest.mark.parametrize(
    ("frame", "column"), [(frame, column) for frame in COLUMNS for column in COLUMNS[frame] if column != "gates"]
)
def test_every_missing_column_is_named(report_data: ReportData, frame: str, column: str) -> None:
    short = getattr(report_data, frame).drop(columns=column)
    with pytest.raises(ReportDataError, match=re.escape(f"ReportData.{frame} lacks the columns '{column}'; it has")):
        replace(report_data, **{frame: short})


def _set(frame: str, column: str, value: object, row: int = 2) -> Callable[[ReportData], dict[str, Any]]:
    def change(data: ReportData) -> dict[str, Any]:
        changed = getattr(data, frame).copy()
        changed[column] = changed[column].astype(object)
        changed.loc[row, column] = value
        return {frame: changed}

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _set("designs", "measured_loss", np.nan),
            "column 'measured_loss' of design 'd02' holds nan; allowed are finite",
        ),
        (
            _set("designs", "utilisation", -0.1),
            "column 'utilisation' of design 'd02' holds -0.1; allowed are finite numb",
        ),
        (_set("designs", "luts", "many"), "column 'luts' of design 'd02' holds 'many'"),
        (_set("designs", "brams", np.inf), "column 'brams' of design 'd02' holds inf"),
        (_set("designs", "validation_accuracy", 97.3), "holds 97.3; allowed are fractions from 0 to 1, or NaN"),
        (_set("designs", "nondominated", "yes"), "holds 'yes'; allowed are True or False (1 of 41 rows are wrong)"),
        (_set("designs", "status", None), "column 'status' of design 'd02' holds None; allowed are text"),
        (_set("designs", "bound", "high"), "column 'bound' of design 'd02' holds 'high'; allowed are numbers, or NaN"),
        (_set("designs", "kind", "best"), "'kind' of design 'd02' holds 'best'; allowed are front, uniform, float"),
        (
            _set("designs", "design", "d01"),
            "ReportData.designs has 'd01' more than once; give each design its own name",
        ),
        (_set("designs", "kind", "float"), "ReportData.designs has 2 rows of kind 'float'; allowed is at most one"),
        (
            _set("designs", "design", "z9"),
            "ReportData.layers names designs that ReportData.designs does not have: 'd02'",
        ),
        (_set("layers", "position", 0.5), "column 'position' of design 'd00' holds 0.5; allowed are whole numbers"),
        (_set("layers", "position", 0), "ReportData.layers has position 0 of design 'd00' more than once"),
        (_set("layers", "layer", 7), "column 'layer' of design 'd00' holds 7; allowed are text"),
        (
            _set("device", "resource", "lut4s"),
            "holds 'luts', 'flip_flops', 'lut4s', 'brams'; needed is one row each of what the device has of luts,",
        ),
        (
            _set("device", "usable", 221),
            "offers 221 usable dsps of 220 available; allowed is at most what is available",
        ),
    ],
)
def test_wrong_cells_are_refused_with_their_place(
    report_data: ReportData, change: Callable[[ReportData], dict[str, Any]], message: str
) -> None:
    with pytest.raises(ReportDataError, match=re.escape(message)):
        replace(report_data, **change(report_data))


def test_a_report_needs_a_front_design_and_layers_of_each_design(report_data: ReportData) -> None:
    only_uniform = report_data.designs[report_data.designs["kind"] == "uniform"]
    kept = report_data.layers[report_data.layers["design"].isin(only_uniform["design"])]
    with pytest.raises(ReportDataError, match=r"no row of kind 'front' among its 6 rows"):
        replace(report_data, designs=only_uniform, layers=kept)
    with pytest.raises(ReportDataError, match=r"no row for the designs 'd03'; each"):
        replace(report_data, layers=report_data.layers[report_data.layers["design"] != "d03"])


def test_a_repeated_column_is_refused(report_data: ReportData) -> None:
    twice = pd.concat([report_data.designs, report_data.designs[["luts"]]], axis=1)
    with pytest.raises(ReportDataError, match=r"ReportData\.designs has the columns 'luts' more than once"):
        replace(report_data, designs=twice)


def test_the_float_network_needs_accuracies_only(report_data: ReportData) -> None:
    network = report_data.float_network
    assert network is not None
    assert np.isnan(network["measured_loss"])
    assert network["validation_accuracy"] == 0.9733
    without = replace(report_data, designs=report_data.designs[report_data.designs["kind"] != "float"])
    assert without.float_network is None


def test_frames_are_ordered_copies(report_data: ReportData) -> None:
    shuffled = report_data.designs[sorted(report_data.designs.columns)].assign(extra=1)
    layers = report_data.layers.sample(frac=1, random_state=3)
    data = replace(report_data, designs=shuffled, layers=layers, device=report_data.device.iloc[::-1])
    assert list(data.designs.columns) == [*(column for column in DESIGN_COLUMNS if column != "gates"), "extra"]
    assert list(data.device["resource"]) == list(data.resources) == [name for name in RESOURCES if name != "gates"]
    pd.testing.assert_frame_equal(data.layers, report_data.layers)
    shuffled.loc[0, "luts"] = -1
    assert data.designs.loc[0, "luts"] >= 0


def test_a_device_has_some_of_the_resources(asic_report_data: ReportData) -> None:
    assert dict(asic_report_data.resources) == {"gates": "Gates"}
    assert "luts" not in asic_report_data.designs
    short = asic_report_data.layers.drop(columns="gates")
    with pytest.raises(ReportDataError, match=r"ReportData\.layers lacks the columns 'gates'"):
        replace(asic_report_data, layers=short)
    for device in (asic_report_data.device.iloc[:0], pd.concat([asic_report_data.device] * 2)):
        with pytest.raises(ReportDataError, match=r"needed is one row each of what the device has of luts, .*, gates"):
            replace(asic_report_data, device=device)
