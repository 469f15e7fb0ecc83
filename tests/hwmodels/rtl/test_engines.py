"""Whole engines in Verilator: every word equals hardware mode, and cycles are those that the model claims."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from hwmodels.rtl.engine_content import EngineContent, seeded_content
from hwmodels.rtl.engine_shape import EngineError, EngineShape, engine_cycles
from hwmodels.rtl.engines import engine, engine_parts
from hwmodels.rtl.families import FAMILIES
from hwmodels.synthesis.plan import DEFAULT_PLAN, read_plan
from tests.hwmodels.rtl.engine_checks import check_engines, engine_case

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

BASE = {"weight_bits": 4, "activation_bits": 4, "accumulator": 16, "shift": 20, "output_bits": 6}
BYTES = {**BASE, "weight_bits": 8, "activation_bits": 8, "accumulator": 24}
WINDOW = {
    **BASE,
    "outputs": 4,
    "channels": 4,
    "height": 6,
    "width": 7,
    "kernel_height": 3,
    "kernel_width": 3,
    "top": 1,
    "bottom": 1,
    "left": 1,
    "right": 1,
}
STRIDED = {**WINDOW, "stride_height": 2, "stride_width": 2}
BARE = {**BASE, "outputs": 4, "height": 6, "width": 6, "stride_height": 2, "stride_width": 2}
FLOATS = {
    "outputs": 4,
    "channels": 8,
    "weight_bits": 8,
    "weight_exponent": 4,
    "activation_bits": 8,
    "activation_exponent": 4,
    "accumulator": 44,
    "shift": 44,
    "output_bits": 8,
    "output_exponent": 4,
}

ENGINES: Mapping[str, Mapping[str, int]] = {
    "linear": {**BASE, "outputs": 8, "channels": 8, "pe": 2, "simd": 2},
    "linear in DSPs": {**BASE, "outputs": 8, "channels": 8, "pe": 2, "simd": 2, "style": 1},
    "four a DSP, two left over": {**BASE, "outputs": 6, "channels": 8, "pe": 6, "simd": 2, "style": 2},
    "one pass, several positions": {**BASE, "outputs": 8, "channels": 8, "pe": 8, "simd": 8, "height": 5},
    "two a DSP": {**BYTES, "outputs": 4, "channels": 8, "pe": 4, "simd": 1, "style": 2},
    "two a DSP, unsigned": {
        **BYTES,
        "outputs": 6,
        "channels": 6,
        "pe": 3,
        "simd": 2,
        "activation_signed": 0,
        "style": 2,
        "output_signed": 0,
        "relu": 1,
    },
    "window, tap by tap": {**WINDOW, "pe": 2, "simd": 2},
    "strided window": {**STRIDED, "pe": 2, "simd": 4},
    "window, row by row of taps": {**WINDOW, "pe": 2, "simd": 6},
    "window, row of taps, one pass": {**WINDOW, "pe": 4, "simd": 12},
    "window, all taps": {**WINDOW, "pe": 4, "simd": 36},
    "window, all taps of half the channels": {**WINDOW, "pe": 4, "simd": 18},
    "window, all taps, two passes": {**WINDOW, "pe": 2, "simd": 18},
    "strided window, all taps, four passes": {**STRIDED, "pe": 1, "simd": 36},
    "depthwise, row of taps": {**WINDOW, "pe": 2, "simd": 3, "depthwise": 1},
    "depthwise, tap by tap": {**WINDOW, "pe": 2, "simd": 1, "depthwise": 1},
    "depthwise, strided, all taps": {**STRIDED, "pe": 4, "simd": 9, "depthwise": 1},
    "single taps apart": {**BARE, "channels": 4, "pe": 2, "simd": 2, "style": 1},
    "windows side by side, one scale": {
        **BARE,
        "channels": 2,
        "kernel_height": 2,
        "kernel_width": 2,
        "pe": 2,
        "simd": 4,
        "scale": 1,
    },
    "sums in block RAM": {
        **BARE,
        "channels": 2,
        "kernel_height": 2,
        "kernel_width": 2,
        "pe": 2,
        "simd": 2,
        "scale": 0,
        "memory": 1,
        "buffer_memory": 1,
    },
    "minifloats": {**FLOATS, "pe": 2, "simd": 2},
    "minifloats, reserved code, ReLU": {**FLOATS, "pe": 2, "simd": 8, "output_reserved": 1, "relu": 1},
    "minifloats of four bits": {
        **FLOATS,
        "channels": 4,
        "pe": 4,
        "simd": 1,
        "weight_bits": 4,
        "weight_exponent": 2,
        "activation_bits": 4,
        "activation_exponent": 2,
        "accumulator": 16,
        "shift": 16,
        "output_bits": 4,
        "output_exponent": 2,
    },
    "minifloat weights": {
        **FLOATS,
        "pe": 4,
        "simd": 2,
        "weight_bits": 6,
        "weight_exponent": 3,
        "activation_exponent": 0,
        "accumulator": 30,
        "shift": 36,
        "output_exponent": 0,
    },
    "powers of two, zero point": {
        **WINDOW,
        "pe": 2,
        "simd": 12,
        "weight_places": 7,
        "activation_bits": 6,
        "activation_signed": 0,
        "accumulator": 24,
        "shift": 30,
        "output_bits": 8,
        "zero_point": 3,
        "relu": 1,
    },
}


SOME = list(ENGINES)[::2]
"""All sources of operands, all styles of multipliers, minifloats and powers of two; the others are slow tests."""


def test_words_and_cycles(tool: Callable[[str], Path]) -> None:
    check_engines([engine_case(ENGINES[name]) for name in SOME], tool)


@pytest.mark.slow
def test_words_and_cycles_of_the_others(tool: Callable[[str], Path]) -> None:
    check_engines([engine_case(parameters) for name, parameters in ENGINES.items() if name not in SOME], tool)


def _waiting(names: Sequence[str], tool: Callable[[str], Path]) -> None:
    chosen = random.Random(3)
    cases = []
    for index, name in enumerate(names):
        offered = [int(chosen.random() < (0.3, 1.0, 0.5)[index % 3]) for _ in range(97)]
        accepted = [int(chosen.random() < (1.0, 0.3, 0.5)[index % 3]) for _ in range(89)]
        cases.append(engine_case(ENGINES[name], offered, accepted))
    check_engines(cases, tool)


def test_words_whoever_waits(tool: Callable[[str], Path]) -> None:
    # Every source of operands.
    _waiting(
        ["linear in DSPs", "strided window", "strided window, all taps, four passes", "depthwise, row of taps"], tool
    )


@pytest.mark.slow
def test_words_whoever_waits_in_any_engine(tool: Callable[[str], Path]) -> None:
    _waiting(list(ENGINES), tool)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_engines_of_the_plan(part: int, tool: Callable[[str], Path]) -> None:
    experiments = read_plan(DEFAULT_PLAN, flows=("xcup", "xc7", "xcup-dsp", "ecp5", "osu018"))
    found = {
        experiment.unit.module: experiment.unit.parameters
        for experiment in experiments
        if experiment.unit.family == "engine"
    }
    assert found
    own = list(found.values())[part::8]
    cases = [engine_case({name: value for name, value in one.items() if name != "seed"}) for one in own]
    check_engines(cases, tool, cycles=700_000)


def test_parts_are_registered_families() -> None:
    for parameters in ENGINES.values():
        for part in engine_parts(**parameters):
            assert part.count >= 1
            assert FAMILIES[part.family].structure(**part.parameters)


def test_counts_of_dsps() -> None:
    # 27 x 18: 24 bits times 17 signed ones take one DSP, 30 bits two (UG579).
    shape = EngineShape(**{**BYTES, "outputs": 8, "channels": 8, "pe": 8, "simd": 2, "style": 2})
    assert shape.dsps == 4 * 2 + shape.at_once
    wide = EngineShape(**{**BYTES, "outputs": 8, "channels": 8, "pe": 8, "simd": 2, "style": 2, "accumulator": 30})
    assert wide.dsps == 4 * 2 + 2 * wide.at_once


def test_interval_is_that_of_the_slower_side() -> None:
    linear = EngineShape(**ENGINES["linear"])
    assert engine_cycles(linear).interval == 4 * 4
    assert engine_cycles(EngineShape(**ENGINES["single taps apart"])).interval == 36 * 2  # the input, not 9 x 2 x 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pe": 3}, "pe 3 does not divide the 8 outputs: use a divisor"),
        ({"simd": 3}, "simd 3 does not divide the 8 inputs of an output: use a divisor"),
        ({"style": 7}, r"style 0 \(LUTs\), 1 \(a DSP each\), 2 \(packed into DSPs\), got 7"),
        ({"depthwise": 1, "outputs": 4, "pe": 2}, "as many outputs as channels, got 4 and 8"),
        ({"style": 1, "weight_exponent": 2}, "DSPs multiply integers: use style 0"),
        ({"outputs": 0}, "are at least 1, got"),
    ],
)
def test_engine_that_cannot_be_built_is_refused(change: Mapping[str, int], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        engine(**{**ENGINES["linear"], **change})


def test_unknown_parameter_is_refused() -> None:
    with pytest.raises(EngineError, match=r"an engine does not take .*colour"):
        engine(**ENGINES["linear"], colour=1)


def test_content_that_does_not_fit_is_refused() -> None:
    shape = EngineShape(**ENGINES["linear"])
    good = seeded_content(shape, 1)
    few = EngineContent(weights=good.weights[:-1], biases=good.biases, multipliers=good.multipliers)
    with pytest.raises(EngineError, match="8 outputs of depth 8 takes as many weights, got 7 rows"):
        engine(**ENGINES["linear"], content=few)
    large = EngineContent(weights=[[8] * 8] * 8, biases=good.biases, multipliers=good.multipliers)
    with pytest.raises(EngineError, match="weights of this engine lie in -8 to 7, got 8: use a wider format"):
        engine(**ENGINES["linear"], content=large)
