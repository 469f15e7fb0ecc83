"""The loops of matrix products whose accumulator is cast on the way; `fixed_sums` and `float_sums` put the casts in.

Columns are independent, so a strict order of k costs no SIMD lanes: the innermost loop runs over columns, four rows
share every value read of the right operand, and their accumulators stay in the first cache.

LLVM does not take many invariant tests out of an inner loop, so the kind of a cast is the *type* of its constants (a
NamedTuple class), and Numba compiles one loop per type that is used, and keeps it on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numba
import numpy as np
from numba import types
from numba.extending import overload

from kernels.compiled.lanes import Lane, add, mul

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TILE: Final = 512
"""Columns summed at a time."""


class NoCast(NamedTuple):
    """Keeps a number as it is."""

    unused: Any


class PlainSum(NamedTuple):
    """The sum of the loop's own type."""

    unused: Any


class Casts(NamedTuple):
    """What happens in a step: the cast of a product, the sum, and the cast of the sum; constants by type of cast."""

    product: Any
    summing: Any
    sums: Any


def cast_value(value: Lane, cast: Lane) -> Lane:
    """Overloaded on the type of ``cast``."""
    raise NotImplementedError


def add_values(left: Lane, right: Lane, summing: Lane) -> Lane:
    """Overloaded on the type of ``summing``."""
    raise NotImplementedError


def _multiply(left: Lane, right: Lane) -> Lane:
    raise NotImplementedError


@overload(cast_value, strict=False)
def _no_cast(_value: Lane, cast: Lane) -> Lane:
    return (lambda value, cast: value) if cast.instance_class is NoCast else None  # noqa: ARG005 - Numba's signature


@overload(add_values, strict=False)
def _plain_sum(left: Lane, _right: Lane, summing: Lane) -> Lane:
    if summing.instance_class is not PlainSum:
        return None
    if isinstance(left, types.Integer):
        return lambda left, right, summing: add(left, right)  # noqa: ARG005 - Numba's signature
    return lambda left, right, summing: left + right  # noqa: ARG005 - Numba's signature


@overload(_multiply, strict=False)
def _product(left: Lane, _right: Lane) -> Lane:
    if isinstance(left, types.Integer):
        return lambda left, right: mul(left, right)  # noqa: PLW0108 - an overload returns a Python function
    return lambda left, right: left * right


@numba.njit(cache=True, nogil=True)
def _plus(part: Lane, left: Lane, right: Lane, casts: Casts) -> Lane:
    return add_values(part, cast_value(_multiply(left, right), casts.product), casts.summing)


@numba.njit(cache=True, nogil=True)
def _step(total: Lane, left: Lane, right: Lane, casts: Casts) -> Lane:
    return cast_value(_plus(total, left, right, casts), casts.sums)


@numba.njit(cache=True, nogil=True)
def sum_ascending(left: NDArray[Any], right: NDArray[Any], casts: Casts, result: NDArray[Any]) -> None:
    """One cast of the sum for every product, on top of the initial values in ``result``.

    All arrays have the loop's type and are contiguous: ``(m, k)``, ``(k, n)``, ``(m, n)``.
    """
    rows, depth = left.shape
    columns = right.shape[1]
    sums = np.empty((4, _TILE), dtype=result.dtype)
    for start in range(0, columns, _TILE):
        width = min(_TILE, columns - start)
        for row in range(0, rows, 4):
            second, third, last = min(row + 1, rows - 1), min(row + 2, rows - 1), min(row + 3, rows - 1)
            for place, source in enumerate((row, second, third, last)):
                sums[place, :width] = result[source, start : start + width]
            for k in range(depth):
                a, b, c, d = left[row, k], left[second, k], left[third, k], left[last, k]
                # A slice, not an offset: Numba tests an offset for being negative, and that test stops SIMD.
                others = right[k, start : start + width]
                for column in range(width):
                    other = others[column]
                    sums[0, column] = _step(sums[0, column], a, other, casts)
                    sums[1, column] = _step(sums[1, column], b, other, casts)
                    sums[2, column] = _step(sums[2, column], c, other, casts)
                    sums[3, column] = _step(sums[3, column], d, other, casts)
            for place in range(min(4, rows - row)):
                result[row + place, start : start + width] = sums[place, :width]


@numba.njit(cache=True, nogil=True)
def sum_in_chunks(
    left: NDArray[Any],
    right: NDArray[Any],
    chunk: int,
    rounds_parts: int,
    casts: Casts,
    result: NDArray[Any],
) -> None:
    """Chunks of products, summed as they are or (``rounds_parts``) with a cast of each sum, then added and cast.

    ``result`` holds the initial values; all arrays as in `sum_ascending`.
    """
    rows, depth = left.shape
    columns = right.shape[1]
    part = np.empty(columns, dtype=result.dtype)
    for row in range(rows):
        for start in range(0, depth, chunk):
            part[:] = 0
            for k in range(start, min(start + chunk, depth)):
                factor = left[row, k]
                if rounds_parts:
                    for column in range(columns):
                        part[column] = _step(part[column], factor, right[k, column], casts)
                else:
                    for column in range(columns):
                        part[column] = _plus(part[column], factor, right[k, column], casts)
            for column in range(columns):
                result[row, column] = cast_value(
                    add_values(result[row, column], part[column], casts.summing), casts.sums
                )
