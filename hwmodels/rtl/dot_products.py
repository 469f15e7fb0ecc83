"""Sums of products in LUTs: adder, multiply-accumulate and dot product, all of them exact or modulo the accumulator."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.multipliers import MAXIMUM_BITS, multiplier, multiplier_part
from hwmodels.rtl.signals import Signal, Sum, operand, tree
from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

ADDER: Final = "adder"
MULTIPLY_ACCUMULATE: Final = "mac"
DOT_PRODUCT: Final = "dot product"
MAXIMUM_LANES: Final = 1024
MAXIMUM_ACCUMULATOR: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The products of a dot product and the tree that sums them."""

    products: tuple[Signal, ...]
    sums: tuple[Sum, ...]
    total: Signal


def adder(*, width: int, signed: int = 1) -> Unit:
    """``p = a + b`` of two integers of one width, a bit wider than they are; combinational.

    Args:
        width: bits of both operands, 1 to 64.
        signed: 1 if they are two's complement, else 0.

    Raises:
        ValueError: if the width is out of range.

    >>> [port.width for port in adder(width=8).ports]
    [8, 8, 9]
    """
    left, right = (operand(name, _checked("width", width, MAXIMUM_BITS), signed=bool(signed)) for name in "ab")
    total = Signal(name="p", low=left.low + right.low, high=left.high + right.high)
    return render(
        "adder.v",
        family=ADDER,
        parameters={"width": width, "signed": int(bool(signed))},
        ports=(*(_port(found, Direction.IN) for found in (left, right)), _port(total, Direction.OUT)),
        left=left,
        right=right,
        total=total,
    )


def adder_structure(*, width: int, signed: int = 1) -> dict[str, float]:
    """Bits of the adder; the carry out of an unsigned one is a wire, the sign of a signed one a bit more.

    >>> adder_structure(width=8, signed=1)
    {'adder_bits': 9}
    """
    return {"adder_bits": width + bool(signed)}


def mac(*, a: int, b: int, accumulator: int, a_signed: int = 1, b_signed: int = 1, bias: int = 0) -> Unit:
    """A multiplier and an accumulator: `dot_product` of one lane, under a family of its own.

    >>> mac(a=8, b=8, accumulator=24).module
    'mac_a8_b8_accumulator24_a_signed1_b_signed1_bias0'
    """
    signs = {"a_signed": int(bool(a_signed)), "b_signed": int(bool(b_signed))}
    _checked("accumulator", accumulator, MAXIMUM_ACCUMULATOR)
    parameters = {"a": a, "b": b, "accumulator": accumulator, **signs, "bias": int(bool(bias))}
    return _render(MULTIPLY_ACCUMULATE, parameters, 1)


def mac_structure(
    *, a: int, b: int, accumulator: int, a_signed: int = 1, b_signed: int = 1, bias: int = 0
) -> dict[str, float]:
    """The structure of `dot_product` with one lane.

    >>> mac_structure(a=4, b=4, accumulator=16)["register_bits"]
    16
    """
    return dot_product_structure(
        lanes=1, a=a, b=b, accumulator=accumulator, a_signed=a_signed, b_signed=b_signed, bias=bias
    )


def dot_product(
    *, lanes: int, a: int, b: int, accumulator: int = 0, a_signed: int = 1, b_signed: int = 1, bias: int = 0
) -> Unit:
    """Products of ``lanes`` pairs of integers, summed exactly by a binary tree, and added up over cycles if asked.

    Lane 0 is in the lowest bits of the ports ``a`` and ``b``. Without an accumulator the unit is combinational and its
    output ``p`` has as many bits as the range of the sum needs. With one, the output is the register ``sum``: in each
    cycle with ``enable`` it takes ``start + p`` modulo ``2**accumulator``, where ``start`` is the old sum, or in a
    cycle with ``first`` the input ``bias`` (0 if there is none).

    Args:
        lanes: products at once, 1 to 1024.
        a: bits of a first operand, 1 to 64.
        b: bits of a second operand, 1 to 64.
        accumulator: bits of the register, up to 128; 0 for none.
        a_signed: 1 if first operands are two's complement, else 0.
        b_signed: 1 if second operands are two's complement, else 0.
        bias: 1 if sums start from an input, which takes no LUT more than to start from 0.

    Raises:
        ValueError: if a number is out of range, or there is a bias without an accumulator.

    >>> unit = dot_product(lanes=4, a=8, b=4)
    >>> [(port.name, port.width) for port in unit.ports], unit.latency
    ([('a', 32), ('b', 16), ('p', 14)], 0)
    """
    _checked("lanes", lanes, MAXIMUM_LANES)
    if accumulator:
        _checked("accumulator", accumulator, MAXIMUM_ACCUMULATOR)
    elif bias:
        raise ValueError("a dot product without an accumulator starts no sums: give accumulator bits or bias = 0")
    signs = {"a_signed": int(bool(a_signed)), "b_signed": int(bool(b_signed))}
    parameters = {"lanes": lanes, "a": a, "b": b, "accumulator": accumulator, **signs, "bias": int(bool(bias))}
    return _render(DOT_PRODUCT, parameters, lanes)


@lru_cache(maxsize=1 << 14)
def dot_product_structure(
    *, lanes: int, a: int, b: int, accumulator: int = 0, a_signed: int = 1, b_signed: int = 1, bias: int = 0
) -> dict[str, float]:
    """Multipliers as in `multiplier_part`, and with their adders those of the tree and of the accumulator.

    >>> found = dot_product_structure(lanes=4, a=8, b=4, accumulator=20)
    >>> found["adder_bits"], found["lanes"], found["register_bits"]
    (180, 4, 20)
    """
    del bias  # shares the adder's LUTs
    plan = _plan(lanes, a, b, bool(a_signed), bool(b_signed))
    each = multiplier_part(a=a, b=b, a_signed=a_signed, b_signed=b_signed)
    found = {name: lanes * count for name, count in each.items()}
    found["adder_bits"] += sum(total.luts for total in plan.sums) + accumulator
    return {**found, "lanes": lanes, "register_bits": accumulator}


def dot_product_bits(*, lanes: int, a: int, b: int, a_signed: int = 1, b_signed: int = 1) -> int:
    """Bits of the exact sum of a cycle's products.

    >>> dot_product_bits(lanes=4, a=8, b=4)
    14
    """
    return _plan(lanes, a, b, bool(a_signed), bool(b_signed)).total.width


def _render(family: str, parameters: dict[str, int], lanes: int) -> Unit:
    a, b, accumulator = parameters["a"], parameters["b"], parameters["accumulator"]
    signs = {"a_signed": parameters["a_signed"], "b_signed": parameters["b_signed"]}
    part = multiplier(a=a, b=b, **signs)
    plan = _plan(lanes, a, b, bool(signs["a_signed"]), bool(signs["b_signed"]))
    single = lanes == 1
    operands = (
        Port(name="a", width=lanes * a, direction=Direction.IN, signed=single and bool(signs["a_signed"])),
        Port(name="b", width=lanes * b, direction=Direction.IN, signed=single and bool(signs["b_signed"])),
    )
    if accumulator:
        control = [Port(name=name, width=1, direction=Direction.IN) for name in ("enable", "first")]
        if parameters["bias"]:
            control.append(Port(name="bias", width=accumulator, direction=Direction.IN, signed=True))
        signed = plan.total.signed or bool(parameters["bias"])
        result = Port(name="sum", width=accumulator, direction=Direction.OUT, signed=signed)
    else:
        control, result = [], _port(Signal(name="p", low=plan.total.low, high=plan.total.high), Direction.OUT)
    return render(
        "dot_product.v",
        family=family,
        parameters=parameters,
        ports=(*operands, *control, result),
        parts=(part,),
        latency=1 if accumulator else 0,
        part=part,
        products=plan.products,
        sums=plan.sums,
        total=plan.total,
    )


@lru_cache(maxsize=1 << 12)
def _plan(lanes: int, a: int, b: int, a_signed: bool, b_signed: bool) -> _Plan:  # noqa: FBT001 - a cache takes positions
    first, second = operand("a", a, signed=a_signed), operand("b", b, signed=b_signed)
    corners = [x * y for x in (first.low, first.high) for y in (second.low, second.high)]
    products = [Signal(name=f"product{lane}", low=min(corners), high=max(corners)) for lane in range(lanes)]
    sums, total = tree("lanes", list(products))
    return _Plan(products=tuple(products), sums=tuple(sums), total=total)


def _port(signal: Signal, direction: Direction) -> Port:
    return Port(name=signal.name, width=signal.width, direction=direction, signed=signal.signed)


def _checked(name: str, value: int, most: int) -> int:
    if not 1 <= value <= most:
        raise ValueError(f"{name} of a sum of products must be 1 to {most}, got {value}")
    return value
