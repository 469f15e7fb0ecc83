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
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Self

import numpy as np

from dse.config import STUDY_VERSION
from dse.errors import StudyError
from emulation.losses import Losses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

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
CREATE TABLE IF NOT EXISTS proxies (
    context TEXT NOT NULL,
    subject TEXT NOT NULL,
    metric TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (context, subject, metric)
);
CREATE TABLE IF NOT EXISTS sample_losses (
    context TEXT NOT NULL,
    subject TEXT NOT NULL,
    divergences BLOB NOT NULL,
    PRIMARY KEY (context, subject)
);
CREATE TABLE IF NOT EXISTS results (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """One measured row: what (`subject`), its losses, and how long it took.

    ``proxies`` are other sensitivity metrics of the same subject; ``divergences`` the loss of each sample, or None.
    """

    subject: str
    losses: Losses
    seconds: float
    proxies: Mapping[str, float] = field(default_factory=dict)
    divergences: NDArray[np.float64] | None = None


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
        """Commit one row with all that belongs to it; a row that is there already is replaced."""
        losses, key = measurement.losses, (context, measurement.subject)
        row = (losses.divergence, losses.cross_entropy_change, losses.accuracy, losses.accuracy_change)
        statements: list[tuple[str, tuple[object, ...]]] = [
            ("INSERT OR REPLACE INTO proxies VALUES (?, ?, ?, ?)", (*key, metric, value))
            for metric, value in measurement.proxies.items()
        ]
        if measurement.divergences is not None:
            exact = measurement.divergences.astype("<f8").tobytes()
            statements.append(("INSERT OR REPLACE INTO sample_losses VALUES (?, ?, ?)", (*key, exact)))
        values = (*key, *row, measurement.seconds)
        statements.append(("INSERT OR REPLACE INTO measurements VALUES (?, ?, ?, ?, ?, ?, ?)", values))
        self._write(*statements)

    def _write(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        """All of them or none."""
        try:
            with self._connection:  # commits, or rolls back what was done before a failure
                for statement, values in statements:
                    self._connection.execute(statement, values)
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

    def proxies(self, context: str) -> dict[str, dict[str, float]]:
        """Other sensitivity metrics measured in a context: by subject, by metric."""
        found: dict[str, dict[str, float]] = {}
        rows = self._connection.execute("SELECT subject, metric, value FROM proxies WHERE context = ?", (context,))
        for subject, metric, value in rows:
            found.setdefault(subject, {})[metric] = value
        return found

    def sample_losses(self, context: str) -> dict[str, NDArray[np.float64]]:
        """The loss of each sample of what was measured in a context, by subject: shape ``(samples,)``, nats."""
        rows = self._connection.execute("SELECT subject, divergences FROM sample_losses WHERE context = ?", (context,))
        return {subject: np.frombuffer(content, dtype="<f8") for subject, content in rows}

    def sampled(self, context: str) -> set[str]:
        """Subjects whose losses are known sample by sample in a context."""
        rows = self._connection.execute("SELECT subject FROM sample_losses WHERE context = ?", (context,))
        return {subject for (subject,) in rows}

    def put(self, name: str, value: object) -> None:
        """Keep a JSON value under a name, replacing an older one."""
        self._write(("INSERT OR REPLACE INTO results VALUES (?, ?)", (name, json.dumps(value))))

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
