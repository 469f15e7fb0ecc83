"""Exact products of int8 matrices by torch's int8 product (VNNI where there is one), tried before it is trusted."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kernels.compiled.limbs import dense_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS: Final = 256
_INT32_BOUND: Final = (1 << 31) - 1


def int8_matmul(left: NDArray[np.int8], right: NDArray[np.int8]) -> NDArray[np.int64]:
    """The exact product of int8 matrices, split along k before 32-bit sums could wrap.

    Args:
        left: int8, shape ``(m, k)``.
        right: int8, shape ``(k, n)``.

    Returns:
        int64, shape ``(m, n)``.

    >>> int8_matmul(np.full((1, 2), -128, np.int8), np.full((2, 1), -128, np.int8))
    array([[32768]])
    """
    if not int8_matmul_is_exact():
        # Sums below 2**53 need a depth below 2**39.
        return (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    import torch

    (rows, depth), columns = left.shape, right.shape[1]
    limit = _INT32_BOUND // max(_largest(left) * _largest(right), 1)
    result = np.empty((rows, columns), dtype=np.int64)
    # A few rows at a time: their 32-bit sums stay in the cache.
    sums = torch.empty((min(_ROWS, rows), columns), dtype=torch.int32)
    for start in range(0, max(depth, 1), limit):
        stop = min(start + limit, depth)
        some, others = dense_tensor(left[:, start:stop]), dense_tensor(right[start:stop])
        for row in range(0, rows, _ROWS):
            part = sums[: min(_ROWS, rows - row)]
            torch._int_mm(some[row : row + _ROWS], others, out=part)  # noqa: SLF001 - the only name this product has
            if start == 0:
                result[row : row + _ROWS] = part.numpy()
            else:
                result[row : row + _ROWS] += part.numpy()
    return result


def _largest(values: NDArray[Any]) -> int:
    return max(int(values.max()), -int(values.min())) if values.size else 0


@cache
def int8_matmul_is_exact() -> bool:
    """Whether this machine's `torch._int_mm` is exact up to the bound; tried once per process.

    Processors without VNNI multiply pairs of int8 into saturating 16-bit sums; a library that forgets this is wrong for
    large neighbours of one sign. Sums next to ``2**31`` show whether the accumulator is as wide as it should be.
    """
    import torch

    random = np.random.default_rng(0)
    extremes = np.array([-128, -127, 127], dtype=np.int8)
    for rows, depth, columns in ((1, 2, 1), (3, 64, 5), (33, 257, 66)):
        left, right = random.choice(extremes, (rows, depth)), random.choice(extremes, (depth, columns))
        if rows == 3:
            left[:], right[:] = -128, -128
        exact = left.astype(np.int64) @ right.astype(np.int64)
        if not np.array_equal(torch._int_mm(torch.from_numpy(left), torch.from_numpy(right)).numpy(), exact):  # noqa: SLF001
            return False
    depth = _INT32_BOUND // (128 * 128)
    least = torch.full((1, depth), -128, dtype=torch.int8)
    greatest = torch.full((depth, 1), 127, dtype=torch.int8)
    sums = [int(torch._int_mm(least, right)[0, 0]) for right in (least.T.contiguous(), greatest)]  # noqa: SLF001
    return sums == [depth * 128 * 128, -depth * 128 * 127]
