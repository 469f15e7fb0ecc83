"""The datapaths of a shared array: lanes, trees and whatever else only one pair of operand formats uses.

A datapath is made for the deepest sum and the most channels of all layers, so that every layer may choose it; it is
paid once, however many do (see `hwmodels.shared_engine`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulation.datapaths import Arithmetic, ExactAccumulator
from hwmodels.block_units import blocks_at_once, scale_words
from hwmodels.composition import LOGIC, Bill, bill_of, compose, device_notes
from hwmodels.dsp_lanes import dsp_lanes
from hwmodels.dsp_mapping import Combining
from hwmodels.engine_shapes import WeightSource
from hwmodels.memory import Access
from hwmodels.rtl.engine_sums import ACCUMULATOR
from hwmodels.shared_energy import array_logic_pj
from hwmodels.shared_engine import MULTIPLEXER_LUTS_PER_BIT, together
from hwmodels.sums import sums_of
from hwmodels.timing import engine_delay
from hwmodels.units import adder, shifter, tree_bits

if TYPE_CHECKING:
    from emulation.formats import Format
    from hwmodels.costs import Cost
    from hwmodels.dsp_lanes import DspLanes
    from hwmodels.memory_units import MemoryUnit
    from hwmodels.shared_engine import SharedEngine
    from hwmodels.sums import Sums
    from hwmodels.units import Priced


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedDatapath:
    """A datapath of the array.

    Attributes:
        cost: of all its lanes, trees and whatever else no other datapath uses.
        levels: pipeline stages between products and accumulators.
        has_own_accumulator: whether the shared, exact accumulators are of no use to it.
        register_bits: of what a requantiser reads, which is also the width of an exact accumulator.
        cycle_pj: what all of it, and an accumulator, take a cycle.
        reading_pj: what an output takes before its requantiser: shifts by exponents, joining of planes.
    """

    cost: Cost
    levels: int
    has_own_accumulator: bool
    register_bits: int
    cycle_pj: float
    reading_pj: float


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
    lane, inside = sums.lane, _dsps(engine, sums)
    inputs = inside.mapping.inputs if inside else 1
    own = not isinstance(arithmetic.accumulator, ExactAccumulator) or sums.stage is not None or bool(lane.planes)
    steps = -(-engine.largest_shape.depth // simd)
    summed = sums.cost(simd, several=steps > 1, in_dsps=inside is not None, dsp_inputs=inputs)
    bill = Bill()
    for unit, count in summed.units:
        # Exact accumulators are shared by all datapaths, and paid apart.
        if own or unit.family != ACCUMULATOR:
            bill.add(unit, pe * count)
    bill.flip_flops += pe * (summed.registers + (sums.held_bits if own else 0))
    chosen_bits = sums.held_bits if own else tree_bits(-(-simd // inputs), lane.product_bits, lane.carries)
    bill.assume(LOGIC, pe * (chosen_bits + summed.chosen_bits) * MULTIPLEXER_LUTS_PER_BIT)
    dsps = 0
    notes = device_notes(engine.device) + sums.notes
    if inside is not None:
        dsps = inside.add_to(bill, pe, simd)
        notes += inside.notes
    else:
        if not summed.holds_lanes:
            for unit in lane.units:
                bill.add(unit, pe * simd)
            bill.flip_flops += pe * simd * (lane.product_bits + lane.carries)
        notes += lane.notes
        if engine.in_dsps and lane.operand_bits is not None:
            notes += (engine.device.dsp.refusal(*lane.operand_bits),)
    for unit, count in _decoders(engine, sums):
        bill.add(unit, count)
    reading, more_dsps = _reading(engine, sums)
    for unit in reading:
        bill.add(unit, engine.requantisers)
    blocks = together(bill, _tables(engine, sums))
    cost = compose(
        bill,
        dsps=dsps + engine.requantisers * more_dsps,
        bram18s=blocks[0],
        urams=blocks[1],
        relative_delay=_delay(engine, sums, inside),
        notes=notes,
    )
    return SharedDatapath(
        cost=cost,
        levels=summed.levels,
        has_own_accumulator=own,
        register_bits=max(sums.register.bits, sums.register.read_bits),
        cycle_pj=_cycle_pj(engine, sums, weight.width, activation.width),
        reading_pj=_reading_pj(engine, sums),
    )


def _cycle_pj(engine: SharedEngine, sums: Sums, weight_bits: int, activation_bits: int) -> float:
    """Of all lanes, trees, accumulators and decoders; multiplications in DSPs as the LUTs they stand for."""
    pe, simd, lane = engine.array.pe, engine.array.simd, sums.lane
    summed = sums.cost(simd, several=engine.largest_shape.depth > simd)
    units = [(unit, pe * count) for unit, count in summed.units]
    if not summed.holds_lanes:
        units += [(unit, float(pe * simd)) for unit in lane.units]
    bill = bill_of([*units, *_decoders(engine, sums)])
    products = 0 if summed.holds_lanes else lane.product_bits
    held = pe * (summed.registers + simd * (products + weight_bits)) + simd * activation_bits
    return array_logic_pj(engine, bill.luts, bill.flip_flops + held)


def _delay(engine: SharedEngine, sums: Sums, inside: DspLanes | None) -> float:
    """Of the slowest of a lane, an accumulator and a requantiser; what is in a DSP is never the slowest."""
    requantised = None if engine.in_dsps else (sums.register.read_bits, engine.multiplier_bits)
    return engine_delay(None if inside else sums.lane.operand_bits, sums.register.bits, requantised)


def _reading_pj(engine: SharedEngine, sums: Sums) -> float:
    bill = bill_of([(unit, 1.0) for unit in _reading_units(engine, sums)])
    return array_logic_pj(engine, bill.luts, 0)


def _dsps(engine: SharedEngine, sums: Sums) -> DspLanes | None:
    """Lanes into DSPs: all rows read the same activation, and products are only added up unless blocks are scaled."""
    if not engine.in_dsps:
        return None
    combining = {Combining.OPERAND}
    if sums.lane.is_dsp_alone and sums.stage is None:
        combining.add(Combining.SUM)
    return dsp_lanes(sums.lane, engine.device.dsp, combining=combining, lanes_per_dsp=engine.array.lanes_per_dsp)


def _decoders(engine: SharedEngine, sums: Sums) -> list[tuple[Priced, float]]:
    """A decoder per lane for weights, with tables for the channels of all layers, and one per activation read."""
    passes = sum(work.passes for work in engine.work.values())
    weight, activation = sums.lane.weight_decoder, sums.lane.activation_decoder
    found: list[tuple[Priced, float]] = []
    if weight is not None:
        found.append((weight.unit(passes), float(engine.array.lanes)))
    if activation is not None:
        found.append((activation.unit(1), float(engine.array.simd)))
    return found


def _tables(engine: SharedEngine, sums: Sums) -> list[MemoryUnit]:
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
    return found


def _reading(engine: SharedEngine, sums: Sums) -> tuple[list[Priced], int]:
    """What stands before each requantiser for this datapath alone, and its DSPs."""
    planes = sums.lane.planes
    if planes is None or not engine.in_dsps:
        return _reading_units(engine, sums), 0
    joined = adder(sums.plane_bits + planes.alpha_bits)
    dsps = planes.planes * engine.device.dsp.tiles(sums.plane_bits, planes.alpha_bits)
    return [joined] * (planes.planes - 1), dsps


def _reading_units(engine: SharedEngine, sums: Sums) -> list[Priced]:
    """The same with multiplications in LUTs: shifts by exponents, joining of planes."""
    found = []
    if sums.register.read_shift_bits:
        found.append(shifter(sums.register.read_bits + engine.multiplier_bits, sums.register.read_shift_bits))
    joined = sums.joined_planes()
    return found if joined is None else [*found, joined]
