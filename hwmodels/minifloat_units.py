"""Exact minifloat arithmetic in LUTs: significand product, exponent sum, alignment into a wide integer.

The units are those of a Kulisch accumulator: an exact product is shifted into place and added as an integer, so sums do
not depend on their order. Products of two equal formats were measured; others are composed of a significand multiplier,
an exponent adder and the rest, whose size is fitted on the measured products. The aligner is fitted on what the
measured multiply-accumulates take beyond product and accumulator; measured block-scaled dot products, in no fit, check
the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emulation.formats import FixedPoint, MiniFloat, Subnormals
from hwmodels.rows import family_rows, relative_least_squares, relative_spread
from hwmodels.units import adder_tree, multiplier_luts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwmodels.rows import UnitRow

GUARD_BITS: Final = 8
"""Bits of the measured accumulators above the product's magnitude: the sign and room for carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Significand:
    """What hardware sees of an operand: a significand, and an exponent that shifts it.

    Attributes:
        bits: of the significand as a multiplier sees it (a minifloat's hidden one counted, its sign not).
        exponent_bits: 0 for an integer.
        largest_shift: places its largest exponent moves the significand up.
    """

    bits: int
    exponent_bits: int
    largest_shift: int

    @classmethod
    def of(cls, number_format: FixedPoint | MiniFloat) -> Significand:
        """The view of a format; fixed point is a significand without exponent."""
        if isinstance(number_format, FixedPoint):
            return cls(bits=number_format.width, exponent_bits=0, largest_shift=0)
        top = number_format.largest_magnitude_code >> number_format.mantissa_bits
        shift = top if number_format.subnormals is Subnormals.KEEP_EXPONENT else max(top - 1, 0)
        has_exponent = number_format.exponent_bits > 0
        return cls(
            bits=number_format.mantissa_bits + (1 if has_exponent else 0) or 1,
            exponent_bits=number_format.exponent_bits,
            largest_shift=shift,
        )


def product_luts(weight: Significand, activation: Significand) -> float:
    """LUTs of an exact product (sign, exponent sum, significand): the measured row of equal formats, else composed."""
    if weight.exponent_bits == activation.exponent_bits and weight.bits == activation.bits:
        measured = _measured_products().get((weight.exponent_bits, weight.bits - 1))
        if measured is not None:
            return measured
    return multiplier_luts(weight.bits, activation.bits) + product_overhead_luts(weight, activation)


def product_overhead_luts(weight: Significand, activation: Significand) -> float:
    """LUTs of a product beyond its significand multiplier: exponent adder, subnormals, sign."""
    constant, per_exponent_bit = _product_rest()
    both = weight.exponent_bits + activation.exponent_bits
    return _exponent_adder(weight.exponent_bits, activation.exponent_bits) + constant + per_exponent_bit * both


def is_measured(weight: Significand, activation: Significand) -> bool:
    """Whether product and aligner of this pair are a measured multiply-accumulate."""
    key = (weight.exponent_bits, weight.bits - 1)
    same = weight.exponent_bits == activation.exponent_bits and weight.bits == activation.bits
    return same and any((row["exponent"], row["mantissa"]) == key for row in _accumulate_rows())


def align_luts(significand_bits: int, largest_shift: int) -> float:
    """LUTs that shift a product by 0 to ``largest_shift`` places; none if nothing shifts.

    Structure: two binary digits of the shift are one four-to-one multiplexer, a LUT a bit; a last odd digit is half a
    LUT a bit; a stage is only as wide as its number can have grown. Two coefficients are fitted on the measured rows.
    """
    if largest_shift == 0:
        return 0.0
    constant, per_cell = _align_fit()
    return constant + per_cell * shift_cells(significand_bits, largest_shift)


def shift_cells(significand_bits: int, largest_shift: int) -> float:
    """LUTs of the multiplexers of `align_luts`, before the fit.

    >>> shift_cells(8, 28)  # e4m3: 11 bits after digits 0 and 1, 23 after 2 and 3, half of 36 for digit 4
    52.0
    """
    digits = largest_shift.bit_length()
    full = significand_bits + largest_shift
    cells = 0.0
    for digit in range(0, digits - 1, 2):
        cells += min(full, significand_bits + (4 << digit) - 1)
    return cells + (full / 2 if digits % 2 else 0.0)


def multiply_accumulate_luts(row: UnitRow) -> float:
    """The composed estimate of a measured multiply-accumulate."""
    number = _significand_of(row)
    return product_luts(number, number) + _row_align(number) + row["accumulator"]


def block_dot_luts(row: UnitRow) -> float:
    """The composed estimate of a measured block-scaled dot product, with the adder of its two 8-bit scales."""
    number = _significand_of(row)
    bits = 2 * number.bits + 2 * number.largest_shift + 1
    tree, _, _ = adder_tree(row["lanes"], bits)
    return row["lanes"] * (product_luts(number, number) + _row_align(number)) + tree + SCALE_ADD_LUTS


SCALE_ADD_LUTS: Final = 8
"""Sum of two 8-bit block scales: the measured 8-bit adder."""


@lru_cache(maxsize=1)
def minifloat_lane_error() -> float:
    """One standard deviation of a lane's relative error: block-scaled dots, and each other row left out in turn."""
    rows = _accumulate_rows()
    estimates, measured = [], []
    for row in rows:
        number = _significand_of(row)
        constant, per_cell = _fit_align([other for other in rows if other is not row])
        cells = shift_cells(2 * number.bits, 2 * number.largest_shift)
        estimates.append(product_luts(number, number) + constant + per_cell * cells + row["accumulator"])
        measured.append(row.luts)
    for row in family_rows("block-scaled dot product"):
        estimates.append(block_dot_luts(row))
        measured.append(row.luts)
    return relative_spread(estimates, measured)


def _row_align(number: Significand) -> float:
    return align_luts(2 * number.bits, 2 * number.largest_shift)


def _significand_of(row: UnitRow) -> Significand:
    # The measured units treat every exponent field as finite and field 0 as subnormal.
    shift = (1 << row["exponent"]) - 2
    return Significand(bits=row["mantissa"] + 1, exponent_bits=row["exponent"], largest_shift=shift)


def _exponent_adder(first_bits: int, second_bits: int) -> int:
    return max(first_bits, second_bits) if first_bits and second_bits else 0


def _accumulate_rows() -> tuple[UnitRow, ...]:
    return family_rows("minifloat multiply-accumulate")


@lru_cache(maxsize=1)
def _measured_products() -> dict[tuple[int, int], int]:
    return {(row["exponent"], row["mantissa"]): row.luts for row in family_rows("minifloat exact product")}


@lru_cache(maxsize=1)
def _product_rest() -> tuple[float, float]:
    rows = family_rows("minifloat exact product")
    features, rest = [], []
    for row in rows:
        bits = row["mantissa"] + 1
        features.append([1.0, 2.0 * row["exponent"]])
        rest.append(row.luts - multiplier_luts(bits, bits) - row["exponent"])
    constant, per_bit = relative_least_squares(features, rest, wholes=[row.luts for row in rows])
    return constant, per_bit


@lru_cache(maxsize=1)
def _align_fit() -> tuple[float, float]:
    return _fit_align(_accumulate_rows())


def _fit_align(rows: Sequence[UnitRow]) -> tuple[float, float]:
    features, rest = [], []
    for row in rows:
        number = _significand_of(row)
        features.append([1.0, shift_cells(2 * number.bits, 2 * number.largest_shift)])
        rest.append(row.luts - product_luts(number, number) - row["accumulator"])
    constant, per_cell = relative_least_squares(features, rest, wholes=[row.luts for row in rows])
    return constant, per_cell
