"""study.sqlite and its lock: rows survive, one process at a time, and unusable folders say why."""

import dataclasses
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dse.config import STUDY_VERSION
from dse.errors import StudyError
from dse.store import Measurement, Store, context_key
from emulation.losses import Losses


def row(subject: str, divergence: float = 0.1) -> Measurement:
    losses = Losses(divergence=divergence, cross_entropy_change=-0.25, accuracy=0.75, accuracy_change=1 / 3)
    return Measurement(subject=subject, losses=losses, seconds=0.5)


def test_rows_survive_bit_for_bit_and_a_second_value_replaces_the_first(tmp_path):
    awkward = 0.1 + 0.2
    with Store(tmp_path) as store:
        store.add("c", row("a", 1.0))
        store.add("c", row("a", awkward))
        store.add("c", row("b\n'; DROP TABLE measurements", 5e-324))
        store.add("other", row("a"))
    with Store(tmp_path) as store:
        known = store.measurements("c")
        assert list(store.measurements("nothing")) == []
    assert known == {"a": row("a", awkward).losses, "b\n'; DROP TABLE measurements": row("", 5e-324).losses}


def test_a_row_is_on_disk_before_the_store_is_closed(tmp_path):
    with Store(tmp_path) as store:
        store.add("c", row("a"))
        with sqlite3.connect(f"file:{tmp_path / 'study.sqlite'}?mode=ro", uri=True) as reader:
            assert reader.execute("SELECT subject FROM measurements").fetchall() == [("a",)]


def test_missing_keeps_the_order_and_asks_one_context_only(tmp_path):
    with Store(tmp_path) as store:
        store.add("c", row("b"))
        store.add("other", row("d"))
        assert store.missing("c", ["d", "b", "a"]) == ["d", "a"]
        assert store.missing("c", iter({"b": 1})) == []


def test_json_results_are_replaced_and_absent_ones_are_none(tmp_path):
    value = {"designs": [1, 2.5, None], "text": "ü"}
    with Store(tmp_path) as store:
        assert store.get("front") is None
        store.put("front", [0])
        store.put("front", value)
    with Store(tmp_path) as store:
        assert store.get("front") == value


def test_context_keys_differ_by_name_and_value_only():
    keys = {context_key(a=1, b=2), context_key(a=2, b=1), context_key(a=1), context_key(a="1", b=2)}
    assert len(keys) == 4
    assert context_key(b=2, a=1) in keys


HOLDER = """
import sys
from pathlib import Path
from dse.store import Store
with Store(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_who_has_the_study_open(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout.readline() == "open\n"
            with pytest.raises(StudyError, match=rf"{tmp_path} is in use by process {holder.pid} on \S+: wait until"):
                Store(tmp_path)
        finally:
            holder.stdin.close()
            holder.wait(timeout=30)
    with Store(tmp_path):
        assert (tmp_path / "study.lock").read_text().startswith(f"process {os.getpid()} on ")


def test_a_killed_process_leaves_no_lock_behind(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "open\n"
        holder.kill()
        holder.wait(timeout=30)
    with Store(tmp_path) as store:
        store.add("c", row("a"))


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"file is not writable \(Not a directory\): choose a folder you may write to"):
        Store(tmp_path / "file")


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    def refuse(path, *arguments, **keywords):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StudyError, match=r"is not writable \(Permission denied\): choose a folder you may write to"):
        Store(tmp_path)


def set_version(folder: Path, version: str) -> bytes:
    with Store(folder):
        pass
    with sqlite3.connect(folder / "study.sqlite") as connection:
        connection.execute("UPDATE facts SET value = ? WHERE name = 'version'", (version,))
        connection.execute("DROP TABLE results")
    connection.close()
    return (folder / "study.sqlite").read_bytes()


@pytest.mark.parametrize("version", [str(STUDY_VERSION + 1), "2024-beta"])
def test_a_database_from_a_newer_version_is_refused_and_not_touched(tmp_path, version):
    before = set_version(tmp_path, version)
    for _ in range(2):  # the refusal gives the lock back
        with pytest.raises(StudyError, match=rf"has version {version}; .* up to {STUDY_VERSION}: install a newer"):
            Store(tmp_path)
    assert (tmp_path / "study.sqlite").read_bytes() == before


def test_a_damaged_database_is_refused_with_advice_and_kept(tmp_path):
    path = tmp_path / "study.sqlite"
    path.write_bytes(b"this is no database " * 100)
    for _ in range(2):
        with pytest.raises(StudyError, match=r"study\.sqlite cannot be used: .*not a database.* move it away"):
            Store(tmp_path)
    assert path.read_bytes() == b"this is no database " * 100


def test_a_row_that_cannot_be_written_is_an_error_and_the_rows_before_are_kept(tmp_path):
    with Store(tmp_path) as store:
        store.add("c", row("a"))
        store._connection.execute("PRAGMA query_only = ON")
        for write in (lambda: store.add("c", row("b")), lambda: store.put("front", 1)):
            with pytest.raises(
                StudyError, match=r"study\.sqlite cannot be written \(.*\): what was measured before is"
            ):
                write()
    with Store(tmp_path) as store:
        assert list(store.measurements("c")) == ["a"]


def test_values_that_are_no_json_are_refused_before_anything_is_written(tmp_path):
    with Store(tmp_path) as store:
        store.put("front", [1])
        with pytest.raises(TypeError):
            store.put("front", {1, 2})
        assert store.get("front") == json.loads("[1]")


def test_metrics_and_losses_of_each_sample_are_kept_with_their_row(tmp_path):
    each = np.random.default_rng(0).exponential(size=7)
    full = dataclasses.replace(row("a"), proxies={"fisher": 0.1 + 0.2, "norm": -5e-324}, divergences=each)
    with Store(tmp_path) as store:
        store.add("c", full)
        store.add("c", row("b"))
        store.add("other", dataclasses.replace(full, proxies={"norm": 1.0}))
    with Store(tmp_path) as store:
        assert store.proxies("c") == {"a": dict(full.proxies)}
        assert store.proxies("other") == {"a": {"norm": 1.0}}
        assert store.sampled("c") == {"a"}
        assert store.sampled("nothing") == set()
        np.testing.assert_array_equal(store.sample_losses("c")["a"], each)
        assert set(store.measurements("c")) == {"a", "b"}


def test_a_database_without_the_newer_tables_gets_them(tmp_path):
    """Studies of the first version hold losses alone."""
    with Store(tmp_path) as store:
        store.add("c", row("a"))
        store._connection.execute("DROP TABLE proxies")
        store._connection.execute("DROP TABLE sample_losses")
        store._connection.commit()
    with Store(tmp_path) as store:
        assert set(store.measurements("c")) == {"a"}
        assert store.proxies("c") == {}
        assert store.sample_losses("c") == {}


def test_a_row_is_written_whole_or_not_at_all(tmp_path):
    with Store(tmp_path) as store:
        store._connection.execute("DROP TABLE measurements")
        with pytest.raises(StudyError, match="cannot be written"):
            store.add("c", dataclasses.replace(row("a"), proxies={"norm": 1.0}))
        store.put("later", 1)
        assert store.proxies("c") == {}
