"""What hardware sees of a number format: bits that are stored, integers that are multiplied, decoders before them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    Codebook,
    FixedPoint,
    KHot,
    LearnedCodebook,
    MiniFloat,
    SignMagnitude,
)
from hwmodels.minifloat_units import Significand, align_luts
from hwmodels.table_units import TableScope, look_up
from hwmodels.units import adder_tree

if TYPE_CHECKING:
    from emulation.formats import Format

BlockElement = SignMagnitude | FixedPoint | MiniFloat
PRICED = "FixedPoint, MiniFloat, KHot, Codebook, LearnedCodebook, BinaryCoded or BlockScaled"


def block_of(number_format: Format) -> BlockScaled | None:
    """The format if its blocks have scales of their own; a whole-tensor block (DFP) has a static one and is scalar."""
    if isinstance(number_format, BlockScaled) and number_format.block_size:
        return number_format
    return None


def element_of(number_format: Format) -> Format | SignMagnitude:
    """The element of a block format, any other format itself."""
    return number_format.element if isinstance(number_format, BlockScaled) else number_format


def significand_of(number_format: Format | SignMagnitude) -> Significand:
    """The operand of a multiplier: integers of some bits, or a minifloat's significand with its exponent's shift.

    Sign and magnitude is priced as two's complement of the same width, into which it converts without growing. Looked
    up formats are the integers their tables hold.

    Raises:
        ValueError: for sums of powers of two, which are shifted and not multiplied, and for unknown formats.
    """
    if isinstance(number_format, (FixedPoint, MiniFloat)):
        return Significand.of(number_format)
    if isinstance(number_format, (Codebook, LearnedCodebook, BinaryCoded)):
        return Significand(bits=number_format.entry_bits, exponent_bits=0, largest_shift=0)
    if isinstance(number_format, SignMagnitude):
        return Significand(bits=number_format.width, exponent_bits=0, largest_shift=0)
    raise ValueError(f"there is no cost model for {number_format} as a factor: use a {PRICED} format")


def value_bits(number_format: Format) -> int:
    """Two's complement (or unsigned) bits of the integers v that a format's codes (or a block's elements) mean.

    >>> value_bits(MiniFloat(exponent_bits=2, mantissa_bits=1))
    5
    """
    if isinstance(number_format, FixedPoint):
        return number_format.width
    low, high = number_format.smallest_integer, number_format.largest_integer
    return max(high, -low).bit_length() + (1 if low < 0 else 0)


def decode_luts(number_format: Format) -> float:
    """LUTs that turn a code into its integer v where it is needed as a number: joins and pools."""
    element = element_of(number_format)
    if isinstance(element, MiniFloat):
        number = Significand.of(element)
        return align_luts(number.bits, number.largest_shift)
    if isinstance(element, KHot):
        spans = [max(term) - min(term) for term in element.terms]
        return sum(align_luts(1, span) for span in spans) + adder_tree(len(spans), value_bits(element))[0]
    table = None if isinstance(element, SignMagnitude) else look_up(element, TableScope.TENSOR)
    if table is not None:
        return float(table.luts(1))
    # Sign and magnitude: one negation, an adder of its width.
    return float(element.width) if isinstance(element, SignMagnitude) else 0.0


def decode_notes(*number_formats: Format) -> tuple[str, ...]:
    """What is counted and was not measured of `decode_luts`, in words."""
    tables = [one for one in number_formats if isinstance(one, (KHot, Codebook))]
    return tuple(f"decoder of {one}: fitted aligners or read-only memory; none was measured" for one in tables)


def has_ordered_codes(number_format: Format) -> bool:
    """Whether codes can be compared in place of values: not where they are looked up, with or without a sign apart."""
    return isinstance(element_of(number_format), (FixedPoint, MiniFloat, SignMagnitude))


def stored_bits(number_format: Format, values: int) -> int:
    """Bits that hold ``values`` values beside each other, with their share of the blocks' scales."""
    if isinstance(number_format, BlockScaled):
        return math.ceil(values * number_format.bits_per_value)
    return values * number_format.width
