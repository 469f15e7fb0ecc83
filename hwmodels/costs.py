"""What a piece of hardware costs, how costs add up, and how much of a device they fill."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwmodels.device_parts import GATES, RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hwmodels.devices import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Resources, cycles and energy of a piece of hardware, with the estimate's own quality.

    Attributes:
        luts: six-input LUT sites.
        bram18s: block RAM in halves of 18 kbit.
        gates: two-input NAND gates that logic, registers and memories in LUTs are worth as standard cells
            (`hwmodels.asic_area`): the resource of an ASIC process. Logic in DSPs and memory blocks is not among them.
        interval_cycles: cycles between two samples.
        fill_cycles: cycles from the first input of a sample to its first output.
        offchip_bits: read from memory off the chip per sample. Sums share one memory: `hwmodels.bandwidth.bounded`.
        energy_pj: per sample, in picojoules of the device's process to scale to (`hwmodels.energy`): good for comparing
            designs. Static power is not part of it.
        memory_pj: of ``energy_pj``, what accesses of memories on the chip take.
        offchip_pj: of ``energy_pj``, what reading from memory off the chip takes.
        relative_delay: of the slowest stage between registers whose depth is known, relative to a multiplier of two
            8-bit integers in LUTs (`hwmodels.timing`); 0 if none is known. Designs of twice the value reach about half
            the clock.
        error_band: one standard deviation of `luts`, relative to `luts`.
        out_of_range: what was extrapolated or assumed, in words; empty if all units lie inside the measured range.
        sources: families of units (see `hwmodels.units`) the estimate is composed from.
    """

    luts: int = 0
    flip_flops: int = 0
    dsps: int = 0
    bram18s: int = 0
    urams: int = 0
    gates: int = 0
    interval_cycles: int = 0
    fill_cycles: int = 0
    offchip_bits: int = 0
    energy_pj: float = 0.0
    memory_pj: float = 0.0
    offchip_pj: float = 0.0
    relative_delay: float = 0.0
    error_band: float = 0.0
    out_of_range: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def brams(self) -> float:
        """Block RAMs of 36 kbit."""
        return self.bram18s / 2

    @property
    def logic_pj(self) -> float:
        """Of ``energy_pj``, what logic and registers take."""
        return max(self.energy_pj - self.memory_pj - self.offchip_pj, 0.0)

    def __add__(self, other: Cost) -> Cost:
        """Both side by side in a stream: resources add, the slower interval rules, fills add, errors are independent.

        >>> (Cost(luts=3, interval_cycles=9) + Cost(luts=4, interval_cycles=7)).interval_cycles
        9
        """
        luts = self.luts + other.luts
        spread = math.hypot(self.luts * self.error_band, other.luts * other.error_band)
        return Cost(
            luts=luts,
            flip_flops=self.flip_flops + other.flip_flops,
            dsps=self.dsps + other.dsps,
            bram18s=self.bram18s + other.bram18s,
            urams=self.urams + other.urams,
            gates=self.gates + other.gates,
            interval_cycles=max(self.interval_cycles, other.interval_cycles),
            fill_cycles=self.fill_cycles + other.fill_cycles,
            offchip_bits=self.offchip_bits + other.offchip_bits,
            energy_pj=self.energy_pj + other.energy_pj,
            memory_pj=self.memory_pj + other.memory_pj,
            offchip_pj=self.offchip_pj + other.offchip_pj,
            relative_delay=max(self.relative_delay, other.relative_delay),
            error_band=spread / luts if luts else 0.0,
            out_of_range=merge(self.out_of_range, other.out_of_range),
            sources=merge(self.sources, other.sources),
        )

    def resource(self, name: str) -> int:
        """The count of a resource by its name in `hwmodels.device_parts.RESOURCES`, or `hwmodels.device_parts.GATES`.

        Raises:
            ValueError: if there is no such resource.
        """
        if name not in RESOURCES and name != GATES:
            raise ValueError(f"a cost has no resource {name!r}: use one of {', '.join((*RESOURCES, GATES))}")
        return int(getattr(self, name))


def merge(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """Both tuples in order, each entry once."""
    if first == second or not second:
        return first
    return tuple(dict.fromkeys((*first, *second)))


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of any number of costs; the cost of nothing is zero."""
    return sum(costs, start=Cost())


def resource_shares(cost: Cost, device: Device) -> dict[str, float]:
    """For each resource, used / (available x usable share); infinite if a device has none of what is used."""
    return {name: _share(cost.resource(name), device.usable(name)) for name in device.resources}


def utilisation(cost: Cost, device: Device) -> float:
    """The largest of `resource_shares`: at most 1 if the design fits."""
    return max(resource_shares(cost, device).values())


def _share(used: int, usable: int) -> float:
    if used == 0:
        return 0.0
    return used / usable if usable else math.inf
