"""L-Mul clamped to the format in studies: chosen, priced, exported, and of use where products stay below the top."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emulation.datapaths import Product
from emulation.execution import execute
from tests.dse.families import check_export, explore, uniform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.dse.conftest import Bench

FORMATS = {"weights": ["e4m3fn", "e4m3b16"], "activations": ["e4m3fn", "e4m3b16"]}
PRODUCTS = {"products": ["l-mul-field", "l-mul-field-clamped"], "accumulators": ["exact", "fixed<20,6> chunk 4"]}


@pytest.fixture(scope="module")
def bench(custom_bench: Callable[..., Bench]) -> Bench:
    return custom_bench(
        "digits-mlp", formats=FORMATS, arithmetic=PRODUCTS, front={"max_lanes": 8}, device={"min_fps": 0.0}
    )


def accuracy(bench: Bench, number_format: str, product: str) -> float:
    """Of the validation samples, in hardware mode."""
    hardware = bench.prepared.calibrated.lower(uniform(bench, number_format, number_format, f"{product} / exact"))
    samples = bench.prepared.validation
    found = execute(hardware, samples.inputs).reshape(len(samples), -1).argmax(axis=1)
    return float((found == samples.labels).mean())


def test_formats_that_reach_far_saturate_and_those_below_one_half_do_not(bench: Bench) -> None:
    """Scaled tensors reach the largest number: 448 * 448 becomes 448, but 0.47 * 0.47 is a number of e4m3b16."""
    assert accuracy(bench, "e4m3fn", "l-mul-field") > 0.9
    assert accuracy(bench, "e4m3fn", "l-mul-field-clamped") < 0.5
    assert accuracy(bench, "e4m3b16", "l-mul-field-clamped") > 0.9


def test_clamped_engines_are_smaller(bench: Bench) -> None:
    checked = 0
    for table in bench.tables.tables:
        costs = {
            (str(one.weight), tuple(map(str, one.inputs)), one.arithmetic.product, one.folding): one.cost
            for one in table.choices
            if table.role == "engine" and str(one.arithmetic.accumulator) == "exact"
        }
        for (weight, inputs, product, folding), cost in costs.items():
            if product is Product.LMUL_FIELD_CLAMPED and folding is not None and folding.simd > 1:
                assert cost.luts < costs[weight, inputs, Product.LMUL_FIELD, folding].luts
                checked += 1
    assert checked > 20


@pytest.mark.parametrize("number_format", ["e4m3fn", "e4m3b16"])
@pytest.mark.parametrize("accumulator", ["exact", "fixed<20,6> chunk 4"])
def test_the_manifest_is_enough_to_clamp(bench: Bench, tmp_path: Path, number_format: str, accumulator: str) -> None:
    design = bench.design(0, uniform(bench, number_format, number_format, f"l-mul-field-clamped / {accumulator}"))
    assert {engine.product for engine in design.engines.values()} == {Product.LMUL_FIELD_CLAMPED}
    check_export(bench, design, tmp_path / "out", most=4)


def test_a_study_of_clamped_products_runs_to_its_end(tmp_path: Path) -> None:
    formats = {"weights": ["e4m3b16", "e2m1b5"], "activations": ["e4m3b16", "e2m1b5"]}
    arithmetic = {"products": ["l-mul-field-clamped"], "accumulators": ["exact", "int16 wrap"]}
    front = explore(tmp_path / "study", "digits-mlp", formats, arithmetic, 16)
    for design in front:
        assert {engine.product for engine in design.engines.values()} == {Product.LMUL_FIELD_CLAMPED}
        assert "by l-mul-field-clamped" in design.summary
    assert max(design.validation.accuracy for design in front) > 0.8
