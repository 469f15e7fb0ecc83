"""A network while it is read: the layers so far, and what each value of the user's graph stands for.

Every reader (torch, ONNX) walks its graph in order and calls the builders of `emulation.reading_rules`, which add
layers here. Values of the user's graph are known by a key: a graph node, or the name of a tensor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from emulation.network import (
    Activation,
    AveragePool,
    Identity,
    Input,
    Layer,
    Network,
    NetworkError,
    Operation,
    Window,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Key = TypeVar("Key", bound=Hashable)

Sides = tuple[tuple[int, int], ...]
"""Zeros before and after, one pair per axis of a sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Generic[Key]):
    """One operation of the user's graph, as builders need to know it.

    Attributes:
        key: stands for its result.
        operation: its own name there, for messages (``add``, ``Conv``).
        where: where it is, in words, for messages (``module 'stem'``).
        path: path of the module (or node) it belongs to: `Layer.source`, and the first part of names.
        is_module: whether the path names this operation alone, so that its layer is called by it.
        shape: of its result, without the batch axis.
    """

    key: Key
    operation: str
    where: str
    path: str
    is_module: bool
    shape: tuple[int, ...]

    def name(self, fallback: str) -> str:
        """What a layer of this operation is called: the path, or the path and a word for the operation."""
        if self.path and self.is_module:
            return self.path
        return f"{self.path}.{fallback}" if self.path else fallback


@dataclass(slots=True, kw_only=True)
class Reading(Generic[Key]):
    """Layers read so far, and what every value of the graph stands for: a layer's output or a constant.

    Attributes:
        name: of the network.
        readers_of: the results of the operations that read a value.
        layers: by name, in topological order.
        layer_of: for each activation the name of the layer that makes it.
        constant_of: the constants.
        padding_of: activations that are those of their layer with zeros around, and the operation that puts them.
    """

    name: str
    readers_of: Callable[[Key], Iterable[Key]]
    layers: dict[str, Layer] = field(default_factory=dict)
    layer_of: dict[Key, str] = field(default_factory=dict)
    constant_of: dict[Key, NDArray[np.float64]] = field(default_factory=dict)
    padding_of: dict[Key, tuple[Place[Key], Sides]] = field(default_factory=dict)

    def producer(self, key: Key, place: Place[Key]) -> Layer:
        """The layer that makes an activation, zeros around it included.

        Raises:
            NetworkError: if it is no activation.
        """
        source, _ = self.unpadded(key, place)
        if key in self.padding_of:
            padding, sides = self.padding_of.pop(key)
            return self._pad(padding, source, sides)
        return source

    def unpadded(self, key: Key, place: Place[Key]) -> tuple[Layer, Sides]:
        """The layer that makes an activation, and the zeros around it that the reader has to add.

        Raises:
            NetworkError: if it is no activation.
        """
        if key not in self.layer_of:
            raise NetworkError(
                f"operation {place.operation} in {place.where} reads {key}, which is no activation: "
                "only residual additions, products and concatenations of activations can be read"
            )
        source = self.layers[self.layer_of[key]]
        _, sides = self.padding_of.get(key, (None, ((0, 0),) * len(source.shape)))
        return source, sides

    def _pad(self, place: Place[Key], source: Layer, sides: Sides) -> Layer:
        """Zeros as a layer of their own: the mean of single values, padded."""
        ones = (1,) * (len(source.shape) - 1)
        if len(ones) not in {1, 2} or any(sides[0]):
            axes = [axis for axis, side in enumerate(sides) if any(side)]
            raise NetworkError(
                f"{place.operation} in {place.where} puts zeros around axes {axes} of a tensor of shape "
                f"{source.shape}: only 1 or 2 space axes after the channels can be padded"
            )
        window = Window(kernel=ones, stride=ones, padding=sides[1:], dilation=ones)
        return self.add(place, AveragePool(window=window), (source,), fallback="pad", shape=padded(source.shape, sides))

    def add(
        self,
        place: Place[Key],
        operation: Operation,
        sources: tuple[Layer, ...],
        *,
        fallback: str,
        shape: tuple[int, ...] | None = None,
        weight: NDArray[np.float64] | None = None,
        bias: NDArray[np.float64] | None = None,
        activation: Activation | None = None,
    ) -> Layer:
        """Append a layer under a unique name; ``shape`` is the place's own if not given."""
        stem = place.name(fallback)
        name, count = stem, 2
        while name in self.layers:
            name, count = f"{stem}_{count}", count + 1
        self.layers[name] = Layer(
            name=name,
            operation=operation,
            inputs=tuple(source.name for source in sources),
            shape=place.shape if shape is None else shape,
            activation=Identity() if activation is None else activation,
            weight=weight,
            bias=bias,
            source=place.path,
        )
        self.layer_of[place.key] = name
        return self.layers[name]

    def replace(self, layer: Layer, **changes: object) -> Layer:
        """Change a layer; whatever stands for its output still does."""
        self.layers[layer.name] = dataclasses.replace(layer, **changes)  # type: ignore[arg-type]
        return self.layers[layer.name]

    def is_only_reader(self, key: Key, source: Layer) -> bool:
        """Whether nothing but one operation sees what a layer computes, so that it can become part of it."""
        return self._is_seen_by({key}, None, source) and isinstance(source.activation, Identity)

    def behind(self, key: Key, source: Layer, moving: tuple[type, ...]) -> Layer | None:
        """The layer whose values, only moved by layers of some operations, arrive at one reader and nowhere else.

        Args:
            key: the reader.
            source: the layer it reads.
            moving: operations to look through.

        Returns:
            That layer, ``source`` if it moves nothing; None if anything else reads it or a layer on the way, or if it
            has an activation function.
        """
        seen_by, reader = {key}, None
        while True:
            if not self._is_seen_by(seen_by, reader, source):
                return None
            if not isinstance(source.operation, moving):
                return source if isinstance(source.activation, Identity) else None
            seen_by, reader = self.standing_for(source), source
            source = self.layers[source.inputs[0]]

    def standing_for(self, layer: Layer) -> set[Key]:
        """All values that are a layer's output: dropout and its like stand for the layer before."""
        return {key for key, name in self.layer_of.items() if name == layer.name}

    def _is_seen_by(self, keys: set[Key], reader: Layer | None, source: Layer) -> bool:
        standing = self.standing_for(source)
        readers = {user for key in standing for user in self.readers_of(key)} - standing
        layers = {layer.name for layer in self.layers.values() if source.name in layer.inputs}
        return readers <= keys and layers <= ({reader.name} if reader else set()) and bool(readers or layers)

    def network(self, result: Layer) -> Network:
        """The finished network: the layers that the result depends on, and the input."""
        needed = {layer.name for layer in self.layers.values() if isinstance(layer.operation, Input)}
        open_names = [result.name]
        while open_names:
            current = open_names.pop()
            if current not in needed:
                needed.add(current)
                open_names.extend(self.layers[current].inputs)
        layers = tuple(layer for layer in self.layers.values() if layer.name in needed)
        return Network(name=self.name, layers=layers, output=result.name)


def padded(shape: tuple[int, ...], sides: Sides) -> tuple[int, ...]:
    """The shape of a tensor with zeros around it."""
    return tuple(size + before + after for size, (before, after) in zip(shape, sides, strict=True))


def number(constant: object, place: Place[Key]) -> float:
    """One constant number.

    Raises:
        NetworkError: if it is an activation or has several values.
    """
    if isinstance(constant, int | float):
        return float(constant)
    if isinstance(constant, np.ndarray) and constant.size == 1:
        return float(constant.reshape(-1)[0])
    given = f"a constant of shape {constant.shape}" if isinstance(constant, np.ndarray) else constant
    raise NetworkError(
        f"{place.operation} in {place.where} multiplies or divides by {given}: only one constant number can be read"
    )
