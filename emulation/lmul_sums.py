"""Sums of clamped L-Mul products of integers v, exact and fast.

Clamped products are no product of a function of either operand, so their sums are no plain matrix products. They come
from the compiled loop of `kernels.compiled.lmul`, which takes codes: the integers are given codes again, made of sign,
exponent and mantissa. Few products, and codes beyond 16 bits, go through arrays of all products instead.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.lmul import parts_of
from emulation.wide_integers import WORD, narrow
from kernels.compiled import lmul as compiled
from kernels.definitions.lmul import offset_exponent
from kernels.fields import LMUL_FIELD_CLAMPED, LMulFields

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emulation.lmul_ranges import ProductRange

_CODE_BITS: Final = 16
_FEW: Final = 1 << 16
"""So many products take less time as arrays than the tables of the compiled loop."""
PANEL: Final = 1 << 20
"""Products held at once where they are arrays."""


def clamped_products(
    left: NDArray[Any], right: NDArray[Any], mantissa_bits: tuple[int, int], limits: ProductRange
) -> NDArray[Any]:
    """Every clamped product of two arrays of integers v that broadcast.

    Args:
        left: integers v.
        right: integers v.
        mantissa_bits: of left and right.
        limits: the range (`emulation.lmul_ranges.operand_limits`).

    Returns:
        Integers in units of the least number's last mantissa bit: int64, or Python integers beyond 62 bits.
    """
    first, second = parts_of(left, mantissa_bits[0]), parts_of(right, mantissa_bits[1])
    wide = limits.mantissa_bits
    one, span = 1 << wide, limits.exponent_high - limits.exponent_low
    sums = (first.mantissas << (wide - mantissa_bits[0])) + (second.mantissas << (wide - mantissa_bits[1]))
    sums = sums + (1 << (wide - offset_exponent(wide)))
    exponents = first.exponents + second.exponents + (sums >> wide) - limits.exponent_low
    signs = first.signs * second.signs * (exponents >= 0)
    dtype: type = np.int64 if limits.largest_integer.bit_length() < WORD else object
    top = one + limits.mantissa_high
    significands = np.where(exponents > span, top, one + (sums & (one - 1)))
    significands = np.where(exponents >= span, np.minimum(significands, top), significands)
    products: NDArray[Any] = (signs * significands).astype(dtype) << np.clip(exponents, 0, span)
    return products


def clamped_sums(
    left: NDArray[Any], right: NDArray[Any], mantissa_bits: tuple[int, int], limits: ProductRange
) -> NDArray[Any]:
    """The exact matrix product of integers v with clamped products.

    Args:
        left: integers v, shape ``(..., m, k)``.
        right: integers v, shape ``(..., k, n)``; leading axes broadcast.
        mantissa_bits: of left and right.
        limits: the range (`emulation.lmul_ranges.operand_limits`).

    Returns:
        Shape ``(..., m, n)`` in the unit of `clamped_products`: int64, or Python integers where 62 bits do not suffice.
    """
    leading = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    lefts = np.broadcast_to(left, (*leading, *left.shape[-2:]))
    rights = np.broadcast_to(right, (*leading, *right.shape[-2:]))
    parts = [_matrix(lefts[place], rights[place], mantissa_bits, limits) for place in np.ndindex(leading)]
    shape = (*leading, left.shape[-2], right.shape[-1])
    if not parts:
        return np.zeros(shape, dtype=np.int64)
    dtype = object if any(part.dtype == object for part in parts) else np.int64
    return np.stack([part.astype(dtype, copy=False) for part in parts]).reshape(shape)


def _matrix(
    left: NDArray[Any], right: NDArray[Any], mantissa_bits: tuple[int, int], limits: ProductRange
) -> NDArray[Any]:
    if left.shape[0] * right.size > _FEW:
        first, second = _coded(left, mantissa_bits[0]), _coded(right, mantissa_bits[1])
        if first is not None and second is not None:
            fields = LMulFields(
                LMUL_FIELD_CLAMPED, *mantissa_bits, limits.exponent_low, limits.exponent_high, limits.mantissa_high
            )
            return compiled.matmul_codes(first[0], second[0], first[1], second[1], fields)
    return _by_rows(left, right, mantissa_bits, limits)


def _coded(values: NDArray[Any], mantissa_bits: int) -> tuple[NDArray[Any], compiled.LMulTable] | None:
    """Codes of integers v, and what they mean to the compiled loop; None if they are too wide for it."""
    parts = parts_of(values, mantissa_bits)
    exponent_bits = (int(parts.exponents.max(initial=0)) + 1).bit_length()
    width = 1 + exponent_bits + mantissa_bits
    if width > _CODE_BITS:
        return None
    codes = ((parts.exponents + 1) << mantissa_bits) + parts.mantissas + ((parts.signs < 0) << (width - 1))
    codes = np.where(parts.signs == 0, 0, codes)
    return codes.astype(np.uint8 if width <= 8 else np.uint16), _table(exponent_bits, mantissa_bits)


@lru_cache(maxsize=16)
def _table(exponent_bits: int, mantissa_bits: int) -> compiled.LMulTable:
    codes = np.arange(1 << (1 + exponent_bits + mantissa_bits))
    fields = (codes >> mantissa_bits) & ((1 << exponent_bits) - 1)
    signs = np.where(codes >> (exponent_bits + mantissa_bits), -1, 1) * (fields > 0)
    mantissas = np.where(fields > 0, codes & ((1 << mantissa_bits) - 1), 0)
    return compiled.LMulTable(signs, np.maximum(fields - 1, 0), mantissas, np.ones(len(codes), dtype=np.bool_))


def _by_rows(
    left: NDArray[Any], right: NDArray[Any], mantissa_bits: tuple[int, int], limits: ProductRange
) -> NDArray[Any]:
    rows = max(PANEL // max(right.size, 1), 1)
    parts = [
        _added(clamped_products(left[start : start + rows, None], right.T, mantissa_bits, limits), limits)
        for start in range(0, max(len(left), 1), rows)
    ]
    return narrow(np.concatenate(parts))


def _added(products: NDArray[Any], limits: ProductRange) -> NDArray[Any]:
    if (limits.largest_integer * products.shape[-1]).bit_length() >= WORD:
        products = products.astype(object)
    sums: NDArray[Any] = products.sum(axis=-1)
    return sums
