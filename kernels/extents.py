"""Which numbers a format has and which float types hold all of them."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from kernels.definitions import fixed, minifloat
from kernels.fields import FixedFields, FloatFields

Fields = FixedFields | FloatFields


class FloatType(NamedTuple):
    """An IEEE type of the processor: ``mantissa_bits`` without the hidden one, exponents of its normal numbers."""

    name: str
    mantissa_bits: int
    least_exponent: int
    greatest_exponent: int


FLOAT32: Final = FloatType("float32", 23, -126, 127)
FLOAT64: Final = FloatType("float64", 52, -1022, 1023)


def value_of(code: int, fields: Fields) -> float:
    """The value of a code as a Python float, which holds every number of at most 53 significant bits."""
    if isinstance(fields, FixedFields):
        return float(fixed.decode_scalar(code, fields))
    return float(minifloat.decode_scalar(code, fields))


def width_of(fields: Fields) -> int:
    """Bits of a code."""
    return fields.width if isinstance(fields, FixedFields) else minifloat.code_width(fields)


class Extent(NamedTuple):
    """Where a format's numbers lie, as exponents of two."""

    significant_bits: int
    """Most significant bits of a number."""
    unit: int
    """Exponent of the smallest spacing: every number is a multiple of ``2**unit``."""
    binade: int
    """Exponent of the leading one of the largest magnitude."""
    first_binade: int
    """Exponent of the first binade with its own spacing; for fixed point the unit."""


@cache
def extent(fields: Fields) -> Extent:
    """Where a format's numbers lie.

    >>> extent(FixedFields(width=8, fraction_bits=4, signed=1))
    Extent(significant_bits=7, unit=-4, binade=3, first_binade=-4)
    """
    if isinstance(fields, FixedFields):
        low, high = fixed.integer_range(fields)
        unit = -fields.fraction_bits
        # The least code of a signed format is a power of two: it has a higher leading one but no more significant bits.
        largest = max(-low, high)
        return Extent(max(high.bit_length(), 1), unit, largest.bit_length() - 1 + unit, unit)
    unit = minifloat.unit_exponent(fields)
    largest = minifloat.magnitude_integer(minifloat.largest_magnitude_code(fields), fields)
    significant = min(fields.mantissa_bits + 1, largest.bit_length())
    return Extent(significant, unit, largest.bit_length() - 1 + unit, unit + fields.mantissa_bits)


def holds(float_type: FloatType, fields: Fields) -> bool:
    """Whether a float type has every finite number of the format."""
    where = extent(fields)
    return (
        where.significant_bits <= float_type.mantissa_bits + 1
        and where.unit >= float_type.least_exponent - float_type.mantissa_bits
        and where.binade <= float_type.greatest_exponent
    )


@cache
def check_holds(float_type: FloatType, fields: Fields) -> None:
    """Refuse a float type that lacks numbers of the format.

    Raises:
        ValueError: naming the type that would do, if there is one.
    """
    if holds(float_type, fields):
        return
    advice = (
        "use float64"
        if float_type is FLOAT32 and holds(FLOAT64, fields)
        else "no float type does: use encode and decode_scalar, which keep codes"
    )
    raise ValueError(
        f"{float_type.name} does not hold every number of {fields} ({extent(fields).significant_bits} significant "
        f"bits from 2**{extent(fields).unit} to 2**{extent(fields).binade}): {advice}"
    )
