"""What hardware sees of a number format: bits that are stored, fields that are multiplied, decoders before them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    Codebook,
    FixedPoint,
    KHot,
    LearnedCodebook,
    MiniFloat,
    Sign,
    SignMagnitude,
    Subnormals,
)
from hwmodels.rtl.powers_of_two import MAXIMUM_PLACES, POWER_MULTIPLIER
from hwmodels.table_units import TableScope, look_up
from hwmodels.units import adder, priced, shifter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.formats import Format
    from hwmodels.units import Priced

BlockElement = SignMagnitude | FixedPoint | MiniFloat
Values = TypeVar("Values", int, "NDArray[np.int64]")
PRICED = "FixedPoint, MiniFloat, KHot, Codebook, LearnedCodebook, BinaryCoded or BlockScaled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Significand:
    """An operand as a significand, and an exponent that shifts it.

    Attributes:
        bits: of the significand as a multiplier sees it (a minifloat's hidden one counted, its sign not).
        exponent_bits: 0 for an integer.
        largest_shift: places its largest exponent moves the significand up.
    """

    bits: int
    exponent_bits: int
    largest_shift: int

    @classmethod
    def of(cls, number_format: FixedPoint | MiniFloat) -> Significand:
        """The view of a format; fixed point is a significand without exponent."""
        if isinstance(number_format, FixedPoint):
            return cls(bits=number_format.width, exponent_bits=0, largest_shift=0)
        top = number_format.largest_magnitude_code >> number_format.mantissa_bits
        shift = top if number_format.subnormals is Subnormals.KEEP_EXPONENT else max(top - 1, 0)
        has_exponent = number_format.exponent_bits > 0
        return cls(
            bits=number_format.mantissa_bits + (1 if has_exponent else 0) or 1,
            exponent_bits=number_format.exponent_bits,
            largest_shift=shift,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """An operand by the bits of its fields, as `hwmodels.rtl.minifloats` takes it.

    Attributes:
        exponent_bits: 0 for a two's complement integer of ``1 + mantissa_bits`` bits, 1 for sign and magnitude.
        mantissa_bits: behind it.
    """

    exponent_bits: int
    mantissa_bits: int


def fields_of(number_format: Format | SignMagnitude) -> Fields:
    """The fields of a factor: minifloats as they are, all other numbers as integers.

    Unsigned integers take a sign bit more; looked up formats are the integers their tables hold.

    >>> fields_of(MiniFloat(exponent_bits=4, mantissa_bits=3))
    Fields(exponent_bits=4, mantissa_bits=3)
    """
    if isinstance(number_format, MiniFloat):
        if number_format.exponent_bits:
            return Fields(exponent_bits=number_format.exponent_bits, mantissa_bits=number_format.mantissa_bits)
        return Fields(exponent_bits=1, mantissa_bits=max(number_format.mantissa_bits - 1, 0))
    if isinstance(number_format, SignMagnitude):
        return Fields(exponent_bits=1, mantissa_bits=max(number_format.width - 2, 0))
    width, signed = integer_of(number_format)
    return Fields(exponent_bits=0, mantissa_bits=max(width - signed, 1))


def integer_of(number_format: Format | SignMagnitude) -> tuple[int, int]:
    """Bits of the integer that a multiplier takes, and 1 if it is two's complement, else 0.

    Sign and magnitude counts as two's complement of the same width, into which it converts without growing.

    Raises:
        ValueError: for formats that are no integers to a multiplier.
    """
    if isinstance(number_format, FixedPoint):
        return number_format.width, int(number_format.sign is Sign.SIGNED)
    if isinstance(number_format, (Codebook, LearnedCodebook, BinaryCoded)):
        return number_format.entry_bits, 1
    if isinstance(number_format, SignMagnitude):
        return number_format.width, 1
    raise ValueError(f"there is no cost model for {number_format} as a factor: use a {PRICED} format")


def block_of(number_format: Format) -> BlockScaled | None:
    """The format if its blocks have scales of their own; a whole-tensor block (DFP) has a static one and is scalar."""
    if isinstance(number_format, BlockScaled) and number_format.block_size:
        return number_format
    return None


def element_of(number_format: Format) -> Format | SignMagnitude:
    """The element of a block format, any other format itself."""
    return number_format.element if isinstance(number_format, BlockScaled) else number_format


def value_bits(number_format: Format) -> int:
    """Two's complement (or unsigned) bits of the integers v that a format's codes (or a block's elements) mean.

    >>> value_bits(MiniFloat(exponent_bits=2, mantissa_bits=1))
    5
    """
    if isinstance(number_format, FixedPoint):
        return number_format.width
    low, high = number_format.smallest_integer, number_format.largest_integer
    return max(high, -low).bit_length() + (1 if low < 0 else 0)


def is_signed(number_format: Format) -> bool:
    """Whether the integers that a format's codes mean can be negative."""
    if isinstance(number_format, FixedPoint):
        return number_format.sign is Sign.SIGNED
    return number_format.smallest_integer < 0


def decoder(number_format: Format) -> tuple[Priced, ...]:
    """Units that turn a code into its integer v where it is needed as a number: joins and pools."""
    element = element_of(number_format)
    if isinstance(element, MiniFloat):
        number = Significand.of(element)
        bits = value_bits(element)
        moved = shifter(bits, number.largest_shift.bit_length())
        return (moved, adder(bits)) if element.sign is Sign.SIGNED else (moved,)
    if isinstance(element, KHot):
        bits = value_bits(element)
        places = [min(max(len(term), 1), MAXIMUM_PLACES) for term in element.terms]
        terms = tuple(priced(POWER_MULTIPLIER, width=1, places=count, x_signed=0) for count in places)
        return (*terms, *(adder(bits) for _ in element.terms[1:]))
    if isinstance(element, SignMagnitude):
        return (adder(element.width),)
    found = look_up(element, TableScope.TENSOR)
    return () if found is None else (found.unit(1),)


def decode_notes(*number_formats: Format) -> tuple[str, ...]:
    """What is composed and was not measured of `decoder`, in words."""
    composed = [one for one in number_formats if isinstance(element_of(one), (KHot, MiniFloat))]
    return tuple(dict.fromkeys(f"decoder of {one}: composed of measured units" for one in composed))


def has_ordered_codes(number_format: Format) -> bool:
    """Whether codes can be compared in place of values: not where they are looked up, with or without a sign apart."""
    return isinstance(element_of(number_format), (FixedPoint, MiniFloat, SignMagnitude))


@dataclass(frozen=True, slots=True)
class Stored:
    """Bits of values beside each other, with their share of the blocks' scales."""

    per_value: float

    @classmethod
    def of(cls, number_format: Format) -> Stored:
        """Those of a format."""
        return cls(number_format.bits_per_value if isinstance(number_format, BlockScaled) else number_format.width)

    def bits(self, values: Values) -> Values:
        """Of so many values, rounded up: of one number, or of each in a column."""
        if isinstance(values, int):
            return math.ceil(values * self.per_value)
        found: NDArray[np.int64] = np.ceil(values * self.per_value).astype(np.int64)
        return found


def stored_bits(number_format: Format, values: int) -> int:
    """Bits that hold ``values`` values beside each other, with their share of the blocks' scales."""
    return Stored.of(number_format).bits(values)
