"""The energy of an engine per sample: operations times their energies, memory accesses, registers, off-chip traffic.

Logic counts as often as it works: lanes, trees and accumulators in every cycle of the computation, a requantiser once
an output. An engine that waits for its input takes nothing meanwhile. Multiplications in DSPs count as the logic they
stand for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwmodels.composition import LOGIC
from hwmodels.energy import logic_energy, memory_energy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwmodels.energy import Anchor
    from hwmodels.engine_memories import EngineMemories
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding
    from hwmodels.sums import Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEnergy:
    """All that decides an engine's energy but its folding.

    Attributes:
        shape: what is computed.
        sums: lanes and registers.
        memories: what is read.
        requantiser: LUTs of one requantiser by family, its multiplication included.
        process: to scale to.
    """

    shape: EngineShape
    sums: Sums
    memories: EngineMemories
    requantiser: Mapping[str, float]
    process: Anchor

    def per_sample(
        self,
        folding: Folding,
        *,
        sums: Mapping[str, float],
        control_luts: float,
        decoder_luts: float,
        flip_flops: int,
        offchip_bits: int,
    ) -> float:
        """Picojoules per sample.

        Args:
            folding: of the engine.
            sums: LUTs by family of one output's tree and accumulator.
            control_luts: of streams and counters.
            decoder_luts: of all look-ups of codes.
            flip_flops: beside those behind products.
            offchip_bits: read per sample.
        """
        shape, process, lane = self.shape, self.process, self.sums.lane
        outputs = shape.outputs * shape.positions
        lanes = folding.pe * folding.simd
        cycles = outputs * shape.depth / lanes
        products = 0 if lane.planes else lanes * lane.product_bits
        a_cycle = logic_energy(sums, 0, process) * folding.pe + process.logic(lane.family) * lane.luts * lanes
        a_cycle += process.logic(LOGIC) * (control_luts + decoder_luts) + process.register * (flip_flops + products)
        requantised = outputs * logic_energy(self.requantiser, 0, process)
        stored = memory_energy(self.memories.accesses(folding), process)
        return cycles * a_cycle + requantised + stored + offchip_bits * process.offchip
