"""Fixtures for every folder's tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.missing_tools import program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A busy machine is slow, not wrong; and the same examples run in CI each time.
settings.register_profile("bitfront", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("bitfront")


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """A function from a program's name to its path; what happens without it is said in `tests.missing_tools`."""
    return program
