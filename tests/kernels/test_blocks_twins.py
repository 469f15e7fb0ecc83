"""Compiled loops and torch tensors against the definition of block formats, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kernels.compiled import blocks as compiled
from kernels.definitions import blocks as definition
from kernels.definitions.block_grids import MAXIMUM_RANDOM_WIDTH, check_dtype, element_grid
from kernels.fields import CARRY_BUMP, NAN_BLOCK, NAN_ERROR, SCALE_E4M3, SCALE_EXPONENT, WHOLE_TENSOR, BlockFields
from kernels.rounding import HALF_AWAY, HALF_EVEN, HALF_TOWARD_ZERO, STOCHASTIC, TOWARD_ZERO
from kernels.tensors import blocks as tensors
from tests.kernels.block_formats import FORMATS, bfp, mx, nvfp4

ROUNDINGS = (HALF_EVEN, HALF_AWAY, HALF_TOWARD_ZERO, TOWARD_ZERO, STOCHASTIC)
DTYPES = (np.float32, np.float64)


def bits(values: np.ndarray) -> np.ndarray:
    """Bit patterns, all NaNs alike."""
    plain = np.where(np.isnan(values), values.dtype.type(math.nan), values)
    return plain.view(np.uint32 if values.dtype == np.float32 else np.uint64)


def holds(fields: BlockFields, dtype: Any) -> bool:
    try:
        check_dtype(fields, np.dtype(dtype).name)
    except ValueError:
        return False
    return True


def ladder(rows: int, columns: int, dtype: Any, seed: int) -> np.ndarray:
    """Rows of all magnitudes a float32 has, with ties, powers of two, zeros of both signs and their neighbours."""
    random = np.random.default_rng(seed)
    scales = np.exp2(random.integers(-149, 124, (rows, 1)).astype(np.float64))
    fractions = random.choice([1, 1.0625, 1.25, 1.5, 1.75, 1.8125, 1.875, 1.9375, 1.96875, 1.9921875], (rows, columns))
    near = fractions * np.exp2(random.integers(-9, 2, (rows, columns)).astype(np.float64))
    far = random.normal(size=(rows, columns)) * np.exp2(random.uniform(-6, 1, (rows, columns)))
    values = (np.where(random.random((rows, columns)) < 0.6, near, far) * scales).astype(dtype)
    beside = np.nextafter(values, random.choice([-np.inf, np.inf], (rows, columns)).astype(dtype))
    values = np.where(random.random((rows, columns)) < 0.3, beside, values)
    values = np.where(random.random((rows, columns)) < 0.1, dtype(0), values)
    values[rows // 2] = 0
    return np.copysign(values, random.normal(size=(rows, columns))).astype(dtype)


def by_definition(
    values: np.ndarray, fields: BlockFields, random_bits: np.ndarray | None = None, **options: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Element codes, scale codes and decoded values, block by block."""
    size = fields.block_size or values.size
    rows = values.reshape(1, -1) if fields.block_size == WHOLE_TENSOR else values.reshape(-1, values.shape[-1])
    chances = None if random_bits is None else random_bits.reshape(rows.shape)
    scale = {"tensor_scale": options["tensor_scale"]} if "tensor_scale" in options else {}
    codes, scales, decoded = [], [], []
    for row in range(rows.shape[0]):
        for start in range(0, rows.shape[1], size):
            block = rows[row, start : start + size].tolist()
            chance = None if chances is None else chances[row, start : start + size].tolist()
            elements, code = definition.encode_block(block, fields, random_bits=chance, **options)
            codes += elements
            scales.append(code)
            decoded += definition.decode_block(elements, code, fields, **scale)
    if values.dtype == np.float32:
        decoded = [value if isinstance(value, float) else definition.to_float32(value) for value in decoded]
    result = np.array([float(value) for value in decoded], dtype=values.dtype).reshape(values.shape)
    shape = compiled.scale_shape(values.shape, fields)
    return np.array(codes).reshape(values.shape), np.array(scales).reshape(shape), result


def check_twins(values: np.ndarray, fields: BlockFields, random_bits: np.ndarray | None = None, **options: Any) -> None:
    """Definition, loops and tensors: the same codes, scales and bits of values; codes decode to the cast's values."""
    codes, scales, expected = by_definition(values, fields, random_bits, **options)
    scale = {"tensor_scale": options["tensor_scale"]} if "tensor_scale" in options else {}
    cast = compiled.cast(values, fields, random_bits=random_bits, **options)
    np.testing.assert_array_equal(bits(cast), bits(expected))
    elements, found = compiled.encode(values, fields, random_bits=random_bits, **options)
    np.testing.assert_array_equal(elements, codes)
    np.testing.assert_array_equal(found, scales)
    np.testing.assert_array_equal(bits(compiled.decode(elements, found, fields, values.dtype, **scale)), bits(expected))
    tensor = torch.from_numpy(values)
    chances = None if random_bits is None else torch.from_numpy(random_bits)
    np.testing.assert_array_equal(
        bits(tensors.cast(tensor, fields, random_bits=chances, **options).numpy()), bits(expected)
    )
    on_tensors = tensors.encode(tensor, fields, random_bits=chances, **options)
    for given_tensor, array in zip(on_tensors, (elements, found), strict=True):
        assert given_tensor.numpy().dtype == array.dtype
        np.testing.assert_array_equal(given_tensor.numpy(), array)
    back = tensors.decode(*on_tensors, fields, tensor.dtype, **scale)
    np.testing.assert_array_equal(bits(back.numpy()), bits(expected))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FORMATS)
def test_twins_agree_at_every_scale(name: str, dtype: Any) -> None:
    fields = FORMATS[name]
    if not holds(fields, dtype):
        # The one is made of float32 steps, the other has values below float32's subnormals.
        assert fields.arithmetic or (name == "e4m2 with a bias of 30" and dtype == np.float32)
        return
    for rounding in ROUNDINGS:
        values = ladder(9, 39, dtype, seed=rounding)
        options: dict[str, Any] = {"rounding": rounding}
        if fields.scale_kind == SCALE_E4M3:
            values = values[:6]
            options["tensor_scale"] = (1.0, compiled.tensor_scale_of(values), float(np.float32(1e-7) / 3))[rounding % 3]
        chances = None
        if rounding == STOCHASTIC:
            if fields.carry == CARRY_BUMP:
                continue
            options["random_width"] = 5
            chances = np.random.default_rng(7).integers(0, 32, values.shape)
        check_twins(values, fields, chances, **options)


@pytest.mark.parametrize("arithmetic", [0, 1, 2])
@pytest.mark.parametrize("scale", [1.0, 2.0**-100, 2.0**100, float(np.float32(0.1)), float(np.float32(3e-5))])
def test_twins_agree_for_every_tensor_scale(arithmetic: int, scale: float) -> None:
    random = np.random.default_rng(3)
    for magnitude in (1.0, 1e-3, 300.0, 3e4):
        values = np.clip(random.normal(size=(2, 40)) * magnitude * scale * 6, -3e38, 3e38).astype(np.float32)
        check_twins(values, nvfp4(arithmetic), tensor_scale=scale)


@pytest.mark.parametrize("name", ["mx e4m3fn floor", "mx e2m1 rceil", "mx int8 even", "bfp 7", "bfp 7 bump"])
def test_every_pair_of_bytes(name: str) -> None:
    """Blocks of two: all 65,536 pairs of 8-bit integers, through every rounding that is not random."""
    fields = FORMATS[name]._replace(block_size=2)
    both = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), axis=-1).reshape(-1, 2)
    values = both.astype(np.float32)
    for rounding in ROUNDINGS[:-1]:
        elements, scales = compiled.encode(values, fields, rounding=rounding)
        on_tensors = tensors.encode(torch.from_numpy(values), fields, rounding=rounding)
        np.testing.assert_array_equal(elements, on_tensors[0].numpy())
        np.testing.assert_array_equal(scales, on_tensors[1].numpy())
        cast = compiled.cast(values, fields, rounding=rounding)
        np.testing.assert_array_equal(bits(cast), bits(compiled.decode(elements, scales, fields, np.float32)))
        sample = slice(rounding, None, 131)
        codes, found, _ = by_definition(values[sample], fields, rounding=rounding)
        np.testing.assert_array_equal(elements[sample], codes)
        np.testing.assert_array_equal(scales[sample], found)


def test_every_exponent_of_float32() -> None:
    """Blocks whose largest magnitude is each power of two, and the float before and after it."""
    powers = np.ldexp(np.float32(1), np.arange(-149, 128)).astype(np.float32)
    largest = np.concatenate([powers, np.nextafter(powers, np.float32(np.inf)), np.nextafter(powers, np.float32(0))])
    values = np.stack([largest, -largest * np.float32(0.3), largest * np.float32(0.0001)], axis=1)
    for name in ("mx e4m3fn floor", "mx e5m2 floor", "mx int8 floor", "bfp 7", "bfp 22", "bfp 3, exponent of 4 bits"):
        check_twins(values, FORMATS[name]._replace(block_size=3))
    small = values[largest < 2.0**126]
    for name in ("mx e2m1 ceil", "mx int8 even", "mx e3m2 rceil", "mx e4m3fn bump", "bfp 7 bump"):
        check_twins(small, FORMATS[name]._replace(block_size=3))


def test_every_random_number_counts_once() -> None:
    """Of all random numbers of r bits, as many round up as the top r bits of the rest say."""
    fields, width = bfp(3, 2), 6
    steps = np.arange(0, 64, dtype=np.float64) / 64 + 3  # between 3/4 and 1 of the block's largest, 4
    values = np.stack([np.full(64, 4.0), steps], axis=1)
    ups = np.zeros(64, dtype=int)
    for chance in range(1 << width):
        chances = np.full(values.shape, chance)
        cast = compiled.cast(values, fields, rounding=STOCHASTIC, random_bits=chances, random_width=width)
        assert np.all(cast[:, 0] == 4.0)
        ups += cast[:, 1] == 4.0
        on_tensors = tensors.cast(
            torch.from_numpy(values),
            fields,
            rounding=STOCHASTIC,
            random_bits=torch.from_numpy(chances),
            random_width=width,
        )
        np.testing.assert_array_equal(on_tensors.numpy(), cast)
    np.testing.assert_array_equal(ups, np.arange(64))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["mx e4m3fn floor", "bfp 7", "bfp 7 bump", "mx int8 rceil", "nvfp4 exact"])
def test_widest_random_numbers(name: str, dtype: Any) -> None:
    fields = FORMATS[name]._replace(carry=0)
    values = ladder(3, 33, dtype, seed=11) if fields.scale_kind != SCALE_E4M3 else np.ones((2, 33), dtype) * dtype(0.7)
    chances = np.random.default_rng(0).integers(0, 1 << MAXIMUM_RANDOM_WIDTH, values.shape)
    check_twins(values, fields, chances, rounding=STOCHASTIC, random_width=MAXIMUM_RANDOM_WIDTH)


finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**125), max_value=2.0**125)
finite64 = st.floats(allow_nan=False, allow_infinity=False, min_value=-(2.0**125), max_value=2.0**125)


@given(
    name=st.sampled_from(
        [name for name in FORMATS if "division" not in name and "reciprocal" not in name and "30" not in name]
    ),
    values=arrays(np.float32, (2, 11), elements=finite32) | arrays(np.float64, (2, 11), elements=finite64),
    rounding=st.sampled_from(ROUNDINGS[:-1]),
)
def test_any_values(name: str, values: np.ndarray, rounding: int) -> None:
    check_twins(values, FORMATS[name]._replace(block_size=min(FORMATS[name].block_size, 8)), rounding=rounding)


@pytest.mark.parametrize("name", [name for name in FORMATS if holds(FORMATS[name], np.float32)])
def test_large_arrays_agree(name: str) -> None:
    """Loops against tensors on 100,000 values, which tensors take in parts; rows end in a shorter block."""
    fields = FORMATS[name]
    values = np.random.default_rng(5).normal(size=(100, 1000)).astype(np.float32)
    values *= np.exp2(np.random.default_rng(6).integers(-20, 20, (100, 1))).astype(np.float32)
    options: dict[str, Any] = {}
    if fields.scale_kind == SCALE_E4M3:
        options["tensor_scale"] = compiled.tensor_scale_of(values)
    cast = compiled.cast(values, fields, **options)
    tensor = torch.from_numpy(values)
    np.testing.assert_array_equal(bits(cast), bits(tensors.cast(tensor, fields, **options).numpy()))
    codes, scales = compiled.encode(values, fields, **options)
    for given_tensor, array in zip(tensors.encode(tensor, fields, **options), (codes, scales), strict=True):
        np.testing.assert_array_equal(given_tensor.numpy(), array)
    if fields.carry != CARRY_BUMP:
        chances = np.random.default_rng(7).integers(0, 256, values.shape)
        options |= {"rounding": STOCHASTIC, "random_width": 8}
        by_tensors = tensors.cast(tensor, fields, random_bits=torch.from_numpy(chances), **options)
        by_loops = compiled.cast(values, fields, random_bits=chances, **options)
        np.testing.assert_array_equal(bits(by_loops), bits(by_tensors.numpy()))
        options = {key: value for key, value in options.items() if key == "tensor_scale"}
    decoded = compiled.decode(codes, scales, fields, np.float32, **options)
    np.testing.assert_array_equal(bits(cast), bits(decoded))


@pytest.mark.parametrize(
    ("fields", "dtype"),
    [
        (bfp(23, 4, scale_bits=7), np.float32),
        (bfp(23, 4), np.float64),
        (bfp(31, 4), np.float64),
        (bfp(31, 4, element_kind=2), np.float64),
        (bfp(31, 4, carry=CARRY_BUMP), np.float64),
        (bfp(7, 4, scale_bits=11), np.float64),
        (bfp(7, 4, scale_bits=1), np.float64),
        (bfp(7, 4, scale_bits=6, scale_rule=2), np.float32),
    ],
)
def test_widest_elements_and_scales(fields: BlockFields, dtype: Any) -> None:
    values = ladder(12, 10, np.float64, seed=2)
    if fields.scale_bits == 11:
        values = np.concatenate([values, values * 2.0**-900, values * 2.0**890])
    values = np.where(np.abs(values) < 1e37, values, 1.0).astype(dtype) if dtype == np.float32 else values
    check_twins(values, fields)
    random = np.random.default_rng(1).normal(size=(50, 40)).astype(dtype)
    check_twins(random[:4], fields)
    codes = compiled.encode(random, fields)[0]
    assert codes.dtype == (np.uint32 if element_grid(fields).width > 16 else np.uint8)


def test_nan_makes_a_block_nan_if_asked() -> None:
    values = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)
    values[1, 35] = np.nan
    for fields in (mx("e4m3fn"), mx("int8"), nvfp4()):
        check_twins(values, fields, nan=NAN_BLOCK)
        _, scales = compiled.encode(values, fields, nan=NAN_BLOCK)
        start = 35 // fields.block_size
        assert scales[1, start] == (0x7F if fields.scale_kind == SCALE_E4M3 else 0xFF)
        cast = compiled.cast(values, fields, nan=NAN_BLOCK)
        assert np.isnan(cast[1, start * fields.block_size : (start + 1) * fields.block_size]).all()
        assert np.isnan(cast).sum() == min(fields.block_size, 40 - start * fields.block_size)


def test_layouts() -> None:
    """Strides, axes, tails, a given result, in place, one value, none, and the whole tensor as one block."""
    fields = bfp(7, 16)
    values = np.random.default_rng(0).normal(size=(4, 3, 37)).astype(np.float32)
    expected = compiled.cast(values, fields)
    np.testing.assert_array_equal(compiled.cast(np.asfortranarray(values), fields), expected)
    padded = np.zeros((4, 3, 48), np.float32)
    padded[:, :, :37] = values
    np.testing.assert_array_equal(compiled.cast(padded, fields)[:, :, :37], expected)
    out = np.empty_like(values)
    assert compiled.cast(values, fields, out=out) is out
    np.testing.assert_array_equal(out, expected)
    for name in ("bfp 7", "bfp 22", "mx e4m3fn ceil", "nvfp4 reciprocal"):
        own = ladder(5, 37, np.float32, seed=1)
        separate = compiled.cast(own, FORMATS[name])
        np.testing.assert_array_equal(bits(compiled.cast(own, FORMATS[name], out=own)), bits(separate))
    assert compiled.cast(values[0, 0, :1], fields)[0] == compiled.cast(values[:1, :1, :1], fields)[0, 0, 0]
    for shape in ((0, 5), (5, 0), (0,)):
        empty = np.empty(shape, np.float32)
        elements, scales = compiled.encode(empty, fields)
        assert elements.shape == shape
        assert scales.shape == (*shape[:-1], -(-shape[-1] // 16))
        assert (
            compiled.cast(empty, fields).shape == compiled.decode(elements, scales, fields, np.float32).shape == shape
        )
        assert tensors.cast(torch.from_numpy(empty), fields).shape == shape
        assert tensors.encode(torch.from_numpy(empty), fields)[1].shape == scales.shape
    whole = FORMATS["dynamic fixed point 8"]
    elements, scales = compiled.encode(values, whole)
    assert scales.shape == (1,)
    assert elements.shape == values.shape
    largest = math.floor(math.log2(float(np.abs(values).max())))
    assert scales[0] == largest & 0xFF
    step = np.float32(2.0 ** (largest - 6))
    np.testing.assert_array_equal(compiled.cast(values, whole), np.clip(np.rint(values / step), -127, 127) * step)


def test_zeros_keep_their_sign_where_the_elements_have_one() -> None:
    values = np.array([[0.0, -0.0, 1e-6, -1e-6, 1.0, -1.0]], np.float32)
    signed = compiled.cast(values, bfp(3))
    assert np.signbit(signed).tolist() == [[False, True, False, True, False, True]]
    assert np.signbit(compiled.cast(values, mx("int8"))).tolist() == [[False, False, False, False, False, True]]
    zeros = np.array([[0.0, -0.0]], np.float32)
    assert compiled.encode(zeros, bfp(3))[1].tolist() == [[0x80]]
    assert compiled.encode(zeros, bfp(3, scale_kind=SCALE_EXPONENT, scale_bits=5))[1].tolist() == [[0x10]]
    assert compiled.encode(zeros, mx("e2m1"))[1].tolist() == [[0]]
    assert compiled.encode(zeros, nvfp4())[1].tolist() == [[8]]
    assert compiled.encode(zeros, mx("int8"), nan=NAN_ERROR)[0].tolist() == [[0, 0]]


@pytest.mark.parametrize("arithmetic", [0, 1, 2])
def test_order_of_divisions_in_nvfp4_scales(arithmetic: int) -> None:
    """Largest magnitudes whose scale is a tie of E4M3 or a float beside one: two divisions and one differ there."""
    random = np.random.default_rng(8)
    differ = 0
    for scale in random.uniform(0.5, 1, 20).astype(np.float32):
        ties = (2 * random.integers(8, 16, 12) + 1) / 16  # halfway between numbers of 4 significant bits
        middle = (ties * 6 * np.float64(scale)).astype(np.float32)
        beside = [np.nextafter(middle, np.float32(end)) for end in (np.inf, 0)]
        values = np.concatenate([middle, *beside])[:, None]
        steps = values / np.float32(6) / scale
        differ += int((steps != values / (np.float32(6) * scale)).sum())
        check_twins(values, nvfp4(arithmetic), tensor_scale=float(scale))
    assert differ > 0
