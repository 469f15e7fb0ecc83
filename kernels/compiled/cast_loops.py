"""The compiled loops of casts onto a grid, in the type of their `kernels.cast_constants`: float32 or float64.

Branch-free, so that LLVM turns them into vector code; without fastmath, which would delete the addition and subtraction
that round. Each loop returns whether it met a NaN, so no second pass has to look for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numba
import numpy as np

from kernels.cast_constants import CastConstants
from kernels.compiled.bits import convert, from_bits, to_bits
from kernels.compiled.fetching import SPAN, fetch_ahead
from kernels.rounding import CEILING, FLOOR, HALF_EVEN, TOWARD_ZERO

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scalar = Any  # a float of the constants' type


class Clamp(NamedTuple):
    """What saturating loops need in the type of the values; see `kernels.cast_constants.CastConstants`."""

    low: Any
    high: Any
    least: Any
    flushed: Any
    zero_addend: Any
    nan: Any


@numba.njit(cache=True, nogil=True)
def _unpack_clamp(bounds: NDArray[Any]) -> Clamp:
    return Clamp(bounds[0], bounds[1], bounds[2], bounds[3], bounds[4], bounds[5])


INTEGERS: Final = (
    "exponent_mask",
    "least_exponent",
    "magic_offset",
    "spacing_offset",
    "flush_first",
    "leaves_at_positive",
    "leaves_at_negative",
    "leaves_if_odd",
)
"""The order of the integers of `CastConstants` in the array that loops take (see `_unpack`)."""
FLOATS: Final = (
    "low",
    "high",
    "low_clip",
    "high_clip",
    "below",
    "above",
    "below_infinite",
    "above_infinite",
    "least",
    "flushed",
    "plus_zero",
    "minus_zero",
    "zero_addend",
    "nan",
    "threshold_positive",
    "threshold_negative",
    "random_positive",
    "random_negative",
)
"""The order of its floats."""


@numba.njit(cache=True, nogil=True)
def _unpack(integers: NDArray[Any], floats: NDArray[Any]) -> CastConstants:
    """The constants under their names; arrays are much cheaper to hand to compiled code than many scalars.

    The order is this file's own, so that machine code cached for it never meets another one.
    """
    return CastConstants(
        exponent_mask=integers[0],
        least_exponent=integers[1],
        magic_offset=integers[2],
        spacing_offset=integers[3],
        flush_first=integers[4],
        leaves_at_positive=integers[5],
        leaves_at_negative=integers[6],
        leaves_if_odd=integers[7],
        low=floats[0],
        high=floats[1],
        low_clip=floats[2],
        high_clip=floats[3],
        below=floats[4],
        above=floats[5],
        below_infinite=floats[6],
        above_infinite=floats[7],
        least=floats[8],
        flushed=floats[9],
        plus_zero=floats[10],
        minus_zero=floats[11],
        zero_addend=floats[12],
        nan=floats[13],
        threshold_positive=floats[14],
        threshold_negative=floats[15],
        random_positive=floats[16],
        random_negative=floats[17],
    )


@numba.njit(cache=True, nogil=True)
def _sign_bit(like: float) -> Any:  # noqa: ANN401 - a uint32 or uint64
    """The sign bit of the type of ``like``."""
    return to_bits(convert(-0.0, like))


@numba.njit(cache=True, nogil=True)
def _leave(magnitude: float, exponent: int, threshold: float, leaves_at: int, constants: CastConstants) -> Scalar:
    """Round a magnitude by its rest: truncate, and leave for the next point beyond the threshold."""
    magic = from_bits(exponent + constants.magic_offset, constants.low)
    spacing = from_bits(exponent - constants.spacing_offset, constants.low)
    nearest = (magnitude + magic) - magic
    truncated = nearest - spacing if nearest > magnitude else nearest
    rest = magnitude - truncated
    # The last bit of this sum is the parity of the number of spacings.
    odd = (to_bits(truncated + magic) & constants.leaves_if_odd) != 0
    border = threshold * spacing
    leaves = (rest > border) | ((rest == border) & (odd | (leaves_at != 0)))
    return truncated + spacing if leaves else truncated


@numba.njit(cache=True, nogil=True)
def cast_saturating(
    values: NDArray[Any], result: NDArray[Any], bounds: NDArray[Any], integers: NDArray[Any], floats: NDArray[Any]
) -> bool:
    """Clamp, round by any mode but the stochastic one, flush: the definition where overflow saturates.

    Only the rounding itself is in the working type, the rest in that of the values, which may be narrower.
    """
    clamp, constants = _unpack_clamp(bounds), _unpack(integers, floats)
    sign_bit = _sign_bit(clamp.low)
    nan_found = False
    for start in range(0, values.size, SPAN):
        fetch_ahead(values, result, start, SPAN)
        for place in range(start, min(start + SPAN, values.size)):
            index = np.uintp(place)
            value = values[index]
            clamped = value if value < clamp.high else clamp.high
            clamped = clamped if clamped > clamp.low else clamp.low
            bits = to_bits(clamped)
            negative = bits >= sign_bit
            magnitude = convert(from_bits(bits & ~sign_bit, clamp.low), constants.low)
            exponent = max(to_bits(magnitude) & constants.exponent_mask, constants.least_exponent)
            threshold = constants.threshold_negative if negative else constants.threshold_positive
            leaves_at = constants.leaves_at_negative if negative else constants.leaves_at_positive
            rounded = convert(_leave(magnitude, exponent, threshold, leaves_at, constants), clamp.low)
            rounded = rounded if rounded >= clamp.least else clamp.flushed
            signed = from_bits(to_bits(rounded) | (bits & sign_bit), clamp.low) + clamp.zero_addend
            is_nan = value != value  # noqa: PLR0124 - the test for NaN
            nan_found |= is_nan
            result[index] = clamp.nan if is_nan else signed
    return nan_found


@numba.njit(cache=True, nogil=True)
def _to_integer(scaled: float, rounding: int) -> Scalar:
    """Round to an integer of the same type, half up if the mode is none of the others."""
    if rounding == HALF_EVEN:
        return np.rint(scaled)
    if rounding == FLOOR:
        return np.floor(scaled)
    if rounding == CEILING:
        return np.ceil(scaled)
    if rounding == TOWARD_ZERO:
        return np.trunc(scaled)
    floor = np.floor(scaled)
    # The difference can round, but neither to 1/2 from below nor away from it.
    return floor + convert(scaled - floor >= convert(0.5, scaled), scaled)


@numba.njit(cache=True, nogil=True)
def cast_fixed(values: NDArray[Any], result: NDArray[Any], bounds: NDArray[Any], exponent: int, rounding: int) -> bool:
    """Fixed point that saturates, by the processor's own rounding to integers; for `fixed_by_integers` only."""
    clamp = _unpack_clamp(bounds)
    scale, unit = convert(2.0**exponent, clamp.low), convert(2.0**-exponent, clamp.low)
    nan_found = False
    for start in range(0, values.size, SPAN):
        fetch_ahead(values, result, start, SPAN)
        for place in range(start, min(start + SPAN, values.size)):
            index = np.uintp(place)
            value = values[index]
            clamped = value if value < clamp.high else clamp.high
            clamped = clamped if clamped > clamp.low else clamp.low
            is_nan = value != value  # noqa: PLR0124 - the test for NaN
            nan_found |= is_nan
            # Minus zero plus zero is zero.
            rounded = _to_integer(clamped * scale, rounding) * unit + clamp.zero_addend
            result[index] = clamp.nan if is_nan else rounded
    return nan_found


@numba.njit(cache=True, nogil=True)
def cast_fixed_wrapping(
    values: NDArray[Any], result: NDArray[Any], bounds: NDArray[Any], exponent: int, width: int, rounding: int
) -> bool:
    """Fixed point that keeps the low bits, likewise; returns whether a value is not finite.

    The quotient by the modulus is exact, and so is its distance from the integer below, a multiple of ``2**-width``.
    """
    clamp = _unpack_clamp(bounds)
    scale = convert(2.0**exponent, clamp.low)
    inverse, modulus = convert(2.0**-width, clamp.low), convert(2.0 ** (width - exponent), clamp.low)
    is_signed, half = clamp.low < 0, convert(0.5, clamp.low)
    one, zero = half + half, half - half
    not_finite_found = False
    for index in range(values.size):
        value = values[index]
        quotient = _to_integer(value * scale, rounding) * inverse
        rest = quotient - np.floor(quotient)
        # A product beyond the type's range is a multiple of the modulus.
        rest = rest if rest < one else zero
        rest = rest - (one if is_signed & (rest >= half) else zero)
        result[index] = clamp.nan if value != value else rest * modulus  # noqa: PLR0124 - the test for NaN
        not_finite_found |= not (value < np.inf and value > -np.inf)
    return not_finite_found


@numba.njit(cache=True, nogil=True)
def _finish(value: float, clipped: float, rounded: float, sign_bit: int, constants: CastConstants) -> Scalar:
    """Flush, give the sign back, and judge the range."""
    bits = to_bits(clipped)
    magnitude = from_bits(bits & ~sign_bit, constants.low)
    compared = magnitude if constants.flush_first else rounded
    rounded = rounded if compared >= constants.least else constants.flushed
    signed = from_bits(to_bits(rounded) | (bits & sign_bit), constants.low) + constants.zero_addend
    above = constants.above if value < np.inf else constants.above_infinite
    below = constants.below if value > -np.inf else constants.below_infinite
    result = above if signed > constants.high else signed
    result = below if signed < constants.low else result
    zero = constants.minus_zero if bits >= sign_bit else constants.plus_zero
    result = result if magnitude != 0 else zero
    return result if value == value else constants.nan  # noqa: PLR0124 - the test for NaN


@numba.njit(cache=True, nogil=True)
def cast_any_mode(values: NDArray[Any], result: NDArray[Any], integers: NDArray[Any], floats: NDArray[Any]) -> bool:
    """Every rounding but the stochastic one and every overflow but wrapping."""
    constants = _unpack(integers, floats)
    sign_bit = _sign_bit(constants.low)
    nan_found = False
    for index in range(values.size):
        value = convert(values[index], constants.low)
        clipped = value if value < constants.high_clip else constants.high_clip
        clipped = clipped if clipped > constants.low_clip else constants.low_clip
        bits = to_bits(clipped)
        negative = bits >= sign_bit
        threshold = constants.threshold_negative if negative else constants.threshold_positive
        leaves_at = constants.leaves_at_negative if negative else constants.leaves_at_positive
        exponent = max(bits & constants.exponent_mask, constants.least_exponent)
        rounded = _leave(from_bits(bits & ~sign_bit, constants.low), exponent, threshold, leaves_at, constants)
        result[index] = _finish(value, clipped, rounded, sign_bit, constants)
        nan_found |= value != value  # noqa: PLR0124 - the test for NaN
    return nan_found


@numba.njit(cache=True, nogil=True)
def cast_stochastic(
    values: NDArray[Any],
    result: NDArray[Any],
    integers: NDArray[Any],
    floats: NDArray[Any],
    random_bits: NDArray[np.uint32],
) -> bool:
    """Stochastic rounding with given random bits; every overflow but wrapping."""
    constants = _unpack(integers, floats)
    sign_bit = _sign_bit(constants.low)
    nan_found = False
    for index in range(values.size):
        value = convert(values[index], constants.low)
        clipped = value if value < constants.high_clip else constants.high_clip
        clipped = clipped if clipped > constants.low_clip else constants.low_clip
        bits = to_bits(clipped)
        negative = bits >= sign_bit
        random = convert(random_bits[index], constants.low)
        positive_threshold = constants.threshold_positive + random * constants.random_positive
        negative_threshold = constants.threshold_negative + random * constants.random_negative
        threshold = negative_threshold if negative else positive_threshold
        leaves_at = constants.leaves_at_negative if negative else constants.leaves_at_positive
        exponent = max(bits & constants.exponent_mask, constants.least_exponent)
        rounded = _leave(from_bits(bits & ~sign_bit, constants.low), exponent, threshold, leaves_at, constants)
        result[index] = _finish(value, clipped, rounded, sign_bit, constants)
        nan_found |= value != value  # noqa: PLR0124 - the test for NaN
    return nan_found


@numba.njit(cache=True, nogil=True)
def cast_wrapping(
    values: NDArray[Any], result: NDArray[Any], integers: NDArray[Any], floats: NDArray[Any], exponent: int
) -> bool:
    """Fixed point that keeps the low bits: every rounding but the stochastic one.

    From ``2**mantissa_bits`` spacings on a value is a multiple of the spacing and needs no rounding. The quotient by
    the modulus is exact (a power of two), and so is its distance from the integer below it, a multiple of the spacing
    below one. Returns whether a value is not finite.
    """
    constants = _unpack(integers, floats)
    sign_bit = _sign_bit(constants.low)
    modulus = convert(2.0**exponent, constants.low)
    not_finite_found = False
    is_signed = constants.low < 0
    inverse, half = 1 / modulus, convert(0.5, modulus)
    one, zero = half + half, half - half
    magic = from_bits(constants.least_exponent + constants.magic_offset, modulus)
    for index in range(values.size):
        value = convert(values[index], modulus)
        bits = to_bits(value)
        magnitude = from_bits(bits & ~sign_bit, modulus)
        negative = bits >= sign_bit
        threshold = constants.threshold_negative if negative else constants.threshold_positive
        leaves_at = constants.leaves_at_negative if negative else constants.leaves_at_positive
        clipped = magnitude if magnitude < magic else magic
        rounded = _leave(clipped, constants.least_exponent, threshold, leaves_at, constants)
        rounded = rounded if magnitude < magic else magnitude
        quotient = from_bits(to_bits(rounded) | (bits & sign_bit), modulus) * inverse
        rest = quotient - np.floor(quotient)
        # A quotient beyond the type's range is a multiple of the modulus.
        rest = rest if rest < one else zero
        rest = rest - (one if is_signed & (rest >= half) else zero)
        result[index] = constants.nan if value != value else rest * modulus  # noqa: PLR0124 - the test for NaN
        not_finite_found |= not (magnitude < np.inf)
    return not_finite_found
