"""The front of two sums under caps: what is open between the points known is bounded by planes, then searched out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.hypervolume import hypervolume, lower_envelope, open_areas
from dse.solve.labels import Bounds, bounds_at
from dse.solve.pieces import Pieces, PiecewiseSearch
from dse.solve.single_sum import least_sum
from dse.solve.supported import lexicographic

if TYPE_CHECKING:
    from dse.solve.archive import Designs
    from dse.solve.relaxation import Plane, Relaxation
    from dse.solve.single_sum import Least
    from dse.solve.tables import IntArray
    from dse.solve.trellis import BoolArray, FloatArray

_PLANES = 41
"""Planes to begin with: slopes from one over to the inverse of `_STEEPEST`, in ratios of the ranges."""

_STEEPEST = 1e5

_BATCH = 8
"""Planes added at a time where most is open."""

_CLOSE = 1.02
"""Ratio of slopes between which no further plane is put."""

_STILL = 0.95
"""Planes stop when a batch of them leaves more than this of the gap."""

_END_SHARE = 0.2
"""Share of the time left that proving the least value of one sum may take."""


@dataclass(slots=True, kw_only=True, eq=False)
class Staircase(PiecewiseSearch):
    """State of one search; ``run`` improves it until the deadline, the gap or the end."""

    relaxation: Relaxation

    @property
    def designs(self) -> Designs:
        """The nondominated designs found so far."""
        return self.relaxation.designs

    @property
    def highest(self) -> int:
        """The largest second sum."""
        return int(self.task.most[-1, 1])

    def add(self, designs: Designs) -> None:
        """Keep designs."""
        self.relaxation.found.append(designs)

    def bounds(self, corners: IntArray) -> Bounds:
        """All planes."""
        return bounds_at(self.relaxation, corners)

    def closed(self, pieces: Pieces) -> BoolArray:
        """Mask of the pieces that some plane closes."""
        return np.asarray(self.bounds(pieces.corners).strictest > 0)

    def areas(self, pieces: Pieces, reference: FloatArray) -> FloatArray:
        """Area per piece, below a reference, that unknown designs could still dominate."""
        planes = [p for p in self.relaxation.planes if p.weights[1] > 0]
        ranges = self.relaxation.ranges
        weights = np.array([p.weights for p in planes]).reshape(len(planes), 2) / ranges
        weights, bounds = np.append(weights, [[0.0, 1.0]], axis=0), np.array([p.bound for p in planes])
        envelope = lower_envelope(weights, np.append(bounds, float(self.task.least[-1, 1])))
        flat = [p.bound / p.weights[0] * ranges[0] for p in self.relaxation.planes if not p.weights[1]]
        lows = np.maximum(pieces.lows.astype(np.float64), max(flat, default=-np.inf))
        highs = np.minimum(pieces.highs + 1.0, reference[0])
        tops = np.minimum(pieces.tops + 1.0, reference[1])
        used = lows < highs
        areas = np.zeros(len(pieces))
        areas[used] = open_areas(lows[used], highs[used], tops[used], envelope)
        return areas

    def outer(self, reference: FloatArray) -> float:
        """Area below a reference that no design can exceed."""
        pieces = self.pieces()
        missing = float(self.areas(pieces, reference).sum()) if len(pieces) else 0.0
        return missing + hypervolume(self.designs.points, reference)

    def lower(self) -> IntArray:
        """Per design, a proven lower bound of its first sum given its second."""
        points = self.designs.points
        pieces = self.pieces()
        lower = points[:, 0].copy()
        planes = [p for p in self.relaxation.planes if p.weights[0] > 0]
        ranges = self.relaxation.ranges
        for row in np.flatnonzero(np.isin(points[:, 0], pieces.lows)).tolist():
            least = [(p.bound - p.weights[1] * points[row, 1] / ranges[1]) / p.weights[0] * ranges[0] for p in planes]
            best = max([float(self.task.least[-1, 0]), *least])
            lower[row] = min(int(lower[row]), int(np.ceil(best - 1e-9 * abs(best))))
        return lower

    # -- searching ---------------------------------------------------------------------------------------------------

    def run(self, gap: float, *, with_ends: bool = True) -> None:
        """Planes, good designs by beams, the ends, then piece by piece."""
        if self.task.is_free:
            for order in ((0, 1), (1, 0)):
                self.add(lexicographic(self.task, order))
        if not self._bound():
            return
        if gap > 0:
            self._refine(gap)
        if with_ends:
            self._ends()
        self.search_beams(gap)
        if gap > 0:
            self._refine(gap)
        self.search_pieces(gap)

    def _bound(self) -> bool:
        """Planes on a grid of slopes, from both ends inwards; False when the time is over."""
        relaxation = self.relaxation
        first = relaxation.plane(np.array([1.0, 0.0]), rounds=200)
        prices = first.prices
        for ratio in np.geomspace(_STEEPEST, 1 / _STEEPEST, _PLANES):
            if not self.task.has_time:
                return False
            prices = relaxation.plane(np.array([ratio, 1.0]) / (1 + ratio), prices).prices
        relaxation.plane(np.array([0.0, 1.0]), prices, rounds=200)
        return True

    def _refine(self, gap: float) -> None:
        """More planes where most is open, until the gap allowed is near, or they bring next to nothing."""
        before = np.inf
        while self.task.has_time:
            current = self.gap()
            if current is None or current <= gap / 2 or current > _STILL * before:
                return
            before = current
            for near, ratio in self._widest():
                self.relaxation.plane(np.array([ratio, 1.0]) / (1 + ratio), near.prices)

    def _widest(self) -> list[tuple[Plane, float]]:
        """The neighbouring planes that meet farthest below the points known: one of them, and a slope between."""
        slopes = {_ratio(plane.weights): plane for plane in self.relaxation.planes if plane.weights.all()}
        ratios = np.array(sorted(slopes))
        planes = [slopes[ratio] for ratio in ratios.tolist()]
        weights, bounds = np.array([plane.weights for plane in planes]), np.array([plane.bound for plane in planes])
        pairs = np.stack((weights[:-1], weights[1:]), axis=1)
        meets = np.linalg.solve(pairs, np.stack((bounds[:-1], bounds[1:]), axis=1)[..., None])
        points = self.designs.points / self.relaxation.ranges
        above = np.maximum(points[None] - meets[:, None, :, 0], 0.0).max(axis=2).min(axis=1)
        above[ratios[1:] < ratios[:-1] * _CLOSE] = 0.0
        widest = np.argsort(-above, kind="stable")[:_BATCH]
        return [(planes[row], float(np.sqrt(ratios[row] * ratios[row + 1]))) for row in widest if above[row] > 1e-9]

    def _ends(self) -> None:
        """Prove the smallest first and second sums."""
        first, second = least_sum(self.task, 0, _END_SHARE), None
        self._keep(first)
        if first.is_exact or first.bound > self.task.least[-1, 0]:
            self.settle(int(self.task.least[-1, 0]), first.bound - 1)
        second = least_sum(self.task, 1, _END_SHARE)
        self._keep(second)
        points = self.designs.points
        if len(points) and second.bound == points[-1, 1]:
            self.settle(int(points[-1, 0]) + 1, int(self.task.most[-1, 0]))

    def _keep(self, least: Least) -> None:
        """Keep the design of a least sum, with both of its sums."""
        if len(least.designs):
            self.relaxation.found.append(self.task.of_options(least.designs.options))


def _ratio(weights: FloatArray) -> float:
    return float(weights[0] / weights[1]) if weights[1] else np.inf
