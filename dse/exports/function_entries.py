"""Entries of the manifest for layers that are no sums of products: the integers of `emulation.function_rules`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dse.errors import NotExportableError
from dse.exports.engine_entries import exact_entry
from dse.exports.type_entries import type_entry
from emulation.function_operations import Gelu
from emulation.function_rules import FunctionRule, GeluRule, LayerNormRule, LstmRule, SoftmaxRule, TableRule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emulation.hardware import HardwareLayer
    from emulation.network import Layer

    WriteFile = Callable[[Layer, str, Sequence[int]], dict[str, Any]]


def function_entry(hardware_layer: HardwareLayer, rule: FunctionRule, largest: int, write: WriteFile) -> dict[str, Any]:
    """What hardware needs of a layer that is no sum of products.

    A table lists the integers of the output by the code of the input. The constants of softmax, layer norm and the
    polynomial GELU have the names and meanings of `kernels.integer_constants`; gains and offsets belong to features, in
    order.

    Args:
        hardware_layer: the layer.
        rule: its function.
        largest: the greatest magnitude of an integer it reads.
        write: writes integers to a file named after a layer and a suffix, and says where.
    """
    layer = hardware_layer.layer
    match rule:
        case TableRule(entries=entries):
            return {"function": _name(layer), "table": write(layer, "f", entries) | {"index": "input code"}}
        case GeluRule(fields=gelu):
            return {"function": _name(layer), "constants": dict(gelu._asdict())}
        case SoftmaxRule(fields=softmax):
            return {"function": "softmax", "constants": dict(softmax._asdict())}
        case LayerNormRule(fields=norm, multipliers=multipliers, offsets=offsets):
            return {
                "function": "layer-norm",
                "constants": dict(norm._asdict()),
                "gains": write(layer, "g", multipliers),
                "offsets": write(layer, "o", offsets),
            }
        case LstmRule():
            return {"function": "lstm", "lstm": _lstm_entry(hardware_layer, rule, largest, write)}


def _name(layer: Layer) -> str:
    if isinstance(layer.activation, Gelu):
        return f"gelu-{layer.activation.form.value}"
    return type(layer.activation).__name__.lower()


def _lstm_entry(hardware_layer: HardwareLayer, rule: LstmRule, largest: int, write: WriteFile) -> dict[str, Any]:
    """`emulation.function_rules.LstmRule` in the words of the manifest; rows are those of the weights' outputs."""
    layer, formats, weight = hardware_layer.layer, rule.formats, hardware_layer.weight
    if weight is None:
        raise NotExportableError(f"layer {layer.name!r} (lstm) has no weights")
    state = max(formats.hidden.largest_integer, -formats.hidden.smallest_integer)
    magnitudes = abs(weight.astype(object))
    sums = [
        int(part.sum(axis=1).max()) * one
        for part, one in ((magnitudes[:, : rule.features], largest), (magnitudes[:, rule.features :], state))
    ]
    inside = {
        "gate": formats.gate,
        "sigmoid": formats.sigmoid,
        "tanh": formats.tanh,
        "cell": formats.cell,
        "cell_index": formats.cell_index,
        "hidden": formats.hidden,
    }
    return {
        "steps": layer.shape[0],
        "features": rule.features,
        "hidden": layer.shape[-1],
        "input_sums": exact_entry(sums[0].bit_length() + 1),
        "state_sums": exact_entry(sums[1].bit_length() + 1),
        "input_mult": write(layer, "xm", rule.input_multipliers),
        "state_mult": write(layer, "hm", rule.hidden_multipliers),
        "bias": write(layer, "c", rule.biases),
        "shift": rule.shift,
        "rounding": rule.rounding.name.lower().replace("_", "-"),
        "sigmoid": write(layer, "sigmoid", rule.sigmoid),
        "tanh": write(layer, "tanh", rule.tanh),
        "cell_tanh": write(layer, "celltanh", rule.cell_tanh),
        "formats": {name: {**type_entry(one), "fraction_bits": one.fraction_bits} for name, one in inside.items()},
    }
