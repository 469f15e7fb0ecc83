"""The energy of a shared array per sample: each layer's turn, by the datapath it works with (`hwmodels.shared_engine`).

What works counts, in the widths it works in: the lanes, trees and accumulators of the datapath a layer uses, in every
cycle of its turn; a requantiser once an output; every access of the weight, bias and activation memories and of the
buffer of inputs; control in every cycle. Datapaths and output stages that others use are taken to be at rest, whatever
their clock tree takes. Words of activations straddle two banks, so a fetch reads both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwmodels.bandwidth import buffer_words
from hwmodels.composition import LOGIC
from hwmodels.energy import anchor, logic_energy, memory_energy
from hwmodels.engine_energy import SampleEnergy
from hwmodels.engine_shapes import WeightSource
from hwmodels.folding import MemoryStyle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwmodels.shared_engine import SharedEngine


def array_logic_pj(engine: SharedEngine, luts: Mapping[str, float], flip_flops: float) -> float:
    """Picojoules of logic that works once: a cycle of a datapath, or one requantised output.

    Args:
        engine: the array.
        luts: by family; multiplications in DSPs as the LUTs they would take, memories left out.
        flip_flops: that may change.
    """
    return logic_energy(luts, flip_flops, anchor(engine.device.energy_anchor))


def layer_energy(
    engine: SharedEngine,
    name: str,
    *,
    cycle_pj: float,
    requantise_pj: float,
    weight_bits: float,
    word_bits: int,
    register_bits: int,
    offchip_bits: int = 0,
) -> SampleEnergy[float]:
    """What one turn of a multiplying layer takes, up to its rounded outputs.

    Args:
        engine: the array and its layers.
        name: of the layer.
        cycle_pj: of a cycle of its datapath (`array_logic_pj`).
        requantise_pj: of one output.
        weight_bits: of a weight with its share of scales, or of the second operand.
        word_bits: of simd activations.
        register_bits: of a bias.
        offchip_bits: read per sample.
    """
    process, array, work = anchor(engine.device.energy_anchor), engine.array, engine.work[name]
    layer = engine.layers[name]
    busy = work.positions * work.passes * work.steps
    outputs = layer.shape.outputs * work.positions
    logic = busy * cycle_pj + outputs * requantise_pj + work.compute_cycles * process.logic(LOGIC) * engine.control_luts
    read = busy * array.lanes * weight_bits
    copied = layer.shape.weights is not WeightSource.STORED
    if copied:
        words, written = _copied_words(engine), work.words * array.lanes * weight_bits
    elif array.weight_memory is MemoryStyle.OFFCHIP:
        words, written = buffer_words(_widest(engine)), offchip_bits
    else:
        words, written = _stored_words(engine), 0
    accesses: list[tuple[int, float]] = [(words, read + written)]
    accesses.append((_held_words_a_bank(engine), work.positions * work.fetch * word_bits * _banks(engine)))
    steps = max(one.steps for one in engine.work.values())
    accesses.append((2 * steps, work.positions * (work.fetch + work.passes * work.steps) * word_bits))
    if copied:
        accesses.append((_held_words_a_bank(engine), written))
    if layer.shape.has_bias:
        biased = (one.passes for other, one in engine.work.items() if engine.layers[other].shape.has_bias)
        accesses.append((sum(biased), outputs * register_bits))
    if layer.scale.per_channel:
        accesses.append((sum(one.shape.outputs for one in engine.layers.values()), outputs * engine.multiplier_bits))
    return SampleEnergy(
        logic_pj=logic, memory_pj=memory_energy(accesses, process), offchip_pj=offchip_bits * process.offchip
    )


def moved_energy(engine: SharedEngine, bits: float) -> float:
    """Picojoules of so many bits written to, or read from, the activation memory by anything but lanes."""
    return memory_energy([(_held_words_a_bank(engine), bits)], anchor(engine.device.energy_anchor))


def _banks(engine: SharedEngine) -> int:
    return 1 if engine.array.simd == 1 else 2


def _held_words_a_bank(engine: SharedEngine) -> int:
    return -(-engine.held_words // _banks(engine))


def _stored_words(engine: SharedEngine) -> int:
    return sum(_weights(engine, WeightSource.STORED))


def _copied_words(engine: SharedEngine) -> int:
    return max(_weights(engine, WeightSource.STREAMED), default=0)


def _widest(engine: SharedEngine) -> int:
    return max(_weights(engine, WeightSource.STORED), default=0)


def _weights(engine: SharedEngine, source: WeightSource) -> list[int]:
    """Words of weights by layer, of those that come from one source."""
    return [engine.work[name].words for name, one in engine.layers.items() if one.shape.weights is source]
