"""From priced units to a `Cost` that knows its own error."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.asic_area import logic_gates
from hwmodels.corrections import CALIBRATED, UNCORRECTED, current_correction
from hwmodels.costs import Cost
from hwmodels.device_parts import Technology
from hwmodels.models import unit_model
from hwmodels.units import COUNTED_MEMORY, DSP_FLOW, IN_DSPS, LUT_FLOW, MEMORIES, Priced, gates_a_lut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hwmodels.devices import Device

MEMORY: Final = COUNTED_MEMORY
LOGIC: Final = "assumed logic"

ASSUMED_ERRORS: Final = {MEMORY: 0.10, LOGIC: 0.50}
"""Not measured: UltraRAM's multiplexers and memories in four-input LUTs, counted by what a primitive holds, and logic
of which there is no RTL, by its counters, registers and multiplexers. Both relative errors are judgements."""

REGISTER_GATES: Final = logic_gates({}, flip_flops=1)

ASIC_NOTE: Final = (
    "standard cells: gates by the LUTs of each kind of logic, memories by the bit (hwmodels.asic_area); "
    "nothing was laid out"
)
"""What every cost on an ASIC process says."""

_MEASURED_FAMILIES: Final = ("xc7", "xcup")
"""The rows are xcup; 7-series slices have the same dual-output LUT6 and one carry bit a LUT."""


class Bill:
    """Units that are added up: LUTs and their spread by family, flip-flops, and what was extrapolated.

    Attributes:
        families: LUTs, and one standard deviation of them, by family. Units of a family err alike, so theirs add up.
        flip_flops: of all units, and registers beside them.
        outside: by family, parameters outside the measured range.
    """

    __slots__ = ("families", "flip_flops", "outside")

    def __init__(self) -> None:
        self.families: dict[str, tuple[float, float]] = {}
        self.flip_flops = 0.0
        self.outside: dict[str, tuple[str, ...]] = {}

    def add(self, unit: Priced, count: float = 1) -> None:
        """So many units."""
        self.add_all(((unit, count),))

    def add_all(self, units: Iterable[tuple[Priced, float]], times: float = 1) -> None:
        """Units and how many there are of each, all of it so many times."""
        families, outside = self.families, self.outside
        flip_flops = self.flip_flops
        for (family, luts, registers, spread, names), each in units:
            count = each * times
            if family in families:
                known_luts, known_spread = families[family]
                families[family] = known_luts + count * luts, known_spread + count * spread
            else:
                families[family] = count * luts, count * spread
            flip_flops += count * registers
            if names:
                outside[family] = names if family not in outside else joined(outside[family], names)
        self.flip_flops = flip_flops

    def assume(self, family: str, luts: float, flip_flops: float = 0.0) -> None:
        """LUTs of one of `ASSUMED_ERRORS`, and flip-flops."""
        self.flip_flops += flip_flops
        if luts:
            self.add(assumed(family, luts))

    def extend(self, other: Bill, count: float = 1) -> None:
        """So many times what another bill holds."""
        units = [
            (Priced(family, luts, 0.0, spread, other.outside.get(family, ())), 1)
            for family, (luts, spread) in other.families.items()
        ]
        self.add_all(units, count)
        self.flip_flops += count * other.flip_flops

    @property
    def luts(self) -> dict[str, float]:
        """By family."""
        return {family: luts for family, (luts, _) in self.families.items()}

    @property
    def logic(self) -> dict[str, float]:
        """LUTs by family of what holds no bits."""
        return {family: luts for family, (luts, _) in self.families.items() if family not in MEMORIES}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was extrapolated, one note a family."""
        return outside_notes(tuple(self.outside.items()))


def assumed(family: str, luts: float) -> Priced:
    """LUTs of one of `ASSUMED_ERRORS`, as a unit."""
    return Priced(family, luts, spread=luts * ASSUMED_ERRORS[family])


def bill_of(units: Iterable[tuple[Priced, float]]) -> Bill:
    """A bill of units and how many there are of each."""
    found = Bill()
    found.add_all(units)
    return found


def joined(names: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """Both, each name once."""
    return names if names == others else tuple(dict.fromkeys((*names, *others)))


@lru_cache(maxsize=1 << 12)
def outside_notes(outside: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[str, ...]:
    """What was extrapolated, one note a family, of pairs of a family and its parameters."""
    known: dict[str, tuple[str, ...]] = {}
    for family, names in outside:
        known[family] = joined(known.get(family, ()), names)
    return tuple(_outside_note(family, names) for family, names in sorted(known.items()))


@lru_cache(maxsize=1 << 10)
def _outside_note(family: str, names: tuple[str, ...]) -> str:
    ranges = unit_model(family, DSP_FLOW if family in IN_DSPS else LUT_FLOW).ranges
    measured = ", ".join(f"{name} {ranges[name][0]} to {ranges[name][1]}" for name in ranges if name in names)
    return f"{family}: beyond the nearest measured units, {measured}"


def compose(
    bill: Bill,
    *,
    dsps: int = 0,
    bram18s: int = 0,
    urams: int = 0,
    interval_cycles: int = 0,
    fill_cycles: int = 0,
    offchip_bits: int = 0,
    energy_pj: float = 0.0,
    memory_pj: float = 0.0,
    offchip_pj: float = 0.0,
    relative_delay: float = 0.0,
    notes: tuple[str, ...] = (),
) -> Cost:
    """A cost from LUTs by family; families err independently, the units of one family alike.

    Within `hwmodels.corrections.correcting`, LUTs by family and flip-flops are multiplied by the correction's factors,
    so what this returns must not outlive such a block in a cache.

    Args:
        bill: LUTs by family and flip-flops; their sums are rounded up.
        dsps: of the whole.
        bram18s: of the whole.
        urams: of the whole.
        interval_cycles: cycles between two samples.
        fill_cycles: cycles from first input to first output.
        offchip_bits: read from memory off the chip per sample.
        energy_pj: per sample (`hwmodels.energy`).
        memory_pj: of it, for accesses of memories on the chip.
        offchip_pj: of it, for memory off the chip.
        relative_delay: of the slowest stage (`hwmodels.timing`).
        notes: what was assumed; what was extrapolated is noted by itself.
    """
    correction = current_correction()
    whole = variance = gates = 0.0
    for family, (luts, spread) in bill.families.items():
        gates += luts * gates_a_lut(family)
        factor = None if correction is UNCORRECTED else correction.factor(family, "luts")
        if factor is None:
            whole += luts
            variance += spread * spread
        else:
            whole += luts * factor.value
            variance += (luts * factor.value * factor.error) ** 2
    registers = correction.everything.get("flip_flops")
    flip_flops = bill.flip_flops if registers is None else bill.flip_flops * registers.value
    if bill.outside:
        notes += bill.notes
    return Cost(
        luts=max(math.ceil(whole - 1e-9), 0),
        flip_flops=max(math.ceil(flip_flops - 1e-9), 0),
        dsps=dsps,
        bram18s=bram18s,
        urams=urams,
        gates=math.ceil(max(gates + bill.flip_flops * REGISTER_GATES, 0.0) - 1e-9),
        interval_cycles=interval_cycles,
        fill_cycles=fill_cycles,
        offchip_bits=offchip_bits,
        energy_pj=energy_pj,
        memory_pj=memory_pj,
        offchip_pj=offchip_pj,
        relative_delay=relative_delay,
        error_band=math.sqrt(variance) / whole if whole > 0 else 0.0,
        out_of_range=notes + correction.notes,
        sources=tuple(bill.families) if correction is UNCORRECTED else (*bill.families, CALIBRATED),
    )


def device_notes(device: Device) -> tuple[str, ...]:
    """A note for devices whose logic differs from that the units were measured on."""
    if device.technology is Technology.ASIC:
        return (ASIC_NOTE,)
    if device.lut_inputs == 6 and device.family in _MEASURED_FAMILIES:
        return ()
    difference = f"family {device.family} with {device.lut_inputs}-input LUTs"
    return (f"device {device.name}: {difference}; the units were measured on six-input LUTs of xcup",)
