"""How torch's activation functions, softmax, layer norms and attention become layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from emulation.function_operations import FunctionActivation, Gelu, GeluForm, LayerNorm, Sigmoid, Silu, Softmax, Tanh
from emulation.network import (
    Activate,
    Convolution,
    Layer,
    Linear,
    MatMul,
    NetworkError,
    Reshape,
    Select,
    Transpose,
)
from emulation.torch_graph import Reading, arguments_of, is_only_reader, operation_name, where
from emulation.torch_recurrent import RECURRENT_READERS, zeros_of

if TYPE_CHECKING:
    from collections.abc import Callable


def _function(reading: Reading, node: torch.fx.Node, activation: FunctionActivation) -> None:
    source = reading.producer(node.args[0], node)
    # Never fused: the codes of its input index a table, so that edge has a format of its own.
    reading.add(node, Activate(), (source,), fallback=operation_name(node), shape=source.shape, activation=activation)


def _gelu(reading: Reading, node: torch.fx.Node) -> None:
    form = GeluForm.TANH if arguments_of(node)["approximate"] == "tanh" else GeluForm.ERROR_FUNCTION
    _function(reading, node, Gelu(form=form))


def _softmax(reading: Reading, node: torch.fx.Node) -> None:
    source = reading.producer(node.args[0], node)
    axis = int(arguments_of(node)["dim"]) % (len(source.shape) + 1)
    if axis != len(source.shape):
        raise NetworkError(
            f"softmax over axis {axis} in {where(node)}: only the last axis ({len(source.shape)}) can be read; "
            "transpose the tensor around it"
        )
    reading.add(node, Softmax(), (source,), fallback="softmax", shape=source.shape)


def _layer_norm(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    source = reading.producer(arguments["input"], node)
    features = source.shape[-1]
    shape = list(arguments["normalized_shape"])
    if shape != [features]:
        raise NetworkError(
            f"layer norm over shape {shape} in {where(node)}: only that over the last axis ([{features}]) can be read"
        )
    gain, offset = reading.constant(arguments["weight"]), reading.constant(arguments["bias"])
    operation = LayerNorm(
        epsilon=float(arguments["eps"]),
        gain=(1.0,) * features if gain is None else tuple(gain.tolist()),
        offset=(0.0,) * features if offset is None else tuple(offset.tolist()),
    )
    reading.add(node, operation, (source,), fallback="layer_norm", shape=source.shape)


def _attention(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    refused = [name for name in ("attn_mask", "is_causal", "enable_gqa") if arguments.get(name)]
    if refused or arguments["dropout_p"]:
        raise NetworkError(
            f"scaled dot product attention with {', '.join(refused) or 'dropout'} in {where(node)} cannot be read: "
            "only attention of all to all can"
        )
    queries, keys, values = (reading.producer(arguments[name], node) for name in ("query", "key", "value"))
    leading = [each.shape[:-2] for each in (queries, keys, values)]
    if len(set(leading)) > 1 or len(queries.shape) < 2:
        raise NetworkError(
            f"attention in {where(node)} joins shapes {queries.shape}, {keys.shape} and {values.shape}: all need the "
            "same leading axes"
        )
    rank, (*_, rows, depth), columns = len(keys.shape), queries.shape, keys.shape[-2]
    order = (*range(rank - 2), rank - 1, rank - 2)
    factor = 1 / math.sqrt(depth) if arguments.get("scale") is None else float(arguments["scale"])
    transposed = (*keys.shape[:-2], depth, columns)
    scores = (*queries.shape[:-2], rows, columns)
    swapped = reading.add(node, Transpose(order=order), (keys,), fallback="transpose", shape=transposed)
    product = reading.add(
        node, MatMul(factor=_positive(factor, node)), (queries, swapped), fallback="scores", shape=scores
    )
    weights = reading.add(node, Softmax(), (product,), fallback="softmax", shape=scores)
    reading.add(node, MatMul(), (weights, values), fallback="attention")


def _scale(reading: Reading, node: torch.fx.Node) -> None:
    """A product with, or a quotient by, a constant > 0: folded into the weights or product that it follows."""
    arguments = arguments_of(node)
    inputs = (arguments["self"], arguments["other"])
    found = [(one, other) for one, other in (inputs, inputs[::-1]) if one in reading.layer_of]
    if not found:
        reading.producer(inputs[0], node)
    tensor, constant = found[0]
    factor = _number(reading, constant, node)
    name = operation_name(node)
    if name == "div":
        if tensor is not inputs[0]:
            raise NetworkError(
                f"div in {where(node)} divides by an activation: only division by a constant can be read"
            )
        factor = 1 / factor
    factor = _positive(factor, node)
    source = reading.producer(tensor, node)
    target, reader = source, node
    while isinstance(target.operation, Reshape | Transpose | Select) and is_only_reader(reading, reader, target):
        reader = next(other for other, layer in reading.layer_of.items() if layer == target.name)
        target = reading.layers[target.inputs[0]]
    foldable = isinstance(target.operation, Linear | Convolution | MatMul) and is_only_reader(reading, reader, target)
    if not foldable:
        raise NetworkError(
            f"{name} by {factor:g} in {where(node)} follows {source.name!r} ({source.kind}): a constant factor can "
            "only be read after a linear layer, a convolution or a matrix product that nothing else reads"
        )
    _fold_factor(reading, target, factor)
    reading.layer_of[node] = source.name


def _fold_factor(reading: Reading, target: Layer, factor: float) -> None:
    node = next(other for other, name in reading.layer_of.items() if name == target.name)
    if isinstance(target.operation, MatMul):
        reading.replace(node, target.name, operation=MatMul(factor=target.operation.factor * factor))
    elif target.weight is not None:
        bias = None if target.bias is None else target.bias * factor
        reading.replace(node, target.name, weight=target.weight * factor, bias=bias)


def _number(reading: Reading, constant: object, node: torch.fx.Node) -> float:
    if isinstance(constant, torch.fx.Node) and constant in reading.constant_of:
        values = reading.constant_of[constant]
        if values.size == 1:
            return float(values.reshape(-1)[0])
    elif isinstance(constant, int | float):
        return float(constant)
    raise NetworkError(
        f"{operation_name(node)} in {where(node)} multiplies or divides by {constant}: only one constant number can be "
        "read, so products of activations need a linear layer or a matrix product"
    )


def _positive(factor: float, node: torch.fx.Node) -> float:
    if not (factor > 0 and math.isfinite(factor)):
        raise NetworkError(
            f"the factor {factor:g} in {where(node)} must be above 0 and finite: put its sign into weights"
        )
    return factor


def _select(reading: Reading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    argument = arguments["self"]
    if argument in reading.final_state_of:
        _final_state(reading, node, reading.final_state_of[argument])
        return
    source = reading.producer(argument, node)
    axis = int(arguments["dim"]) % (len(source.shape) + 1)
    if axis == 0:
        raise NetworkError(f"select in {where(node)} takes one sample of the batch: keep axis 0 as it is")
    index = int(arguments["index"]) % source.shape[axis - 1]
    shape = source.shape[: axis - 1] + source.shape[axis:]
    reading.add(node, Select(axis=axis - 1, index=index), (source,), fallback="select", shape=shape)


def _final_state(reading: Reading, node: torch.fx.Node, name: str) -> None:
    """``h_n[-1]``: the last step of the sequence."""
    sequence = reading.layers[name]
    steps, hidden = sequence.shape
    reading.add(node, Select(axis=0, index=steps - 1), (sequence,), fallback="last_step", shape=(hidden,))


def _stack(reading: Reading, node: torch.fx.Node) -> None:
    """Steps of one sequence, all and in order, are the sequence again."""
    arguments = arguments_of(node)
    parts = [reading.producer(part, node) for part in arguments["tensors"]]
    operations = [part.operation for part in parts]
    sources = {part.inputs[0] for part in parts if part.inputs}
    axis = int(arguments["dim"]) % (len(parts[0].shape) + 2) - 1
    whole = [Select(axis=axis, index=index) for index in range(len(parts))]
    if operations != whole or len(sources) != 1 or reading.layers[next(iter(sources))].shape[axis] != len(parts):
        raise NetworkError(
            f"stack in {where(node)} joins {[part.name for part in parts]}: only all steps of one sequence in order "
            "can be read; use cat"
        )
    reading.layer_of[node] = next(iter(sources))


def _get_item(reading: Reading, node: torch.fx.Node) -> None:
    known = node in reading.layer_of or node in reading.final_state_of
    inside = all(operation_name(user) == "lstm_cell" and user in reading.layer_of for user in node.users)
    if known or inside:
        return
    source, place = node.args
    raise NetworkError(
        f"part {place} of {source} in {where(node)} cannot be read: of several results of one operation only the "
        "sequence and the last hidden state of an LSTM of one layer can, not its cell state"
    )


def _constant(reading: Reading, node: torch.fx.Node) -> None:
    reading.constant_of[node] = zeros_of(node)


def _simple(activation: FunctionActivation) -> Callable[[Reading, torch.fx.Node], None]:
    def read(reading: Reading, node: torch.fx.Node) -> None:
        _function(reading, node, activation)

    return read


FUNCTION_READERS: dict[str, Callable[[Reading, torch.fx.Node], None]] = {
    **dict.fromkeys(("softmax", "_softmax"), _softmax),
    **dict.fromkeys(("mul", "div"), _scale),
    "getitem": _get_item,
    **dict.fromkeys(("zeros", "new_zeros", "zeros_like"), _constant),
    "gelu": _gelu,
    "layer_norm": _layer_norm,
    "scaled_dot_product_attention": _attention,
    "select": _select,
    "sigmoid": _simple(Sigmoid()),
    "silu": _simple(Silu()),
    "stack": _stack,
    "tanh": _simple(Tanh()),
    **RECURRENT_READERS,
}
