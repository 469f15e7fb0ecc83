"""Exact magnitudes to minifloats: find the leading one, normalise, round once half to even, saturate.

What lies above the last mantissa bit moves right by the number of the binade, so that only the bits of a code, a half
bit and one bit for all the rest are ever made. The places of the ones that are passed by (an OR of all bits from each
place up) give the number of the binade, and select the bits that were moved out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.alignment import Order, align
from hwmodels.rtl.constants import above
from hwmodels.rtl.counted_luts import chosen_luts, multiplier_luts
from hwmodels.rtl.minifloats import MAXIMUM_EXPONENT_BITS, MAXIMUM_MANTISSA_BITS, check_reserved
from hwmodels.rtl.multipliers import multiplier
from hwmodels.rtl.signals import operand
from hwmodels.rtl.unit import inputs, outputs, render

if TYPE_CHECKING:
    from hwmodels.rtl.alignment import Alignment
    from hwmodels.rtl.unit import Unit

MINIFLOAT_CAST: Final = "minifloat cast"
MINIFLOAT_REQUANTISER: Final = "minifloat requantiser"
MAXIMUM_MAGNITUDE: Final = 192
CAST_SHARES: Final = {
    "or_bits": 0.29,
    "numbered_bits": 0.67,
    "kept_columns": 0.37,
    "rounded_bits": 1.49,
    "saturated_luts": 0.99,
}
"""LUTs of a cast by features of its structure (least squares over 34 casts, xcup, Yosys 0.70), where it is a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CastPlan:
    """Where a cast finds what it needs.

    The number it reads is the magnitude, with bits of 0 below it down to the half bit where nothing is rounded away.

    Attributes:
        bits: of that number.
        half: place of the half bit of the smallest numbers; the bits below are only or-ed.
        binades: that the number can reach and the format has, at least 1; the subnormals belong to the first.
        window: bits from the half bit to the highest that a finite code can have.
        over: bits above the window, any of which saturates.
        alignment: of the window in reverse, so that it moves left; None with one binade.
        largest: the greatest magnitude code.
        saturates: whether a number can exceed the largest code, if only by rounding.
    """

    bits: int
    half: int
    binades: int
    window: int
    over: int
    alignment: Alignment | None
    largest: int
    saturates: bool

    @property
    def number_bits(self) -> int:
        """Bits of the number of a binade, counted from 0."""
        return (self.binades - 1).bit_length()

    def masks(self) -> list[int]:
        """For each bit of the number of a binade, the binades in whose number it is 1."""
        return [
            sum(1 << binade for binade in range(self.binades) if binade >> bit & 1) for bit in range(self.number_bits)
        ]


def minifloat_cast(*, bits: int, shift: int, e: int, m: int, reserved: int = 0) -> Unit:
    """``y``: the code nearest to ``magnitude * 2**-shift`` in the smallest numbers of a format; combinational.

    Rounded once, half to even, with gradual underflow, and saturated (`kernels.rounding.round_to_float_grid`). Zero has
    no sign.

    Args:
        bits: of the magnitude, 1 to 192.
        shift: places of the magnitude's lowest bit below the format's smallest number, up to 191; above it if negative,
            as far as the highest bit is less than 192 above.
        e: exponent bits, 1 to 8.
        m: mantissa bits, 0 to 23.
        reserved: magnitude codes at the top that are no finite numbers: 0, 1 (finite-nan) or ``2**m`` (ieee).

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in minifloat_cast(bits=40, shift=20, e=4, m=3).ports]
    [('negative', 1), ('magnitude', 40), ('y', 8)]
    """
    plan = cast_plan(bits, shift, e, m, reserved)
    return render(
        "minifloat_cast.v",
        family=MINIFLOAT_CAST,
        parameters={"bits": bits, "shift": shift, "e": e, "m": m, "reserved": reserved},
        ports=(*inputs(negative=1, magnitude=bits), *outputs(y=1 + e + m)),
        plan=plan,
        above=above("code", e + m + 1, plan.largest),
    )


@lru_cache(maxsize=1 << 14)
def minifloat_cast_structure(*, bits: int, shift: int, e: int, m: int, reserved: int = 0) -> dict[str, float]:
    """Bits only or-ed, LUTs that number the binades, columns of multiplexers, the chain that rounds, what saturates.

    Each digit of a binade's number is an OR of half of the binades. Where the number cannot reach the binade of the
    largest code nothing saturates. The chain has a bit for each of the code that can be 1 and one on either side, for
    the carry in and the overflow.

    >>> minifloat_cast_structure(bits=40, shift=20, e=4, m=3)
    {'or_bits': 20, 'numbered_bits': 28.0, 'kept_columns': 10.0, 'rounded_bits': 9, 'saturated_luts': 3.5}
    """
    plan = cast_plan(bits, shift, e, m, reserved)
    return {
        "or_bits": max(min(plan.half, bits) - 1, 0) + plan.over,
        "numbered_bits": (plan.binades - 1) * plan.number_bits / 2,
        "kept_columns": (m + 2) * plan.number_bits / 2,
        "rounded_bits": m + plan.number_bits + 2,
        "saturated_luts": chosen_luts(e + m) if plan.saturates else 0.0,
    }


def cast_luts(*, bits: int, shift: int, e: int, m: int, reserved: int = 0) -> float:
    """LUTs of a cast that is a part of another unit, by `CAST_SHARES`.

    >>> round(cast_luts(bits=40, shift=20, e=4, m=3))
    45
    """
    found = minifloat_cast_structure(bits=bits, shift=shift, e=e, m=m, reserved=reserved)
    return sum(share * found[name] for name, share in CAST_SHARES.items())


@lru_cache(maxsize=1 << 12)
def cast_plan(bits: int, shift: int, e: int, m: int, reserved: int) -> CastPlan:
    """The plan of a cast.

    Raises:
        ValueError: if a number is out of range.
    """
    if not 1 <= bits <= MAXIMUM_MAGNITUDE or not bits - MAXIMUM_MAGNITUDE <= shift < MAXIMUM_MAGNITUDE:
        raise ValueError(
            f"a cast to a minifloat takes magnitudes of 1 to {MAXIMUM_MAGNITUDE} bits whose lowest lies at most "
            f"{MAXIMUM_MAGNITUDE - 1} places below the format's smallest number and whose highest less than "
            f"{MAXIMUM_MAGNITUDE} above it, got {bits} bits and a shift of {shift}"
        )
    if not (1 <= e <= MAXIMUM_EXPONENT_BITS and 0 <= m <= MAXIMUM_MANTISSA_BITS):
        raise ValueError(
            f"a cast makes minifloats of 1 to {MAXIMUM_EXPONENT_BITS} exponent and 0 to {MAXIMUM_MANTISSA_BITS} "
            f"mantissa bits, got {e} and {m}"
        )
    check_reserved(e, m, reserved)
    largest = (1 << e + m) - 1 - reserved
    read, places = (bits, shift) if shift > 0 else (bits + 1 - shift, 1)
    highest = max(largest >> m, 1)
    binades = max(min(highest, read - places - m), 1)
    window = binades + m + 1
    alignment = None
    if binades > 1:
        alignment = align(
            operand("reversed", window, signed=False),
            "binade",
            most=binades - 1,
            first=window - m - 2,
            columns=m + 2,
            order=Order.LARGE_FIRST,
        )
    return CastPlan(
        bits=read,
        half=places - 1,
        binades=binades,
        window=window,
        over=max(read - places - m - highest, 0),
        alignment=alignment,
        largest=largest,
        saturates=binades == highest,
    )


def minifloat_requantiser(
    *, accumulator: int, multiplier_bits: int, shift: int, e: int, m: int, reserved: int = 0
) -> Unit:
    """``y``: the code nearest to ``x * multiplier * 2**-shift`` in the smallest numbers of a format; combinational.

    The rule is `kernels.definitions.requantise.requantise_scalar` on the grid of a minifloat, half to even. The
    accumulator is made a magnitude before it is multiplied.

    Args:
        accumulator: bits of the two's complement integer ``x``, 2 to 64.
        multiplier_bits: bits of the unsigned multiplier, 1 to 64.
        shift: 0 to 191.
        e: exponent bits, 1 to 8.
        m: mantissa bits, 0 to 23.
        reserved: magnitude codes at the top that are no finite numbers.

    Raises:
        ValueError: if a number is out of range.

    >>> unit = minifloat_requantiser(accumulator=24, multiplier_bits=16, shift=20, e=4, m=3)
    >>> [(port.name, port.width) for port in unit.ports]
    [('x', 24), ('multiplier', 16), ('y', 8)]
    """
    _check_requantiser(accumulator)
    times = multiplier(a=accumulator, b=multiplier_bits, a_signed=0, b_signed=0)
    # The one magnitude of `accumulator` bits is a power of two: the product's top bit is never 1.
    bits = accumulator + multiplier_bits - 1
    cast = minifloat_cast(bits=bits, shift=shift, e=e, m=m, reserved=reserved)
    return render(
        "minifloat_requantiser.v",
        family=MINIFLOAT_REQUANTISER,
        parameters={
            "accumulator": accumulator,
            "multiplier_bits": multiplier_bits,
            "shift": shift,
            "e": e,
            "m": m,
            "reserved": reserved,
        },
        ports=(*inputs(signed=True, x=accumulator), *inputs(multiplier=multiplier_bits), *outputs(y=1 + e + m)),
        parts=(times, cast),
        times=times,
        cast=cast,
        bits=bits,
    )


@lru_cache(maxsize=1 << 14)
def minifloat_requantiser_structure(
    *, accumulator: int, multiplier_bits: int, shift: int, e: int, m: int, reserved: int = 0
) -> dict[str, float]:
    """LUTs of the multiplier and of the negation, and the features of the cast.

    >>> round(minifloat_requantiser_structure(accumulator=24, multiplier_bits=8, shift=14, e=4, m=3)["cast_luts"])
    38
    """
    _check_requantiser(accumulator)
    bits = accumulator + multiplier_bits - 1
    product = multiplier_luts(a=accumulator, b=multiplier_bits, a_signed=0, b_signed=0)
    return {
        "arithmetic_luts": product + accumulator,
        "cast_luts": cast_luts(bits=bits, shift=shift, e=e, m=m, reserved=reserved),
        "one": 1,
    }


def _check_requantiser(accumulator: int) -> None:
    if not 2 <= accumulator <= 64:
        raise ValueError(f"a requantiser into a minifloat takes accumulators of 2 to 64 bits, got {accumulator}")
