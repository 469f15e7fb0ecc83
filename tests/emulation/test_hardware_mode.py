"""Fast hardware mode against its definition in Python integers, on random networks and random formats."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from emulation.catalogue import parse
from emulation.datapaths import Requantisation
from emulation.execution import BATCH, execute, execute_codes, trace
from emulation.float_execution import run_float
from emulation.hardware import dyadic
from emulation.reference import execute_reference
from emulation.rules import Rounding
from tests.emulation.random_designs import FORMATS, Designer, draw

SEEDS = range(120)


@pytest.mark.parametrize("seed", SEEDS)
def test_fast_execution_equals_the_reference(build: Any, seed: int) -> None:
    hardware, samples = draw(build, seed)
    fast = execute(hardware, samples)
    for sample, outputs in zip(samples, fast, strict=True):
        reference = execute_reference(hardware, sample.ravel().tolist())
        assert [int(value) for value in outputs.ravel()] == reference


def test_the_random_designs_reach_every_operation_and_saturate(build: Any) -> None:
    """The test above is only as good as what it draws."""
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        hardware, samples = draw(build, seed)
        tensors = trace(hardware, hardware.input.integers(samples))
        for layer in hardware.layers:
            seen[layer.layer.kind] += 1
            seen[type(layer.layer.activation).__name__] += 1
            values, grid = tensors[layer.layer.name], layer.output.grid
            seen["saturated low"] += int(values.min()) == grid.low < 0
            seen["saturated high"] += int(values.max()) == grid.high
            seen["Python integers"] += values.dtype == object
            seen["zero point"] += layer.output.zero_point != 0
            if layer.requantiser is not None:
                seen["per channel"] += len(layer.requantiser.multipliers) > 1
                seen[layer.requantiser.rounding.name] += 1
        for quantiser in hardware.edges.values():
            seen[str(quantiser.format)] += 1
        seen["varied outputs"] += len(np.unique(tensors[hardware.network.output].astype(object))) > 1
    kinds = [
        "convolution",
        "depthwise",
        "linear",
        "matmul",
        "add",
        "concat",
        "maxpool",
        "averagepool",
        "activate",
        "reshape",
        "transpose",
    ]
    circumstances = ["saturated low", "saturated high", "Python integers", "zero point", "per channel"]
    wanted = [*kinds, *FORMATS, *(mode.name for mode in Rounding), "Relu", "PRelu", *circumstances]
    assert {name: seen[name] for name in wanted if seen[name] < 8} == {}
    assert seen["varied outputs"] > 0.8 * len(SEEDS)


def test_several_batches_are_one(build: Any) -> None:
    hardware, samples = draw(build, 3)
    many = np.concatenate([samples] * (BATCH // 2 + 1))
    assert len(many) > 2 * BATCH
    single = execute(hardware, samples)
    np.testing.assert_array_equal(execute(hardware, many), np.concatenate([single] * (BATCH // 2 + 1)))
    integers = hardware.input.integers(samples)
    np.testing.assert_array_equal(execute_codes(hardware, integers), single)
    np.testing.assert_array_equal(execute_codes(hardware, integers.astype(np.int64)), single)


@pytest.mark.parametrize("seed", range(12))
def test_sixteen_bits_come_close_to_float(build: Any, seed: int) -> None:
    designer = Designer(build, seed)
    samples = designer.random.normal(size=(16, *designer.graph.shapes["input"])).astype(np.float32)
    network = designer.network()
    tensors = run_float(network, samples)
    int16 = parse("int16")

    def unit(values: np.ndarray) -> list[float]:
        return (np.maximum(values, 1e-6) / int16.largest_integer).tolist()

    edges = {e: build.scaled(int16, unit(tensors[e].abs().max().numpy())) for e in network.edges}
    weights = {
        layer.name: build.scaled(int16, unit(np.abs(layer.weight).reshape(layer.outputs, -1).max(axis=1)))
        for layer in network.layers
        if layer.weight is not None
    }
    hardware = build.lower(network, edges, weights, Requantisation(multiplier_bits=31))
    outputs = execute(hardware, samples).astype(np.float64) * hardware.output_unit
    expected = tensors[network.output].numpy()
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-2 * np.abs(expected).max())
    assert np.abs(outputs - expected).mean() <= 1e-3 * np.abs(expected).max()


def test_bounds_of_accumulators_hold(build: Any) -> None:
    """The width a manifest promises is enough for the worst input, and one bit less is not."""
    weight = np.array([[[[3.0, -4.0]], [[5.0, 1.0]]], [[[-8.0, -8.0]], [[-8.0, 7.0]]]])
    graph = build.Graph((2, 1, 3))
    name = graph.convolve("input", weight, np.array([2.0, -100.0]))
    network = graph.network()
    int4, int16 = parse("int4"), parse("int16")
    edges = {"input": build.scaled(int4, 1.0), name: build.scaled(int16, 1.0)}
    hardware = build.lower(network, edges, {name: build.scaled(int4, 1.0)})
    layer = hardware.layers[1]
    assert layer.bias == (2, -100)
    assert hardware.accumulator_bound(layer) == max(13 * 8 + 2, 31 * 8 + 100)
    assert hardware.accumulator_bits(layer) == 10
    samples = np.where(weight[1][None] < 0, 7, -8).repeat(2, axis=-1)[..., 1:].astype(np.float32)
    assert abs(execute(hardware, samples)).max() <= 348


def test_worst_case_of_a_product_of_activations(build: Any) -> None:
    graph = build.Graph((4, 4))
    name = graph.matmul("input", graph.transpose("input", (1, 0)))
    edges = {"input": build.scaled(parse("int8"), 1.0), name: build.scaled(parse("int16"), 8.0)}
    hardware = build.lower(graph.network(), edges, {})
    assert hardware.accumulator_bound(hardware.layers[-1]) == 4 * 128 * 128
    assert execute(hardware, np.full((1, 4, 4), -200, np.float32)).ravel().tolist() == [4 * 128 * 128 // 8] * 16
    assert hardware.accumulator_bits(hardware.layers[-1]) == 18


@pytest.mark.parametrize("bits", [2, 4, 16, 31])
def test_dyadic_multipliers_use_their_bits(bits: int) -> None:
    random = np.random.default_rng(bits)
    for _ in range(300):
        values = np.ldexp(random.uniform(0.5, 1, 5), random.integers(-30, 30, 5)).tolist()
        result = dyadic(values, bits)
        assert 1 << (bits - 1) <= max(result.multipliers) < 1 << bits
        for value, multiplier in zip(values, result.multipliers, strict=True):
            assert abs(value * 2.0**result.shift - multiplier) <= 0.5


def test_dyadic_multipliers_that_round_up_to_the_next_power() -> None:
    result = dyadic([1.9999999, 0.0], 8)
    assert (result.multipliers, result.shift) == ((128, 0), 6)


@pytest.mark.parametrize("values", [[0.0], [1.0, -1.0], [float("inf")], [float("nan")]])
def test_scales_that_have_no_multiplier(values: list[float]) -> None:
    with pytest.raises(ValueError, match="scales must be finite and at least 0, one of them above 0, got"):
        dyadic(values, 16)


def test_what_execution_refuses(build: Any) -> None:
    hardware, samples = draw(build, 0)
    with pytest.raises(ValueError, match=r"samples have shape \(3,\), network 'graph' reads \("):
        execute(hardware, np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="no samples were given: at least one is needed"):
        execute(hardware, samples[:0])
    broken = samples.copy()
    broken[1, 0] = np.nan
    with pytest.raises(ValueError, match="values are NaN: a format here has no code for NaN"):
        execute(hardware, broken)


def test_lowering_names_what_has_no_quantiser(build: Any) -> None:
    graph = build.Graph((2,))
    graph.linear("input", np.eye(2))
    with pytest.raises(
        ValueError, match=r"no quantiser is assigned to \['input', 'linear1', 'linear1'\]: every edge and"
    ):
        build.lower(graph.network(), {}, {})
