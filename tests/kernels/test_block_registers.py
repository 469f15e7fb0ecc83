"""Registers that take block after block: all twins against a sum of rationals by another hand, and IEEE half sums."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.definitions.dots import block_dot, cast_to_fields
from kernels.fields import (
    ORDER_ASCENDING,
    ORDER_CHUNKS_EXACT,
    ORDER_CHUNKS_ROUNDED,
    ORDER_PAIRWISE,
    OVERFLOW_INFINITY,
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_SYMMETRIC,
    OVERFLOW_SATURATE_ZERO,
    OVERFLOW_WRAP,
    AccumulatorFields,
    FixedFields,
    FloatFields,
)
from kernels.rounding import CEILING, FLOOR, HALF_EVEN, TOWARD_ZERO
from kernels.twins import Twin, run

HALF = FloatFields(5, 10, 15, 1, 0, 0, 1)
SINGLE, E4M3FN = FloatFields(8, 23, 127, 1, 0, 0, 1), FloatFields(4, 3, 7, 1, 1, 0, 1)
FLOATS = (HALF, SINGLE, E4M3FN, FloatFields(6, 5, 31, 1, 0, 0, 1))
TWINS = (Twin.COMPILED, Twin.TENSORS, Twin.DEFINITION)


def expected_sum(problem: dict[str, Any], row: int, column: int) -> Fraction | float:
    """Block after block as the words say it, for orders of `ORDER_ASCENDING` and `ORDER_PAIRWISE`."""
    accumulator: AccumulatorFields = problem["accumulator"]
    left, right, size = problem["left"][row].tolist(), problem["right"][:, column].tolist(), problem["block"]
    terms: list[Any] = []
    for block, start in enumerate(range(0, len(left), size)):
        integer = sum(a * b for a, b in zip(left[start : start + size], right[start : start + size], strict=True))
        exponent = int(problem["left_exponents"][row, block]) + int(problem["right_exponents"][block, column])
        if block % problem["blocks_per_term"] == 0:
            terms.append(Fraction(0))
        terms[-1] += integer * Fraction(2) ** exponent
    total: Any = Fraction(int(problem["initial"][row, column])) * Fraction(2) ** problem["initial_exponent"]
    if accumulator.order == ORDER_ASCENDING:
        for term in terms:
            total = cast_to_fields(total + term, accumulator)
        return total  # type: ignore[no-any-return]
    while len(terms) > 1:
        joined = [cast_to_fields(sum(terms[i : i + 2]), accumulator) for i in range(0, len(terms) - 1, 2)]
        terms = joined + terms[len(terms) - len(terms) % 2 :]
    return cast_to_fields(total + terms[0], accumulator)


@st.composite
def accumulators(draw: Any) -> AccumulatorFields:
    order = draw(st.sampled_from((ORDER_ASCENDING, ORDER_PAIRWISE)))
    rounding = draw(st.integers(0, 7))
    if draw(st.booleans()):
        return AccumulatorFields(draw(st.sampled_from(FLOATS)), rounding, OVERFLOW_SATURATE, order=order)
    rules = (OVERFLOW_SATURATE, OVERFLOW_WRAP, OVERFLOW_SATURATE_ZERO, OVERFLOW_SATURATE_SYMMETRIC)
    grid = FixedFields(draw(st.integers(2, 48)), draw(st.integers(-20, 30)), 1)
    return AccumulatorFields(grid, rounding, draw(st.sampled_from(rules)), order=order)


@st.composite
def problems(draw: Any, *, reach: int = 30) -> dict[str, Any]:
    block, depth = draw(st.integers(1, 4)), draw(st.integers(1, 11))
    shape, blocks = (draw(st.integers(1, 3)), draw(st.integers(1, 3))), -(-depth // block)
    largest = draw(st.sampled_from((3, 127, 1 << 20)))
    random = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    accumulator = draw(accumulators())
    is_fixed = isinstance(accumulator.grid, FixedFields)
    low = -min(3, (1 << (accumulator.grid.width - 1)) - 1) if isinstance(accumulator.grid, FixedFields) else -3
    return {
        "left": random.integers(-largest, largest + 1, (shape[0], depth)),
        "right": random.integers(-largest, largest + 1, (depth, shape[1])),
        "left_exponents": random.integers(-reach, reach + 1, (shape[0], blocks)),
        "right_exponents": random.integers(-reach, reach + 1, (blocks, shape[1])),
        "block": block,
        "blocks_per_term": draw(st.integers(1, 3)),
        "accumulator": accumulator,
        "initial": random.integers(low, 1 - low, shape),
        "initial_exponent": -accumulator.grid.fraction_bits if is_fixed else 0,
    }


def computed(problem: dict[str, Any], twin: Twin) -> np.ndarray:
    initial = problem["initial"]
    if isinstance(problem["accumulator"].grid, FloatFields):
        initial = initial.astype(np.float64)
    arrays = [problem[name] for name in ("left", "right", "left_exponents", "right_exponents")]
    options = {name: problem[name] for name in ("block", "blocks_per_term", "accumulator")}
    found: np.ndarray = run("block_registers", "matmul", *arrays, twin=twin, initial=initial, **options)
    return found


def check(problem: dict[str, Any], twin: Twin) -> None:
    found = computed(problem, twin)
    assert found.dtype == (np.int64 if isinstance(problem["accumulator"].grid, FixedFields) else np.float64)
    for row, column in np.ndindex(*found.shape):
        unit = Fraction(2) ** problem["initial_exponent"]
        assert Fraction(found.item(row, column)) * unit == expected_sum(problem, row, column)
    assert not np.signbit(found[found == 0]).any()


@given(problems(), st.sampled_from(TWINS))
def test_every_twin_is_the_sum_of_rationals(problem: dict[str, Any], twin: Twin) -> None:
    if twin is Twin.TENSORS:
        try:
            check(problem, twin)
        except ValueError as error:
            assert re.search("use kernels.compiled.block_registers", str(error))  # noqa: PT017 - it may also compute
        return
    check(problem, twin)


@given(problems(reach=3), st.sampled_from(TWINS))
def test_scales_near_each_other_are_for_every_twin(problem: dict[str, Any], twin: Twin) -> None:
    by_sign = problem["accumulator"].rounding in {2, 5, 7} and problem["accumulator"].overflow == OVERFLOW_WRAP
    if twin is not Twin.TENSORS or not by_sign:
        check(problem, twin)


@pytest.mark.parametrize("order", [ORDER_CHUNKS_EXACT, ORDER_CHUNKS_ROUNDED])
@pytest.mark.parametrize("twin", TWINS)
def test_chunks_count_terms(order: int, twin: Twin) -> None:
    random = np.random.default_rng(order)
    left, right = random.integers(-99, 100, (3, 14)), random.integers(-99, 100, (14, 5))
    scales = random.integers(-4, 5, (3, 7)), random.integers(-4, 5, (7, 5))
    accumulator = AccumulatorFields(FloatFields(5, 4, 15, 1, 0, 0, 1), order=order, chunk=3)
    found = run("block_registers", "matmul", left, right, *scales, block=2, accumulator=accumulator, twin=twin)
    exact = [
        [
            block_dot(row, column, a, b, block=2, accumulator=accumulator)
            for column, b in zip(right.T.tolist(), scales[1].T.tolist(), strict=True)
        ]
        for row, a in zip(left.tolist(), scales[0].tolist(), strict=True)
    ]
    assert found.tolist() == exact


def test_ieee_half_sums_are_those_of_numpy() -> None:
    """float64 holds each exact sum here, and NumPy rounds it once to half precision."""
    random = np.random.default_rng(5)
    left, right = random.integers(-12, 13, (150, 96)), random.integers(-12, 13, (96, 70))
    scales = random.integers(-9, 3, (150, 3)), random.integers(-4, 4, (3, 70))
    sums = np.zeros((150, 70))
    for block in range(3):
        inside = slice(32 * block, 32 * block + 32)
        part = np.ldexp((left[:, inside] @ right[inside]).astype(float), scales[0][:, block, None] + scales[1][block])
        sums = (sums + part).astype(np.float16).astype(np.float64)
    half = AccumulatorFields(HALF, HALF_EVEN, OVERFLOW_INFINITY)
    for twin in (Twin.COMPILED, Twin.TENSORS):
        found = run("block_registers", "matmul", left, right, *scales, block=32, accumulator=half, twin=twin)
        np.testing.assert_array_equal(found, sums)


@pytest.mark.parametrize("rounding", [FLOOR, CEILING])
def test_rounding_that_ignores_the_total_may_come_before_the_sum(rounding: int) -> None:
    """Aligning each block with floor and adding is the register without overflow."""
    random = np.random.default_rng(rounding)
    left, right = random.integers(-99, 100, (6, 20)), random.integers(-99, 100, (20, 7))
    scales = random.integers(-6, 3, (6, 5)), random.integers(-6, 3, (5, 7))
    register = AccumulatorFields(FixedFields(40, 3, 1), rounding)
    found = run("block_registers", "matmul", left, right, *scales, block=4, accumulator=register)
    total = np.zeros((6, 7))
    for block in range(5):
        inside = slice(4 * block, 4 * block + 4)
        part = np.ldexp((left[:, inside] @ right[inside]).astype(float), scales[0][:, block, None] + scales[1][block])
        total += np.floor(part * 8) if rounding == FLOOR else np.ceil(part * 8)
    np.testing.assert_array_equal(found, total)


def test_what_float64_does_not_hold_goes_to_the_definition() -> None:
    one = np.zeros((1, 2), np.int64), np.zeros((2, 1), np.int64)
    wide = AccumulatorFields(FixedFields(64, 0, 1))
    huge = np.array([[(1 << 62) - 1, 1 << 62]]), np.array([[1], [1]])
    found = run("block_registers", "matmul", *huge, *one, block=1, accumulator=wide)
    assert found.tolist() == [[(1 << 63) - 1]]
    assert found.dtype == object
    far = np.array([[0, 60]]), np.array([[0], [0]])
    float32 = AccumulatorFields(SINGLE)
    both = np.array([[1, 1]]), np.array([[1], [1]])
    found = run("block_registers", "matmul", *both, *far, block=1, blocks_per_term=2, accumulator=float32)
    assert found.tolist() == [[2.0**60]]
    above_half = np.array([[1, 1 << 24 | 1]]), np.array([[1], [1]])
    one_term = np.array([[-60, 0]]), np.array([[0], [0]])
    found = run("block_registers", "matmul", *above_half, *one_term, block=1, blocks_per_term=2, accumulator=float32)
    assert found.tolist() == [[float((1 << 24) + 2)]]  # a tie, but for the first block
    with pytest.raises(ValueError, match="the exact sum of 2 blocks needs more than the 53 bits of float64"):
        run(
            *("block_registers", "matmul", *above_half, *one_term),
            block=1,
            blocks_per_term=2,
            accumulator=float32,
            twin=Twin.TENSORS,
        )
    with pytest.raises(ValueError, match=r"are not provably exact in the 53 bits of float64"):
        run("block_registers", "matmul", *huge, *one, block=1, accumulator=wide, twin=Twin.TENSORS)


@pytest.mark.parametrize("twin", [Twin.COMPILED, Twin.TENSORS])
def test_bad_arguments(twin: Twin) -> None:
    def product(*, exponents: tuple[int, int] = (2, 1), **changes: Any) -> Any:
        options = {"block": 2, "accumulator": AccumulatorFields(FixedFields(6, 0, 1)), "twin": twin} | changes
        scales = np.zeros(exponents, np.int64), np.zeros((1, 3), np.int64)
        return run("block_registers", "matmul", np.ones((2, 2), int), np.ones((2, 3), int), *scales, **options)

    assert product().tolist() == [[2, 2, 2], [2, 2, 2]]
    with pytest.raises(ValueError, match="an exact accumulator casts nothing"):
        product(accumulator=AccumulatorFields())
    with pytest.raises(ValueError, match=re.escape("exponents of shapes (2, 2) and (1, 3) for 1 blocks of 2")):
        product(exponents=(2, 2))
    with pytest.raises(ValueError, match="a term is the sum of at least 1 block, got 0"):
        product(blocks_per_term=0)
    with pytest.raises(ValueError, match="the initial value 99 is no number of the accumulator"):
        product(initial=np.array([[99]]))


def test_tensors_stay_tensors() -> None:
    arguments = torch.tensor([[3, 5]]), torch.tensor([[6], [7]]), torch.zeros(1, 1).long(), torch.zeros(1, 1).long()
    accumulator = AccumulatorFields(FixedFields(6, 0, 1), TOWARD_ZERO)
    for twin in TWINS:
        found = run("block_registers", "matmul", *arguments, block=2, accumulator=accumulator, twin=twin)
        assert isinstance(found, torch.Tensor)
        assert found.tolist() == [[31]]
