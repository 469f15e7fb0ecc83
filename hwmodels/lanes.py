"""One lane of an engine: the product of a weight and an activation, ready for an adder tree.

What multiplies follows from the pair: integers are multiplied, minifloats multiply significands and move them by their
exponents, powers of two shift the other operand, looked-up formats are decoded to integers first, binary codes add and
subtract activations plane by plane, L-Mul adds fields. Blocks have the lanes of their elements. Each is a family of
units with RTL of its own (`hwmodels.rtl`); pairs without are composed of such units, and say so.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from emulation.datapaths import Arithmetic, ExactAccumulator, Product
from emulation.formats import BinaryCoded, FixedPoint, KHot, MiniFloat
from hwmodels.lmul_lanes import lmul_lane
from hwmodels.operands import PRICED, Fields, block_of, element_of, fields_of, integer_of, value_bits
from hwmodels.rtl.codebooks import CODEBOOK_MULTIPLIER
from hwmodels.rtl.lanes import MINIFLOAT_LANE, lane_term
from hwmodels.rtl.minifloats import pair
from hwmodels.rtl.multipliers import MULTIPLIER
from hwmodels.rtl.powers_of_two import K_HOT_MULTIPLIER, MAXIMUM_PLACES, POWER_LANE
from hwmodels.table_units import LookUp, Planes, TableScope, look_up
from hwmodels.units import Priced, adder_tree, multiplier, priced

if TYPE_CHECKING:
    from emulation.formats import Format, SignMagnitude

    Factor = Format | SignMagnitude


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Units and widths of one lane.

    Attributes:
        units: with the multiplier in LUTs, decoders left out.
        beside_dsp: with the multiplication of the two operands below in a DSP.
        operand_bits: widths of the multiplier's weight and activation operand; None if nothing is multiplied.
        activation_signed: 1 if the activation operand is two's complement, else 0.
        product_bits: width of the product in the adder tree, aligned if it is a minifloat's.
        carries: 1 if a bit beside each product is to be added to it, else 0.
        family: of units it belongs to.
        notes: what is composed or assumed with the multiplier in LUTs.
        notes_beside_dsp: what is composed or assumed with the multiplier in a DSP.
        weight_decoder: between the stored weight and the multiplier, one in every lane.
        activation_decoder: between the activation and the multipliers that share it.
        decoded: the lane with the weight's decoder as one measured unit; None if there is none.
        planes: of binary codes; the lane is then a bit of each plane and has no product.
    """

    units: tuple[Priced, ...]
    beside_dsp: tuple[Priced, ...] = ()
    operand_bits: tuple[int, int] | None = None
    activation_signed: int = 1
    product_bits: int
    carries: int = 0
    family: str
    notes: tuple[str, ...] = ()
    notes_beside_dsp: tuple[str, ...] = ()
    weight_decoder: LookUp | None = None
    activation_decoder: LookUp | None = None
    decoded: Priced | None = None
    planes: Planes | None = None

    @property
    def luts(self) -> float:
        """Of the units with the multiplier in LUTs."""
        return sum(unit.luts for unit in self.units)

    @property
    def is_dsp_alone(self) -> bool:
        """Whether nothing stands between a DSP that multiplies and the adder tree."""
        return self.operand_bits is not None and not self.beside_dsp


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
        return _lmul(weight_format, activation_format, arithmetic.product)
    is_exact = isinstance(arithmetic.accumulator, ExactAccumulator)
    if isinstance(weight, BinaryCoded) and is_exact and isinstance(activation, FixedPoint):
        return _planes(weight, activation)
    if isinstance(weight, KHot) or isinstance(activation, KHot):
        found = _shifted(weight, activation)
    elif isinstance(weight, MiniFloat) or isinstance(activation, MiniFloat):
        found = _minifloat(weight, activation)
    else:
        found = _integers(weight, activation)
    decoders = [None if block_of(one) else look_up(one, table_scope) for one in (weight_format, activation_format)]
    if decoders == [None, None]:
        return found
    return dataclasses.replace(
        found,
        weight_decoder=decoders[0],
        activation_decoder=decoders[1],
        decoded=_decoded(decoders[0], found),
    )


def _integers(weight_format: Factor, activation_format: Factor) -> Lane:
    (weight, weight_signed), (activation, signed) = integer_of(weight_format), integer_of(activation_format)
    return Lane(
        units=(multiplier(activation, weight, a_signed=signed, b_signed=weight_signed),),
        operand_bits=(weight, activation),
        activation_signed=signed,
        product_bits=weight + activation,
        family=MULTIPLIER,
    )


def _decoded(decoder: LookUp | None, found: Lane) -> Priced | None:
    """One unit of table and multiplier, measured for tables that hold for all channels."""
    if decoder is None or found.family != MULTIPLIER or found.operand_bits is None or decoder.index_bits > 10:
        return None
    return priced(
        CODEBOOK_MULTIPLIER,
        index=decoder.index_bits,
        entry=decoder.entry_bits,
        width=found.operand_bits[1],
        x_signed=found.activation_signed,
        seed=1,
    )


def _minifloat(weight_format: Factor, activation_format: Factor) -> Lane:
    weight, activation = fields_of(weight_format), fields_of(activation_format)
    unit, bits = _exact_lane(activation, weight)
    significands = _significand_bits(weight), _significand_bits(activation)
    unsigned = [one for one in (weight_format, activation_format) if isinstance(one, FixedPoint) and not _signed(one)]
    notes = tuple(f"lane: {one} beside a minifloat has no RTL: priced as a signed integer" for one in unsigned)
    # In a DSP the significands are multiplied; the rest of the lane stays what it is.
    inside = multiplier(significands[1], significands[0], a_signed=0, b_signed=0)
    beside = Priced(unit.family, max(unit.luts - inside.luts, 0.0), 0.0, unit.spread, unit.outside)
    return Lane(
        units=(unit,),
        beside_dsp=(beside,),
        operand_bits=significands,
        product_bits=bits,
        carries=1,
        family=MINIFLOAT_LANE,
        notes=notes,
        notes_beside_dsp=(*notes, "lane: significands of minifloats in DSPs have no RTL: composed"),
    )


def _exact_lane(activation: Fields, weight: Fields) -> tuple[Priced, int]:
    """The measured lane of two operands given by their fields, and bits of its term."""
    widths = {
        "e_a": activation.exponent_bits,
        "m_a": activation.mantissa_bits,
        "e_b": weight.exponent_bits,
        "m_b": weight.mantissa_bits,
    }
    found = pair(*widths.values())
    return priced(MINIFLOAT_LANE, **widths, exact=0), lane_term(found.low, found.high, carries=True).width


def _significand_bits(operand: Fields) -> int:
    return operand.mantissa_bits + 1


def _signed(number_format: FixedPoint) -> bool:
    return bool(integer_of(number_format)[1])


def _shifted(weight_format: Factor, activation_format: Factor) -> Lane:
    """Shifters in place of multipliers; with a minifloat or another sum of powers, exponents add and one bit moves."""
    if isinstance(weight_format, KHot) and isinstance(activation_format, KHot):
        return _exponent_sums(weight_format, activation_format)
    shifts, other = (
        (weight_format, activation_format) if isinstance(weight_format, KHot) else (activation_format, weight_format)
    )
    assert isinstance(shifts, KHot)  # noqa: S101 - for the type checker: one of both is
    if isinstance(other, MiniFloat):
        return _exponent_sums(shifts, other)
    bits, signed = integer_of(other)
    places = max(len(term) for term in shifts.terms)
    known = min(places, MAXIMUM_PLACES)
    dense = all(term == tuple(range(places)) for term in shifts.terms)
    notes = () if dense else (f"lane {shifts}: priced as terms of powers next to each other",)
    if len(shifts.terms) == 1:
        unit = priced(POWER_LANE, width=bits, places=known, x_signed=signed, exact=0)
        reach = (1 << bits - signed) << max(shifts.terms[0])
        term_bits, carries, family = lane_term(-reach, reach, carries=True).width, 1, POWER_LANE
    else:
        unit = priced(K_HOT_MULTIPLIER, width=bits, terms=min(len(shifts.terms), 8), places=known, x_signed=signed)
        term_bits, carries, family = bits + value_bits(shifts), 0, K_HOT_MULTIPLIER
    return Lane(
        units=(unit,),
        beside_dsp=(unit,),
        product_bits=term_bits,
        carries=carries,
        family=family,
        notes=notes,
        notes_beside_dsp=notes,
    )


def _exponent_sums(shifts: KHot, other: KHot | MiniFloat) -> Lane:
    """Per pair of terms a minifloat lane, a power of two being a significand of one bit; then the terms' sum."""
    parts = [fields_of(other)] if isinstance(other, MiniFloat) else [_power_fields(term) for term in other.terms]
    product_bits = value_bits(shifts) + value_bits(other)
    units = [_exact_lane(part, _power_fields(term))[0] for term in shifts.terms for part in parts]
    if len(units) > 1:
        joined = adder_tree(len(units), product_bits)
        units.append(Priced(joined.family, joined.luts, 0.0, joined.spread, joined.outside))
    note = (f"lane {shifts} x {other} has no RTL: composed of minifloat lanes of one-bit significands",)
    return Lane(
        units=tuple(units),
        beside_dsp=tuple(units),
        product_bits=product_bits,
        carries=1,
        family=MINIFLOAT_LANE,
        notes=note,
        notes_beside_dsp=note,
    )


def _power_fields(term: tuple[int, ...]) -> Fields:
    """A power of two as a minifloat without mantissa."""
    return Fields(exponent_bits=max((max(term) + 1).bit_length(), 1), mantissa_bits=0)


def _planes(weight_format: BinaryCoded, activation_format: FixedPoint) -> Lane:
    width, signed = integer_of(activation_format)
    return Lane(
        units=(),  # the sign of an activation is applied in the adders of the plane's sum
        activation_signed=signed,
        product_bits=width + 1,
        family=MULTIPLIER,
        planes=Planes(
            planes=weight_format.planes,
            alpha_bits=weight_format.entry_bits,
            activation_bits=width,
            activation_signed=signed,
        ),
    )


def _lmul(weight_format: Format, activation_format: Format, product: Product) -> Lane:
    if not (isinstance(weight_format, MiniFloat) and isinstance(activation_format, MiniFloat)):
        raise ValueError(  # noqa: TRY004 - bad input of a study, reported like any other
            f"there is no cost model for {product.value} of {weight_format} x {activation_format}: L-Mul adds the "
            "exponents of two minifloats; use minifloats, or the exact product"
        )
    found = lmul_lane(weight_format, activation_format, product)
    return Lane(
        units=(found.unit,),
        beside_dsp=(found.unit,),
        product_bits=found.bits,
        carries=1,
        family=found.unit.family,
        notes=found.notes,
        notes_beside_dsp=found.notes,
    )
