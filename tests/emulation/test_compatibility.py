"""Which formats go where, and designs and probes that name arithmetics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emulation.block_tensors import cast_blocks
from emulation.calibrated import CalibratedNetwork, Formats, Scalings
from emulation.calibration import edge_ranges
from emulation.catalogue import parse
from emulation.compatibility import block_axis, edge_can_have
from emulation.datapaths import Arithmetic, Product, parse_arithmetic
from emulation.engines import lower_engine
from emulation.execution import execute
from emulation.float_execution import run_float
from emulation.lmul import lmul_product
from emulation.network import Network, Relu
from emulation.sensitivity import EdgeProbe, EngineProbe, SensitivityBench

MXINT8, INT8, E4M3 = parse("mxint8/4"), parse("int8"), parse("e4m3fn")
LMUL = parse_arithmetic("l-mul-field / exact")


@pytest.fixture(scope="module")
def network(build: Any) -> Network:
    """Every kind of reader: convolution, depthwise, pooling, joins, flattening, linear layers, a product."""
    random = np.random.default_rng(0)
    graph = build.Graph((3, 8, 8))

    def kernel(*shape: int) -> np.ndarray:
        return random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))

    stem = graph.convolve("input", kernel(8, 3, 3, 3), random.normal(size=8), activation=Relu())  # read by convolutions
    inner = graph.convolve(stem, kernel(6, 8, 3, 3), activation=Relu())  # read by a depthwise convolution
    spread = graph.convolve(inner, kernel(6, 1, 3, 3), groups=6)  # read by max pooling
    pooled = graph.max_pool(spread, (2, 2), stride=(2, 2))
    point = graph.convolve(pooled, kernel(6, 6, 1, 1))  # read by a concatenation
    both = graph.concat((point, pooled))  # a join, read by a flattening
    flat = graph.reshape(both, (12,))
    hidden = graph.linear(flat, kernel(10, 12), activation=Relu())  # read by a linear layer
    graph.linear(hidden, kernel(4, 10), random.normal(size=4))
    return graph.network()


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(20, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def calibrated(network: Network, samples: np.ndarray) -> CalibratedNetwork:
    tensors = {name: tensor.numpy() for name, tensor in run_float(network, samples).items()}
    return CalibratedNetwork(network=network, ranges=edge_ranges(network, tensors), scalings=Scalings())


def test_edges_that_blocks_can_have(calibrated: CalibratedNetwork) -> None:
    """Rule 13: only ungrouped convolutions and linear layers read blocks, and read them directly."""
    can = {edge: calibrated.edge_can_have(edge, MXINT8) for edge in calibrated.network.edges}
    stem, inner, spread, point, both, hidden, output = list(can)[1:]
    assert {edge for edge, allowed in can.items() if allowed} == {"input", stem, hidden}
    assert not any(can[edge] for edge in (inner, spread, point, both, output))
    assert all(calibrated.edge_can_have(edge, parse("nf4")) for edge in can)
    assert not any(calibrated.edge_can_have(edge, parse(name)) for edge in can for name in ("codebook4", "bcq3"))
    assert (block_axis(calibrated.network, stem), block_axis(calibrated.network, hidden)) == (0, -1)


def test_blocks_need_one_direction(build: Any) -> None:
    """A tensor that a convolution reads along its rows and a linear layer along its columns has no one block axis."""
    graph = build.Graph((4, 6))
    graph.convolve("input", np.ones((2, 4, 3)))
    graph.linear("input", np.ones((2, 6)))
    assert not edge_can_have(graph.network(), "input", MXINT8)
    rows = build.Graph((4, 6))
    rows.linear("input", np.ones((2, 6)))
    assert edge_can_have(rows.network(), "input", MXINT8)


@pytest.mark.parametrize(
    ("activation", "weight", "arithmetic", "expected"),
    [
        ("int8", "int8", "exact / exact", True),
        ("mxint8/4", "mxfp4/4", "exact / exact", True),
        ("mxint8/4", "mxfp4/8", "exact / exact", False),  # two block sizes
        ("mxint8/4", "int8", "exact / exact", True),
        ("mxint8/4", "mxfp4/4", "exact / int32", True),  # block after block
        ("mxint8/4", "mxfp4/8", "exact / int32", False),
        ("mxint8/4", "mxfp4/4", "exact / aligned20", True),
        ("mxint8/4", "mxfp4/4", "exact / aligned3", False),  # no room for a step of each block
        ("int8", "int8", "exact / aligned20", False),  # no blocks
        ("e4m3fn", "e3m2", "l-mul-formula / exact", True),
        ("e4m3fn", "int8", "l-mul-formula / exact", False),
        ("e4m3fn", "e3m2", "l-mul-field / int24 wrap", True),
        ("mxfp4/4", "mxfp4/4", "l-mul-field / exact", False),
        ("pot4", "nf4", "exact / fixed<16,8>", True),
        ("int8", "bcq3", "exact / e5m10", True),
        ("bcq3", "int8", "exact / exact", False),  # learned levels are for weights
    ],
)
def test_engines(
    calibrated: CalibratedNetwork, activation: str, weight: str, arithmetic: str, *, expected: bool
) -> None:
    engines = [layer for layer in calibrated.network.engines if layer.kind in ("convolution", "linear")]
    for layer in engines:
        operands = parse(activation), parse(weight)
        assert calibrated.engine_can_use(layer.name, *operands, parse_arithmetic(arithmetic)) is expected
    depthwise = next(layer.name for layer in calibrated.network.engines if layer.kind == "depthwise")
    if "mx" in activation + weight:
        assert not calibrated.engine_can_use(depthwise, parse(activation), parse(weight))


def test_what_lowering_refuses(calibrated: CalibratedNetwork) -> None:
    network = calibrated.network
    edges, weights = dict.fromkeys(network.edges, INT8), {layer.name: INT8 for layer in network.engines}
    with pytest.raises(ValueError, match=r"the edge of layer .* cannot be mxint8/4\. Blocks need readers"):
        calibrated.lower(Formats(edges=edges | {network.output: MXINT8}, weights=weights))
    first = network.engines[0].name
    with pytest.raises(ValueError, match=f"layer {first!r} cannot multiply int8 by int8 with arithmetic l-mul"):
        calibrated.lower(Formats(edges=edges, weights=weights, engines={first: LMUL}))
    depthwise = next(layer.name for layer in network.engines if layer.kind == "depthwise")
    narrow = {first: parse_arithmetic("exact / aligned4")}
    with pytest.raises(
        ValueError, match=r"aligned4 adds at most 5 blocks \(k up to 20\), .* has 9: use aligned5 or wid"
    ):
        calibrated.lower(Formats(edges=edges | {"input": MXINT8}, weights=weights, engines=narrow))
    with pytest.raises(ValueError, match="alignedN needs blocks"):
        calibrated.lower(Formats(edges=edges, weights=weights, engines=narrow))
    with pytest.raises(ValueError, match=f"layer {depthwise!r} cannot multiply int8 by mxint8/4"):
        calibrated.lower(Formats(edges=edges, weights=weights | {depthwise: MXINT8}))


def test_texts_of_designs() -> None:
    """Only what is unusual shows, so that stored measurements of plain designs keep their names."""
    plain = Formats(edges={"a": INT8}, weights={"b": E4M3})
    assert plain.text == '[{"a": "int8"}, {"b": "e4m3fn"}]'
    assert Formats(edges={"a": INT8}, weights={"b": E4M3}, engines={"b": Arithmetic()}).text == plain.text
    unusual = Formats(edges={"a": INT8}, weights={"b": E4M3}, engines={"b": LMUL})
    assert unusual.text == '[{"a": "int8"}, {"b": "e4m3fn"}, {"b": "l-mul-field / exact"}]'


@pytest.mark.parametrize(
    ("activation", "weight", "arithmetic", "bits"),
    [
        ("int8", "int8", "exact / int20 wrap", 20),
        ("int8", "int8", "exact / fixed<18,9> floor", 18),
        ("mxint8/4", "mxfp4/4", "exact / exact", 32),
        ("mxint8/4", "mxfp4/4", "exact / aligned17", 17),
        ("mxint8/4", "mxfp4/4", "exact / fixed<18,9> floor", 18),
    ],
)
def test_widths_of_accumulators(
    calibrated: CalibratedNetwork, activation: str, weight: str, arithmetic: str, bits: int
) -> None:
    layer = calibrated.network.engines[0].name
    formats = parse(activation), parse(weight)
    assert calibrated.accumulator_bits(layer, *formats, parse_arithmetic(arithmetic)) == bits


def test_width_of_exact_l_mul_sums(calibrated: CalibratedNetwork) -> None:
    """The worst input, every activation at its largest with the weight's sign, needs all the bits that are promised."""
    layer = calibrated.network.engines[0]
    source = calibrated.edge("input", E4M3)
    lowered = lower_engine(layer, source, calibrated.weights(layer.name, E4M3), LMUL)
    largest = source.grid.high
    worst = 0
    for weights, bias in zip(lowered.weight, lowered.bias or (), strict=True):
        total = sum(lmul_product(largest, abs(int(w)), (3, 3), Product.LMUL_FIELD) for w in weights.ravel())
        worst = max(worst, total + abs(bias))
    bits = calibrated.accumulator_bits(layer.name, E4M3, E4M3, LMUL)
    assert 1 << (bits - 2) <= worst < 1 << (bits - 1)


@pytest.mark.parametrize(
    ("activation", "weight", "arithmetic"),
    [
        ("mxint8/4", "mxint8/4", "exact / exact"),
        ("nvfp4/4", "bfp8/4", "exact / exact"),
        ("mxint8/4", "mxint8/4", "exact / e5m4"),
        ("nvfp4/4", "bfp8/4", "exact / aligned12"),
        ("int8", "codebook4", "exact / exact"),
        ("e4m3fn", "e4m3fn", "l-mul-field / exact"),
        ("int8", "int6", "exact / int12"),
        ("e4m3fn", "e3m2", "exact / e5m2 chunk 3"),
    ],
)
def test_probes_are_the_engines_of_designs(
    calibrated: CalibratedNetwork, samples: np.ndarray, activation: str, weight: str, arithmetic: str
) -> None:
    """A design whose other tensors are as good as float ends where the probe of its first engine ends."""
    network, first = calibrated.network, calibrated.network.engines[0].name
    labels = np.random.default_rng(3).integers(0, 4, 20)
    probe = EngineProbe(
        layer=first, activation=parse(activation), weight=parse(weight), arithmetic=parse_arithmetic(arithmetic)
    )
    bench = SensitivityBench(calibrated, samples, labels)
    fine = parse("int16")
    formats = Formats(
        edges=dict.fromkeys(network.edges, fine) | {"input": probe.activation},
        weights={layer.name: fine for layer in network.engines} | {first: parse(weight)},
        engines={first: probe.arithmetic},
    )
    hardware = calibrated.lower(formats)
    whole = bench.yardstick.losses(execute(hardware, samples) * hardware.output_unit)
    assert bench.measure(probe).divergence == pytest.approx(whole.divergence, rel=0.15, abs=1e-5)


def test_an_edge_probe_of_blocks(calibrated: CalibratedNetwork, samples: np.ndarray) -> None:
    quantiser = calibrated.edge("input", MXINT8)
    values = cast_blocks(samples, quantiser).values()
    assert quantiser.block_axis == 1
    np.testing.assert_array_equal(quantiser.cast(samples), values)
    assert np.abs(values - samples).max() < 0.04
    bench = SensitivityBench(calibrated, samples, np.zeros(20, np.int64))
    assert 0 < bench.measure(EdgeProbe(edge="input", format=MXINT8)).divergence < 1e-2
