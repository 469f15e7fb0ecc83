"""The Makefile's own checks: one sentence each, before anything is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile and what its targets depend on, and no environment."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def fake_python(folder, version, has_venv):
    """A program that answers the Makefile's questions as a Python of some version would."""
    path = folder / "fakepython"
    compare = "exit 0" if version >= "3.11" else "exit 1"
    answers = {
        "version_info": compare,
        "python_version": f"echo {version}",
        "ensurepip": f"exit {0 if has_venv else 1}",
    }
    cases = "\n".join(f"*{question}*) {answer};;" for question, answer in answers.items())
    path.write_text(f'#!/bin/sh\ncase "$2" in\n{cases}\nesac\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def make(checkout, *arguments, **environment):
    return subprocess.run(
        ["make", "demo", *arguments],
        cwd=checkout,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_a_missing_python_is_named(checkout):
    done = make(checkout, "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "there is no no-such-python: install one, or name yours with make PYTHON=" in done.stderr
    assert not (checkout / ".venv").exists()


def test_an_old_python_is_refused_with_its_version(checkout):
    python = fake_python(checkout, "3.10.12", has_venv=True)
    done = make(checkout, f"PYTHON={python}")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "3.10.12" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_missing_venv_module_is_refused_with_what_to_install(checkout):
    python = fake_python(checkout, "3.12.1", has_venv=False)
    done = make(checkout, f"PYTHON={python}")
    assert done.returncode != 0
    assert "lacks the venv module: install it (on Debian and Ubuntu: apt-get install python3-venv)" in done.stderr


def test_too_little_disk_is_refused_with_both_numbers(checkout):
    done = make(checkout, "NEEDED_MEGABYTES=999999999")
    assert done.returncode != 0
    assert "needs 999999999 MB of free disk here" in done.stderr
    assert "MB are free: make room" in done.stderr
    assert not (checkout / ".venv").exists()


def test_help_lists_the_targets(checkout):
    done = subprocess.run(["make", "help"], cwd=checkout, capture_output=True, text=True, check=True)
    for target in ("demo", "test", "slow", "bench", "reports", "ci-tools", "clean"):
        assert f"make {target}" in done.stdout
