"""Block casts by Triton kernels, interpreted, against the definition."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from kernels.definitions import blocks as definition
from kernels.fields import (
    ARITHMETIC_DIVISION,
    ARITHMETIC_EXACT,
    ARITHMETIC_RECIPROCAL,
    CARRY_BUMP,
    CARRY_CLIP,
    ELEMENT_FLOAT,
    ELEMENT_SIGN_MAGNITUDE,
    ELEMENT_SYMMETRIC,
    ELEMENT_TWOS_COMPLEMENT,
    NAN_BLOCK,
    NAN_ERROR,
    SCALE_E4M3,
    SCALE_EXPONENT,
    SCALE_RULE_CEIL,
    SCALE_RULE_EVEN,
    SCALE_RULE_FLOOR,
    SCALE_RULE_RATIO,
    SCALE_RULE_RCEIL,
    WHOLE_TENSOR,
    BlockFields,
)
from kernels.gpu import blocks
from kernels.rounding import HALF_AWAY, HALF_EVEN, HALF_TOWARD_ZERO, STOCHASTIC, TOWARD_ZERO
from tests.kernels.format_list import STANDARD_FLOATS

RULES = (SCALE_RULE_FLOOR, SCALE_RULE_CEIL, SCALE_RULE_RCEIL, SCALE_RULE_EVEN)
NVFP4 = BlockFields(
    16, ELEMENT_FLOAT, element=STANDARD_FLOATS["e2m1"], scale_rule=SCALE_RULE_RATIO, scale_kind=SCALE_E4M3
)
MXFP8 = BlockFields(8, ELEMENT_FLOAT, element=STANDARD_FLOATS["e4m3fn"])
MXINT8 = BlockFields(16, ELEMENT_TWOS_COMPLEMENT, magnitude_bits=7)
BFP8 = BlockFields(5, ELEMENT_SIGN_MAGNITUDE, magnitude_bits=7, scale_kind=SCALE_EXPONENT)
FORMATS = {
    **{
        f"mx {name}, rule {rule}, carry {carry}": BlockFields(
            8, ELEMENT_FLOAT, element=STANDARD_FLOATS[name], scale_rule=rule, carry=carry
        )
        for index, name in enumerate(("e4m3fn", "e5m2", "e3m2", "e2m3", "e2m1"))
        for rule in RULES
        for carry in ((CARRY_CLIP, CARRY_BUMP)[(index + rule) % 2],)
    },
    **{
        f"mxint8, rule {rule}": BlockFields(16, ELEMENT_TWOS_COMPLEMENT, magnitude_bits=7, scale_rule=rule)
        for rule in RULES
    },
    "symmetric 4 bits": BlockFields(3, ELEMENT_SYMMETRIC, magnitude_bits=3, carry=CARRY_BUMP),
    "bfp 8 bits": BFP8,
    "bfp 8 bits, bump": BFP8._replace(carry=CARRY_BUMP),
    "bfp 2 bits": BFP8._replace(magnitude_bits=1, block_size=8),
    "bfp 16 bits, 5-bit scale": BFP8._replace(magnitude_bits=15, scale_bits=5),
    "bfp 24 bits": BFP8._replace(magnitude_bits=23, scale_bits=7),
    "whole tensor": BFP8._replace(block_size=WHOLE_TENSOR),
    "nvfp4, exact": NVFP4,
    "nvfp4, reciprocal": NVFP4._replace(arithmetic=ARITHMETIC_RECIPROCAL),
    "nvfp4, division, small scales": NVFP4._replace(arithmetic=ARITHMETIC_DIVISION, scale_minimum=1),
}


def codes(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.uint8)


def samples(fields: BlockFields, dtype: torch.dtype, random: np.random.Generator) -> torch.Tensor:
    """Rows of two and a bit blocks: random ones, ties, zeros, subnormal and large numbers."""
    columns = max(2 * fields.block_size + 1, 11)
    rows = random.normal(size=(9, columns)) * np.exp2(random.integers(-6, 6, (9, columns)))
    rows[0] = 0.0
    rows[1] *= 1e-42
    rows[2] = np.round(rows[2] * 4) / 4
    rows[3, : columns // 2] = -0.0
    rows[4] = np.round(rows[4] * 16) / 16
    rows[5] *= 2.0**100
    rows[6] = random.integers(-256, 257, columns) / 2
    rows[7] = -np.exp2(random.integers(-3, 4, columns)) * random.choice([1.0, 0.75, 1.96875], columns)
    return torch.from_numpy(rows).to(dtype)


def encoded(values: torch.Tensor, fields: BlockFields, random: torch.Tensor | None, options: dict[str, Any]) -> Any:
    """Element and scale codes by definition, flat."""
    size = fields.block_size if fields.block_size != WHOLE_TENSOR else values.numel()
    rows = values if fields.block_size != WHOLE_TENSOR else values.reshape(1, -1)
    bits = None if random is None else random.reshape(rows.shape)
    elements: list[int] = []
    scales: list[int] = []
    for row in range(rows.shape[0]):
        for start in range(0, rows.shape[1], size):
            part = slice(start, start + size)
            codes, scale = definition.encode_block(
                rows[row, part].tolist(),
                fields,
                random_bits=None if bits is None else bits[row, part].tolist(),
                **options,
            )
            elements += codes
            scales.append(scale)
    return elements, scales


def value_of(element: int, scale: int, fields: BlockFields, tensor_scale: float, dtype: torch.dtype) -> float:
    """The decoded value by definition; NVFP4's last step is rounded to float32 where its arithmetic says so."""
    factor, number = definition.decode_scale(scale, fields), definition.decode_element(element, fields)
    if math.isnan(factor) or not math.isfinite(number):
        return math.nan if math.isnan(factor) else float(number)
    whole = Fraction(factor) * Fraction(tensor_scale)
    if fields.arithmetic != ARITHMETIC_EXACT:
        whole = Fraction(definition.to_float32(whole))
    product = Fraction(number) * whole
    magnitude = abs(definition.to_float32(product) if dtype == torch.float32 else product)
    return math.copysign(float(magnitude), number if number == 0 else product)


def same(left: list[float], right: list[float]) -> bool:
    return len(left) == len(right) and all(
        (math.isnan(one) and math.isnan(other)) or (one == other and math.copysign(1, one) == math.copysign(1, other))
        for one, other in zip(left, right, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name, fields in FORMATS.items()
        for dtype in (torch.float32, torch.float64)
        if dtype == torch.float32 or fields.arithmetic == ARITHMETIC_EXACT
    ],
)
def test_blocks_equal_the_definition(name: str, dtype: torch.dtype) -> None:
    fields = FORMATS[name]
    random = np.random.default_rng([5, *name.encode()])
    others = [HALF_AWAY, HALF_TOWARD_ZERO, TOWARD_ZERO] + [STOCHASTIC] * (fields.carry == CARRY_CLIP)
    for rounding in (HALF_EVEN, others[len(name) % len(others)]) if dtype == torch.float32 else (HALF_EVEN,):
        values = samples(fields, dtype, random)
        width = int(random.choice([1, 9, 23])) if rounding == STOCHASTIC else 0
        bits = torch.from_numpy(random.integers(0, 1 << width, values.shape)) if width else None
        tensor_scale = float(np.float32(random.uniform(0.01, 3))) if fields.scale_kind == SCALE_E4M3 else 1.0
        nan = NAN_BLOCK if fields.scale_kind != SCALE_EXPONENT else NAN_ERROR
        if nan == NAN_BLOCK:
            values[8, 0] = math.nan
        options = {"rounding": rounding, "random_width": width, "nan": nan, "tensor_scale": tensor_scale}
        elements, scales = blocks.encode(values, fields, random_bits=bits, **options)
        expected_elements, expected_scales = encoded(values, fields, bits, options)
        assert elements.flatten().tolist() == expected_elements, options
        assert scales.flatten().tolist() == expected_scales, options
        decoded = blocks.decode(elements, scales, fields, dtype, tensor_scale=tensor_scale)
        size = fields.block_size or values.numel()
        owners = [
            (row * -(-values.shape[1] // size) + column // size) if fields.block_size else 0
            for row in range(values.shape[0])
            for column in range(values.shape[1])
        ]
        numbers = [
            value_of(element, expected_scales[owner], fields, tensor_scale, dtype)
            for element, owner in zip(expected_elements, owners, strict=True)
        ]
        assert same(decoded.flatten().tolist(), numbers)
        assert same(blocks.cast(values, fields, random_bits=bits, **options).flatten().tolist(), numbers)


@pytest.mark.parametrize("name", ["e5m2", "e2m1"])
def test_every_element_with_every_scale(name: str) -> None:
    fields = BlockFields(1, ELEMENT_FLOAT, element=STANDARD_FLOATS[name])
    codes = torch.arange(1 << blocks.element_grid(fields).width, dtype=torch.int64).repeat(256, 1)
    scales = torch.arange(256, dtype=torch.int64)[:, None].expand(codes.shape).contiguous()
    values = blocks.decode(codes.to(torch.uint8), scales.to(torch.uint8), fields, torch.float64)
    expected = [
        value_of(code, scale, fields, 1.0, torch.float64)
        for code, scale in zip(codes.flatten().tolist(), scales.flatten().tolist(), strict=True)
    ]
    assert same(values.flatten().tolist(), expected)


def test_shapes_and_empty_tensors() -> None:
    values = torch.randn(2, 3, 20, generator=torch.Generator().manual_seed(1))
    elements, scales = blocks.encode(values, MXFP8)
    assert elements.shape == values.shape
    assert scales.shape == (2, 3, 3)
    assert torch.equal(blocks.cast(values, MXFP8), blocks.decode(elements, scales, MXFP8))
    assert torch.equal(blocks.cast(values.transpose(0, 1), MXFP8), blocks.cast(values, MXFP8).transpose(0, 1))
    assert blocks.cast(torch.empty(0, 8), MXFP8).shape == (0, 8)
    assert blocks.encode(torch.empty(4, 0), MXFP8)[1].shape == (4, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: blocks.cast(torch.tensor([1.0, math.inf]), MXFP8), r"1 of 2 values .* first is inf at \(1,\)"),
        (lambda: blocks.cast(torch.tensor([math.nan]), MXFP8), "and NaN with nan=NAN_BLOCK"),
        (lambda: blocks.cast(torch.tensor([math.nan]), BFP8, nan=NAN_BLOCK), "scale_kind 1 has no NaN"),
        (lambda: blocks.cast(torch.tensor(1.0), MXFP8), "at least one axis"),
        (
            lambda: blocks.cast(torch.ones(1, dtype=torch.float64), NVFP4._replace(arithmetic=ARITHMETIC_DIVISION)),
            "arithmetic 2 is a sequence of float32 steps",
        ),
        (lambda: blocks.cast(torch.ones(2), MXFP8, tensor_scale=2.0), "only blocks with E4M3 scales"),
        (lambda: blocks.cast(torch.ones(2), MXFP8, rounding=STOCHASTIC), "takes random_bits of random_width 1 to 23"),
        (
            lambda: blocks.cast(torch.tensor([3.4e38]), MXFP8._replace(scale_rule=SCALE_RULE_RCEIL)),
            "rounds beyond the largest torch.float32",
        ),
        (
            lambda: blocks.decode(codes(*range(9)), codes(0), MXFP8),
            r"scales of shape \(1,\) do not belong to elements of shape \(9,\)",
        ),
        (
            lambda: blocks.decode(codes(126), codes(254), MXFP8),
            "exceeds float32: decode to float64",
        ),
    ],
)
def test_errors_say_what_was_given(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
