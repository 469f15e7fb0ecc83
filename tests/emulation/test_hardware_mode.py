"""Fast hardware mode against its definition in Python integers, on random networks and random formats."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emulation.catalogue import parse
from emulation.execution import BATCH, execute, execute_codes, trace
from emulation.float_execution import run_float
from emulation.formats import FixedPoint
from emulation.hardware import dyadic
from emulation.network import Activation, Identity, PRelu, Relu
from emulation.quantisers import Requantisation, Rounding
from emulation.reference import execute_reference

if TYPE_CHECKING:
    from emulation.hardware import HardwareNetwork
    from emulation.network import Network

SEEDS = range(120)
FORMATS = (
    *(f"int{width}" for width in (2, 3, 4, 6, 8, 12, 16)),
    *(f"uint{width}" for width in (2, 4, 7, 8, 16)),
    *("e2m1", "e2m3", "e3m2", "e4m3fn", "e5m2", "e4m3fnuz", "e6m1", "e7m0"),
)
"""Formats that a random edge or weight tensor may get; the last two make accumulators beyond 64 bits."""


class Designer:
    """Draws one network and one choice of formats for it."""

    def __init__(self, build: Any, seed: int) -> None:
        self.build, self.random = build, np.random.default_rng(seed)
        axes = 1 + seed % 2
        self.graph = build.Graph((int(self.random.integers(1, 3)) * 2, *self.random.integers(4, 7, axes).tolist()))

    def pick(self, items: Any) -> Any:
        return items[int(self.random.integers(len(items)))]

    def activation(self, channels: int) -> Activation:
        kind = self.pick(("none", "relu", "relu6", "slope", "slopes"))
        if kind == "none":
            return Identity()
        if kind.startswith("relu"):
            return Relu(ceiling=None if kind == "relu" else float(self.random.uniform(0.2, 6)))
        slopes = self.random.uniform(-0.3, 0.9, channels if kind == "slopes" else 1)
        return PRelu(slopes=tuple(slopes.tolist()))

    def values(self, *shape: int) -> np.ndarray:
        return self.random.normal(size=shape) / np.sqrt(max(np.prod(shape[1:]), 1))

    def bias(self, outputs: int) -> np.ndarray | None:
        return self.pick((None, self.random.normal(size=outputs) * 0.3))

    def sides(self, axes: int) -> tuple[tuple[int, int], ...]:
        return tuple((int(a), int(b)) for a, b in self.random.integers(0, 2, (axes, 2)))

    def convolve(self, source: str) -> str:
        channels, *space = self.graph.shapes[source]
        groups = self.pick([g for g in (1, 1, 2, channels) if channels % g == 0])
        outputs = groups * int(self.random.integers(1, 4))
        kernel = tuple(int(min(size, self.random.integers(1, 4))) for size in space)
        return self.graph.convolve(
            source,
            self.values(outputs, channels // groups, *kernel),
            self.bias(outputs),
            activation=self.activation(outputs),
            groups=groups,
            padding=self.sides(len(space)),
            stride=tuple(self.random.integers(1, 3, len(space)).tolist()),
            dilation=tuple(2 if size > 2 * k else 1 for size, k in zip(space, kernel, strict=True)),
        )

    def pool(self, source: str) -> str:
        space = self.graph.shapes[source][1:]
        kernel = tuple(min(2, size) for size in space)
        padding = tuple((0, 1) if size > 1 else (0, 0) for size in space)
        if self.random.random() < 0.5:
            return self.graph.max_pool(source, kernel, padding=padding, stride=kernel)
        activation = self.activation(self.graph.shapes[source][0])
        return self.graph.average(source, kernel, padding=padding, activation=activation)

    def residual(self, source: str) -> str:
        channels, *space = self.graph.shapes[source]
        branch = self.graph.convolve(source, self.values(channels, channels, *[1] * len(space)), self.bias(channels))
        if self.random.random() < 0.4:
            return self.graph.concat((source, branch, source), axis=int(self.random.integers(1 + len(space))))
        return self.graph.join(branch, source, self.activation(channels))

    def attend(self, source: str) -> str:
        """Tokens, a product of two activations, and back to the shape of an image or a signal."""
        shape = self.graph.shapes[source]
        rows = shape[0]
        flat = self.graph.reshape(source, (rows, int(np.prod(shape[1:]))))
        turned = self.graph.transpose(flat, (1, 0))
        weights = self.values(3, rows)
        projected = self.graph.linear(turned, weights, self.bias(3), self.pick((Relu(), PRelu(slopes=(0.2,)), None)))
        product = self.graph.matmul(flat, projected, self.pick((None, Relu(ceiling=1.0))))
        return self.graph.reshape(product, (rows, *([1] * (len(shape) - 2)), 3))

    def network(self) -> Network:
        current = "input"
        for _ in range(int(self.random.integers(2, 6))):
            step = self.pick((self.convolve, self.convolve, self.pool, self.residual, self.attend, self.activate))
            current = step(current)
        size = int(np.prod(self.graph.shapes[current]))
        flat = self.graph.reshape(current, (size,))
        self.graph.linear(flat, self.values(3, size), self.bias(3), self.pick((None, PRelu(slopes=(0.5, -0.25, 2.0)))))
        return self.graph.network()

    def activate(self, source: str) -> str:
        activation = self.activation(self.graph.shapes[source][0])
        return self.graph.activate(source, Relu() if isinstance(activation, Identity) else activation)

    def quantiser(self, reach: float | np.ndarray, *, with_zero_point: bool) -> Any:
        """Any format; units that are too small, so that codes saturate, as well as too large."""
        number_format = parse(self.pick(FORMATS))
        low, high = number_format.smallest_integer, number_format.largest_integer
        shift = with_zero_point and isinstance(number_format, FixedPoint) and self.random.random() < 0.5
        zero_point = int(self.random.integers(low, high + 1)) if shift else 0
        largest = max(high - zero_point, zero_point - low)
        unit = np.maximum(np.abs(reach), 1e-3) / largest * self.random.uniform(0.4, 1.3)
        return self.build.scaled(number_format, unit.tolist(), zero_point)

    def design(self, samples: np.ndarray) -> HardwareNetwork:
        network = self.network()
        tensors = run_float(network, samples)
        edges = {e: self.quantiser(tensors[e].abs().max().numpy(), with_zero_point=True) for e in network.edges}
        weights = {}
        for layer in network.layers:
            if layer.weight is not None:
                rows = np.abs(layer.weight).reshape(layer.weight.shape[0], -1).max(axis=1)
                per_channel = self.random.random() < 0.5
                weights[layer.name] = self.quantiser(rows if per_channel else rows.max(), with_zero_point=False)
        rule = Requantisation(multiplier_bits=int(self.random.integers(2, 32)), rounding=self.pick(tuple(Rounding)))
        return self.build.lower(network, edges, weights, rule)


def draw(build: Any, seed: int) -> tuple[HardwareNetwork, np.ndarray]:
    designer = Designer(build, seed)
    shape = designer.graph.shapes["input"]
    samples = designer.random.normal(size=(4, *shape)).astype(np.float32)
    return designer.design(samples), samples


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
