"""Lanes of L-Mul: a product of minifloats that is one addition of exponents and mantissas, aligned into a wide integer.

The three meanings of hardware mode are the three kinds of `hwmodels.rtl.lmul.lmul_lane`. Clamped products lie in one
range, that of both formats together; of two different formats there is no RTL, and the wider one is priced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emulation.datapaths import Product
from emulation.lmul import lmul_product
from emulation.lmul_ranges import clamped_range, operand_limits
from hwmodels.accumulators import range_bits
from hwmodels.rtl.lmul import LMUL_LANE, Kind
from hwmodels.units import Priced, priced

if TYPE_CHECKING:
    from emulation.formats import MiniFloat

_KINDS: Final = {
    Product.LMUL_FIELD: Kind.FIELD,
    Product.LMUL_FORMULA: Kind.FORMULA,
    Product.LMUL_FIELD_CLAMPED: Kind.CLAMPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LmulLane:
    """The unit, bits of its term, and what of it is not what was asked for."""

    unit: Priced
    bits: int
    notes: tuple[str, ...]


def lmul_lane(weight: MiniFloat, activation: MiniFloat, product: Product) -> LmulLane:
    """The lane of two formats; one of the L-Mul products."""
    kind, largest = _KINDS[product], largest_product(weight, activation, product)
    bits = range_bits(-largest - 1, largest)
    same = (weight.exponent_bits, weight.mantissa_bits) == (activation.exponent_bits, activation.mantissa_bits)
    if kind is not Kind.CLAMPED or same:
        reserved = 0
        if kind is Kind.CLAMPED:
            top = (1 << weight.exponent_bits + weight.mantissa_bits) - 1
            reserved = top - weight.largest_magnitude_code
        unit = priced(
            LMUL_LANE,
            kind=int(kind),
            e_a=activation.exponent_bits,
            m_a=activation.mantissa_bits,
            e_b=weight.exponent_bits,
            m_b=weight.mantissa_bits,
            reserved=reserved,
            exact=0,
        )
        return LmulLane(unit=unit, bits=bits, notes=())
    limits = clamped_range(weight, activation)
    span = (limits.exponent_high - limits.exponent_low + 1).bit_length()
    e = max(weight.exponent_bits, activation.exponent_bits, span)
    m = max(weight.mantissa_bits, activation.mantissa_bits)
    unit = priced(LMUL_LANE, kind=int(kind), e_a=e, m_a=m, e_b=e, m_b=m, reserved=0, exact=0)
    note = f"lane l-mul {weight} x {activation}: clamped products of two formats have no RTL, priced as e{e}m{m}"
    return LmulLane(unit=unit, bits=bits, notes=(note,))


def largest_product(weight: MiniFloat, activation: MiniFloat, product: Product) -> int:
    """The greatest product of two minifloats, an integer in L-Mul's own unit."""
    limits = operand_limits(weight, activation) if product is Product.LMUL_FIELD_CLAMPED else None
    mantissa_bits = weight.mantissa_bits, activation.mantissa_bits
    return lmul_product(weight.largest_integer, activation.largest_integer, mantissa_bits, product, limits)
