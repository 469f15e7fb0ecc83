"""Binary-coded weights on NumPy arrays: greedy and alternating fit, packing, and products by shared look-up tables.

Weights have shape ``(outputs, inputs)`` with alphas per output row. Fits are deterministic: fixed starts, no random
numbers, ties to the first candidate; float64 throughout, and every sum runs from the first number to the last, not in
the order of a library, so that all machines round alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numba
import numpy as np

from kernels.definitions.binary_coded import check_bound, check_group, check_lookup, check_patterns, check_planes

if TYPE_CHECKING:
    from numpy.typing import NDArray


_SMALLEST_PIVOT: Final = 2.0**-30
"""Planes nearer to a sum of other planes than this share of their squared length count as dependent."""


class BinaryCode(NamedTuple):
    """Signs and alphas of weights: ``weight[o, k] ~ sum over i of alphas[i, o] * signs[i, o, k]``."""

    signs: NDArray[np.int8]
    """-1 and +1, shape (planes, outputs, inputs)."""
    alphas: NDArray[np.float64]
    """At least 0 after `fit_greedily`, any sign after `fit_alternating`; shape (planes, outputs)."""

    def weights(self) -> NDArray[np.float64]:
        """The coded weights, shape (outputs, inputs)."""
        return _combined(self.alphas[:, :, None], self.signs)


def fit_greedily(weights: NDArray[Any], planes: int) -> BinaryCode:
    """Plane by plane: the signs of what is left, and its mean magnitude.

    Args:
        weights: finite, shape (outputs, inputs).
        planes: 1 to 8.

    >>> fit_greedily(np.array([[3.0, -1.0, 2.0, -2.0]]), 2).weights()
    array([[ 2.5, -1.5,  2.5, -1.5]])
    """
    rest = _checked(weights, planes)
    signs = np.empty((planes, *rest.shape), dtype=np.int8)
    alphas = np.empty((planes, rest.shape[0]))
    for plane in range(planes):
        signs[plane] = np.where(rest >= 0, 1, -1)
        alphas[plane] = _sums(np.abs(rest)) / rest.shape[1]
        rest = rest - alphas[plane][:, None] * signs[plane]
    return BinaryCode(signs=signs, alphas=alphas)


def fit_alternating(weights: NDArray[Any], planes: int, iterations: int = 60) -> BinaryCode:
    """Greedy alphas; then the nearest of all sums for each weight and least-squares alphas for these signs, in turn.

    Neither step raises a row's squared error. A row keeps the best code it has had; its fit ends when no sign changes.
    Xu et al., "Alternating multi-bit quantization", ICLR 2018.

    Args:
        weights: finite, shape (outputs, inputs).
        planes: 1 to 8.
        iterations: at most so many turns.
    """
    target = _checked(weights, planes)
    alphas = fit_greedily(target, planes).alphas
    signs = np.empty((planes, *target.shape), dtype=np.int8)
    for row, own in enumerate(target):
        alphas[:, row] = _alternate(np.sort(own), alphas[:, row], iterations)
        levels, choices = _levels(alphas[:, row])
        signs[:, row] = choices[:, np.searchsorted((levels[1:] + levels[:-1]) / 2, own)]
    return BinaryCode(signs=signs, alphas=alphas)


def _alternate(ordered: NDArray[np.float64], alphas: NDArray[np.float64], iterations: int) -> NDArray[np.float64]:
    """The best alphas for sorted weights, of which each level has an interval."""
    running = np.concatenate([[0.0], np.cumsum(ordered)])
    best, previous = alphas, np.empty(0)
    least = np.array(np.inf)
    for _ in range(iterations + 1):
        levels, choices = _levels(alphas)
        inner = np.searchsorted(ordered, (levels[1:] + levels[:-1]) / 2, side="right")
        borders = np.concatenate([[0], inner, [ordered.size]])
        sizes = np.diff(borders)
        error = _sums((ordered - np.repeat(levels, sizes)) ** 2)
        if error < least:
            best, least = alphas, error
        state = np.concatenate([borders, choices.ravel()])
        if np.array_equal(state, previous):
            break
        previous = state
        alphas = _least_squares(choices, sizes, np.diff(running[borders]), alphas)
    return best


def _levels(alphas: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All sums of alphas, ascending, and their signs, shape (planes, sums)."""
    planes = len(alphas)
    choices = 2 * (np.arange(1 << planes) >> np.arange(planes)[:, None] & 1) - 1
    levels = _combined(alphas, choices)
    order = np.argsort(levels, kind="stable")
    return levels[order], choices[:, order]


def _sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums along the last axis, one number after another."""
    sums: NDArray[np.float64] = np.cumsum(values, axis=-1)[..., -1]
    return sums


def _combined(alphas: NDArray[np.float64], signs: NDArray[Any]) -> NDArray[np.float64]:
    """The sum of the planes, one after another."""
    total: NDArray[np.float64] = alphas[0] * signs[0]
    for alpha, sign in zip(alphas[1:], signs[1:], strict=True):
        total = total + alpha * sign
    return total


def _least_squares(
    signs: NDArray[np.int64], sizes: NDArray[np.int64], totals: NDArray[np.float64], alphas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Alphas of least squared error for weights whose signs are given.

    The normal equations are positive definite, so elimination needs no exchange of rows. A plane that depends on those
    before it keeps its alpha, which costs nothing: the others make up for it.

    Args:
        signs: of each level, shape (planes, levels).
        sizes: how many weights a level has.
        totals: their sums.
        alphas: those of before.
    """
    planes = len(alphas)
    system = np.empty((planes, planes + 1))
    system[:, :planes] = (signs * sizes) @ signs.T  # of integers, so exact
    system[:, planes] = _sums(signs * totals)
    for plane in range(planes):
        # A pivot is the squared distance of a plane from those before it; rounding leaves some of it where it is 0.
        if system[plane, plane] > sizes.sum() * _SMALLEST_PIVOT:
            system[plane] /= system[plane, plane]
        else:
            system[plane] = 0.0
            system[plane, plane], system[plane, planes] = 1.0, alphas[plane]
        for other in range(planes):
            if other != plane:
                system[other] = system[other] - system[other, plane] * system[plane]
    return system[:, planes]


def _checked(weights: NDArray[Any], planes: int) -> NDArray[np.float64]:
    check_planes(planes)
    if weights.ndim != 2 or not weights.size:
        raise ValueError(f"weights must have shape (outputs, inputs), none of them 0, got {weights.shape}")
    if not np.isfinite(weights).all():
        raise ValueError(f"{int((~np.isfinite(weights)).sum())} of {weights.size} weights are infinite or NaN")
    return weights.astype(np.float64)


def pack_planes(signs: NDArray[np.int8], group: int) -> NDArray[np.uint8]:
    """Signs, shape (planes, outputs, inputs), as the patterns of groups, shape (planes, outputs, ceil(inputs / group)).

    >>> pack_planes(np.array([[[1, -1, 1, 1, 1]]], np.int8), 4)
    array([[[13,  1]]], dtype=uint8)
    """
    check_group(group)
    if not np.isin(signs, (-1, 1)).all():
        raise ValueError("signs must be -1 or +1")
    padded = np.pad(signs > 0, ((0, 0), (0, 0), (0, -signs.shape[2] % group)))
    grouped = padded.reshape(*signs.shape[:2], -1, group)
    packed: NDArray[np.uint8] = np.packbits(grouped, axis=3, bitorder="little")[..., 0]
    return packed


@numba.njit(cache=True, nogil=True)
def _lookup(
    activations: NDArray[np.int64],
    planes: NDArray[np.uint8],
    alphas: NDArray[np.int64],
    group: int,
    result: NDArray[np.int64],
) -> None:
    rows, inputs = activations.shape
    count, outputs, groups = planes.shape
    tables = np.empty((groups, 1 << group), dtype=np.int64)
    for row in range(rows):
        for index in range(groups):
            table = tables[index]
            table[0] = 0
            for place in range(group):
                column = index * group + place
                activation = activations[row, column] if column < inputs else 0
                table[0] -= activation
            for place in range(group):
                column = index * group + place
                twice = 2 * activations[row, column] if column < inputs else 0
                size = 1 << place
                for entry in range(size):
                    table[size + entry] = table[entry] + twice
        for output in range(outputs):
            total = 0
            for plane in range(count):
                part = 0
                for index in range(groups):
                    part += tables[index, planes[plane, output, index]]
                total += alphas[plane, output] * part
            result[row, output] = total


def binary_coded_matmul(
    activations: NDArray[Any], planes: NDArray[np.uint8], alphas: NDArray[Any], *, group: int = 8
) -> NDArray[np.int64]:
    """The exact product of integer activations and binary-coded weights, by look-ups.

    Args:
        activations: integers, shape ``(rows, inputs)``.
        planes: packed signs of `pack_planes`, shape ``(planes, outputs, ceil(inputs / group))``.
        alphas: integers, shape ``(planes, outputs)``.
        group: activations per look-up, 4 or 8.

    Returns:
        int64, shape ``(rows, outputs)``; the tables of one row take ``2**group * 8`` bytes per group besides.

    Raises:
        ValueError: if shapes do not fit, a dtype is no integer, or a sum may exceed 62 bits.

    >>> binary_coded_matmul(np.array([[3, -1, 2, 7, 5]]), np.array([[[13, 1]]], np.uint8), np.array([[10]]), group=4)
    array([[180]])
    """
    check_lookup(activations.shape, planes.shape, alphas.shape, group)
    for what, given in (("activations", activations), ("alphas", alphas), ("planes", planes)):
        if given.dtype.kind not in "iu" or (what == "planes" and given.dtype != np.uint8):
            raise ValueError(f"{what} must be integers{' (uint8)' if what == 'planes' else ''}, got {given.dtype}")
    if planes.size:
        check_patterns(0, int(planes.max()), group)
    bound = _largest(activations) * activations.shape[1] * _largest(alphas) * alphas.shape[0]
    check_bound(bound, activations.shape[1], alphas.shape[0])
    result = np.empty((activations.shape[0], planes.shape[1]), dtype=np.int64)
    _lookup(
        np.ascontiguousarray(activations, np.int64),
        np.ascontiguousarray(planes),
        np.ascontiguousarray(alphas, np.int64),
        group,
        result,
    )
    return result


def _largest(values: NDArray[Any]) -> int:
    return max(int(values.max()), -int(values.min())) if values.size else 0
