"""Shifters in place of multipliers, against the integers that the codes of `KHot` formats mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulation.formats import KHot
from emulation.formats.tables import k_hot
from hwmodels.rtl.powers_of_two import k_hot_multiplier, power_dot, power_lane, power_multiplier
from tests.hwmodels.rtl.meanings import lanes_of, named, running, started, wrapped
from tests.hwmodels.rtl.simulation import input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SHAPES = [(4, 1), (1, 3), (8, 3), (8, 7), (5, 4), (8, 15), (12, 6), (16, 7)]


def _meaning(places: int) -> tuple[int | None, ...]:
    return KHot(terms=(tuple(range(places)),)).integers


@pytest.mark.parametrize("signed", [0, 1], ids=["unsigned", "signed"])
@pytest.mark.parametrize(("width", "places"), SHAPES)
def test_power_multiplier_and_lanes(width: int, places: int, signed: int, tool: Callable[[str], Path]) -> None:
    meaning = _meaning(places)
    unit = power_multiplier(width=width, places=places, x_signed=signed)
    rows = [(x, code) for x, code in input_rows(unit) if meaning[code] is not None]
    expected = [x * (meaning[code] or 0) for x, code in rows]
    assert [value for (value,) in simulate(unit, rows, tool)] == expected
    for exact in (0, 1):
        lane = power_lane(width=width, places=places, x_signed=signed, exact=exact)
        assert [sum(values) for values in simulate(lane, rows, tool)] == expected


@pytest.mark.parametrize("signed", [0, 1], ids=["unsigned", "signed"])
@pytest.mark.parametrize(
    ("width", "terms", "places"), [(4, 2, 3), (6, 2, 8), (8, 2, 8), (8, 3, 3), (5, 4, 3), (4, 3, 2)]
)
def test_k_hot_multiplier(width: int, terms: int, places: int, signed: int, tool: Callable[[str], Path]) -> None:
    meaning = k_hot(terms, places).integers
    unit = k_hot_multiplier(width=width, terms=terms, places=places, x_signed=signed)
    rows = [(x, code) for x, code in input_rows(unit) if meaning[code] is not None]
    assert len(rows) > 1000
    assert [value for (value,) in simulate(unit, rows, tool)] == [x * (meaning[code] or 0) for x, code in rows]


@pytest.mark.parametrize(("lanes", "accumulator", "bias"), [(1, 20, 0), (4, 24, 1), (5, 0, 0), (3, 12, 0)])
def test_dot_product_adds_up(lanes: int, accumulator: int, bias: int, tool: Callable[[str], Path]) -> None:
    width, places = 6, 7
    meaning = _meaning(places)
    unit = power_dot(lanes=lanes, width=width, places=places, accumulator=accumulator, bias=bias)
    rows = started(unit) if accumulator else input_rows(unit)

    def add(start: int, row: Mapping[str, int]) -> int:
        pairs = zip(lanes_of(row["a"], lanes, width), lanes_of(row["b"], lanes, 4), strict=True)
        return start + sum(wrapped(x, width) * (meaning[code] or 0) for x, code in pairs)

    known = named(unit, rows)
    expected = running(known, lambda start, row: wrapped(add(start, row), accumulator))
    found = [value for (value,) in simulate(unit, rows, tool)]
    assert found == (list(expected) if accumulator else [add(0, row) for row in known])


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="takes integers of 1 to 64 bits, got 65"):
        power_multiplier(width=65, places=3)
    with pytest.raises(ValueError, match="a code of powers of two has 1 to 31 places, got 0"):
        power_multiplier(width=8, places=0)
    with pytest.raises(ValueError, match="a K-hot multiplier has 2 to 8 terms, got 1"):
        k_hot_multiplier(width=8, terms=1, places=3)
