"""What the pictures and tables about trust show, apart from how they are drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from reports.frames import LOSS_FLOOR, UNKNOWN, shortened, small

if TYPE_CHECKING:
    import pandas as pd

    from reports.data import ReportData
    from reports.trust_data import TrustData

SURE: Final = "order sure"
UNSURE: Final = "within noise of the next"
BEATEN: Final = "dominated beyond noise"
STANDINGS: Final = (SURE, UNSURE, BEATEN)
"""How sure a design's place on the front is, in the order of legends."""

SCALED: Final = "scaled only"
CORRECTED: Final = "corrected"
NEW: Final = "not measured before"


def band_frame(data: ReportData) -> pd.DataFrame:
    """The designs that have a band, least measured loss first.

    Returns:
        The columns of ``data.trust.bands``; ``drawn_loss``, ``drawn_low``, ``drawn_high``, ``drawn_least`` and
        ``drawn_most`` (raised to `LOSS_FLOOR`), ``standing`` (one of `STANDINGS`), and the texts ``band``,
        ``calibrations``, ``next`` and ``beaten`` for people.
    """
    frame = data.trust.bands.sort_values(["loss", "design"], kind="stable", ignore_index=True)
    drawn = {"loss": "loss", "low": "low", "high": "high", "least": "least_calibration", "most": "most_calibration"}
    for name, column in drawn.items():
        frame[f"drawn_{name}"] = frame[column].astype(float).clip(lower=LOSS_FLOOR)
    unsure = np.where(frame["unsure_against"] != "", UNSURE, SURE)
    frame["standing"] = np.where(frame["dominated_by"] != "", BEATEN, unsure)
    frame["band"] = _ranges(frame["low"], frame["high"])
    frame["calibrations"] = _ranges(frame["least_calibration"], frame["most_calibration"])
    frame["next"] = frame["unsure_against"].replace("", UNKNOWN)
    frame["beaten"] = frame["dominated_by"].replace("", UNKNOWN)
    return frame


def audit_frame(trust: TrustData) -> pd.DataFrame:
    """Every audited design by every metric.

    Returns:
        The columns of ``trust.points``; ``drawn_predicted`` and ``drawn_measured`` (raised to `audit_floor`), and
        ``panel``: the metric, whether it is used, and its rank correlation.
    """
    frame = trust.points.copy()
    floor = audit_floor(trust)
    frame["drawn_predicted"] = frame["predicted"].astype(float).clip(lower=floor)
    frame["drawn_measured"] = frame["measured"].astype(float).clip(lower=floor)
    frame["panel"] = frame["metric"].map(panels(trust))
    return frame


def audit_floor(trust: TrustData) -> float:
    """Losses below are drawn here: half the least positive measured loss, and not below `LOSS_FLOOR`."""
    measured = trust.points["measured"].astype(float)
    positive = measured[measured > 0]
    return max(LOSS_FLOOR, 0.5 * float(positive.min())) if len(positive) else LOSS_FLOOR


def panels(trust: TrustData) -> dict[str, str]:
    """Headings of the panels of an audit by metric, in order; the metric that is used says so."""
    found = {}
    for _, row in trust.metrics.iterrows():
        used = " (used)" if row["chosen"] else ""
        found[row["metric"]] = f"{shortened(row['metric'], 16)}{used}: {correlation(row['spearman'])}"
    return found


def error_frame(trust: TrustData) -> pd.DataFrame:
    """A row per round and kind of prediction (`SCALED`, `CORRECTED`): ``round``, ``kind``, ``percent`` of error."""
    named = trust.rounds.rename(columns={"table_error": SCALED, "error": CORRECTED})
    frame = named.melt(id_vars="round", value_vars=[SCALED, CORRECTED], var_name="kind", value_name="percent")
    frame["percent"] = 100 * frame["percent"].astype(float).replace(math.inf, math.nan)
    return frame


def count_frame(trust: TrustData) -> pd.DataFrame:
    """A row per round and kind of design (`NEW`, `BEATEN`): ``round``, ``kind``, ``designs``."""
    named = trust.rounds.rename(columns={"unseen": NEW, "dominated": BEATEN}).drop(columns="designs")
    return named.melt(id_vars="round", value_vars=[NEW, BEATEN], var_name="kind", value_name="designs")


def correlation(value: float) -> str:
    """A rank correlation with three decimals.

    >>> correlation(0.99666), correlation(float("nan"))
    ('0.997', '\N{EN DASH}')
    """
    return UNKNOWN if math.isnan(value) else f"{value:.3f}"


def _ranges(low: pd.Series, high: pd.Series) -> list[str]:
    """Texts of ranges, a dash where there is none."""
    return [
        UNKNOWN if math.isnan(first) or math.isnan(last) else f"{small(first)} to {small(last)}"
        for first, last in zip(low.astype(float), high.astype(float), strict=True)
    ]
