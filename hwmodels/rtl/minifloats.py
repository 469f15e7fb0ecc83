"""What a unit of minifloats knows of its operands: widths of the fields, and where the exponent puts the significand.

A code is sign, exponent field, mantissa field. Field 0 holds the subnormals, every other one has a hidden one; none
stands for infinity or NaN, which hardware mode has not. One exponent bit makes a sign and a magnitude (both fields
count alike); no exponent bits stand for a two's complement integer of ``1 + mantissa bits`` bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hwmodels.rtl.signals import Signal, operand

MAXIMUM_EXPONENT_BITS: Final = 8
MAXIMUM_MANTISSA_BITS: Final = 23


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """One operand of a product, on a port of its name.

    Raises:
        ValueError: if a width is out of range, or an integer has less than 2 bits.
    """

    name: str
    exponent_bits: int
    mantissa_bits: int

    def __post_init__(self) -> None:
        for what, given, most in (
            ("exponent", self.exponent_bits, MAXIMUM_EXPONENT_BITS),
            ("mantissa", self.mantissa_bits, MAXIMUM_MANTISSA_BITS),
        ):
            if not 0 <= given <= most:
                raise ValueError(f"operand {self.name} has 0 to {most} {what} bits, got {given}")
        if self.width < 2:
            raise ValueError(
                f"operand {self.name} has no exponent bit and no mantissa bit: give at least one, got a sign alone"
            )

    @property
    def width(self) -> int:
        """Bits of a code."""
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def is_integer(self) -> bool:
        """Whether it is two's complement, without a sign bit beside the magnitude."""
        return self.exponent_bits == 0

    @property
    def moves(self) -> bool:
        """Whether its exponent moves the significand at all."""
        return self.exponent_bits > 1

    @property
    def largest_place(self) -> int:
        """Greatest exponent; the least is 1 (field 0 counts as 1), or 0 if nothing moves."""
        return (1 << self.exponent_bits) - 1 if self.moves else 0

    @property
    def significand(self) -> Signal:
        """The significand with its hidden one, or the integer."""
        if self.is_integer:
            return operand(self.name, self.width, signed=True)
        return operand(f"significand_{self.name}", self.mantissa_bits + 1, signed=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two operands: what their exact product looks like.

    The product is ``significand * 2**(place - least_place)`` in the product of the operands' units, negative if the
    sign says so. There is no place if no operand moves, and no sign if both are integers.
    """

    a: Operand
    b: Operand

    @property
    def least_place(self) -> int:
        """Least sum of exponents."""
        return int(self.a.moves) + int(self.b.moves)

    @property
    def largest_place(self) -> int:
        """Greatest sum of exponents."""
        return self.a.largest_place + self.b.largest_place

    @property
    def has_sign(self) -> bool:
        """Whether a wire negates the significand."""
        return not (self.a.is_integer and self.b.is_integer)

    @property
    def significand(self) -> Signal:
        """The product of the significands."""
        one, other = self.a.significand, self.b.significand
        corners = [x * y for x in (one.low, one.high) for y in (other.low, other.high)]
        return Signal(name="significand", low=min(corners), high=max(corners))

    @property
    def low(self) -> int:
        """Least product."""
        least = self.significand.low << self.largest_place - self.least_place
        return -self.high if self.has_sign else least

    @property
    def high(self) -> int:
        """Greatest product."""
        known = self.significand
        most = max(-known.low, known.high) if self.has_sign else known.high
        return most << self.largest_place - self.least_place


def pair(e_a: int, m_a: int, e_b: int, m_b: int) -> Pair:
    """The pair of operands ``a`` and ``b`` with these exponent and mantissa bits.

    >>> found = pair(4, 3, 4, 3)
    >>> found.significand.width, found.least_place, found.largest_place
    (8, 2, 30)
    """
    return Pair(
        a=Operand(name="a", exponent_bits=e_a, mantissa_bits=m_a),
        b=Operand(name="b", exponent_bits=e_b, mantissa_bits=m_b),
    )


def check_reserved(e: int, m: int, reserved: int) -> None:
    """Refuse a format without a number that is not zero.

    Raises:
        ValueError: with what was given and what is allowed.
    """
    codes = 1 << e + m
    if not 0 <= reserved <= codes - 2:
        raise ValueError(
            f"e{e}m{m} has {codes} magnitude codes, of which 0 to {codes - 2} may be reserved, got {reserved}"
        )
