"""Binary-coded products by Triton kernels, interpreted, against plain products and the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.by_definition import binary_coded as by_definition
from kernels.compiled.binary_coded import pack_planes
from kernels.definitions import binary_coded as definition
from kernels.gpu import binary_coded


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 5), st.integers(1, 4)),
    group=st.sampled_from(definition.GROUPS),
    bits=st.sampled_from([2, 8, 16, 30]),
)
def test_products_equal_plain_products(seed: int, sizes: tuple[int, int, int, int], group: int, bits: int) -> None:
    rows, inputs, outputs, planes = sizes
    random = np.random.default_rng(seed)
    activations = random.integers(-(1 << bits - 1), 1 << bits - 1, (rows, inputs))
    signs = random.choice(np.array([-1, 1], np.int8), (planes, outputs, inputs))
    alphas = random.integers(-255, 256, (planes, outputs))
    expected = activations @ (alphas[:, :, None] * signs.astype(np.int64)).sum(axis=0).T
    packed = pack_planes(signs, group)
    np.testing.assert_array_equal(by_definition.pack_planes(signs, group), packed)
    np.testing.assert_array_equal(by_definition.binary_coded_matmul(activations, packed, alphas, group=group), expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        found = binary_coded.binary_coded_matmul(*map(torch.from_numpy, (activations, packed, alphas)), group=group)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_rows_are_taken_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of 3 rows at a time, for 11 rows; int8 activations at both ends of their range."""
    monkeypatch.setattr(binary_coded, "_TABLE_WORDS", 3 * (5 << 8) + 100)
    random = np.random.default_rng(3)
    activations = random.choice(np.array([-128, 127, 0, 5], np.int8), (11, 37))
    signs = random.choice(np.array([-1, 1], np.int8), (2, 70, 37))
    alphas = random.integers(-128, 128, (2, 70)).astype(np.int8)
    weights = (alphas.astype(np.int64)[:, :, None] * signs.astype(np.int64)).sum(axis=0)
    packed = pack_planes(signs, 8)
    found = binary_coded.binary_coded_matmul(*map(torch.from_numpy, (activations, packed, alphas)))
    np.testing.assert_array_equal(found.numpy(), activations.astype(np.int64) @ weights.T)


@pytest.mark.parametrize("sizes", [(0, 5, 3, 2), (2, 0, 3, 2), (2, 5, 0, 2), (2, 5, 3, 0)])
def test_empty_shapes(sizes: tuple[int, int, int, int]) -> None:
    rows, inputs, outputs, planes = sizes
    shapes = (rows, inputs), (planes, outputs, -(-inputs // 8)), (planes, outputs)
    found = binary_coded.binary_coded_matmul(*(torch.zeros(shape, dtype=torch.int64) for shape in shapes))
    assert found.tolist() == [[0] * outputs] * rows


def test_errors_say_what_was_given() -> None:
    ones, planes, alphas = torch.ones(3, 9).long(), torch.zeros(1, 2, 2, dtype=torch.uint8), torch.ones(1, 2).long()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"group": 5}, "groups of 4 or 8 activations share a look-up, got 5"),
        ({"activations": ones[:, :8]}, r"are needed, got shapes \(3, 8\), \(1, 2, 2\) and \(1, 2\)"),
        ({"activations": ones << 59}, r"a sum of 9 inputs and 1 planes may reach \d+, beyond 2\*\*62: use narrower"),
        ({"activations": ones[:, :5], "planes": planes + 16, "group": 4}, "patterns of 4 signs are below 16, got 16"),
        ({"planes": planes.long() - 1}, "patterns of 8 signs are below 256, got -1"),
    ]
    for changes, message in cases:
        given: dict[str, Any] = {"activations": ones, "planes": planes, "alphas": alphas, "group": 8, **changes}
        with pytest.raises(ValueError, match=message):
            binary_coded.binary_coded_matmul(**given)
