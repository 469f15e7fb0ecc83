"""What tests ask of every export: its base folder passes every check that needs no tool."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from dse.exports.base_checks import BASE_CHECKS
from dse.exports.interpreter import Interpreter
from dse.exports.manifest import HASH_NAME, MANIFEST_NAME, Manifest
from dse.exports.verification import Planned, Status, run_checks

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from dse.exports.targets import Target


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def computed(folder: Path, most: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Outputs of the first vectors as the interpreter finds them and as the folder promises, ``(vectors, values)``."""
    manifest = Manifest.read(folder)
    interpreter, vectors = Interpreter(manifest), manifest.entries["vectors"]
    given = interpreter.stream(manifest.layers[0], vectors["input"])[list(range(most))]
    return interpreter.run(given).reshape(most, -1), manifest.rows(vectors["output"])[:most]


def intact(folder: Path) -> Manifest:
    """The manifest of a folder of which all checks hold."""
    manifest = Manifest.read(folder)
    planned = [Planned(target="base", folder=folder, check=check) for check in BASE_CHECKS]
    for verdict in run_checks(manifest, planned):
        assert verdict.outcome.status is Status.PASSED, (verdict.check, verdict.outcome)
    return manifest


def written_by(target: Target, manifest: Manifest, parent: Path) -> Path:
    """The folder that a target writes, below an existing one."""
    folder = parent / target.name
    folder.mkdir()
    target.write(manifest, folder)
    return folder


def agreement(target: Target, export: Path, parent: Path) -> str:
    """What the first check of a target says of an export, with which it must agree."""
    manifest = Manifest.read(export)
    outcome = target.checks[0].run(manifest, written_by(target, manifest, parent))
    assert outcome.status is Status.PASSED, (outcome.text, [str(one) for one in outcome.where])
    return outcome.text


def rehashed(folder: Path, entries: dict[str, Any]) -> None:
    """Write a changed manifest with all hashes as if it had been exported so: only arithmetic can tell."""

    def renew(content: Any) -> None:
        if isinstance(content, dict):
            if "file" in content:
                content["sha256"] = hashlib.sha256((folder / content["file"]).read_bytes()).hexdigest()
            for value in content.values():
                renew(value)
        elif isinstance(content, list):
            for value in content:
                renew(value)

    renew(entries)
    written(folder, entries)


def written(folder: Path, entries: dict[str, Any]) -> None:
    """Write a manifest, and its own hash."""
    text = json.dumps(entries, indent=1) + "\n"
    (folder / MANIFEST_NAME).write_text(text)
    (folder / HASH_NAME).write_text(f"{hashlib.sha256(text.encode()).hexdigest()}  {MANIFEST_NAME}\n")


def entries_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST_NAME).read_text())
