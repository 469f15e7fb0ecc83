"""What the page about hardware costs shows: frames of measured and estimated numbers, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

OURS: Final = "ours"
"""The way of estimating that is judged; all others are those of peers."""
WIDTHS: Final = "width"
FORMATS: Final = "format"
UNIT: Final = "unit"
"""What was left out (`HardwareData.units`)."""
UNITS: Final = "units"
ENGINES: Final = "engines"
"""What was measured (`HardwareData.effort`)."""

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "units": ("flow", "column", "family", "omitted", "measured", "estimated"),
    "models": ("flow", "column", "family", "rows", "terms", "estimator", "rival", "rival_median", "ranges"),
    "engines": ("style", "way", "measured", "estimated"),
    "layers": ("style", "way", "measured", "estimated"),
    "delays": ("family", "unit", "measured", "estimated"),
    "energies": ("operation", "process", "published", "measured"),
    "effort": ("flow", "what", "rows", "failed", "seconds", "tool"),
    "checks": ("what", "found", "bar", "met"),
}
"""Frames by name, and the columns each must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareData:
    """Frames of the page; numbers are LUTs unless a column says otherwise.

    Attributes:
        units: one row per unit and omission: its estimate by a model that has seen no row of its ``omitted`` (one of
            its widths, or its format, or the unit itself).
        models: one row per model; ``ranges`` are the measured ranges of the parameters in words.
        engines: whole layer engines, estimated in several ways.
        layers: matrix-vector layers of a vendor flow, estimated in several ways.
        delays: relative to the reference unit's.
        energies: ratios to the energy of an 8-bit multiplication.
        effort: processor seconds behind the rows, by flow, what was measured, and tool.
        checks: what was found, and the bar it has to meet (an empty text if there is none).
        known_layers: how many layers were measured in all; ``layers`` are those that serve for fits.
        assumptions: what is not measured, a sentence each.
    """

    units: pd.DataFrame
    models: pd.DataFrame
    engines: pd.DataFrame
    layers: pd.DataFrame
    delays: pd.DataFrame
    energies: pd.DataFrame
    effort: pd.DataFrame
    checks: pd.DataFrame
    known_layers: int
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, columns in COLUMNS.items():
            found = list(getattr(self, name).columns)
            missing = [column for column in columns if column not in found]
            if missing:
                raise ValueError(
                    f"frame {name!r} of the hardware page lacks column {missing[0]!r}: it has {', '.join(found)}, "
                    f"and needs {', '.join(columns)}"
                )
        for name in ("units", "engines", "layers", "delays"):
            frame = getattr(self, name)
            if not (np.isfinite(frame["estimated"]).all() and (frame["measured"] > 0).all()):
                raise ValueError(f"frame {name!r}: measured numbers must be above 0 and estimates finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far estimates are from what was measured: absolute relative errors."""

    count: int
    median: float
    percentile95: float
    largest: float


def relative_errors(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Estimated over measured, minus 1.

    >>> import pandas as pd
    >>> relative_errors(pd.DataFrame({"measured": [100.0, 50.0], "estimated": [110.0, 40.0]})).round(3).tolist()
    [0.1, -0.2]
    """
    return np.asarray(frame["estimated"] / frame["measured"] - 1.0, dtype=np.float64)


def spread(frame: pd.DataFrame) -> Spread | None:
    """The errors of a frame with ``measured`` and ``estimated``; None if it is empty."""
    if frame.empty:
        return None
    errors = np.abs(relative_errors(frame))
    return Spread(
        count=len(errors),
        median=float(np.median(errors)),
        percentile95=float(np.percentile(errors, 95)),
        largest=float(errors.max()),
    )


def rank_correlation(frame: pd.DataFrame) -> float:
    """Spearman's correlation of estimates and measured numbers.

    >>> import pandas as pd
    >>> round(rank_correlation(pd.DataFrame({"measured": [1, 2, 3], "estimated": [10, 30, 20]})), 6)
    0.5
    """
    return float(frame["measured"].rank().corr(frame["estimated"].rank()))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines of a frame, by column."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
