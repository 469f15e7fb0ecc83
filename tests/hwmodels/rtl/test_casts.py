"""Casts against the definition of requantisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.casts import cast
from kernels.rounding import FLOOR, HALF_EVEN, HALF_UP
from tests.hwmodels.rtl.packing import cast_of, spread_rows
from tests.hwmodels.rtl.simulation import RANDOM_ROWS, input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hwmodels.rtl.unit import Unit


def check(unit: Unit, tool: Callable[[str], Path]) -> None:
    rows = input_rows(unit)
    if len(rows) == RANDOM_ROWS:
        rows += spread_rows(unit)
    assert simulate(unit, rows, tool) == [(cast_of(row[0], unit, *row[1:]),) for row in rows], unit.module


@pytest.mark.parametrize("rounding", [HALF_EVEN, HALF_UP], ids=["even", "up"])
@pytest.mark.parametrize("signs", [(0, 0), (0, 1), (1, 0), (1, 1)], ids=["uu", "us", "su", "ss"])
@pytest.mark.parametrize("widths", [(10, 4, 0), (10, 4, 1), (10, 4, 3), (10, 4, 10), (10, 4, 14), (3, 8, 1)], ids=str)
def test_constant_shift(
    widths: tuple[int, int, int], signs: tuple[int, int], rounding: int, tool: Callable[[str], Path]
) -> None:
    width, output, shift = widths
    signed = {"input_signed": signs[0], "output_signed": signs[1]}
    check(cast(input=width, output=output, shift=shift, rounding=rounding, **signed), tool)


@pytest.mark.parametrize("rounding", [HALF_EVEN, HALF_UP], ids=["even", "up"])
@pytest.mark.parametrize("signs", [(0, 0), (1, 0), (1, 1)], ids=["uu", "su", "ss"])
@pytest.mark.parametrize("widths", [(9, 3, 0, 4), (11, 4, 2, 3), (6, 4, 5, 3), (4, 3, 0, 5), (10, 6, 1, 1)], ids=str)
def test_runtime_shift(
    widths: tuple[int, int, int, int], signs: tuple[int, int], rounding: int, tool: Callable[[str], Path]
) -> None:
    width, output, shift, shift_bits = widths
    signed = {"input_signed": signs[0], "output_signed": signs[1]}
    check(cast(input=width, output=output, shift=shift, shift_bits=shift_bits, rounding=rounding, **signed), tool)


@pytest.mark.parametrize("shift_bits", [0, 2])
@pytest.mark.parametrize("shift", [0, 1, 5])
@pytest.mark.parametrize(
    ("output_signed", "zero_point"), [(1, -8), (1, 7), (1, -1), (1, 1), (0, 1), (0, 6), (0, 15)], ids=str
)
def test_zero_point(
    output_signed: int, zero_point: int, shift: int, shift_bits: int, tool: Callable[[str], Path]
) -> None:
    check(
        cast(
            input=11,
            output=4,
            shift=shift,
            shift_bits=shift_bits,
            output_signed=output_signed,
            zero_point=zero_point,
        ),
        tool,
    )


@pytest.mark.parametrize(
    "widths", [(40, 8, 24, 0, 1), (56, 8, 20, 4, 0), (48, 16, 3, 5, 1), (32, 1, 20, 0, 0)], ids=str
)
def test_wide(widths: tuple[int, int, int, int, int], tool: Callable[[str], Path]) -> None:
    width, output, shift, shift_bits, signed = widths
    check(cast(input=width, output=output, shift=shift, shift_bits=shift_bits, output_signed=signed), tool)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"input": 0}, "input of a cast must be 1 to 192, got 0"),
        ({"shift": -1}, "shift of a cast must be 0 to 127, got -1"),
        ({"shift_bits": 7}, "shift_bits of a cast must be 0 to 6, got 7"),
        ({"rounding": FLOOR}, r"rounds by 0 \(half to even\), 1 \(half up\), got rounding 3"),
        ({"zero_point": 128}, "zero_point of a cast is one of its codes, -128 to 127, got 128"),
        ({"output": 1}, "has at least 2 bits, got output 1: make it unsigned"),
    ],
)
def test_numbers_out_of_range_are_refused(changed: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cast(**{"input": 32, "output": 8, "shift": 16} | changed)
