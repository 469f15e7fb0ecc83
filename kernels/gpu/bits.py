"""Parts of kernels: the fields of floats, leading ones and the one rounding step, all on integers.

No float is rounded here, so nothing depends on a GPU's rounding mode, contraction or flushing of subnormals. Each
function works on 32-bit words (float32) and on 64-bit words (float64, int64) alike.
"""

from __future__ import annotations

from typing import Final

import torch

from kernels import rounding
from kernels.fields import SPECIALS_IEEE, SUBNORMALS_GRADUAL, FloatFields
from kernels.gpu.launching import kernel, tl

BINARY32: Final = FloatFields(8, 23, 127, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1)
BINARY64: Final = FloatFields(11, 52, 1023, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1)
SOURCES: Final = {torch.float32: BINARY32, torch.float64: BINARY64}
"""How kernels know the dtype of their values."""


@kernel
def word_of(values: tl.tensor) -> tl.tensor:
    """The bits of floats as signed integers of the same width."""
    return values.to(tl.int64 if values.dtype == tl.float64 else tl.int32, bitcast=True)


@kernel
def split(values: tl.tensor, SOURCE: tl.constexpr) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Sign, significand and unit of finite floats: ``values = +-significand * 2**unit``.

    Without branches: a subnormal has the exponent of field 1 and no hidden one, so ``significand = bits - (field - 1
    or 0) * 2**mantissa_bits`` holds for all of them.
    """
    negative = word_of(values) < 0
    magnitude = word_of(tl.abs(values))
    steps = tl.maximum((magnitude >> SOURCE.mantissa_bits) - 1, 0)
    significand = magnitude - (steps << SOURCE.mantissa_bits)
    return negative, significand, steps + (1 - SOURCE.bias - SOURCE.mantissa_bits)


@kernel
def leading_one(significand: tl.tensor) -> tl.tensor:
    """``floor(log2(significand))`` of integers from 1 to the width of a float's significand; below -100 for 0.

    The conversion is exact, so the exponent field is the answer.
    """
    if significand.dtype == tl.int64:
        leading = (significand.to(tl.float64).to(tl.int64, bitcast=True) >> 52) - 1023
    else:
        leading = (significand.to(tl.float32).to(tl.int32, bitcast=True) >> 23) - 127
    return leading


@kernel
def leading_one_of_64(magnitude: tl.tensor) -> tl.tensor:
    """``floor(log2(magnitude))`` of unsigned 64-bit integers, 0 for 0, by halving."""
    leading = magnitude & 0
    rest = magnitude
    for step in tl.static_range(6):
        above = rest >> (32 >> step)
        leading = tl.where(above != 0, leading + (32 >> step), leading)
        rest = tl.where(above != 0, above, rest)
    return leading


@kernel
def round_magnitude(significand: tl.tensor, shift: tl.tensor, negative: tl.tensor, ROUNDING: tl.constexpr) -> tl.tensor:
    """``round(+-significand * 2**-shift)`` without its sign, by every mode that needs no random bits.

    Args:
        significand: integers >= 0 whose double still fits the word.
        shift: 0 to two less than the bits of the word.
        negative: whether the quantity is below 0.
        ROUNDING: a mode of `kernels.rounding`.
    """
    kept = significand >> shift
    rest = significand - (kept << shift)
    # 1 from half a step on, else 0: no constant has to be shifted, so the word keeps its width.
    half = (rest << 1) >> shift
    tie = (rest << 1) == (half << shift)
    if ROUNDING == rounding.HALF_EVEN:
        rounded = tl.where(tie, kept + (kept & half), kept + half)
    elif ROUNDING == rounding.HALF_UP:
        rounded = tl.where(tie & negative, kept, kept + half)
    elif ROUNDING == rounding.HALF_AWAY:
        rounded = kept + half
    elif ROUNDING == rounding.FLOOR:
        rounded = tl.where((rest != 0) & negative, kept + 1, kept)
    elif ROUNDING == rounding.CEILING:
        rounded = tl.where((rest != 0) & (negative == 0), kept + 1, kept)
    elif ROUNDING == rounding.HALF_DOWN:
        rounded = tl.where(tie & (negative == 0), kept, kept + half)
    elif ROUNDING == rounding.HALF_TOWARD_ZERO:
        rounded = tl.where(tie, kept, kept + half)
    else:
        tl.static_assert(ROUNDING == rounding.TOWARD_ZERO)
        rounded = kept
    return rounded


@kernel
def stochastic_carry(
    rest: tl.tensor,
    shift: tl.tensor,
    negative: tl.tensor,
    random: tl.tensor,
    RANDOM_WIDTH: tl.constexpr,
) -> tl.tensor:
    """Whether stochastic rounding makes a magnitude one step larger; int64 throughout.

    The first RANDOM_WIDTH bits of a fraction and the random bits carry out, and the number goes up. Where ``negative``
    is set the fraction is that of the two's complement number: one minus ``rest * 2**-shift``.

    Args:
        rest: the bits of the magnitude below the step, ``0 <= rest < 2**shift``.
        shift: how many there are; it may exceed the word, rest is then the whole magnitude.
        negative: whether to look at the two's complement number.
        random: random bits, below ``2**RANDOM_WIDTH``.
        RANDOM_WIDTH: 1 to 32.
    """
    down = tl.minimum(tl.maximum(shift - RANDOM_WIDTH, 0), 63)
    first = (rest >> down) << tl.maximum(RANDOM_WIDTH - shift, 0)
    carries = ((first + random) >> RANDOM_WIDTH) != 0
    lost = (rest - ((rest >> down) << down)) != 0
    stays = random >= first + lost.to(tl.int64)
    return tl.where(negative, stays == 0, carries)


@kernel
def power_of_two(exponent: tl.tensor, SOURCE: tl.constexpr) -> tl.tensor:
    """``2.0**exponent`` in the float type of SOURCE, subnormals included; above its range the largest power."""
    word = exponent.to(tl.int64 if SOURCE.mantissa_bits == 52 else tl.int32)
    word = tl.minimum(word, SOURCE.bias)
    normal = (word + SOURCE.bias) << SOURCE.mantissa_bits
    place = tl.minimum(tl.maximum(word + (SOURCE.bias - 1 + SOURCE.mantissa_bits), 0), SOURCE.mantissa_bits)
    subnormal = ((word & 0) + 1) << place
    bits = tl.where(word >= 1 - SOURCE.bias, normal, subnormal)
    return bits.to(tl.float64 if SOURCE.mantissa_bits == 52 else tl.float32, bitcast=True)


@kernel
def with_sign(magnitude: tl.tensor, negative: tl.tensor) -> tl.tensor:
    """Set the sign bit of floats without one; Triton's own negation is ``0 - x``, which loses minus zero."""
    bits = word_of(magnitude)
    signed = bits | (-(1 << 63) if magnitude.dtype == tl.float64 else -(1 << 31))
    return tl.where(negative, signed, bits).to(magnitude.dtype, bitcast=True)
