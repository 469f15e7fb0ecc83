"""The figures about trust for papers: confidence bands, the audit of the metrics, the rounds (Matplotlib)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from reports import palette
from reports.figure_style import TWO_COLUMNS_INCHES, logarithmic
from reports.frames import log_limits
from reports.trust_frames import (
    BEATEN,
    CORRECTED,
    NEW,
    SCALED,
    SURE,
    UNSURE,
    audit_frame,
    band_frame,
    count_frame,
    error_frame,
    panels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from reports.data import ReportData

PANELS_A_ROW: Final = 4
PANEL_INCHES: Final = 1.65
MOST_NAMES: Final = 60
"""So many names of designs fit side by side below a figure of two columns."""
LOOKS: Final[dict[str, dict[str, Any]]] = {
    SURE: {"marker": "o", "markerfacecolor": palette.BLUE, "markeredgecolor": palette.BLUE},
    UNSURE: {"marker": "o", "markerfacecolor": "white", "markeredgecolor": palette.BLUE},
    BEATEN: {"marker": "X", "markerfacecolor": palette.VERMILLION, "markeredgecolor": palette.VERMILLION},
}
"""Of designs by how sure their place is; hollow where the next one may be better."""


def bands_figure(data: ReportData) -> Figure | None:
    """Measured losses in order, each with its band and what other calibrations lose; None without bands."""
    frame = band_frame(data)
    if frame.empty:
        return None
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 2.7))
    axes = figure.subplots()
    places = range(len(frame))
    axes.vlines(
        places,
        frame["drawn_low"],
        frame["drawn_high"],
        color=palette.shade(palette.SKY_BLUE, 0.7),
        linewidth=3,
        label=f"{100 * data.trust.band_level:g} % band",
    )
    if frame["drawn_least"].notna().any():
        for name, label in (("drawn_least", "least and most of other calibrations"), ("drawn_most", None)):
            axes.plot(places, frame[name], "_", color=palette.ORANGE, markersize=5.5, markeredgewidth=1.1, label=label)
    for standing, look in LOOKS.items():
        chosen = frame[frame["standing"] == standing]
        if len(chosen):
            axes.plot(chosen.index, chosen["drawn_loss"], linestyle="", markersize=3.0, label=standing, **look)
    step = 1 + len(frame) // MOST_NAMES
    turned = 90 if len(frame) > 16 else 0
    axes.set_xticks(places[::step], frame["design"][::step], rotation=turned, parse_math=False)
    axes.set_xlim(-0.8, len(frame) - 0.2)
    axes.grid(visible=False, axis="x")
    logarithmic(axes.yaxis, log_limits(frame["drawn_low"], frame["drawn_high"], frame["drawn_loss"]))
    axes.set_ylabel("Measured loss (nats per image)")
    axes.set_xlabel("Designs, in order of measured loss")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=5)
    return figure


def audit_figure(data: ReportData) -> Figure | None:
    """Predicted (scaled to nats) against measured loss of whole designs, a panel per metric; None without an audit."""
    frame = audit_frame(data.trust)
    if frame.empty:
        return None
    titles = panels(data.trust)
    rows = math.ceil(len(titles) / PANELS_A_ROW)
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 0.35 + PANEL_INCHES * rows))
    grid = figure.subplots(rows, PANELS_A_ROW, squeeze=False)
    limits = log_limits(frame["drawn_predicted"], frame["drawn_measured"])
    for place, axes in enumerate(grid.ravel()):
        if place >= len(titles):
            axes.set_visible(False)
            continue
        metric, title = list(titles.items())[place]
        points = frame[frame["metric"] == metric]
        axes.plot(limits, limits, color=palette.MUTED, dashes=(4, 3), linewidth=0.8)
        axes.plot(points["drawn_predicted"], points["drawn_measured"], "o", markersize=2.4, color=palette.BLUE)
        axes.set_title(title, fontsize=7, parse_math=False)
        for axis in (axes.xaxis, axes.yaxis):
            logarithmic(axis, limits)
            axis.set_major_locator(LogLocator(numticks=4))
        axes.label_outer()
        axes.tick_params(labelbottom=place + PANELS_A_ROW >= len(titles), labelsize=5.8)
    figure.supxlabel("Predicted loss, scaled (nats per image)", fontsize=7.5)
    figure.supylabel("Measured loss (nats per image)", fontsize=7.5)
    return figure


def rounds_figure(data: ReportData) -> Figure | None:
    """Hypervolume of the measured front, error of predictions, new and dominated designs, by round; or None."""
    rounds = data.trust.rounds
    if rounds.empty:
        return None
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 1.9))
    volume, error, designs = figure.subplots(1, 3)
    volume.plot(rounds["round"], rounds["hypervolume"], "o-", color=palette.BLUE)
    volume.set(title="Hypervolume", ylabel="Share of the box", ylim=(0, 1))
    errors, counts = error_frame(data.trust), count_frame(data.trust)
    for kind, marker, colour in ((SCALED, "s--", palette.ORANGE), (CORRECTED, "o-", palette.BLUE)):
        rows = errors[errors["kind"] == kind]
        error.plot(rows["round"], rows["percent"], marker, color=colour, label=kind)
    error.set(title="Error of predictions", ylabel="Root mean square (%)")
    error.set_ylim(0, None)
    for kind, aside, colour in ((NEW, -0.2, palette.SKY_BLUE), (BEATEN, 0.2, palette.VERMILLION)):
        rows = counts[counts["kind"] == kind]
        designs.bar(rows["round"] + aside, rows["designs"], width=0.36, color=colour, label=kind)
    designs.set(title="New and dominated designs", ylabel="Designs")
    designs.set_ylim(0, 1.35 * max(1, counts["designs"].max()))
    designs.yaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (volume, error, designs):
        _rounds_axis(axes, int(rounds["round"].min()), int(rounds["round"].max()))
    for axes in (error, designs):
        axes.legend(loc="best")
    return figure


def _rounds_axis(axes: Axes, first: int, last: int) -> None:
    axes.set_xlim(first - 0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.set_xlabel("Round")
