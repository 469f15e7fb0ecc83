"""The best codebook for given values, by definition: what fits of levels are measured against."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def optimal_levels(values: Sequence[float], count: int) -> list[Fraction]:
    """The codebook of least squared error for a few values: k-means in one dimension, solved by dynamic programming.

    Clusters of sorted values are intervals (Wang and Song, "Ckmeans.1d.dp", The R Journal 2011); exact rationals, cubic
    in the number of values: the definition that faster fits are measured against.

    Args:
        values: finite numbers, at least ``count`` different ones.
        count: how many levels.

    >>> optimal_levels([0.0, 1.0, 10.0, 11.0, 30.0], 3)
    [Fraction(1, 2), Fraction(21, 2), Fraction(30, 1)]
    """
    points = sorted(Fraction(value) for value in values)
    if not 1 <= count <= len(set(points)):
        raise ValueError(f"{count} levels need at least as many different values, got {len(set(points))}")
    sums = [Fraction(0), *itertools.accumulate(points)]
    squares = [Fraction(0), *itertools.accumulate(point * point for point in points)]

    def cost(start: int, stop: int) -> Fraction:
        total = sums[stop] - sums[start]
        return squares[stop] - squares[start] - total * total / (stop - start)

    best = [cost(0, stop) if stop else Fraction(0) for stop in range(len(points) + 1)]
    cuts: list[list[int]] = []
    for cluster in range(1, count):
        previous = best
        best, cut = list(previous), [0] * (len(points) + 1)
        for stop in range(cluster + 1, len(points) + 1):
            options = [(previous[start] + cost(start, stop), start) for start in range(cluster, stop)]
            best[stop], cut[stop] = min(options)
        cuts.append(cut)
    stop, levels = len(points), []
    for cut in reversed(cuts):
        start = cut[stop]
        levels.append((sums[stop] - sums[start]) / (stop - start))
        stop = start
    levels.append(sums[stop] / stop)
    return levels[::-1]
