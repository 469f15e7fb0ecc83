"""Formats in which neighbouring elements share a scale: BFP, OCP MX, NVFP4, DFP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from emulation.formats.scalar import E8M0, FixedPoint, MiniFloat, Sign, Specials, Subnormals, Zero

MAXIMUM_MAGNITUDE_BITS: Final = 23


@dataclass(frozen=True, slots=True, kw_only=True)
class SignMagnitude:
    """The element of block floating point: a sign and a magnitude, the leading bit worth 1.

    ``value = v * 2**(1 - magnitude_bits)`` for v from ``-(2**magnitude_bits - 1)`` to ``2**magnitude_bits - 1``.

    Raises:
        ValueError: if magnitude_bits is not 1 to 23.

    >>> SignMagnitude(magnitude_bits=7).largest_integer
    127
    """

    magnitude_bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.magnitude_bits <= MAXIMUM_MAGNITUDE_BITS:
            raise ValueError(
                f"SignMagnitude magnitude_bits must be 1 to {MAXIMUM_MAGNITUDE_BITS} bits, got {self.magnitude_bits}"
            )

    @property
    def width(self) -> int:
        """Bits of a code, the sign included."""
        return self.magnitude_bits + 1

    @property
    def unit_exponent(self) -> int:
        """Exponent u of the static unit: ``value = v * 2**u``."""
        return 1 - self.magnitude_bits

    @property
    def largest_integer(self) -> int:
        """Greatest v a code can mean."""
        return (1 << self.magnitude_bits) - 1

    @property
    def smallest_integer(self) -> int:
        """Least v a code can mean."""
        return -self.largest_integer

    def __str__(self) -> str:
        return f"sm{self.width}"


Element = SignMagnitude | FixedPoint | MiniFloat


def exponent_only(bits: int = 8) -> MiniFloat:
    """A scale that is a power of two; with 8 bits OCP's E8M0, ``2**(code - 127)``, whose last code is NaN.

    With another number of bits ``2**(code - 2**(bits - 1))``: the exponents of a two's complement number.

    >>> str(exponent_only()), str(exponent_only(5)), exponent_only(5).bias
    ('e8m0', 'ue5m0b16keepnz', 16)
    """
    if bits == E8M0.exponent_bits:
        return E8M0
    return MiniFloat(
        exponent_bits=bits,
        mantissa_bits=0,
        bias=1 << (bits - 1) if bits else 0,
        sign=Sign.UNSIGNED,
        subnormals=Subnormals.KEEP_EXPONENT,
        zero=Zero.ABSENT,
    )


E4M3FN: Final = MiniFloat(exponent_bits=4, mantissa_bits=3, specials=Specials.FINITE_NAN)
NVFP4_ELEMENT: Final = MiniFloat(exponent_bits=2, mantissa_bits=1)
MXINT8_ELEMENT: Final = FixedPoint(width=8, fraction_bits=6)
CUSTOMARY_MX_BLOCK: Final = 32
NVFP4_BLOCK: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockScaled:
    """Elements in blocks of ``block_size``, each block with a scale: ``value = element value * scale value``.

    ``scale`` is a power of two (`exponent_only`; BFP and MX) or a small minifloat (NVFP4). ``block_size`` 0 stands for
    one block that is the whole tensor (DFP).

    Raises:
        ValueError: if block_size is negative.

    >>> str(BlockScaled(element=MiniFloat(exponent_bits=2, mantissa_bits=1), scale=exponent_only(), block_size=32))
    'mxfp4'
    """

    element: Element
    scale: MiniFloat
    block_size: int

    def __post_init__(self) -> None:
        if self.block_size < 0:
            raise ValueError(
                f"BlockScaled block_size must be at least 1, or 0 for the whole tensor, got {self.block_size}"
            )

    @property
    def has_power_of_two_scale(self) -> bool:
        """Whether scaling an element only moves its exponent."""
        return self.scale.mantissa_bits == 0

    @property
    def width(self) -> int:
        """Bits of an element; the scale's come on top (`bits_per_value`)."""
        return self.element.width

    @property
    def bits_per_value(self) -> float:
        """Bits an element takes with its share of the scale."""
        return self.element.width + (self.scale.width / self.block_size if self.block_size else 0.0)

    @property
    def unit_exponent(self) -> int:
        """Exponent u of an element's static unit, its scale being 1."""
        return self.element.unit_exponent

    @property
    def smallest_integer(self) -> int:
        """Least v an element can mean."""
        return self.element.smallest_integer

    @property
    def largest_integer(self) -> int:
        """Greatest v an element can mean."""
        return self.element.largest_integer

    def __str__(self) -> str:
        return _block_name(self)


def _block_name(number_format: BlockScaled) -> str:
    element, scale, size = number_format.element, number_format.scale, number_format.block_size
    if isinstance(element, SignMagnitude):
        if number_format == BlockScaled(element=element, scale=E8M0, block_size=0):
            return f"dfp{element.width}"
        if size and scale == exponent_only(scale.exponent_bits):
            exponent = "" if scale == E8M0 else f"e{scale.exponent_bits}"
            return f"bfp{element.width}{exponent}/{size}"
    elif size and element == NVFP4_ELEMENT and scale == E4M3FN:
        return "nvfp4" + ("" if size == NVFP4_BLOCK else f"/{size}")
    elif size and scale == E8M0:
        name = {MXINT8_ELEMENT: "mxint8", NVFP4_ELEMENT: "mxfp4"}.get(element, f"mx-{element}")
        return name + ("" if size == CUSTOMARY_MX_BLOCK else f"/{size}")
    return f"block<{element},{scale},{size}>"
