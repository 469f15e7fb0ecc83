"""Every registered family of units is simulated by a test: none can be forgotten."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from hwmodels.rtl.families import FAMILIES, unit

HERE = Path(__file__).parent
SIMULATED_IN = {
    "multiplier": "test_multipliers",
    "adder": "test_dot_products",
    "mac": "test_dot_products",
    "dot product": "test_dot_products",
    "barrel shifter": "test_small_units",
    "cast": "test_casts",
    "requantiser": "test_requantisers",
    "prelu": "test_requantisers",
    "residual add": "test_requantisers",
    "relu": "test_small_units",
    "table activation": "test_small_units",
    "maximum": "test_comparators",
    "thresholds": "test_comparators",
    "level search": "test_comparators",
    "width adapter": "test_streams",
    "fifo": "test_streams",
    "written memory": "test_small_units",
    "minifloat exact product": "test_minifloat_products",
    "minifloat rounded product": "test_minifloat_products",
    "minifloat lane": "test_lanes",
    "minifloat dot product": "test_lanes",
    "narrow accumulator": "test_narrow_accumulators",
    "align and accumulate": "test_narrow_accumulators",
    "minifloat multiply-accumulate": "test_narrow_accumulators",
    "l-mul": "test_lmul",
    "l-mul with flush and saturation": "test_lmul",
    "l-mul lane": "test_lmul",
    "l-mul dot product": "test_lmul",
    "power-of-two multiplier": "test_powers_of_two",
    "power-of-two lane": "test_powers_of_two",
    "power-of-two dot product": "test_powers_of_two",
    "k-hot multiplier": "test_powers_of_two",
    "binary plane lane": "test_looked_up_codes",
    "binary plane sum": "test_looked_up_codes",
    "binary plane scale": "test_looked_up_codes",
    "codebook multiplier": "test_looked_up_codes",
    "minifloat cast": "test_minifloat_casts",
    "minifloat requantiser": "test_minifloat_casts",
    "block leading one": "test_blocks",
    "block scale add": "test_blocks",
    "block dot product": "test_blocks",
    "block output": "test_blocks",
    "adder tree": "test_engine_parts",
    "accumulator": "test_engine_parts",
    "magnitude": "test_engine_parts",
    "dsp multiplier": "test_engine_parts",
    "packed multiplier": "test_engine_parts",
    "parameter memory": "test_engine_parts",
    "serialiser": "test_engine_parts",
    "engine": "engine_checks",
}
"""The file beside this one whose tests simulate the units of a family."""
SMALL = {"outputs": 4, "channels": 4, "pe": 2, "simd": 2, "weight_bits": 4, "activation_bits": 4, "accumulator": 16}
IMAGE = {"height": 4, "width": 4, "kernel_height": 2, "kernel_width": 2}
PARTS_OF_ENGINES: dict[str, dict[str, int]] = {
    "engine control": SMALL,
    "replay buffer": SMALL,
    "serial window": SMALL | IMAGE,
    "parallel window": SMALL | IMAGE | {"simd": 8},
}
"""Families that are simulated inside engines alone (`engine_checks`), and an engine with such a part."""
SIMULATORS = {"simulate", "streamed", "verilate"}


def test_every_family_is_in_a_table() -> None:
    assert set(SIMULATED_IN) | set(PARTS_OF_ENGINES) == set(FAMILIES)
    assert not set(SIMULATED_IN) & set(PARTS_OF_ENGINES)


@pytest.mark.parametrize(("family", "file"), SIMULATED_IN.items(), ids=lambda name: name.replace(" ", "-"))
def test_the_file_makes_and_simulates_units_of_the_family(family: str, file: str) -> None:
    tree = ast.parse((HERE / f"{file}.py").read_text(encoding="utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert FAMILIES[family].generate.__name__ in called, f"{file} makes no {family}"
    assert called & SIMULATORS, f"{file} simulates nothing"


@pytest.mark.parametrize("family", PARTS_OF_ENGINES)
def test_the_engine_has_such_a_part(family: str) -> None:
    assert family in {part.family for part in unit("engine", PARTS_OF_ENGINES[family]).parts}
