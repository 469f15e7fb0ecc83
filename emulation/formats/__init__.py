"""Number formats as data: which codes exist and which values they mean.

A format says nothing about scales, rounding or overflow (see `emulation.quantisers`). Everything that can be derived is
a property, so a format is nothing but its defining fields. All formats share one view of their codes that hardware mode
rests on: a code decodes to an *integer* ``v`` in a static unit, ``value = v * 2**unit_exponent``; in a block format,
that is the view of its elements, and each block has a scale of its own.
"""

from emulation.formats.blocks import BlockScaled, SignMagnitude
from emulation.formats.scalar import (
    MAXIMUM_EXPONENT_BITS,
    MAXIMUM_FIXED_WIDTH,
    MAXIMUM_MANTISSA_BITS,
    SHORT_NAMES,
    SUFFIX_OF_SPECIALS,
    FixedPoint,
    MiniFloat,
    Sign,
    Specials,
    Subnormals,
    Zero,
    customary_specials,
    default_bias,
)
from emulation.formats.tables import BinaryCoded, Codebook, KHot, LearnedCodebook, TermSigns

ScalarFormat = FixedPoint | MiniFloat
TableFormat = KHot | Codebook | LearnedCodebook | BinaryCoded
Format = ScalarFormat | TableFormat | BlockScaled

__all__ = [
    "MAXIMUM_EXPONENT_BITS",
    "MAXIMUM_FIXED_WIDTH",
    "MAXIMUM_MANTISSA_BITS",
    "SHORT_NAMES",
    "SUFFIX_OF_SPECIALS",
    "BinaryCoded",
    "BlockScaled",
    "Codebook",
    "FixedPoint",
    "Format",
    "KHot",
    "LearnedCodebook",
    "MiniFloat",
    "ScalarFormat",
    "Sign",
    "SignMagnitude",
    "Specials",
    "Subnormals",
    "TableFormat",
    "TermSigns",
    "Zero",
    "customary_specials",
    "default_bias",
]
