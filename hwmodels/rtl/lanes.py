"""Lanes: the product of two codes as one term of an exact sum, and the sums of several lanes.

A lane gives ``term + carry``: the product moved to its place as an integer, complemented if it is negative, and the bit
that completes the complement, which an adder behind it takes as its carry in (see `hwmodels.rtl.signed_sums`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.alignment import Alignment, align
from hwmodels.rtl.counted_luts import multiplier_luts
from hwmodels.rtl.minifloat_products import exact_product, exact_product_structure, significand_widths
from hwmodels.rtl.minifloats import Pair, pair
from hwmodels.rtl.signals import Signal
from hwmodels.rtl.signed_sums import SignedSum, Term, signed_tree, sum_bits
from hwmodels.rtl.unit import inputs, outputs, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

MINIFLOAT_LANE: Final = "minifloat lane"
MINIFLOAT_DOT: Final = "minifloat dot product"
MAXIMUM_LANES: Final = 1024
MAXIMUM_ACCUMULATOR: Final = 2048
CELL_SHARE: Final = 0.7
"""LUTs of an aligner in a sum, for each counted cell, beside a LUT for each bit of the adders.

Of 0.6 to 0.75 what errs least on 58 minifloat dot products left out of the fit (xcup, Yosys 0.70)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _LanePlan:
    """The product of a lane, negated if it must be, its alignment (None if nothing moves), and what comes out."""

    pair: Pair
    value: Signal
    alignment: Alignment | None
    moved: Signal


def minifloat_lane(*, e_a: int, m_a: int, e_b: int, m_b: int, exact: int = 0) -> Unit:
    """The exact product of two codes as an integer; combinational.

    ``term + carry`` counts in the product of the smallest numbers of both formats. There is no ``carry`` if both
    operands are integers, or if the lane is asked to negate the significand itself.

    Args:
        e_a: exponent bits of the first operand, 0 to 8; 0 for a two's complement integer.
        m_a: its mantissa bits, 0 to 23.
        e_b: exponent bits of the second operand.
        m_b: its mantissa bits.
        exact: 1 if the term is the product, without a carry beside it.

    Raises:
        ValueError: if a width is out of range.

    >>> [(port.name, port.width) for port in minifloat_lane(e_a=4, m_a=3, e_b=4, m_b=3).ports]
    [('a', 8), ('b', 8), ('term', 37), ('carry', 1)]
    """
    exact = int(bool(exact))
    plan = _lane_plan(e_a, m_a, e_b, m_b, exact)
    part = exact_product(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    carries = plan.pair.has_sign and not exact
    width = lane_term(plan.pair.low, plan.pair.high, carries=carries).width
    return render(
        "minifloat_lane.v",
        family=MINIFLOAT_LANE,
        parameters={"e_a": e_a, "m_a": m_a, "e_b": e_b, "m_b": m_b, "exact": exact},
        ports=(
            *(inputs(signed=one.is_integer, **{one.name: one.width})[0] for one in (plan.pair.a, plan.pair.b)),
            *outputs(signed=True, term=width),
            *(outputs(carry=1) if carries else ()),
        ),
        parts=(part,),
        part=part,
        plan=plan,
        carries=carries,
        width=width,
    )


def lane_term(low: int, high: int, *, carries: bool) -> Signal:
    """The wire of a term whose product lies in a range; less its carry it may be one below it.

    >>> lane_term(-4, 3, carries=True).width
    4
    """
    return Signal(name="term", low=low - carries, high=high)


@lru_cache(maxsize=1 << 14)
def minifloat_lane_structure(*, e_a: int, m_a: int, e_b: int, m_b: int, exact: int = 0) -> dict[str, float]:
    """LUTs of product and negation, of the significands' multiplier again, and columns of the last multiplexer.

    Earlier multiplexers are as wide as the significand and what it has moved so far: they grow with it.

    >>> minifloat_lane_structure(e_a=2, m_a=1, e_b=2, m_b=1)
    {'arithmetic_luts': 6.6, 'significand_luts': 3, 'single_columns': 5, 'shared_columns': 3}
    """
    plan = _lane_plan(e_a, m_a, e_b, m_b, exact)
    sign = plan.pair.has_sign
    product = exact_product_structure(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)["arithmetic_luts"]
    return {
        "arithmetic_luts": product + (plan.pair.significand.width + 1 if sign and exact else 0),
        "significand_luts": multiplier_luts(**significand_widths(plan.pair)),
        "single_columns": plan.alignment.single_columns if plan.alignment else 0,
        "shared_columns": plan.alignment.shared_columns if plan.alignment else 0,
    }


@lru_cache(maxsize=1 << 12)
def _lane_plan(e_a: int, m_a: int, e_b: int, m_b: int, exact: int) -> _LanePlan:
    operands = pair(e_a, m_a, e_b, m_b)
    value = operands.significand
    if exact and operands.has_sign:
        most = max(-value.low, value.high)
        value = Signal(name="value", low=-most, high=most)
    if operands.largest_place == 0:
        return _LanePlan(pair=operands, value=value, alignment=None, moved=value)
    found = align(value, "place", most=operands.largest_place, first=operands.least_place)
    return _LanePlan(pair=operands, value=value, alignment=found, moved=found.result)


def minifloat_dot(*, lanes: int, e_a: int, m_a: int, e_b: int, m_b: int, accumulator: int = 0, bias: int = 0) -> Unit:
    """Exact products of ``lanes`` pairs of codes, summed exactly, and added up over cycles if asked (Kulisch).

    Lane 0 is in the lowest bits of the ports ``a`` and ``b``; sums count in the product of the smallest numbers of both
    formats. Without an accumulator the unit is combinational, and the sum is ``p``. With one, the output is
    the register ``sum``: in each cycle with ``enable`` it takes ``start`` plus the sum of the lanes, modulo
    ``2**accumulator``, where ``start`` is the old sum, or in a cycle with ``first`` the input ``bias`` (0 without).

    Args:
        lanes: products at once, 1 to 1024.
        e_a: exponent bits of first operands, 0 to 8; 0 for two's complement integers.
        m_a: their mantissa bits, 0 to 23.
        e_b: exponent bits of second operands.
        m_b: their mantissa bits.
        accumulator: bits of the register, up to 2048; 0 for none.
        bias: 1 if sums start from an input.

    Raises:
        ValueError: if a number is out of range, or there is a bias without an accumulator.

    >>> [(port.name, port.width) for port in minifloat_dot(lanes=4, e_a=2, m_a=1, e_b=2, m_b=1).ports]
    [('a', 16), ('b', 16), ('p', 11)]
    """
    operands = pair(e_a, m_a, e_b, m_b)
    return lane_sum(
        MINIFLOAT_DOT,
        {"lanes": lanes, "e_a": e_a, "m_a": m_a, "e_b": e_b, "m_b": m_b, "accumulator": accumulator, "bias": bias},
        part=minifloat_lane(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b),
        exact_part=minifloat_lane(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b, exact=1),
        low=operands.low,
        high=operands.high,
    )


@lru_cache(maxsize=1 << 14)
def minifloat_dot_structure(
    *, lanes: int, e_a: int, m_a: int, e_b: int, m_b: int, accumulator: int = 0, bias: int = 0
) -> dict[str, float]:
    """LUTs of products, aligners, the tree's adders and the accumulator; bits of these adders; registers.

    >>> minifloat_dot_structure(lanes=4, e_a=2, m_a=1, e_b=2, m_b=1, accumulator=16)["adder_bits"]
    50
    """
    del bias  # shares the adder's LUTs
    operands = pair(e_a, m_a, e_b, m_b)
    alignment = _lane_plan(e_a, m_a, e_b, m_b, 0).alignment
    product = exact_product_structure(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)["arithmetic_luts"]
    adders = lane_adder_bits(lanes, operands.low, operands.high, accumulator=accumulator, carries=operands.has_sign)
    lane = product + CELL_SHARE * (alignment.cells if alignment else 0.0)
    return {"arithmetic_luts": adders + lanes * lane, "adder_bits": adders, "one": 1, "register_bits": accumulator}


def lane_adder_bits(lanes: int, low: int, high: int, *, accumulator: int, carries: bool) -> int:
    """Bits of all adders behind the lanes, the accumulator counted.

    >>> lane_adder_bits(2, -4, 4, accumulator=0, carries=True), lane_adder_bits(2, -4, 4, accumulator=8, carries=True)
    (6, 14)
    """
    sums, _ = _tree(lanes, low, high, carries, not accumulator)
    return sum_bits(sums) + accumulator


def minifloat_dot_bits(*, lanes: int, e_a: int, m_a: int, e_b: int, m_b: int) -> int:
    """Bits of the exact sum of so many products, without an accumulator.

    >>> minifloat_dot_bits(lanes=4, e_a=2, m_a=1, e_b=2, m_b=1)
    11
    """
    operands = pair(e_a, m_a, e_b, m_b)
    _, total = _tree(lanes, operands.low, operands.high, operands.has_sign, True)  # noqa: FBT003 - as in its definition
    return total.value.width


def lane_sum(family: str, parameters: dict[str, int], *, part: Unit, exact_part: Unit, low: int, high: int) -> Unit:
    """A unit that instantiates ``parameters["lanes"]`` lanes, and sums and accumulates what they give.

    Args:
        family: of the unit.
        parameters: with ``lanes``, ``accumulator`` and ``bias``.
        part: the lane, with ports ``a``, ``b``, ``term`` and, unless products have no sign, ``carry``.
        exact_part: a lane without ``carry``: without an accumulator nothing takes the last carry, and lane 0 has none.
        low: least product.
        high: greatest product.

    Raises:
        ValueError: if lanes or accumulator are out of range, or there is a bias without an accumulator.
    """
    lanes, accumulator = parameters["lanes"], parameters["accumulator"]
    parameters = {**parameters, "bias": int(bool(parameters["bias"]))}
    if not 1 <= lanes <= MAXIMUM_LANES:
        raise ValueError(f"a {family} has 1 to {MAXIMUM_LANES} lanes, got {lanes}")
    if not 0 <= accumulator <= MAXIMUM_ACCUMULATOR:
        raise ValueError(
            f"the accumulator of a {family} has 1 to {MAXIMUM_ACCUMULATOR} bits, or 0 for none, got {accumulator}"
        )
    if parameters["bias"] and not accumulator:
        raise ValueError(f"a {family} without an accumulator starts no sums: give accumulator bits or bias = 0")
    widths = {port.name: port.width for port in part.ports}
    signs = {port.name: port.signed and lanes == 1 for port in part.ports}
    carries = "carry" in widths
    sums, total = _tree(lanes, low, high, carries, not accumulator)
    if accumulator:
        start = inputs(signed=True, bias=accumulator) if parameters["bias"] else ()
        others = (*inputs(enable=1, first=1), *start, *outputs(signed=True, sum=accumulator))
    else:
        others = outputs(signed=total.value.signed, p=total.value.width)
    first = part if accumulator else exact_part
    parts = [first, *[part] * (lanes - 1)]
    return render(
        "lane_sum.v",
        family=family,
        parameters=parameters,
        ports=(*(inputs(signed=signs[name], **{name: lanes * widths[name]})[0] for name in "ab"), *others),
        parts=tuple({one.module: one for one in parts}.values()),
        latency=1 if accumulator else 0,
        lane_parts=parts,
        widths=widths,
        terms=_terms(lanes, low, high, carries, not accumulator),
        sums=sums,
        whole=total,
    )


def _terms(lanes: int, low: int, high: int, carries: bool, first_exact: bool) -> list[Term]:  # noqa: FBT001 - as below
    found = []
    for lane in range(lanes):
        carry = carries and not (first_exact and lane == 0)
        value = Signal(name=f"term{lane}", low=low - carry, high=high)
        found.append(Term(value=value, low=low, high=high, carry=f"carry{lane}" if carry else None))
    return found


@lru_cache(maxsize=1 << 12)
def _tree(
    lanes: int,
    low: int,
    high: int,
    carries: bool,  # noqa: FBT001 - a cache takes positions
    first_exact: bool,  # noqa: FBT001 - as above
) -> tuple[tuple[SignedSum, ...], Term]:
    sums, total = signed_tree("lanes", _terms(lanes, low, high, carries, first_exact))
    return tuple(sums), total
