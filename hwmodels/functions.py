"""Tables, softmax and layer norm: memories as they pack, and multipliers, adders and shifters in the widths they need.

Nothing of this kind was synthesised whole. Multipliers and shifters are the measured units, adders and comparators one
LUT a bit as measured; dividers and square roots are counted by structure (one bit a cycle, restoring), and every cost
made of them says so. A row is read twice, so the layer holds it while its sum forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwmodels.composition import FIXED_LANE, LOGIC, MEMORY, MINIFLOAT_LANE, REQUANTISER, SHIFTER, compose, device_notes
from hwmodels.energy import anchor, logic_energy, memory_energy
from hwmodels.folding import MemoryStyle, MultiplierStyle
from hwmodels.memory import Access, memory_cost
from hwmodels.operands import decode_luts, decode_notes
from hwmodels.units import (
    multiplier_luts,
    multiplier_notes,
    requantiser_round_luts_per_bit,
    shifter_luts,
)
from kernels.integer_constants import LayerNormFields

if TYPE_CHECKING:
    from emulation.formats import Format
    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from kernels.integer_constants import SoftmaxFields

_STREAM_LUTS = 10.0
"""Handshake of the streams, assumed as in `hwmodels.joins`."""


def table_cost(index: Format, entry: Format, *, elements: int, lanes: int, device: Device) -> Cost:
    """An activation function by table: one read-only memory per lane, from the input's code to the output's.

    Args:
        index: format of the input, whose code is the address.
        entry: format of the output, whose codes are stored: no output stage follows.
        elements: values per sample.
        lanes: values at once.
        device: decides between LUTs and block RAM.

    Raises:
        ValueError: if lanes do not divide the elements.
    """
    _check_lanes(lanes, elements)
    memory = memory_cost(1 << index.width, entry.width, style=MemoryStyle.AUTO, device=device, access=Access.READ_ONLY)
    cycles = elements // lanes
    process = anchor(device.energy_anchor)
    logic = {LOGIC: _STREAM_LUTS + cycles.bit_length()}
    flip_flops = lanes * (index.width + entry.width) + cycles.bit_length()
    read = memory_energy([(1 << index.width, elements * entry.width)], process)
    return compose(
        {MEMORY: lanes * memory.luts, **logic},
        flip_flops=flip_flops,
        bram18s=lanes * memory.bram18s,
        urams=lanes * memory.urams,
        interval_cycles=cycles,
        energy_pj=cycles * logic_energy(logic, flip_flops, process) + read,
        fill_cycles=2,
        notes=device_notes(device),
    )


def select_cost(operand: Format, *, elements: int, lanes: int, device: Device) -> Cost:
    """A stream of which only some values go on: a counter and a register.

    Args:
        operand: format of the tensor.
        elements: values of the input per sample, all of which pass by.
        lanes: values at once.
        device: whose LUTs are counted.

    Raises:
        ValueError: if lanes do not divide the elements.
    """
    _check_lanes(lanes, elements)
    cycles = elements // lanes
    logic = {LOGIC: _STREAM_LUTS + 2.0 * cycles.bit_length()}
    flip_flops = lanes * operand.width + cycles.bit_length()
    return compose(
        logic,
        flip_flops=flip_flops,
        interval_cycles=cycles,
        energy_pj=cycles * logic_energy(logic, flip_flops, anchor(device.energy_anchor)),
        fill_cycles=1,
        notes=device_notes(device),
    )


def softmax_cost(
    operand: Format,
    fields: SoftmaxFields,
    *,
    elements: int,
    lanes: int,
    device: Device,
    multiplier_bits: int = 16,
    multipliers: MultiplierStyle = MultiplierStyle.LUT,
) -> Cost:
    """An integer softmax, up to the rounded but not yet saturated output.

    Per lane: the maximum, a difference, its quotient by ln 2 (a product with a constant), a square, a shift, the
    product with the reciprocal, and the output's multiplier and rounding. Per layer: the sum, and a divider that makes
    one bit of the reciprocal a cycle.

    Args:
        operand: format of the input.
        fields: the constants, whose widths these are.
        elements: values per sample.
        lanes: values of a row at once.
        device: whose DSPs may multiply.
        multiplier_bits: of the dyadic multiplier.
        multipliers: what multiplies.

    Raises:
        ValueError: if lanes do not divide the rows.
    """
    _check_lanes(lanes, fields.length)
    difference = (fields.lowest << fields.shift).bit_length()
    quotient = (difference, max(difference - fields.log_two.bit_length() + 1, 1))
    square = (fields.offset.bit_length(),) * 2
    exponential = fields.largest_exponential.bit_length()
    reciprocal = max(fields.reciprocal_bits - exponential + 2, 2)
    scaled = (fields.reciprocal_bits + 1, multiplier_bits)
    products = [quotient, square, (exponential, reciprocal), scaled]
    adders = operand.width + 2 * difference + 2 * fields.offset.bit_length()
    return _row_cost(
        operand,
        name="softmax",
        products=products,
        adders=adders,
        shifts=shifter_luts(exponential + fields.drop, max(exponential.bit_length(), 1)),
        rounded_bits=sum(scaled),
        kept_bits=operand.width + exponential,
        sequential_bits=fields.reciprocal_bits,
        length=fields.length,
        elements=elements,
        lanes=lanes,
        device=device,
        multipliers=multipliers,
    )


def layer_norm_cost(
    operand: Format,
    fields: LayerNormFields,
    *,
    elements: int,
    lanes: int,
    device: Device,
    multiplier_bits: int = 16,
    multipliers: MultiplierStyle = MultiplierStyle.LUT,
) -> Cost:
    """An integer layer norm, up to the rounded but not yet saturated output.

    Per lane: a deviation, its square, the product with the reciprocal, and the gain's multiplier, the offset's adder
    and the rounding. Per layer: the sums, the division of the mean, a square root and a divider, one bit a cycle each,
    and a memory of gains and offsets.

    Args:
        operand: format of the input.
        fields: the constants, whose widths these are.
        elements: values per sample.
        lanes: values of a row at once.
        device: whose DSPs may multiply.
        multiplier_bits: of the gains.
        multipliers: what multiplies.

    Raises:
        ValueError: if lanes do not divide the rows.
    """
    _check_lanes(lanes, fields.length)
    deviation = (fields.magnitude << fields.fraction_bits).bit_length() + 1
    result = fields.largest_result.bit_length() + 1
    products = [(deviation, deviation), (deviation, fields.reciprocal_bits - 14), (result, multiplier_bits)]
    return _row_cost(
        operand,
        name="layer norm",
        products=products,
        adders=deviation + 2 * deviation + fields.length.bit_length() + result + multiplier_bits,
        shifts=0.0,
        rounded_bits=result + multiplier_bits,
        kept_bits=2 * operand.width,
        # The mean's division, the root of the variance and the reciprocal follow each other.
        sequential_bits=2 * deviation + fields.reciprocal_bits,
        length=fields.length,
        elements=elements,
        lanes=lanes,
        device=device,
        multipliers=multipliers,
        constants=(fields.length, multiplier_bits + result),
    )


def row_cost(
    operand: Format,
    fields: SoftmaxFields | LayerNormFields,
    *,
    elements: int,
    lanes: int,
    device: Device,
    multiplier_bits: int = 16,
    multipliers: MultiplierStyle = MultiplierStyle.LUT,
) -> Cost:
    """`softmax_cost` or `layer_norm_cost`, whichever the constants are for; the same arguments."""
    price: Any = layer_norm_cost if isinstance(fields, LayerNormFields) else softmax_cost
    cost: Cost = price(
        operand,
        fields,
        elements=elements,
        lanes=lanes,
        device=device,
        multiplier_bits=multiplier_bits,
        multipliers=multipliers,
    )
    return cost


def _row_cost(
    operand: Format,
    *,
    name: str,
    products: list[tuple[int, int]],
    adders: int,
    shifts: float,
    rounded_bits: int,
    kept_bits: int,
    sequential_bits: int,
    length: int,
    elements: int,
    lanes: int,
    device: Device,
    multipliers: MultiplierStyle,
    constants: tuple[int, int] = (0, 0),
) -> Cost:
    """Lanes over rows that are kept until their sum is known; rows follow each other without a gap."""
    passes = length // lanes
    kept = memory_cost(2 * passes, lanes * kept_bits, style=MemoryStyle.AUTO, device=device, access=Access.READ_WRITE)
    words, bits = constants
    stored = memory_cost(words // lanes, lanes * bits, style=MemoryStyle.AUTO, device=device, access=Access.READ_ONLY)
    in_dsps = multipliers is MultiplierStyle.DSP
    dsps = sum(device.dsp.tiles(first, second + 1) for first, second in products) if in_dsps else 0
    notes = [note for first, second in products for note in multiplier_notes(first, second)] if not in_dsps else []
    multiplied = 0.0 if in_dsps else sum(multiplier_luts(first, second) for first, second in products)
    luts = {
        MINIFLOAT_LANE: lanes * decode_luts(operand),
        FIXED_LANE: lanes * float(adders),
        REQUANTISER: lanes * (multiplied + requantiser_round_luts_per_bit() * rounded_bits),
        SHIFTER: lanes * shifts,
        MEMORY: float(kept.luts + stored.luts),
        # A restoring step subtracts and chooses, one LUT a bit together.
        LOGIC: _STREAM_LUTS + 2.0 * sequential_bits + elements.bit_length(),
    }
    flip_flops = lanes * (sum(first + second for first, second in products) + adders) + 3 * sequential_bits
    process = anchor(device.energy_anchor)
    # What works on every value, in LUTs or DSPs alike; and the dividers, bit by bit for each row.
    logic = {family: count for family, count in luts.items() if family not in (MEMORY, LOGIC)}
    replaced = lanes * sum(multiplier_luts(first, second) for first, second in products) if in_dsps else 0.0
    a_cycle = logic_energy(logic, flip_flops, process) + process.logic(REQUANTISER) * replaced
    moved = memory_energy([(2 * passes, 2 * elements * kept_bits), (words // lanes, elements * bits)], process)
    divided = elements // length * sequential_bits * process.logic(LOGIC) * luts[LOGIC]
    return compose(
        {family: count for family, count in luts.items() if count},
        flip_flops=flip_flops,
        dsps=lanes * dsps,
        bram18s=kept.bram18s + stored.bram18s,
        urams=kept.urams + stored.urams,
        # Dividers work on one row while the next one is read.
        interval_cycles=elements // length * max(passes, sequential_bits),
        energy_pj=elements // lanes * a_cycle + moved + divided,
        fill_cycles=passes + sequential_bits + 6,
        notes=(
            *device_notes(device),
            f"{name}: composed of measured multipliers and counted dividers; none was synthesised whole",
            *dict.fromkeys(notes),
            *decode_notes(operand),
        ),
    )


def _check_lanes(lanes: int, elements: int) -> None:
    if lanes < 1 or elements < 1 or elements % lanes:
        raise ValueError(f"lanes must be at least 1 and divide the values, got {lanes} lanes for {elements} values")
