"""What happens to a test whose tool is missing."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import missing_tools
from tests.kernels.ap_types import headers

if TYPE_CHECKING:
    from collections.abc import Callable

MISSING = (
    (lambda: missing_tools.program("a-program"), r"a-program is not installed \(make ci-tools installs it\)"),
    (lambda: missing_tools.foreign("nowhere"), r"nowhere is not installed \(No module named 'nowhere'\)"),
    (lambda: missing_tools.foreign("nowhere.inside"), r"nowhere.inside is not installed \(No module named 'nowhere'\)"),
    (lambda: missing_tools.foreign("nowhere", "buy it"), r"nowhere is not installed \(buy it\)"),
    (lambda: missing_tools.folder_of("nowhere", "it holds headers"), r"nowhere is not installed \(it holds headers\)"),
    (lambda: missing_tools.skip_or_fail("no tool"), "no tool"),
)


@pytest.mark.parametrize(("ask", "reason"), MISSING)
def test_a_missing_tool_skips_and_fails_where_tools_are_required(
    ask: Callable[[], object], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for unset in (None, "0"):
        monkeypatch.delenv("REQUIRE_TOOLS", raising=False)
        if unset is not None:
            monkeypatch.setenv("REQUIRE_TOOLS", unset)
        with pytest.raises(pytest.skip.Exception, match=f"^{reason}$"):
            ask()
    monkeypatch.setenv("REQUIRE_TOOLS", "1")
    with pytest.raises(
        pytest.fail.Exception, match=f"^{reason}, and REQUIRE_TOOLS=1 does not allow to skip this test$"
    ):
        ask()


def test_the_fixture_asks_for_programs(tool: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/{name}")
    assert tool("verilator") == Path("/opt/verilator")


def test_what_is_there_is_found() -> None:
    assert missing_tools.foreign("math") is math
    assert (missing_tools.folder_of("numpy", "") / "version.py").is_file()
    assert (headers() / "ap_fixed.h").is_file()
