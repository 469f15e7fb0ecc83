"""The arithmetic that a manifest names, as its words say it: integers and exact quotients.

This shares no code with `emulation` and `kernels`, so that it can tell whether what they wrote is right. Numbers are
Python integers or arrays of them (int64 where all intermediate numbers fit, else object), and the exact number meant is
always ``numerator / denominator`` with a denominator above 0.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Numbers: TypeAlias = Any
"""An integer, or an array of integers."""
Rule: TypeAlias = Mapping[str, Any]
"""A part of a manifest."""

_INT64: Final = 62
"""Bits below which sums are exact in int64."""
_UP_AT_TIES: Final[Mapping[str, Callable[[Numbers], Numbers]]] = {
    "half-even": lambda floor: floor % 2 == 1,
    "half-up": lambda _: True,
    "half-away": lambda floor: floor >= 0,
    "half-down": lambda _: False,
    "half-toward-zero": lambda floor: floor < 0,
}
"""Whether a number halfway above an integer goes up."""
_UP: Final[Mapping[str, Callable[[Numbers, Numbers], Numbers]]] = {
    "floor": lambda *_: 0,
    "ceiling": lambda _, rest: rest > 0,
    "toward-zero": lambda floor, rest: (floor < 0) & (rest > 0),
}
"""Whether a number goes up, for rules without ties, by its floor and what lies above that."""


def largest(values: NDArray[Any]) -> int:
    """The largest magnitude."""
    return max(abs(int(values.max())), abs(int(values.min()))) if values.size else 0


def fitting(values: NDArray[Any], bound: int) -> NDArray[Any]:
    """The values in int64 if numbers up to the bound fit, else as Python integers."""
    return values.astype(np.int64 if bound < 1 << _INT64 else object)


def rounded(numerator: Numbers, denominator: Numbers, rounding: str) -> Numbers:
    """A quotient rounded to an integer.

    >>> [rounded(n, 2, "half-even") for n in (-3, -1, 1, 3)], [rounded(n, 2, "toward-zero") for n in (-3, 3)]
    ([-2, 0, 0, 2], [-1, 1])
    """
    floor: Numbers = numerator // denominator
    rest = numerator - floor * denominator
    if rounding in _UP:
        return floor + _UP[rounding](floor, rest)
    twice = 2 * rest
    return floor + ((twice > denominator) | ((twice == denominator) & _UP_AT_TIES[rounding](floor)))


def on_grid(numerator: Numbers, denominator: Numbers, rule: Rule) -> Numbers:
    """A quotient on a rule's ``grid``, once, then saturated between ``low`` and ``high``.

    The grid is ``integer``, ``mantissa_bits`` behind the leading one (less than ``least`` is 0 then), or ``levels``.

    >>> on_grid(11, 1, {"grid": {"mantissa_bits": 1}, "low": -12, "high": 12, "rounding": "half-even"})
    12
    """
    grid, low, high = rule["grid"], rule["low"], rule["high"]
    if grid == "integer":
        return _between(rounded(numerator, denominator, rule["rounding"]), low, high)
    if "levels" in grid:
        return _between(_level(numerator, denominator, grid["levels"]), low, high)
    spacing = _bit_length(abs(numerator) // denominator) - 1 - grid["mantissa_bits"]
    step = 2 ** _between(spacing, 0, None)
    number = rounded(numerator, denominator * step, rule["rounding"]) * step
    return _between(number * (abs(number) >= grid.get("least", 1)), low, high)


def _between(numbers: Numbers, low: int | None, high: int | None) -> Numbers:
    if isinstance(numbers, np.ndarray):
        return np.clip(numbers, low, high)
    number = numbers if low is None else max(numbers, low)
    return number if high is None else min(number, high)


def _bit_length(numbers: Numbers) -> Numbers:
    if isinstance(numbers, np.ndarray):
        return np.frompyfunc(lambda number: int(number).bit_length(), 1, 1)(numbers)
    return int(numbers).bit_length()


def _level(numerator: Numbers, denominator: Numbers, levels: Sequence[int]) -> Numbers:
    """The nearest level; midpoints to the smaller magnitude, between two opposite numbers the positive one."""
    found = numerator * 0 + levels[0]
    for below, above in itertools.pairwise(levels):
        middle = (below + above) * denominator
        passed = 2 * numerator >= middle if abs(above) <= abs(below) else 2 * numerator > middle
        found = found + passed * (above - below)
    return found


def power(exponent: int) -> Fraction:
    """``2**exponent``.

    >>> power(-3)
    Fraction(1, 8)
    """
    return Fraction(2) ** exponent


def lmul(left: int, right: int, kind: Rule) -> int:
    """L-Mul of two integers; significands are taken apart by their leading ones."""
    wide = max(kind["mantissa_bits"])
    exponent, fraction = 0, 1 << (wide - kind["offset_exponent"])
    for value, bits in zip((left, right), kind["mantissa_bits"], strict=True):
        magnitude = abs(value)
        if magnitude < 1 << bits:
            return 0
        moved = magnitude.bit_length() - 1 - bits
        exponent += moved
        fraction += (magnitude // (1 << moved) - (1 << bits)) * (1 << (wide - bits))
    if kind["kind"] != "l-mul-formula":
        exponent, fraction = exponent + fraction // (1 << wide), fraction % (1 << wide)
    magnitude = ((1 << wide) + fraction) << exponent
    if kind["kind"] == "l-mul-field-clamped":
        counted = Fraction(magnitude) / power(kind["exponent_low"])
        magnitude = 0 if counted < 1 << wide else min(int(counted), kind["largest"])
    return magnitude if (left > 0) == (right > 0) else -magnitude


def add_up(parts: Sequence[Numbers], denominator: int, bias: Numbers, rule: Rule) -> Numbers:
    """The content of a register that takes ``parts / denominator`` one after the other, cast after each.

    >>> saturated = {"order": "ascending", "overflow": "SAT", "grid": "integer", "low": -8, "high": 7}
    >>> saturated |= {"rounding": "half-even"}
    >>> add_up([6, 5, -5], 1, 0, saturated), add_up([6, 5, -5], 1, 0, saturated | {"overflow": "WRAP"})
    (2, 6)
    """
    if rule["order"] == "ascending":
        total = bias
        for part in parts:
            total = _into_register(total * denominator + part, denominator, rule)
        return total
    parts = list(parts)
    while len(parts) > 1:
        pairs = [
            _into_register(a + b, denominator, rule) * denominator
            for a, b in zip(parts[::2], parts[1::2], strict=False)
        ]
        parts = pairs + parts[2 * len(pairs) :]
    return _into_register(bias * denominator + parts[0], denominator, rule)


def _into_register(numerator: Numbers, denominator: int, rule: Rule) -> Numbers:
    if rule["overflow"] == "WRAP":
        span = rule["high"] - rule["low"] + 1
        return (rounded(numerator, denominator, rule["rounding"]) - rule["low"]) % span + rule["low"]
    return on_grid(numerator, denominator, rule)


def block_cast(numbers: Sequence[Fraction], grid: Rule, rounding: str) -> tuple[list[int], Fraction]:
    """The elements of a block and its scale."""
    largest, element, rule = max(map(abs, numbers)), grid["element"], grid["scale"]
    if "levels" in rule:
        wanted = largest / element["high"] / power(rule["unit_exponent"])
        levels = rule["levels"]
        best = min(range(len(levels)), key=lambda place: (abs(levels[place] - wanted), (place + 1) % 2))
        scale = levels[best] * power(rule["unit_exponent"])
    else:
        exponent = rule["lowest_exponent"]
        if largest:
            leading = _leading_exponent(largest)
            exponent = min(max(leading - grid["top"], rule["lowest_exponent"]), rule["highest_exponent"])
        scale = power(exponent)
    quotients = [number / scale for number in numbers]
    cast = element | {"rounding": rounding}
    return [int(on_grid(one.numerator, one.denominator, cast)) for one in quotients], scale


def _leading_exponent(number: Fraction) -> int:
    """The exponent of the leading one of a number above 0."""
    exponent = number.numerator.bit_length() - number.denominator.bit_length()
    return exponent if power(exponent) <= number else exponent - 1


def softmax(row: Sequence[int], constants: Rule) -> list[int]:
    """A row of integer softmax; `kernels.integer_constants` says what the constants mean."""
    exponentials = []
    for value in row:
        below = min(max(row) - value, constants["lowest"]) << constants["shift"]
        halvings, rest = divmod(below, constants["log_two"])
        square = (constants["offset"] - rest) ** 2 + constants["constant"]
        exponentials.append(square >> (constants["drop"] + halvings))
    reciprocal = (1 << constants["reciprocal_bits"]) // sum(exponentials)
    return [value * reciprocal for value in exponentials]


def layer_norm(row: Sequence[int], constants: Rule) -> list[int]:
    """A row of integer layer norm, before gains and offsets."""
    shifted = [value << constants["fraction_bits"] for value in row]
    mean = (2 * sum(shifted) + len(row)) // (2 * len(row))
    variance = sum((value - mean) ** 2 for value in shifted) // len(row) + constants["epsilon"]
    reciprocal = (1 << constants["reciprocal_bits"]) // max(math.isqrt(variance), 1)
    return [(value - mean) * reciprocal for value in shifted]
