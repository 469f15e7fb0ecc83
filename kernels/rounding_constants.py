"""Rounding without branches, for integers of arrays of any kind.

Dropping ``shift`` bits of x by a mode is ``(x + base + (even & x >> shift) + (negative & sign)) >> shift``, where the
sign is all ones below zero.
"""

from __future__ import annotations

from kernels.rounding import (
    CEILING,
    FLOOR,
    HALF_AWAY,
    HALF_DOWN,
    HALF_EVEN,
    HALF_TOWARD_ZERO,
    HALF_UP,
    TOWARD_ZERO,
)


def rounding_constants(shift: int, rounding: int) -> tuple[int, int, int]:
    """``base``, ``even`` and ``negative`` of a rounding that drops ``shift`` bits.

    Raises:
        ValueError: for a mode that is not deterministic or unknown.

    >>> rounding_constants(3, HALF_EVEN), rounding_constants(3, TOWARD_ZERO), rounding_constants(0, HALF_UP)
    ((3, 1, 0), (0, 0, 7), (0, 0, 0))
    """
    half, rest = (1 << shift) >> 1, (1 << shift) - 1
    constants = {
        FLOOR: (0, 0, 0),
        CEILING: (rest, 0, 0),
        TOWARD_ZERO: (0, 0, rest),
        HALF_UP: (half, 0, 0),
        HALF_DOWN: (half - 1, 0, 0),
        HALF_EVEN: (half - 1, 1, 0),
        HALF_AWAY: (half, 0, -1),
        HALF_TOWARD_ZERO: (half - 1, 0, 1),
    }
    if rounding not in constants:
        raise ValueError(f"rounding mode {rounding} is not for sums: one of {sorted(constants)} of kernels.rounding")
    return constants[rounding] if shift else (0, 0, 0)
