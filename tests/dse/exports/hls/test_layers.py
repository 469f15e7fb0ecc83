"""Layers of every kind in C++: windows, joins, rows, tables, products of two activations."""

from __future__ import annotations

import pytest

from tests.dse.families import ARITHMETIC, EVERYTHING, deep_mixture, joined_in_blocks

pytestmark = pytest.mark.filterwarnings("ignore")
HERE = "tests.dse.exports.hls.window_workloads"
FUNCTIONS = "tests.dse.function_workloads"
MENU = {"weights": ["int4", "e3m2"], "activations": ["int8", "e4m3fn"], "mixed_families": True}
SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))]


def ops(manifest):
    return {layer["op"] for layer in manifest.layers}


@pytest.fixture(scope="module")
def windows(custom_bench):
    menu = {"weights": ["int4"], "activations": ["int8"]}
    return custom_bench(f"{HERE}:WINDOWS", formats=menu, front={"max_lanes": 16}, device={"min_fps": 0.0})


def test_windows_that_are_padded_strided_dilated_and_grouped(windows, check):
    manifest = check(windows, windows.design(2))
    groups = {layer["groups"] for layer in manifest.layers if "groups" in layer}
    assert groups == {1, 3, 9}
    assert {"maxpool", "averagepool"} <= ops(manifest)
    foldings = [(layer["pe"], layer["simd"]) for layer in manifest.layers if layer["op"] == "convolution"]
    assert max(pe for pe, _ in foldings) > 1
    assert max(simd for _, simd in foldings) > 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("workload", ["WINDOWS", "SIGNALS"])
def test_windows_over_one_and_two_axes_in_every_folding(custom_bench, check, workload, seed):
    found = custom_bench(
        f"{HERE}:{workload}",
        formats=MENU,
        arithmetic={"accumulators": ["exact", "int18 chunk 2"]},
        front={"max_lanes": 16},
        device={"min_fps": 0.0},
    )
    manifest = check(found, found.design(seed))
    if workload == "SIGNALS":
        assert any("reorder_inputs" in layer for layer in manifest.layers)
        assert [layer["op"] for layer in manifest.layers].count("add") == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_attention_with_softmax_layer_norm_and_tables(custom_bench, check, seed):
    found = custom_bench(
        f"{FUNCTIONS}:ATTENTION",
        formats=MENU,
        arithmetic={"products": ["exact", "l-mul-field"], "accumulators": ["exact", "int14 wrap", "e5m10 chunk 2"]},
        front={"max_lanes": 8},
        device={"min_fps": 0.0},
    )
    manifest = check(found, found.design(seed))
    assert {"matmul", "softmax", "layernorm", "select", "activate", "linear"} <= ops(manifest)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mxint8/4", "bfp4/3", "nvfp4/4"])
def test_blocks_that_span_the_parts_of_a_concatenation(custom_bench, check, name):
    found, design, _ = joined_in_blocks(custom_bench, name)
    check(found, design)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, *range(4)])
def test_mixtures_of_all_families_in_a_residual_network(custom_bench, check, seed):
    found = custom_bench(
        "digits", formats=EVERYTHING, arithmetic=ARITHMETIC, front={"max_lanes": 4}, device={"min_fps": 0.0}
    )
    check(found, found.design(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_mixtures_in_a_deep_network_with_depthwise_layers_prelu_and_concatenation(custom_bench, check, seed):
    found = deep_mixture(custom_bench)
    manifest = check(found, found.design(seed))
    assert {"depthwise", "concat", "averagepool", "add", "linear"} <= ops(manifest)
    assert any("negative_mult" in layer for layer in manifest.layers)
