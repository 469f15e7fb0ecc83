"""Block formats against foreign code: torchao, gfloat, ml_dtypes, NumPy; and the definition against searches."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from kernels.compiled import blocks as compiled
from kernels.definitions import blocks as definition
from kernels.definitions.block_grids import carry_threshold, element_grid, scale_exponents, top_exponent
from kernels.fields import ARITHMETIC_EXACT, ARITHMETIC_RECIPROCAL, CARRY_BUMP, CARRY_CLIP, BlockFields
from kernels.rounding import HALF_AWAY, HALF_EVEN, HALF_TOWARD_ZERO, TOWARD_ZERO
from tests.kernels.block_formats import ELEMENTS, RULES, bfp, mx, nvfp4
from tests.missing_tools import foreign

FOREIGN_ELEMENTS = {
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}


def samples(rows: int, seed: int, spread: int = 30) -> np.ndarray:
    """Rows of 32 Gaussian values, each row at its own magnitude; some values are ties and powers of two."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 32))
    short = np.ldexp(np.rint(values * 16), -4)
    powers = np.copysign(np.exp2(np.rint(np.log2(np.abs(values)))), values)
    values = np.choose(random.integers(0, 4, values.shape), [values, values, short, powers])
    return (values * np.exp2(random.integers(-spread, spread, (rows, 1)))).astype(np.float32)


def torchao_mx(values: np.ndarray, element: str, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Element codes and scale codes of torchao."""
    tensor_module = foreign("torchao.prototype.mx_formats.mx_tensor")
    config = foreign("torchao.prototype.mx_formats.config")
    constants = foreign("torchao.prototype.mx_formats.constants")
    names = {
        "e4m3fn": torch.float8_e4m3fn,
        "e5m2": torch.float8_e5m2,
        "e3m2": constants.DTYPE_FP6_E3M2,
        "e2m3": constants.DTYPE_FP6_E2M3,
        "e2m1": torch.float4_e2m1fn_x2,
    }
    mode = getattr(config.ScaleCalculationMode, rule.upper())
    scales, elements = tensor_module.to_mx(torch.from_numpy(values), names[element], 32, mode)
    codes = elements.view(torch.uint8).numpy()
    if element == "e2m1":
        codes = np.stack([codes & 15, codes >> 4], axis=-1)
    return codes.reshape(values.shape), scales.view(torch.uint8).numpy().reshape(values.shape[0], 1)


@pytest.mark.parametrize("rule", ["floor", "ceil", "even"])
@pytest.mark.parametrize("element", ELEMENTS)
def test_mx_equals_torchao(element: str, rule: str) -> None:
    """Scales and elements of 640,000 values (not at the smallest scale: it is 2**-127, torchao divides by 2**-126)."""
    values = samples(20000, seed=1)
    values[7] = 0
    codes, scales = compiled.encode(values, mx(element, rule))
    foreign_codes, foreign_scales = torchao_mx(values, element, rule)
    np.testing.assert_array_equal(scales, foreign_scales)
    np.testing.assert_array_equal(codes, foreign_codes)
    assert scales[7, 0] == 0


@pytest.mark.parametrize("element", ELEMENTS)
def test_rceil_equals_torchao_but_above_powers_of_two(element: str) -> None:
    """torchao takes the logarithm in float32, which loses what little a quotient is above a power of two."""
    values = samples(20000, seed=2)
    largest = element_grid(mx(element)).largest_code
    limit = float(definition.magnitude_of_code(largest, element_grid(mx(element))))
    # Rows whose amax is the largest element times a power of two, and one float above.
    values[:100] = np.minimum(np.abs(values[:100]), limit)
    values[:100, 3] = np.ldexp(np.float32(limit), np.arange(100) - 50)
    values[:50, 3] = np.nextafter(values[:50, 3], np.float32(np.inf))
    values[:100] = np.minimum(values[:100], values[:100, 3:4])
    codes, scales = compiled.encode(values, mx(element, "rceil"))
    foreign_codes, foreign_scales = torchao_mx(values, element, "rceil")
    differ = (scales != foreign_scales)[:, 0]
    # Ours never saturates, and half our scale would.
    exponents = scales[:, 0].astype(int) - 127
    amax = np.abs(values).max(axis=1).astype(np.float64)
    assert np.all(amax <= limit * np.exp2(exponents.astype(float)))
    assert np.all(amax > limit * np.exp2(exponents - 1.0))
    np.testing.assert_array_equal(codes[~differ], foreign_codes[~differ])
    assert differ[:50].any()
    quotient = amax[differ] / limit
    assert np.all(quotient / np.exp2(np.floor(np.log2(quotient))) < 1 + 2.0**-20)
    assert differ.sum() < 100


@pytest.mark.parametrize("two_levels", [False, True])
def test_nvfp4_equals_torchao(two_levels: Any) -> None:
    """Codes, scales and decoded values of 640,000 values in the order of operations of torchao."""
    module = foreign("torchao.prototype.mx_formats.nvfp4_tensor")
    values = samples(20000, seed=3, spread=3)
    values[5] = 0
    scale = compiled.tensor_scale_of(values) if two_levels else 1.0
    given = module.per_tensor_amax_to_scale(torch.from_numpy(np.abs(values).max(keepdims=True)).reshape(()))
    if two_levels:
        assert scale == given.item()
    fields = nvfp4(ARITHMETIC_RECIPROCAL)
    codes, scales = compiled.encode(values, fields, tensor_scale=scale)
    their_scales, packed = module.nvfp4_quantize(torch.from_numpy(values), 16, given if two_levels else None)
    theirs = np.stack([packed.numpy() & 15, packed.numpy() >> 4], axis=-1).reshape(values.shape)
    np.testing.assert_array_equal(scales, their_scales.view(torch.uint8).numpy().reshape(scales.shape))
    np.testing.assert_array_equal(codes, theirs)
    levels = theirs.astype(np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float32)
    whole = their_scales.float() * given if two_levels else their_scales.float()
    decoded = (torch.from_numpy(levels).reshape(20000, 2, 16) * whole.reshape(20000, 2, 1)).reshape(20000, 32).numpy()
    np.testing.assert_array_equal(compiled.cast(values, fields, tensor_scale=scale), decoded)
    exact = compiled.encode(values, nvfp4(ARITHMETIC_EXACT), tensor_scale=scale)
    if two_levels:
        # The order of operations matters: a reciprocal moves ties.
        assert 0 < (exact[0] != codes).sum() < 0.01 * codes.size
    else:
        np.testing.assert_array_equal(exact[1], scales)


@pytest.mark.parametrize("element", ELEMENTS)
def test_mx_equals_gfloat(element: str) -> None:
    """gfloat's blocks: its own amax rule, scale, rounding and saturation, in float64."""
    formats, block = foreign("gfloat.formats"), foreign("gfloat.block")
    own = {"e4m3fn": "e4m3", "e5m2": "e5m2", "e3m2": "e3m2", "e2m3": "e2m3", "e2m1": "e2m1"}[element]
    info = (
        {
            "e4m3": formats.format_info_mxfp8_e4m3,
            "e5m2": formats.format_info_mxfp8_e5m2,
            "e3m2": formats.format_info_mxfp6_e3m2,
            "e2m3": formats.format_info_mxfp6_e2m3,
            "e2m1": formats.format_info_mxfp4_e2m1,
        }[own]
        if hasattr(formats, "format_info_mxfp8_e4m3")
        else pytest.fail("gfloat renamed its block formats")
    )
    values = samples(60, seed=4).astype(np.float64)
    ours = compiled.cast(values, mx(element))
    for row, expected in zip(values, ours, strict=True):
        np.testing.assert_array_equal(block.quantize_block(info, row, block.compute_scale_amax), expected)


@pytest.mark.parametrize("element", ELEMENTS)
def test_elements_equal_ml_dtypes_at_every_midpoint(element: str) -> None:
    """Blocks led by the largest power of two: every midpoint of the element and the floats beside it."""
    kind = FOREIGN_ELEMENTS[element]
    fields = mx(element, "floor", block_size=4)
    grid = element_grid(fields)
    numbers = np.array([float(definition.magnitude_of_code(code, grid)) for code in range(grid.largest_code + 1)])
    middles = ((numbers[1:] + numbers[:-1]) / 2).astype(np.float32)
    lead = np.full_like(middles, 2.0 ** top_exponent(grid))
    beside = [np.nextafter(middles, np.float32(np.inf)), np.nextafter(middles, np.float32(-np.inf))]
    for sign in (1, -1):
        for exponent in (0, -40, 30):
            unit = np.float32(2.0**exponent)
            blocks = np.stack([lead, middles * sign, beside[0] * sign, beside[1] * sign], axis=1)
            inside = np.abs(blocks).max(axis=1) < 2.0 ** (top_exponent(grid) + 1)
            assert inside.sum() >= grid.largest_code - 1
            cast = compiled.cast(blocks[inside] * unit, fields)
            expected = np.clip(blocks[inside], -numbers[-1], numbers[-1]).astype(kind).astype(np.float32) * unit
            np.testing.assert_array_equal(cast.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("element", ELEMENTS)
def test_every_code_with_every_scale(element: str) -> None:
    """All element codes times all 256 scale codes decode to the product of what ml_dtypes says, in float64."""
    fields = mx(element)
    width = element_grid(fields).width
    codes = np.arange(1 << width, dtype=np.uint8)
    scales = np.arange(256, dtype=np.uint8)
    with np.errstate(invalid="ignore"):
        elements = codes.view(FOREIGN_ELEMENTS[element]).astype(np.float64)
        expected = elements[None, :] * scales.view(ml_dtypes.float8_e8m0fnu).astype(np.float64)[:, None]
    decoded = compiled.decode(
        np.tile(codes, (256, 1)), np.repeat(scales[:, None], (1 << width) // 32 or 1, axis=1), fields, np.float64
    )
    np.testing.assert_array_equal(decoded, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(decoded)[known], np.signbit(expected)[known])
    for scale in (0, 1, 127, 254, 255):
        values = definition.decode_block(codes.tolist(), scale, fields)
        np.testing.assert_array_equal([float(value) for value in values], expected[scale])


def test_every_nvfp4_code_with_every_scale() -> None:
    codes = np.tile(np.arange(16, dtype=np.uint8), (128, 1))
    scales = np.arange(128, dtype=np.uint8)[:, None]
    elements = codes.view(ml_dtypes.float4_e2m1fn).astype(np.float64)
    expected = elements * scales.view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    np.testing.assert_array_equal(compiled.decode(codes, scales, nvfp4(), np.float32), expected)
    np.testing.assert_array_equal(compiled.decode(codes, scales, nvfp4(ARITHMETIC_EXACT), np.float64), expected)
    scale = float(np.float32(0.1))
    whole = expected[1:127] * scale
    exact = compiled.decode(codes[1:127], scales[1:127], nvfp4(ARITHMETIC_EXACT), np.float32, tensor_scale=scale)
    np.testing.assert_array_equal(exact, whole.astype(np.float32))


def test_every_mxint8_and_bfp_code() -> None:
    """The integers times ``2**(scale - 6)``."""
    codes = np.tile(np.arange(256, dtype=np.uint8), (255, 1))
    scales = np.repeat(np.arange(255, dtype=np.uint8)[:, None], 8, axis=1)
    powers = np.exp2(np.arange(-127.0, 128))[:, None]
    expected = codes.view(np.int8) / 64 * powers
    np.testing.assert_array_equal(compiled.decode(codes, scales, mx("int8"), np.float64), expected)
    magnitudes = np.where(codes & 128, -1.0, 1.0) * (codes & 127) / 64
    exponents = np.arange(-128, 127).astype(np.int8).view(np.uint8)
    decoded = compiled.decode(codes, np.repeat(exponents[:, None], 16, axis=1), bfp(7), np.float64)
    np.testing.assert_array_equal(decoded, magnitudes * powers / 2)
    assert np.signbit(decoded[:, 128]).all()


def test_mxint8_and_bfp_are_rint_and_clip() -> None:
    values = samples(3000, seed=6)
    exponents = np.frexp(np.abs(values).max(axis=1, keepdims=True))[1] - 1
    values[0, 0] = np.exp2(exponents[0, 0] + 1.0) * np.float32(1 - 2.0**-20)  # rounds up to the next power of two
    for bits in (3, 7, 11):
        step = np.exp2(exponents - (bits - 1.0))
        steps = np.rint(values / step)
        limit = 2.0**bits - 1
        np.testing.assert_array_equal(compiled.cast(values, bfp(bits, 32)), np.clip(steps, -limit, limit) * step)
        bumped = np.where((np.abs(steps) > limit).any(axis=1, keepdims=True), step * 2, step)
        cast = compiled.cast(values, bfp(bits, 32, carry=CARRY_BUMP))
        np.testing.assert_array_equal(cast, np.rint(values / bumped) * bumped)
        assert bumped[0] != step[0]
    step = np.exp2(exponents - 6.0)
    np.testing.assert_array_equal(compiled.cast(values, mx("int8")), np.clip(np.rint(values / step), -128, 127) * step)


def nearest(value: Fraction, numbers: list[Fraction], rounding: int) -> Fraction:
    """The number of a list by comparing distances; ties by the place in the list, which is the code."""
    below = max(number for number in numbers if number <= value)
    above = min((number for number in numbers if number >= value), default=below)
    if rounding == TOWARD_ZERO or below == above:
        return below
    if value - below != above - value:
        return below if value - below < above - value else above
    if rounding == HALF_AWAY:
        return above
    if rounding == HALF_TOWARD_ZERO:
        return below
    return below if numbers.index(below) % 2 == 0 else above


@pytest.mark.parametrize("rounding", [HALF_EVEN, HALF_AWAY, HALF_TOWARD_ZERO, TOWARD_ZERO])
@pytest.mark.parametrize("carry", [CARRY_CLIP, CARRY_BUMP])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("fields", [mx("e4m3fn"), mx("e5m2"), mx("e2m1"), mx("e2m3"), mx("int8"), bfp(1), bfp(4)])
def test_shared_exponents_by_search(fields: BlockFields, rule: str, carry: int, rounding: int) -> None:
    """Every rule as the least or greatest exponent with a property; and as a threshold of the fraction field."""
    fields = fields._replace(scale_rule=RULES[rule], carry=carry)
    grid = element_grid(fields)
    codes = range(grid.largest_code + 1 + (2 << grid.mantissa_bits))
    numbers = [definition.magnitude_of_code(code, grid) for code in codes]
    largest, power = numbers[grid.largest_code], Fraction(2) ** top_exponent(grid)
    assert power <= largest < 2 * power
    low, high = scale_exponents(fields)
    threshold = carry_threshold(fields, rounding, 10)
    for place in (*range(0, 1 << 10, 31), *range(1 << 10)[-32:], 1, 511, 513, 767, 769, 831, 833, 895, 897):
        amax = (1 + Fraction(place, 1 << 10)) * 8
        scales = {s: Fraction(2) ** s for s in range(-25, 10)}
        floor = max(s for s, scale in scales.items() if scale * power <= amax)
        if rule == "floor":
            expected = floor
        elif rule == "ceil":
            expected = min(s for s, scale in scales.items() if scale * power >= amax)
        elif rule == "rceil":
            expected = min(s for s, scale in scales.items() if scale * largest >= amax)
        else:
            lifted = amax + Fraction(8, 2 << grid.mantissa_bits)
            expected = max(s for s, scale in scales.items() if scale * power <= lifted)
        if carry == CARRY_BUMP and nearest(amax / scales[expected], numbers, rounding) > largest:
            expected += 1
        assert definition.shared_exponent(amax, fields, rounding) == expected
        assert floor + (place >= threshold) == expected
        # Beyond the range of the scales it stays at the ends.
        assert definition.shared_exponent(amax * Fraction(2) ** 400, fields, rounding) == high
        assert definition.shared_exponent(amax / Fraction(2) ** 400, fields, rounding) == low
    assert definition.shared_exponent(Fraction(0), fields, rounding) == low


def test_powers_of_two_are_found_by_bits() -> None:
    """Where a float32 logarithm gives the next integer already."""
    values = np.full((1, 32), np.float32(63.999996))
    assert math.log2(np.float32(np.log2(values[0, 0]))) == math.log2(6.0)
    assert compiled.encode(values, mx("int8"))[1].tolist() == [[127 + 5]]
