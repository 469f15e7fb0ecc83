"""The interactive picture: one Vega-Lite specification in which a click on a design changes every other view.

The parts share one selection, so they are one chart. Positions, names and colours come from `reports.frames` and
`reports.palette`; names of layers and designs reach the chart as data only, never as field names or expressions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import altair as alt
import pandas as pd

from reports import palette
from reports.data import RESOURCES, ReportData
from reports.frames import (
    DOMINATED,
    FRONT,
    GROUPS,
    UNIFORM,
    design_frame,
    float_accuracy,
    formats_used,
    initial_design,
    is_logarithmic,
    layer_frame,
    log_limits,
    usage_frame,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_Concatenation = TypeVar("_Concatenation", alt.HConcatChart, alt.VConcatChart)

SELECTION: Final = "selected"
"""Name of the selection; ``selected_design`` is the signal that holds the chosen design's name."""

CLICKABLE: Final = ("front", "accuracy", "predicted")
"""Views in which a click chooses a design."""

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'Helvetica Neue', Arial, sans-serif"

FRONT_WIDTH: Final = 590
SIDE_WIDTH: Final = 400
FRONT_HEIGHT: Final = 310
ACCURACY_HEIGHT: Final = 150
ROW_HEIGHT: Final = 24
"""Pixels of a layer's row."""

SHAPES: Final = {FRONT: "circle", DOMINATED: "cross", UNIFORM: "diamond"}
EDGES: Final = {FRONT: palette.INK, DOMINATED: palette.MUTED, UNIFORM: palette.VERMILLION}

_DESIGN_FIELDS: Final = [
    "design", "label", "summary", "group", "drawn_predicted", "drawn_measured", "predicted_loss", "measured_loss",
    "utilisation_percent", "accuracy_percent", "drawn_interval", "frames_per_second",
]  # fmt: skip
_LAYER_FIELDS: Final = [
    "design", "position", "layer", "label", "kind", "input_format", "weight_format", "output_format", "folding", "style",
    *RESOURCES, "interval_cycles", "loss", "drawn_loss",
]  # fmt: skip
_USAGE_FIELDS: Final = ["design", "resource", "share", "text"]


def specification(data: ReportData) -> dict[str, Any]:
    """The whole picture as a Vega-Lite specification with its data in ``datasets`` (lists of records).

    Returns:
        A JSON-ready dictionary: no NaN, numbers with six significant digits, the same for the same data.
    """
    designs = design_frame(data)
    initial = initial_design(data)
    clicks = _selection(designs, initial)
    left = alt.vconcat(_front(designs, clicks), _accuracy(designs, float_accuracy(data), clicks), spacing=14)
    right = alt.vconcat(_predicted_measured(designs, clicks), _device_bars(clicks), spacing=26)
    top = alt.hconcat(_own_scales(left), _own_scales(right), spacing=36)
    chart = alt.vconcat(_own_scales(top), _headline(clicks), _layer_panel(data, clicks), spacing=22)
    specified: dict[str, Any] = _styled(_own_scales(chart)).to_dict()
    # One selection for three views. Altair would attach a copy to each, warn about merging them and rename the views.
    for name, view in zip(CLICKABLE, _clickable_views(specified), strict=True):
        view["name"] = name
    specified["params"] = [{**clicks.param.to_dict(), "views": list(CLICKABLE)}]
    specified["datasets"] = {
        "designs": records(designs[_DESIGN_FIELDS]),
        "layers": records(layer_frame(data)[_LAYER_FIELDS]),
        "usage": records(usage_frame(data)[_USAGE_FIELDS]),
    }
    return specified


def _clickable_views(node: object) -> Iterator[dict[str, Any]]:
    """The views whose marks show a pointer, from top left to bottom right."""
    if isinstance(node, list):
        for part in node:
            yield from _clickable_views(part)
    elif isinstance(node, dict):
        mark = node.get("mark")
        if isinstance(mark, dict) and mark.get("cursor") == "pointer":
            yield node
        for part in node.values():
            yield from _clickable_views(part)


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


def _selection(designs: pd.DataFrame, initial: str) -> alt.Parameter:
    """A click on the nearest point, or the list above the picture, chooses exactly one design."""
    names = designs["design"].tolist()
    return alt.selection_point(
        name=SELECTION,
        fields=["design"],
        value=[{"design": initial}],
        on="click",
        clear=False,
        nearest=True,
        toggle=False,
        empty=False,
        bind=alt.binding_select(options=names, labels=designs["label"].tolist(), name="Design "),
    )


def _named(frame: str) -> alt.NamedData:
    return alt.NamedData(name=frame)


def _log_or_linear(values: pd.Series) -> alt.Scale:
    if is_logarithmic(values):
        return alt.Scale(type="log", domain=list(log_limits(values)), nice=False)
    return alt.Scale(zero=True, nice=True)


def _shape(*, legend: alt.Legend | None) -> alt.Shape:
    return alt.Shape(
        "group:N", scale=alt.Scale(domain=list(GROUPS), range=[SHAPES[group] for group in GROUPS]), legend=legend
    )


def _edge(*, legend: alt.Legend | None) -> alt.Stroke:
    return alt.Stroke(
        "group:N", scale=alt.Scale(domain=list(GROUPS), range=[EDGES[group] for group in GROUPS]), legend=legend
    )


def _interval_colour(designs: pd.DataFrame, *, legend: alt.Legend | None) -> alt.Color:
    interval = designs["drawn_interval"]
    kind = "log" if is_logarithmic(interval) else "linear"
    # The palest tenth of viridis would vanish on white.
    scale = alt.Scale(type=kind, scheme=alt.SchemeParams(name="viridis", extent=[0.0, 0.9]), nice=False)
    return alt.Color("drawn_interval:Q", scale=scale, legend=legend)


_TOOLTIP: Final = [
    alt.Tooltip("label:N", title="Design"),
    alt.Tooltip("measured_loss:Q", title="Loss measured (nats)", format=".3~g"),
    alt.Tooltip("predicted_loss:Q", title="Loss predicted (nats)", format=".3~g"),
    alt.Tooltip("accuracy_percent:Q", title="Validation accuracy (%)", format=".1f"),
    alt.Tooltip("utilisation_percent:Q", title="Utilisation (%)", format=".1f"),
    alt.Tooltip("drawn_interval:Q", title="Interval (cycles)", format=",d"),
    alt.Tooltip("frames_per_second:Q", title="Frames per second", format=",d"),
]


def _points(
    x: alt.X, y: alt.Y, designs: pd.DataFrame, clicks: alt.Parameter, *, legends: alt.Legend | None = None
) -> list[alt.Chart]:
    """A scatter of all designs, under it a ring and a label for the selected one (the marks on top take the clicks)."""
    chosen = alt.Chart(_named("designs")).transform_filter(clicks).encode(x=x, y=y)
    ring = chosen.mark_point(
        size=330, filled=False, stroke=palette.INK, strokeWidth=2.2, opacity=1, clip=False, description="selected"
    )
    label = chosen.mark_text(dy=-17, fontSize=12, fontWeight="bold", color=palette.INK).encode(text="design:N")
    order = alt.Legend(orient="top", title=None, symbolSize=90, columns=3, symbolFillColor="#ffffff") if legends else None
    points = (
        alt.Chart(_named("designs"))
        .mark_point(filled=True, size=85, strokeWidth=1.3, opacity=0.95, cursor="pointer")
        .encode(
            x=x,
            y=y,
            color=_interval_colour(designs, legend=legends),
            shape=_shape(legend=order),
            stroke=_edge(legend=order),
            tooltip=_TOOLTIP,
        )
    )
    return [ring, label, points]


def _utilisation_axis(designs: pd.DataFrame, *, title: str | None) -> alt.X:
    return alt.X(
        "utilisation_percent:Q",
        scale=_log_or_linear(designs["utilisation_percent"]),
        title=title,
        axis=alt.Axis(format="~g", tickCount=8, labels=title is not None),
    )


def _rule(channel: str, at: float, caption: str) -> list[alt.Chart]:
    """A dashed line across a view and its caption."""
    base = alt.Chart(alt.InlineData(values=[{"at": at, "caption": caption}]))
    across = alt.X("at:Q") if channel == "x" else alt.Y("at:Q")
    line = base.mark_rule(strokeDash=[5, 4], color=palette.MUTED, strokeWidth=1.2).encode(across)
    text = base.mark_text(color=palette.MUTED, fontSize=11).encode(across, text="caption:N")
    if channel == "x":
        return [line, text.mark_text(align="left", dx=5, color=palette.MUTED, fontSize=11).encode(y=alt.value(9))]
    aligned = text.mark_text(align="right", dy=-7, color=palette.MUTED, fontSize=11)
    return [line, aligned.encode(x=alt.value(FRONT_WIDTH - 4))]


def _front(designs: pd.DataFrame, clicks: alt.Parameter) -> alt.LayerChart:
    loss = alt.Y(
        "drawn_measured:Q",
        scale=alt.Scale(type="log", domain=list(log_limits(designs["drawn_measured"])), nice=False),
        title="Measured loss (nats per image)",
        axis=alt.Axis(format="~g", tickCount=6),
    )
    legend = alt.Legend(orient="top", title="Interval (cycles)", gradientLength=170, format="~s", tickCount=4)
    full = [] if designs["utilisation"].max() <= 1 else _rule("x", 100.0, "usable device")
    points = _points(_utilisation_axis(designs, title=None), loss, designs, clicks, legends=legend)
    return alt.layer(*full, *points).properties(
        width=FRONT_WIDTH, height=FRONT_HEIGHT, title="Loss against utilisation: click a design"
    )


def _accuracy(designs: pd.DataFrame, reference: float, clicks: alt.Parameter) -> alt.LayerChart:
    accuracy = alt.Y(
        "accuracy_percent:Q",
        scale=alt.Scale(zero=False, nice=True, padding=8),
        title="Validation accuracy (%)",
        axis=alt.Axis(tickCount=5),
    )
    axis = _utilisation_axis(designs, title="Utilisation: largest share of a usable resource (%)")
    points = _points(axis, accuracy, designs, clicks)
    above = [] if math.isnan(reference) else _rule("y", 100 * reference, f"float32 network {100 * reference:.1f} %")
    return alt.layer(*above, *points).properties(width=FRONT_WIDTH, height=ACCURACY_HEIGHT)


def _predicted_measured(designs: pd.DataFrame, clicks: alt.Parameter) -> alt.LayerChart:
    low, high = log_limits(designs["drawn_predicted"], designs["drawn_measured"])
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    axis = alt.Axis(format="~g", tickCount=5)
    x = alt.X("drawn_predicted:Q", scale=scale, title="Predicted loss (nats per image)", axis=axis)
    y = alt.Y("drawn_measured:Q", scale=scale, title="Measured loss (nats per image)", axis=axis)
    ends = alt.InlineData(values=[{"predicted": low, "measured": low}, {"predicted": high, "measured": high}])
    equal = (
        alt.Chart(ends)
        .mark_line(strokeDash=[5, 4], color=palette.MUTED, strokeWidth=1.2)
        .encode(x="predicted:Q", y="measured:Q")
    )
    return alt.layer(equal, *_points(x, y, designs, clicks)).properties(
        width=SIDE_WIDTH, height=FRONT_HEIGHT, title="Predicted against measured loss (dashed: equal)"
    )


def _device_bars(clicks: alt.Parameter) -> alt.LayerChart:
    """Bars of used of usable; beyond 100 % they stop at the end and turn vermillion, the text says how much."""
    base = alt.Chart(_named("usage"), name="device").transform_filter(clicks)
    y = alt.Y("resource:N", sort=list(RESOURCES.values()), title=None, axis=alt.Axis(ticks=False, domain=False))
    x = alt.X("share:Q", scale=alt.Scale(domain=[0, 1], clamp=True, nice=False), axis=None)
    track = base.mark_bar(color=palette.TRACK, height=12, yOffset=7).encode(y=y, x=alt.value(0), x2=alt.value(SIDE_WIDTH))
    colour = alt.condition("datum.share > 1", alt.value(palette.VERMILLION), alt.value(palette.BLUE))
    used = base.mark_bar(height=12, yOffset=7).encode(y=y, x=x, color=colour)
    text = base.mark_text(align="left", dy=-9, fontSize=11, color=palette.INK).encode(
        y=y, x=alt.value(0), text="text:N"
    )
    return alt.layer(track, used, text).properties(
        width=SIDE_WIDTH, height=4 * 38, title="Device: selected design, used of usable"
    )


def _headline(clicks: alt.Parameter) -> alt.LayerChart:
    base = alt.Chart(_named("designs"), name="headline").transform_filter(clicks)
    name = base.mark_text(align="left", fontSize=17, fontWeight="bold", color=palette.INK)
    summary = base.mark_text(align="left", fontSize=12, color=palette.MUTED)
    return alt.layer(
        name.encode(x=alt.value(0), y=alt.value(8), text="label:N"),
        summary.encode(x=alt.value(0), y=alt.value(31), text="summary:N"),
    ).properties(width=FRONT_WIDTH + SIDE_WIDTH, height=38)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A column of bars in the layer panel."""

    field: str
    drawn: str
    heading: str
    number: str
    colour: str


BARS: Final = (
    Bars(field="luts", drawn="luts", heading="LUTs", number=",d", colour=palette.BLUE),
    Bars(field="flip_flops", drawn="flip_flops", heading="Flip-flops", number=",d", colour=palette.SKY_BLUE),
    Bars(field="dsps", drawn="dsps", heading="DSPs", number=",d", colour=palette.ORANGE),
    Bars(field="brams", drawn="brams", heading="BRAM36", number=",.1~f", colour=palette.PURPLE),
    Bars(field="interval_cycles", drawn="interval_cycles", heading="Cycles", number=",d", colour=palette.MUTED),
    Bars(field="loss", drawn="drawn_loss", heading="Loss (nats)", number=".2~g", colour=palette.VERMILLION),
)

BAR_COLUMN_WIDTH: Final = 98
BAR_LENGTH: Final = 50


def _layer_panel(data: ReportData, clicks: alt.Parameter) -> alt.HConcatChart:
    """One row per layer: name, formats as tiles, folding, and bars for what the layer costs and loses."""
    layers = layer_frame(data)
    positions = sorted(int(position) for position in layers["position"].unique())
    height = ROW_HEIGHT * len(positions)
    y = alt.Y("position:O", scale=alt.Scale(type="band", domain=positions, paddingInner=0.12, paddingOuter=0.06), axis=None)
    base = alt.Chart(_named("layers")).transform_filter(clicks).encode(y=y)
    colours = _format_colours(formats_used(data))
    parts: Sequence[alt.Chart | alt.LayerChart] = [
        _words(base, "label", "Layer", width=158, colour=palette.INK, tooltip=["layer:N", "kind:N"]),
        _words(base, "kind", "Kind", width=62, colour=palette.MUTED, tooltip=["kind:N"]),
        _tiles(base, "input_format", "Input", colours),
        _tiles(base, "weight_format", "Weights", colours),
        _tiles(base, "output_format", "Output", colours),
        _words(base, "folding", "PE × SIMD", width=62, colour=palette.INK, tooltip=["folding:N"]),
        _words(base, "style", "Style", width=34, colour=palette.MUTED, tooltip=["style:N"]),
        *(_bars(base, bars) for bars in BARS),
    ]
    sized = [part.properties(height=height) for part in parts]
    return _own_scales(alt.hconcat(*sized, spacing=6))


def _heading(text: str) -> alt.TitleParams:
    return alt.TitleParams(text, fontSize=11, fontWeight="bold", anchor="start", color=palette.MUTED, offset=5)


def _words(
    base: alt.Chart, field: str, heading: str, *, width: int, colour: str, tooltip: Sequence[str]
) -> alt.Chart:
    return (
        base.mark_text(align="left", fontSize=12, color=colour, limit=width)
        .encode(x=alt.value(0), text=f"{field}:N", tooltip=list(tooltip))
        .properties(width=width, title=_heading(heading), name=f"words_{field}")
    )


def _format_colours(formats: list[str]) -> tuple[alt.Scale, alt.Scale]:
    fills = [palette.format_colour(number_format) for number_format in formats]
    inks = [palette.readable_ink(fill) for fill in fills]
    return alt.Scale(domain=formats, range=fills), alt.Scale(domain=formats, range=inks)


def _tiles(base: alt.Chart, field: str, heading: str, colours: tuple[alt.Scale, alt.Scale]) -> alt.LayerChart:
    width = 76
    fills, inks = colours
    shown = base.transform_filter(f"datum.{field} !== ''")
    tile = shown.mark_rect(cornerRadius=3).encode(
        x=alt.value(0), x2=alt.value(width), color=alt.Color(f"{field}:N", scale=fills, legend=None), tooltip=f"{field}:N"
    )
    text = shown.mark_text(fontSize=12, limit=width - 6).encode(
        x=alt.value(width / 2), text=f"{field}:N", color=alt.Color(f"{field}:N", scale=inks, legend=None)
    )
    return (
        alt.layer(tile, text)
        .resolve_scale(color="independent")
        .properties(width=width, title=_heading(heading), name=f"tiles_{field}")
    )


def _bars(base: alt.Chart, bars: Bars) -> alt.LayerChart:
    scale = alt.Scale(range=[0, BAR_LENGTH], zero=True, nice=False)
    bar = base.mark_bar(color=bars.colour, height=12, minBandSize=0).encode(
        x=alt.X(f"{bars.drawn}:Q", scale=scale, axis=None)
    )
    number = base.mark_text(align="right", fontSize=11, color=palette.INK).encode(
        x=alt.value(BAR_COLUMN_WIDTH), text=alt.Text(f"{bars.field}:Q", format=bars.number)
    )
    return alt.layer(bar, number).properties(
        width=BAR_COLUMN_WIDTH, title=_heading(bars.heading), name=f"bars_{bars.field}"
    )


def _own_scales(chart: _Concatenation) -> _Concatenation:
    """Every view has its own colours and legend or none; Vega-Lite would share them across a concatenation."""
    return chart.resolve_scale(color="independent", shape="independent", stroke="independent")


def _styled(chart: alt.VConcatChart) -> alt.VConcatChart:
    """Fonts and thin grids."""
    return (
        chart.configure(font=FONT, background="white", padding=4)
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=11, titleFontSize=12, titleFontWeight="normal", labelColor=palette.MUTED, titleColor=palette.INK,
            gridColor=palette.TRACK, domainColor=palette.RULE, tickColor=palette.RULE, labelFlush=False,
        )
        .configure_legend(labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelColor=palette.INK)
        .configure_title(fontSize=13, fontWeight="bold", anchor="start", color=palette.INK, offset=8)
    )  # fmt: skip
