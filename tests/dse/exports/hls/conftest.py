"""Designs exported to C++ and simulated; what a missing compiler or header does is said in `tests.missing_tools`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from dse.exports.hls.simulation import simulate
from dse.exports.manifest import Manifest
from dse.exports.parameters import export_design
from dse.exports.verification import Status
from tests.missing_tools import folder_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dse.designs import Design
    from dse.exports.verification import Outcome
    from tests.dse.conftest import Bench


@pytest.fixture(scope="session")
def simulated(tool) -> Callable[[Path], Outcome]:
    """A function that compiles and runs the project of an export."""
    tool("g++")
    folder_of("hls4ml", "its wheel holds the ap_types headers")

    def run(folder: Path) -> Outcome:
        return simulate(Manifest.read(folder), folder / "hls")

    return run


@pytest.fixture
def check(simulated, tmp_path) -> Callable[[Bench, Design], Manifest]:
    """A function that exports a design to C++, of which no number may differ; returns the manifest."""

    def run(found: Bench, design: Design) -> Manifest:
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        export_design(found.prepared, found.tables.device, design, folder, targets=["hls"])
        outcome = simulated(folder)
        assert outcome.status is Status.PASSED, (outcome.text, [str(one) for one in outcome.where])
        manifest = Manifest.read(folder)
        counted = re.search(r": 0 of (\d+) numbers differ", outcome.text)
        assert counted
        assert int(counted[1]) >= everything_compared(manifest)
        return manifest

    return run


def everything_compared(manifest: Manifest) -> int:
    """Numbers of all vectors there are: of the whole design, of layers alone, of their limits and ties."""
    count = manifest.entries["vectors"]["output"]["rows"] * manifest.entries["vectors"]["output"]["columns"]
    for layer in manifest.layers:
        if layer["op"] in ("input", "reshape", "transpose"):
            continue
        entries = [layer["golden"]["output"]]
        entries += [layer["limits"]["output"]] if "limits" in layer else []
        entries += [one["ties"]["output"] for one in (layer, *layer.get("parts", [])) if "ties" in one]
        count += sum(entry["rows"] * entry["columns"] for entry in entries)
    return count
