"""Codebooks learned from values: dynamic programming, then k-means from there; deterministic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLACES: Final = 512


def fit_levels(values: NDArray[Any], count: int, iterations: int = 100) -> NDArray[np.float32]:
    """Levels of small squared error for values; the least possible error if there are at most 512 values.

    Clusters of sorted values are intervals. The best of those that end at one of 512 equally spaced places are found by
    dynamic programming; from there, levels move to the means of their values, and values to their nearest level, until
    no cluster changes. An empty cluster keeps its level.

    Args:
        values: finite, any shape, with at least ``count`` different numbers.
        count: how many levels, 2 or more.
        iterations: at most so many turns after the start.

    Returns:
        float32, ascending, shape ``(count,)``; fewer if two levels meet in float32.

    Raises:
        ValueError: if there are too few different values, or infinite ones.

    >>> fit_levels(np.array([0.0, 1.0, 10.0, 11.0, 30.0]), 3)
    array([ 0.5, 10.5, 30. ], dtype=float32)
    """
    ordered = np.sort(values.astype(np.float64), axis=None)
    if not np.isfinite(ordered).all():
        raise ValueError(f"{int((~np.isfinite(ordered)).sum())} of {ordered.size} values are infinite or NaN")
    different = np.unique(ordered).size
    if not 2 <= count <= different:
        raise ValueError(f"2 to {different} levels fit {different} different values, got {count}")
    # Around their mean, so that differences of sums of squares lose fewer bits.
    mean = ordered.mean()
    centred = ordered - mean
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    edges = _best_edges(centred, sums, count)
    levels = np.diff(sums[edges]) / np.diff(edges)
    for _ in range(iterations):
        inner = np.searchsorted(centred, (levels[1:] + levels[:-1]) / 2, side="right")
        found = np.concatenate([[0], inner, [centred.size]])
        if np.array_equal(found, edges):
            break
        edges = found
        sizes = np.diff(edges)
        levels = np.where(sizes > 0, np.diff(sums[edges]) / np.maximum(sizes, 1), levels)
    return np.unique((levels + mean).astype(np.float32))


def _best_edges(centred: NDArray[np.float64], sums: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Where clusters of least squared error begin and end, shape (count + 1,), of those at equally spaced places."""
    places = np.unique(np.linspace(0, centred.size, min(centred.size, max(_PLACES, 2 * count)) + 1).astype(np.int64))
    squares = np.concatenate([[0.0], np.cumsum(centred * centred)])[places]
    totals = sums[places]
    sizes = np.maximum(places[None, :] - places[:, None], 1)
    # cost[a, b] of one cluster from place a to place b, infinite unless a < b.
    cost = squares[None, :] - squares[:, None] - (totals[None, :] - totals[:, None]) ** 2 / sizes
    cost[np.tril_indices(places.size)] = np.inf
    best = cost[0]
    starts = []
    for _ in range(count - 1):
        options = best[:, None] + cost
        start = options.argmin(axis=0)
        starts.append(start)
        best = options[start, np.arange(places.size)]
    edges = [places.size - 1]
    for start in reversed(starts):
        edges.append(int(start[edges[-1]]))
    return places[[0, *reversed(edges)]]
