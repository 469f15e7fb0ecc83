"""`requantise`: dyadic scales with every tie rule, gemmlowp's and TFLite's rules, every kind of result."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emulation import decode, encode, parse, requantise
from emulation.codes import integer_of
from emulation.rules import RequantisationRule, Rounding
from kernels.definitions.requantise import requantise_double_rounding, requantise_single_rounding
from kernels.twins import Twin

CASES = np.concatenate([np.arange(-70, 70), np.array([-(2**31), 2**31 - 1, -(2**40), 2**40, 12345, -12345])])


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("name", ["int8", "uint4", "fixed<6,3>", "e4m3fn", "e2m1", "int64"])
@pytest.mark.parametrize(("multiplier", "shift"), [(1, 2), (3, 2), (5, 4), (1, 0), (7, -2), (40503, 20)])
def test_one_rounding_of_the_exact_product(rounding: Rounding, name: str, multiplier: int, shift: int) -> None:
    """Against a cast of the exact rational, which other tests compare with foreign casts."""
    number_format = parse(name)
    exact = [Fraction(int(case)) * multiplier / Fraction(2) ** shift for case in CASES]
    unit = Fraction(2) ** number_format.unit_exponent
    values = np.array([float(one * unit) for one in exact])
    assert all(Fraction(value) == one * unit for value, one in zip(values.tolist(), exact, strict=True))
    expected = encode(values, number_format, rounding=rounding)
    expected[(expected == 1 << (number_format.width - 1)) & (name in {"e4m3fn", "e2m1"})] = 0  # no minus zero inside
    for twin in (Twin.DEFINITION, Twin.COMPILED):
        found = requantise(CASES, number_format, multipliers=multiplier, shift=shift, rounding=rounding, twin=twin)
        assert found.dtype == expected.dtype
        assert found.tolist() == expected.tolist()
    if shift >= 0 and name != "int64":  # the tensors' twin takes shifts to the right and results below 62 bits
        small = torch.from_numpy(CASES)
        result = requantise(
            small, number_format, multipliers=multiplier, shift=shift, rounding=rounding, twin=Twin.TENSORS
        )
        assert isinstance(result, torch.Tensor)
        assert result.tolist() == expected.tolist()


@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20),
    st.integers(0, 2**31 - 1),
    st.integers(-31, 30),
)
def test_gemmlowp_and_tflite_rules(values: list[int], multiplier: int, shift: int) -> None:
    rules = {
        RequantisationRule.GEMMLOWP_DOUBLE_ROUNDING: requantise_double_rounding,
        RequantisationRule.TFLITE_SINGLE_ROUNDING: requantise_single_rounding,
    }
    for rule, definition in rules.items():
        found = requantise(
            np.array(values)[:, None], parse("int32"), multipliers=np.array([multiplier]), shift=shift, rule=rule
        )
        expected = [definition(value, multiplier, shift) & 0xFFFFFFFF for value in values]
        assert found[:, 0].tolist() == expected


@pytest.mark.parametrize(
    "rule", [RequantisationRule.GEMMLOWP_DOUBLE_ROUNDING, RequantisationRule.TFLITE_SINGLE_ROUNDING]
)
def test_twins_follow_the_tflite_rules_alike(rule: RequantisationRule) -> None:
    random = np.random.default_rng(3)
    shifts, ends = np.arange(-31, 31), np.array([[-(2**31)], [2**31 - 1], [-1], [0], [1]])
    multipliers = random.integers(0, 2**31, shifts.size)
    multipliers[:4] = 0, 1, 2**30, 2**31 - 1
    accumulators = np.concatenate([ends + np.zeros_like(shifts), random.integers(-(2**31), 2**31, (300, shifts.size))])
    results = [
        np.asarray(requantise(given, parse("int32"), multipliers=multipliers, shift=shifts, rule=rule, twin=twin))
        for given in (accumulators, torch.from_numpy(accumulators))
        for twin in (Twin.DEFINITION, Twin.COMPILED, Twin.TENSORS)
    ]
    assert len(np.unique(results[0])) > 1000
    for result in results[1:]:
        assert np.array_equal(result, results[0])


def test_the_two_tflite_rules_differ() -> None:
    """A number just below a tie is a tie after the first of two roundings, and ties go away from zero."""
    values = np.arange(-2000, 2000)
    results = [
        requantise(values, parse("int32"), multipliers=1518500250, shift=-3, rule=rule)
        for rule in (RequantisationRule.GEMMLOWP_DOUBLE_ROUNDING, RequantisationRule.TFLITE_SINGLE_ROUNDING)
    ]
    assert 0 < (results[0] != results[1]).sum() < 400


def test_channels_zero_points_and_negative_multipliers() -> None:
    values = np.array([[10, 10, -10], [7, 9, -9]])
    found = requantise(
        values, parse("uint8"), multipliers=np.array([1, 3, 5]), shift=np.array([1, 2, 0]), zero_point=100
    )
    assert found.tolist() == [[105, 108, 50], [104, 107, 55]]
    bent = requantise(values, parse("int8"), multipliers=4, shift=2, negative_multipliers=1)
    assert decode(bent, parse("int8")).tolist() == [[10, 10, -2], [7, 9, -2]]
    for kind in (torch.int32, torch.int64):
        tensor = torch.tensor(values.tolist(), dtype=kind)
        result = requantise(tensor, parse("int8"), multipliers=4, shift=2, negative_multipliers=1)
        assert isinstance(result, torch.Tensor)
        assert result.tolist() == bent.tolist()
    assert requantise(np.int64(5), parse("int8"), multipliers=1, shift=1) == 2
    assert requantise(np.zeros((0, 3), int), parse("int8"), multipliers=1, shift=1).shape == (0, 3)
    assert requantise(np.zeros((3, 0), int), parse("int8"), multipliers=1, shift=1).shape == (3, 0)


@pytest.mark.parametrize("name", ["pot4", "2hot4", "apot2x2", "nf4"])
@pytest.mark.parametrize(("multiplier", "shift"), [(1, 0), (3, 2), (1, 3), (1, -1)])
def test_levels_by_midpoints_to_the_smaller_magnitude(name: str, multiplier: int, shift: int) -> None:
    number_format = parse(name)
    found = requantise(CASES, number_format, multipliers=multiplier, shift=shift)
    levels = sorted({level for level in number_format.integers if level is not None})
    for case, code in zip(CASES.tolist(), found.tolist(), strict=True):
        exact = Fraction(case * multiplier) / Fraction(2) ** shift
        assert integer_of(code, number_format) == min(
            levels, key=lambda level: (abs(level - exact), abs(level), -level)
        )


def test_wide_accumulators_are_exact() -> None:
    values = np.array([3 << 100, -(3 << 100)], dtype=object)
    assert requantise(values, parse("int8"), multipliers=5, shift=102).tolist() == [4, 252]
    assert requantise(values, parse("uint64"), multipliers=1, shift=40).tolist() == [3 << 60, 0]


@pytest.mark.parametrize(
    ("accumulators", "name", "options", "error", "message"),
    [
        (np.ones(3), "int8", {}, TypeError, "accumulators must be integers, got float64"),
        (np.ones(3, int), "int8", {"multipliers": 0.5}, TypeError, "multipliers must be integers, got float64"),
        (np.ones(3, int), "int8", {"multipliers": -1}, ValueError, "multipliers must be at least 0, got -1"),
        (
            np.ones(3, int),
            "int8",
            {"shift": np.ones(2, int)},
            ValueError,
            "shift of shape (2,) for 3 channels: give one",
        ),
        (
            np.ones(3, int),
            "e4m3fn",
            {"zero_point": 1},
            ValueError,
            "a zero point needs fixed point, got zero_point 1 with",
        ),
        (
            np.ones(3, int),
            "mxfp4",
            {},
            ValueError,
            "requantisation into mxfp4 is not defined here: its scales or levels",
        ),
        (np.ones(3, int), "bcq2", {}, ValueError, "requantisation into bcq2 is not defined here"),
        (
            np.ones(3, int),
            "e4m3ftz",
            {},
            ValueError,
            "needs a minifloat with gradual underflow and a zero, got e4m3ftz",
        ),
        (
            np.ones(3, int),
            "pot4",
            {"rounding": Rounding.FLOOR},
            ValueError,
            "levels of pot4 take midpoints to the smaller",
        ),
        (
            np.array([2**31]),
            "int8",
            {"rule": RequantisationRule.TFLITE_SINGLE_ROUNDING},
            ValueError,
            "accumulators must lie in [-2147483648, 2147483647] for gemmlowp's rules, got 2147483648 to 2147483648",
        ),
        (
            np.ones(3, int),
            "int8",
            {"shift": 31, "rule": RequantisationRule.GEMMLOWP_DOUBLE_ROUNDING},
            ValueError,
            "shift must lie in [-31, 30] for gemmlowp's rules, got 31 to 31",
        ),
        (
            np.ones(3, int),
            "int8",
            {"rounding": Rounding.FLOOR, "rule": RequantisationRule.GEMMLOWP_DOUBLE_ROUNDING},
            ValueError,
            "rule gemmlowp-double-rounding has roundings of its own",
        ),
    ],
)
def test_bad_input(
    accumulators: np.ndarray, name: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        requantise(accumulators, parse(name), **({"multipliers": 1, "shift": 0} | options))
