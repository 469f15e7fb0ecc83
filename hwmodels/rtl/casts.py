"""The last steps of every requantiser: shift, round once, add the zero point, saturate to a code.

The floor of the shifted number is clamped to the range of codes *before* it is rounded up, which gives the same code as
rounding first, since the ends of that range are integers. So the adder that rounds is as wide as the code, and the
multiplexers that clamp lie in its own LUTs; bits above are only tested, bits below the half only or-ed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.narrowing import Narrowing, narrowings
from hwmodels.rtl.unit import Direction, Port, render
from kernels.rounding import HALF_EVEN, HALF_UP

if TYPE_CHECKING:
    from hwmodels.rtl.unit import Unit

CAST: Final = "cast"
MAXIMUM_INPUT: Final = 192
MAXIMUM_OUTPUT: Final = 64
MAXIMUM_SHIFT: Final = 127
MAXIMUM_SHIFT_BITS: Final = 6
ROUNDINGS: Final = {HALF_EVEN: "half to even", HALF_UP: "half up"}
"""By their codes in `kernels.rounding`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CastPlan:
    """Widths of a cast.

    Attributes:
        kept: bits of the number after the constant shift, its half bit the lowest.
        first: of these, bits that go on; those above are compared with the sign.
        below: bits of the input under the half bit.
        narrowings: stages of the runtime shift.
        last: bits behind them.
        field: bits of the floor that a clamped code keeps beside a sign.
        flips: whether bits above are compared with the sign; where a negative number becomes 0 anyway they need not.
    """

    kept: int
    first: int
    below: int
    narrowings: tuple[Narrowing, ...]
    last: int
    field: int
    flips: bool

    @property
    def above_group(self) -> int:
        """Bits above that one LUT6 tests, with the sign if they are compared with it."""
        return 5 if self.flips else 6


def cast(
    *,
    input: int,  # noqa: A002 - the name of the parameter in every row
    output: int,
    shift: int,
    shift_bits: int = 0,
    input_signed: int = 1,
    output_signed: int = 1,
    rounding: int = HALF_EVEN,
    zero_point: int = 0,
) -> Unit:
    """``y = saturate(round(x * 2**-(shift + amount)) + zero_point)``; combinational.

    The rule is that of `kernels.definitions.requantise.requantise_scalar`, with the zero point of DESIGN section 6,
    rule 10.

    Args:
        input: bits of ``x``, 1 to 192.
        output: bits of the code, 1 to 64.
        shift: least shift, 0 to 127.
        shift_bits: bits of a port ``amount`` that is added to it, 0 (no port) to 6.
        input_signed: 1 if ``x`` is two's complement, else 0.
        output_signed: 1 if the code is two's complement, else 0.
        rounding: ``HALF_EVEN`` (0) or ``HALF_UP`` (1) of `kernels.rounding`.
        zero_point: a constant, one of the codes.

    Raises:
        ValueError: if a number is out of range.

    >>> cast(input=32, output=8, shift=16).module
    'cast_input32_output8_shift16_shift_bits0_input_signed1_output_signed1_rounding0_zero_point0'
    """
    plan = cast_plan(
        input_bits=input,
        output_bits=output,
        shift=shift,
        shift_bits=shift_bits,
        input_signed=input_signed,
        output_signed=output_signed,
        zero_point=zero_point,
    )
    if rounding not in ROUNDINGS:
        known = ", ".join(f"{code} ({name})" for code, name in ROUNDINGS.items())
        raise ValueError(f"a cast in hardware rounds by {known}, got rounding {rounding}")
    ports = [Port(name="x", width=input, direction=Direction.IN, signed=bool(input_signed))]
    if shift_bits:
        ports.append(Port(name="amount", width=shift_bits, direction=Direction.IN))
    ports.append(Port(name="y", width=output, direction=Direction.OUT, signed=bool(output_signed)))
    return render(
        "cast.v",
        family=CAST,
        parameters={
            "input": input,
            "output": output,
            "shift": shift,
            "shift_bits": shift_bits,
            "input_signed": int(bool(input_signed)),
            "output_signed": int(bool(output_signed)),
            "rounding": rounding,
            "zero_point": zero_point,
        },
        ports=tuple(ports),
        plan=plan,
        exact=shift == 0 and shift_bits == 0,
        even=rounding == HALF_EVEN,
        flips=plan.flips,
        zero_point_code=zero_point & (1 << output + 2) - 1,
    )


@lru_cache(maxsize=1 << 14)
def cast_structure(
    *,
    input: int,  # noqa: A002 - as above
    output: int,
    shift: int,
    shift_bits: int = 0,
    input_signed: int = 1,
    output_signed: int = 1,
    rounding: int = HALF_EVEN,
    zero_point: int = 0,
) -> dict[str, float]:
    """Bits of the multiplexers that shift, bits that are or-ed above and below, bits that are rounded and clamped.

    >>> found = cast_structure(input=32, output=8, shift=16)
    >>> found["test_luts"], found["round_bits"]
    (7, 8)
    """
    plan = cast_plan(
        input_bits=input,
        output_bits=output,
        shift=shift,
        shift_bits=shift_bits,
        input_signed=input_signed,
        output_signed=output_signed,
        zero_point=zero_point,
    )
    rounded = min(plan.last - 1, plan.field) + bool(output_signed or zero_point)
    rounds = shift > 0 or shift_bits > 0
    above = -(-max(plan.kept - plan.first - plan.flips, 0) // plan.above_group)
    below = -(-plan.below // 6) if rounding == HALF_EVEN else 0
    # Whether the floor is the greatest code; one with fewer bits than a code never is, a zero point needs no test.
    tests_greatest = rounds and not zero_point and plan.last > plan.field
    return {
        "shift_bits4": sum(found.after for found in plan.narrowings if found.stage.bits == 2),
        "shift_bits2": sum(found.after for found in plan.narrowings if found.stage.bits == 1) / 2,
        "stages": len(plan.narrowings),
        "moved_bits": sum(found.above_bits + found.below_bits for found in plan.narrowings),
        "test_luts": above + below + (-(-(rounded + 1) // 5) if tests_greatest else 0),
        "round_bits": rounded if rounds else 0,
        "zero_point_bits": output + 2 if zero_point else 0,
    }


@lru_cache(maxsize=1 << 14)
def cast_plan(
    *,
    input_bits: int,
    output_bits: int,
    shift: int,
    shift_bits: int,
    input_signed: int,
    output_signed: int,
    zero_point: int,
) -> CastPlan:
    """The widths of a cast.

    Raises:
        ValueError: if a number is out of range.
    """
    for name, value, least, most in (
        ("input", input_bits, 1, MAXIMUM_INPUT),
        ("output", output_bits, 1, MAXIMUM_OUTPUT),
        ("shift", shift, 0, MAXIMUM_SHIFT),
        ("shift_bits", shift_bits, 0, MAXIMUM_SHIFT_BITS),
    ):
        if not least <= value <= most:
            raise ValueError(f"{name} of a cast must be {least} to {most}, got {value}")
    low = -(1 << output_bits - 1) if output_signed else 0
    high = low + (1 << output_bits) - 1
    if not low <= zero_point <= high:
        raise ValueError(f"zero_point of a cast is one of its codes, {low} to {high}, got {zero_point}")
    if output_signed and output_bits == 1:
        raise ValueError("a two's complement code of a cast has at least 2 bits, got output 1: make it unsigned")
    # A zero point needs the floor clamped to one bit more than the code: what is beyond saturates with any zero point.
    field = output_bits if zero_point or not output_signed else output_bits - 1
    below = min(max(shift - 1, 0), input_bits)
    kept = max(input_bits + (shift == 0) - below, 1)
    first = min(kept, field + (1 << shift_bits))
    found = narrowings(before=first, field=field, shift_bits=shift_bits)
    last = found[-1].after if found else first
    return CastPlan(
        kept=kept,
        first=first,
        below=below,
        narrowings=found,
        last=last,
        field=field,
        flips=bool(input_signed and (output_signed or zero_point)),
    )
