"""Adders, multiply-accumulates and dot products against Python integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.dot_products import adder, dot_product, dot_product_bits, mac
from tests.hwmodels.rtl.packing import fields
from tests.hwmodels.rtl.simulation import input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hwmodels.rtl.unit import Unit

SIGNS = pytest.mark.parametrize("signs", [(0, 0), (0, 1), (1, 0), (1, 1)], ids=["uu", "us", "su", "ss"])


def wrapped(value: int, width: int, *, signed: bool) -> int:
    low = value & (1 << width) - 1
    return low - (1 << width) if signed and low >> width - 1 else low


def accumulated(unit: Unit, rows: Sequence[Sequence[int]]) -> list[tuple[int]]:
    """The register of a unit with an accumulator after each row."""
    p = unit.parameters
    lanes = p.get("lanes", 1)
    names = [port.name for port in unit.ports[:-1]]
    total, found = 0, []
    for row in rows:
        value = dict(zip(names, row, strict=True))
        left = fields(value["a"], lanes, p["a"], p["a_signed"])
        right = fields(value["b"], lanes, p["b"], p["b_signed"])
        if value["enable"]:
            start = value.get("bias", 0) if value["first"] else total
            total = start + sum(x * y for x, y in zip(left, right, strict=True))
        found.append((wrapped(total, p["accumulator"], signed=unit.ports[-1].signed),))
    return found


def started(unit: Unit, rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The same rows, the first of which starts a sum: a register holds nothing before."""
    names = [port.name for port in unit.ports[:-1]]
    first = [1 if name in {"enable", "first"} else value for name, value in zip(names, rows[0], strict=True)]
    return [tuple(first), *rows[1:]]


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("width", [1, 2, 5, 8, 32, 64])
def test_adder(width: int, signed: int, tool: Callable[[str], Path]) -> None:
    unit = adder(width=width, signed=signed)
    rows = input_rows(unit)
    assert simulate(unit, rows, tool) == [(a + b,) for a, b in rows]


@SIGNS
@pytest.mark.parametrize("widths", [(1, 3, 3), (2, 4, 4), (3, 5, 3), (8, 8, 4)], ids=str)
def test_dot_product(widths: tuple[int, int, int], signs: tuple[int, int], tool: Callable[[str], Path]) -> None:
    lanes, a, b = widths
    unit = dot_product(lanes=lanes, a=a, b=b, a_signed=signs[0], b_signed=signs[1])
    rows = input_rows(unit)
    expected = [
        (sum(x * y for x, y in zip(fields(u, lanes, a, signs[0]), fields(v, lanes, b, signs[1]), strict=True)),)
        for u, v in rows
    ]
    assert simulate(unit, rows, tool) == expected


@SIGNS
@pytest.mark.parametrize("bias", [0, 1])
@pytest.mark.parametrize("widths", [(4, 4, 16), (8, 8, 12), (16, 3, 40)], ids=str)
def test_mac(widths: tuple[int, int, int], bias: int, signs: tuple[int, int], tool: Callable[[str], Path]) -> None:
    a, b, accumulator = widths
    unit = mac(a=a, b=b, accumulator=accumulator, a_signed=signs[0], b_signed=signs[1], bias=bias)
    rows = started(unit, input_rows(unit))
    assert simulate(unit, rows, tool) == accumulated(unit, rows)


@pytest.mark.parametrize("signs", [(0, 0), (1, 1)], ids=["uu", "ss"])
@pytest.mark.parametrize("widths", [(4, 8, 8, 24, 1), (3, 4, 2, 9, 0), (8, 4, 4, 6, 1)], ids=str)
def test_dot_product_over_cycles(
    widths: tuple[int, int, int, int, int], signs: tuple[int, int], tool: Callable[[str], Path]
) -> None:
    lanes, a, b, accumulator, bias = widths
    unit = dot_product(lanes=lanes, a=a, b=b, accumulator=accumulator, a_signed=signs[0], b_signed=signs[1], bias=bias)
    rows = started(unit, input_rows(unit))
    assert simulate(unit, rows, tool) == accumulated(unit, rows)


def test_bits_of_a_sum_hold_its_extremes() -> None:
    # 4 * (-128 * -8) = 4096 needs 14 bits, its opposite 13.
    assert dot_product_bits(lanes=4, a=8, b=4) == 14
    assert dot_product_bits(lanes=4, a=8, b=4, a_signed=0, b_signed=0) == (4 * 255 * 15).bit_length()


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lanes of a sum of products must be 1 to 1024, got 0"):
        dot_product(lanes=0, a=4, b=4)
    with pytest.raises(ValueError, match=r"accumulator of a sum of products must be 1 to 128, got 129"):
        mac(a=4, b=4, accumulator=129)
    with pytest.raises(ValueError, match=r"starts no sums: give accumulator bits or bias = 0"):
        dot_product(lanes=2, a=4, b=4, bias=1)
    with pytest.raises(ValueError, match=r"operand b of a multiplier has 1 to 64 bits, got 65"):
        dot_product(lanes=2, a=4, b=65)
    with pytest.raises(ValueError, match=r"width of a sum of products must be 1 to 64, got 0"):
        adder(width=0)
