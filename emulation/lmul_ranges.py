"""Which products L-Mul can make of two formats: their unit, and the range of the variant clamped to the format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulation.datapaths import Product
from emulation.formats import MiniFloat, Zero

if TYPE_CHECKING:
    from emulation.formats import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRange:
    """The numbers that clamped products are kept to: below the least a product is 0, above the greatest that one.

    Attributes:
        mantissa_bits: m, of the products.
        exponent_low: of the least number, ``2**exponent_low``.
        exponent_high: of the greatest number, ``(2**m + mantissa_high) * 2**(exponent_high - m)``.
        mantissa_high: the greatest number's mantissa.
    """

    mantissa_bits: int
    exponent_low: int
    exponent_high: int
    mantissa_high: int

    @property
    def unit_exponent(self) -> int:
        """Exponent of the unit that all products are multiples of."""
        return self.exponent_low - self.mantissa_bits

    @property
    def largest_integer(self) -> int:
        """The greatest product in that unit."""
        return ((1 << self.mantissa_bits) + self.mantissa_high) << (self.exponent_high - self.exponent_low)

    def counted_from(self, exponent: int) -> ProductRange:
        """The same range where exponents count from another one than 0."""
        return ProductRange(
            mantissa_bits=self.mantissa_bits,
            exponent_low=self.exponent_low - exponent,
            exponent_high=self.exponent_high - exponent,
            mantissa_high=self.mantissa_high,
        )


def least_exponent(number_format: MiniFloat) -> int:
    """The exponent of the smallest normal number: L-Mul takes everything below it as 0."""
    return 1 - number_format.resolved_bias


def can_clamp(number_format: MiniFloat) -> bool:
    """Whether clamped products can lie in a format: it has normal numbers, and a zero for what is below them."""
    greatest_field = number_format.largest_magnitude_code >> number_format.mantissa_bits
    return greatest_field > 0 and number_format.zero is Zero.PRESENT


def clamped_range(left: MiniFloat, right: MiniFloat) -> ProductRange:
    """The range of products of two formats: of both together, which is the format's own where they are one format.

    From the smaller of both smallest normal numbers to the larger of both largest numbers, with the wider mantissa.

    Raises:
        ValueError: if a format has no normal number, or no zero.

    >>> from emulation.catalogue import parse
    >>> clamped_range(parse("e4m3fn"), parse("e4m3fn"))
    ProductRange(mantissa_bits=3, exponent_low=-6, exponent_high=8, mantissa_high=6)
    >>> clamped_range(parse("e4m3fn"), parse("e2m1"))
    ProductRange(mantissa_bits=3, exponent_low=-6, exponent_high=8, mantissa_high=6)
    """
    wide = max(left.mantissa_bits, right.mantissa_bits)
    tops = []
    for one in (left, right):
        field, mantissa = divmod(one.largest_magnitude_code, 1 << one.mantissa_bits)
        if not can_clamp(one):
            lacks = f"no normal number (its greatest exponent field is {field})" if field == 0 else "no zero"
            raise ValueError(
                f"product {Product.LMUL_FIELD_CLAMPED.value} keeps products to 0 and the normal numbers of a format, "
                f"and {one} has {lacks}: use minifloats such as e4m3fn, or product {Product.LMUL_FIELD.value}"
            )
        tops.append((field - one.resolved_bias, mantissa << (wide - one.mantissa_bits)))
    exponent_high, mantissa_high = max(tops)
    return ProductRange(
        mantissa_bits=wide,
        exponent_low=min(least_exponent(left), least_exponent(right)),
        exponent_high=exponent_high,
        mantissa_high=mantissa_high,
    )


def operand_limits(left: MiniFloat, right: MiniFloat) -> ProductRange:
    """`clamped_range` for products of integers v, whose exponents count from both smallest normal numbers.

    >>> from emulation.catalogue import parse
    >>> operand_limits(parse("e4m3fn"), parse("e4m3fn")).exponent_low
    6
    """
    return clamped_range(left, right).counted_from(least_exponent(left) + least_exponent(right))


def product_unit_exponent(left: Format, right: Format, product: Product) -> int:
    """Exponent of the unit that products of two scalar formats count in, scales left out.

    Exact products count in the product of the operands' units, L-Mul's in that times ``2**min(M_left, M_right)``,
    clamped ones in the last mantissa bit of their least number.

    >>> from emulation.catalogue import parse
    >>> e4m3fn = parse("e4m3fn")
    >>> [product_unit_exponent(e4m3fn, e4m3fn, product) for product in Product]
    [-18, -15, -15, -9]
    """
    exact = left.unit_exponent + right.unit_exponent
    if product is Product.EXACT or not (isinstance(left, MiniFloat) and isinstance(right, MiniFloat)):
        return exact
    if product is Product.LMUL_FIELD_CLAMPED:
        return clamped_range(left, right).unit_exponent
    return exact + min(left.mantissa_bits, right.mantissa_bits)
