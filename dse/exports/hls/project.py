"""The project: C++ sources, a test bench, and what builds them, from the base folder alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dse.exports.hls.network import network_code
from dse.exports.hls.pipelines import SHALLOW
from hwmodels.code_templates import rendered

if TYPE_CHECKING:
    from dse.exports.hls.network import NetworkCode
    from dse.exports.manifest import Manifest

_HERE: Final = Path(__file__).parent
_SOURCES: Final = ("params.h", "top.h", "top.cpp", "Makefile", "run_hls.tcl", "hls_config.cfg")
_TEST_BENCH: Final = "tb.cpp"
_TEST_HEADER: Final = "testbench.h"


def write(manifest: Manifest, folder: Path) -> None:
    """Write the project of a design.

    Args:
        manifest: the base folder.
        folder: where to, an empty folder.

    Raises:
        NotExportableError: for a layer that has no template.
    """
    network = network_code(manifest)
    headers = _headers()
    facts = {
        "design": _harmless(manifest.entries["design"]),
        "network": network,
        "headers": [path.name for path in headers if path.name != _TEST_HEADER],
        "shallow": SHALLOW,
        "part": _harmless(manifest.entries["target"]["part"]),
        "clock_ns": manifest.entries["target"]["clock_ns"],
    }
    for name in _SOURCES:
        _render(name, folder, facts)
    _write_test_bench(manifest, network, folder)
    for path in headers:
        _copy(path, folder)


def write_test_bench(manifest: Manifest, folder: Path) -> None:
    """Write the test bench alone, with the header that only it needs."""
    _write_test_bench(manifest, network_code(manifest), folder)
    _copy(_HERE / "layers" / _TEST_HEADER, folder)


def _write_test_bench(manifest: Manifest, network: NetworkCode, folder: Path) -> None:
    goldens = {
        layer["name"]: [manifest.layer(name)["golden"]["output"] for name in layer["inputs"]]
        for layer in manifest.layers
    }
    facts = {
        "design": _harmless(manifest.entries["design"]),
        "network": network,
        "goldens": goldens,
        "channels_of": {layer["name"]: layer["shape"][-1] for layer in manifest.layers},
        "vector_entries": manifest.entries["vectors"],
        "output_layer": manifest.entries["output"]["layer"],
    }
    _render(_TEST_BENCH, folder, facts)


def _headers() -> list[Path]:
    return sorted((_HERE / "layers").glob("*.h"))


def _copy(header: Path, folder: Path) -> None:
    (folder / "layers").mkdir(exist_ok=True)
    (folder / "layers" / header.name).write_text(header.read_text(encoding="utf-8"), encoding="utf-8")


def _render(name: str, folder: Path, facts: dict[str, Any]) -> None:
    (folder / name).write_text(rendered(f"{name}.j2", __package__, **facts), encoding="utf-8")


def _harmless(text: str) -> str:
    """A name for comments and scripts: letters, digits, and a few signs."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", text)
