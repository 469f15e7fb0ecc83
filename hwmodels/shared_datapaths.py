"""The datapaths of a shared array: lanes, trees and whatever else only one pair of operand formats uses.

A datapath is made for the deepest sum and the most channels of all layers, so that every layer may choose it; it is
paid once, however many do (see `hwmodels.shared_engine`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from emulation.datapaths import Arithmetic, ExactAccumulator
from hwmodels.block_units import blocks_at_once, scale_words
from hwmodels.composition import FIXED_LANE, LOGIC, MEMORY, SHIFTER, compose, device_notes
from hwmodels.dsp_mapping import Combining, lane_mapping
from hwmodels.engine_shapes import WeightSource
from hwmodels.memory import Access, MemoryCost
from hwmodels.shared_engine import MULTIPLEXER_LUTS_PER_BIT, together
from hwmodels.sums import sums_of
from hwmodels.units import adder_tree, shifter_luts

if TYPE_CHECKING:
    from emulation.formats import Format
    from hwmodels.costs import Cost
    from hwmodels.dsp_mapping import LaneMapping
    from hwmodels.shared_engine import SharedEngine
    from hwmodels.sums import Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedDatapath:
    """A datapath of the array.

    Attributes:
        cost: of all its lanes, trees and whatever else no other datapath uses.
        levels: pipeline stages between products and accumulators.
        has_own_accumulator: whether the shared, exact accumulators are of no use to it.
        register_bits: of what a requantiser reads, which is also the width of an exact accumulator.
    """

    cost: Cost
    levels: int
    has_own_accumulator: bool
    register_bits: int


def shared_datapath(
    engine: SharedEngine,
    *,
    weight: Format,
    activation: Format,
    arithmetic: Arithmetic,
    accumulator: int | None = None,
) -> SharedDatapath:
    """A datapath of all lanes, made for the deepest layer.

    Args:
        engine: the array and its layers.
        weight: format of the weights (of the second activation of a product of two).
        activation: format of the activations.
        arithmetic: product and accumulator.
        accumulator: bits of an exact accumulator, None for the worst case of the deepest layer. They are not part of
            the datapath's own cost.

    Raises:
        ValueError: if the formats or their combination have no cost model.
    """
    pe, simd = engine.array.pe, engine.array.simd
    sums = sums_of(
        engine.largest_shape,
        weight_format=weight,
        activation_format=activation,
        arithmetic=arithmetic,
        table_scope=engine.table_scope,
        accumulator=accumulator,
    )
    lane = sums.lane
    mapping = _mapping(engine, sums)
    inputs = mapping.inputs if mapping else 1
    product_bits = lane.product_bits + (inputs - 1).bit_length()
    own = not isinstance(arithmetic.accumulator, ExactAccumulator) or sums.stage is not None or bool(lane.planes)
    notes = device_notes(engine.device) + (lane.notes_beside_dsp if mapping else lane.notes)
    if own:
        summed = replace(sums, lane=replace(lane, product_bits=product_bits)).cost(-(-simd // inputs))
        luts = {family: pe * count for family, count in summed.luts.items()}
        registers, levels, chosen_bits = summed.registers + sums.held_bits, summed.levels, sums.held_bits
        notes += sums.register.notes + (sums.stage.notes if sums.stage else ())
    else:
        tree, registers, levels = adder_tree(-(-simd // inputs), product_bits)
        luts = {lane.family: float(pe * tree)}
        chosen_bits = product_bits + (simd - 1).bit_length()
    if mapping is not None:
        lane_luts = lane.luts_beside_dsp + mapping.corrections
        dsps, products = mapping.dsps(pe, simd), 0
    else:
        lane_luts, dsps, products = lane.luts, 0, 0 if lane.planes else lane.product_bits
        if engine.in_dsps and lane.operand_bits is not None:
            notes += (engine.device.dsp.refusal(*lane.operand_bits),)
    _add(luts, lane.family, pe * simd * lane_luts)
    _add(luts, LOGIC, pe * chosen_bits * MULTIPLEXER_LUTS_PER_BIT)
    memories = _tables(engine, sums)
    _add(luts, MEMORY, _decoder_luts(engine, sums) + memories.luts)
    extra_luts, extra_dsps = _reading(engine, sums)
    for family, count in extra_luts.items():
        _add(luts, family, count)
    cost = compose(
        luts,
        flip_flops=pe * simd * products + pe * registers,
        dsps=dsps + extra_dsps,
        bram18s=memories.bram18s,
        urams=memories.urams,
        notes=notes,
    )
    return SharedDatapath(
        cost=cost,
        levels=levels,
        has_own_accumulator=own,
        register_bits=max(sums.register.bits, sums.register.read_bits),
    )


def _mapping(engine: SharedEngine, sums: Sums) -> LaneMapping | None:
    """Lanes into DSPs: all rows read the same activation, and products are only added up unless blocks are scaled."""
    if not engine.in_dsps or sums.lane.operand_bits is None:
        return None
    combining = {Combining.OPERAND}
    if not sums.lane.luts_beside_dsp and sums.stage is None:
        combining.add(Combining.SUM)
    return lane_mapping(
        engine.device.dsp,
        sums.lane.operand_bits,
        combining=combining,
        lanes_per_dsp=engine.array.lanes_per_dsp,
    )


def _decoder_luts(engine: SharedEngine, sums: Sums) -> int:
    """A decoder per lane for weights, with tables for the channels of all layers, and one per activation read."""
    passes = sum(work.passes for work in engine.work.values())
    weight, activation = sums.lane.weight_decoder, sums.lane.activation_decoder
    luts = engine.array.lanes * weight.luts(passes) if weight is not None else 0
    return luts + (engine.array.simd * activation.luts(1) if activation is not None else 0)


def _tables(engine: SharedEngine, sums: Sums) -> MemoryCost:
    """Scales of block weights and alphas of binary planes, of all layers behind each other."""
    found = []
    if sums.stage is not None and sums.stage.scale_widths[0]:
        block, simd, pe = sums.stage.block, engine.array.simd, engine.array.pe
        at_once = max(blocks_at_once(simd, sums.channels, block), 1)
        words = sum(
            engine.work[name].passes * -(-scale_words(layer.shape, block) // at_once)
            for name, layer in engine.layers.items()
            if layer.shape.weights is WeightSource.STORED
        )
        found.append(engine.memory(words, pe * at_once * sums.stage.scale_widths[0], Access.READ_ONLY))
    if sums.lane.planes is not None:
        planes, count = sums.lane.planes, engine.requantisers
        words = sum(-(-layer.shape.outputs // count) for layer in engine.layers.values())
        found.append(engine.memory(words, count * planes.planes * planes.alpha_bits, Access.READ_ONLY))
    return together(found)


def _reading(engine: SharedEngine, sums: Sums) -> tuple[dict[str, float], int]:
    """What stands before the requantisers for this datapath alone: shifts by exponents, joining of planes."""
    count, luts, dsps = engine.requantisers, {}, 0
    if sums.register.read_shift_bits:
        bits = sums.register.read_bits + engine.multiplier_bits
        luts[SHIFTER] = count * shifter_luts(bits, sums.register.read_shift_bits)
    if sums.lane.planes is not None:
        planes = sums.lane.planes
        luts[FIXED_LANE] = count * (sums.output_luts() + (0.0 if engine.in_dsps else sums.alpha_luts()))
        if engine.in_dsps:
            dsps = count * planes.planes * engine.device.dsp.tiles(sums.plane_bits, planes.alpha_bits)
    return luts, dsps


def _add(luts: dict[str, float], family: str, count: float) -> None:
    luts[family] = luts.get(family, 0.0) + count
