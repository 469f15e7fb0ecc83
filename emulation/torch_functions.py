"""How torch's activation functions, softmax, layer norms and attention become layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from emulation import reading_rules as rules
from emulation.function_operations import (
    FunctionActivation,
    Gelu,
    GeluForm,
    HardSigmoid,
    HardSwish,
    LayerNorm,
    Sigmoid,
    Silu,
    Softmax,
    Tanh,
)
from emulation.network import MatMul, NetworkError
from emulation.reading import number
from emulation.reading_masks import HIDDEN, mask_of_scores, mask_rows
from emulation.torch_graph import TorchReading, arguments_of, sizes_of, where
from emulation.torch_recurrent import RECURRENT_READERS

if TYPE_CHECKING:
    from emulation.torch_graph import Reader


def _gelu(reading: TorchReading, node: torch.fx.Node) -> None:
    form = GeluForm.TANH if arguments_of(node)["approximate"] == "tanh" else GeluForm.ERROR_FUNCTION
    rules.function(reading, reading.place(node), reading.source(node.args[0], node), Gelu(form=form))


def _softmax(reading: TorchReading, node: torch.fx.Node) -> None:
    argument: Any = node.args[0]
    source = reading.source(argument, node)
    axis = reading.axis(argument, int(arguments_of(node)["dim"]))
    if axis != len(source.shape) - 1:
        given = int(arguments_of(node)["dim"]) % len(sizes_of(node))
        raise NetworkError(
            f"softmax over axis {given} in {where(node)}: only the last axis ({len(sizes_of(node)) - 1}) can be read; "
            "transpose the tensor around it"
        )
    mask = reading.mask_of.get(argument)
    reading.add(reading.place(node), Softmax(mask=mask), (source,), fallback="softmax", shape=source.shape)


def _layer_norm(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    source = reading.source(arguments["input"], node)
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
    reading.add(reading.place(node), operation, (source,), fallback="layer_norm", shape=source.shape)


def _attention(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    if arguments.get("enable_gqa") or arguments["dropout_p"]:
        refused = "enable_gqa" if arguments.get("enable_gqa") else "dropout"
        raise NetworkError(
            f"scaled dot product attention with {refused} in {where(node)} cannot be read: repeat keys and values for "
            "all heads, and evaluate without dropout"
        )
    queries, keys, values = (reading.source(arguments[name], node) for name in ("query", "key", "value"))
    leading = [each.shape[:-2] for each in (queries, keys, values)]
    if len(set(leading)) > 1 or len(queries.shape) < 2:
        raise NetworkError(
            f"attention in {where(node)} joins shapes {queries.shape}, {keys.shape} and {values.shape}: all need the "
            "same leading axes"
        )
    rank, (*_, rows, depth), columns = len(keys.shape), queries.shape, keys.shape[-2]
    factor = 1 / math.sqrt(depth) if arguments.get("scale") is None else float(arguments["scale"])
    place, scores = reading.place(node), (*queries.shape[:-2], rows, columns)
    order = (*range(rank - 2), rank - 1, rank - 2)
    swapped = rules.transposed(reading, place, keys, order, shape=(*keys.shape[:-2], depth, columns))
    operation = MatMul(factor=rules.positive(factor, place))
    product = reading.add(place, operation, (queries, swapped), fallback="scores", shape=scores)
    mask = None
    if arguments.get("is_causal"):
        mask = mask_rows(np.tri(rows, columns, dtype=bool), scores, place)
    elif arguments.get("attn_mask") is not None:
        values_of_mask = reading.constant(arguments["attn_mask"])
        is_boolean = arguments["attn_mask"].meta["val"].dtype == torch.bool
        mask = mask_of_scores(values_of_mask, scores, place, is_boolean=is_boolean)
    weights = reading.add(place, Softmax(mask=mask), (product,), fallback="softmax", shape=scores)
    reading.add(place, MatMul(), (weights, values), fallback="attention")


def _masked_fill(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments, place = arguments_of(node), reading.place(node)
    source, hidden = reading.source(arguments["self"], node), reading.constant(arguments["mask"])
    value = number(reading.constant_of.get(arguments["value"], arguments["value"]), place)
    if hidden is None or value > HIDDEN:
        raise NetworkError(
            f"{place.operation} in {place.where} fills in {value:g}: only minus infinity (or {HIDDEN:g} and "
            "less) before a softmax can be read, as a mask"
        )
    reading.mask_of[node] = mask_rows(hidden == 0, source.shape, place)
    reading.layer_of[node] = source.name


def _multiply(reading: TorchReading, node: torch.fx.Node) -> None:
    """A product: with a constant it is folded into the weights before, of activations it is a layer."""
    arguments, place = arguments_of(node), reading.place(node)
    tensor, other = arguments["self"], arguments["other"]
    if tensor in reading.constant_of:
        tensor, other = other, tensor
    source = reading.source(tensor, node)
    if isinstance(other, torch.fx.Node) and other in reading.layer_of:
        rules.multiplied(reading, place, source, reading.source(other, node))
        return
    _times_constant(reading, node, tensor, reading.constant_of.get(other, other))


def _times_constant(reading: TorchReading, node: torch.fx.Node, tensor: torch.fx.Node, constant: object) -> None:
    place, source = reading.place(node), reading.source(tensor, node)
    values = np.asarray(constant if isinstance(constant, np.ndarray | float | int) else np.nan, dtype=np.float64)
    channels = source.shape[0]
    if values.size > 1 and values.size == channels == values.reshape(-1).size and len(source.shape) > 1:
        spread = (1,) * (len(sizes_of(node)) - values.ndim) + values.shape
        if reading.axis(tensor, spread.index(channels)) == 0:
            scale = values.reshape(-1)
            rules.scaled_channels(reading, place, source, scale, np.zeros_like(scale), fallback="scale")
            return
    rules.factored(reading, place, source, number(constant, place))


def _divide(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments, place = arguments_of(node), reading.place(node)
    if arguments["other"] in reading.layer_of:
        raise NetworkError(f"div in {place.where} divides by an activation: only division by a constant can be read")
    divisor = number(reading.constant_of.get(arguments["other"], arguments["other"]), place)
    if divisor == 0:
        raise NetworkError(f"div in {place.where} divides by 0")
    rules.factored(reading, place, reading.source(arguments["self"], node), 1 / divisor)


def _negate(reading: TorchReading, node: torch.fx.Node) -> None:
    rules.factored(reading, reading.place(node), reading.source(node.args[0], node), -1.0)


def _power(reading: TorchReading, node: torch.fx.Node) -> None:
    arguments = arguments_of(node)
    if arguments["exponent"] != 2:
        raise NetworkError(f"pow by {arguments['exponent']} in {where(node)} cannot be read: only squares can")
    source = reading.source(arguments["self"], node)
    rules.multiplied(reading, reading.place(node), source, source)


def _simple(activation: FunctionActivation) -> Reader:
    def read(reading: TorchReading, node: torch.fx.Node) -> None:
        rules.function(reading, reading.place(node), reading.source(node.args[0], node), activation)

    return read


FUNCTION_READERS: dict[str, Reader] = {
    **dict.fromkeys(("softmax", "_softmax"), _softmax),
    "div": _divide,
    "gelu": _gelu,
    "hardsigmoid": _simple(HardSigmoid()),
    "hardswish": _simple(HardSwish()),
    "layer_norm": _layer_norm,
    "masked_fill": _masked_fill,
    "mul": _multiply,
    "neg": _negate,
    "pow": _power,
    "scaled_dot_product_attention": _attention,
    "sigmoid": _simple(Sigmoid()),
    "silu": _simple(Silu()),
    "tanh": _simple(Tanh()),
    **RECURRENT_READERS,
}
