"""Requantisation: accumulators times a dyadic multiplier, rounded once and saturated.

``result = saturate(round(accumulator * multiplier * 2**-shift))`` with one multiplier per channel (DESIGN section 6,
rule 10). Two paths give the same integers: compiled 64-bit loops where every product provably fits, and Python integers
where it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

from kernels.definitions.requantise import requantise_scalar
from kernels.rounding import (
    CEILING,
    FLOOR,
    HALF_AWAY,
    HALF_DOWN,
    HALF_EVEN,
    HALF_TOWARD_ZERO,
    HALF_UP,
    INTEGER_GRID,
    TOWARD_ZERO,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["requantise", "requantise_scalar"]

_SAFE_BITS: Final = 62
_MODES: Final = (HALF_EVEN, HALF_UP, HALF_AWAY, FLOOR, CEILING, TOWARD_ZERO, HALF_DOWN, HALF_TOWARD_ZERO)


@numba.njit(cache=True, nogil=True)
def _round_shift_int64(numerator: int, shift: int, rounding: int) -> int:
    if shift == 0:
        return numerator
    floor = numerator >> shift
    rest = numerator - (floor << shift)
    half = 1 << (shift - 1)
    if rounding == FLOOR or rest == 0:
        return floor
    if rounding == CEILING:
        return floor + 1
    if rounding == TOWARD_ZERO:
        return floor + (numerator < 0)
    if rest != half:
        return floor + (rest > half)
    if rounding == HALF_EVEN:
        return floor + (floor & 1)
    if rounding == HALF_UP or (rounding == HALF_AWAY and numerator > 0):
        return floor + 1
    return floor + (rounding == HALF_TOWARD_ZERO and numerator < 0)


@numba.njit(cache=True, nogil=True)
def _requantise_int64(
    accumulators: NDArray[np.int64],
    multipliers: NDArray[np.int64],
    negative_multipliers: NDArray[np.int64],
    shifts: NDArray[np.int64],
    low: int,
    high: int,
    mantissa_bits: int,
    rounding: int,
    result: NDArray[np.int64],
) -> None:
    rows, channels = accumulators.shape
    for row in range(rows):
        for channel in range(channels):
            accumulator = accumulators[row, channel]
            if accumulator < 0:
                product = accumulator * negative_multipliers[channel]
            else:
                product = accumulator * multipliers[channel]
            spacing = 0
            if mantissa_bits >= 0:
                magnitude = abs(product)
                bits = 0
                while magnitude >> bits:
                    bits += 1
                spacing = max(bits - 1 - shifts[channel] - mantissa_bits, 0)
            value = _round_shift_int64(product, shifts[channel] + spacing, rounding) << spacing
            result[row, channel] = min(max(value, low), high)


def requantise(
    accumulators: NDArray[Any],
    multipliers: NDArray[Any],
    *,
    shift: int | NDArray[Any],
    low: int,
    high: int,
    rounding: int,
    mantissa_bits: int = INTEGER_GRID,
    negative_multipliers: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Requantise accumulators of shape ``(rows, channels)``.

    Args:
        accumulators: int64, or Python integers in an object array; shape ``(rows, channels)``.
        multipliers: integers >= 0, shape ``(channels,)``.
        shift: the binary exponent c of ``b * 2**-c``, one for all or one per channel, shape ``(channels,)``; may be
            negative.
        low: least result (saturation).
        high: greatest result.
        rounding: a mode of `kernels.rounding` without STOCHASTIC.
        mantissa_bits: `INTEGER_GRID`, or the mantissa bits of the minifloat grid to round to.
        negative_multipliers: multipliers for accumulators below 0 (PReLU); the same as ``multipliers`` if None.

    Returns:
        int64 of the same shape (Python integers in an object array if the limits exceed 63 bits).

    Raises:
        ValueError: if the shifts are not one per channel, or the rounding is unknown or stochastic.
    """
    if rounding not in _MODES:
        raise ValueError(f"rounding mode {rounding} is not for requantisation: one of {_MODES} of kernels.rounding")
    shifts = np.broadcast_to(np.asarray(shift), multipliers.shape) if np.ndim(shift) == 0 else np.asarray(shift)
    if shifts.shape != multipliers.shape:
        raise ValueError(f"shifts of shape {shifts.shape} for {multipliers.size} channels: one in all, or one of each")
    negative = multipliers if negative_multipliers is None else negative_multipliers
    largest = _largest_magnitude(accumulators) * max(_largest_magnitude(multipliers), _largest_magnitude(negative))
    fits = (
        accumulators.dtype != object
        and largest.bit_length() < _SAFE_BITS
        and (not shifts.size or (int(shifts.min()) >= 0 and int(shifts.max()) < _SAFE_BITS))
        and max(-low, high).bit_length() < _SAFE_BITS
    )
    if fits:
        result = np.empty(accumulators.shape, dtype=np.int64)
        _requantise_int64(
            np.ascontiguousarray(accumulators, dtype=np.int64),
            multipliers.astype(np.int64),
            negative.astype(np.int64),
            shifts.astype(np.int64),
            low,
            high,
            mantissa_bits,
            rounding,
            result,
        )
        return result
    return _requantise_exact(accumulators, multipliers, negative, shifts, low, high, mantissa_bits, rounding)


def _requantise_exact(
    accumulators: NDArray[Any],
    multipliers: NDArray[Any],
    negative: NDArray[Any],
    shifts: NDArray[Any],
    low: int,
    high: int,
    mantissa_bits: int,
    rounding: int,
) -> NDArray[Any]:
    positive_list, negative_list, shift_list = multipliers.tolist(), negative.tolist(), shifts.tolist()
    result = np.empty(accumulators.shape, dtype=object)
    for row, values in enumerate(accumulators.tolist()):
        for channel, value in enumerate(values):
            multiplier = negative_list[channel] if value < 0 else positive_list[channel]
            result[row, channel] = requantise_scalar(
                value,
                multiplier,
                shift=shift_list[channel],
                low=low,
                high=high,
                rounding=rounding,
                mantissa_bits=mantissa_bits,
            )
    return result.astype(np.int64) if max(-low, high).bit_length() <= _SAFE_BITS else result


def _largest_magnitude(values: NDArray[Any]) -> int:
    return max(int(values.max()), -int(values.min())) if values.size else 0
