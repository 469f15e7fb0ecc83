"""Formats and rules as the plain integers that `kernels` take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulation.formats import BlockScaled, FixedPoint, MiniFloat, Sign, SignMagnitude, Specials, Subnormals, Zero
from emulation.formats.blocks import E4M3FN, exponent_only
from emulation.formats.scalar import E8M0
from emulation.rules import BlockRules
from kernels import fields as codes
from kernels.fields import BlockFields, FixedFields, FloatFields

if TYPE_CHECKING:
    from emulation.formats import ScalarFormat

_SPECIALS: Final = {
    Specials.IEEE: codes.SPECIALS_IEEE,
    Specials.FINITE_NAN: codes.SPECIALS_FINITE_NAN,
    Specials.NONE: codes.SPECIALS_NONE,
    Specials.FNUZ: codes.SPECIALS_FNUZ,
    Specials.P3109: codes.SPECIALS_P3109,
}
_SUBNORMALS: Final = {
    Subnormals.GRADUAL: codes.SUBNORMALS_GRADUAL,
    Subnormals.KEEP_EXPONENT: codes.SUBNORMALS_KEEP_EXPONENT,
    Subnormals.FLUSH: codes.SUBNORMALS_FLUSH,
}


def scalar_fields(number_format: ScalarFormat) -> FixedFields | FloatFields:
    """The fields of a format whose codes stand for themselves.

    >>> scalar_fields(FixedPoint(width=8, fraction_bits=4))
    FixedFields(width=8, fraction_bits=4, signed=1)
    """
    if isinstance(number_format, FixedPoint):
        return fixed_fields(number_format)
    return float_fields(number_format)


def fixed_fields(number_format: FixedPoint) -> FixedFields:
    """The fields of fixed point."""
    return FixedFields(
        width=number_format.width,
        fraction_bits=number_format.fraction_bits,
        signed=int(number_format.sign is Sign.SIGNED),
    )


def float_fields(number_format: MiniFloat) -> FloatFields:
    """The fields of a minifloat.

    >>> from emulation.catalogue import parse
    >>> float_fields(parse("e4m3fn"))
    FloatFields(exponent_bits=4, mantissa_bits=3, bias=7, signed=1, specials=1, subnormals=0, zero=1)
    """
    return FloatFields(
        exponent_bits=number_format.exponent_bits,
        mantissa_bits=number_format.mantissa_bits,
        bias=number_format.resolved_bias,
        signed=int(number_format.sign is Sign.SIGNED),
        specials=_SPECIALS[number_format.specials],
        subnormals=_SUBNORMALS[number_format.subnormals],
        zero=int(number_format.zero is Zero.PRESENT),
    )


_DEFAULT_RULES: Final = BlockRules()


def block_fields(number_format: BlockScaled, rules: BlockRules = _DEFAULT_RULES) -> BlockFields:
    """The fields of a block format under rules for its scales.

    A scale of n exponent bits other than E8M0 is an exponent in two's complement for the kernels, whose codes differ
    from ours in the top bit (`scale_code_mask`).

    Raises:
        ValueError: if casts are not defined for its kind of scale or element.

    >>> from emulation.catalogue import parse
    >>> block_fields(parse("mxint8"))[:6]
    (32, 2, 7, None, 0, 0)
    """
    kind, magnitude_bits, element = _element_fields(number_format)
    scale = number_format.scale
    if scale == E4M3FN:
        scale_kind, scale_rule = codes.SCALE_E4M3, codes.SCALE_RULE_RATIO
    elif scale == exponent_only(scale.exponent_bits) and scale.exponent_bits:
        scale_kind = codes.SCALE_E8M0 if scale == E8M0 else codes.SCALE_EXPONENT
        scale_rule = rules.scale.value
    else:
        raise ValueError(
            f"casts to {number_format} are not defined: a block's scale must be e8m0, an exponent of 1 to 8 bits as in "
            f"bfp8e5/32, or e4m3fn, got {scale}"
        )
    return BlockFields(
        block_size=number_format.block_size or codes.WHOLE_TENSOR,
        element_kind=kind,
        magnitude_bits=magnitude_bits,
        element=element,
        scale_rule=scale_rule,
        carry=rules.carry.value,
        scale_kind=scale_kind,
        scale_bits=scale.width,
        scale_minimum=rules.least_scale.value,
        arithmetic=rules.arithmetic.value,
    )


def _element_fields(number_format: BlockScaled) -> tuple[int, int, FloatFields | None]:
    element = number_format.element
    if isinstance(element, SignMagnitude):
        return codes.ELEMENT_SIGN_MAGNITUDE, element.magnitude_bits, None
    if isinstance(element, MiniFloat):
        return codes.ELEMENT_FLOAT, 0, float_fields(element)
    if element.sign is Sign.UNSIGNED or element.fraction_bits != element.width - 2 or element.width < 2:
        raise ValueError(
            f"casts to {number_format} are not defined: an integer element must be signed with two bits before the "
            f"binary point, such as fixed<8,2> in mxint8, got {element}"
        )
    return codes.ELEMENT_TWOS_COMPLEMENT, element.width - 1, None


def scale_code_mask(number_format: BlockScaled) -> int:
    """What turns our scale codes into the kernels' and back by exclusive or: the top bit of a two's complement."""
    scale = number_format.scale
    return 0 if scale in (E8M0, E4M3FN) else 1 << (scale.width - 1)
