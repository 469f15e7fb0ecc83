"""Words of several integers, lowest first, as units take them side by side; and rows that reach every magnitude."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from hwmodels.rtl.unit import Direction
from kernels.definitions.requantise import requantise_scalar
from kernels.rounding import INTEGER_GRID
from tests.hwmodels.rtl.simulation import RANDOM_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwmodels.rtl.unit import Port, Unit


def fields(word: int, count: int, width: int, signed: int) -> list[int]:
    """The integers of a word."""
    found = [word >> index * width & (1 << width) - 1 for index in range(count)]
    return [value - (1 << width) if signed and value >> width - 1 else value for value in found]


def packed(values: Sequence[int], width: int) -> int:
    """The inverse of `fields`."""
    return sum((value & (1 << width) - 1) << index * width for index, value in enumerate(values))


def cast_of(number: int, unit: Unit, amount: int = 0) -> int:
    """The code the definition gives: its limits are moved by the zero point, which is added after rounding."""
    p = unit.parameters
    low = -(1 << p["output"] - 1) if p["output_signed"] else 0
    high = low + (1 << p["output"]) - 1
    zero = p["zero_point"]
    return zero + requantise_scalar(
        number,
        1,
        shift=p["shift"] + amount,
        low=low - zero,
        high=high - zero,
        rounding=p["rounding"],
        mantissa_bits=INTEGER_GRID,
    )


def spread_rows(unit: Unit, *, seed: int = 0) -> list[tuple[int, ...]]:
    """Random inputs of all magnitudes: as many small ones as large ones, many with a run of zeros at the end.

    Uniform integers of a wide port are nearly all large; whatever rounds and saturates would only be seen saturating.
    """
    chosen = random.Random(seed)
    ports = [port for port in unit.ports if port.direction is Direction.IN]
    return [tuple(_spread(port, chosen) for port in ports) for _ in range(RANDOM_ROWS)]


def _spread(port: Port, chosen: random.Random) -> int:
    bits = port.width - port.signed
    value = chosen.getrandbits(chosen.randint(0, bits)) if bits else 0
    if chosen.random() < 0.5:
        zeros = chosen.randint(0, bits)
        value = value >> zeros << zeros
    return ~value if port.signed and chosen.random() < 0.5 else value
