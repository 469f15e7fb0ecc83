"""The figures of the page about the optimiser: its fronts beside what others find, and its times (Matplotlib, PNG)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports import palette
from reports.figure_style import TWO_COLUMNS_INCHES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Points = NDArray[np.int64]

EXACT: Final = "exact front"
_LOOKS: Final = (
    ("D", palette.VERMILLION),
    ("^", palette.ORANGE),
    ("s", palette.GREEN),
    ("o", palette.PURPLE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One problem: seconds that a front took and was allowed, of processor time."""

    name: str
    taken: float
    allowed: float


def rivals_figure(panels: Mapping[str, Mapping[str, Points]], labels: tuple[str, str]) -> Figure:
    """Two objectives of designs found by several methods, a panel per problem.

    Args:
        panels: Title to method to points of shape ``(designs, 2)``; the method `EXACT` is drawn as a staircase.
        labels: What the objectives are.
    """
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 2.9))
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, methods) in zip(row, panels.items(), strict=True):
        exact = methods[EXACT]
        axes.step(exact[:, 0], exact[:, 1], where="post", color=palette.BLUE, linewidth=1.2, label=EXACT)
        others = [(name, points) for name, points in methods.items() if name != EXACT]
        for (name, points), (marker, colour) in zip(others, _LOOKS, strict=False):
            look: dict[str, Any] = {"marker": marker, "linewidths": 0.7, "zorder": 3}
            axes.scatter(points[:, 0], points[:, 1], s=10, label=name, facecolors="none", edgecolors=colour, **look)
        axes.set(xscale="log", yscale="log", title=title, xlabel=labels[0], ylabel=labels[1])
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.tick_params(which="both", labelsize=6)
    handles, words = row[0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside upper center", ncols=len(words), fontsize=6.5)
    return figure


def timings_figure(timings: Sequence[Timing]) -> Figure:
    """Seconds taken beside seconds allowed, a line per problem."""
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 0.7 + 0.17 * len(timings)))
    axes = figure.subplots()
    for place, one in enumerate(reversed(timings)):
        axes.plot([one.taken, one.allowed], [place, place], color=palette.SKY_BLUE, linewidth=1.0, zorder=1)
        axes.plot(one.taken, place, "o", color=palette.BLUE, markersize=4, label="taken" if place == 0 else None)
        axes.plot(one.allowed, place, "|", color=palette.INK, markersize=8, label="allowed" if place == 0 else None)
    axes.set(xscale="log", xlabel="Processor time in seconds, one thread")
    axes.set_yticks(range(len(timings)), [one.name for one in reversed(timings)], fontsize=6.5)
    axes.set_ylim(-0.7, len(timings) - 0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=6.5)
    return figure
