"""A small builder of networks, so that tests can state layers instead of torch modules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from emulation.datapaths import Requantisation
from emulation.lowering import Assignment, lower
from emulation.network import (
    Activate,
    Activation,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Identity,
    Input,
    Layer,
    Linear,
    MatMul,
    MaxPool,
    Network,
    Operation,
    Reshape,
    Transpose,
    Window,
)
from emulation.quantisers import Quantiser, ScaledQuantiser, Scaling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emulation.datapaths import Arithmetic
    from emulation.formats import Format
    from emulation.hardware import HardwareNetwork


class Graph:
    """Layers added one by one; every method returns the new layer's name and works out its shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.layers = [Layer(name="input", operation=Input(), inputs=(), shape=shape)]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {layer.name: layer.shape for layer in self.layers}

    def network(self, name: str = "graph") -> Network:
        return Network(name=name, layers=tuple(self.layers), output=self.layers[-1].name)

    def _add(self, operation: Operation, inputs: tuple[str, ...], shape: tuple[int, ...], **fields: Any) -> str:
        name = f"{type(operation).__name__.lower()}{len(self.layers)}"
        self.layers.append(Layer(name=name, operation=operation, inputs=inputs, shape=shape, **fields))
        return name

    @staticmethod
    def window(kernel: tuple[int, ...], **settings: Any) -> Window:
        ones = (1,) * len(kernel)
        return Window(
            kernel=kernel,
            stride=settings.get("stride", ones),
            padding=settings.get("padding", ((0, 0),) * len(kernel)),
            dilation=settings.get("dilation", ones),
        )

    def convolve(
        self,
        source: str,
        weight: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        activation: Activation | None = None,
        groups: int = 1,
        **settings: Any,
    ) -> str:
        window = self.window(weight.shape[2:], **settings)
        shape = (weight.shape[0], *window.output_space(self.shapes[source][1:]))
        operation = Convolution(window=window, groups=groups)
        activation = activation or Identity()
        return self._add(operation, (source,), shape, weight=weight, bias=bias, activation=activation)

    def linear(
        self, source: str, weight: np.ndarray, bias: np.ndarray | None = None, activation: Activation | None = None
    ) -> str:
        shape = (*self.shapes[source][:-1], weight.shape[0])
        return self._add(Linear(), (source,), shape, weight=weight, bias=bias, activation=activation or Identity())

    def matmul(self, left: str, right: str, activation: Activation | None = None) -> str:
        shape = (*self.shapes[left][:-1], self.shapes[right][-1])
        return self._add(MatMul(), (left, right), shape, activation=activation or Identity())

    def join(self, left: str, right: str, activation: Activation | None = None) -> str:
        return self._add(Add(), (left, right), self.shapes[left], activation=activation or Identity())

    def concat(self, parts: tuple[str, ...], axis: int = 0) -> str:
        sizes = [self.shapes[part] for part in parts]
        shape = tuple(sum(size[a] for size in sizes) if a == axis else n for a, n in enumerate(sizes[0]))
        return self._add(Concat(axis=axis), parts, shape)

    def max_pool(self, source: str, kernel: tuple[int, ...], **settings: Any) -> str:
        window = self.window(kernel, **settings)
        shape = (self.shapes[source][0], *window.output_space(self.shapes[source][1:]))
        return self._add(MaxPool(window=window), (source,), shape)

    def average(
        self, source: str, kernel: tuple[int, ...], *, activation: Activation | None = None, **settings: Any
    ) -> str:
        window = self.window(kernel, **settings)
        shape = (self.shapes[source][0], *window.output_space(self.shapes[source][1:]))
        return self._add(AveragePool(window=window), (source,), shape, activation=activation or Identity())

    def activate(self, source: str, activation: Activation) -> str:
        return self._add(Activate(), (source,), self.shapes[source], activation=activation)

    def reshape(self, source: str, shape: tuple[int, ...]) -> str:
        if math.prod(shape) != math.prod(self.shapes[source]):
            raise ValueError(f"{self.shapes[source]} cannot become {shape}")
        return self._add(Reshape(), (source,), shape)

    def transpose(self, source: str, order: tuple[int, ...]) -> str:
        shape = tuple(self.shapes[source][axis] for axis in order)
        return self._add(Transpose(order=order), (source,), shape)


def scaled(number_format: Format, unit: float | list[float], zero_point: int = 0, **fields: Any) -> ScaledQuantiser:
    """A quantiser with a given unit, or one per channel; further fields as `ScaledQuantiser` has them."""
    quantiser = Quantiser(format=number_format, scaling=Scaling(zero_point=zero_point))
    return ScaledQuantiser(quantiser=quantiser, unit=np.atleast_1d(np.array(unit, dtype=np.float64)), **fields)


class Hardware:
    """What the tests of hardware mode build their designs with."""

    Graph = Graph
    scaled = staticmethod(scaled)

    @staticmethod
    def lower(
        network: Network,
        edges: Mapping[str, ScaledQuantiser],
        weights: Mapping[str, ScaledQuantiser],
        requantisation: Requantisation | None = None,
        engines: Mapping[str, Arithmetic] | None = None,
    ) -> HardwareNetwork:
        rule = requantisation or Requantisation()
        return lower(network, Assignment(edges=edges, weights=weights, engines=engines or {}, requantisation=rule))


@pytest.fixture(scope="session")
def build() -> type[Hardware]:
    """The builder: ``build.Graph``, ``build.scaled`` and ``build.lower``."""
    return Hardware
