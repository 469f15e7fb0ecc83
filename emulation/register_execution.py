"""Sums in a narrow accumulator, fast (DESIGN section 6, rule 8): chunk after chunk, one cast each.

Exact products go through the compiled loops of `kernels.compiled.dots`. L-Mul, pairs of chunks, and integers beyond 62
bits go chunk by chunk through arrays, a panel of rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.block_tensors import bit_length
from emulation.datapaths import Order
from emulation.format_fields import scalar_fields
from emulation.rules import Overflow
from emulation.wide_integers import WORD, narrow, plus, shifted_left, wrapped
from kernels.compiled import dots
from kernels.fields import ORDER_CHUNKS_EXACT, ORDER_PAIRWISE, AccumulatorFields
from kernels.products import exact_matmul
from kernels.rounding import (
    CEILING,
    FLOOR,
    HALF_AWAY,
    HALF_EVEN,
    HALF_TOWARD_ZERO,
    HALF_UP,
    INTEGER_GRID,
    TOWARD_ZERO,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.engines import Register

Pairs = list[tuple["NDArray[Any]", "NDArray[Any]"]]
ExactSums = Callable[[Pairs], "NDArray[Any]"]
PANEL: Final = 1 << 22
"""Integers held at once by the chunks of a panel."""


def exact_sums(pairs: Pairs) -> NDArray[Any]:
    """The sum of the exact products of pairs of matrices."""
    total = exact_matmul(*pairs[0])
    for left, right in pairs[1:]:
        total = plus(total, exact_matmul(left, right))
    return total


def register_sums(
    pairs: Pairs, register: Register, bias: NDArray[Any] | None, exact: ExactSums = exact_sums
) -> NDArray[Any]:
    """The content of a register after all products, in its own steps.

    Args:
        pairs: matrices ``(..., rows, k)`` and ``(..., k, outputs)`` whose products, term by term, are to be summed.
        register: format, rounding, overflow, chunk and order.
        bias: what the register starts with, a shape that broadcasts to the result; 0 if None.
        exact: the exact sum of the products of some pairs, where they are no plain products.
    """
    if register.overflow is Overflow.WRAP and register.product_shift <= 0:
        # Wrapping the exact sum is wrapping at every step: the order does not matter.
        total = plus(shifted_left(exact(pairs), -register.product_shift), bias)
        return wrapped(total, register.grid.low, register.grid.high)
    left, right = pairs[0]
    leading = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    shape = (*leading, left.shape[-2], right.shape[-1])
    initial: NDArray[Any] = np.zeros(shape, dtype=np.int64)
    if bias is not None:
        initial = initial.astype(bias.dtype) + bias
    plain = len(pairs) == 1 and exact is exact_sums
    compiled = plain and (register.order is Order.ASCENDING or register.chunk == 1)
    compiled = compiled and object not in (left.dtype, right.dtype, initial.dtype)
    result = np.empty(shape, dtype=object)
    for place in np.ndindex(leading):
        matrices = [(a[place] if a.ndim > 2 else a, b[place] if b.ndim > 2 else b) for a, b in pairs]
        if compiled:
            result[place] = _compiled_sums(matrices, register, initial[place])
        else:
            result[place] = _panels(matrices, register, initial[place], exact)
    return narrow(result)


def _compiled_sums(pairs: Pairs, register: Register, initial: NDArray[np.int64]) -> NDArray[Any]:
    left, right = pairs[0]
    is_pairwise = register.order is Order.PAIRWISE
    order, chunk = (ORDER_PAIRWISE, 1) if is_pairwise else (ORDER_CHUNKS_EXACT, register.chunk)
    sums = dots.matmul(
        _as_int64(left),
        _as_int64(right),
        unit=register.format.unit_exponent - register.product_shift,
        accumulator=register_fields(register)._replace(order=order, chunk=chunk),
        initial=as_content(initial, register),
    )
    return in_steps(sums, register)


def register_fields(register: Register) -> AccumulatorFields:
    """Format, rounding and overflow of a register as `kernels` take it; it adds products one by one."""
    rules = register.rounding.value, register.overflow.value
    return AccumulatorFields(scalar_fields(register.format), *rules)


def as_content(steps: NDArray[Any], register: Register) -> NDArray[Any]:
    """Steps of a register as `kernels` take what it starts from: values of a float, integers of fixed point."""
    if register.grid.mantissa_bits == INTEGER_GRID:
        return steps
    values: NDArray[np.float64] = np.ldexp(steps.astype(np.float64), register.format.unit_exponent)
    return values


def in_steps(content: NDArray[Any], register: Register) -> NDArray[Any]:
    """The inverse of `as_content`."""
    if register.grid.mantissa_bits == INTEGER_GRID:
        return content
    steps = np.ldexp(content, -register.format.unit_exponent)
    if register.grid.largest < 1 << WORD:
        return _as_int64(steps)
    return np.array([int(step) for step in steps.ravel()], dtype=object).reshape(steps.shape)


def _as_int64(values: NDArray[Any]) -> NDArray[np.int64]:
    return values.astype(np.int64, copy=False)


def _panels(pairs: Pairs, register: Register, initial: NDArray[Any], exact: ExactSums) -> NDArray[Any]:
    depth, outputs = pairs[0][1].shape
    rows = max(PANEL // max(-(-depth // register.chunk) * outputs, 1), 1)
    return np.concatenate(
        [
            _panel(
                [(left[start : start + rows], right) for left, right in pairs],
                register,
                initial[start : start + rows],
                exact,
            )
            for start in range(0, len(initial), rows)
        ]
    )


def _panel(pairs: Pairs, register: Register, initial: NDArray[Any], exact: ExactSums) -> NDArray[Any]:
    finer, coarser = max(register.product_shift, 0), max(-register.product_shift, 0)
    # Sums count in the finer of the two units until they are cast.
    initial = shifted_left(initial, finer)
    parts = [
        shifted_left(exact([(left[:, inside], right[inside]) for left, right in pairs]), coarser)
        for inside in (slice(start, start + register.chunk) for start in range(0, pairs[0][1].shape[0], register.chunk))
    ]
    if register.order is Order.ASCENDING:
        total = initial
        for part in parts:
            total = shifted_left(_cast(plus(total, part), finer, register), finer)
        return total >> finer
    return _cast(plus(initial, _pairwise(parts, finer, register)), finer, register)


def _pairwise(parts: Sequence[NDArray[Any]], finer: int, register: Register) -> NDArray[Any]:
    level = list(parts)
    while len(level) > 1:
        joined = [
            shifted_left(_cast(plus(level[place], level[place + 1]), finer, register), finer)
            for place in range(0, len(level) - 1, 2)
        ]
        level = joined + level[len(level) - len(level) % 2 :]
    return level[0]


def _cast(values: NDArray[Any], shift: int, register: Register) -> NDArray[Any]:
    """``values * 2**-shift`` cast to the register."""
    grid = register.grid
    low, high = grid.low, grid.high
    if grid.mantissa_bits == INTEGER_GRID:
        rounded = _round_shift(values, shift, register.rounding.value)
        if register.overflow is Overflow.WRAP:
            return wrapped(rounded, low, high)
    else:
        spacing = np.maximum(bit_length(np.abs(values)) - 1 - shift - grid.mantissa_bits, 0)
        rounded = _round_shift(values, shift + spacing, register.rounding.value)
        if rounded.dtype != object and int(bit_length(np.abs(rounded)).max(initial=0) + spacing.max(initial=0)) > WORD:
            rounded = rounded.astype(object)
        rounded = rounded << spacing
    if max(-low, high) >= 1 << WORD:
        rounded = rounded.astype(object)
    return narrow(np.clip(rounded, low, high))


def _round_shift(values: NDArray[Any], shift: int | NDArray[np.int64], rounding: int) -> NDArray[Any]:
    """``round(values * 2**-shift)`` with shift >= 0, every rounding of `kernels.rounding` but the random one."""
    if isinstance(shift, int) and shift == 0:
        return values
    if values.dtype != object:
        shift = np.minimum(shift, WORD)
    floor: NDArray[Any] = values >> shift
    if rounding == FLOOR:
        return floor
    rest = values - (floor << shift)
    whole = np.left_shift(np.ones_like(values), shift)
    if rounding == CEILING:
        up = rest != 0
    elif rounding == TOWARD_ZERO:
        up = (rest != 0) & (floor < 0)
    else:
        at_half = _up_at_half(floor, rounding)
        doubled = rest * 2
        # Shifted by 0, a number has no rest and no half.
        up = (doubled > whole) | ((doubled == whole) & at_half)
    rounded: NDArray[Any] = floor + up
    return rounded


def _up_at_half(floor: NDArray[Any], rounding: int) -> NDArray[Any] | bool:
    """Where a number halfway between floor and floor + 1 goes up."""
    if rounding == HALF_EVEN:
        odd: NDArray[Any] = floor % 2 == 1
        return odd
    if rounding == HALF_AWAY:
        return floor >= 0
    if rounding == HALF_TOWARD_ZERO:
        return floor < 0
    return rounding == HALF_UP
