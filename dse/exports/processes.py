"""Running the tools that check an export: our own scripts, compilers, and what these made."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LINES: Final = 4
"""Lines of a failed tool's output that are shown."""


def run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A program in a working folder; what it says is kept, not shown."""
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def reason(ended: subprocess.CompletedProcess[str]) -> str:
    """Why a program failed: errors of a compiler, a broken assertion, or else its last lines."""
    lines = [line.strip() for line in (ended.stdout + "\n" + ended.stderr).splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line or "Assertion" in line]
    return "; ".join(errors[:_LINES] or lines[-_LINES:]) or f"exit status {ended.returncode}"
