"""Alignment: a number moved left by a run-time amount, as many columns of the result as are needed.

Two binary digits of the amount are one four-to-one multiplexer, a LUT a bit; a last odd digit is a two-to-one
multiplexer, two bits in a LUT. Small digits move first, so that a stage is only as wide as its number can have grown,
and columns that nobody reads later are never made. Numbers that can be negative are filled with their sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from hwmodels.rtl.signals import Signal, operand

MAXIMUM_PLACES: Final = 1024
DUAL_OUTPUT_INPUTS: Final = 5
"""Signals that two functions in one LUT6 may read together (UG474, UG574)."""


COLUMN_LUTS: Final = (0.67, 0.85, 1.15, 0.45)
"""LUTs of a column that chooses among two, three or four numbers, and of one at an end.

Least squares over 51 power-of-two multipliers of 3 to 16 bits and 2 to 15 places (xcup, Yosys 0.70 without a clock to
meet; median error 3 %), whose negation is a chain of known length."""


class Order(Enum):
    """Which digits of the amount move first."""

    SMALL_FIRST = "small first"
    """Best where all columns are needed: early stages are narrow, because nothing has moved far."""
    LARGE_FIRST = "large first"
    """Best where few columns are needed: late stages are narrow, because nothing can move far any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Bits ``low`` to ``high - 1`` of a number, on a wire whose bit 0 is column ``low``."""

    name: str
    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """Columns of multiplexers by what they choose among; those of two or more digits with at most two signals apart.

    What the end of a number and the bits it leaves behind make of a multiplexer takes fewer LUTs than a whole one.
    """

    two: int = 0
    three: int = 0
    four: int = 0
    ends: int = 0

    @property
    def luts(self) -> float:
        """LUTs of all columns, by `COLUMN_LUTS`."""
        two, three, four, ends = COLUMN_LUTS
        return two * self.two + three * self.three + four * self.four + ends * self.ends

    def __add__(self, other: Kinds) -> Kinds:
        return Kinds(
            two=self.two + other.two,
            three=self.three + other.three,
            four=self.four + other.four,
            ends=self.ends + other.ends,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One multiplexer: its wire, and what it chooses among, by the value of its digits of the amount.

    Attributes:
        name: of the wire.
        width: of the wire.
        digit: the lowest digit of the amount it reads; it reads another one if it has more than two choices.
        choices: Verilog expressions; two, three or four.
        cells: LUTs, two-output packing counted.
        kinds: how many columns read how much.
        single_columns: those that read one bit of the number, or none beside its sign: the others are filled with 0.
        shared_columns: those that choose among several bits.
    """

    name: str
    width: int
    digit: int
    choices: tuple[str, ...]
    cells: float
    kinds: Kinds
    single_columns: int
    shared_columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """The stages of an aligner.

    Attributes:
        stages: in order of evaluation.
        amount: name of the amount's wire.
        result: ``value << amount`` without the columns below ``first``.
    """

    stages: tuple[Stage, ...]
    amount: str
    result: Signal

    @property
    def cells(self) -> float:
        """LUTs of all multiplexers."""
        return sum(stage.cells for stage in self.stages)

    @property
    def single_columns(self) -> int:
        """Columns of the last multiplexer that read one bit."""
        return self.stages[-1].single_columns

    @property
    def shared_columns(self) -> int:
        """Columns of the last multiplexer that choose among several bits."""
        return self.stages[-1].shared_columns

    @property
    def all_single_columns(self) -> int:
        """Columns of all multiplexers that read one bit."""
        return sum(stage.single_columns for stage in self.stages)

    @property
    def all_shared_columns(self) -> int:
        """Columns of all multiplexers that choose among several bits."""
        return sum(stage.shared_columns for stage in self.stages)

    @property
    def inner_columns(self) -> int:
        """Columns of all multiplexers but the last."""
        return sum(stage.single_columns + stage.shared_columns for stage in self.stages[:-1])

    @property
    def kinds(self) -> Kinds:
        """Columns of all multiplexers."""
        return sum((stage.kinds for stage in self.stages), start=Kinds())


def align(
    value: Signal,
    amount: str,
    *,
    most: int,
    first: int = 0,
    columns: int | None = None,
    order: Order = Order.SMALL_FIRST,
    prefix: str = "align",
) -> Alignment:
    """``floor(value * 2**amount / 2**first)``, modulo ``2**columns`` if the number of columns is given.

    Args:
        value: what is moved.
        amount: name of a wire of ``most.bit_length()`` bits that is never above ``most``.
        most: greatest amount.
        first: lowest column of the result.
        columns: of the result; as many as there are unless given.
        order: which digits of the amount move first.
        prefix: of the names of the wires.

    >>> found = align(operand("x", 4, signed=False), "by", most=3)
    >>> found.result.width, found.cells
    (7, 6.0)
    """
    full = value.width + most
    last = full if columns is None else first + columns
    now = _Columns(name=value.name, low=0, high=value.width)
    stages: list[Stage] = []
    groups = _digit_groups(most)
    if order is Order.LARGE_FIRST:
        groups.reverse()
    done = 0
    for digit, count in groups:
        done |= (1 << count) - 1 << digit
        shifts = [step << digit for step in range(1 << count) if step << digit <= most]
        reached, beyond = _largest(most, done), _largest(most, ~done & (1 << most.bit_length()) - 1)
        low = max(first - beyond, 0)
        after = _Columns(
            name=f"{prefix}{len(stages)}",
            low=low,
            high=max(min(value.width + reached, last), low + 1) if beyond else last,
        )
        single, shared = _columns_read(now, shifts, after, signed=value.signed)
        stages.append(
            Stage(
                name=after.name,
                width=after.high - after.low,
                digit=digit,
                choices=tuple(_moved(now, shift, after, signed=value.signed) for shift in shifts),
                cells=_cells(now, shifts, after),
                kinds=_kinds(now, shifts, after),
                single_columns=single,
                shared_columns=shared,
            )
        )
        now = after
    if first == 0 and last == full:
        result = Signal(name=now.name, low=min(value.low << most, 0), high=value.high << most)
    else:
        result = operand(now.name, last - first, signed=value.signed)
    return Alignment(stages=tuple(stages), amount=amount, result=result)


def _digit_groups(most: int) -> list[tuple[int, int]]:
    """The lowest digit and the number of digits of each stage, lowest first: two each, the last one may be alone."""
    digits = most.bit_length()
    return [(digit, min(2, digits - digit)) for digit in range(0, digits, 2)] or [(0, 0)]


def _largest(most: int, mask: int) -> int:
    """The greatest ``amount & mask`` of all amounts up to ``most``, for a mask of neighbouring digits at either end."""
    return min(most, mask) if mask & 1 else most & mask


def _moved(before: _Columns, shift: int, after: _Columns, *, signed: bool) -> str:
    """The columns of ``after`` of the number before, moved by ``shift``; where it has none, its sign or 0."""
    low, high = before.low + shift, before.high + shift
    top, bottom = max(after.high - max(high, after.low), 0), max(min(low, after.high) - after.low, 0)
    parts = []
    if top:
        sign = f"{before.name}[{before.high - before.low - 1}]"
        parts.append(f"{{{top}{{{sign}}}}}" if signed else f"{top}'d0")
    if top + bottom < after.high - after.low:
        parts.append(f"{before.name}[{after.high - top - low - 1}:{after.low + bottom - low}]")
    if bottom:
        parts.append(f"{bottom}'d0")
    return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"


def _cells(before: _Columns, shifts: list[int], after: _Columns) -> float:
    """LUTs of a multiplexer: a column that reads few enough signals shares its LUT with another."""
    if len(shifts) == 1:
        return 0.0
    select = 1 if len(shifts) == 2 else 2
    total = 0.0
    for column in range(after.low, after.high):
        data = {min(column - shift, before.high - 1) for shift in shifts if column - shift >= before.low}
        total += 1.0 if 2 * len(data) + select > DUAL_OUTPUT_INPUTS else 0.5
    return total


def _kinds(before: _Columns, shifts: list[int], after: _Columns) -> Kinds:
    if len(shifts) == 1:
        return Kinds()
    found = {"two": 0, "three": 0, "four": 0, "ends": 0}
    for column in range(after.low, after.high):
        signals = len({min(column - shift, before.high - 1) for shift in shifts if column - shift >= before.low})
        ends = signals < min(len(shifts), 3)
        found["ends" if ends else ("two", "three", "four")[len(shifts) - 2]] += bool(signals)
    return Kinds(**found)


def _columns_read(before: _Columns, shifts: list[int], after: _Columns, *, signed: bool) -> tuple[int, int]:
    """Columns of a multiplexer that read one bit, and those that read several; the sign above a number is a bit."""
    if len(shifts) == 1:
        return 0, 0
    single = shared = 0
    for column in range(after.low, after.high):
        places = [column - shift for shift in shifts if column - shift >= before.low]
        signs = any(place >= before.high - 1 for place in places) if signed else before.high - 1 in places
        bits = sum(place < before.high - 1 for place in places) + signs
        single += bits == 1
        shared += bits > 1
    return single, shared
