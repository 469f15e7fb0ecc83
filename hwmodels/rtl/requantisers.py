"""Requantisers: a multiplier and a cast; with two multipliers chosen by sign (PReLU) or added (residual add)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl import multipliers
from hwmodels.rtl.casts import cast, cast_structure
from hwmodels.rtl.signals import Signal, operand
from hwmodels.rtl.unit import Direction, Port, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwmodels.rtl.unit import Unit

REQUANTISER: Final = "requantiser"
PRELU: Final = "prelu"
RESIDUAL_ADD: Final = "residual add"


def requantiser(*, accumulator: int, multiplier: int, accumulator_signed: int = 1, **codes: int) -> Unit:
    """``y = saturate(round(x * multiplier * 2**-(shift + amount)) + zero_point)``; combinational.

    DESIGN section 6, rule 10. An unsigned output without a zero point holds a ReLU; an average pool is a requantiser of
    sums. Put registers around it: the multiplier alone is deep.

    Args:
        accumulator: bits of ``x``, 1 to 64.
        multiplier: bits of the unsigned multiplier b, an input, 1 to 64.
        accumulator_signed: 1 if ``x`` is two's complement, else 0.
        codes: ``output``, ``shift`` and, if wanted, ``shift_bits``, ``output_signed``, ``rounding`` and ``zero_point``,
            as `hwmodels.rtl.casts.cast` takes them.

    Raises:
        ValueError: if a number is out of range.

    >>> [port.name for port in requantiser(accumulator=24, multiplier=16, output=8, shift=20, shift_bits=3).ports]
    ['x', 'multiplier', 'amount', 'y']
    """
    signed = int(bool(accumulator_signed))
    multiply = multipliers.multiplier(a=accumulator, b=multiplier, a_signed=signed, b_signed=0)
    product = multiply.ports[-1]
    last = cast(input=product.width, input_signed=signed, **codes)
    return render(
        "requantiser.v",
        family=REQUANTISER,
        parameters={
            "accumulator": accumulator,
            "multiplier": multiplier,
            "accumulator_signed": signed,
            **_code_parameters(last),
        },
        ports=(
            Port(name="x", width=accumulator, direction=Direction.IN, signed=bool(signed)),
            Port(name="multiplier", width=multiplier, direction=Direction.IN),
            *last.ports[1:],
        ),
        parts=(multiply, last),
        multiply=multiply,
        product=product,
        cast=last,
    )


@lru_cache(maxsize=1 << 14)
def requantiser_structure(
    *, accumulator: int, multiplier: int, accumulator_signed: int = 1, **codes: int
) -> dict[str, float]:
    """The structures of the multiplier and of the cast.

    >>> found = requantiser_structure(accumulator=24, multiplier=8, output=8, shift=16)
    >>> found["adder_bits"], found["round_bits"]
    (184, 8)
    """
    signed = int(bool(accumulator_signed))
    return {
        **_multiplier_structure(accumulator, multiplier, signed),
        **cast_structure(input=_product_bits(accumulator, multiplier, signed), input_signed=signed, **codes),
    }


def prelu(*, accumulator: int, multiplier: int, **codes: int) -> Unit:
    """A requantiser whose multiplier is ``positive`` or, for a negative ``x``, ``negative``; combinational.

    DESIGN section 6, rules 9 and 10.

    Args:
        accumulator: bits of ``x``, two's complement, 1 to 64.
        multiplier: bits of both unsigned multipliers, 1 to 64.
        codes: as `requantiser` takes them.

    Raises:
        ValueError: if a number is out of range.

    >>> [port.name for port in prelu(accumulator=16, multiplier=8, output=8, shift=12).ports]
    ['x', 'positive', 'negative', 'y']
    """
    part = requantiser(accumulator=accumulator, multiplier=multiplier, accumulator_signed=1, **codes)
    parameters = {name: value for name, value in part.parameters.items() if name != "accumulator_signed"}
    return render(
        "prelu.v",
        family=PRELU,
        parameters=parameters,
        ports=(
            part.ports[0],
            Port(name="positive", width=multiplier, direction=Direction.IN),
            Port(name="negative", width=multiplier, direction=Direction.IN),
            *part.ports[2:],
        ),
        parts=(part,),
        part=part,
    )


def prelu_structure(*, accumulator: int, multiplier: int, **codes: int) -> dict[str, float]:
    """A requantiser in few features (see `_merged`), and two-to-one multiplexers, of which a LUT holds two.

    >>> prelu_structure(accumulator=16, multiplier=8, output=8, shift=12)["pairs"]
    4.0
    """
    found = requantiser_structure(accumulator=accumulator, multiplier=multiplier, accumulator_signed=1, **codes)
    return {**_merged(found), "pairs": multiplier / 2}


def residual_add(*, a: int, b: int, multiplier: int, a_signed: int = 1, b_signed: int = 1, **codes: int) -> Unit:
    """``y = saturate(round((a * a_multiplier + b * b_multiplier) * 2**-(shift + amount)) + zero_point)``.

    Two codes meet in one cast (DESIGN section 6, rule 14); combinational.

    Args:
        a: bits of the first integer, 1 to 64.
        b: bits of the second integer, 1 to 64.
        multiplier: bits of both unsigned multipliers, 1 to 64.
        a_signed: 1 if ``a`` is two's complement, else 0.
        b_signed: 1 if ``b`` is two's complement, else 0.
        codes: as `requantiser` takes them.

    Raises:
        ValueError: if a number is out of range.

    >>> [port.name for port in residual_add(a=8, b=8, multiplier=16, output=8, shift=15).ports]
    ['a', 'b', 'a_multiplier', 'b_multiplier', 'y']
    """
    signs = (int(bool(a_signed)), int(bool(b_signed)))
    scale = [
        multipliers.multiplier(a=width, b=multiplier, a_signed=signed, b_signed=0)
        for width, signed in zip((a, b), signs, strict=True)
    ]
    left, right, total = _scaled_sum(a, b, multiplier, *signs)
    last = cast(input=total.width, input_signed=int(total.signed), **codes)
    parts = tuple(dict.fromkeys((scale[0].module, scale[1].module)))
    return render(
        "residual_add.v",
        family=RESIDUAL_ADD,
        parameters={
            "a": a,
            "b": b,
            "multiplier": multiplier,
            "a_signed": signs[0],
            "b_signed": signs[1],
            **_code_parameters(last),
        },
        ports=(
            Port(name="a", width=a, direction=Direction.IN, signed=bool(signs[0])),
            Port(name="b", width=b, direction=Direction.IN, signed=bool(signs[1])),
            Port(name="a_multiplier", width=multiplier, direction=Direction.IN),
            Port(name="b_multiplier", width=multiplier, direction=Direction.IN),
            *last.ports[1:],
        ),
        parts=(*(scale if len(parts) == 2 else scale[:1]), last),
        scale=scale,
        left=left,
        right=right,
        total=total,
        cast=last,
    )


@lru_cache(maxsize=1 << 14)
def residual_add_structure(
    *, a: int, b: int, multiplier: int, a_signed: int = 1, b_signed: int = 1, **codes: int
) -> dict[str, float]:
    """Two multipliers, the adder between and a cast, in few features (see `_merged`).

    >>> residual_add_structure(a=8, b=8, multiplier=16, output=8, shift=15)["chain_luts"]
    283
    """
    signs = (int(bool(a_signed)), int(bool(b_signed)))
    first = _multiplier_structure(a, multiplier, signs[0])
    second = _multiplier_structure(b, multiplier, signs[1])
    total = _scaled_sum(a, b, multiplier, *signs)[-1]
    both = {name: first[name] + second[name] for name in first}
    both["adder_bits"] += total.width
    return _merged({**both, **cast_structure(input=total.width, input_signed=int(total.signed), **codes)})


def _merged(found: Mapping[str, float]) -> dict[str, float]:
    """Features of a unit whose family has few rows: what takes a LUT each is one of them.

    What adds, tests and rounds is a LUT a bit; the shift by an input is its own feature, where tests of about six bits
    are a LUT and every stage chooses two of them.
    """
    return {
        "chain_luts": found["adder_bits"] - found["absorbed_bits"] + found["test_luts"] + found["round_bits"],
        "lone_tops": found["lone_tops"],
        "shift_luts": found["shift_bits4"] + found["shift_bits2"] + 2 * found["stages"] + found["moved_bits"] / 6,
        "zero_point_bits": found["zero_point_bits"],
    }


def _code_parameters(last: Unit) -> dict[str, int]:
    return {name: value for name, value in last.parameters.items() if name not in {"input", "input_signed"}}


def _multiplier_structure(width: int, multiplier: int, signed: int) -> dict[str, float]:
    return multipliers.multiplier_part(a=width, b=multiplier, a_signed=signed, b_signed=0)


def _product_bits(width: int, multiplier: int, signed: int) -> int:
    return _product("p", width, multiplier, signed).width


def _product(name: str, width: int, multiplier: int, signed: int) -> Signal:
    factor, most = operand(name, width, signed=bool(signed)), (1 << multiplier) - 1
    return Signal(name=name, low=factor.low * most, high=factor.high * most)


def _scaled_sum(a: int, b: int, multiplier: int, a_signed: int, b_signed: int) -> tuple[Signal, Signal, Signal]:
    left, right = _product("left", a, multiplier, a_signed), _product("right", b, multiplier, b_signed)
    return left, right, Signal(name="total", low=left.low + right.low, high=left.high + right.high)
