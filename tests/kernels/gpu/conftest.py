"""Every test here interprets kernels on the CPU, unless it says otherwise; without Triton they are skipped."""

from __future__ import annotations

import pytest

from tests.missing_tools import foreign


@pytest.fixture(autouse=True)
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels look at the environment when they are launched, so nothing outside of a test sees this."""
    foreign("triton", "pip install triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
