"""One lane of an engine: the product of a weight and an activation, ready for an adder tree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from emulation.formats import FixedPoint, MiniFloat
from hwmodels.composition import FIXED_LANE, MINIFLOAT_LANE
from hwmodels.minifloat_units import Significand, align_luts, is_measured, product_luts, product_overhead_luts
from hwmodels.units import lane_correction, multiplier_luts, multiplier_notes

MEASURED_EXPONENT_BITS: Final = (2, 5)
MEASURED_MANTISSA_BITS: Final = (1, 4)
"""Range of the measured minifloat multiply-accumulates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """LUTs and widths of one lane.

    Attributes:
        luts: with the multiplier in LUTs.
        luts_beside_dsp: with the multiplication of the two operands below in a DSP.
        operand_bits: widths of the multiplier's weight and activation operand.
        product_bits: width of the product in the adder tree, aligned if it is a minifloat's.
        family: of units it belongs to.
        notes: what is extrapolated with the multiplier in LUTs.
        notes_beside_dsp: what is extrapolated with the multiplier in a DSP.
    """

    luts: float
    luts_beside_dsp: float
    operand_bits: tuple[int, int]
    product_bits: int
    family: str
    notes: tuple[str, ...]
    notes_beside_dsp: tuple[str, ...]


@lru_cache(maxsize=4096)
def lane(weight_format: FixedPoint | MiniFloat, activation_format: FixedPoint | MiniFloat) -> Lane:
    """The lane of a pair of formats.

    Two fixed-point operands are multiplied as integers. A minifloat contributes its significand, and its exponent to
    an aligner. A fixed-point operand beside a minifloat is a significand without exponent.

    Raises:
        ValueError: if a format has no cost model.

    >>> lane(FixedPoint(width=8), FixedPoint(width=4)).product_bits
    12
    """
    for number_format in (weight_format, activation_format):
        if not isinstance(number_format, (FixedPoint, MiniFloat)):
            raise ValueError(  # noqa: TRY004 - bad input of a study, reported like any other
                f"there is no cost model for {number_format}: use a FixedPoint or MiniFloat format"
            )
    if isinstance(weight_format, FixedPoint) and isinstance(activation_format, FixedPoint):
        return _fixed_lane(weight_format.width, activation_format.width)
    return _minifloat_lane(weight_format, activation_format)


def _fixed_lane(weight_bits: int, activation_bits: int) -> Lane:
    return Lane(
        luts=max(0.0, multiplier_luts(weight_bits, activation_bits) + lane_correction()),
        luts_beside_dsp=0.0,
        operand_bits=(weight_bits, activation_bits),
        product_bits=weight_bits + activation_bits,
        family=FIXED_LANE,
        notes=multiplier_notes(weight_bits, activation_bits),
        notes_beside_dsp=(),
    )


def _minifloat_lane(weight_format: FixedPoint | MiniFloat, activation_format: FixedPoint | MiniFloat) -> Lane:
    weight, activation = Significand.of(weight_format), Significand.of(activation_format)
    shift = weight.largest_shift + activation.largest_shift
    significand_bits = weight.bits + activation.bits
    align = align_luts(significand_bits, shift)
    notes = _minifloat_notes(weight_format, activation_format, weight, activation)
    return Lane(
        luts=product_luts(weight, activation) + align,
        luts_beside_dsp=product_overhead_luts(weight, activation) + align,
        operand_bits=(weight.bits, activation.bits),
        # The sign of an integer operand is part of its bits; that of a minifloat comes on top.
        product_bits=significand_bits + shift + 1,
        family=MINIFLOAT_LANE,
        notes=notes,
        notes_beside_dsp=notes,
    )


def _minifloat_notes(
    weight_format: FixedPoint | MiniFloat,
    activation_format: FixedPoint | MiniFloat,
    weight: Significand,
    activation: Significand,
) -> tuple[str, ...]:
    if is_measured(weight, activation):
        return ()
    pair = f"{weight_format} x {activation_format}"
    if isinstance(weight_format, FixedPoint) or isinstance(activation_format, FixedPoint):
        return (f"lane {pair}: fixed point beside a minifloat, priced as a significand; none was measured",)
    (e_low, e_high), (m_low, m_high) = MEASURED_EXPONENT_BITS, MEASURED_MANTISSA_BITS
    inside = all(
        e_low <= number.exponent_bits <= e_high and m_low <= number.bits - 1 <= m_high
        for number in (weight, activation)
    )
    if inside:
        return ()
    measured = f"{e_low} to {e_high} exponent and {m_low} to {m_high} mantissa bits"
    return (f"lane {pair}: outside the measured minifloats of {measured}",)
