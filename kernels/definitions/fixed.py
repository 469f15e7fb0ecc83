"""Casts to fixed point, by definition: quantise on the exact rational, then judge overflow on the rounded integer.

The rules are those of ap_fixed (AMD UG1399, chapter "Arbitrary Precision Fixed-Point Data Types"; SystemC IEEE 1666 has
the same modes): ``FixedFields(width=W, fraction_bits=F, signed=1)`` is ``ap_fixed<W, W - F>``.

| rounding of `kernels.rounding` | ap_fixed | overflow of `kernels.fields` | ap_fixed |
|---|---|---|---|
| FLOOR | AP_TRN | OVERFLOW_WRAP | AP_WRAP |
| TOWARD_ZERO | AP_TRN_ZERO | OVERFLOW_SATURATE | AP_SAT |
| HALF_UP | AP_RND | OVERFLOW_SATURATE_ZERO | AP_SAT_ZERO |
| HALF_TOWARD_ZERO | AP_RND_ZERO | OVERFLOW_SATURATE_SYMMETRIC | AP_SAT_SYM |
| HALF_DOWN | AP_RND_MIN_INF | OVERFLOW_WRAP_SIGN_MAGNITUDE | AP_WRAP_SM |
| HALF_AWAY | AP_RND_INF | | |
| HALF_EVEN | AP_RND_CONV | | |
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

from kernels.fields import (
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_SYMMETRIC,
    OVERFLOW_SATURATE_ZERO,
    OVERFLOW_WRAP,
    OVERFLOW_WRAP_SIGN_MAGNITUDE,
    FixedFields,
)
from kernels.rounding import HALF_EVEN, STOCHASTIC, as_dyadic, round_shift

OVERFLOWS: Final = (
    OVERFLOW_SATURATE,
    OVERFLOW_WRAP,
    OVERFLOW_WRAP_SIGN_MAGNITUDE,
    OVERFLOW_SATURATE_ZERO,
    OVERFLOW_SATURATE_SYMMETRIC,
)
"""The overflow modes that fixed point has."""
WRAPS: Final = (OVERFLOW_WRAP, OVERFLOW_WRAP_SIGN_MAGNITUDE)
"""The overflow modes with saturation bits, which have no result for an infinity."""
MAXIMUM_RANDOM_WIDTH: Final = 32
"""Random bits that stochastic rounding takes at most."""


def integer_range(fields: FixedFields) -> tuple[int, int]:
    """Least and greatest integer of the format.

    >>> integer_range(FixedFields(width=8, fraction_bits=4, signed=1))
    (-128, 127)
    """
    if fields.signed:
        return -(1 << (fields.width - 1)), (1 << (fields.width - 1)) - 1
    return 0, (1 << fields.width) - 1


def check_rounding(rounding: int, random_width: int) -> None:
    """Refuse an unknown rounding mode or a number of random bits out of range.

    Raises:
        ValueError: if rounding is not a mode of `kernels.rounding`, or STOCHASTIC has no random bits or over 32.
    """
    if not HALF_EVEN <= rounding <= STOCHASTIC:
        raise ValueError(f"rounding mode must be {HALF_EVEN} to {STOCHASTIC}, got {rounding}")
    if rounding == STOCHASTIC and not 1 <= random_width <= MAXIMUM_RANDOM_WIDTH:
        raise ValueError(
            f"stochastic rounding takes 1 to {MAXIMUM_RANDOM_WIDTH} random bits per value, got random_width "
            f"{random_width}"
        )


def check_fields(fields: FixedFields, *, overflow: int = OVERFLOW_SATURATE, saturation_bits: int = 0) -> None:
    """Refuse a format or an overflow mode that does not exist.

    Raises:
        ValueError: if the width is not 1 to 64, the mode is none of fixed point, or the saturation bits do not fit.
    """
    if not 1 <= fields.width <= 64:
        raise ValueError(f"fixed point width must be 1 to 64 bits, got {fields.width}")
    if overflow not in OVERFLOWS:
        raise ValueError(f"overflow mode {overflow} is none of fixed point: one of {OVERFLOWS} is needed")
    if overflow == OVERFLOW_WRAP_SIGN_MAGNITUDE and not fields.signed:
        raise ValueError("sign-magnitude wrap-around needs a signed format: use OVERFLOW_WRAP for an unsigned one")
    most = fields.width if overflow in WRAPS else 0
    if not 0 <= saturation_bits <= most:
        raise ValueError(
            f"saturation_bits must be 0 to {most} for overflow mode {overflow} and {fields.width} bits, "
            f"got {saturation_bits}"
        )


def decode_scalar(code: int, fields: FixedFields) -> Fraction:
    """The value of a code.

    Args:
        code: 0 to ``2**width - 1``, two's complement masked to the width.
        fields: the format.

    Raises:
        ValueError: if the code is out of range.

    >>> decode_scalar(0xF4, FixedFields(width=8, fraction_bits=3, signed=1))
    Fraction(-3, 2)
    """
    check_fields(fields)
    if not 0 <= code < 1 << fields.width:
        raise ValueError(f"code {code} of {fields.width} bits must lie in [0, {(1 << fields.width) - 1}]")
    integer = code - (1 << fields.width) if code > integer_range(fields)[1] else code
    return integer / Fraction(2) ** fields.fraction_bits


def encode_scalar(
    value: Fraction | float,
    fields: FixedFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    saturation_bits: int = 0,
    random_bits: int = 0,
    random_width: int = 0,
    nan_code: int | None = None,
) -> int:
    """The code of a real number.

    STOCHASTIC adds the random bits below the binary point of the two's complement number (see
    `kernels.rounding.round_shift`).

    Args:
        value: any rational or float. Infinities saturate; a wrapping mode refuses them.
        fields: the format.
        rounding: a mode of `kernels.rounding`.
        overflow: SATURATE, WRAP, WRAP_SIGN_MAGNITUDE, SATURATE_ZERO or SATURATE_SYMMETRIC of `kernels.fields`.
        saturation_bits: ap_fixed's N, 0 to width, for the two wrapping modes.
        random_bits: for STOCHASTIC, 0 to ``2**random_width - 1``.
        random_width: 1 to 32 for STOCHASTIC.
        nan_code: the code for NaN; None refuses NaN.

    Raises:
        ValueError: for options out of range, NaN without ``nan_code``, or an infinity that wraps.

    >>> fixed = FixedFields(width=8, fraction_bits=4, signed=1)
    >>> [encode_scalar(x, fixed) for x in (0.5, -0.0625, 100.0)], encode_scalar(8.5, fixed, overflow=OVERFLOW_WRAP)
    ([8, 255, 127], 136)
    """
    check_fields(fields, overflow=overflow, saturation_bits=saturation_bits)
    check_rounding(rounding, random_width)
    mask = (1 << fields.width) - 1
    low, high = integer_range(fields)
    if isinstance(value, float) and math.isnan(value):
        return _code_for_nan(nan_code, mask)
    if isinstance(value, float) and math.isinf(value):
        if overflow in WRAPS:
            raise ValueError(f"{value} has no low bits to wrap around to: use a saturating overflow mode")
        return _saturated(high + 1 if value > 0 else low - 1, fields, overflow) & mask
    scaled = Fraction(value) * Fraction(2) ** fields.fraction_bits
    numerator, shift = as_dyadic(scaled, random_width)
    rounded = round_shift(numerator, shift, rounding, random_bits=random_bits, random_width=random_width)
    if overflow not in WRAPS:
        return _saturated(rounded, fields, overflow) & mask
    if low <= rounded <= high:
        return rounded & mask
    if overflow == OVERFLOW_WRAP:
        return _wrapped(rounded, int(scaled < 0), fields, saturation_bits)
    # ap_fixed looks at the bit above the word before the rounding carry is added.
    above_before_carry = (math.floor(scaled) >> fields.width) & 1
    return _wrapped_sign_magnitude(rounded, int(scaled < 0), above_before_carry, fields.width, saturation_bits)


def _code_for_nan(nan_code: int | None, largest_code: int) -> int:
    if nan_code is None:
        raise ValueError("NaN has no code in fixed point: give nan_code to choose one, or remove the NaN")
    if not 0 <= nan_code <= largest_code:
        raise ValueError(f"nan_code must lie in [0, {largest_code}], got {nan_code}")
    return nan_code


def _saturated(rounded: int, fields: FixedFields, overflow: int) -> int:
    low, high = integer_range(fields)
    if overflow == OVERFLOW_SATURATE_ZERO:
        return rounded if low <= rounded <= high else 0
    if overflow == OVERFLOW_SATURATE_SYMMETRIC and fields.signed and fields.width > 1:
        low = -high  # one bit has no other negative number than -1, which ap_fixed keeps
    return min(max(rounded, low), high)


def _wrapped(rounded: int, negative: int, fields: FixedFields, saturation_bits: int) -> int:
    """AP_WRAP of a number out of range: the low bits, with the top ``saturation_bits`` saturated.

    The sign bit is the source's and the other saturated bits its opposite; an unsigned word has ones, even for a
    negative source.
    """
    width = fields.width
    low_bits = rounded & ((1 << (width - saturation_bits)) - 1)
    if saturation_bits == 0:
        return low_bits
    top = (1 << saturation_bits) - 1
    if fields.signed:
        sign = 1 << (saturation_bits - 1)
        top = sign if negative else sign - 1
    return (top << (width - saturation_bits)) | low_bits


def _wrapped_sign_magnitude(rounded: int, negative: int, above: int, width: int, saturation_bits: int) -> int:
    """AP_WRAP_SM of a number out of range: the low bits, mirrored so that the value runs back and forth."""
    mask, sign_bit = (1 << width) - 1, 1 << (width - 1)
    word = rounded & mask
    if saturation_bits == 0:
        if above == word >> (width - 1):
            return word
        return (~word & mask & ~sign_bit) | (above << (width - 1))
    # The bit that has to differ from the sign (or, for one saturation bit, equal it) decides about the mirror.
    decisive = (word >> (width - saturation_bits)) & 1
    if (decisive != negative) if saturation_bits == 1 else (decisive == negative):
        word = ~word & mask
    kept = word & ((1 << (width - saturation_bits)) - 1)
    ones = 0 if negative else (1 << (saturation_bits - 1)) - 1
    return (negative << (width - 1)) | (ones << (width - saturation_bits)) | kept
