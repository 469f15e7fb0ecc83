"""The manifest of an export, read and checked: what every target and every check works from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from dse.errors import StudyError
from dse.exports.schema import MANIFEST_SCHEMA, check_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MANIFEST_NAME: Final = "manifest.json"
HASH_NAME: Final = "manifest.sha256"
"""Holds the manifest's own hash, as ``sha256sum -c`` reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An export's base folder.

    Attributes:
        folder: where the files that entries name are.
        entries: the content of ``manifest.json``.
    """

    folder: Path
    entries: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a base folder; nothing of it has changed since it was written.

        Raises:
            StudyError: if there is no manifest, it or a file it names is missing, changed or cut short, or it is of
                another version.
        """
        path = folder / MANIFEST_NAME
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StudyError(
                f"{folder} is no export: {MANIFEST_NAME} cannot be read ({error.strerror}); `bitfront export` makes one"
            ) from error
        manifest = cls(folder=folder, entries=_parsed(path, content))
        version = manifest.entries.get("schema")
        if version != MANIFEST_SCHEMA:
            raise StudyError(
                f"{path} has schema {version!r}, and this bitfront reads {MANIFEST_SCHEMA}: export the design again"
            )
        manifest._check_hash(path, content)
        check_schema(manifest.entries, path)
        manifest._check_order(path)
        for entry in file_entries(manifest.entries):
            manifest._check_file(entry)
        return manifest

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The layers, each after those it reads."""
        found: list[dict[str, Any]] = self.entries["layers"]
        return found

    def layer(self, name: str) -> dict[str, Any]:
        """A layer by its safe name.

        Raises:
            StudyError: if there is none.
        """
        for layer in self.layers:
            if layer["name"] == name:
                return layer
        raise StudyError(f"{self.folder / MANIFEST_NAME} has no layer {name!r}: it has {', '.join(self.names)}")

    @property
    def names(self) -> list[str]:
        """The safe names of the layers, in order."""
        return [layer["name"] for layer in self.layers]

    def integers(self, entry: Mapping[str, Any]) -> NDArray[Any]:
        """The integers of a file with one per line, flat: int64, or Python integers beyond it."""
        return _as_integers(self._text(entry).split())

    def rows(self, entry: Mapping[str, Any]) -> NDArray[Any]:
        """The integers of a file with one vector per line, ``(vectors, values)``: int64, or Python integers."""
        lines = self._text(entry).splitlines()
        return _as_integers([word for line in lines for word in line.split()]).reshape(len(lines), -1)

    def _text(self, entry: Mapping[str, Any]) -> str:
        path: Path = self.folder / entry["file"]
        return path.read_text(encoding="ascii")

    def _check_order(self, path: Path) -> None:
        """Layers come after those they read, and the first is the input."""
        known: set[str] = set()
        for layer in self.layers:
            missing = [name for name in layer["inputs"] if name not in known]
            if missing or (layer["op"] == "input") != (not known) or layer["name"] in known:
                raise StudyError(
                    f"{path}: layer {layer['name']!r} ({layer['op']}) reads {layer['inputs']} and comes after "
                    f"{sorted(known)}: each name comes once, the input first, and what a layer reads before it"
                )
            known.add(layer["name"])
        self.layer(self.entries["output"]["layer"])

    def _check_hash(self, path: Path, content: bytes) -> None:
        try:
            promised = (self.folder / HASH_NAME).read_text(encoding="ascii").split()[:1]
        except OSError as error:
            raise StudyError(
                f"{self.folder / HASH_NAME} cannot be read ({error.strerror}): without the manifest's hash nobody can "
                "tell whether it was edited; export the design again"
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if promised != [found]:
            raise StudyError(
                f"{path} was changed after the export: its SHA-256 is {found[:12]}..., {HASH_NAME} says "
                f"{' '.join(promised)[:12]}...; restore it, or export the design again"
            )

    def _check_file(self, entry: Mapping[str, Any]) -> None:
        path = self.folder / entry["file"]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StudyError(
                f"{path} cannot be read ({error.strerror}), and {MANIFEST_NAME} names it: restore it, or export the "
                "design again"
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != entry["sha256"]:
            lines = content.count(b"\n")
            raise StudyError(
                f"{path} was changed after the export or cut short: it has {lines} lines{_promised(entry)} and SHA-256 "
                f"{found[:12]}..., {MANIFEST_NAME} says {entry['sha256'][:12]}...; restore it, or export the design "
                "again"
            )


def file_entries(content: object) -> Iterator[dict[str, Any]]:
    """Every entry of a manifest that names a file, in order."""
    if isinstance(content, dict):
        if "file" in content:
            yield content
        for value in content.values():
            yield from file_entries(value)
    elif isinstance(content, list):
        for value in content:
            yield from file_entries(value)


def _promised(entry: Mapping[str, Any]) -> str:
    lines = entry.get("count", entry.get("rows"))
    return "" if lines is None else f" of {lines}"


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise StudyError(f"{path} is no JSON ({error}): restore it, or export the design again") from error
    if not isinstance(found, dict):
        raise StudyError(f"{path} holds no JSON object: restore it, or export the design again")
    return found


def _as_integers(words: list[str]) -> NDArray[Any]:
    numbers = [int(word) for word in words]
    try:
        return np.array(numbers, dtype=np.int64)
    except OverflowError:
        return np.array(numbers, dtype=object)
