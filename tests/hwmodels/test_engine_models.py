"""Engines priced as the sum of their parts: against whole engines that were synthesised, and part by part."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from hwmodels import engine_models
from hwmodels.engine_models import (
    engine_comparison,
    engine_errors,
    engine_estimate,
    part_bram18s,
    part_flip_flops,
    part_luts,
)
from hwmodels.rtl.engine_shape import EngineError, EngineShape, engine_cycles
from hwmodels.rtl.engines import Part, engine_parts, engine_register_bits
from hwmodels.synthesis.flow import Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LINEAR = {
    "outputs": 16,
    "channels": 16,
    "pe": 4,
    "simd": 4,
    "weight_bits": 4,
    "activation_bits": 4,
    "accumulator": 16,
    "shift": 26,
    "output_bits": 4,
}
WINDOW = {
    "height": 8,
    "width": 8,
    "kernel_height": 3,
    "kernel_width": 3,
    "top": 1,
    "bottom": 1,
    "left": 1,
    "right": 1,
}
BYTES = {"weight_bits": 8, "activation_bits": 8, "accumulator": 24, "output_bits": 8}
ENGINES: Mapping[str, Mapping[str, int]] = {
    "linear": LINEAR,
    "convolution": {**LINEAR, **WINDOW},
    "convolution, all taps": {**LINEAR, **WINDOW, "simd": 144},
    "depthwise": {**LINEAR, **WINDOW, "simd": 3, "depthwise": 1},
    "packed": {**LINEAR, **BYTES, "style": 2, "memory": 1},
}


def test_sum_of_parts_meets_whole_engines() -> None:
    found = engine_errors()
    assert found.engines >= 40
    assert found.with_dsps >= 15
    assert found.with_bram >= 15
    assert found.failed == 0
    assert found.median <= 0.08
    assert found.percentile95 <= 0.20
    assert found.spearman >= 0.98
    assert found.dsp_exact >= 0.95
    assert found.bram_exact >= 0.95


def test_errors_are_those_of_the_comparison() -> None:
    found, errors = engine_comparison(), engine_errors()
    assert errors.engines == len(found)
    assert errors.largest == max(abs(one.lut_error) for one in found)
    assert errors.with_dsps == sum(one.dsps > 0 or one.predicted.dsps > 0 for one in found)


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_the_sum_of_its_parts(name: str) -> None:
    shape, parts = EngineShape(**ENGINES[name]), engine_parts(**ENGINES[name])
    found = engine_estimate(**ENGINES[name])
    assert found.luts == pytest.approx(sum(part.count * part_luts(part).value for part in parts))
    registers = sum(part.count * part_flip_flops(part).value for part in parts)
    assert found.flip_flops == pytest.approx(registers + engine_register_bits(shape))
    assert found.bram18s == sum(part.count * part_bram18s(part) for part in parts)
    assert found.dsps == shape.dsps
    assert found.interval_cycles == engine_cycles(shape).interval
    # The last word leaves after the first, and before another sample could have passed.
    assert engine_cycles(shape).fill <= found.latency_cycles <= engine_cycles(shape).fill + found.interval_cycles


def test_families_err_independently_units_of_one_alike() -> None:
    alike: dict[str, float] = {}
    for part in engine_parts(**LINEAR):
        estimate = part_luts(part)
        alike[part.family] = alike.get(part.family, 0.0) + part.count * estimate.value * estimate.sigma
    found = engine_estimate(**LINEAR)
    assert found.sigma * found.luts == pytest.approx(math.hypot(*alike.values()))


def test_what_was_never_measured_is_named_once_per_family() -> None:
    found = engine_estimate(**{**LINEAR, "outputs": 512, "channels": 4096, "pe": 1, "simd": 1, "accumulator": 40})
    families = [note.split(" outside")[0] for note in found.notes]
    assert "engine control" in families
    assert len(set(families)) == len(families)


@pytest.mark.parametrize(
    ("family", "parameters", "halves"),
    [
        ("parameter memory", {"words": 512, "bits": 36, "style": 1}, 1),
        ("parameter memory", {"words": 512, "bits": 36, "style": 0}, 0),
        ("replay buffer", {"steps": 256, "bits": 64, "passes": 2, "memory": 1}, 2),
        ("replay buffer", {"steps": 256, "bits": 64, "passes": 2, "memory": 0}, 0),
        ("serialiser", {"lanes": 4, "at_once": 1, "bits": 20}, 0),
    ],
)
def test_block_ram_of_a_part(family: str, parameters: Mapping[str, int], halves: int) -> None:
    assert part_bram18s(Part(role="any", family=family, parameters=parameters, count=1)) == halves


def test_seed_does_not_matter() -> None:
    assert engine_estimate(**LINEAR, seed=5) is engine_estimate(**LINEAR)


def test_an_engine_that_cannot_be_built_has_no_price() -> None:
    with pytest.raises(EngineError, match="pe 3 does not divide the 16 outputs: use a divisor"):
        engine_estimate(**{**LINEAR, "pe": 3})


def test_without_engines_there_are_no_errors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine_models, "ROWS_FOLDER", tmp_path)
    assert engine_comparison() == []
    with pytest.raises(ValueError, match=r"no synthesised engines in .*: run `bitfront characterise`"):
        engine_errors()


def test_failed_engines_are_counted_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = engine_models._engine_rows()
    (flow, row), *rest = rows
    failed = type(row)(
        family=row.family, parameters=row.parameters, status=Status.TIMEOUT, rtl=row.rtl, seconds=1.0, tool=row.tool
    )
    monkeypatch.setattr(engine_models, "_engine_rows", lambda: [(flow, failed), *rest])
    found = engine_errors()
    assert (found.failed, found.engines) == (1, len(rest))
