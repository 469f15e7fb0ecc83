"""Casts to listed levels: the nearest one, midpoints to the smaller magnitude (DESIGN section 6, rule 10).

Between levels of one sign the smaller magnitude is the one nearer to 0; the midpoint of ``-a`` and ``a`` goes to ``a``.
Midpoints are compared exactly: doubled levels with doubled numbers.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def cast_to_levels(
    values: NDArray[Any], units: NDArray[np.float64], levels: Sequence[NDArray[Any]]
) -> NDArray[np.float64]:
    """Cast real numbers to levels.

    As everywhere, the quotient ``value / unit`` is rounded once, by IEEE 754 division; what follows is exact.

    Args:
        values: finite float32 or float64, any shape.
        units: one unit, or one per entry of axis 0; all > 0.
        levels: for all values, or per entry of axis 0: levels ascending, below 2**52 in magnitude.

    Returns:
        float64 of the same shape.

    Raises:
        ValueError: if a value is NaN or the units do not fit the values.

    >>> cast_to_levels(np.array([2.9, 3.0, 3.1, -3.0, 99.0]), np.ones(1), [np.array([-4, -2, 0, 2, 4])])
    array([ 2.,  2.,  4., -2.,  4.])
    """
    if np.isnan(values).any():
        raise ValueError(
            f"{int(np.isnan(values).sum())} of {values.size} values are NaN: a format here has no code for NaN"
        )
    rows = values.shape[0] if values.ndim else 1
    if units.size not in (1, rows) or len(levels) not in (1, rows) or not np.all(units > 0):
        raise ValueError(
            f"{units.size} units from {units.min(initial=np.inf)} to {units.max(initial=-np.inf)} and {len(levels)} "
            f"sets of levels for values of shape {values.shape}: one, or one per entry of axis 0, is needed, each unit "
            "above 0"
        )
    shape = (-1,) + (1,) * (values.ndim - 1)
    quotients = np.asarray(values, dtype=np.float64) / (units.reshape(shape) if units.size > 1 else units[0])
    if len(levels) == 1:
        return _nearest(quotients, levels[0])
    return np.stack([_nearest(row, own) for row, own in zip(quotients, levels, strict=True)])


def _nearest(quotients: NDArray[np.float64], levels: NDArray[Any]) -> NDArray[np.float64]:
    ordered = np.asarray(levels, dtype=np.float64)
    middles = (ordered[1:] + ordered[:-1]) / 2
    # Passed by numbers above them, and, where the upper level is the smaller in magnitude, by themselves.
    lower, upper = middles[middles <= 0], middles[middles > 0]
    passed = np.searchsorted(lower, quotients, side="right") + np.searchsorted(upper, quotients, side="left")
    result: NDArray[np.float64] = ordered[passed]
    return result


def level_thresholds(levels: Sequence[int], shift: int) -> tuple[tuple[int, ...], int]:
    """The integers that a product ``n`` has to exceed to pass from one level to the next.

    ``n * 2**-shift`` lies on the level number ``count(2 * n * 2**grown > threshold)``.

    Args:
        levels: ascending integers.
        shift: any integer.

    Returns:
        The thresholds, and ``grown``: how many bits to shift n left first (for a negative shift, else 0).

    >>> level_thresholds((-4, -1, 0, 2), 1)
    ((-11, -3, 4), 0)
    """
    grown = max(-shift, 0)
    sums = [(low + high) << max(shift, 0) for low, high in itertools.pairwise(levels)]
    return tuple(value - 1 if value <= 0 else value for value in sums), grown
