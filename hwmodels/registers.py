"""Accumulators: the register of an output and what it takes to add a sum of products to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from emulation.datapaths import Arithmetic, NarrowAccumulator, Order
from emulation.formats import FixedPoint
from emulation.lmul_ranges import product_unit_exponent
from emulation.rules import Overflow
from hwmodels.composition import LOGIC, REQUANTISER, SHIFTER
from hwmodels.minifloat_units import Significand
from hwmodels.units import SATURATE_LUTS_PER_BIT, requantiser_round_luts_per_bit, shifter_luts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulation.formats import Format, MiniFloat

FLOAT_GUARD_BITS: Final = 3
"""Guard, round and sticky bit of a floating-point addition that rounds once (IEEE 754 adders; textbook structure)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """The accumulator of one output.

    Attributes:
        bits: of the register.
        adder_luts: of adding a sum of products; measured adders, a LUT a bit.
        tree_bits: bits beyond which sums of products need not be kept; None if all of them count.
        other_luts: of alignment, rounding, saturation by family of units.
        registers: bits of registers besides ``bits``.
        read_bits: of the integer a requantiser multiplies.
        read_shift_bits: of the shifter between a requantiser's product and its rounding; 0 for a constant shift.
        notes: what is assumed.
    """

    bits: int
    adder_luts: float
    read_bits: int
    read_shift_bits: int = 0
    tree_bits: int | None = None
    other_luts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    registers: int = 0
    notes: tuple[str, ...] = ()


def exact_register(bits: int) -> Register:
    """A register that holds every sum: one adder as wide as it is."""
    return Register(bits=bits, adder_luts=float(bits), read_bits=bits)


def saturated_register(bits: int) -> Register:
    """The register of block products: wide enough for every sum of the calibrated range, saturated when it is read."""
    saturate = MappingProxyType({REQUANTISER: SATURATE_LUTS_PER_BIT * bits})
    return Register(bits=bits, adder_luts=float(bits), read_bits=bits, other_luts=saturate)


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

    Fixed point that wraps is an adder as wide as the register. Saturation adds the multiplexers of the bounds (measured
    in the requantisers), rounding one more adder. A balanced tree over the chunks keeps one partial sum per level.

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
    kept = bits + dropped
    other: dict[str, float] = {}
    if dropped:
        other[REQUANTISER] = requantiser_round_luts_per_bit() * kept
    wraps = accumulator.overflow is Overflow.WRAP
    if not wraps:
        other[REQUANTISER] = other.get(REQUANTISER, 0.0) + SATURATE_LUTS_PER_BIT * bits
    if partial:
        other[LOGIC] = partial / 2  # which partial sum is added: two bits of a two-to-one multiplexer in a LUT
    return Register(
        bits=bits,
        read_bits=bits,
        adder_luts=float(kept if wraps else max(kept, sum_bits) + 1),
        tree_bits=kept if wraps else None,
        other_luts=MappingProxyType(other),
        registers=partial,
        notes=("accumulator that rounds: composed of a measured adder and rounding",) if dropped else (),
    )


def _float_register(number_format: MiniFloat, sum_bits: int, partial: int) -> Register:
    """Normalise the chunk's sum, align the smaller number, add, normalise, round: two shifters and two searches.

    A requantiser multiplies the significand and shifts by the exponent (as measured requantisers with a runtime shift
    do). Shifters are measured units; the searches for the leading one (about every bit once, five new bits a LUT, and a
    test for each digit of the shift) and the comparison of exponents are assumed, as in `hwmodels.output_stage`.
    """
    working = number_format.mantissa_bits + 1 + FLOAT_GUARD_BITS
    sum_digits, digits = sum_bits.bit_length(), working.bit_length()
    shifts = shifter_luts(sum_bits, sum_digits) + 2 * shifter_luts(working, digits)
    searches = sum_bits / 5 + sum_digits + working / 5 + digits
    exponents = 3 * (number_format.exponent_bits + 1)
    rounding = requantiser_round_luts_per_bit() * working + SATURATE_LUTS_PER_BIT * number_format.width
    return Register(
        bits=number_format.width,
        read_bits=number_format.mantissa_bits + 2,
        read_shift_bits=Significand.of(number_format).largest_shift.bit_length(),
        adder_luts=float(working + 1),
        other_luts=MappingProxyType(
            {SHIFTER: shifts, REQUANTISER: rounding, LOGIC: searches + exponents + partial / 2}
        ),
        registers=partial + sum_bits + working,
        notes=(
            f"accumulator {number_format}: composed of measured shifters and adders and assumed searches; one addition "
            "a cycle is assumed",
        ),
    )
