"""What all figures for papers share: sizes, fonts and colours by bitfront.mplstyle, axes with plain numbers."""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axis import Axis

STYLE: Final = Path(__file__).with_name("bitfront.mplstyle")
ONE_COLUMN_INCHES: Final = 3.5
TWO_COLUMNS_INCHES: Final = 7.0
ABOVE: Final[dict[str, Any]] = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.2}
"""Where a legend covers no mark, wherever the designs lie: above the axes."""


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's defaults and bitfront.mplstyle on top, whatever the user has set; the user's settings come back."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(mpl.rc_params_from_file(STYLE, use_default_template=False))
        yield


def logarithmic(axis: Axis, limits: tuple[float, float]) -> None:
    """A logarithmic axis whose labels are plain numbers, with 2 and 5 between the powers of ten if there is room."""
    change = axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale
    change("log")
    axis.set_view_interval(*limits, ignore=True)
    decades = math.log10(limits[1] / limits[0])
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.2 else (1.0,)))
    axis.set_major_formatter(plain_ticks())
    axis.set_minor_formatter(NullFormatter())


def plain_ticks() -> FuncFormatter:
    """Ticks of plain numbers, in thousands with commas."""
    return FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}".replace("e-0", "e-"))
