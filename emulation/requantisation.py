"""From accumulators to the integers of an edge, fast: ranges, minifloats, levels and blocks (DESIGN 6.10 and 6.12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.block_tensors import blocks_of
from emulation.grids import flushed
from emulation.level_casts import level_thresholds
from emulation.wide_integers import shifted_left
from kernels.requantise import requantise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulation.block_tensors import EdgeTensor
    from emulation.hardware import Requantiser

_WORD: Final = 62


def requantise_tensor(
    requantiser: Requantiser, accumulators: NDArray[Any], *, channel_axis: int, unit: float = 1.0
) -> EdgeTensor:
    """Requantise a batch of accumulators.

    Args:
        requantiser: the rule.
        accumulators: int64 or Python integers, shape ``(batch, ...)``.
        channel_axis: the axis that multipliers run along.
        unit: what the result counts in; kept with blocks.

    Returns:
        Integers of the accumulators' shape, or for an edge in blocks a `BlockTensor`.
    """
    rows = np.moveaxis(accumulators, channel_axis, -1)
    channels = rows.shape[-1]
    multipliers = _per_channel(requantiser.multipliers, channels)
    negative = requantiser.negative_multipliers
    negative_multipliers = None if negative is None else _per_channel(negative, channels)
    if requantiser.levels is None and requantiser.blocks is None:
        result = requantise(
            rows.reshape(-1, channels),
            multipliers,
            shift=requantiser.shift,
            low=requantiser.low,
            high=requantiser.high,
            rounding=requantiser.rounding.value,
            mantissa_bits=requantiser.mantissa_bits,
            negative_multipliers=negative_multipliers,
        )
        return np.moveaxis(flushed(result, requantiser.least).reshape(rows.shape), -1, channel_axis)
    products = np.moveaxis(_products(rows, multipliers, negative_multipliers), -1, channel_axis)
    if requantiser.blocks is None:
        return _nearest_levels(products, requantiser)
    products = _bounded(products, requantiser)
    return blocks_of(products, requantiser.shift, requantiser.blocks, axis=requantiser.block_axis, unit=unit)


def concatenate(
    requantisers: Sequence[Requantiser], parts: Sequence[NDArray[Any]], *, axis: int, unit: float
) -> EdgeTensor:
    """Parts of a concatenation, each requantised by its own rule and joined (DESIGN section 6, rule 14).

    A block may span two parts: blocks are cast once from the exact numbers of all parts (rule 12).

    Args:
        requantisers: one per part, with one multiplier each, all of one format.
        parts: int64 or Python integers, shape ``(batch, ...)``.
        axis: along which they are joined, the batch being axis 0.
        unit: what the result counts in; kept with blocks.
    """
    blocks = requantisers[0].blocks
    if blocks is None:
        whole: list[Any] = [
            requantise_tensor(rule, part, channel_axis=1) for rule, part in zip(requantisers, parts, strict=True)
        ]
        joined: NDArray[Any] = np.concatenate(whole, axis=axis)
        return joined
    shift = max(rule.shift for rule in requantisers)
    numbers = []
    for rule, part in zip(requantisers, parts, strict=True):
        negative = None if rule.negative_multipliers is None else _per_channel(rule.negative_multipliers, 1)
        products = _bounded(_products(part, _per_channel(rule.multipliers, 1), negative), rule)
        numbers.append(shifted_left(products, shift - rule.shift))
    return blocks_of(np.concatenate(numbers, axis=axis), shift, blocks, axis=requantisers[0].block_axis, unit=unit)


def _bounded(products: NDArray[Any], requantiser: Requantiser) -> NDArray[Any]:
    """``A * b`` within the bounds that ReLU sets before a cast to blocks."""
    if requantiser.low == 0:
        products = np.maximum(products, 0)
    if requantiser.ceiling is not None:
        products = np.minimum(products, _limit(requantiser.ceiling, products))
    return products


def _limit(bound: int, products: NDArray[Any]) -> int:
    return bound if products.dtype == object else min(bound, np.iinfo(np.int64).max)


def _per_channel(multipliers: tuple[int, ...], channels: int) -> NDArray[Any]:
    return np.array(multipliers * channels if len(multipliers) == 1 else multipliers, dtype=np.int64)


def _largest(values: NDArray[Any]) -> int:
    return max(int(values.max()), -int(values.min())) if values.size else 0


def _products(rows: NDArray[Any], multipliers: NDArray[Any], negative: NDArray[Any] | None) -> NDArray[Any]:
    """The exact ``A * b``."""
    largest = max(_largest(multipliers), 0 if negative is None else _largest(negative))
    if rows.dtype == object or _largest(rows) * largest >= 1 << _WORD:
        rows, multipliers = rows.astype(object), multipliers.astype(object)
        negative = None if negative is None else negative.astype(object)
    else:
        rows = rows.astype(np.int64, copy=False)
    products: NDArray[Any] = rows * multipliers
    return products if negative is None else np.where(rows < 0, rows * negative, products)


def _nearest_levels(products: NDArray[Any], requantiser: Requantiser) -> NDArray[np.int64]:
    levels = requantiser.levels or ()
    thresholds, grown = level_thresholds(levels, requantiser.shift)
    doubled = products
    if products.dtype != object and _largest(products).bit_length() + 1 + grown > _WORD:
        doubled = products.astype(object)
    doubled = doubled << (1 + grown)
    if doubled.dtype == object:
        passed = np.searchsorted(np.array(thresholds, dtype=object), doubled, side="left")
    else:
        # A threshold beyond 64 bits is passed by all numbers or by none.
        bounded = np.array([min(max(value, -(1 << 63)), (1 << 63) - 1) for value in thresholds], dtype=np.int64)
        passed = np.searchsorted(bounded, doubled, side="left")
    found = np.array(levels, dtype=np.int64)[passed]
    return np.clip(found, requantiser.low, requantiser.high)
