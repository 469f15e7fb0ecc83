"""The energy of an engine per sample: operations times their energies, memory accesses, registers, off-chip traffic.

Logic counts as often as it works: lanes, trees and accumulators in every cycle of the computation, a requantiser once
an output. An engine that waits for its input takes nothing meanwhile. Multiplications in DSPs count as the logic they
stand for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np

from hwmodels.energy import anchor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from hwmodels.energy import Anchor
    from hwmodels.sums import SumCost, Sums
    from hwmodels.units import Priced

    Column = NDArray[np.float64]


Amount = TypeVar("Amount", float, "NDArray[np.float64]")


class SampleEnergy(NamedTuple, Generic[Amount]):
    """Picojoules of one sample by what takes them: numbers, or columns of foldings."""

    logic_pj: Amount
    memory_pj: Amount
    offchip_pj: Amount

    @property
    def total_pj(self) -> Amount:
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
    if in_dsps:
        in_luts = sum_cost(sums, simd, several=several, in_dsps=False, dsp_inputs=1, carries=0, process=process)
        return cost, in_luts[1]
    return cost, units_energy(cost.units, anchor(process))


def sample_energy(
    *,
    register_pj: float,
    offchip_pj: float,
    cycles: Column,
    a_cycle: Column,
    flip_flops: Column,
    outputs: int,
    an_output: float,
    memory_pj: Column,
    offchip_bits: NDArray[np.int64],
) -> SampleEnergy[Column]:
    """What a sample takes, under each folding.

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
        offchip_pj=offchip_bits.astype(np.float64) * offchip_pj,
    )
