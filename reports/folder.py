"""Everything a study's folder shows, written in one call."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.figures import write_figures
from reports.page import MissingExtraError, write_html
from reports.tables import write_front_csv

if TYPE_CHECKING:
    from pathlib import Path

    from reports.data import ReportData

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """Where the parts of a report are."""

    front_csv: Path
    figures: tuple[Path, ...]
    html: Path | None
    """None if the extra ``report`` is not installed."""
    message: str
    """Why there is no page, or an empty text."""


def write_report(data: ReportData, folder: Path) -> WrittenReport:
    """Write ``front.csv``, ``figures/`` and ``report.html`` into an existing folder.

    Without the extra ``report`` there is no page: the rest is written, and a warning says what to install.

    Raises:
        OSError: if the folder cannot be written.
    """
    front_csv = write_front_csv(data, folder / "front.csv")
    figures = write_figures(data, folder / "figures")
    try:
        html: Path | None = write_html(data, folder / "report.html")
        message = ""
    except MissingExtraError as error:
        html, message = None, str(error)
        _LOG.warning("%s", error)
    return WrittenReport(front_csv=front_csv, figures=figures, html=html, message=message)
