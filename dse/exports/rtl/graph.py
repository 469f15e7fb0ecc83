"""The network of a manifest as `hwmodels` reads networks: operations and shapes, no numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.network import (
    Activate,
    Add,
    AveragePool,
    Convolution,
    Input,
    Layer,
    Linear,
    MaxPool,
    Network,
    Reshape,
    Transpose,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.exports.manifest import Manifest
    from emulation.network import Operation

WINDOWED: Final = frozenset({"convolution", "depthwise", "maxpool", "averagepool"})
_PLAIN: Final[Mapping[str, Operation]] = {
    "input": Input(),
    "linear": Linear(),
    "add": Add(),
    "activate": Activate(),
    "reshape": Reshape(),
}
KNOWN: Final = WINDOWED | _PLAIN.keys() | {"transpose"}
"""Operations between streams that have RTL, or need none."""


def graph_of(manifest: Manifest) -> Network:
    """Layers by safe name; weights are zeros of the right shape, which take no memory.

    Args:
        manifest: of a network of operations in `KNOWN`.
    """
    images = {layer["name"] for layer in manifest.layers if layer["op"] in WINDOWED}
    images |= {name for layer in manifest.layers if layer["op"] in WINDOWED for name in layer["inputs"]}
    layers = tuple(_layer(entry, is_image=entry["name"] in images) for entry in manifest.layers)
    return Network(name="export", layers=layers, output=manifest.entries["output"]["layer"])


def _layer(entry: Mapping[str, Any], *, is_image: bool) -> Layer:
    shape = tuple(entry["shape"])
    weight = None
    if "weight" in entry:
        *kernel, inputs, outputs = entry["weight"]["shape"]
        weight = np.broadcast_to(np.zeros(1), (outputs, inputs, *kernel))
    return Layer(
        name=entry["name"],
        operation=_operation(entry),
        inputs=tuple(entry["inputs"]),
        shape=(shape[-1], *shape[:-1]) if is_image else shape,
        weight=weight,
        bias=np.zeros(1) if "bias" in entry else None,
    )


def _operation(entry: Mapping[str, Any]) -> Operation:
    if entry["op"] in _PLAIN:
        return _PLAIN[entry["op"]]
    if entry["op"] == "transpose":
        return Transpose(order=tuple(entry["order"]))
    window = Window(
        kernel=tuple(entry["kernel"]),
        stride=tuple(entry["stride"]),
        padding=tuple((before, after) for before, after in entry["padding"]),
        dilation=tuple(entry["dilation"]),
    )
    if entry["op"] == "maxpool":
        return MaxPool(window=window)
    if entry["op"] == "averagepool":
        return AveragePool(window=window)
    return Convolution(window=window, groups=entry["groups"])
