"""Dot products, defined on exact rationals: which product, which accumulator, in which order.

Operands are integers; ``unit`` is the binary exponent of their products' unit, so a product means ``a * b * 2**unit``.
An accumulator has no negative zero (DESIGN section 6, rule 3): a sum that rounds to zero is +0.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from kernels.definitions import fixed, minifloat
from kernels.fields import (
    ORDER_ASCENDING,
    ORDER_CHUNKS_EXACT,
    ORDER_CHUNKS_ROUNDED,
    ORDER_PAIRWISE,
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_FINITE,
    AccumulatorFields,
    FixedFields,
    FloatFields,
    ProductFields,
)
from kernels.rounding import FLOOR, round_shift

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXACT = AccumulatorFields()


def cast_to_fields(value: Fraction | float, cast: ProductFields | AccumulatorFields) -> Fraction | float:
    """One cast of an exact value into the format of a product or accumulator; +0 for every zero.

    An infinite value (an overflow on the way) is cast by the format's own rule for infinity; NaN stays NaN.

    Args:
        value: a rational, or a float that is infinite or NaN.
        cast: format, rounding and overflow; a ``grid`` of None casts nothing.

    Returns:
        A rational, or an infinite or NaN float.

    >>> from kernels.fields import OVERFLOW_SATURATE
    >>> cast_to_fields(Fraction(37, 4), AccumulatorFields(FixedFields(4, 0, 1), FLOOR, OVERFLOW_SATURATE))
    Fraction(7, 1)
    """
    grid = cast.grid
    if grid is None or (isinstance(value, float) and math.isnan(value)):
        return value
    result: Fraction | float
    if isinstance(grid, FixedFields):
        code = fixed.encode_scalar(
            value, grid, rounding=cast.rounding, overflow=cast.overflow, saturation_bits=cast.saturation_bits
        )
        result = fixed.decode_scalar(code, grid)
    else:
        code = minifloat.encode_scalar(
            value, grid, rounding=cast.rounding, overflow=cast.overflow, underflow=cast.underflow
        )
        result = minifloat.decode_scalar(code, grid)
    return Fraction(result) if math.isfinite(result) else float(result)


def _add(left: Fraction | float, right: Fraction | float) -> Fraction | float:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left + right
    return float(left) + float(right)


def accumulate(
    products: Sequence[Fraction | float],
    accumulator: AccumulatorFields = _EXACT,
    *,
    initial: Fraction | float = Fraction(0),
) -> Fraction | float:
    """Add products, in the accumulator's order and format.

    Args:
        products: exact values of the products, k ascending.
        accumulator: format, rounding, overflow and order.
        initial: the first value of the accumulator (a bias), a number of its format.

    Raises:
        ValueError: if the initial value is no number of the accumulator's format, or a chunk is below 1.

    >>> accumulate([Fraction(5), Fraction(6), Fraction(-4)], AccumulatorFields(FixedFields(4, 0, 1)))
    Fraction(3, 1)
    """
    check_options(None, accumulator)
    if cast_to_fields(initial, accumulator) != initial:
        raise ValueError(
            f"the initial value {initial} is no number of the accumulator {accumulator.grid}: round it to one"
        )
    if accumulator.order == ORDER_PAIRWISE:
        level = list(products)
        while len(level) > 1:
            pairs = [cast_to_fields(_add(*level[i : i + 2]), accumulator) for i in range(0, len(level) - 1, 2)]
            level = pairs + level[len(level) - len(level) % 2 :]
        return cast_to_fields(_add(initial, level[0]), accumulator) if level else initial
    total = initial
    for start in range(0, len(products), accumulator.chunk):
        part: Fraction | float = Fraction(0)
        for product in products[start : start + accumulator.chunk]:
            part = _add(part, product)
            if accumulator.order == ORDER_CHUNKS_ROUNDED:
                part = cast_to_fields(part, accumulator)
        total = cast_to_fields(_add(total, part), accumulator)
    return total


def check_options(product: ProductFields | None, accumulator: AccumulatorFields) -> None:
    """Refuse an unknown order, a chunk that does not go with the order, and products that their sum cannot take.

    Raises:
        ValueError: with what was given and what is allowed.
    """
    has_infinities = isinstance(accumulator.grid, FloatFields)
    overflows = product is not None and product.overflow not in {OVERFLOW_SATURATE, OVERFLOW_SATURATE_FINITE}
    if product is not None and overflows and isinstance(product.grid, FloatFields) and not has_infinities:
        raise ValueError(
            f"products that overflow by rule {product.overflow} may be infinite or NaN, which the accumulator "
            f"{accumulator.grid} has not: saturate them ({OVERFLOW_SATURATE}) or use a float accumulator"
        )
    orders = (ORDER_ASCENDING, ORDER_PAIRWISE, ORDER_CHUNKS_EXACT, ORDER_CHUNKS_ROUNDED)
    if accumulator.order not in orders:
        raise ValueError(f"accumulator order {accumulator.order} is unknown: one of {orders} of kernels.fields")
    chunked = accumulator.order in {ORDER_CHUNKS_EXACT, ORDER_CHUNKS_ROUNDED}
    if accumulator.chunk < 1 or (accumulator.chunk > 1 and not chunked):
        raise ValueError(
            f"a chunk of {accumulator.chunk} products with order {accumulator.order}: at least 1, and exactly 1 unless "
            f"the order is ORDER_CHUNKS_EXACT ({ORDER_CHUNKS_EXACT}) or ORDER_CHUNKS_ROUNDED ({ORDER_CHUNKS_ROUNDED})"
        )


def dot(
    left: Sequence[int],
    right: Sequence[int],
    *,
    unit: int = 0,
    product: ProductFields | None = None,
    accumulator: AccumulatorFields = _EXACT,
    initial: Fraction | float = Fraction(0),
) -> Fraction | float:
    """One dot product of integers.

    Args:
        left: integers.
        right: as many integers.
        unit: binary exponent of the products' unit.
        product: the format each product is rounded to; None keeps it exact.
        accumulator: format, rounding, overflow and order.
        initial: the first value of the accumulator.

    Raises:
        ValueError: if the lengths differ, or the initial value is no number of the accumulator's format.

    >>> dot([3, -2, 5], [4, 4, 1], unit=-1)
    Fraction(9, 2)
    """
    if len(left) != len(right):
        raise ValueError(f"operands of {len(left)} and {len(right)} numbers have no dot product: give equal lengths")
    check_options(product, accumulator)
    scale = Fraction(2) ** unit
    products: list[Fraction | float] = [Fraction(a * b) * scale for a, b in zip(left, right, strict=True)]
    if product is not None:
        products = [cast_to_fields(value, product) for value in products]
    return accumulate(products, accumulator, initial=initial)


def block_dot(
    left: Sequence[int],
    right: Sequence[int],
    left_exponents: Sequence[int],
    right_exponents: Sequence[int],
    *,
    block: int,
    blocks_per_term: int = 1,
    accumulator: AccumulatorFields = _EXACT,
    initial: Fraction | float = Fraction(0),
) -> Fraction | float:
    """The dot product of two block-scaled vectors: block b of a side counts in ``2**exponent[b]``.

    The products of the elements of a block are added exactly, as integers. Their sum times both scales is exact as
    well, and `accumulate` takes such sums in place of products: in its order, and cast as it says, rounding included.
    So a fixed-point accumulator rounds total and block sum together, once; for rounding by floor, ceiling or half up
    that is the same as to round the aligned block sum before it is added. (OCP Microscaling Formats 1.0, section 6,
    leaves the order and the precision of sums over blocks to the implementation.)

    Args:
        left: element integers.
        right: as many.
        left_exponents: one per block.
        right_exponents: one per block.
        block: elements per block; the last block may be shorter.
        blocks_per_term: neighbouring blocks whose sums are added exactly to one term of the accumulator.
        accumulator: format, rounding, overflow, and an order and chunk that count terms; exact by default.
        initial: the first value of the accumulator, a number of its format.

    >>> block_dot([1, 2, 3], [1, 1, 1], [0, 4], [1, -1], block=2)
    Fraction(30, 1)
    >>> block_dot([1, 2, 3], [1, 1, 1], [0, 4], [1, -1], block=2, accumulator=AccumulatorFields(FixedFields(5, 0, 1)))
    Fraction(15, 1)
    """
    terms: list[Fraction | float] = []
    for start in range(0, len(left), block * blocks_per_term):
        term = Fraction(0)
        for k in range(start, min(start + block * blocks_per_term, len(left))):
            scale = Fraction(2) ** (left_exponents[k // block] + right_exponents[k // block])
            term += left[k] * right[k] * scale
        terms.append(term)
    return accumulate(terms, accumulator, initial=initial)


def block_dot_aligned(
    left: Sequence[int],
    right: Sequence[int],
    left_exponents: Sequence[int],
    right_exponents: Sequence[int],
    *,
    block: int,
    unit: int,
    width: int,
    initial: int = 0,
) -> int:
    """The hardware rule for blocks (DESIGN section 6, rule 11), as an integer in the static unit ``2**unit``.

    Each block's dot product is exact, shifted to the unit (floor), added exactly, and the end is saturated.

    Args:
        left: element integers.
        right: element integers.
        left_exponents: binary exponent of each block's unit.
        right_exponents: the same for the right side.
        block: elements per block; the last block may be shorter.
        unit: binary exponent of the result's unit.
        width: bits of the two's complement result.
        initial: added in the result's unit (a bias).

    >>> block_dot_aligned([3, 1], [1, -1], [-1, 0], [0, 0], block=1, unit=0, width=8)
    0
    """
    total = initial
    for index, start in enumerate(range(0, len(left), block)):
        pairs = zip(left[start : start + block], right[start : start + block], strict=True)
        part = sum(a * b for a, b in pairs)
        total += round_shift(part, unit - left_exponents[index] - right_exponents[index], FLOOR)
    return min(max(total, -(1 << (width - 1))), (1 << (width - 1)) - 1)
