"""Whether hls4ml makes a project that computes what the design promises: its own simulation, layer by layer."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from dse.exports import hls4ml_convert
from dse.exports.comparison import compared, in_steps
from dse.exports.processes import reason, run
from dse.exports.verification import Check, Outcome, Status

if TYPE_CHECKING:
    from dse.exports.manifest import Manifest


def simulate(manifest: Manifest, folder: Path) -> Outcome:
    """Convert, compile with g++ and run all vectors through hls4ml's simulation; the project is thrown away.

    The installed package's own script runs, not the folder's copy, which anybody may have edited.
    """
    missing = _missing()
    if missing:
        return Outcome(status=Status.NOT_VERIFIED, text=missing)
    with tempfile.TemporaryDirectory(prefix="hls4ml-") as scratch:
        results = Path(scratch) / "results.npz"
        command = [sys.executable, str(Path(hls4ml_convert.__file__)), "--simulate"]
        places = {
            "--folder": folder.resolve(),
            "--export": manifest.folder.resolve(),
            "--output": Path(scratch) / "project",
            "--results": results,
        }
        ended = run([*command, *(str(word) for pair in places.items() for word in pair)], Path(scratch))
        if not results.exists():
            return Outcome(status=Status.FAILED, text=f"hls4ml cannot make or simulate the project: {reason(ended)}")
        with np.load(results, allow_pickle=False) as arrays:
            outputs = in_steps(manifest, arrays)
    return compared(manifest, "hls4ml csim", outputs, range(manifest.entries["vectors"]["count"]))


def _missing() -> str:
    """What this machine lacks."""
    if importlib.util.find_spec("hls4ml") is None:
        return "hls4ml is not installed: pip install hls4ml==1.3.0"
    if shutil.which("g++") is None:
        return "g++ is not installed: hls4ml compiles its simulation with it (Debian package g++)"
    return ""


CHECKS: Final = (Check(name="csim", run=simulate),)
