"""LUTs that are counted from a unit's structure: features of cost models that few measured rows can tell apart.

A sum of counts with one coefficient extrapolates where a coefficient for each count would follow the noise of mapping.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from hwmodels.rtl.multipliers import multiplier_structure

GATE_INPUTS: Final = 5
"""Signals that two functions in one LUT6 may read together (UG474, UG574)."""
LUT_INPUTS: Final = 6
"""Inputs of a LUT6 (UG474, UG574)."""


def multiplier_luts(*, a: int, b: int, a_signed: int, b_signed: int) -> float:
    """Carry chains of a multiplier, or the gates of one by a single bit, two in a LUT.

    >>> multiplier_luts(a=4, b=4, a_signed=0, b_signed=0)
    15
    """
    found = multiplier_structure(a=a, b=b, a_signed=a_signed, b_signed=b_signed)
    if not found["row_bits"]:
        return found["single_row_bits"] / 2
    return found["row_bits"] + found["tree_bits"] - found["absorbed_bits"]


def field_luts(*exponent_bits: int) -> float:
    """Tests of exponent fields for 0: of each, two functions that read all of it.

    >>> field_luts(4, 4)
    3.2
    """
    return 2 * sum(exponent_bits) / GATE_INPUTS


def chosen_luts(bits: int, reserved: int = 0) -> float:
    """A result that is 0, saturated or neither, two bits in a LUT; a largest code is compared if not all ones.

    >>> chosen_luts(7, reserved=1)
    4.9
    """
    return bits / 2 + (bits / GATE_INPUTS if reserved else 0.0)


def or_luts(inputs: int) -> int:
    """LUTs of the OR of so many bits, mapped as the balanced tree of pairs that logic optimisation makes of it.

    Where the LUTs at the ends of two halves read few enough signals together they are one; else one of them takes the
    other as an input while it has one left.

    >>> [or_luts(inputs) for inputs in (1, 4, 8, 16, 32)]
    [0, 1, 2, 4, 9]
    """
    return _or_tree(inputs)[0] if inputs > 1 else 0


@lru_cache(maxsize=1 << 10)
def _or_tree(inputs: int) -> tuple[int, int]:
    """LUTs of an OR, and the inputs that its last LUT reads; a single bit is a LUT that has yet to be joined."""
    if inputs == 1:
        return 1, 1
    (some, read), (others, also_read) = _or_tree(inputs // 2), _or_tree(inputs - inputs // 2)
    if read + also_read <= LUT_INPUTS:
        return some + others - 1, read + also_read
    single = min(read, also_read)
    if single < LUT_INPUTS:
        return some + others, single + 1
    return some + others + 1, 2
