"""study.sqlite: measurements that are never lost and never made twice.

One process writes a study at a time; it holds a lock on ``study.lock`` for as long as the store is open, and a second
one is told who that is. Every row is committed as it arrives, in write-ahead mode, so a process may be killed at any
moment. Rows are keyed by the *context* (network, data, scalings and version of the numbers) and by what was measured.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import sqlite3
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Self

from dse.config import STUDY_VERSION
from dse.errors import StudyError
from emulation.losses import Losses

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS measurements (
    context TEXT NOT NULL,
    subject TEXT NOT NULL,
    divergence REAL NOT NULL,
    cross_entropy_change REAL NOT NULL,
    accuracy REAL NOT NULL,
    accuracy_change REAL NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (context, subject)
);
CREATE TABLE IF NOT EXISTS results (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured row: what (`subject`), its losses, and how long it took."""

    subject: str
    losses: Losses
    seconds: float


class Store:
    """The database of one study folder; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        """Open, and make if needed, the database in ``folder``.

        Raises:
            StudyError: if the folder cannot be written, another process has the study open (its process number and
                host are named), or the database comes from a newer bitfront.
        """
        self._folder = folder
        self._lock = _lock(folder)
        try:
            self._connection = sqlite3.connect(folder / "study.sqlite", check_same_thread=False)
            self._check_version()
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.executescript(_SCHEMA)
            self._connection.execute("INSERT OR IGNORE INTO facts VALUES ('version', ?)", (str(STUDY_VERSION),))
            self._connection.commit()
        except sqlite3.Error as error:
            self._lock.close()
            raise StudyError(
                f"{folder / 'study.sqlite'} cannot be used: {error}. Check the disk, or move it away to start over"
            ) from error
        except StudyError:
            self._lock.close()
            raise

    def _check_version(self) -> None:
        """Refuse a database from a newer bitfront before anything is changed in it."""
        has_facts = self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'facts'").fetchone()
        if not has_facts:
            return
        row = self._connection.execute("SELECT value FROM facts WHERE name = 'version'").fetchone()
        if row is not None and not (row[0].isdecimal() and int(row[0]) <= STUDY_VERSION):
            raise StudyError(
                f"{self._folder / 'study.sqlite'} has version {row[0]}; this bitfront reads versions up to "
                f"{STUDY_VERSION}: install a newer bitfront"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database and let others open the study."""
        self._connection.close()
        self._lock.close()

    def add(self, context: str, measurement: Measurement) -> None:
        """Commit one row; a row that is there already is replaced."""
        losses = measurement.losses
        self._write(
            "INSERT OR REPLACE INTO measurements VALUES (?, ?, ?, ?, ?, ?, ?)",
            context,
            measurement.subject,
            losses.divergence,
            losses.cross_entropy_change,
            losses.accuracy,
            losses.accuracy_change,
            measurement.seconds,
        )

    def _write(self, statement: str, *values: object) -> None:
        try:
            self._connection.execute(statement, values)
            self._connection.commit()
        except sqlite3.Error as error:
            raise StudyError(
                f"{self._folder / 'study.sqlite'} cannot be written ({error}): what was measured before is kept. Check "
                "the disk, and that no other program has the database open for writing"
            ) from error

    def measurements(self, context: str) -> dict[str, Losses]:
        """All losses measured in a context, by subject."""
        rows = self._connection.execute(
            "SELECT subject, divergence, cross_entropy_change, accuracy, accuracy_change FROM measurements "
            "WHERE context = ?",
            (context,),
        )
        return {
            subject: Losses(
                divergence=divergence,
                cross_entropy_change=cross_entropy_change,
                accuracy=accuracy,
                accuracy_change=accuracy_change,
            )
            for subject, divergence, cross_entropy_change, accuracy, accuracy_change in rows
        }

    def missing(self, context: str, subjects: Iterable[str]) -> list[str]:
        """Subjects not yet measured in a context, in the order given."""
        known = {
            subject
            for (subject,) in self._connection.execute("SELECT subject FROM measurements WHERE context = ?", (context,))
        }
        return [subject for subject in subjects if subject not in known]

    def put(self, name: str, value: object) -> None:
        """Keep a JSON value under a name, replacing an older one."""
        self._write("INSERT OR REPLACE INTO results VALUES (?, ?)", name, json.dumps(value))

    def get(self, name: str) -> object:
        """The JSON value kept under a name, None if there is none."""
        row = self._connection.execute("SELECT value FROM results WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])


def context_key(**parts: object) -> str:
    """The key of a context: SHA-256 of the canonical JSON of its parts, which are JSON values.

    >>> context_key(network="a", data="b") == context_key(data="b", network="a")
    True
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _lock(folder: Path) -> IO[str]:
    path = folder / "study.lock"
    try:
        handle = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"study folder {folder} is not writable ({error.strerror}): choose a folder you may write to"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.seek(0)
        owner = handle.read().strip() or "another process"
        handle.close()
        raise StudyError(
            f"study folder {folder} is in use by {owner}: wait until it has finished, or stop it; what it has measured "
            "is kept"
        ) from error
    handle.seek(0)
    handle.truncate()
    handle.write(f"process {os.getpid()} on {socket.gethostname()}")
    handle.flush()
    return handle
