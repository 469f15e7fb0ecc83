"""The energy of an engine per sample: operations times their energies, memory accesses, registers, off-chip traffic.

Logic counts as often as it works: lanes, trees and accumulators in every cycle of the computation, a requantiser once
an output. An engine that waits for its input takes nothing meanwhile. Multiplications in DSPs count as the logic they
stand for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hwmodels.energy import anchor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hwmodels.energy import Anchor
    from hwmodels.sums import SumCost, Sums
    from hwmodels.units import Priced


class SampleEnergy(NamedTuple):
    """Picojoules of one sample by what takes them."""

    logic_pj: float
    memory_pj: float
    offchip_pj: float

    @property
    def total_pj(self) -> float:
        """All of it."""
        return self.logic_pj + self.memory_pj + self.offchip_pj


def units_energy(units: Iterable[tuple[Priced, float]], process: Anchor) -> float:
    """Picojoules of one cycle of units, registers left out.

    Args:
        units: and how many of each.
        process: to scale to.
    """
    return sum(count * unit.luts * process.logic(unit.family) for unit, count in units)


@lru_cache(maxsize=1 << 16)
def sum_cost(
    sums: Sums, simd: int, *, several: bool, in_dsps: bool, dsp_inputs: int, carries: int, process: str
) -> tuple[SumCost, float]:
    """What sums the products of an output (`Sums.cost`), and its picojoules in a cycle with multipliers in LUTs.

    Args:
        sums: of the engine.
        simd: see `Sums.cost`.
        several: whether a sum takes more than one cycle.
        in_dsps: see `Sums.cost`.
        dsp_inputs: see `Sums.cost`.
        carries: see `Sums.cost`.
        process: to which energy is scaled (`hwmodels.energy.anchor`).
    """
    cost = sums.cost(simd, several=several, in_dsps=in_dsps, dsp_inputs=dsp_inputs, carries=carries)
    alike = sums.cost(simd, several=several) if in_dsps else cost
    return cost, units_energy(alike.units, anchor(process))


def sample_energy(
    *,
    register_pj: float,
    offchip_pj: float,
    cycles: float,
    a_cycle: float,
    flip_flops: float,
    outputs: int,
    an_output: float,
    memory_pj: float,
    offchip_bits: int,
) -> SampleEnergy:
    """What a sample takes.

    Args:
        register_pj: picojoules of a flip-flop in a cycle.
        offchip_pj: picojoules of a bit from memory off the chip.
        cycles: in which lanes compute.
        a_cycle: picojoules of the logic that works in each of them.
        flip_flops: of the engine.
        outputs: values made.
        an_output: picojoules of the logic that works once for each of them.
        memory_pj: picojoules of all accesses.
        offchip_bits: read per sample.
    """
    return SampleEnergy(
        logic_pj=cycles * (a_cycle + register_pj * flip_flops) + outputs * an_output,
        memory_pj=memory_pj,
        offchip_pj=offchip_bits * offchip_pj,
    )
