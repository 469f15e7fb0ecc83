"""Pipelined adder trees: the sum of the lanes of one output, a register behind every level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.accumulators import range_bits
from hwmodels.rtl.signals import Signal, operand
from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

ADDER_TREE: Final = "adder tree"
MAXIMUM_LANES: Final = 1024
MAXIMUM_BITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Register:
    """A register of a level: the sum of two registers of the level before, or one that waits beside them.

    Attributes:
        total: what it holds.
        left: of the level before.
        right: of the level before; None if ``left`` waits.
        carry: the bit that this adder takes in; None without carries.
    """

    total: Signal
    left: Signal
    right: Signal | None
    carry: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    terms: tuple[Signal, ...]
    registers: tuple[_Register, ...]
    levels: int
    total: Signal
    waiting: tuple[tuple[str, str], ...]
    last_carry: str


def adder_tree(*, lanes: int, width: int, signed: int = 1, carries: int = 0) -> Unit:
    """The sum of ``lanes`` integers, one register behind each level of the tree.

    With carries every term has a bit beside it that is added, too: each adder of the tree takes one of them as its
    carry in, and the last is handed on, delayed like the sum, for the adder that follows. This is how products that
    share a DSP give back what they borrow from each other.

    Args:
        lanes: terms, 1 to 1024; a single term passes without a register.
        width: bits of a term.
        signed: 1 if terms are two's complement, else 0.
        carries: 1 if every term has a carry.

    Raises:
        ValueError: if lanes or width are out of range.

    >>> adder_tree(lanes=5, width=8).latency
    3
    """
    plan = _plan(lanes, width, signed, carries)
    last = () if not carries else (Port(name="carry_out", width=1, direction=Direction.OUT),)
    first = () if not carries else (Port(name="carries", width=lanes, direction=Direction.IN),)
    ports = (
        Port(name="enable", width=1, direction=Direction.IN),
        Port(name="terms", width=lanes * width, direction=Direction.IN),
        *first,
        Port(name="total", width=plan.total.width, direction=Direction.OUT, signed=plan.total.signed),
        *last,
    )
    return render(
        "adder_tree.v",
        family=ADDER_TREE,
        parameters={"lanes": lanes, "width": width, "signed": signed, "carries": carries},
        ports=ports,
        latency=plan.levels,
        plan=plan,
    )


@lru_cache(maxsize=1 << 14)
def adder_tree_structure(*, lanes: int, width: int, signed: int = 1, carries: int = 0) -> dict[str, float]:
    """Bits of adders (a carry in takes one more), of registers, and of registers that only wait.

    >>> adder_tree_structure(lanes=4, width=8)
    {'adder_bits': 28, 'register_bits': 28, 'delay_bits': 0}
    """
    found = _counted(lanes, width, signed, carries)
    return {
        "adder_bits": found.adder_bits,
        "register_bits": found.register_bits + found.waiting,
        "delay_bits": found.waiting,
    }


@lru_cache(maxsize=1 << 14)
def adder_tree_width(*, lanes: int, width: int, signed: int = 1, carries: int = 0) -> int:
    """Bits of the sum.

    >>> adder_tree_width(lanes=5, width=8)
    11
    """
    return _counted(lanes, width, signed, carries).total_bits


@dataclass(frozen=True, slots=True)
class _Counts:
    """Bits of a tree's adders, registers, waiting carries and sum."""

    adder_bits: int
    register_bits: int
    waiting: int
    total_bits: int


@lru_cache(maxsize=1 << 14)
def _counted(lanes: int, width: int, signed: int, carries: int) -> _Counts:
    """What `_plan` has, level by level: all registers of a level are alike but for the last."""
    _check(lanes, width)
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    alike, free = lanes, lanes if carries else 0
    last: tuple[int, int] | None = None
    adders = registers = waiting = 0
    while alike + bool(last) > 1:
        pairs, alone = divmod(alike, 2)
        summed = (2 * low, 2 * high + carries)
        bits = _bits(*summed)
        adders += pairs * (bits + carries)
        registers += pairs * bits
        free -= pairs * carries
        if alone and last:
            last = (low + last[0], high + last[1] + carries)
            adders += _bits(*last) + carries
            free -= carries
        elif alone:
            last = (low, high)
        if last:
            registers += _bits(*last)
        waiting += free
        alike, (low, high) = pairs, summed
    return _Counts(adders, registers, waiting, _bits(*((low, high) if alike or last is None else last)))


def _bits(low: int, high: int) -> int:
    return range_bits(low, high) if low < 0 else max(high.bit_length(), 1)


def _check(lanes: int, width: int) -> None:
    if not 1 <= lanes <= MAXIMUM_LANES:
        raise ValueError(f"an adder tree has 1 to {MAXIMUM_LANES} lanes, got {lanes}")
    if not 1 <= width <= MAXIMUM_BITS:
        raise ValueError(f"terms of an adder tree have 1 to {MAXIMUM_BITS} bits, got {width}")


@lru_cache(maxsize=1 << 12)
def _plan(lanes: int, width: int, signed: int, carries: int) -> _Plan:
    _check(lanes, width)
    terms = tuple(operand(f"term{index}", width, signed=bool(signed)) for index in range(lanes))
    registers: list[_Register] = []
    waiting: list[tuple[str, str]] = []
    free = [f"carries[{index}]" for index in range(lanes)] if carries else []
    before, level = list(terms), 0
    while len(before) > 1:
        after = []
        for index in range(0, len(before), 2):
            left = before[index]
            right = before[index + 1] if index + 1 < len(before) else None
            carry = free.pop(0) if right is not None and carries else None
            total = Signal(
                name=f"sum{level}_{index // 2}",
                low=left.low + (right.low if right else 0),
                high=left.high + (right.high if right else 0) + (carry is not None),
            )
            registers.append(_Register(total=total, left=left, right=right, carry=carry))
            after.append(total)
        delayed = [f"carry{level}_{index}" for index in range(len(free))]
        waiting += zip(delayed, free, strict=True)
        before, free, level = after, delayed, level + 1
    return _Plan(
        terms=terms,
        registers=tuple(registers),
        levels=level,
        total=before[0],
        waiting=tuple(waiting),
        last_carry=free[0] if free else "",
    )
