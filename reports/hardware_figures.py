"""The figures of the page about hardware costs: estimates beside measured numbers (Matplotlib, PNG)."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

from reports import palette
from reports.figure_style import TWO_COLUMNS_INCHES
from reports.hardware_data import FORMATS, OURS, WIDTHS, records, relative_errors, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes

    from reports.hardware_data import HardwareData

PANELS_A_ROW: Final = 6
PANEL_INCHES: Final = 1.16
TITLE_CHARACTERS: Final = 18
"""In a line above a panel."""
BAND: Final = 0.10
"""Half of the shaded band: the 95th percentile that unit models are held to."""
DELAY_BAND: Final = 0.25
"""Of delays: the error that is claimed for them."""
ERROR_LIMITS: Final = (1e-3, 10.0)
"""Errors below and above are drawn at the edge of the figures of shares."""
CUT: Final = 0.25
"""Errors beyond this are drawn at the edge of the figure of errors."""
MARKERS: Final = {WIDTHS: ("o", palette.BLUE), FORMATS: ("^", palette.ORANGE)}
WAYS: Final = {OURS: palette.BLUE, "FINN-R": palette.ORANGE, "EBOPs": palette.GREEN, "bit operations": palette.PURPLE}
DASHES: Final = {OURS: "-", "FINN-R": "--", "EBOPs": "-.", "bit operations": ":"}


def families_figure(data: HardwareData) -> Figure:
    """Estimated against measured LUTs, a panel per family; every estimate is of a model that has not seen the unit."""
    units = data.units[data.units["column"] == "luts"]
    units = units[units["flow"].str.startswith("xcup")]
    families = list(dict.fromkeys(units["family"]))
    rows = max(1, -(-len(families) // PANELS_A_ROW))
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 0.45 + PANEL_INCHES * rows))
    panels = figure.subplots(rows, PANELS_A_ROW, squeeze=False).ravel()
    for axes, family in zip(panels, families, strict=False):
        own = units[units["family"] == family]
        limits = _limits(own["measured"])
        _equal_axes(axes, limits)
        for omitted, (marker, colour) in MARKERS.items():
            part = own[own["omitted"] == omitted]
            drawn = part["estimated"].clip(*limits)
            axes.scatter(part["measured"], drawn, s=6, marker=marker, **_hollow(colour), clip_on=False, zorder=3)
        lines = textwrap.wrap(family, TITLE_CHARACTERS)
        axes.set_title("\n".join(lines), fontsize=5.6, pad=2, parse_math=False)
        found = spread(own)
        if found is not None:
            words = f"{_percent(found.median)} / {_percent(found.percentile95)}"
            place: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "bottom"}
            axes.text(0.98, 0.03, words, fontsize=5.2, color=palette.MUTED, **place)
        axes.tick_params(labelsize=4.8, length=1.5, pad=1)
    for axes in panels[len(families) :]:
        axes.set_visible(False)
    _omission_legend(figure)
    figure.supxlabel("Measured LUTs (six-input LUT sites, dual outputs packed)", fontsize=7)
    figure.supylabel("Estimated LUTs", fontsize=7)
    return figure


def errors_figure(data: HardwareData) -> Figure:
    """Relative errors of left-out units: the middle, nine in ten, and all, a line per family."""
    units = data.units[(data.units["column"] == "luts") & data.units["flow"].str.startswith("xcup")]
    errors = {str(family): relative_errors(own) for family, own in units.groupby("family", sort=False)}
    order = sorted(errors, key=lambda family: float(np.percentile(np.abs(errors[family]), 95)))
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 0.7 + 0.135 * len(order)))
    axes = figure.subplots()
    for place, family in enumerate(order):
        shown = np.clip(errors[family], -CUT, CUT)
        low, high = np.percentile(shown, [5, 95])
        axes.plot([shown.min(), shown.max()], [place, place], color=palette.SKY_BLUE, linewidth=1.0)
        axes.plot([low, high], [place, place], color=palette.BLUE, linewidth=3.0, solid_capstyle="butt")
        axes.plot(np.median(shown), place, "o", color="white", markeredgecolor=palette.INK, markersize=3.2)
        beyond = int((np.abs(errors[family]) > CUT).sum())
        if beyond:
            axes.text(CUT, place, f" {beyond} beyond", fontsize=5, va="center", color=palette.VERMILLION)
    for bar in (-BAND, BAND):
        axes.axvline(bar, color=palette.MUTED, dashes=(4, 3), linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(order)), order, fontsize=5.8, parse_math=False)
    axes.set_ylim(-0.8, len(order) - 0.2)
    axes.set_xlim(-CUT - 0.01, CUT + 0.01)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlabel("Estimated over measured LUTs, less 1: median (dot), 5th to 95th percentile (bar), all (line)")
    return figure


def engines_figure(data: HardwareData) -> Figure:
    """Whole engines by every way of estimating, and the share of engines each gets within an error."""
    return _ways_figure(data.engines, "engines")


def layers_figure(data: HardwareData) -> Figure:
    """Measured matrix-vector layers of the vendor flow by every way of estimating."""
    return _ways_figure(data.layers, "layers")


def _ways_figure(frame: pd.DataFrame, what: str) -> Figure:
    ways = list(dict.fromkeys(frame["way"]))
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 4.3))
    grid = figure.add_gridspec(2, max(len(ways), 1), height_ratios=(1.0, 1.1))
    panels = [figure.add_subplot(grid[0, index]) for index in range(len(ways))]
    limits = _limits(frame["measured"])
    for axes, way in zip(panels, ways, strict=True):
        own = frame[frame["way"] == way]
        _equal_axes(axes, limits)
        estimates = own["estimated"].clip(*limits)
        axes.scatter(own["measured"], estimates, s=9, **_hollow(WAYS.get(way, palette.BLACK)), clip_on=False, zorder=3)
        axes.set_title(way)
        axes.set_xlabel("Measured LUTs")
    for axes in panels[:1]:
        axes.set_ylabel("Estimated LUTs")
    axes = figure.add_subplot(grid[1, :])
    for way in ways:
        errors = np.sort(np.abs(relative_errors(frame[frame["way"] == way])))
        shares = np.arange(1, len(errors) + 1) / len(errors)
        drawn = np.clip(errors, *ERROR_LIMITS)
        axes.plot(
            drawn, shares, DASHES.get(way, "-"), color=WAYS.get(way, palette.BLACK), label=way, drawstyle="steps-post"
        )
    axes.set_xscale("log")
    axes.set_xlim(*ERROR_LIMITS)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.set_xlabel("Relative error (LUTs)")
    axes.set_ylabel(f"Share of {what} within it")
    if ways:
        axes.legend(loc="upper left")
    return figure


def delays_figure(data: HardwareData) -> Figure:
    """Delays after place and route against the model, each family left out of the fit."""
    figure = Figure(figsize=(4.4, 4.2))
    axes = figure.subplots()
    frame = data.delays
    _equal_axes(axes, _limits(pd.concat([frame["measured"], frame["estimated"]])), band=DELAY_BAND)
    shapes = "os^Dv<>Ph*Xp8d"
    families = list(dict.fromkeys(frame["family"]))
    colours = [*WAYS.values(), palette.SKY_BLUE, palette.VERMILLION]
    for index, family in enumerate(families):
        own = frame[frame["family"] == family]
        style: dict[str, Any] = {"color": colours[index % len(colours)], "edgecolors": palette.INK, "linewidths": 0.3}
        axes.scatter(own["measured"], own["estimated"], s=20, marker=shapes[index % len(shapes)], label=family, **style)
    axes.set_xlabel("Measured delay, 8-bit multiplication = 1")
    axes.set_ylabel("Estimated delay")
    if families:
        axes.legend(loc="lower right", fontsize=5.5, borderaxespad=0)
    return figure


def energies_figure(data: HardwareData) -> Figure:
    """Energies of operations: published ones and those of the ASIC proxy, each relative to its own multiplication."""
    frame = data.energies.iloc[::-1].reset_index(drop=True)
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 0.75 + 0.22 * max(len(frame), 1)))
    axes = figure.subplots()
    places = np.arange(len(frame))
    axes.hlines(places, frame["published"], frame["measured"], color=palette.RULE, linewidth=2)
    axes.plot(frame["published"], places, "D", color=palette.ORANGE, markeredgecolor=palette.INK, label="published")
    axes.plot(frame["measured"], places, "o", color=palette.BLUE, markeredgecolor=palette.INK, label="our units")
    names = [f"{row['operation']}, {row['process']}" for row in records(frame)]
    axes.set_yticks(places, names, parse_math=False)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_plain())
    axes.set_xlabel("Energy, 8-bit multiplication = 1")
    axes.set_ylim(-0.6, len(frame) - 0.4)
    axes.legend(loc="lower right")
    return figure


def _equal_axes(axes: Axes, limits: tuple[float, float], *, band: float = BAND) -> None:
    """Logarithmic axes with equal limits, the diagonal, and the band around it."""
    ends = np.array(limits)
    axes.fill_between(ends, ends * (1 - band), ends * (1 + band), color=palette.RULE, linewidth=0, zorder=0)
    axes.plot(ends, ends, color=palette.MUTED, linewidth=0.5, zorder=1)
    decades = math.log10(limits[1] / limits[0])
    for axis, change in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        change("log")
        axis.set_view_interval(*limits, ignore=True)
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 1.3 else (1.0,), numticks=6))
        axis.set_major_formatter(_plain())
        axis.set_minor_locator(NullLocator())
    axes.set_aspect("equal")


def _limits(values: pd.Series[float]) -> tuple[float, float]:
    """Around numbers above 0, at least a factor of four apart."""
    if values.empty:
        return 1.0, 10.0
    low, high = float(values.min()) / 1.3, float(values.max()) * 1.3
    return (low, high) if high / low > 4 else (low / 1.5, high * 1.5)


def _hollow(colour: str) -> dict[str, Any]:
    return {"facecolors": "none", "edgecolors": colour, "linewidths": 0.6}


def _omission_legend(figure: Figure) -> None:
    handles = []
    for omitted, (marker, colour) in MARKERS.items():
        words = f"all units with one {omitted} left out"
        line: dict[str, Any] = {"color": "none", "markeredgecolor": colour, "markerfacecolor": "none"}
        handles.append(Line2D([], [], marker=marker, label=words, **line))
    figure.legend(handles=handles, loc="outside upper center", ncols=2)


def _plain() -> FuncFormatter:
    return FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


FIGURES: Final[Mapping[str, Callable[[HardwareData], Figure]]] = {
    "families": families_figure,
    "errors": errors_figure,
    "engines": engines_figure,
    "layers": layers_figure,
    "delays": delays_figure,
    "energies": energies_figure,
}
"""Name of a figure's file and the function that draws it (inside `reports.figure_style.style`)."""
