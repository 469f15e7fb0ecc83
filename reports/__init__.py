"""Pictures and pages of a finished exploration: data frames in; HTML, PDF, PNG and CSV out.

This package imports none of the others. Give it a `ReportData` and a path:

* `write_report` writes everything below into one folder;
* `write_html` one self-contained interactive page;
* `write_figures` the same pictures for a paper;
* `write_front_csv` the designs as a table.

The names load on first use, because matplotlib and pandas take about a second to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.data import ReportData
    from reports.figures import write_figures
    from reports.folder import WrittenReport, write_report
    from reports.page import MissingExtraError, write_html
    from reports.tables import write_front_csv

_MODULE_OF = {
    "MissingExtraError": "page",
    "ReportData": "data",
    "WrittenReport": "folder",
    "write_figures": "figures",
    "write_front_csv": "tables",
    "write_html": "page",
    "write_report": "folder",
}

__all__ = [
    "MissingExtraError",
    "ReportData",
    "WrittenReport",
    "write_figures",
    "write_front_csv",
    "write_html",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'reports' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"reports.{_MODULE_OF[name]}"), name)
