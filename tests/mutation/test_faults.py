"""The list of planted faults keeps up with the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_can_be_planted_and_names_existing_tests(fault):
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    assert fault.plant(text) != text
    for test in fault.tests:
        assert (ROOT / test.split("::")[0]).exists()


def test_there_are_enough_faults_and_their_names_are_unique():
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names)) >= 10
