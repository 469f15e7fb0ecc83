"""Requantisation by `kernels.definitions.requantise`, on arrays; arguments as in `kernels.requantise`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.definitions import requantise as definition
from kernels.definitions.requantise import requantise_scalar
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def requantise(
    accumulators: NDArray[Any],
    multipliers: NDArray[Any],
    *,
    shift: int,
    low: int,
    high: int,
    rounding: int,
    mantissa_bits: int = INTEGER_GRID,
    negative_multipliers: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Requantise accumulators of shape ``(rows, channels)``.

    >>> requantise(np.array([[13, -13]]), np.array([3, 3]), shift=2, low=-128, high=127, rounding=0)
    array([[ 10, -10]])
    """
    negative = multipliers if negative_multipliers is None else negative_multipliers
    integers = [
        [
            requantise_scalar(
                value,
                below if value < 0 else above,
                shift=shift,
                low=low,
                high=high,
                rounding=rounding,
                mantissa_bits=mantissa_bits,
            )
            for value, above, below in zip(row, multipliers.tolist(), negative.tolist(), strict=True)
        ]
        for row in accumulators.tolist()
    ]
    dtype = np.int64 if max(-low, high).bit_length() <= 62 else object
    return np.array(integers, dtype=dtype).reshape(accumulators.shape)


def requantise_double_rounding(
    accumulators: NDArray[Any], multipliers: NDArray[Any], shifts: NDArray[Any]
) -> NDArray[np.int64]:
    """TFLite's older rule, two roundings; arguments as in `kernels.compiled.requantise`.

    >>> requantise_double_rounding(np.array([[100]]), np.array([1 << 30]), np.array([-1]))
    array([[25]])
    """
    return _each(definition.requantise_double_rounding, accumulators, multipliers, shifts)


def requantise_single_rounding(
    accumulators: NDArray[Any], multipliers: NDArray[Any], shifts: NDArray[Any]
) -> NDArray[np.int64]:
    """TFLite's newer rule, one rounding; arguments as in `kernels.compiled.requantise`.

    >>> requantise_single_rounding(np.array([[101]]), np.array([1 << 30]), np.array([-1]))
    array([[25]])
    """
    return _each(definition.requantise_single_rounding, accumulators, multipliers, shifts)


def _each(
    rule: Callable[[int, int, int], int], accumulators: NDArray[Any], multipliers: NDArray[Any], shifts: NDArray[Any]
) -> NDArray[np.int64]:
    scales = list(zip(multipliers.tolist(), shifts.tolist(), strict=True))
    rows = accumulators.reshape(-1, len(scales)).tolist() if scales else []
    integers = [[rule(value, *scale) for value, scale in zip(row, scales, strict=True)] for row in rows]
    return np.array(integers, dtype=np.int64).reshape(accumulators.shape)
