"""A few points that stand for a whole front."""

from __future__ import annotations

import heapq
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.hypervolume import hypervolume
from dse.solve.result import GapKind
from dse.solve.slices import LOG_RESOLUTION
from dse.solve.tables import UtilisationObjective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse.solve.result import Front
    from dse.solve.tables import IntArray
    from dse.solve.trellis import FloatArray


class Choice(Enum):
    """What the chosen points are good at.

    COVERAGE: every point has a chosen one near it; the distance is the largest difference in any objective, as a share
    of its range. RATIO: the same, with a ratio as the difference in all but utilisations, because losses and times
    span decades. HYPERVOLUME: they dominate as much of the box as possible. Both begin with the smallest value of
    each objective and add the best point next: the distance is at most twice the least possible, the volume at
    least 63 % of the largest possible.
    """

    COVERAGE = "coverage"
    RATIO = "ratio"
    HYPERVOLUME = "hypervolume"


def thinned(front: Front, count: int, by: Choice | str) -> Front:
    """A front with at most ``count`` of the points; what was left out counts as missing."""
    if len(front.points) <= count:
        return front
    vectors = np.array(front.vectors(), dtype=np.int64)
    linear = [isinstance(one, UtilisationObjective) for one in front.problem.objectives]
    rows = choose(vectors, count, by, linear=linear)
    reference = vectors.max(axis=0)
    whole = hypervolume(vectors, reference)
    kept = hypervolume(vectors[rows], reference) / whole if whole > 0.0 else 1.0
    known = front.complete or front.gap_kind is GapKind.HYPERVOLUME
    before = front.gap if front.gap is not None else 1.0
    return replace(
        front,
        points=tuple(front.points[row] for row in rows.tolist()),
        complete=False,
        why_incomplete=f"{count} of {len(vectors)} points are shown; {front.why_incomplete or 'all are complete'}",
        gap=1.0 - (1.0 - before) * kept if known else None,
        gap_kind=GapKind.HYPERVOLUME if known else GapKind.UNKNOWN,
    )


def choose(
    vectors: IntArray, count: int, by: Choice | str = Choice.COVERAGE, *, linear: Sequence[bool] = ()
) -> IntArray:
    """Ascending rows of at most ``count`` vectors that stand for all.

    Args:
        vectors: Nondominated vectors, shape ``(points, objectives)``.
        count: At least 1.
        by: See `Choice`.
        linear: Which objectives have no ratios.

    Raises:
        ValueError: A count below 1 or an unknown choice.

    >>> choose(np.array([[0, 9], [1, 4], [2, 3], [9, 0]]), 3).tolist()
    [0, 2, 3]
    """
    if count < 1:
        raise ValueError(f"a subset has at least 1 point, got {count}")
    try:
        rule = Choice(by)
    except ValueError:
        allowed = ", ".join(one.value for one in Choice)
        raise ValueError(f"unknown choice {by!r}: it is one of {allowed}") from None
    if len(vectors) <= count:
        return np.arange(len(vectors))
    low, extent = vectors.min(axis=0), np.maximum(np.ptp(vectors, axis=0), 1)
    scaled = (vectors - low) / extent
    if rule is Choice.RATIO:
        places = np.log2(1.0 + scaled * LOG_RESOLUTION) / np.log2(1.0 + LOG_RESOLUTION)
        scaled = np.where(np.array([*linear, *[False] * vectors.shape[1]])[: vectors.shape[1]], scaled, places)
    first = list(dict.fromkeys(int(np.lexsort((*vectors.T[::-1], vectors[:, k]))[0]) for k in range(vectors.shape[1])))
    first = first[:count]
    rows = _dominating(scaled, first, count) if rule is Choice.HYPERVOLUME else _covering(scaled, first, count)
    return np.sort(np.array(rows, dtype=np.int64))


def _covering(scaled: FloatArray, chosen: list[int], count: int) -> list[int]:
    """Always the point farthest from those chosen."""
    distance = np.full(len(scaled), np.inf)
    for row in chosen:
        distance = np.minimum(distance, np.abs(scaled - scaled[row]).max(axis=1))
    while len(chosen) < count:
        row = int(np.argmax(distance))
        chosen.append(row)
        distance = np.minimum(distance, np.abs(scaled - scaled[row]).max(axis=1))
    return chosen


_LARGE = 1 << 40
"""Shares become integers in these units, of which volumes are computed."""


def _dominating(scaled: FloatArray, chosen: list[int], count: int) -> list[int]:
    """Always the point that adds most volume; gains only fall, so most of them need no new look."""
    points = (scaled * _LARGE).astype(np.int64)
    reference = np.full(points.shape[1], _LARGE + 1)
    volume = hypervolume(points[chosen], reference)
    queue = [(-hypervolume(points[row : row + 1], reference), row, -1) for row in range(len(points))]
    heapq.heapify(queue)
    while len(chosen) < count and queue:
        _, row, seen = heapq.heappop(queue)
        if row in chosen:
            continue
        if seen == len(chosen):
            chosen.append(row)
            volume = hypervolume(points[chosen], reference)
            continue
        gain = hypervolume(points[[*chosen, row]], reference) - volume
        heapq.heappush(queue, (-gain, row, len(chosen)))
    return chosen
