"""Studies: from a trained network and a device to a measured Pareto front, its report and its parameters.

>>> from dse import Study

`Study` does the steps; the command line (`dse.cli`) is a thin layer over it. Names load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dse.config import StudyConfig
    from dse.errors import InfeasibleError, StudyError
    from dse.results import Front
    from dse.study import Study

_MODULE_OF = {
    "Front": "dse.results",
    "InfeasibleError": "dse.errors",
    "Study": "dse.study",
    "StudyConfig": "dse.config",
    "StudyError": "dse.errors",
}

__all__ = ["Front", "InfeasibleError", "Study", "StudyConfig", "StudyError"]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'dse' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(_MODULE_OF[name]), name)
