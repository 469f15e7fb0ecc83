"""The numbers by which fast twins take codes apart and put them together, worked out once from a format."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from kernels.definitions import fixed, minifloat
from kernels.extents import FLOAT32, FLOAT64, FloatType, extent, holds
from kernels.fields import SUBNORMALS_GRADUAL, SUBNORMALS_KEEP_EXPONENT, FloatFields

if TYPE_CHECKING:
    from kernels.fields import FixedFields


class FloatCodeConstants(NamedTuple):
    """Numbers for minifloat codes; integers are unsigned and of the working type's width, floats exact in it."""

    first_normal_code: int
    """The magnitude code of the same border."""
    mantissa_shift: int
    """Mantissa bits of the working type beyond the format's."""
    code_offset: int
    """From magnitude codes to patterns of the working type, shifted down by ``mantissa_shift``."""
    sign_shift: int
    """From the working type's sign bit down to the code's (to the bit above the code if that has no sign)."""
    magnitude_mask: int
    """The code without its sign bit."""
    largest_code: int
    """The magnitude code of the largest finite number."""
    infinity_code: int
    """The magnitude code of infinity; above all codes if there is none."""
    infinity_bits: int
    """The working type's pattern of infinity; NaNs lie above it."""
    nan_code: int
    """The code that NaN becomes; 0 if it is refused."""
    minus_zero_nan: int
    """The code of minus zero where it means NaN; above all codes elsewhere."""
    scale: float
    """From a subnormal value to its magnitude code; 0 if there are none."""
    unit: float
    """From the magnitude code of a subnormal number to its value; 0 if there are none."""
    first_normal: float
    """Magnitudes from this one on have a hidden one and an exponent field."""
    infinity: float
    """Infinity."""
    nan: float
    """NaN."""
    zero_addend: float
    """Added to values: +0.0 makes minus zero plus zero, -0.0 keeps it."""


class FixedCodeConstants(NamedTuple):
    """Numbers for fixed-point codes."""

    mask: int
    """All bits of a code."""
    sign_code: int
    """The sign bit of a code; 0 if it has none."""
    nan_code: int
    """The code that NaN becomes; 0 if it is refused."""
    scale: float
    """From values to integers."""
    unit: float
    """From integers to values."""


@cache
def code_type(fields: FixedFields | FloatFields, value_type: FloatType) -> FloatType | None:
    """The narrowest float type in which codes are taken apart, not narrower than the values'; None if there is none."""
    if not holds(value_type, fields):
        return None
    for float_type in (FLOAT32, FLOAT64):
        if float_type.mantissa_bits < value_type.mantissa_bits:
            continue
        where = extent(fields)
        scalable = abs(where.unit) < float_type.greatest_exponent
        if isinstance(fields, FloatFields):
            # From the working type's own subnormals on nothing has to be scaled.
            same_subnormals = where.first_binade == float_type.least_exponent
            scalable = same_subnormals or (scalable and where.first_binade > float_type.least_exponent)
        if scalable and holds(float_type, fields):
            return float_type
    return None


@cache
def float_code_constants(fields: FloatFields, float_type: FloatType, nan_code: int | None) -> FloatCodeConstants:
    """The numbers for a minifloat's codes in the working type that `code_type` chose."""
    where = extent(fields)
    codes = 1 << (fields.exponent_bits + fields.mantissa_bits)
    precision, lift = float_type.mantissa_bits, float_type.greatest_exponent
    bits = 32 if float_type is FLOAT32 else 64
    none = (1 << (bits - 1)) - 1  # only 31 bits of magnitude could have this code, and there it is a NaN
    infinity_code = minifloat.infinity_code(fields)
    code_of_nan = minifloat.code_for_nan(fields, nan_code)
    has_subnormals = fields.subnormals == SUBNORMALS_GRADUAL and where.first_binade > float_type.least_exponent
    first_code = 1 << fields.mantissa_bits
    if fields.subnormals == SUBNORMALS_KEEP_EXPONENT:
        first_code = fields.zero
    elif fields.subnormals == SUBNORMALS_GRADUAL and not has_subnormals:
        first_code = 0  # the working type's subnormals have the same spacing and the same pattern
    normal_exists = first_code < codes
    border = minifloat.magnitude_integer(first_code, fields) if normal_exists else 0
    return FloatCodeConstants(
        scale=math.ldexp(1.0, -where.unit) if has_subnormals else 0.0,
        unit=math.ldexp(1.0, where.unit) if has_subnormals else 0.0,
        first_normal=math.ldexp(border, where.unit) if normal_exists else math.inf,
        first_normal_code=first_code,
        mantissa_shift=precision - fields.mantissa_bits,
        code_offset=(lift - fields.bias) << fields.mantissa_bits,
        sign_shift=bits - 1 - fields.exponent_bits - fields.mantissa_bits,
        magnitude_mask=codes - 1,
        largest_code=minifloat.largest_magnitude_code(fields),
        infinity_code=none if infinity_code is None else infinity_code,
        infinity_bits=(2 * lift + 1) << precision,
        infinity=math.inf,
        nan=math.nan,
        nan_code=0 if code_of_nan is None else code_of_nan,
        zero_addend=-0.0 if minifloat.has_minus_zero(fields) else 0.0,
        minus_zero_nan=codes if minifloat.nan_code(fields) == codes else none,
    )


@cache
def fixed_code_constants(fields: FixedFields, nan_code: int | None) -> FixedCodeConstants:
    """The numbers for fixed-point codes."""
    return FixedCodeConstants(
        scale=math.ldexp(1.0, fields.fraction_bits),
        unit=math.ldexp(1.0, -fields.fraction_bits),
        mask=(1 << fields.width) - 1,
        sign_code=-fixed.integer_range(fields)[0],
        nan_code=nan_code or 0,
    )
