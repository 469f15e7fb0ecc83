"""The report's pictures for papers: PDF and PNG by Matplotlib, from the same frames as the interactive page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from reports import palette
from reports.figure_style import ABOVE, ONE_COLUMN_INCHES, TWO_COLUMNS_INCHES, logarithmic, plain_ticks, style
from reports.files import replaced_atomically
from reports.format_map import formats_figure
from reports.frames import (
    DOMINATED,
    FRONT,
    GROUPS,
    UNIFORM,
    design_frame,
    float_accuracy,
    front_designs,
    is_logarithmic,
    log_limits,
    usage_frame,
)
from reports.trust_figures import audit_figure, bands_figure, rounds_figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

    from reports.data import ReportData

MARKERS: Final = {FRONT: "o", DOMINATED: "P", UNIFORM: "D"}
EDGES: Final = {FRONT: palette.INK, DOMINATED: palette.MUTED, UNIFORM: palette.VERMILLION}
RESOURCE_MARKERS: Final = {"LUTs": "o", "Flip-flops": "s", "DSPs": "^", "BRAM36": "D", "Gates": "o"}
RESOURCE_COLOURS: Final = {
    "LUTs": palette.BLUE,
    "Flip-flops": palette.SKY_BLUE,
    "DSPs": palette.ORANGE,
    "BRAM36": palette.PURPLE,
    "Gates": palette.BLUE,
}
MOST_NAMES: Final = 60
"""So many names of designs fit side by side below a figure of two columns."""
_BLANK_METADATA: Final[Mapping[str, Mapping[str, str | None]]] = {
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "png": {"Software": None},
}
"""Without dates and program versions the same data gives the same bytes."""


def write_figures(data: ReportData, folder: Path) -> tuple[Path, ...]:
    """Write every figure as PDF (embedded TrueType fonts) and PNG (200 dots per inch).

    Args:
        data: what to draw.
        folder: where to; it is made if its parent exists.

    Returns:
        The files: every name of `FIGURES`, each ``.pdf`` and ``.png``; but for those the data have nothing to show in,
        which are removed if an earlier report wrote them.

    Raises:
        OSError: if the folder cannot be made or written.
    """
    folder.mkdir(exist_ok=True)
    written = []
    with style():
        for name, draw in FIGURES.items():
            figure = draw(data)
            for suffix, metadata in _BLANK_METADATA.items():
                path = folder / f"{name}.{suffix}"
                if figure is None:
                    path.unlink(missing_ok=True)
                    continue
                with replaced_atomically(path) as stream:
                    figure.savefig(stream, format=suffix, metadata=dict(metadata))
                written.append(path)
    return tuple(written)


def front_figure(data: ReportData) -> Figure:
    """Measured loss and validation accuracy against utilisation, coloured by interval."""
    designs = design_frame(data)
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 2.9))
    loss, accuracy = figure.subplots(1, 2)
    for axes, column in ((loss, "drawn_measured"), (accuracy, "accuracy_percent")):
        points = _scatter(axes, designs, "utilisation_percent", column)
        if is_logarithmic(designs["utilisation_percent"]):
            logarithmic(axes.xaxis, log_limits(designs["utilisation_percent"]))
        axes.set_xlabel("Utilisation of the usable device (%)")
        if designs["utilisation"].max() > 1:
            axes.axvline(100, color=palette.MUTED, dashes=(4, 3), linewidth=0.8, zorder=1)
    _draw_bands(loss, designs)
    logarithmic(loss.yaxis, log_limits(designs["drawn_measured"], designs["drawn_low"], designs["drawn_high"]))
    loss.set_ylabel("Measured loss (nats per image)")
    accuracy.set_ylabel("Validation accuracy (%)")
    reference = float_accuracy(data)
    if not math.isnan(reference):
        line = accuracy.axhline(100 * reference, color=palette.MUTED, dashes=(4, 3), linewidth=0.8, zorder=1)
        accuracy.legend([line], [f"float32 network, {100 * reference:.1f} %"], **ABOVE)
    _group_legend(loss, designs)
    figure.colorbar(points, ax=[loss, accuracy], label="Interval (cycles)", pad=0.01, aspect=28, format=plain_ticks())
    return figure


def predicted_measured_figure(data: ReportData) -> Figure:
    """Predicted against measured loss, with the line where they are equal."""
    designs = design_frame(data)
    figure = Figure(figsize=(ONE_COLUMN_INCHES, 3.1))
    axes = figure.subplots()
    limits = log_limits(designs["drawn_predicted"], designs["drawn_measured"])
    axes.plot(limits, limits, color=palette.MUTED, dashes=(4, 3), linewidth=0.8, label="equal", zorder=1)
    for rank, (group, rows) in enumerate(_by_group(designs)):
        axes.scatter(
            rows["drawn_predicted"],
            rows["drawn_measured"],
            s=22,
            marker=MARKERS[group],
            facecolor={FRONT: palette.BLUE, DOMINATED: palette.SKY_BLUE, UNIFORM: palette.ORANGE}[group],
            edgecolor=palette.INK,
            linewidth=0.5,
            label=group,
            zorder=4 - rank,
        )
    for axis in (axes.xaxis, axes.yaxis):
        logarithmic(axis, limits)
    axes.set_aspect("equal")
    axes.set_xlabel("Predicted loss (nats per image)")
    axes.set_ylabel("Measured loss (nats per image)")
    axes.legend(loc="upper left")
    return figure


def resources_figure(data: ReportData) -> Figure:
    """Share of every usable resource for the front designs, in order of utilisation."""
    front = front_designs(data).sort_values(["utilisation", "design"])
    usage = usage_frame(data).set_index(["resource", "design"])["share"]
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 2.6))
    axes = figure.subplots()
    places = np.arange(len(front))
    for resource in data.resources.values():
        shares = 100 * usage.loc[resource].loc[list(front["design"])].to_numpy(float)
        axes.plot(
            places,
            np.where(np.isfinite(shares), shares, np.nan),
            marker=RESOURCE_MARKERS[resource],
            color=RESOURCE_COLOURS[resource],
            label=resource,
            linewidth=0.8,
            markersize=3.6,
        )
    axes.axhline(100, color=palette.MUTED, dashes=(4, 3), linewidth=0.8, zorder=1)
    axes.text(0, 100, "usable device", color=palette.MUTED, fontsize=6.5, va="bottom")
    axes.set_ylim(0, None)
    step = 1 + len(front) // MOST_NAMES
    axes.set_xticks(places[::step], front["design"][::step], rotation=90 if len(front) > 16 else 0, parse_math=False)
    axes.set_xlim(-0.6, len(front) - 0.4)
    axes.set_ylabel("Used of usable (%)")
    axes.set_xlabel("Front designs, in order of utilisation")
    axes.legend(loc="upper left", ncols=4, bbox_to_anchor=(0, 1.12), borderaxespad=0)
    return figure


def _by_group(designs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The groups that have designs, in the order of legends; whoever draws puts the first on top."""
    for group in GROUPS:
        rows = designs[designs["group"] == group]
        if not rows.empty:
            yield group, rows


def _scatter(axes: Axes, designs: pd.DataFrame, x: str, y: str) -> PathCollection:
    """All groups, each with its marker; returns the last collection, which a colour bar can describe."""
    interval = designs["drawn_interval"]
    norm = (LogNorm if is_logarithmic(interval) else Normalize)(float(interval.min()), float(interval.max()))
    shown = mpl.colormaps["viridis"].resampled(256)(np.linspace(0, 0.9, 256))
    colours = mpl.colors.ListedColormap(shown)
    for rank, (group, rows) in enumerate(_by_group(designs)):
        points = axes.scatter(
            rows[x],
            rows[y],
            c=rows["drawn_interval"],
            norm=norm,
            cmap=colours,
            marker=MARKERS[group],
            edgecolors=EDGES[group],
            s=24 if group == FRONT else 20,
            linewidths=0.6 if group == FRONT else 0.9,
            zorder=4 - rank,
        )
    return points


def _draw_bands(axes: Axes, designs: pd.DataFrame) -> None:
    """Thin vertical lines from end to end of each design's confidence band."""
    known = designs[designs["drawn_low"].notna()]
    axes.vlines(
        known["utilisation_percent"], known["drawn_low"], known["drawn_high"], color=palette.MUTED, linewidth=0.7
    )


def _group_legend(axes: Axes, designs: pd.DataFrame) -> None:
    for group, _ in _by_group(designs):
        axes.plot([], [], MARKERS[group], markeredgecolor=EDGES[group], markerfacecolor="white", label=group)
    axes.legend(ncols=3, **ABOVE)


FIGURES: Final[Mapping[str, Callable[[ReportData], Figure | None]]] = {
    "front": front_figure,
    "predicted_measured": predicted_measured_figure,
    "formats": formats_figure,
    "resources": resources_figure,
    "bands": bands_figure,
    "audit": audit_figure,
    "rounds": rounds_figure,
}
"""Name of a figure's file and the function that draws it (inside `style`); None if there is nothing to draw."""
