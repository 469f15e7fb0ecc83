"""Hypervolumes, exact up to double rounding: of points, and of all that planes leave open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dse.solve.tables import IntArray
    from dse.solve.trellis import FloatArray


def hypervolume(points: IntArray, reference: IntArray | FloatArray) -> float:
    """Volume of what points dominate below a reference, for any number of objectives (all minimised).

    Args:
        points: Shape ``(points, objectives)``; those not below the reference in every objective add nothing.
        reference: Shape ``(objectives,)``.

    >>> hypervolume(np.array([[0, 2], [1, 0]]), np.array([3, 3]))
    7.0
    """
    inside = points[(points < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    extent = (np.asarray(reference) - inside).astype(np.float64)
    if extent.shape[1] == 1:
        return float(extent.max())
    if extent.shape[1] == 2:
        return _area(extent)
    if extent.shape[1] == 3:
        return _volume(extent)
    return _sliced(extent)


def _area(extent: FloatArray) -> float:
    """Area of the union of boxes from the origin to each row."""
    order = np.lexsort((extent[:, 1], -extent[:, 0]))
    heights = np.maximum.accumulate(extent[order, 1])
    grown = np.diff(heights, prepend=0.0)
    return float((grown * extent[order, 0]).sum())


def _volume(extent: FloatArray) -> float:
    """Volume of the union of boxes from the origin in three dimensions."""
    from dse.solve.compiled.volume import volume

    order = np.argsort(-extent[:, 2], kind="stable")
    return float(volume(np.ascontiguousarray(extent[order])))


def _sliced(extent: FloatArray) -> float:
    """Volume of a union of boxes from the origin, slice by slice along the last axis."""
    order = np.argsort(-extent[:, -1], kind="stable")
    ordered = extent[order]
    bottoms = np.append(ordered[1:, -1], 0.0)
    total = 0.0
    for count, (top, bottom) in enumerate(zip(ordered[:, -1], bottoms, strict=True), start=1):
        if top > bottom:
            part = ordered[:count, :-1]
            total += float(top - bottom) * (_volume(part) if part.shape[1] == 3 else _sliced(part))
    return total


def lower_envelope(weights: FloatArray, bounds: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Breakpoints of the least second value that planes allow, as a convex falling function of the first.

    Args:
        weights: Shape ``(planes, 2)``, not negative, the second one positive.
        bounds: Shape ``(planes,)``.

    Returns:
        ``(slopes, intercepts)`` of the lines that are highest somewhere, steepest first.
    """
    slopes, intercepts = -weights[:, 0] / weights[:, 1], bounds / weights[:, 1]
    order = np.lexsort((-intercepts, slopes))
    kept: list[int] = []
    for line in order.tolist():
        if kept and slopes[kept[-1]] == slopes[line]:
            continue
        while len(kept) > 1:
            one, two = kept[-2], kept[-1]
            # Line two is nowhere highest if one meets the new line no later than line two.
            left = (intercepts[one] - intercepts[line]) * (slopes[two] - slopes[one])
            right = (intercepts[one] - intercepts[two]) * (slopes[line] - slopes[one])
            if left > right:
                break
            kept.pop()
        kept.append(line)
    return slopes[kept], intercepts[kept]


def open_areas(
    lows: FloatArray, highs: FloatArray, tops: FloatArray, envelope: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Area below ``tops`` and above the envelope between ``lows`` and ``highs``, one number per interval."""
    slopes, intercepts = envelope
    turns = (intercepts[:-1] - intercepts[1:]) / (slopes[1:] - slopes[:-1])
    cuts = np.unique(np.concatenate((lows, highs, turns)))
    if len(cuts) < 2 or not len(lows):
        return np.zeros(len(lows))
    starts, ends = cuts[:-1], cuts[1:]
    line = np.searchsorted(turns, (starts + ends) / 2)
    owner = np.searchsorted(lows, starts, side="right") - 1
    inside = (owner >= 0) & (ends <= highs[np.maximum(owner, 0)])
    starts, ends, line, owner = starts[inside], ends[inside], line[inside], owner[inside]
    top = tops[owner]
    left = top - (slopes[line] * starts + intercepts[line])
    right = top - (slopes[line] * ends + intercepts[line])
    width = ends - starts
    # A line may cross the top inside the piece: then only the triangle counts.
    rise = right - left
    crossed = (left < 0) != (right < 0)
    whole = np.where((left >= 0) & (right >= 0), width * (left + right) / 2, 0.0)
    triangle = np.zeros(len(width))
    np.divide(np.maximum(left, right) ** 2 * width, 2 * np.abs(rise), out=triangle, where=crossed)
    areas = np.zeros(len(lows))
    np.add.at(areas, owner, np.where(crossed, triangle, whole))
    return areas


def volume_above(weights: FloatArray, bounds: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Volume of the part of a box in which no plane is violated, for three or more objectives.

    Args:
        weights: Shape ``(planes, objectives)``, not negative: everything allowed has ``weights . z >= bounds``.
        bounds: Shape ``(planes,)``.
        low: Smallest corner of the box.
        high: Largest corner.
    """
    corners = open_corners(weights, bounds, low, high)
    if corners is None:
        return 0.0
    from scipy.spatial import ConvexHull

    return float(ConvexHull(corners).volume * np.prod(high - low))


def open_corners(weights: FloatArray, bounds: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray | None:
    """Vertices of what planes leave of a box, as distances from its largest corner in units of its sides.

    None when nothing is left. For the arguments see `volume_above`.
    """
    from scipy.spatial import HalfspaceIntersection

    extent = high - low
    # In units of the box, seen from its largest corner: u = (high - z) / extent, 0 <= u <= 1.
    scaled = weights * extent
    room = weights @ high - bounds
    size = np.maximum(scaled.max(axis=1), 1e-300)
    scaled, room = scaled / size[:, None], room / size
    if (room <= 0).any():
        return None
    cutting = room < scaled.sum(axis=1)
    sides = np.eye(len(extent))
    planes = np.concatenate(
        [
            np.concatenate((scaled[cutting], -room[cutting, None]), axis=1),
            np.concatenate((sides, -np.ones((len(sides), 1))), axis=1),
            np.concatenate((-sides, np.zeros((len(sides), 1))), axis=1),
        ]
    )
    inner = float(min(1.0, (room[cutting] / scaled[cutting].sum(axis=1)).min(initial=1.0))) / 2
    inside = np.full(len(extent), inner)
    return np.asarray(HalfspaceIntersection(planes, inside).intersections, dtype=np.float64)
