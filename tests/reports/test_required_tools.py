"""What happens to a test whose tool is missing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_missing_tool_skips_and_fails_where_tools_are_required(
    tool: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.delenv("REQUIRE_TOOLS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"^chromium is not installed \(make ci-tools installs it\)$"):
        tool("chromium")
    monkeypatch.setenv("REQUIRE_TOOLS", "1")
    with pytest.raises(pytest.fail.Exception, match="REQUIRE_TOOLS=1 does not allow to skip this test"):
        tool("chromium")


def test_a_tool_that_is_there_is_found(tool: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/{name}")
    assert tool("verilator") == Path("/opt/verilator")
