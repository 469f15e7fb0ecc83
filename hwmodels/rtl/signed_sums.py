"""Sums of numbers each of which a wire may negate: the exclusive-or shares the adder's LUT, the 1 is a carry in.

``-x`` is ``~x + 1``. In a tree of n terms there are n - 1 adders with a carry in each, so one such 1 is left over at
the top of a tree all of whose terms may be negated: the accumulator behind it takes it as its own carry in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwmodels.rtl.signals import Signal

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A number of a sum: ``value``, or its complement where the wire ``negated`` is 1, and a ``carry`` added to it.

    Attributes:
        value: the wire.
        low: least number, the carry counted.
        high: greatest number, the carry counted.
        negated: name of a wire, or None.
        carry: name of a wire, or None.
    """

    value: Signal
    low: int
    high: int
    negated: str | None = None
    carry: str | None = None

    @classmethod
    def plain(cls, value: Signal) -> Term:
        """A number as it is."""
        return cls(value=value, low=value.low, high=value.high)

    @classmethod
    def negatable(cls, value: Signal, sign: str) -> Term:
        """A number that the wire ``sign`` negates."""
        most = max(-value.low, value.high)
        return cls(value=value, low=-most, high=most, negated=sign, carry=sign)

    def bits(self, width: int) -> str:
        """The term without its carry as a Verilog expression of ``width`` bits, cut or extended."""
        known = self.value
        text = known.widened(width) if width >= known.width else f"{known.name}[{width - 1}:0]"
        return text if self.negated is None else f"({text} ^ {{{width}{{{self.negated}}}}})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedSum:
    """``total = left + right + carry``; without a carry in, a plain sum."""

    total: Signal
    left: Term
    right: Term
    carry: str | None


def signed_tree(prefix: str, terms: Sequence[Term]) -> tuple[list[SignedSum], Term]:
    """A binary tree, neighbours first.

    Args:
        prefix: of the names of the sums.
        terms: at least one.

    Returns:
        The sums in order of evaluation, and the whole: a signal and, if any is left over, the carry to be added to it.

    >>> lane = [Term.negatable(Signal(name=n, low=0, high=3), n + "s") for n in "abc"]
    >>> sums, whole = signed_tree("t", lane)
    >>> [(s.total.name, s.carry) for s in sums], whole.carry, (whole.low, whole.high)
    ([('t0_0', 'as'), ('t1_0', 'bs')], 'cs', (-9, 9))
    """
    sums: list[SignedSum] = []
    level = 0
    now = list(terms)
    while len(now) > 1:
        after = []
        for index in range(0, len(now) - 1, 2):
            left, right = now[index], now[index + 1]
            carries = [term.carry for term in (left, right) if term.carry is not None]
            low, high = left.low + right.low, left.high + right.high
            later = carries[1] if len(carries) > 1 else None
            total = Signal(name=f"{prefix}{level}_{index // 2}", low=low - (later is not None), high=high)
            taken = carries[0] if carries else None
            sums.append(SignedSum(total=total, left=left, right=right, carry=taken))
            after.append(Term(value=total, low=low, high=high, carry=later))
        if len(now) % 2:
            after.append(now[-1])
        now, level = after, level + 1
    return sums, now[0]


def sum_bits(sums: Sequence[SignedSum]) -> int:
    """Bits of all adders, a carry in counted as one."""
    return sum(found.total.width + (found.carry is not None) for found in sums)
