"""Registers that take block after block, by Triton kernels, interpreted: sums of rationals and NumPy's halves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.by_definition import block_registers as by_definition
from kernels.fields import (
    ORDER_CHUNKS_EXACT,
    ORDER_CHUNKS_ROUNDED,
    ORDER_PAIRWISE,
    OVERFLOW_INFINITY,
    OVERFLOW_WRAP,
    AccumulatorFields,
    FixedFields,
)
from kernels.gpu import block_registers
from kernels.rounding import HALF_EVEN, TOWARD_ZERO
from kernels.twins import Twin
from tests.kernels.format_list import FLOATS
from tests.kernels.test_block_registers import check, computed, problems


@settings(max_examples=80)
@given(problem=problems(reach=3))
def test_registers_are_sums_of_rationals(problem: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        by_sign = problem["accumulator"].rounding in {2, 5, 7} and problem["accumulator"].overflow == OVERFLOW_WRAP
        if by_sign:
            with pytest.raises(ValueError, match="are not provably exact in the 53 bits of float64"):
                computed(problem, Twin.GPU)
        else:
            check(problem, Twin.GPU)


@pytest.mark.parametrize("order", [(ORDER_CHUNKS_EXACT, 3), (ORDER_CHUNKS_ROUNDED, 1), (ORDER_CHUNKS_ROUNDED, 3)])
@pytest.mark.parametrize("name", ["e5m2", "fp16", "e4m3fn", "bf16", "e4m3 flush", "e3m4 keep"])
def test_chunks_count_terms(name: str, order: tuple[int, int]) -> None:
    random = np.random.default_rng([*order, *name.encode()])
    arrays = [
        random.integers(-99, 100, (3, 14)),
        random.integers(-99, 100, (14, 5)),
        random.integers(-4, 5, (3, 7)),
        random.integers(-4, 5, (7, 5)),
    ]
    options: dict[str, Any] = {
        "block": 2,
        "blocks_per_term": int(random.integers(1, 3)),
        "accumulator": AccumulatorFields(FLOATS[name], HALF_EVEN, order=order[0], chunk=order[1]),
    }
    expected = by_definition.matmul(*arrays, **options)
    found = block_registers.matmul(*map(torch.from_numpy, arrays), **options)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert not np.signbit(found.numpy()[expected == 0]).any()


@pytest.mark.parametrize("blocks", [0, 1, 2, 3, 7, 8])
def test_trees_of_any_number_of_terms(blocks: int) -> None:
    random = np.random.default_rng(blocks)
    arrays = [random.integers(-9, 10, shape) for shape in ((4, blocks), (blocks, 3), (4, blocks), (blocks, 3))]
    for grid in (FLOATS["e4m3fn"], FixedFields(9, 4, 1)):
        options: dict[str, Any] = {"block": 1, "accumulator": AccumulatorFields(grid, order=ORDER_PAIRWISE)}
        initial = np.array([[1], [0], [-2], [7]], dtype=np.int64 if isinstance(grid, FixedFields) else np.float64)
        expected = by_definition.matmul(*arrays, **options, initial=initial)
        tensors = [*map(torch.from_numpy, arrays)]
        found = block_registers.matmul(*tensors, **options, initial=torch.from_numpy(initial))
        np.testing.assert_array_equal(found.numpy(), expected)


def test_ieee_half_sums_are_those_of_numpy() -> None:
    random = np.random.default_rng(5)
    left, right = random.integers(-12, 13, (150, 96)), random.integers(-12, 13, (96, 70))
    scales = random.integers(-9, 3, (150, 3)), random.integers(-4, 4, (3, 70))
    sums = np.zeros((150, 70))
    for block in range(3):
        inside = slice(32 * block, 32 * block + 32)
        part = np.ldexp((left[:, inside] @ right[inside]).astype(float), scales[0][:, block, None] + scales[1][block])
        sums = (sums + part).astype(np.float16).astype(np.float64)
    half = AccumulatorFields(FLOATS["fp16"], HALF_EVEN, OVERFLOW_INFINITY)
    found = block_registers.matmul(*map(torch.from_numpy, (left, right, *scales)), block=32, accumulator=half)
    np.testing.assert_array_equal(found.numpy(), sums)


@settings(max_examples=30)
@given(st.integers(0, 1 << 30))
def test_wrapping_takes_the_low_bits_of_wide_blocks(seed: int) -> None:
    random = np.random.default_rng(seed)
    arrays = [random.integers(-(1 << 20), 1 << 20, shape) for shape in ((2, 6), (6, 2))]
    arrays += [random.integers(-8, 9, shape) for shape in ((2, 3), (3, 2))]
    options: dict[str, Any] = {
        "block": 2,
        "accumulator": AccumulatorFields(FixedFields(12, 3, 1), int(random.integers(3, 5)), OVERFLOW_WRAP),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        found = block_registers.matmul(*map(torch.from_numpy, arrays), **options)
    np.testing.assert_array_equal(found.numpy(), by_definition.matmul(*arrays, **options))


def test_errors_say_what_was_given() -> None:
    one = torch.ones(1, 1, dtype=torch.int64)
    register = AccumulatorFields(FixedFields(6, 0, 1), TOWARD_ZERO)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"accumulator": AccumulatorFields()}, "an exact accumulator casts nothing"),
        ({"blocks_per_term": 0}, "a term is the sum of at least 1 block, got 0"),
        ({"initial": torch.tensor([[99]])}, "the initial value 99 is no number of the accumulator"),
        ({"block": 0}, "blocks of 0 elements: at least 1"),
        ({"accumulator": AccumulatorFields(FixedFields(60, 0, 1))}, "are not provably exact in the 53 bits of float64"),
    ]
    for changes, message in cases:
        with pytest.raises(ValueError, match=message):
            block_registers.matmul(one, one, one, one, **({"block": 1, "accumulator": register} | changes))
