"""`encode`, `decode` and `cast` of block formats: twins, foreign implementations, axes, two-level scales, bad input."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import gfloat
import numpy as np
import pytest
import torch
from gfloat.formats import all_block_formats

from emulation import cast, decode, encode, parse
from emulation.block_casts import BlockCodes, tensor_scale_of
from emulation.formats import BlockScaled
from emulation.rules import (
    BlockRules,
    Carry,
    LeastScale,
    NanInBlock,
    Overflow,
    Rounding,
    ScaleArithmetic,
    ScaleRule,
    Stochastic,
)
from kernels.twins import Twin

TWINS = (Twin.DEFINITION, Twin.COMPILED, Twin.TENSORS)
NAMES = (
    "mxfp4",
    "mxint8",
    "mx-e4m3fn",
    "mx-e5m2/16",
    "mx-e3m2/8",
    "mx-e2m3",
    "bfp8/32",
    "bfp4/5",
    "bfp6e5/16",
    "bfp2/3",
    "dfp8",
    "nvfp4",
    "nvfp4/8",
    "mx-fixed<4,2>/4",
)


def sample(shape: tuple[int, ...] = (3, 40), seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = random.normal(size=shape) * np.exp(random.normal(size=(*shape[:-1], 1)) * 4)
    values[0, :8] = 0
    return values.astype(np.float32)


def block_format(name: str) -> BlockScaled:
    number_format = parse(name)
    assert isinstance(number_format, BlockScaled)
    return number_format


@pytest.mark.parametrize("name", NAMES)
def test_twins_and_kinds_agree_bit_for_bit(name: str) -> None:
    number_format = block_format(name)
    for values in (sample(), sample().astype(np.float64)):
        results = [cast(values, number_format, twin=twin) for twin in TWINS]
        codes = [encode(values, number_format, twin=twin) for twin in TWINS]
        for result, one in zip(results, codes, strict=True):
            assert isinstance(one, BlockCodes)
            assert result.tobytes() == results[0].tobytes()
            assert one.elements.tolist() == codes[0].elements.tolist()
            assert one.scales.tolist() == codes[0].scales.tolist()
            for twin in TWINS:
                decoded = decode(one, number_format, dtype=values.dtype.name, twin=twin)
                assert decoded.tobytes() == results[0].tobytes()
        tensor = torch.from_numpy(values)
        assert cast(tensor, number_format).numpy().tobytes() == results[0].tobytes()
        of_tensor = encode(tensor, number_format)
        assert isinstance(of_tensor.elements, torch.Tensor)
        assert isinstance(of_tensor.scales, torch.Tensor)
        assert decode(of_tensor, number_format, dtype=values.dtype.name).numpy().tobytes() == results[0].tobytes()


def test_codes_of_exponent_scales_are_the_formats_own() -> None:
    """A scale code c means ``2**(c - bias)``, whatever the kernels store."""
    number_format = block_format("bfp4e5/2")
    codes = encode(np.array([1.0, -0.5, 2.0**-14, 0.0]), number_format)
    assert codes.scales.tolist() == [16, 2]
    assert number_format.scale.resolved_bias == 16
    assert codes.elements.tolist() == [0b0100, 0b1010, 0b0100, 0]
    assert encode(np.array([2.0**-30, 1e9]), block_format("bfp4e5/1")).scales.tolist() == [0, 31]


FOREIGN = {"mxfp4": "mxfp4_e2m1", "mx-e3m2": "mxfp6_e3m2", "mx-e2m3": "mxfp6_e2m3", "mx-e4m3fn": "mxfp8_e4m3"}


@pytest.mark.parametrize("name", FOREIGN)
def test_mx_against_gfloat(name: str) -> None:
    """gfloat's block quantisation with the scale rule of the OCP text (floor, amax exponent less emax)."""
    foreign = next(one for one in all_block_formats if one.name == FOREIGN[name])
    values = sample((20, 32), seed=3).astype(np.float64)
    values[0, :8] = 1.0
    expected = []
    for row in values:
        scale = gfloat.compute_scale_amax(foreign.etype.emax, row)
        rounded = gfloat.round_ndarray(foreign.etype, row / scale, gfloat.RoundMode.TiesToEven, sat=True)
        expected.append(rounded * scale)
    assert np.array_equal(cast(values, block_format(name)), np.array(expected))


def test_scale_rules_by_hand() -> None:
    """E2M1's largest element is 6 = 1.5 * 2**2; amax 7 needs 2**1 to be held and is the nearest to 6."""
    values = np.array([[7.0, 1.0], [6.0, 1.0], [4.0, 1.0], [3.5, 1.0]])
    scales = {
        rule: (
            encode(values, parse("mxfp4/2"), block_rules=BlockRules(scale=rule)).scales[:, 0].astype(int) - 127
        ).tolist()
        for rule in ScaleRule
    }
    assert scales == {
        ScaleRule.FLOOR: [0, 0, 0, -1],
        ScaleRule.CEILING: [1, 1, 0, 0],
        ScaleRule.ROUND_CEILING: [1, 0, 0, 0],
        ScaleRule.EVEN: [1, 0, 0, 0],
    }


def test_carry_clips_or_bumps_the_exponent() -> None:
    values = np.array([1.999, 0.5])
    assert cast(values, parse("bfp4/2")).tolist() == [1.75, 0.5]
    assert cast(values, parse("bfp4/2"), block_rules=BlockRules(carry=Carry.BUMP)).tolist() == [2.0, 0.5]


@pytest.mark.parametrize("arithmetic", ScaleArithmetic)
@pytest.mark.parametrize("least", LeastScale)
def test_two_level_nvfp4(arithmetic: ScaleArithmetic, least: LeastScale) -> None:
    values = sample((4, 64), seed=7)
    unit = tensor_scale_of(values)
    assert unit == float(np.float32(np.abs(values).max()) / np.float32(2688))
    rules = BlockRules(arithmetic=arithmetic, least_scale=least)
    results = [cast(values, parse("nvfp4"), unit=unit, block_rules=rules, twin=twin) for twin in TWINS]
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    codes = encode(values, parse("nvfp4"), unit=unit, block_rules=rules)
    assert codes.tensor_scale == unit
    assert codes.scales.max() == 0x7E  # the largest block scale is 448
    assert codes.scales.min() >= least.value
    assert decode(codes, parse("nvfp4")).tobytes() == results[0].tobytes()
    assert np.abs(results[0] - values).max() <= np.abs(values).max() / 6 + 1e-6


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_blocks_run_along_any_axis(axis: int) -> None:
    values = sample((6, 5, 7), seed=2)
    number_format = block_format("bfp5/4")
    moved = np.moveaxis(values, axis, -1)
    expected = np.moveaxis(cast(np.ascontiguousarray(moved), number_format), -1, axis)
    assert np.array_equal(cast(values, number_format, axis=axis), expected)
    codes = encode(values, number_format, axis=axis)
    assert codes.elements.shape == values.shape
    assert codes.scales.shape[axis] == -(-values.shape[axis] // 4)
    assert np.array_equal(decode(codes, number_format), expected)
    assert np.array_equal(cast(torch.from_numpy(values), number_format, axis=axis).numpy(), expected)


def test_stochastic_rounding_takes_numbers_along_the_axis() -> None:
    values = sample((4, 6), seed=9)
    random = np.random.default_rng(0).integers(0, 16, values.shape)
    options: dict[str, Any] = {"rounding": Stochastic(bits=4), "random_numbers": random, "axis": 0}
    results = [cast(values, parse("bfp4/4"), twin=twin, **options) for twin in TWINS]
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    always_up = cast(values, parse("bfp4/4"), **(options | {"random_numbers": np.full_like(random, 15)}))
    assert (np.abs(always_up) >= np.abs(results[0])).all()


def test_nan_is_refused_stated_or_spoils_its_block() -> None:
    values = np.ones((2, 4), dtype=np.float32)
    values[1, 2] = np.nan
    for twin in TWINS:
        with pytest.raises(
            ValueError, match=re.escape("1 of 8 values are NaN, the first at (1, 2), and mxfp4/2 has no c")
        ):
            cast(values, parse("mxfp4/2"), twin=twin)
        with pytest.raises(ValueError, match=re.escape("the first at (1, 2)")):
            cast(values, parse("mxfp4/2"), axis=0, twin=twin)
        spoilt = encode(values, parse("mxfp4/2"), block_rules=BlockRules(nan=NanInBlock.WHOLE_BLOCK), twin=twin)
        assert spoilt.scales.tolist() == [[125, 125], [125, 0xFF]]
        assert np.isnan(decode(spoilt, parse("mxfp4/2"), twin=twin)).tolist() == [
            [False] * 4,
            [False, False, True, True],
        ]
    assert cast(values, parse("mxfp4/2"), nan=0.5)[1, 2] == 0.5


def test_half_precision_values_come_back_or_are_refused() -> None:
    values = torch.tensor([[1.0, 3.1, 5.2, 100.0]], dtype=torch.bfloat16)
    result = cast(values, parse("mxint8/4"))
    assert result.dtype == torch.bfloat16
    assert result.tolist() == [[1.0, 3.0, 5.0, 100.0]]
    with pytest.raises(ValueError, match="float16 does not hold 1 of the results in bfp3/1: use float32"):
        cast(np.array([1.0, 65504.0], dtype=np.float16), parse("bfp3/1"), block_rules=BlockRules(carry=Carry.BUMP))


@pytest.mark.parametrize(
    ("values", "name", "options", "message"),
    [
        (
            np.ones(4),
            "mxfp4",
            {"rounding": Rounding.FLOOR},
            "elements of mxfp4 round by HALF_EVEN, HALF_AWAY, HALF_TOWARD",
        ),
        (np.ones(4), "mxfp4", {"overflow": Overflow.WRAP}, "mxfp4 cannot overflow by WRAP: use SATURATE"),
        (np.ones(4), "mxfp4", {"unit": 2.0}, "mxfp4 finds its scales itself: unit must be 1, got 2.0"),
        (np.ones(4), "nvfp4", {"unit": np.ones(4)}, "nvfp4 takes one scale for the whole tensor as unit"),
        (np.ones(4), "nvfp4", {"unit": 0.1}, "tensor_scale must be a float32 from 2**-100 to 2**100, got 0.1"),
        (np.float64(3), "mxfp4", {}, "mxfp4 needs at least one axis for its blocks, got a single number"),
        (np.ones((2, 2)), "mxfp4", {"axis": 2}, "axis 2 is none of values of shape (2, 2)"),
        (
            np.array([np.inf]),
            "mxfp4",
            {},
            "1 of 1 values are infinite, and the blocks of mxfp4 take their scale from the largest: clip",
        ),
        (np.ones(4), "block<ue4m3fn,e8m0,4>", {}, "minifloat elements have a sign"),
        (np.ones(4), "mx-uint8", {}, "an integer element must be signed with two bits before the binary point"),
        (
            np.ones(4),
            "block<e2m1,e5m2,4>",
            {},
            "a block's scale must be e8m0, an exponent of 1 to 8 bits as in bfp8e5/32",
        ),
        (
            np.ones(4),
            "int8",
            {"block_rules": BlockRules(carry=Carry.BUMP)},
            "block_rules are for block formats, got int8",
        ),
    ],
)
def test_bad_input_is_refused(values: np.ndarray, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        cast(values, parse(name), **options)


def test_decoding_needs_block_codes() -> None:
    with pytest.raises(
        TypeError, match="codes of mxfp4 are elements and scales: give the BlockCodes that encode returned"
    ):
        decode(np.ones(4, np.uint8), parse("mxfp4"))
    codes = encode(np.ones((2, 8)), parse("mxfp4/4"))
    with pytest.raises(ValueError, match="codes of mxfp4/4 carry their scales: decode takes no unit"):
        decode(codes, parse("mxfp4/4"), unit=2.0)
    wrong = dataclasses.replace(codes, scales=codes.scales[:, :1])
    with pytest.raises(ValueError, match="scale"):
        decode(wrong, parse("mxfp4/4"))


@pytest.mark.parametrize("name", NAMES)
def test_codes_know_their_format_and_no_other_reads_them(name: str) -> None:
    values = sample()
    for given in (values, torch.from_numpy(values)):
        codes = encode(given, parse(name))
        assert codes.format == parse(name)
        assert np.array_equal(np.asarray(decode(codes, codes.format)), np.asarray(cast(given, parse(name))))
        for other in {*NAMES, "e4m3fn", "int8", "nf4"} - {name}:
            message = f"the codes were encoded in {parse(name)}, not in {parse(other)}: give {parse(name)}, or encode"
            with pytest.raises(ValueError, match=re.escape(message)):
                decode(codes, parse(other))
