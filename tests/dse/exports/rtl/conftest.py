"""Small designs, exported once, with their RTL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dse.exports.manifest import Manifest
from dse.exports.parameters import export_design

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.dse.conftest import Bench

MENUS = {
    "integers": {"weights": ["int3", "int4"], "activations": ["int4", "int6"]},
    "minifloats": {"weights": ["e2m1", "e3m2"], "activations": ["e4m3fn", "e3m2"]},
    "mixture": {"weights": ["int4", "e3m2"], "activations": ["int6", "e4m3fn"], "mixed_families": True},
    "powers": {"weights": ["pot4"], "activations": ["int6"], "mixed_families": True},
    "codebook": {"weights": ["nf4"], "activations": ["int6"], "mixed_families": True},
    "l-mul-field": {"weights": ["e2m1", "e3m2"], "activations": ["e4m3fn"]},
    "l-mul-formula": {"weights": ["e3m2"], "activations": ["e3m2", "e4m3fn"]},
    "wrapping": {"weights": ["int4"], "activations": ["int4"]},
    "shifts": {"weights": ["int3"], "activations": ["int4"], "scale_kind": "power-of-two"},
}
ARITHMETIC = {
    "l-mul-field": {"products": ["l-mul-field"], "accumulators": ["exact"]},
    "l-mul-formula": {"products": ["l-mul-formula"], "accumulators": ["exact"]},
    "wrapping": {"products": ["exact"], "accumulators": ["int9 wrap"]},
}


@pytest.fixture(scope="session")
def exported(
    custom_bench: Callable[..., Bench], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Manifest]:
    """A drawn design of a small network with a menu of formats, in a folder with RTL; tests leave it as it is."""
    made: dict[tuple[str, str], Path] = {}

    def export(network: str, menu: str) -> Manifest:
        if (network, menu) not in made:
            bench = custom_bench(
                f"tests.dse.exports.rtl.small_networks:{network}",
                formats=MENUS[menu],
                front={"max_lanes": 16},
                device={"min_fps": 0.0},
                **({"arithmetic": ARITHMETIC[menu]} if menu in ARITHMETIC else {}),
            )
            folder = tmp_path_factory.mktemp("rtl") / "out"
            export_design(bench.prepared, bench.tables.device, bench.design(3), folder, targets=["rtl"])
            made[network, menu] = folder
        return Manifest.read(made[network, menu])

    return export
