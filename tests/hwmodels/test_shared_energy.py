"""The energy of a shared array: one turn by hand, what it grows with, and what it has in common with an engine's."""

from __future__ import annotations

import dataclasses

import pytest

from emulation.catalogue import parse
from emulation.datapaths import Arithmetic
from hwmodels.composition import LOGIC
from hwmodels.devices import load_device
from hwmodels.energy import anchor
from hwmodels.engine_shapes import EngineShape, WeightSource
from hwmodels.engines import RequantiseScale, engine_cost
from hwmodels.folding import Folding, MemoryStyle, MultiplierStyle
from hwmodels.shared_datapaths import shared_datapath
from hwmodels.shared_energy import layer_energy, moved_energy
from hwmodels.shared_engine import SharedEngine, SharedLayer

DEVICE = load_device("xczu7ev")
INT8 = parse("int8")
FIRST = EngineShape(outputs=32, depth=64, in_channels=64, positions=10, has_bias=False)
SECOND = EngineShape(outputs=16, depth=32, in_channels=32, positions=10)


def shared(array=None, scale=RequantiseScale.TENSOR, **layers) -> SharedEngine:
    shapes = layers or {"first": FIRST, "second": SECOND}
    return SharedEngine(
        array=array or Folding(pe=4, simd=8),
        layers={name: SharedLayer(shape=shape, scale=scale) for name, shape in shapes.items()},
        held_words=100,
        device=DEVICE,
        widest_weight_bits=8,
        widest_word_bits=64,
    )


def energy(engine: SharedEngine, name="first", weight="int8", activation="int8", **more):
    made = shared_datapath(engine, weight=parse(weight), activation=parse(activation), arithmetic=Arithmetic())
    return layer_energy(
        engine,
        name,
        **{
            "cycle_pj": made.cycle_pj,
            "requantise_pj": engine.requantise_pj(made.register_bits) + made.reading_pj,
            "weight_bits": parse(weight).width,
            "word_bits": engine.array.simd * parse(activation).width,
            "register_bits": made.register_bits,
        }
        | more,
    )


def test_a_turn_by_hand() -> None:
    engine, process = shared(first=FIRST), anchor()
    found = energy(engine, cycle_pj=3.0, requantise_pj=2.0)
    cycles = 10 * 8 * 8  # positions, passes of four outputs, steps of eight inputs
    assert found.logic_pj == pytest.approx(
        3.0 * cycles + 2.0 * 320 + cycles * process.logic(LOGIC) * engine.control_luts
    )
    weights = cycles * 4 * 8 * 8 * process.access(64)
    fetched = 10 * 8 * 64 * process.access(50) * 2  # a word straddles two banks of 50 words
    buffered = 10 * (8 + 64) * 64 * process.access(16)
    assert found.memory_pj == pytest.approx(weights + fetched + buffered)
    assert found.offchip_pj == 0


def test_biases_and_multipliers_are_read_once_an_output() -> None:
    bare, per_channel = (
        energy(shared(first=FIRST, scale=scale)).memory_pj
        for scale in (RequantiseScale.TENSOR, RequantiseScale.CHANNEL)
    )
    assert per_channel - bare == pytest.approx(320 * 16 * anchor().access(32))
    biased = energy(shared(first=dataclasses.replace(FIRST, has_bias=True)), register_bits=30).memory_pj
    assert biased - bare == pytest.approx(320 * 30 * anchor().access(8))


def test_logic_is_about_that_of_an_engine_of_its_own() -> None:
    cost = engine_cost(
        FIRST,
        weight_format=INT8,
        activation_format=INT8,
        folding=Folding(pe=4, simd=8),
        device=DEVICE,
        scale=RequantiseScale.TENSOR,
    )
    assert energy(shared(first=FIRST)).logic_pj == pytest.approx(cost.logic_pj, rel=0.3)


def test_narrower_formats_and_fewer_positions_take_less() -> None:
    engine = shared()
    whole = energy(engine).total_pj
    assert energy(engine, weight="int4").total_pj < whole
    assert energy(engine, activation="int4").total_pj < whole
    halved = shared(first=dataclasses.replace(FIRST, positions=5), second=SECOND)
    assert energy(halved).total_pj == pytest.approx(whole / 2)


def test_weights_of_other_layers_make_the_memory_larger() -> None:
    assert energy(shared()).memory_pj > energy(shared(first=FIRST)).memory_pj
    assert energy(shared()).logic_pj == pytest.approx(energy(shared(first=FIRST)).logic_pj, rel=0.01)


def test_dsps_count_as_the_logic_they_are() -> None:
    in_dsps = shared(Folding(pe=4, simd=8, multipliers=MultiplierStyle.DSP))
    assert energy(in_dsps).total_pj == pytest.approx(energy(shared()).total_pj, rel=0.02)


def test_weights_off_the_chip() -> None:
    engine = shared(Folding(pe=4, simd=8, weight_memory=MemoryStyle.OFFCHIP))
    bits = engine.work["first"].offchip_bits(engine.array, 8)
    found = energy(engine, offchip_bits=bits)
    assert found.offchip_pj == pytest.approx(bits * anchor().offchip)
    assert found.offchip_pj > found.memory_pj > 0


def test_a_copied_operand_is_written_and_read() -> None:
    stored = dataclasses.replace(FIRST, has_bias=False)
    copied = dataclasses.replace(stored, weights=WeightSource.STREAMED)
    assert energy(shared(first=copied)).memory_pj > energy(shared(first=stored)).memory_pj


def test_what_others_move_goes_by_the_activation_memory() -> None:
    assert moved_energy(shared(), 640.0) == pytest.approx(640 * anchor().access(50))
    assert moved_energy(shared(Folding(pe=4, simd=1)), 640.0) == pytest.approx(640 * anchor().access(100))


def test_the_slowest_stage_is_known() -> None:
    cost = shared_datapath(shared(), weight=INT8, activation=INT8, arithmetic=Arithmetic()).cost
    assert cost.relative_delay > 1
