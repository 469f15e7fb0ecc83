"""The RTL of an export: what is written, what is refused and why, whatever layers are called."""

from __future__ import annotations

import copy
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from dse.errors import NotExportableError
from dse.exports.manifest import Manifest
from dse.exports.rtl.project import SOURCES
from dse.exports.rtl.stages import design_of
from tests.dse.exports.faults import refusal
from tests.dse.exports.folder_checks import files_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Exported = Callable[[str, str], Manifest]


def changed(manifest: Manifest, layer: str, **entries: Any) -> Manifest:
    """The manifest with other entries of a layer."""
    whole = copy.deepcopy(dict(manifest.entries))
    next(one for one in whole["layers"] if one["name"] == layer).update(entries)
    return Manifest(folder=manifest.folder, entries=whole)


def test_the_folder_holds_the_design_a_bench_and_vectors(exported: Exported) -> None:
    manifest = exported("CONVOLUTIONS", "integers")
    files = files_of(manifest.folder / "rtl")
    assert sorted(files) == [
        "Makefile",
        "bench.v",
        "in.hex",
        "main.cpp",
        "network.v",
        "out.hex",
        "top.v",
        "units.v",
    ]
    assert len(files["in.hex"].split()) * design_of(manifest).input.lanes == 512 * 64


def test_engines_are_folded_as_the_manifest_says(exported: Exported) -> None:
    manifest = exported("RESIDUAL", "integers")
    design = design_of(manifest)
    engines = [layer for layer in manifest.layers if "pe" in layer]
    found = [part.parameters for part in design.unit.parts if part.family == "engine"]
    assert [(one["pe"], one["simd"]) for one in found] == [(one["pe"], one["simd"]) for one in engines]
    assert [bool(one["style"]) for one in found] == [layer["multipliers"] == "dsp" for layer in engines]
    assert [tap.layer for tap in design.taps] == [
        layer["name"] for layer in manifest.layers if layer["op"] not in {"input", "reshape"}
    ]


def test_every_family_is_verilog(exported: Exported, tool: Callable[[str], Path]) -> None:
    for menu in ("powers", "codebook", "l-mul-formula", "mixture"):
        folder = exported("PERCEPTRON", menu).folder / "rtl"
        command = [tool("iverilog"), "-g2012", "-t", "null", *SOURCES]
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, ""), menu


def test_layers_that_have_no_rtl_are_refused_by_name(exported: Exported) -> None:
    manifest = exported("CONVOLUTIONS", "integers")
    assert refusal(design_of, changed(manifest, "mix", op="softmax")) == (
        "layer mix: softmax has no RTL between streams: there are convolutions, linear layers, pools over windows side "
        "by side, sums of two tensors and activations by a cast; export to hls"
    )
    assert refusal(design_of, changed(manifest, "depthwise", groups=2)).startswith(
        "layer depthwise: windows in RTL have one or two axes, no dilation, one group or as many as channels"
    )
    assert "dilation [2, 2]" in refusal(design_of, changed(manifest, "stem", dilation=[2, 2]))
    assert refusal(design_of, changed(manifest, "stem", weight_memory="offchip")) == (
        "layer stem: engines in RTL hold their weights; keep weights on the chip, or export to hls"
    )
    assert refusal(design_of, changed(manifest, "mix", reorder_inputs=[{"count": 1}])) == (
        "layer mix: stages in RTL have no unit for a stream in another order; export to hls"
    )


def test_arithmetic_that_engines_lack_is_refused_by_name(exported: Exported) -> None:
    manifest = exported("CONVOLUTIONS", "integers")
    rule, sums = manifest.layer("stem")["out_type"], manifest.layer("stem")["acc_type"]
    assert refusal(design_of, changed(manifest, "stem", out_type={**rule, "rounding": "half-up"})) == (
        "layer stem: casts of engines in RTL round half to even, not half-up; use half-even, or export to hls"
    )
    high = rule["high"]
    assert refusal(design_of, changed(manifest, "stem", out_type={**rule, "high": high - 1})) == (
        f"layer stem: engines in RTL saturate at the ends of their codes or at 0, [0, {high}], not at [0, {high - 1}]; "
        "use ReLU without a ceiling, or export to hls"
    )
    assert refusal(design_of, changed(manifest, "stem", negative_mult={})) == (
        "layer stem: requantisers of engines in RTL have no second multiplier for PReLU; use ReLU, or export to hls"
    )
    register = {**sums, "overflow": "SAT", "product_shift": 2, "grid": "integer", "low": -8, "high": 7}
    assert refusal(design_of, changed(manifest, "stem", acc_type=register)).startswith(
        "layer stem: accumulators of engines in RTL are exact or wrap in whole units; this one is SAT of "
    )
    product = {"kind": "l-mul-field-clamped"}
    assert refusal(design_of, changed(manifest, "stem", product=product)) == (
        "layer stem: engines in RTL multiply exactly or by l-mul-field or l-mul-formula, not by l-mul-field-clamped; "
        "export to hls"
    )
    assert refusal(design_of, changed(manifest, "stem", shift=200)).startswith("layer stem: its RTL cannot be built: ")


def test_codes_that_streams_lack_are_refused_by_name(exported: Exported) -> None:
    manifest = exported("CONVOLUTIONS", "integers")
    edge = manifest.layer("stem")["output"]
    kind = edge["type"]
    assert refusal(design_of, changed(manifest, "stem", output={**edge, "zero_point": 3})) == (
        f"layer stem: {kind['format']} with zero point 3 is no whole range of two's complement or unsigned integers, "
        "and engines in RTL take no zero point off their activations; use symmetric scaling, or export to hls"
    )
    table = {**kind, "format": "nf4", "stored": "code", "table": [0, 1]}
    assert refusal(design_of, changed(manifest, "stem", output={**edge, "type": table})) == (
        "layer stem: streams in RTL hold integers and minifloats with a sign and gradual underflow, not nf4; use int8 "
        "or e4m3fn there, or export to hls"
    )
    whole = {**edge, "zero_point": 1 << (kind["bits"] - 1)}
    low, high = -whole["zero_point"], whole["zero_point"] - 1
    rule = {**manifest.layer("stem")["out_type"], "low": low, "high": high}
    signed = design_of(changed(manifest, "stem", output=whole, out_type=rule))
    assert signed.taps[0].codes.signed


def test_pools_over_windows_that_overlap_and_concatenations_are_refused(
    custom_bench: Callable[..., Any], tmp_path: Path
) -> None:
    from dse.exports.parameters import export_design

    bench = custom_bench("tests.dse.exports.rtl.small_networks:UNSUITED")
    with pytest.raises(NotExportableError, match=r"rtl cannot express this design: layer concat: concat has no RTL"):
        export_design(bench.prepared, bench.tables.device, bench.design(1), tmp_path / "out", targets=["rtl"])
    assert not list(tmp_path.iterdir())


def test_a_pool_over_windows_that_overlap_is_refused(exported: Exported) -> None:
    manifest = exported("RESIDUAL", "integers")
    assert refusal(design_of, changed(manifest, "halve", stride=[1, 1])) == (
        "layer halve: pools in RTL have windows side by side over one or two axes, got kernel [2, 2], stride [1, 1], "
        "padding [[0, 0], [0, 0]], dilation [1, 1]; use a stride equal to the kernel, or export to hls"
    )


def test_the_watchdog_waits_for_more_than_a_sample(exported: Exported) -> None:
    manifest = exported("RESIDUAL", "integers")
    assert design_of(manifest).sample_cycles > manifest.entries["estimate"]["latency_cycles"]
