"""Exact products of integers wider than 8 bits, from int8 limbs and the processor's int8 dot products.

An integer is ``sum digit[i] * 256**i`` with digits in -128 .. 127. The digits of one place of the product,
``sum over i + j = place``, are one int8 product whose depth is all limbs of the place side by side: with the left limbs
in rising and the right limbs in falling order, a place is a slice of both. Nine int8 products take less time than one
float64 product where VNNI exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import llvmlite.binding as llvm
import numba
import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_ROWS: Final = 256
"""Rows at a time: the 32-bit sums of all places stay in the second cache."""


def worthwhile(left_limbs: int, right_limbs: int) -> bool:
    """Whether limbs beat one float64 product here: int8 dot products in hardware, and at most 9 pairs of limbs."""
    return left_limbs * right_limbs <= 9 and has_int8_dot_products()


def has_int8_dot_products() -> bool:
    """Whether the processor has VNNI, in any of its widths."""
    features = llvm.get_host_cpu_features()
    return any(features.get(name, False) for name in ("avx512vnni", "avxvnni", "amx-int8"))


def limbs_for(low: int, high: int) -> int:
    """How many balanced digits of 8 bits hold all integers of a range.

    >>> limbs_for(-128, 127), limbs_for(0, 128), limbs_for(-2048, 2047), limbs_for(-(2**17), 229376)
    (1, 2, 2, 3)
    """
    count = 1
    while not (-128 * _ones(count) <= low and high <= 127 * _ones(count)):
        count += 1
    return count


def _ones(count: int) -> int:
    return ((1 << (8 * count)) - 1) // 255


def fits(depth: int, left_limbs: int, right_limbs: int) -> bool:
    """Whether the sums of every place stay below ``2**31``."""
    return depth * min(left_limbs, right_limbs) * 128 * 128 < 1 << 31


def split(values: NDArray[np.int64], count: int) -> NDArray[np.int8]:
    """The digits of integers, least first: shape ``(count, *values.shape)``.

    >>> split(np.array([300, -129]), 2).tolist()
    [[44, 127], [1, -1]]
    """
    result = np.empty((count, *values.shape), dtype=np.int8)
    rest = values.astype(np.int64)
    for place in range(count):
        digit = rest.astype(np.int8)
        result[place] = digit
        rest = (rest - digit) >> 8
    return result


def dense_tensor(values: NDArray[np.int8]) -> torch.Tensor:
    """A matrix as a tensor whose strides are those of its shape.

    NumPy and torch call any strides of an axis of length 1 contiguous, but torch's int8 product reads with them: a
    stride of 0, as ``array[:, None]`` has, gives wrong numbers without an error.
    """
    import torch

    if values.strides != (values.shape[1], 1):
        copy = np.empty(values.shape, dtype=np.int8)
        copy[...] = values
        values = copy
    return torch.from_numpy(values)


@numba.njit(cache=True, nogil=True)
def _combine(places: NDArray[np.int32], parts: NDArray[np.int64]) -> None:
    for index in range(places.shape[1]):
        for part in range(parts.shape[0]):
            total = np.int64(0)
            for place in range(min(4, places.shape[0] - 4 * part)):
                total += np.int64(places[4 * part + place, index]) << (8 * place)
            parts[part, index] = total


@numba.njit(cache=True, nogil=True)
def _combine_narrow(places: NDArray[np.int32], result: NDArray[np.int64]) -> None:
    for index in range(places.shape[1]):
        total = np.int64(0)
        for place in range(places.shape[0]):
            total += np.int64(places[place, index]) << (8 * place)
        result[index] = total


def limb_matmul(left: NDArray[np.int8], right: NDArray[np.int8], *, wide: int = 0) -> NDArray[np.int64]:
    """The exact product of integers given as limbs; `fits` must hold.

    Args:
        left: digits, shape ``(left_limbs, m, k)``.
        right: digits, shape ``(right_limbs, k, n)``.
        wide: 0 if every sum is known to stay below ``2**63``; else the number of parts of the result.

    Returns:
        int64, shape ``(m, n)``, or ``(wide, m, n)`` with the parts of `kernels.block_sums.BlockSums`: four
        places of 8 bits each.
    """
    import torch

    left_limbs, rows, depth = left.shape
    right_limbs, _, columns = right.shape
    beside = dense_tensor(np.ascontiguousarray(left.transpose(1, 0, 2)).reshape(rows, left_limbs * depth))
    falling = dense_tensor(np.ascontiguousarray(right[::-1]).reshape(right_limbs * depth, columns))
    count = left_limbs + right_limbs - 1
    result = np.empty((max(wide, 1), rows, columns), dtype=np.int64)
    places = np.empty((count, min(_ROWS, rows), columns), dtype=np.int32)
    for start in range(0, rows, _ROWS):
        stop = min(start + _ROWS, rows)
        for place in range(count):
            first, last = max(place - right_limbs + 1, 0), min(place, left_limbs - 1)
            top = right_limbs - 1 - place + first
            part = beside[start:stop, first * depth : (last + 1) * depth]
            slot = torch.from_numpy(places[place, : stop - start])
            below = falling[top * depth : (top + last - first + 1) * depth]
            torch._int_mm(part, below, out=slot)  # noqa: SLF001 - the only name this product has
        flat = places[:, : stop - start].reshape(count, -1)
        if wide:
            parts = np.empty((wide, flat.shape[1]), dtype=np.int64)
            _combine(flat, parts)
            result[:, start:stop] = parts.reshape(wide, stop - start, columns)
        else:
            _combine_narrow(flat, result[0, start:stop].reshape(-1))
    return result if wide else result[0]
