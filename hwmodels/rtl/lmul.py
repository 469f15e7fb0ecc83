"""L-Mul: products of minifloats by an addition of their fields (arXiv 2410.00907), as codes and as terms of sums.

The mantissas are aligned to the wider of both, m bits; the offset ``2**(m - l(m))`` is a constant of the one addition
and costs no LUT. The definition is `kernels.definitions.lmul`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.alignment import Alignment, align
from hwmodels.rtl.constants import above
from hwmodels.rtl.counted_luts import chosen_luts, field_luts
from hwmodels.rtl.lanes import lane_adder_bits, lane_sum, lane_term
from hwmodels.rtl.minifloats import MAXIMUM_EXPONENT_BITS, MAXIMUM_MANTISSA_BITS, check_reserved
from hwmodels.rtl.signals import Signal, operand
from hwmodels.rtl.unit import inputs, outputs, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

LMUL: Final = "l-mul"
LMUL_CLAMPED: Final = "l-mul with flush and saturation"
LMUL_LANE: Final = "l-mul lane"
LMUL_DOT: Final = "l-mul dot product"


class Kind(IntEnum):
    """Which L-Mul a lane makes; the number is the parameter ``kind``."""

    FIELD = 0
    """The addition of the fields, the exponent unbounded."""
    FORMULA = 1
    """The paper's formula: mantissas and exponents added apart."""
    CLAMPED = 2
    """The addition of the fields within the format: flushed and saturated."""


def offset_exponent(mantissa_bits: int) -> int:
    """The l(m) of the paper: m up to 3 bits, 3 for 4 bits, 4 above (as `kernels.definitions.lmul.offset_exponent`).

    >>> [offset_exponent(m) for m in range(7)]
    [0, 1, 2, 3, 3, 4, 4]
    """
    return min(mantissa_bits, 3 if mantissa_bits <= 4 else 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields of two operands, as they are added."""

    e_a: int
    m_a: int
    e_b: int
    m_b: int

    def __post_init__(self) -> None:
        for what, given, least, most in (
            ("exponent", (self.e_a, self.e_b), 1, MAXIMUM_EXPONENT_BITS),
            ("mantissa", (self.m_a, self.m_b), 0, MAXIMUM_MANTISSA_BITS),
        ):
            for bits in given:
                if not least <= bits <= most:
                    raise ValueError(f"operands of L-Mul have {least} to {most} {what} bits, got {bits}")

    @property
    def mantissa_bits(self) -> int:
        """Bits of the aligned mantissas."""
        return max(self.m_a, self.m_b)

    @property
    def offset(self) -> int:
        """What is added beside both mantissas."""
        return 1 << self.mantissa_bits - offset_exponent(self.mantissa_bits)

    @property
    def largest_carry(self) -> int:
        """The most the mantissas and the offset carry into the exponent."""
        return self.largest_mantissas >> self.mantissa_bits

    @property
    def largest_mantissas(self) -> int:
        """Greatest sum of both aligned mantissas and the offset."""
        wide = self.mantissa_bits
        return sum(((1 << m) - 1) << wide - m for m in (self.m_a, self.m_b)) + self.offset

    @property
    def largest_place(self) -> int:
        """Greatest sum of both exponent fields, without the carry."""
        return (1 << self.e_a) + (1 << self.e_b) - 2

    @property
    def place_bits(self) -> int:
        """Bits of the greatest sum of exponent fields, with the carry."""
        return (self.largest_place + self.largest_carry).bit_length()


def lmul(*, e_a: int, m_a: int, e_b: int, m_b: int) -> Unit:
    """The raw field addition of two codes; combinational.

    The product is ``(2**m + mantissa) * 2**(place - 2)`` in L-Mul's unit (`emulation.lmul`), negative if the sign says
    so. Zero and subnormal operands are not told apart: for them the product of hardware mode is 0, this one is not.

    Args:
        e_a: exponent bits of the first operand, 1 to 8.
        m_a: its mantissa bits, 0 to 23.
        e_b: exponent bits of the second operand.
        m_b: its mantissa bits.

    Raises:
        ValueError: if a width is out of range.

    >>> [(port.name, port.width) for port in lmul(e_a=4, m_a=3, e_b=4, m_b=3).ports]
    [('a', 8), ('b', 8), ('negative', 1), ('place', 5), ('mantissa', 3)]
    """
    known = Fields(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    mantissa = outputs(mantissa=known.mantissa_bits) if known.mantissa_bits else ()
    return render(
        "lmul.v",
        family=LMUL,
        parameters={"e_a": e_a, "m_a": m_a, "e_b": e_b, "m_b": m_b},
        ports=(
            *inputs(a=1 + e_a + m_a, b=1 + e_b + m_b),
            *outputs(negative=1, place=known.place_bits),
            *mantissa,
        ),
        fields=known,
    )


def lmul_structure(*, e_a: int, m_a: int, e_b: int, m_b: int) -> dict[str, float]:
    """LUTs of the one addition and of the sign.

    Low bits that only one of the aligned mantissas has pass by, below the offset's place. An offset of 1 is a carry in;
    any other shares its chain's LUTs, whose lowest bit the sign's function joins.

    >>> lmul_structure(e_a=4, m_a=3, e_b=4, m_b=3), lmul_structure(e_a=4, m_a=4, e_b=3, m_b=3)
    ({'arithmetic_luts': 9}, {'arithmetic_luts': 8})
    """
    known = Fields(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    alone = abs(m_a - m_b)
    carried = known.offset == 1
    passing = min(alone, 1 if carried else known.offset.bit_length() - 1)
    return {"arithmetic_luts": known.place_bits + known.mantissa_bits + carried - passing}


def lmul_clamped(*, e: int, m: int, reserved: int = 0) -> Unit:
    """The field addition of two codes of a format, within that format; combinational.

    A zero or subnormal operand gives 0, so does a product below the smallest normal number; one above the largest
    number is that number. Zero has no sign. The bias is ``2**(e - 1) - 1``.

    Args:
        e: exponent bits, 1 to 8.
        m: mantissa bits, 0 to 23.
        reserved: magnitude codes at the top that are no finite numbers: 0, 1 (finite-nan) or ``2**m`` (ieee).

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in lmul_clamped(e=4, m=3).ports]
    [('a', 8), ('b', 8), ('p', 8)]
    """
    known = Fields(e_a=e, m_a=m, e_b=e, m_b=m)
    check_reserved(e, m, reserved)
    width = e + m
    largest = (1 << width) - 1 - reserved
    return render(
        "lmul_clamped.v",
        family=LMUL_CLAMPED,
        parameters={"e": e, "m": m, "reserved": reserved},
        ports=(*inputs(a=1 + width, b=1 + width), *outputs(p=1 + width)),
        constant=known.offset - (max((1 << e >> 1) - 1, 0) << m),
        largest=largest,
        above=above("code", width + 1, largest),
    )


def lmul_clamped_structure(*, e: int, m: int, reserved: int = 0) -> dict[str, float]:
    """Bits of the fields, and those that are compared with the largest number if it is not all ones.

    >>> lmul_clamped_structure(e=4, m=3)
    {'exponent_bits': 4, 'mantissa_bits': 3, 'compared_bits': 0, 'one': 1}
    """
    return {"exponent_bits": e, "mantissa_bits": m, "compared_bits": m if reserved else 0, "one": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class _LanePlan:
    """A lane: its significand, negated if it must be, and where it goes.

    Attributes:
        fields: of the operands.
        significand: before the alignment, not negative.
        value: what is moved.
        alignment: by the place.
        high: greatest product.
    """

    fields: Fields
    significand: Signal
    value: Signal
    alignment: Alignment
    high: int


def lmul_lane(*, kind: int, e_a: int, m_a: int, e_b: int, m_b: int, reserved: int = 0, exact: int = 0) -> Unit:
    """The L-Mul product of two codes as an integer; combinational.

    ``term + carry`` counts in L-Mul's unit (`emulation.lmul`). A zero or subnormal operand gives 0.

    Args:
        kind: 0 for the field addition, 1 for the formula, 2 for the field addition clamped to the format.
        e_a: exponent bits of the first operand, 1 to 8.
        m_a: its mantissa bits, 0 to 23.
        e_b: exponent bits of the second operand; clamped products have equal formats.
        m_b: its mantissa bits.
        reserved: of clamped products, see `lmul_clamped`.
        exact: 1 if the term is the product, without a carry beside it.

    Raises:
        ValueError: if a number is out of range, or clamped products have two formats.

    >>> [(port.name, port.width) for port in lmul_lane(kind=0, e_a=4, m_a=3, e_b=4, m_b=3).ports]
    [('a', 8), ('b', 8), ('term', 34), ('carry', 1)]
    """
    exact = int(bool(exact))
    plan = _lane_plan(kind=kind, e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b, reserved=reserved, exact=exact)
    clamped = kind == Kind.CLAMPED
    part = lmul_clamped(e=e_a, m=m_a, reserved=reserved) if clamped else lmul(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    width = lane_term(-plan.high, plan.high, carries=not exact).width
    return render(
        "lmul_lane.v",
        family=LMUL_LANE,
        parameters={
            "kind": kind,
            "e_a": e_a,
            "m_a": m_a,
            "e_b": e_b,
            "m_b": m_b,
            "reserved": reserved,
            "exact": exact,
        },
        ports=(
            *inputs(a=1 + e_a + m_a, b=1 + e_b + m_b),
            *outputs(signed=True, term=width),
            *(() if exact else outputs(carry=1)),
        ),
        parts=() if kind == Kind.FORMULA else (part,),
        part=part,
        kinds=Kind,
        plan=plan,
        fields=plan.fields,
        width=width,
    )


@lru_cache(maxsize=1 << 14)
def lmul_lane_structure(
    *, kind: int, e_a: int, m_a: int, e_b: int, m_b: int, reserved: int = 0, exact: int = 0
) -> dict[str, float]:
    """Bits that are moved, columns of multiplexers by what they choose among, clamping, and a constant.

    Every bit of the term takes the LUT of its sign, which holds a last choice among two as well: columns of two choices
    cost next to nothing. A product that is negated is a bit wider, and so are all of its columns.

    >>> lmul_lane_structure(kind=0, e_a=4, m_a=3, e_b=4, m_b=3)
    {'moved_bits': 33, 'two_columns': 18, 'more_columns': 7, 'clamped': 0, 'one': 1}
    """
    plan = _lane_plan(kind=kind, e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b, reserved=reserved, exact=int(bool(exact)))
    kinds = plan.alignment.kinds
    return {
        "moved_bits": plan.alignment.result.width,
        "two_columns": kinds.two,
        "more_columns": kinds.three + kinds.four,
        "clamped": int(kind == Kind.CLAMPED),
        "one": 1,
    }


def _product_luts(*, kind: int, e_a: int, m_a: int, e_b: int, m_b: int, reserved: int) -> float:
    """LUTs of the addition of the fields, with tests for zero and what clamps."""
    if kind == Kind.CLAMPED:
        return e_a + m_a + 2 + field_luts(e_a, e_b) + chosen_luts(e_a + m_a, reserved)
    return lmul_structure(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)["arithmetic_luts"] + field_luts(e_a, e_b)


@lru_cache(maxsize=1 << 12)
def _lane_plan(*, kind: int, e_a: int, m_a: int, e_b: int, m_b: int, reserved: int, exact: int) -> _LanePlan:
    if kind not in set(Kind):
        raise ValueError(f"kind of an L-Mul must be 0 (field), 1 (formula) or 2 (clamped field), got {kind}")
    known = Fields(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    wide = known.mantissa_bits
    if kind == Kind.CLAMPED:
        if (e_a, m_a) != (e_b, m_b):
            raise ValueError(f"clamped L-Mul products have one format, got e{e_a}m{m_a} and e{e_b}m{m_b}")
        check_reserved(e_a, m_a, reserved)
        top, mantissa = divmod((1 << e_a + m_a) - 1 - reserved, 1 << wide)
        least, most, high = 1, top, ((1 << wide) + mantissa) << max(top - 1, 0)
        significand = operand("significand", wide + 1, signed=False)
    elif kind == Kind.FORMULA:
        least, most = 2, known.largest_place
        significand = Signal(name="significand", low=0, high=(1 << wide) + known.largest_mantissas)
        high = significand.high << max(most - 2, 0)
    else:
        least, most = 2, known.largest_place + known.largest_carry
        significand = operand("significand", wide + 1, signed=False)
        carry, mantissa = divmod(known.largest_mantissas, 1 << wide)
        # Either the greatest carry with what is left of the mantissas, or one carry less with a full mantissa.
        high = max((1 << wide) + mantissa << carry, ((2 << wide) - 1) << carry >> 1) << max(known.largest_place - 2, 0)
    value = Signal(name="value", low=-significand.high, high=significand.high) if exact else significand
    alignment = align(value, "place", most=max(most, least), first=least)
    return _LanePlan(fields=known, significand=significand, value=value, alignment=alignment, high=high)


def lmul_dot(
    *,
    lanes: int,
    kind: int,
    e_a: int,
    m_a: int,
    e_b: int,
    m_b: int,
    reserved: int = 0,
    accumulator: int = 0,
    bias: int = 0,
) -> Unit:
    """L-Mul products of ``lanes`` pairs of codes, summed exactly, and added up over cycles if asked.

    Ports and registers as `hwmodels.rtl.lanes.minifloat_dot`; sums count in L-Mul's unit.

    Args:
        lanes: products at once, 1 to 1024.
        kind: see `lmul_lane`.
        e_a: exponent bits of first operands, 1 to 8.
        m_a: their mantissa bits, 0 to 23.
        e_b: exponent bits of second operands.
        m_b: their mantissa bits.
        reserved: of clamped products, see `lmul_clamped`.
        accumulator: bits of the register, up to 2048; 0 for none.
        bias: 1 if sums start from an input.

    Raises:
        ValueError: if a number is out of range, or there is a bias without an accumulator.

    >>> lmul_dot(lanes=1, kind=0, e_a=4, m_a=3, e_b=4, m_b=3, accumulator=40).latency
    1
    """
    shape = {"kind": kind, "e_a": e_a, "m_a": m_a, "e_b": e_b, "m_b": m_b, "reserved": reserved}
    high = _lane_plan(**shape, exact=0).high
    return lane_sum(
        LMUL_DOT,
        {"lanes": lanes, **shape, "accumulator": accumulator, "bias": bias},
        part=lmul_lane(**shape),
        exact_part=lmul_lane(**shape, exact=1),
        low=-high,
        high=high,
    )


@lru_cache(maxsize=1 << 14)
def lmul_dot_structure(
    *,
    lanes: int,
    kind: int,
    e_a: int,
    m_a: int,
    e_b: int,
    m_b: int,
    reserved: int = 0,
    accumulator: int = 0,
    bias: int = 0,
) -> dict[str, float]:
    """LUTs of all products, bits of the tree's adders and of the accumulator, bits that are moved, lanes, registers.

    >>> lmul_dot_structure(lanes=4, kind=0, e_a=4, m_a=3, e_b=4, m_b=3, accumulator=40)["moved_bits"]
    132
    """
    del bias  # shares the adder's LUTs
    shape = {"e_a": e_a, "m_a": m_a, "e_b": e_b, "m_b": m_b, "reserved": reserved}
    plan = _lane_plan(kind=kind, **shape, exact=0)
    return {
        "arithmetic_luts": lanes * _product_luts(kind=kind, **shape),
        "adder_bits": lane_adder_bits(lanes, -plan.high, plan.high, accumulator=accumulator, carries=True),
        "accumulator_bits": accumulator,
        "moved_bits": lanes * plan.alignment.result.width,
        "lanes": lanes,
        "register_bits": accumulator,
    }
