"""Accumulators narrower than the exact sum: terms lose low bits, sums wrap or saturate; and what feeds them.

The rule is that of DESIGN section 6, rule 8 (`kernels.definitions.dots.accumulate`): the exact sum of register and term
is cast once, to the register's unit and range. The register is a whole number of its unit, so rounding the sum is
rounding the term; only a tie looks at both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.alignment import MAXIMUM_PLACES, align
from hwmodels.rtl.lanes import MAXIMUM_ACCUMULATOR
from hwmodels.rtl.minifloat_products import exact_product, exact_product_structure
from hwmodels.rtl.minifloats import pair
from hwmodels.rtl.signals import Signal, operand
from hwmodels.rtl.signed_sums import Term
from hwmodels.rtl.unit import inputs, outputs, render

if TYPE_CHECKING:
    from hwmodels.rtl.alignment import Alignment
    from hwmodels.rtl.unit import Port, Unit

NARROW_ACCUMULATOR: Final = "narrow accumulator"
ALIGN_ACCUMULATE: Final = "align and accumulate"
MINIFLOAT_MAC: Final = "minifloat multiply-accumulate"
MAXIMUM_TERM: Final = 2048
READ_WHOLE: Final = 4
"""Top bits of a sum that each saturated bit reads itself, five inputs in all (counted, Yosys 0.70)."""


def narrow_accumulator(
    *, term: int, accumulator: int, dropped: int = 0, half_even: int = 0, saturate: int = 0, bias: int = 0
) -> Unit:
    """A register that adds a term and casts the sum to itself, in each cycle with ``enable``.

    ``sum`` becomes ``start + term * 2**-dropped``, rounded and fitted to ``accumulator`` bits, where ``start`` is the
    old sum, or in a cycle with ``first`` the input ``bias`` (0 without).

    Args:
        term: bits of the two's complement term, 2 to 2048.
        accumulator: bits of the register, 2 to 2048.
        dropped: low bits of a term below the register's unit, fewer than it has.
        half_even: 1 to round half to even, 0 to floor.
        saturate: 1 to saturate, 0 to wrap.
        bias: 1 if sums start from an input.

    Raises:
        ValueError: if a number is out of range.

    >>> narrow_accumulator(term=20, accumulator=16, dropped=8, saturate=1).latency
    1
    """
    options = _options(accumulator, dropped, half_even, saturate, bias)
    if not 2 <= term <= MAXIMUM_TERM or not 0 <= dropped < term:
        raise ValueError(
            f"a narrow accumulator takes terms of 2 to {MAXIMUM_TERM} bits and drops fewer than they have, got terms "
            f"of {term} bits and {dropped} dropped"
        )
    kept = Signal(name="kept", low=-(1 << term - dropped - 1), high=(1 << term - dropped - 1) - 1)
    return render(
        "narrow_accumulator.v",
        family=NARROW_ACCUMULATOR,
        parameters={"term": term, **options},
        ports=(
            *inputs(signed=True, value=term),
            *_control(accumulator, bias),
            *outputs(signed=True, sum=accumulator),
        ),
        latency=1,
        rounds=bool(half_even and dropped),
        kept=Term(value=kept, low=kept.low, high=kept.high, carry="up" if half_even and dropped else None),
        width=_sum_width(term - dropped, accumulator, saturate),
    )


@lru_cache(maxsize=1 << 14)
def narrow_accumulator_structure(
    *, term: int, accumulator: int, dropped: int = 0, half_even: int = 0, saturate: int = 0, bias: int = 0
) -> dict[str, float]:
    """LUTs of the adder, a carry in counted, and of saturation; bits that are or-ed to round; registers.

    Two saturated bits share a LUT: they read a bit of the sum each and those that must equal the sign. If these are
    four, the bits that read them all take a LUT each, as many as a common test for overflow and its readers would.

    >>> narrow_accumulator_structure(term=20, accumulator=16, dropped=8, saturate=1)
    {'arithmetic_luts': 25.5, 'below_bits': 0, 'register_bits': 16}
    """
    del bias  # shares the adder's LUTs
    width = _sum_width(term - dropped, accumulator, saturate)
    rounds = half_even and dropped
    saturated = 0.0
    if saturate:
        saturated = float(accumulator) if width - accumulator + 1 == READ_WHOLE else width / 2
    return {
        "arithmetic_luts": width + (2 if rounds else 0) + saturated,
        "below_bits": dropped if rounds else 0,
        "register_bits": accumulator,
    }


def align_accumulate(
    *,
    bits: int,
    least: int,
    most: int,
    accumulator: int,
    dropped: int = 0,
    half_even: int = 0,
    saturate: int = 0,
    bias: int = 0,
) -> Unit:
    """A significand with a sign is moved to its place and added to a register.

    The term is ``significand * 2**(place - least)``, negative if ``negative`` is 1. Without dropped bits and saturation
    this is a Kulisch accumulator: the term is complemented in the adder. With them the significand is negated before it
    is moved, and `narrow_accumulator` casts the sum.

    Args:
        bits: of the significand, 1 to 64.
        least: smallest place that occurs.
        most: greatest place that occurs.
        accumulator: bits of the register, 2 to 2048.
        dropped: low bits of a term below the register's unit, fewer than it has.
        half_even: 1 to round half to even, 0 to floor.
        saturate: 1 to saturate, 0 to wrap.
        bias: 1 if sums start from an input.

    Raises:
        ValueError: if a number is out of range.

    >>> [port.name for port in align_accumulate(bits=8, least=2, most=30, accumulator=44).ports]
    ['negative', 'place', 'significand', 'enable', 'first', 'sum']
    """
    options = _options(accumulator, dropped, half_even, saturate, bias)
    plan = _aligned(
        bits=bits,
        least=least,
        most=most,
        accumulator=accumulator,
        dropped=dropped,
        half_even=half_even,
        saturate=saturate,
    )
    narrow = None
    if saturate or dropped:
        floored = 0 if half_even else dropped
        narrow = narrow_accumulator(
            term=plan.result.width,
            accumulator=accumulator,
            dropped=dropped - floored,
            half_even=half_even,
            saturate=saturate,
            bias=bias,
        )
    return render(
        "align_accumulate.v",
        family=ALIGN_ACCUMULATE,
        parameters={"bits": bits, "least": least, "most": most, **options},
        ports=(
            *inputs(negative=1, place=most.bit_length(), significand=bits),
            *_control(accumulator, bias),
            *outputs(signed=True, sum=accumulator),
        ),
        parts=(narrow,) if narrow else (),
        latency=1,
        part=narrow,
        significand=operand("significand", bits, signed=False),
        value=_negated(bits),
        plan=plan,
        whole=Term.negatable(plan.result, "negative"),
    )


@lru_cache(maxsize=1 << 14)
def align_accumulate_structure(
    *,
    bits: int,
    least: int,
    most: int,
    accumulator: int,
    dropped: int = 0,
    half_even: int = 0,
    saturate: int = 0,
    bias: int = 0,
) -> dict[str, float]:
    """LUTs of the adders and of saturation, of the aligner's multiplexers and their last one's ends; bits; registers.

    >>> found = align_accumulate_structure(bits=8, least=2, most=30, accumulator=44)
    >>> found["multiplexer_cells"], found["arithmetic_luts"]
    (48.5, 45.0)
    """
    plan = _aligned(
        bits=bits,
        least=least,
        most=most,
        accumulator=accumulator,
        dropped=dropped,
        half_even=half_even,
        saturate=saturate,
    )
    arithmetic = accumulator + 1.0
    if saturate or dropped:
        narrow = narrow_accumulator_structure(
            term=plan.result.width,
            accumulator=accumulator,
            dropped=dropped if half_even else 0,
            half_even=half_even,
            saturate=saturate,
            bias=bias,
        )
        arithmetic = narrow["arithmetic_luts"] + bits + 1
    return {
        "arithmetic_luts": arithmetic,
        "multiplexer_cells": plan.cells,
        "single_columns": plan.single_columns,
        "significand_bits": bits,
        "register_bits": accumulator,
    }


def minifloat_mac(
    *,
    e_a: int,
    m_a: int,
    e_b: int,
    m_b: int,
    accumulator: int,
    dropped: int = 0,
    half_even: int = 0,
    saturate: int = 0,
    bias: int = 0,
) -> Unit:
    """The exact product of two codes, moved to its place and added to a register: `align_accumulate`.

    Args:
        e_a: exponent bits of the first operand, 1 to 8.
        m_a: its mantissa bits, 0 to 23.
        e_b: exponent bits of the second operand; one of both has at least 2.
        m_b: its mantissa bits.
        accumulator: bits of the register, 2 to 2048.
        dropped: low bits of a product below the register's unit.
        half_even: 1 to round half to even, 0 to floor.
        saturate: 1 to saturate, 0 to wrap.
        bias: 1 if sums start from an input.

    Raises:
        ValueError: if a number is out of range, or nothing moves.

    >>> minifloat_mac(e_a=5, m_a=2, e_b=5, m_b=2, accumulator=32, dropped=24, saturate=1).latency
    1
    """
    options = _options(accumulator, dropped, half_even, saturate, bias)
    bits, least, most = _places(e_a, m_a, e_b, m_b)
    product = exact_product(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    adder = align_accumulate(bits=bits, least=least, most=most, **options)
    return render(
        "minifloat_mac.v",
        family=MINIFLOAT_MAC,
        parameters={"e_a": e_a, "m_a": m_a, "e_b": e_b, "m_b": m_b, **options},
        ports=(
            *inputs(a=1 + e_a + m_a, b=1 + e_b + m_b),
            *_control(accumulator, bias),
            *outputs(signed=True, sum=accumulator),
        ),
        parts=(product, adder),
        latency=1,
        product=product,
        adder=adder,
        place_bits=most.bit_length(),
        bits=bits,
    )


@lru_cache(maxsize=1 << 14)
def minifloat_mac_structure(
    *,
    e_a: int,
    m_a: int,
    e_b: int,
    m_b: int,
    accumulator: int,
    dropped: int = 0,
    half_even: int = 0,
    saturate: int = 0,
    bias: int = 0,
) -> dict[str, float]:
    """The features of the product and of `align_accumulate`.

    >>> minifloat_mac_structure(e_a=4, m_a=3, e_b=4, m_b=3, accumulator=44)["multiplexer_cells"]
    48.5
    """
    bits, least, most = _places(e_a, m_a, e_b, m_b)
    options = _options(accumulator, dropped, half_even, saturate, bias)
    product = exact_product_structure(e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    adder = align_accumulate_structure(bits=bits, least=least, most=most, **options)
    return {**adder, "arithmetic_luts": product["arithmetic_luts"] + adder["arithmetic_luts"], "one": 1}


def _places(e_a: int, m_a: int, e_b: int, m_b: int) -> tuple[int, int, int]:
    """Bits of the significand, and the least and greatest place."""
    operands = pair(e_a, m_a, e_b, m_b)
    if operands.a.is_integer or operands.b.is_integer or not operands.largest_place:
        raise ValueError(
            f"a minifloat multiply-accumulate has two minifloats, one with at least 2 exponent bits, got e{e_a}m{m_a} "
            f"and e{e_b}m{m_b}: use a minifloat dot product for other pairs"
        )
    return operands.significand.width, operands.least_place, operands.largest_place


def _options(accumulator: int, dropped: int, half_even: int, saturate: int, bias: int) -> dict[str, int]:
    if not 2 <= accumulator <= MAXIMUM_ACCUMULATOR:
        raise ValueError(f"an accumulator has 2 to {MAXIMUM_ACCUMULATOR} bits, got {accumulator}")
    return {
        "accumulator": accumulator,
        "dropped": dropped,
        "half_even": int(bool(half_even)),
        "saturate": int(bool(saturate)),
        "bias": int(bool(bias)),
    }


def _control(accumulator: int, bias: int) -> tuple[Port, ...]:
    return (*inputs(enable=1, first=1), *(inputs(signed=True, bias=accumulator) if bias else ()))


def _sum_width(kept: int, accumulator: int, saturate: int) -> int:
    """Bits of the sum: all of them where overflow is looked for, else those of the register."""
    return max(kept, accumulator) + 1 if saturate else accumulator


def _negated(bits: int) -> Signal:
    most = (1 << bits) - 1
    return Signal(name="value", low=-most, high=most)


@lru_cache(maxsize=1 << 12)
def _aligned(
    *, bits: int, least: int, most: int, accumulator: int, dropped: int, half_even: int, saturate: int
) -> Alignment:
    if not 1 <= bits <= 64 or not 0 <= least <= most <= MAXIMUM_PLACES or not most:
        raise ValueError(
            f"significands of 1 to 64 bits move from a least to a greatest place of up to {MAXIMUM_PLACES}, got "
            f"{bits} bits from {least} to {most}"
        )
    full = bits + most - least
    if not 0 <= dropped < full:
        raise ValueError(f"terms of {full} bits lose 0 to {full - 1} of them, got {dropped} dropped")
    if not (saturate or dropped):
        known = operand("significand", bits, signed=False)
        return align(known, "place", most=most, first=least, columns=min(full, accumulator))
    cut = not saturate and not half_even
    columns = min(full + 1 - dropped, accumulator) if cut else None
    return align(_negated(bits), "place", most=most, first=least + (0 if half_even else dropped), columns=columns)
