"""The target finn: a model of integers and thresholds, its folding, the script that builds it, and its checks.

What FINN builds ends in the last layer's exact sums; the manifest says how they are requantised.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.errors import StudyError
from dse.exports import finn_script
from dse.exports.comparison import compared
from dse.exports.finn_folding import NODE_NAMES, cycles, engines, folding
from dse.exports.finn_graph import finn_graph
from dse.exports.interpreter import Interpreter
from dse.exports.onnx_execution import INSTALL, executed, missing_packages
from dse.exports.onnx_writer import into_graph
from dse.exports.processes import reason, run
from dse.exports.targets import Target
from dse.exports.verification import Check, Outcome, Status

if TYPE_CHECKING:
    from dse.exports.manifest import Manifest

MODEL_NAME: Final = "model.onnx"
FOLDING_NAME: Final = "folding_config.json"
PYTHON_VARIABLE: Final = "FINN_PYTHON"
"""Names the interpreter of an environment in which finn-plus is installed: it pins versions that others do not want."""
_INSTALL: Final = (
    "finn-plus is not installed: install finn-plus 1.6.1 in an environment of its own and name its interpreter in "
    f"{PYTHON_VARIABLE}"
)


def write_build(manifest: Manifest, folder: Path) -> None:
    """Write model.onnx, foldings by the names of FINN's versions, and build.py.

    Raises:
        NotExportableError: if FINN has no engine for a layer.
        StudyError: if the package onnx is missing.
    """
    if importlib.util.find_spec("onnx") is None:
        raise StudyError(f"writing an ONNX model needs the package onnx: {INSTALL}")
    (folder / MODEL_NAME).write_bytes(finn_graph(manifest).SerializeToString(deterministic=True))
    for name, (matrix, channels) in NODE_NAMES.items():
        _write_json(folder / name, folding(manifest, matrix, channels))
    # The names above are those of engines in C++; FINN also has some in Verilog.
    _write_json(folder / "specialize_layers_config.json", _STYLES)
    (folder / "build.py").write_bytes(Path(finn_script.__file__).read_bytes())


def execute(manifest: Manifest, folder: Path) -> Outcome:
    """Run the golden vectors through QONNX's executor, requantise the last sums, and compare every layer."""
    missing = missing_packages()
    if missing:
        return Outcome(status=Status.NOT_VERIFIED, text=missing)
    vectors = manifest.entries["vectors"]
    given = into_graph(manifest.rows(vectors["input"])[vectors["golden"]], manifest.layers[0], manifest.layers)
    outputs = executed(folder / MODEL_NAME, given, manifest)
    if isinstance(outputs, str):
        return Outcome(status=Status.FAILED, text=outputs)
    last = manifest.layers[-1]
    if "out_type" in last:
        sums = outputs[last["name"]].reshape(len(given), *last["shape"])
        cast = Interpreter(manifest).requantise(last, np.rint(sums).astype(np.int64))
        outputs[last["name"]] = np.asarray(cast, dtype=np.float64).reshape(len(given), -1)
    return compared(manifest, "FINN's model in QONNX's executor", outputs, vectors["golden"])


def estimate(manifest: Manifest, folder: Path) -> Outcome:
    """Let FINN read the model and the folding, and compare the cycles it expects of each engine."""
    python = os.environ.get(PYTHON_VARIABLE) or (sys.executable if importlib.util.find_spec("finn") else "")
    if not python:
        return Outcome(status=Status.NOT_VERIFIED, text=_INSTALL)
    target = manifest.entries["target"]
    settings = ["--estimates", "--part", target["part"], "--clock-ns", str(target["clock_ns"])]
    with tempfile.TemporaryDirectory(prefix="finn-") as scratch:
        output = Path(scratch) / "build"
        places = ["--folder", str(folder.resolve()), "--output", str(output)]
        command = [python, str(Path(finn_script.__file__)), *places, *settings]
        ended = run(command, Path(scratch))
        report = output / "report" / "estimate_layer_cycles.json"
        if ended.returncode or not report.exists():
            return Outcome(status=Status.FAILED, text=f"FINN does not build the model: {reason(ended)}")
        found = json.loads(report.read_text(encoding="utf-8"))
    expected = {name: cycles(entry) for name, entry in engines(manifest, *NODE_NAMES[FOLDING_NAME])}
    wrong = [
        f"{name} takes {found.get(name)} cycles, not {count}"
        for name, count in expected.items()
        if found.get(name) != count
    ]
    text = f"FINN's estimates: {len(expected)} engines, {len(wrong)} with other cycles than the design"
    return Outcome(status=Status.FAILED if wrong else Status.PASSED, text="; ".join([text, *wrong[:4]]))


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


_STYLES: Final[dict[str, Any]] = {"Defaults": {"preferred_impl_style": ["hls", ["MVAU", "VVAU"]]}}

TARGET: Final = Target(
    name="finn",
    description="a model of integers and thresholds for FINN (finn-plus 1.6.1), its folding, and a build script",
    how_to_run="python build.py --estimates --part xc7z020clg400-1 --clock-ns 10",
    write=write_build,
    checks=(Check(name="execution", run=execute), Check(name="estimates", run=estimate)),
)
