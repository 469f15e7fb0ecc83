"""Casts to fixed point on int64 tensors: every width up to 64 bits, every rounding and overflow mode, any magnitude.

The steps of `kernels.compiled.fixed_words`. Words are 64-bit patterns held as int64, so shifts to the right clear the
sign's copies, and unsigned comparisons flip the sign bits first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from kernels.fields import (
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_SYMMETRIC,
    OVERFLOW_SATURATE_ZERO,
    OVERFLOW_WRAP,
    FixedFields,
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
    from kernels.cast_constants import CastOptions

_WORD: Final = 64
_SIGN: Final = -(1 << 63)


def _as_signed(pattern: int) -> int:
    """A 64-bit pattern as the int64 that has it."""
    return pattern - (1 << _WORD) if pattern >> (_WORD - 1) else pattern


def _mask(bits: int) -> int:
    return _as_signed((1 << bits) - 1)


def _shift_right(words: torch.Tensor, counts: torch.Tensor | int) -> torch.Tensor:
    """Shift patterns right, by 64 and more to 0; counts are not negative."""
    counts = torch.as_tensor(counts, device=words.device)
    shifted = (words >> counts.clamp(max=_WORD - 1)) & ~((_SIGN >> counts.clamp(max=_WORD - 1)) << 1)
    return torch.where(counts < _WORD, shifted, 0)


def _shift_left(words: torch.Tensor, counts: torch.Tensor | int) -> torch.Tensor:
    """Shift patterns left, by 64 and more (and by negative counts) to 0."""
    counts = torch.as_tensor(counts, device=words.device)
    return torch.where((counts >= 0) & (counts < _WORD), words << counts.clamp(0, _WORD - 1), 0)


def _above(words: torch.Tensor, others: torch.Tensor | int) -> torch.Tensor:
    """Whether patterns are above others as unsigned numbers."""
    return (words ^ _SIGN) > (torch.as_tensor(others, device=words.device) ^ _SIGN)


class _Parts(NamedTuple):
    """Magnitudes in spacings, ``floor + rest * 2**-shift``, floor in two words."""

    negative: torch.Tensor
    low_word: torch.Tensor
    high_word: torch.Tensor
    further: torch.Tensor
    """Whether words above the second are not zero."""
    rest: torch.Tensor
    shift: torch.Tensor
    """At least 1; what an exact number has is arbitrary, since its rest is 0."""


def _take_apart(values: torch.Tensor, fraction_bits: int) -> _Parts:
    bits = values.view(torch.int64)
    exponent = (bits >> 52) & 0x7FF
    significand = (bits & ((1 << 52) - 1)) | torch.where(exponent > 0, 1 << 52, 0)
    right = 1075 - exponent.clamp(min=1) - fraction_bits
    is_left = right <= 0
    left = (-right).clamp(min=0)
    right = right.clamp(min=1)
    ones = torch.ones_like(significand)
    return _Parts(
        negative=bits < 0,
        low_word=torch.where(is_left, _shift_left(significand, left), _shift_right(significand, right)),
        high_word=torch.where(
            is_left,
            torch.where(
                left <= _WORD,
                _shift_right(significand, (_WORD - left).clamp(min=0)),
                _shift_left(significand, left - _WORD),
            ),
            0,
        ),
        further=is_left & (left >= _WORD) & (significand != 0),
        rest=torch.where(is_left, 0, significand & (_shift_left(ones, right) - 1)),
        shift=right,
    )


def _leaves(parts: _Parts, options: CastOptions, random: torch.Tensor | None) -> torch.Tensor:
    """Whether magnitudes become ``floor + 1``."""
    rounding, rest, shift, negative = options.rounding, parts.rest, parts.shift, parts.negative
    if rounding == STOCHASTIC and random is not None:
        spare = shift - options.random_width
        top = torch.where(spare >= 0, _shift_right(rest, spare.clamp(min=0)), _shift_left(rest, (-spare).clamp(min=0)))
        dropped = torch.where(spare > 0, rest & (_shift_left(torch.ones_like(rest), spare) - 1), 0)
        positive_leaves = (top + random) >> options.random_width != 0
        negative_leaves = (top > random) | ((top == random) & (dropped != 0))
        return torch.where(negative, negative_leaves, positive_leaves)
    if rounding in {TOWARD_ZERO, FLOOR, CEILING}:
        toward = torch.zeros_like(negative)
        return (rest != 0) & {TOWARD_ZERO: toward, FLOOR: negative, CEILING: ~negative}[rounding]
    # Beyond a word the half is further than any rest reaches.
    half = _shift_left(torch.ones_like(rest), shift - 1)
    held = (shift <= _WORD - 1) & (rest != 0)
    never = torch.zeros_like(negative)
    at_ties = {
        HALF_EVEN: (parts.low_word & 1) == 1,
        HALF_AWAY: ~never,
        HALF_UP: ~negative,
        HALF_DOWN: negative,
    }.get(rounding, never)
    return held & ((rest > half) | ((rest == half) & at_ties))


def _beyond(
    words: torch.Tensor, above: torch.Tensor, negative: torch.Tensor, fields: FixedFields, options: CastOptions
) -> torch.Tensor:
    """Codes of numbers out of range, given their rounded low words and the bit above the unrounded ones."""
    width, count, all_bits = fields.width, options.saturation_bits, _mask(fields.width)
    sign_code = _as_signed(1 << (width - 1))
    if options.overflow == OVERFLOW_SATURATE_ZERO:
        return torch.zeros_like(words)
    if options.overflow in {OVERFLOW_SATURATE, OVERFLOW_SATURATE_SYMMETRIC}:
        least = sign_code | int(options.overflow == OVERFLOW_SATURATE_SYMMETRIC)
        low, high = (least, all_bits ^ sign_code) if fields.signed else (0, all_bits)
        return torch.where(negative, low, high)
    kept = _mask(width - count)
    if options.overflow == OVERFLOW_WRAP:
        if count == 0:
            return words & kept
        ones = _mask(count - 1) if fields.signed else _mask(count)
        top_negative = _as_signed(1 << (count - 1)) if fields.signed else ones
        return _shift_left(torch.where(negative, top_negative, ones), width - count) | (words & kept)
    if count == 0:
        mirrored = (~words & (all_bits ^ sign_code)) | _shift_left(above, width - 1)
        return torch.where(above == (_shift_right(words, width - 1) & 1), words & all_bits, mirrored)
    sign = negative.to(torch.int64)
    decisive = _shift_right(words, width - count) & 1
    mirror = (decisive != sign) if count == 1 else (decisive == sign)
    words = torch.where(mirror, ~words, words)
    ones_or_none = torch.where(negative, 0, _mask(count - 1))
    return _shift_left(sign, width - 1) | _shift_left(ones_or_none, width - count) | (words & kept)


def encode_words(
    values: torch.Tensor, fields: FixedFields, options: CastOptions, random: torch.Tensor | None
) -> torch.Tensor:
    """Codes of float64 values as int64 patterns; NaN becomes the code chosen for it.

    Args:
        values: float64, any shape.
        fields: the format.
        options: checked by the caller, as infinities and NaN are.
        random: int64 of the values' shape for stochastic rounding.
    """
    parts = _take_apart(values, fields.fraction_bits)
    rounded = parts.low_word + _leaves(parts, options, random).to(torch.int64)
    limit = _mask(fields.width - 1 if fields.signed else fields.width)
    symmetric = options.overflow == OVERFLOW_SATURATE_SYMMETRIC and fields.width > 1
    lower = limit if symmetric else _as_signed(1 << (fields.width - 1))
    limits = torch.where(parts.negative, lower if fields.signed else 0, limit)
    inside = ~parts.further & (parts.high_word == 0) & ~_above(rounded, limits)
    words = torch.where(parts.negative, -rounded, rounded)
    # Bit ``width`` of the floor of the exact number, before a rounding carry.
    exact = parts.rest == 0
    if fields.width < _WORD:
        floor = torch.where(parts.negative, ~parts.low_word + exact.to(torch.int64), parts.low_word)
        above = _shift_right(floor, fields.width) & 1
    else:
        borrow_free = ((parts.low_word == 0) & exact).to(torch.int64)
        above = torch.where(parts.negative, ~parts.high_word + borrow_free, parts.high_word) & 1
    codes = torch.where(inside, words & _mask(fields.width), _beyond(words, above, parts.negative, fields, options))
    return torch.where(values.isnan(), _as_signed(options.nan_code or 0), codes)
