"""The interactive picture: one Vega-Lite specification in which the chosen design changes every view.

The parts share one signal, so they are one chart. Positions, names and colours come from `reports.frames` and
`reports.palette`; names of layers and designs reach the chart as data only, never as field names or expressions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import altair as alt

from reports.chart_style import SELECTION, below, beside, configuration
from reports.design_views import (
    UTILISATION,
    accuracy_view,
    device_view,
    energy_view,
    front_view,
    headline_view,
    predicted_view,
)
from reports.frames import design_frame, energy_frame, float_accuracy, initial_design, layer_frame, usage_frame
from reports.layer_views import layer_panel

if TYPE_CHECKING:
    import pandas as pd

    from reports.data import ReportData

DESIGN_FIELDS: Final = (
    "design",
    "label",
    "summary",
    "group",
    "drawn_predicted",
    "drawn_measured",
    "predicted_loss",
    "measured_loss",
    "utilisation_percent",
    "accuracy_percent",
    "drawn_interval",
    "frames_per_second",
    "energy",
    "delay",
)
LAYER_FIELDS: Final = (
    "design",
    "position",
    "layer",
    "label",
    "kind",
    "input_format",
    "weight_format",
    "output_format",
    "folding",
    "style",
    "interval_cycles",
    "energy_pj",
    "logic_pj",
    "onchip_pj",
    "energy",
    "energy_parts",
    "loss",
    "drawn_loss",
)
"""And the resources that the device has."""
USAGE_FIELDS: Final = ("design", "resource", "share", "text")
ENERGY_FIELDS: Final = ("design", "part", "share", "text")


def specification(data: ReportData) -> dict[str, Any]:
    """The whole picture as a Vega-Lite specification with its data in ``datasets`` (lists of records).

    Returns:
        A JSON-ready dictionary: no NaN, numbers with six significant digits, the same for the same data.
    """
    designs, layers = design_frame(data), layer_frame(data)
    with_accuracy = designs["accuracy_percent"].notna().any()
    fronts = [front_view(designs, axis_title=None if with_accuracy else UTILISATION)]
    if with_accuracy:
        fronts.append(accuracy_view(designs, float_accuracy(data)))
    left = below(*fronts, spacing=14)
    bars = (device_view(list(data.resources.values())), energy_view())
    right = below(predicted_view(designs), *bars, spacing=26)
    chart = below(beside(left, right, spacing=36), headline_view(), layer_panel(layers, data.resources), spacing=22)
    chart.config = configuration()
    specified: dict[str, Any] = chart.to_dict()
    specified["params"] = [_chooser(designs, initial_design(data))]
    specified.setdefault("datasets", {}).update(
        designs=records(designs[list(DESIGN_FIELDS)]),
        layers=records(layers[[*LAYER_FIELDS, *data.resources]]),
        usage=records(usage_frame(data)[list(USAGE_FIELDS)]),
        energy=records(energy_frame(data)[list(ENERGY_FIELDS)]),
    )
    return specified


def records(frame: pd.DataFrame) -> list[dict[str, str | float | None]]:
    """A frame as JSON-ready records; what is not finite becomes None."""
    return [{str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: object) -> str | float | None:
    if isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]  # checked by ReportData: all that is no text is a number
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else float(f"{number:.6g}")


def _chooser(designs: pd.DataFrame, initial: str) -> dict[str, Any]:
    """The chosen design: one signal that the list above the picture and the page's click handler set."""
    options = alt.binding_select(options=designs["design"].tolist(), labels=designs["label"].tolist(), name="Design ")
    parameter: dict[str, Any] = alt.VariableParameter(name=SELECTION, value=initial, bind=options).to_dict()
    return parameter
