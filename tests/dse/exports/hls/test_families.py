"""Every family of formats and arithmetics in C++: compiled and run, no number differs."""

from __future__ import annotations

import pytest

from tests.dse.families import BLOCK_REGISTERS, UNIFORM, uniform

FAST = [
    ("int8", "int8", "exact / int16 chunk 4"),
    ("e4m3fn", "e4m3fn", "l-mul-field / exact"),
    ("2hot4", "int8", "exact / int20 wrap"),
    ("mxfp4", "mx-e4m3fn", "exact / exact"),
]
OTHERS = [
    ("int8", "int8", "exact / int14 pairwise chunk 4"),
    ("int4", "int8", "exact / fixed<16,18> toward-zero chunk 2"),
    ("e5m2", "e5m2", "exact / exact"),
    ("e3m2", "e2m1", "exact / exact"),
    ("e5m2", "e5m2", "l-mul-field-clamped / exact"),
    ("e4m3fn", "e5m2", "l-mul-formula / exact"),
    ("bf16", "bf16", "exact / exact"),
    ("bf16", "int8", "exact / e8m7 chunk 2"),
    ("int8", "e4m3fn", "exact / int20 half-up chunk 4"),
    ("e3m2ftz", "e3m3keep", "exact / exact"),
]


def slow_but(cases, fast):
    return [pytest.param(*case, marks=[] if case in fast else pytest.mark.slow, id="-".join(case)) for case in cases]


@pytest.mark.parametrize(("weight", "activation", "arithmetic"), slow_but(UNIFORM, FAST))
def test_each_family_alone(everything, check, weight, activation, arithmetic):
    found = everything("digits-mlp")
    check(found, found.design(1, uniform(found, weight, activation, arithmetic)))


def bench_of(custom_bench, cases):
    return custom_bench(
        "digits-mlp",
        formats={
            "weights": sorted({weight for weight, _, _ in cases}),
            "activations": sorted({activation for _, activation, _ in cases}),
            "mixed_families": True,
        },
        arithmetic={
            "products": ["exact", "l-mul-formula", "l-mul-field-clamped"],
            "accumulators": sorted({arithmetic.split(" / ")[1] for _, _, arithmetic in cases} | {"exact"}),
        },
        front={"max_lanes": 4},
        device={"min_fps": 0.0},
    )


@pytest.fixture(scope="module")
def block_registers(custom_bench):
    return bench_of(custom_bench, BLOCK_REGISTERS)


@pytest.fixture(scope="module")
def others(custom_bench):
    return bench_of(custom_bench, OTHERS)


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "activation", "arithmetic"), BLOCK_REGISTERS)
def test_blocks_in_registers(block_registers, check, weight, activation, arithmetic):
    check(block_registers, block_registers.design(1, uniform(block_registers, weight, activation, arithmetic)))


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "activation", "arithmetic"), OTHERS)
def test_further_minifloats_roundings_and_trees(others, check, weight, activation, arithmetic):
    check(others, others.design(1, uniform(others, weight, activation, arithmetic)))
