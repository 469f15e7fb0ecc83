"""The target qonnx: a model that anybody can execute, and whether QONNX's own executor agrees with the design."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.errors import StudyError
from dse.exports import qonnx_script
from dse.exports.comparison import compared, in_steps
from dse.exports.onnx_execution import INSTALL, executed, missing_packages
from dse.exports.onnx_writer import into_graph
from dse.exports.qonnx_graph import qonnx_graph
from dse.exports.real_layers import real_layers
from dse.exports.targets import Target
from dse.exports.verification import Check, Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest

MODEL_NAME: Final = "model.onnx"


def write_model(manifest: Manifest, folder: Path) -> None:
    """Write model.onnx, golden inputs and outputs as it has them, and execute.py, which compares them.

    Raises:
        NotExportableError: if QONNX cannot express a layer, or float32 would not execute it exactly.
        StudyError: if the package onnx is missing.
    """
    if importlib.util.find_spec("onnx") is None:
        raise StudyError(f"writing an ONNX model needs the package onnx: {INSTALL}")
    (folder / MODEL_NAME).write_bytes(qonnx_graph(real_layers(manifest)).SerializeToString(deterministic=True))
    np.save(folder / "input.npy", _vectors(manifest, "input", manifest.layers[0]))
    np.save(folder / "output.npy", _vectors(manifest, "output", manifest.layers[-1]))
    (folder / "execute.py").write_bytes(Path(qonnx_script.__file__).read_bytes())


def execute(manifest: Manifest, folder: Path) -> Outcome:
    """Run all vectors through QONNX's executor, in float32, and compare every layer."""
    missing = missing_packages()
    if missing:
        return Outcome(status=Status.NOT_VERIFIED, text=missing)
    given = _vectors(manifest, "input", manifest.layers[0])
    outputs = executed(folder / MODEL_NAME, given, manifest)
    if isinstance(outputs, str):
        return Outcome(status=Status.FAILED, text=outputs)
    return compared(manifest, "QONNX execution", in_steps(manifest, outputs), range(len(given)))


def _vectors(manifest: Manifest, role: str, layer: Mapping[str, Any]) -> NDArray[np.float32]:
    """The golden inputs or outputs as the graph has them."""
    rows = manifest.rows(manifest.entries["vectors"][role])
    return into_graph(rows * layer["output"]["unit"], layer, manifest.layers)


TARGET: Final = Target(
    name="qonnx",
    description="an ONNX model with the quantisers of QONNX 1.0.0 (IR version 8, opset 13), exact in float32",
    how_to_run="python execute.py  # runs the golden vectors through QONNX's executor",
    write=write_model,
    checks=(Check(name="execution", run=execute),),
)
