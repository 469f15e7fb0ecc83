"""Weights that stay off the chip: how many bits they move, what buffers them, and how long that takes.

An engine reads its weights in the order it uses them, again for every position of a layer, as FINN's matrix-vector unit
with external weights does. A double buffer hides the latency of the memory; the peak bandwidth bounds the interval.
Layers that read at the same time share one memory, so the bound of a network follows from the sum of what they move
(`bounded`).
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from hwmodels.toml_tables import DeviceError

if TYPE_CHECKING:
    from hwmodels.costs import Cost
    from hwmodels.devices import Device

BURST_WORDS: Final = 64
"""Words of one half of the double buffer: at 100 to 300 MHz they last 200 to 640 ns, about what a read takes to arrive.
Assumed."""

READER_LUTS: Final = 10 + 32 + 16
"""Handshake, a 32-bit address and two counters of a burst, a LUT a bit; assumed."""

READER_FLIP_FLOPS: Final = 32 + 16
"""Of the same registers."""


def buffer_words(words: int) -> int:
    """Words of the double buffer of a weight memory of so many words."""
    return 2 * min(words, BURST_WORDS)


def bandwidth_interval(bits: int, device: Device, clock_mhz: float | None = None) -> int:
    """Cycles in which a device reads so many bits from its off-chip memory, at the peak rate.

    Args:
        bits: per sample.
        device: whose memory is read.
        clock_mhz: of the design; None takes the device's typical clock.

    Raises:
        DeviceError: if the device file gives no bandwidth.

    >>> from hwmodels.devices import load_device
    >>> bandwidth_interval(8 * 2100, load_device("xc7z020"))  # 2.1 GB/s at 100 MHz are 21 bytes a cycle
    100
    """
    if device.offchip is None:
        raise DeviceError(
            f"device {device.name} has no off-chip bandwidth: add a table [offchip] with kind, gigabytes_per_second, "
            "source and verified to its file, or keep the weights on the chip"
        )
    clock = Fraction(device.clock_mhz if clock_mhz is None else clock_mhz)
    if clock <= 0:
        raise ValueError(f"a clock is above 0 MHz, got {clock_mhz}")
    return -(-bits * clock // (8000 * device.offchip.gigabytes_per_second))


def bounded(cost: Cost, device: Device, clock_mhz: float | None = None) -> Cost:
    """A cost, often a sum, whose interval is at least the time in which its off-chip bits can be read.

    Raises:
        DeviceError: if it reads any and the device file gives no bandwidth.
    """
    if not cost.offchip_bits:
        return cost
    interval = bandwidth_interval(cost.offchip_bits, device, clock_mhz)
    return dataclasses.replace(cost, interval_cycles=max(cost.interval_cycles, interval))
