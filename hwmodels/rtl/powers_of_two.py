"""Multiplication by powers of two and by sums of them: shifters in place of multipliers.

A term of a code is a sign and a number: 0 is an absent term, number n is ``2**(n - 1)`` (`emulation.formats.KHot`). An
absent term clears the operand before it is moved, by the place 0 that the number itself is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.alignment import align
from hwmodels.rtl.lanes import lane_adder_bits, lane_sum, lane_term
from hwmodels.rtl.signals import Signal, operand
from hwmodels.rtl.signed_sums import Term, signed_tree, sum_bits
from hwmodels.rtl.unit import inputs, outputs, render

if TYPE_CHECKING:
    from hwmodels.rtl.alignment import Alignment
    from hwmodels.rtl.signed_sums import SignedSum
    from hwmodels.rtl.unit import Unit

POWER_MULTIPLIER: Final = "power-of-two multiplier"
POWER_LANE: Final = "power-of-two lane"
POWER_DOT: Final = "power-of-two dot product"
K_HOT_MULTIPLIER: Final = "k-hot multiplier"
MAXIMUM_BITS: Final = 64
MAXIMUM_PLACES: Final = 31
MAXIMUM_TERMS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The operand, what is moved (it or its negation, cleared if the term is absent), and the product's range."""

    x: Signal
    cleared: Signal
    value: Signal
    alignment: Alignment
    low: int
    high: int


def power_multiplier(*, width: int, places: int, x_signed: int = 1) -> Unit:
    """An integer times a sign and a power of two, or times 0; combinational.

    The operand is negated and cleared in one chain, then moved. The code has the sign above the number of the power.

    Args:
        width: bits of the integer, 1 to 64.
        places: powers ``2**0`` to ``2**(places - 1)``, 1 to 31.
        x_signed: 1 if the integer is two's complement, else 0.

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in power_multiplier(width=8, places=7).ports]
    [('x', 8), ('code', 4), ('p', 15)]
    """
    plan = _plan(width, places, x_signed, 1)
    return render(
        "power_multiplier.v",
        family=POWER_MULTIPLIER,
        parameters={"width": width, "places": places, "x_signed": int(bool(x_signed))},
        ports=(
            *inputs(signed=plan.x.signed, x=width),
            *inputs(code=1 + places.bit_length()),
            *outputs(signed=True, p=Signal(name="p", low=plan.low, high=plan.high).width),
        ),
        plan=plan,
        bits=places.bit_length(),
    )


@lru_cache(maxsize=1 << 14)
def power_multiplier_structure(*, width: int, places: int, x_signed: int = 1) -> dict[str, float]:
    """LUTs of the negation and of the multiplexers.

    >>> power_multiplier_structure(width=8, places=3)["arithmetic_luts"]
    9
    """
    plan = _plan(width, places, x_signed, 1)
    return {"arithmetic_luts": plan.value.width, "multiplexer_luts": plan.alignment.kinds.luts}


def power_lane(*, width: int, places: int, x_signed: int = 1, exact: int = 0) -> Unit:
    """The product of `power_multiplier` as a term of a sum, ``term + carry``; combinational.

    Args:
        width: bits of the integer, port ``a``.
        places: of the code, port ``b``.
        x_signed: 1 if the integer is two's complement, else 0.
        exact: 1 if the term is the product, without a carry beside it.

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in power_lane(width=8, places=7).ports]
    [('a', 8), ('b', 4), ('term', 15), ('carry', 1)]
    """
    exact = int(bool(exact))
    plan = _plan(width, places, x_signed, 0)
    part = power_multiplier(width=width, places=places, x_signed=x_signed)
    bits = lane_term(plan.low, plan.high, carries=not exact).width
    return render(
        "power_lane.v",
        family=POWER_LANE,
        parameters={"width": width, "places": places, "x_signed": int(bool(x_signed)), "exact": exact},
        ports=(
            *inputs(signed=plan.x.signed, a=width),
            *inputs(b=1 + places.bit_length()),
            *outputs(signed=True, term=bits),
            *(() if exact else outputs(carry=1)),
        ),
        parts=(part,) if exact else (),
        part=part,
        plan=plan,
        bits=places.bit_length(),
        term_bits=bits,
    )


@lru_cache(maxsize=1 << 14)
def power_lane_structure(*, width: int, places: int, x_signed: int = 1, exact: int = 0) -> dict[str, float]:
    """LUTs of inner multiplexers and of a negation, of all multiplexers, and columns of the last that read one bit.

    >>> power_lane_structure(width=8, places=7)
    {'inner_luts': 11, 'multiplexer_cells': 17.0, 'single_columns': 4}
    """
    plan = _plan(width, places, x_signed, exact)
    return {
        "inner_luts": plan.alignment.inner_columns + (plan.value.width if exact else 0),
        "multiplexer_cells": plan.alignment.cells,
        "single_columns": plan.alignment.single_columns,
    }


def power_dot(*, lanes: int, width: int, places: int, x_signed: int = 1, accumulator: int = 0, bias: int = 0) -> Unit:
    """Integers times powers of two, ``lanes`` at once, summed exactly, and added up over cycles if asked.

    Ports and registers as `hwmodels.rtl.lanes.minifloat_dot`; the codes are the second operands.

    Args:
        lanes: products at once, 1 to 1024.
        width: bits of the integers.
        places: of the codes.
        x_signed: 1 if the integers are two's complement, else 0.
        accumulator: bits of the register, up to 2048; 0 for none.
        bias: 1 if sums start from an input.

    Raises:
        ValueError: if a number is out of range, or there is a bias without an accumulator.

    >>> power_dot(lanes=4, width=8, places=7, accumulator=24).latency
    1
    """
    x_signed = int(bool(x_signed))
    plan = _plan(width, places, x_signed, 0)
    shape = {"width": width, "places": places, "x_signed": x_signed}
    return lane_sum(
        POWER_DOT,
        {"lanes": lanes, **shape, "accumulator": accumulator, "bias": bias},
        part=power_lane(**shape),
        exact_part=power_lane(**shape, exact=1),
        low=plan.low,
        high=plan.high,
    )


@lru_cache(maxsize=1 << 14)
def power_dot_structure(
    *, lanes: int, width: int, places: int, x_signed: int = 1, accumulator: int = 0, bias: int = 0
) -> dict[str, float]:
    """Bits of the tree's adders and of the accumulator, and of that alone; LUTs of multiplexers; registers.

    >>> found = power_dot_structure(lanes=4, width=8, places=7, accumulator=24)
    >>> found["adder_bits"], found["register_bits"]
    (76, 24)
    """
    del bias  # shares the adder's LUTs
    plan = _plan(width, places, x_signed, 0)
    return {
        "adder_bits": lane_adder_bits(lanes, plan.low, plan.high, accumulator=accumulator, carries=True),
        "accumulator_bits": accumulator,
        "multiplexer_luts": lanes * plan.alignment.kinds.luts,
        "register_bits": accumulator,
    }


def k_hot_multiplier(*, width: int, terms: int, places: int, x_signed: int = 1) -> Unit:
    """An integer times a sum of signed powers of two; combinational.

    The code holds the terms, the first one highest, each with its sign above its number. The first term is a
    `power_multiplier`; the others are complemented in the adders that join them.

    Args:
        width: bits of the integer, 1 to 64.
        terms: powers in a sum, 2 to 8.
        places: powers ``2**0`` to ``2**(places - 1)``, 1 to 31, the same for all terms.
        x_signed: 1 if the integer is two's complement, else 0.

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in k_hot_multiplier(width=8, terms=2, places=8).ports]
    [('x', 8), ('code', 10), ('p', 17)]
    """
    x_signed = int(bool(x_signed))
    sums, total = _k_hot_tree(width, terms, places, x_signed)
    first = power_multiplier(width=width, places=places, x_signed=x_signed)
    other = power_lane(width=width, places=places, x_signed=x_signed)
    plan = _plan(width, places, x_signed, 0)
    return render(
        "k_hot_multiplier.v",
        family=K_HOT_MULTIPLIER,
        parameters={"width": width, "terms": terms, "places": places, "x_signed": x_signed},
        ports=(
            *inputs(signed=plan.x.signed, x=width),
            *inputs(code=terms * (1 + places.bit_length())),
            *outputs(signed=True, p=total.value.width),
        ),
        parts=(first, other),
        first=first,
        other=other,
        products=_k_hot_terms(terms, plan),
        sums=sums,
        total=total,
        bits=1 + places.bit_length(),
    )


@lru_cache(maxsize=1 << 14)
def k_hot_multiplier_structure(*, width: int, terms: int, places: int, x_signed: int = 1) -> dict[str, float]:
    """Bits of the adders and of the first term's negation, and LUTs of the multiplexers.

    >>> found = k_hot_multiplier_structure(width=8, terms=2, places=8)
    >>> found["adder_bits"], found["negated_bits"]
    (18, 9)
    """
    plan = _plan(width, places, x_signed, 1)
    sums, _ = _k_hot_tree(width, terms, places, x_signed)
    return {
        "adder_bits": sum_bits(sums),
        "negated_bits": plan.value.width,
        "multiplexer_luts": terms * _plan(width, places, x_signed, 0).alignment.kinds.luts,
    }


def _k_hot_terms(terms: int, plan: _Plan) -> list[Term]:
    first = Signal(name="product0", low=plan.low, high=plan.high)
    return [
        Term.plain(first),
        *(
            Term(
                value=Signal(name=f"product{index}", low=plan.low - 1, high=plan.high),
                low=plan.low,
                high=plan.high,
                carry=f"carry{index}",
            )
            for index in range(1, terms)
        ),
    ]


@lru_cache(maxsize=1 << 12)
def _k_hot_tree(width: int, terms: int, places: int, x_signed: int) -> tuple[tuple[SignedSum, ...], Term]:
    if not 2 <= terms <= MAXIMUM_TERMS:
        raise ValueError(f"a K-hot multiplier has 2 to {MAXIMUM_TERMS} terms, got {terms}")
    sums, total = signed_tree("sum", _k_hot_terms(terms, _plan(width, places, x_signed, 0)))
    return tuple(sums), total


@lru_cache(maxsize=1 << 12)
def _plan(width: int, places: int, x_signed: int, negated: int) -> _Plan:
    if not 1 <= width <= MAXIMUM_BITS:
        raise ValueError(f"a shifter in place of a multiplier takes integers of 1 to {MAXIMUM_BITS} bits, got {width}")
    if not 1 <= places <= MAXIMUM_PLACES:
        raise ValueError(f"a code of powers of two has 1 to {MAXIMUM_PLACES} places, got {places}")
    x = operand("x", width, signed=bool(x_signed))
    most = max(-x.low, x.high)
    cleared = Signal(name="cleared", low=x.low, high=x.high)
    value = Signal(name="value", low=-most, high=most) if negated else cleared
    alignment = align(value, "number", most=places, first=1)
    reach = most << places - 1
    return _Plan(x=x, cleared=cleared, value=value, alignment=alignment, low=-reach, high=reach)
