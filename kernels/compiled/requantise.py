"""Requantisation rules of other systems over arrays: gemmlowp's two roundings, TFLite's one, HAWQ's constants.

The dyadic rule with every tie is `kernels.requantise.requantise`, which is also found here under its name. All of this
fits int64: 32-bit accumulators times multipliers below ``2**31``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.definitions.requantise import INT32_GREATEST, INT32_LEAST, decompose
from kernels.requantise import requantise

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "check_int32",
    "decompose_scales",
    "doubling_high_multiply",
    "requantise",
    "requantise_double_rounding",
    "requantise_single_rounding",
    "rounding_divide_by_power",
]


def decompose_scales(scales: NDArray[Any], *, bits: int = 31) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Multipliers and shifts of positive scales, each as `kernels.definitions.requantise.decompose` gives them.

    Args:
        scales: positive finite numbers, any shape.
        bits: bits of the multipliers, 1 to 62.

    >>> decompose_scales(np.array([0.75, 0.01]))
    (array([1610612736, 1374389535]), array([31, 37]))
    """
    pairs = [decompose(float(scale), bits=bits) for scale in scales.ravel().tolist()]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0].reshape(scales.shape), table[:, 1].reshape(scales.shape)


def check_int32(name: str, values: NDArray[Any], low: int, high: int) -> None:
    """Refuse numbers outside a range.

    Raises:
        ValueError: with the numbers found and allowed.
    """
    if values.size and (int(values.min()) < low or int(values.max()) > high):
        raise ValueError(
            f"{name} from {int(values.min())} to {int(values.max())}: this rule is defined from {low} to {high}"
        )


def doubling_high_multiply(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.int64]:
    """SaturatingRoundingDoublingHighMul of gemmlowp on 32-bit integers; they broadcast.

    >>> doubling_high_multiply(np.array([1 << 30]), np.array([3]))
    array([2])
    """
    check_int32("factors", left, INT32_LEAST, INT32_GREATEST)
    check_int32("factors", right, INT32_LEAST, INT32_GREATEST)
    product = left.astype(np.int64) * right.astype(np.int64)
    result: NDArray[np.int64] = np.minimum((product + (1 << 30)) >> 31, INT32_GREATEST)
    return result


def rounding_divide_by_power(values: NDArray[np.int64], exponents: NDArray[Any]) -> NDArray[np.int64]:
    """RoundingDivideByPOT of gemmlowp: to the nearest integer, ties away from zero; exponents 0 to 31.

    >>> rounding_divide_by_power(np.array([-3, -1, 1, 3]), np.array(1))
    array([-2, -1,  1,  2])
    """
    check_int32("exponents", exponents, 0, 31)
    exponent = exponents.astype(np.int64)
    half = (np.int64(1) << exponent) >> 1
    return np.where(values < 0, -((-values + half) >> exponent), (values + half) >> exponent)


def requantise_double_rounding(
    accumulators: NDArray[Any], multipliers: NDArray[Any], shifts: NDArray[Any]
) -> NDArray[np.int64]:
    """TFLite's older rule, two roundings, as `kernels.definitions.requantise.requantise_double_rounding`.

    Args:
        accumulators: 32-bit integers, shape ``(..., channels)``.
        multipliers: 0 to ``2**31 - 1``, shape ``(channels,)``.
        shifts: powers of two to multiply with, -31 to 30, shape ``(channels,)``.

    Raises:
        ValueError: if a number is outside its range.
    """
    _check(accumulators, multipliers, shifts)
    shift = shifts.astype(np.int64)
    shifted = (accumulators.astype(np.int64) << np.maximum(shift, 0)) + (1 << 31)
    wrapped = (shifted & ((1 << 32) - 1)) - (1 << 31)
    return rounding_divide_by_power(doubling_high_multiply(wrapped, multipliers), np.maximum(-shift, 0))


def requantise_single_rounding(
    accumulators: NDArray[Any], multipliers: NDArray[Any], shifts: NDArray[Any]
) -> NDArray[np.int64]:
    """TFLite's newer rule, one rounding, as `kernels.definitions.requantise.requantise_single_rounding`.

    Args:
        accumulators: 32-bit integers, shape ``(..., channels)``.
        multipliers: 0 to ``2**31 - 1``, shape ``(channels,)``.
        shifts: powers of two to multiply with, -31 to 30, shape ``(channels,)``.

    Raises:
        ValueError: if a number is outside its range.
    """
    _check(accumulators, multipliers, shifts)
    total = 31 - shifts.astype(np.int64)
    product = accumulators.astype(np.int64) * multipliers.astype(np.int64)
    rounded = (product + (np.int64(1) << (total - 1))) >> total
    result: NDArray[np.int64] = np.clip(rounded, INT32_LEAST, INT32_GREATEST)
    return result


def _check(accumulators: NDArray[Any], multipliers: NDArray[Any], shifts: NDArray[Any]) -> None:
    check_int32("accumulators", accumulators, INT32_LEAST, INT32_GREATEST)
    check_int32("multipliers", multipliers, 0, INT32_GREATEST)
    check_int32("shifts", shifts, -31, 30)
