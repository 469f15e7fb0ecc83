"""What the codes of units mean, by the project's own definitions: the golden values of the units' tests."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TYPE_CHECKING

from hwmodels.rtl.unit import Direction
from kernels.definitions import minifloat
from kernels.fields import SPECIALS_FINITE_NAN, SPECIALS_IEEE, SPECIALS_NONE, SUBNORMALS_GRADUAL, FloatFields
from tests.hwmodels.rtl.simulation import RANDOM_ROWS, input_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hwmodels.rtl.unit import Unit


@lru_cache(maxsize=64)
def fields(
    exponent_bits: int, mantissa_bits: int, *, reserved: int = 0, subnormals: int = SUBNORMALS_GRADUAL
) -> FloatFields:
    """A signed minifloat; ``reserved`` magnitude codes at the top are no finite numbers."""
    specials = {0: SPECIALS_NONE, 1: SPECIALS_FINITE_NAN, 1 << mantissa_bits: SPECIALS_IEEE}[reserved]
    bias = max((1 << exponent_bits >> 1) - 1, 0)
    found = FloatFields(exponent_bits, mantissa_bits, bias, 1, specials, subnormals, 1)
    assert minifloat.largest_magnitude_code(found) == (1 << exponent_bits + mantissa_bits) - 1 - reserved
    return found


@lru_cache(maxsize=1 << 18)
def integer(code: int, exponent_bits: int, mantissa_bits: int) -> int:
    """What a code means, counted in the smallest number; without exponent bits, the two's complement integer."""
    width = 1 + exponent_bits + mantissa_bits
    if exponent_bits == 0:
        return wrapped(code, width)
    negative, magnitude = divmod(code, 1 << width - 1)
    value = minifloat.magnitude_integer(magnitude, fields(exponent_bits, mantissa_bits))
    return -value if negative else value


def lanes_of(word: int, lanes: int, width: int) -> list[int]:
    """The fields of a port that holds several lanes, lane 0 in its lowest bits."""
    return [word >> width * lane & (1 << width) - 1 for lane in range(lanes)]


def wrapped(value: int, bits: int) -> int:
    """A two's complement integer of so many bits."""
    half = 1 << bits - 1
    return (value + half) % (2 * half) - half


def generator(seed: int) -> random.Random:
    """Of test vectors: the same numbers for the same seed."""
    return random.Random(seed)


def named(unit: Unit, rows: Iterable[tuple[int, ...]]) -> list[dict[str, int]]:
    """Rows of inputs by the names of their ports."""
    names = [port.name for port in unit.ports if port.direction is Direction.IN]
    return [dict(zip(names, row, strict=True)) for row in rows]


def started(unit: Unit, *, seed: int = 0) -> list[tuple[int, ...]]:
    """Random rows for a unit with ``enable`` and ``first``: the first row starts a sum, later ones as they come."""
    names = [port.name for port in unit.ports if port.direction is Direction.IN]
    first, *rest = generator(seed).choices(input_rows(unit), k=RANDOM_ROWS)
    return [tuple(1 if name in ("enable", "first") else value for name, value in zip(names, first, strict=True)), *rest]


def running(rows: Iterable[Mapping[str, int]], add: Callable[[int, Mapping[str, int]], int]) -> Iterator[int]:
    """The register of an accumulator after each row: ``add`` makes the next sum of a start and a row."""
    total = 0
    for row in rows:
        if row["enable"]:
            total = add(row.get("bias", 0) if row["first"] else total, row)
        yield total
