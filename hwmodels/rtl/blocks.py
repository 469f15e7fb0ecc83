"""Blocks with scales that are powers of two: their dot products, and the elements of output blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.alignment import Alignment, Order, align
from hwmodels.rtl.block_scales import block_scale_add, block_scale_add_structure
from hwmodels.rtl.constants import above
from hwmodels.rtl.counted_luts import multiplier_luts
from hwmodels.rtl.lanes import minifloat_dot, minifloat_dot_bits, minifloat_dot_structure
from hwmodels.rtl.minifloat_casts import cast_plan, minifloat_cast
from hwmodels.rtl.minifloat_products import significand_widths
from hwmodels.rtl.minifloats import check_reserved, pair
from hwmodels.rtl.signals import operand
from hwmodels.rtl.unit import inputs, outputs, render

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Port, Unit

BLOCK_DOT: Final = "block dot product"
BLOCK_OUTPUT: Final = "block output"
BLOCK_MOVER: Final = "block mover"
"""A part of every lane of a block output; no family of its own."""
MAXIMUM_REGISTER: Final = 128
MAXIMUM_WAITING: Final = 128
MAXIMUM_LANES: Final = 256


def block_dot(
    *,
    lanes: int,
    e_a: int,
    m_a: int,
    e_b: int,
    m_b: int,
    scale_a: int,
    scale_b: int,
    accumulator: int,
    output: int,
    bias: int = 0,
) -> Unit:
    """Dot products of blocks, moved to one unit by their scales, added up, saturated at the end.

    In each cycle with ``enable`` the register takes ``start + floor(dot * 2**(scale_a + scale_b - D))``, where ``dot``
    is the exact dot product of ``lanes`` elements, D the bits it has (`block_dot_bits`), and ``start`` the old sum, or
    in a cycle with ``first`` the input ``bias`` (0 without). The output ``sum`` is the register, saturated. That is
    DESIGN section 6, rule 11, as long as the sum itself fits the register; whatever sums were on the way does not
    matter, since the register counts modulo a power of two.

    Args:
        lanes: elements of a block at once, 1 to 256.
        e_a: exponent bits of first elements, 0 to 8; 0 for two's complement, 1 for sign and magnitude.
        m_a: their mantissa bits, 0 to 23.
        e_b: exponent bits of second elements.
        m_b: their mantissa bits.
        scale_a: bits of the scale code of the first block, unsigned.
        scale_b: bits of the scale of the second block, two's complement, which holds the difference to the unit.
        accumulator: bits of the register, 2 to 128.
        output: bits of the saturated sum, 2 to as many.
        bias: 1 if sums start from an input.

    Raises:
        ValueError: if a number is out of range.

    >>> unit = block_dot(lanes=8, e_a=2, m_a=1, e_b=2, m_b=1, scale_a=8, scale_b=10, accumulator=34, output=32)
    >>> [(port.name, port.width) for port in unit.ports][:4]
    [('a', 32), ('b', 32), ('scale_a', 8), ('scale_b', 10)]
    """
    shape = {"e_a": e_a, "m_a": m_a, "e_b": e_b, "m_b": m_b}
    if not 1 <= lanes <= MAXIMUM_LANES:
        raise ValueError(f"a block dot product has 1 to {MAXIMUM_LANES} lanes, got {lanes}")
    plan = _dot_plan(lanes=lanes, e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b, accumulator=accumulator, output=output)
    dot = minifloat_dot(lanes=lanes, **shape)
    scales = block_scale_add(scale_a=scale_a, scale_b=scale_b, largest=plan.largest)
    ports: dict[str, Port] = {port.name: port for port in dot.ports}
    return render(
        "block_dot.v",
        family=BLOCK_DOT,
        parameters={
            "lanes": lanes,
            **shape,
            "scale_a": scale_a,
            "scale_b": scale_b,
            "accumulator": accumulator,
            "output": output,
            "bias": int(bool(bias)),
        },
        ports=(
            ports["a"],
            ports["b"],
            *inputs(scale_a=scale_a),
            *inputs(signed=True, scale_b=scale_b),
            *inputs(enable=1, first=1),
            *(inputs(signed=True, bias=accumulator) if bias else ()),
            *outputs(signed=True, sum=output),
        ),
        parts=(dot, scales),
        latency=1,
        dot=dot,
        scales=scales,
        plan=plan,
        product=operand("product", plan.bits, signed=True),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _DotPlan:
    """Bits of the dot product of a block, the greatest place, and its alignment to the register."""

    bits: int
    largest: int
    alignment: Alignment


def block_dot_bits(*, lanes: int, e_a: int, m_a: int, e_b: int, m_b: int) -> int:
    """Bits of the exact dot product of a block: places below 1 of `block_dot`'s scales.

    >>> block_dot_bits(lanes=8, e_a=2, m_a=1, e_b=2, m_b=1)
    12
    """
    return minifloat_dot_bits(lanes=lanes, e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)


@lru_cache(maxsize=1 << 14)
def block_dot_structure(
    *,
    lanes: int,
    e_a: int,
    m_a: int,
    e_b: int,
    m_b: int,
    scale_a: int,
    scale_b: int,
    accumulator: int,
    output: int,
    bias: int = 0,
) -> dict[str, float]:
    """LUTs of the dot product, scales, adder and saturation; of the second aligner; of multipliers of hidden bits.

    >>> block_dot_structure(
    ...     lanes=8, e_a=2, m_a=1, e_b=2, m_b=1, scale_a=8, scale_b=10, accumulator=34, output=32
    ... )["register_bits"]
    34
    """
    del bias  # shares the adder's LUTs
    plan = _dot_plan(lanes=lanes, e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b, accumulator=accumulator, output=output)
    dot = minifloat_dot_structure(lanes=lanes, e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    scales = block_scale_add_structure(scale_a=scale_a, scale_b=scale_b, largest=plan.largest)
    saturated = output / 2 if output < accumulator else 0
    product = multiplier_luts(**significand_widths(pair(e_a, m_a, e_b, m_b)))
    return {
        "arithmetic_luts": dot["arithmetic_luts"] + scales["adder_bits"] + accumulator + saturated,
        "place_cells": plan.alignment.cells,
        "hidden_luts": lanes * product * (int(e_a > 0) + int(e_b > 0)) / 2,
        "register_bits": accumulator,
    }


@lru_cache(maxsize=1 << 12)
def _dot_plan(*, lanes: int, e_a: int, m_a: int, e_b: int, m_b: int, accumulator: int, output: int) -> _DotPlan:
    if not 2 <= output <= accumulator <= MAXIMUM_REGISTER:
        raise ValueError(
            f"a block dot product has a register of up to {MAXIMUM_REGISTER} bits and an output of 2 to as many, got "
            f"{accumulator} and {output}"
        )
    bits = block_dot_bits(lanes=lanes, e_a=e_a, m_a=m_a, e_b=e_b, m_b=m_b)
    # From this place on all bits have left the register.
    largest = bits + accumulator
    alignment = align(operand("product", bits, signed=True), "place", most=largest, first=bits, columns=accumulator)
    return _DotPlan(bits=bits, largest=largest, alignment=alignment)


def block_output(*, lanes: int, bits: int, e: int, m: int, reserved: int = 0) -> Unit:
    """Elements of an output block: exact magnitudes, moved by the block's place, rounded once; combinational.

    With the place of the leading one of the block's largest magnitude (`hwmodels.rtl.block_scales.block_leading_one`)
    an element is ``magnitude * 2**(top - place)`` in the smallest numbers of its format, rounded half to even and
    saturated; ``top`` is the place of the leading one of the format's largest number (DESIGN section 6, rule 12).
    Lane 0 is in the lowest bits of the ports ``negative``, ``magnitude`` and ``y``. No magnitude may have a one above
    the place. Mover and cast of each lane are mapped by themselves: mapped together, units take 5 % more LUTs (median
    of 110, xcup, Yosys 0.70), each by another share.

    Args:
        lanes: elements at once, 1 to 256.
        bits: of a magnitude, 2 to 128.
        e: exponent bits, 0 to 8; 0 for two's complement elements of ``1 + m`` bits, 1 for sign and magnitude.
        m: mantissa bits, 0 to 23.
        reserved: magnitude codes at the top that are no finite numbers: 0, 1 (finite-nan) or ``2**m`` (ieee).

    Raises:
        ValueError: if a number is out of range.

    >>> [(port.name, port.width) for port in block_output(lanes=2, bits=48, e=2, m=1).ports]
    [('negative', 2), ('magnitude', 96), ('place', 6), ('y', 8)]
    """
    plan = _output_plan(lanes, bits, e, m, reserved)
    cast = minifloat_cast(bits=plan.bits, shift=plan.shift, e=e, m=m, reserved=reserved) if e else None
    mover = render(
        "block_mover.v",
        family=BLOCK_MOVER,
        parameters={"bits": bits, "top": plan.top},
        ports=(
            *inputs(magnitude=bits, place=(bits - 1).bit_length()),
            *(inputs(below=plan.masked) if plan.masked else ()),
            *outputs(moved=plan.bits),
        ),
        plan=plan,
    )
    return render(
        "block_output.v",
        family=BLOCK_OUTPUT,
        parameters={"lanes": lanes, "bits": bits, "e": e, "m": m, "reserved": reserved},
        ports=(
            *inputs(negative=lanes, magnitude=lanes * bits, place=(bits - 1).bit_length()),
            *outputs(y=lanes * (1 + e + m)),
        ),
        parts=(mover, cast) if cast else (mover,),
        mover=mover,
        cast=cast,
        plan=plan,
        masks=[above("place", (bits - 1).bit_length(), place + plan.top + 1) for place in range(plan.masked)],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _OutputPlan:
    """How the magnitude of an element is moved.

    Attributes:
        top: place of the leading one of the format's largest number.
        masked: low bits of the magnitude that can fall below the half bit.
        columns: bits of the moved magnitude that can be 1, down to the half bit.
        alignment: of the magnitude in reverse, so that it moves left.
    """

    top: int
    masked: int
    columns: int
    alignment: Alignment

    @property
    def bits(self) -> int:
        """Bits of what is left: the columns, and one for all below the half bit."""
        return self.columns + int(self.masked > 0)

    @property
    def shift(self) -> int:
        """Places of their lowest bit below the format's smallest number; above it if negative."""
        return self.bits - 1 - self.top


@lru_cache(maxsize=1 << 14)
def block_output_structure(*, lanes: int, bits: int, e: int, m: int, reserved: int = 0) -> dict[str, float]:
    """Columns that choose and bits that round, a LUT each; columns that pass one bit, masks and the bits they select.

    Then the binades that a cast tells apart, those an element can reach. Masks serve all lanes, everything else is in
    each of them.

    >>> block_output_structure(lanes=2, bits=48, e=0, m=7)
    {'lane_luts': 102, 'single_columns': 0, 'masks': 40, 'selected_bits': 80, 'binades': 0}
    """
    plan = _output_plan(lanes, bits, e, m, reserved)
    rounded, binades = m + 2, 0
    if e:
        cast = cast_plan(plan.bits, plan.shift, e, m, reserved)
        rounded += cast.number_bits
        # What is moved further than it has bits ends in zeros, none of which is a leading one.
        binades = min(cast.binades, plan.bits) - 1
    return {
        "lane_luts": lanes * (plan.alignment.all_shared_columns + rounded),
        "single_columns": lanes * plan.alignment.all_single_columns,
        "masks": plan.masked,
        "selected_bits": lanes * plan.masked,
        "binades": lanes * binades,
    }


@lru_cache(maxsize=1 << 12)
def _output_plan(lanes: int, bits: int, e: int, m: int, reserved: int) -> _OutputPlan:
    if not 1 <= lanes <= MAXIMUM_LANES:
        raise ValueError(f"block outputs are made in 1 to {MAXIMUM_LANES} lanes, got {lanes}")
    if not 2 <= bits <= MAXIMUM_WAITING:
        raise ValueError(f"magnitudes of a block output have 2 to {MAXIMUM_WAITING} bits, got {bits}")
    if e == 0:
        if not 1 <= m <= 23 or reserved:
            raise ValueError(
                f"two's complement elements have 1 to 23 bits beside the sign and none reserved, got {m} and {reserved}"
            )
        top = m - 1
    else:
        check_reserved(e, m, reserved)
        field, mantissa = divmod((1 << e + m) - 1 - reserved, 1 << m)
        largest = (1 << m) + mantissa << field - 1 if field else mantissa
        top = largest.bit_length() - 1
    columns = min(top + 2, bits)
    # In reverse, bit `place` is column `bits - 1 - place`; moved by the place it stands at column `bits - 1`, whatever
    # the place was, and the columns above it are the element's lower bits, its half bit last.
    alignment = align(
        operand("reversed", bits, signed=False),
        "place",
        most=bits - 1,
        first=bits - 1,
        columns=columns,
        order=Order.LARGE_FIRST,
    )
    return _OutputPlan(top=top, masked=bits - columns, columns=columns, alignment=alignment)
