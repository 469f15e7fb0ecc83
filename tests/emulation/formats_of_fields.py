"""The formats of the list that kernels are tested over."""

from __future__ import annotations

from typing import Final

from emulation.formats import FixedPoint, MiniFloat, ScalarFormat, Sign, Specials, Subnormals, Zero
from kernels.fields import FixedFields, FloatFields
from tests.kernels.format_list import FIXED, FLOATS, WIDE_FIXED, WIDEST_FIXED

_SPECIALS: Final = (Specials.IEEE, Specials.FINITE_NAN, Specials.NONE, Specials.FNUZ, Specials.P3109)
_SUBNORMALS: Final = (Subnormals.GRADUAL, Subnormals.KEEP_EXPONENT, Subnormals.FLUSH)


def format_of(fields: FixedFields | FloatFields) -> ScalarFormat:
    """The format that has these fields; written apart from `emulation.format_fields`, which is tested by it."""
    sign = Sign.SIGNED if fields.signed else Sign.UNSIGNED
    if isinstance(fields, FixedFields):
        return FixedPoint(width=fields.width, fraction_bits=fields.fraction_bits, sign=sign)
    return MiniFloat(
        exponent_bits=fields.exponent_bits,
        mantissa_bits=fields.mantissa_bits,
        bias=fields.bias,
        sign=sign,
        specials=_SPECIALS[fields.specials],
        subnormals=_SUBNORMALS[fields.subnormals],
        zero=Zero.PRESENT if fields.zero else Zero.ABSENT,
    )


SCALARS: Final = {name: format_of(fields) for name, fields in {**FLOATS, **FIXED, **WIDE_FIXED}.items()}
"""Formats whose values a float type holds."""
WIDEST: Final = {name: format_of(fields) for name, fields in WIDEST_FIXED.items()}
"""Fixed point with codes only."""
