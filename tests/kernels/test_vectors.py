"""Vectors in compiled loops: every operation on 16 lanes and on a scalar, beside NumPy's; and requests to fetch."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

from kernels.compiled import fetching
from kernels.compiled.bits import from_bits, to_bits
from kernels.compiled.lanes import add, both, either, exclusive, multiply_add, shift_right, sub
from kernels.compiled.vectors import LANES, any_reaches, larger_bits, load, smaller, spread, store
from tests.kernels.twins import same

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.1, 3e38, -3e38, 1e-45, np.inf, -np.inf, 1.5, 2.0**-126, 7.0, -2.5, 1 / 3, -1e-40]
UNSIGNED = {np.float32: np.uint32, np.float64: np.uint64}
SIGNED = {np.float32: np.int32, np.float64: np.int64}


def pairs(dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """16 x 16 floats, each special number beside each."""
    first = np.repeat(np.array(SPECIAL, dtype), LANES)
    return first, np.tile(np.array(SPECIAL, dtype), LANES)


def applied(operation: Any, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An operation by vectors and by scalars."""

    @numba.njit
    def run(first: Any, second: Any, by_vectors: Any, by_scalars: Any) -> None:
        for start in range(0, first.size, LANES):
            index = np.uintp(start)
            store(by_vectors, index, operation(load(first, index), load(second, index)))
        for index in range(first.size):
            by_scalars[index] = operation(first[index], second[index])

    results = np.empty_like(first), np.empty_like(first)
    run(first, second, *results)
    return results


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays hold the same patterns; NaNs are all the same."""
    return bool((same(first, second) if first.dtype.kind == "f" else first == second).all())


FLOAT_OPERATIONS = {
    "add": (numba.njit(lambda a, b: a + b), np.add),
    "subtract": (numba.njit(lambda a, b: a - b), np.subtract),
    "multiply": (numba.njit(lambda a, b: a * b), np.multiply),
    "smaller": (smaller, lambda a, b: np.where(a < b, a, b)),
}
INTEGER_OPERATIONS = {
    "add": (add, np.add),
    "subtract": (sub, np.subtract),
    "and": (both, np.bitwise_and),
    "or": (either, np.bitwise_or),
    "exclusive or": (exclusive, np.bitwise_xor),
    "larger": (larger_bits, np.maximum),
}


@pytest.mark.parametrize("dtype", UNSIGNED)
@pytest.mark.parametrize("name", FLOAT_OPERATIONS)
def test_floats(name: str, dtype: Any) -> None:
    operation, expected = FLOAT_OPERATIONS[name]
    with np.errstate(all="ignore"):
        first, second = pairs(dtype)
        by_vectors, by_scalars = applied(operation, first, second)
        assert same_bits(by_vectors, expected(first, second))
        assert same_bits(by_vectors, by_scalars)


@pytest.mark.parametrize("dtype", UNSIGNED)
@pytest.mark.parametrize("name", INTEGER_OPERATIONS)
def test_integers_of_patterns(name: str, dtype: Any) -> None:
    operation, expected = INTEGER_OPERATIONS[name]
    first, second = (part.view(UNSIGNED[dtype]) for part in pairs(dtype))
    by_vectors, by_scalars = applied(operation, first, second)
    assert same_bits(by_vectors, expected(first, second))
    assert same_bits(by_vectors, by_scalars)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_shifts_keep_the_top_bit(dtype: Any) -> None:
    first, _ = pairs(dtype)
    shifts = np.tile(np.arange(LANES, dtype=UNSIGNED[dtype]), LANES)
    by_vectors, by_scalars = applied(shift_right, first.view(UNSIGNED[dtype]), shifts)
    assert same_bits(by_vectors, (first.view(SIGNED[dtype]) >> shifts.view(SIGNED[dtype])).view(UNSIGNED[dtype]))
    assert same_bits(by_vectors, by_scalars)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_patterns_and_back(dtype: Any) -> None:
    like, sign = dtype(0), UNSIGNED[dtype](1 << (8 * np.dtype(dtype).itemsize - 1))

    @numba.njit
    def with_sign_of(first: Any, second: Any) -> Any:
        return from_bits(either(to_bits(first), both(to_bits(second), spread(sign, second))), like)

    first, second = pairs(dtype)
    by_vectors, by_scalars = applied(with_sign_of, np.abs(first), second)
    assert same_bits(by_vectors, np.copysign(first, second))
    assert same_bits(by_vectors, by_scalars)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_sums_of_products_are_rounded_once(dtype: Any) -> None:
    one_and_more = dtype(1) + np.finfo(dtype).eps

    @numba.njit
    def rest_of_square(first: Any, second: Any) -> Any:
        return multiply_add(first, second, spread(-one_and_more, first) * second)

    first = np.full(LANES, one_and_more, dtype)
    by_vectors, by_scalars = applied(rest_of_square, first, first)
    # (1 + eps)**2 is 1 + 2 * eps and eps**2, which the rounded product lacks.
    assert same_bits(by_vectors, np.full(LANES, np.finfo(dtype).eps ** 2, dtype))
    assert same_bits(by_vectors, by_scalars)


@pytest.mark.parametrize("dtype", UNSIGNED)
def test_any_lane_that_reaches(dtype: Any) -> None:
    @numba.njit
    def reaches(first: Any, second: Any) -> tuple[bool, bool]:
        index = np.uintp(0)
        return any_reaches(load(first, index), load(second, index)), any_reaches(first[3], second[3])

    low, high = np.zeros(LANES, dtype), np.ones(LANES, dtype)
    assert reaches(low, high) == (False, False)
    assert reaches(high, high) == (True, True)
    for lane in range(LANES):
        one = low.copy()
        one[lane] = 1
        assert reaches(one, high) == (True, lane == 3)
    assert reaches(np.full(LANES, np.nan, dtype), low) == (False, False)


def test_integers_are_cut_to_the_width_of_the_array() -> None:
    @numba.njit
    def copy(first: Any, result: Any) -> None:
        store(result, np.uintp(0), load(first, np.uintp(0)))

    first = np.arange(250, 250 + LANES, dtype=np.uint32)
    result = np.zeros(LANES + 1, np.uint8)
    copy(first, result)
    assert result.tolist() == [*(first % 256).tolist(), 0]
    with pytest.raises(TypingError):
        copy(first, np.zeros(LANES, np.uint64))
    with pytest.raises(TypingError):
        copy(first, np.zeros(LANES, np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_requests_behind_the_end_are_no_access(dtype: Any) -> None:
    @numba.njit
    def ask(values: Any, result: Any) -> None:
        fetching.fetch_ahead(values, result, values.size, 1 << 12)
        fetching.fetch_to_read(values, 1 << 40)
        fetching.fetch_to_write(result, 1 << 40)

    values, result = np.ones(3, dtype), np.zeros(3, np.uint8)
    ask(values, result)
    assert (values == 1).all()
    assert not result.any()
