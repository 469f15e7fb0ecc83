"""Binary-coded weights: signed sums of activations plane by plane, then one multiplication by alpha per plane.

A weight is ``sum of alpha_i * b_i`` with b_i plus or minus 1, so an output is ``sum of alpha_i * (sum of plus or minus
activations)``: equal to multiplying by the integers of the codes, since all of it is exact. The definition is
`kernels.definitions.binary_coded`. A bit of a plane shares the LUT of the adder that takes the activation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.counted_luts import multiplier_luts
from hwmodels.rtl.lanes import lane_adder_bits, lane_sum, lane_term
from hwmodels.rtl.multipliers import multiplier
from hwmodels.rtl.signals import Signal, Sum, operand, tree
from hwmodels.rtl.unit import inputs, outputs, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

PLANE_LANE: Final = "binary plane lane"
PLANE_SUM: Final = "binary plane sum"
PLANE_SCALE: Final = "binary plane scale"
MAXIMUM_BITS: Final = 64
MAXIMUM_PLANES: Final = 8


def plane_lane(*, width: int, a_signed: int = 1, exact: int = 0) -> Unit:
    """An activation, or its negation where the bit of the plane is 0, as a term of a sum; combinational.

    Args:
        width: bits of the activation, port ``a``, 1 to 64; the port ``b`` is the bit.
        a_signed: 1 if activations are two's complement, else 0.
        exact: 1 if the term is the product, without a carry beside it.

    Raises:
        ValueError: if the width is out of range.

    >>> [(port.name, port.width) for port in plane_lane(width=8).ports]
    [('a', 8), ('b', 1), ('term', 9), ('carry', 1)]
    """
    exact = int(bool(exact))
    a, low, high = _range(width, a_signed)
    bits = lane_term(low, high, carries=not exact).width
    return render(
        "plane_lane.v",
        family=PLANE_LANE,
        parameters={"width": width, "a_signed": int(bool(a_signed)), "exact": exact},
        ports=(
            *inputs(signed=a.signed, a=width),
            *inputs(b=1),
            *outputs(signed=True, term=bits),
            *(() if exact else outputs(carry=1)),
        ),
        activation=a,
        value=Signal(name="value", low=low, high=high),
        bits=bits,
    )


@lru_cache(maxsize=1 << 14)
def plane_lane_structure(*, width: int, a_signed: int = 1, exact: int = 0) -> dict[str, float]:
    """LUTs of a negation, and bits that are complemented.

    >>> plane_lane_structure(width=8)
    {'arithmetic_luts': 0, 'term_luts': 4}
    """
    bits = lane_term(*_range(width, a_signed)[1:], carries=not exact).width
    return {"arithmetic_luts": bits + 1 if exact else 0, "term_luts": 0 if exact else bits // 2}


def plane_sum(*, lanes: int, width: int, a_signed: int = 1, accumulator: int = 0, bias: int = 0) -> Unit:
    """One plane: the sum of ``lanes`` activations with their signs, added up over cycles if asked.

    Ports and registers as `hwmodels.rtl.lanes.minifloat_dot`; ``b`` holds a bit a lane, 1 for plus.

    Args:
        lanes: activations at once, 1 to 1024.
        width: bits of an activation, 1 to 64.
        a_signed: 1 if activations are two's complement, else 0.
        accumulator: bits of the register, up to 2048; 0 for none.
        bias: 1 if sums start from an input.

    Raises:
        ValueError: if a number is out of range, or there is a bias without an accumulator.

    >>> plane_sum(lanes=8, width=4, accumulator=16).latency
    1
    """
    _, low, high = _range(width, a_signed)
    shape = {"width": width, "a_signed": int(bool(a_signed))}
    return lane_sum(
        PLANE_SUM,
        {"lanes": lanes, **shape, "accumulator": accumulator, "bias": bias},
        part=plane_lane(**shape),
        exact_part=plane_lane(**shape, exact=1),
        low=low,
        high=high,
    )


@lru_cache(maxsize=1 << 14)
def plane_sum_structure(
    *, lanes: int, width: int, a_signed: int = 1, accumulator: int = 0, bias: int = 0
) -> dict[str, float]:
    """LUTs of the tree's adders and of the accumulator, lanes, and registers.

    >>> plane_sum_structure(lanes=4, width=4, accumulator=12)
    {'arithmetic_luts': 34.0, 'lanes': 4, 'register_bits': 12}
    """
    del bias  # shares the adder's LUTs
    _, low, high = _range(width, a_signed)
    # Without an accumulator nothing takes the last carry: the first lane negates by itself.
    first = 0.0 if accumulator else plane_lane_structure(width=width, a_signed=a_signed, exact=1)["arithmetic_luts"]
    return {
        "arithmetic_luts": first + lane_adder_bits(lanes, low, high, accumulator=accumulator, carries=True),
        "lanes": lanes,
        "register_bits": accumulator,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scaling:
    products: tuple[Signal, ...]
    sums: tuple[Sum, ...]
    total: Signal


def plane_scale(*, planes: int, width: int, alpha: int) -> Unit:
    """The output of a binary-coded weight row: each plane's sum times its alpha, and their sum; combinational.

    Args:
        planes: 1 to 8; plane 0 is in the lowest bits of the ports ``sums`` and ``alphas``.
        width: bits of the sum of a plane, two's complement, 1 to 64.
        alpha: bits of an alpha, two's complement, 1 to 64.

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in plane_scale(planes=3, width=12, alpha=8).ports]
    [('sums', 36), ('alphas', 24), ('p', 21)]
    """
    plan = _scaling(planes, width, alpha)
    part = multiplier(a=width, b=alpha)
    return render(
        "plane_scale.v",
        family=PLANE_SCALE,
        parameters={"planes": planes, "width": width, "alpha": alpha},
        ports=(*inputs(sums=planes * width, alphas=planes * alpha), *outputs(signed=True, p=plan.total.width)),
        parts=(part,),
        part=part,
        plan=plan,
    )


@lru_cache(maxsize=1 << 14)
def plane_scale_structure(*, planes: int, width: int, alpha: int) -> dict[str, float]:
    """LUTs of the multipliers and of the adders that join them.

    >>> plane_scale_structure(planes=2, width=12, alpha=8)
    {'arithmetic_luts': 215, 'planes': 2}
    """
    plan = _scaling(planes, width, alpha)
    each = multiplier_luts(a=width, b=alpha, a_signed=1, b_signed=1)
    return {"arithmetic_luts": planes * each + sum(found.total.width for found in plan.sums), "planes": planes}


@lru_cache(maxsize=1 << 12)
def _scaling(planes: int, width: int, alpha: int) -> _Scaling:
    if not 1 <= planes <= MAXIMUM_PLANES:
        raise ValueError(f"binary-coded weights have 1 to {MAXIMUM_PLANES} planes, got {planes}")
    one, other = operand("sum", width, signed=True), operand("alpha", alpha, signed=True)
    corners = [x * y for x in (one.low, one.high) for y in (other.low, other.high)]
    products = tuple(Signal(name=f"product{plane}", low=min(corners), high=max(corners)) for plane in range(planes))
    sums, total = tree("planes", list(products))
    return _Scaling(products=products, sums=tuple(sums), total=total)


def _range(width: int, a_signed: int) -> tuple[Signal, int, int]:
    if not 1 <= width <= MAXIMUM_BITS:
        raise ValueError(f"activations of a binary plane have 1 to {MAXIMUM_BITS} bits, got {width}")
    a = operand("a", width, signed=bool(a_signed))
    most = max(-a.low, a.high)
    return a, -most, most
