"""Layers without weights: residual adds, concatenations, activation layers, transposes, and the FIFOs between layers.

All work on ``lanes`` values at once, so their interval is elements / lanes. Integers are decoded from minifloats,
multiplied, added and rounded by measured units; the final cast to the output format is `hwmodels.output_stage` with one
requantiser per lane. Handshakes and counters of words are assumed.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.composition import LOGIC, Bill, compose, device_notes
from hwmodels.costs import Cost
from hwmodels.energy import anchor, logic_energy, memory_energy
from hwmodels.folding import MemoryStyle, MultiplierStyle
from hwmodels.memory import memory_budget
from hwmodels.memory_units import queued, written
from hwmodels.operands import decode_notes, decoder, is_signed, value_bits
from hwmodels.requantisers import choice_by_sign
from hwmodels.rtl.requantisers import RESIDUAL_ADD
from hwmodels.stream_units import add_stream, rounding, scaling, stream_energy
from hwmodels.units import (
    MOST_FACTOR_BITS,
    REFERENCE_CODE,
    REFERENCE_PRODUCT,
    Priced,
    adder,
    cast,
    priced,
    requantising_multiplier,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulation.formats import Format
    from hwmodels.devices import Device

MEASURED_RESIDUAL_SHIFT: Final = 13
"""Greatest constant shift among the rows of residual adds; it hardly matters (see `hwmodels.units.cast`)."""


class Join(Enum):
    """How several tensors become one."""

    ADD = "add"
    CONCAT = "concat"


class Rescale(Enum):
    """Whether operands must be brought to one scale first."""

    NONE = "none"
    NEEDED = "needed"


def join_cost(
    operands: Sequence[Format],
    *,
    join: Join,
    rescale: Rescale,
    elements: int,
    lanes: int,
    device: Device,
    multiplier_bits: int = 16,
    multipliers: MultiplierStyle = MultiplierStyle.LUT,
) -> Cost:
    """A residual add or a concatenation, up to the rounded but not yet saturated output.

    An add multiplies each operand (if scales differ), adds and rounds once. A concatenation takes its parts in turn, so
    its lanes share one multiplier with a constant per part, wide enough for the widest part.

    Args:
        operands: formats of the tensors, at least two.
        join: add or concatenate.
        rescale: whether the operands' scales differ from the output's. Without it nothing is rounded; an add only
            watches for overflow.
        elements: values of the output per sample.
        lanes: values at once.
        device: whose DSPs may multiply.
        multiplier_bits: of the dyadic multipliers (unsigned).
        multipliers: what multiplies.

    Raises:
        ValueError: if there are fewer than two operands or lanes do not divide the elements.
    """
    if len(operands) < 2:
        raise ValueError(f"a join takes at least 2 operands, got {len(operands)}")
    _check_lanes(lanes, elements)
    widths = [value_bits(operand) for operand in operands]
    widest, needed = max(widths), rescale is Rescale.NEEDED
    cycles = elements // lanes
    bill = Bill()
    for operand in operands:
        for unit in decoder(operand):
            bill.add(unit, lanes)
        bill.flip_flops += lanes * operand.width
    multiplied = (widths if join is Join.ADD else [widest]) if needed else []
    grown = widest + (multiplier_bits if needed else 0)
    total_bits = grown + ((len(operands) - 1).bit_length() if join is Join.ADD else 0)
    dsps, replaced = 0, []
    if _is_residual(operands, join, rescale, multipliers):
        bill.add(_residual(operands[0], operands[1], multiplier_bits), lanes)
    else:
        for bits in multiplied:
            unit, used = scaling(bits, multiplier_bits, multipliers, device)
            bill.add(unit, lanes)
            dsps += used
            replaced += [requantising_multiplier(bits, multiplier_bits)] * lanes if used else []
        if join is Join.ADD:
            for _ in operands[1:]:
                bill.add(adder(grown), lanes)
        else:
            # One word of all parts is chosen, two bits of a multiplexer in one LUT (UG474).
            bill.assume(LOGIC, lanes * (len(operands) - 1) * widest / 2)
        if needed:
            bill.add(rounding(total_bits), lanes)
    bill.flip_flops += lanes * (sum(multiplied) + 2 * total_bits)
    add_stream(bill, cycles)
    return compose(
        bill,
        dsps=lanes * dsps,
        interval_cycles=cycles,
        energy_pj=stream_energy(bill, cycles, device, in_dsps=tuple(replaced)),
        fill_cycles=5 if multiplied else 3,
        notes=(*device_notes(device), *decode_notes(*operands)),
    )


def _is_residual(operands: Sequence[Format], join: Join, rescale: Rescale, style: MultiplierStyle) -> bool:
    """Whether it is the measured unit: two integers, each with a multiplier in LUTs, and one rounding."""
    return (
        join is Join.ADD
        and len(operands) == 2
        and rescale is Rescale.NEEDED
        and style is MultiplierStyle.LUT
        and max(value_bits(operand) for operand in operands) <= MOST_FACTOR_BITS
    )


@lru_cache(maxsize=1 << 12)
def _residual(first: Format, second: Format, multiplier_bits: int) -> Priced:
    """A residual add up to what its code decides."""
    whole = priced(
        RESIDUAL_ADD,
        a=value_bits(first),
        b=value_bits(second),
        multiplier=multiplier_bits,
        a_signed=int(is_signed(first)),
        b_signed=int(is_signed(second)),
        output=REFERENCE_CODE,
        shift=MEASURED_RESIDUAL_SHIFT,
        shift_bits=0,
        output_signed=1,
        rounding=0,
        zero_point=0,
    )
    code = cast(REFERENCE_PRODUCT, REFERENCE_CODE)
    return Priced(RESIDUAL_ADD, whole.luts - code.luts, whole.flip_flops, whole.spread, whole.outside)


def activation_cost(
    operand: Format,
    *,
    elements: int,
    lanes: int,
    device: Device,
    multiplier_bits: int = 16,
    multipliers: MultiplierStyle = MultiplierStyle.LUT,
) -> Cost:
    """A ReLU or PReLU of its own: one multiplier whose constant the sign (and channel) selects, and one rounding.

    Args:
        operand: format of the tensor.
        elements: values per sample.
        lanes: values at once.
        device: whose DSPs may multiply.
        multiplier_bits: of the dyadic multipliers (unsigned).
        multipliers: what multiplies.

    Raises:
        ValueError: if lanes do not divide the elements.
    """
    _check_lanes(lanes, elements)
    bits, cycles = value_bits(operand), elements // lanes
    bill = Bill()
    for unit in decoder(operand):
        bill.add(unit, lanes)
    unit, dsps = scaling(bits, multiplier_bits, multipliers, device)
    for one in (unit, rounding(bits + multiplier_bits), choice_by_sign(multiplier_bits)):
        bill.add(one, lanes)
    bill.flip_flops += lanes * (operand.width + 2 * bits + multiplier_bits)
    add_stream(bill, cycles)
    replaced = (requantising_multiplier(bits, multiplier_bits),) * lanes if dsps else ()
    return compose(
        bill,
        dsps=lanes * dsps,
        interval_cycles=cycles,
        energy_pj=stream_energy(bill, cycles, device, in_dsps=replaced),
        fill_cycles=4,
        notes=(*device_notes(device), *decode_notes(operand)),
    )


def transpose_cost(operand: Format, *, elements: int, lanes: int, device: Device) -> Cost:
    """A transpose: two buffers of the whole tensor, one filled while the other is read. A reshape costs nothing.

    Raises:
        ValueError: if lanes do not divide the elements.
    """
    _check_lanes(lanes, elements)
    cycles = elements // lanes
    buffer = written(2 * cycles, lanes * operand.width, MemoryStyle.AUTO, memory_budget(device))
    bill = Bill()
    buffer.add_to(bill)
    bill.flip_flops += lanes * operand.width
    add_stream(bill, cycles, counters=2)
    moved = memory_energy([(2 * cycles, 2 * elements * operand.width)], anchor(device.energy_anchor))
    return compose(
        bill,
        bram18s=buffer.bram18s,
        urams=buffer.urams,
        interval_cycles=cycles,
        energy_pj=stream_energy(bill, cycles, device) + moved,
        memory_pj=moved,
        fill_cycles=cycles + 2,
        notes=device_notes(device),
    )


def fifo_cost(bits: int, depth: int, *, device: Device, words: int = 0) -> Cost:
    """A FIFO of ``depth`` words of ``bits`` bits, in shift registers or block RAM; no depth costs nothing.

    Args:
        bits: of a word.
        depth: words it holds.
        device: whose size decides between shift registers and block RAM.
        words: that pass per sample, which take energy.

    Raises:
        ValueError: if bits, depth or words are negative.
    """
    if bits < 0 or depth < 0:
        raise ValueError(f"a FIFO needs bits and depth of at least 0, got {bits} bits and depth {depth}")
    if words < 0:
        raise ValueError(f"the words that pass a FIFO per sample are at least 0, got {words}")
    if depth == 0 or bits == 0:
        return Cost()
    memory = queued(depth, bits, memory_budget(device))
    bill = Bill()
    memory.add_to(bill)
    process = anchor(device.energy_anchor)
    moved = memory_energy([(depth, 2 * words * bits)], process)
    # The word that waits at its end, and the pointers.
    logic = words * logic_energy({}, bits + 2 * depth.bit_length(), process)
    return compose(
        bill,
        bram18s=memory.bram18s,
        urams=memory.urams,
        energy_pj=logic + moved,
        memory_pj=moved,
        fill_cycles=1,
        notes=device_notes(device),
    )


def _check_lanes(lanes: int, elements: int) -> None:
    if lanes < 1 or elements < 1 or elements % lanes:
        raise ValueError(f"lanes must be at least 1 and divide the elements, got {lanes} lanes for {elements} elements")
