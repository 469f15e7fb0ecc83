"""The number line of a format, drawn by Matplotlib: where its numbers lie, and how many each binade holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports import palette
from reports.figures import style
from reports.files import replaced_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KINDS: Final = ("png", "svg", "pdf")
WIDTH_INCHES: Final = 7.0
HEIGHT_INCHES: Final = 3.0


def draw_number_line(
    path: Path,
    *,
    title: str,
    largest: float,
    values: Sequence[float] | None,
    densities: Sequence[int],
    binades: Sequence[tuple[int, int, int]],
) -> None:
    """Draw the numbers above zero of a format.

    Args:
        path: the file, ending in .png, .svg or .pdf; it is replaced as a whole.
        title: above the picture.
        largest: the greatest number.
        values: all numbers above zero, ascending; None if they are too many to be drawn one by one.
        densities: how many numbers lie in each of equally wide parts of the way from zero to the largest.
        binades: first exponent, last exponent and numbers in each of them, for runs of binades with equally many.

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
        if values is None:
            edges = np.linspace(0, largest, len(densities) + 1)
            line.stairs(densities, edges, fill=True, color=palette.BLUE)
            line.set_ylabel("numbers")
        else:
            line.vlines(values, 0, 1, color=palette.BLUE, linewidth=0.6)
            line.set_yticks([])
            line.spines["left"].set_visible(False)
        line.set_xlim(0, 1.01 * (largest or 1))
        line.grid(visible=False)
        line.set_xlabel("value")
        for first, last, numbers in binades:
            count.stairs([numbers], [first, last + 1], fill=True, color=palette.BLUE)
        count.set_yscale("log", base=2)
        count.set_ylim(0.5, 2 * max((numbers for _, _, numbers in binades), default=1))
        count.xaxis.set_major_locator(MaxNLocator(integer=True))
        count.set_xlabel("binade: exponent of two")
        count.set_ylabel("numbers in it")
        figure.savefig(stream, format=kind, metadata={"Date": None} if kind == "svg" else None)
