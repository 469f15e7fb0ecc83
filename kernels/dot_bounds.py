"""Bounds and units of dot products that arrays of every kind share: plain numbers in, plain numbers out."""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple

from kernels.definitions.minifloat import unit_exponent
from kernels.fields import (
    ORDER_CHUNKS_EXACT,
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_SYMMETRIC,
    OVERFLOW_SATURATE_ZERO,
    OVERFLOW_WRAP,
    AccumulatorFields,
    FixedFields,
    ProductFields,
)
from kernels.rounding import HALF_AWAY, HALF_TOWARD_ZERO, TOWARD_ZERO

_EXPONENTS: Final = 900
"""Binary exponents beyond this are not computed in float64."""
_FLOAT64_BITS: Final = 53
_REGISTER_BITS: Final = 48
"""Widest fixed-point register whose casts see every bit they need in a float64 sum rounded to odd."""


class Operands(NamedTuple):
    """What a proof knows of two operands: magnitudes, significant bits, depth, and the largest initial value."""

    largest_left: int
    largest_right: int
    left_bits: int
    right_bits: int
    depth: int
    largest_initial: float


def result_exponent(unit: int, product: ProductFields | None, accumulator: AccumulatorFields) -> int:
    """The binary exponent of the unit that results of exact and fixed-point accumulators count in.

    >>> [result_exponent(-7, None, a) for a in (AccumulatorFields(), AccumulatorFields(FixedFields(16, 4, 1)))]
    [-7, -4]
    """
    grid = accumulator.grid
    if grid is None:
        grid = None if product is None else product.grid
    if grid is None:
        return unit
    return -grid.fraction_bits if isinstance(grid, FixedFields) else unit_exponent(grid)


def initial_value(value: float, exponent: int, accumulator: AccumulatorFields) -> Fraction:
    """What an initial value means: an integer in units of ``2**exponent``, or the value of a float accumulator."""
    if accumulator.grid is None or isinstance(accumulator.grid, FixedFields):
        return Fraction(int(value)) * Fraction(2) ** exponent
    return Fraction(value)


def panels_are_exact(
    operands: Operands, *, unit: int, product: ProductFields | None, accumulator: AccumulatorFields
) -> bool:
    """Whether float64 with sums rounded to odd gives the defined result for any casts and orders.

    Products must be exact. Sums without a cast (exact accumulators, exact chunks) must be exact too, and so must all
    sums in fixed point, whose wrapping needs the last bit of numbers of any size.
    """
    largest = operands.largest_left * operands.largest_right
    if operands.left_bits + operands.right_bits > _FLOAT64_BITS:
        return False
    if largest.bit_length() > _EXPONENTS or abs(unit) > _EXPONENTS:
        return False
    finest, bits = unit, largest.bit_length() + unit
    for cast in (product, accumulator):
        grid = None if cast is None else cast.grid
        if grid is None:
            continue
        quantum = -grid.fraction_bits if isinstance(grid, FixedFields) else unit_exponent(grid)
        width = grid.width if isinstance(grid, FixedFields) else (1 << grid.exponent_bits) + grid.mantissa_bits
        if abs(quantum) > _EXPONENTS or quantum + width > _EXPONENTS:
            return False
        if isinstance(grid, FixedFields) and width > _FLOAT64_BITS:
            return False
        if cast is product:
            # What a cast product can be: its own grid, and no more than it was but for one rounding up.
            finest, bits = quantum, min(max(bits + 1, quantum + 1), quantum + width)
        else:
            finest, bits = min(finest, quantum), max(bits, quantum + width)
    exact_parts = accumulator.order == ORDER_CHUNKS_EXACT and accumulator.chunk > 1
    if accumulator.grid is None or exact_parts or isinstance(accumulator.grid, FixedFields):
        terms = operands.depth if accumulator.grid is None else min(accumulator.chunk, operands.depth)
        if accumulator.grid is None:
            bits = max(bits, int(operands.largest_initial).bit_length() + finest)
        return bits + (terms + 1).bit_length() - finest <= _FLOAT64_BITS
    return True


def register_exponent(accumulator: AccumulatorFields) -> int:
    """The binary exponent of the unit that the content of a register counts in; 0 where it is a float value.

    Raises:
        ValueError: if the accumulator is exact and has no unit of its own.

    >>> register_exponent(AccumulatorFields(FixedFields(16, 4, 1)))
    -4
    """
    grid = accumulator.grid
    if grid is None:
        raise ValueError(
            "an exact accumulator casts nothing and counts in the products' unit: use the exact products of blocks "
            "(kernels.compiled.block_dots), or give the accumulator a format"
        )
    return -grid.fraction_bits if isinstance(grid, FixedFields) else 0


def check_terms(blocks_per_term: int) -> None:
    """Refuse terms without blocks.

    Raises:
        ValueError: with the number of blocks.
    """
    if blocks_per_term < 1:
        raise ValueError(f"a term is the sum of at least 1 block, got {blocks_per_term}")


def register_sums_are_exact_in_float64(accumulator: AccumulatorFields) -> bool:
    """Whether casting float64 sums rounded to odd is the same as casting the exact sums of numbers of any size.

    Rounded to odd, a sum keeps enough to be rounded to up to 48 bits, and its sign and order. A register that wraps
    needs the low bits of numbers of any size as well: of each it takes the remainder, if `wraps_by_remainder`.
    """
    grid = accumulator.grid
    if grid is None:
        return False
    quantum = -grid.fraction_bits if isinstance(grid, FixedFields) else unit_exponent(grid)
    width = grid.width if isinstance(grid, FixedFields) else (1 << grid.exponent_bits) + grid.mantissa_bits
    if abs(quantum) > _EXPONENTS or quantum + width > _EXPONENTS:
        return False
    if not isinstance(grid, FixedFields):
        return True
    saturates = accumulator.overflow in {OVERFLOW_SATURATE, OVERFLOW_SATURATE_ZERO, OVERFLOW_SATURATE_SYMMETRIC}
    return grid.width <= _REGISTER_BITS and (saturates or wraps_by_remainder(accumulator))


def wraps_by_remainder(accumulator: AccumulatorFields) -> bool:
    """Whether a register wraps alike for numbers that differ by a multiple of its range.

    Rounding that looks at the sign does not allow it, as a remainder may have another one.
    """
    by_sign = {TOWARD_ZERO, HALF_AWAY, HALF_TOWARD_ZERO}
    return (
        isinstance(accumulator.grid, FixedFields)
        and accumulator.overflow == OVERFLOW_WRAP
        and accumulator.saturation_bits == 0
        and accumulator.rounding not in by_sign
    )
