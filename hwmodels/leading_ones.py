"""The leading one of the largest magnitude of a block, from which its shared exponent follows."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rows import family_rows, relative_least_squares, relative_spread

if TYPE_CHECKING:
    from hwmodels.rows import UnitRow

MEASURED_FAMILY: Final = "block leading one"


def leading_one_luts(lanes: int, bits: int) -> float:
    """LUTs that OR the magnitudes of ``lanes`` numbers of ``bits`` bits and find the leading one.

    Linear in the bits of all lanes and in the lanes, fitted on the measured units. Fewer lanes keep a running OR, which
    takes another LUT a bit for every lane beside it.
    """
    per_bit, per_lane = _fit()
    return max(per_bit * (lanes + 1) * bits + per_lane * (lanes + 1), float(bits))


def measured_leading_one(row: UnitRow) -> float:
    """The estimate of a measured unit, which keeps nothing between cycles."""
    per_bit, per_lane = _fit()
    return per_bit * row["lanes"] * row["width"] + per_lane * row["lanes"]


def leading_one_notes(lanes: int, bits: int) -> tuple[str, ...]:
    """What is extrapolated in `leading_one_luts`, in words; empty inside the measured range."""
    rows = family_rows(MEASURED_FAMILY)
    fewest, most = min(row["lanes"] for row in rows), max(row["lanes"] for row in rows)
    narrow, wide = min(row["width"] for row in rows), max(row["width"] for row in rows)
    if fewest <= lanes <= most and narrow <= bits <= wide:
        return ()
    measured = f"{fewest} to {most} of {narrow} to {wide} bits"
    return (f"leading one of {lanes} x {bits} bits: outside the measured {measured}",)


@lru_cache(maxsize=1)
def leading_one_error() -> float:
    """One standard deviation of the relative error over the measured units."""
    rows = family_rows(MEASURED_FAMILY)
    return relative_spread([measured_leading_one(row) for row in rows], [row.luts for row in rows])


@lru_cache(maxsize=1)
def _fit() -> tuple[float, ...]:
    rows = family_rows(MEASURED_FAMILY)
    features = [[row["lanes"] * row["width"], row["lanes"]] for row in rows]
    measured = [row.luts for row in rows]
    return relative_least_squares(features, measured, wholes=measured)
