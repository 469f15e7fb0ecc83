"""Max and average pooling in a stream."""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from hwmodels.composition import FIXED_LANE, LOGIC, MEMORY, MINIFLOAT_LANE, REQUANTISER, compose, device_notes
from hwmodels.energy import anchor, logic_energy, memory_energy
from hwmodels.folding import MemoryStyle
from hwmodels.memory import Access, memory_cost
from hwmodels.operands import decode_luts, decode_notes, has_ordered_codes, value_bits
from hwmodels.units import multiplier_luts, requantiser_notes, requantiser_round_luts_per_bit
from hwmodels.windows import first_window_positions, held_positions

if TYPE_CHECKING:
    from emulation.formats import Format
    from emulation.network import Window
    from hwmodels.costs import Cost
    from hwmodels.devices import Device


class Pool(Enum):
    """What is taken from a window."""

    MAXIMUM = "maximum"
    AVERAGE = "average"


def pool_requantisers(window: Window, lanes: int) -> int:
    """Requantisers of an average pool: a window takes as many cycles as it has taps, so they serve several lanes."""
    return -(-lanes // window.taps)


def pool_cost(
    pool: Pool,
    *,
    window: Window,
    space: tuple[int, ...],
    channels: int,
    number_format: Format,
    lanes: int,
    device: Device,
    multiplier_bits: int = 16,
) -> Cost:
    """A pooling layer of ``lanes`` channels at once; an average up to the rounded but not yet saturated output.

    Windows that do not overlap are reduced as their values arrive: one partial result per window of a row is kept.
    Overlapping windows are read, tap by tap, from a line buffer.

    Args:
        pool: largest value or mean.
        window: kernel, stride, padding, dilation.
        space: input positions along each axis.
        channels: of the tensor.
        number_format: of its codes. Maxima compare codes; averages add the integers they mean.
        lanes: channels at once; must divide the channels.
        device: whose size decides between LUTs and block RAM.
        multiplier_bits: of the dyadic multiplier that holds 1/taps.

    Raises:
        ValueError: if lanes do not divide the channels.
    """
    if lanes < 1 or channels < 1 or channels % lanes:
        raise ValueError(f"lanes must be at least 1 and divide the channels, got {lanes} lanes for {channels} channels")
    groups = channels // lanes
    out_space = window.output_space(space)
    arrive = math.prod(space) * groups
    state_bits = _state_bits(pool, number_format, window)
    if _overlaps(window):
        words, bits = held_positions(window, space) * groups, lanes * number_format.width
        interval = max(arrive, math.prod(out_space) * window.taps * groups)
    else:
        words, bits = math.prod(out_space[1:]) * groups, lanes * state_bits
        interval = arrive
    memory = memory_cost(words, bits, style=MemoryStyle.AUTO, device=device, access=Access.READ_WRITE)
    counters = sum(size.bit_length() for size in (*space, *window.kernel, groups))
    # Counters a LUT a bit and the handshake; assumed like all control logic.
    luts = {MEMORY: float(memory.luts), LOGIC: 10.0 + counters}
    notes = device_notes(device) + decode_notes(number_format)
    registers = lanes * (number_format.width + state_bits) + counters
    if pool is Pool.MAXIMUM:
        # A comparison is a subtraction (the measured adder), the choice half a LUT a bit.
        luts[FIXED_LANE] = lanes * 1.5 * state_bits
        if not has_ordered_codes(number_format):
            # What is compared are the integers; the code of the larger one is kept beside it.
            luts[MINIFLOAT_LANE] = lanes * decode_luts(number_format)
    else:
        count = pool_requantisers(window, lanes)
        if decode := decode_luts(number_format):
            luts[MINIFLOAT_LANE] = lanes * decode
        luts[FIXED_LANE] = float(lanes * state_bits)
        rounding = requantiser_round_luts_per_bit() * state_bits
        luts[REQUANTISER] = count * (multiplier_luts(state_bits, multiplier_bits) + rounding)
        registers += count * (2 * state_bits + multiplier_bits)
        notes += requantiser_notes(state_bits, multiplier_bits)
    process = anchor(device.energy_anchor)
    logic = {family: count for family, count in luts.items() if family != MEMORY}
    # Each value is kept once and read once (overlapping windows: once a tap); a partial result is read and written.
    taken = math.prod(out_space) * window.taps * channels if _overlaps(window) else math.prod(space) * channels
    moved = memory_energy([(words, (math.prod(space) * channels + taken) * bits / lanes)], process)
    return compose(
        luts,
        flip_flops=registers,
        bram18s=memory.bram18s,
        urams=memory.urams,
        interval_cycles=interval,
        energy_pj=interval * logic_energy(logic, registers, process) + moved,
        fill_cycles=first_window_positions(window, space) * groups + (3 if pool is Pool.MAXIMUM else 5),
        notes=notes,
    )


def _overlaps(window: Window) -> bool:
    return any(
        stride < dilation * (kernel - 1) + 1
        for stride, kernel, dilation in zip(window.stride, window.kernel, window.dilation, strict=True)
    )


def _state_bits(pool: Pool, number_format: Format, window: Window) -> int:
    if pool is Pool.MAXIMUM:
        ordered = has_ordered_codes(number_format)
        return number_format.width if ordered else number_format.width + value_bits(number_format)
    return value_bits(number_format) + (window.taps - 1).bit_length()
