"""Comparisons on a carry chain, two bits a LUT; and what is made of them: largest values, thresholds, level searches.

A digit of two bits decides, by itself, that ``x`` is larger, that it is smaller, or nothing; the two functions that say
so read four signals and share a LUT6, and the chain carries the decision of the highest digit that makes one.
"""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.activations import columns
from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwmodels.rtl.unit import Unit

MAXIMUM: Final = "maximum"
THRESHOLDS: Final = "thresholds"
LEVEL_SEARCH: Final = "level search"
MAXIMUM_BITS: Final = 64
MAXIMUM_INPUTS: Final = 256
MAXIMUM_LEVELS: Final = 1023
MAXIMUM_CODE_BITS: Final = 10


def digits(bits: int) -> int:
    """LUTs of a comparison of two integers of so many bits.

    >>> digits(8), digits(9)
    (4, 5)
    """
    return -(-bits // 2)


def maximum(*, inputs: int, width: int, signed: int = 1, running: int = 0) -> Unit:
    """The largest of several integers, by a binary tree of comparisons with a register behind every level.

    Input 0 is in the lowest bits of the port ``x``; words move on in cycles with ``enable``. A running maximum goes on
    over cycles: its last register ``best`` takes the largest of itself and the inputs, or of the inputs alone if
    ``first`` came with them.

    Args:
        inputs: at once, 1 to 256; at least 2 unless it is running.
        width: bits of each, 1 to 64.
        signed: 1 if they are two's complement, else 0.
        running: 1 to keep the maximum over cycles.

    Raises:
        ValueError: if a number is out of range.

    >>> maximum(inputs=4, width=8).latency, maximum(inputs=4, width=8, running=1).latency
    (2, 3)
    """
    _check("width", width, 1, MAXIMUM_BITS)
    _check("inputs", inputs, 1 if running else 2, MAXIMUM_INPUTS)
    levels = _levels(inputs)
    control = [Port(name="enable", width=1, direction=Direction.IN)]
    if running:
        control.append(Port(name="first", width=1, direction=Direction.IN))
    return render(
        "maximum.v",
        family=MAXIMUM,
        parameters={
            "inputs": inputs,
            "width": width,
            "signed": int(bool(signed)),
            "running": int(bool(running)),
        },
        ports=(
            Port(name="x", width=inputs * width, direction=Direction.IN),
            *control,
            Port(name="best", width=width, direction=Direction.OUT, signed=bool(signed)),
        ),
        latency=len(levels) + bool(running),
        levels=levels,
        digits=digits(width),
    )


def maximum_structure(*, inputs: int, width: int, signed: int = 1, running: int = 0) -> dict[str, float]:
    """Digits compared, pairs of two-to-one multiplexers, comparisons, and registers.

    >>> maximum_structure(inputs=4, width=8)
    {'digits': 12, 'pairs': 12.0, 'comparisons': 3, 'firsts': 0, 'register_bits': 24}
    """
    del signed
    running = int(bool(running))
    levels = _levels(inputs)
    # A bit that waits for three cycles does so in a shift register.
    shifts = len(levels) > 2
    return {
        "digits": (inputs - 1 + running) * digits(width),
        "pairs": (inputs - 1) * width / 2,
        "comparisons": inputs - 1 + running,
        "firsts": running * (inputs > 1),
        "register_bits": sum(map(len, levels)) * width + running * (width + (0 if shifts else len(levels))),
    }


def thresholds(*, levels: int, width: int, signed: int = 1) -> Unit:
    """How many of ``levels`` thresholds ``x`` reaches (``x >= t``), all compared at once; combinational.

    Threshold 0 is in the lowest bits of the port ``thresholds``; they must ascend, as those of every monotone function
    do, so the comparisons that hold are the lowest ones and multiplexers count them.

    Args:
        levels: thresholds, 1 to 1023.
        width: bits of ``x`` and of each threshold, 1 to 64.
        signed: 1 if they are two's complement, else 0.

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in thresholds(levels=15, width=20).ports]
    [('x', 20), ('thresholds', 300), ('y', 4)]
    """
    _check("levels", levels, 1, MAXIMUM_LEVELS)
    _check("width", width, 1, MAXIMUM_BITS)
    return render(
        "thresholds.v",
        family=THRESHOLDS,
        parameters={"levels": levels, "width": width, "signed": int(bool(signed))},
        ports=(
            Port(name="x", width=width, direction=Direction.IN, signed=bool(signed)),
            Port(name="thresholds", width=levels * width, direction=Direction.IN),
            Port(name="y", width=levels.bit_length(), direction=Direction.OUT),
        ),
        digits=digits(width),
        code_bits=levels.bit_length(),
    )


def thresholds_structure(*, levels: int, width: int, signed: int = 1) -> dict[str, float]:
    """Digits compared, comparisons, and multiplexers that count.

    >>> thresholds_structure(levels=15, width=20)
    {'digits': 150, 'comparisons': 15, 'choices': 11}
    """
    del signed
    return {
        "digits": levels * digits(width),
        "comparisons": levels,
        "choices": levels - levels.bit_length(),
    }


def level_search(*, code_bits: int, width: int, signed: int = 1, seed: int = 1) -> Unit:
    """How many of ``2**code_bits - 1`` constant thresholds ``x`` reaches: a binary search, one bit of the code a cycle.

    Each stage reads its threshold from a table of as many as the stages before have told apart. A new ``x`` enters in
    every cycle with ``enable``.

    Args:
        code_bits: of the result, 1 to 10.
        width: bits of ``x``, at least as many, up to 64.
        signed: 1 if ``x`` is two's complement, else 0.
        seed: of the pseudo-random thresholds, see `seeded_thresholds`.

    Raises:
        ValueError: if a number is out of range.

    >>> level_search(code_bits=4, width=12).latency
    4
    """
    held = seeded_thresholds(code_bits, width, signed, seed)
    mask = (1 << width) - 1
    return render(
        "level_search.v",
        family=LEVEL_SEARCH,
        parameters={"code_bits": code_bits, "width": width, "signed": int(bool(signed)), "seed": seed},
        ports=(
            Port(name="enable", width=1, direction=Direction.IN),
            Port(name="x", width=width, direction=Direction.IN, signed=bool(signed)),
            Port(name="y", width=code_bits, direction=Direction.OUT),
        ),
        latency=code_bits,
        digits=digits(width),
        tables=[columns([value & mask for value in table], width) for table in search_tables(held)],
    )


@lru_cache(maxsize=1 << 12)
def level_search_structure(*, code_bits: int, width: int, signed: int = 1, seed: int = 1) -> dict[str, float]:
    """Digits compared, tables of thresholds, and registers.

    Up to the fourth stage a digit of ``x`` and the bits found so far are five inputs, so that the table vanishes in the
    LUT that compares; in the fifth they are six, and the LUT holds one of its two functions. Later tables are memories.

    >>> found = level_search_structure(code_bits=4, width=12)
    >>> found["digits"], found["tables"], found["register_bits"]
    (24, 0, 46)
    """
    del signed, seed
    _check("code_bits", code_bits, 1, MAXIMUM_CODE_BITS)
    return {
        "digits": (code_bits + (code_bits > 4)) * digits(width),
        "tables_of_32": width * (code_bits > 5),
        "tables": sum(width << stage - 6 for stage in range(6, code_bits)),
        "comparisons": code_bits,
        "register_bits": sum(width + stage for stage in range(1, code_bits)) + code_bits,
    }


def seeded_thresholds(code_bits: int, width: int, signed: int, seed: int) -> list[int]:
    """Pseudo-random ascending thresholds, the same for the same numbers everywhere.

    Raises:
        ValueError: if a number is out of range.

    >>> len(seeded_thresholds(3, 8, 1, 1))
    7
    """
    _check("code_bits", code_bits, 1, MAXIMUM_CODE_BITS)
    _check("width", width, code_bits, MAXIMUM_BITS)
    low = -(1 << width - 1) if signed else 0
    chosen = random.Random(seed)  # noqa: S311 - stands for content, hides nothing
    found: set[int] = set()
    while len(found) < (1 << code_bits) - 1:
        found.add(low + chosen.getrandbits(width))
    return sorted(found)


def search_tables(levels: Sequence[int]) -> list[list[int]]:
    """The thresholds that each stage of a binary search compares with, by the bits found so far.

    >>> search_tables([10, 20, 30, 40, 50, 60, 70])
    [[40], [20, 60], [10, 30, 50, 70]]
    """
    count = len(levels) + 1
    tables = []
    span = count
    while span > 1:
        tables.append(list(levels[span // 2 - 1 :: span]))
        span //= 2
    return tables


@lru_cache(maxsize=1 << 10)
def _levels(inputs: int) -> list[list[tuple[str, str, str]]]:
    """Registers of a tree by level: name, and the two it is the larger of; one that only waits has no second.

    Halves are halved again, so that nothing waits for more than a cycle: longer waits would become shift registers.
    """
    depth = (inputs - 1).bit_length()
    found: list[list[tuple[str, str, str]]] = [[] for _ in range(depth)]

    def largest(first: int, count: int, level: int) -> str:
        """The name of what holds the largest of some inputs after ``level`` levels."""
        if level == 0:
            return f"x{first}"
        name = f"best{level}_{first}"
        half = (count + 1) // 2
        if count <= 1 << level - 1:
            found[level - 1].append((name, largest(first, count, level - 1), ""))
        else:
            parts = (largest(first, half, level - 1), largest(first + half, count - half, level - 1))
            found[level - 1].append((name, *parts))
        return name

    largest(0, inputs, depth)
    return found


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} of a comparison must be {least} to {most}, got {value}")
