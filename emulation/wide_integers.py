"""Integer arrays that never overflow: int64 as long as 62 bits hold the result, Python integers beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORD: Final = 62
"""Integers below ``2**WORD`` go through 64-bit arithmetic."""


def largest(values: NDArray[Any]) -> int:
    """The largest magnitude."""
    return max(int(values.max()), -int(values.min())) if values.size else 0


def plus(first: NDArray[Any], second: NDArray[Any] | None) -> NDArray[Any]:
    """The sum."""
    if second is None:
        return first
    if object not in (first.dtype, second.dtype) and largest(first) + largest(second) < 1 << WORD:
        total: NDArray[Any] = first + second
        return total
    result: NDArray[Any] = first.astype(object) + second.astype(object)
    return result


def shifted_left(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """``values * 2**bits``."""
    if bits == 0:
        return values
    if values.dtype != object and largest(values).bit_length() + bits >= WORD:
        values = values.astype(object)
    return values << bits


def narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Python integers as int64, if all of them fit."""
    return values.astype(np.int64) if values.dtype == object and largest(values) < 1 << WORD else values


def wrapped(values: NDArray[Any], low: int, high: int) -> NDArray[Any]:
    """Values modulo ``high - low + 1``, from low to high."""
    span = high - low + 1
    wide = values if span < 1 << WORD else values.astype(object)
    return narrow((wide - low) % span + low)
