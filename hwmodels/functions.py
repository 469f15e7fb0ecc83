"""Tables, softmax and layer norm: memories as they pack, and multipliers, adders and shifters in the widths they need.

A table is a measured unit, or block RAM. Softmax and layer norm were not synthesised whole: their multipliers, adders,
shifters and memories are measured units, dividers and square roots are counted by structure (one bit a cycle,
restoring), and every cost made of them says so. A row is read twice, so the layer holds it while its sum forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwmodels.composition import LOGIC, Bill, compose, device_notes
from hwmodels.energy import anchor, memory_energy
from hwmodels.folding import MemoryStyle, MultiplierStyle
from hwmodels.memory import memory_budget
from hwmodels.memory_units import stored, written
from hwmodels.operands import decode_notes, decoder
from hwmodels.stream_units import HANDSHAKE_LUTS, add_stream, rounding, scaling, stream_energy
from hwmodels.table_units import table
from hwmodels.units import adder, requantising_multiplier, shifter
from kernels.integer_constants import LayerNormFields

if TYPE_CHECKING:
    from emulation.formats import Format
    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from kernels.integer_constants import SoftmaxFields


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
    cycles, budget = elements // lanes, memory_budget(device)
    in_blocks = stored(1 << index.width, entry.width, MemoryStyle.AUTO, budget)
    bill = Bill()
    if in_blocks.bram18s or in_blocks.urams:
        in_blocks.add_to(bill, lanes)
    else:
        bill.add(table(index.width, entry.width), lanes)
    bill.flip_flops += lanes * (index.width + entry.width)
    add_stream(bill, cycles)
    read = memory_energy([(1 << index.width, elements * entry.width)], anchor(device.energy_anchor))
    return compose(
        bill,
        bram18s=lanes * in_blocks.bram18s,
        urams=lanes * in_blocks.urams,
        interval_cycles=cycles,
        energy_pj=stream_energy(bill, cycles, device) + read,
        memory_pj=read,
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
    bill = Bill()
    bill.flip_flops += lanes * operand.width
    add_stream(bill, cycles, counters=2)
    return compose(
        bill,
        interval_cycles=cycles,
        energy_pj=stream_energy(bill, cycles, device),
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
    adders = [operand.width, difference, difference, fields.offset.bit_length(), fields.offset.bit_length()]
    return _row_cost(
        operand,
        name="softmax",
        products=products,
        adders=adders,
        shift=(exponential + fields.drop, max(exponential.bit_length(), 1)),
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
        adders=[deviation, 2 * deviation + fields.length.bit_length(), result + multiplier_bits],
        shift=None,
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
    adders: list[int],
    shift: tuple[int, int] | None,
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
    passes, budget = length // lanes, memory_budget(device)
    words, bits = constants
    kept = written(2 * passes, lanes * kept_bits, MemoryStyle.AUTO, budget)
    constant = stored(words // lanes, lanes * bits, MemoryStyle.AUTO, budget)
    bill = Bill()
    for unit in decoder(operand):
        bill.add(unit, lanes)
    dsps, replaced = 0, []
    for first, second in products:
        unit, used = scaling(first, second, multipliers, device)
        bill.add(unit, lanes)
        dsps += used
        replaced += [requantising_multiplier(first, second)] * lanes if used else []
    for width in adders:
        bill.add(adder(width), lanes)
    if shift is not None:
        bill.add(shifter(*shift), lanes)
    bill.add(rounding(rounded_bits), lanes)
    bill.flip_flops += lanes * (sum(first + second for first, second in products) + sum(adders))
    # What works on every value, in LUTs or DSPs alike; and the dividers, bit by bit for each row.
    a_value = stream_energy(bill, elements // lanes, device, in_dsps=tuple(replaced))
    for memory in (kept, constant):
        memory.add_to(bill)
    # A restoring step subtracts and chooses, one LUT a bit together.
    divider = 2.0 * sequential_bits
    bill.assume(LOGIC, HANDSHAKE_LUTS + divider + elements.bit_length(), 3 * sequential_bits)
    process = anchor(device.energy_anchor)
    moved = memory_energy([(2 * passes, 2 * elements * kept_bits), (words // lanes, elements * bits)], process)
    divided = elements // length * sequential_bits * process.logic(LOGIC) * divider
    return compose(
        bill,
        dsps=lanes * dsps,
        bram18s=kept.bram18s + constant.bram18s,
        urams=kept.urams + constant.urams,
        # Dividers work on one row while the next one is read.
        interval_cycles=elements // length * max(passes, sequential_bits),
        energy_pj=a_value + moved + divided,
        memory_pj=moved,
        fill_cycles=passes + sequential_bits + 6,
        notes=(
            *device_notes(device),
            f"{name}: composed of measured units and counted dividers; none was synthesised whole",
            *decode_notes(operand),
        ),
    )


def _check_lanes(lanes: int, elements: int) -> None:
    if lanes < 1 or elements < 1 or elements % lanes:
        raise ValueError(f"lanes must be at least 1 and divide the values, got {lanes} lanes for {elements} values")
