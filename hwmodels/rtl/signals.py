"""Integers on wires: the range a signal can take decides its width and sign, and sums are built pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hwmodels.accumulators import range_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A named wire that holds any integer from ``low`` to ``high``; two's complement if it can be negative."""

    name: str
    low: int
    high: int

    @property
    def signed(self) -> bool:
        """Whether it can be negative."""
        return self.low < 0

    @property
    def width(self) -> int:
        """Bits: just enough.

        >>> Signal(name="x", low=0, high=255).width, Signal(name="x", low=-1, high=255).width
        (8, 9)
        """
        return range_bits(self.low, self.high) if self.signed else max(self.high.bit_length(), 1)

    @property
    def declaration(self) -> str:
        """The wire as Verilog declares it, without ``wire``."""
        return f"{'signed ' if self.signed else ''}[{self.width - 1}:0] {self.name}"

    def widened(self, width: int) -> str:
        """The signal as a Verilog expression of ``width`` bits, extended by its own sign.

        >>> Signal(name="x", low=0, high=3).widened(4)
        "{2'd0, x}"

        Raises:
            ValueError: if the width is below its own.
        """
        extra = width - self.width
        if extra < 0:
            raise ValueError(f"{self.name} has {self.width} bits and cannot be extended to {width}")
        if extra == 0:
            return self.name
        if self.signed:
            return f"{{{{{extra}{{{self.name}[{self.width - 1}]}}}}, {self.name}}}"
        return f"{{{extra}'d0, {self.name}}}"

    def high_part(self, shift: int, width: int) -> str:
        """The bits from ``shift`` up, extended by the signal's own sign to ``width`` bits: ``floor(x / 2**shift)``.

        >>> Signal(name="x", low=-8, high=7).high_part(2, 3)
        '{{1{x[3]}}, x[3:2]}'
        """
        kept = self.width - shift
        bits = f"{self.name}[{self.width - 1}:{shift}]"
        if kept == width:
            return bits
        fill = f"{{{width - kept}{{{self.name}[{self.width - 1}]}}}}" if self.signed else f"{width - kept}'d0"
        return f"{{{fill}, {bits}}}"


def operand(name: str, width: int, *, signed: bool) -> Signal:
    """The signal of an input port.

    >>> operand("a", 4, signed=True)
    Signal(name='a', low=-8, high=7)
    """
    return Signal(name=name, low=-(1 << width - 1) if signed else 0, high=(1 << width - signed) - 1)


class Operator(Enum):
    """How a sum takes its right side."""

    ADD = "+"
    SUBTRACT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """``total = left +- (right << shift)``; the low ``shift`` bits of ``left`` pass by the adder."""

    total: Signal
    left: Signal
    right: Signal
    shift: int = 0
    operator: Operator = Operator.ADD

    @property
    def luts(self) -> int:
        """Bits of the adder that take a LUT; the carry out of a sum that cannot be negative is a wire.

        >>> Sum(total=Signal(name="t", low=0, high=30), left=operand("a", 4, signed=False),
        ...     right=operand("b", 4, signed=False)).luts
        4
        """
        if self.total.signed:
            return self.total.width - self.shift
        return max(self.left.width - self.shift, self.right.width)


def tree(
    prefix: str, terms: list[Signal], *, shift: int = 0, last: Operator = Operator.ADD
) -> tuple[list[Sum], Signal]:
    """A binary tree of sums, neighbours first; term ``i`` counts ``2**(i * shift)``.

    Args:
        prefix: of the names of the sums.
        terms: at least one.
        shift: bits between neighbouring terms, 0 for a plain sum.
        last: whether the last term is added or subtracted; a single term cannot be subtracted.

    Returns:
        The sums in order of evaluation, and the signal that holds the whole.

    >>> sums, whole = tree("s", [operand(n, 8, signed=True) for n in "abc"])
    >>> [str(s.total.width) for s in sums], whole.name
    (['9', '10'], 's1_0')
    """
    sums: list[Sum] = []
    level = 0
    while len(terms) > 1:
        after = []
        for index in range(0, len(terms) - 1, 2):
            left, right = terms[index], terms[index + 1]
            operator = last if index + 2 == len(terms) else Operator.ADD
            least, most = (-right.high, -right.low) if operator is Operator.SUBTRACT else (right.low, right.high)
            total = Signal(
                name=f"{prefix}{level}_{index // 2}",
                low=left.low + (least << shift),
                high=left.high + (most << shift),
            )
            sums.append(Sum(total=total, left=left, right=right, shift=shift, operator=operator))
            after.append(total)
        if len(terms) % 2:
            after.append(terms[-1])
        else:
            last = Operator.ADD
        terms, shift, level = after, 2 * shift, level + 1
    return sums, terms[0]
