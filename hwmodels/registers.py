"""Accumulators: the register of an output and what it takes to add a sum of products to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emulation.datapaths import Arithmetic, NarrowAccumulator, Order
from emulation.formats import FixedPoint
from emulation.lmul_ranges import product_unit_exponent
from emulation.rules import Overflow, Rounding
from hwmodels.operands import Significand
from hwmodels.rtl.narrow_accumulators import MAXIMUM_TERM, NARROW_ACCUMULATOR
from hwmodels.units import accumulator as exact_accumulator
from hwmodels.units import adder, leading_one, priced, shifter

if TYPE_CHECKING:
    from emulation.formats import Format, MiniFloat
    from hwmodels.units import Priced

FLOAT_GUARD_BITS: Final = 3
"""Guard, round and sticky bit of a floating-point addition that rounds once (IEEE 754 adders; textbook structure)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """The accumulator of one output.

    Attributes:
        bits: of the register.
        read_bits: of the integer a requantiser multiplies.
        narrow: parameters of a `hwmodels.rtl.narrow_accumulators.narrow_accumulator`; None if sums are exact, or
            floating point.
        composed: units in place of one that was measured: a floating-point adder.
        read_shift_bits: of the shifter between a requantiser's product and its rounding; 0 for a constant shift.
        tree_bits: bits beyond which sums of products need not be kept; None if all of them count.
        registers: bits of registers besides those of the units.
        chosen_bits: bits of multiplexers that choose which partial sum is added; assumed.
        notes: what is assumed.
    """

    bits: int
    read_bits: int
    narrow: tuple[tuple[str, int], ...] | None = None
    composed: tuple[Priced, ...] = ()
    read_shift_bits: int = 0
    tree_bits: int | None = None
    registers: int = 0
    chosen_bits: int = 0
    notes: tuple[str, ...] = ()

    def units(self, term_bits: int, *, carry: int, bias: int, several: bool) -> tuple[Priced, ...]:
        """What adds terms of so many bits to the register.

        Args:
            term_bits: of the sum of a chunk of products.
            carry: 1 if a bit is added with every term.
            bias: 1 if sums start from a bias.
            several: whether an output has more than one term.
        """
        if self.composed:
            return self.composed
        if self.narrow is None:
            return (exact_accumulator(term_bits, self.bits, bias=bias, carry=carry, several=several),)
        given = dict(self.narrow)
        term = min(max(term_bits, given["dropped"] + 1, 2), MAXIMUM_TERM)
        return (priced(NARROW_ACCUMULATOR, term=term, **given, bias=bias),)


@lru_cache(maxsize=1 << 10)
def exact_register(bits: int) -> Register:
    """A register that holds every sum: one adder as wide as it is."""
    return Register(bits=bits, read_bits=bits)


def names_its_chunk(arithmetic: Arithmetic, weight_format: Format, activation_format: Format) -> bool:
    """Whether sums depend on how many products are added at once, so that only foldings with ``simd = chunk`` agree.

    Exact sums and registers that wrap without rounding do not: a wrapped sum is the exact sum wrapped once.
    """
    accumulator = arithmetic.accumulator
    if not isinstance(accumulator, NarrowAccumulator):
        return False
    wraps = isinstance(accumulator.format, FixedPoint) and accumulator.overflow is Overflow.WRAP
    products = product_unit_exponent(weight_format, activation_format, arithmetic.product)
    return not (wraps and accumulator.format.unit_exponent <= products)


def narrow_register(accumulator: NarrowAccumulator, *, product_exponent: int, sum_bits: int, chunks: int) -> Register:
    """The register of a narrow accumulator.

    In fixed point it is a measured unit, which rounds half to even or floors, saturates or wraps; other roundings are
    priced as half to even. A balanced tree over the chunks keeps one partial sum per level.

    Args:
        accumulator: its format, rounding, overflow and order.
        product_exponent: of the unit that products count in (`emulation.lmul_ranges.product_unit_exponent`).
        sum_bits: of the exact sum of a chunk.
        chunks: added for one output.
    """
    levels = chunks.bit_length() if accumulator.order is Order.PAIRWISE else 0
    partial = levels * accumulator.format.width
    if not isinstance(accumulator.format, FixedPoint):
        return _float_register(accumulator.format, sum_bits, partial)
    bits = accumulator.format.width
    dropped = max(0, accumulator.format.unit_exponent - product_exponent)
    rounding = accumulator.rounding
    wraps = accumulator.overflow is Overflow.WRAP
    other_rounding = bool(dropped) and rounding not in (Rounding.HALF_EVEN, Rounding.FLOOR)
    note = f"accumulator {accumulator}: this rounding has no RTL, priced as half to even"
    return Register(
        bits=bits,
        read_bits=bits,
        narrow=(
            ("accumulator", max(bits, 2)),
            ("dropped", dropped),
            ("half_even", int(dropped > 0 and rounding is not Rounding.FLOOR)),
            ("saturate", int(not wraps)),
        ),
        tree_bits=bits + dropped if wraps else None,
        registers=partial,
        chosen_bits=partial,
        notes=(note,) if other_rounding else (),
    )


def _float_register(number_format: MiniFloat, sum_bits: int, partial: int) -> Register:
    """Normalise the chunk's sum, align the smaller number, add, normalise, round: three shifters and two searches.

    A requantiser multiplies the significand and shifts by the exponent. There is no RTL of it: measured shifters,
    adders and searches for the leading one, in the arrangement of an IEEE 754 adder.
    """
    working = number_format.mantissa_bits + 1 + FLOAT_GUARD_BITS
    digits = working.bit_length()
    units = (
        leading_one(sum_bits),
        shifter(sum_bits, sum_bits.bit_length()),
        shifter(working, digits),
        adder(working + 1),
        leading_one(working),
        shifter(working, digits),
        # Comparison of exponents, and its change by each normalisation.
        *(adder(number_format.exponent_bits + 1) for _ in range(3)),
        adder(number_format.width),
    )
    return Register(
        bits=number_format.width,
        read_bits=number_format.mantissa_bits + 2,
        read_shift_bits=Significand.of(number_format).largest_shift.bit_length(),
        composed=units,
        registers=number_format.width + partial + sum_bits + working,
        chosen_bits=partial,
        notes=(
            f"accumulator {number_format} has no RTL: composed of measured shifters, adders and searches; one addition "
            "a cycle is assumed",
        ),
    )
