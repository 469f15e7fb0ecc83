"""Executing an exported ONNX model with QONNX's own executor."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Final

from dse.exports.onnx_writer import out_of_graph
from dse.exports.qonnx_script import execute

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest

INSTALL: Final = "pip install qonnx==1.0.0 onnx==1.21.0 onnxruntime==1.25.1"


def missing_packages() -> str:
    """What this machine lacks to execute models, and how to get it."""
    missing = [name for name in ("qonnx", "onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    return f"{', '.join(missing)} not installed: {INSTALL}" if missing else ""


def executed(path: Path, given: NDArray[np.float32], manifest: Manifest) -> dict[str, NDArray[np.float64]] | str:
    """The tensors of all layers, ``(vectors, values)`` in stream order, by safe name; the last layer's is the output.

    Args:
        path: the model.
        given: its inputs, batch first.
        manifest: names the layers.

    Returns:
        Or why the model cannot be executed, in a sentence.
    """
    layers = manifest.layers
    try:
        tensors = execute(path, given)
        tensors[layers[-1]["name"]] = tensors[""]
        return {layer["name"]: out_of_graph(tensors[layer["name"]], layer, layers) for layer in layers}
    except Exception as error:  # a model that was edited may break the tool anywhere
        return f"QONNX cannot execute {path.name}: {error!r}"
