"""L-Mul in LUTs: a product of minifloats that is one addition of exponents and mantissas, aligned into a wide integer.

The measured unit with flush and saturation is the product clamped to the format, and the price of the two meanings that
are not: hardware mode lets a zero or subnormal operand give 0, which the raw adder does not, and never saturates their
products, which costs less than the measured unit. Clamped products span fewer exponents, which saves in the aligner and
behind it. The formula keeps the mantissa sum apart from the exponent sum, which takes the same adder bits in two pieces
and one more significand bit; the field addition carries from the mantissa into the exponent instead.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emulation.datapaths import Product
from emulation.lmul import lmul_product
from emulation.lmul_ranges import clamped_range, operand_limits
from hwmodels.minifloat_units import minifloat_lane_error
from hwmodels.rows import family_rows, relative_least_squares, relative_spread

if TYPE_CHECKING:
    from emulation.formats import MiniFloat
    from hwmodels.rows import UnitRow

MEASURED_FAMILY: Final = "l-mul with flush and saturation"


def lmul_luts(exponent_bits: int, mantissa_bits: int) -> float:
    """LUTs of one L-Mul of equal operands: the measured row, else the fit over all of them (linear in both widths).

    Operands of different formats count with the wider exponent and the wider mantissa, to which they are aligned.

    >>> lmul_luts(4, 3)
    23.0
    """
    for row in family_rows(MEASURED_FAMILY):
        if (row["exponent"], row["mantissa"]) == (exponent_bits, mantissa_bits):
            return float(row.luts)
    return _estimate(_fit(family_rows(MEASURED_FAMILY)), exponent_bits, mantissa_bits)


def lmul_widths(weight: MiniFloat, activation: MiniFloat, product: Product) -> tuple[int, int]:
    """Exponent and mantissa bits of the unit: the wider ones, and for clamped products as many as their range takes.

    Exponent field 0 is zero, so a range of n exponents has n + 1 fields.
    """
    exponent_bits = max(weight.exponent_bits, activation.exponent_bits)
    if product is Product.LMUL_FIELD_CLAMPED:
        limits = clamped_range(weight, activation)
        exponent_bits = max(exponent_bits, (limits.exponent_high - limits.exponent_low + 1).bit_length())
    return exponent_bits, max(weight.mantissa_bits, activation.mantissa_bits)


def lmul_shape(weight: MiniFloat, activation: MiniFloat, product: Product) -> tuple[int, int]:
    """Significand bits of a product before its aligner, and the most places the aligner moves it.

    Subnormal operands give 0, so exponent fields count from 1. The formula's significand is below 4 (two integer bits).
    The field addition's is below 2, and its carry adds a place, or two from four mantissa bits on; clamped products end
    at the range's largest number.
    """
    mantissa_bits = max(weight.mantissa_bits, activation.mantissa_bits)
    if product is Product.LMUL_FORMULA:
        places = sum(max(one.largest_magnitude_code >> one.mantissa_bits, 1) - 1 for one in (weight, activation))
        return mantissa_bits + 2, places
    return mantissa_bits + 1, max(largest_product(weight, activation, product).bit_length() - (mantissa_bits + 1), 0)


def largest_product(weight: MiniFloat, activation: MiniFloat, product: Product) -> int:
    """The greatest product of two minifloats, an integer in L-Mul's own unit."""
    limits = operand_limits(weight, activation) if product is Product.LMUL_FIELD_CLAMPED else None
    mantissa_bits = weight.mantissa_bits, activation.mantissa_bits
    return lmul_product(weight.largest_integer, activation.largest_integer, mantissa_bits, product, limits)


def lmul_notes(weight: MiniFloat, activation: MiniFloat) -> tuple[str, ...]:
    """What is extrapolated, in words: always that aligner and L-Mul were measured apart, and formats without a row."""
    pair = f"{weight} x {activation}"
    splits = {(row["exponent"], row["mantissa"]) for row in family_rows(MEASURED_FAMILY)}
    same = (weight.exponent_bits, weight.mantissa_bits) == (activation.exponent_bits, activation.mantissa_bits)
    if same and (weight.exponent_bits, weight.mantissa_bits) in splits:
        return (f"lane l-mul {pair}: measured L-Mul and fitted aligner, never measured together",)
    return (f"lane l-mul {pair}: L-Mul fitted over measured formats, aligner fitted; never measured together",)


@lru_cache(maxsize=1)
def lmul_lane_error() -> float:
    """One standard deviation of a lane's relative error: of L-Mul, each row left out in turn, or of the aligner.

    The larger of both: lane and aligner were never measured together.
    """
    rows = family_rows(MEASURED_FAMILY)
    estimates = []
    for row in rows:
        coefficients = _fit(tuple(other for other in rows if other is not row))
        estimates.append(_estimate(coefficients, row["exponent"], row["mantissa"]))
    return max(relative_spread(estimates, [row.luts for row in rows]), minifloat_lane_error())


def _estimate(coefficients: tuple[float, ...], exponent_bits: int, mantissa_bits: int) -> float:
    constant, per_exponent_bit, per_mantissa_bit = coefficients
    return constant + per_exponent_bit * exponent_bits + per_mantissa_bit * mantissa_bits


def _fit(rows: tuple[UnitRow, ...]) -> tuple[float, ...]:
    features = [[1.0, row["exponent"], row["mantissa"]] for row in rows]
    measured = [row.luts for row in rows]
    return relative_least_squares(features, measured, wholes=measured)
