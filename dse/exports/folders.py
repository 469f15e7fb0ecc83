"""Folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from dse.errors import StudyError
from dse.exports.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator


class OnExisting(Enum):
    """What to do about a folder that is not empty."""

    REFUSE = "refuse"
    """Leave it as it is."""
    REPLACE = "replace"
    """Put the new one in its place once that is complete; only an earlier export is ever replaced."""


@contextmanager
def written_whole(folder: Path, on_existing: OnExisting) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``folder`` if nothing is raised, and vanishes otherwise.

    Raises:
        StudyError: if the folder holds something that may not be replaced, or cannot be written.
    """
    _check(folder, on_existing)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise StudyError(f"{folder} cannot be written ({error.strerror}): choose a folder you may write to") from error
    try:
        scratch.chmod(0o755)
        yield scratch
        _put(scratch, folder)
    except BaseException as error:
        shutil.rmtree(scratch, ignore_errors=True)
        if isinstance(error, OSError):
            raise StudyError(f"{folder} cannot be written ({error.strerror}): nothing was left there") from error
        raise


def _check(folder: Path, on_existing: OnExisting) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if on_existing is OnExisting.REFUSE:
        raise StudyError(
            f"{folder} exists and is not empty: nothing was written. Choose another folder, empty it, or replace an "
            "earlier export with --force"
        )
    if not (folder / MANIFEST_NAME).is_file():
        raise StudyError(
            f"{folder} exists and is no export (it has no {MANIFEST_NAME}): --force replaces nothing else. Choose "
            "another folder"
        )


def _put(scratch: Path, folder: Path) -> None:
    """Rename: what was there before is gone only when the new one is in its place."""
    if not folder.exists() or not any(folder.iterdir()):
        os.replace(scratch, folder)
        return
    before = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    os.replace(folder, before)
    try:
        os.replace(scratch, folder)
    except BaseException:
        os.replace(before, folder)
        raise
    shutil.rmtree(before)
