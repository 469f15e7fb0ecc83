"""The integer GELU by a polynomial (I-BERT), as hardware mode defines it: a square and a product a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwmodels.composition import Bill, compose, device_notes
from hwmodels.energy import anchor, logic_energy
from hwmodels.folding import MultiplierStyle
from hwmodels.lane_parts import LaneParts
from hwmodels.operands import decode_notes, decoder, value_bits
from hwmodels.stream_units import add_stream

if TYPE_CHECKING:
    from emulation.formats import Format
    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from kernels.integer_constants import GeluFields


def gelu_cost(
    operand: Format,
    fields: GeluFields,
    *,
    elements: int,
    lanes: int,
    device: Device,
    multiplier_bits: int = 16,
    multipliers: MultiplierStyle = MultiplierStyle.LUT,
) -> Cost:
    """A GELU by a polynomial, up to the rounded but not yet saturated output.

    Per lane, as `kernels.definitions.integer_functions.integer_gelu`: the magnitude, its difference from ``offset``
    cleared below zero, a square, two sums with ``constant``, the product with the value, and the output's multiplier
    and rounding. The shift is wiring.

    Args:
        operand: format of the input.
        fields: the constants, whose widths these are.
        elements: values per sample.
        lanes: values at once.
        device: whose DSPs may multiply.
        multiplier_bits: of the dyadic multiplier (unsigned).
        multipliers: what multiplies.

    Raises:
        ValueError: if lanes do not divide the elements.
    """
    if lanes < 1 or elements < 1 or elements % lanes:
        raise ValueError(f"lanes must be at least 1 and divide the values, got {lanes} lanes for {elements} values")
    bits, width = value_bits(operand), fields.offset.bit_length()
    lane = LaneParts(device=device, style=multipliers)
    lane.magnitude(bits)
    lane.clear(lane.add(max(width, bits + fields.shift)))
    lane.multiply(width, width, signed=(False, False))
    lane.add(2 * width)
    factor = lane.add(2 * width + 1)
    result = lane.multiply(bits, factor, signed=(True, False))
    lane.add(lane.multiply(result, multiplier_bits, signed=(True, False)) - multiplier_bits)
    held = lane.stages * bits  # the value itself waits for its factor
    cycles = elements // lanes
    control = Bill()
    add_stream(control, cycles)
    for unit in decoder(operand):
        control.add(unit, lanes)
    process = anchor(device.energy_anchor)
    a_cycle = lanes * (lane.energy_pj() + held * process.register) + logic_energy(control.luts, 0, process)
    bill = Bill()
    bill.extend(lane.bill, lanes)
    bill.extend(control)
    bill.flip_flops += lanes * held
    return compose(
        bill,
        dsps=lanes * lane.dsps,
        interval_cycles=cycles,
        fill_cycles=lane.stages + 1,
        energy_pj=cycles * a_cycle,
        notes=(
            *device_notes(device),
            "gelu by a polynomial: composed of measured units; it was not synthesised whole",
            *decode_notes(operand),
        ),
    )
