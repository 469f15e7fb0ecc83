"""Casts to fixed point on integers: every width up to 64 bits, every rounding and overflow mode, any magnitude.

A value's magnitude, counted in spacings, is a significand of at most 53 bits shifted left or right. The integer part
is two 64-bit words (further ones are needed only as "not zero"), the rest what a right shift drops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np

from kernels.compiled.bits import to_bits
from kernels.fields import (
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_SYMMETRIC,
    OVERFLOW_SATURATE_ZERO,
    OVERFLOW_WRAP,
)
from kernels.rounding import (
    CEILING,
    FLOOR,
    HALF_AWAY,
    HALF_DOWN,
    HALF_EVEN,
    HALF_UP,
    STOCHASTIC,
    TOWARD_ZERO,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Word = Any  # a uint64, in operations that mypy takes for those of several types


class WordOptions(NamedTuple):
    """A fixed-point format and its options as plain integers; see `kernels.definitions.fixed.encode_scalar`."""

    width: int
    fraction_bits: int
    signed: int
    rounding: int
    overflow: int
    saturation_bits: int
    random_width: int
    nan_code: np.uint64


_ZERO, _ONE = np.uint64(0), np.uint64(1)


@numba.njit(cache=True, nogil=True)
def _shift_right(word: Word, count: int) -> Word:
    return word >> np.uint64(count) if count < 64 else _ZERO


@numba.njit(cache=True, nogil=True)
def _shift_left(word: Word, count: int) -> Word:
    return word << np.uint64(count) if 0 <= count < 64 else _ZERO


@numba.njit(cache=True, nogil=True)
def _mask(bits: int) -> Word:
    """The lowest ``bits`` bits of a word."""
    return _shift_left(_ONE, bits) - _ONE


@numba.njit(cache=True, nogil=True)
def _magnitude_leaves(
    floor: Word,
    rest: Word,
    shift: int,
    negative: Word,
    random: Word,
    options: WordOptions,
) -> Word:
    """Whether the magnitude ``floor + rest * 2**-shift``, 0 < shift, becomes ``floor + 1``."""
    rounding = options.rounding
    if rounding == STOCHASTIC:
        spare = shift - options.random_width
        top = _shift_right(rest, spare) if spare >= 0 else _shift_left(rest, -spare)
        if not negative:
            return (top + random) >> np.uint64(options.random_width) != _ZERO
        dropped = rest & _mask(spare) if 0 < spare < 64 else (rest if spare >= 64 else _ZERO)
        return top > random or (top == random and dropped != _ZERO)
    if rest == _ZERO or rounding == TOWARD_ZERO:
        return False
    if rounding == FLOOR:
        return negative
    if rounding == CEILING:
        return not negative
    half = _shift_left(_ONE, shift - 1)
    if half == _ZERO or rest < half:  # a shift beyond the word leaves less than half
        return False
    if rest > half:
        return True
    if rounding == HALF_EVEN:
        return (floor & _ONE) == _ONE
    return rounding == HALF_AWAY or (rounding == HALF_UP and not negative) or (rounding == HALF_DOWN and negative)


@numba.njit(cache=True, nogil=True)
def _beyond(word: Word, above: int, negative: Word, options: WordOptions) -> Word:
    """The code of a number out of range, given its rounded low word and the bit above the unrounded one."""
    width, count, all_bits = options.width, options.saturation_bits, _mask(options.width)
    sign_code = _shift_left(_ONE, width - 1)
    if options.overflow == OVERFLOW_SATURATE_ZERO:
        return _ZERO
    if options.overflow in (OVERFLOW_SATURATE, OVERFLOW_SATURATE_SYMMETRIC):
        if not options.signed:
            return _ZERO if negative else all_bits
        if not negative:
            return all_bits ^ sign_code
        return (sign_code | _ONE) & all_bits if options.overflow == OVERFLOW_SATURATE_SYMMETRIC else sign_code
    if options.overflow == OVERFLOW_WRAP:
        low_bits = word & _mask(width - count)
        if count == 0:
            return low_bits
        ones = _mask(count) if not options.signed else _mask(count - 1)
        top = _shift_left(_ONE, count - 1) if options.signed and negative else ones
        return _shift_left(top, width - count) | low_bits
    sign = _ONE if negative else _ZERO
    if count == 0:
        high_bit = np.uint64(above)
        if high_bit == _shift_right(word, width - 1) & _ONE:
            return word & all_bits
        return (~word & (all_bits ^ sign_code)) | _shift_left(high_bit, width - 1)
    decisive = _shift_right(word, width - count) & _ONE
    if (decisive != sign) if count == 1 else (decisive == sign):
        word = ~word
    ones = _ZERO if negative else _mask(count - 1)
    return _shift_left(sign, width - 1) | _shift_left(ones, width - count) | (word & _mask(width - count))


@numba.njit(cache=True, nogil=True)
def _encode(value: Word, random: Word, options: WordOptions) -> Word:
    bits = to_bits(value)
    negative = bits >> np.uint64(63) != _ZERO
    exponent = np.int64((bits >> np.uint64(52)) & np.uint64(0x7FF))
    significand = bits & np.uint64((1 << 52) - 1)
    if exponent:
        significand |= np.uint64(1 << 52)
    shift = 1075 - (exponent if exponent else 1) - options.fraction_bits
    high_word: Word = _ZERO
    further: Word = False
    if shift > 0:
        low_word = _shift_right(significand, shift)
        rest = significand & _mask(shift) if shift < 64 else significand
        rest_exists = rest != _ZERO
        rounded = low_word
        if _magnitude_leaves(low_word, rest, shift, negative, random, options):
            rounded += _ONE
    else:
        low_word = rounded = _shift_left(significand, -shift)
        high_word = _shift_right(significand, 64 + shift) if -shift <= 64 else _shift_left(significand, -shift - 64)
        further = -shift >= 64 and significand != _ZERO
        rest_exists = False
    limit = _mask(options.width) if not options.signed else _mask(options.width - 1)
    if negative:
        limit = limit + _ONE if options.signed else _ZERO
        if options.overflow == OVERFLOW_SATURATE_SYMMETRIC and options.signed and options.width > 1:
            limit -= _ONE
    word = ~rounded + _ONE if negative else rounded
    if not further and high_word == _ZERO and rounded <= limit:
        return word & _mask(options.width)
    # Bit ``width`` of the floor of the exact number, before a rounding carry.
    if options.width < 64:
        floor = low_word
        if negative:
            floor = ~low_word + (_ZERO if rest_exists else _ONE)
        above = np.int64(_shift_right(floor, options.width) & _ONE)
    else:
        floor = high_word
        if negative:
            floor = ~high_word + (_ONE if low_word == _ZERO and not rest_exists else _ZERO)
        above = np.int64(floor & _ONE)
    return _beyond(word, above, negative, options)


@numba.njit(cache=True, nogil=True)
def encode_words(
    values: NDArray[Any], codes: NDArray[Any], random_bits: NDArray[np.uint32], options: WordOptions
) -> tuple[bool, bool]:
    """Encode; random_bits holds one entry per value, or one for all.

    Returns:
        Whether a NaN was met, and whether an infinity was.
    """
    nan_found, infinity_found = False, False
    for index in range(values.size):
        value = np.float64(values[index])
        if np.isnan(value):
            nan_found = True
            codes[index] = options.nan_code
            continue
        infinity_found |= np.isinf(value)
        random = np.uint64(random_bits[index if random_bits.size > 1 else 0])
        codes[index] = _encode(value, random, options)
    return nan_found, infinity_found
