"""The interactive pictures as Vega-Lite specifications: the large one of all designs, and those about trust.

The parts of the large one share a signal, so they are one chart in which the chosen design changes every view.
Positions, names and colours come from frames and `reports.palette`; names of layers and designs reach the charts as
data only, never as field names or expressions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import altair as alt

from reports.chart_style import SELECTION, View, below, beside, configuration
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
from reports.trust_frames import audit_frame, band_frame, count_frame, error_frame, panels
from reports.trust_views import audit_view, bands_view, rounds_view

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
    "drawn_low",
    "drawn_high",
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
BAND_FIELDS: Final = (
    "design",
    "loss",
    "drawn_loss",
    "drawn_low",
    "drawn_high",
    "drawn_least",
    "drawn_most",
    "standing",
    "band",
    "calibrations",
    "next",
    "beaten",
)
AUDIT_FIELDS: Final = ("panel", "metric", "predicted", "measured", "drawn_predicted", "drawn_measured")


def specifications(data: ReportData) -> dict[str, dict[str, Any]]:
    """The pictures by their place in the page: "charts", and of "bands", "audit" and "rounds" what there is.

    Returns:
        JSON-ready dictionaries with their data in ``datasets`` (lists of records): no NaN, numbers with six significant
        digits, the same for the same data.
    """
    trust = data.trust
    found = {"charts": specification(data)}
    if len(trust.bands):
        bands = band_frame(data)
        found["bands"] = _specified(bands_view(bands), bands=bands[list(BAND_FIELDS)])
        found["bands"]["params"] = [_parameter(initial_design(data))]
    if len(trust.points):
        audit = audit_frame(trust)
        found["audit"] = _specified(audit_view(audit, list(panels(trust).values())), audit=audit[list(AUDIT_FIELDS)])
    if len(trust.rounds):
        found["rounds"] = _specified(
            rounds_view(trust.rounds),
            rounds=trust.rounds[["round", "hypervolume"]],
            errors=error_frame(trust),
            counts=count_frame(trust),
        )
    return found


def specification(data: ReportData) -> dict[str, Any]:
    """The large picture of all designs, as in `specifications`."""
    designs, layers = design_frame(data), layer_frame(data)
    with_accuracy = designs["accuracy_percent"].notna().any()
    fronts = [front_view(designs, axis_title=None if with_accuracy else UTILISATION)]
    if with_accuracy:
        fronts.append(accuracy_view(designs, float_accuracy(data)))
    left = below(*fronts, spacing=14)
    bars = (device_view(list(data.resources.values())), energy_view())
    right = below(predicted_view(designs), *bars, spacing=26)
    chart = below(beside(left, right, spacing=36), headline_view(), layer_panel(layers, data.resources), spacing=22)
    specified = _specified(
        chart,
        designs=designs[list(DESIGN_FIELDS)],
        layers=layers[[*LAYER_FIELDS, *data.resources]],
        usage=usage_frame(data)[list(USAGE_FIELDS)],
        energy=energy_frame(data)[list(ENERGY_FIELDS)],
    )
    names = alt.binding_select(options=designs["design"].tolist(), labels=designs["label"].tolist(), name="Design ")
    specified["params"] = [_parameter(initial_design(data)) | {"bind": names.to_dict()}]
    return specified


def _specified(chart: View, **frames: pd.DataFrame) -> dict[str, Any]:
    """A chart as a dictionary, with its configuration and its frames."""
    chart.config = configuration()
    specified: dict[str, Any] = chart.to_dict()
    specified.setdefault("datasets", {}).update({name: records(frame) for name, frame in frames.items()})
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


def _parameter(initial: str) -> dict[str, Any]:
    """The chosen design: a signal that the list above the large picture and the page's click handler set."""
    parameter: dict[str, Any] = alt.VariableParameter(name=SELECTION, value=initial).to_dict()
    return parameter
