"""The last step of a requantiser: from its product to a code of the output format.

Its cost depends on the output format and the number of requantisers alone, so an edge's format can be chosen for all
its consumers while the engine before it is priced without knowing it: the product is taken to have
`hwmodels.units.REFERENCE_PRODUCT` bits here, and what another one takes is part of the engine
(`hwmodels.units.cast_of_product`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from emulation.formats import Codebook, FixedPoint, KHot, MiniFloat, Sign, SignMagnitude
from hwmodels.composition import LOGIC, Bill, compose, device_notes
from hwmodels.energy import anchor, logic_energy
from hwmodels.folding import MemoryStyle
from hwmodels.memory import memory_budget
from hwmodels.memory_units import written
from hwmodels.operands import Significand, block_of, element_of, fields_of, value_bits
from hwmodels.rtl.block_scales import BLOCK_LEADING_ONE
from hwmodels.rtl.blocks import BLOCK_OUTPUT, MAXIMUM_LANES
from hwmodels.rtl.comparators import THRESHOLDS
from hwmodels.rtl.engine_sums import MAGNITUDE
from hwmodels.rtl.streams import MAXIMUM_WIDTH, WIDTH_ADAPTER
from hwmodels.table_units import code_table, level_count, level_search, search_stages
from hwmodels.units import REFERENCE_PRODUCT, adder, cast, minifloat_cast, multiplier, priced, shifter

if TYPE_CHECKING:
    from emulation.formats import BlockScaled, Format
    from hwmodels.costs import Cost
    from hwmodels.devices import Device

REFERENCE_MULTIPLIER: Final = 16
"""Bits of the multiplier in a product of `REFERENCE_PRODUCT` bits."""
WAITING_BITS: Final = 48
"""Bits of an output that waits for its block's exponent: the exact product of a 32-bit accumulator and a 16-bit
multiplier, because its cast rounds once from the exact value."""
NVFP4_LEVELS: Final = 7
"""Positive magnitudes of E2M1, each told from the one below by one threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """Whose outputs a stage makes: requantisers side by side, values per sample, and where."""

    requantisers: int
    values: int
    device: Device


def output_stage_cost(output_format: Format, *, requantisers: int, device: Device, values: int = 0) -> Cost:
    """The cast into fixed point, or the search for a code of another format, and output registers.

    Into fixed point and minifloats: the casts of our RTL (`hwmodels.rtl.casts`, `hwmodels.rtl.minifloat_casts`). Into a
    table: a binary search over the midpoints of its levels. Into blocks: the largest magnitude of a block, and elements
    moved by its exponent (`hwmodels.rtl.blocks.block_output`). Behind several requantisers a width adapter hands on
    single codes. The interval is not limited by it, since an engine has as many requantisers as its outputs need.

    Args:
        output_format: of the edge.
        requantisers: values made at once.
        device: whose LUTs are counted.
        values: made per sample, which take energy.

    Raises:
        ValueError: if there are no requantisers or the format has no cost model.

    >>> from hwmodels.devices import load_device
    >>> output_stage_cost(FixedPoint(width=8), requantisers=1, device=load_device("xc7z020")).fill_cycles
    0
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
    signed = int(not isinstance(element, FixedPoint) or element.sign is Sign.SIGNED)
    bill = Bill()
    bill.add(cast(REFERENCE_PRODUCT, element.width, code_signed=signed), requantisers)
    return _composed(bill, served, width=element.width, fill_cycles=0)


def _composed(
    bill: Bill,
    served: _Served,
    *,
    width: int,
    fill_cycles: int,
    bram18s: int = 0,
    notes: tuple[str, ...] = (),
) -> Cost:
    """A stage all of whose logic works once for each of its values, with the registers and the adapter of its codes."""
    count, process = served.requantisers, anchor(served.device.energy_anchor)
    bill.flip_flops += count * width
    if count > 1 and count * width <= MAXIMUM_WIDTH:
        bill.add(priced(WIDTH_ADAPTER, input=count * width, output=width))
    elif count > 1:
        bill.assume(LOGIC, (count - 1) * width / 2, count * width)
    a_value = logic_energy(bill.logic, bill.flip_flops, process) / count
    return compose(
        bill,
        bram18s=bram18s,
        fill_cycles=fill_cycles,
        energy_pj=served.values * a_value,
        notes=(*device_notes(served.device), *notes),
    )


def _into_minifloat(output_format: MiniFloat, served: _Served) -> Cost:
    """Magnitudes are multiplied, and cast with their sign beside them (`hwmodels.rtl.minifloat_casts`)."""
    count, fields = served.requantisers, fields_of(output_format)
    bill = Bill()
    if output_format.sign is Sign.SIGNED:
        bill.add(priced(MAGNITUDE, bits=REFERENCE_PRODUCT - REFERENCE_MULTIPLIER), count)
    reserved = (1 << fields.exponent_bits + fields.mantissa_bits) - 1 - output_format.largest_magnitude_code
    bill.add(
        minifloat_cast(REFERENCE_PRODUCT - 1, max(fields.exponent_bits, 1), fields.mantissa_bits, max(reserved, 0)),
        count,
    )
    # The multiplier and the sign wait a cycle for the magnitude.
    bill.flip_flops += count * (REFERENCE_MULTIPLIER + 1)
    return _composed(bill, served, width=output_format.width, fill_cycles=1)


def _into_levels(output_format: KHot | Codebook, served: _Served) -> Cost:
    # A midpoint of two integers takes one more bit; another one tells whether anything lies below it.
    bits, count = value_bits(output_format) + 2, served.requantisers
    levels = level_count(output_format)
    bill = Bill()
    bill.add(cast(REFERENCE_PRODUCT, bits), count)
    bill.flip_flops += count * bits
    bill.add(level_search(levels, bits), count)
    bill.add(code_table(output_format), count)
    return _composed(bill, served, width=output_format.width, fill_cycles=1 + search_stages(levels))


def _into_blocks(output_format: BlockScaled, served: _Served) -> Cost:
    """A double buffer of exact values, the largest magnitude found as they arrive, and the elements' casts."""
    count, element = served.requantisers, output_format.element
    lanes = min(count, MAXIMUM_LANES - 1)
    words = -(-output_format.block_size // count)
    bill = Bill()
    # One lane more keeps the largest magnitude of the words before.
    largest = priced(BLOCK_LEADING_ONE, lanes=lanes + 1, bits=WAITING_BITS, x_signed=0)
    bill.add(largest, count / lanes)
    bill.flip_flops += WAITING_BITS + count * WAITING_BITS
    waiting = written(2 * words, count * WAITING_BITS, MemoryStyle.LUTRAM, memory_budget(served.device))
    waiting.add_to(bill)
    # Which half is written and which word of it; the code of the scale.
    bill.assume(LOGIC, 2 * words.bit_length() + output_format.scale.width, 2 * words.bit_length())
    notes: tuple[str, ...] = ("output stage of blocks: counters of its double buffer assumed",)
    if output_format.has_power_of_two_scale:
        fields = fields_of(element)
        reserved = 0
        if isinstance(element, MiniFloat):
            reserved = max((1 << fields.exponent_bits + fields.mantissa_bits) - 1 - element.largest_magnitude_code, 0)
        shape = {"e": fields.exponent_bits, "m": min(max(fields.mantissa_bits, 1), 23), "reserved": reserved}
        bill.add(priced(BLOCK_OUTPUT, lanes=lanes, bits=WAITING_BITS, **shape), count / lanes)
    else:
        number = Significand.of(output_format.scale)
        # The scale: normalise the largest magnitude, divide by the element's largest (one constant product), round.
        bill.add(shifter(WAITING_BITS, WAITING_BITS.bit_length()))
        bill.add(multiplier(number.bits + 4, number.bits, a_signed=0, b_signed=0))
        bill.add(adder(number.bits))
        # Thresholds are odd multiples of half a step: shifted sums of the scale; one comparison each.
        bill.add(priced(THRESHOLDS, levels=NVFP4_LEVELS, width=WAITING_BITS + number.bits, signed=0), count)
        notes += (f"output stage {output_format} has no RTL: composed of a multiplier and thresholds",)
    return _composed(
        bill,
        served,
        width=element.width,
        # A block is complete before its first element leaves.
        fill_cycles=words + 3,
        bram18s=waiting.bram18s,
        notes=notes,
    )
