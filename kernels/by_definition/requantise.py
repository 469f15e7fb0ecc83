"""Requantisation by `kernels.definitions.requantise`, on arrays; arguments as in `kernels.requantise`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.definitions.requantise import requantise_scalar
from kernels.rounding import INTEGER_GRID

if TYPE_CHECKING:
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
