"""The target rtl: one streaming Verilog design of the layers' engines, a bench, and a Makefile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dse.exports.rtl.stages import design_of
from dse.exports.rtl.texts import rendered
from hwmodels.rtl.unit import verilog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dse.exports.manifest import Manifest
    from dse.exports.rtl.lone_parts import LonePart
    from dse.exports.rtl.stages import Design, Tap

SOURCES: Final = ("units.v", "network.v", "top.v")
"""The design, in the order in which tools read it."""
BENCH: Final = ("bench.v", "main.cpp")
BUILD: Final = (
    *("verilator", "--cc", "--exe", "--build", "-O3", "-Wno-fatal", "-Wno-lint", "-Wno-style"),
    *("--x-initial", "unique", "--top-module", "bench", "-CFLAGS", "-O1"),
    *(*SOURCES, *BENCH),
)
"""Makes `PROGRAM`. Registers start with random bits unless they are told with what."""
PROGRAM: Final = "obj_dir/Vbench"
_QUIET_SAMPLES: Final = 8
"""Samples without any word passing after which a design is stuck; stalls of 70 % make it three times as slow."""


def write_project(manifest: Manifest, folder: Path) -> None:
    """Write units.v, network.v, top.v, bench.v, main.cpp, Makefile, in.hex and out.hex.

    Raises:
        NotExportableError: if a layer has no RTL.
    """
    design = design_of(manifest)
    (folder / "units.v").write_text(verilog(design.unit.parts), encoding="ascii")
    (folder / "network.v").write_text(design.unit.text, encoding="ascii")
    (folder / "top.v").write_text(_top(manifest, design), encoding="ascii")
    write_bench(design, folder)
    makefile = rendered("Makefile", build=" ".join(BUILD), program=PROGRAM, sources=" ".join(SOURCES))
    (folder / "Makefile").write_text(makefile, encoding="ascii")
    vectors = manifest.entries["vectors"]
    for name, tap in (("in", design.input), ("out", design.taps[-1])):
        rows = manifest.rows(vectors["input" if name == "in" else "output"])
        write_words(folder / f"{name}.hex", tap, rows)


def write_bench(design: Design, folder: Path) -> None:
    """Write bench.v and main.cpp."""
    _write_bench(folder, design, design.taps, _widths(design))


def write_lone_parts(folder: Path, design: Design, parts: Sequence[LonePart]) -> None:
    """Write network.v and top.v with parts of a design side by side, and bench.v and main.cpp that feed one of them."""
    texts = {part.module: part.text for part in parts}
    (folder / "network.v").write_text("\n".join(texts.values()), encoding="ascii")
    widths = {"in_width": max(part.in_width for part in parts), "out_width": max(part.out_width for part in parts)}
    casts = [part.cast for part in parts if part.cast is not None]
    top = rendered("layers.v", parts=parts, casts=casts, **widths)
    (folder / "top.v").write_text(top, encoding="ascii")
    _write_bench(folder, design, (), widths)


def _write_bench(folder: Path, design: Design, taps: Sequence[Tap], widths: dict[str, int]) -> None:
    quiet = _QUIET_SAMPLES * design.sample_cycles + 4096
    text = rendered("bench.v", taps=taps, quiet=quiet, **widths)
    (folder / "bench.v").write_text(text, encoding="ascii")
    (folder / "main.cpp").write_text(rendered("main.cpp"), encoding="ascii")


def write_words(path: Path, tap: Tap, rows: NDArray[Any]) -> None:
    """Write vectors, ``(vectors, values)``, as the words that pass at a tap, a hexadecimal number a line."""
    path.write_text("".join(f"{word:x}\n" for word in tap.codes.words(rows, tap.lanes)), encoding="ascii")


def _top(manifest: Manifest, design: Design) -> str:
    output = design.taps[-1]
    return rendered(
        "top.v",
        design=manifest.entries["design"],
        network=design.unit.module,
        input=design.input,
        output=output,
        in_size=manifest.entries["input"]["size"],
        out_size=manifest.layer(output.layer)["out_size"],
        **_widths(design),
    )


def _widths(design: Design) -> dict[str, int]:
    taps = {"in_width": design.input, "out_width": design.taps[-1]}
    return {name: tap.lanes * tap.codes.bits for name, tap in taps.items()}
