"""Studies whose blocks are added in registers: their exports compute what hardware mode computes."""

import json

import pytest

from dse.exports.parameters import export_design
from tests.dse.families import BLOCK_REGISTERS, check_export, joined_in_blocks, uniform


@pytest.fixture(scope="module")
def blocks(custom_bench):
    return custom_bench(
        "digits-mlp",
        formats={
            "weights": sorted({weight for weight, _, _ in BLOCK_REGISTERS}),
            "activations": sorted({activation for _, activation, _ in BLOCK_REGISTERS}),
        },
        arithmetic={"accumulators": ["exact", "int5 wrap", "e6m7 pairwise", "aligned18"]},
        front={"max_lanes": 4},
        device={"min_fps": 0.0},
    )


@pytest.mark.parametrize(("weight", "activation", "arithmetic"), BLOCK_REGISTERS)
def test_an_export_of_blocks_in_registers_computes_the_golden_outputs(blocks, tmp_path, weight, activation, arithmetic):
    formats = uniform(blocks, weight, activation, arithmetic)
    design = blocks.design(1, formats)
    assert design.summary.endswith(f", by {arithmetic.removeprefix('exact / ')}")
    check_export(blocks, design, tmp_path / "out", most=4)


def test_bits_that_wrapping_registers_of_blocks_lose_are_counted(blocks, tmp_path):
    counts = {}
    for place, arithmetic in enumerate(("exact / int5 wrap", "exact / aligned18")):
        design = blocks.design(1, uniform(blocks, "mxint8", "int8", arithmetic))
        export_design(blocks.prepared, blocks.tables.device, design, tmp_path / str(place))
        layers = json.loads((tmp_path / str(place) / "manifest.json").read_text())["layers"]
        counts[arithmetic] = [layer["observed"]["wrap_count"] for layer in layers if "acc_type" in layer]
        rules = [layer["acc_type"] for layer in layers if "acc_type" in layer]
        assert all(("terms" in rule) == (place == 0) for rule in rules)
    assert set(counts["exact / aligned18"]) == {0}
    assert min(counts["exact / int5 wrap"]) > 0


@pytest.mark.parametrize("name", ["mxint8/4", "bfp4/3", "nvfp4/4"])
def test_concatenations_write_blocks(custom_bench, tmp_path, name):
    """A block of 4 or 3 channels spans the parts of 5 and 3."""
    found, design, concat = joined_in_blocks(custom_bench, name)
    table = next(one for one in found.tables.tables if one.layer == concat)
    costs = {str(one.output): one.cost for one in table.choices if one.lanes == 1}
    assert set(costs) == {"int8", name}
    assert costs[name].luts > costs["int8"].luts
    assert str(design.edges[concat]) == name
    check_export(found, design, tmp_path / "out", most=3)
