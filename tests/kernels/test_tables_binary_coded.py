"""Binary-coded weights: products by look-up equal plain products; fits end where no step improves them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.compiled import binary_coded as compiled
from kernels.definitions import binary_coded as definition
from kernels.tensors import binary_coded as tensors


def test_tables_of_every_pattern() -> None:
    for group in definition.GROUPS:
        activations = [3, -7, 11, 0, 5, -128, 127, 2][:group]
        table = definition.sums_of_signs(activations)
        assert len(table) == 1 << group
        for pattern, signs in enumerate(itertools.product((-1, 1), repeat=group)):
            ordered = signs[::-1]  # the first activation is the lowest bit
            assert table[pattern] == sum(a * s for a, s in zip(activations, ordered, strict=True))
            assert definition.pack_signs(ordered, group) == [pattern]
    levels = definition.levels_of([5, 2, 1])
    assert sorted(levels) == [-8, -6, -4, -2, 2, 4, 6, 8]


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
    weights = (alphas[:, :, None] * signs.astype(np.int64)).sum(axis=0)
    expected = activations @ weights.T
    packed = compiled.pack_planes(signs, group)
    np.testing.assert_array_equal(compiled.binary_coded_matmul(activations, packed, alphas, group=group), expected)
    on_tensors = tensors.binary_coded_matmul(
        torch.from_numpy(activations), torch.from_numpy(packed), torch.from_numpy(alphas), group=group
    )
    np.testing.assert_array_equal(on_tensors.numpy(), expected)
    scalar = definition.product_by_lookup(activations[0].tolist(), packed[:, 0].tolist(), alphas[:, 0].tolist(), group)
    assert scalar == expected[0, 0]
    assert definition.pack_signs(signs[0, 0].tolist(), group) == packed[0, 0].tolist()


def test_narrow_dtypes_do_not_wrap() -> None:
    activations = np.full((2, 300), -128, np.int8)
    signs = np.ones((1, 3, 300), np.int8)
    result = compiled.binary_coded_matmul(activations, compiled.pack_planes(signs, 8), np.full((1, 3), 127, np.int8))
    assert result.dtype == np.int64
    assert (result == -128 * 127 * 300).all()


def errors(weights: np.ndarray, code: compiled.BinaryCode) -> np.ndarray:
    return ((weights - code.weights()) ** 2).sum(axis=1)


@pytest.mark.parametrize("planes", [1, 2, 3, 4])
def test_fits(planes: int) -> None:
    weights = np.random.default_rng(planes).normal(size=(6, 64))
    greedy = compiled.fit_greedily(weights, planes)
    rest = weights.copy()
    for plane in range(planes):
        alpha = np.abs(rest).mean(axis=1)
        np.testing.assert_allclose(greedy.alphas[plane], alpha)
        rest = rest - np.where(rest >= 0, alpha[:, None], -alpha[:, None])
    better = compiled.fit_alternating(weights, planes, iterations=200)
    assert (errors(weights, better) <= errors(weights, greedy) + 1e-12).all()
    assert planes == 1 or (errors(weights, better) < errors(weights, greedy)).all()
    again = compiled.fit_alternating(weights, planes, iterations=200)
    np.testing.assert_array_equal(again.alphas, better.alphas)
    for row in range(6):
        # No weight has a nearer sum of these alphas, and no alphas suit these signs better.
        sums = np.array([better.alphas[:, row] @ signs for signs in itertools.product((-1, 1), repeat=planes)])
        nearest = np.abs(weights[row][:, None] - sums).min(axis=1)
        np.testing.assert_allclose(np.abs(weights[row] - better.weights()[row]), nearest, atol=1e-9)
        best = np.linalg.lstsq(better.signs[:, row].T.astype(float), weights[row], rcond=None)[0]
        np.testing.assert_allclose(best, better.alphas[:, row], atol=1e-7)


def test_fit_of_weights_that_are_binary_coded() -> None:
    """Weights of two planes are found exactly; equal weights, whose planes would depend on each other, do no harm."""
    signs = np.random.default_rng(0).choice([-1, 1], (2, 3, 50))
    weights = np.einsum("po,pok->ok", np.array([[4.0, 3.0, 8.0], [1.0, 0.5, 1.0]]), signs)
    np.testing.assert_allclose(compiled.fit_alternating(weights, 2).weights(), weights, atol=1e-12)
    np.testing.assert_allclose(compiled.fit_alternating(np.full((2, 7), 0.3), 3).weights(), 0.3, atol=1e-12)
    np.testing.assert_array_equal(compiled.fit_alternating(np.zeros((2, 7)), 2).weights(), 0)


@pytest.mark.parametrize("inputs", [1, 2, 5, 9, 30])
@pytest.mark.parametrize("planes", [2, 4, 8])
def test_fits_of_few_weights_whose_planes_depend_on_each_other(inputs: int, planes: int) -> None:
    """No alphas suit the signs better, although many do equally well, and no sum is nearer; greed is no better."""
    weights = np.random.default_rng(inputs).normal(size=(5, inputs))
    code = compiled.fit_alternating(weights, planes, iterations=200)
    greedy = compiled.fit_greedily(weights, planes)
    assert (errors(weights, code) <= errors(weights, greedy) + 1e-12).all()
    for row in range(5):
        signs = code.signs[:, row].T.astype(float)
        best = np.linalg.lstsq(signs, weights[row], rcond=None)[0]
        assert errors(weights, code)[row] <= np.square(weights[row] - signs @ best).sum() + 1e-12
        sums = np.array([code.alphas[:, row] @ one for one in itertools.product((-1, 1), repeat=planes)])
        nearest = np.abs(weights[row][:, None] - sums).min(axis=1)
        np.testing.assert_allclose(np.abs(weights[row] - code.weights()[row]), nearest, atol=1e-9)


def test_errors() -> None:
    planes, alphas = np.zeros((1, 2, 2), np.uint8), np.ones((1, 2), int)
    ones = np.ones((3, 9), int)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"group": 5}, "groups of 4 or 8 activations share a look-up, got 5"),
        ({"activations": ones[:, :8]}, r"are needed, got shapes \(3, 8\), \(1, 2, 2\) and \(1, 2\)"),
        ({"alphas": alphas[:, :1]}, r"are needed, got shapes \(3, 9\), \(1, 2, 2\) and \(1, 1\)"),
        ({"activations": ones * 2.0}, "activations must be integers, got float64"),
        ({"planes": planes.astype(int)}, r"planes must be integers \(uint8\), got int64"),
        ({"activations": ones << 59}, r"a sum of 9 inputs and 1 planes may reach \d+, beyond 2\*\*62: use narrower"),
        ({"activations": np.ones((3, 5), int), "planes": planes + np.uint8(16), "group": 4}, "below 16, got 16"),
    ]
    for changes, message in cases:
        given: dict[str, Any] = {"activations": ones, "planes": planes, "alphas": alphas, "group": 8, **changes}
        with pytest.raises(ValueError, match=message):
            compiled.binary_coded_matmul(**given)
    with pytest.raises(ValueError, match=r"beyond 2\*\*62"):
        tensors.binary_coded_matmul(torch.ones(1, 8, dtype=torch.int64) << 60, torch.zeros(1, 1, 1), torch.ones(1, 1))
    with pytest.raises(ValueError, match="binary-coded weights have 1 to 8 planes, got 9"):
        compiled.fit_greedily(np.ones((1, 4)), 9)
    with pytest.raises(ValueError, match="1 of 4 weights are infinite or NaN"):
        compiled.fit_alternating(np.array([[1, 2, np.inf, 0]]), 2)
    with pytest.raises(ValueError, match=r"weights must have shape \(outputs, inputs\), none of them 0, got \(4,\)"):
        compiled.fit_alternating(np.ones(4), 2)
    with pytest.raises(ValueError, match="signs must be -1 or"):
        compiled.pack_planes(np.zeros((1, 1, 4), np.int8), 4)
