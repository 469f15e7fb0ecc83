"""Blocks of hardware mode: three ways to the same integers, and foreign casts of their elements."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulation.block_reference import encode_block
from emulation.block_tensors import blocks_of, cast_blocks
from emulation.calibration import EdgeRange, scale_edge, scale_weights
from emulation.catalogue import parse
from emulation.codes import code_of, integer_of, scale_code_of, scale_of_code
from emulation.format_fields import block_fields
from emulation.formats import BlockScaled, SignMagnitude
from emulation.grids import BlockGrid, block_grid_of
from emulation.network import Layer, Linear
from emulation.quantisers import Quantiser, ScaledQuantiser
from emulation.rules import BlockRules
from kernels.definitions import blocks as definitions

NAMES = ("bfp2/3", "bfp4/4", "bfp8e5/4", "mxint8/4", "mxfp4/4", "mx-e4m3fn/4", "mx-e5m2/5", "mx-e3m2/4", "mx-e2m3/3")
RATIO_SCALED = BlockScaled(element=SignMagnitude(magnitude_bits=4), scale=parse("e4m3fn"), block_size=4)
GRIDS = {name: block_grid_of(parse(name)) for name in (*NAMES, "nvfp4/4")} | {"ratio": block_grid_of(RATIO_SCALED)}


def block_format(name: str) -> BlockScaled:
    number_format = parse(name)
    assert isinstance(number_format, BlockScaled)
    return number_format


def differences(numbers: np.ndarray, shift: int, grid: BlockGrid) -> int:
    """Elements and scales that differ between the fast cast and the definition; blocks along the last axis."""
    fast = blocks_of(numbers, shift, grid, axis=-1, unit=1.0)
    wrong = 0
    for row, elements, scales in zip(numbers.tolist(), fast.elements, fast.scales, strict=True):
        exact = [Fraction(number) / Fraction(2) ** shift for number in row]
        for block, scale in enumerate(scales):
            inside = slice(block * grid.size, (block + 1) * grid.size)
            expected, expected_scale = encode_block(exact[inside], grid)
            wrong += elements[inside].tolist() != expected or int(scale) != expected_scale
    return wrong


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("kind", ["words", "Python integers", "floats"])
def test_arrays_equal_the_definition(name: str, kind: str) -> None:
    random = np.random.default_rng(len(name))
    for shift in range(-4, 60, 3):
        powers = random.integers(0, 40 if kind == "words" else 90, (12, 1))
        numbers = np.array([[int(v) for v in row] for row in np.ldexp(random.normal(size=(12, 10)), powers)], object)
        numbers[random.random(numbers.shape) < 0.2] = 0
        numbers[:4] = random.integers(-9, 10, (4, 10)).tolist()  # many ties
        numbers[4] = 0
        if kind == "words":
            assert differences(numbers.astype(np.int64), shift, GRIDS[name]) == 0
        elif kind == "floats":
            assert differences(np.ldexp(numbers.astype(np.float64), -shift), 0, GRIDS[name]) == 0
        else:
            assert differences(numbers, shift, GRIDS[name]) == 0


@given(
    st.sampled_from(list(GRIDS)),
    st.lists(st.integers(-(2**61) + 1, 2**61 - 1) | st.integers(-64, 64), min_size=1, max_size=9),
    st.integers(-20, 80),
)
def test_any_words(name: str, numbers: list[int], shift: int) -> None:
    assert differences(np.array([numbers], dtype=np.int64), shift, GRIDS[name]) == 0


@pytest.mark.parametrize("name", [*NAMES, "nvfp4/4"])
def test_codes_are_those_of_the_kernels(name: str) -> None:
    """Written by another hand, on rationals: element and scale codes of float32 values."""
    number_format, random = block_format(name), np.random.default_rng(7)
    fields = block_fields(number_format, BlockRules())._replace(scale_minimum=1 if name.startswith("nvfp4") else 8)
    scale = 2.0**-3 if name.startswith("nvfp4") else 1.0
    unit = scale * 2.0**number_format.unit_exponent
    quantiser = ScaledQuantiser(quantiser=Quantiser(format=number_format), unit=np.array([unit]), block_axis=-1)
    size = number_format.block_size
    values = np.ldexp(random.normal(size=(400, size)), random.integers(-20, 20, (400, 1))).astype(np.float32)
    values[::7] = random.integers(-8, 9, values[::7].shape) / 4  # ties
    values[::11] = 0
    tensor = cast_blocks(values, quantiser)
    mask = 0 if fields.scale_kind != 1 else 1 << (number_format.scale.width - 1)
    for row, elements, scales in zip(values, tensor.elements, tensor.scales, strict=True):
        codes, scale_code = definitions.encode_block(row.tolist(), fields, tensor_scale=scale)
        assert scale_code_of(int(scales[0]), number_format) == scale_code ^ mask
        assert [code_of(int(v), number_format) for v in elements] == [
            code if integer_of(code, number_format) else 0 for code in codes
        ]


@pytest.mark.parametrize(
    ("name", "dtype"), [("mx-e4m3fn/8", ml_dtypes.float8_e4m3fn), ("mxfp4/8", ml_dtypes.float4_e2m1fn)]
)
def test_elements_are_those_of_ml_dtypes(name: str, dtype: Any) -> None:
    number_format, random = block_format(name), np.random.default_rng(3)
    largest = float(ml_dtypes.finfo(dtype).max)
    quantiser = ScaledQuantiser(
        quantiser=Quantiser(format=number_format),
        unit=np.array([2.0**number_format.unit_exponent]),
        block_axis=-1,
    )
    values = random.normal(size=(500, 8)).astype(np.float32)
    for row, cast in zip(values, cast_blocks(values, quantiser).values(), strict=True):
        exponent = math.floor(math.log2(float(np.abs(row).max()))) - math.floor(math.log2(largest))
        scaled = np.clip(np.ldexp(row.astype(np.float64), -exponent), -largest, largest)
        np.testing.assert_array_equal(cast, np.ldexp(scaled.astype(dtype).astype(np.float64), exponent))


@pytest.mark.parametrize("name", GRIDS)
def test_scale_codes_have_inverses(name: str) -> None:
    number_format = RATIO_SCALED if name == "ratio" else block_format(name)
    low, high = GRIDS[name].scale_levels[0], GRIDS[name].scale_levels[-1]
    scales = range(low, high + 1) if GRIDS[name].scale_unit is None else GRIDS[name].scale_levels
    for scale in scales:
        assert scale_of_code(scale_code_of(scale, number_format), number_format) == scale
    if GRIDS[name].scale_unit is None:
        with pytest.raises(ValueError, match="has no code in"):
            scale_code_of(high + 1, number_format)
        with pytest.raises(ValueError, match="has no code in"):
            scale_code_of(low - 1, number_format)


def test_scales_stay_within_their_format() -> None:
    """A 5-bit exponent ends at -16 and 15: beyond, elements saturate or vanish; a block of zeros takes the least."""
    grid = block_grid_of(parse("bfp4e5/2"))
    tensor = blocks_of(np.array([[2.0**40, 1.0, 2.0**-30, 2.0**-40, 0.0, 0.0]]), 0, grid, axis=-1, unit=1.0)
    assert tensor.scales.tolist() == [[15, -16, -16]]
    assert tensor.elements.tolist() == [[7, 0, 0, 0, 0, 0]]


def test_units_of_block_tensors() -> None:
    values = np.array([0.5, -6.0, 3.0], dtype=np.float32)
    edge_range = EdgeRange(minimum=-6.0, maximum=3.0, values=values)
    absolute = scale_edge(Quantiser(format=parse("mxfp4")), edge_range, block_axis=-1)
    assert (absolute.unit.tolist(), absolute.reach, absolute.block_axis) == ([0.5], 6.0, -1)
    relative = scale_edge(Quantiser(format=parse("nvfp4")), edge_range)
    assert relative.unit.tolist() == [float(np.float32(6.0 / (6 * 448))) / 2]
    layer = Layer(name="fc", operation=Linear(), inputs=("x",), shape=(1,), weight=values[None].astype(np.float64))
    assert scale_weights(Quantiser(format=parse("bfp8/16")), layer).unit.tolist() == [2.0**-6]
    np.testing.assert_allclose(relative.cast(values[None]), values[None], atol=0.3)


def test_dynamic_fixed_point_is_static_in_hardware() -> None:
    """One exponent for the tensor: a unit that is a power of two, as rule 2 wants of an edge."""
    values = np.linspace(-3, 3, 64, dtype=np.float32)
    edge_range = EdgeRange(minimum=-3.0, maximum=3.0, values=values)
    quantiser = scale_edge(Quantiser(format=parse("dfp5")), edge_range)
    assert quantiser.blocks is None
    assert math.frexp(float(quantiser.unit[0]))[0] == 0.5
    assert set(quantiser.integers(values)) <= set(range(-15, 16))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_blocks_hold_finite_numbers(value: float) -> None:
    quantiser = ScaledQuantiser(quantiser=Quantiser(format=parse("mxfp4")), unit=np.array([0.5]), block_axis=-1)
    with pytest.raises(ValueError, match="1 of 3 values are NaN or infinite: blocks need finite ones"):
        cast_blocks(np.array([1.0, value, 2.0]), quantiser)
    with pytest.raises(ValueError, match="mxfp4 has blocks: integers alone do not tell its values"):
        quantiser.integers(np.ones(3))


def test_blocks_that_are_not_defined() -> None:
    unsigned = BlockScaled(element=parse("uint4"), scale=parse("e8m0"), block_size=8)
    wide = BlockScaled(element=parse("bf16"), scale=parse("e8m0"), block_size=8)
    for number_format in (unsigned, wide):
        with pytest.raises(ValueError, match="are not defined in hardware mode: elements have a sign"):
            Quantiser(format=number_format)
    lopsided = BlockScaled(element=parse("fixed<8,2>"), scale=parse("e4m3fn"), block_size=8)
    with pytest.raises(ValueError, match="at most 12 bits, and its elements are symmetric"):
        Quantiser(format=lopsided)
