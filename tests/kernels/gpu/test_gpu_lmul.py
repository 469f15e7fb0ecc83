"""L-Mul by Triton kernels, interpreted, against the definition."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from kernels.by_definition import lmul as by_definition
from kernels.definitions import dots as sums
from kernels.definitions import lmul as definition
from kernels.definitions import minifloat
from kernels.fields import (
    LMUL_FIELD,
    LMUL_FIELD_CLAMPED,
    LMUL_FORMULA,
    ORDER_PAIRWISE,
    OVERFLOW_INFINITY,
    OVERFLOW_SATURATE,
    AccumulatorFields,
    FixedFields,
    FloatFields,
    LMulFields,
)
from kernels.gpu import dots, lmul
from kernels.gpu.checks import code_dtype
from kernels.rounding import FLOOR
from tests.kernels.format_list import FLOATS

KINDS = (LMUL_FORMULA, LMUL_FIELD, LMUL_FIELD_CLAMPED)
PAIRS = [
    ("e4m3fn", "e4m3fn"),
    ("e5m2", "e4m3fn"),
    ("e2m1", "e3m4"),
    ("e4m3fnuz", "e5m0"),
    ("e3m4 keep", "ue4m3fn"),
    ("e6m9", "e2m2 keep"),
    ("fp32", "bf16"),
    ("e4m2 keep no zero", "e4m3 flush"),
]
E4M3FN = FLOATS["e4m3fn"]


def finite_codes(fields: FloatFields, random: np.random.Generator, count: int) -> list[int]:
    codes = random.integers(0, 1 << minifloat.code_width(fields), 3 * count).tolist()
    return [code for code in codes if math.isfinite(minifloat.decode_scalar(code, fields))][:count]


def as_tensor(codes: list[int], fields: FloatFields, *shape: int) -> torch.Tensor:
    return torch.tensor(codes).reshape(shape).to(code_dtype(minifloat.code_width(fields)))


def fields_for(kind: int, left: FloatFields, right: FloatFields, overflow: int = OVERFLOW_SATURATE) -> LMulFields:
    bits = max(left.mantissa_bits, right.mantissa_bits)
    return LMulFields(kind, left.mantissa_bits, right.mantissa_bits, -6, 8, max((1 << bits) - 2, 0), overflow)


@pytest.mark.parametrize("kind", KINDS)
def test_all_pairs_of_e4m3_exactly(kind: int) -> None:
    codes = [code for code in range(256) if code & 0x7F != 0x7F]
    fields = fields_for(kind, E4M3FN, E4M3FN)
    result = lmul.matmul_codes(as_tensor(codes, E4M3FN, -1, 1), as_tensor(codes, E4M3FN, 1, -1), E4M3FN, E4M3FN, fields)
    parts = [definition.parts_of_code(code, E4M3FN) for code in codes]
    unit = Fraction(2) ** lmul.product_unit(E4M3FN, E4M3FN, fields)
    expected = [[definition.multiply(one, other, fields) / unit for other in parts] for one in parts]
    assert result.tolist() == expected


@pytest.mark.parametrize(
    ("kind", "overflow"), [*((kind, OVERFLOW_SATURATE) for kind in KINDS), (LMUL_FIELD_CLAMPED, OVERFLOW_INFINITY)]
)
@pytest.mark.parametrize("pair", PAIRS)
def test_products_of_mixed_formats_equal_the_definition(pair: tuple[str, str], kind: int, overflow: int) -> None:
    """All pairs of up to 80 finite codes of each, with zeros, subnormals and the ends of both ranges among them."""
    formats = [FLOATS[name] for name in pair]
    random = np.random.default_rng([17, kind, *"".join(pair).encode()])
    codes = []
    for one in formats:
        width = minifloat.code_width(one)
        wide = width > 6
        ends = [0, 1, 2, minifloat.largest_magnitude_code(one)]
        listed = ends + finite_codes(one, random, 70) if wide else list(range(1 << width))
        codes.append([code for code in listed if math.isfinite(minifloat.decode_scalar(code, one))])
    fields = fields_for(kind, *formats, overflow)
    columns, rows = as_tensor(codes[0], formats[0], -1, 1), as_tensor(codes[1], formats[1], 1, -1)
    found = lmul.multiply_codes(columns, rows, *formats, fields).numpy()
    expected = by_definition.multiply_codes(columns.numpy(), rows.numpy(), *formats, fields)
    np.testing.assert_array_equal(found, expected)
    assert not np.signbit(found[found == 0]).any()
    parts = [[definition.parts_of_code(code, one) for code in some] for some, one in zip(codes, formats, strict=True)]
    for row, column in zip(random.integers(0, len(codes[0]), 40), random.integers(0, len(codes[1]), 40), strict=True):
        assert found[row, column] == definition.multiply(parts[0][row], parts[1][column], fields)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("kind", KINDS)
def test_sums_of_mixed_formats_equal_the_definition(kind: int, pair: tuple[str, str]) -> None:
    left, right = (FLOATS[name] for name in pair)
    random = np.random.default_rng([13, kind, *"".join(pair).encode()])
    accumulators = [
        AccumulatorFields(FLOATS["fp32"], overflow=OVERFLOW_INFINITY),
        AccumulatorFields(FLOATS["fp16"], overflow=OVERFLOW_INFINITY, order=ORDER_PAIRWISE),
        AccumulatorFields(FLOATS["e4m3fn"], FLOOR),
    ]
    for sum_fields in accumulators:
        fields = fields_for(kind, left, right, int(random.choice([OVERFLOW_SATURATE, OVERFLOW_INFINITY])))
        one, other = finite_codes(left, random, 2 * 5), finite_codes(right, random, 5 * 3)
        first, second = as_tensor(one, left, 2, 5), as_tensor(other, right, 5, 3)
        result = lmul.matmul_codes(first, second, left, right, fields, accumulator=sum_fields)
        for row in range(2):
            for column in range(3):
                products = [
                    definition.multiply(
                        definition.parts_of_code(one[5 * row + k], left),
                        definition.parts_of_code(other[3 * k + column], right),
                        fields,
                    )
                    for k in range(5)
                ]
                expected = sums.accumulate(products, sum_fields)
                value = result[row, column].item()
                assert value == expected or (math.isnan(value) and math.isnan(expected))


def test_fixed_point_accumulators_count_in_their_own_unit() -> None:
    random = np.random.default_rng(14)
    fields = fields_for(LMUL_FIELD, E4M3FN, E4M3FN)
    grid = AccumulatorFields(FixedFields(24, 12, 1), FLOOR)
    one, other = finite_codes(E4M3FN, random, 6), finite_codes(E4M3FN, random, 6)
    result = lmul.matmul_codes(
        as_tensor(one, E4M3FN, 1, 6), as_tensor(other, E4M3FN, 6, 1), E4M3FN, E4M3FN, fields, accumulator=grid
    )
    parts = [[definition.parts_of_code(code, E4M3FN) for code in codes] for codes in (one, other)]
    products = [definition.multiply(*pair, fields) for pair in zip(*parts, strict=True)]
    assert Fraction(result.item(), 1 << 12) == sums.accumulate(products, grid)
    assert dots.sum_unit(-15, None, grid) == -12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: lmul.multiply_codes(
                torch.zeros(1, dtype=torch.uint8),
                torch.zeros(1, dtype=torch.uint8),
                E4M3FN,
                E4M3FN._replace(bias=1000),
                LMulFields(LMUL_FIELD, 3, 3),
            ),
            "L-Mul products with exponents from -1005 to 8: float64 takes -960 to 960 here",
        ),
        (
            lambda: lmul.words_of(torch.tensor([0x7F, 1], dtype=torch.uint8), E4M3FN, 3),
            "1 of 2 codes are infinite or NaN",
        ),
        (
            lambda: lmul.matmul_codes(
                torch.zeros(1, 1, dtype=torch.uint8),
                torch.zeros(1, 1, dtype=torch.uint8),
                E4M3FN,
                E4M3FN,
                fields_for(LMUL_FIELD_CLAMPED, E4M3FN, E4M3FN, OVERFLOW_INFINITY),
            ),
            "have no place in the accumulator None",
        ),
        (
            lambda: lmul.matmul_codes(
                torch.zeros(1, 1, dtype=torch.uint8),
                torch.zeros(1, 1, dtype=torch.uint8),
                E4M3FN,
                E4M3FN,
                LMulFields(LMUL_FIELD, 3, 2),
            ),
            "mantissas of 3 and 2 bits for formats with 3 and 3",
        ),
        (
            lambda: lmul.matmul_codes(
                torch.zeros(1, 1, dtype=torch.uint8),
                torch.zeros(1, 1, dtype=torch.uint8),
                FLOATS["e5m2"],
                FLOATS["e5m2"],
                LMulFields(LMUL_FIELD, 2, 2),
            ),
            "float64 has 53",
        ),
    ],
)
def test_errors_say_what_was_given(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
