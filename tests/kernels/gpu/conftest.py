"""Every test here interprets kernels on the CPU, unless it says otherwise; without Triton they are skipped."""

from __future__ import annotations

import importlib.util
import os

import pytest


@pytest.fixture(autouse=True)
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels look at the environment when they are launched, so nothing outside of a test sees this."""
    if importlib.util.find_spec("triton") is None:
        reason = "Triton is not installed (pip install triton)"
        if os.environ.get("REQUIRE_TOOLS") == "1":
            pytest.fail(f"{reason}, and REQUIRE_TOOLS=1 does not allow to skip this test")
        pytest.skip(reason)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
