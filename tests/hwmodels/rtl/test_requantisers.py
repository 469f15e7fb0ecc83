"""Requantisers, PReLU and residual adds against the definition of requantisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.requantisers import prelu, requantiser, residual_add
from kernels.rounding import HALF_EVEN, HALF_UP
from tests.hwmodels.rtl.packing import cast_of, spread_rows
from tests.hwmodels.rtl.simulation import RANDOM_ROWS, input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hwmodels.rtl.unit import Unit

SMALL = {"accumulator": 8, "multiplier": 4, "output": 4, "shift": 3}
WIDE = {"accumulator": 24, "multiplier": 16, "output": 8, "shift": 20}
CODES = [
    {},
    {"output_signed": 0},
    {"rounding": HALF_UP},
    {"shift_bits": 3},
    {"shift_bits": 2, "output_signed": 0, "zero_point": 5},
    {"zero_point": -3, "rounding": HALF_EVEN},
]
SIGNED_CODES = [
    pytest.param(signed, codes, marks=[pytest.mark.slow] if (signed + index) % 2 else [])
    for index, codes in enumerate(CODES)
    for signed in (0, 1)
]
"""Every code with either sign of the accumulator; half of them, each code once, are fast."""


def rows_of(unit: Unit) -> list[tuple[int, ...]]:
    rows = input_rows(unit)
    return rows + spread_rows(unit) if len(rows) == RANDOM_ROWS else rows


@pytest.mark.parametrize(("signed", "codes"), SIGNED_CODES, ids=str)
@pytest.mark.parametrize("widths", [SMALL, WIDE], ids=["small", "wide"])
def test_requantiser(widths: dict[str, int], signed: int, codes: dict[str, int], tool: Callable[[str], Path]) -> None:
    unit = requantiser(**widths, accumulator_signed=signed, **codes)
    rows = rows_of(unit)
    assert simulate(unit, rows, tool) == [(cast_of(row[0] * row[1], unit, *row[2:]),) for row in rows]


@pytest.mark.parametrize("codes", CODES[:5], ids=str)
@pytest.mark.parametrize("widths", [{**SMALL, "accumulator": 7}, WIDE], ids=["small", "wide"])
def test_prelu(widths: dict[str, int], codes: dict[str, int], tool: Callable[[str], Path]) -> None:
    unit = prelu(**widths, **codes)
    rows = rows_of(unit)
    expected = [(cast_of(row[0] * (row[2] if row[0] < 0 else row[1]), unit, *row[3:]),) for row in rows]
    assert simulate(unit, rows, tool) == expected


@pytest.mark.parametrize(("signed", "codes"), SIGNED_CODES, ids=str)
@pytest.mark.parametrize(
    "widths",
    [
        {"a": 4, "b": 4, "multiplier": 4, "output": 4, "shift": 4},
        {"a": 8, "b": 6, "multiplier": 12, "output": 8, "shift": 11},
    ],
    ids=["small", "wide"],
)
def test_residual_add(widths: dict[str, int], signed: int, codes: dict[str, int], tool: Callable[[str], Path]) -> None:
    unit = residual_add(**widths, a_signed=signed, b_signed=1, **codes)
    rows = rows_of(unit)
    expected = [(cast_of(a * ma + b * mb, unit, *amount),) for a, b, ma, mb, *amount in rows]
    assert simulate(unit, rows, tool) == expected


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"operand b of a multiplier has 1 to 64 bits, got 65"):
        requantiser(accumulator=24, multiplier=65, output=8, shift=4)
    with pytest.raises(ValueError, match=r"zero_point of a cast is one of its codes, 0 to 255, got -1"):
        residual_add(a=8, b=8, multiplier=8, output=8, shift=8, output_signed=0, zero_point=-1)
    with pytest.raises(TypeError, match="shift"):
        prelu(accumulator=24, multiplier=8, output=8)
