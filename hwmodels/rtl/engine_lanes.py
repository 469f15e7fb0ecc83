"""The lane of an engine with multipliers in LUTs: which unit multiplies two codes, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from hwmodels.rtl.lanes import MINIFLOAT_LANE, lane_term, minifloat_lane
from hwmodels.rtl.lmul import LMUL_LANE, Kind, lmul_lane
from hwmodels.rtl.minifloats import pair
from hwmodels.rtl.multipliers import MULTIPLIER, multiplier
from hwmodels.rtl.powers_of_two import POWER_LANE, power_lane

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hwmodels.rtl.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The unit that multiplies.

    Attributes:
        family: of the unit; its operand ``a`` is the activation, ``b`` the weight.
        parameters: of the unit.
        term_bits: of the term it makes, two's complement.
        carries: whether a bit beside the term is to be added to it.
        result: the port of the term.
    """

    family: str
    parameters: Mapping[str, int]
    term_bits: int
    carries: bool
    result: str


@lru_cache(maxsize=1 << 12)
def lane(
    *,
    weight_bits: int,
    activation_bits: int,
    activation_signed: int,
    weight_exponent: int,
    activation_exponent: int,
    weight_places: int,
    lmul: int = 0,
) -> Lane:
    """The lane of a pair of formats.

    Args:
        weight_bits: of a weight's code.
        activation_bits: of an activation's code.
        activation_signed: 1 if activations are two's complement, 0 if they are unsigned.
        weight_exponent: exponent bits of a minifloat weight, 0 for an integer.
        activation_exponent: the same of an activation.
        weight_places: powers of two of a weight that is one, else 0.
        lmul: 1 or 2 if minifloats are multiplied by the addition of their fields or by the formula of L-Mul, else 0.

    Raises:
        ValueError: if there is no lane for the pair.

    >>> lane(weight_bits=8, activation_bits=8, activation_signed=1, weight_exponent=4, activation_exponent=4,
    ...     weight_places=0).term_bits
    37
    """
    if lmul:
        return _lmul(lmul, weight_bits, activation_bits, weight_exponent, activation_exponent)
    if weight_places:
        if activation_exponent or weight_exponent or weight_bits != 1 + weight_places.bit_length():
            raise ValueError(
                f"powers of two of {weight_places} places have {1 + weight_places.bit_length()} bits and multiply "
                f"integers, got {weight_bits} bits, exponent bits {weight_exponent} and {activation_exponent}"
            )
        shape = {"width": activation_bits, "places": weight_places, "x_signed": activation_signed}
        reach = max(1 << activation_bits - 1, ((1 << activation_bits) - 1) * (not activation_signed))
        bits = lane_term(-(reach << weight_places - 1), reach << weight_places - 1, carries=True).width
        return Lane(family=POWER_LANE, parameters={**shape, "exact": 0}, term_bits=bits, carries=True, result="term")
    if weight_exponent or activation_exponent:
        if not activation_exponent and not activation_signed:
            raise ValueError(
                f"minifloat weights multiply minifloats and two's complement integers, got unsigned activations of "
                f"{activation_bits} bits: use a signed format"
            )
        widths = {
            "e_a": activation_exponent,
            "m_a": activation_bits - 1 - activation_exponent,
            "e_b": weight_exponent,
            "m_b": weight_bits - 1 - weight_exponent,
        }
        found = pair(*widths.values())
        bits = lane_term(found.low, found.high, carries=True).width
        return Lane(
            family=MINIFLOAT_LANE, parameters={**widths, "exact": 0}, term_bits=bits, carries=True, result="term"
        )
    operands = {"a": activation_bits, "b": weight_bits, "a_signed": activation_signed, "b_signed": 1}
    return Lane(
        family=MULTIPLIER,
        parameters=operands,
        term_bits=weight_bits + activation_bits,
        carries=False,
        result="p",
    )


def _lmul(lmul: int, weight_bits: int, activation_bits: int, weight_exponent: int, activation_exponent: int) -> Lane:
    kind = {1: Kind.FIELD, 2: Kind.FORMULA}.get(lmul)
    if kind is None or not (weight_exponent and activation_exponent):
        raise ValueError(
            f"L-Mul 1 (field) or 2 (formula) multiplies minifloats, got {lmul} with exponent bits {weight_exponent} "
            f"and {activation_exponent}"
        )
    widths = {
        "kind": int(kind),
        "e_a": activation_exponent,
        "m_a": activation_bits - 1 - activation_exponent,
        "e_b": weight_exponent,
        "m_b": weight_bits - 1 - weight_exponent,
    }
    term = next(port.width for port in lmul_lane(**widths).ports if port.name == "term")
    return Lane(family=LMUL_LANE, parameters=widths, term_bits=term, carries=True, result="term")


def lane_unit(found: Lane) -> Unit:
    """The unit of a lane."""
    generators: dict[str, Callable[..., Unit]] = {
        MULTIPLIER: multiplier,
        MINIFLOAT_LANE: minifloat_lane,
        POWER_LANE: power_lane,
        LMUL_LANE: lmul_lane,
    }
    return generators[found.family](**found.parameters)
