"""A sweep that is really killed: what it measured is kept, only the rest is measured, and nothing differs."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from dse.store import Store
from dse.study import Study, write_study
from dse.sweep import loss_table

TABLE = "SELECT context, subject, divergence, cross_entropy_change, accuracy, accuracy_change FROM measurements"


@pytest.fixture
def long_study(settings, tmp_path):
    """A study of several hundred measurements, not begun."""
    return written(settings, "digits-mlp", tmp_path)


@pytest.fixture
def longer_study(settings, tmp_path):
    """One that takes many seconds, for a test that never lets it end."""
    return written(settings, "digits", tmp_path)


def written(settings, workload, folder):
    menu = [f"int{width}" for width in range(2, 13)] + ["e2m1", "e3m2", "e4m3fn"]
    write_study(
        folder / "study",
        settings(workload, data={"sensitivity_samples": 800}, formats={"weights": menu, "activations": menu}),
    )
    return folder / "study"


def start_sweep(folder):
    return subprocess.Popen(
        [sys.executable, "-m", "dse", "sweep", str(folder), "--jobs", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def rows_of(folder):
    """All rows on disk, read as another program would."""
    try:
        connection = sqlite3.connect(f"file:{folder / 'study.sqlite'}?mode=ro", uri=True, timeout=10)
    except sqlite3.OperationalError:
        return []
    try:
        return sorted(connection.execute(TABLE))
    except sqlite3.OperationalError:  # not made yet
        return []
    finally:
        connection.close()


def wait_for_rows(folder, process, count, seconds=120.0):
    deadline = time.monotonic() + seconds
    while len(rows_of(folder)) < count:
        assert process.poll() is None, f"the sweep ended by itself: {process.communicate()}"
        assert time.monotonic() < deadline, "no rows appeared"
        time.sleep(0.005)


def test_a_killed_sweep_goes_on_where_it_was(long_study, tmp_path):
    with Study.open(long_study) as study:
        config, probes = study.config, len(study.prepared.probes())
    with start_sweep(long_study) as killed:
        try:
            wait_for_rows(long_study, killed, 5)
        finally:
            os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    before = rows_of(long_study)
    assert 5 <= len(before) < probes, "killed too late: make the study longer"

    with start_sweep(long_study) as resumed:  # the kill has released the lock
        out, err = resumed.communicate(timeout=240)
    assert resumed.returncode == 0, err
    counts = re.fullmatch(r"(\d+) measured, (\d+) known before, \d+\.\d s\n", out)
    assert counts, out
    assert (int(counts[1]), int(counts[2])) == (probes - len(before), len(before))
    after = rows_of(long_study)
    assert len(after) == probes
    assert set(before) <= set(after)

    with Study.create(tmp_path / "uninterrupted", config) as whole:
        assert whole.sweep(jobs=2).measured == probes
        expected = loss_table(whole.prepared, whole.store)
        with Store(long_study) as store:
            assert loss_table(whole.prepared, store) == expected
    assert rows_of(tmp_path / "uninterrupted") == after  # bit for bit, however many jobs


@pytest.mark.slow
def test_a_real_control_c_stops_a_sweep_with_a_message_and_keeps_what_it_has(longer_study):
    with start_sweep(longer_study) as process:
        wait_for_rows(longer_study, process, 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert err == "bitfront: stopped; everything measured so far is kept, run the same command again to go on\n"
    kept = len(rows_of(longer_study))
    assert kept >= 2
    with Study.open(longer_study) as study:
        assert len(study.store.measurements(study.prepared.sweep_context)) == kept
