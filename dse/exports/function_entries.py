"""Entries of the manifest for tables, softmax and layer norm: the integers that `emulation.function_rules` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dse.errors import NotExportableError
from emulation.function_operations import Gelu
from emulation.function_rules import LayerNormRule, SoftmaxRule, TableRule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emulation.hardware import HardwareLayer
    from emulation.network import Layer

    WriteFile = Callable[[Layer, str, Sequence[int]], dict[str, Any]]


def function_entry(hardware_layer: HardwareLayer, write: WriteFile) -> dict[str, Any]:
    """What hardware needs of a layer that is no sum of products; nothing for all other layers.

    A table lists the integers of the output by the code of the input. The constants of softmax and layer norm have the
    names and meanings of `kernels.integer_constants`; gains and offsets belong to features, in order.

    Args:
        hardware_layer: the layer.
        write: writes integers to a file named after a layer and a suffix, and says where.

    Raises:
        NotExportableError: for a function that no hardware is described for yet.
    """
    layer, rule = hardware_layer.layer, hardware_layer.function
    match rule:
        case None:
            return {}
        case TableRule(entries=entries):
            return {"function": _name(layer), "table": write(layer, "f", entries) | {"index": "input code"}}
        case SoftmaxRule(fields=fields):
            return {"function": "softmax", "constants": dict(fields._asdict())}
        case LayerNormRule(fields=fields, multipliers=multipliers, offsets=offsets):
            return {
                "function": "layer-norm",
                "constants": dict(fields._asdict()),
                "gains": write(layer, "g", multipliers),
                "offsets": write(layer, "o", offsets),
            }
    raise NotExportableError(
        f"layer {layer.name!r} ({layer.kind}) cannot be exported: its integer execution is defined, but the "
        "manifest does not describe hardware for it yet"
    )


def _name(layer: Layer) -> str:
    if isinstance(layer.activation, Gelu):
        return f"gelu-{layer.activation.form.value}"
    return type(layer.activation).__name__.lower()
