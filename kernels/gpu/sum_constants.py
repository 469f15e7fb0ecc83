"""What the kernels of `kernels.gpu.sums` know about a product and a sum, and how they are launched."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final, NamedTuple

import torch

from kernels.definitions import fixed, minifloat
from kernels.definitions.dots import cast_to_fields
from kernels.fields import (
    ORDER_CHUNKS_ROUNDED,
    OVERFLOW_INFINITY,
    OVERFLOW_SATURATE,
    SUBNORMALS_GRADUAL,
    AccumulatorFields,
    FixedFields,
    FloatFields,
    ProductFields,
)
from kernels.gpu.bits import SOURCES
from kernels.gpu.minifloat import FloatTargets, targets
from kernels.rounding import HALF_EVEN, HALF_TOWARD_ZERO

CAST_NONE: Final = 0
CAST_FIXED: Final = 1
CAST_FLOAT: Final = 2
CAST_NEAREST: Final = 3
"""Half to even with gradual subnormals: one addition and one subtraction round."""

_NARROW_WIDTH: Final = 31


class CastConstants(NamedTuple):
    """A cast inside a sum, as kernels know it."""

    kind: int = CAST_NONE
    fields: FixedFields | FloatFields | None = None
    targets: FloatTargets | None = None
    rounding: int = 0
    overflow: int = 0
    saturation_bits: int = 0
    underflow: int = 0
    step: float = 0.0
    """Value of one integer step of a fixed-point grid."""
    word: int = 64
    """Bits of the integers that fixed point is cast in."""
    largest: float = 0.0
    """Largest finite number of a float grid."""
    beyond: float = 0.0
    """What `CAST_NEAREST` makes of larger ones: ``largest`` or infinity."""
    least_exponent: int = 0
    """Exponent field, in the work type, of the smallest normal number of a float grid."""


class LMulConstants(NamedTuple):
    """An L-Mul product of words: ``(exponent << bits) + mantissa``, doubled, plus a sign bit (`kernels.gpu.lmul`)."""

    kind: int = -1
    """An LMUL code of `kernels.fields`; -1 for the exact product of two floats."""
    bits: int = 0
    offset: int = 0
    """``2**(bits - l)``."""
    zero: int = 0
    """Sums of words below this contain a zero."""
    low: int = 0
    """The least word of the clamped variant."""
    high: int = 0
    """The greatest word of the clamped variant."""
    infinite: int = 0
    """1 if the clamped variant overflows to infinity."""


def cast_constants(cast: ProductFields | AccumulatorFields | None, dtype: torch.dtype) -> CastConstants:
    """The cast of a product or a sum, in kernels whose work type is ``dtype``.

    Raises:
        ValueError: for a rounding mode with random bits, and for options the format does not have.
    """
    if cast is None or cast.grid is None:
        return CastConstants()
    grid = cast.grid
    if not HALF_EVEN <= cast.rounding <= HALF_TOWARD_ZERO:
        raise ValueError(
            f"rounding mode {cast.rounding} is not for sums: {HALF_EVEN} (half even) to {HALF_TOWARD_ZERO} (half "
            "toward zero) of kernels.rounding are allowed"
        )
    if isinstance(grid, FixedFields):
        fixed.check_fields(grid, overflow=cast.overflow, saturation_bits=cast.saturation_bits)
        return CastConstants(
            kind=CAST_FIXED,
            fields=grid,
            rounding=cast.rounding,
            overflow=cast.overflow,
            saturation_bits=cast.saturation_bits,
            step=2.0**-grid.fraction_bits,
            word=32 if dtype == torch.float32 and grid.width <= _NARROW_WIDTH else 64,
        )
    largest = float(largest_number(grid))
    infinity = minifloat.infinity_code(grid) is not None and cast.overflow == OVERFLOW_INFINITY
    plain = grid.signed and grid.subnormals == SUBNORMALS_GRADUAL and (infinity or cast.overflow == OVERFLOW_SATURATE)
    return CastConstants(
        kind=CAST_NEAREST if plain and cast.rounding == HALF_EVEN else CAST_FLOAT,
        fields=grid,
        targets=targets(
            grid,
            rounding=cast.rounding,
            overflow=cast.overflow,
            underflow=cast.underflow,
            random_width=0,
            nan_code=None,
        ),
        rounding=cast.rounding,
        overflow=cast.overflow,
        underflow=cast.underflow,
        largest=largest,
        beyond=math.inf if infinity else largest,
        least_exponent=minifloat.unit_exponent(grid) + grid.mantissa_bits + SOURCES[dtype].bias,
    )


def largest_number(grid: FixedFields | FloatFields) -> Fraction:
    """The greatest magnitude of a format's finite numbers."""
    if isinstance(grid, FixedFields):
        low, high = fixed.integer_range(grid)
        return Fraction(max(high, -low)) / Fraction(2) ** grid.fraction_bits
    code = minifloat.largest_magnitude_code(grid)
    return minifloat.magnitude_integer(code, grid) * Fraction(2) ** minifloat.unit_exponent(grid)


def grid_unit(grid: FixedFields | FloatFields) -> int:
    """Exponent of the spacing of a format's smallest numbers."""
    return -grid.fraction_bits if isinstance(grid, FixedFields) else minifloat.unit_exponent(grid)


def work_dtype(
    *,
    unit: int,
    largest: Fraction,
    digits: int,
    depth: int,
    product: ProductFields | None,
    accumulator: AccumulatorFields,
) -> torch.dtype:
    """The float type in which a sum equals its definition: float32 if that is proven, else float64.

    Every exact product is a multiple of ``2**unit``, of ``digits`` significant bits and at most ``largest``. A sum for
    a float accumulator is rounded to odd and needs two bits more than the accumulator has; every other sum, and that of
    a chunk before it is cast, must be exact.

    Raises:
        ValueError: if float64 does not suffice either, with the bits that are needed.
    """
    finest = min([unit] + [grid_unit(cast.grid) for cast in (product, accumulator) if cast is not None and cast.grid])
    term = largest if product is None else largest_number(product.grid)
    terms_unit = unit if product is None else grid_unit(product.grid)
    chunk = 1 if accumulator.order == ORDER_CHUNKS_ROUNDED else min(depth, accumulator.chunk)
    grid = accumulator.grid
    if isinstance(grid, FloatFields):
        top = largest_number(grid) + term * chunk
        needed = max(digits, grid.mantissa_bits + 3)
        if chunk > 1:
            needed = max(needed, _bits(term * chunk * Fraction(2) ** -terms_unit))
    else:
        top = term * chunk + largest_number(grid) if grid else term * depth
        needed = max(digits, _bits(top * Fraction(2) ** -finest))
    if product is not None and isinstance(product.grid, FloatFields):
        needed = max(needed, product.grid.mantissa_bits + 1)
    for dtype, most, exponent in ((torch.float32, 24, 100), (torch.float64, 53, 900)):
        if needed <= most and finest >= -exponent and max(top, largest) < Fraction(2) ** exponent:
            return dtype
    raise ValueError(
        f"sums of {depth} products up to {float(largest):g} in units of 2**{finest} need {needed} bits, float64 has "
        "53: use a smaller chunk, a narrower accumulator, or kernels.compiled"
    )


def _bits(bound: Fraction) -> int:
    return (-(-bound.numerator // bound.denominator)).bit_length()


def first_values(
    initial: torch.Tensor | None, shape: tuple[int, int], accumulator: AccumulatorFields, unit: int | None
) -> torch.Tensor | None:
    """The first values of the accumulators as float64, of the whole shape; None for zeros.

    Args:
        initial: integers in the result's unit, or floats for a float accumulator, of a shape that broadcasts.
        shape: rows and columns of the result.
        accumulator: the accumulator.
        unit: exponent of the result's unit; None for a float accumulator.

    Raises:
        ValueError: if one of them is no number of the accumulator's format, or exceeds 53 bits.
    """
    if initial is None:
        return None
    for value in torch.unique(initial).tolist():
        exact = Fraction(value) * Fraction(2) ** (unit or 0)
        if cast_to_fields(exact, accumulator) != exact:
            raise ValueError(
                f"the initial value {float(exact)} is no number of the accumulator {accumulator.grid}: round it to one"
            )
        if float(exact) != exact:
            raise ValueError(f"the initial value {value} exceeds the 53 bits of float64: use kernels.compiled")
    return (initial.to(torch.float64) * 2.0 ** (unit or 0)).expand(shape)
