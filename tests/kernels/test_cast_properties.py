"""Properties of casts on random inputs, the errors of the doors, and the canary for flushed subnormals."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.canaries import check_subnormals
from kernels.compiled import fixed as compiled_fixed
from kernels.compiled import minifloat as compiled_minifloat
from kernels.definitions import fixed as defined_fixed
from kernels.definitions import minifloat as defined_minifloat
from kernels.extents import FLOAT32, FLOAT64, holds
from kernels.fields import (
    OVERFLOW_INFINITY,
    OVERFLOW_NAN,
    OVERFLOW_WRAP,
    OVERFLOW_WRAP_SIGN_MAGNITUDE,
    SPECIALS_FNUZ,
    SPECIALS_IEEE,
    SPECIALS_P3109,
    SUBNORMALS_FLUSH,
    SUBNORMALS_GRADUAL,
    SUBNORMALS_KEEP_EXPONENT,
    FixedFields,
    FloatFields,
)
from kernels.rounding import STOCHASTIC
from kernels.tensors import fixed as tensor_fixed
from kernels.tensors import minifloat as tensor_minifloat
from tests.kernels.format_list import FIXED, FLOATS, WIDE_FIXED, WIDEST_FIXED
from tests.kernels.twins import same

if TYPE_CHECKING:
    from fractions import Fraction

E2M1, INT8 = FLOATS["e2m1"], FIXED["int8"]
ALL_FIXED = {**FIXED, **WIDE_FIXED, **WIDEST_FIXED}


@st.composite
def float_fields(draw: st.DrawFn) -> FloatFields:
    """Any minifloat that exists and float64 holds."""
    signed = draw(st.integers(0, 1))
    fields = FloatFields(
        exponent_bits=draw(st.integers(0, 8)),
        mantissa_bits=draw(st.integers(0, 23)),
        bias=draw(st.integers(-300, 400)),
        signed=signed,
        specials=draw(st.integers(0, SPECIALS_P3109)),
        subnormals=draw(st.integers(0, SUBNORMALS_FLUSH)),
        zero=draw(st.integers(0, 1)),
    )
    try:
        defined_minifloat.check_fields(fields)
    except ValueError:
        fields = fields._replace(exponent_bits=4, specials=SPECIALS_IEEE, zero=1)
    return fields


@st.composite
def value_near(draw: st.DrawFn, unit: int, binade: int) -> float:
    """A float64 between an eighth of the smallest spacing and eight times the largest number, or special."""
    exponent = draw(st.integers(max(unit - 3, -1074), min(binade + 3, 1023)))
    significand = draw(st.integers(-(2**12), 2**12) | st.integers(-(2**53), 2**53))
    value = float(np.ldexp(float(significand) / 2.0 ** max(significand.bit_length() - 1, 0), exponent))
    return draw(st.just(value) | st.sampled_from([0.0, -0.0, np.inf, -np.inf]))


@given(data=st.data(), fields=float_fields(), rounding=st.integers(0, STOCHASTIC), underflow=st.integers(0, 1))
def test_any_minifloat_equals_its_definition(
    data: st.DataObject, fields: FloatFields, rounding: int, underflow: int
) -> None:
    overflows = [mode for mode in defined_minifloat.OVERFLOWS if mode != OVERFLOW_NAN]
    if defined_minifloat.nan_code(fields) is not None:
        overflows.append(OVERFLOW_NAN)
    overflow = data.draw(st.sampled_from(overflows))
    unit = defined_minifloat.unit_exponent(fields)
    largest = defined_minifloat.magnitude_integer(defined_minifloat.largest_magnitude_code(fields), fields)
    values = data.draw(st.lists(value_near(unit, largest.bit_length() + unit), min_size=1, max_size=8))
    width = data.draw(st.integers(1, 32)) if rounding == STOCHASTIC else 0
    random = [data.draw(st.integers(0, (1 << width) - 1)) for _ in values]
    options: dict[str, Any] = {"rounding": rounding, "overflow": overflow, "underflow": underflow}
    expected = [
        defined_minifloat.encode_scalar(value, fields, **options, random_bits=bits, random_width=width)
        for value, bits in zip(values, random, strict=True)
    ]
    if width:
        options |= {"random_width": width}
    array = np.array(values)
    given_bits = np.array(random, dtype=np.uint32) if width else None
    codes = compiled_minifloat.encode(array, fields, **options, random_bits=given_bits)
    assert codes.tolist() == expected
    tensor_bits = torch.tensor(random) if width else None
    tensor = tensor_minifloat.encode(
        torch.tensor(values, dtype=torch.float64), fields, **options, random_bits=tensor_bits
    )
    assert tensor.tolist() == expected
    if holds(FLOAT32, fields):
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float32)
        wide = compiled_minifloat.cast(narrow.astype(np.float64), fields, **options, random_bits=given_bits)
        assert same(compiled_minifloat.cast(narrow, fields, **options, random_bits=given_bits), wide).all()


@given(
    data=st.data(),
    fields=st.builds(FixedFields, st.integers(1, 64), st.integers(-80, 100), st.integers(0, 1)),
    rounding=st.integers(0, STOCHASTIC),
    overflow=st.sampled_from(defined_fixed.OVERFLOWS),
)
def test_any_fixed_point_equals_its_definition(
    data: st.DataObject, fields: FixedFields, rounding: int, overflow: int
) -> None:
    if overflow == OVERFLOW_WRAP_SIGN_MAGNITUDE:
        fields = fields._replace(signed=1)
    saturation_bits = data.draw(st.integers(0, fields.width)) if overflow in defined_fixed.WRAPS else 0
    top = fields.width - fields.fraction_bits
    values = data.draw(st.lists(value_near(-fields.fraction_bits, top), min_size=1, max_size=8))
    values = [value for value in values if np.isfinite(value)] or [0.0]
    random_width = data.draw(st.integers(1, 32)) if rounding == STOCHASTIC else 0
    random = [data.draw(st.integers(0, (1 << random_width) - 1)) for _ in values]
    options: dict[str, Any] = {"rounding": rounding, "overflow": overflow, "saturation_bits": saturation_bits}
    expected = [
        defined_fixed.encode_scalar(value, fields, **options, random_bits=bits, random_width=random_width)
        for value, bits in zip(values, random, strict=True)
    ]
    if random_width:
        options |= {"random_width": random_width}
    given_bits = np.array(random, dtype=np.uint32) if random_width else None
    assert compiled_fixed.encode(np.array(values), fields, **options, random_bits=given_bits).tolist() == expected
    tensor_bits = torch.tensor(random) if random_width else None
    tensor = torch.tensor(values, dtype=torch.float64)
    assert tensor_fixed.encode(tensor, fields, **options, random_bits=tensor_bits).tolist() == expected


@given(st.fractions(), st.integers(0, STOCHASTIC - 1), st.sampled_from(sorted(FLOATS)))
def test_numbers_of_a_minifloat_stay_and_rationals_round_between_their_neighbours(
    exact: Fraction, rounding: int, name: str
) -> None:
    """The definition takes any rational; its result is the number itself or next to it, unless out of range."""
    fields = FLOATS[name]
    value = defined_minifloat.decode_scalar(defined_minifloat.encode_scalar(exact, fields, rounding=rounding), fields)
    code = defined_minifloat.encode_scalar(value, fields, rounding=rounding)
    assert defined_minifloat.decode_scalar(code, fields) == value


def test_shapes_out_and_layout() -> None:
    values = np.arange(-12.0, 12.0, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)
    expected = np.clip(values, -6, 6)
    assert compiled_minifloat.cast(values, FLOATS["e4m3fn"]).shape == (4, 2, 3)
    np.testing.assert_array_equal(compiled_fixed.cast(values, FixedFields(5, 0, 1)), values)
    out = np.empty_like(values, order="C")
    assert compiled_minifloat.cast(values, E2M1, out=out) is out
    assert np.abs(out - expected).max() <= 1
    in_place = np.ascontiguousarray(values)
    np.testing.assert_array_equal(compiled_minifloat.cast(in_place, E2M1, out=in_place), out)
    assert compiled_minifloat.encode(np.float32(1.5), E2M1).shape == ()
    assert compiled_minifloat.cast(np.empty((0, 3)), E2M1).shape == (0, 3)
    assert tensor_minifloat.encode(torch.empty(0, 3), E2M1).shape == (0, 3)


def test_tensors_of_any_layout_and_with_gradients() -> None:
    values = torch.linspace(-8, 8, 48).reshape(6, 8)
    for fields, module in ((E2M1, tensor_minifloat), (INT8, tensor_fixed), (WIDEST_FIXED["int64"], tensor_fixed)):
        codes = module.encode(values, fields)
        strided = values.t()[::2]
        assert torch.equal(module.encode(strided, fields).to(torch.int64), codes.t()[::2].to(torch.int64))
    trained = values.clone().requires_grad_()
    result = tensor_minifloat.cast(trained, E2M1)
    assert not result.requires_grad
    assert torch.equal(result, tensor_minifloat.cast(values, E2M1))


@pytest.mark.parametrize("size", [1, 7, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 200_001])
def test_codes_of_long_arrays_are_those_of_their_parts(size: int) -> None:
    """Encoding works in chunks; every value is encoded once, also on both sides of a border."""
    values = np.random.default_rng(size).normal(size=size).astype(np.float32)
    random = np.random.default_rng(1).integers(0, 16, size)
    for fields, module in ((FLOATS["e4m3fn"], compiled_minifloat), (WIDE_FIXED["int26"], compiled_fixed)):
        codes = module.encode(values, fields)
        np.testing.assert_array_equal(codes, module.encode(values.astype(np.float64), fields))
        stochastic = module.encode(values, fields, rounding=STOCHASTIC, random_bits=random, random_width=4)
        last = module.encode(values[-1:], fields, rounding=STOCHASTIC, random_bits=random[-1:], random_width=4)
        assert stochastic[-1] == last[0]


def test_formats_at_the_ends_of_float64_take_the_definition() -> None:
    fields = FloatFields(4, 3, 1030, 1, SPECIALS_IEEE, SUBNORMALS_GRADUAL, 1)
    assert holds(FLOAT64, fields)
    values = np.ldexp(np.linspace(-3, 3, 41), -1018)
    expected = [defined_minifloat.encode_scalar(value, fields) for value in values.tolist()]
    codes = compiled_minifloat.encode(values, fields)
    assert codes.tolist() == expected
    assert tensor_minifloat.encode(torch.from_numpy(values), fields).tolist() == expected
    numbers = [float(defined_minifloat.decode_scalar(code, fields)) for code in expected]
    assert compiled_minifloat.cast(values, fields).tolist() == numbers
    assert compiled_minifloat.decode(codes, fields, np.float64).tolist() == numbers


FLOAT_ERRORS: list[tuple[FloatFields, dict[str, Any], str]] = [
    (E2M1._replace(exponent_bits=9), {}, "minifloat exponent_bits must be 0 to 8, got 9"),
    (E2M1._replace(mantissa_bits=24), {}, "minifloat mantissa_bits must be 0 to 23, got 24"),
    (E2M1._replace(exponent_bits=0, specials=SPECIALS_IEEE), {}, "has no finite number but zero: use more bits"),
    (E2M1._replace(exponent_bits=0, subnormals=SUBNORMALS_FLUSH), {}, "has no finite number but zero"),
    (
        E2M1._replace(specials=SPECIALS_FNUZ, subnormals=SUBNORMALS_KEEP_EXPONENT, zero=0),
        {},
        "gives NaN the code of minus zero and has no zero",
    ),
    (E2M1, {"rounding": 9}, "rounding mode must be 0 to 8, got 9"),
    (E2M1, {"overflow": OVERFLOW_WRAP}, "overflow mode 4 is none of minifloats"),
    (E2M1, {"underflow": 2}, "underflow must be 0 or 1, got 2"),
    (E2M1, {"overflow": OVERFLOW_NAN}, "has no NaN for overflow to become: saturate, or give nan_code"),
    (E2M1, {"nan_code": 16}, r"nan_code must lie in \[0, 15\], got 16"),
    (E2M1, {"rounding": STOCHASTIC, "random_width": 33}, "takes 1 to 32 random bits per value, got random_width 33"),
]
FIXED_ERRORS: list[tuple[FixedFields, dict[str, Any], str]] = [
    (FixedFields(0, 0, 1), {}, "fixed point width must be 1 to 64 bits, got 0"),
    (FixedFields(65, 0, 1), {}, "fixed point width must be 1 to 64 bits, got 65"),
    (INT8, {"overflow": OVERFLOW_INFINITY}, "overflow mode 2 is none of fixed point"),
    (FIXED["uint8"], {"overflow": OVERFLOW_WRAP_SIGN_MAGNITUDE}, "sign-magnitude wrap-around needs a signed format"),
    (INT8, {"overflow": OVERFLOW_WRAP, "saturation_bits": 9}, "saturation_bits must be 0 to 8 for .* got 9"),
    (INT8, {"saturation_bits": 1}, "saturation_bits must be 0 to 0 for overflow mode 0 and 8 bits, got 1"),
    (INT8, {"nan_code": 256}, r"nan_code must lie in \[0, 255\], got 256"),
]


@pytest.mark.parametrize(("fields", "options", "message"), FLOAT_ERRORS)
def test_minifloats_and_options_that_do_not_exist(fields: FloatFields, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compiled_minifloat.cast(np.ones(2), fields, **options)
    with pytest.raises(ValueError, match=message):
        tensor_minifloat.encode(torch.ones(2), fields, **options)
    with pytest.raises(ValueError, match=message):
        defined_minifloat.encode_scalar(1.0, fields, **options)


@pytest.mark.parametrize(("fields", "options", "message"), FIXED_ERRORS)
def test_fixed_point_and_options_that_do_not_exist(fields: FixedFields, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compiled_fixed.cast(np.ones(2), fields, **options)
    with pytest.raises(ValueError, match=message):
        tensor_fixed.encode(torch.ones(2), fields, **options)
    if "nan_code" not in options:
        with pytest.raises(ValueError, match=message):
            defined_fixed.encode_scalar(1.0, fields, **options)


@pytest.mark.parametrize("rounding", [0, 3])
@pytest.mark.parametrize(
    ("fields", "compiled", "tensors"),
    [
        (E2M1, compiled_minifloat, tensor_minifloat),
        (FLOATS["e8m2 bias 140"], compiled_minifloat, tensor_minifloat),
        (INT8, compiled_fixed, tensor_fixed),
    ],
)
def test_nan_without_a_code_is_refused(fields: Any, compiled: Any, tensors: Any, rounding: int) -> None:
    values = np.array([1.0, np.nan, 2.0, np.nan], dtype=np.float32)
    message = r"2 of 4 values are NaN, which has no code in .*: give nan_code to choose one, or remove them"
    for function in (compiled.cast, compiled.encode):
        with pytest.raises(ValueError, match=message):
            function(values, fields, rounding=rounding)
    for function in (tensors.cast, tensors.encode):
        with pytest.raises(ValueError, match=message):
            function(torch.from_numpy(values), fields, rounding=rounding)
    assert compiled.encode(values, fields, rounding=rounding, nan_code=3)[[1, 3]].tolist() == [3, 3]


@pytest.mark.parametrize("saturation_bits", [0, 2])
def test_infinities_do_not_wrap(saturation_bits: int) -> None:
    options = {"overflow": OVERFLOW_WRAP, "saturation_bits": saturation_bits}
    values = np.array([1.0, np.inf])
    message = "1 of 2 values are infinite and have no low bits to wrap around to"
    with pytest.raises(ValueError, match=message):
        compiled_fixed.cast(values, INT8, **options)
    with pytest.raises(ValueError, match=message):
        tensor_fixed.cast(torch.from_numpy(values), INT8, **options)
    with pytest.raises(ValueError, match="inf has no low bits to wrap around to"):
        defined_fixed.encode_scalar(np.inf, INT8, **options)


def test_types_that_lose_bits_are_refused() -> None:
    with pytest.raises(ValueError, match=r"float32 does not hold every number of .*width=26.*: use float64"):
        compiled_fixed.cast(np.ones(1, dtype=np.float32), WIDE_FIXED["int26"])
    with pytest.raises(ValueError, match=r"float64 does not hold every number .*: no float type does"):
        tensor_fixed.cast(torch.ones(1, dtype=torch.float64), WIDEST_FIXED["int64"])
    with pytest.raises(ValueError, match=r"float32 does not hold every number of .*bias=300.*: use float64"):
        compiled_minifloat.decode(np.zeros(1, dtype=np.uint8), E2M1._replace(bias=300), np.float32)
    with pytest.raises(TypeError, match="values must be float32 or float64, got float16: convert them first"):
        compiled_minifloat.cast(np.ones(1, dtype=np.float16), E2M1)
    with pytest.raises(TypeError, match="values must be float32 or float64, got bfloat16: convert them first"):
        tensor_minifloat.cast(torch.ones(1, dtype=torch.bfloat16), E2M1)


def test_codes_random_bits_and_out_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"codes of 4 bits must lie in \[0, 15\], got 0 to 16"):
        compiled_minifloat.decode(np.array([0, 16]), E2M1)
    with pytest.raises(ValueError, match=r"codes of 8 bits must lie in \[0, 255\], got -1 to 0"):
        tensor_fixed.decode(torch.tensor([-1, 0]), INT8)
    with pytest.raises(TypeError, match="codes must be integers, got float64"):
        compiled_fixed.decode(np.ones(1), INT8)
    stochastic: dict[str, Any] = {"rounding": STOCHASTIC, "random_width": 2}
    with pytest.raises(ValueError, match=r"stochastic rounding needs random_bits of shape \(2,\), each 0 to 3"):
        compiled_minifloat.cast(np.ones(2), E2M1, **stochastic)
    with pytest.raises(ValueError, match=r"random_bits must be integers of shape \(2,\), got int64 of shape \(3,\)"):
        compiled_minifloat.cast(np.ones(2), E2M1, **stochastic, random_bits=np.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match="random_bits must be 0 to 3 for random_width 2, got 0 to 4"):
        compiled_minifloat.cast(np.ones(2), E2M1, **stochastic, random_bits=np.array([0, 4]))
    with pytest.raises(ValueError, match="random_bits must be 0 to 3 for random_width 2, got 0 to 4"):
        tensor_minifloat.cast(torch.ones(2), E2M1, **stochastic, random_bits=torch.tensor([0, 4]))
    with pytest.raises(ValueError, match="random_bits are for stochastic rounding: leave them out"):
        compiled_minifloat.cast(np.ones(2), E2M1, random_bits=np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match=r"out of shape \(3,\) and type float64 must be C-contiguous, of shape \(2,\)"):
        compiled_minifloat.cast(np.ones(2), E2M1, out=np.empty(3))


FLUSHED = """
import numpy, torch
from kernels.compiled import minifloat
from kernels.fields import FloatFields
from kernels.tensors import minifloat as tensors
e2m1 = FloatFields(2, 1, 1, 1, 2, 0, 1)
torch.set_flush_denormal(True)
for cast, values in ((minifloat.cast, numpy.ones(2)), (tensors.cast, torch.ones(2))):
    try:
        cast(values, e2m1)
    except RuntimeError as error:
        print(error)
torch.set_flush_denormal(False)
minifloat.cast(numpy.ones(2), e2m1)
"""


def test_flushed_subnormals_are_detected() -> None:
    """In a process of its own, since the processor's flags outlive a failing test."""
    check_subnormals()
    outcome = subprocess.run([sys.executable, "-c", FLUSHED], capture_output=True, text=True, check=True)
    assert outcome.stdout.count("subnormal numbers are flushed to zero on this thread") == 2
