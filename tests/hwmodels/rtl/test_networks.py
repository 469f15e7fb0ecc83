"""Whole networks in Verilator: logits equal hardware mode, the slowest engine sets the pace, skip FIFOs hold enough."""

from __future__ import annotations

import dataclasses
import random
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emulation.calibrated import Formats
from emulation.catalogue import parse
from emulation.execution import execute
from emulation.network import Add, Convolution, Input, Layer, Network, Window
from hwmodels.rtl.engine_content import joined
from hwmodels.rtl.engine_shape import EngineShape, engine_cycles
from hwmodels.rtl.engines import engine
from hwmodels.rtl.networks import NetworkError, Stage, network
from hwmodels.rtl.stream_layers import stream_add, stream_pool
from hwmodels.streaming import skip_fifo_depths
from tests.emulation.test_whole_workloads import calibrated_workload
from tests.hwmodels.rtl.meanings import wrapped
from tests.hwmodels.rtl.network_stages import StageBuilder, StageFolding
from tests.hwmodels.rtl.verilating import Run, verilate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from emulation.hardware import HardwareNetwork
    from tests.hwmodels.rtl.verilating import Trace

DIGITS = {
    "stem.convolution": StageFolding(pe=4, simd=3),
    "residual.first.convolution": StageFolding(pe=16, simd=16),
    "residual.second.convolution": StageFolding(pe=8, simd=48, style=2),
    "residual.add": StageFolding(lanes=2),
    "halve": StageFolding(lanes=4),
    "widen.convolution": StageFolding(pe=8, simd=16, style=1),
    "mix.convolution": StageFolding(pe=8, simd=32),
    "average": StageFolding(lanes=2),
    "hidden": StageFolding(pe=8, simd=2),
    "classify": StageFolding(pe=2, simd=1),
}
PERCEPTRON = {
    "first": StageFolding(pe=8, simd=8),
    "second": StageFolding(pe=4, simd=8),
    "classify": StageFolding(pe=2, simd=8),
}


def lowered(workload: str, edges: str, weights: str) -> tuple[HardwareNetwork, np.ndarray]:
    """A workload in hardware mode, all edges and all weights in one format each, and its samples."""
    calibrated, inputs, _ = calibrated_workload(workload)
    layers = [layer.name for layer in calibrated.network.layers if layer.weight is not None]
    formats = Formats(
        edges={edge: calibrated.edge_format(edge, parse(edges)) for edge in calibrated.network.edges},
        weights={layer: parse(weights) for layer in layers},
    )
    return calibrated.lower(formats), inputs


def run_of(builder: StageBuilder, samples: np.ndarray) -> tuple[Run, list[int]]:
    """The whole network with these samples, and the words it must put out."""
    design = builder.design
    stages = builder.stages()
    bits, _ = builder.bits("input")
    given = design.cast_samples(samples)
    order = given.transpose(0, 2, 3, 1) if given.ndim == 4 else given
    words = [int(value) & (1 << bits) - 1 for value in order.reshape(-1)]
    last = builder.shapes[design.network.output]
    logits = np.asarray(execute(design, samples)).reshape(len(samples), -1)
    expected = [
        joined((int(value), last.output_bits) for value in row[first : first + last.at_once])
        for row in logits
        for first in range(0, logits.shape[1], last.at_once)
    ]
    return Run(unit=network(stages, in_width=bits), words=words, outputs=len(expected)), expected


def sample_ends(trace: Trace, samples: int) -> list[int]:
    """The cycles in which the last words of the samples left."""
    per_sample = len(trace.left) // samples
    return list(trace.left[per_sample - 1 :: per_sample])


def test_perceptron_in_hardware(tool: Callable[[str], Path]) -> None:
    design, inputs = lowered("digits-mlp", "int8", "int4")
    builder = StageBuilder(design, PERCEPTRON)
    run, expected = run_of(builder, inputs[:4])
    (trace,) = verilate([run], tool, cycles=20_000)
    assert list(trace.words) == expected
    ends = sample_ends(trace, 4)
    slowest = max(engine_cycles(shape).interval for shape in builder.shapes.values())
    pace = max(slowest, len(run.words) // 4)
    assert [later - earlier for earlier, later in pairwise(ends[1:])] == [pace] * 2
    assert abs((ends[0] - trace.arrived[0]) / builder.latency() - 1) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize(("edges", "weights"), [("int4", "int4"), ("int8", "int4")])
def test_digits_in_hardware(edges: str, weights: str, tool: Callable[[str], Path]) -> None:
    design, inputs = lowered("digits", edges, weights)
    builder = StageBuilder(design, DIGITS)
    run, expected = run_of(builder, inputs[:4])
    (trace,) = verilate([run], tool, cycles=20_000)
    assert list(trace.words) == expected
    ends = sample_ends(trace, 4)
    slowest = max(engine_cycles(shape).interval for shape in builder.shapes.values())
    assert [later - earlier for earlier, later in pairwise(ends)] == [slowest] * 3
    assert abs((ends[0] - trace.arrived[0]) / builder.latency() - 1) < 0.02


def _residual(first: EngineShape, second: EngineShape, words: int) -> tuple[Run, EngineShape]:
    """Two convolutions beside a skip connection whose FIFO has so many words."""
    bits = first.output_bits
    add = stream_add(lanes=1, a=bits, b=bits, multiplier_bits=4, shift=3, output=bits)
    tied = {"multipliers_in": 1 << 15}
    stages = [
        Stage(name="first", unit=engine(**first.parameters), inputs=("input",), tied=tied),
        Stage(name="second", unit=engine(**second.parameters), inputs=("first",), tied=tied),
        Stage(
            name="joined",
            unit=add,
            inputs=("input", "second"),
            fifo_words=(words, 0),
            tied={"a_multiplier": 5, "b_multiplier": 7},
        ),
    ]
    chosen = random.Random(5)
    values = [chosen.getrandbits(bits) for _ in range(3 * first.window.positions * first.channels)]
    return Run(unit=network(stages, in_width=bits), words=values, outputs=len(values)), first


def _small_convolution(pe: int = 1, simd: int = 2) -> EngineShape:
    return EngineShape(
        outputs=2,
        channels=2,
        pe=pe,
        simd=simd,
        weight_bits=3,
        activation_bits=4,
        accumulator=14,
        scale=1,
        shift=24,
        output_bits=4,
        height=5,
        width=5,
        kernel_height=3,
        kernel_width=3,
        top=1,
        bottom=1,
        left=1,
        right=1,
    )


def _residual_graph(shape: EngineShape) -> Network:
    """Two such convolutions and the sum of their output and the input."""
    size = (shape.channels, shape.height, shape.width)
    window = Window(kernel=(3, 3), stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1))
    weight = np.ones((shape.outputs, shape.channels, 3, 3))
    layers = [Layer(name="input", operation=Input(), inputs=(), shape=size)]
    for name, source in (("first", "input"), ("second", "first")):
        layers.append(
            Layer(name=name, operation=Convolution(window=window), inputs=(source,), shape=size, weight=weight)
        )
    layers.append(Layer(name="joined", operation=Add(), inputs=("input", "second"), shape=size))
    return Network(name="residual", layers=tuple(layers), output="joined")


@pytest.mark.parametrize(("pe", "simd"), [(1, 2), pytest.param(2, 6, marks=pytest.mark.slow), (2, 18)])
def test_skip_fifo_of_the_computed_depth_keeps_the_pace(pe: int, simd: int, tool: Callable[[str], Path]) -> None:
    shape = _small_convolution(pe, simd)
    graph = _residual_graph(shape)
    join = graph.by_name["joined"]
    paced, safe = (skip_fifo_depths(graph, join, lanes=lanes)[0] for lanes in (1, None))
    # The second convolution's first window takes so many positions of the first, the last of which takes so many words.
    needed = shape.window.needed
    least = int(needed[needed[0] - 1]) * shape.channels
    assert least <= safe <= paced
    runs = [_residual(shape, shape, words)[0] for words in (paced, 4 * paced, least, least - 1)]
    traces = verilate(runs, tool, cycles=6_000)
    assert [len(trace.words) == runs[0].outputs for trace in traces] == [True, True, True, False]
    assert len({trace.words for trace in traces[:3]}) == 1
    ends, of_deeper = (sample_ends(trace, 3) for trace in traces[:2])
    assert ends == of_deeper
    slowest = max(engine_cycles(shape).interval, runs[0].outputs // 3)
    assert pytest.approx(slowest, abs=1) == ends[2] - ends[1]


def test_pools_of_a_stream(tool: Callable[[str], Path]) -> None:
    shapes = (((2, 3), (5, 7), 4), ((3, 1), (6, 2), 1))
    cases = [_pool(average, *shape) for average in (0, 1) for shape in shapes]
    chosen = random.Random(4)
    waits = [int(chosen.random() < 0.6) for _ in range(53)]
    cases += [(dataclasses.replace(run, accepted=waits), expected) for run, expected in cases[::2]]
    for (run, expected), trace in zip(cases, verilate([run for run, _ in cases], tool, cycles=5_000), strict=True):
        assert list(trace.words) == expected, run.unit.module


def _pool(average: int, kernel: tuple[int, int], size: tuple[int, int], lanes: int) -> tuple[Run, list[int]]:
    channels, bits, multiplier, shift = 4, 5, 49_151, 18
    unit = stream_pool(
        height=size[0],
        width=size[1],
        kernel_height=kernel[0],
        kernel_width=kernel[1],
        channels=channels,
        lanes=lanes,
        bits=bits,
        average=average,
        shift=shift,
        output=bits,
    )
    image = np.random.default_rng(1).integers(-16, 16, size=(3, *size, channels))
    down, across = size[0] // kernel[0], size[1] // kernel[1]
    windows = image[:, : down * kernel[0], : across * kernel[1]].reshape(
        3, down, kernel[0], across, kernel[1], channels
    )
    if average:
        # Products of these widths are exact in float64, and rint rounds half to even.
        scaled = windows.sum(axis=(2, 4)) * multiplier / 2**shift
        pooled = np.clip(np.rint(scaled), -16, 15).astype(int)
    else:
        pooled = windows.max(axis=(2, 4))
    expected = _words(pooled, lanes, bits)
    tied = {"multiplier": multiplier} if average else {}
    return Run(unit=unit, words=_words(image, lanes, bits), outputs=len(expected), tied=tied), expected


def _words(values: np.ndarray, lanes: int, bits: int) -> list[int]:
    flat: Sequence[int] = values.reshape(-1).tolist()
    return [joined((value, bits) for value in flat[first : first + lanes]) for first in range(0, len(flat), lanes)]


def test_stages_that_do_not_fit_are_refused() -> None:
    shape = _small_convolution()
    stage = Stage(name="first", unit=engine(**shape.parameters), inputs=("nowhere",))
    with pytest.raises(NetworkError, match="stage 'first' reads 'nowhere', which is no stage before it"):
        network([stage], in_width=4)
    twice = [Stage(name=name, unit=stage.unit, inputs=("input",)) for name in ("first", "second")]
    with pytest.raises(NetworkError, match="nothing reads 'first': every stage but the last must have a reader"):
        network(twice, in_width=4)


def test_wrapped_words_are_read_back() -> None:
    assert [wrapped(word, 5) for word in _words(np.array([-16, -1, 15]), 1, 5)] == [-16, -1, 15]
