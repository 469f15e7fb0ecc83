"""Latency of networks in a stream: engines in RTL, other layers by hand, and simulations of tokens."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.formats import FixedPoint
from emulation.function_operations import Lstm, Softmax
from emulation.network import (
    Activate,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Input,
    Layer,
    Linear,
    MatMul,
    MaxPool,
    Network,
    Relu,
    Reshape,
    Select,
    Transpose,
    Window,
)
from hwmodels.devices import load_device
from hwmodels.engine_shapes import EngineShape
from hwmodels.engines import engine_cost
from hwmodels.folding import Folding, MemoryStyle, MultiplierStyle
from hwmodels.network_latency import LayerTiming, folded_timing, network_latency
from hwmodels.rtl.network_cycles import Stream, engine_latency, paced, source_cycles
from hwmodels.rtl.window_shapes import Axis, WindowShape
from hwmodels.windows import first_window_positions, needed_positions

SAME = Window(kernel=(3, 3), stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1))
HALF = Window(kernel=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1))
WIDE = Window(kernel=(3, 3), stride=(1, 1), padding=((2, 2), (2, 2)), dilation=(2, 2))


def layer(name, operation, inputs, shape, **fields):
    return Layer(name=name, operation=operation, inputs=inputs, shape=shape, **fields)


def conv(name, source, window=SAME, shape=(4, 8, 8), channels=4):
    weight = np.ones((shape[0], channels, *window.kernel))
    return layer(name, Convolution(window=window), (source,), shape, weight=weight, bias=np.zeros(shape[0]))


def linear(name, source, outputs, depth):
    return layer(name, Linear(), (source,), (outputs,), weight=np.ones((outputs, depth)), bias=np.zeros(outputs))


def network(shape, *layers):
    return Network(name="test", layers=(layer("in", Input(), (), shape), *layers), output=layers[-1].name)


def engine_timing(graph, name, folding, **changes):
    """The timing of an engine as the price of its folding has it, and the price."""
    one = graph.by_name[name]
    cost = engine_cost(
        EngineShape.from_layer(graph, one),
        weight_format=FixedPoint(width=4),
        activation_format=FixedPoint(width=6),
        folding=folding,
        device=load_device("xczu7ev"),
        **changes,
    )
    return folded_timing(graph, one, folding, fill=cost.fill_cycles, interval=cost.interval_cycles), cost


@pytest.mark.parametrize("style", list(MultiplierStyle))
@pytest.mark.parametrize(("pe", "simd"), [(1, 1), (4, 4), (2, 12), (1, 36)])
def test_an_engine_alone_takes_what_its_rtl_takes(pe, simd, style):
    graph = network((4, 8, 8), conv("one", "in"))
    timing, _ = engine_timing(graph, "one", Folding(pe=pe, simd=simd, multipliers=style))
    shape = dataclasses.replace(
        timing.engine, weight_bits=4, activation_bits=6, style=2 if style is MultiplierStyle.DSP else 0
    )
    assert network_latency(graph, {"one": timing}, input_lanes=shape.input_lanes) == engine_latency(shape)
    assert LayerTiming.of_engine(shape) == dataclasses.replace(
        timing, lanes=1, outputs=1, engine=shape
    )  # fill and interval are the same, whoever says them


def test_linear_layers_wait_for_each_other():
    """Each needs all values of the one before: their intervals add up, and a little for every pipeline."""
    graph = network((64,), linear("one", "in", 64, 64), linear("two", "one", 10, 64))
    timings = {name: engine_timing(graph, name, Folding(pe=2, simd=8))[0] for name in ("one", "two")}
    intervals = sum(timing.interval for timing in timings.values())
    # The sample comes in words of two, 32 cycles; the second layer needs another 16 for its own words.
    assert intervals < network_latency(graph, timings, input_lanes=2) < intervals + 32 + 64


def test_weights_from_off_the_chip_pace_an_engine():
    graph = network((64,), linear("one", "in", 64, 64))
    near = Folding(pe=8, simd=8)
    on_chip, _ = engine_timing(graph, "one", near)
    off_chip, cost = engine_timing(
        graph, "one", dataclasses.replace(near, weight_memory=MemoryStyle.OFFCHIP), clock_mhz=5_000.0
    )
    assert cost.interval_cycles > on_chip.interval
    slower = network_latency(graph, {"one": off_chip}, input_lanes=1) - network_latency(
        graph, {"one": on_chip}, input_lanes=1
    )
    assert slower == cost.interval_cycles - on_chip.interval


def test_an_output_stage_stands_behind_its_layer():
    graph = network((4, 8, 8), conv("one", "in"))
    timing, _ = engine_timing(graph, "one", Folding(pe=2, simd=4))
    later = dataclasses.replace(timing, behind=5)
    assert network_latency(graph, {"one": later}) == network_latency(graph, {"one": timing}) + 5


def test_a_diamond_waits_for_its_longer_branch():
    layers = (conv("stem", "in"), conv("a", "stem"), conv("b", "a"), layer("add", Add(), ("b", "stem"), (4, 8, 8)))
    graph = network((4, 8, 8), *layers)
    chain = network((4, 8, 8), *layers[:3])
    timings = {name: engine_timing(graph, name, Folding(pe=4, simd=12))[0] for name in ("stem", "a", "b")}
    # A word of all channels a cycle behind the sum's last operand; the engine gives a position in several words.
    added = network_latency(graph, {**timings, "add": LayerTiming(lanes=4)}) - network_latency(chain, timings)
    assert added in {1, 2}


def simulate(periods, needs, outputs):
    """Cycle of the last output of a chain: layer l makes output j a period after j - 1 once its inputs have come."""
    arrived = [0] * outputs
    for period, need in zip(periods, needs, strict=True):
        done = []
        for j in range(outputs):
            input_ready = arrived[min(need[j], outputs) - 1]
            done.append(max(input_ready, done[-1] if done else 0) + period)
        arrived = done
    return arrived[-1]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_engines_without_rtl_against_a_simulation(periods):
    """Dilated convolutions over 64 positions, a fixed number of cycles a position."""
    names = [f"c{i}" for i in range(len(periods))]
    layers = [conv(name, source, WIDE) for name, source in zip(names, ["in", *names], strict=False)]
    graph = network((4, 8, 8), *layers)
    needed = needed_positions(WIDE, (8, 8))
    timings = {
        # A position comes in a word; the fill counts the arrival of the first window and, here, nothing behind it.
        name: LayerTiming(fill=int(needed[0]), interval=64 * period, lanes=4, outputs=1)
        for name, period in zip(names, periods, strict=True)
    }
    # All of the input is there before the last layer is: what it takes to come is part of the simulation's first layer.
    simulated = simulate([1, *periods], [np.arange(1, 65)] + [needed] * len(periods), 64)
    found = network_latency(graph, timings, input_lanes=4)
    # A word of four is handed on while the next one is made: at most a period, and a cycle of a register, a layer.
    assert abs(found - simulated) <= sum(periods) + len(periods)
    assert found >= max(64 * period for period in periods) - max(periods)


def test_values_one_by_one_add_their_fill():
    graph = network((4, 8, 8), layer("act", Activate(), ("in",), (4, 8, 8), activation=Relu()))
    timing = LayerTiming(fill=4, interval=256, lanes=1)
    assert network_latency(graph, {"act": timing}) == 255 + 4
    # Two values of a word, in an adapter of a cycle, and half as many words.
    assert network_latency(graph, {"act": LayerTiming(fill=4, interval=128, lanes=2)}) == 127 + 4


def test_rows_are_read_before_they_are_written():
    graph = network((3, 8), layer("softmax", Softmax(), ("in",), (3, 8)))
    # 4 words of two values, a divider of 20 cycles for a row, which works on one row while the next one is read.
    timing = LayerTiming(fill=4 + 20 + 6, interval=3 * 20, lanes=2)
    assert network_latency(graph, {"softmax": timing}, input_lanes=2) == 3 + 30 + 2 * 20


def test_a_transpose_waits_for_everything():
    graph = network((4, 8), layer("turn", Transpose(order=(1, 0)), ("in",), (8, 4)))
    timing = LayerTiming(fill=32 + 2, interval=32, lanes=1)
    assert network_latency(graph, {"turn": timing}) == 31 + 2 + 32


def test_a_product_of_activations_waits_for_all_of_the_right_one():
    product = layer("product", MatMul(), ("in", "late"), (6, 6))
    late = layer("late", Transpose(order=(1, 0)), ("in",), (4, 6))
    graph = network((6, 4), late, product)
    timings = {"late": LayerTiming(fill=26, interval=24)}
    of_late = network_latency(network((6, 4), late), timings)
    timings["product"] = LayerTiming(fill=10, interval=6 * 24, lanes=1, outputs=1)
    # Six rows of 24 cycles, the last of whose six words leaves 20 after the first.
    assert network_latency(graph, timings) == of_late + 1 + 5 * 24 + 10 + 20


def test_joins_and_selections_by_hand():
    def passed(*layers, **timings):
        return network_latency(network((4, 8), *layers), timings)

    one = LayerTiming(fill=3, interval=64)
    both = layer("join", Concat(axis=1), ("in", "in"), (4, 16))
    assert passed(both, join=one) == 7 + 3 + 3 * 16  # the first row is there in cycle 7, and each takes 16 words
    after = layer("join", Concat(axis=0), ("in", "in"), (8, 8))
    assert passed(after, join=one) == 7 + 3 + 7 * 8
    for index, end in ((0, 7), (2, 23), (-1, 31)):
        row = layer("row", Select(axis=0, index=index), ("in",), (8,))
        assert passed(row, row=LayerTiming(fill=1, interval=32)) == end + 1
    column = layer("column", Select(axis=1, index=0), ("in",), (4,))
    assert passed(column, column=LayerTiming(fill=1, interval=32)) == 31 + 1


def test_pools_by_hand():
    beside = network((4, 8, 8), layer("pool", MaxPool(window=HALF), ("in",), (4, 4, 4)))
    assert network_latency(beside, {"pool": LayerTiming(lanes=1, fill=99, interval=256)}) == 255 + 1
    shared = network((4, 8, 8), layer("pool", AveragePool(window=SAME), ("in",), (4, 8, 8)))
    # 64 windows of nine taps and four words; the fill counts the ten positions of the first window.
    timing = LayerTiming(lanes=1, fill=40 + 5, interval=64 * 36)
    assert network_latency(shared, {"pool": timing}) == 40 + 64 * 36 - 1 + 5


def test_a_recurrent_layer_takes_its_steps_in_turn():
    weight = np.ones((4 * 6, 3 + 6))
    one = layer("cell", Lstm(hidden=6), ("in",), (5, 6), weight=weight, bias=np.zeros(24))
    graph = network((5, 3), one)
    timing = folded_timing(graph, one, Folding(pe=4, simd=3), fill=40, interval=5 * 30)
    assert network_latency(graph, {"cell": timing}) == 2 + 40 + 4 * 30


@given(st.data())
def test_slower_parts_never_make_a_network_faster(data):
    graph = network(
        (4, 8, 8),
        conv("stem", "in"),
        conv("a", "stem", WIDE),
        layer("add", Add(), ("a", "stem"), (4, 8, 8)),
        layer("pool", MaxPool(window=HALF), ("add",), (4, 4, 4)),
        layer("flat", Reshape(), ("pool",), (64,)),
        linear("out", "flat", 10, 64),
    )
    timings = {
        "stem": engine_timing(graph, "stem", Folding(pe=data.draw(st.sampled_from((1, 4))), simd=12))[0],
        "a": LayerTiming(fill=30, interval=64 * data.draw(st.integers(1, 20)), lanes=2, outputs=2),
        "add": LayerTiming(lanes=data.draw(st.sampled_from((1, 2, 4)))),
        "pool": LayerTiming(lanes=data.draw(st.sampled_from((1, 2, 4)))),
        "out": engine_timing(graph, "out", Folding(pe=2, simd=data.draw(st.sampled_from((2, 8)))))[0],
    }
    before = network_latency(graph, timings, input_lanes=1)
    assert before >= timings["a"].interval
    name = data.draw(st.sampled_from(sorted(timings)))
    if name in {"stem", "a", "out"}:
        field = data.draw(st.sampled_from(("fill", "interval", "behind")))
        grown = {field: getattr(timings[name], field) + data.draw(st.integers(1, 500))}
    else:
        grown = {"behind": data.draw(st.integers(1, 500))}
    slower = {**timings, name: dataclasses.replace(timings[name], **grown)}
    assert network_latency(graph, slower, input_lanes=1) >= before


def test_what_is_missing_or_unknown_is_named():
    graph = network((64,), linear("one", "in", 64, 64))
    with pytest.raises(ValueError, match="timings name 'three', which is no layer of network 'test'"):
        network_latency(graph, {"three": LayerTiming()})
    with pytest.raises(ValueError, match=r"layer 'one' \(linear\) has no timing: all but inputs and reshapes need one"):
        network_latency(graph, {})


def test_a_sample_comes_as_fast_as_the_slowest_layer_works():
    """Reported intervals do not count the input, so it must keep their pace: a flattened image as one position."""
    flat = network((1, 8, 8), layer("flat", Reshape(), ("in",), (64,)), linear("one", "flat", 64, 64))
    for pe, simd, lanes in ((64, 64, 64), (64, 8, 8), (8, 8, 1)):
        timings = {"one": engine_timing(flat, "one", Folding(pe=pe, simd=simd))[0]}
        assert network_latency(flat, timings) == network_latency(flat, timings, input_lanes=lanes)


def test_streams_are_cut_into_other_positions():
    whole = Stream(source_cycles(12, 2), 2)
    assert whole.of(12) is whole
    assert whole.of(4).cycles.tolist() == [5, 11, 17, 23]
    assert (whole.of(4).words, whole.of(24).words) == (6, 1)
    assert whole.of(24).cycles.tolist() == list(range(24))
    assert whole.of(8).cycles.tolist() == [2, 5, 8, 11, 14, 17, 20, 23]


def adapted(times, before, after):
    """Adapters word by word: falling ones give the parts of a word one a cycle, rising ones wait for the last part."""
    common = math.lcm(before, after)
    falling, rising = common // before, common // after
    if falling > 1:
        out = []
        for time in times:
            start = max(time + 1, out[-1] + 1 if out else 0)
            out += range(start, start + falling)
        times = out
    return [time + 1 for time in times[rising - 1 :: rising]] if rising > 1 else times


@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 20), st.integers(1, 6), st.integers(1, 4))
def test_width_adapters_word_by_word(bursts, burst, gap, ratio, positions):
    """Words in bursts, as an engine gives them, one position behind the other: each word as several, or the reverse."""
    words, spacing = bursts * burst, burst + gap
    times = [place * spacing + word for place in range(positions * bursts) for word in range(burst)]
    stream = Stream(np.array(times[words - 1 :: words]), words, bursts, spacing)
    many = stream.as_words(words * ratio)
    assert many.cycles.tolist() == adapted(times, words, words * ratio)[words * ratio - 1 :: words * ratio]
    whole = stream.as_words(1)
    assert whole.cycles.tolist() == adapted(times, words, 1)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4))
def test_adapters_that_do_not_divide_stand_behind_each_other(words, wanted, positions):
    found = Stream(source_cycles(positions, words), words).as_words(wanted)
    times = adapted(list(range(positions * words)), words, wanted)
    assert found.cycles.tolist() == times[wanted - 1 :: wanted]
    assert found.words == wanted


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(0, 20), st.integers(1, 5))
def test_paced_events(ready, turn, events):
    times = np.array(sorted(ready))
    found = paced(times, turn, events)
    assert (found >= times).all()
    assert found[0] == times[0]
    gaps = found[events:] - found[:-events]
    assert (gaps >= turn).all()


@given(st.data())
def test_windows_need_the_positions_of_their_last_taps(data):
    axes = []
    for _ in range(2):
        kernel = data.draw(st.integers(1, 4))
        before, after = data.draw(st.integers(0, kernel - 1)), data.draw(st.integers(0, kernel - 1))
        size = data.draw(st.integers(max(kernel - before - after, 1), 9))
        axes.append(Axis(size=size, kernel=kernel, stride=data.draw(st.integers(1, 3)), before=before, after=after))
    window = Window(
        kernel=tuple(axis.kernel for axis in axes),
        stride=tuple(axis.stride for axis in axes),
        padding=tuple((axis.before, axis.after) for axis in axes),
        dilation=(1, 1),
    )
    space = tuple(axis.size for axis in axes)
    found = needed_positions(window, space)
    assert found.tolist() == WindowShape(rows=axes[0], columns=axes[1]).needed.tolist()
    assert found[0] == first_window_positions(window, space)


def test_dilated_windows_reach_further():
    assert needed_positions(WIDE, (8, 8))[0] == first_window_positions(WIDE, (8, 8)) == 2 * 8 + 3
    assert needed_positions(WIDE, (8, 8))[-1] == 64
