"""Binary-coded weights on NumPy arrays: greedy and alternating fit, packing, and products by shared look-up tables.

Weights have shape ``(outputs, inputs)`` with alphas per output row. Fits are deterministic: fixed starts, no random
numbers, ties to the first candidate; float64 throughout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np

from kernels.definitions.binary_coded import check_bound, check_group, check_lookup, check_planes

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BinaryCode(NamedTuple):
    """Signs and alphas of weights: ``weight[o, k] ~ sum over i of alphas[i, o] * signs[i, o, k]``."""

    signs: NDArray[np.int8]
    """-1 and +1, shape (planes, outputs, inputs)."""
    alphas: NDArray[np.float64]
    """At least 0 after `fit_greedily`, any sign after `fit_alternating`; shape (planes, outputs)."""

    def weights(self) -> NDArray[np.float64]:
        """The coded weights, shape (outputs, inputs)."""
        weights: NDArray[np.float64] = np.einsum("po,pok->ok", self.alphas, self.signs.astype(np.float64))
        return weights


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
        alphas[plane] = np.abs(rest).mean(axis=1)
        rest = rest - alphas[plane][:, None] * signs[plane]
    return BinaryCode(signs=signs, alphas=alphas)


def fit_alternating(weights: NDArray[Any], planes: int, iterations: int = 20) -> BinaryCode:
    """Greedy start; then least-squares alphas for the signs and the nearest of all sums for each weight, in turn.

    Neither step raises a row's squared error. A row keeps the best code it has had; the fit ends when no sign changes.

    Args:
        weights: finite, shape (outputs, inputs).
        planes: 1 to 8.
        iterations: at most so many turns.
    """
    target = _checked(weights, planes)
    code = fit_greedily(target, planes)
    signs, alphas = code.signs, code.alphas
    best_signs, best_alphas = signs.copy(), alphas.copy()
    best = _errors(target, code)
    patterns = np.arange(1 << planes)[:, None] >> np.arange(planes) & 1
    choices = (2 * patterns - 1).astype(np.int8)
    for _ in range(iterations):
        alphas = _least_squares(target, signs, alphas)
        sums = np.sort(choices @ alphas, axis=0)
        order = np.argsort(choices @ alphas, axis=0, kind="stable")
        changed = np.empty_like(signs)
        for row in range(target.shape[0]):
            middles = (sums[1:, row] + sums[:-1, row]) / 2
            changed[:, row] = choices[order[np.searchsorted(middles, target[row]), row]].T
        code = BinaryCode(signs=changed, alphas=alphas)
        errors = _errors(target, code)
        better = errors < best
        best = np.where(better, errors, best)
        best_signs[:, better], best_alphas[:, better] = changed[:, better], alphas[:, better]
        if np.array_equal(changed, signs):
            break
        signs = changed
    return BinaryCode(signs=best_signs, alphas=best_alphas)


def _least_squares(target: NDArray[Any], signs: NDArray[np.int8], alphas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Alphas of least squared error for given signs; rows whose planes depend on each other keep theirs."""
    planes = signs.astype(np.float64)
    products = np.einsum("pok,qok->opq", planes, planes)
    sides = np.einsum("pok,ok->op", planes, target)
    result = alphas.copy()
    # Products of signs are integers, so a determinant of dependent planes is 0 up to rounding of far smaller size.
    independent = np.flatnonzero(np.abs(np.linalg.det(products)) > 0.5)
    if independent.size:
        solved = np.linalg.solve(products[independent], sides[independent][:, :, None])
        result[:, independent] = solved[:, :, 0].T
    return result


def _errors(target: NDArray[Any], code: BinaryCode) -> NDArray[np.float64]:
    errors: NDArray[np.float64] = ((target - code.weights()) ** 2).sum(axis=1)
    return errors


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
    if planes.size and int(planes.max()) >> group:
        raise ValueError(f"patterns of {group} signs are below {1 << group}, got {int(planes.max())}")
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
