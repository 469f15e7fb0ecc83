"""Whether this installation can work: our packages are ours, the libraries are there, the optional tools too."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from dse.errors import StudyError

PACKAGES = ("dse", "emulation", "hwmodels", "kernels", "reports")
LIBRARIES = ("numpy", "torch", "numba", "pandas", "matplotlib", "scikit-learn", "pyomo", "highspy", "pydantic", "typer")
REPORT_LIBRARIES = ("altair", "vl-convert-python")
TOOLS = {"g++": "compiles exported HLS C++", "verilator": "simulates exported RTL", "chromium": "draws report tests"}


class Verdict(Enum):
    """How a check came out."""

    GOOD = "ok"
    MISSING_OPTIONAL = "optional, missing"
    BAD = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the doctor's list: what was looked at, what was found, and what to do if that is bad."""

    subject: str
    verdict: Verdict
    finding: str


def check_packages() -> None:
    """Make sure that the five packages Python finds are bitfront's own: their names are common words.

    Raises:
        StudyError: naming the package that comes from elsewhere and what to do.
    """
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        found = None if spec is None or spec.origin is None else Path(spec.origin).resolve().parent
        if found != home / name:
            raise StudyError(
                f"Python finds the package {name!r} in {found or 'no place'}, but bitfront's own is in {home / name}: "
                "another distribution has a package of that name. Use an environment of bitfront's own (`make` builds "
                "one in .venv), or uninstall the other distribution there"
            )


def examine() -> list[Check]:
    """All checks, the required ones first."""
    checks = [
        Check(subject="python", verdict=_python_verdict(), finding=f"{platform.python_version()} ({sys.executable})")
    ]
    try:
        check_packages()
        checks.append(Check(subject="packages", verdict=Verdict.GOOD, finding="all five are bitfront's own"))
    except StudyError as error:
        checks.append(Check(subject="packages", verdict=Verdict.BAD, finding=str(error)))
    checks += [_library(name, Verdict.BAD, "install it: pip install bitfront") for name in LIBRARIES]
    checks += [
        _library(name, Verdict.MISSING_OPTIONAL, "interactive reports need it: pip install 'bitfront[report]'")
        for name in REPORT_LIBRARIES
    ]
    for tool, purpose in TOOLS.items():
        path = shutil.which(tool)
        verdict = Verdict.GOOD if path else Verdict.MISSING_OPTIONAL
        checks.append(Check(subject=tool, verdict=verdict, finding=path or f"{purpose}: install {tool}"))
    return checks


def _python_verdict() -> Verdict:
    return Verdict.GOOD if sys.version_info >= (3, 11) else Verdict.BAD


def _library(name: str, verdict_if_missing: Verdict, advice: str) -> Check:
    try:
        return Check(subject=name, verdict=Verdict.GOOD, finding=importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(subject=name, verdict=verdict_if_missing, finding=advice)
