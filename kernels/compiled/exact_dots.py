"""Exact matrix products from codes: the fastest exact path for the integers that the codes mean.

Integers of 8 bits go through torch's int8 product (VNNI where the processor has it), wider ones through BLAS in float32
or float64; each only while the sums provably fit. Extra memory: the two decoded operands and the result, at most three
times what the operands take in the type of the product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

from kernels.compiled.int8_dots import int8_matmul, int8_matmul_is_exact
from kernels.compiled.limbs import fits, limb_matmul, limbs_for, split, worthwhile
from kernels.products import exact_matmul, matmul_in

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

_EVERY_BYTE: Final = np.arange(256, dtype=np.uint8).view(np.int8)


@numba.njit(cache=True, nogil=True)
def _look_up(codes: NDArray[Any], table: NDArray[Any], result: NDArray[Any]) -> None:
    for index in range(codes.size):
        result[index] = table[codes[index]]


def look_up(codes: NDArray[Any], table: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """What codes mean: ``table[codes]`` in a dtype, in one pass without 64-bit indices.

    Args:
        codes: uint8 or uint16, any shape.
        table: integers or floats, one per code; at least 256 or 65536 entries unless all codes are below its length.
        dtype: of the result; it must hold the table's entries exactly.

    Raises:
        ValueError: if a code has no entry, or an entry is no number of the dtype.

    >>> look_up(np.array([[0, 2]], dtype=np.uint8), np.array([0, 1, -6]), np.int8)
    array([[ 0, -6]], dtype=int8)
    """
    entries = table.astype(dtype)
    if not np.array_equal(entries.astype(table.dtype), table):
        raise ValueError(f"a table with numbers up to {np.abs(table).max()} does not fit {np.dtype(dtype).name}")
    if table.size < 1 << (8 * codes.dtype.itemsize) and codes.size and int(codes.max()) >= table.size:
        raise ValueError(f"code {int(codes.max())} has no entry in a table of {table.size} codes")
    if codes.dtype == np.uint8 and entries.dtype == np.int8 and np.array_equal(entries, _EVERY_BYTE[: entries.size]):
        return codes.view(np.int8)  # two's complement: the codes are the integers
    result = np.empty(codes.shape, dtype=dtype)
    _look_up(np.ascontiguousarray(codes).reshape(-1), entries, result.reshape(-1))
    return result


def _largest(values: NDArray[Any]) -> int:
    return max(int(values.max()), -int(values.min())) if values.size else 0


def exact_matmul_codes(
    left: NDArray[Any], right: NDArray[Any], left_table: NDArray[Any], right_table: NDArray[Any]
) -> NDArray[Any]:
    """The exact product of matrices given as codes.

    Args:
        left: codes (uint8, uint16), shape ``(m, k)``.
        right: codes, shape ``(k, n)``.
        left_table: the integer that each left code means (int64).
        right_table: the same for the right side.

    Returns:
        int64, shape ``(m, n)``; Python integers where 62 bits do not suffice.

    Raises:
        ValueError: if the shapes do not fit or a code has no entry.

    >>> table = np.array([0, 1, -6, 4])
    >>> exact_matmul_codes(np.array([[1, 2]], np.uint8), np.array([[3], [3]], np.uint8), table, table)
    array([[-20]])
    """
    check_shapes(left, right)
    # The tables bound the sums without a look at the data; where that does not suffice, the data may.
    largest = _largest(left_table), _largest(right_table)
    bound = left.shape[1] * largest[0] * largest[1]
    if (
        min(int(table.min()) for table in (left_table, right_table)) >= -128
        and max(int(table.max()) for table in (left_table, right_table)) <= 127
    ):
        return int8_matmul(look_up(left, left_table, np.int8), look_up(right, right_table, np.int8))
    limbs = [limbs_for(int(table.min()), int(table.max())) for table in (left_table, right_table)]
    if bound < 1 << 62 and worthwhile(*limbs) and fits(left.shape[1], *limbs) and int8_matmul_is_exact():
        return limb_matmul(_look_up_limbs(left, left_table, limbs[0]), _look_up_limbs(right, right_table, limbs[1]))
    if bound < 1 << 24:
        return matmul_in(np.float32, look_up(left, left_table, np.float32), look_up(right, right_table, np.float32))
    if bound < 1 << 53:
        return matmul_in(np.float64, look_up(left, left_table, np.float64), look_up(right, right_table, np.float64))
    return exact_matmul(look_up(left, left_table, np.int64), look_up(right, right_table, np.int64))


def _look_up_limbs(codes: NDArray[Any], table: NDArray[Any], count: int) -> NDArray[np.int8]:
    result = np.empty((count, *codes.shape), dtype=np.int8)
    for digits, place in zip(split(table, count), result, strict=True):
        _look_up(np.ascontiguousarray(codes).reshape(-1), digits, place.reshape(-1))
    return result


def check_shapes(left: NDArray[Any], right: NDArray[Any]) -> None:
    """Refuse operands that are no matrices or do not fit.

    Raises:
        ValueError: with both shapes.
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ValueError(
            f"operands of shapes {left.shape} and {right.shape} have no matrix product: give (m, k) and (k, n)"
        )
