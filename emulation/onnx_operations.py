"""How each ONNX operation becomes a layer: one reader per operation, and the table of all of them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

import numpy as np

from emulation import reading_rules
from emulation.function_operations import LayerNorm
from emulation.network import Convolution, Linear, MatMul, NetworkError
from emulation.onnx_functions import FUNCTION_READERS, scaled_features
from emulation.onnx_graph import QUANTISE, QUANTISERS
from emulation.onnx_moving import MOVING_READERS
from emulation.onnx_reading import attribute
from emulation.onnx_windows import WINDOW_READERS
from emulation.reading_masks import HIDDEN, mask_of_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from emulation.network import Layer
    from emulation.onnx_graph import Node
    from emulation.onnx_reading import OnnxReading


def _gemm(reading: OnnxReading, node: Node) -> None:
    weight = reading.required(node, 1, "weight")
    source = reading.source(node)
    if attribute(node, "transA", 0):
        raise NetworkError(
            f"Gemm of {node.where} transposes its activation (transA): only its weights may be transposed"
        )
    is_turned = bool(attribute(node, "transB", 0))
    rows = (weight if is_turned else weight.T) * float(attribute(node, "alpha", 1.0))
    bias = reading.constant(node, 2, "bias")
    if bias is not None and bias.size not in (1, len(rows)):
        raise NetworkError(f"Gemm of {node.where} has {bias.size} biases for {len(rows)} outputs")
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1) * float(attribute(node, "beta", 1.0)), rows.shape[:1]).copy()
    layer = reading.add(
        reading.place(node), Linear(), (source,), fallback="linear", weight=np.ascontiguousarray(rows), bias=bias
    )
    reading.note_codes(layer, node.input(1), transpose=not is_turned)


def _matmul(reading: OnnxReading, node: Node) -> None:
    place = reading.place(node)
    if reading.is_constant(node.input(0)):
        raise NetworkError(
            f"MatMul of {node.where} has its weights on the left: only weights on the right can be read; transpose the "
            "product"
        )
    source = reading.source(node)
    if reading.is_constant(node.input(1)):
        weight = reading.required(node, 1, "weight")
        if weight.ndim != 2:
            raise NetworkError(f"MatMul of {node.where} has a constant of {weight.ndim} axes: 2 are allowed")
        turned = np.ascontiguousarray(weight.T)
        layer = reading.add(place, Linear(), (source,), fallback="linear", weight=turned)
        reading.note_codes(layer, node.input(1), transpose=True)
        return
    other = reading.source(node, 1)
    if source.shape[:-2] != other.shape[:-2] or min(len(source.shape), len(other.shape)) < 2:
        raise NetworkError(
            f"MatMul of {node.where} multiplies shapes {source.shape} and {other.shape}: the leading axes must be equal"
        )
    reading.add(place, MatMul(), (source, other), fallback="matmul")


def _batch_norm(reading: OnnxReading, node: Node) -> None:
    gain, offset, mean, variance = (
        reading.required(node, place, what) for place, what in enumerate(("scale", "bias", "mean", "variance"), start=1)
    )
    if attribute(node, "training_mode", 0):
        raise NetworkError(f"BatchNormalization of {node.where} is in training mode: export the model for evaluation")
    reading.batched(node)
    reading_rules.batch_norm(
        reading,
        reading.place(node),
        reading.source(node),
        mean=mean,
        variance=variance,
        gain=gain,
        offset=offset,
        epsilon=float(attribute(node, "epsilon", 1e-5)),
    )


def _add(reading: OnnxReading, node: Node) -> None:
    _combine(reading, node, sign=1.0)


def _subtract(reading: OnnxReading, node: Node) -> None:
    _combine(reading, node, sign=-1.0)


def _combine(reading: OnnxReading, node: Node, *, sign: float) -> None:
    """Sums: of two activations, or with a constant, which is a bias."""
    first, second = (reading.is_constant(name) for name in node.inputs)
    if not first and not second:
        if sign < 0:
            raise NetworkError(
                f"Sub of {node.where} subtracts an activation: only sums can be read; negate its weights"
            )
        reading_rules.joined(reading, reading.place(node), reading.source(node), reading.source(node, 1))
        return
    constant = reading.required(node, 0 if first else 1, "constant")
    source = reading.source(node, 1 if first else 0)
    if constant.size > 1 and sign > 0 and constant.min() <= HIDDEN:
        place = reading.place(node)
        reading.mask_of[place.key] = mask_of_scores(constant, source.shape, place, is_boolean=False)
        reading.layer_of[place.key] = source.name
        return
    own = sign if first else 1.0  # constant - x turns the sign of x
    _affine(reading, node, source, np.full(1, own), constant * (1.0 if first else sign))


def _multiply(reading: OnnxReading, node: Node) -> None:
    """Products: of two activations (a gate), or with a constant."""
    first, second = (reading.is_constant(name) for name in node.inputs)
    if not first and not second:
        reading_rules.multiplied(reading, reading.place(node), reading.source(node), reading.source(node, 1))
        return
    constant, source = reading.required(node, 0 if first else 1, "constant"), reading.source(node, 1 if first else 0)
    _affine(reading, node, source, constant, np.zeros(1))


def _divide(reading: OnnxReading, node: Node) -> None:
    if not reading.is_constant(node.input(1)):
        raise NetworkError(f"Div of {node.where} divides by an activation: only division by a constant can be read")
    constant = reading.required(node, 1, "divisor")
    if not np.all(constant):
        raise NetworkError(f"Div of {node.where} divides by 0")
    _affine(reading, node, reading.source(node), 1 / constant, np.zeros(1))


def _affine(
    reading: OnnxReading, node: Node, source: Layer, scale: NDArray[np.float64], shift: NDArray[np.float64]
) -> None:
    """``scale * x + shift`` with constants that are one number, one per channel (axis 0) or one per feature (last)."""
    place = reading.place(node)
    if place.shape != source.shape:
        raise NetworkError(
            f"{node.operation} of {node.where} broadcasts an activation of shape {source.shape} to {place.shape}: only "
            "constants may be broadcast"
        )
    rank = len(source.shape)
    kept = {_axis_of(reading, node, values) for values in (scale, shift)} - {None}
    if len(kept) > 1:
        raise NetworkError(f"{node.operation} of {node.where} has constants along several axes: one can be read")
    axis = next(iter(kept), None)
    scale, shift = scale.reshape(-1), shift.reshape(-1)
    if axis is None and not np.any(shift):
        if scale[0] == 1.0:
            reading.layer_of[place.key] = source.name
            return
        target = reading.behind(place.key, source, reading_rules.MOVED)
        if target is not None and isinstance(target.operation, Linear | Convolution | MatMul):
            reading_rules.factored(reading, place, source, float(scale[0]))
            return
    has_features = isinstance(source.operation, LayerNorm | Linear)
    if axis in (None, rank - 1) and has_features and reading.is_only_reader(place.key, source):
        _scale_features(reading, source, scale, shift)
        reading.layer_of[place.key] = source.name
        return
    if axis not in (None, 0) or (rank == 1 and not isinstance(source.operation, Linear)) or rank not in (1, 2, 3):
        raise NetworkError(
            f"{node.operation} of {node.where} applies constants of {max(scale.size, shift.size)} numbers along axis "
            f"{axis} to the output of {source.name!r} ({source.kind}), shape {source.shape}: one number per channel, "
            "or "
            "one per output of a linear layer or layer norm that nothing else reads, can be read"
        )
    channels = np.ones(source.shape[0])
    reading_rules.scaled_channels(reading, place, source, scale * channels, shift * channels, fallback="scale")


def _axis_of(reading: OnnxReading, node: Node, values: NDArray[np.float64]) -> int | None:
    """The only axis of a sample along which constants differ, None for one number."""
    if values.size == 1:
        return None
    rank, name = len(reading.sizes(node.outputs[0], node)), node.outputs[0]
    found = [axis - values.ndim + rank for axis, size in enumerate(values.shape) if size > 1]
    own = reading.axis(name, node, found[0]) if len(found) == 1 and found[0] >= 0 else None
    if own is None:
        raise NetworkError(
            f"{node.operation} of {node.where} has constants of shape {values.shape}: only one number, or one per "
            "entry "
            "of one axis, can be read"
        )
    return own


def _scale_features(
    reading: OnnxReading, source: Layer, scale: NDArray[np.float64], shift: NDArray[np.float64]
) -> None:
    """Into the outputs of a linear layer, or the gain and offset of a layer norm."""
    operation = scaled_features(source, scale, shift)
    if operation is not None:
        reading.replace(source, operation=operation)
    elif source.weight is not None:
        scales, shifts = (np.broadcast_to(values, (source.outputs,)) for values in (scale, shift))
        bias = shifts if source.bias is None else source.bias * scales + shifts
        changed = source.weight * scales[:, None] if np.any(scales != 1.0) else source.weight
        no_bias = source.bias is None and not np.any(shifts)
        reading.replace(source, weight=changed, bias=None if no_bias else np.array(bias))


def _pass_through(reading: OnnxReading, node: Node) -> None:
    reading.layer_of[node.outputs[0]] = reading.source(node).name


def _cast(reading: OnnxReading, node: Node) -> None:
    """Between floating-point types, which hardware does not have."""
    from onnx import TensorProto

    if attribute(node, "to", TensorProto.FLOAT) not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
        raise NetworkError(f"Cast of {node.where} makes integers of activations: only floating-point types can be read")
    _pass_through(reading, node)


def _quantise(reading: OnnxReading, node: Node) -> None:
    reading.quantise(node, node.attributes["quantiser"])


_READERS: Final[dict[str, Callable[[OnnxReading, Node], None]]] = {
    **WINDOW_READERS,
    **FUNCTION_READERS,
    **MOVING_READERS,
    **dict.fromkeys(("Dropout", "Identity"), _pass_through),
    "Add": _add,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Div": _divide,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Mul": _multiply,
    QUANTISE: _quantise,
    "Sub": _subtract,
}
READABLE_OPERATIONS: Final = tuple(
    sorted({*_READERS, *QUANTISERS, "Constant", "QuantizeLinear", "DequantizeLinear", "Shape"} - {QUANTISE, "Silu"})
)
"""Names of the ONNX operations that can be read."""


def read_node(reading: OnnxReading, node: Node) -> None:
    """Add what a node computes to the network.

    Raises:
        NetworkError: if no reader knows the operation; names it, its node and the operations that can be read.
    """
    if node.operation not in _READERS:
        close = difflib.get_close_matches(node.operation, READABLE_OPERATIONS, n=1)
        hint = f" (the nearest that can is {close[0]})" if close else ""
        raise NetworkError(
            f"operation {node.operation} of {node.where} cannot be read{hint}. Replace it by operations that can: "
            f"{', '.join(READABLE_OPERATIONS)}"
        )
    _READERS[node.operation](reading, node)
