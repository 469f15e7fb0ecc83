"""The target hls4ml: layers, types and weights of a design, and the script that makes a project of them.

Weights are on the grid of their types, so hls4ml's decimal texts are exact; every sum is exact, and every edge is cast
once, half to even and saturating. Channels are last. Networks with windows stream: hls4ml 1.3.0's parallel convolutions
compute wrong sums, silently, where a reuse factor exceeds the inputs of one output.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dse.exports import hls4ml_convert
from dse.exports.hls4ml_check import CHECKS
from dse.exports.hls4ml_layers import hls4ml_nodes
from dse.exports.real_layers import real_layers
from dse.exports.targets import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse.exports.hls4ml_layers import Node
    from dse.exports.manifest import Manifest

CONFIG_NAME: Final = "hls4ml_config.json"
PROJECT_NAME: Final = "network"


def write_project(manifest: Manifest, folder: Path) -> None:
    """Write hls4ml_config.json, layers.json, weights.npz and convert.py.

    Raises:
        NotExportableError: if hls4ml cannot express a layer.
    """
    nodes = hls4ml_nodes(real_layers(manifest))
    _write_json(folder / CONFIG_NAME, _config(manifest, nodes))
    _write_json(folder / "layers.json", [dict(node.attributes) for node in nodes])
    arrays: dict[str, Any] = {
        f"{node.attributes['name']}.{attribute}": values for node in nodes for attribute, values in node.arrays.items()
    }
    np.savez(folder / "weights.npz", **arrays)
    (folder / "convert.py").write_bytes(Path(hls4ml_convert.__file__).read_bytes())


def _config(manifest: Manifest, nodes: Sequence[Node]) -> dict[str, Any]:
    """The configuration as hls4ml takes it, but for where the project goes."""
    has_windows = any("kernel" in layer for layer in manifest.layers)
    target = manifest.entries["target"]
    return {
        "Backend": "Vitis",
        "ProjectName": PROJECT_NAME,
        "Part": target["part"],
        "ClockPeriod": target["clock_ns"],
        "IOType": "io_stream" if has_windows else "io_parallel",
        "HLSConfig": {
            # Nothing has the default type: each layer names its own.
            "Model": {"Precision": {"default": "ap_fixed<16,6>"}, "ReuseFactor": 1, "Strategy": "Latency"},
            "LayerName": {node.attributes["name"]: dict(node.config) for node in nodes},
        },
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


TARGET: Final = Target(
    name="hls4ml",
    description="layers, types and weights for hls4ml 1.3.0, which makes a Vitis HLS project of them",
    how_to_run=(
        "python convert.py --output project  # writes the project\n"
        "python convert.py --simulate  # and compiles it and runs the golden vectors"
    ),
    write=write_project,
    checks=CHECKS,
)
