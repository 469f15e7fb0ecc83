"""Which formats and arithmetics a study offers, and which of them multiply with each other unless it asks for more."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from emulation.datapaths import Arithmetic, ExactAccumulator, Product, parse_accumulator
from emulation.formats import (
    BinaryCoded,
    BlockScaled,
    FixedPoint,
    LearnedCodebook,
    MiniFloat,
    SignMagnitude,
)

if TYPE_CHECKING:
    from dse.config import ArithmeticSection
    from emulation.formats import Format


class Kind(Enum):
    """What a format is to a multiplier."""

    INTEGER = "integers"
    """Fixed point, and blocks of fixed point as large as the tensor (DFP), whose scale is static."""
    MINIFLOAT = "minifloats"
    TABLE = "tables"
    """Powers of two, codebooks and binary codes."""
    BLOCK = "blocks"


def kind_of(number_format: Format) -> Kind:
    """The kind of a format.

    >>> from emulation.catalogue import parse
    >>> [kind_of(parse(name)).value for name in ("int8", "dfp8", "e4m3fn", "pot4", "mxfp4")]
    ['integers', 'integers', 'minifloats', 'tables', 'blocks']
    """
    if isinstance(number_format, BlockScaled):
        if number_format.block_size:
            return Kind.BLOCK
        return Kind.MINIFLOAT if isinstance(number_format.element, MiniFloat) else Kind.INTEGER
    if isinstance(number_format, FixedPoint | SignMagnitude):
        return Kind.INTEGER
    return Kind.MINIFLOAT if isinstance(number_format, MiniFloat) else Kind.TABLE


def is_for_weights_only(number_format: Format) -> bool:
    """Whether a format's table is learned from the values themselves, which activations do not allow."""
    return isinstance(number_format, LearnedCodebook | BinaryCoded)


def multiplies_by_default(weight: Format, activation: Format) -> bool:
    """Whether a study offers this pair without ``mixed_families``.

    Integers with integers, minifloats with minifloats, blocks with blocks of one size; tables and blocks of weights
    with integer activations. Hardware mode defines more (`emulation.compatibility`).
    """
    kinds = kind_of(weight), kind_of(activation)
    if kinds == (Kind.BLOCK, Kind.BLOCK):
        return _block_size(weight) == _block_size(activation)
    return kinds in {
        (Kind.INTEGER, Kind.INTEGER),
        (Kind.MINIFLOAT, Kind.MINIFLOAT),
        (Kind.TABLE, Kind.INTEGER),
        (Kind.BLOCK, Kind.INTEGER),
    }


def _block_size(number_format: Format) -> int:
    return number_format.block_size if isinstance(number_format, BlockScaled) else 0


def arithmetics_of(section: ArithmeticSection) -> tuple[Arithmetic, ...]:
    """Every product of a study with every accumulator, in the order of the study file."""
    return tuple(
        Arithmetic(product=Product(product), accumulator=parse_accumulator(accumulator))
        for product in section.products
        for accumulator in section.accumulators
    )


def arithmetic_in_words(arithmetic: Arithmetic) -> str:
    """What is not the default of an arithmetic: ``l-mul-field``, ``int20 wrap``, both, or nothing.

    >>> from emulation.datapaths import parse_arithmetic
    >>> arithmetic_in_words(parse_arithmetic("l-mul-field / int20 wrap")), arithmetic_in_words(Arithmetic())
    ('l-mul-field, int20 wrap', '')
    """
    words = [] if arithmetic.product is Product.EXACT else [arithmetic.product.value]
    if not isinstance(arithmetic.accumulator, ExactAccumulator):
        words.append(str(arithmetic.accumulator))
    return ", ".join(words)
