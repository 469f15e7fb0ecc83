"""LUTs that are counted from a unit's structure: features of cost models that few measured rows can tell apart.

A sum of counts with one coefficient extrapolates where a coefficient for each count would follow the noise of mapping.
"""

from __future__ import annotations

from typing import Final

from hwmodels.rtl.multipliers import multiplier_structure

GATE_INPUTS: Final = 5
"""Signals that two functions in one LUT6 may read together (UG474, UG574)."""


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
