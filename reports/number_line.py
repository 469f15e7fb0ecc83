"""The number line of a format, drawn by Matplotlib: where its numbers lie, and how many each binade holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports import palette
from reports.figure_style import style
from reports.files import replaced_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

KINDS: Final = ("png", "svg", "pdf")
WIDTH_INCHES: Final = 7.0
HEIGHT_INCHES: Final = 3.0
COLOURS: Final = {1: palette.BLUE, -1: palette.VERMILLION}


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """The numbers on one side of zero, all given without their sign.

    Attributes:
        sign: 1 or -1.
        largest: the greatest magnitude.
        values: all magnitudes, ascending; None if they are too many to be drawn one by one.
        densities: how many numbers lie in each of equally wide parts of the way from zero to the largest.
        binades: first exponent, last exponent and numbers in each of them, for runs of binades with equally many.
    """

    sign: int
    largest: float
    values: Sequence[float] | None
    densities: Sequence[int]
    binades: Sequence[tuple[int, int, int]]


def draw_number_line(path: Path, *, title: str, halves: Sequence[Half], marks: Sequence[float] = ()) -> None:
    """Draw the numbers of a format: where they lie, and how many each binade holds.

    Args:
        path: the file, ending in .png, .svg or .pdf; it is replaced as a whole.
        title: above the picture.
        halves: one side of zero, or both in any order.
        marks: further numbers, such as zero.

    Raises:
        ValueError: if the file's ending is another one.
        OSError: if the folder does not exist or cannot be written.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise ValueError(f"{path.name}: a figure's file ends in {', '.join('.' + one for one in KINDS)}")
    with style(), replaced_atomically(path) as stream:
        figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES))
        line, count = figure.subplots(2, 1, height_ratios=(1, 1.6))
        figure.suptitle(title)
        for half in halves:
            _draw_values(line, half)
            _draw_binades(count, half)
        line.vlines(marks, 0, 1, color=palette.INK, linewidth=0.6)
        if all(half.values is not None for half in halves):
            line.set_yticks([])
            line.spines["left"].set_visible(False)
        else:
            line.set_ylabel("numbers")
        ends = [1.01 * half.sign * half.largest for half in halves]
        line.set_xlim(min(0.0, *ends), max(0.0, *ends))
        line.grid(visible=False)
        line.set_xlabel("value")
        count.set_yscale("log", base=2)
        count.set_ylim(0.5, 2 * max((numbers for half in halves for _, _, numbers in half.binades), default=1))
        count.xaxis.set_major_locator(MaxNLocator(integer=True))
        count.set_xlabel("binade: exponent of two")
        count.set_ylabel("numbers in it")
        if len(halves) > 1:
            count.legend()
        figure.savefig(stream, format=kind, metadata={"Date": None} if kind == "svg" else None)


def _draw_values(line: Axes, half: Half) -> None:
    if half.values is not None:
        line.vlines([half.sign * value for value in half.values], 0, 1, color=COLOURS[half.sign], linewidth=0.6)
        return
    edges = half.sign * np.linspace(0, half.largest, len(half.densities) + 1)
    order = slice(None, None, half.sign)
    line.stairs(half.densities[order], edges[order], fill=True, color=COLOURS[half.sign])


def _draw_binades(count: Axes, half: Half) -> None:
    """Above zero filled, below zero an outline upon it."""
    label: str | None = "above zero" if half.sign > 0 else "below zero"
    for first, last, numbers in half.binades:
        edges = [first, last + 1]
        if half.sign > 0:
            count.stairs([numbers], edges, fill=True, color=COLOURS[half.sign], label=label)
        else:
            count.stairs([numbers], edges, color=COLOURS[half.sign], linewidth=1.5, baseline=0.5, label=label)
        label = None
