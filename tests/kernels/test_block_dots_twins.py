"""Products of blocks: torch, Triton (interpreted) and definition against sums of rationals and foreign decoders."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.block_sums import BlockSums
from kernels.definitions.dots import block_dot_aligned
from kernels.twins import Twin, run
from tests.missing_tools import foreign

if TYPE_CHECKING:
    from numpy.typing import NDArray

TWINS = (Twin.DEFINITION, Twin.COMPILED, Twin.TENSORS, Twin.GPU)
# Elements as integers of a unit: OCP MX kinds as ml_dtypes decodes them, and sign-magnitude integers of BFP.
FOREIGN = {
    "mxfp8 e4m3": (ml_dtypes.float8_e4m3fn, 9, 32),
    "mxfp8 e5m2": (ml_dtypes.float8_e5m2, 16, 32),
    "mxfp6 e3m2": (ml_dtypes.float6_e3m2fn, 4, 32),
    "mxfp6 e2m3": (ml_dtypes.float6_e2m3fn, 3, 32),
    "mxfp4 e2m1": (ml_dtypes.float4_e2m1fn, 1, 32),
    "mxint8": (np.int8, 6, 32),
}


@pytest.fixture(autouse=True)
def interpreted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's twin is interpreted; the others do without it."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if parameters.get("twin") is Twin.GPU:
        foreign("triton", "pip install triton")
        monkeypatch.setenv("TRITON_INTERPRET", "1")


def sums_of(problem: dict[str, Any], twin: Twin) -> BlockSums:
    arrays = [problem[name] for name in ("left", "right", "left_exponents", "right_exponents")]
    found = run("block_dots", "block_matmul", *arrays, twin=twin, block=problem["block"])
    assert isinstance(found, BlockSums)
    assert all(isinstance(one, np.ndarray) for one in found)
    return found


def values_of(sums: BlockSums) -> list[list[Fraction]]:
    integers = sums.integers()
    return [
        [Fraction(int(integer)) * Fraction(2) ** int(sums.row_exponents[row] + column) for integer, column in pairs]
        for row, pairs in enumerate(
            list(zip(line, sums.column_exponents.tolist(), strict=True)) for line in integers.tolist()
        )
    ]


def exact_values(problem: dict[str, Any]) -> list[list[Fraction]]:
    """Every element times its scale as a rational, and plain sums of products."""

    def rationals(values: NDArray[Any], exponents: NDArray[Any]) -> list[list[Fraction]]:
        return [
            [Fraction(int(value)) * Fraction(2) ** int(line[k // problem["block"]]) for k, value in enumerate(row)]
            for row, line in zip(values.tolist(), exponents.tolist(), strict=True)
        ]

    rows = rationals(problem["left"], problem["left_exponents"])
    columns = rationals(problem["right"].T, problem["right_exponents"].T)
    return [[sum((a * b for a, b in zip(row, column, strict=True)), Fraction(0)) for column in columns] for row in rows]


@st.composite
def problems(draw: Any, spreads: tuple[int, ...] = (0, 3, 12, 40, 130, 900)) -> dict[str, Any]:
    rows, depth, columns = draw(st.integers(0, 3)), draw(st.integers(0, 40)), draw(st.integers(0, 3))
    block, bits = draw(st.integers(1, 17)), draw(st.sampled_from((1, 3, 7, 18, 30, 52, 60)))
    spread = draw(st.sampled_from(spreads))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    blocks = -(-depth // block)
    return {
        "left": random.integers(-(1 << bits), 1 << bits, (rows, depth), endpoint=True),
        "right": random.integers(-(1 << bits), 1 << bits, (depth, columns), endpoint=True),
        "left_exponents": random.integers(-spread, spread + 1, (rows, blocks)) - 9,
        "right_exponents": random.integers(-spread, spread + 1, (blocks, columns)),
        "block": block,
    }


@pytest.mark.parametrize("twin", TWINS)
@settings(max_examples=60)
@given(problem=problems())
def test_sums_are_those_of_rationals(twin: Twin, problem: dict[str, Any]) -> None:
    assert values_of(sums_of(problem, twin)) == exact_values(problem)


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("kind", FOREIGN)
def test_mx_products_of_foreign_numbers(kind: str, twin: Twin) -> None:
    """Every finite element code meets every scale of E8M0; what codes mean is the other library's word."""
    dtype, fraction_bits, block = FOREIGN[kind]
    width = ml_dtypes.finfo(dtype).bits if dtype is not np.int8 else 8
    decoded = np.arange(1 << width).astype(np.uint8).view(dtype).astype(np.float64)
    values = decoded[np.isfinite(decoded)] * (1 if dtype is np.int8 else 2.0**fraction_bits)
    random = np.random.default_rng(5)
    depth = 2 * block + 5
    operands = [random.permutation(np.resize(values, 4 * depth)).astype(np.int64) for _ in range(2)]
    scales = np.arange(255, dtype=np.uint8).view(ml_dtypes.float8_e8m0fnu).astype(np.float64)
    exponents = [random.choice(np.log2(scales).astype(np.int64), (4, 3)) - fraction_bits for _ in range(2)]
    problem = {
        "left": operands[0].reshape(4, depth),
        "right": operands[1].reshape(depth, 4),
        "left_exponents": exponents[0],
        "right_exponents": exponents[1].T,
        "block": block,
    }
    assert values_of(sums_of(problem, twin)) == exact_values(problem)


@pytest.mark.parametrize("twin", TWINS)
def test_nvfp4_scales_go_into_the_integers_and_the_exponents(twin: Twin) -> None:
    """An E4M3 scale is an integer times a power of two: 16 E2M1 elements times it, against float64's exact products."""
    random = np.random.default_rng(6)
    levels = np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float64)
    scales = np.arange(1, 0x7F, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    elements = random.choice(levels, (5, 48)), random.choice(levels, (48, 6))
    block_scales = random.choice(scales, (5, 3)), random.choice(scales, (3, 6))
    wide = np.repeat(block_scales[0], 16, axis=1), np.repeat(block_scales[1], 16, axis=0)
    expected = (elements[0] * wide[0]) @ (elements[1] * wide[1])  # multiples of 2**-20 below 2**33
    mantissas, exponents = zip(*(np.frexp(one) for one in block_scales), strict=True)
    folded = [
        (2 * one * np.repeat(mantissa * 16, 16, axis=axis)).astype(np.int64)
        for one, mantissa, axis in zip(elements, mantissas, (1, 0), strict=True)
    ]
    problem = {
        "left": folded[0],
        "right": folded[1],
        "left_exponents": exponents[0].astype(np.int64) - 5,
        "right_exponents": exponents[1].astype(np.int64) - 5,
        "block": 16,
    }
    found = values_of(sums_of(problem, twin))
    assert found == [[Fraction(value) for value in row] for row in expected.tolist()]


@pytest.mark.parametrize("twin", [Twin.TENSORS, Twin.GPU])
def test_deep_products_are_cut(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of digits end at a depth that float64 holds; here after 256 instead of a million products."""
    for module in ("tensors", "gpu"):
        monkeypatch.setattr(f"kernels.{module}.block_dots.DIGIT_DEPTH", 256)
    random = np.random.default_rng(7)
    problem = {
        "left": random.integers(-(1 << 30), 1 << 30, (3, 600)),
        "right": random.integers(-(1 << 30), 1 << 30, (600, 3)),
        "left_exponents": random.integers(-20, 20, (3, 86)),
        "right_exponents": random.integers(-20, 20, (86, 3)),
        "block": 7,
    }
    sums = sums_of(problem, twin)
    assert len(sums.parts) > 1
    assert values_of(sums) == exact_values(problem)


@pytest.mark.parametrize("twin", [Twin.TENSORS, Twin.GPU])
def test_the_borders_of_one_and_more_parts(twin: Twin) -> None:
    """One product that grows bit by bit, through 53, 62 and 64 bits, beside a 1 that keeps the unit where it is."""
    parts = []
    for shift in range(70):
        problem = {
            "left": np.array([[1, -(1 << 20) - 1]]),
            "right": np.array([[1], [(1 << 20) - 1]]),
            "left_exponents": np.array([[0, shift]]),
            "right_exponents": np.array([[0], [0]]),
            "block": 1,
        }
        sums = sums_of(problem, twin)
        assert values_of(sums) == exact_values(problem)
        parts.append(len(sums.parts))
    assert parts == sorted(parts)
    assert [count > 1 for count in parts].index(True) in {21, 22}  # 40 bits of the product and these make 62


@pytest.mark.parametrize("twin", [Twin.TENSORS, Twin.GPU])
def test_paths(twin: Twin) -> None:
    """Whole numbers in float64, digits that fit one int64 again, and digits in several parts."""
    random = np.random.default_rng(9)
    counts = []
    for spread in (4, 20, 60):
        problem = {
            "left": random.integers(-127, 128, (20, 64)),
            "right": random.integers(-127, 128, (64, 20)),
            "left_exponents": random.integers(0, spread + 1, (20, 4)),
            "right_exponents": random.integers(0, spread + 1, (4, 20)),
            "block": 16,
        }
        sums = sums_of(problem, twin)
        assert values_of(sums) == exact_values(problem)
        counts.append(len(sums.parts))
    assert counts[:2] == [1, 1]
    assert counts[2] > 2


@pytest.mark.parametrize("twin", TWINS)
@settings(max_examples=60)
@given(
    problem=problems((0, 3, 12)),
    unit=st.integers(-30, 12),
    width=st.sampled_from((8, 24, 40, 63)),
    initial=st.integers(-100, 100),
)
def test_aligned_products_equal_the_definition(
    twin: Twin, problem: dict[str, Any], unit: int, width: int, initial: int
) -> None:
    options = {"unit": unit, "width": width, "block": problem["block"]}
    arrays = [problem[name] for name in ("left", "right", "left_exponents", "right_exponents")]
    try:
        found = run("block_dots", "block_matmul_aligned", *arrays, twin=twin, initial=np.array(initial), **options)
    except ValueError as error:
        assert twin in {Twin.TENSORS, Twin.GPU}
        assert "in their sum: tensors hold 53 and 62" in str(error)  # noqa: PT017
        return
    assert found.dtype == np.int64
    for row, column in np.ndindex(*found.shape):
        expected = block_dot_aligned(
            problem["left"][row].tolist(),
            problem["right"][:, column].tolist(),
            problem["left_exponents"][row].tolist(),
            problem["right_exponents"][:, column].tolist(),
            initial=initial,
            **options,
        )
        assert found[row, column] == expected


def test_tensors_of_several_parts_have_no_integers() -> None:
    one, far = torch.ones(1, 2, dtype=torch.int64), torch.tensor([[0, 90]])
    sums = run("block_dots", "block_matmul", one, one.T, far, far.T, block=1, twin=Twin.TENSORS)
    with pytest.raises(ValueError, match=r"sums of \d parts need more than 62 bits, and a tensor has int64: move"):
        sums.integers()
    assert BlockSums(*(part.numpy() for part in sums)).integers().tolist() == [[1 + (1 << 180)]]


@pytest.mark.parametrize("twin", TWINS)
def test_errors_say_what_was_given(twin: Twin) -> None:
    one = np.ones((1, 1), dtype=np.int64)

    def product(*arrays: NDArray[Any], function: str = "block_matmul", **options: int) -> Any:
        return run("block_dots", function, *arrays, twin=twin, **({"block": 1} | options))

    with pytest.raises(ValueError, match=r"shapes \(1, 1\) and \(2, 1\) have no matrix product"):
        product(one, np.ones((2, 1), np.int64), one, one)
    with pytest.raises(ValueError, match=r"exponents of shapes \(1, 2\) and \(1, 1\) for 1 blocks of 1 along k = 1"):
        product(one, one, np.zeros((1, 2), np.int64), one)
    with pytest.raises(ValueError, match="blocks of 0 elements: at least 1"):
        product(one, one, one, one, block=0)
    with pytest.raises(ValueError, match="a result of 64 bits: 1 to 63"):
        product(one, one, one, one, function="block_matmul_aligned", unit=0, width=64)
    if twin in {Twin.TENSORS, Twin.GPU}:
        with pytest.raises(ValueError, match="element integers of 63 bits: tensors hold 62"):
            product(one << 62, one, one, one)
        with pytest.raises(ValueError, match=r"spreads of exponents of 5001 and 1 bits in 2 products: this twin holds"):
            product(np.ones((1, 2), np.int64), np.ones((2, 1), np.int64), np.array([[0, 5000]]), np.zeros((2, 1), int))
        with pytest.raises(ValueError, match="shifted up to 70 bits to the left, need 1 bits each and 73 in their sum"):
            product(one, one, one * 70, one * 0, function="block_matmul_aligned", unit=0, width=8)
