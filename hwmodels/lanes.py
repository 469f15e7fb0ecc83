"""One lane of an engine: the product of a weight and an activation, ready for an adder tree.

What multiplies follows from the pair: integers and minifloats multiply significands (a minifloat's exponent goes to an
aligner), sums of powers of two shift the other operand, looked-up formats are decoded to integers first, binary codes
add and subtract activations plane by plane, L-Mul adds. Blocks have the lanes of their elements.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emulation.datapaths import Arithmetic, ExactAccumulator, Product
from emulation.formats import BinaryCoded, FixedPoint, KHot, MiniFloat
from hwmodels.composition import FIXED_LANE, LMUL_LANE, MINIFLOAT_LANE, SHIFT_LANE
from hwmodels.lmul_units import lmul_luts, lmul_notes, lmul_shape, lmul_widths
from hwmodels.minifloat_units import Significand, align_luts, is_measured, product_luts, product_overhead_luts
from hwmodels.operands import PRICED, block_of, element_of, significand_of, value_bits
from hwmodels.shift_units import shift_notes, terms_luts
from hwmodels.table_units import LookUp, Planes, TableScope, look_up
from hwmodels.units import adder_tree, lane_correction, multiplier_luts, multiplier_notes

if TYPE_CHECKING:
    from emulation.formats import Format, SignMagnitude

    Factor = Format | SignMagnitude

MEASURED_EXPONENT_BITS: Final = (2, 5)
MEASURED_MANTISSA_BITS: Final = (1, 4)
"""Range of the measured minifloat multiply-accumulates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """LUTs and widths of one lane.

    Attributes:
        luts: with the multiplier in LUTs, decoders left out.
        luts_beside_dsp: with the multiplication of the two operands below in a DSP.
        operand_bits: widths of the multiplier's weight and activation operand; None if nothing is multiplied.
        product_bits: width of the product in the adder tree, aligned if it is a minifloat's.
        family: of units it belongs to.
        notes: what is extrapolated with the multiplier in LUTs.
        notes_beside_dsp: what is extrapolated with the multiplier in a DSP.
        weight_decoder: between the stored weight and the multiplier, one in every lane.
        activation_decoder: between the activation and the multipliers that share it.
        planes: of binary codes; the lane is then a bit of each plane and has no product.
    """

    luts: float
    luts_beside_dsp: float
    operand_bits: tuple[int, int] | None
    product_bits: int
    family: str
    notes: tuple[str, ...]
    notes_beside_dsp: tuple[str, ...]
    weight_decoder: LookUp | None = None
    activation_decoder: LookUp | None = None
    planes: Planes | None = None


@lru_cache(maxsize=4096)
def lane(
    weight_format: Format,
    activation_format: Format,
    arithmetic: Arithmetic = Arithmetic(),  # noqa: B008 - frozen
    table_scope: TableScope = TableScope.CHANNEL,
) -> Lane:
    """The lane of a pair of formats.

    Two integer operands are multiplied as integers. A minifloat contributes its significand, and its exponent to an
    aligner. An integer beside a minifloat is a significand without exponent. Binary codes beside integers are summed
    plane by plane where the accumulator is exact, and decoded to integers elsewhere, because partial sums of planes are
    not those of the products.

    Args:
        weight_format: of the weights (of the second activation of a MatMul).
        activation_format: of the activations.
        arithmetic: product and accumulator.
        table_scope: what a learned codebook's table holds for.

    Raises:
        ValueError: if a format, or a product of these formats, has no cost model.

    >>> lane(FixedPoint(width=8), FixedPoint(width=4)).product_bits
    12
    """
    for number_format in (weight_format, activation_format):
        if not hasattr(number_format, "unit_exponent"):
            raise ValueError(f"there is no cost model for {number_format}: use a {PRICED} format")
    weight, activation = element_of(weight_format), element_of(activation_format)
    if arithmetic.product is not Product.EXACT:
        return _lmul_lane(weight_format, activation_format, arithmetic.product)
    is_exact = isinstance(arithmetic.accumulator, ExactAccumulator)
    if isinstance(weight, BinaryCoded) and is_exact and isinstance(activation, FixedPoint):
        return _planes_lane(weight, activation)
    if isinstance(weight, KHot) or isinstance(activation, KHot):
        found = _shift_lane(weight, activation)
    elif isinstance(weight, MiniFloat) or isinstance(activation, MiniFloat):
        found = _minifloat_lane(weight, activation)
    else:
        found = _fixed_lane(significand_of(weight).bits, significand_of(activation).bits)
    decoders = [None if block_of(one) else look_up(one, table_scope) for one in (weight_format, activation_format)]
    if decoders == [None, None]:
        return found
    note = (f"lane {weight_format} x {activation_format}: decoder counted as read-only memory in LUTs",)
    return dataclasses.replace(
        found,
        weight_decoder=decoders[0],
        activation_decoder=decoders[1],
        notes=found.notes + note,
        notes_beside_dsp=found.notes_beside_dsp + note,
    )


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


def _minifloat_lane(weight_format: Factor, activation_format: Factor) -> Lane:
    weight, activation = significand_of(weight_format), significand_of(activation_format)
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
    weight_format: Factor, activation_format: Factor, weight: Significand, activation: Significand
) -> tuple[str, ...]:
    if is_measured(weight, activation):
        return ()
    pair = f"{weight_format} x {activation_format}"
    if not (isinstance(weight_format, MiniFloat) and isinstance(activation_format, MiniFloat)):
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


def _shift_lane(weight_format: Factor, activation_format: Factor) -> Lane:
    """Shifters in place of multipliers; with a minifloat or another sum of powers, exponents add and one bit moves."""
    if isinstance(weight_format, KHot) and isinstance(activation_format, KHot):
        return _exponent_sums(weight_format, activation_format)
    shifts, other = (
        (weight_format, activation_format) if isinstance(weight_format, KHot) else (activation_format, weight_format)
    )
    assert isinstance(shifts, KHot)  # noqa: S101 - for the type checker: one of both is
    if isinstance(other, MiniFloat):
        return _exponent_sums(shifts, other)
    bits = significand_of(other).bits
    notes = shift_notes(shifts, bits)
    luts = terms_luts(shifts, bits)
    return Lane(
        luts=luts,
        luts_beside_dsp=luts,
        operand_bits=None,
        product_bits=bits + value_bits(shifts),
        family=SHIFT_LANE,
        notes=notes,
        notes_beside_dsp=notes,
    )


def _exponent_sums(shifts: KHot, other: KHot | MiniFloat) -> Lane:
    """Per pair of terms an adder of exponents (a LUT a bit) and an aligner of the significand, then the terms' sum."""
    if isinstance(other, MiniFloat):
        number = Significand.of(other)
        parts = [(number.bits, number.exponent_bits, number.largest_shift)]
    else:
        parts = [(1, len(term).bit_length(), max(term)) for term in other.terms]
    product_bits = value_bits(shifts) + value_bits(other)
    luts = 0.0
    for term in shifts.terms:
        for bits, exponent_bits, largest in parts:
            luts += max(exponent_bits, len(term).bit_length()) + align_luts(bits, max(term) + largest)
    luts += adder_tree(len(shifts.terms) * len(parts), product_bits)[0]
    note = (f"lane {shifts} x {other}: exponent adders and fitted aligners; none was measured",)
    return Lane(
        luts=luts,
        luts_beside_dsp=luts,
        operand_bits=None,
        product_bits=product_bits,
        family=SHIFT_LANE,
        notes=note,
        notes_beside_dsp=note,
    )


def _planes_lane(weight_format: BinaryCoded, activation_format: FixedPoint) -> Lane:
    note = (f"lane {weight_format} x {activation_format}: planes counted as measured adders; none was measured",)
    return Lane(
        luts=0.0,  # the sign of an activation is applied in the adders of the tree
        luts_beside_dsp=0.0,
        operand_bits=None,
        product_bits=activation_format.width + 1,
        family=FIXED_LANE,
        notes=note,
        notes_beside_dsp=note,
        planes=Planes(planes=weight_format.planes, alpha_bits=weight_format.entry_bits),
    )


def _lmul_lane(weight_format: Format, activation_format: Format, product: Product) -> Lane:
    if not (isinstance(weight_format, MiniFloat) and isinstance(activation_format, MiniFloat)):
        raise ValueError(  # noqa: TRY004 - bad input of a study, reported like any other
            f"there is no cost model for {product.value} of {weight_format} x {activation_format}: L-Mul adds the "
            "exponents of two minifloats; use minifloats, or the exact product"
        )
    bits, places = lmul_shape(weight_format, activation_format, product)
    luts = lmul_luts(*lmul_widths(weight_format, activation_format, product))
    notes = lmul_notes(weight_format, activation_format)
    whole = luts + align_luts(bits, places)
    return Lane(
        luts=whole,
        luts_beside_dsp=whole,
        operand_bits=None,
        product_bits=bits + places + 1,
        family=LMUL_LANE,
        notes=notes,
        notes_beside_dsp=notes,
    )
