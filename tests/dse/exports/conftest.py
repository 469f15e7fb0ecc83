"""An exported design to copy and to spoil."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from dse.exports.manifest import Manifest
from dse.exports.parameters import export_design
from tests.dse.exports.folder_checks import entries_of, rehashed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def digits_export(custom_bench, tmp_path_factory) -> Path:
    """The residual network on digits in integers with scales that are powers of two: exact ties are in reach."""
    found = custom_bench(
        "digits",
        formats={"weights": ["int4", "int8"], "activations": ["int4", "int8"], "scale_kind": "power-of-two"},
        front={"max_lanes": 8},
        device={"min_fps": 0.0},
    )
    folder = tmp_path_factory.mktemp("exports") / "digits"
    export_design(found.prepared, found.tables.device, found.design(3), folder)
    return folder


@pytest.fixture
def copied(digits_export, tmp_path) -> Callable[[], Path]:
    """A function that makes a copy of it to change."""

    def copy() -> Path:
        return shutil.copytree(digits_export, tmp_path / f"copy{len(list(tmp_path.iterdir()))}")

    return copy


@pytest.fixture(scope="session")
def export_of(custom_bench, tmp_path_factory) -> Callable[..., Path]:
    """Exports of random designs in powers of two, by workload, seed and menu; made once, to be left as they are."""
    made: dict[str, Path] = {}

    def find(workload: str, seed: int = 3, **menu: object) -> Path:
        formats = {"weights": ["int4", "int8"], "activations": ["int4", "int8"], "scale_kind": "power-of-two", **menu}
        key = f"{workload} {seed} {formats}"
        if key not in made:
            found = custom_bench(workload, formats=formats, front={"max_lanes": 8}, device={"min_fps": 0.0})
            made[key] = tmp_path_factory.mktemp("exports") / "design"
            export_design(found.prepared, found.tables.device, found.design(seed), made[key])
        return made[key]

    return find


@pytest.fixture(scope="session")
def small_export(export_of) -> Path:
    """Everything that is hard to export, in a network that compiles fast."""
    return export_of("tests.dse.exports.small_networks:RESIDUAL", multiplier_bits=8)


@pytest.fixture(scope="session")
def row_export(export_of) -> Path:
    """Windows over one axis."""
    return export_of("tests.dse.exports.small_networks:ROW")


@pytest.fixture(scope="session")
def deep_export(export_of) -> Path:
    """The built-in network with every kind of block; multipliers are short, for floats to hold PReLU's products."""
    return export_of("digits-deep", multiplier_bits=4)


@pytest.fixture
def changed(tmp_path) -> Callable[..., Manifest]:
    """A function that copies an export, changes one layer by ``change(folder, entry)``, and reads it."""

    def copy(export: Path, name: str, change: Callable[[Path, dict[str, Any]], None]) -> Manifest:
        folder = shutil.copytree(export, tmp_path / f"changed{len(list(tmp_path.iterdir()))}")
        entries = entries_of(folder)
        change(folder, next(layer for layer in entries["layers"] if layer["name"] == name))
        rehashed(folder, entries)
        return Manifest.read(folder)

    return copy
