"""Lanes of minifloats and integers, and their exact sums, against the definition of a dot product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.lanes import minifloat_dot, minifloat_lane
from kernels.definitions import dots
from tests.hwmodels.rtl.meanings import integer, lanes_of, named, running, started, wrapped
from tests.hwmodels.rtl.simulation import input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PAIRS = [
    (2, 1, 2, 1),
    (3, 2, 3, 2),
    (4, 3, 4, 3),
    (5, 2, 5, 2),
    (3, 4, 4, 3),
    (5, 2, 2, 1),
    (1, 6, 1, 6),
    (1, 3, 4, 3),
    (4, 3, 0, 7),
    (0, 3, 5, 2),
    (0, 4, 0, 3),
    (3, 0, 4, 0),
]
DOTS = [
    (1, 4, 3, 4, 3, 44, 0),
    (1, 5, 2, 5, 2, 40, 1),
    (1, 3, 2, 2, 3, 0, 0),
    (2, 2, 1, 2, 1, 16, 0),
    (3, 2, 3, 3, 2, 0, 0),
    (4, 2, 1, 2, 1, 0, 0),
    (5, 4, 3, 0, 3, 36, 1),
    (6, 0, 3, 0, 3, 20, 0),
    (7, 1, 3, 0, 3, 0, 0),
    (8, 0, 3, 0, 3, 0, 0),
]


def _name(numbers: tuple[int, ...]) -> str:
    return "_".join(map(str, numbers))


@pytest.mark.parametrize(("widths", "exact"), [*((one, 0) for one in PAIRS), *((one, 1) for one in PAIRS[1::2])])
def test_lane_is_the_exact_product(widths: tuple[int, int, int, int], exact: int, tool: Callable[[str], Path]) -> None:
    e_a, m_a, e_b, m_b = widths
    unit = minifloat_lane(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b, exact=exact)
    rows = input_rows(unit)
    expected = [integer(a, e_a, m_a) * integer(b, e_b, m_b) for a, b in rows]
    assert [sum(values) for values in simulate(unit, rows, tool)] == expected


@pytest.mark.parametrize("numbers", DOTS, ids=_name)
def test_dot_product_is_exact(numbers: tuple[int, int, int, int, int, int, int], tool: Callable[[str], Path]) -> None:
    lanes, e_a, m_a, e_b, m_b, accumulator, bias = numbers
    unit = minifloat_dot(lanes=lanes, e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b, accumulator=accumulator, bias=bias)
    rows = started(unit) if accumulator else input_rows(unit)

    def add(start: int, row: Mapping[str, int]) -> int:
        left = [integer(code, e_a, m_a) for code in lanes_of(row["a"], lanes, 1 + e_a + m_a)]
        right = [integer(code, e_b, m_b) for code in lanes_of(row["b"], lanes, 1 + e_b + m_b)]
        return int(dots.dot(left, right)) + start

    known = named(unit, rows)
    expected = running(known, lambda start, row: wrapped(add(start, row), accumulator))
    found = [value for (value,) in simulate(unit, rows, tool)]
    assert found == (list(expected) if accumulator else [add(0, row) for row in known])


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="a minifloat dot product has 1 to 1024 lanes, got 0"):
        minifloat_dot(lanes=0, e_a=4, m_a=3, e_b=4, m_b=3)
    with pytest.raises(ValueError, match="accumulator of a minifloat dot product has 1 to 2048 bits, or 0 for none"):
        minifloat_dot(lanes=1, e_a=4, m_a=3, e_b=4, m_b=3, accumulator=2049)
    with pytest.raises(ValueError, match="without an accumulator starts no sums: give accumulator bits or bias = 0"):
        minifloat_dot(lanes=1, e_a=4, m_a=3, e_b=4, m_b=3, bias=1)
