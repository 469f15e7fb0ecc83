"""Execute this folder's model with QONNX's own executor and compare it with the golden outputs: python execute.py.

Needs qonnx, onnx and onnxruntime; qonnx 1.0.0, onnx 1.21.0 and onnxruntime 1.25.1 are what was tried.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def execute(path: Path, given: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """All tensors of a model by name, and the output once more by the name ``""``.

    Args:
        path: the model, whose batch size is changed to that of the inputs.
        given: the inputs, batch first.
    """
    import onnx
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.change_batchsize import ChangeBatchSize
    from qonnx.transformation.infer_shapes import InferShapes

    model = ModelWrapper(onnx.load(path)).transform(ChangeBatchSize(len(given))).transform(InferShapes())
    tensors = dict(execute_onnx(model, {model.graph.input[0].name: given}, return_full_exec_context=True))
    return {**tensors, "": tensors[model.graph.output[0].name]}


def main() -> None:
    """The command line."""
    folder = Path(__file__).resolve().parent
    given, expected = np.load(folder / "input.npy"), np.load(folder / "output.npy")
    differences = int((execute(folder / "model.onnx", given)[""] != expected).sum())
    sys.stdout.write(f"{len(given)} vectors, {expected.size} outputs, {differences} differences\n")
    raise SystemExit(1 if differences else 0)


if __name__ == "__main__":
    main()
