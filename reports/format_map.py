"""A map of number formats: a row per front design, a column per layer, for weights and for activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from reports import palette
from reports.figure_style import TWO_COLUMNS_INCHES
from reports.frames import formats_in, front_designs, layer_frame, shortened, small

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from reports.data import ReportData

OPERANDS: Final = {"weight_format": "Weights", "input_format": "Input activations"}
ROW_INCHES: Final = 0.135
MOST_ROWS: Final = 60
"""More designs than this do not fit on a page; they are thinned out evenly."""
LARGEST_POINTS: Final = 5.2
SMALLEST_POINTS: Final = 3.2
"""Texts shrink to fit their cells down to this size; if one would be smaller, none is drawn."""
CHARACTER_SHARE: Final = 0.62
"""Width of an average character of the sans-serif font, as a share of its size."""


def formats_figure(data: ReportData) -> Figure:
    """The formats of the front designs in order of measured loss; texts are left out where cells are too narrow."""
    chosen = front_designs(data)
    kept = np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_ROWS)).round().astype(int))
    shown = chosen.iloc[kept]
    layers = layer_frame(data)
    names = layers.drop_duplicates("position").sort_values("position")
    figure = Figure(figsize=(TWO_COLUMNS_INCHES, 1.45 + ROW_INCHES * len(shown)))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, (field, heading) in zip((left, right), OPERANDS.items(), strict=True):
        _draw_map(axes, layers.pivot_table(index="design", columns="position", values=field, aggfunc="first"), shown)
        axes.set_title(heading)
        _label_layers(axes, names)
    left.set_yticks(
        np.arange(len(shown)) + 0.5,
        [f"{row['design']}   {small(row['measured_loss'])}" for _, row in shown.iterrows()],
        fontsize=5.5,
        parse_math=False,
    )
    thinned = f" ({len(shown)} of {len(chosen)})" if len(shown) < len(chosen) else ""
    left.set_ylabel(f"Front design and its measured loss (nats per image){thinned}")
    used = {palette.family(number_format) for number_format in formats_in(layers)}
    handles = [Patch(facecolor=hue, label=family.value) for family, hue in palette.HUE.items() if family in used]
    handles.append(Patch(facecolor=palette.TRACK, label="no such operand"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, title="Darker: more bits", title_fontsize=6.5)
    return figure


def _draw_map(axes: Axes, formats: pd.DataFrame, designs: pd.DataFrame) -> None:
    """One rectangle per design (rows, the first on top) and layer (columns in order of position)."""
    # Two maps share the figure's width; about a fifth of it goes to the designs' names.
    cell_points = 0.92 * 72 * 0.4 * TWO_COLUMNS_INCHES / max(len(formats.columns), 1)
    texts = formats.fillna("").astype(str)
    sizes = {
        text: min(LARGEST_POINTS, cell_points / (CHARACTER_SHARE * len(text)))
        for text in texts.to_numpy().ravel()
        if text
    }
    readable = min(sizes.values(), default=0) >= SMALLEST_POINTS
    cells, fills = [], []
    for row, design in enumerate(designs["design"]):
        for column, text in enumerate(texts.loc[design]):
            fill = palette.format_colour(text) if text else palette.TRACK
            cells.append(Rectangle((column, row), 1, 1))
            fills.append(fill)
            if text and readable:
                ink = palette.readable_ink(fill)
                middle = (column + 0.5, row + 0.53)
                axes.text(*middle, text, ha="center", va="center", size=sizes[text], color=ink, parse_math=False)
    axes.add_collection(PatchCollection(cells, facecolors=fills, edgecolors="white", linewidths=0.5))
    axes.set(xlim=(0, len(formats.columns)), ylim=(len(designs), 0))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _label_layers(axes: Axes, names: pd.DataFrame) -> None:
    """Names of the layers below their columns; of many layers every other one, or fewer, so that none collide."""
    step = 1 + len(names) // 28
    places = np.arange(len(names))[::step]
    texts = [shortened(name, 18) for name in names["layer"]][::step]
    axes.set_xticks(
        places + 0.5, texts, rotation=45, ha="right", rotation_mode="anchor", fontsize=5.5, parse_math=False
    )
