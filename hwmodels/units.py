"""Integer units in LUTs: multipliers, adder trees, multiply-accumulate lanes, shifters, requantisers.

Every figure is fitted, at first use, on the committed rows of `hwmodels.rows`, or is a count of the structure that
those rows confirm. LUTs are real numbers here and are rounded up where a `Cost` is made. An unsigned operand of width W
counts like a signed one of width W: the rows are signed, and the sign only inverts bits of the last partial product.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rows import family_rows, published_fit, relative_least_squares

if TYPE_CHECKING:
    from hwmodels.rows import UnitRow


@lru_cache(maxsize=1 << 14)
def multiplier_luts(first_bits: int, second_bits: int) -> float:
    """LUTs of a signed multiplier of rows of partial products.

    From 3 to 16 bits the published parity fit, above it the published structural fit, which extrapolates best. With a
    2-bit operand one row of ``a + 1`` LUTs is all there is; with one bit it is an AND gate, two in a dual-output LUT.

    Raises:
        ValueError: if a width is below 1.

    >>> round(multiplier_luts(8, 8))
    65
    """
    wide, narrow = max(first_bits, second_bits), min(first_bits, second_bits)
    if narrow < 1:
        raise ValueError(f"a multiplier needs operands of at least 1 bit, got {first_bits} x {second_bits}")
    if narrow == 1:
        return math.ceil(wide / 2)
    if narrow == 2:
        return wide + 1
    parity = published_fit("multiplier by parity")
    if wide <= parity.highest_bits:
        c = parity.coefficients
        odd = narrow % 2
        return c["a*b"] * wide * narrow + c["a"] * wide + c["b"] * narrow + c["b odd"] * odd + c["1"]
    c = published_fit("multiplier by structure").coefficients
    rows = math.ceil(narrow / 2)
    return (
        c["(a+1)*floor(b/2)"] * (wide + 1) * (narrow // 2)
        + c["a if b odd"] * wide * (narrow % 2)
        + c["a*(k-1), k=ceil(b/2)"] * wide * (rows - 1)
        + c["b*(k-1)/2"] * narrow * (rows - 1) / 2
        + c["1"]
    )


def multiplier_notes(first_bits: int, second_bits: int) -> tuple[str, ...]:
    """What is extrapolated in `multiplier_luts` for these widths, in words; empty inside the measured range."""
    fit = published_fit("multiplier by parity")
    wide, narrow = max(first_bits, second_bits), min(first_bits, second_bits)
    if narrow >= fit.lowest_bits and wide <= fit.highest_bits:
        return ()
    return (f"multiplier {wide}x{narrow}: outside the measured {fit.lowest_bits} to {fit.highest_bits} bits",)


@lru_cache(maxsize=1 << 14)
def adder_tree(operands: int, bits: int, most: int | None = None) -> tuple[int, int, int]:
    """LUTs, register bits after all levels, and levels of a tree that adds ``operands`` numbers of ``bits`` bits.

    An adder of two W-bit numbers takes W LUTs (measured for 8, 16 and 32 bits) and makes W + 1 bits, of which no more
    than ``most`` are kept (sums that wrap).

    >>> adder_tree(8, 16)
    (116, 123, 3)
    """
    luts = registers = levels = 0
    bits = bits if most is None else min(bits, most)
    while operands > 1:
        pairs, odd = divmod(operands, 2)
        luts += pairs * bits
        bits = bits + 1 if most is None else min(bits + 1, most)
        operands = pairs + odd
        registers += operands * bits
        levels += 1
    return luts, registers, levels


@lru_cache(maxsize=1)
def lane_correction() -> float:
    """LUTs a lane of a dot product takes beyond its multiplier and its share of the tree (below 0: low bits pass free).

    Least squares over the measured multiply-accumulates and dot products.
    """
    rows = fixed_lane_rows()
    known = [_uncorrected_lane_luts(row) for row in rows]
    wholes = [row.luts for row in rows]
    rest = [whole - estimate for whole, estimate in zip(wholes, known, strict=True)]
    return relative_least_squares([[_lanes(row)] for row in rows], rest, wholes=wholes)[0]


@lru_cache(maxsize=1)
def requantiser_round_luts_per_bit() -> float:
    """LUTs per accumulator bit of rounding and of finding overflow, beyond multiplication and output multiplexers."""
    rows = family_rows("requantiser")
    rest = [
        row.luts - multiplier_luts(row["accumulator"], row["multiplier"]) - SATURATE_LUTS_PER_BIT * row["output"]
        for row in rows
    ]
    features = [[row["accumulator"]] for row in rows]
    return relative_least_squares(features, rest, wholes=[row.luts for row in rows])[0]


SATURATE_LUTS_PER_BIT: Final = 0.5
"""Choosing the value or a bound takes three inputs a bit, two of them shared: two bits in a dual-output LUT (UG474)."""


def requantiser_luts(accumulator_bits: int, multiplier_bits: int, output_bits: int) -> float:
    """LUTs of a whole requantiser with a constant shift, as measured: multiply, shift, round, saturate."""
    return (
        multiplier_luts(accumulator_bits, multiplier_bits)
        + requantiser_round_luts_per_bit() * accumulator_bits
        + SATURATE_LUTS_PER_BIT * output_bits
    )


def requantiser_notes(accumulator_bits: int, multiplier_bits: int) -> tuple[str, ...]:
    """What is extrapolated in `requantiser_luts` for these widths, in words; empty inside the measured range."""
    rows = family_rows("requantiser")
    widest = max(row["accumulator"] for row in rows), max(row["multiplier"] for row in rows)
    inside = accumulator_bits <= widest[0] and multiplier_bits <= widest[1]
    if inside and min(accumulator_bits, multiplier_bits) >= published_fit("multiplier by parity").lowest_bits:
        return ()
    measured = f"outside the measured 3 to {widest[0]} by 3 to {widest[1]} bits"
    return (f"requantiser {accumulator_bits}x{multiplier_bits}: {measured}",)


def shifter_luts(bits: int, amount_bits: int) -> float:
    """LUTs of a barrel shifter of ``bits`` bits by 0 to ``2**amount_bits - 1``: half a LUT a bit and stage, fitted."""
    return _shifter_factor() * bits * amount_bits / 2


@lru_cache(maxsize=1)
def _shifter_factor() -> float:
    rows = family_rows("shifter")
    measured = [row.luts for row in rows]
    features = [[row["width"] * row["amount_bits"] / 2] for row in rows]
    return relative_least_squares(features, measured, wholes=measured)[0]


def fixed_lane_rows() -> tuple[UnitRow, ...]:
    """The measured multiply-accumulates (one lane) and dot products (several)."""
    return family_rows("multiply-accumulate") + family_rows("dot product")


def fixed_lane_luts(row: UnitRow) -> float:
    """The composed estimate of one of `fixed_lane_rows`: multipliers, tree, accumulator."""
    return _uncorrected_lane_luts(row) + _lanes(row) * lane_correction()


def _lanes(row: UnitRow) -> int:
    return row.parameters.get("lanes", 1)


def _uncorrected_lane_luts(row: UnitRow) -> float:
    tree, _, _ = adder_tree(_lanes(row), row["a"] + row["b"])
    return _lanes(row) * multiplier_luts(row["a"], row["b"]) + tree + row.parameters.get("accumulator", 0)
