"""The last step of a requantiser: from the rounded value to a code of the output format.

Its cost depends on the output format and the number of requantisers alone, so an edge's format can be chosen for all
its consumers while the engine before it is priced without knowing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emulation.formats import Codebook, FixedPoint, KHot, MiniFloat, Sign, SignMagnitude
from hwmodels.block_units import block_output_flip_flops, block_output_luts, block_output_notes
from hwmodels.composition import LOGIC, MEMORY, REQUANTISER, SHIFTER, compose, device_notes
from hwmodels.energy import anchor, logic_energy
from hwmodels.minifloat_units import Significand
from hwmodels.operands import block_of, element_of, value_bits
from hwmodels.table_units import code_table_luts, level_count, level_search_luts
from hwmodels.units import SATURATE_LUTS_PER_BIT, shifter_luts

if TYPE_CHECKING:
    from emulation.formats import BlockScaled, Format
    from hwmodels.costs import Cost
    from hwmodels.devices import Device

ADAPTER_LUTS_PER_BIT: Final = 0.5
"""The width adapter of the output stream: two bits of a two-to-one multiplexer in one dual-output LUT (UG474)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """Whose outputs a stage makes: requantisers side by side, values per sample, and where."""

    requantisers: int
    values: int
    device: Device


def output_stage_cost(output_format: Format, *, requantisers: int, device: Device, values: int = 0) -> Cost:
    """Saturation into fixed point, or the search for a code of another format, and output registers.

    Into fixed point: the multiplexers that choose the value or a bound (part of the measured requantisers). Into a
    minifloat, composed and not measured as a whole: the magnitude, zero tests that find the leading one, the measured
    barrel shifter over as many bits as the format's largest integer has, an adder that rounds, and the multiplexers.
    Into a table: a binary search over the midpoints of its levels (`hwmodels.table_units.level_search_luts`). Into
    blocks: `hwmodels.block_units.block_output_luts`. The interval is not limited by it, since an engine has as many
    requantisers as its outputs need.

    Args:
        output_format: of the edge.
        requantisers: values made at once.
        device: whose LUTs are counted.
        values: made per sample, which take energy.

    Raises:
        ValueError: if there are no requantisers or the format has no cost model.

    >>> from hwmodels.devices import load_device
    >>> output_stage_cost(FixedPoint(width=8), requantisers=2, device=load_device("xc7z020")).luts
    16
    """
    if requantisers < 1:
        raise ValueError(f"an output stage serves at least 1 requantiser, got {requantisers}")
    served = _Served(requantisers=requantisers, values=values, device=device)
    blocks = block_of(output_format)
    if blocks is not None:
        return _into_blocks(blocks, served)
    element = element_of(output_format)
    if isinstance(element, (KHot, Codebook)):
        return _into_levels(element, served)
    if isinstance(element, MiniFloat):
        return _into_minifloat(element, served)
    if not isinstance(element, (FixedPoint, SignMagnitude)):
        raise ValueError(  # noqa: TRY004 - bad input of a study, reported like any other
            f"there is no cost model for {output_format} as an output: use a FixedPoint, MiniFloat, KHot, Codebook or "
            "BlockScaled format"
        )
    width = element.width
    return _composed(
        {REQUANTISER: requantisers * SATURATE_LUTS_PER_BIT * width, LOGIC: requantisers * width * ADAPTER_LUTS_PER_BIT},
        served,
        flip_flops=requantisers * 2 * width,
        fill_cycles=1,
    )


def _composed(
    luts: dict[str, float], served: _Served, *, flip_flops: int, fill_cycles: int, notes: tuple[str, ...] = ()
) -> Cost:
    """A stage all of whose logic works once for each of its values."""
    process = anchor(served.device.energy_anchor)
    logic = {family: count for family, count in luts.items() if family != MEMORY}
    a_value = logic_energy(logic, flip_flops, process) / served.requantisers
    return compose(
        luts,
        flip_flops=flip_flops,
        fill_cycles=fill_cycles,
        energy_pj=served.values * a_value,
        notes=(*device_notes(served.device), *notes),
    )


def _into_minifloat(output_format: MiniFloat, served: _Served) -> Cost:
    width, requantisers = output_format.width, served.requantisers
    magnitude_bits = output_format.largest_integer.bit_length()
    number = Significand.of(output_format)
    digits = number.largest_shift.bit_length()
    negate = magnitude_bits if output_format.sign is Sign.SIGNED else 0
    # A test over half of what is left, for each digit of the shift: together about every bit once, five new bits a LUT.
    leading_one = magnitude_bits / 5 + digits if digits else 0.0
    adapter, saturate = width * ADAPTER_LUTS_PER_BIT, SATURATE_LUTS_PER_BIT * width
    logic = saturate + adapter + negate + leading_one + number.bits + number.exponent_bits
    return _composed(
        {LOGIC: requantisers * logic, SHIFTER: requantisers * shifter_luts(magnitude_bits, digits)},
        served,
        flip_flops=requantisers * (2 * width + magnitude_bits),
        fill_cycles=2,
        notes=(f"output stage {output_format}: normaliser composed of measured shifters and assumed logic",),
    )


def _into_levels(output_format: KHot | Codebook, served: _Served) -> Cost:
    # A midpoint of two integers takes one more bit; another one tells whether anything lies below it.
    bits = value_bits(output_format) + 2
    levels = level_count(output_format)
    stages = max(levels - 1, 1).bit_length()
    search = level_search_luts(levels, bits) + code_table_luts(output_format)
    adapter = output_format.width * ADAPTER_LUTS_PER_BIT
    return _composed(
        {LOGIC: served.requantisers * (search + adapter)},
        served,
        flip_flops=served.requantisers * (stages * (bits + stages) + output_format.width),
        fill_cycles=stages,
        notes=(f"output stage {output_format}: search among {levels} levels, assumed logic",),
    )


def _into_blocks(output_format: BlockScaled, served: _Served) -> Cost:
    requantisers = served.requantisers
    return _composed(
        block_output_luts(output_format, requantisers),
        served,
        flip_flops=block_output_flip_flops(output_format, requantisers),
        # A block is complete before its first element leaves.
        fill_cycles=-(-output_format.block_size // requantisers) + 3,
        notes=block_output_notes(output_format, requantisers),
    )
