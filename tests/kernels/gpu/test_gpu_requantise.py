"""Requantisation by Triton kernels, interpreted, against the definitions on Python integers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kernels.definitions import requantise as definition
from kernels.gpu import requantise
from kernels.rounding import HALF_EVEN, INTEGER_GRID, STOCHASTIC

MULTIPLIERS = torch.tensor([1, 3, 30000, 65535])
NEGATIVE = torch.tensor([1, 5, 7, 1000])
LONG = torch.int64


def accumulators(random: np.random.Generator) -> torch.Tensor:
    small = random.integers(-70, 70, (80, 4))
    large = random.integers(-(1 << 31), 1 << 31, (80, 4))
    return torch.from_numpy(np.concatenate([small, large, [[0, -1, 1, -(1 << 45)]]]))


@pytest.mark.parametrize("rounding", range(HALF_EVEN, STOCHASTIC))
@pytest.mark.parametrize("mantissa_bits", [INTEGER_GRID, 0, 1, 3])
def test_dyadic_requantisation_equals_the_definition(rounding: int, mantissa_bits: int) -> None:
    values = accumulators(np.random.default_rng(rounding))
    for shift in (0, 1, 5, 17, [1, 2, 16, 20], -1, [63, 64, 70, 0]):
        options = {"low": -(1 << 40), "high": 1 << 41, "rounding": rounding, "mantissa_bits": mantissa_bits}
        result = requantise.requantise(values, MULTIPLIERS, shift=shift, negative_multipliers=NEGATIVE, **options)
        shifts = shift if isinstance(shift, list) else [shift] * 4
        expected = [
            [
                definition.requantise_scalar(
                    value, int((NEGATIVE if value < 0 else MULTIPLIERS)[channel]), shift=shifts[channel], **options
                )
                for channel, value in enumerate(row)
            ]
            for row in values.tolist()
        ]
        assert result.tolist() == expected, shift


@pytest.mark.parametrize("shift", [-31, -3, 0, 1, 30, [-9, 0, 7]])
@pytest.mark.parametrize("name", ["requantise_double_rounding", "requantise_single_rounding"])
def test_tflite_rules_equal_the_definition(name: str, shift: int | list[int]) -> None:
    random = np.random.default_rng(7)
    values = random.integers(-(1 << 31), 1 << 31, (100, 3))
    values[:40] = random.integers(-64, 64, (40, 3))
    values[40] = -(1 << 31)
    values[41] = (1 << 31) - 1
    multipliers = [(1 << 31) - 1, 1 << 30, 1_518_500_250]
    shifts = shift if isinstance(shift, list) else [shift] * 3
    result = getattr(requantise, name)(torch.from_numpy(values), torch.tensor(multipliers), shift)
    rule = getattr(definition, name)
    expected = [[rule(int(v), multipliers[c], shifts[c]) for c, v in enumerate(row)] for row in values]
    assert result.tolist() == expected


def test_no_rows() -> None:
    empty = torch.zeros(0, 4, dtype=LONG)
    assert requantise.requantise(empty, MULTIPLIERS, shift=3, low=0, high=9, rounding=0).shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: requantise.requantise(
                torch.full((1, 1), 1 << 40), torch.tensor([1 << 30]), shift=3, low=0, high=1, rounding=0
            ),
            "need 71 bits: the 64-bit kernel holds 62",
        ),
        (
            lambda: requantise.requantise(torch.zeros(2, 3), MULTIPLIERS, shift=3, low=0, high=1, rounding=0),
            r"multipliers of shape \(4,\) for accumulators of shape \(2, 3\)",
        ),
        (
            lambda: requantise.requantise(torch.zeros(2, 4), MULTIPLIERS, shift=3, low=0, high=1, rounding=STOCHASTIC),
            "rounding mode 8 is not for requantisation",
        ),
        (
            lambda: requantise.requantise_single_rounding(torch.zeros(2, 4, dtype=LONG), MULTIPLIERS, 31),
            "shifts from 31 to 31: TFLite's rules take -31 to 30",
        ),
        (
            lambda: requantise.requantise_double_rounding(torch.full((1, 1), 1 << 31), torch.tensor([1]), 0),
            "accumulators from 2147483648 to 2147483648",
        ),
    ],
)
def test_errors_say_what_was_given(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
