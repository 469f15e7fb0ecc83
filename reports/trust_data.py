"""What a report knows about how far losses can be trusted: five data frames, each of which may be empty."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pandas as pd

from reports.checks import Content, checked

if TYPE_CHECKING:
    from collections.abc import Mapping

TRUST_COLUMNS: Final[Mapping[str, Mapping[str, Content]]] = MappingProxyType(
    {
        "metrics": {
            "metric": Content.TEXT,
            "chosen": Content.FLAG,
            "designs": Content.AMOUNT,
            "useful": Content.AMOUNT,
            "spearman": Content.OPTIONAL_NUMBER,
            "kendall": Content.OPTIONAL_NUMBER,
            "useful_spearman": Content.OPTIONAL_NUMBER,
            "regret": Content.OPTIONAL_NUMBER,
            "scale": Content.OPTIONAL_NUMBER,
            "error": Content.OPTIONAL_NUMBER,
        },
        "points": {"metric": Content.TEXT, "predicted": Content.LOSS, "measured": Content.LOSS},
        "rounds": {
            "round": Content.POSITION,
            "designs": Content.AMOUNT,
            "unseen": Content.AMOUNT,
            "spearman": Content.OPTIONAL_NUMBER,
            "ratio": Content.OPTIONAL_NUMBER,
            "dominated": Content.AMOUNT,
            "hypervolume": Content.AMOUNT,
            "table_error": Content.OPTIONAL_NUMBER,
            "error": Content.OPTIONAL_NUMBER,
        },
        "pairs": {
            "pair": Content.TEXT,
            "first": Content.TEXT,
            "second": Content.TEXT,
            "apart": Content.LOSS,
            "together": Content.LOSS,
            "excess": Content.LOSS,
            "fails": Content.FLAG,
        },
        "bands": {
            "design": Content.TEXT,
            "loss": Content.LOSS,
            "low": Content.LOSS,
            "high": Content.LOSS,
            "least_calibration": Content.OPTIONAL_NUMBER,
            "most_calibration": Content.OPTIONAL_NUMBER,
            "unsure_against": Content.TEXT,
            "dominated_by": Content.TEXT,
        },
    }
)
"""Columns of the frames of `TrustData`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrustData:
    """How far predicted and measured losses can be trusted. The frames are copied and checked; each may be empty.

    Args:
        metrics: a row per sensitivity metric, in the order to be shown: whether it was ``chosen``, how many ``designs``
            judged it and how many of them were ``useful`` (near the float network's accuracy), its rank correlations
            with measured losses, the ``regret`` of trusting it (nats), the ``scale`` that turns its predictions into
            nats, and the relative ``error`` of scaled predictions.
        points: a row per metric and design: losses ``predicted`` (scaled) and ``measured``, nats.
        rounds: a row per round of solving, measuring and correcting: ``designs`` of its front, ``unseen`` ones among
            them, ``spearman`` and ``ratio`` (measured over predicted) of the unseen, designs measured to be
            ``dominated`` beyond noise, ``hypervolume`` (0 to 1), relative errors of scaled (``table_error``) and
            corrected (``error``) predictions.
        pairs: a row per tested pair of places: formats of the ``first`` and ``second``, losses ``apart`` (the sum) and
            ``together`` (nats), ``excess`` (a share of the sum), whether the test of additivity ``fails``.
        bands: a row per design, of `ReportData.designs`: measured ``loss`` with the ends of its band, the least and the
            most of other calibrations (NaN if there are none), the design with the next higher loss if their order is
            within noise, and one that dominates it beyond noise; both are else empty texts.
        band_level: share of the resamples that a band holds.
        pairs_use: what became of the pairs that do not add, for a sentence.
        stopped: why there were no more rounds, for a sentence.

    Raises:
        ReportDataError: naming the frame, the column, what was found and what is allowed.
    """

    metrics: pd.DataFrame = field(default_factory=pd.DataFrame)
    points: pd.DataFrame = field(default_factory=pd.DataFrame)
    rounds: pd.DataFrame = field(default_factory=pd.DataFrame)
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    bands: pd.DataFrame = field(default_factory=pd.DataFrame)
    band_level: float = 0.0
    pairs_use: str = ""
    stopped: str = ""

    def __post_init__(self) -> None:
        for name, columns in TRUST_COLUMNS.items():
            given: pd.DataFrame = getattr(self, name)
            frame = given if len(given) else pd.DataFrame(columns=list(columns))
            object.__setattr__(self, name, checked(f"TrustData.{name}", frame, columns))
