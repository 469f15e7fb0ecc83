"""Matrix products with any product and accumulator, bit for bit those of `kernels.definitions.dots`.

Four paths, chosen per call by proof: BLAS and int8 products for exact sums (`kernels.products`), compiled loops for
accumulators that are cast on the way (`fixed_sums`, `float_sums`), a slower one over whole panels for any other float64
casts and orders, and Python integers where nothing else provably holds the numbers. Extra memory: one copy of each
operand in the loop's type and, in the third path, panels of a few rows of the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from kernels.compiled import float_plans
from kernels.compiled.dot_panels import describe, largest_magnitude, matmul_by_definition, matmul_by_panels
from kernels.compiled.exact_dots import check_shapes
from kernels.compiled.fixed_sums import integer_cast, loops_have
from kernels.compiled.sum_loops import Casts, NoCast, PlainSum, sum_ascending, sum_in_chunks
from kernels.definitions.dots import cast_to_fields, check_options
from kernels.definitions.fixed import integer_range
from kernels.dot_bounds import initial_value, result_exponent
from kernels.fields import (
    ORDER_ASCENDING,
    ORDER_CHUNKS_ROUNDED,
    ORDER_PAIRWISE,
    OVERFLOW_WRAP,
    AccumulatorFields,
    FixedFields,
    FloatFields,
    ProductFields,
)
from kernels.products import exact_matmul, sum_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXACT: Final = AccumulatorFields()


def matmul(
    left: NDArray[Any],
    right: NDArray[Any],
    *,
    unit: int = 0,
    product: ProductFields | None = None,
    accumulator: AccumulatorFields = _EXACT,
    initial: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Multiply integer matrices, each element of the result one `kernels.definitions.dots.dot`.

    Args:
        left: integers in any numeric dtype that holds them, or Python integers; shape ``(m, k)``.
        right: the same; shape ``(k, n)``.
        unit: binary exponent of the products' unit.
        product: the format each product is rounded to; None keeps it exact.
        accumulator: format, rounding, overflow and order; exact by default.
        initial: the accumulators' first values in the result's unit (float values for a float accumulator), of a shape
            that broadcasts to ``(m, n)``; 0 if None. They must be numbers of the accumulator's format.

    Returns:
        Exact and fixed point: integers in the unit of `kernels.dot_bounds.result_exponent` (int64, or Python integers
        where 62 bits do not suffice). Float: float64 values, +0 for every zero.

    Raises:
        ValueError: if shapes, orders or options do not fit, or an initial value is no number of the accumulator.

    >>> matmul(np.array([[3, 5]]), np.array([[6], [7]]), accumulator=AccumulatorFields(FixedFields(6, 0, 1)))
    array([[31]])
    """
    check_shapes(left, right)
    check_options(product, accumulator)
    first = first_values(initial, (left.shape[0], right.shape[1]), accumulator)
    result: NDArray[Any] | None = None
    if accumulator.grid is None and product is None:
        exact = exact_matmul(left, right)
        return exact if initial is None else _exact_sum(exact, first)
    if object not in {left.dtype, right.dtype}:
        if isinstance(accumulator.grid, FixedFields):
            result = _fixed(left, right, unit, product, accumulator, first)
        elif isinstance(accumulator.grid, FloatFields):
            result = _float(left, right, unit, product, accumulator, first)
        if result is None:
            result = matmul_by_panels(left, right, unit, product, accumulator, first)
    if result is None:
        result = matmul_by_definition(left, right, unit, product, accumulator, first)
    return result


class _Cast(NamedTuple):
    """A cast to fixed point."""

    grid: FixedFields
    rounding: int
    overflow: int
    saturation_bits: int


def _exact_sum(product: NDArray[Any], first: NDArray[Any]) -> NDArray[Any]:
    if object in {product.dtype, first.dtype} or largest_magnitude(first) >= 1 << 62:
        product, first = product.astype(object), first.astype(object)
    total: NDArray[Any] = product + first
    return total


def first_values(initial: NDArray[Any] | None, shape: tuple[int, int], accumulator: AccumulatorFields) -> NDArray[Any]:
    """What accumulators start from, in the shape of the result: float64 for a float accumulator, else integers.

    Raises:
        ValueError: if a value is no number of the accumulator's format.
    """
    dtype = np.float64 if isinstance(accumulator.grid, FloatFields) else np.int64
    if initial is None:
        return np.zeros(shape, dtype=dtype)
    values = initial if initial.dtype == object else initial.astype(dtype)
    if accumulator.grid is not None:
        for value in np.unique(values).tolist():
            exact = initial_value(value, result_exponent(0, None, accumulator), accumulator)
            if cast_to_fields(exact, accumulator) != exact:
                raise ValueError(
                    f"the initial value {exact} is no number of the accumulator {accumulator.grid}: round it to one"
                )
    return np.broadcast_to(values, shape)


def _fixed(
    left: NDArray[Any],
    right: NDArray[Any],
    unit: int,
    product: ProductFields | None,
    accumulator: AccumulatorFields,
    first: NDArray[Any],
) -> NDArray[Any] | None:
    """A fixed-point accumulator in 32- or 64-bit loops; None where they do not provably hold the sums."""
    grid = accumulator.grid
    assert isinstance(grid, FixedFields)  # noqa: S101 - the caller's choice
    if product is not None and not isinstance(product.grid, FixedFields):
        return None
    grids = [_Cast(grid, accumulator.rounding, accumulator.overflow, accumulator.saturation_bits)]
    if product is not None and isinstance(product.grid, FixedFields):
        grids.append(_Cast(product.grid, product.rounding, product.overflow, product.saturation_bits))
    # Everything counts in the finest unit of all; a coarser product's operands are scaled up.
    finest = min(unit, *(-cast.grid.fraction_bits for cast in grids))
    shifts = [-cast.grid.fraction_bits - finest for cast in grids]
    largest_product = largest_magnitude(left) * largest_magnitude(right) << (unit - finest)
    low, high = integer_range(grid)
    if product is None and shifts[0] == 0 and grid.signed and first.dtype != object:
        bound = (sum_bound(left, right) << (unit - finest)) + largest_magnitude(first)
        if bound <= high:  # no cast ever changes a sum, in any order
            exact: NDArray[Any] = (exact_matmul(left, right) << (unit - finest)) + first
            return exact
        if accumulator.overflow == OVERFLOW_WRAP and accumulator.saturation_bits == 0 and bound < 1 << 62:
            exact = (exact_matmul(left, right) << (unit - finest)) + first
            return ((exact - low) & (high - low)) + low
    if accumulator.order == ORDER_PAIRWISE or not all(loops_have(c.overflow, c.saturation_bits) for c in grids):
        return None
    if product is not None:
        product_low, product_high = integer_range(grids[1].grid)
        reach = max(-product_low, product_high) << shifts[1]
        largest_cast, largest_product = reach, largest_product + (1 << shifts[1]) + 2 * reach
    else:
        largest_cast = largest_product
    chunk = min(accumulator.chunk, max(left.shape[1], 1)) if accumulator.order != ORDER_CHUNKS_ROUNDED else 1
    span = (high - low) << shifts[0]
    bound = max(largest_product, 2 * span + chunk * largest_cast + (2 << shifts[0]))
    dtype: type[np.signedinteger[Any]] = np.int32 if bound < 1 << 31 else np.int64
    if bound >= 1 << 63 or max(shifts) > 30 + 32 * (dtype is np.int64):
        return None
    casts = [
        integer_cast(cast.grid, shift=shift, rounding=cast.rounding, overflow=cast.overflow, dtype=dtype)
        for cast, shift in zip(grids, shifts, strict=True)
    ]
    scaled = left.astype(np.int64) << (unit - finest)
    result = (first.astype(np.int64) << shifts[0]).astype(dtype)
    _run(
        scaled.astype(dtype),
        right.astype(dtype),
        Casts(NoCast(0) if product is None else casts[1], PlainSum(0), casts[0]),
        accumulator,
        result,
    )
    integers: NDArray[Any] = result.astype(np.int64) >> shifts[0]
    return integers


def _float(
    left: NDArray[Any],
    right: NDArray[Any],
    unit: int,
    product: ProductFields | None,
    accumulator: AccumulatorFields,
    first: NDArray[Any],
) -> NDArray[Any] | None:
    """A floating-point accumulator in the loop of a proven plan; None if there is none."""
    operands = describe(left, right, first)
    plan = float_plans.plan(operands, unit=unit, product=product, accumulator=accumulator)
    if plan is None:
        return None
    scaled = left.astype(plan.dtype)
    if plan.left_exponent:
        scaled = np.ldexp(scaled, plan.left_exponent)
    result = np.ldexp(first, plan.initial_exponent).astype(plan.dtype)
    _run(scaled, right.astype(plan.dtype), plan.casts, accumulator, result)
    # A sum of minus zero, from an underflow, becomes plus zero here.
    wide: NDArray[np.float64] = result.astype(np.float64) + 0.0
    return wide if plan.result_exponent == 0 else np.asarray(np.ldexp(wide, plan.result_exponent))


def _run(
    left: NDArray[Any], right: NDArray[Any], casts: Casts, accumulator: AccumulatorFields, result: NDArray[Any]
) -> None:
    left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
    if not left.size or not right.size:
        return
    if accumulator.order == ORDER_ASCENDING or (accumulator.chunk == 1 and accumulator.order != ORDER_CHUNKS_ROUNDED):
        sum_ascending(left, right, casts, result)
    else:
        rounds_parts = int(accumulator.order == ORDER_CHUNKS_ROUNDED)
        sum_in_chunks(left, right, accumulator.chunk, rounds_parts, casts, result)
