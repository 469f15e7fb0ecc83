"""Compiled loops and tensors against the definitions, bit for bit, over the shared list of formats and all options."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from kernels.compiled import fixed as compiled_fixed
from kernels.compiled import minifloat as compiled_minifloat
from kernels.definitions import fixed as defined_fixed
from kernels.definitions import minifloat as defined_minifloat
from kernels.extents import FLOAT32, FLOAT64, holds, width_of
from kernels.fields import OVERFLOW_NAN, SUBNORMALS_GRADUAL, FixedFields
from kernels.rounding import HALF_EVEN, STOCHASTIC
from kernels.tensors import fixed as tensor_fixed
from kernels.tensors import minifloat as tensor_minifloat
from tests.kernels.format_list import FIXED, FLOATS, WIDE_FIXED, WIDEST_FIXED
from tests.kernels.twins import Fields, interesting_values, same

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS: dict[str, Fields] = {**FLOATS, **FIXED, **WIDE_FIXED, **WIDEST_FIXED}
DTYPES = {np.float32: FLOAT32, np.float64: FLOAT64}
RANDOM_WIDTHS = (1, 5, 16, 23, 32)


def options_of(fields: Fields) -> Iterator[dict[str, Any]]:
    """Every combination of rounding, overflow and what else the kind of format takes."""
    if isinstance(fields, FixedFields):
        for rounding, overflow in itertools.product(range(STOCHASTIC + 1), defined_fixed.OVERFLOWS):
            if overflow not in defined_fixed.WRAPS:
                yield {"rounding": rounding, "overflow": overflow}
            elif fields.signed or overflow != defined_fixed.WRAPS[1]:
                for bits in sorted({0, 1, min(2, fields.width), fields.width}):
                    yield {"rounding": rounding, "overflow": overflow, "saturation_bits": bits}
        return
    underflows = (0,) if fields.subnormals == SUBNORMALS_GRADUAL else (0, 1)
    for rounding, overflow, underflow in itertools.product(
        range(STOCHASTIC + 1), defined_minifloat.OVERFLOWS, underflows
    ):
        if overflow != OVERFLOW_NAN or defined_minifloat.nan_code(fields) is not None:
            yield {"rounding": rounding, "overflow": overflow, "underflow": underflow}


def compare(fields: Fields, values: np.ndarray, options: dict[str, Any], seed: int) -> int:
    """Encode, cast and decode by all twins; the number of values compared."""
    is_fixed = isinstance(fields, FixedFields)
    definition: Any = defined_fixed if is_fixed else defined_minifloat
    compiled: Any = compiled_fixed if is_fixed else compiled_minifloat
    tensors: Any = tensor_fixed if is_fixed else tensor_minifloat
    float_type = DTYPES[values.dtype.type]
    if is_fixed and options["overflow"] in defined_fixed.WRAPS:
        values = values[np.isfinite(values)]
    elif not is_fixed and not holds(float_type, fields):
        return 0
    random, random_tensor, width = np.zeros(values.size, dtype=np.uint32), None, 0
    array_options = dict(options)
    if options["rounding"] == STOCHASTIC:
        width = RANDOM_WIDTHS[seed % len(RANDOM_WIDTHS)]
        random = np.random.default_rng(seed).integers(0, 1 << width, values.size, dtype=np.uint32)
        random_tensor = torch.from_numpy(random.astype(np.int64))
        array_options |= {"random_width": width}
    expected = np.array(
        [
            definition.encode_scalar(value, fields, **options, random_bits=int(bits), random_width=width)
            for value, bits in zip(values.tolist(), random, strict=True)
        ],
        dtype=np.uint64,
    )
    given = random if width else None
    codes = compiled.encode(values, fields, **array_options, random_bits=given)
    wrong = np.flatnonzero(codes != expected)
    assert not wrong.size, [(values[i], hex(codes[i]), hex(expected[i])) for i in wrong[:5]]
    tensor = torch.from_numpy(values)
    tensor_codes = tensors.encode(tensor, fields, **array_options, random_bits=random_tensor)
    np.testing.assert_array_equal(tensor_codes.numpy(), codes)
    assert tensor_codes.numpy().dtype == codes.dtype
    if not holds(float_type, fields):
        return values.size
    numbers = np.array([float(definition.decode_scalar(int(code), fields)) for code in expected], dtype=values.dtype)
    results = {
        "cast": compiled.cast(values, fields, **array_options, random_bits=given),
        "decode": compiled.decode(codes, fields, values.dtype),
        "tensor cast": tensors.cast(tensor, fields, **array_options, random_bits=random_tensor).numpy(),
        "tensor decode": tensors.decode(tensor_codes, fields, tensor.dtype).numpy(),
    }
    for name, result in results.items():
        assert result.dtype == values.dtype
        wrong = np.flatnonzero(~same(result, numbers))
        assert not wrong.size, (name, [(values[i], result[i], numbers[i]) for i in wrong[:5]])
    return values.size


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORMATS)
def test_twins_equal_the_definition_in_the_common_case(name: str, dtype: type) -> None:
    fields = FORMATS[name]
    values = interesting_values(fields, dtype, count=200)
    if holds(DTYPES[dtype], fields) or isinstance(fields, FixedFields):
        assert compare(fields, values, {"rounding": HALF_EVEN, "overflow": 0}, seed=1) > 400


@pytest.mark.parametrize("name", FORMATS)
def test_twins_equal_the_definition_in_all_modes(name: str) -> None:
    """A few values per combination, others each time; every one is compared in the slow run."""
    fields = FORMATS[name]
    compared = 0
    for number, options in enumerate(options_of(fields)):
        for dtype in DTYPES:
            values = interesting_values(fields, dtype, count=10)
            compared += compare(fields, values[number % 13 :: 13], options, seed=number)
    assert compared > 150


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_twins_equal_the_definition_on_all_values_in_all_modes(name: str) -> None:
    fields = FORMATS[name]
    for number, options in enumerate(options_of(fields)):
        for dtype in DTYPES:
            assert compare(fields, interesting_values(fields, dtype, seed=number), options, seed=number) >= 0


@pytest.mark.parametrize("name", [name for name, fields in FORMATS.items() if width_of(fields) <= 16])
def test_every_code_is_the_code_of_its_value(name: str) -> None:
    """Decoding and encoding again gives the code back; NaN and codes of equal value give the canonical one."""
    fields = FORMATS[name]
    is_fixed = isinstance(fields, FixedFields)
    compiled: Any = compiled_fixed if is_fixed else compiled_minifloat
    tensors: Any = tensor_fixed if is_fixed else tensor_minifloat
    codes = np.arange(1 << width_of(fields))
    for dtype, float_type in DTYPES.items():
        if not holds(float_type, fields):
            continue
        values = compiled.decode(codes, fields, dtype)
        np.testing.assert_array_equal(
            tensors.decode(torch.from_numpy(codes), fields, torch.from_numpy(values).dtype).numpy(), values
        )
        infinite = {} if is_fixed else {"overflow": defined_minifloat.OVERFLOWS[1]}
        again = compiled.encode(values, fields, **infinite).astype(np.int64)
        if is_fixed:
            np.testing.assert_array_equal(again, codes)
            continue
        nan = np.isnan(values)
        assert (again[nan] == defined_minifloat.nan_code(fields)).all()
        differ = codes[~nan] != again[~nan]
        flushed = defined_minifloat.smallest_integer(fields) > 1 and fields.subnormals != 1
        assert not differ.any() or flushed
        assert same(compiled.decode(again, fields, dtype), values).all()
