"""Ranges, units and signs that calibration chooses."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.calibrated import CalibratedNetwork, Formats, Scalings
from emulation.calibration import SAMPLE_SIZE, edge_ranges, fit_sign, join_groups, scale_edge, scale_weights
from emulation.catalogue import parse
from emulation.float_execution import run_float
from emulation.network import Identity, Layer, Linear, Network, Relu
from emulation.quantisers import (
    AbsoluteMaximum,
    Granularity,
    MinimumError,
    Percentile,
    Quantiser,
    ScaleKind,
    Scaling,
    ZeroChannels,
)


def quantiser(name: str, **scaling: Any) -> Quantiser:
    return Quantiser(format=parse(name), scaling=Scaling(**scaling))


def weights_of(weight: np.ndarray) -> Layer:
    return Layer(name="fc", operation=Linear(), inputs=("input",), shape=(len(weight),), weight=weight)


@pytest.fixture
def joined(build: Any) -> Network:
    """A residual addition whose result meets a fourth tensor in a concatenation, and a branch that stays alone."""
    graph = build.Graph((3, 4))
    random = np.random.default_rng(0)
    left = graph.convolve("input", random.normal(size=(3, 3, 1)), activation=Relu())
    right = graph.convolve(left, random.normal(size=(3, 3, 1)) * 4)
    total = graph.join(left, graph.max_pool(right, (1,)), Identity())
    other = graph.convolve(total, random.normal(size=(3, 3, 1)), activation=Relu())
    both = graph.concat((total, other))
    graph.linear(both, random.normal(size=(2, 4)))
    return graph.network()


def ranges_of(network: Network, count: int = 20) -> Any:
    samples = np.random.default_rng(1).normal(size=(count, *network.layers[0].shape)).astype(np.float32)
    return edge_ranges(network, {name: tensor.numpy() for name, tensor in run_float(network, samples).items()})


def test_tensors_that_meet_share_a_range(joined: Network) -> None:
    names = [layer.name for layer in joined.layers]
    _, left, right, _, total, other, both, last = names
    groups = join_groups(joined)
    assert groups[left] == groups[right], "through the max pool"
    assert groups[total] == groups[other] == groups[both]
    assert len({groups["input"], groups[left], groups[total], groups[last]}) == 4
    assert set(groups) == set(joined.edges)
    ranges = ranges_of(joined)
    assert ranges[left].values is ranges[right].values
    assert not ranges[left].is_signed
    assert ranges[right].is_signed
    for name in ("int8", "e4m3fn"):
        units = {edge: float(scale_edge(quantiser(name), ranges[edge]).unit[0]) for edge in joined.edges}
        assert units[left] == units[right]
        assert units[total] == units[other] == units[both]


@pytest.mark.parametrize("rule", [AbsoluteMaximum(), MinimumError(), Percentile(percent=99)], ids=str)
def test_int8_and_uint7_on_one_join_have_one_unit(joined: Network, rule: Any) -> None:
    """Their greatest integer is the same, so the join needs no rescaling although one side is never negative."""
    ranges = ranges_of(joined)
    left, right = joined.layers[1].name, joined.layers[2].name
    signed = scale_edge(quantiser("int8", range_rule=rule), ranges[right])
    unsigned = scale_edge(quantiser("uint7", range_rule=rule), ranges[left])
    assert signed.unit[0] == unsigned.unit[0]


def test_signs_fit_the_edge(joined: Network) -> None:
    ranges = ranges_of(joined)
    left, right = ranges[joined.layers[1].name], ranges[joined.layers[2].name]
    assert str(fit_sign(parse("int8"), left)) == "uint8"
    assert str(fit_sign(parse("fixed<8,3>"), left)) == "ufixed<8,3>"
    assert str(fit_sign(parse("int8"), right)) == "int8"
    assert str(fit_sign(parse("e4m3fn"), left)) == "e4m3fn"
    calibrated = CalibratedNetwork(network=joined, ranges=ranges, scalings=Scalings())
    assert str(calibrated.edge_format(joined.layers[1].name, parse("int4"))) == "uint4"


@pytest.mark.parametrize("name", ["int4", "uint8", "e2m1", "e4m3fn"])
def test_units_of_each_rule(name: str) -> None:
    values = np.concatenate([np.linspace(0.01, 1, 100), [50.0]])
    layer, largest = weights_of(values[None]), parse(name).largest_integer

    def reach(**scaling: Any) -> float:
        return float(scale_weights(quantiser(name, **scaling), layer).unit[0]) * largest

    assert reach(range_rule=AbsoluteMaximum()) == pytest.approx(50)
    assert reach(range_rule=Percentile(percent=100)) == pytest.approx(50)
    assert reach(range_rule=Percentile(percent=99)) == pytest.approx(1.0)
    assert reach(range_rule=Percentile(percent=50)) == pytest.approx(np.percentile(values, 50))
    assert 0 < reach(range_rule=MinimumError()) <= 50 * (1 + 1e-12)


def test_a_percentile_of_zero_falls_back_to_the_maximum() -> None:
    layer = weights_of(np.array([[0.0, 0.0, 0.0, 0.0, 6.0]]))
    scaled = scale_weights(quantiser("int4", range_rule=Percentile(percent=50)), layer)
    assert scaled.unit[0] == 6.0 / 7


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40).filter(any))
def test_powers_of_two(values: list[float]) -> None:
    layer = weights_of(np.array([values]))
    for name in ("int4", "e3m2"):
        real = scale_weights(quantiser(name, range_rule=AbsoluteMaximum()), layer).unit[0]
        rounded_up = scale_weights(
            quantiser(name, range_rule=AbsoluteMaximum(), kind=ScaleKind.POWER_OF_TWO), layer
        ).unit[0]
        assert math.frexp(rounded_up)[0] == 0.5
        assert real <= rounded_up < 2 * real


@pytest.mark.parametrize("kind", list(ScaleKind))
@pytest.mark.parametrize("name", ["int2", "int4", "uint4", "e2m1", "e4m3fn"])
@pytest.mark.parametrize("seed", range(4))
def test_least_error_is_never_worse_than_the_maximum(name: str, kind: ScaleKind, seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.standard_t(df=2 + seed, size=400)
    if name.startswith("u"):
        values = np.abs(values)
    layer = weights_of(values[None])

    def error(rule: Any) -> float:
        scaled = scale_weights(quantiser(name, kind=kind, range_rule=rule), layer)
        # Magnitudes are judged; a signed integer's one extra negative code is no reason to stretch its range.
        magnitudes = np.abs(values)[None]
        return float(np.square(scaled.cast(magnitudes) - magnitudes).mean())

    assert error(MinimumError()) <= error(AbsoluteMaximum())
    assert error(MinimumError(steps=80)) <= error(MinimumError(steps=40))


def test_least_error_clips_outliers() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(size=5000), [40.0]])
    layer = weights_of(values[None])
    assert scale_weights(quantiser("int3"), layer).unit[0] < 40 / 3 / 2
    assert scale_weights(quantiser("int3", range_rule=MinimumError(steps=1)), layer).unit[0] == 40 / 3


def test_a_zero_point_moves_the_range() -> None:
    """uint8 with its zero in the middle reaches 127 steps up, not 255."""
    values = np.array([[-4.0, 1.0, 4.0]])
    for rule in (AbsoluteMaximum(), MinimumError()):
        scaled = scale_weights(quantiser("uint8", zero_point=128, range_rule=rule), weights_of(values))
        np.testing.assert_allclose(scaled.cast(values), values, atol=float(scaled.unit[0]) * 1.01)


@pytest.mark.parametrize(("name", "zero_point"), [("int1", 0), ("uint4", 15)])
def test_formats_without_a_positive_number(name: str, zero_point: int) -> None:
    with pytest.raises(ValueError, match=f"{name} with zero point {zero_point} has no number above 0, so no range"):
        scale_weights(quantiser(name, zero_point=zero_point), weights_of(np.ones((1, 2))))


def test_units_of_channels() -> None:
    weight = np.array([[1.0, -2.0], [0.5, 0.25]])
    per_channel = scale_weights(
        quantiser("int4", granularity=Granularity.CHANNEL, range_rule=AbsoluteMaximum()), weights_of(weight)
    )
    assert per_channel.unit.tolist() == [2 / 7, 0.5 / 7]
    whole = scale_weights(quantiser("int4", range_rule=AbsoluteMaximum()), weights_of(weight))
    assert whole.unit.tolist() == [2 / 7]


def test_zero_channels_are_refused_by_name() -> None:
    weight = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 0.0], [0.0, -0.0]])
    with pytest.raises(
        ValueError,
        match=re.escape(
            "all weights of output channels 1, 3 of layer 'fc' (2 of 4) are zero, so they have no scale: remove the "
            'channel from the network, or set zero_channels = "keep" under [formats]'
        ),
    ):
        scale_weights(quantiser("int4", granularity=Granularity.CHANNEL), weights_of(weight))
    assert scale_weights(quantiser("int4"), weights_of(weight)).unit.shape == (1,), "one scale covers them"
    with pytest.raises(ValueError, match=re.escape("output channel 0 of layer 'fc' (1 of 1) are zero")):
        scale_weights(quantiser("int4"), weights_of(np.zeros((1, 3))))


@pytest.mark.parametrize("granularity", list(Granularity))
def test_zero_channels_that_are_kept(granularity: Granularity) -> None:
    keep = quantiser("int4", granularity=granularity, zero_channels=ZeroChannels.KEEP, range_rule=AbsoluteMaximum())
    weight = np.array([[1.0, 2.0], [0.0, 0.0], [3.5, 0.0]])
    scaled = scale_weights(keep, weights_of(weight))
    expected = [2 / 7, 0.5, 0.5] if granularity is Granularity.CHANNEL else [0.5]
    assert scaled.unit.tolist() == expected
    assert scaled.cast(weight)[1].tolist() == [0.0, 0.0]
    nothing = scale_weights(keep, weights_of(np.zeros((2, 2))))
    assert nothing.integers(np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]


def test_layers_without_weights() -> None:
    layer = dataclasses.replace(weights_of(np.ones((1, 1))), weight=None)
    with pytest.raises(ValueError, match="layer 'fc' has no weights to scale"):
        scale_weights(quantiser("int4"), layer)


def test_an_edge_that_is_always_zero(build: Any) -> None:
    graph = build.Graph((2,))
    dead = graph.linear("input", np.eye(2), np.full(2, -100.0), Relu())
    graph.linear(dead, np.eye(2))
    with pytest.raises(
        ValueError,
        match=f"the output of layer '{dead}' is 0 for all 20 calibration samples, so it has no range: give",
    ):
        ranges_of(graph.network())


def test_an_empty_calibration_set(joined: Network) -> None:
    with pytest.raises(ValueError, match="no samples were given to network 'graph': at least one is needed"):
        ranges_of(joined, count=0)
    empty = {layer.name: np.empty((0, *layer.shape), np.float32) for layer in joined.layers}
    with pytest.raises(ValueError, match="the calibration set is empty: give at least one sample, better some hundred"):
        edge_ranges(joined, empty)


def test_large_edges_are_sampled_with_their_extremes(build: Any) -> None:
    network = build.Graph((4096,)).network()
    tensor = np.random.default_rng(0).normal(size=(100, 4096)).astype(np.float32)
    tensor[57, 1234], tensor[3, 77] = 99.0, -98.0
    edge_range = edge_ranges(network, {"input": tensor})["input"]
    assert edge_range.values.size < 1.2 * SAMPLE_SIZE
    assert {99.0, -98.0} <= set(edge_range.values.tolist())
    assert (edge_range.minimum, edge_range.maximum) == (-98.0, 99.0)


def test_rules_check_their_numbers() -> None:
    with pytest.raises(ValueError, match="Percentile percent must be above 0 and at most 100, got 0"):
        Percentile(percent=0)
    with pytest.raises(ValueError, match=r"Percentile percent must be above 0 and at most 100, got 100.5"):
        Percentile(percent=100.5)
    with pytest.raises(ValueError, match="MinimumError steps must be at least 1, got 0"):
        MinimumError(steps=0)


def test_a_calibrated_network_lowers_what_is_named(joined: Network) -> None:
    calibrated = CalibratedNetwork(network=joined, ranges=ranges_of(joined), scalings=Scalings())
    int8 = parse("int8")
    formats = Formats(
        edges=dict.fromkeys(joined.edges, int8),
        weights={layer.name: int8 for layer in joined.layers if layer.weight is not None},
    )
    hardware = calibrated.lower(formats)
    assert {edge: q.unit[0] for edge, q in hardware.edges.items()} == {
        edge: calibrated.edge(edge, int8).unit[0] for edge in joined.edges
    }
    assert calibrated.edge("input", int8) is calibrated.edge("input", int8)
    for layer in hardware.layers:
        if layer.weight is not None:
            assert calibrated.accumulator_bits(layer.layer.name, int8, int8) == hardware.accumulator_bits(layer)
    left, right = joined.layers[1].name, joined.layers[2].name
    assert calibrated.agree((left, parse("uint7")), (right, int8))
    assert not calibrated.agree((left, parse("uint8")), (right, int8))
    with pytest.raises(ValueError, match=r"no quantiser is assigned to \['input'\]"):
        calibrated.lower(dataclasses.replace(formats, edges={e: f for e, f in formats.edges.items() if e != "input"}))
