"""Bad input of block formats: what was given, what is allowed, what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from kernels.by_definition import blocks as by_definition
from kernels.compiled import blocks as compiled
from kernels.definitions import blocks as definition
from kernels.fields import CARRY_BUMP, NAN_BLOCK, BlockFields, FloatFields
from kernels.rounding import FLOOR, HALF_EVEN, STOCHASTIC
from kernels.tensors import blocks as tensors
from tests.kernels.block_formats import ELEMENTS, bfp, mx, nvfp4

ONES = np.ones((2, 4), np.float32)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (bfp(7, -1), "block_size must be 1 or more values, or 0 for the whole tensor, got -1"),
        (bfp(0), "integer elements have 1 to 31 magnitude bits and no minifloat fields, got magnitude_bits 0"),
        (bfp(32), "integer elements have 1 to 31 magnitude bits .* got magnitude_bits 32"),
        (bfp(7, element_kind=4), r"element_kind must be 0 to 3 \(kernels.fields.ELEMENT_...\), got 4"),
        (bfp(7, carry=2), r"carry must be 0 \(clip\) or 1 \(bump the exponent\), got 2"),
        (bfp(7, scale_bits=12), "scale_bits must be 1 to 11 bits, got 12"),
        (bfp(7, scale_kind=3), r"scale_kind must be 0 \(E8M0\), 1 \(exponent\) or 2 \(E4M3\), got 3"),
        (bfp(7, scale_rule=4), r"take the rules 0 \(floor\), 1 \(ceil\), 2 \(rceil\) and 3 \(even\), got 4"),
        (bfp(7, arithmetic=1), "power-of-two scales divide exactly: arithmetic must be 0, got 1"),
        (mx("e2m1")._replace(element=None), "minifloat elements need the fields of their format and magnitude_bits 0"),
        (mx("e2m1")._replace(element=FloatFields(6, 1, 1, 1, 2, 0, 1)), "1 to 5 exponent bits.*exponent_bits=6"),
        (mx("e2m1")._replace(element=FloatFields(1, 2, 1, 1, 0, 0, 1)), r"\(from 2 exponent bits\) ieee"),
        (mx("e2m1")._replace(element=FloatFields(3, 2, 3, 1, 3, 0, 1)), "specials none, finite-nan or"),
        (nvfp4()._replace(element=ELEMENTS["e2m3"]), r"E4M3 scales need E2M1 elements, the scale rule 4 \(ratio\)"),
        (
            nvfp4(scale_minimum=0),
            r"scale_minimum must be an E4M3 code from 1 \(2\*\*-9\) to 126 \(448\), got 0",
        ),
        (nvfp4(3), r"arithmetic must be 0 \(exact\), 1 \(reciprocal\) or 2 \(division\), got 3"),
    ],
)
def test_fields_that_contradict_each_other(fields: BlockFields, message: str) -> None:
    for call in (
        lambda: compiled.cast(ONES, fields),
        lambda: compiled.encode(ONES, fields),
        lambda: tensors.cast(torch.from_numpy(ONES), fields),
        lambda: definition.encode_block([1.0], fields),
        lambda: definition.decode_block([1], 1, fields),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_scales_without_nan_make_no_block_nan() -> None:
    """The scale code would have to mean a number, and the NaN would be lost."""
    values, message = np.array([1.0, np.nan], np.float32), "scale_kind 1 has no NaN: only E8M0 and E4M3 scales can make"
    for call in (
        lambda: compiled.cast(values, bfp(7), nan=NAN_BLOCK),
        lambda: compiled.encode(values, bfp(7), nan=NAN_BLOCK),
        lambda: by_definition.encode(values, bfp(7), nan=NAN_BLOCK),
        lambda: tensors.cast(torch.from_numpy(values), bfp(7), nan=NAN_BLOCK),
        lambda: tensors.encode(torch.from_numpy(values), bfp(7), nan=NAN_BLOCK),
        lambda: definition.encode_block(values.tolist(), bfp(7), nan=NAN_BLOCK),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(("value", "fields"), [(np.inf, mx("e5m2")), (-np.inf, bfp(3)), (np.nan, mx("int8"))])
def test_values_without_a_code_are_named_with_their_position(value: float, fields: BlockFields) -> None:
    values = np.ones((3, 2, 40), np.float32)
    values[1, 1, 33] = values[2, 0, 0] = value
    message = rf"2 of 240 values cannot be cast, the first is {value} at \(1, 1, 33\): blocks take finite numbers"
    for call in (compiled.cast, compiled.encode):
        with pytest.raises(ValueError, match=message):
            call(values, fields)
        with pytest.raises(ValueError, match=message):
            call(values, nvfp4())
    for on_tensors in (tensors.cast, tensors.encode):
        with pytest.raises(ValueError, match=message):
            on_tensors(torch.from_numpy(values), fields)
    with pytest.raises(ValueError, match=f"value 1 of the block is {value}: only finite numbers have codes"):
        definition.encode_block([1.0, value], fields)
    if np.isnan(value):
        values[0, 0, 5] = np.inf
        for fields_with_nan in (fields, nvfp4()):
            with pytest.raises(ValueError, match=r"1 of 240 values cannot be cast, the first is inf at \(0, 0, 5\)"):
                compiled.cast(values, fields_with_nan, nan=NAN_BLOCK)


def test_results_beyond_the_dtype() -> None:
    values = np.full((1, 4), np.float32(3.4e38))
    fields = mx("e4m3fn", "ceil")
    with pytest.raises(
        ValueError, match=r"magnitude up to 3\.39\d*e\+38 rounds beyond the largest float32: cast to float64"
    ):
        compiled.cast(values, fields)
    with pytest.raises(ValueError, match=r"rounds beyond the largest torch\.float32: cast to float64"):
        tensors.cast(torch.from_numpy(values), fields)
    elements, scales = compiled.encode(values, fields)
    with pytest.raises(ValueError, match="a decoded value exceeds float32: decode to float64"):
        compiled.decode(elements, scales, fields, np.float32)
    with pytest.raises(ValueError, match="a decoded value exceeds float32: decode to float64"):
        tensors.decode(torch.from_numpy(elements), torch.from_numpy(scales), fields, torch.float32)
    assert compiled.decode(elements, scales, fields, np.float64)[0, 0] == 2.0**128
    assert compiled.cast(values.astype(np.float64), fields)[0, 0] == 2.0**128


def test_dtypes() -> None:
    with pytest.raises(ValueError, match="blocks hold float32 or float64 values, got float16: widen"):
        compiled.cast(ONES.astype(np.float16), bfp(3))
    with pytest.raises(ValueError, match="blocks hold float32 or float64 values, got bfloat16"):
        tensors.cast(torch.ones(4, dtype=torch.bfloat16), bfp(3))
    with pytest.raises(ValueError, match=r"smallest values is 2\*\*-150, below the 2\*\*-149 of float32: use float64"):
        compiled.cast(ONES, bfp(23))
    with pytest.raises(ValueError, match=r"2\*\*-1054, below the 2\*\*-149 of float32: use float64") as caught:
        compiled.cast(ONES, bfp(31, 4, scale_bits=11))
    assert "fewer" not in str(caught.value)
    with pytest.raises(ValueError, match="bits to round to 23 magnitude bits, got 24: use float64"):
        compiled.cast(ONES, bfp(24, scale_bits=7))
    with pytest.raises(ValueError, match="arithmetic 1 is a sequence of float32 steps: use float32 values"):
        compiled.cast(ONES.astype(np.float64), nvfp4())
    with pytest.raises(ValueError, match="a scalar: reshape it to"):
        compiled.cast(np.float32(1).reshape(()), bfp(3))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), 2.0**-101, 2.0**101, 0.1])
def test_tensor_scales(scale: float) -> None:
    for call in (compiled.cast, compiled.encode):
        with pytest.raises(ValueError, match=r"tensor_scale must be a float32 from 2\*\*-100 to 2\*\*100, got"):
            call(ONES, nvfp4(), tensor_scale=scale)
    with pytest.raises(ValueError, match=r"only blocks with E4M3 scales take a tensor_scale, got 2\.0"):
        compiled.cast(ONES, mx("e2m1"), tensor_scale=2.0)


def test_roundings_and_random_bits() -> None:
    chances = np.zeros((2, 4), int)
    with pytest.raises(ValueError, match=r"\(codes 0, 2, 7, 5, 8 of kernels.rounding\), got code 3"):
        compiled.cast(ONES, bfp(3), rounding=FLOOR)
    cases: list[tuple[dict[str, Any], str]] = [
        (
            {"rounding": STOCHASTIC},
            "random_width 1 to 23, got rounding 8, random_width 0 and no random_bits",
        ),
        ({"rounding": HALF_EVEN, "random_bits": chances}, "stochastic rounding, and no other, takes random_bits"),
        ({"rounding": STOCHASTIC, "random_bits": chances, "random_width": 24}, "random_width 24 and some random_bits"),
        ({"rounding": STOCHASTIC, "random_bits": chances[:1], "random_width": 4}, r"integers of shape \(2, 4\), got"),
        (
            {"rounding": STOCHASTIC, "random_bits": chances + 16, "random_width": 4},
            r"\[0, 2\*\*4\), got 16 to 16",
        ),
    ]
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            compiled.cast(ONES, bfp(3), **options)
    with pytest.raises(ValueError, match="no one value decides the shared exponent: use carry 0"):
        compiled.cast(ONES, bfp(3, carry=CARRY_BUMP), rounding=STOCHASTIC, random_bits=chances, random_width=4)


def test_codes_and_shapes() -> None:
    elements, scales = compiled.encode(ONES, bfp(3, 2))
    with pytest.raises(ValueError, match=r"for elements of shape \(2, 4\) in blocks of 2, got \(2, 1\)"):
        compiled.decode(elements, scales[:, :1], bfp(3, 2), np.float32)
    with pytest.raises(ValueError, match=r"scales must have shape \(2, 2\)"):
        tensors.decode(torch.from_numpy(elements), torch.from_numpy(scales[:, :1]), bfp(3, 2), torch.float32)
    with pytest.raises(ValueError, match=r"element codes must be below 2\*\*4, got 16"):
        compiled.decode(elements + np.uint8(12), scales, bfp(3, 2), np.float32)
    with pytest.raises(ValueError, match=r"scale codes must be below 2\*\*4, got 127"):
        compiled.decode(elements, scales | np.uint8(127), bfp(3, 2, scale_bits=4), np.float32)
    with pytest.raises(ValueError, match="element codes must be unsigned integers, got int64"):
        compiled.decode(elements.astype(int), scales, bfp(3, 2), np.float32)
    with pytest.raises(ValueError, match=r"float32 of shape \(2, 4\), got float32 of shape \(4, 2\)"):
        compiled.cast(ONES, bfp(3), out=np.empty((4, 2), np.float32))


def test_flushed_subnormals_are_noticed() -> None:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormals")
    try:
        for call in (lambda: compiled.cast(ONES, bfp(3)), lambda: tensors.cast(torch.ones(4), bfp(3))):
            with pytest.raises(RuntimeError, match=r"call torch\.set_flush_denormal\(False\)"):
                call()
    finally:
        torch.set_flush_denormal(False)
