"""Probes of one tensor or one engine against whole runs made by hand."""

from __future__ import annotations

import math
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from emulation import Quantiser, dot, encode
from emulation.calibrated import CalibratedNetwork, Formats, Scalings
from emulation.calibration import edge_ranges
from emulation.catalogue import parse
from emulation.datapaths import Arithmetic, Datapath, parse_arithmetic
from emulation.dots import accumulator_unit_exponent
from emulation.execution import execute
from emulation.float_execution import rerun, run_float, run_layer
from emulation.losses import yardstick
from emulation.network import Network, PRelu, Relu
from emulation.sensitivity import EdgeProbe, EngineProbe, SensitivityBench
from emulation.tasks import log_softmax

if TYPE_CHECKING:
    from emulation.formats import Format

INT4, INT8, E3M2 = parse("int4"), parse("int8"), parse("e3m2")


@pytest.fixture(scope="module")
def network(build: Any) -> Network:
    """A residual block, pooling, a product of two activations and a linear layer with three classes."""
    random = np.random.default_rng(0)
    graph = build.Graph((3, 6, 6))
    pad = ((1, 1), (1, 1))
    stem = graph.convolve("input", random.normal(size=(4, 3, 3, 3)) / 5, random.normal(size=4), activation=Relu())
    inner = graph.convolve(stem, random.normal(size=(4, 4, 3, 3)) / 6, activation=PRelu(slopes=(0.1,)), padding=pad)
    joined = graph.join(inner, stem, Relu())
    pooled = graph.max_pool(joined, (2, 2), stride=(2, 2))
    rows = graph.reshape(pooled, (4, 4))
    mixed = graph.matmul(rows, graph.transpose(rows, (1, 0)))
    graph.linear(graph.reshape(mixed, (16,)), random.normal(size=(3, 16)) / 16, random.normal(size=3))
    return graph.network()


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(24, 3, 6, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 3, 24)


@pytest.fixture(scope="module")
def bench(network: Network, samples: np.ndarray, labels: np.ndarray) -> SensitivityBench:
    tensors = {name: tensor.numpy() for name, tensor in run_float(network, samples).items()}
    calibrated = CalibratedNetwork(network=network, ranges=edge_ranges(network, tensors), scalings=Scalings())
    return SensitivityBench(calibrated, samples, labels)


def engines_with_weights(network: Network) -> list[str]:
    return [layer.name for layer in network.engines if layer.weight is not None]


def losses_by_hand(outputs: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Divergence, change of cross-entropy and accuracy, sample by sample, with torch's own functions."""
    ours = torch.log_softmax(torch.from_numpy(outputs).double(), dim=1)
    theirs = torch.log_softmax(torch.from_numpy(reference).double(), dim=1)
    target = torch.from_numpy(labels)
    divergence = torch.nn.functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)
    change = torch.nn.functional.nll_loss(ours, target) - torch.nn.functional.nll_loss(theirs, target)
    return float(divergence), float(change), float((ours.argmax(dim=1) == target).double().mean())


def test_an_edge_probe_is_a_whole_run_with_one_tensor_replaced(
    network: Network, samples: np.ndarray, labels: np.ndarray, bench: SensitivityBench
) -> None:
    reference = run_float(network, samples)
    seen = set()
    for edge in network.edges:
        for number_format in (INT4, E3M2):
            quantised = bench.calibrated.edge(edge, number_format).cast(reference[edge].numpy()).astype(np.float32)
            tensors: dict[str, torch.Tensor] = {}
            with torch.inference_mode():
                for layer in network.layers:
                    if layer.name == edge:
                        tensors[layer.name] = torch.from_numpy(quantised)
                    elif layer.inputs:
                        tensors[layer.name] = run_layer(layer, [tensors[name] for name in layer.inputs])
                    else:
                        tensors[layer.name] = torch.from_numpy(samples)
            expected = losses_by_hand(tensors[network.output].numpy(), reference[network.output].numpy(), labels)
            measured = bench.measure(EdgeProbe(edge=edge, format=number_format))
            assert (measured.divergence, measured.cross_entropy_change) == pytest.approx(expected[:2], abs=1e-12)
            assert measured.accuracy == expected[2]
            assert measured.accuracy_change == pytest.approx(expected[2] - bench.yardstick.accuracy)
            seen.add(measured.divergence)
    assert len(seen) == 2 * len(network.edges)
    assert min(seen) > 0


def test_an_engine_probe_is_the_layer_in_real_arithmetic_on_quantised_operands(
    network: Network, samples: np.ndarray, labels: np.ndarray, bench: SensitivityBench
) -> None:
    """The exact sums equal a float64 convolution of the cast operands; only the bias is rounded to the unit."""
    reference = run_float(network, samples)
    for name in engines_with_weights(network):
        layer = network.by_name[name]
        source = bench.calibrated.edge(network.input_edges(layer)[0], INT8)
        weights = bench.calibrated.weights(name, INT4)
        values = torch.from_numpy(source.cast(reference[layer.inputs[0]].numpy()))
        kernel = torch.from_numpy(weights.cast(layer.weight))
        if len(layer.shape) == 3:
            padding = layer.operation.window.padding[0][0]
            linear = torch.conv2d(values, kernel, padding=padding).numpy()
        else:
            linear = (values @ kernel.T).numpy()
        bias = np.zeros(layer.outputs) if layer.bias is None else layer.bias
        unit = weights.unit * source.unit[0]
        shape = (-1, 1, 1) if len(layer.shape) == 3 else (-1,)
        real = linear + (np.rint(bias / unit) * unit).reshape(shape)
        if isinstance(layer.activation, Relu):
            real = np.maximum(real, 0)
        elif isinstance(layer.activation, PRelu):
            real = np.where(real < 0, real * layer.activation.slopes[0], real)
        changed = {**reference, name: torch.from_numpy(real.astype(np.float32))}
        outputs = rerun(changed, list(network.descendants(name)))[network.output].numpy()
        expected = losses_by_hand(outputs, reference[network.output].numpy(), labels)
        measured = bench.measure(EngineProbe(layer=name, activation=INT8, weight=INT4))
        assert measured.divergence == pytest.approx(expected[0], rel=1e-4)
        assert measured.divergence > 0


def test_float_weights_on_an_edge_with_one_reader_are_the_edge_probe(bench: SensitivityBench) -> None:
    network = bench.network
    single = [
        name
        for name in engines_with_weights(network)
        if len(network.consumers[network.input_edges(network.by_name[name])[0]]) == 1
    ]
    assert len(single) >= 2
    for name in single:
        edge = network.input_edges(network.by_name[name])[0]
        for number_format in (INT4, E3M2):
            engine = bench.measure(EngineProbe(layer=name, activation=number_format, weight=None))
            assert engine == bench.measure(EdgeProbe(edge=edge, format=number_format))


def test_readers_beside_the_engine_stay_in_float(bench: SensitivityBench) -> None:
    """The residual edge has two readers: the engine's probe changes one of them, the edge's probe both."""
    stem, inner = engines_with_weights(bench.network)[:2]
    engine = bench.measure(EngineProbe(layer=inner, activation=INT4, weight=None))
    assert engine.divergence != bench.measure(EdgeProbe(edge=stem, format=INT4)).divergence


def test_a_suffix_is_all_that_has_to_be_recomputed(network: Network, samples: np.ndarray) -> None:
    reference = run_float(network, samples)
    for name in network.edges:
        changed = {**reference, name: reference[name] * 0.5}
        suffix = rerun(changed, list(network.descendants(name)))
        everything = rerun(changed, [layer for layer in network.layers if layer.name != name])
        assert all(torch.equal(suffix[layer.name], everything[layer.name]) for layer in network.layers)
        assert torch.equal(reference[name] * 0.5, suffix[name])


def test_the_float_network_loses_nothing(network: Network, samples: np.ndarray, bench: SensitivityBench) -> None:
    losses = bench.yardstick.losses(run_float(network, samples)[network.output].numpy())
    assert (losses.divergence, losses.cross_entropy_change, losses.accuracy_change) == (0.0, 0.0, 0.0)
    assert losses.accuracy == bench.yardstick.accuracy


def test_more_bits_lose_less(bench: SensitivityBench) -> None:
    for name in engines_with_weights(bench.network):
        coarse, fine = (
            bench.measure(EngineProbe(layer=name, activation=parse(f), weight=parse(f))).divergence
            for f in ("int3", "int12")
        )
        assert 0 <= fine < coarse / 20


def test_measuring_changes_nothing(bench: SensitivityBench) -> None:
    """Two measurements, any order, several threads: the same numbers."""
    probes: list[Any] = [EdgeProbe(edge=edge, format=INT4) for edge in bench.network.edges]
    probes += [
        EngineProbe(layer=n, activation=E3M2, weight=w)
        for n in engines_with_weights(bench.network)
        for w in (INT4, None)
    ]
    before = {name: tensor.clone() for name, tensor in bench.tensors.items()}
    first = [bench.measure(probe) for probe in probes]
    assert [bench.measure(probe) for probe in reversed(probes)] == first[::-1]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(bench.measure, probes)) == first
    assert all(torch.equal(bench.tensors[name], tensor) for name, tensor in before.items())


def test_a_whole_design_at_16_bits_loses_next_to_nothing(
    network: Network, samples: np.ndarray, bench: SensitivityBench
) -> None:
    int16 = parse("int16")
    formats = Formats(
        edges=dict.fromkeys(network.edges, int16), weights=dict.fromkeys(engines_with_weights(network), int16)
    )
    hardware = bench.calibrated.lower(formats)
    losses = bench.yardstick.losses(execute(hardware, samples) * hardware.output_unit)
    assert 0 <= losses.divergence < 1e-4


def test_engines_without_weights_are_refused(bench: SensitivityBench) -> None:
    matmul = next(layer.name for layer in bench.network.engines if layer.weight is None)
    with pytest.raises(ValueError, match=rf"layer '{matmul}' \(matmul\) has no weights to emulate: measure the edges"):
        bench.measure(EngineProbe(layer=matmul, activation=INT4, weight=None))


@pytest.mark.parametrize(
    ("activation", "arithmetic"),
    [
        (INT8, "exact / exact"),
        (INT4, "exact / int7 wrap"),
        (INT8, "exact / fixed<13,11> floor chunk 2"),
        (E3M2, "exact / e3m2 pairwise"),
        (E3M2, "l-mul-formula / exact"),
        (E3M2, "l-mul-field / e5m4"),
    ],
)
def test_a_probe_of_a_product_of_two_activations(
    network: Network, labels: np.ndarray, bench: SensitivityBench, activation: Format, arithmetic: str
) -> None:
    """By hand: the operands' integers through the public dot product, one sample at a time, the rest in float."""
    layer = next(layer for layer in network.engines if layer.weight is None)
    path = parse_arithmetic(arithmetic)
    reference, edge = run_float(network, bench.tensors["input"].numpy()), network.input_edges(layer)[0]
    source = bench.calibrated.edge(edge, activation)
    quantiser = Quantiser(format=activation)
    codes = [
        encode(source.integers(reference[name].numpy()) * 2.0**activation.unit_exponent, activation)
        for name in layer.inputs
    ]
    datapath = Datapath(activation=quantiser, second=quantiser, arithmetic=path)
    sums = np.stack([dot(left, right, datapath).astype(float) for left, right in zip(*codes, strict=True)])
    exponent = accumulator_unit_exponent(datapath)
    values = np.ldexp(sums, exponent or 0) * (float(source.unit[0]) * 2.0**-activation.unit_exponent) ** 2
    changed = {**reference, layer.name: torch.from_numpy(values.astype(np.float32))}
    outputs = rerun(changed, tuple(network.descendants(layer.name)))[network.output]
    measured = bench.measure(EngineProbe(layer=layer.name, activation=activation, weight=activation, arithmetic=path))
    expected = losses_by_hand(outputs.numpy(), reference[network.output].numpy(), labels)
    assert (measured.divergence, measured.cross_entropy_change) == pytest.approx(expected[:2], abs=1e-9)
    exact = bench.measure(EngineProbe(layer=layer.name, activation=activation, weight=activation))
    assert (measured.divergence == exact.divergence) == (path == Arithmetic())


def test_divergence_by_hand() -> None:
    stick = yardstick(np.log([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]), np.array([0, 2]))
    losses = stick.losses(np.log([[0.25, 0.5, 0.25], [0.1, 0.8, 0.1]]) + 7)
    assert losses.divergence == pytest.approx((0.5 * math.log(2) - 0.25 * math.log(2)) / 2)
    assert losses.cross_entropy_change == pytest.approx(math.log(2) / 2)
    assert (stick.accuracy, losses.accuracy, losses.accuracy_change) == (0.5, 0.0, -0.5)


def test_large_outputs_do_not_overflow() -> None:
    result = log_softmax(np.array([[1e4, 0.0], [-1e4, -1e4]]))
    np.testing.assert_allclose(result, [[0.0, -1e4], [-math.log(2)] * 2])


@pytest.mark.parametrize(
    ("outputs", "labels", "message"),
    [
        (np.ones((3, 2)), [0, 1], "outputs of shape (3, 2) do not match labels of shape (2,): one score for each"),
        (np.ones((2, 2, 2)), [0, 1], "outputs of shape (2, 2, 2) do not match labels of shape (2,)"),
        (np.ones((2, 2)), [0, 2], "labels run from 0 to 2, the network has 2 classes"),
        (np.ones((2, 2)), [-1, 1], "labels run from -1 to 1, the network has 2 classes"),
        (np.ones((0, 2)), [], "there are no samples to measure on: at least one is needed"),
    ],
)
def test_outputs_and_labels_that_do_not_match(outputs: np.ndarray, labels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        yardstick(outputs, np.array(labels, dtype=np.int64))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (np.ones((0, 3, 6, 6), np.float32), "no samples were given to network 'graph': at least one is needed"),
        (np.ones((2, 3, 6), np.float32), "samples have shape (3, 6), network 'graph' reads (3, 6, 6)"),
        (np.full((2, 3, 6, 6), np.nan, np.float32), "2 samples hold NaN"),
    ],
)
def test_samples_that_cannot_be_run(bench: SensitivityBench, broken: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SensitivityBench(bench.calibrated, broken, np.zeros(len(broken), dtype=np.int64))


def test_one_probe_together_is_the_probe_alone(bench: SensitivityBench) -> None:
    for probe in (
        EdgeProbe(edge="input", format=INT4),
        EngineProbe(layer=bench.network.engines[1].name, activation=INT4, weight=INT4),
    ):
        assert bench.measure_together([probe]) == bench.measure(probe)


def test_probes_together_are_each_on_what_the_one_before_left(
    network: Network, samples: np.ndarray, bench: SensitivityBench
) -> None:
    """By hand: weights of the first engine, then the edge it makes, then the rest of the network in float."""
    engine = network.engines[0]
    first = EngineProbe(layer=engine.name, activation=INT8, weight=INT4)
    second = EdgeProbe(edge=engine.name, format=parse("uint3"))
    left = bench.respond(first).changed.numpy()
    cast = bench.calibrated.edge(engine.name, parse("uint3")).cast(left).astype(np.float32)
    tensors = rerun(
        {**run_float(network, samples), engine.name: torch.from_numpy(cast)}, tuple(network.descendants(engine.name))
    )
    expected = bench.yardstick.losses(tensors[network.output].numpy())
    assert bench.measure_together([first, second]) == expected
    assert expected not in (bench.measure(first), bench.measure(second))


def test_an_engine_reads_what_an_earlier_probe_left(network: Network, bench: SensitivityBench) -> None:
    """Casting an engine's input before the engine casts it to the same format changes nothing."""
    inner = network.engines[1]
    edge = network.input_edges(inner)[0]
    alone = EngineProbe(layer=inner.name, activation=parse("uint4"), weight=INT4)
    others = [layer for layer in network.layers if layer.inputs and edge in layer.inputs and layer is not inner]
    assert others  # a residual reads the edge as well, so both together lose something else than the engine alone
    both = bench.measure_together([EdgeProbe(edge=edge, format=parse("uint4")), alone])
    assert both != bench.measure(alone)
    assert both == bench.measure_together([alone, EdgeProbe(edge=edge, format=parse("uint4"))])
