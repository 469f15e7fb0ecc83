"""Well-known formats by name, with their ranges and sources; `parse` reads these names and every other width.

The grammar of names is that of `emulation.format_names`; a format that the grammar spells already needs one line here
to be listed.
"""

from __future__ import annotations

import difflib
import itertools
import math
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Final

from emulation.format_names import ALIASES, GRAMMAR, read_format
from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    Codebook,
    FixedPoint,
    Format,
    KHot,
    MiniFloat,
    Sign,
    SignMagnitude,
    Specials,
    Zero,
)
from emulation.formats.scalar import Subnormals


class UnknownFormatError(ValueError):
    """A text that no format answers to."""


class Family(Enum):
    """What kind of format a name means."""

    INTEGER = "integer"
    FIXED_POINT = "fixed point"
    MINIFLOAT = "minifloat"
    BLOCK = "block"
    POWERS_OF_TWO = "powers of two"
    CODEBOOK = "codebook"
    BINARY_CODED = "binary-coded"


class Source(Enum):
    """Where formats are defined; the member's words are what tables have room for."""

    def __init__(self, words: str, reference: str) -> None:
        self.words = words
        """A few words."""
        self.reference = reference
        """The document, or where else the definition is."""

    TWOS_COMPLEMENT = "two's complement", "two's complement binary numbers"
    UNSIGNED = "binary", "unsigned binary numbers"
    AP_FIXED = "ap_fixed", "AMD UG1399, Vitis HLS: arbitrary precision fixed-point data types"
    OCP_FP8 = "OCP OFP8", "OCP 8-bit Floating Point Specification (OFP8) 1.0"
    OCP_MX = "OCP MX", "OCP Microscaling Formats (MX) Specification 1.0"
    ML_DTYPES = "ml_dtypes", "the Python package ml_dtypes, float8_e3m4 and others: IEEE 754 conventions, or fnuz"
    P3109 = "IEEE P3109", "IEEE P3109 interim report on 8-bit binary floating-point formats: width and precision"
    IEEE_754 = "IEEE 754", "IEEE 754-2019, binary16"
    BFLOAT16 = "bfloat16", "the upper half of IEEE 754 binary32"
    TF32 = "NVIDIA TF32", "NVIDIA A100 architecture whitepaper: the exponent of binary32, the mantissa of binary16"
    NVFP4 = "NVIDIA NVFP4", "NVIDIA Transformer Engine documentation: E2M1 in blocks of 16 with E4M3 scales"
    BFP = "MSFP", "Darvish Rouhani et al., Pushing the Limits of Narrow Precision Inferencing (NeurIPS 2020)"
    DFP = "DFP", "Courbariaux et al., Training Deep Neural Networks with Low Precision Multiplications (2014)"
    POWER_OF_TWO = (
        "LogNet",
        "Miyashita et al., Convolutional Neural Networks using Logarithmic Data Representation (2016)",
    )
    K_HOT = "K-hot", "sums of a few signed powers of two, as in canonic signed digits"
    APOT = "APoT", "Li et al., Additive Powers-of-Two Quantization (ICLR 2020)"
    NF4 = "QLoRA", "Dettmers et al., QLoRA (NeurIPS 2023), appendix E"
    FP4 = "bitsandbytes", "the Python package bitsandbytes, quant_type 'fp4'"
    CODEBOOK = "k-means", "Han et al., Deep Compression (ICLR 2016): entries learned by clustering"
    BINARY_CODES = "BCQ", "Xu et al. (ICLR 2018); Park et al., LUT-GEMM (ICLR 2024)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One catalogue line: a name, the format it means, and where that is written down."""

    name: str
    format: Format
    source: Source

    @property
    def family(self) -> Family:
        """What kind of format it is."""
        return family_of(self.format)

    @property
    def smallest_positive(self) -> float:
        """The least number above zero that has a code (of an element, in a block, whose scale is then 1)."""
        return smallest_positive(self.format)

    @property
    def smallest(self) -> float:
        """The least finite number that has a code."""
        return lowest(self.format)

    @property
    def largest(self) -> float:
        """The greatest finite number that has a code."""
        return highest(self.format)

    @property
    def epsilon(self) -> float:
        """Distance from 1 to the next number of a minifloat; elsewhere the least distance of two numbers."""
        return epsilon(self.format)

    @property
    def finite_codes(self) -> int:
        """Codes that mean finite numbers; minus zero counts."""
        return finite_codes(self.format)


def family_of(number_format: Format) -> Family:
    """The family of a format.

    >>> family_of(parse("mxfp4"))
    <Family.BLOCK: 'block'>
    """
    if isinstance(number_format, FixedPoint):
        return Family.FIXED_POINT if number_format.fraction_bits else Family.INTEGER
    families: dict[type[Format], Family] = {
        MiniFloat: Family.MINIFLOAT,
        BlockScaled: Family.BLOCK,
        KHot: Family.POWERS_OF_TWO,
        BinaryCoded: Family.BINARY_CODED,
    }
    return families.get(type(number_format), Family.CODEBOOK)


def lowest(number_format: Format) -> float:
    """The least finite number that has a code (of an element of a block); of a codebook, its level, not its integer."""
    if isinstance(number_format, Codebook):
        return min(number_format.levels)
    return _real(number_format.smallest_integer, number_format.unit_exponent)


def highest(number_format: Format) -> float:
    """The greatest finite number that has a code (of an element of a block).

    >>> lowest(parse("int8")), highest(parse("e4m3fn"))
    (-128.0, 448.0)
    """
    if isinstance(number_format, Codebook):
        return max(number_format.levels)
    return _real(number_format.largest_integer, number_format.unit_exponent)


def _real(integer: int, exponent: int) -> float:
    """``integer * 2**exponent``, infinite beyond float64 (a bias may be any integer)."""
    try:
        return float(Fraction(integer) * Fraction(2) ** exponent)
    except OverflowError:
        return math.copysign(math.inf, integer)


def smallest_positive(number_format: Format) -> float:
    """The least number above zero that has a code."""
    if isinstance(number_format, BlockScaled):
        element = number_format.element
        return _real(1, element.unit_exponent) if isinstance(element, SignMagnitude) else smallest_positive(element)
    if isinstance(number_format, Codebook):
        return min(level for level in number_format.levels if level > 0)
    if isinstance(number_format, KHot):
        return float(min(level for level in number_format.levels if level > 0))
    steps = 1
    if isinstance(number_format, MiniFloat) and number_format.subnormals is not Subnormals.GRADUAL:
        first_field = 1 << number_format.mantissa_bits
        flushed = number_format.subnormals is Subnormals.FLUSH
        present = number_format.zero is Zero.PRESENT
        steps = number_format.magnitude_integer(first_field if flushed else int(present))
    return _real(steps, number_format.unit_exponent)


def epsilon(number_format: Format) -> float:
    """Distance from 1 to the next number of a minifloat (also of one that shares a scale), else the least distance."""
    if isinstance(number_format, BlockScaled) and not isinstance(number_format.element, SignMagnitude):
        return epsilon(number_format.element)
    if isinstance(number_format, MiniFloat):
        return math.ldexp(1.0, -number_format.mantissa_bits)
    if isinstance(number_format, Codebook):
        levels = sorted(set(number_format.levels))
        return min(upper - lower for lower, upper in itertools.pairwise(levels))
    return _real(1, number_format.unit_exponent)


def finite_codes(number_format: Format) -> int:
    """Codes that mean finite numbers; minus zero counts, and of a block the codes of an element."""
    if isinstance(number_format, BlockScaled):
        element = number_format.element
        return 1 << element.width if isinstance(element, SignMagnitude) else finite_codes(element)
    if isinstance(number_format, KHot):
        return sum(integer is not None for integer in number_format.integers)
    if not isinstance(number_format, MiniFloat):
        return 1 << number_format.width
    magnitudes = number_format.largest_magnitude_code + 1
    if number_format.sign is Sign.UNSIGNED:
        return magnitudes
    has_minus_zero = number_format.specials not in (Specials.FNUZ, Specials.P3109)
    return magnitudes * 2 - (0 if has_minus_zero else 1)


_LINES: Final = (
    (Source.TWOS_COMPLEMENT, "int2 int3 int4 int5 int6 int7 int8 int10 int12 int16"),
    (Source.UNSIGNED, "uint2 uint3 uint4 uint5 uint6 uint7 uint8 uint10 uint12 uint16"),
    (Source.AP_FIXED, "fixed<8,4> fixed<16,6> ufixed<8,0>"),
    (Source.OCP_MX, "e2m1 e2m3 e3m2"),
    (Source.OCP_FP8, "e4m3fn e5m2"),
    (Source.ML_DTYPES, "e3m4 e4m3 e4m3fnuz e5m2fnuz e4m3b11fnuz"),
    (Source.P3109, "binary8p3 binary8p4 binary8p5"),
    (Source.BFLOAT16, "bf16"),
    (Source.IEEE_754, "fp16"),
    (Source.TF32, "tf32"),
    (Source.OCP_MX, "e8m0 mx-e4m3fn mx-e5m2 mx-e3m2 mx-e2m3 mxfp4 mxint8"),
    (Source.NVFP4, "nvfp4"),
    (Source.BFP, "bfp4/16 bfp5/16 bfp6/16 bfp8/16 bfp8/32"),
    (Source.DFP, "dfp8 dfp16"),
    (Source.POWER_OF_TWO, "pot3 pot4 pot5"),
    (Source.K_HOT, "2hot4 2hot8"),
    (Source.APOT, "apot2x1 apot2x2"),
    (Source.NF4, "nf4"),
    (Source.FP4, "fp4"),
    (Source.CODEBOOK, "codebook2 codebook3 codebook4"),
    (Source.BINARY_CODES, "bcq2 bcq3 bcq4"),
)


def _entry(name: str, source: Source) -> Entry:
    number_format = read_format(name)
    if number_format is None:
        raise ValueError(f"catalogue name {name!r} follows no rule of emulation.format_names")
    return Entry(name=name, format=number_format, source=source)


CATALOGUE: Final[tuple[Entry, ...]] = tuple(_entry(name, source) for source, names in _LINES for name in names.split())


def parse(text: str) -> Format:
    """Read a format from its name.

    Args:
        text: a catalogue name or any other width by the grammar of `emulation.format_names`; case and spaces do not
            matter.

    Returns:
        The format; ``parse(str(format)) == format`` for every format.

    Raises:
        TypeError: if it is no text.
        UnknownFormatError: if the text follows no rule of the grammar.
        ValueError: if it does, with a width that is out of range.

    >>> parse("e4m3fn").width, parse("fixed<16,6>").fraction_bits, str(parse("E3M1"))
    (8, 10, 'e3m1')
    """
    if not isinstance(text, str):
        raise TypeError(f"a format is read from its name, such as 'e4m3fn', got a {type(text).__name__}: {text!r}")
    name = "".join(text.lower().split())
    found = read_format(name)
    if found is not None:
        return found
    known = [*(entry.name for entry in CATALOGUE), *ALIASES]
    close = difflib.get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise UnknownFormatError(
        f"{text!r} is not a format. Allowed are {GRAMMAR}, and the names that `bitfront formats` lists.{hint}"
    )
