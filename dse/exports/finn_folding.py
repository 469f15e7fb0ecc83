"""The folding of a design in FINN's words: which node has how much parallelism, and of what it is made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from dse.exports.real_layers import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dse.exports.manifest import Manifest
    from dse.exports.onnx_writer import Entry

NODE_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "folding_config.json": ("MVAU_hls", "VVAU_hls"),
    "folding_config_before_0.10.json": ("MatrixVectorActivation", "VectorVectorActivation"),
}
"""What FINN calls engines of matrices, and of channels one by one: since 0.10 (finn-plus too), and before."""
_RAM_STYLES: Final = {"auto": "auto", "lutram": "distributed", "bram": "block", "uram": "ultra"}
_WITH_WEIGHTS: Final = frozenset({"convolution", "depthwise", "linear"})


def folding(manifest: Manifest, matrix: str, channels: str) -> dict[str, dict[str, Any]]:
    """The attributes of every engine, by the name that FINN will give it.

    Raises:
        NotExportableError: if parallelism does not divide what it works on, which FINN asks for.
    """
    nodes: dict[str, dict[str, Any]] = {"Defaults": {}}
    for name, entry in engines(manifest, matrix, channels):
        nodes[name] = _attributes(entry)
    return nodes


def engines(manifest: Manifest, matrix: str, channels: str) -> Iterator[tuple[str, Entry]]:
    """FINN's engines in its order, each with the layer that it executes; an average is one of channels."""
    counts = {matrix: 0, channels: 0}
    for entry in manifest.layers:
        if entry["op"] not in _WITH_WEIGHTS | {"averagepool"}:
            continue
        kind = channels if entry["op"] in {"depthwise", "averagepool"} else matrix
        yield f"{kind}_{counts[kind]}", entry
        counts[kind] += 1


def cycles(entry: Entry) -> int:
    """Cycles of a layer's engine for one sample, as FINN counts them."""
    *space, outputs = entry["shape"]
    pe, simd = _parallelism(entry)
    return int(_depth(entry) // simd * (outputs // pe) * math.prod(space))


def _attributes(entry: Entry) -> dict[str, Any]:
    pe, simd = _parallelism(entry)
    outputs, depth = entry["shape"][-1], _depth(entry)
    if outputs % pe or depth % simd:
        raise refuse(
            entry["name"],
            f"pe {pe} of {outputs} outputs and simd {simd} of {depth} inputs do not divide them",
            "choose a folding that does",
        )
    memory = entry.get("weight_memory", "auto")
    is_outside = memory == "offchip"
    found = {
        "PE": pe,
        "SIMD": simd,
        "resType": entry.get("multipliers", "auto"),
        "mem_mode": "external" if is_outside else "internal_decoupled",
        "runtime_writeable_weights": 0,
    }
    return found if is_outside else {**found, "ram_style": _RAM_STYLES[memory]}


def _parallelism(entry: Entry) -> tuple[int, int]:
    """An average adds with as many lanes as it has in the design."""
    if entry["op"] != "averagepool":
        return entry.get("pe", 1), entry.get("simd", 1)
    channels, lanes = entry["shape"][-1], entry.get("lanes", 1)
    return max(one for one in range(1, channels + 1) if channels % one == 0 and one <= lanes), 1


def _depth(entry: Entry) -> int:
    """Numbers that one output adds up."""
    return int(entry["depth"]) if "depth" in entry else math.prod(entry["kernel"])
