"""The shared array: its schedule computes the layer in the cycles it says; its parts cost what they are made of."""

import dataclasses
import itertools
import math
import random

import numpy as np
import pytest

from emulation.catalogue import parse
from emulation.datapaths import Arithmetic, parse_accumulator
from emulation.network import Add, Convolution, Input, Layer, Linear, Network, Window
from hwmodels.array_work import array_work, arrival_cycles, held_words
from hwmodels.bandwidth import BURST_WORDS, bandwidth_interval
from hwmodels.costs import Cost
from hwmodels.devices import load_device
from hwmodels.engine_shapes import EngineShape, WeightSource
from hwmodels.engines import engine_cost
from hwmodels.folding import Folding, LanesPerDsp, MemoryStyle, MultiplierStyle
from hwmodels.lanes import lane
from hwmodels.memory import memory_budget
from hwmodels.memory_units import stored
from hwmodels.requantisers import RequantiseScale
from hwmodels.shared_datapaths import shared_datapath
from hwmodels.shared_engine import SharedEngine, SharedLayer, grown
from hwmodels.units import adder_tree, tree_bits

DEVICE = load_device("xczu7ev")
EXACT = Arithmetic()


def run_on_array(inputs, weights, groups, array):
    """Executes the schedule lane by lane; inputs (positions, groups, depth), weights (outputs, depth)."""
    outputs, depth = weights.shape
    each = outputs // groups
    result = np.zeros((len(inputs), outputs), dtype=np.int64)
    cycles = 0
    for position, group in itertools.product(range(len(inputs)), range(groups)):
        for first in range(0, each, array.pe):
            rows = [group * each + row for row in range(first, min(first + array.pe, each))]
            for start in range(0, depth, array.simd):
                lanes = slice(start, start + array.simd)
                result[position, rows] += weights[rows, lanes] @ inputs[position, group, lanes]
                cycles += 1
    return result, cycles


@pytest.mark.parametrize("seed", range(40))
def test_the_schedule_computes_a_layer_in_the_cycles_it_says(seed):
    draw = random.Random(seed)
    groups = draw.choice((1, 1, 2, 3))
    outputs, depth, positions = groups * draw.randint(1, 9), draw.randint(1, 20), draw.randint(1, 5)
    array = Folding(pe=draw.randint(1, 6), simd=draw.randint(1, 7))
    generator = np.random.default_rng(seed)
    inputs = generator.integers(-9, 9, (positions, groups, depth))
    weights = generator.integers(-9, 9, (outputs, depth))
    result, cycles = run_on_array(inputs, weights, groups, array)
    expected = np.stack(
        [
            np.concatenate([part @ vector for part, vector in zip(np.split(weights, groups), row, strict=True)])
            for row in inputs
        ]
    )
    assert (result == expected).all()
    shape = EngineShape(outputs=outputs, depth=depth, positions=positions, in_channels=groups * depth, groups=groups)
    work = array_work(shape, array)
    assert work.positions * work.passes * work.steps == cycles
    assert work.compute_cycles == positions * max(work.passes * work.steps, work.fetch)
    assert work.words * array.lanes >= outputs * depth


def window(kernel, channels, size=8):
    return Window(
        kernel=kernel, stride=(1,) * len(kernel), padding=((1, 1),) * len(kernel), dilation=(1,) * len(kernel)
    ), (channels, *(size for _ in kernel))


@pytest.mark.parametrize(
    ("shape", "array", "fetch", "cycles"),
    [
        ((1, 1, 8), Folding(pe=8, simd=9), 3, 64 * 3),  # three rows of three values arrive, one cycle would compute
        ((1, 1, 16), Folding(pe=4, simd=9), 3, 64 * 4),
        ((16, 1, 16), Folding(pe=4, simd=16), 9, 64 * 4 * 9),
        ((16, 1, 4), Folding(pe=4, simd=48), 3, 64 * 3),
        ((8, 8, 8), Folding(pe=4, simd=9), 72, 64 * 72),  # depthwise: a channel a pass, and a tap a cycle
        ((8, 2, 8), Folding(pe=4, simd=4), 18, 64 * 2 * 9),
    ],
)
def test_windows_arrive_in_runs_of_neighbouring_values(shape, array, fetch, cycles):
    """Shapes are channels, groups and outputs."""
    channels, groups, outputs = shape
    found, source = window((3, 3), channels)
    work = array_work(
        EngineShape(
            outputs=outputs,
            depth=9 * channels // groups,
            positions=64,
            window=found,
            space=source[1:],
            in_channels=channels,
            groups=groups,
        ),
        array,
    )
    assert work.fetch == fetch
    assert work.compute_cycles == cycles


def test_the_second_operand_of_a_product_is_copied_first():
    shape = EngineShape(
        outputs=6, depth=10, positions=8, in_channels=10, weights=WeightSource.STREAMED, weight_sets=2, has_bias=False
    )
    work = array_work(shape, Folding(pe=4, simd=4))
    assert (work.passes, work.steps, work.load) == (2, 3, 2 * 6 * 3)
    assert work.compute_cycles == 8 * 6 + 36
    offchip = Folding(pe=4, simd=4, weight_memory=MemoryStyle.OFFCHIP)
    assert work.cycles(offchip, device=DEVICE, weight_bits=8) == work.compute_cycles


def test_weights_off_the_chip_are_read_again_unless_they_fit_the_buffer():
    offchip = Folding(pe=8, simd=8, weight_memory=MemoryStyle.OFFCHIP)
    large = array_work(EngineShape(outputs=128, depth=256, positions=10, in_channels=256), offchip)
    small = array_work(EngineShape(outputs=64, depth=64, positions=10, in_channels=64), offchip)
    assert (large.words, small.words) == (512, BURST_WORDS)
    assert large.offchip_bits(offchip, 8) == 512 * 64 * 8 * 10
    assert small.offchip_bits(offchip, 8) == 64 * 64 * 8
    for work in (large, small):
        for clock in (100.0, 400.0):
            read = bandwidth_interval(work.offchip_bits(offchip, 8), DEVICE, clock)
            found = work.cycles(offchip, device=DEVICE, weight_bits=8, clock_mhz=clock)
            assert found == max(work.compute_cycles, read)
    assert large.cycles(Folding(pe=8, simd=8), device=DEVICE) == large.compute_cycles


def linear(name, source, outputs, depth):
    return Layer(name=name, operation=Linear(), inputs=(source,), shape=(outputs,), weight=np.ones((outputs, depth)))


def chain():
    return Network(
        name="chain",
        layers=(
            Layer(name="input", operation=Input(), inputs=(), shape=(10,)),
            linear("first", "input", 20, 10),
            linear("second", "first", 6, 20),
        ),
        output="second",
    )


def skip():
    return Network(
        name="skip",
        layers=(
            Layer(name="input", operation=Input(), inputs=(), shape=(8,)),
            linear("first", "input", 8, 8),
            linear("second", "first", 8, 8),
            Layer(name="sum", operation=Add(), inputs=("input", "second"), shape=(8,)),
        ),
        output="sum",
    )


def test_tensors_are_held_as_long_as_somebody_reads_them():
    # The next sample always has its place. Largest pair of the chain: 20 and 6, or 10 and 20.
    assert held_words(chain(), 1) == 10 + 30
    assert held_words(chain(), 4) == 3 + 3 + 5
    # While the second layer works, the input waits for the sum: three tensors and the next sample.
    assert held_words(skip(), 1) == 8 + 24
    assert arrival_cycles(skip(), 3) == 3


def engine(array=None, layers=None, **changes):
    layers = layers or {
        "conv": SharedLayer(shape=EngineShape(outputs=16, depth=72, positions=64, in_channels=72)),
        "linear": SharedLayer(shape=EngineShape(outputs=10, depth=100, in_channels=100)),
    }
    settings = {
        "array": array or Folding(pe=4, simd=8),
        "layers": layers,
        "held_words": 300,
        "device": DEVICE,
        "widest_weight_bits": 8,
        "widest_word_bits": 64,
    }
    return SharedEngine(**(settings | changes))


def test_a_datapath_is_lanes_trees_and_the_multiplexers_of_its_sum():
    for weight, activation in (("int4", "int8"), ("int8", "int8"), ("e4m3fn", "e4m3fn"), ("int3", "int5")):
        made = shared_datapath(engine(), weight=parse(weight), activation=parse(activation), arithmetic=EXACT)
        one = lane(parse(weight), parse(activation))
        tree = adder_tree(8, one.product_bits, one.carries)
        multiplexers = 4 * tree_bits(8, one.product_bits, one.carries) / 2
        assert made.cost.luts == math.ceil(32 * one.luts + 4 * tree.luts + multiplexers - 1e-9)
        assert made.cost.flip_flops == 32 * (one.product_bits + one.carries) + 4 * tree.flip_flops
        assert made.levels == 3
        assert not made.has_own_accumulator


def test_lanes_in_dsps_are_those_of_an_engine_of_the_same_size():
    shape = EngineShape(outputs=16, depth=64, in_channels=64)
    for sharing, bits in itertools.product(LanesPerDsp, ("int4", "int8", "int12")):
        array = Folding(pe=8, simd=4, multipliers=MultiplierStyle.DSP, lanes_per_dsp=sharing)
        whole = engine(array, {"only": SharedLayer(shape=shape)})
        made = shared_datapath(whole, weight=parse(bits), activation=parse(bits), arithmetic=EXACT)
        alone = engine_cost(
            shape,
            weight_format=parse(bits),
            activation_format=parse(bits),
            folding=array,
            device=DEVICE,
            scale=RequantiseScale.NONE,
        )
        assert made.cost.dsps == alone.dsps
        assert (made.cost.dsps > 0) == (bits != "int4" or sharing is LanesPerDsp.PACKED)


def test_a_single_layer_array_costs_about_what_its_engine_does():
    """The same lanes, trees and accumulators; memories and control differ, and multiplexers come on top."""
    shape = EngineShape(outputs=32, depth=64, positions=16, in_channels=64)
    array = Folding(pe=8, simd=8)
    whole = engine(array, {"only": SharedLayer(shape=shape)}, held_words=8 + 4 + 8)
    alone = engine_cost(
        shape,
        weight_format=parse("int8"),
        activation_format=parse("int8"),
        folding=array,
        device=DEVICE,
        accumulator=24,
    )
    parts = [
        shared_datapath(whole, weight=parse("int8"), activation=parse("int8"), arithmetic=EXACT).cost,
        whole.accumulator_cost(24),
        whole.register_cost(24),
        whole.weight_cost(8),
        whole.activation_cost(64),
        whole.control_cost(),
    ]
    assert alone.luts < sum(part.luts for part in parts) < 1.35 * alone.luts
    assert whole.work["only"].compute_cycles == alone.interval_cycles


def test_own_accumulators_belong_to_their_datapath():
    array = engine(Folding(pe=4, simd=4))
    exact = shared_datapath(array, weight=parse("int8"), activation=parse("int8"), arithmetic=EXACT)
    narrow = Arithmetic(accumulator=parse_accumulator("int20 chunk 4"))
    own = shared_datapath(array, weight=parse("int8"), activation=parse("int8"), arithmetic=narrow)
    assert own.has_own_accumulator
    assert own.register_bits == 20
    assert own.cost.luts > exact.cost.luts
    blocks = shared_datapath(array, weight=parse("mxint8"), activation=parse("mxint8"), arithmetic=EXACT)
    assert blocks.has_own_accumulator
    assert blocks.register_bits == 32


def test_which_layers_an_array_can_execute_as_their_datapaths_say():
    narrow = Arithmetic(accumulator=parse_accumulator("int20 chunk 8"))
    layers = {
        "deep": SharedLayer(shape=EngineShape(outputs=4, depth=20, in_channels=20)),
        "flat": SharedLayer(shape=EngineShape(outputs=4, depth=5, in_channels=5)),
    }

    def can(simd, name, arithmetic=narrow, formats="int8"):
        made = engine(Folding(pe=4, simd=simd), layers)
        return made.can_use(name, weight=parse(formats), activation=parse(formats), arithmetic=arithmetic)

    assert [can(simd, "deep") for simd in (4, 8, 16)] == [False, True, False]
    assert [can(simd, "flat") for simd in (4, 5, 8, 16)] == [False, True, True, True]
    assert all(can(simd, name, EXACT) for simd in (3, 4, 16) for name in layers)
    blocks = {"deep": SharedLayer(shape=EngineShape(outputs=4, depth=64, in_channels=64))}
    made = {simd: engine(Folding(pe=4, simd=simd), blocks) for simd in (4, 24, 32, 64)}
    fits = [
        one.can_use("deep", weight=parse("mxint8"), activation=parse("mxint8"), arithmetic=EXACT)
        for one in made.values()
    ]
    assert fits == [True, False, True, True]


def test_memories_are_the_packed_words_of_all_layers():
    for style in (MemoryStyle.LUTRAM, MemoryStyle.BRAM, MemoryStyle.URAM):
        whole = engine(Folding(pe=4, simd=8, weight_memory=style))
        words = 4 * 9 + 3 * 13
        held = stored(words, 32 * 6, style, memory_budget(DEVICE))
        cost = whole.weight_cost(6)
        assert (cost.bram18s, cost.urams) == (held.bram18s, held.urams)
        assert cost.luts == held.assumed_luts + (held.unit.luts if held.unit else 0)
    offchip = engine(Folding(pe=4, simd=8, weight_memory=MemoryStyle.OFFCHIP)).weight_cost(8)
    assert offchip.out_of_range
    bits = 300 * 64
    buffered = engine(held_words=30_000).activation_cost(64)
    assert buffered.bram18s * 18 * 1024 + buffered.urams * 288 * 1024 >= bits * 100
    assert engine().requantisers == -(-4 // 9)
    assert engine(Folding(pe=32, simd=64)).requantisers == 16


@pytest.mark.parametrize("style", list(MultiplierStyle))
def test_parts_grow_with_their_width(style):
    for memory, pe, simd in itertools.product((MemoryStyle.AUTO, MemoryStyle.BRAM), (1, 4, 32), (1, 8, 32)):
        array = Folding(pe=pe, simd=simd, multipliers=style, weight_memory=memory)
        whole = engine(array, held_words=5000, widest_weight_bits=16, widest_word_bits=16 * simd)
        for part, widths in (
            (whole.weight_cost, range(1, 17)),
            (whole.activation_cost, range(simd, 16 * simd + 1, simd)),
            (whole.register_cost, range(4, 33)),
            (whole.accumulator_cost, range(4, 33)),
        ):
            plain = [part(width) for width in widths]
            steady = grown(plain)
            for one, before, after in zip(steady[1:], steady, plain[1:], strict=False):
                for name in ("luts", "flip_flops", "dsps", "bram18s", "urams"):
                    assert one.resource(name) == max(before.resource(name), after.resource(name))


def test_grown_keeps_the_most_of_each_resource():
    costs = [Cost(luts=9, bram18s=0), Cost(luts=4, bram18s=2), Cost(luts=5, bram18s=1)]
    assert [(one.luts, one.bram18s) for one in grown(costs)] == [(9, 0), (9, 2), (9, 2)]


def test_the_pipeline_is_filled_and_drained_once_a_layer():
    whole = engine(Folding(pe=32, simd=64))
    filled = whole.fill_cycles("linear", levels=6, output_fill=1)
    assert filled == 2 + (2 + 1 + 6 + 3) + 32 // 16 + 1
    in_dsps = dataclasses.replace(whole, array=Folding(pe=32, simd=64, multipliers=MultiplierStyle.DSP))
    assert in_dsps.fill_cycles("linear", levels=6, output_fill=1) == filled + 1
    with pytest.raises(ValueError, match="executes at least one convolution, linear layer or product of activations"):
        SharedEngine(array=Folding(), layers={}, held_words=1, device=DEVICE, widest_weight_bits=1, widest_word_bits=1)


def test_signs_and_channels_of_multipliers_are_part_of_the_control():
    def control(scale):
        shape = EngineShape(outputs=64, depth=72, in_channels=72)
        return engine(layers={"only": SharedLayer(shape=shape, scale=scale)}).control_cost()

    plain, channel, signed = map(
        control, (RequantiseScale.TENSOR, RequantiseScale.CHANNEL, RequantiseScale.CHANNEL_AND_SIGN)
    )
    assert plain.luts < channel.luts < signed.luts


def test_convolutions_of_a_network_are_executed_as_they_are_read():
    found, shape = window((3, 3), 4)
    network = Network(
        name="small",
        layers=(
            Layer(name="input", operation=Input(), inputs=(), shape=shape),
            Layer(
                name="conv",
                operation=Convolution(window=found),
                inputs=("input",),
                shape=(6, 8, 8),
                weight=np.ones((6, 4, 3, 3)),
            ),
        ),
        output="conv",
    )
    work = array_work(EngineShape.from_layer(network, network.by_name["conv"]), Folding(pe=4, simd=8))
    assert (work.positions, work.passes, work.steps, work.fetch) == (64, 2, 5, 3 * 2)
