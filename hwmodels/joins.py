"""Layers without weights: residual adds, concatenations, activation layers, transposes, and the FIFOs between layers.

All work on ``lanes`` values at once, so their interval is elements / lanes. Integers are decoded from minifloats by an
aligner, multiplied, added and rounded by the same measured units as an engine's; the final cast to the output format is
`hwmodels.output_stage` with one requantiser per lane.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from hwmodels.composition import FIXED_LANE, LOGIC, MEMORY, MINIFLOAT_LANE, REQUANTISER, compose, device_notes
from hwmodels.costs import Cost
from hwmodels.energy import anchor, logic_energy, memory_energy
from hwmodels.folding import MemoryStyle, MultiplierStyle
from hwmodels.memory import Access, memory_cost
from hwmodels.operands import decode_luts, decode_notes, value_bits
from hwmodels.units import multiplier_luts, requantiser_notes, requantiser_round_luts_per_bit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emulation.formats import Format
    from hwmodels.devices import Device


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
    decode = sum(decode_luts(operand) for operand in operands)
    widest = max(value_bits(operand) for operand in operands)
    multiplied = [value_bits(operand) for operand in operands] if join is Join.ADD else [widest]
    if rescale is Rescale.NONE:
        multiplied = []
    grown = widest + (multiplier_bits if multiplied else 0)
    # One adder per further operand; a concatenation chooses, two bits of a multiplexer in one LUT.
    combine = (len(operands) - 1) * (grown if join is Join.ADD else widest / 2)
    total_bits = grown + ((len(operands) - 1).bit_length() if join is Join.ADD else 0)
    rounds = rescale is Rescale.NEEDED or join is Join.ADD
    scaled, dsps, notes = _multiply(multiplied, multiplier_bits, multipliers, device)
    in_dsps = lanes * _luts_in_dsps(multiplied, multiplier_bits, multipliers)
    cycles = elements // lanes
    luts = {
        MINIFLOAT_LANE: lanes * decode,
        FIXED_LANE: lanes * combine,
        REQUANTISER: lanes * (scaled + (requantiser_round_luts_per_bit() * total_bits if rounds else 0.0)),
        LOGIC: _stream_luts(cycles),
    }
    register_bits = sum(operand.width for operand in operands) + sum(multiplied) + 2 * total_bits
    flip_flops = lanes * register_bits + cycles.bit_length()
    return compose(
        {family: count for family, count in luts.items() if count},
        flip_flops=flip_flops,
        dsps=lanes * dsps,
        interval_cycles=cycles,
        energy_pj=_energy(luts, in_dsps, flip_flops, cycles, device),
        fill_cycles=5 if multiplied else 3,
        notes=(*device_notes(device), *notes, *decode_notes(*operands)),
    )


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
    bits = value_bits(operand)
    scaled, dsps, notes = _multiply([bits], multiplier_bits, multipliers, device)
    in_dsps = lanes * _luts_in_dsps([bits], multiplier_bits, multipliers)
    cycles = elements // lanes
    luts = {
        MINIFLOAT_LANE: lanes * decode_luts(operand),
        REQUANTISER: lanes * (scaled + requantiser_round_luts_per_bit() * bits),
        # Clearing a negative value or choosing its multiplier: a two-to-one multiplexer, two bits a LUT.
        LOGIC: lanes * (bits + multiplier_bits) / 2 + _stream_luts(cycles),
    }
    flip_flops = lanes * (operand.width + 2 * bits + multiplier_bits) + cycles.bit_length()
    return compose(
        {family: count for family, count in luts.items() if count},
        flip_flops=flip_flops,
        dsps=lanes * dsps,
        interval_cycles=cycles,
        energy_pj=_energy(luts, in_dsps, flip_flops, cycles, device),
        fill_cycles=4,
        notes=(*device_notes(device), *notes, *decode_notes(operand)),
    )


def transpose_cost(operand: Format, *, elements: int, lanes: int, device: Device) -> Cost:
    """A transpose: two buffers of the whole tensor, one filled while the other is read. A reshape costs nothing.

    Raises:
        ValueError: if lanes do not divide the elements.
    """
    _check_lanes(lanes, elements)
    cycles = elements // lanes
    buffer = memory_cost(
        2 * cycles, lanes * operand.width, style=MemoryStyle.AUTO, device=device, access=Access.READ_WRITE
    )
    logic = {LOGIC: 2 * _stream_luts(cycles)}
    flip_flops = lanes * operand.width + 2 * cycles.bit_length()
    moved = memory_energy([(2 * cycles, 2 * elements * operand.width)], anchor(device.energy_anchor))
    return compose(
        {MEMORY: buffer.luts, **logic},
        flip_flops=flip_flops,
        bram18s=buffer.bram18s,
        urams=buffer.urams,
        interval_cycles=cycles,
        energy_pj=_energy(logic, 0.0, flip_flops, cycles, device) + moved,
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
    memory = memory_cost(depth, bits, style=MemoryStyle.AUTO, device=device, access=Access.SHIFT)
    pointer = depth.bit_length()
    moved = memory_energy([(depth, 2 * words * bits)], anchor(device.energy_anchor))
    # A read and a write pointer and their comparison; assumed like all control logic.
    logic, flip_flops = {LOGIC: 3.0 * pointer}, 2 * pointer + bits
    return compose(
        {MEMORY: memory.luts, **logic},
        flip_flops=flip_flops,
        bram18s=memory.bram18s,
        urams=memory.urams,
        energy_pj=_energy(logic, 0.0, flip_flops, words, device) + moved,
        fill_cycles=1,
        notes=device_notes(device),
    )


def _multiply(
    widths: list[int], multiplier_bits: int, style: MultiplierStyle, device: Device
) -> tuple[float, int, tuple[str, ...]]:
    if style is MultiplierStyle.DSP:
        return 0.0, sum(device.dsp.tiles(width, multiplier_bits + 1) for width in widths), ()
    notes = dict.fromkeys(note for width in widths for note in requantiser_notes(width, multiplier_bits))
    return sum(multiplier_luts(width, multiplier_bits) for width in widths), 0, tuple(notes)


def _luts_in_dsps(widths: list[int], multiplier_bits: int, style: MultiplierStyle) -> float:
    """The LUTs that multiplications in DSPs stand for."""
    if style is not MultiplierStyle.DSP:
        return 0.0
    return sum(multiplier_luts(width, multiplier_bits) for width in widths)


def _energy(luts: dict[str, float], in_dsps: float, flip_flops: int, cycles: int, device: Device) -> float:
    process = anchor(device.energy_anchor)
    return cycles * (logic_energy(luts, flip_flops, process) + in_dsps * process.logic(REQUANTISER))


def _stream_luts(cycles: int) -> float:
    # Handshake of the streams (assumed) and a counter of the words of a sample, one LUT a bit.
    return 10.0 + cycles.bit_length()


def _check_lanes(lanes: int, elements: int) -> None:
    if lanes < 1 or elements < 1 or elements % lanes:
        raise ValueError(f"lanes must be at least 1 and divide the elements, got {lanes} lanes for {elements} elements")
