"""HLS-ready parameters of a design: manifest.json, integer weights, and golden vectors.

The manifest is the single source of truth; every number in it is an integer but the units, which say what integers mean
to people. The same design gives the same bytes: no time, no absolute path, no machine.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dse.errors import StudyError
from dse.manifest_engines import accumulator_entry, observed, product_entry, takes_inputs_in_order
from dse.manifest_functions import function_entry
from dse.manifest_types import (
    block_grid_entry,
    edge_entry,
    geometry,
    resources,
    rounding_grid,
    stored,
    type_entry,
)
from dse.preparation import network_hash
from dse.streams import channels_last, reads_its_stream, stream_orders, stream_shape, streamed_weight
from emulation.block_tensors import BlockTensor
from emulation.codes import scale_code_of
from emulation.execution import trace
from emulation.formats import BlockScaled
from emulation.hardware import SEMANTICS, HardwareLayer, HardwareNetwork, Requantiser
from emulation.network import Concat, Layer, Linear, MatMul
from hwmodels.accumulators import range_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dse.designs import Design
    from dse.preparation import Prepared
    from emulation.execution import Tensor
    from emulation.quantisers import ScaledQuantiser
    from hwmodels.devices import Device

MANIFEST_SCHEMA = 1
VECTOR_COUNT = 32
"""Validation samples written as golden vectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export wrote."""

    folder: Path
    files: int
    vectors: int


def export_design(prepared: Prepared, device: Device, design: Design, folder: Path) -> Exported:
    """Write the parameters of a design.

    The folder appears complete or not at all: everything is written beside it first and then renamed.

    Raises:
        StudyError: if the design shares an array, or the folder exists and is not empty, or cannot be written.
    """
    if design.array is not None:
        raise StudyError(
            f"design {design.name} executes its layers one after another on a shared array ({design.array}), and the "
            "export describes a stream with an engine per layer: nothing was written. Export a design of a study with "
            '[architecture] kind = "streaming"'
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError(f"{folder} exists and is not empty: nothing was written. Choose another folder, or empty it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise StudyError(f"{folder} cannot be written ({error.strerror}): choose a folder you may write to") from error
    try:
        scratch.chmod(0o755)
        writer = _Writer(prepared, device, design, scratch)
        manifest = writer.manifest()
        (scratch / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        files = sum(path.is_file() for path in scratch.rglob("*"))
        if folder.exists():
            folder.rmdir()
        os.replace(scratch, folder)
    except BaseException as error:
        shutil.rmtree(scratch, ignore_errors=True)
        if isinstance(error, OSError):
            raise StudyError(f"{folder} cannot be written ({error.strerror}): nothing was left there") from error
        raise
    return Exported(folder=folder, files=files, vectors=manifest["vectors"]["count"])


class _Writer:
    """Writes the files of one design and collects the manifest."""

    def __init__(self, prepared: Prepared, device: Device, design: Design, folder: Path) -> None:
        self.prepared = prepared
        self.network = prepared.network
        self.device = device
        self.design = design
        self.folder = folder
        self.hardware: HardwareNetwork = prepared.calibrated.lower(design.formats)
        self.orders = stream_orders(self.network)
        self.names = file_names([layer.name for layer in self.network.layers])
        samples = prepared.calibration.inputs
        self.tensors = trace(self.hardware, self.hardware.cast_samples(samples))

    def manifest(self) -> dict[str, Any]:
        """The manifest; weight and vector files are written on the way."""
        (self.folder / "weights").mkdir()
        layers = [self._layer(one) for one in self.hardware.layers]
        inputs = self.network.layers[0]
        return {
            "schema": MANIFEST_SCHEMA,
            "tool": {"name": "bitfront", "version": importlib.metadata.version("bitfront"), "semantics": SEMANTICS},
            "design": self.design.name,
            "network": self.network.name,
            "seed": None,
            "model_sha256": network_hash(self.network),
            "target": {
                "part": self.device.name,
                "clock_ns": 1000.0 / self.prepared.config.device.clock_mhz,
                "io": "stream",
            },
            "input": {
                "shape": list(stream_shape(inputs, self.orders[inputs.name])),
                "layout": "NHWC",
                "size": inputs.elements,
                **edge_entry(self.hardware.edges[inputs.name]),
            },
            "output": {"layer": self.names[self.network.output], "unit": self.hardware.output_unit},
            "layers": layers,
            "estimate": {
                **resources(list(self.design.parts)),
                "interval_cycles": self.design.interval_cycles,
                "latency_cycles": self.design.latency_cycles,
                "utilisation": self.design.utilisation,
            },
            "vectors": self._vectors(),
            "verified": [],
            "not_verified": ["g++ csim", "vendor synthesis", "timing"],
        }

    def _layer(self, hardware_layer: HardwareLayer) -> dict[str, Any]:
        layer = hardware_layer.layer
        entry: dict[str, Any] = {
            "name": self.names[layer.name],
            "source_name": layer.name,
            "op": layer.kind,
            "inputs": [self.names[name] for name in layer.inputs],
            "shape": list(stream_shape(layer, self.orders[layer.name])),
            "in_size": sum(self.network.by_name[name].elements for name in layer.inputs),
            "out_size": layer.elements,
            **geometry(layer),
            "output": edge_entry(hardware_layer.output),
            "observed": observed(
                hardware_layer, [self.tensors[name] for name in layer.inputs], self.tensors[layer.name]
            ),
        }
        if isinstance(layer.operation, Concat):
            is_image = stream_shape(layer, self.orders[layer.name]) != layer.shape
            entry["axis"] = (layer.operation.axis - 1) % len(layer.shape) if is_image else layer.operation.axis
        if not reads_its_stream(self.network, layer, self.orders):
            entry["reorder_inputs"] = True
        entry |= function_entry(hardware_layer, self._file)
        entry |= product_entry(hardware_layer.engine)
        if hardware_layer.weight is not None and hardware_layer.second is not None:
            entry |= self._engine(hardware_layer, hardware_layer.weight, hardware_layer.second)
        elif isinstance(layer.operation, MatMul):
            entry |= {
                "depth": self.network.depth(layer),
                "acc_type": accumulator_entry(self.hardware, hardware_layer),
            }
        if hardware_layer.addend_multipliers:
            entry["addend_multipliers"] = list(hardware_layer.addend_multipliers)
        if hardware_layer.requantiser is not None:
            entry |= self._requantise(layer, hardware_layer.requantiser)
        if hardware_layer.part_requantisers:
            entry["parts"] = [self._requantise(layer, rule) for rule in hardware_layer.part_requantisers]
        entry |= self._folding(layer)
        return entry

    def _engine(
        self, hardware_layer: HardwareLayer, weight: NDArray[Any], quantiser: ScaledQuantiser
    ) -> dict[str, Any]:
        layer, engine = hardware_layer.layer, hardware_layer.engine
        order, entry = self.orders[layer.inputs[0]], dict[str, Any]()
        natural = np.arange(len(order))
        if takes_inputs_in_order(engine) and isinstance(layer.operation, Linear) and len(order) == weight.shape[1]:
            # Blocks and chunks count in the network's own order: inputs are put into it, not weights out of it.
            if not np.array_equal(order, natural):
                entry["input_order"] = self._file(layer, "i", np.argsort(order).tolist())
            order = natural
        streamed = streamed_weight(layer, weight, order)
        layout = "in,out" if streamed.ndim == 2 else ",".join(("kh", "kw")[: streamed.ndim - 2]) + ",in,out"
        described = {
            **self._file(layer, "w", stored(streamed, quantiser)),
            "type": type_entry(quantiser.format),
            "zero_point": quantiser.zero_point,
            "layout": layout,
            "shape": list(streamed.shape),
        }
        if quantiser.tables is not None:
            tables = self._file(layer, "t", quantiser.tables.reshape(-1).tolist())
            described["tables"] = {**tables, "layout": "channel,code", "shape": list(quantiser.tables.shape)}
        if engine is not None and engine.weight_scales is not None and isinstance(quantiser.format, BlockScaled):
            scales = streamed_weight(layer, engine.weight_scales, np.arange(engine.weight_scales.shape[1]))
            codes = [scale_code_of(int(scale), quantiser.format) for scale in scales.reshape(-1).tolist()]
            described["scales"] = {
                **self._file(layer, "s", codes),
                "layout": layout.replace("in", "block"),
                "shape": list(scales.shape),
            }
        entry |= {
            "outputs": layer.outputs,
            "depth": self.network.depth(layer),
            "weight": described,
            "acc_type": accumulator_entry(self.hardware, hardware_layer),
        }
        if hardware_layer.bias is not None:
            entry["bias"] = self._file(layer, "b", hardware_layer.bias)
        return entry

    def _requantise(self, layer: Layer, rule: Requantiser) -> dict[str, Any]:
        """``round(A * mult * 2**-shift)``, saturated: the multipliers, the shift and the type that results.

        Blocks are cast from the exact number instead, which ReLU bounds first: by 0 below, by ``ceiling`` above.
        """
        single = len(rule.multipliers) == 1
        entry: dict[str, Any] = {
            "mult": rule.multipliers[0] if single else self._file(layer, "m", rule.multipliers),
            "shift": rule.shift,
            "out_type": {
                **type_entry(self.hardware.edges[self.network.edge_of(layer.name)].format),
                "rounding": rule.rounding.name.lower().replace("_", "-"),
                "overflow": "SAT",
                "low": rule.low,
                "high": rule.high,
                "grid": rounding_grid(rule.mantissa_bits, rule.least),
            },
        }
        if rule.levels is not None:
            entry["out_type"]["grid"] = {"levels": list(rule.levels), "midpoints": "smaller magnitude, else positive"}
        if rule.blocks is not None:
            entry["out_type"]["grid"] = {"blocks": block_grid_entry(rule.blocks)}
            entry["out_type"]["ceiling"] = rule.ceiling
        if rule.negative_multipliers is not None:
            entry["negative_mult"] = self._file(layer, "n", rule.negative_multipliers)
        return entry

    def _folding(self, layer: Layer) -> dict[str, Any]:
        parts = [part for part in self.design.parts if part.layer == layer.name]
        if not parts:
            return {}
        folding = next((part.folding for part in parts if part.folding is not None), None)
        lanes = max(part.lanes for part in parts)
        entry: dict[str, Any] = {"estimate": resources(parts)}
        if folding is not None:
            entry |= {
                "pe": folding.pe,
                "simd": folding.simd,
                "multipliers": folding.multipliers.value,
                "weight_memory": folding.weight_memory.value,
            }
        elif lanes:
            entry["lanes"] = lanes
        return entry

    def _file(self, layer: Layer, suffix: str, values: Sequence[int]) -> dict[str, Any]:
        """Write integers, one per line, and say where and with which hash."""
        path = f"weights/{self.names[layer.name]}_{suffix}.txt"
        content = "".join(f"{value}\n" for value in values).encode()
        (self.folder / path).write_bytes(content)
        low, high = min(values, default=0), max(values, default=0)
        bits = range_bits(low, high) if low < 0 else max(int(high).bit_length(), 1)
        digest = hashlib.sha256(content).hexdigest()
        return {"file": path, "count": len(values), "type": {"bits": bits, "signed": low < 0}, "sha256": digest}

    def _vectors(self) -> dict[str, Any]:
        """Golden input and output integers of some validation samples, one sample per line, in stream order."""
        samples = self.prepared.validation.inputs[:VECTOR_COUNT]
        tensors = trace(self.hardware, self.hardware.cast_samples(samples))
        (self.folder / "tb_data").mkdir()
        entry: dict[str, Any] = {"count": len(samples), "order": "stream", "stored": "integer"}
        for role, name in (("input", self.network.layers[0].name), ("output", self.network.output)):
            path = f"tb_data/{'in' if role == 'input' else 'out'}"
            tensor: Tensor = tensors[name]
            elements = tensor.elements if isinstance(tensor, BlockTensor) else tensor
            entry[role] = self._vector_file(f"{path}.txt", elements.reshape(len(samples), -1)[:, self.orders[name]])
            if isinstance(tensor, BlockTensor):
                shape = self.network.by_name[name].shape
                is_image = stream_shape(self.network.by_name[name], self.orders[name]) != shape
                scales = tensor.scales.reshape(len(samples), -1)
                order = channels_last(tensor.scales.shape[1:]) if is_image else np.arange(scales.shape[1])
                entry[role]["scales"] = self._vector_file(f"{path}_scales.txt", scales[:, order])
        return entry

    def _vector_file(self, path: str, rows: NDArray[Any]) -> dict[str, Any]:
        content = "".join(" ".join(map(str, row)) + "\n" for row in rows.tolist()).encode()
        (self.folder / path).write_bytes(content)
        return {"file": path, "sha256": hashlib.sha256(content).hexdigest()}


def file_names(names: Sequence[str]) -> dict[str, str]:
    """Names of letters, digits and underscores, one per layer, as near to the layer's own as possible.

    They differ by more than case, for file systems that ignore it. Cut into longer identifiers (``stem_conv_w``) they
    are no keyword of C++ or Verilog.

    >>> file_names(["stem.conv", "stem_conv", "../etc"])
    {'stem.conv': 'stem_conv', 'stem_conv': 'stem_conv_2', '../etc': 'etc'}
    """
    result: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        stem = re.sub(r"[^a-zA-Z0-9]+", "_", name).strip("_")[:60] or "layer"
        stem = f"layer_{stem}" if stem[0].isdigit() else stem
        safe, count = stem, 2
        while safe.lower() in taken:
            safe, count = f"{stem}_{count}", count + 1
        taken.add(safe.lower())
        result[name] = safe
    return result
