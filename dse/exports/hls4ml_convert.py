"""Build the hls4ml project of this folder: python convert.py --help.

Needs hls4ml (1.3.0 is what was tried) and, to simulate, g++. This file, hls4ml_config.json, layers.json and weights.npz
are all there is to it; the golden vectors are those of the export, one folder up.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hls4ml.model import ModelGraph
    from hls4ml.model.layers import Layer
    from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent


def convert(folder: Path, output: Path, *, trace: bool = False) -> ModelGraph:
    """An hls4ml model graph from the files of a folder.

    Args:
        folder: where hls4ml_config.json, layers.json and weights.npz are.
        output: where hls4ml writes its project.
        trace: whether simulation keeps the output of every layer.

    Raises:
        SystemExit: if hls4ml used a type or a reuse factor that is not the promised one.
    """
    from hls4ml.backends import get_backend
    from hls4ml.model import ModelGraph

    settings = json.loads((folder / "hls4ml_config.json").read_text(encoding="utf-8"))
    layers = json.loads((folder / "layers.json").read_text(encoding="utf-8"))
    by_name = {layer["name"]: layer for layer in layers}
    with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
        for key in arrays.files:
            name, attribute = key.split(".")
            by_name[name][attribute] = arrays[key]
    for layer in settings["HLSConfig"]["LayerName"].values():
        layer["Trace"] = trace
    backend = get_backend(settings["Backend"])
    config = backend.create_initial_config(
        part=settings["Part"], clock_period=settings["ClockPeriod"], io_type=settings["IOType"]
    )
    graph = ModelGraph.from_layer_list(config | settings | {"OutputDir": str(output)}, layers)
    promised = settings["HLSConfig"]["LayerName"]
    changed = [line for node in graph.get_layers() if node.name in promised for line in _changed(node, promised)]
    if changed:
        raise SystemExit("hls4ml does not use what hls4ml_config.json says:\n" + "\n".join(changed))
    return graph


def _changed(node: Layer, promised: dict[str, Any]) -> list[str]:
    """What of a node is not as promised."""
    expected, backend = promised[node.name], node.model.config.backend
    found = {"result": node.get_output_variable().type.precision}
    found |= {name.removesuffix("_t"): kind.precision for name, kind in node.types.items() if name != "result_t"}
    lines = []
    for name, text in expected["Precision"].items():
        if name not in found or str(backend.convert_precision_string(text)) != str(found[name]):
            lines.append(f"  {node.name}: {name} is {found.get(name)}, promised {text}")
    if "ReuseFactor" in expected and node.get_attr("reuse_factor") != expected["ReuseFactor"]:
        lines.append(f"  {node.name}: ReuseFactor is {node.get_attr('reuse_factor')}, not {expected['ReuseFactor']}")
    return lines


def vectors(export: Path, role: str) -> NDArray[np.float64]:
    """An export's golden inputs or outputs as real numbers, ``(vectors, values)`` in stream order."""
    manifest = json.loads((export / "manifest.json").read_text(encoding="utf-8"))
    integers = np.loadtxt(export / manifest["vectors"][role]["file"], dtype=np.int64, ndmin=2)
    entry = manifest["input"]
    if role == "output":
        name = manifest["output"]["layer"]
        entry = next(layer["output"] for layer in manifest["layers"] if layer["name"] == name)
    return np.multiply(integers, float(entry["unit"]), dtype=np.float64)


def simulate(export: Path, graph: ModelGraph, results: Path | None) -> int:
    """Compile, run all golden vectors, and count outputs that differ; layers' own outputs go to ``results``."""
    given, expected = vectors(export, "input"), vectors(export, "output")
    if results is None:
        graph.compile()
        outputs = graph.predict(given)
    else:
        outputs, layers = graph.trace(given)
        np.savez(results, **{name: values.reshape(len(given), -1) for name, values in layers.items()})
    differences = int((outputs.reshape(expected.shape) != expected).sum())
    sys.stdout.write(f"{len(given)} vectors, {expected.size} outputs, {differences} differences\n")
    return differences


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the hls4ml project of an export and, if asked, simulate it.")
    parser.add_argument("--folder", type=Path, default=HERE, help="the export's hls4ml folder (default: this one)")
    parser.add_argument("--export", type=Path, default=HERE.parent, help="the export (default: one folder up)")
    parser.add_argument("--output", type=Path, default=Path("project"), help="where the project goes")
    parser.add_argument("--simulate", action="store_true", help="compile with g++ and run the golden vectors")
    parser.add_argument("--results", type=Path, help="write the outputs of all layers to this .npz, with --simulate")
    chosen = parser.parse_args()
    graph = convert(chosen.folder, chosen.output, trace=chosen.results is not None)
    graph.write()
    if chosen.simulate and simulate(chosen.export, graph, chosen.results):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
