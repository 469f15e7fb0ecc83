"""A trained network as data: layers, and the tensors (edges) between them, as a directed acyclic graph.

Tensors keep the axis order of the framework they were read from, without the batch axis: ``(channels, *space)`` for
convolutions, ``(*, features)`` for linear layers. A layer's output is one edge; an edge is named after the layer that
makes it. Layers that only move or select codes (max pooling, reshape, transpose) leave their output on the edge of
their input: `Network.edge_of` follows them to the layer that decided the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from emulation.function_operations import FunctionActivation, LayerNorm, Lstm, Softmax

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A sliding window over 1 or 2 space axes; every field has one entry per axis.

    ``padding`` counts (before, after); padded positions are the value 0 (convolution, average) or never win (maximum).
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def output_space(self, space: tuple[int, ...]) -> tuple[int, ...]:
        """Positions of the window along each axis of a tensor with this space."""
        return tuple(
            (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, (before, after), dilation in zip(
                space, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )

    @property
    def taps(self) -> int:
        """Values under the window in one channel."""
        return math.prod(self.kernel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """Convolution; weight ``(out_channels, in_channels / groups, *kernel)``, bias ``(out_channels,)``."""

    window: Window
    groups: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Matrix product with weights over the last axis; weight ``(out, in)``, bias ``(out,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatMul:
    """Matrix product of two activations, ``(*, m, k) @ (*, k, n)`` with equal leading axes, times a constant > 0."""

    factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """Sum of two tensors of one shape (a residual join)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiply:
    """Product of two tensors value by value (a gate); the second is repeated along axes where its size is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat:
    """Tensors side by side along ``axis`` (batch axis not counted)."""

    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool:
    """Largest value under a window, per channel."""

    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePool:
    """Mean under a window, per channel; padded zeros count (torch's ``count_include_pad=True``)."""

    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """An activation function of its own, where none could be fused into the layer before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape:
    """The same values in order under another shape (flatten among them)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transpose:
    """Axes in another order; ``order[i]`` is the input axis that becomes axis i (batch axis not counted)."""

    order: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """The values at one index of an axis (batch axis not counted), which the result does not have."""

    axis: int
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Every ``step``-th value of an axis (batch axis not counted) from ``start`` up to, not including, ``stop``."""

    axis: int
    start: int
    stop: int
    step: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Each value as often along every axis (batch axis not counted) as ``times`` says: resizing to the nearest."""

    times: tuple[int, ...]


Operation: TypeAlias = (
    Input
    | Convolution
    | Linear
    | MatMul
    | Add
    | Multiply
    | Concat
    | MaxPool
    | AveragePool
    | Activate
    | Softmax
    | LayerNorm
    | Lstm
    | Reshape
    | Transpose
    | Select
    | Slice
    | Repeat
)
MOVING_OPERATIONS = (MaxPool, Reshape, Transpose, Select, Slice, Repeat)
"""Operations whose outputs are codes of their input: they keep its edge."""
WEIGHT_OPERATIONS = (Convolution, Linear)
ENGINE_OPERATIONS = (Convolution, Linear, MatMul)
"""Operations that multiply: each needs a datapath and a folded engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """No activation function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relu:
    """``max(x, 0)``, and not above ``ceiling`` if there is one (ReLU6)."""

    ceiling: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PRelu:
    """``x`` where it is positive, ``slope * x`` else; one slope, or one per channel (axis 0 of the output)."""

    slopes: tuple[float, ...]


Activation: TypeAlias = Identity | Relu | PRelu | FunctionActivation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One node of the graph.

    ``inputs`` name layers; ``shape`` is the output's without the batch axis; ``weight`` and ``bias`` are float64 (batch
    norm already folded), None where the operation has none. ``source`` is the module path in the user's network.
    """

    name: str
    operation: Operation
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    activation: Activation = field(default_factory=Identity)
    weight: Array | None = None
    bias: Array | None = None
    source: str = ""

    @property
    def kind(self) -> str:
        """The operation in a word, for people and for tables."""
        if isinstance(self.operation, Convolution) and self.is_depthwise:
            return "depthwise"
        return type(self.operation).__name__.lower()

    @property
    def is_depthwise(self) -> bool:
        """A convolution in which every output channel reads one input channel."""
        if not isinstance(self.operation, Convolution) or self.weight is None:
            return False
        return self.operation.groups > 1 and self.weight.shape[1] == 1

    @property
    def outputs(self) -> int:
        """Channels (convolution) or features (linear): the values one position makes."""
        return self.shape[0] if isinstance(self.operation, Convolution) else self.shape[-1]

    @property
    def positions(self) -> int:
        """Times the weights are used per sample."""
        return math.prod(self.shape) // self.outputs

    @property
    def weight_count(self) -> int:
        """Weights, biases not counted."""
        return 0 if self.weight is None else self.weight.size

    @property
    def elements(self) -> int:
        """Values of the output tensor per sample."""
        return math.prod(self.shape)


class NetworkError(ValueError):
    """A network that cannot be read or is not a valid graph."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """Layers in topological order; the first is the input, `output` names the one whose output is the result.

    ``front`` names the operations that make the input from the samples and are no layers (pre-processing).
    """

    name: str
    layers: tuple[Layer, ...]
    output: str
    front: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for layer in self.layers:
            missing = [name for name in layer.inputs if name not in seen]
            if missing:
                raise NetworkError(
                    f"layer {layer.name!r} reads {missing}, which no earlier layer makes: "
                    "layers must be in topological order"
                )
            if layer.name in seen:
                raise NetworkError(f"two layers are called {layer.name!r}: layer names must be unique")
            seen.add(layer.name)
            _check_finite(layer)
        if self.output not in seen:
            raise NetworkError(f"the output {self.output!r} is not a layer of network {self.name!r}")

    @cached_property
    def by_name(self) -> dict[str, Layer]:
        """Layers by name."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def consumers(self) -> dict[str, tuple[str, ...]]:
        """For each layer, the layers that read its output, in order."""
        readers: dict[str, list[str]] = {layer.name: [] for layer in self.layers}
        for layer in self.layers:
            for name in layer.inputs:
                readers[name].append(layer.name)
        return {name: tuple(names) for name, names in readers.items()}

    @cached_property
    def _edges(self) -> dict[str, str]:
        edges: dict[str, str] = {}
        for layer in self.layers:
            moving = isinstance(layer.operation, MOVING_OPERATIONS)
            edges[layer.name] = edges[layer.inputs[0]] if moving else layer.name
        return edges

    def edge_of(self, name: str) -> str:
        """The edge that carries the output of layer ``name``: the layer that decided its numbers."""
        return self._edges[name]

    @property
    def edges(self) -> tuple[str, ...]:
        """Edges in topological order, the output's included."""
        return tuple(layer.name for layer in self.layers if self._edges[layer.name] == layer.name)

    @property
    def engines(self) -> tuple[Layer, ...]:
        """Layers that multiply and need a datapath."""
        return tuple(layer for layer in self.layers if isinstance(layer.operation, ENGINE_OPERATIONS))

    @property
    def multiplying(self) -> tuple[Layer, ...]:
        """Layers with a datapath: `engines`, and recurrent layers, which multiply and sum exactly."""
        return tuple(layer for layer in self.layers if isinstance(layer.operation, (*ENGINE_OPERATIONS, Lstm)))

    def input_edges(self, layer: Layer) -> tuple[str, ...]:
        """The edges a layer reads, in the order of its inputs."""
        return tuple(self._edges[name] for name in layer.inputs)

    def descendants(self, name: str) -> Iterator[Layer]:
        """Layers that depend on layer ``name``, itself not among them, in topological order."""
        touched = {name}
        for layer in self.layers:
            if layer.name != name and touched.intersection(layer.inputs):
                touched.add(layer.name)
                yield layer

    def depth(self, layer: Layer) -> int:
        """Products summed into one output of an engine (its K)."""
        if layer.weight is not None:
            return math.prod(layer.weight.shape[1:])
        return self.by_name[layer.inputs[0]].shape[-1]

    def multiply_accumulates(self, layer: Layer) -> int:
        """Multiply-accumulates per sample; 0 for layers that are no engine."""
        if not isinstance(layer.operation, ENGINE_OPERATIONS):
            return 0
        return layer.elements * self.depth(layer)


def _check_finite(layer: Layer) -> None:
    for what, values in (("weight", layer.weight), ("bias", layer.bias)):
        if values is not None and not np.all(np.isfinite(values)):
            position = np.unravel_index(int(np.argmin(np.isfinite(values))), values.shape)
            index = ", ".join(str(int(axis)) for axis in position)
            raise NetworkError(
                f"{what}[{index}] of layer {layer.name!r} is {values[position]}: all weights must be finite. "
                "Check the training run or the weights file"
            )
