"""`encode`, `decode` and `cast` of fixed point and minifloats: twins, kinds of arrays, foreign types, bad input."""

from __future__ import annotations

import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emulation import cast, decode, encode, parse
from emulation.format_fields import scalar_fields
from emulation.formats import FixedPoint, MiniFloat, ScalarFormat
from emulation.rules import Overflow, Rounding, Stochastic, Underflow
from kernels.definitions import fixed, minifloat
from kernels.extents import FLOAT32, holds
from kernels.fields import FixedFields
from kernels.twins import Twin, using
from tests.emulation.formats_of_fields import SCALARS, WIDEST
from tests.kernels.format_list import FIXED, FLOATS, WIDE_FIXED
from tests.kernels.twins import interesting_values, same

TWINS = (Twin.DEFINITION, Twin.COMPILED, Twin.TENSORS)
FIELDS = {**FLOATS, **FIXED, **WIDE_FIXED}


def inputs_for(name: str) -> np.ndarray:
    fields = FIELDS[name]
    dtype = np.float32 if holds(FLOAT32, fields) else np.float64
    return interesting_values(fields, dtype, count=40)


@pytest.mark.parametrize("name", SCALARS)
def test_every_twin_gives_the_bits_of_the_definition(name: str) -> None:
    number_format, values = SCALARS[name], inputs_for(name)
    assert scalar_fields(number_format) == FIELDS[name]
    scalar = fixed.encode_scalar if isinstance(FIELDS[name], FixedFields) else minifloat.encode_scalar
    codes = [scalar(value, FIELDS[name]) for value in values.tolist()]
    for twin in TWINS:
        found = encode(values, number_format, twin=twin)
        assert found.tolist() == codes
        assert found.dtype == np.dtype(f"uint{max(8, 1 << (number_format.width - 1).bit_length())}")
        quantised = cast(values, number_format, twin=twin)
        assert quantised.dtype == values.dtype
        assert same(quantised, decode(found, number_format, dtype=values.dtype.name, twin=twin)).all()
        tensor = encode(torch.from_numpy(values), number_format, twin=twin)
        assert isinstance(tensor, torch.Tensor)
        assert tensor.numpy().tolist() == codes
        assert same(cast(torch.from_numpy(values), number_format, twin=twin).numpy(), quantised).all()


@pytest.mark.parametrize("rounding", [*Rounding, Stochastic(bits=7)])
@pytest.mark.parametrize("name", ["e4m3fn", "e5m2", "e3m2fnuz flush", "ue3m3 flush", "fixed<8,4>", "ufixed<5,7>"])
def test_twins_agree_on_every_rule(name: str, rounding: Rounding | Stochastic) -> None:
    number_format, values = SCALARS[name], inputs_for(name)
    random = np.random.default_rng(1).integers(0, 1 << 7, values.shape)
    options: dict[str, Any] = {"rounding": rounding}
    if isinstance(rounding, Stochastic):
        options["random_numbers"] = random
    overflows: list[dict[str, Any]] = [{"overflow": rule} for rule in (Overflow.SATURATE, Overflow.SATURATE_FINITE)]
    if isinstance(number_format, FixedPoint):
        finite = values[np.isfinite(values)]
        values = finite
        if "random_numbers" in options:
            options["random_numbers"] = random[: finite.size]
        overflows = [{"overflow": rule} for rule in (Overflow.SATURATE_ZERO, Overflow.SATURATE_SYMMETRIC)]
        overflows += [{"overflow": Overflow.WRAP, "saturation_bits": bits} for bits in (0, 1, 3)]
    elif name.endswith("flush"):
        overflows = [{"underflow": rule} for rule in Underflow]
    for chosen in overflows:
        results = [encode(values, number_format, twin=twin, **options, **chosen).tolist() for twin in TWINS]
        assert results[0] == results[1] == results[2]


FOREIGN = {
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "e3m4": ml_dtypes.float8_e3m4,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("source", [np.float16, ml_dtypes.bfloat16])
def test_all_16_bit_inputs_against_the_foreign_type(name: str, source: Any) -> None:
    """65,536 inputs; where the foreign type overflows to infinity or NaN, so does ours when told to."""
    number_format = parse(name)
    assert isinstance(number_format, MiniFloat)
    inputs = np.arange(1 << 16, dtype=np.uint16).view(source)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = inputs.astype(FOREIGN[name])
        widened = inputs.astype(np.float32)
    missing = np.isnan(widened)
    has_special = name not in {"e2m3", "e3m2", "e2m1"}
    ours = encode(
        inputs,
        number_format,
        overflow=Overflow.INFINITY if has_special else Overflow.SATURATE,
        nan=None if has_special else 0.0,
    )
    codes = expected.view(np.uint8)
    same_code = ours == codes
    both_nan = np.isnan(expected.astype(np.float32)) & np.isnan(decode(ours, number_format))
    assert (same_code | both_nan | (missing & (not has_special))).all()
    assert (~missing).sum() > 60000


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_kind_and_dtype_of_the_input_come_back(dtype: str) -> None:
    values = [0.3, -7.1, 500.0]
    tensor = torch.tensor(values, dtype=getattr(torch, dtype))
    result = cast(tensor, parse("e4m3fn"))
    assert result.dtype == tensor.dtype
    assert result.tolist() == [0.3125, -7.0, 448.0]
    if dtype != "bfloat16":
        array = np.array(values, dtype=dtype)
        assert cast(array, parse("e4m3fn")).dtype == array.dtype
    extended = np.array(values, dtype=ml_dtypes.bfloat16)
    assert cast(extended, parse("e2m1")).dtype == extended.dtype


def test_shapes_views_scalars_and_empty_arrays() -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    for view in (values, values[:, ::2], values.T, values[..., ::-1], values[:0]):
        assert np.array_equal(cast(view, parse("int4")), np.clip(view, -8, 7))
        assert np.array_equal(cast(torch.tensor(view.copy()), parse("int4")).numpy(), np.clip(view, -8, 7))
    assert cast(np.float32(2.6), parse("int4")) == 3
    read_only = values.copy()
    read_only.setflags(write=False)
    for twin in TWINS:
        assert np.array_equal(cast(read_only, parse("int4"), twin=twin), np.clip(values, -8, 7))
    with_gradient = torch.tensor([1.25], requires_grad=True)
    assert not cast(with_gradient, parse("int4")).requires_grad


def test_integers_are_taken_exactly() -> None:
    assert cast(np.array([3, -300]), parse("int8")).tolist() == [3.0, -128.0]
    assert encode(torch.tensor([3, -300], dtype=torch.int32), parse("int8")).tolist() == [3, 128]
    assert encode(np.array([2**53 + 2]), parse("int64")).tolist() == [2**53 + 2]
    with pytest.raises(ValueError, match=re.escape("1 of 2 integers, such as 9007199254740993, would lose bits")):
        cast(np.array([2**53 + 1, 5]), parse("int8"))
    with pytest.raises(ValueError, match="would lose bits"):
        cast(np.array([2**64 - 1], dtype=np.uint64), parse("int8"))


def test_units_scale_by_one_division_and_one_product() -> None:
    values = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    unit = np.array([0.1, 0.3, 0.7])
    number_format = parse("int4")
    quotients = values.astype(np.float64) / unit[:, None]
    expected = (np.clip(np.rint(quotients), -8, 7) * unit[:, None]).astype(np.float32)
    for twin in TWINS:
        found = cast(values, number_format, unit=unit, twin=twin)
        assert same(found + 0.0, expected + 0.0).all()
        codes = encode(values, number_format, unit=unit, twin=twin)
        assert same(decode(codes, number_format, unit=unit, twin=twin) + 0.0, expected + 0.0).all()
        tensors = cast(torch.from_numpy(values), number_format, unit=torch.from_numpy(unit), twin=twin)
        assert same(tensors.numpy() + 0.0, expected + 0.0).all()
    along_last = cast(values.T, number_format, unit=unit, axis=-1)
    assert same(along_last.T + 0.0, expected + 0.0).all()
    assert same(cast(values, number_format, unit=unit[:, None]) + 0.0, expected + 0.0).all()


@pytest.mark.parametrize("name", WIDEST)
def test_wide_codes_decode_while_float64_holds_them(name: str) -> None:
    number_format = WIDEST[name]
    assert isinstance(number_format, FixedPoint)
    values = np.array([0.0, 1.0, -1.0, 3.0, 2.0**40]) * 2.0**number_format.unit_exponent
    if number_format.smallest_integer == 0:
        values = np.abs(values)
    codes = encode(values, number_format)
    assert decode(codes, number_format).tolist() == values.tolist()
    assert decode(torch.from_numpy(codes), number_format).tolist() == values.tolist()
    odd = np.array([(1 << 53) + 1], dtype=np.uint64)
    with pytest.raises(ValueError, match=re.escape("1 of 1 codes") + ".*9007199254740993, have more than the 53"):
        decode(odd, number_format)
    with pytest.raises(ValueError, match="does not hold every number"):
        cast(values, number_format)


@given(
    arrays.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32, allow_nan=False)),
    st.sampled_from(sorted(set(SCALARS) - set(WIDE_FIXED))),
)
def test_cast_is_decode_after_encode_and_changes_nothing_twice(values: np.ndarray, name: str) -> None:
    number_format: ScalarFormat = SCALARS[name]
    codes = encode(values, number_format)
    quantised = cast(values, number_format)
    assert same(quantised, decode(codes, number_format)).all()
    assert same(cast(quantised, number_format), quantised).all()
    assert encode(torch.from_numpy(values), number_format, twin=Twin.TENSORS).tolist() == codes.tolist()


def test_nan_stays_is_stated_or_is_refused() -> None:
    values = np.array([[1.0, 2.0], [np.nan, 3.0]])
    assert np.isnan(cast(values, parse("e4m3fn"))[1, 0])
    assert encode(values, parse("e4m3fn"))[1, 0] == 0x7F
    assert cast(values, parse("int8"), nan=-3.0)[1, 0] == -3
    assert cast(torch.from_numpy(values), parse("e4m3fn"), nan=5.1)[1, 0] == 5
    for kind in (values, torch.from_numpy(values)):
        for twin in TWINS:
            for name in ("int8", "e2m1"):
                message = f"1 of 4 values are NaN, the first at (1, 0), and {name} has no code for NaN: remove them, or"
                with pytest.raises(ValueError, match=re.escape(message)):
                    cast(kind, parse(name), twin=twin)
                with pytest.raises(ValueError, match=re.escape(message)):
                    encode(kind, parse(name), twin=twin)


@pytest.mark.parametrize("twin", [None, *TWINS])
def test_flushed_subnormals_are_detected(twin: Twin | None) -> None:
    values = torch.tensor([1.0])
    codes = encode(values, parse("bf16"))
    assert torch.set_flush_denormal(True), "this processor cannot flush subnormals"
    try:
        for call in (cast, encode):
            with pytest.raises(RuntimeError, match="subnormal numbers are flushed to zero on this thread"):
                call(values, parse("bf16"), twin=twin)
        with pytest.raises(RuntimeError, match="subnormal numbers are flushed"):
            decode(codes, parse("bf16"), twin=twin)
    finally:
        torch.set_flush_denormal(False)
    assert cast(values, parse("bf16"), twin=twin).tolist() == [1.0]


@pytest.mark.parametrize(
    ("values", "name", "options", "error", "message"),
    [
        ([1.0], "int8", {}, TypeError, "values must be a NumPy array or a torch tensor, got a list: use numpy.asarray"),
        (np.array([1j]), "int8", {}, TypeError, "values of dtype complex128 cannot be cast to a number format"),
        (np.array([True]), "int8", {}, TypeError, "values of dtype bool cannot be cast"),
        (
            np.float32([1]),
            "int32",
            {},
            ValueError,
            "float32 does not hold every number of int32 (31 significant bits, fr",
        ),
        (np.float32([1]), "int32", {}, ValueError, "from 2**0 to 2**31): use float64"),
        (np.float16([1]), "fixed<16,6>", {}, ValueError, "float16 does not hold every number of fixed<16,6>"),
        (np.float16([1]), "bf16", {}, ValueError, "from 2**-133 to 2**127): use bfloat16"),
        (torch.tensor([1.0], dtype=torch.bfloat16), "fp16", {}, ValueError, "to 2**15): use float16"),
        (
            np.array([1.0]),
            "int8",
            {"overflow": Overflow.INFINITY},
            ValueError,
            "int8 cannot overflow by INFINITY: use SA",
        ),
        (
            np.array([1.0]),
            "e4m3",
            {"overflow": Overflow.WRAP},
            ValueError,
            "use SATURATE or SATURATE_FINITE or INFINITY",
        ),
        (np.array([1.0]), "e2m1", {"overflow": Overflow.NAN}, ValueError, "has no NaN for overflow to become"),
        (
            np.array([1.0]),
            "int8",
            {"saturation_bits": 2},
            ValueError,
            "saturation_bits 2 is for overflow WRAP and WRAP_SIGN",
        ),
        (np.array([1.0]), "int8", {"underflow": Underflow.BEFORE_ROUNDING}, ValueError, "is for minifloats, got int8"),
        (np.array([np.inf]), "int8", {"overflow": Overflow.WRAP}, ValueError, "1 of 1 values are infinite"),
        (np.array([1.0]), "int8", {"unit": 0.0}, ValueError, "unit must be above 0 and finite, got 0"),
        (np.array([1.0]), "int8", {"unit": np.inf}, ValueError, "unit must be above 0 and finite, got inf"),
        (
            np.ones((2, 2)),
            "int8",
            {"unit": np.array([1.0, 0.0])},
            ValueError,
            "unit must be above 0 and finite, got 0 to 1",
        ),
        (
            np.ones((2, 2)),
            "int8",
            {"unit": np.ones(3)},
            ValueError,
            "unit of shape (3,) does not fit values of shape (2, 2)",
        ),
        (np.ones(2), "int8", {"unit": np.ones(3)}, ValueError, "unit of shape (3,) does not fit values of shape (2,)"),
        (np.ones(2), "int8", {"unit": np.ones(2), "axis": 1}, ValueError, "one per entry of axis 1"),
        (
            np.ones(2),
            "int8",
            {"rounding": Stochastic(bits=3)},
            ValueError,
            "give random_numbers of the values' shape, int",
        ),
        (
            np.ones(2),
            "int8",
            {"random_numbers": np.ones(2, int)},
            ValueError,
            "random_numbers are for rounding Stochastic",
        ),
    ],
)
def test_bad_input_is_refused_with_numbers(
    values: Any, name: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        cast(values, parse(name), **options)


def test_codes_are_checked() -> None:
    with pytest.raises(ValueError, match=re.escape("codes of 4 bits must lie in [0, 15], got 3 to 16")):
        decode(np.array([3, 16]), parse("int4"))
    with pytest.raises(TypeError, match="codes must be integers, got float64"):
        decode(np.array([3.0]), parse("int4"))
    with pytest.raises(ValueError, match="codes decode to float16, bfloat16, float32, float64, got 'int8'"):
        decode(np.array([3]), parse("int4"), dtype="int8")
    with pytest.raises(ValueError, match="float32 does not hold every number of int32"):
        decode(np.array([3]), parse("int32"), dtype="float32")
    assert decode(np.array([3]), parse("int32")).dtype == np.float64
    assert decode(torch.tensor([3]), parse("e2m1"), dtype="bfloat16").dtype == torch.bfloat16


def test_a_twin_can_be_forced() -> None:
    values = np.array([0.3])
    with using(Twin.DEFINITION):
        assert cast(values, parse("int8"), unit=0.1) == cast(values, parse("int8"), unit=0.1, twin=Twin.TENSORS)
    with pytest.raises(ValueError, match="twin GPU computes on CUDA tensors, got a NumPy array"):
        cast(values, parse("int8"), twin=Twin.GPU)
