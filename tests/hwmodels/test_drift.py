"""Committed rows measured again with the real tool: the drift check of continuous integration."""

from __future__ import annotations

import pytest

from hwmodels.models import ROWS_FOLDER
from hwmodels.synthesis.characterise import rows_path
from hwmodels.synthesis.drift import choose_rows, measure_again
from hwmodels.synthesis.flows import FLOWS, missing_tools
from hwmodels.synthesis.measurements import read_rows
from tests.missing_tools import skip_or_fail

ROWS = 8
"""Enough for one or two of most families, and less than a minute."""


@pytest.mark.slow
def test_committed_rows_come_out_the_same() -> None:
    flow = FLOWS["xcup"]
    for words in missing_tools([flow]).values():
        skip_or_fail(words)
    chosen = choose_rows(read_rows(rows_path(ROWS_FOLDER, flow.name)), ROWS)
    assert len(chosen) == ROWS
    checked = measure_again(flow, chosen)
    assert [str(one) for one in checked if one.differences] == []
