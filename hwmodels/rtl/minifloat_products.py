"""Products of minifloats: exact, as sign, place and significand; or rounded to the operands' own format."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.constants import above
from hwmodels.rtl.counted_luts import chosen_luts, field_luts, multiplier_luts
from hwmodels.rtl.minifloats import (
    MAXIMUM_EXPONENT_BITS,
    MAXIMUM_MANTISSA_BITS,
    Pair,
    check_reserved,
    pair,
)
from hwmodels.rtl.multipliers import multiplier
from hwmodels.rtl.unit import inputs, outputs, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

EXACT_PRODUCT: Final = "minifloat exact product"
ROUNDED_PRODUCT: Final = "minifloat rounded product"


def exact_product(*, e_a: int, m_a: int, e_b: int, m_b: int) -> Unit:
    """The exact product of two codes, subnormals included; combinational.

    The outputs are a sign, a place (the sum of the exponent fields, field 0 counted as 1) and a significand: the
    product is ``significand * 2**(place - least place)`` in the product of the smallest numbers of both formats. An
    operand without exponent bits is a two's complement integer (see `hwmodels.rtl.minifloats`).

    Args:
        e_a: exponent bits of the first operand, 0 to 8.
        m_a: its mantissa bits, 0 to 23.
        e_b: exponent bits of the second operand.
        m_b: its mantissa bits.

    Raises:
        ValueError: if a width is out of range.

    >>> [(port.name, port.width) for port in exact_product(e_a=4, m_a=3, e_b=4, m_b=3).ports]
    [('a', 8), ('b', 8), ('negative', 1), ('place', 5), ('significand', 8)]
    """
    operands = pair(e_a, m_a, e_b, m_b)
    significand = operands.significand
    ports = [
        *(inputs(signed=one.is_integer, **{one.name: one.width})[0] for one in (operands.a, operands.b)),
        *(outputs(negative=1) if operands.has_sign else ()),
        *(outputs(place=operands.largest_place.bit_length()) if operands.largest_place else ()),
        *outputs(signed=significand.signed, significand=significand.width),
    ]
    part = multiplier(**significand_widths(operands))
    return render(
        "minifloat_product.v",
        family=EXACT_PRODUCT,
        parameters={"e_a": e_a, "m_a": m_a, "e_b": e_b, "m_b": m_b},
        ports=tuple(ports),
        parts=(part,),
        part=part,
        pair=operands,
        operands=(operands.a, operands.b),
    )


def significand_widths(operands: Pair) -> dict[str, int]:
    """The parameters of the multiplier of the significands."""
    one, other = operands.a.significand, operands.b.significand
    return {"a": one.width, "b": other.width, "a_signed": int(one.signed), "b_signed": int(other.signed)}


@lru_cache(maxsize=1 << 14)
def exact_product_structure(*, e_a: int, m_a: int, e_b: int, m_b: int) -> dict[str, float]:
    """LUTs of the multiplier and of the exponent adder, with the tests for exponent field 0.

    >>> exact_product_structure(e_a=4, m_a=3, e_b=4, m_b=3)
    {'arithmetic_luts': 22.2, 'one': 1}
    """
    operands = pair(e_a, m_a, e_b, m_b)
    exponents = max(e_a, e_b) if operands.a.moves and operands.b.moves else 0
    product = multiplier_luts(**significand_widths(operands))
    return {"arithmetic_luts": product + exponents + field_luts(e_a, e_b), "one": 1}


def rounded_product(*, e: int, m: int, reserved: int = 0) -> Unit:
    """The product of two codes of a format, rounded to that format; combinational.

    Exponent field 0 counts as zero, of operands and of the result. The product is rounded once, half to even, as if
    there were no end below; what lies below the smallest normal number before rounding is 0
    (`kernels.fields.FLUSH_BEFORE_ROUNDING`), what lies above the largest number is that number. Zero has no sign. The
    bias is ``2**(e - 1) - 1``.

    Args:
        e: exponent bits, 1 to 8.
        m: mantissa bits, 1 to 23.
        reserved: magnitude codes at the top that are no finite numbers: 0, 1 (finite-nan) or ``2**m`` (ieee).

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in rounded_product(e=4, m=3, reserved=1).ports]
    [('a', 8), ('b', 8), ('p', 8)]
    """
    if not (1 <= e <= MAXIMUM_EXPONENT_BITS and 1 <= m <= MAXIMUM_MANTISSA_BITS):
        raise ValueError(
            f"a rounded product has formats of 1 to {MAXIMUM_EXPONENT_BITS} exponent and 1 to {MAXIMUM_MANTISSA_BITS} "
            f"mantissa bits, got {e} and {m}"
        )
    check_reserved(e, m, reserved)
    part = multiplier(a=m + 1, b=m + 1, a_signed=0, b_signed=0)
    largest = (1 << e + m) - 1 - reserved
    return render(
        "minifloat_rounded_product.v",
        family=ROUNDED_PRODUCT,
        parameters={"e": e, "m": m, "reserved": reserved},
        ports=(*inputs(a=1 + e + m, b=1 + e + m), *outputs(p=1 + e + m)),
        parts=(part,),
        part=part,
        bias=max((1 << e >> 1) - 1, 0),
        largest=largest,
        above=above("code", e + m + 1, largest),
    )


@lru_cache(maxsize=1 << 14)
def rounded_product_structure(*, e: int, m: int, reserved: int = 0) -> dict[str, float]:
    """LUTs of the multiplier, of the adders of exponents and of rounding, of tests for field 0; bits that are chosen.

    >>> rounded_product_structure(e=4, m=3)
    {'arithmetic_luts': 33.2, 'chosen_luts': 3.5, 'one': 1}
    """
    product = multiplier_luts(a=m + 1, b=m + 1, a_signed=0, b_signed=0)
    adders = (e + 2) + (e + m + 2)
    return {
        "arithmetic_luts": product + adders + field_luts(e, e),
        "chosen_luts": chosen_luts(e + m, reserved),
        "one": 1,
    }
