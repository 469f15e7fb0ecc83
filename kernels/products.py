"""Exact sums of products on integers, in BLAS wherever a bound proves that no rounding can happen.

A float GEMM on integer-valued operands is exact in any order if ``sum |w| |a|`` stays below 2**24 (float32) or 2**53
(float64): every partial sum is then an integer the type holds. The bound is computed per call from the operands. Beyond
2**53 the operands are split into limbs whose products fit, and the partial results are added as 64-bit or Python
integers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLOAT32_BOUND: Final = 1 << 24
_FLOAT64_BOUND: Final = 1 << 53
_INT64_BOUND: Final = 1 << 62


def _largest(values: NDArray[Any]) -> int:
    return max(int(values.max()), -int(values.min())) if values.size else 0


def _magnitudes(values: NDArray[Any]) -> NDArray[np.float64]:
    """Absolute values in float64: in a narrow integer type the magnitude of the least number would wrap."""
    return np.abs(values.astype(np.float64))


def sum_bound(left: NDArray[Any], right: NDArray[Any]) -> int:
    """A proven upper bound of ``|left @ right|`` and of all its partial sums.

    ``max |left| * max over columns of sum |right|``; operands ``(..., m, k)`` and ``(..., k, n)`` hold integers.
    """
    if right.dtype == object:
        return _largest(left) * int(left.shape[-1]) * _largest(right)
    # A float64 sum of absolute integers may round; the relative excess of 2**-20 covers every length below 2**32.
    columns = _magnitudes(right).sum(axis=-2)
    return _largest(left) * math.ceil(float(columns.max()) * (1 + 2.0**-20)) if columns.size else 0


def exact_matmul(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """The exact product of integer matrices.

    Args:
        left: integers, shape ``(..., m, k)``, in any numeric dtype that holds them, or Python integers (object).
        right: the same, shape ``(..., k, n)``.

    Returns:
        int64 of shape ``(..., m, n)``; Python integers in an object array where 62 bits do not suffice.

    >>> exact_matmul(np.array([[1, -2]]), np.array([[3], [4]]))
    array([[-5]])
    """
    if left.dtype == right.dtype == np.int8 and left.ndim == right.ndim == 2:
        from kernels.compiled.int8_dots import int8_matmul  # imports numba and torch

        return int8_matmul(left, right)
    bound = sum_bound(left, right)
    if bound == 0 and object in (left.dtype, right.dtype):  # 0 times a number beyond float32 would be infinity times 0
        return np.zeros((*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1]), int)
    if bound < _FLOAT32_BOUND:
        return matmul_in(np.float32, left, right)
    if bound < _FLOAT64_BOUND:
        return matmul_in(np.float64, left, right)
    return _matmul_by_limbs(left, right, bound)


def matmul_in(dtype: type[np.floating[Any]], left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.int64]:
    """The product of integer matrices in BLAS; the caller has proven that ``dtype`` holds every partial sum."""
    product: NDArray[Any] = np.matmul(left.astype(dtype, copy=False), right.astype(dtype, copy=False))
    if dtype is np.float64:
        from kernels.compiled.lanes import integers_in_place  # imports numba

        return integers_in_place(product)
    return product.astype(np.int64)


def _matmul_by_limbs(left: NDArray[Any], right: NDArray[Any], bound: int) -> NDArray[Any]:
    # k products of two limbs of `bits` bits stay below 2**53.
    bits = (52 - max(left.shape[-1] - 1, 1).bit_length()) // 2
    dtype: type = np.int64 if bound < _INT64_BOUND else object
    total: NDArray[Any] | None = None
    right_limbs = _limbs(right, bits)
    for left_place, left_limb in enumerate(_limbs(left, bits)):
        for right_place, right_limb in enumerate(right_limbs):
            part = np.matmul(left_limb, right_limb).astype(np.int64).astype(dtype)
            part = part * (1 << (bits * (left_place + right_place)))
            total = part if total is None else total + part
    if total is None:
        raise ValueError("a matrix product needs operands")
    return total


def _limbs(values: NDArray[Any], bits: int) -> list[NDArray[np.float64]]:
    """Signed digits in base ``2**bits``, least first: ``values = sum limb[i] * 2**(bits * i)``."""
    rest = values if values.dtype == object else _as_integers(values)
    sign = np.sign(rest)
    rest = np.abs(rest)
    limbs: list[NDArray[np.float64]] = []
    while not limbs or rest.any():
        digit = rest & ((1 << bits) - 1)
        limbs.append((sign * digit).astype(np.float64))
        rest = rest >> bits
    return limbs


def _as_integers(values: NDArray[Any]) -> NDArray[Any]:
    if _largest(values) < _INT64_BOUND:
        return values.astype(np.int64)
    return np.array([int(value) for value in values.ravel().tolist()], dtype=object).reshape(values.shape)


def windows(
    tensor: NDArray[Any],
    *,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    fill: float = 0,
) -> NDArray[Any]:
    """All windows over the space axes of a batch, as a view wherever there is no padding.

    Args:
        tensor: shape ``(batch, channels, *space)``.
        kernel: taps per space axis; ``stride``, ``padding`` (before, after) and ``dilation`` likewise.
        stride: steps between windows.
        padding: positions added before and after each axis.
        dilation: distance between taps.
        fill: the value of padded positions.

    Returns:
        shape ``(batch, channels, *positions, *kernel)``.
    """
    axes = len(kernel)
    if any(before or after for before, after in padding):
        # Not np.pad: it would put 64-bit NumPy scalars among Python integers, whose sums then overflow.
        sizes = tensor.shape[2:]
        space = tuple(before + size + after for (before, after), size in zip(padding, sizes, strict=True))
        inside = tuple(slice(before, before + size) for (before, _), size in zip(padding, sizes, strict=True))
        padded = np.full((*tensor.shape[:2], *space), fill, dtype=tensor.dtype)
        padded[(slice(None), slice(None), *inside)] = tensor
        tensor = padded
    spans = tuple(step * (taps - 1) + 1 for taps, step in zip(kernel, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(tensor, spans, axis=tuple(range(2, 2 + axes)))
    steps = tuple(slice(None, None, step) for step in stride)
    taps_of = tuple(slice(None, None, step) for step in dilation)
    return view[(slice(None), slice(None), *steps, *taps_of)]


def exact_convolution(
    tensor: NDArray[Any],
    weight: NDArray[Any],
    *,
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    groups: int,
) -> NDArray[Any]:
    """Exact convolution of integers by im2col (products in the order kernel taps, then input channels).

    Args:
        tensor: integers, shape ``(batch, in_channels, *space)``.
        weight: integers, shape ``(out_channels, in_channels / groups, *kernel)``.
        stride: per space axis.
        padding: (before, after) per space axis; padded positions are 0.
        dilation: per space axis.
        groups: number of channel groups.

    Returns:
        int64 or Python integers, shape ``(batch, out_channels, *positions)``.
    """
    kernel = weight.shape[2:]
    batch, axes = tensor.shape[0], len(kernel)
    views = windows(_narrowest(tensor, weight), kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    positions = views.shape[2 : 2 + axes]
    out_per_group, in_per_group = weight.shape[0] // groups, weight.shape[1]
    # (batch, groups, in, *positions, *kernel) -> (groups, batch, *positions, *kernel, in)
    grouped = views.reshape(batch, groups, in_per_group, *positions, *kernel)
    order = (1, 0, *range(3, 3 + 2 * axes), 2)
    columns = grouped.transpose(order).reshape(groups, -1, in_per_group * int(np.prod(kernel)))
    taps = weight.reshape(groups, out_per_group, in_per_group, *kernel)
    matrix = taps.transpose(0, *range(3, 3 + axes), 2, 1).reshape(groups, -1, out_per_group)
    product = exact_matmul(columns, matrix)
    result = product.reshape(groups, batch, *positions, out_per_group)
    return result.transpose(1, 0, 2 + axes, *range(2, 2 + axes)).reshape(batch, -1, *positions)


def _narrowest(tensor: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    """The tensor in the dtype its product will run in, so that im2col copies as few bytes as possible."""
    if object in (tensor.dtype, weight.dtype):
        return tensor
    rows = _magnitudes(weight).reshape(weight.shape[0], -1).sum(axis=1)
    small = _largest(tensor) * float(rows.max()) * (1 + 2.0**-20) < _FLOAT32_BOUND
    return tensor.astype(np.float32 if small else np.float64) if _largest(tensor) < _FLOAT64_BOUND else tensor
