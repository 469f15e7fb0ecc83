"""HLS-ready parameters of a design: manifest.json, integer weights, and golden vectors.

The manifest is the single source of truth; every number in it is an integer but the units, which say what integers mean
to people. The same design gives the same bytes: no time, no absolute path, no machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dse.errors import StudyError
from dse.preparation import network_hash
from dse.streams import reads_its_stream, stream_orders, stream_shape, streamed_weight
from emulation.execution import accumulate, execute_layer, trace
from emulation.formats import FixedPoint, Format, MiniFloat, Sign
from emulation.hardware import SEMANTICS, HardwareLayer, HardwareNetwork, Requantiser
from emulation.network import AveragePool, Concat, Convolution, Layer, MatMul, MaxPool, Relu, Transpose
from emulation.quantisers import ScaledQuantiser, code_of
from hwmodels.accumulators import range_bits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dse.designs import Design, Part
    from dse.preparation import Prepared
    from hwmodels.devices import Device

MANIFEST_SCHEMA = 1
UNBOUNDED = 1 << 60
"""Saturation bounds no calibration sample reaches; still 64-bit."""
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
        StudyError: if the folder exists and is not empty, or cannot be written.
    """
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
        self.tensors = trace(self.hardware, self.hardware.input.integers(samples))

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
                **_edge(self.hardware.edges[inputs.name]),
            },
            "output": {"layer": self.names[self.network.output], "unit": self.hardware.output_unit},
            "layers": layers,
            "estimate": {
                **_resources(list(self.design.parts)),
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
            **_geometry(layer),
            "output": _edge(hardware_layer.output),
            "observed": self._observed(hardware_layer),
        }
        if isinstance(layer.operation, Concat):
            is_image = stream_shape(layer, self.orders[layer.name]) != layer.shape
            entry["axis"] = (layer.operation.axis - 1) % len(layer.shape) if is_image else layer.operation.axis
        if not reads_its_stream(self.network, layer, self.orders):
            entry["reorder_inputs"] = True
        if hardware_layer.weight is not None and hardware_layer.second is not None:
            entry |= self._engine(hardware_layer, hardware_layer.weight, hardware_layer.second)
        elif isinstance(layer.operation, MatMul):
            entry |= {"depth": self.network.depth(layer), "acc_type": self._accumulator(hardware_layer)}
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
        layer = hardware_layer.layer
        streamed = streamed_weight(layer, weight, self.orders[layer.inputs[0]])
        codes = [_stored(int(value), quantiser) for value in streamed.reshape(-1).tolist()]
        layout = "in,out" if streamed.ndim == 2 else ",".join(("kh", "kw")[: streamed.ndim - 2]) + ",in,out"
        entry: dict[str, Any] = {
            "outputs": layer.outputs,
            "depth": self.network.depth(layer),
            "weight": {
                **self._file(layer, "w", codes),
                "type": _type(quantiser.format),
                "zero_point": quantiser.zero_point,
                "layout": layout,
                "shape": list(streamed.shape),
            },
            "acc_type": self._accumulator(hardware_layer),
        }
        if hardware_layer.bias is not None:
            entry["bias"] = self._file(layer, "b", hardware_layer.bias)
        return entry

    def _accumulator(self, hardware_layer: HardwareLayer) -> dict[str, Any]:
        """The declared width is the worst case of these weights; beside it the worst case of the formats alone."""
        bits = self.hardware.accumulator_bits(hardware_layer)
        layer = hardware_layer.layer
        operands = [self.hardware.edges[edge].grid for edge in self.network.input_edges(layer)]
        if hardware_layer.second is not None:
            operands.append(hardware_layer.second.grid)
        largest = [max(-grid.low, grid.high) for grid in operands]
        format_bits = (self.network.depth(layer) * largest[0] * largest[1]).bit_length() + 1
        return {"bits": bits, "signed": True, "overflow": "NEVER", "worst_case_bits": format_bits}

    def _observed(self, hardware_layer: HardwareLayer) -> dict[str, int]:
        """Extremes of a layer's integers on the calibration samples, and how often its output had to saturate."""
        layer = hardware_layer.layer
        values = self.tensors[layer.name]
        found = {"minimum": int(values.min()), "maximum": int(values.max())}
        if hardware_layer.requantiser is None:
            return found
        sums = accumulate(hardware_layer, [self.tensors[name] for name in layer.inputs])
        grid = hardware_layer.output.grid
        # Without the format's bounds the same layer shows what they cut off; clipping by ReLU is no saturation.
        open_rule = dataclasses.replace(hardware_layer.requantiser, low=-UNBOUNDED, high=UNBOUNDED)
        free = execute_layer(
            dataclasses.replace(hardware_layer, requantiser=open_rule), [self.tensors[name] for name in layer.inputs]
        )
        clipped_below = isinstance(layer.activation, Relu)
        saturated = int((free > grid.high).sum()) + (0 if clipped_below else int((free < grid.low).sum()))
        return found | {
            "acc_min": int(sums.min()),
            "acc_max": int(sums.max()),
            "sat_count": saturated,
            "wrap_count": 0,
            "samples": len(values),
        }

    def _requantise(self, layer: Layer, rule: Requantiser) -> dict[str, Any]:
        """``round(A * mult * 2**-shift)``, saturated: the multipliers, the shift and the type that results."""
        single = len(rule.multipliers) == 1
        entry: dict[str, Any] = {
            "mult": rule.multipliers[0] if single else self._file(layer, "m", rule.multipliers),
            "shift": rule.shift,
            "out_type": {
                **_type(self.hardware.edges[self.network.edge_of(layer.name)].format),
                "rounding": rule.rounding.name.lower().replace("_", "-"),
                "overflow": "SAT",
                "low": rule.low,
                "high": rule.high,
                "grid": "integer" if rule.mantissa_bits < 0 else {"mantissa_bits": rule.mantissa_bits},
            },
        }
        if rule.negative_multipliers is not None:
            entry["negative_mult"] = self._file(layer, "n", rule.negative_multipliers)
        return entry

    def _folding(self, layer: Layer) -> dict[str, Any]:
        parts = [part for part in self.design.parts if part.layer == layer.name]
        if not parts:
            return {}
        folding = next((part.folding for part in parts if part.folding is not None), None)
        lanes = max(part.lanes for part in parts)
        entry: dict[str, Any] = {"estimate": _resources(parts)}
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
        tensors = trace(self.hardware, self.hardware.input.integers(samples))
        (self.folder / "tb_data").mkdir()
        entry: dict[str, Any] = {"count": len(samples), "order": "stream", "stored": "integer"}
        for role, name in (("input", self.network.layers[0].name), ("output", self.network.output)):
            rows = tensors[name].reshape(len(samples), -1)[:, self.orders[name]]
            content = "".join(" ".join(map(str, row)) + "\n" for row in rows.tolist()).encode()
            path = f"tb_data/{'in' if role == 'input' else 'out'}.txt"
            (self.folder / path).write_bytes(content)
            entry[role] = {"file": path, "sha256": hashlib.sha256(content).hexdigest()}
        return entry


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


def _stored(integer: int, quantiser: ScaledQuantiser) -> int:
    """What a weight file holds: the integer itself for integer formats, the code for minifloats."""
    if isinstance(quantiser.format, FixedPoint):
        return integer + quantiser.zero_point
    return code_of(integer, quantiser.format)


def _type(number_format: Format) -> dict[str, Any]:
    """A format as fields: integers hold their value, minifloats their code."""
    if isinstance(number_format, MiniFloat):
        return {
            "format": str(number_format),
            "bits": number_format.width,
            "signed": number_format.sign is Sign.SIGNED,
            "stored": "code",
            "exponent_bits": number_format.exponent_bits,
            "mantissa_bits": number_format.mantissa_bits,
            "bias": number_format.resolved_bias,
            "unit_exponent": number_format.unit_exponent,
            "largest_magnitude_code": number_format.largest_magnitude_code,
        }
    return {
        "format": str(number_format),
        "bits": number_format.width,
        "signed": number_format.sign is Sign.SIGNED,
        "stored": "integer",
    }


def _edge(quantiser: ScaledQuantiser) -> dict[str, Any]:
    return {
        "type": _type(quantiser.format),
        "zero_point": quantiser.zero_point,
        "unit": float(quantiser.unit[0]),
        "scale_exp": _power_of_two(float(quantiser.unit[0])),
    }


def _power_of_two(unit: float) -> int | None:
    """The exponent of a unit that is a power of two, which targets without dyadic multipliers ask for."""
    mantissa, exponent = math.frexp(unit)
    return exponent - 1 if mantissa == 0.5 else None


def _geometry(layer: Layer) -> dict[str, Any]:
    operation = layer.operation
    entry: dict[str, Any] = {}
    if isinstance(operation, Convolution | MaxPool | AveragePool):
        window = operation.window
        entry |= {
            "kernel": list(window.kernel),
            "stride": list(window.stride),
            "padding": [list(sides) for sides in window.padding],
            "dilation": list(window.dilation),
        }
    if isinstance(operation, Convolution):
        entry["groups"] = operation.groups
    if isinstance(operation, Transpose):
        entry["order"] = list(operation.order)
    return entry


def _resources(parts: Sequence[Part]) -> Mapping[str, float]:
    return {
        "luts": sum(part.cost.luts for part in parts),
        "flip_flops": sum(part.cost.flip_flops for part in parts),
        "dsps": sum(part.cost.dsps for part in parts),
        "bram18s": sum(part.cost.bram18s for part in parts),
    }
