"""Casts to minifloats, by definition: one rounding of the exact rational on the grid, then the range is judged.

The rule of every step is IEEE 754's (section 4.3 for rounding, 7.4 for overflow), with OCP's (OFP8 and MX
specifications) and P3109's kinds of special codes. The steps of `encode_scalar`, in order:

1. The grid is that of a format without an upper end, counted in the spacing of its smallest numbers. Exponent field 0
   ends it below: `kernels.rounding.round_to_float_grid` has the subnormals of GRADUAL and of the other two, which lack
   them, alike.
2. What lies below the smallest number of a format without subnormals becomes zero, by one of two rules
   (`FLUSH_AFTER_ROUNDING`, `FLUSH_BEFORE_ROUNDING`); in a format without zero it becomes the smallest number.
3. A rounded magnitude above the largest finite number overflows, as does an infinity. A rounded negative number
   overflows an unsigned format downwards, and zero a format without zero. Where the rounding mode points back at the
   finite numbers, a finite number goes to the nearest of them, unless the overflow mode saturates anyway.
4. Minus zero is kept where the format has its code, and is plus zero elsewhere.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

from kernels.definitions.fixed import check_rounding
from kernels.fields import (
    FLUSH_AFTER_ROUNDING,
    FLUSH_BEFORE_ROUNDING,
    OVERFLOW_INFINITY,
    OVERFLOW_NAN,
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_FINITE,
    SPECIALS_FINITE_NAN,
    SPECIALS_FNUZ,
    SPECIALS_IEEE,
    SPECIALS_P3109,
    SUBNORMALS_FLUSH,
    SUBNORMALS_GRADUAL,
    SUBNORMALS_KEEP_EXPONENT,
    FloatFields,
)
from kernels.rounding import CEILING, FLOOR, HALF_EVEN, TOWARD_ZERO, as_dyadic, round_to_float_grid

OVERFLOWS: Final = (OVERFLOW_SATURATE, OVERFLOW_SATURATE_FINITE, OVERFLOW_INFINITY, OVERFLOW_NAN)
"""The overflow modes that minifloats have."""


def code_width(fields: FloatFields) -> int:
    """Bits of a code."""
    return fields.signed + fields.exponent_bits + fields.mantissa_bits


def unit_exponent(fields: FloatFields) -> int:
    """Exponent of the spacing of the smallest numbers: ``value = magnitude_integer * 2**unit_exponent``."""
    first = 0 if fields.subnormals == SUBNORMALS_KEEP_EXPONENT else 1
    return first - fields.bias - fields.mantissa_bits


def has_zero(fields: FloatFields) -> bool:
    """Whether a code means zero; only KEEP_EXPONENT can lack it, since elsewhere fraction 0 of field 0 is zero."""
    return bool(fields.zero) or fields.subnormals != SUBNORMALS_KEEP_EXPONENT


def has_minus_zero(fields: FloatFields) -> bool:
    """Whether a code means minus zero."""
    return bool(fields.signed) and has_zero(fields) and fields.specials not in {SPECIALS_FNUZ, SPECIALS_P3109}


def largest_magnitude_code(fields: FloatFields) -> int:
    """The code, without its sign bit, of the largest finite number.

    An unsigned P3109 format has no minus zero to hold its NaN, which takes the last code, above infinity.

    >>> largest_magnitude_code(FloatFields(4, 3, 7, 1, SPECIALS_FINITE_NAN, SUBNORMALS_GRADUAL, 1))
    126
    """
    codes = 1 << (fields.exponent_bits + fields.mantissa_bits)
    special_codes = {
        SPECIALS_IEEE: 1 << fields.mantissa_bits,
        SPECIALS_FINITE_NAN: 1,
        SPECIALS_P3109: 1 if fields.signed else 2,
    }
    return codes - 1 - special_codes.get(fields.specials, 0)


def infinity_code(fields: FloatFields) -> int | None:
    """The code of plus infinity, None without one."""
    if fields.specials in {SPECIALS_IEEE, SPECIALS_P3109}:
        return largest_magnitude_code(fields) + 1
    return None


def nan_code(fields: FloatFields) -> int | None:
    """The code that a NaN becomes (any other NaN codes only decode), None without one.

    IEEE kinds: the quiet NaN, with the top mantissa bit. Without mantissa bits they have no NaN.
    """
    codes = 1 << (fields.exponent_bits + fields.mantissa_bits)
    if fields.specials == SPECIALS_IEEE and fields.mantissa_bits:
        return codes - (1 << (fields.mantissa_bits - 1))
    if fields.specials == SPECIALS_FINITE_NAN:
        return codes - 1
    if fields.specials in {SPECIALS_FNUZ, SPECIALS_P3109} and fields.signed:
        return codes
    if fields.specials == SPECIALS_P3109:
        return codes - 1
    return None


def magnitude_integer(magnitude_code: int, fields: FloatFields) -> int:
    """What a finite magnitude code means, counted in ``2**unit_exponent``."""
    exponent, fraction = divmod(magnitude_code, 1 << fields.mantissa_bits)
    hidden = 1 << fields.mantissa_bits
    if fields.subnormals == SUBNORMALS_KEEP_EXPONENT:
        return 0 if magnitude_code == 0 and fields.zero else (hidden + fraction) << exponent
    if exponent == 0:
        return 0 if fields.subnormals == SUBNORMALS_FLUSH else fraction
    return (hidden + fraction) << (exponent - 1)


def magnitude_code(integer: int, fields: FloatFields) -> int:
    """The least magnitude code that means an integer of the grid, the inverse of `magnitude_integer`.

    >>> from kernels.fields import SPECIALS_NONE
    >>> e2m1 = FloatFields(2, 1, 1, 1, SPECIALS_NONE, SUBNORMALS_GRADUAL, 1)
    >>> [magnitude_code(integer, e2m1) for integer in (0, 1, 2, 3, 4, 6, 8, 12)]
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    if integer == 0:
        return 0
    shift = max(integer.bit_length() - 1 - fields.mantissa_bits, 0)
    # A significand without its hidden one (a subnormal) gives field 0 by itself, since the hidden one adds 1 to it.
    code = (shift << fields.mantissa_bits) + (integer >> shift)
    return code - (1 << fields.mantissa_bits) if fields.subnormals == SUBNORMALS_KEEP_EXPONENT else code


def smallest_integer(fields: FloatFields) -> int:
    """The smallest magnitude that is not zero, counted in ``2**unit_exponent``."""
    hidden = 1 << fields.mantissa_bits
    if fields.subnormals == SUBNORMALS_GRADUAL:
        return 1
    if fields.subnormals == SUBNORMALS_FLUSH or not fields.zero:
        return hidden
    return magnitude_integer(1, fields)


def check_fields(fields: FloatFields) -> None:
    """Refuse a format that does not exist.

    Raises:
        ValueError: if a field is out of range or no finite number but zero is left.
    """
    for what, given, most in (
        ("exponent_bits", fields.exponent_bits, 8),
        ("mantissa_bits", fields.mantissa_bits, 23),
        ("signed", fields.signed, 1),
        ("specials", fields.specials, SPECIALS_P3109),
        ("subnormals", fields.subnormals, SUBNORMALS_FLUSH),
        ("zero", fields.zero, 1),
    ):
        if not 0 <= given <= most:
            raise ValueError(f"minifloat {what} must be 0 to {most}, got {given}")
    largest = largest_magnitude_code(fields)
    if largest < 0 or magnitude_integer(largest, fields) == 0:
        raise ValueError(f"{fields} has no finite number but zero: use more bits or fewer special codes")
    if fields.signed and not has_zero(fields) and fields.specials in {SPECIALS_FNUZ, SPECIALS_P3109}:
        raise ValueError(f"{fields} gives NaN the code of minus zero and has no zero: use other specials or a zero")


def check_options(
    fields: FloatFields, *, rounding: int, overflow: int, underflow: int, random_width: int, nan_code: int | None
) -> None:
    """Refuse options out of range, and what the format has no code for.

    Raises:
        ValueError: naming the option, what it was and what is allowed.
    """
    check_rounding(rounding, random_width)
    if overflow not in OVERFLOWS:
        raise ValueError(f"overflow mode {overflow} is none of minifloats: one of {OVERFLOWS} is needed")
    if underflow not in {FLUSH_AFTER_ROUNDING, FLUSH_BEFORE_ROUNDING}:
        raise ValueError(f"underflow must be {FLUSH_AFTER_ROUNDING} or {FLUSH_BEFORE_ROUNDING}, got {underflow}")
    if nan_code is not None and not 0 <= nan_code < 1 << code_width(fields):
        raise ValueError(f"nan_code must lie in [0, {(1 << code_width(fields)) - 1}], got {nan_code}")
    if overflow == OVERFLOW_NAN and code_for_nan(fields, nan_code) is None:
        raise ValueError(f"{fields} has no NaN for overflow to become: saturate, or give nan_code")


def code_for_nan(fields: FloatFields, chosen: int | None) -> int | None:
    """The code of NaN, or the one chosen in its place where the format has none."""
    own = nan_code(fields)
    return chosen if own is None else own


def decode_scalar(code: int, fields: FloatFields) -> Fraction | float:
    """The value of a code: a fraction, or a float for NaN, the infinities and minus zero.

    Raises:
        ValueError: if the format does not exist or the code is out of range.

    >>> e4m3fn = FloatFields(4, 3, 7, 1, SPECIALS_FINITE_NAN, SUBNORMALS_GRADUAL, 1)
    >>> [decode_scalar(code, e4m3fn) for code in (0x7E, 0x81, 0x80, 0x7F)]
    [Fraction(448, 1), Fraction(-1, 512), -0.0, nan]
    """
    check_fields(fields)
    width = code_width(fields)
    if not 0 <= code < 1 << width:
        raise ValueError(f"code {code} of {width} bits must lie in [0, {(1 << width) - 1}]")
    negative, magnitude = divmod(code, 1 << (fields.exponent_bits + fields.mantissa_bits))
    if negative and magnitude == 0 and has_zero(fields) and not has_minus_zero(fields):
        return math.nan
    if magnitude > largest_magnitude_code(fields):
        return (-math.inf if negative else math.inf) if magnitude == infinity_code(fields) else math.nan
    value = magnitude_integer(magnitude, fields) * Fraction(2) ** unit_exponent(fields)
    if negative and value == 0:
        # A flushed subnormal: of a format whose code of minus zero is NaN it is plus zero.
        return -0.0 if has_minus_zero(fields) else value
    return -value if negative else value


def encode_scalar(
    value: Fraction | float,
    fields: FloatFields,
    *,
    rounding: int = HALF_EVEN,
    overflow: int = OVERFLOW_SATURATE,
    underflow: int = FLUSH_AFTER_ROUNDING,
    random_bits: int = 0,
    random_width: int = 0,
    nan_code: int | None = None,
) -> int:
    """The code of a real number, by the steps above.

    Args:
        value: any rational or float; infinities, NaN and minus zero are floats.
        fields: the format.
        rounding: a mode of `kernels.rounding`; STOCHASTIC rounds the magnitude.
        overflow: SATURATE, SATURATE_FINITE, INFINITY or NAN of `kernels.fields`.
        underflow: how a format without subnormals flushes.
        random_bits: for STOCHASTIC, 0 to ``2**random_width - 1``.
        random_width: 1 to 32 for STOCHASTIC.
        nan_code: the code for NaN in a format without NaN; None refuses NaN there.

    Raises:
        ValueError: for options out of range, or NaN without a code.

    >>> e4m3fn = FloatFields(4, 3, 7, 1, SPECIALS_FINITE_NAN, SUBNORMALS_GRADUAL, 1)
    >>> [encode_scalar(x, e4m3fn) for x in (448.0, 464.0, 1e9, -0.0)]
    [126, 126, 126, 128]
    >>> [encode_scalar(x, e4m3fn, overflow=OVERFLOW_NAN) for x in (448.0, 464.0, 465.0)]
    [126, 126, 127]
    """
    check_fields(fields)
    check_options(
        fields,
        rounding=rounding,
        overflow=overflow,
        underflow=underflow,
        random_width=random_width,
        nan_code=nan_code,
    )
    code_of_nan = code_for_nan(fields, nan_code)
    if isinstance(value, float) and math.isnan(value):
        if code_of_nan is None:
            raise ValueError(f"NaN has no code in {fields}: give nan_code to choose one, or remove the NaN")
        return code_of_nan
    negative = math.copysign(1.0, value) < 0 if isinstance(value, float) else value < 0
    sign = 1 << (fields.exponent_bits + fields.mantissa_bits) if negative and fields.signed else 0
    if isinstance(value, float) and math.isinf(value):
        bound = 0 if negative and not fields.signed else sign | largest_magnitude_code(fields)
        return _out_of_range(bound, fields, overflow, code_of_nan, infinite=True)
    magnitude = _rounded_magnitude(Fraction(value), fields, rounding, underflow, random_bits, random_width)
    if magnitude > magnitude_integer(largest_magnitude_code(fields), fields):
        bound = 0 if negative and not fields.signed else sign | largest_magnitude_code(fields)
    elif (magnitude == 0 and not has_zero(fields)) or (magnitude and negative and not fields.signed):
        bound = sign
    elif magnitude == 0:
        return sign if has_minus_zero(fields) else 0
    else:
        return sign | magnitude_code(magnitude, fields)
    if magnitude and rounding in {TOWARD_ZERO, CEILING if negative else FLOOR}:
        return bound
    return _out_of_range(bound, fields, overflow, code_of_nan, infinite=False)


def _rounded_magnitude(
    value: Fraction, fields: FloatFields, rounding: int, underflow: int, random_bits: int, random_width: int
) -> int:
    """Steps 1 and 2, counted in ``2**unit_exponent``."""
    scaled = value / Fraction(2) ** unit_exponent(fields)
    numerator, shift = as_dyadic(scaled, random_width)
    rounded = round_to_float_grid(
        numerator, shift, fields.mantissa_bits, rounding, random_bits=random_bits, random_width=random_width
    )
    least = smallest_integer(fields)
    if not has_zero(fields):
        return max(abs(rounded), least) if value else 0
    flushed_first = underflow == FLUSH_BEFORE_ROUNDING and fields.subnormals != SUBNORMALS_GRADUAL
    if abs(rounded) < least or (flushed_first and abs(scaled) < least):
        return 0
    return abs(rounded)


def _out_of_range(bound: int, fields: FloatFields, overflow: int, code_of_nan: int | None, *, infinite: bool) -> int:
    """Step 3: the code of a number beyond the finite ones, of which ``bound`` is the nearest one's code.

    Infinity is for what overflows upwards in magnitude; neither a negative number in an unsigned format nor zero in a
    format without it has one, and NaN takes its place.
    """
    if overflow == OVERFLOW_NAN and code_of_nan is not None:
        return code_of_nan
    if overflow == OVERFLOW_SATURATE or (overflow == OVERFLOW_SATURATE_FINITE and not infinite):
        return bound
    infinity, own_nan = infinity_code(fields), nan_code(fields)
    largest = largest_magnitude_code(fields)
    if infinity is not None and bound & ((1 << (fields.exponent_bits + fields.mantissa_bits)) - 1) == largest:
        return bound - largest + infinity
    return bound if own_nan is None else own_nan
