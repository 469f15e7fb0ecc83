"""The base folder of an export: manifest.json, integer weights, and vectors.

The manifest is the single source of truth; every number in it is an integer but the units, which say what integers mean
to people. The same design gives the same bytes: no time, no absolute path, no machine.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dse.errors import StudyError
from dse.exports.engine_entries import observed
from dse.exports.files import IntegerFiles
from dse.exports.folder_readme import README_NAME, folder_readme
from dse.exports.folders import OnExisting, written_whole
from dse.exports.layer_entries import LayerEntries
from dse.exports.manifest import HASH_NAME, MANIFEST_NAME
from dse.exports.names import safe_names
from dse.exports.schema import MANIFEST_SCHEMA
from dse.exports.stimuli import EDGES, VALIDATION_VECTORS, VECTOR_SEED, VECTORS, network_vectors, spread, taken
from dse.exports.streams import stream_orders, stream_shape
from dse.exports.targets import load_target, write_targets
from dse.exports.type_entries import edge_entry, resources
from dse.preparation import network_hash
from emulation.execution import BATCH, accumulate, trace
from emulation.hardware import SEMANTICS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dse.designs import Design
    from dse.preparation import Prepared
    from emulation.block_tensors import EdgeTensor
    from emulation.hardware import HardwareLayer, HardwareNetwork
    from hwmodels.devices import Device

GOLDEN_SAMPLES = 8
"""Validation samples among the vectors whose outputs are written for every layer; as many others join them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote."""

    folder: Path
    files: int
    vectors: int
    targets: tuple[str, ...]


def export_design(
    prepared: Prepared,
    device: Device,
    design: Design,
    folder: Path,
    *,
    targets: Sequence[str] = (),
    on_existing: OnExisting = OnExisting.REFUSE,
) -> Exported:
    """Write the parameters of a design, and translate them into targets.

    The folder appears complete or not at all: everything is written beside it first and then renamed.

    Args:
        prepared: the study's network and data.
        device: what it is built on.
        design: one design of the front.
        folder: where to.
        targets: names of targets, as `dse.exports.targets.load_target` knows them.
        on_existing: what to do if the folder is not empty.

    Raises:
        NotExportableError: if a target cannot express the design.
        StudyError: if the design shares an array, a target is unknown, or the folder is not empty or cannot be written.
    """
    if design.array is not None:
        raise StudyError(
            f"design {design.name} executes its layers one after another on a shared array ({design.array}), and the "
            "export describes a stream with an engine per layer: nothing was written. Export a design of a study with "
            '[architecture] kind = "streaming"'
        )
    wanted = [load_target(name) for name in dict.fromkeys(targets)]
    with written_whole(folder, on_existing) as scratch:
        manifest = _BaseFolder(prepared=prepared, device=device, design=design, folder=scratch).write()
        write_targets(scratch, wanted)
        (scratch / README_NAME).write_text(folder_readme(manifest, wanted), encoding="utf-8")
        files = sum(path.is_file() for path in scratch.rglob("*"))
    names = tuple(target.name for target in wanted)
    return Exported(folder=folder, files=files, vectors=manifest["vectors"]["count"], targets=names)


class _BaseFolder:
    """Writes the files of one design and collects the manifest."""

    def __init__(self, *, prepared: Prepared, device: Device, design: Design, folder: Path) -> None:
        self.prepared = prepared
        self.network = prepared.network
        self.device = device
        self.design = design
        self.hardware: HardwareNetwork = prepared.calibrated.lower(design.formats)
        names = safe_names([layer.name for layer in self.network.layers])
        self.files = IntegerFiles(folder=folder, names=names, orders=stream_orders(self.network))

    def write(self) -> dict[str, Any]:
        """Every file; returns the manifest."""
        manifest = self._manifest()
        content = (json.dumps(manifest, indent=1) + "\n").encode()
        (self.files.folder / MANIFEST_NAME).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        (self.files.folder / HASH_NAME).write_text(f"{digest}  {MANIFEST_NAME}\n", encoding="ascii")
        return manifest

    def _manifest(self) -> dict[str, Any]:
        inputs, names = self.network.layers[0], self.files.names
        layers = self._layers()
        return {
            "schema": MANIFEST_SCHEMA,
            "tool": {"name": "bitfront", "version": importlib.metadata.version("bitfront"), "semantics": SEMANTICS},
            "design": self.design.name,
            "network": self.network.name,
            "seed": VECTOR_SEED,
            "model_sha256": network_hash(self.network),
            "target": {
                "part": self.device.name,
                "clock_ns": 1000.0 / self.prepared.config.device.clock_mhz,
                "io": "stream",
            },
            "names": {safe: name for name, safe in names.items()},
            "input": {
                "shape": list(stream_shape(inputs, self.files.orders[inputs.name])),
                "layout": "NHWC",
                "size": inputs.elements,
                **edge_entry(self.hardware.edges[inputs.name]),
            },
            "output": {"layer": names[self.network.output], "unit": self.hardware.output_unit},
            "layers": layers,
            "estimate": {
                **resources(list(self.design.parts)),
                "interval_cycles": self.design.interval_cycles,
                "latency_cycles": self.design.latency_cycles,
                "utilisation": self.design.utilisation,
            },
            "vectors": self._vectors(layers),
        }

    def _layers(self) -> list[dict[str, Any]]:
        entries = LayerEntries(hardware=self.hardware, parts=self.design.parts, files=self.files)
        seen = trace(self.hardware, self.hardware.cast_samples(self.prepared.calibration.inputs))

        def described(one: HardwareLayer) -> dict[str, Any]:
            inputs = [seen[name] for name in one.layer.inputs]
            return {**entries.entry(one), "observed": observed(one, inputs, seen[one.layer.name])}

        return [described(one) for one in self.hardware.layers]

    def _vectors(self, layers: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Inputs and outputs of the whole design; the outputs of every layer for some of them go to the layers."""
        inputs = network_vectors(self.hardware, self.prepared.validation.inputs)
        validated = min(VALIDATION_VECTORS, len(self.prepared.validation.inputs))
        golden = [
            *spread(validated, GOLDEN_SAMPLES),
            *(validated + place for place in spread(VECTORS - validated - len(EDGES), GOLDEN_SAMPLES - len(EDGES))),
            *range(VECTORS - len(EDGES), VECTORS),
        ]
        tensors = trace(self.hardware, taken(inputs, golden))
        for one, entry in zip(self.hardware.layers, layers, strict=True):
            layer, path = one.layer, f"{entry['name']}_golden"
            entry["golden"] = {"count": len(golden), "output": self.files.stream(path, layer, tensors[layer.name])}
            if one.engine is not None:
                sums = accumulate(one, [tensors[name] for name in layer.inputs])
                entry["golden"]["sums"] = self.files.stream(f"{path}_sums", layer, sums)
        output = self.network.by_name[self.network.output]
        return {
            "count": VECTORS,
            "order": "stream",
            "stored": "integer",
            "validation": validated,
            "edges": list(EDGES),
            "golden": golden,
            "input": self.files.stream("in", self.network.layers[0], inputs),
            "output": self.files.stream("out", output, self._outputs(inputs)),
        }

    def _outputs(self, inputs: EdgeTensor) -> EdgeTensor:
        """The design's outputs, a part of the vectors at a time."""
        parts = [
            trace(self.hardware, taken(inputs, slice(start, start + BATCH)))[self.network.output]
            for start in range(0, VECTORS, BATCH)
        ]
        return np.concatenate(parts)
