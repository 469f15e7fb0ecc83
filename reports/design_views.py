"""Views of whole designs: the front, accuracy, predicted against measured loss, and the device's bars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import altair as alt

from reports import palette
from reports.chart_style import OVERHANG, chosen_rows_of, layered, loss_axis, rows_of
from reports.frames import DOMINATED, ENERGY_PARTS, FRONT, GROUPS, UNIFORM, is_logarithmic, log_limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

FRONT_WIDTH: Final = 632
SIDE_WIDTH: Final = 430
FRONT_HEIGHT: Final = 310
ACCURACY_HEIGHT: Final = 150
DEVICE_ROW_HEIGHT: Final = 27

ENERGY_COLOURS: Final = (palette.BLUE, palette.PURPLE, palette.ORANGE)
"""Of logic, memories and what is off the chip."""

SHAPES: Final = {FRONT: "circle", DOMINATED: "cross", UNIFORM: "diamond"}
EDGES: Final = {FRONT: palette.INK, DOMINATED: palette.MUTED, UNIFORM: palette.VERMILLION}

_TOOLTIP: Final = (
    alt.Tooltip("label:N", title="Design"),
    alt.Tooltip("measured_loss:Q", title="Loss measured (nats)", format=".3~g"),
    alt.Tooltip("predicted_loss:Q", title="Loss predicted (nats)", format=".3~g"),
    alt.Tooltip("accuracy_percent:Q", title="Validation accuracy (%)", format=".1f"),
    alt.Tooltip("utilisation_percent:Q", title="Utilisation (%)", format=".1f"),
    alt.Tooltip("drawn_interval:Q", title="Interval (cycles)", format=",d"),
    alt.Tooltip("frames_per_second:Q", title="Frames per second", format=",d"),
    alt.Tooltip("energy:N", title="Energy per sample"),
    alt.Tooltip("delay:N", title="Delay, of an 8-bit multiplication"),
)


UTILISATION: Final = "Utilisation: largest share of a usable resource (%)"


def front_view(designs: pd.DataFrame, axis_title: str | None) -> alt.LayerChart:
    """Measured loss against utilisation, coloured by interval.

    Args:
        designs: a `design_frame`.
        axis_title: name of the horizontal axis; None leaves its numbers out too, for a view right above another one.
    """
    limits = log_limits(designs["drawn_measured"], designs["drawn_low"], designs["drawn_high"])
    loss, low = (loss_axis(field, limits) for field in ("drawn_measured", "drawn_low"))
    legend = alt.Legend(
        orient="top", title="Interval (cycles)", titleOrient="left", gradientLength=200, format=",d", tickCount=4
    )
    full = _full_device() if designs["utilisation"].max() > 1 else []
    utilisation = _utilisation_axis(designs, axis_title)
    points = _points(utilisation, loss, _interval_colour(designs, legend))
    title = "Loss against utilisation: click a design"
    bands = [_bands(utilisation, low)] if designs["drawn_low"].notna().any() else []
    return layered("front", [*full, *bands, *points], width=FRONT_WIDTH, height=FRONT_HEIGHT, title=title)


def accuracy_view(designs: pd.DataFrame, reference: float) -> alt.LayerChart:
    """Validation accuracy below the front; ``reference`` is the float network's as a fraction, or NaN."""
    accuracy = alt.Y(
        "accuracy_percent:Q",
        scale=alt.Scale(zero=False, nice=True, padding=8),
        title="Validation accuracy (%)",
        axis=alt.Axis(tickCount=5),
    )
    axis = _utilisation_axis(designs, UTILISATION)
    points = _points(axis, accuracy, _interval_colour(designs, None))
    network = [] if math.isnan(reference) else _float_network(100 * reference)
    return layered("accuracy", [*network, *points], width=FRONT_WIDTH, height=ACCURACY_HEIGHT)


def predicted_view(designs: pd.DataFrame) -> alt.LayerChart:
    """Predicted against measured loss and the line where they are equal."""
    low, high = log_limits(designs["drawn_predicted"], designs["drawn_measured"])
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    axis = alt.Axis(format=".3~g", tickCount=5)
    x = alt.X("drawn_predicted:Q", scale=scale, title="Predicted loss (nats per image)", axis=axis)
    y = alt.Y("drawn_measured:Q", scale=scale, title="Measured loss (nats per image)", axis=axis)
    ends = alt.InlineData(values=[{"predicted": low, "measured": low}, {"predicted": high, "measured": high}])
    line = alt.Chart(ends).mark_line(strokeDash=[5, 4], color=palette.MUTED, strokeWidth=1.2)
    groups = alt.Legend(orient="top", title=None, symbolSize=90, columns=3, symbolFillColor="white", offset=12)
    points = _points(x, y, _interval_colour(designs, None), groups)
    layers = [line.encode(x="predicted:Q", y="measured:Q"), *points]
    title = alt.TitleParams(
        "Predicted against measured loss (dashed: equal)", offset=30
    )  # level with the front's title
    return layered("predicted", layers, width=SIDE_WIDTH, height=FRONT_HEIGHT, title=title)


def device_view(resources: Sequence[str]) -> alt.LayerChart:
    """Bars of used of usable; beyond 100 % they stop at the end and turn vermillion, the text says how much.

    Args:
        resources: that the device has, as readers call them.
    """
    colour: Any = alt.condition("datum.share > 1", alt.value(palette.VERMILLION), alt.value(palette.BLUE))
    title = "Device: the chosen design's share of what is usable"
    return _shares("usage", "resource", resources, name="device", colour=colour, title=title)


def energy_view() -> alt.LayerChart:
    """Bars of what takes the chosen design's energy."""
    parts = list(ENERGY_PARTS.values())
    colour = alt.Color("part:N", scale=alt.Scale(domain=parts, range=list(ENERGY_COLOURS)), legend=None)
    title = "Energy per sample: what takes it in the chosen design"
    return _shares("energy", "part", parts, name="energy", colour=colour, title=title)


def _shares(
    frame: str, field: str, order: Sequence[str], *, name: str, colour: alt.Color | dict[str, Any], title: str
) -> alt.LayerChart:
    """A row for each of ``order``, a bar of its ``share`` on a track, and its ``text``."""
    length = SIDE_WIDTH - 170
    base = chosen_rows_of(frame)
    y = alt.Y(f"{field}:N", sort=list(order), title=None, axis=alt.Axis(ticks=False, domain=False))
    x = alt.X("share:Q", scale=alt.Scale(domain=[0, 1], range=[0, length], clamp=True, nice=False), axis=None)
    track = base.mark_bar(color=palette.TRACK, height=13).encode(y=y, x=alt.value(0), x2=alt.value(length))
    used = base.mark_bar(height=13).encode(y=y, x=x, color=colour)
    text = base.mark_text(align="left", fontSize=12, color=palette.INK)
    layers = [track, used, text.encode(y=y, x=alt.value(length + 12), text="text:N")]
    return layered(name, layers, width=SIDE_WIDTH, height=DEVICE_ROW_HEIGHT * len(order), title=title)


def headline_view() -> alt.LayerChart:
    """The chosen design in words."""
    base = chosen_rows_of("designs")
    name = base.mark_text(align="left", fontSize=17, fontWeight="bold", color=palette.INK)
    summary = base.mark_text(align="left", fontSize=12, color=palette.MUTED)
    layers = [
        name.encode(x=alt.value(-OVERHANG), y=alt.value(8), text="label:N"),
        summary.encode(x=alt.value(-OVERHANG), y=alt.value(31), text="summary:N"),
    ]
    return layered("headline", layers, width=FRONT_WIDTH + SIDE_WIDTH, height=38)


def _points(x: alt.X, y: alt.Y, colour: alt.Color, legend: alt.Legend | None = None) -> list[alt.Chart]:
    """A scatter of all designs; the chosen one has a ring below and its name above all points."""
    ring = chosen_rows_of("designs").mark_point(size=330, filled=False, stroke=palette.INK, strokeWidth=2.2, opacity=1)
    points = rows_of("designs").mark_point(filled=True, size=85, strokeWidth=1.3, opacity=0.95, cursor="pointer")
    halo = chosen_rows_of("designs").mark_text(
        dy=-18, fontSize=12, fontWeight="bold", color="white", stroke="white", strokeWidth=4
    )
    name = chosen_rows_of("designs").mark_text(dy=-18, fontSize=12, fontWeight="bold", color=palette.INK)
    scales = [
        alt.Scale(domain=list(GROUPS), range=[values[group] for group in GROUPS])
        for values in (SHAPES, EDGES)  # one shape and one edge for each group: a reader needs no colour
    ]
    return [
        ring.encode(x=x, y=y),
        points.encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("group:N", scale=scales[0], legend=legend),
            stroke=alt.Stroke("group:N", scale=scales[1], legend=legend),
            tooltip=list(_TOOLTIP),
        ),
        halo.encode(x=x, y=y, text="design:N"),
        name.encode(x=x, y=y, text="design:N"),
    ]


def _bands(x: alt.X, low: alt.Y) -> alt.Chart:
    """Thin lines from end to end of each design's confidence band."""
    known = rows_of("designs").transform_filter("isValid(datum.drawn_low)")
    lines: alt.Chart = known.mark_rule(color=palette.MUTED, strokeWidth=1).encode(x=x, y=low, y2="drawn_high:Q")
    return lines


def _utilisation_axis(designs: pd.DataFrame, title: str | None) -> alt.X:
    values = designs["utilisation_percent"]
    scale = alt.Scale(zero=True, nice=True)
    if is_logarithmic(values):
        scale = alt.Scale(type="log", domain=list(log_limits(values)), nice=False)
    axis = alt.Axis(format=".3~g", tickCount=8, labels=title is not None)
    return alt.X("utilisation_percent:Q", scale=scale, title=title, axis=axis)


def _interval_colour(designs: pd.DataFrame, legend: alt.Legend | None) -> alt.Color:
    # The palest tenth of viridis would vanish on white.
    scheme = alt.SchemeParams(name="viridis", extent=[0.0, 0.9])
    scale = alt.Scale(type="linear", scheme=scheme, nice=False, zero=False)
    if is_logarithmic(designs["drawn_interval"]):
        scale = alt.Scale(type="log", scheme=scheme, nice=False)
    return alt.Color("drawn_interval:Q", scale=scale, legend=legend)


def _rule(at: float, caption: str) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=[{"at": at, "caption": caption}]))


def _full_device() -> list[alt.Chart]:
    """A vertical line at the whole of the usable device, with its caption at the top."""
    base = _rule(100.0, "usable device")
    line = base.mark_rule(strokeDash=[5, 4], color=palette.MUTED, strokeWidth=1.2)
    text = base.mark_text(align="left", dx=5, color=palette.MUTED, fontSize=11)
    return [line.encode(x="at:Q"), text.encode(x="at:Q", y=alt.value(9), text="caption:N")]


def _float_network(percent: float) -> list[alt.Chart]:
    """A horizontal line, with its caption well below it: most designs lie close to the line."""
    base = _rule(percent, f"float32 network {percent:.1f} %")
    line = base.mark_rule(strokeDash=[5, 4], color=palette.MUTED, strokeWidth=1.2)
    text = base.mark_text(align="left", dy=18, color=palette.MUTED, fontSize=11)
    return [line.encode(y="at:Q"), text.encode(y="at:Q", x=alt.value(5), text="caption:N")]
