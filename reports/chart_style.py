"""What all views of the interactive picture share: the chosen design, fonts, and how views are put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import altair as alt

from reports import palette

if TYPE_CHECKING:
    from collections.abc import Sequence

View: TypeAlias = alt.Chart | alt.LayerChart | alt.HConcatChart | alt.VConcatChart | alt.FacetChart

SELECTION: Final = "selected_design"
"""Name of the signal that holds the chosen design's name."""
CHOSEN: Final = f"datum.design === {SELECTION}"
"""Filter that keeps the rows of the chosen design."""

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'Helvetica Neue', Arial, sans-serif"

OVERHANG: Final = 61
"""Pixels left of the plots' edge where axis labels, and so all texts of the lower panel, begin."""


def rows_of(frame: str) -> alt.Chart:
    """A chart of a named frame (a key of ``datasets``)."""
    return alt.Chart(alt.NamedData(name=frame))


def chosen_rows_of(frame: str) -> alt.Chart:
    """A chart of what a named frame says about the chosen design."""
    chart: alt.Chart = rows_of(frame).transform_filter(CHOSEN)
    return chart


def layered(
    name: str,
    layers: Sequence[alt.Chart],
    *,
    width: float,
    height: float,
    title: str | alt.TitleParams = "",
) -> alt.LayerChart:
    """Charts on top of each other, the last one uppermost; ``name`` is the view's name in the drawing."""
    # Layers share positions, but a tile's fill and its text's colour have scales of their own.
    apart = alt.Resolve(scale=alt.ScaleResolveMap(color="independent"))
    return alt.LayerChart(layer=list(layers), name=name, width=width, height=height, title=title, resolve=apart)


def loss_axis(field: str, limits: tuple[float, float]) -> alt.Y:
    """The logarithmic axis of a measured loss; layers of one view give it the same ``limits``."""
    scale = alt.Scale(type="log", domain=list(limits), nice=False)
    axis = alt.Axis(format=".3~g", tickCount=6)
    return alt.Y(f"{field}:Q", scale=scale, title="Measured loss (nats per image)", axis=axis)


def beside(*views: View, spacing: int) -> alt.HConcatChart:
    """Views from left to right, ``spacing`` pixels apart."""
    return alt.HConcatChart(hconcat=views, spacing=spacing, resolve=_own_scales())


def below(*views: View, spacing: int) -> alt.VConcatChart:
    """Views from top to bottom, ``spacing`` pixels apart."""
    return alt.VConcatChart(vconcat=views, spacing=spacing, resolve=_own_scales())


def _own_scales() -> alt.Resolve:
    """Every view has its own colours and legend or none; Vega-Lite would share them."""
    return alt.Resolve(scale=alt.ScaleResolveMap(color="independent", shape="independent", stroke="independent"))


def configuration() -> alt.Config:
    """Fonts and thin grids."""
    return alt.Config(
        font=FONT,
        background="white",
        padding=4,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelFontSize=11,
            titleFontSize=12,
            titleFontWeight="normal",
            labelColor=palette.MUTED,
            titleColor=palette.INK,
            gridColor=palette.TRACK,
            domainColor=palette.RULE,
            tickColor=palette.RULE,
            labelFlush=False,
        ),
        legend=alt.LegendConfig(
            labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelColor=palette.INK, titleColor=palette.INK
        ),
        title=alt.TitleConfig(fontSize=13, fontWeight="bold", anchor="start", color=palette.INK, offset=8),
    )
