"""Casts of fixed-point accumulators inside the loops of matrix products, on 32- or 64-bit integers.

Sums are kept in the products' unit; the accumulator's grid are the multiples of ``2**shift``. A cast rounds to it
without branches, ``(x + base + (even & x >> shift) + (negative & x >> sign_shift)) & mask``, then fits the result into
the range. The caller proves that nothing exceeds the integers' width (`kernels.compiled.dots`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numba
import numpy as np
from numba.extending import overload

from kernels.compiled.lanes import Lane, add, both, shift_right, sub
from kernels.compiled.sum_loops import cast_value
from kernels.fields import (
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_SYMMETRIC,
    OVERFLOW_SATURATE_ZERO,
    OVERFLOW_WRAP,
    FixedFields,
)
from kernels.rounding_constants import rounding_constants


class Drop(NamedTuple):
    """Rounding by one constant: floor, ceiling, half up, half down."""

    base: Any
    mask: Any


class Round(NamedTuple):
    """Rounding that looks at the last bit kept (``even``) or at the sign (``negative``)."""

    base: Any
    mask: Any
    shift: Any
    even: Any
    sign_shift: Any
    negative: Any


class Saturate(NamedTuple):
    """Out of range is the nearest limit."""

    low: Any
    high: Any


class Wrap(NamedTuple):
    """Out of range keeps the low bits; ``span`` is the greatest minus the least number."""

    low: Any
    span: Any


class Zero(NamedTuple):
    """Out of range is 0."""

    low: Any
    high: Any


class IntegerCast(NamedTuple):
    """A rounding (Drop or Round), then a range (Saturate, Wrap or Zero), all numbers in the dtype of the loop."""

    rounding: Any
    limits: Any


def integer_cast(
    grid: FixedFields, *, shift: int, rounding: int, overflow: int, dtype: type[np.signedinteger[Any]]
) -> IntegerCast:
    """The constants of a cast to a fixed-point grid; `loops_have` says whether the overflow rule is one of these."""
    low, high = (-(1 << (grid.width - 1)), (1 << (grid.width - 1)) - 1) if grid.signed else (0, (1 << grid.width) - 1)
    if overflow == OVERFLOW_SATURATE_SYMMETRIC and grid.signed:
        low = -high
    base, even, negative = rounding_constants(shift, rounding)
    mask = -1 << shift
    sign_shift = 8 * np.dtype(dtype).itemsize - 1
    round_by: Drop | Round
    if even or negative:
        round_by = Round(*(dtype(value) for value in (base, mask, shift, even, sign_shift, negative)))
    else:
        round_by = Drop(dtype(base), dtype(mask))
    if overflow == OVERFLOW_WRAP:
        return IntegerCast(round_by, Wrap(dtype(low << shift), dtype((high - low) << shift)))
    limits = Zero if overflow == OVERFLOW_SATURATE_ZERO else Saturate
    return IntegerCast(round_by, limits(dtype(low << shift), dtype(high << shift)))


def loops_have(overflow: int, saturation_bits: int) -> bool:
    """Whether an overflow rule is one of the compiled loops' own."""
    plain = {OVERFLOW_SATURATE, OVERFLOW_SATURATE_SYMMETRIC, OVERFLOW_SATURATE_ZERO}
    return overflow in plain or (overflow == OVERFLOW_WRAP and saturation_bits == 0)


@numba.njit(cache=True, nogil=True)
def _drop(value: Lane, rule: Drop) -> Lane:
    return both(add(value, rule.base), rule.mask)


@numba.njit(cache=True, nogil=True)
def _round(value: Lane, rule: Round) -> Lane:
    total = add(value, both(rule.even, shift_right(value, rule.shift)))
    return both(add(add(total, rule.base), both(rule.negative, shift_right(value, rule.sign_shift))), rule.mask)


@numba.njit(cache=True, nogil=True)
def _saturate(value: Lane, limits: Saturate) -> Lane:
    return min(max(value, limits.low), limits.high)


@numba.njit(cache=True, nogil=True)
def _wrap(value: Lane, limits: Wrap) -> Lane:
    return add(both(sub(value, limits.low), limits.span), limits.low)


@numba.njit(cache=True, nogil=True)
def _zero(value: Lane, limits: Zero) -> Lane:
    return value if limits.low <= value <= limits.high else sub(value, value)


_RULES: Final = {Drop: _drop, Round: _round, Saturate: _saturate, Wrap: _wrap, Zero: _zero}


@overload(cast_value, strict=False)
def _cast_integer(_value: Lane, cast: Lane) -> Lane:
    if cast.instance_class is not IntegerCast:
        return None
    round_one, fit = (_RULES[kind.instance_class] for kind in cast.types)
    return lambda value, cast: fit(round_one(value, cast.rounding), cast.limits)
