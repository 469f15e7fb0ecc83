"""Random networks and random choices of formats for them: what the fast executions are compared on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.calibrated import CalibratedNetwork, Formats, Scalings
from emulation.calibration import edge_ranges
from emulation.catalogue import parse
from emulation.datapaths import Arithmetic, Product, Requantisation, parse_arithmetic
from emulation.float_execution import run_float
from emulation.formats import FixedPoint
from emulation.network import Activation, Identity, MatMul, PRelu, Relu
from emulation.quantisers import AbsoluteMaximum, Granularity, MinimumError, Percentile, ScaleKind, Scaling
from emulation.rules import Rounding

if TYPE_CHECKING:
    from emulation.formats import Format
    from emulation.hardware import HardwareNetwork
    from emulation.network import Layer, Network

FORMATS = (
    *(f"int{width}" for width in (2, 3, 4, 6, 8, 12, 16)),
    *(f"uint{width}" for width in (2, 4, 7, 8, 16)),
    *("e2m1", "e2m3", "e3m2", "e4m3fn", "e5m2", "e4m3fnuz", "e3m2ftz", "e2m3keep", "e6m1", "e7m0"),
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


WEIGHT_FAMILIES = (
    *("int3", "int8", "fixed<8,3>", "e2m1", "e4m3fn", "e5m2", "bf16"),
    *("pot4", "pot6", "2hot5", "apot2x2", "nf4", "fp4", "codebook3", "codebook4x6", "bcq2", "bcq3x6"),
    *("bfp4/3", "bfp8/2", "bfp6e4/4", "mxfp4/2", "mxint8/3", "mx-e4m3fn/2", "mx-e5m2/4", "nvfp4/2", "nvfp4/3", "dfp6"),
)
EDGE_FAMILIES = (
    *("int6", "uint8", "int12", "fixed<10,4>", "e3m2", "e4m3fn", "e5m2", "bf16"),
    *("pot4", "3hot4", "apot2x3", "nf4", "fp4"),
    *("bfp5/2", "bfp8e5/3", "mxint8/2", "mx-e4m3fn/3", "mxfp4/4", "nvfp4/2", "nvfp4/3", "dfp8"),
)
ARITHMETICS = (
    *("exact / exact", "exact / aligned7", "exact / aligned20", "exact / fixed<20,8> floor", "exact / e5m10 pairwise"),
    *("l-mul-formula / exact", "l-mul-field / exact", "l-mul-field-clamped / exact"),
    *("exact / int16", "exact / int12 wrap", "exact / int20 wrap chunk 4", "exact / int14 chunk 3", "exact / int48"),
    *("exact / fixed<24,12> floor chunk 3", "exact / fixed<16,10> half-away wrap", "exact / fixed<20,14> toward-zero"),
    *("exact / int18 pairwise", "exact / fixed<16,9> pairwise chunk 2"),
    *("exact / e5m10", "exact / e8m7 chunk 4", "exact / e5m10 chunk 2 pairwise", "exact / e5m2 pairwise"),
    *("l-mul-field / e5m10", "l-mul-formula / int24 wrap", "l-mul-field / fixed<32,8> half-up chunk 2"),
    *(
        "l-mul-field-clamped / e5m10 chunk 2",
        "l-mul-field-clamped / int12 pairwise",
        "l-mul-field-clamped / int24 wrap",
    ),
)


class FamilyDesigner(Designer):
    """Draws formats from all families, calibrated, and arithmetics for the engines that can use them."""

    def scaling(self, granularity: Granularity) -> Scaling:
        rules = (AbsoluteMaximum(), Percentile(percent=97.0), MinimumError(steps=7))
        return Scaling(granularity=granularity, kind=self.pick(tuple(ScaleKind)), range_rule=self.pick(rules))

    def families(self, samples: np.ndarray) -> HardwareNetwork:
        network = self.network()
        tensors = {name: tensor.numpy() for name, tensor in run_float(network, samples).items()}
        roundings = (Rounding.HALF_EVEN, Rounding.HALF_UP, Rounding.FLOOR)
        scalings = Scalings(
            activation=self.scaling(Granularity.TENSOR),
            weight=self.scaling(self.pick(tuple(Granularity))),
            requantisation=Requantisation(
                multiplier_bits=int(self.random.integers(4, 32)), rounding=self.pick(roundings)
            ),
        )
        calibrated = CalibratedNetwork(network=network, ranges=edge_ranges(network, tensors), scalings=scalings)
        edges = {}
        for edge in network.edges:
            allowed = [one for one in map(parse, EDGE_FAMILIES) if calibrated.edge_can_have(edge, one)]
            blocks = [one for one in allowed if one.smallest_integer < 0 and "/" in str(one)]
            # Few edges can have blocks: those that can often do.
            chosen = self.pick(blocks) if blocks and self.random.random() < 0.6 else self.pick(allowed)
            edges[edge] = calibrated.edge_format(edge, chosen)
        weights: dict[str, Format] = {}
        engines: dict[str, Arithmetic] = {}
        for layer in network.engines:
            sources = [edges[edge] for edge in network.input_edges(layer)]
            second = sources[1] if isinstance(layer.operation, MatMul) else self.weight(calibrated, layer, sources[0])
            if layer.weight is not None:
                weights[layer.name] = second
            allowed = [
                one
                for one in map(parse_arithmetic, ARITHMETICS)
                if calibrated.engine_can_use(layer.name, sources[0], second, one)
            ]
            logarithmic = [one for one in allowed if one.product is not Product.EXACT]
            # Few pairs of formats allow L-Mul: those that do often use it.
            engines[layer.name] = self.pick(logarithmic if logarithmic and self.random.random() < 0.7 else allowed)
        return calibrated.lower(Formats(edges=edges, weights=weights, engines=engines))

    def weight(self, calibrated: CalibratedNetwork, layer: Layer, source: Format) -> Format:
        families = [parse(name) for name in WEIGHT_FAMILIES]
        return self.pick([one for one in families if calibrated.engine_can_use(layer.name, source, one)])


def draw_families(build: Any, seed: int) -> tuple[HardwareNetwork, np.ndarray]:
    """A design calibrated on smaller samples than it then gets, so that registers and edges saturate."""
    for attempt in range(100):
        designer = FamilyDesigner(build, seed + 1000 * attempt)
        shape = designer.graph.shapes["input"]
        samples = designer.random.normal(size=(4, *shape)).astype(np.float32)
        try:
            return designer.families(samples), samples * np.float32(designer.random.uniform(0.8, 3.0))
        except ValueError as error:
            if "so it has no range" not in str(error):  # a ReLU may leave an edge without a value
                raise
    raise AssertionError(f"no network of seed {seed} has values on all edges")
