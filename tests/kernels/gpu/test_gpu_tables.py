"""Codebook casts by Triton kernels, interpreted, against the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kernels.definitions import tables as definition
from kernels.gpu import tables
from kernels.tensors.tables import table


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [2, 3, 16, 17, 60])
def test_tables_equal_the_definition(count: int, channels: int, dtype: torch.dtype) -> None:
    random = np.random.default_rng([count, channels])
    rows = [sorted((random.choice(4 * count, count, replace=False) - 2 * count).tolist()) for _ in range(channels)]
    levels = table(rows, dtype)
    ends = torch.tensor([math.inf, -math.inf, 0.0, -0.0, 1e-40, -1e-40], dtype=dtype).expand(channels, 6)
    above = torch.nextafter(levels.thresholds, torch.full_like(levels.thresholds, math.inf))
    values = torch.cat([levels.thresholds, above, levels.levels, ends], dim=1)
    expected = [
        [definition.index_of(value, row) for value in line] for row, line in zip(rows, values.tolist(), strict=True)
    ]
    codes = random.permutation(1000)[:count].tolist()
    assert tables.encode(values, levels).tolist() == expected
    named = tables.encode(values, levels, codes=codes)
    assert named.tolist() == [[codes[index] for index in line] for line in expected]
    cast = tables.cast(values, levels)
    assert cast.tolist() == [[row[index] for index in line] for row, line in zip(rows, expected, strict=True)]
    assert torch.equal(tables.decode(named, levels, given=codes), cast)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tables.cast(torch.tensor([math.nan]), table([[0, 1]], torch.float32)), "1 of 1 values are NaN"),
        (
            lambda: tables.cast(torch.zeros(2, dtype=torch.float64), table([[0, 1]], torch.float32)),
            "made for torch.float32",
        ),
        (lambda: tables.cast(torch.zeros(3), table([[0, 1], [0, 2]], torch.float32)), r"shape \(2, ...\), got \(3,\)"),
        (lambda: tables.encode(torch.zeros(3), table([[0, 1]], torch.float32), codes=[1, 1]), "2 different codes"),
        (
            lambda: tables.decode(torch.tensor([2], dtype=torch.uint8), table([[0, 1]], torch.float32)),
            "code 2 belongs to none of the 2 levels",
        ),
    ],
)
def test_errors_say_what_was_given(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
