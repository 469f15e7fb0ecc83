"""Exact products: every path (float32, float64, limbs, Python integers) against plain Python integers."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as nnf
from hypothesis import given
from hypothesis import strategies as st

from kernels import products
from kernels.products import exact_convolution, exact_matmul, sum_bound, windows


def python_matmul(left: np.ndarray, right: np.ndarray) -> list[list[int]]:
    columns = [[int(v) for v in column] for column in right.T.tolist()]
    return [[sum(int(a) * b for a, b in zip(row, column, strict=True)) for column in columns] for row in left.tolist()]


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that exact_matmul took, in order."""
    taken: list[str] = []
    matmul_in, by_limbs = products.matmul_in, products._matmul_by_limbs

    def spy_in(dtype: type, left: Any, right: Any) -> Any:
        taken.append(dtype.__name__)
        return matmul_in(dtype, left, right)

    def spy_limbs(left: Any, right: Any, bound: int) -> Any:
        result = by_limbs(left, right, bound)
        taken.append(f"limbs to {result.dtype}")
        return result

    monkeypatch.setattr(products, "matmul_in", spy_in)
    monkeypatch.setattr(products, "_matmul_by_limbs", spy_limbs)
    return taken


@pytest.mark.parametrize(
    ("total", "path"),
    [
        (2**24 - 64, "float32"),
        (2**24 - 1, "float64"),  # the bound has a margin of 2**-20 for its own rounding
        (2**24, "float64"),
        (2**24 + 1, "float64"),
        (2**53 - 2**34, "float64"),
        (2**53 - 1, "limbs to int64"),
        (2**53, "limbs to int64"),
        (2**53 + 1, "limbs to int64"),
        (2**62 - 2**43, "limbs to int64"),
        (2**62 - 1, "limbs to object"),
        (2**62, "limbs to object"),
        (2**62 + 1, "limbs to object"),
        (2**90 + 1, "limbs to object"),
    ],
)
def test_sums_around_each_bound(total: int, path: str, paths: list[str]) -> None:
    """Sums of |w| |a| at and just around the bounds: an odd term less and each rounding would show."""
    third = total // 3
    left = np.ones((1, 3), dtype=np.int64)
    right = np.array([[third], [third], [total - 2 * third]], dtype=np.int64 if total < 2**62 else object)
    assert int(exact_matmul(left, right)[0, 0]) == total
    assert int(exact_matmul(-left, right)[0, 0]) == -total
    assert int(exact_matmul(np.array([[1, 1, -1]]), right)[0, 0]) == 4 * third - total
    assert set(paths) == {path}


def test_float32_would_round_where_float64_is_chosen() -> None:
    """The bound is needed: one more than 2**24 in float32 is lost."""
    left, right = np.array([[1, 1]]), np.array([[2**24], [1]])
    assert int((left.astype(np.float32) @ right.astype(np.float32))[0, 0]) == 2**24
    assert int(exact_matmul(left, right)[0, 0]) == 2**24 + 1


@pytest.mark.parametrize("bits", [(4, 4), (10, 12), (22, 25), (30, 30), (31, 40), (53, 53), (61, 61), (70, 3)])
@pytest.mark.parametrize("depth", [1, 2, 37, 600])
def test_random_matrices(bits: tuple[int, int], depth: int) -> None:
    random = np.random.default_rng(sum(bits) + depth)

    def integers(width: int, shape: tuple[int, int]) -> np.ndarray:
        low = random.integers(0, 2**31, (*shape, 3)).astype(object)
        values = (low[..., 0] << 62 | low[..., 1] << 31 | low[..., 2]) % (1 << width)
        values = values * random.choice([-1, 1], shape).astype(object)
        return values if width > 62 else values.astype(np.int64)

    left, right = integers(bits[0], (3, depth)), integers(bits[1], (depth, 4))
    result = exact_matmul(left, right)
    assert result.tolist() == python_matmul(left, right)
    assert max(abs(v) for row in result.tolist() for v in row) <= sum_bound(left, right)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_every_dtype_that_holds_the_integers(dtype: type) -> None:
    """The least number of a narrow type has a magnitude that the type does not hold."""
    limits = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else np.iinfo(np.int8)
    left = np.array([[limits.min, limits.max, 1]] * 2).astype(dtype)
    right = np.array([[limits.min], [limits.min], [limits.max]]).astype(dtype)
    assert exact_matmul(left, right).tolist() == python_matmul(left, right)


def test_the_bound_holds_for_narrow_types() -> None:
    least = np.full((1, 300_000), -128, dtype=np.int8)
    assert sum_bound(least, least.T) >= 300_000 * 128 * 128
    assert int(exact_matmul(least, least.T)[0, 0]) == 300_000 * 128 * 128


def test_leading_axes_broadcast_as_in_matmul() -> None:
    random = np.random.default_rng(0)
    left, right = random.integers(-9, 9, (5, 2, 3, 4)), random.integers(-9, 9, (2, 4, 6))
    np.testing.assert_array_equal(exact_matmul(left, right), np.matmul(left, right))
    assert exact_matmul(left.astype(object), right).tolist() == np.matmul(left, right).tolist()


def test_empty_products() -> None:
    assert exact_matmul(np.ones((2, 0)), np.ones((0, 3))).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert exact_matmul(np.zeros((0, 2)), np.ones((2, 3))).shape == (0, 3)


@given(st.data())
def test_limbs_add_up(data: st.DataObject) -> None:
    bits = data.draw(st.integers(2, 25))
    values = data.draw(st.lists(st.integers(-(2**80), 2**80), min_size=1, max_size=5))
    limbs = products._limbs(np.array(values, dtype=object), bits)
    assert all(np.abs(limb).max() < 1 << bits for limb in limbs)
    for index, value in enumerate(values):
        assert sum(int(limb[index]) << (bits * place) for place, limb in enumerate(limbs)) == value


@dataclass(frozen=True)
class Case:
    """One convolution: shapes without the batch axis."""

    space: tuple[int, ...]
    kernel: tuple[int, ...]
    channels: tuple[int, int] = (2, 4)
    stride: tuple[int, ...] | None = None
    padding: tuple[tuple[int, int], ...] | None = None
    dilation: tuple[int, ...] | None = None
    groups: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        ones = (1,) * len(self.kernel)
        return {
            "stride": self.stride or ones,
            "padding": self.padding or ((0, 0),) * len(self.kernel),
            "dilation": self.dilation or ones,
            "groups": self.groups,
        }


CASES = [
    Case((7,), (3,)),
    Case((9,), (3,), stride=(2,), padding=((2, 0),), dilation=(2,)),
    Case((6,), (1,), channels=(4, 4), groups=4),
    Case((8,), (4,), channels=(4, 6), padding=((1, 2),), groups=2),
    Case((5, 6), (3, 3), padding=((1, 1), (1, 1))),
    Case((7, 5), (3, 2), stride=(2, 1), padding=((0, 1), (2, 0)), dilation=(1, 2)),
    Case((6, 6), (3, 3), channels=(4, 8), stride=(2, 2), padding=((1, 1), (1, 1)), groups=4),
    Case((4, 4), (1, 1), channels=(6, 3), stride=(3, 3), groups=3),
    Case((5, 5), (5, 5), channels=(3, 2)),
    Case((4, 6), (2, 3), channels=(4, 4), stride=(1, 3), padding=((3, 1), (0, 4)), dilation=(3, 1), groups=2),
]


def python_convolution(tensor: np.ndarray, weight: np.ndarray, case: Case) -> list[Any]:
    """Loops over output positions, channels and taps, on Python integers."""
    settings = case.settings
    space, axes = tensor.shape[2:], len(case.kernel)
    positions = [
        (size + sum(sides) - step * (taps - 1) - 1) // stride + 1
        for size, sides, step, taps, stride in zip(
            space, settings["padding"], settings["dilation"], case.kernel, settings["stride"], strict=True
        )
    ]
    result = np.zeros((tensor.shape[0], weight.shape[0], *positions), dtype=object)
    per_group, outputs_per_group = weight.shape[1], weight.shape[0] // case.groups
    for sample, output, *position in np.ndindex(*result.shape):
        total = 0
        for channel, *tap in np.ndindex(per_group, *case.kernel):
            place = [
                position[axis] * settings["stride"][axis]
                - settings["padding"][axis][0]
                + tap[axis] * settings["dilation"][axis]
                for axis in range(axes)
            ]
            if all(0 <= p < size for p, size in zip(place, space, strict=True)):
                source = tensor[(sample, output // outputs_per_group * per_group + channel, *place)]
                total += int(source) * int(weight[(output, channel, *tap)])
        result[(sample, output, *position)] = total
    return result.tolist()


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("magnitude", [2**3, 2**11, 2**25, 2**33])
def test_convolution_against_loops(case: Case, magnitude: int) -> None:
    random = np.random.default_rng(magnitude % 97)
    weight_shape = (case.channels[1], case.channels[0] // case.groups, *case.kernel)
    tensor = random.integers(-magnitude, magnitude, (2, case.channels[0], *case.space), endpoint=True)
    weight = random.integers(-magnitude, magnitude, weight_shape, endpoint=True)
    expected = python_convolution(tensor, weight, case)
    assert exact_convolution(tensor, weight, **case.settings).tolist() == expected
    assert exact_convolution(tensor.astype(np.float64), weight, **case.settings).tolist() == expected
    assert exact_convolution(tensor.astype(object), weight.astype(object), **case.settings).tolist() == expected


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolution_against_torch(case: Case) -> None:
    random = np.random.default_rng(3)
    weight_shape = (case.channels[1], case.channels[0] // case.groups, *case.kernel)
    tensor = random.integers(-128, 128, (3, case.channels[0], *case.space)).astype(np.int8)
    weight = random.integers(-128, 128, weight_shape).astype(np.int8)
    sides = [size for pair in reversed(case.settings["padding"]) for size in pair]
    convolve = nnf.conv1d if len(case.kernel) == 1 else nnf.conv2d
    expected = convolve(
        nnf.pad(torch.from_numpy(tensor).double(), sides),
        torch.from_numpy(weight).double(),
        stride=case.settings["stride"],
        dilation=case.settings["dilation"],
        groups=case.groups,
    )
    result = exact_convolution(tensor, weight, **case.settings)
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, expected.numpy().astype(np.int64))


def test_windows_by_hand() -> None:
    tensor = np.arange(1, 6).reshape(1, 1, 5)
    view = windows(tensor, kernel=(2,), stride=(2,), padding=((1, 2),), dilation=(3,), fill=-9)
    # padded: -9 1 2 3 4 5 -9 -9; taps 3 apart, every second start
    assert view.tolist() == [[[[-9, 3], [2, 5], [4, -9]]]]


def test_windows_do_not_copy_without_padding() -> None:
    tensor = np.arange(32).reshape(1, 2, 4, 4)
    view = windows(tensor, kernel=(2, 2), stride=(1, 2), padding=((0, 0), (0, 0)), dilation=(1, 1))
    assert np.shares_memory(view, tensor)
    assert view.shape == (1, 2, 3, 2, 2, 2)
    for channel, row, column, tap_row, tap_column in itertools.product(
        range(2), range(3), range(2), range(2), range(2)
    ):
        expected = tensor[0, channel, row + tap_row, 2 * column + tap_column]
        assert view[0, channel, row, column, tap_row, tap_column] == expected
    assert math.prod(view.shape) == 48


def test_padding_of_python_integers_stays_python_integers() -> None:
    """A padded 64-bit scalar among them would overflow in the sum."""
    tensor = np.full((1, 1, 2), 1 << 90, dtype=object)
    view = windows(tensor, kernel=(3,), stride=(1,), padding=((1, 1),), dilation=(1,), fill=-(1 << 80))
    assert view.tolist() == [[[[-(1 << 80), 1 << 90, 1 << 90], [1 << 90, 1 << 90, -(1 << 80)]]]]
    assert {type(value) for value in view.ravel()} == {int}
    assert view.sum(axis=-1).tolist() == [[[(1 << 91) - (1 << 80)] * 2]]
