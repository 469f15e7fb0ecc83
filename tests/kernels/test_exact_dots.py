"""Exact products from codes and of blocks: int8, limbs, BLAS and Python integers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.block_sums import PART_BITS
from kernels.compiled import block_dots, exact_dots, int8_dots, limbs
from kernels.definitions.dots import block_dot, block_dot_aligned

INT8 = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64)
KINDS = {
    "int8": INT8,
    "uint8": np.arange(256),
    "e4m3fn": np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64),
    "e5m2": np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e5m2).astype(np.float64),
    "e2m1": np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float64),
    "e2m3": np.arange(64, dtype=np.uint8).view(ml_dtypes.float6_e2m3fn).astype(np.float64),
    "e3m2": np.arange(64, dtype=np.uint8).view(ml_dtypes.float6_e3m2fn).astype(np.float64),
    "fixed 11": np.concatenate([np.arange(1024), np.arange(-1024, 0)]),
}
SCALES = {"e4m3fn": 2**9, "e5m2": 2**16, "e2m1": 2, "e2m3": 8, "e3m2": 16}


def table_of(kind: str) -> np.ndarray:
    values = KINDS[kind] * float(SCALES.get(kind, 1))
    return np.where(np.isfinite(values), values, 0).astype(np.int64)


@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
@pytest.mark.parametrize("without", ["", "VNNI"])
def test_all_pairs_of_codes(left: str, right: str, without: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outer product meets every pair; a longer one sums them."""
    if without:
        monkeypatch.setattr(limbs, "has_int8_dot_products", lambda: False)
        monkeypatch.setattr(exact_dots, "int8_matmul_is_exact", lambda: False)
    tables = table_of(left), table_of(right)
    codes = [np.arange(table.size, dtype=np.uint16 if table.size > 256 else np.uint8) for table in tables]
    result = exact_dots.exact_matmul_codes(codes[0][:, None], codes[1][None, :], *tables)
    big = np.abs(tables[0]).max() * float(np.abs(tables[1]).max()) >= 2**62
    exact = [table.astype(object) if big else table for table in tables]
    np.testing.assert_array_equal(result, exact[0][:, None] * exact[1][None, :])
    random = np.random.default_rng(7)
    first, second = random.choice(codes[0], (17, 90)), random.choice(codes[1], (90, 13))
    expected = tables[0][first].astype(object) @ tables[1][second].astype(object)
    assert exact_dots.exact_matmul_codes(first, second, *tables).tolist() == expected.tolist()


def test_int8_products_beyond_32_bits() -> None:
    """torch wraps at 2**31; the sum of 131,072 squares of -128 is exactly there."""
    depth = 131_072
    least = np.full((1, 2 * depth + 5), -128, dtype=np.int8)
    wrapped = torch._int_mm(torch.from_numpy(least[:, :depth]), torch.from_numpy(least[:, :depth].T.copy()))
    assert int(wrapped[0, 0]) == -(2**31)
    for terms in (depth - 1, depth, depth + 1, 2 * depth + 5):
        result = int8_dots.int8_matmul(least[:, :terms], least[:, :terms].T)
        assert result.tolist() == [[terms * 16384]]


def test_the_canary_sees_saturation_and_narrow_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = torch._int_mm
    assert int8_dots.int8_matmul_is_exact()

    def pairs_saturate(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        products = left.int()[:, :, None] * right.int()[None]
        pairs = products[:, : left.shape[1] // 2 * 2].reshape(left.shape[0], -1, 2, right.shape[1]).sum(2)
        rest = products[:, left.shape[1] // 2 * 2 :].sum(1)
        return (pairs.clamp(-(2**15), 2**15 - 1).sum(1) + rest).int()

    def clips(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return exact(left, right).clamp(-(2**30), 2**30)

    for fault in (pairs_saturate, clips):
        monkeypatch.setattr(torch, "_int_mm", fault)
        assert not int8_dots.int8_matmul_is_exact.__wrapped__()
    monkeypatch.setattr(torch, "_int_mm", exact)
    assert int8_dots.int8_matmul_is_exact.__wrapped__()


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 3), (3, 2, 0), (1, 1, 1), (300, 3, 2)])
def test_shapes(shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(8)
    for kind in ("int8", "e2m1", "e4m3fn", "fixed 11", "e5m2"):
        table = table_of(kind)
        left = random.integers(0, table.size, shape[:2]).astype(np.uint16)
        right = random.integers(0, table.size, shape[1:]).astype(np.uint16)
        result = exact_dots.exact_matmul_codes(left, right, table, table)
        np.testing.assert_array_equal(result, table[left] @ table[right])


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=6))
def test_limbs_add_up(values: list[int]) -> None:
    array = np.array(values)
    count = limbs.limbs_for(min(values), max(values))
    digits = limbs.split(array, count)
    assert [sum(int(d) << (8 * place) for place, d in enumerate(column)) for column in digits.T] == values


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32))
def test_limb_products_in_parts(left_limbs: int, right_limbs: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    left = random.integers(-128, 128, (left_limbs, 3, 9)).astype(np.int8)
    right = random.integers(-128, 128, (right_limbs, 9, 2)).astype(np.int8)
    parts = limbs.limb_matmul(left, right, wide=-(-(left_limbs + right_limbs - 1) // 4))
    first, second = (sum(d.astype(object) << (8 * i) for i, d in enumerate(side)) for side in (left, right))
    total = sum(part.astype(object) << (PART_BITS * index) for index, part in enumerate(parts))
    assert np.asarray(total).tolist() == (first @ second).tolist()


@st.composite
def block_problems(draw: Any) -> dict[str, Any]:
    rows, depth, columns = draw(st.integers(0, 3)), draw(st.integers(0, 40)), draw(st.integers(0, 3))
    block, bits = draw(st.integers(1, 17)), draw(st.sampled_from((1, 3, 7, 18, 30, 56)))
    spread = draw(st.sampled_from((0, 3, 8, 12, 20, 40, 130)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    blocks = -(-depth // block)
    return {
        "left": random.integers(-(1 << bits), 1 << bits, (rows, depth), endpoint=True),
        "right": random.integers(-(1 << bits), 1 << bits, (depth, columns), endpoint=True),
        "left_exponents": random.integers(-spread, spread + 1, (rows, blocks)) - 9,
        "right_exponents": random.integers(-spread, spread + 1, (blocks, columns)),
        "block": block,
    }


def pairs_of(problem: dict[str, Any]) -> Any:
    for row, column in np.ndindex(problem["left"].shape[0], problem["right"].shape[1]):
        left, right = problem["left"][row].tolist(), problem["right"][:, column].tolist()
        exponents = problem["left_exponents"][row].tolist(), problem["right_exponents"][:, column].tolist()
        yield (row, column), (left, right, *exponents)


@given(block_problems())
def test_block_products_against_the_definition(problem: dict[str, Any]) -> None:
    sums = block_dots.block_matmul(**problem)
    integers = sums.integers()
    for (row, column), arguments in pairs_of(problem):
        unit = Fraction(2) ** int(sums.row_exponents[row] + sums.column_exponents[column])
        assert int(integers[row, column]) * unit == block_dot(*arguments, block=problem["block"])


@given(block_problems(), st.integers(-30, 12), st.sampled_from((8, 24, 40, 63)), st.integers(-100, 100))
def test_aligned_block_products_against_the_definition(
    problem: dict[str, Any], unit: int, width: int, initial: int
) -> None:
    result = block_dots.block_matmul_aligned(**problem, unit=unit, width=width, initial=np.array(initial))
    for place, arguments in pairs_of(problem):
        options = {"block": problem["block"], "unit": unit, "width": width, "initial": initial}
        assert int(result[place]) == block_dot_aligned(*arguments, **options)


def test_every_path_of_block_products() -> None:
    """One float64 product, limbs in one and in several parts, and Python integers."""
    random = np.random.default_rng(9)
    left, right = random.integers(-127, 128, (20, 64)), random.integers(-127, 128, (64, 20))
    kinds = set()
    for spread in (4, 20, 24, 38, 90):
        exponents = random.integers(0, spread + 1, (20, 4)), random.integers(0, spread + 1, (4, 20))
        sums = block_dots.block_matmul(left, right, *exponents, block=16)
        kinds.add((len(sums.parts), str(sums.parts.dtype)))
        problem = {"left": left, "right": right, "left_exponents": exponents[0], "right_exponents": exponents[1]}
        for (row, column), arguments in pairs_of(problem):
            unit = Fraction(2) ** int(sums.row_exponents[row] + sums.column_exponents[column])
            assert int(sums.integers()[row, column]) * unit == block_dot(*arguments, block=16)
    assert (1, "int64") in kinds
    assert (1, "object") in kinds
    assert any(parts > 1 for parts, _ in kinds) or not limbs.has_int8_dot_products()


def test_errors() -> None:
    code = np.array([[3]], dtype=np.uint8)
    with pytest.raises(ValueError, match="code 3 has no entry in a table of 2 codes"):
        exact_dots.look_up(code, np.array([0, 1]), np.int8)
    with pytest.raises(ValueError, match="a table with numbers up to 300 does not fit int8"):
        exact_dots.look_up(code, np.array([0, 300]), np.int8)
    with pytest.raises(ValueError, match=r"shapes \(1, 1\) and \(2, 1\) have no matrix product"):
        exact_dots.exact_matmul_codes(code, np.zeros((2, 1), dtype=np.uint8), INT8, INT8)
    one = np.ones((1, 1), dtype=np.int64)
    with pytest.raises(ValueError, match=r"give \(1, 1\) and \(1, 1\)"):
        block_dots.block_matmul(one, one, np.zeros((1, 2)), one, block=1)
    with pytest.raises(ValueError, match="blocks of 0 elements"):
        block_dots.block_matmul(one, one, one, one, block=0)
    with pytest.raises(ValueError, match="a result of 64 bits: 1 to 63"):
        block_dots.block_matmul_aligned(one, one, one, one, block=1, unit=0, width=64)


def test_blocks_are_floored_beside_sums_that_float64_does_not_hold() -> None:
    """Sums of more than 53 bits go through integers, whose shift of a negative block is a floor as well."""
    left, right = np.array([[1 << 20, -5], [-(1 << 20), 5]]), np.array([[1], [1]])
    exponents = np.array([[33, -3], [33, -3]]), np.zeros((2, 1), dtype=np.int64)
    result = block_dots.block_matmul_aligned(left, right, *exponents, block=1, unit=0, width=60)
    assert result.tolist() == [[(1 << 53) - 1], [-(1 << 53)]]
