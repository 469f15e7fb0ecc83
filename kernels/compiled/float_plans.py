"""Which loop computes a floating-point accumulator exactly as defined: the proof, made per call.

Sums run in units of the products, so operands are integers and all exponents below count from there. With t the
significant bits of the loop's type (24 or 53), a sum may be rounded by the type and then again to the accumulator's
m + 1 bits

* if it is exact in t bits: everything from the finest unit to the largest sum lies within t bits; or
* if the accumulator's numbers (q the finest) and all sums that do not overflow it lie within t bits, and the bits P of
  the added number satisfy ``P + m + 3 <= t``. An added number that is a multiple of q then makes an exact sum. One that
  is not lies below ``q * 2**(P - 1)``: if it is at least half the accumulator, the sum has at most P + 2 bits; else the
  distance of the sum to a tie, which is not 0, is at least ``2**(-m - P - 1)`` of the sum; or
* if the added number has at most m + 1 significant bits and ``2 * (m + 1) + 2 <= t``. Both addends then have at most
  m + 1 bits, and only a sum of at most ``2 * (m + 1) + 2`` bits can be close to a tie of the accumulator's grid without
  being one. (``m + 1 + bits + 1 <= t`` is not enough: an accumulator far smaller than the product needs all of its own
  bits below the tie.)

Otherwise the float64 sum is rounded to odd, which is safe from m + 3 bits on.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from kernels.compiled.float_sums import HalfOverflowing, HalfSaturating, OddSum, float_cast
from kernels.compiled.lanes import cpu_converts_halves
from kernels.compiled.sum_loops import Casts, NoCast, PlainSum
from kernels.definitions.dots import cast_to_fields
from kernels.definitions.minifloat import largest_magnitude_code, magnitude_integer, unit_exponent
from kernels.fields import (
    ORDER_CHUNKS_EXACT,
    ORDER_CHUNKS_ROUNDED,
    ORDER_PAIRWISE,
    SPECIALS_IEEE,
    SUBNORMALS_GRADUAL,
    AccumulatorFields,
    FloatFields,
    ProductFields,
)
from kernels.rounding import HALF_EVEN

if TYPE_CHECKING:
    from kernels.dot_bounds import Operands

IEEE_HALF: Final = FloatFields(5, 10, 15, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1)
IEEE_SINGLE: Final = FloatFields(8, 23, 127, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1)


class Plan(NamedTuple):
    """The type of the loop and its casts; the left operand and the initial values are scaled by powers of two."""

    dtype: type[np.floating[Any]]
    casts: Casts
    left_exponent: int
    initial_exponent: int
    result_exponent: int


class _Grid(NamedTuple):
    """A float grid in units of the products."""

    mantissa_bits: int
    quantum: int
    largest: float
    beyond: float


def _grid(cast: ProductFields | AccumulatorFields, unit: int) -> _Grid | None:
    """The grid of a half-even cast with gradual underflow and a sign; None for any other, which other loops take."""
    fields = cast.grid
    if not isinstance(fields, FloatFields) or not fields.signed or fields.subnormals != SUBNORMALS_GRADUAL:
        return None
    if cast.rounding != HALF_EVEN or fields.mantissa_bits < 1 or fields.exponent_bits < 1:
        return None
    quantum = unit_exponent(fields)
    integer = magnitude_integer(largest_magnitude_code(fields), fields)
    largest = Fraction(integer) * Fraction(2) ** quantum
    beyond = cast_to_fields(4 * largest, cast)
    if not -900 < quantum - unit < 900 or integer.bit_length() + quantum - unit > 900:
        return None
    scaled = math.ldexp(integer, quantum - unit)
    return _Grid(fields.mantissa_bits, quantum - unit, scaled, scaled if beyond == largest else float(beyond))


def plan(
    operands: Operands, *, unit: int, product: ProductFields | None, accumulator: AccumulatorFields
) -> Plan | None:
    """The fastest loop that is proven equal to the definition, or None if none of them is.

    Args:
        operands: what is known of the operands.
        unit: binary exponent of the products' unit.
        product: the cast of each product.
        accumulator: a floating-point accumulator.
    """
    sums = _grid(accumulator, unit)
    products = None if product is None else _grid(product, unit)
    if sums is None or accumulator.order == ORDER_PAIRWISE or (product is not None and products is None):
        return None
    for dtype in (np.float32, np.float64):
        found = _plan_in(dtype, operands, unit=unit, sums=sums, products=products, accumulator=accumulator)
        if found is not None:
            return found
    return None


class _Added(NamedTuple):
    """What is added to the accumulator in one step: its cast, significant bits, largest magnitude and finest unit."""

    cast: Any
    bits: int
    largest: float
    finest: int


def _plan_in(
    dtype: type[np.floating[Any]],
    operands: Operands,
    *,
    unit: int,
    sums: _Grid,
    products: _Grid | None,
    accumulator: AccumulatorFields,
) -> Plan | None:
    information = np.finfo(dtype)
    bits, top, bottom = int(information.nmant) + 1, int(information.maxexp) - 1, int(information.minexp)
    added = _added(dtype, operands, products)
    if added is None:
        return None
    bound = _growth(operands, added.largest, sums, unit)
    reach = min(sums.largest, bound)
    largest_product, added = added.largest, _joined(added, operands, sums, reach, accumulator)
    if added.bits > bits:
        return None
    # From zero on, every sum is a multiple of the finest product: a cast to a finer grid does not change it.
    finest = added.finest if operands.largest_initial == 0 else min(sums.quantum, added.finest)
    exact = _bits_between(finest, reach + added.largest) <= bits
    innocuous = added.bits <= sums.mantissa_bits + 1 and 2 * (sums.mantissa_bits + 1) + 2 <= bits
    # Four times the largest number overflows, whatever it is added to.
    sums_end = min(8 * sums.largest, reach + added.largest)
    innocuous |= added.bits + sums.mantissa_bits + 3 <= bits and _bits_between(sums.quantum, sums_end) <= bits
    casts = Casts(added.cast, PlainSum(0), NoCast(0))
    if accumulator.grid == IEEE_SINGLE and dtype is np.float32:
        # The type is the format, as long as sums neither overflow nor are finer than its smallest number.
        fine = unit + min(added.finest, 0) < unit_exponent(IEEE_SINGLE)
        return None if fine or bound >= min(sums.largest, math.ldexp(1.0, top)) else Plan(dtype, casts, 0, -unit, unit)
    half = accumulator.grid == IEEE_HALF and dtype is np.float32 and products is None and (exact or innocuous)
    largest_left = max(largest_product, float(operands.largest_left), 1.0)
    if half and cpu_converts_halves() and bottom < unit and math.frexp(largest_left)[1] + unit < top:
        through = HalfSaturating(dtype(65504)) if sums.beyond == sums.largest else HalfOverflowing(0)
        return Plan(dtype, casts._replace(sums=through), unit, 0, 0)
    if bound < sums.largest:
        # Nothing can overflow, so any power of two above the bound serves as the limit of the loop.
        limit = min(math.ldexp(1.0, math.frexp(bound)[1] + 1), sums.largest)
        sums = sums._replace(largest=limit, beyond=limit)
    highest = sums.largest if sums.largest == sums.beyond else sums.largest + added.largest
    if sums.mantissa_bits > bits - 3 or not _magic_fits(sums, highest, bits=bits, top=top, bottom=bottom):
        return None
    if not (exact or innocuous):
        if dtype is np.float32:
            return None
        casts = casts._replace(summing=OddSum(0))
    return Plan(dtype, casts._replace(sums=_constants(sums, dtype)), 0, -unit, unit)


def _added(dtype: type[np.floating[Any]], operands: Operands, products: _Grid | None) -> _Added | None:
    """A product, exact or cast; None if the type does not hold it."""
    information = np.finfo(dtype)
    bits, top, bottom = int(information.nmant) + 1, int(information.maxexp) - 1, int(information.minexp)
    product_bits = operands.left_bits + operands.right_bits
    largest = float(operands.largest_left) * float(operands.largest_right)
    if product_bits > bits or largest >= math.ldexp(1.0, top):
        return None
    if products is None:
        return _Added(NoCast(0), product_bits, largest, 0)
    if products.mantissa_bits > bits - 3:
        return None
    if not _magic_fits(products, max(largest, 1.0), bits=bits, top=top, bottom=bottom):
        return None
    if products.beyond != products.largest and largest > products.largest:
        return None  # infinite or NaN products are left to the general path
    if products.largest > math.ldexp(1.0, top):
        products = products._replace(largest=math.ldexp(1.0, top), beyond=math.ldexp(1.0, top))  # never reached
    # Rounding up to the next binade at most doubles a product; a coarse quantum may lift it from below one.
    reach = min(max(2 * largest, math.ldexp(1.0, products.quantum)), products.largest)
    return _Added(_constants(products, dtype), min(products.mantissa_bits + 1, product_bits), reach, products.quantum)


def _joined(added: _Added, operands: Operands, sums: _Grid, reach: float, accumulator: AccumulatorFields) -> _Added:
    """What is added in one step where the order makes that more than a product."""
    if accumulator.order == ORDER_CHUNKS_EXACT and min(accumulator.chunk, operands.depth) > 1:
        largest = added.largest * min(accumulator.chunk, operands.depth)
        return added._replace(largest=largest, bits=_bits_between(added.finest, largest))
    if accumulator.order == ORDER_CHUNKS_ROUNDED:
        return added._replace(largest=max(added.largest, reach), bits=max(added.bits, sums.mantissa_bits + 1))
    return added


def _magic_fits(grid: _Grid, highest: float, *, bits: int, top: int, bottom: int) -> bool:
    """Whether the numbers added and subtracted are normal and finite in the loop's type, and the grid is."""
    least_exponent = grid.quantum + grid.mantissa_bits
    up = bits - 1 - grid.mantissa_bits
    highest_exponent = max(math.frexp(highest)[1], least_exponent)
    return grid.quantum > bottom and least_exponent > bottom and highest_exponent + up < top


def _constants(grid: _Grid, dtype: type[np.floating[Any]]) -> Any:  # noqa: ANN401 - a tuple class per kind of cast
    return float_cast(
        mantissa_bits=grid.mantissa_bits,
        least_exponent=grid.quantum + grid.mantissa_bits,
        largest=grid.largest,
        beyond=grid.beyond,
        dtype=dtype,
    )


def _bits_between(finest: int, largest: float) -> int:
    """Bits from a unit ``2**finest`` to a magnitude."""
    return max(math.frexp(largest)[1] - finest, 1) if largest > 0 else 1


def _growth(operands: Operands, largest_added: float, sums: _Grid, unit: int) -> float:
    """A bound of every partial sum if nothing saturates: a product passes at most twice as many casts as there are."""
    per_step = 1 + math.ldexp(1.0, -sums.mantissa_bits - 1)
    exponent = 2 * (operands.depth + 1) * math.log2(per_step)
    if exponent > 800:
        return math.inf
    quantum = math.ldexp(1.0, sums.quantum)
    start: float = math.ldexp(operands.largest_initial, -unit) + (operands.depth + 1) * (largest_added + 2 * quantum)
    growth: float = 2.0**exponent
    return start * growth * (1 + 2.0**-20)
