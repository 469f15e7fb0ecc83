"""Inputs and comparisons for twins of one definition: every interesting value of a format, judged by bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.extents import FLOAT64, extent, holds
from kernels.fields import FixedFields, FloatFields

if TYPE_CHECKING:
    from numpy.typing import NDArray

Fields = FixedFields | FloatFields


def same(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    """Where two arrays of floats are the same numbers, with the sign of zero, or both NaN."""
    equal = (first == second) & (np.signbit(first) == np.signbit(second))
    return equal | (np.isnan(first) & np.isnan(second))


def interesting_values(fields: Fields, dtype: Any, count: int = 60, seed: int = 0) -> NDArray[Any]:
    """Values around the smallest and the largest numbers of a format, ties and their neighbours, zeros, infinities.

    Args:
        fields: the format.
        dtype: float32 or float64.
        count: random values between the smallest and beyond the largest number, besides the fixed ones.
        seed: of the random values.
    """
    where = extent(fields)
    random = np.random.default_rng(seed)
    small = np.ldexp(np.arange(-12.0, 13.0) / 4, where.unit)
    first_binade = np.ldexp(np.array([0.75, 0.875, 1.0, 1.0625, 1.25]), where.first_binade)
    large = np.ldexp(np.array([0.96875, 1.0, 1.25, 1.5, 1.75, 1.8125, 1.875, 1.9375, 1.96875, 2.0, 2.5]), where.binade)
    exponents = random.integers(max(where.unit - 4, -1070), min(where.binade + 3, 1020), count)
    few_bits = np.ldexp(random.integers(-255, 256, count) / 64.0, exponents)
    many_bits = np.ldexp(random.normal(size=count), exponents)
    ends = np.array([0.0, -0.0, np.inf, -np.inf, 1.4e-45, -1.4e-45, 3.4e38, -3.4e38])
    with np.errstate(over="ignore", under="ignore"):
        values = np.concatenate([small, first_binade, -first_binade, large, -large, few_bits, many_bits, ends])
        values = values.astype(dtype)
        beside = [np.nextafter(values[:60], dtype(np.inf)), np.nextafter(values[:60], dtype(-np.inf))]
    return np.concatenate([values, *beside])


def widest(fields: Fields) -> bool:
    """Whether only codes hold the format's numbers, and no float type."""
    return not holds(FLOAT64, fields)
