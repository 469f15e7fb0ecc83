"""Multipliers against Python integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.multipliers import multiplier
from tests.hwmodels.rtl.simulation import input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WIDTHS = [(1, 1), (2, 1), (2, 2), (3, 2), (4, 4), (5, 3), (3, 7), (8, 8), (12, 7), (16, 16), (32, 16)]


@pytest.mark.parametrize("signs", [(0, 0), (0, 1), (1, 0), (1, 1)], ids=["uu", "us", "su", "ss"])
@pytest.mark.parametrize("widths", WIDTHS, ids=lambda widths: f"{widths[0]}x{widths[1]}")
def test_product_is_exact(widths: tuple[int, int], signs: tuple[int, int], tool: Callable[[str], Path]) -> None:
    unit = multiplier(a=widths[0], b=widths[1], a_signed=signs[0], b_signed=signs[1])
    rows = input_rows(unit)
    assert simulate(unit, rows, tool) == [(a * b,) for a, b in rows]


@pytest.mark.parametrize(("width", "name"), [(0, "a"), (65, "a")])
def test_width_out_of_range_is_refused(width: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"operand {name} of a multiplier has 1 to 64 bits, got {width}"):
        multiplier(a=width, b=4)
