"""How ONNX's activation functions, softmax, layer norms and recurrent layers become layers."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Final

import numpy as np

from emulation import reading_rules
from emulation.function_operations import (
    FunctionActivation,
    Gelu,
    GeluForm,
    HardSigmoid,
    HardSwish,
    LayerNorm,
    Lstm,
    Sigmoid,
    Silu,
    Softmax,
    Tanh,
)
from emulation.network import NetworkError, PRelu, Relu, Select
from emulation.onnx_reading import attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from emulation.network import Layer
    from emulation.onnx_graph import Node
    from emulation.onnx_reading import OnnxReading

_LSTM_FUNCTIONS: Final = ("Sigmoid", "Tanh", "Tanh")


def _relu(reading: OnnxReading, node: Node) -> None:
    reading_rules.activated(reading, reading.place(node), reading.source(node), Relu())


def _clip(reading: OnnxReading, node: Node) -> None:
    low, high = (
        attribute(node, name, default) if values is None else float(values.reshape(-1)[0])
        for name, default, values in (
            ("min", -math.inf, reading.constant(node, 1, "lower bound")),
            ("max", math.inf, reading.constant(node, 2, "upper bound")),
        )
    )
    # Exporters write the ends of float32 where they mean no bound.
    low = -math.inf if low <= float(np.finfo(np.float32).min) else low
    high = math.inf if high >= float(np.finfo(np.float32).max) else high
    source, place = reading.source(node), reading.place(node)
    if math.isinf(low) and math.isinf(high):
        reading.layer_of[place.key] = source.name
        return
    if low != 0.0 or high <= 0.0:
        raise NetworkError(
            f"Clip from {low:g} to {high:g} of {node.where} cannot be read: only a lower bound of 0 and a positive "
            "upper "
            "bound (ReLU6), or no upper bound"
        )
    reading_rules.clipped(reading, place, source, low, high)


def _leaky_relu(reading: OnnxReading, node: Node) -> None:
    slope = PRelu(slopes=(float(attribute(node, "alpha", 0.01)),))
    reading_rules.activated(reading, reading.place(node), reading.source(node), slope)


def _prelu(reading: OnnxReading, node: Node) -> None:
    slopes, source = reading.required(node, 1, "slope"), reading.source(node)
    if slopes.size > 1:
        reading.batched(node)
    along = slopes.reshape((1,) * max(len(source.shape) - slopes.ndim, 0) + slopes.shape)[..., None]
    channels = along.shape[along.ndim - 1 - len(source.shape)]
    if slopes.size not in (1, source.shape[0]) or (slopes.size > 1 and channels != slopes.size):
        raise NetworkError(
            f"PRelu of {node.where} has slopes of shape {slopes.shape} for a tensor of shape {source.shape}: one, or "
            "one per channel can be read"
        )
    activation = PRelu(slopes=tuple(slopes.reshape(-1).tolist()))
    reading_rules.activated(reading, reading.place(node), source, activation)


def _function(activation: FunctionActivation) -> Callable[[OnnxReading, Node], None]:
    def read(reading: OnnxReading, node: Node) -> None:
        reading_rules.function(reading, reading.place(node), reading.source(node), activation)

    return read


def _gelu(reading: OnnxReading, node: Node) -> None:
    form = GeluForm.TANH if attribute(node, "approximate", "none") == "tanh" else GeluForm.ERROR_FUNCTION
    reading_rules.function(reading, reading.place(node), reading.source(node), Gelu(form=form))


def _hard_sigmoid(reading: OnnxReading, node: Node) -> None:
    alpha, beta = float(attribute(node, "alpha", 0.2)), float(attribute(node, "beta", 0.5))
    if not math.isclose(alpha, 1 / 6, rel_tol=1e-6) or beta != 0.5:
        raise NetworkError(
            f"HardSigmoid of {node.where} has alpha {alpha:g} and beta {beta:g}: only 1/6 and 1/2 can be read"
        )
    reading_rules.function(reading, reading.place(node), reading.source(node), HardSigmoid())


def _softmax(reading: OnnxReading, node: Node) -> None:
    source, rank = reading.source(node), len(reading.sizes(node.inputs[0], node))
    # Before version 13 the axis is 1 by default and all axes from it on are one; both mean the last of two.
    axis = int(attribute(node, "axis", 1 if rank == 2 else -1)) % rank
    if axis != rank - 1:
        raise NetworkError(
            f"Softmax over axis {axis} of {node.where}: only the last axis ({rank - 1}) can be read; transpose the "
            "tensor "
            "around it"
        )
    mask = reading.mask_of.get(node.inputs[0])
    reading.add(reading.place(node), Softmax(mask=mask), (source,), fallback="softmax", shape=source.shape)


def _layer_norm(reading: OnnxReading, node: Node) -> None:
    source = reading.source(node)
    rank, features = len(reading.sizes(node.inputs[0], node)), source.shape[-1]
    axis = int(attribute(node, "axis", -1)) % rank
    gain, offset = reading.constant(node, 1, "scale"), reading.constant(node, 2, "bias")
    if axis != rank - 1:
        raise NetworkError(
            f"LayerNormalization over axes {axis} to {rank - 1} of {node.where}: only that over the last axis can be "
            "read"
        )
    operation = LayerNorm(
        epsilon=float(attribute(node, "epsilon", 1e-5)),
        gain=_per_feature(gain, features, 1.0, node),
        offset=_per_feature(offset, features, 0.0, node),
    )
    reading.add(reading.place(node), operation, (source,), fallback="layer_norm", shape=source.shape)


def _per_feature(values: NDArray[np.float64] | None, features: int, default: float, node: Node) -> tuple[float, ...]:
    if values is None:
        return (default,) * features
    if values.size not in (1, features):
        raise NetworkError(f"{node.operation} of {node.where} has {values.size} parameters for {features} features")
    return tuple(np.broadcast_to(values.reshape(-1), (features,)).tolist())


def _lstm(reading: OnnxReading, node: Node) -> None:
    """One direction from states of zero; ONNX's gates are input, output, forget, cell."""
    name = node.inputs[0]
    if reading.batch_of[name].axis != (0 if attribute(node, "layout", 0) == 1 else 1):
        raise NetworkError(
            f"the LSTM of {node.where} reads a sequence whose batch is not where its samples are: transpose the tensor "
            "to (steps, batch, features) before it, as batch_first=True exports it"
        )
    source = reading.producer(name, reading.place(node))
    weight, hidden_weight = reading.required(node, 1, "weight"), reading.required(node, 2, "recurrence weight")
    bias = reading.constant(node, 3, "bias")
    _check_plain_lstm(reading, node, weight)
    size = hidden_weight.shape[-1]
    order = np.concatenate([np.arange(size) + size * gate for gate in (0, 2, 3, 1)])
    layer = reading.add(
        dataclasses.replace(reading.place(node), key=f"{name} of {node.outputs}"),
        Lstm(hidden=size),
        (source,),
        fallback="lstm",
        shape=(source.shape[0], size),
        weight=np.concatenate([weight[0], hidden_weight[0]], axis=1)[order],
        bias=None if bias is None else (bias[0, : 4 * size] + bias[0, 4 * size :])[order],
    )
    for index, output in enumerate(node.outputs[:2]):  # whoever reads the third, the state c, is refused
        if not output:
            continue
        found = layer
        place = dataclasses.replace(reading.place(node), key=output)
        if index == 1:
            last = Select(axis=0, index=source.shape[0] - 1)
            found = reading.add(place, last, (layer,), fallback="last_step", shape=(size,))
        reading_rules.reshaped(reading, place, found, reading.shape(output, node))


def _check_plain_lstm(reading: OnnxReading, node: Node, weight: NDArray[np.float64]) -> None:
    problems = []
    if attribute(node, "direction", "forward") != "forward" or weight.shape[0] != 1:
        problems.append("another direction than forward")
    for place, what in ((5, "an initial h"), (6, "an initial c"), (7, "peepholes")):
        values = reading.constant(node, place, what)
        if values is not None and np.any(values):
            problems.append(f"{what} that is not 0")
    if node.input(4):
        problems.append("sequence lengths")
    functions: Sequence[str] = attribute(node, "activations", [])
    words = [word.decode() if isinstance(word, bytes) else word for word in functions]
    if words and tuple(words) != _LSTM_FUNCTIONS:
        problems.append(f"activations {words}")
    problems += [name for name in ("clip", "input_forget") if attribute(node, name, 0)]
    if problems:
        raise NetworkError(f"the LSTM of {node.where} has {', '.join(problems)}: only plain LSTMs can be read")


def scaled_features(layer: Layer, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> LayerNorm | None:
    """A layer norm with a gain and offset after it; None if the layer is another."""
    operation = layer.operation
    if not isinstance(operation, LayerNorm):
        return None
    gain = np.array(operation.gain) * scale
    offset = np.array(operation.offset) * scale + shift
    return LayerNorm(epsilon=operation.epsilon, gain=tuple(gain.tolist()), offset=tuple(offset.tolist()))


FUNCTION_READERS: Final[dict[str, Callable[[OnnxReading, Node], None]]] = {
    "Clip": _clip,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _function(HardSwish()),
    "LSTM": _lstm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Relu": _relu,
    "Sigmoid": _function(Sigmoid()),
    "Silu": _function(Silu()),
    "Softmax": _softmax,
    "Tanh": _function(Tanh()),
}
