"""The numbers that a cast needs, worked out once from a format and its options; all fast twins compute from these.

(The compiled twin has others for the commonest options: `kernels.half_even_constants`.)

A cast is a grid (the spacing of the numbers around a value), a rounding (when to leave the nearer-zero neighbour for
the next one) and a range (what lies beyond it becomes). Fixed point and minifloats differ only in whether the spacing
follows the exponent, so one loop serves both. It works in float32 or float64 arithmetic:

* ``magic`` is the power of two whose own spacing, in the working type, is the grid's spacing at the value: adding and
  subtracting it rounds half to even in the floating-point unit, exactly. Its exponent field is that of the value, but
  at least ``least_exponent``, plus ``magic_offset``.
* Every other mode compares what truncation left with ``threshold`` spacings. The difference is exact (both numbers are
  multiples of the value's last bit and close to each other), and so is the comparison.

The working type is wide enough when neither step can round, underflow or overflow; `working_type` proves it.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from kernels.definitions import fixed, minifloat
from kernels.extents import FLOAT32, FLOAT64, FloatType, extent, holds, value_of
from kernels.fields import (
    FLUSH_AFTER_ROUNDING,
    FLUSH_BEFORE_ROUNDING,
    OVERFLOW_NAN,
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_SYMMETRIC,
    OVERFLOW_WRAP,
    SUBNORMALS_GRADUAL,
    FixedFields,
    FloatFields,
)
from kernels.rounding import (
    CEILING,
    FLOOR,
    HALF_AWAY,
    HALF_DOWN,
    HALF_EVEN,
    HALF_TOWARD_ZERO,
    HALF_UP,
    STOCHASTIC,
    TOWARD_ZERO,
)

if TYPE_CHECKING:
    Fields = FixedFields | FloatFields


class CastOptions(NamedTuple):
    """What a caller may choose; codes of `kernels.rounding` and `kernels.fields`, as the definitions take them.

    ``nan_code`` None stands for no code: NaN in a format without NaN is then an error.
    """

    rounding: int = HALF_EVEN
    overflow: int = OVERFLOW_SATURATE
    saturation_bits: int = 0
    underflow: int = FLUSH_AFTER_ROUNDING
    random_width: int = 0
    nan_code: int | None = None


class CastConstants(NamedTuple):
    """Plain numbers for a loop: first integers, bit patterns of the working type, then floats that are exact in it."""

    exponent_mask: int
    """Selects the exponent field of a value; 0 for fixed point, whose spacing does not follow it."""
    least_exponent: int
    """Exponent field, in place, of the binade with the smallest spacing."""
    magic_offset: int
    """From a binade's exponent field to that of its magic number."""
    spacing_offset: int
    """From a binade's exponent field down to that of its spacing."""
    flush_first: int
    """1 to compare with ``least`` before rounding, 0 after."""
    leaves_at_positive: int
    """1 if a positive number leaves at the threshold itself, too."""
    leaves_at_negative: int
    """The same for a negative number."""
    leaves_if_odd: int
    """1 if a number leaves at the threshold from an odd number of spacings."""
    low: float
    """The least number of the format."""
    high: float
    """The greatest number of the format."""
    low_clip: float
    """A point of the grid below ``low``; what lies still lower cannot round to anything else that matters."""
    high_clip: float
    """A point of the grid above ``high``."""
    below: float
    """What a finite number becomes that rounds below ``low``."""
    above: float
    """What a finite number becomes that rounds above ``high``."""
    below_infinite: float
    """What minus infinity becomes."""
    above_infinite: float
    """What plus infinity becomes."""
    least: float
    """Magnitudes below this one become ``flushed``; 0 if there are none."""
    flushed: float
    """Zero, or the smallest number of a format without zero."""
    plus_zero: float
    """What plus zero becomes: itself but in formats without zero."""
    minus_zero: float
    """What minus zero becomes."""
    zero_addend: float
    """Added to results: +0.0 makes minus zero plus zero, -0.0 keeps it."""
    nan: float
    """What NaN becomes."""
    threshold_positive: float
    """A positive number leaves zero-wards truncation for the next magnitude above this rest, in spacings."""
    threshold_negative: float
    """The same for a negative number."""
    random_positive: float
    """For stochastic rounding: what one random bit adds to the threshold of a positive number."""
    random_negative: float
    """The same for a negative number."""


@cache
def check_cast(fields: Fields, options: CastOptions) -> None:
    """Refuse formats and options that do not exist or do not fit each other, by the definitions' rules.

    Raises:
        ValueError: naming what was given and what is allowed.
    """
    if isinstance(fields, FixedFields):
        fixed.check_fields(fields, overflow=options.overflow, saturation_bits=options.saturation_bits)
        fixed.check_rounding(options.rounding, options.random_width)
        if options.nan_code is not None and not 0 <= options.nan_code < 1 << fields.width:
            raise ValueError(f"nan_code must lie in [0, {(1 << fields.width) - 1}], got {options.nan_code}")
        return
    minifloat.check_fields(fields)
    minifloat.check_options(
        fields,
        rounding=options.rounding,
        overflow=options.overflow,
        underflow=options.underflow,
        random_width=options.random_width,
        nan_code=options.nan_code,
    )


@cache
def working_type(fields: Fields, options: CastOptions, input_type: FloatType) -> FloatType | None:
    """The narrowest float type whose arithmetic casts exactly, not narrower than the input; None if there is none."""
    if not holds(input_type, fields):
        return None
    for float_type in (FLOAT32, FLOAT64):
        if float_type.mantissa_bits >= input_type.mantissa_bits and _works(fields, options, float_type):
            return float_type
    return None


def _works(fields: Fields, options: CastOptions, float_type: FloatType) -> bool:
    where = extent(fields)
    mantissa_bits = where.first_binade - where.unit  # 0 for fixed point
    # Clips lie one step above the largest number, for fixed point one spacing: at most one binade up.
    top = where.binade + 1
    if isinstance(fields, FixedFields):
        wide_enough = top - where.unit <= float_type.mantissa_bits
        greatest_magic = where.unit + float_type.mantissa_bits
    else:
        wide_enough = mantissa_bits < float_type.mantissa_bits
        greatest_magic = max(top, where.first_binade) - mantissa_bits + float_type.mantissa_bits
    # What lies below the spacing must be held down to half of it, or to the last random bit.
    fraction_bits = options.random_width if options.rounding == STOCHASTIC else 1
    return (
        wide_enough
        and fraction_bits <= float_type.mantissa_bits
        and greatest_magic < float_type.greatest_exponent
        and max(top, where.unit + float_type.mantissa_bits) < float_type.greatest_exponent
        and where.unit >= float_type.least_exponent
        and where.unit - fraction_bits >= float_type.least_exponent - float_type.mantissa_bits
    )


class _Rule(NamedTuple):
    """A rounding of magnitudes: leave truncation above ``threshold``, and at it always or from odd numbers."""

    threshold: float
    leaves_at: int = 0
    leaves_if_odd: int = 0


_NEAREST_AWAY: Final = _Rule(0.5, 1)
_NEAREST_TOWARD: Final = _Rule(0.5)
_TRUNCATE: Final = _Rule(2.0)  # no rest is that large
_LEAVE: Final = _Rule(0.0)
_POSITIVE_AND_NEGATIVE: Final = {
    HALF_EVEN: (_Rule(0.5, 0, 1), _Rule(0.5, 0, 1)),
    HALF_UP: (_NEAREST_AWAY, _NEAREST_TOWARD),
    HALF_AWAY: (_NEAREST_AWAY, _NEAREST_AWAY),
    FLOOR: (_TRUNCATE, _LEAVE),
    CEILING: (_LEAVE, _TRUNCATE),
    TOWARD_ZERO: (_TRUNCATE, _TRUNCATE),
    HALF_DOWN: (_NEAREST_TOWARD, _NEAREST_AWAY),
    HALF_TOWARD_ZERO: (_NEAREST_TOWARD, _NEAREST_TOWARD),
}


@cache
def cast_constants(fields: Fields, options: CastOptions, float_type: FloatType, nan: float) -> CastConstants:
    """The numbers of a cast in the working type that `working_type` chose.

    What lies out of range becomes what the definition says of one number there, so the rules of overflow are stated in
    the definitions only.

    Args:
        fields: the format.
        options: the caller's choices.
        float_type: the working type.
        nan: what NaN becomes, and what overflows to NaN: NaN itself, or the value of a code chosen for it.
    """
    where = extent(fields)
    precision, lift = float_type.mantissa_bits, float_type.greatest_exponent
    is_fixed = isinstance(fields, FixedFields)
    bounds = cast_range(fields, options)
    low_clip, high_clip = _clips(fields)
    if is_fixed and options.overflow in fixed.WRAPS:
        # The loop that wraps has no use for what lies beyond the range.
        options = options._replace(overflow=OVERFLOW_SATURATE, saturation_bits=0)

    def cast(value: Fraction | float) -> float:
        code = encode_scalar(value, fields, options)
        becomes_nan = options.overflow == OVERFLOW_NAN and code == code_of_nan(fields, options)
        return nan if becomes_nan else value_of(code, fields)

    if options.rounding == STOCHASTIC:
        step = 2.0**-options.random_width
        positive, negative = _Rule(1.0, 1), _Rule(0.0) if is_fixed else _Rule(1.0, 1)
        random_positive, random_negative = -step, step if is_fixed else -step
    else:
        positive, negative = _POSITIVE_AND_NEGATIVE[options.rounding]
        random_positive = random_negative = 0.0
    return CastConstants(
        exponent_mask=0 if is_fixed else (2 * lift + 1) << precision,
        least_exponent=(where.first_binade + lift) << precision,
        magic_offset=(precision - (where.first_binade - where.unit)) << precision,
        spacing_offset=(where.first_binade - where.unit) << precision,
        low=bounds.low,
        high=bounds.high,
        low_clip=low_clip,
        high_clip=high_clip,
        below=cast(Fraction(low_clip)),
        above=cast(Fraction(high_clip)),
        below_infinite=cast(-math.inf),
        above_infinite=cast(math.inf),
        least=bounds.least,
        flushed=bounds.flushed,
        flush_first=int(options.underflow == FLUSH_BEFORE_ROUNDING),
        plus_zero=cast(0.0),
        minus_zero=cast(-0.0),
        zero_addend=bounds.zero_addend,
        nan=nan,
        threshold_positive=positive.threshold,
        threshold_negative=negative.threshold,
        random_positive=random_positive,
        random_negative=random_negative,
        leaves_at_positive=positive.leaves_at,
        leaves_at_negative=negative.leaves_at,
        leaves_if_odd=positive.leaves_if_odd,
    )


class CastRange(NamedTuple):
    """The ends of a format, as a cast meets them; see `CastConstants` for each."""

    low: float
    high: float
    least: float
    flushed: float
    zero_addend: float


@cache
def cast_range(fields: Fields, options: CastOptions) -> CastRange:
    """The ends of a format under the caller's choices; every one of them is a number of a type that holds the format.

    >>> cast_range(FixedFields(4, 0, 1), CastOptions())
    CastRange(low=-8.0, high=7.0, least=0.0, flushed=0.0, zero_addend=0.0)
    """
    if isinstance(fields, FixedFields):
        low, high = symmetric_range(fields, options)
        return CastRange(low, high, least=0.0, flushed=0.0, zero_addend=0.0)
    keeps_minus_zero = minifloat.has_minus_zero(fields)
    least = flushed = 0.0
    if fields.subnormals != SUBNORMALS_GRADUAL:
        least = math.ldexp(minifloat.smallest_integer(fields), extent(fields).unit)
        flushed = 0.0 if minifloat.has_zero(fields) else least
    high = value_of(minifloat.largest_magnitude_code(fields), fields)
    return CastRange(
        low=-high if fields.signed else 0.0,
        high=high,
        least=least,
        flushed=flushed,
        zero_addend=-0.0 if keeps_minus_zero else 0.0,
    )


def _clips(fields: Fields) -> tuple[float, float]:
    """A point of the grid beyond each end."""
    where = extent(fields)
    if isinstance(fields, FixedFields):
        least, greatest = fixed.integer_range(fields)
        return math.ldexp(least - 1, where.unit), math.ldexp(greatest + 1, where.unit)
    clip = math.ldexp(1.0, where.binade + 1)
    return -clip, clip


def code_of_nan(fields: Fields, options: CastOptions) -> int | None:
    """The code that NaN becomes, None if it has none."""
    return options.nan_code if isinstance(fields, FixedFields) else minifloat.code_for_nan(fields, options.nan_code)


def encode_scalar(value: Fraction | float, fields: Fields, options: CastOptions, random_bits: int = 0) -> int:
    """The definition of an encoding, by the kind of format."""
    if isinstance(fields, FixedFields):
        return fixed.encode_scalar(
            value,
            fields,
            rounding=options.rounding,
            overflow=options.overflow,
            saturation_bits=options.saturation_bits,
            random_bits=random_bits,
            random_width=options.random_width,
            nan_code=options.nan_code,
        )
    return minifloat.encode_scalar(
        value,
        fields,
        rounding=options.rounding,
        overflow=options.overflow,
        underflow=options.underflow,
        random_bits=random_bits,
        random_width=options.random_width,
        nan_code=options.nan_code,
    )


def saturates_only(options: CastOptions) -> bool:
    """Whether clamping to the range and then rounding is the cast, the common case.

    The ends of the range are points of the grid, so clamping before or after rounding is the same.
    """
    return (
        options.overflow in {OVERFLOW_SATURATE, OVERFLOW_SATURATE_SYMMETRIC}
        and options.underflow == FLUSH_AFTER_ROUNDING
        and options.rounding != STOCHASTIC
    )


def symmetric_range(fields: FixedFields, options: CastOptions) -> tuple[float, float]:
    """Least and greatest number of fixed point under its overflow mode: without the least code if that is symmetric."""
    low, high = (math.ldexp(integer, extent(fields).unit) for integer in fixed.integer_range(fields))
    symmetric = options.overflow == OVERFLOW_SATURATE_SYMMETRIC and fields.width > 1
    return max(low, -high) if symmetric else low, high


def fixed_by_integers(fields: Fields, options: CastOptions, float_type: FloatType) -> bool:
    """Whether scaling by a power of two, rounding to an integer and scaling back is the cast, in the values' own type.

    A product by a power of two can only lose what lies below the type's smallest number, where every mode but FLOOR and
    CEILING gives 0 anyway. Wrapping needs the whole word, of either sign, below the binary point.
    """
    if not isinstance(fields, FixedFields) or not holds(float_type, fields) or options.saturation_bits:
        return False
    wraps = options.overflow == OVERFLOW_WRAP and fields.width <= float_type.mantissa_bits + 1
    if not wraps and not saturates_only(options):
        return False
    everywhere = options.rounding in {HALF_EVEN, HALF_UP, TOWARD_ZERO}
    scalable = abs(fields.fraction_bits) + fields.width < float_type.greatest_exponent
    return scalable and (everywhere or (options.rounding in {FLOOR, CEILING} and fields.fraction_bits >= 0))
