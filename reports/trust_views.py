"""Views about trust: confidence bands, the audit of the metrics, the rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import altair as alt

from reports import palette
from reports.chart_style import beside, chosen_rows_of, layered, loss_axis, rows_of
from reports.frames import log_limits
from reports.trust_frames import BEATEN, CORRECTED, NEW, SCALED, STANDINGS, SURE, UNSURE

if TYPE_CHECKING:
    import pandas as pd

PANELS_A_ROW: Final = 4
PANEL_SIDE: Final = 238
BANDS_WIDTH: Final = 1090
BANDS_HEIGHT: Final = 290
ROUNDS_WIDTH: Final = 290
ROUNDS_HEIGHT: Final = 150
MOST_TICKS: Final = 8
"""Up to so many designs each number stands beside the axis."""

_FILLS: Final = {SURE: palette.BLUE, UNSURE: "white", BEATEN: palette.VERMILLION}
_STROKES: Final = {SURE: palette.BLUE, UNSURE: palette.BLUE, BEATEN: palette.VERMILLION}
_SHAPES: Final = {SURE: "circle", UNSURE: "circle", BEATEN: "cross"}


def bands_view(frame: pd.DataFrame) -> alt.LayerChart:
    """Measured losses in order with their bands; a click chooses a design as in the front.

    Args:
        frame: a `band_frame`.
    """
    limits = log_limits(frame["drawn_low"], frame["drawn_high"], frame["drawn_loss"])
    axis = alt.Axis(labelAngle=-90, labelOverlap=True, labelFontSize=10, grid=False)
    x = alt.X("design:N", sort=frame["design"].tolist(), title="Designs, in order of measured loss", axis=axis)
    ends = {name: loss_axis(f"drawn_{name}", limits) for name in ("loss", "low", "least", "most")}
    legend = alt.Legend(orient="top", title=None, symbolSize=80)
    fill, stroke, shape = (
        alt.Scale(domain=list(STANDINGS), range=[looks[one] for one in STANDINGS])
        for looks in (_FILLS, _STROKES, _SHAPES)
    )
    band = rows_of("bands").mark_rule(strokeWidth=5, color=palette.shade(palette.SKY_BLUE, 0.7))
    calibrations = rows_of("bands").transform_filter("isValid(datum.drawn_least)")
    tick = calibrations.mark_tick(thickness=1.8, size=14, color=palette.ORANGE, orient="horizontal")
    ring = chosen_rows_of("bands").mark_point(size=240, filled=False, stroke=palette.INK, strokeWidth=2, opacity=1)
    points = rows_of("bands").mark_point(size=34, strokeWidth=1.5, opacity=1, cursor="pointer")
    tooltip = [
        alt.Tooltip("design:N", title="Design"),
        alt.Tooltip("loss:Q", title="Loss measured (nats)", format=".3~g"),
        alt.Tooltip("band:N", title="Band"),
        alt.Tooltip("calibrations:N", title="Other calibrations"),
        alt.Tooltip("next:N", title="Within noise of"),
        alt.Tooltip("beaten:N", title="Dominated by"),
    ]
    layers = [
        band.encode(x=x, y=ends["low"], y2="drawn_high:Q"),
        tick.encode(x=x, y=ends["least"]),
        tick.encode(x=x, y=ends["most"]),
        ring.encode(x=x, y=ends["loss"]),
        points.encode(
            x=x,
            y=ends["loss"],
            fill=alt.Fill("standing:N", scale=fill, legend=legend),
            stroke=alt.Stroke("standing:N", scale=stroke, legend=legend),
            shape=alt.Shape("standing:N", scale=shape, legend=legend),
            tooltip=tooltip,
        ),
    ]
    return layered("bands", layers, width=BANDS_WIDTH, height=BANDS_HEIGHT)


def audit_view(frame: pd.DataFrame, headings: list[str]) -> alt.FacetChart:
    """Predicted against measured loss of whole designs, a panel per metric, with the line where they are equal.

    Args:
        frame: an `audit_frame`.
        headings: its panels in order.
    """
    limits = log_limits(frame["drawn_predicted"], frame["drawn_measured"])
    low, high = limits
    y = loss_axis("drawn_measured", limits)
    x = alt.X(
        "drawn_predicted:Q",
        scale=alt.Scale(type="log", domain=[low, high], nice=False),
        title="Predicted loss, scaled (nats)",
        axis=alt.Axis(format=".3~g", tickCount=4),
    )
    once = alt.Chart().transform_aggregate(designs="count()")  # without data of its own, a layer gets its panel's
    line = once.mark_rule(strokeDash=[5, 4], color=palette.MUTED, strokeWidth=1.2)
    points = alt.Chart().mark_point(size=28, filled=True, color=palette.BLUE, opacity=0.75)
    tooltip = [
        alt.Tooltip("metric:N", title="Metric"),
        alt.Tooltip("predicted:Q", title="Predicted, scaled (nats)", format=".3~g"),
        alt.Tooltip("measured:Q", title="Measured (nats)", format=".3~g"),
    ]
    panel = alt.LayerChart(
        layer=[
            line.encode(x=alt.XDatum(low), x2=alt.X2Datum(high), y=alt.YDatum(low), y2=alt.Y2Datum(high)),
            points.encode(x=x, y=y, tooltip=tooltip),
        ],
        width=PANEL_SIDE,
        height=PANEL_SIDE,
    )
    header = alt.Header(
        labelFontSize=12,
        labelFontWeight="bold",
        labelColor=palette.INK,
        labelAnchor="start",
        labelLimit=PANEL_SIDE,
    )
    facet = alt.Facet("panel:N", sort=headings, title=None, header=header)
    return alt.FacetChart(
        data=alt.NamedData(name="audit"), spec=panel, facet=facet, columns=PANELS_A_ROW, name="audit", spacing=22
    )


def rounds_view(rounds: pd.DataFrame) -> alt.HConcatChart:
    """Hypervolume, error of predictions, and new and dominated designs, by round.

    Args:
        rounds: ``TrustData.rounds``.
    """
    x = alt.X("round:O", title="Round", axis=alt.Axis(labelAngle=0))
    line = rows_of("rounds").mark_line(color=palette.BLUE, point=alt.OverlayMarkDef(color=palette.BLUE, size=60))
    volume = line.encode(x=x, y=alt.Y("hypervolume:Q", title="Share of the box", scale=alt.Scale(domain=[0, 1])))
    kinds = [SCALED, CORRECTED]
    legend = alt.Legend(orient="bottom-left", title=None, fillColor="white")
    stroke = alt.Stroke("kind:N", scale=alt.Scale(domain=kinds, range=[palette.ORANGE, palette.BLUE]), legend=legend)
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=["square", "circle"]), legend=legend)
    percent = alt.Y("percent:Q", title="Root mean square (%)", scale=alt.Scale(domainMin=0))
    known = rows_of("errors").transform_filter("isValid(datum.percent)")
    errors = [
        known.mark_line().encode(x=x, y=percent, stroke=stroke),
        known.mark_point(size=60, fill="white", opacity=1).encode(x=x, y=percent, stroke=stroke, shape=shape),
    ]
    most = int(max(1, rounds[["unseen", "dominated"]].to_numpy().max()))
    whole = [*range(most + 1)] if most <= MOST_TICKS else alt.Undefined
    y = alt.Y("designs:Q", title="Designs", scale=alt.Scale(domain=[0, most]), axis=alt.Axis(values=whole, format="d"))
    fill = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=[NEW, BEATEN], range=[palette.shade(palette.SKY_BLUE, 0.7), palette.VERMILLION]),
        legend=alt.Legend(orient="top-right", title=None, fillColor="white"),
    )
    offset = alt.XOffset("kind:N", sort=[NEW, BEATEN])
    bands = alt.X("round:O", title="Round", axis=alt.Axis(labelAngle=0), scale=alt.Scale(paddingInner=0.6))
    counts = rows_of("counts").mark_bar().encode(x=bands, xOffset=offset, y=y, color=fill)
    views = [
        layered(name, charts, width=ROUNDS_WIDTH, height=ROUNDS_HEIGHT, title=title)
        for name, charts, title in (
            ("volume", [volume], "Hypervolume of the measured front"),
            ("errors", errors, "Error of predictions"),
            ("counts", [counts], "New and dominated designs"),
        )
    ]
    return beside(*views, spacing=46)
