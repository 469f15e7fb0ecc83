"""The report's pictures for papers: PDF and PNG by Matplotlib, from the same frames as the interactive page."""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from reports import palette
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.collections import PathCollection

    from reports.data import ReportData

STYLE: Final = Path(__file__).with_name("bitfront.mplstyle")
ONE_COLUMN_INCHES: Final = 3.5
TWO_COLUMNS_INCHES: Final = 7.0

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
        The files: front, predicted_measured, formats, resources, each ``.pdf`` and ``.png``.

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
                with replaced_atomically(path) as stream:
                    figure.savefig(stream, format=suffix, metadata=dict(metadata))
                written.append(path)
    return tuple(written)


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's defaults and bitfront.mplstyle on top, whatever the user has set; the user's settings come back."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(mpl.rc_params_from_file(STYLE, use_default_template=False))
        yield


_ABOVE: Final[dict[str, Any]] = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.2}
"""Where a legend covers no mark, wherever the designs lie: above the axes."""


def front_figure(data: ReportData) -> Figure:
    """Measured loss and validation accuracy against utilisation, coloured by interval."""
    designs = design_frame(data)
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 2.9))
    loss, accuracy = figure.subplots(1, 2)
    for axes, column in ((loss, "drawn_measured"), (accuracy, "accuracy_percent")):
        points = _scatter(axes, designs, "utilisation_percent", column)
        if is_logarithmic(designs["utilisation_percent"]):
            _logarithmic(axes.xaxis, log_limits(designs["utilisation_percent"]))
        axes.set_xlabel("Utilisation of the usable device (%)")
        if designs["utilisation"].max() > 1:
            axes.axvline(100, color=palette.MUTED, dashes=(4, 3), linewidth=0.8, zorder=1)
    _logarithmic(loss.yaxis, log_limits(designs["drawn_measured"]))
    loss.set_ylabel("Measured loss (nats per image)")
    accuracy.set_ylabel("Validation accuracy (%)")
    reference = float_accuracy(data)
    if not math.isnan(reference):
        line = accuracy.axhline(100 * reference, color=palette.MUTED, dashes=(4, 3), linewidth=0.8, zorder=1)
        accuracy.legend([line], [f"float32 network, {100 * reference:.1f} %"], **_ABOVE)
    _group_legend(loss, designs)
    figure.colorbar(points, ax=[loss, accuracy], label="Interval (cycles)", pad=0.01, aspect=28, format=_plain_ticks())
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
        _logarithmic(axis, limits)
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


def _group_legend(axes: Axes, designs: pd.DataFrame) -> None:
    for group, _ in _by_group(designs):
        axes.plot([], [], MARKERS[group], markeredgecolor=EDGES[group], markerfacecolor="white", label=group)
    axes.legend(ncols=3, **_ABOVE)


def _logarithmic(axis: Axis, limits: tuple[float, float]) -> None:
    """A logarithmic axis whose labels are plain numbers, with 2 and 5 between the powers of ten if there is room."""
    change = axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale
    change("log")
    axis.set_view_interval(*limits, ignore=True)
    decades = math.log10(limits[1] / limits[0])
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)))
    axis.set_major_formatter(_plain_ticks())
    axis.set_minor_formatter(NullFormatter())


def _plain_ticks() -> FuncFormatter:
    return FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}".replace("e-0", "e-"))


FIGURES: Final[Mapping[str, Callable[[ReportData], Figure]]] = {
    "front": front_figure,
    "predicted_measured": predicted_measured_figure,
    "formats": formats_figure,
    "resources": resources_figure,
}
"""Name of a figure's file and the function that draws it (inside `style`)."""
