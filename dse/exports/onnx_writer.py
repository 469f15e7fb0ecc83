"""Writing an ONNX graph layer by layer: names, constants, shapes and the order of axes.

Tensors have the names of the layers that make them, and images are channels first, as ONNX's windows want them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dse.exports.names import safe_names

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

Entry: TypeAlias = Mapping[str, Any]
"""A layer's entry in a manifest."""
Setting: TypeAlias = int | float | str | Sequence[int]
"""An attribute of a node."""
IR_VERSION: Final = 8
OPSET: Final = 13
DOMAIN: Final = "qonnx.custom_op.general"
FLOAT_BITS: Final = 24
"""Significant bits of a float32."""
INPUT_NAME: Final = "network_input"
_SPATIAL: Final = frozenset({"convolution", "depthwise", "maxpool", "averagepool"})
_ELEMENTWISE: Final = frozenset({"add", "concat", "activate"})
_ROLES: Final = (
    *("weight", "weight_values", "weight_scale", "product", "bias", "sum", "relu", "slopes", "sloped", "bounded"),
    *("scale", "thresholds", "shape", "image", "stream"),
)
"""Tensors on the way to a layer's own."""


def image_layers(entries: Sequence[Entry]) -> frozenset[str]:
    """Layers whose tensors are channels first.

    Those are made or read by windows, or by layers that work number by number on such tensors.
    """
    found: set[str] = set()
    for entry in entries:
        is_like_input = entry["op"] in _ELEMENTWISE and entry["inputs"][0] in found
        is_read = entry["op"] == "input" and _is_read_as_image(entry["name"], entries)
        if entry["op"] in _SPATIAL or is_like_input or is_read:
            found.add(entry["name"])
    return frozenset(found)


def _is_read_as_image(name: str, entries: Sequence[Entry]) -> bool:
    readers = [entry for entry in entries if name in entry["inputs"]]
    return any(
        entry["op"] in _SPATIAL or (entry["op"] in _ELEMENTWISE and _is_read_as_image(entry["name"], entries))
        for entry in readers
    )


def into_graph(rows: NDArray[Any], entry: Entry, entries: Sequence[Entry]) -> NDArray[np.float32]:
    """Streams of a layer, ``(vectors, values)``, as its tensor in the graph."""
    values = rows.astype(np.float32).reshape(-1, *entry["shape"])
    return np.ascontiguousarray(np.moveaxis(values, -1, 1) if entry["name"] in image_layers(entries) else values)


def out_of_graph(values: NDArray[np.float32], entry: Entry, entries: Sequence[Entry]) -> NDArray[np.float64]:
    """The other way round."""
    last = np.moveaxis(values, 1, -1) if entry["name"] in image_layers(entries) else values
    return last.astype(np.float64).reshape(len(values), -1)


class GraphWriter:
    """Collects the nodes of a graph for a batch of one.

    Attributes:
        names: tensors by what they are: a layer's safe name, or that and a role, joined by an underscore.
        first: the name of the graph's input.
        last: the name of its output.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._images = image_layers(entries)
        self._nodes: list[Any] = []
        self._initializers: dict[str, NDArray[Any]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        own = [entry["name"] for entry in entries]
        roles = [f"{name}_{role}" for name in own for role in _ROLES]
        roles += [f"{entry['name']}_part_{place}" for entry in entries for place in range(len(entry["inputs"]))]
        roles += [f"{role}_thresholds" for role in roles if "_part_" in role]
        self.names = safe_names([*own, INPUT_NAME, *roles])
        self.first = self.names[INPUT_NAME]
        self.last: str = own[-1]

    def model(self) -> ModelProto:
        """The model, checked by ONNX's own rules."""
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        infos = {
            tensor: helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape)
            for tensor, shape in self._shapes.items()
        }
        graph = helper.make_graph(
            self._nodes,
            "network",
            [infos.pop(self.first)],
            [infos.pop(self.last)],
            [numpy_helper.from_array(values, tensor) for tensor, values in self._initializers.items()],
            value_info=list(infos.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
        model = helper.make_model(graph, producer_name="bitfront", opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model

    def input(self, entry: Entry, key: str = INPUT_NAME) -> str:
        """The graph's input, named after ``key``."""
        self.first = self.names[key]
        self._shapes[self.first] = self.shape(entry)
        return self.first

    def node(self, kind: str, inputs: Sequence[str], entry: Entry, role: str, **settings: Setting) -> str:
        """A node on the way to a layer's output, or with no role the one that makes it; of the output's shape."""
        key = f"{entry['name']}_{role}" if role else entry["name"]
        return self.named(kind, inputs, key, self.shape(entry), **settings)

    def named(self, kind: str, inputs: Sequence[str], key: str, shape: Sequence[int], **settings: Setting) -> str:
        """A node whose output, of a given shape, is named after ``key``."""
        from onnx import helper

        name, attributes = self.names[key], dict[str, Any](settings)
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        self._shapes[name] = tuple(shape)
        return name

    def constant(self, key: str, values: NDArray[Any]) -> str:
        """Numbers that are known: int64 as they are, all others as float32."""
        return self._constant(self.names[key], values)

    def scalar(self, value: float) -> str:
        """One number, made once. No layer has two underscores in its name."""
        return self._constant(f"constant__{float(value)!r}", np.array(float(value)))

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self._initializers[name] = values if values.dtype == np.int64 else values.astype(np.float32)
        return name

    def per_channel(self, entry: Entry, role: str, values: NDArray[Any]) -> str:
        """One number for each channel of a layer's output, or one for all."""
        space = len(entry["shape"]) - 1 if entry["name"] in self._images else 0
        shaped = values.astype(np.float64).reshape(*[1] * (space > 0), -1, *[1] * space)
        return self.constant(f"{entry['name']}_{role}", shaped)

    def shape(self, entry: Entry) -> tuple[int, ...]:
        """The shape of a layer's tensor."""
        *space, channels = entry["shape"]
        return (1, channels, *space) if entry["name"] in self._images else (1, *space, channels)

    def axis(self, entry: Entry, place: int) -> int:
        """The axis of a layer's tensor that is axis ``place`` of its stream."""
        if entry["name"] not in self._images:
            return place + 1
        return 1 if place == len(entry["shape"]) - 1 else place + 2

    def inputs(self, entry: Entry) -> list[str]:
        """A layer's inputs, in the order of axes that it works in."""
        return [
            self.image(source) if entry["name"] in self._images else self.stream(source) for source in entry["inputs"]
        ]

    def image(self, source: str) -> str:
        """A layer's tensor with channels first."""
        if source in self._images:
            return source
        rank = len(self._shapes[source])
        return self._transposed(source, (0, rank - 1, *range(1, rank - 1)), "image")

    def stream(self, source: str) -> str:
        """A layer's tensor with channels last."""
        if source not in self._images:
            return source
        return self._transposed(source, (0, *range(2, len(self._shapes[source])), 1), "stream")

    def _transposed(self, source: str, axes: Sequence[int], role: str) -> str:
        key = f"{source}_{role}"
        if self.names[key] in self._shapes:
            return self.names[key]
        return self.named("Transpose", [source], key, [self._shapes[source][axis] for axis in axes], perm=list(axes))

    def reshaped(self, entry: Entry) -> str:
        """A reshape or transpose, which keeps the stream: channels last."""
        (source,) = entry["inputs"]
        shape = self.constant(f"{entry['name']}_shape", np.array([-1, *entry["shape"]]))
        return self.node("Reshape", [self.stream(source), shape], entry, "")

    def multiplied(self, entry: Entry, weights: str) -> str:
        """A layer's products, summed; ``weights`` are ``(in, out)`` or ``(out, in, *kernel)``."""
        (source,) = entry["inputs"]
        if entry["op"] == "linear":
            return self.node("MatMul", [self.stream(source), weights], entry, "product")
        settings = {**window(entry), "group": entry["groups"]}
        return self.node("Conv", [self.image(source), weights], entry, "product", **settings)

    def joined(self, entry: Entry, tensors: Sequence[str]) -> str:
        """Tensors side by side along the axis of a concatenation, channels last; and the layer's own from them."""
        shape = (1, *entry["shape"])
        if entry["name"] not in self._images:
            return self.named("Concat", tensors, entry["name"], shape, axis=entry["axis"] + 1)
        stream = self.named("Concat", tensors, f"{entry['name']}_stream", shape, axis=entry["axis"] + 1)
        rank = len(shape)
        return self.node("Transpose", [stream], entry, "", perm=[0, rank - 1, *range(1, rank - 1)])


def onnx_weights(entry: Entry, weight: NDArray[Any]) -> NDArray[Any]:
    """Weights of a manifest's layout in ONNX's: ``(in, out)``, or ``(out, in, *kernel)`` for windows."""
    return weight if entry["op"] == "linear" else np.moveaxis(weight, (-1, -2), (0, 1))


def window(entry: Entry) -> dict[str, Setting]:
    """A window in ONNX's words: all paddings before, then all after."""
    return {
        "kernel_shape": entry["kernel"],
        "strides": entry["stride"],
        "dilations": entry["dilation"],
        "pads": [before for before, _ in entry["padding"]] + [after for _, after in entry["padding"]],
    }
