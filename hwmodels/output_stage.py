"""The last step of a requantiser: from the rounded value to a code of the output format.

Its cost depends on the output format and the number of requantisers alone, so an edge's format can be chosen for all
its consumers while the engine before it is priced without knowing it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulation.formats import FixedPoint, MiniFloat, Sign
from hwmodels.composition import LOGIC, REQUANTISER, SHIFTER, compose, device_notes
from hwmodels.minifloat_units import Significand
from hwmodels.units import SATURATE_LUTS_PER_BIT, shifter_luts

if TYPE_CHECKING:
    from hwmodels.costs import Cost
    from hwmodels.devices import Device


def output_stage_cost(output_format: FixedPoint | MiniFloat, *, requantisers: int, device: Device) -> Cost:
    """Saturation into fixed point, or normalisation, rounding and saturation into a minifloat, and output registers.

    Into fixed point: the multiplexers that choose the value or a bound (part of the measured requantisers). Into a
    minifloat, composed and not measured as a whole: the magnitude, zero tests that find the leading one, the measured
    barrel shifter over as many bits as the format's largest integer has, an adder that rounds, and the multiplexers.
    The interval is not limited by it, since an engine has as many requantisers as its outputs need.

    Args:
        output_format: of the edge.
        requantisers: values made at once.
        device: whose LUTs are counted.

    Raises:
        ValueError: if there are no requantisers or the format has no cost model.

    >>> from hwmodels.devices import load_device
    >>> output_stage_cost(FixedPoint(width=8), requantisers=2, device=load_device("xc7z020")).luts
    16
    """
    if requantisers < 1:
        raise ValueError(f"an output stage serves at least 1 requantiser, got {requantisers}")
    if not isinstance(output_format, (FixedPoint, MiniFloat)):
        raise ValueError(  # noqa: TRY004 - bad input of a study, reported like any other
            f"there is no cost model for {output_format}: use a FixedPoint or MiniFloat format"
        )
    width = output_format.width
    # The width adapter of the output stream: two bits of a two-to-one multiplexer in one dual-output LUT (UG474).
    adapter = width / 2
    saturate = SATURATE_LUTS_PER_BIT * width
    if isinstance(output_format, FixedPoint):
        return compose(
            {REQUANTISER: requantisers * saturate, LOGIC: requantisers * adapter},
            flip_flops=requantisers * 2 * width,
            fill_cycles=1,
            notes=device_notes(device),
        )
    magnitude_bits = output_format.largest_integer.bit_length()
    number = Significand.of(output_format)
    digits = number.largest_shift.bit_length()
    negate = magnitude_bits if output_format.sign is Sign.SIGNED else 0
    # A test over half of what is left, for each digit of the shift: together about every bit once, five new bits a LUT.
    leading_one = magnitude_bits / 5 + digits if digits else 0.0
    logic = saturate + adapter + negate + leading_one + number.bits + number.exponent_bits
    return compose(
        {LOGIC: requantisers * logic, SHIFTER: requantisers * shifter_luts(magnitude_bits, digits)},
        flip_flops=requantisers * (2 * width + magnitude_bits),
        fill_cycles=2,
        notes=(
            *device_notes(device),
            f"output stage {output_format}: normaliser composed of measured shifters and assumed logic",
        ),
    )
