"""The numbers of the commonest cast: half to even, saturating. Patterns of bits do it, in the values' own type.

From ``2**first_binade`` on, the spacing of a format follows the exponent: dropping bits of the value's pattern rounds
it, after adding almost half of what is dropped, and the last kept bit for ties to even; a carry moves into the exponent
by itself. Without mantissa bits the last kept bit is the exponent's, and a tie goes up. Below ``2**first_binade`` the
spacing is one and the same, and adding and subtracting the power of two with that spacing rounds in the floating-point
unit. So no number is larger than the magnitude or that power of two, and formats that reach to the ends of the type
need no wider one.

Both need room: numbers below the type's normal ones have no exponent of their own, and the power of two may be too
large for the type. Small magnitudes of such formats are scaled by a power of two, exactly, and scaled back.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final, NamedTuple

from kernels.cast_constants import CastOptions, cast_range
from kernels.extents import FLOAT32, FLOAT64, FloatType, extent
from kernels.fields import FixedFields, FloatFields

Fields = FixedFields | FloatFields

_RAISED: Final = {FLOAT32: (24, -100), FLOAT64: (53, -900)}
"""For formats with binades below the type's normal ones: by how many binades magnitudes below which one are raised.

The first raised binade is normal, and all of them stay below the others.
"""
_LOWERED: Final = {FLOAT32: -64, FLOAT64: -512}
"""For formats whose spacing has no magic number: how far magnitudes below the first binade are raised (down)."""


class HalfEvenConstants(NamedTuple):
    """Plain numbers for a loop: first patterns of the values' type, then floats that are exact in it."""

    dropped: int
    """How many bits of a pattern are dropped."""
    kept: int
    """Selects the others."""
    below_half: int
    """Almost half of what is dropped; half of it without mantissa bits."""
    parity: int
    """Selects the last kept bit, after it is shifted down; 0 if ties go up or nothing is dropped."""
    magnitude: int
    """All bits but the sign."""
    low: float
    """The least number of the format."""
    high: float
    """The greatest number of the format."""
    least: float
    """Magnitudes below this one become ``flushed``; 0 if there are none."""
    flushed: float
    """Zero, or the smallest number of a format without zero."""
    zero_addend: float
    """Added to results: +0.0 makes minus zero plus zero, -0.0 keeps it."""
    nan: float
    """What NaN becomes."""
    fine_end: float
    """Magnitudes, scaled, below this one have one spacing."""
    magic: float
    """The power of two of that spacing."""
    scaled_end: float
    """Magnitudes below this one are multiplied by ``scale``, and divided by it at the end."""
    scale: float
    unscale: float
    """1 by ``scale``."""


@cache
def half_even_constants(fields: Fields, options: CastOptions, float_type: FloatType, nan: float) -> HalfEvenConstants:
    """The numbers of a cast for which `kernels.cast_constants.saturates_only` holds.

    Args:
        fields: a format whose numbers the type holds (`kernels.extents.holds`).
        options: the caller's choices; the rounding is half to even.
        float_type: of the values.
        nan: what NaN becomes.

    >>> from kernels.fields import SPECIALS_FINITE_NAN
    >>> numbers = half_even_constants(FloatFields(4, 3, 7, 1, SPECIALS_FINITE_NAN, 0, 1), CastOptions(), FLOAT32, 0.0)
    >>> numbers.high, numbers.dropped, numbers.fine_end, numbers.magic == 2.0**14, numbers.scale
    (448.0, 20, 0.03125, True, 1.0)
    """
    where = extent(fields)
    precision = float_type.mantissa_bits
    mantissa_bits = fields.mantissa_bits if isinstance(fields, FloatFields) else precision
    # Fixed point has one spacing throughout; from here on the type's own numbers are no finer. A minifloat keeps the
    # spacing of its subnormals for one binade more, which a type with one more bit can round likewise.
    end_of_fine = where.unit + min(mantissa_bits + 1, precision)
    up, scaled_end = 0, 0.0
    if end_of_fine < float_type.least_exponent:
        up, end = _RAISED[float_type]
        scaled_end = math.ldexp(1.0, end)
    elif where.unit + precision >= float_type.greatest_exponent:  # a sum may reach twice that power of two
        up, scaled_end = _LOWERED[float_type], _power_of_two(end_of_fine, float_type)
    dropped = precision - mantissa_bits
    half = (1 << dropped) >> 1
    word = (1 << (precision + float_type.greatest_exponent.bit_length() + 2)) - 1
    ties_go_up = mantissa_bits == 0
    bounds = cast_range(fields, options)
    return HalfEvenConstants(
        dropped=dropped,
        kept=word >> dropped << dropped,
        below_half=half if ties_go_up else max(half - 1, 0),
        parity=0 if ties_go_up or not dropped else 1,
        magnitude=word >> 1,
        low=bounds.low,
        high=bounds.high,
        least=bounds.least,
        flushed=bounds.flushed,
        zero_addend=bounds.zero_addend,
        nan=nan,
        fine_end=_power_of_two(end_of_fine + up, float_type),
        magic=math.ldexp(1.0, where.unit + precision + up),
        scaled_end=scaled_end,
        scale=math.ldexp(1.0, up),
        unscale=math.ldexp(1.0, -up),
    )


def _power_of_two(exponent: int, float_type: FloatType) -> float:
    """Infinity beyond the type's range."""
    return math.ldexp(1.0, exponent) if exponent <= float_type.greatest_exponent else math.inf
