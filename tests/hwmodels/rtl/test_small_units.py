"""Shifters, ReLU, tables and written memories against Python integers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.activations import relu, seeded_entries, table_activation
from hwmodels.rtl.memories import written_memory
from hwmodels.rtl.shifters import barrel_shifter
from tests.hwmodels.rtl.packing import fields
from tests.hwmodels.rtl.simulation import RANDOM_ROWS, input_rows, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(("right", "signed"), [(0, 0), (0, 1), (1, 0), (1, 1)], ids=["ul", "sl", "ur", "sr"])
@pytest.mark.parametrize("widths", [(1, 1), (4, 3), (8, 2), (8, 5), (11, 4), (48, 5), (24, 8)], ids=str)
def test_barrel_shifter(widths: tuple[int, int], right: int, signed: int, tool: Callable[[str], Path]) -> None:
    width, amount_bits = widths
    unit = barrel_shifter(width=width, amount_bits=amount_bits, right=right, signed=signed)
    rows = input_rows(unit)
    shifted = [x >> amount if right else x << amount for x, amount in rows]
    assert simulate(unit, rows, tool) == [tuple(fields(value, 1, width, signed)) for value in shifted]


@pytest.mark.parametrize("width", [2, 3, 8, 16, 32])
def test_relu(width: int, tool: Callable[[str], Path]) -> None:
    unit = relu(width=width)
    rows = input_rows(unit)
    assert simulate(unit, rows, tool) == [(max(x, 0),) for (x,) in rows]


@pytest.mark.parametrize("widths", [(1, 1), (3, 8), (6, 5), (8, 8), (10, 9)], ids=str)
def test_table_activation(widths: tuple[int, int], tool: Callable[[str], Path]) -> None:
    index, entry = widths
    unit = table_activation(index=index, entry=entry, seed=3)
    held = seeded_entries(index, entry, 3)
    assert simulate(unit, input_rows(unit), tool) == [(word,) for word in held]


def test_table_of_given_content(tool: Callable[[str], Path]) -> None:
    squares = [code * code for code in range(16)]
    unit = table_activation(index=4, entry=8, content=squares)
    assert simulate(unit, input_rows(unit), tool) == [(word,) for word in squares]
    assert unit.module != table_activation(index=4, entry=8, content=squares[::-1]).module


@pytest.mark.parametrize("memory", [0, 1], ids=["lut", "block"])
@pytest.mark.parametrize("depth", [2, 7, 64, 100])
def test_written_memory(depth: int, memory: int, tool: Callable[[str], Path]) -> None:
    unit = written_memory(depth=depth, width=6, memory=memory)
    chosen = random.Random(depth)
    held = [chosen.getrandbits(6) for _ in range(depth)]
    rows = [(1, address, word, 0, 0) for address, word in enumerate(held)]
    rows.append((0, 0, 0, 1, depth - 1))
    found = held[-1]
    expected = [found]
    for _ in range(RANDOM_ROWS):
        write, read = chosen.getrandbits(1), chosen.getrandbits(1)
        writing, reading, word = chosen.randrange(depth), chosen.randrange(depth), chosen.getrandbits(6)
        # A word that is read in the cycle it is written may be either; the test does not look at such.
        read &= not (write and writing == reading)
        found = held[reading] if read else found
        if write:
            held[writing] = word
        rows.append((write, writing, word, int(read), reading))
        expected.append(found)
    # While it is filled the register holds nothing; the bench reads it from the first word that was fetched.
    read_rows = simulate(unit, rows, tool, skip=depth)
    assert read_rows == [(word,) for word in expected]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: barrel_shifter(width=0, amount_bits=1), "width of a shifter must be 1 to 256 bits, got 0"),
        (lambda: barrel_shifter(width=8, amount_bits=9), "amount_bits of a shifter must be 1 to 8, got 9"),
        (lambda: relu(width=1), "width of a ReLU must be 2 to 128 bits, got 1"),
        (lambda: table_activation(index=11, entry=8), "index of a table must be 1 to 10 bits, got 11"),
        (lambda: table_activation(index=2, entry=4, content=[1, 2]), "indexed by 2 bits has 4 entries, got 2"),
        (
            lambda: table_activation(index=1, entry=4, content=[1, 16]),
            "entries of 4 bits are codes of 0 to 15, got 16",
        ),
        (lambda: written_memory(depth=1, width=8), "depth of a memory must be 2 to 65536 words, got 1"),
        (lambda: written_memory(depth=4, width=0), "width of a memory must be 1 to 8192 bits, got 0"),
        (lambda: written_memory(depth=4, width=8, memory=2), r"must be 0 \(LUTs\) or 1 \(block RAM\), got 2"),
    ],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
