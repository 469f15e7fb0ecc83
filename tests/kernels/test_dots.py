"""Dot products in every accumulator and order: compiled loops, float64 panels and torch against the definition."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.compiled import dot_panels, dots, float_plans
from kernels.definitions import dots as definition
from kernels.dot_bounds import panels_are_exact, result_exponent
from kernels.fields import (
    ORDER_ASCENDING,
    ORDER_CHUNKS_EXACT,
    ORDER_CHUNKS_ROUNDED,
    ORDER_PAIRWISE,
    OVERFLOW_INFINITY,
    OVERFLOW_NAN,
    OVERFLOW_SATURATE,
    OVERFLOW_SATURATE_SYMMETRIC,
    OVERFLOW_SATURATE_ZERO,
    OVERFLOW_WRAP,
    OVERFLOW_WRAP_SIGN_MAGNITUDE,
    SPECIALS_IEEE,
    SUBNORMALS_GRADUAL,
    AccumulatorFields,
    FixedFields,
    FloatFields,
    ProductFields,
)
from kernels.rounding import CEILING, FLOOR, HALF_AWAY, HALF_EVEN, HALF_UP, TOWARD_ZERO
from kernels.tensors import dots as tensors

HALF = FloatFields(5, 10, 15, 1, 0, 0, 1)
SINGLE = FloatFields(8, 23, 127, 1, 0, 0, 1)
BFLOAT = FloatFields(8, 7, 127, 1, 0, 0, 1)
E4M3FN = FloatFields(4, 3, 7, 1, 1, 0, 1)
FLOATS = [HALF, SINGLE, BFLOAT, E4M3FN, FloatFields(6, 9, 31, 1, 0, 0, 1), FloatFields(5, 2, 16, 1, 3, 0, 1)]
FLOATS += [FloatFields(4, 3, 7, 1, 0, 2, 1), FloatFields(4, 12, 7, 1, 2, 1, 1), FloatFields(3, 0, 3, 1, 2, 0, 1)]
ROUNDINGS = range(8)


@st.composite
def casts(draw: Any, kind: type) -> Any:
    extra = {}
    if kind is AccumulatorFields:
        order = draw(st.sampled_from((ORDER_ASCENDING, ORDER_PAIRWISE, ORDER_CHUNKS_EXACT, ORDER_CHUNKS_ROUNDED)))
        chunked = order in {ORDER_CHUNKS_EXACT, ORDER_CHUNKS_ROUNDED}
        extra = {"order": order, "chunk": draw(st.integers(1, 6)) if chunked else 1}
    if draw(st.booleans()):
        width, signed = draw(st.integers(2, 62)), draw(st.sampled_from((1, 1, 0)))
        rules = [OVERFLOW_SATURATE, OVERFLOW_WRAP, OVERFLOW_SATURATE_ZERO, OVERFLOW_SATURATE_SYMMETRIC]
        overflow = draw(st.sampled_from(rules + [OVERFLOW_WRAP_SIGN_MAGNITUDE] * signed))
        wraps = overflow in {OVERFLOW_WRAP, OVERFLOW_WRAP_SIGN_MAGNITUDE}
        bits = draw(st.integers(0, min(width, 2))) if wraps else 0
        grid = FixedFields(width, draw(st.integers(-2, 14)), signed)
        return kind(grid, draw(st.sampled_from(ROUNDINGS)), overflow, bits, **extra)
    overflows = [OVERFLOW_SATURATE] if kind is ProductFields else [OVERFLOW_SATURATE, OVERFLOW_INFINITY]
    rounding = draw(st.sampled_from([HALF_EVEN] * 5 + list(ROUNDINGS)))
    return kind(draw(st.sampled_from(FLOATS)), rounding, draw(st.sampled_from(overflows)), **extra)


@st.composite
def problems(draw: Any) -> dict[str, Any]:
    rows, depth, columns = draw(st.integers(0, 3)), draw(st.integers(0, 20)), draw(st.integers(0, 3))
    largest = 1 << draw(st.sampled_from((1, 4, 8, 12, 20))), 1 << draw(st.sampled_from((1, 4, 8, 18)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    spread = random.integers(0, draw(st.integers(1, 12)), (rows, depth))
    left = random.integers(-largest[0], largest[0], (rows, depth), endpoint=True) << spread
    right = random.integers(-largest[1], largest[1], (depth, columns), endpoint=True)
    accumulator = draw(casts(AccumulatorFields))
    start = definition.cast_to_fields(Fraction(draw(st.integers(-60, 60)), 8), accumulator)
    assert isinstance(start, Fraction)
    is_float = isinstance(accumulator.grid, FloatFields)
    initial = float(start) if is_float else int(start / Fraction(2) ** result_exponent(0, None, accumulator))
    return {
        "left": left,
        "right": right,
        "unit": draw(st.sampled_from((0, -3, -14, -20, 2))),
        "product": draw(st.none() | casts(ProductFields)),
        "accumulator": accumulator,
        "start": start,
        "initial": np.full((1, columns), initial),
    }


def by_definition(problem: dict[str, Any]) -> list[list[Fraction | float]]:
    columns = problem["right"].T.tolist()
    shape = problem["left"].shape[0], problem["right"].shape[1]
    rest = {name: problem[name] for name in ("unit", "product", "accumulator")}
    return [
        [definition.dot(row, columns[j], initial=problem["start"], **rest) for j in range(shape[1])]
        for row in problem["left"].tolist()
    ]


def as_values(result: Any, problem: dict[str, Any]) -> list[list[Fraction | float]]:
    accumulator = problem["accumulator"]
    if isinstance(accumulator.grid, FloatFields):
        assert not np.signbit(np.asarray(result)[np.asarray(result) == 0]).any()
        return [[Fraction(v) if np.isfinite(v) else v for v in row] for row in result.tolist()]
    unit = Fraction(2) ** result_exponent(problem["unit"], problem["product"], accumulator)
    return [[int(v) * unit for v in row] for row in result.tolist()]


def same(first: list[list[Any]], second: list[list[Any]]) -> bool:
    def plain(rows: list[list[Any]]) -> list[list[Any]]:
        return [["nan" if value != value else value for value in row] for row in rows]  # noqa: PLR0124 - NaN

    return plain(first) == plain(second)


@given(problems())
def test_compiled_against_definition(problem: dict[str, Any]) -> None:
    arguments = {name: problem[name] for name in ("left", "right", "unit", "product", "accumulator", "initial")}
    assert same(as_values(dots.matmul(**arguments), problem), by_definition(problem))


@given(problems())
def test_torch_against_definition(problem: dict[str, Any]) -> None:
    names = ("left", "right", "initial")
    arguments = {name: torch.from_numpy(np.ascontiguousarray(problem[name])) for name in names}
    options = {name: problem[name] for name in ("unit", "product", "accumulator")}
    operands = dot_panels.describe(problem["left"], problem["right"], problem["initial"])
    if not panels_are_exact(operands, **options):
        with pytest.raises(ValueError, match="not provably exact in the 53 bits"):
            tensors.matmul(**arguments, **options)
        return
    result = tensors.matmul(**arguments, **options)
    assert same(as_values(result.numpy(), problem), by_definition(problem))


ODD = AccumulatorFields(FloatFields(5, 7, 15, 1, 0, 0, 1))
PLANS = {
    "half": (AccumulatorFields(HALF, 0, OVERFLOW_INFINITY), 3, 3, "HalfOverflowing"),
    "half, saturating": (AccumulatorFields(HALF), 3, 3, "HalfSaturating"),
    "magic in float32": (AccumulatorFields(FloatFields(6, 9, 31, 1, 0, 0, 1)), 4, 3, "Saturating"),
    "magic, overflowing": (AccumulatorFields(E4M3FN, 0, OVERFLOW_NAN), 3, 1, "Overflowing"),
    "single": (AccumulatorFields(SINGLE), 7, 7, "NoCast"),
    "bfloat16": (AccumulatorFields(BFLOAT), 7, 4, "Saturating"),
    "chunks": (AccumulatorFields(HALF, 0, 0, 0, 0, ORDER_CHUNKS_EXACT, 4), 5, 5, "HalfSaturating"),
}


@pytest.mark.parametrize("name", PLANS)
def test_each_loop_against_definition(name: str) -> None:
    """Larger matrices through every kind of loop, with the kind checked."""
    accumulator, left_bits, right_bits, kind = PLANS[name]
    random = np.random.default_rng(1)
    left = random.integers(-(1 << left_bits), 1 << left_bits, (9, 70)) << random.integers(0, 7, (9, 70))
    right = random.integers(-(1 << right_bits), 1 << right_bits, (70, 6))
    operands = dot_panels.describe(left, right, np.zeros((9, 6)))
    plan = float_plans.plan(operands, unit=-9, product=None, accumulator=accumulator)
    assert plan is not None
    assert type(plan.casts.sums).__name__ == kind or not float_plans.cpu_converts_halves()
    problem = {"left": left, "right": right, "unit": -9, "product": None, "accumulator": accumulator}
    problem["start"] = Fraction(0)
    result = dots.matmul(left, right, unit=-9, accumulator=accumulator)
    assert same(as_values(result, problem), by_definition(problem))


def test_the_processor_s_half_and_the_addition_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the processor has no half precision, the other loop gives the same bits."""
    random = np.random.default_rng(2)
    left, right = random.integers(-240, 240, (40, 300)), random.integers(-15, 16, (300, 33))
    accumulator = AccumulatorFields(HALF, 0, OVERFLOW_INFINITY)
    through_half = dots.matmul(left, right, unit=3, accumulator=accumulator)
    monkeypatch.setattr(float_plans, "cpu_converts_halves", lambda: False)
    np.testing.assert_array_equal(dots.matmul(left, right, unit=3, accumulator=accumulator), through_half)
    assert np.isinf(through_half).any()


def test_an_accumulator_below_the_product_is_not_rounded_twice() -> None:
    """1 + 2**-11 * (1 + 2**-10) lies just above a tie of E5M10; 24 bits hold it, 23 would not.

    With an accumulator of 12 bits the sum needs more than float32 has, and rounding it there first would make a tie.
    """
    wide = FloatFields(6, 12, 31, 1, 0, 0, 1)
    left = np.array([[(1 << 12) + 1, 1 << 25]])
    right = np.array([[1], [1]])
    exact = Fraction((1 << 12) + 1 + (1 << 25))
    assert Fraction(float(np.float32((1 << 12) + 1) + np.float32(1 << 25))) != exact
    result = dots.matmul(left, right, accumulator=AccumulatorFields(wide, 0, OVERFLOW_SATURATE))
    assert result.tolist() == [[float((1 << 25) + (1 << 13))]]


def test_orders_by_hand() -> None:
    """7 bits of a fixed accumulator that saturates at 7: every order ends elsewhere."""
    values, ones = np.array([[5, 5, -4, -1, 6]]), np.ones((5, 1), dtype=np.int64)

    def total(order: int, chunk: int = 1) -> int:
        accumulator = AccumulatorFields(FixedFields(4, 0, 1), FLOOR, OVERFLOW_SATURATE, 0, 0, order, chunk)
        return int(dots.matmul(values, ones, accumulator=accumulator)[0, 0])

    # 5, 7 (10), 3, 2, 7 (8) | (7 + -5) + 6 = 7 (8) | 10 -> 7, 7 - 5 = 2, 7 (8)
    assert total(ORDER_ASCENDING) == 7
    assert total(ORDER_PAIRWISE) == 7
    assert total(ORDER_CHUNKS_EXACT, 3) == 7
    assert total(ORDER_CHUNKS_ROUNDED, 4) == 7
    values[:] = [[5, 5, -4, -3, 2]]
    # 5, 7, 3, 0, 2 | (7 - 7) + 2 | (5 + 5 - 4) = 6, 6 - 1 = 5 | chunk of 4: 0, then 2
    assert total(ORDER_ASCENDING) == 2
    assert total(ORDER_PAIRWISE) == 2
    assert total(ORDER_CHUNKS_EXACT, 3) == 5
    assert total(ORDER_CHUNKS_ROUNDED, 3) == 2
    values[:] = [[5, -6, 5, 5, -7]]
    # 5, -1, 4, 7, 0 | (-1 + 7) - 7 = -1 | (4) then -2 -> 2 | (5 - 6 + 5) = 4, (5 - 7) = -2 -> 2
    assert total(ORDER_ASCENDING) == 0
    assert total(ORDER_PAIRWISE) == -1
    assert total(ORDER_CHUNKS_EXACT, 3) == 2


@pytest.mark.parametrize("rounding", [FLOOR, HALF_UP, HALF_EVEN, HALF_AWAY, TOWARD_ZERO, CEILING])
@pytest.mark.parametrize("overflow", [OVERFLOW_SATURATE, OVERFLOW_WRAP, OVERFLOW_SATURATE_ZERO])
def test_fixed_loops_in_32_and_64_bits(rounding: int, overflow: int) -> None:
    random = np.random.default_rng(rounding)
    for bits, width in ((7, 12), (14, 26)):
        left, right = (random.integers(-(1 << bits), 1 << bits, shape) for shape in ((6, 37), (37, 5)))
        accumulator = AccumulatorFields(FixedFields(width, 4, 1), rounding, overflow)
        problem = {"left": left, "right": right, "unit": -9, "product": None, "accumulator": accumulator}
        problem["start"] = Fraction(0)
        result = dots.matmul(left, right, unit=-9, accumulator=accumulator)
        assert same(as_values(result, problem), by_definition(problem))


def test_errors() -> None:
    two = np.ones((2, 2), dtype=np.int64)
    with pytest.raises(ValueError, match=r"shapes \(2, 2\) and \(3, 2\) have no matrix product"):
        dots.matmul(two, np.ones((3, 2)))
    with pytest.raises(ValueError, match="a chunk of 0 products with order 2: at least 1"):
        dots.matmul(two, two, accumulator=AccumulatorFields(order=ORDER_CHUNKS_EXACT, chunk=0))
    with pytest.raises(ValueError, match="a chunk of 3 products with order 0"):
        dots.matmul(two, two, accumulator=AccumulatorFields(chunk=3))
    with pytest.raises(ValueError, match="order 9 is unknown"):
        tensors.matmul(torch.ones(1, 1), torch.ones(1, 1), accumulator=AccumulatorFields(order=9))
    with pytest.raises(ValueError, match="the initial value 9 is no number of the accumulator"):
        dots.matmul(two, two, accumulator=AccumulatorFields(FixedFields(4, 0, 1)), initial=np.array([[9]]))
    initial = torch.tensor([[0.3]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"the initial value .* is no number of the accumulator"):
        tensors.matmul(torch.ones(1, 1), torch.ones(1, 1), accumulator=AccumulatorFields(HALF), initial=initial)
    with pytest.raises(ValueError, match="may be infinite or NaN, which the accumulator None has not"):
        dots.matmul(two, two, product=ProductFields(HALF, 0, OVERFLOW_INFINITY))
    large = torch.full((1, 256), 1 << 27)
    with pytest.raises(ValueError, match="at most k = 255 of them fit"):
        tensors.exact_matmul(large, large.T)
    with pytest.raises(ValueError, match="operands of 2 and 1 numbers have no dot product"):
        definition.dot([1, 2], [3])


def test_torch_restores_tensor_float_32() -> None:
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        with tensors.ieee_products():
            assert not torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


@given(st.data())
def test_torch_exact_products(data: st.DataObject) -> None:
    bits = data.draw(st.integers(1, 28)), data.draw(st.integers(1, 28))
    shape = [data.draw(st.integers(0, 6)) for _ in range(3)]
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    left = random.integers(-(1 << bits[0]), 1 << bits[0], shape[:2], endpoint=True)
    right = random.integers(-(1 << bits[1]), 1 << bits[1], shape[1:], endpoint=True)
    result = tensors.exact_matmul(torch.from_numpy(left), torch.from_numpy(right))
    np.testing.assert_array_equal(result.numpy(), left @ right)


def test_wide_accumulators_use_python_integers() -> None:
    """A saturating accumulator of 64 bits, beyond what 64-bit loops hold."""
    left = np.array([[1 << 31, 1 << 31, 1 << 31, -1]])
    right = np.array([[1 << 31], [1 << 31], [1 << 31], [5]])
    accumulator = AccumulatorFields(FixedFields(64, 0, 1))
    result = dots.matmul(left, right, accumulator=accumulator)
    assert result.tolist() == [[(1 << 63) - 1 - 5]]


@pytest.mark.parametrize(("first", "second", "expected"), [(1, 257, 258), (-1, 257, 256), (1, -259, -258)])
def test_a_tiny_accumulator_breaks_the_tie_of_a_large_product(first: int, second: int, expected: int) -> None:
    """The sum has more bits than float64, whose rounding alone would leave a tie: it is rounded to odd."""
    bfloat = AccumulatorFields(FloatFields(8, 7, 127, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1))
    left, right = np.array([[first, second << 30]]), np.array([[1], [1 << 30]])
    assert dots.matmul(left, right, accumulator=bfloat).tolist() == [[expected * 2.0**60]]
