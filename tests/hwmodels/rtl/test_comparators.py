"""Largest values, thresholds and level searches against Python integers."""

from __future__ import annotations

import random
from bisect import bisect_right
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.comparators import level_search, maximum, seeded_thresholds, thresholds
from tests.hwmodels.rtl.packing import fields, packed
from tests.hwmodels.rtl.simulation import RANDOM_ROWS, input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIGNED = pytest.mark.parametrize("signed", [0, 1], ids=["unsigned", "signed"])


@SIGNED
@pytest.mark.parametrize("widths", [(2, 1), (2, 7), (2, 8), (3, 5), (5, 9), (9, 8)], ids=str)
def test_maximum(widths: tuple[int, int], signed: int, tool: Callable[[str], Path]) -> None:
    inputs, width = widths
    unit = maximum(inputs=inputs, width=width, signed=signed)
    words = [word for word, enable in input_rows(unit) if enable]
    rows = [(word, 1) for word in words]
    assert simulate(unit, rows, tool) == [(max(fields(word, inputs, width, signed)),) for word in words]


@SIGNED
@pytest.mark.parametrize("widths", [(1, 8), (2, 5), (5, 8)], ids=str)
def test_running_maximum(widths: tuple[int, int], signed: int, tool: Callable[[str], Path]) -> None:
    inputs, width = widths
    unit = maximum(inputs=inputs, width=width, signed=signed, running=1)
    chosen = random.Random(1)
    depth = unit.latency
    # The tree is filled first. Words behind the last one repeat it, which changes no maximum.
    rows = [(chosen.getrandbits(inputs * width), 1, 1) for _ in range(depth)]
    rows += [
        (chosen.getrandbits(inputs * width), int(chosen.random() < 0.8), int(chosen.random() < 0.1))
        for _ in range(RANDOM_ROWS)
    ]
    moved = [*rows, *[rows[-1]] * (depth - 1)]
    entered: list[tuple[int, int]] = []
    expected, best = [], 0
    for index, (word, enable, first) in enumerate(moved):
        if enable:
            entered.append((max(fields(word, inputs, width, signed)), first))
            if len(entered) >= depth:
                largest, starts = entered[-depth]
                best = largest if starts else max(best, largest)
        if index >= depth - 1:
            expected.append((best,))
    assert simulate(unit, rows, tool) == expected


@SIGNED
@pytest.mark.parametrize("widths", [(1, 6), (2, 7), (3, 8), (7, 12), (10, 5), (15, 20)], ids=str)
def test_thresholds(widths: tuple[int, int], signed: int, tool: Callable[[str], Path]) -> None:
    levels, width = widths
    unit = thresholds(levels=levels, width=width, signed=signed)
    chosen = random.Random(levels)
    rows, expected = [], []
    for _ in range(RANDOM_ROWS):
        held = sorted(fields(chosen.getrandbits(levels * width), levels, width, signed))
        # Half of the numbers lie at a threshold, where it matters.
        near = chosen.choice(held) - chosen.randrange(2)
        low = -(1 << width - 1) if signed else 0
        x = near if chosen.random() < 0.5 and near >= low else low + chosen.getrandbits(width)
        rows.append((x, packed(held, width)))
        expected.append((bisect_right(held, x),))
    assert simulate(unit, rows, tool) == expected


@SIGNED
@pytest.mark.parametrize("widths", [(1, 5), (2, 8), (4, 12), (6, 9), (7, 16)], ids=str)
def test_level_search(widths: tuple[int, int], signed: int, tool: Callable[[str], Path]) -> None:
    code_bits, width = widths
    unit = level_search(code_bits=code_bits, width=width, signed=signed)
    held = seeded_thresholds(code_bits, width, signed, 1)
    low = -(1 << width - 1) if signed else 0
    rows = [(1, low + value) for value in range(1 << width)]
    assert simulate(unit, rows, tool) == [(bisect_right(held, x),) for _, x in rows]


def test_a_level_search_waits_without_enable(tool: Callable[[str], Path]) -> None:
    unit = level_search(code_bits=3, width=8)
    held = seeded_thresholds(3, 8, 1, 1)
    chosen = random.Random(2)
    rows = [(int(index < 3 or chosen.random() < 0.5), chosen.randrange(-128, 128)) for index in range(2000)]
    rows.append((0, 0))
    # The output beside row i is read when rows up to i + 2 have entered.
    entered = [x for _, x in rows[:2]]
    expected = []
    for enable, x in [*rows[2:], rows[-1], rows[-1]]:
        if enable:
            entered.append(x)
        expected.append((bisect_right(held, entered[-3]),))
    assert simulate(unit, rows, tool) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: maximum(inputs=1, width=8), "inputs of a comparison must be 2 to 256, got 1"),
        (lambda: maximum(inputs=2, width=0), "width of a comparison must be 1 to 64, got 0"),
        (lambda: thresholds(levels=0, width=8), "levels of a comparison must be 1 to 1023, got 0"),
        (lambda: level_search(code_bits=11, width=16), "code_bits of a comparison must be 1 to 10, got 11"),
        (lambda: level_search(code_bits=4, width=3), "width of a comparison must be 4 to 64, got 3"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
