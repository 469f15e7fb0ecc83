"""Fixtures for every folder's tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable

# A busy machine is slow, not wrong; and the same examples run in CI each time.
settings.register_profile("bitfront", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("bitfront")


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """A function from a program's name to its path.

    A test that asks for a missing program is skipped with the reason, and fails if REQUIRE_TOOLS=1 says that a skip is
    not acceptable (as in CI).
    """

    def find(name: str) -> Path:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
        reason = f"{name} is not installed (make ci-tools installs it)"
        if os.environ.get("REQUIRE_TOOLS") == "1":
            pytest.fail(f"{reason}, and REQUIRE_TOOLS=1 does not allow to skip this test")
        pytest.skip(reason)

    return find
