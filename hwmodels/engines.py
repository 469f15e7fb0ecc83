"""The engine of a layer: pe x simd lanes, adder trees, accumulators, weights, requantisers, window, streams.

The price of an engine is the sum of the prices of its parts, each a unit that was synthesised (`hwmodels.units`), with
registers at the parts' borders: for integers, minifloats with exact products and powers of two the parts are those of
`hwmodels.rtl.engines.engine_parts`, and cycles those of that RTL. Other datapaths replace its lanes, trees and sums by
units of their own and keep the rest (`hwmodels.sums`). Beside the parts stands:

* what depends on the output format alone (`hwmodels.output_stage`), because the format of an edge is chosen for all its
  consumers at once;
* a width adapter in front, from single activations to the words the engine takes;
* DSPs: our RTL's packings on DSP48E2, else as the device's packing table counts them (`hwmodels.dsp_mapping`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emulation.datapaths import Arithmetic
from hwmodels.collector import without_collector
from hwmodels.engine_prices import EnginePrices
from hwmodels.own_engines import corrected_engines
from hwmodels.requantisers import RequantiseScale
from hwmodels.table_units import TableScope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emulation.formats import Format
    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from hwmodels.engine_shapes import EngineShape
    from hwmodels.folding import Folding

EXACT: Final = Arithmetic()
"""Exact products in an accumulator that holds every sum."""


def engine_cost(
    shape: EngineShape,
    *,
    weight_format: Format,
    activation_format: Format,
    folding: Folding,
    device: Device,
    multiplier_bits: int = 16,
    scale: RequantiseScale = RequantiseScale.CHANNEL,
    accumulator: int | None = None,
    arithmetic: Arithmetic = EXACT,
    table_scope: TableScope = TableScope.CHANNEL,
    clock_mhz: float | None = None,
) -> Cost:
    """The cost of one folding; see `engine_costs`."""
    costs = engine_costs(
        shape,
        weight_format=weight_format,
        activation_format=activation_format,
        foldings=(folding,),
        device=device,
        multiplier_bits=multiplier_bits,
        scale=scale,
        accumulator=accumulator,
        arithmetic=arithmetic,
        table_scope=table_scope,
        clock_mhz=clock_mhz,
    )
    return costs[0]


def engine_costs(
    shape: EngineShape,
    *,
    weight_format: Format,
    activation_format: Format,
    foldings: Iterable[Folding],
    device: Device,
    multiplier_bits: int = 16,
    scale: RequantiseScale = RequantiseScale.CHANNEL,
    accumulator: int | None = None,
    arithmetic: Arithmetic = EXACT,
    table_scope: TableScope = TableScope.CHANNEL,
    clock_mhz: float | None = None,
) -> list[Cost]:
    """Costs of an engine under each folding, up to the rounded but not yet saturated output.

    Args:
        shape: what is computed.
        weight_format: of the weights (of the second activation of a MatMul).
        activation_format: of the activations.
        foldings: each must divide the shape.
        device: whose DSPs pack multiplications and whose size decides between LUTs and block RAM.
        multiplier_bits: of the dyadic requantisation multiplier (unsigned).
        scale: which multiplier requantises.
        accumulator: bits of an exact accumulator; None takes the worst case of `hwmodels.accumulators` with a bias as
            large as the largest sum. A narrow accumulator has its own width, a block engine's 32 bits unless given.
        arithmetic: product and accumulator.
        table_scope: whether a learned codebook's table is one per layer or one per output channel.
        clock_mhz: against which weights off the chip arrive; None takes the device's typical clock.

    Raises:
        ValueError: if a folding does not divide the shape or the datapath's chunks or blocks, a format has no cost
            model or a width is below 1; if the device is no FPGA, or lacks the memory or the bandwidth a folding asks
            for (`hwmodels.devices.DeviceError`).
    """
    if multiplier_bits < 1 or (accumulator is not None and accumulator < 1):
        raise ValueError(f"widths are at least 1 bit, got multiplier {multiplier_bits}, accumulator {accumulator}")
    engine = EnginePrices(
        shape,
        weight_format=weight_format,
        activation_format=activation_format,
        device=device,
        multiplier_bits=multiplier_bits,
        scale=scale,
        accumulator=accumulator,
        arithmetic=arithmetic,
        table_scope=table_scope,
        clock_mhz=clock_mhz,
    )
    with without_collector():
        return corrected_engines(tuple(foldings), engine.costs)
