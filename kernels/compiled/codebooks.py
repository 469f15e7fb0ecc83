"""Codebooks learned from values: dynamic programming, then k-means from there; deterministic.

Nothing is drawn at random, and sums run over the values in ascending order, one after another, so that they round alike
on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLACES: Final = 16384
"""More would take memory and time: places times levels of the former, times a logarithm of the latter."""


def fit_levels(values: NDArray[Any], count: int, iterations: int = 100) -> NDArray[np.float64]:
    """Levels of least squared error for values, up to rounding, if at most 16384 of them are different; else of small.

    Clusters of sorted values are intervals (Wang and Song, "Ckmeans.1d.dp", The R Journal 2011), and the best are found
    by dynamic programming (`kernels.definitions.codebooks.optimal_levels`), beyond that many different values only
    among those that end at 16384 places. From there, levels move to the means of their values, and values to their
    nearest level, until no cluster changes. An empty cluster keeps its level.

    Args:
        values: finite, any shape, not empty; magnitudes whose squares float64 holds.
        count: how many levels, 1 to 16383.
        iterations: at most so many turns after the start.

    Returns:
        Ascending, all different, shape ``(count,)``, or the different values themselves if they are no more than that.

    Raises:
        ValueError: if there are no values, infinite ones or NaN, or the count is out of range.

    >>> fit_levels(np.array([0.0, 1.0, 10.0, 11.0, 30.0]), 3)
    array([ 0.5, 10.5, 30. ])
    """
    ordered = np.sort(values.astype(np.float64), axis=None)
    if not np.isfinite(ordered).all():
        raise ValueError(f"{int((~np.isfinite(ordered)).sum())} of {ordered.size} values are infinite or NaN")
    if not 1 <= count < _PLACES or not ordered.size:
        raise ValueError(
            f"1 to {_PLACES - 1} levels are fitted to 1 or more values, got {count} levels and {ordered.size} values"
        )
    starts = np.flatnonzero(np.diff(ordered)) + 1
    if starts.size < count:
        different: NDArray[np.float64] = ordered[np.concatenate([[0], starts])]
        return different
    # Around their mean, so that differences of sums of squares lose fewer bits.
    mean = np.cumsum(ordered)[-1] / ordered.size
    centred = ordered - mean
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    places = _places(starts, centred.size)
    squares = np.concatenate([[0.0], np.cumsum(centred * centred)])
    edges = _best_edges(squares[places], sums[places], places, count)
    levels = np.diff(sums[edges]) / np.diff(edges)
    for _ in range(iterations):
        inner = np.searchsorted(centred, (levels[1:] + levels[:-1]) / 2, side="right")
        found = np.concatenate([[0], inner, [centred.size]])
        if np.array_equal(found, edges):
            break
        edges = found
        sizes = np.diff(edges)
        levels = np.where(sizes > 0, np.diff(sums[edges]) / np.maximum(sizes, 1), levels)
    return np.unique(levels + mean)


def _places(starts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Where clusters may begin or end: all starts of different values, or some of them; and both ends.

    The outermost eighths of the places are next to each other, since a rare value far out weighs as much as many.
    """
    if starts.size > _PLACES:
        tail = _PLACES // 8
        inner = np.arange(_PLACES - 2 * tail) * (starts.size - 2 * tail) // (_PLACES - 2 * tail)
        starts = np.concatenate([starts[:tail], starts[tail + inner], starts[-tail:]])
    return np.concatenate([[0], starts, [size]])


@numba.njit(cache=True, nogil=True)
def _cost(squares: NDArray[np.float64], sums: NDArray[np.float64], start: int, stop: int, size: int) -> float:
    """The squared error of one cluster, from what all values before it and up to its end sum to."""
    total = sums[stop] - sums[start]
    error: float = squares[stop] - squares[start] - total * total / size
    return error


@numba.njit(cache=True, nogil=True)
def _best_edges(
    squares: NDArray[np.float64], sums: NDArray[np.float64], places: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Where clusters of least squared error begin and end, shape (count + 1,), of those that end at the places.

    The best start of the last cluster moves up with its end, so the ends are halved: the middle one's start bounds
    those of both halves.

    Args:
        squares: running sums of the squares at the places, float64.
        sums: the same of the values.
        places: ascending, the first 0 and the last the number of values; at least ``count + 1`` of them.
        count: clusters.
    """
    last = len(places) - 1
    best = np.empty(last + 1)
    best[0] = 0.0
    for stop in range(1, last + 1):
        best[stop] = _cost(squares, sums, 0, stop, places[stop])
    starts = np.zeros((count, last + 1), dtype=np.int64)
    stack = np.empty((128, 4), dtype=np.int64)
    for cluster in range(1, count):
        better = np.full(last + 1, np.inf)
        stack[0] = (cluster + 1, last, cluster, last - 1)
        waiting = 1
        while waiting:
            waiting -= 1
            low, high, first, final = stack[waiting]
            if low > high:
                continue
            stop = (low + high) // 2
            for start in range(first, min(final, stop - 1) + 1):
                error = best[start] + _cost(squares, sums, start, stop, places[stop] - places[start])
                if error < better[stop]:
                    better[stop] = error
                    starts[cluster, stop] = start
            chosen = starts[cluster, stop]
            stack[waiting] = (low, stop - 1, first, chosen)
            stack[waiting + 1] = (stop + 1, high, chosen, final)
            waiting += 2
        best = better
    edges = np.empty(count + 1, dtype=np.int64)
    edges[count] = places[last]
    stop = last
    for cluster in range(count - 1, -1, -1):
        stop = starts[cluster, stop]
        edges[cluster] = places[stop]
    return edges
