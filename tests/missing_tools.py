"""Foreign programs and packages that tests judge with: found, or else the test is skipped or fails.

A test whose tool is missing is skipped with the reason, and fails under REQUIRE_TOOLS=1, which says that a skip is not
acceptable (as in CI).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from types import ModuleType


def skip_or_fail(reason: str) -> NoReturn:
    """End the test that runs, for want of a tool."""
    if os.environ.get("REQUIRE_TOOLS") == "1":
        pytest.fail(f"{reason}, and REQUIRE_TOOLS=1 does not allow to skip this test")
    pytest.skip(reason)


def foreign(name: str, advice: str = "") -> ModuleType:
    """A foreign module by its full name; ``advice`` says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        skip_or_fail(f"{name} is not installed ({advice or error})")


def folder_of(package: str, advice: str) -> Path:
    """The folder of a package that is only read: it is not imported, so it needs none of its dependencies."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        skip_or_fail(f"{package} is not installed ({advice})")
    return Path(found.origin).parent


def program(name: str) -> Path:
    """The path of a program by its name."""
    found = shutil.which(name)
    if found is None:
        skip_or_fail(f"{name} is not installed (make ci-tools installs it)")
    return Path(found)
