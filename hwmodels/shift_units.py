"""Multiplication by powers of two and by sums of them: shifters instead of multipliers.

A term that is one of n powers of two moves its operand to one of n places, negates it, or clears it. The measured units
have exponents 0 to ``2**k - 1``; terms whose exponents lie further apart (additive powers of two) need the same
multiplexers over a wider range of places. Sums of terms are added by the measured adders.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rows import family_rows, relative_least_squares, relative_spread
from hwmodels.units import adder_tree

if TYPE_CHECKING:
    from emulation.formats import KHot
    from hwmodels.rows import UnitRow

MEASURED_FAMILY: Final = "power-of-two multiplier"


def place_cells(bits: int, exponents: tuple[int, ...]) -> float:
    """LUTs of the multiplexers that move ``bits`` bits to one of the places ``exponents``, before the fit.

    Structure: two binary digits of the place's number are one four-to-one multiplexer, a LUT a bit; a last odd digit is
    half a LUT a bit; a stage is only as wide as its number can have grown.

    >>> place_cells(8, (0, 1, 2, 3)), place_cells(8, (0, 2, 4, 6))
    (11.0, 14.0)
    """
    low, high = min(exponents), max(exponents)
    stride = math.gcd(*(exponent - low for exponent in exponents)) or 1
    digits = ((high - low) // stride).bit_length()
    full = bits + high - low
    cells = 0.0
    for digit in range(0, digits - 1, 2):
        cells += min(full, bits + stride * ((4 << digit) - 1))
    return cells + (full / 2 if digits % 2 else 0.0)


def power_of_two_luts(bits: int, exponents: tuple[int, ...]) -> float:
    """LUTs of one term: an operand of ``bits`` bits times plus or minus one of these powers of two, or 0.

    One coefficient on `place_cells`, fitted on the measured units, whose sign and zero it contains. A term of a single
    power only negates or clears: half a LUT a bit (two bits in a dual-output LUT, UG474).
    """
    if len(set(exponents)) == 1:
        return bits / 2
    return max(bits / 2, _factor() * place_cells(bits, exponents))


def terms_luts(number_format: KHot, bits: int) -> float:
    """LUTs of an operand of ``bits`` bits times a sum of powers of two: its terms and the adders that join them."""
    products = sum(power_of_two_luts(bits, term) for term in number_format.terms)
    widest = bits + max(exponent for term in number_format.terms for exponent in term) + 1
    return products + adder_tree(len(number_format.terms), widest)[0]


def measured_power_of_two(row: UnitRow) -> float:
    """The estimate of a measured power-of-two multiplier."""
    return power_of_two_luts(row["width"], tuple(range(1 << row["exponent"])))


@lru_cache(maxsize=1)
def shift_lane_error() -> float:
    """One standard deviation of a term's relative error, each measured row estimated by a fit on the others."""
    rows = family_rows(MEASURED_FAMILY)
    estimates = [
        _fit(tuple(other for other in rows if other is not row)) * place_cells(row["width"], _exponents(row))
        for row in rows
    ]
    return relative_spread(estimates, [row.luts for row in rows])


def shift_notes(number_format: KHot, bits: int) -> tuple[str, ...]:
    """What is extrapolated in `terms_luts` for this format, in words; empty inside the measured range."""
    rows = family_rows(MEASURED_FAMILY)
    widths, places = [row["width"] for row in rows], [1 << row["exponent"] for row in rows]
    single = len(number_format.terms) == 1
    exponents = number_format.terms[0]
    dense = max(exponents) - min(exponents) + 1 == len(exponents)
    if single and dense and len(exponents) <= max(places) and min(widths) <= bits <= max(widths):
        return ()
    measured = f"one term of up to {max(places)} places over {min(widths)} to {max(widths)} bits"
    return (f"lane {number_format} x {bits} bits: outside the measured {measured}",)


def _exponents(row: UnitRow) -> tuple[int, ...]:
    return tuple(range(1 << row["exponent"]))


@lru_cache(maxsize=1)
def _factor() -> float:
    return _fit(family_rows(MEASURED_FAMILY))


def _fit(rows: tuple[UnitRow, ...]) -> float:
    measured = [row.luts for row in rows]
    features = [[place_cells(row["width"], _exponents(row))] for row in rows]
    return relative_least_squares(features, measured, wholes=measured)[0]
