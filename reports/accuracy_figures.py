"""The figures of the page about predicted losses: predictions beside measurements, fronts beside rivals (PNG)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure

from reports import palette
from reports.figure_style import TWO_COLUMNS_INCHES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

OURS: Final = "bitfront"
HEIGHT_INCHES: Final = 2.9
LEAST: Final = 1e-5
"""Losses are drawn as this many nats at least: their axes are logarithmic."""
_LOOKS: Final = (("^", palette.ORANGE), ("s", palette.GREEN))


def judged_figure(panels: Mapping[str, Points]) -> Figure:
    """Predicted and measured losses of designs that were not measured before, a panel per network.

    Args:
        panels: Network to rows of predicted loss, measured loss, and 1 for a design near the float network, else 0.
    """
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, HEIGHT_INCHES))
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (network, rows) in zip(row, panels.items(), strict=True):
        losses, useful = np.maximum(rows[:, :2], LEAST), rows[:, 2] > 0
        ends = losses.min(), losses.max()
        axes.plot(ends, ends, color=palette.INK, linewidth=0.7, label="as predicted")
        for those, colour, words in (
            (useful, palette.BLUE, "within 2 points of float"),
            (~useful, palette.ORANGE, "worse"),
        ):
            _scatter(axes, losses[those], "o", colour, words)
        axes.set(xscale="log", yscale="log", title=network, xlabel="Loss predicted (nats)", ylabel="Loss measured")
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=6.5)
    return figure


def rivals_figure(panels: Mapping[str, Mapping[str, Points]]) -> Figure:
    """LUTs and measured loss of designs found by several methods, a panel per network.

    Args:
        panels: Network to method to points of shape ``(designs, 2)``; of `OURS` all are drawn, of others what no other
            one of theirs dominates.
    """
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, HEIGHT_INCHES))
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (network, methods) in zip(row, panels.items(), strict=True):
        _scatter(axes, np.maximum(methods[OURS], LEAST), "o", palette.BLUE, OURS)
        others = [(name, points) for name, points in methods.items() if name != OURS]
        for (name, points), (marker, colour) in zip(others, _LOOKS, strict=True):
            _scatter(axes, np.maximum(_front(points), LEAST), marker, colour, name)
        axes.set(xscale="log", yscale="log", title=network, xlabel="LUTs", ylabel="Loss measured (nats)")
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=6.5)
    return figure


def _front(points: Points) -> Points:
    """The points that no other one dominates, cheapest first."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    best = np.minimum.accumulate(ordered[:, 1])
    return np.asarray(ordered[np.r_[True, ordered[1:, 1] < best[:-1]]])


def _scatter(axes: Axes, points: Points, marker: str, colour: str, words: str) -> None:
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=8,
        marker=marker,
        facecolors="none",
        edgecolors=colour,
        linewidths=0.7,
        label=words,
    )
