"""Max and average pooling in a stream."""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from hwmodels.composition import LOGIC, Bill, compose, device_notes
from hwmodels.energy import anchor, memory_energy
from hwmodels.engine_layouts import pool_window
from hwmodels.engine_memories import window_memory
from hwmodels.folding import MemoryStyle
from hwmodels.memory import memory_budget
from hwmodels.memory_units import written
from hwmodels.operands import decode_notes, decoder, has_ordered_codes, is_signed, value_bits
from hwmodels.rtl.comparators import MAXIMUM
from hwmodels.rtl.comparators import MAXIMUM_BITS as MOST_COMPARED_BITS
from hwmodels.stream_units import HANDSHAKE_LUTS, rounding, stream_energy
from hwmodels.units import adder, priced, requantising_multiplier
from hwmodels.windows import first_window_positions, held_positions, overlaps

if TYPE_CHECKING:
    from emulation.formats import Format
    from emulation.network import Window
    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from hwmodels.memory_units import MemoryUnit


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
    shared = overlaps(window)
    if shared:
        words, bits = held_positions(window, space) * groups, lanes * number_format.width
        interval = max(arrive, math.prod(out_space) * window.taps * groups)
    else:
        words, bits = math.prod(out_space[1:]) * groups, lanes * state_bits
        interval = arrive
    bill = Bill()
    bram18s = urams = 0
    memory = _line_buffer(window, space, groups, bits, device) if shared else None
    if memory is None:
        memory = written(words, bits, MemoryStyle.AUTO, memory_budget(device))
        counters = sum(size.bit_length() for size in (*space, *window.kernel, groups))
        bill.assume(LOGIC, HANDSHAKE_LUTS + counters, counters)
    memory.add_to(bill)
    bram18s, urams = memory.bram18s, memory.urams
    for unit in decoder(number_format) if pool is Pool.AVERAGE or not has_ordered_codes(number_format) else ():
        bill.add(unit, lanes)
    bill.flip_flops += lanes * (number_format.width + state_bits)
    if pool is Pool.MAXIMUM:
        # What is compared are codes, or the integers they mean with the code of the larger one kept beside it.
        compared = min(state_bits, MOST_COMPARED_BITS)
        bill.add(priced(MAXIMUM, inputs=2, width=compared, signed=int(is_signed(number_format)), running=0), lanes)
    else:
        count = pool_requantisers(window, lanes)
        bill.add(adder(state_bits), lanes)
        bill.add(requantising_multiplier(state_bits, multiplier_bits), count)
        bill.add(rounding(state_bits + multiplier_bits), count)
        bill.flip_flops += count * (2 * state_bits + multiplier_bits)
    # Each value is kept once and read once (overlapping windows: once a tap); a partial result is read and written.
    taken = math.prod(out_space) * window.taps * channels if shared else math.prod(space) * channels
    process = anchor(device.energy_anchor)
    moved = memory_energy([(words, (math.prod(space) * channels + taken) * bits / lanes)], process)
    return compose(
        bill,
        bram18s=bram18s,
        urams=urams,
        interval_cycles=interval,
        energy_pj=stream_energy(bill, interval, device) + moved,
        memory_pj=moved,
        fill_cycles=first_window_positions(window, space) * groups + (3 if pool is Pool.MAXIMUM else 5),
        notes=device_notes(device) + decode_notes(number_format),
    )


def _line_buffer(window: Window, space: tuple[int, ...], groups: int, bits: int, device: Device) -> MemoryUnit | None:
    """The window generator that reads overlapping windows tap by tap; None where there is no RTL."""
    layout = pool_window(window, space, groups)
    return None if layout is None else window_memory(layout, bits, memory_budget(device))


def _state_bits(pool: Pool, number_format: Format, window: Window) -> int:
    if pool is Pool.MAXIMUM:
        ordered = has_ordered_codes(number_format)
        return number_format.width if ordered else number_format.width + value_bits(number_format)
    return value_bits(number_format) + (window.taps - 1).bit_length()
