"""Codes and the integers they mean (DESIGN section 6, rule 4): what is stored, and what is computed with.

Tensors between layers hold integers v; memories and streams hold codes. Every code that means a number is listed here,
format by format; `integer_of` is the inverse of `code_of` up to a minus zero and to spare codes of one number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    Codebook,
    FixedPoint,
    KHot,
    LearnedCodebook,
    MiniFloat,
    SignMagnitude,
    Specials,
    Subnormals,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulation.formats import Format


def code_of(integer: int, number_format: Format, zero_point: int = 0) -> int:
    """The stored code (bits as a non-negative integer) that means the integer v; of a block format, an element's.

    Raises:
        ValueError: if no code of the format means it, or the format has no table of its own.

    >>> from emulation.catalogue import parse
    >>> code_of(-3, parse("int4")), code_of(12, parse("e2m1")), code_of(-1, parse("e2m1")), code_of(-5, parse("bfp4/8"))
    (13, 7, 9, 13)
    """
    if isinstance(number_format, BlockScaled):
        element = number_format.element
        return (
            _sign_magnitude_code(integer, element) if isinstance(element, SignMagnitude) else code_of(integer, element)
        )
    if isinstance(number_format, FixedPoint):
        code = integer + zero_point
        if not number_format.smallest_integer <= code <= number_format.largest_integer:
            raise ValueError(f"{integer} has no code in {number_format} with zero point {zero_point}")
        return code & ((1 << number_format.width) - 1)
    if isinstance(number_format, MiniFloat):
        return _minifloat_code(integer, number_format)
    return code_in_table(integer, _table(number_format), str(number_format))


def code_in_table(integer: int, table: Sequence[int | None], name: str) -> int:
    """The least code that means the integer v in a table by code.

    Raises:
        ValueError: if no code means it.

    >>> code_in_table(3, (-3, 0, 3, 3), "a table")
    2
    """
    for code, meaning in enumerate(table):
        if meaning == integer:
            return code
    raise ValueError(f"{integer} has no code in {name}")


def scale_code_of(scale: int, number_format: BlockScaled) -> int:
    """The stored code of a block's scale: of a binary exponent, or of the integer v of a minifloat scale.

    Raises:
        ValueError: if the scale format has no such code.

    >>> from emulation.catalogue import parse
    >>> scale_code_of(-3, parse("mxfp4")), scale_code_of(512, parse("nvfp4"))
    (124, 56)
    """
    scale_format = number_format.scale
    if number_format.has_power_of_two_scale:
        code = scale + scale_format.resolved_bias
        if not 0 <= code <= scale_format.largest_magnitude_code:
            raise ValueError(f"scale exponent {scale} has no code in {scale_format}")
        return code
    return code_of(scale, scale_format)


def scale_of_code(code: int, number_format: BlockScaled) -> int:
    """The inverse of `scale_code_of`.

    Raises:
        ValueError: if the code is none of the scale format's, or means no number.
    """
    scale_format = number_format.scale
    if number_format.has_power_of_two_scale:
        if not 0 <= code <= scale_format.largest_magnitude_code:
            raise ValueError(f"scale code {code:#x} of {number_format} is not a finite number")
        return code - scale_format.resolved_bias
    return integer_of(code, scale_format)


def integer_of(code: int, number_format: Format, zero_point: int = 0) -> int:
    """The integer v that a code means: the inverse of `code_of` (a minus zero, where there is one, means 0).

    Raises:
        ValueError: if the code is none of the format's, or means infinity or NaN.

    >>> from emulation.catalogue import parse
    >>> [integer_of(code, parse("int4")) for code in (13, 7, 8)], integer_of(0b1001, parse("e2m1"))
    ([-3, 7, -8], -1)
    """
    if not 0 <= code < 1 << number_format.width:
        raise ValueError(f"code {code} of {number_format} must lie in [0, {(1 << number_format.width) - 1}]")
    if isinstance(number_format, BlockScaled):
        element = number_format.element
        if isinstance(element, SignMagnitude):
            magnitude = code & element.largest_integer
            return -magnitude if code >> element.magnitude_bits else magnitude
        return integer_of(code, element)
    if isinstance(number_format, FixedPoint):
        signed = number_format.smallest_integer < 0 and code >> (number_format.width - 1)
        return code - (signed << number_format.width) - zero_point
    if isinstance(number_format, MiniFloat):
        return _minifloat_integer(code, number_format)
    integer = _table(number_format)[code]
    if integer is None:
        raise ValueError(f"code {code:#x} of {number_format} names no exponent of a term and means nothing")
    return integer


def _sign_magnitude_code(integer: int, element: SignMagnitude) -> int:
    if abs(integer) > element.largest_integer:
        raise ValueError(f"{integer} has no code in {element}")
    return abs(integer) | ((integer < 0) << element.magnitude_bits)


def _minifloat_code(integer: int, number_format: MiniFloat) -> int:
    magnitude, mantissa_bits = abs(integer), number_format.mantissa_bits
    binade = max(magnitude.bit_length() - 1 - mantissa_bits, 0)
    exponent = 0 if magnitude < (1 << mantissa_bits) else binade + 1
    if number_format.subnormals is Subnormals.KEEP_EXPONENT:
        exponent = binade
    code = (exponent << mantissa_bits) | ((magnitude >> binade) & ((1 << mantissa_bits) - 1))
    if magnitude == 0:
        code = 0
    negative = integer < 0
    is_finite = code <= number_format.largest_magnitude_code and number_format.magnitude_integer(code) == magnitude
    if not is_finite or (negative and number_format.smallest_integer == 0):
        raise ValueError(f"{integer} has no code in {number_format}")
    return code | (negative << (number_format.width - 1))


def _minifloat_integer(code: int, number_format: MiniFloat) -> int:
    magnitude_bits = number_format.exponent_bits + number_format.mantissa_bits
    negative = code >> magnitude_bits
    magnitude_code = code & ((1 << magnitude_bits) - 1)
    minus_zero_is_nan = number_format.specials in (Specials.FNUZ, Specials.P3109)
    is_nan = negative and magnitude_code == 0 and minus_zero_is_nan
    if is_nan or magnitude_code > number_format.largest_magnitude_code:
        raise ValueError(f"code {code:#x} of {number_format} is not a finite number")
    magnitude = number_format.magnitude_integer(magnitude_code)
    return -magnitude if negative else magnitude


@lru_cache(maxsize=256)
def _table(number_format: KHot | Codebook | LearnedCodebook | BinaryCoded) -> tuple[int | None, ...]:
    if isinstance(number_format, LearnedCodebook | BinaryCoded):
        raise ValueError(  # noqa: TRY004 - a format without a table, not a wrong type
            f"the codes of {number_format} mean what each tensor's own table says: use ScaledQuantiser.tables"
        )
    return number_format.integers
