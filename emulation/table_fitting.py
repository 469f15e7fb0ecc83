"""Tables learned from weights: codebooks and binary codes (DESIGN section 6, rule 4). No random numbers are drawn.

A codebook is fitted by Lloyd's iteration (k-means on a line) from the quantiles of the weights. Binary codes start
greedily, each plane taking the mean magnitude of what the planes before it left, and then alternate between the best
coefficients for the signs (least squares) and the best signs for the coefficients (Xu et al., Alternating Multi-bit
Quantization, ICLR 2018). Entries are then rounded to integers, the largest magnitude being full scale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from emulation.formats import BinaryCoded, LearnedCodebook

if TYPE_CHECKING:
    from numpy.typing import NDArray

ITERATIONS: Final = 60
"""Both fits stop here if they have not settled before."""


def learn_table(values: NDArray[Any], number_format: LearnedCodebook | BinaryCoded) -> tuple[float, NDArray[np.int64]]:
    """The unit and the integer each code means, fitted to values that are not all zero.

    Returns:
        The real value of one integer step, and ``2**width`` integers by code.

    >>> from emulation.catalogue import parse
    >>> unit, table = learn_table(np.array([-1.0, -0.25, 0.25, 0.3, 1.0]), parse("codebook2"))
    >>> (table * unit).round(2).tolist()
    [-1.0, -0.25, 0.28, 1.0]
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    if isinstance(number_format, LearnedCodebook):
        entries = _cluster(flat, 1 << number_format.index_bits)
        unit = float(np.abs(entries).max()) / number_format.largest_integer
        return unit, np.rint(entries / unit).astype(np.int64)
    alphas = _binary_code(flat, number_format.planes)
    unit = float(alphas.sum()) / number_format.largest_integer
    integers = np.rint(alphas / unit).astype(np.int64)
    integers[0] -= max(int(integers.sum()) - number_format.largest_integer, 0)
    return unit, _sums(integers)


def _cluster(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """``count`` centres, ascending; where there are fewer different values, some centres are equal."""
    ordered = np.sort(values)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centres = np.quantile(ordered, (np.arange(count) + 0.5) / count)
    for _ in range(ITERATIONS):
        borders = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2, side="right")
        edges = np.concatenate([[0], borders, [ordered.size]])
        sizes = np.diff(edges)
        means = np.diff(sums[edges]) / np.maximum(sizes, 1)
        moved = np.sort(np.where(sizes > 0, means, centres))
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _binary_code(values: NDArray[np.float64], planes: int) -> NDArray[np.float64]:
    """The coefficients of the planes, descending and not negative."""
    rest = values.copy()
    alphas = np.zeros(planes)
    for plane in range(planes):
        alphas[plane] = np.abs(rest).mean()
        rest -= np.where(rest >= 0, alphas[plane], -alphas[plane])
    signs = _signs(planes)
    for _ in range(ITERATIONS):
        levels = signs @ alphas
        order = np.argsort(levels, kind="stable")
        ordered = levels[order]
        nearest = order[np.searchsorted((ordered[1:] + ordered[:-1]) / 2, values)]
        solved = np.abs(np.linalg.lstsq(signs[nearest], values, rcond=None)[0])
        moved = np.sort(solved)[::-1]
        if np.allclose(moved, alphas, rtol=1e-12, atol=0.0):
            break
        alphas = moved
    return alphas


def _signs(planes: int) -> NDArray[np.float64]:
    """Plus or minus 1 for every code and plane: bit i of the code is 1 where plane i is plus 1."""
    codes = np.arange(1 << planes)
    return np.where((codes[:, None] >> np.arange(planes)) & 1, 1.0, -1.0)


def _sums(alphas: NDArray[np.int64]) -> NDArray[np.int64]:
    sums: NDArray[np.int64] = _signs(len(alphas)).astype(np.int64) @ alphas
    return sums
