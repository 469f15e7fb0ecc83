"""Matrix products by Triton kernels, interpreted, against the definitions on rationals and against 64-bit products."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.definitions import dots as definition
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
    ProductFields,
)
from kernels.gpu import dots
from kernels.rounding import FLOOR, HALF_EVEN, STOCHASTIC
from tests.kernels.format_list import FLOATS

ACCUMULATORS = {
    **{name: FLOATS[name] for name in ("e4m3fn", "e5m2", "e5m0", "fp16", "bf16", "e4m3 flush", "e3m4 keep", "ue4m3fn")},
    **{name: FLOATS[name] for name in ("e4m3fnuz", "e2m1", "p3109 k8p3", "fp32")},
    "fixed<12,10>": FixedFields(12, 2, 1),
    "fixed<6,7>": FixedFields(6, -1, 1),
    "ufixed<16,8>": FixedFields(16, 8, 0),
    "fixed<32,28>": FixedFields(32, 4, 1),
}
FIXED_OVERFLOWS = (OVERFLOW_SATURATE, OVERFLOW_WRAP, OVERFLOW_SATURATE_ZERO, OVERFLOW_SATURATE_SYMMETRIC)
ORDERS = ((ORDER_ASCENDING, 1), (ORDER_PAIRWISE, 1), (ORDER_CHUNKS_EXACT, 3), (ORDER_CHUNKS_ROUNDED, 4))
PRODUCTS = (None, ProductFields(FLOATS["e4m3"]), ProductFields(FixedFields(14, 3, 1), FLOOR))


def check(
    left: np.ndarray, right: np.ndarray, unit: int, product: ProductFields | None, sums: AccumulatorFields
) -> None:
    result = dots.matmul(torch.from_numpy(left), torch.from_numpy(right), unit=unit, product=product, accumulator=sums)
    step = dots.sum_unit(unit, product, sums)
    assert result.shape == (left.shape[0], right.shape[1])
    assert result.dtype == (torch.float64 if step is None else torch.int64)
    for row in range(left.shape[0]):
        for column in range(right.shape[1]):
            expected = definition.dot(
                left[row].tolist(), right[:, column].tolist(), unit=unit, product=product, accumulator=sums
            )
            given_value = result[row, column].item()
            if step is None and not math.isfinite(expected):
                assert math.isnan(given_value) == math.isnan(expected)
                assert math.isnan(expected) or given_value == expected
                continue
            assert Fraction(given_value) * Fraction(2) ** (step or 0) == expected, (product, sums, row, column)
            assert math.copysign(1, given_value) == 1 or given_value != 0


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ACCUMULATORS)
def test_casting_accumulators_equal_the_definition(name: str, order: tuple[int, int]) -> None:
    grid = ACCUMULATORS[name]
    random = np.random.default_rng([11, *order, *name.encode()])
    for depth, size in ((0, 4), (1, 2000), (5, 200), (9, 20)):
        left = random.integers(-size, size + 1, (2, depth))
        right = random.integers(-size, size + 1, (depth, 3))
        overflow = int(random.choice((0, 1, 2) if isinstance(grid, FloatFields) else FIXED_OVERFLOWS))
        sums = AccumulatorFields(
            grid,
            rounding=HALF_EVEN if depth == 5 else int(random.integers(HALF_EVEN, STOCHASTIC)),
            overflow=overflow,
            saturation_bits=int(random.integers(0, 3)) if overflow == OVERFLOW_WRAP else 0,
            order=order[0],
            chunk=order[1],
        )
        check(left, right, int(random.choice([-8, -4, -1, 0])), PRODUCTS[int(random.integers(0, 3))], sums)


@settings(max_examples=20)
@given(data=st.data())
def test_half_precision_accumulators_of_any_shape(data: st.DataObject) -> None:
    rows, depth, columns = (data.draw(st.integers(0, most)) for most in (3, 12, 3))
    numbers = st.integers(-2048, 2048)
    left = np.array(data.draw(st.lists(numbers, min_size=rows * depth, max_size=rows * depth)), dtype=np.int64)
    right = np.array(data.draw(st.lists(numbers, min_size=depth * columns, max_size=depth * columns)), dtype=np.int64)
    sums = AccumulatorFields(
        FLOATS["fp16"], overflow=data.draw(st.sampled_from([OVERFLOW_SATURATE, OVERFLOW_INFINITY]))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        check(left.reshape(rows, depth), right.reshape(depth, columns), data.draw(st.integers(-12, 0)), None, sums)


def test_float16_sums_equal_those_of_torch() -> None:
    """Products of E4M3 numbers and of their sums round the same in half precision, one addition at a time."""
    random = np.random.default_rng(12)
    left, right = (torch.from_numpy(random.integers(-15, 16, shape) * 2**3) for shape in ((40, 30), (30, 50)))
    result = dots.matmul(
        left, right, unit=-12, accumulator=AccumulatorFields(FLOATS["fp16"], overflow=OVERFLOW_INFINITY)
    )
    total = torch.zeros(40, 50, dtype=torch.float16)
    for k in range(30):
        total = (total.float() + left[:, k : k + 1].float() * right[k : k + 1].float() * 2.0**-12).half()
    assert torch.equal(result, total.double())


@pytest.mark.parametrize("dtype", [torch.int8, torch.float32, torch.int64])
def test_exact_products(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(3)
    left = torch.randint(-128, 128, (70, 300), generator=generator)
    right = torch.randint(-128, 128, (300, 61), generator=generator)
    for factor in (1,) if dtype == torch.int8 else (1, 60, 1 << 10):
        result = dots.exact_matmul((left * factor).to(dtype), (right * factor).to(dtype))
        assert torch.equal(result, (left @ right) * factor**2)
    if dtype == torch.int64:
        assert torch.equal(dots.exact_matmul(left << 20, right << 20), (left @ right) << 40)
    assert dots.exact_matmul(left[:, :0].to(dtype), right[:0].to(dtype)).unique().tolist() == [0]


def test_int8_sums_do_not_wrap_beyond_31_bits() -> None:
    left = torch.full((2, 140_000), -128, dtype=torch.int8)
    assert dots.exact_matmul(left, left.T.contiguous()).unique().tolist() == [140_000 << 14]


def test_initial_values_and_rounded_products_in_exact_sums() -> None:
    left, right = torch.tensor([[3, -5]]), torch.tensor([[7], [2]])
    assert dots.matmul(left, right, initial=torch.tensor([100])).tolist() == [[111]]
    product = ProductFields(FixedFields(8, -1, 1))
    assert dots.matmul(left, right, product=product).tolist() == [[10 - 5]]
    sums = AccumulatorFields(FixedFields(5, 0, 1))
    assert dots.matmul(left, right, accumulator=sums, initial=torch.tensor([[-16]])).tolist() == [[-5]]
    floats = AccumulatorFields(FLOATS["e4m3fn"])
    assert dots.matmul(left, right, accumulator=floats, initial=torch.tensor([0.5])).tolist() == [[12.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dots.matmul(torch.ones(2, 3), torch.ones(2, 3)), r"shapes \(2, 3\) and \(2, 3\) have no product"),
        (
            lambda: dots.exact_matmul(torch.full((1, 4), 1 << 31), torch.full((4, 1), 1 << 31)),
            "sums of 4 products up to 4611686018427387904 may exceed 63 bits: at most 1 products",
        ),
        (
            lambda: dots.matmul(
                torch.ones(1, 1), torch.ones(1, 1), accumulator=AccumulatorFields(FixedFields(60, 0, 1))
            ),
            "need 60 bits, float64 has 53",
        ),
        (
            lambda: dots.matmul(
                torch.ones(1, 1), torch.ones(1, 1), accumulator=AccumulatorFields(FixedFields(8, 0, 1), STOCHASTIC)
            ),
            "rounding mode 8 is not for sums",
        ),
        (
            lambda: dots.matmul(
                torch.ones(1, 1),
                torch.ones(1, 1),
                accumulator=AccumulatorFields(FixedFields(4, 0, 1)),
                initial=torch.tensor([9]),
            ),
            "the initial value 9.0 is no number of the accumulator",
        ),
        (
            lambda: dots.matmul(torch.ones(1, 1), torch.ones(1, 1), accumulator=AccumulatorFields(chunk=0)),
            "a chunk of 0 products",
        ),
    ],
)
def test_errors_say_what_was_given(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
