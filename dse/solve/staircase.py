"""The front of two sums under caps: what is open between the points known is bounded by planes, then searched out.

The first sum is cut into pieces at the points known. In a piece only designs below the last point before it matter; a
piece is settled once a bound shows that there are none, or a label search has found all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.hypervolume import hypervolume, lower_envelope, open_areas
from dse.solve.labels import MOST_AT_A_NODE, Bounds, Outcome, bounds_at, search_labels
from dse.solve.single_sum import least_sum
from dse.solve.supported import lexicographic

if TYPE_CHECKING:
    from dse.solve.archive import Designs
    from dse.solve.relaxation import Relaxation
    from dse.solve.single_sum import Least
    from dse.solve.tables import IntArray
    from dse.solve.task import Task
    from dse.solve.trellis import FloatArray

_PLANES = 41
"""Planes to begin with: slopes from one over to the inverse of `_STEEPEST`, in ratios of the ranges."""

_STEEPEST = 1e5

_BEAMS = (24, 120, 600)
"""Labels kept per node in the searches for good designs, one after the other."""

_END_SHARE = 0.2
"""Share of the time left that proving the least value of one sum may take."""

_FEW_LABELS = 30_000
"""Labels before a node above which pieces are searched one by one instead of several together."""

_STRICT = 12
"""Bounds per piece that labels are compared with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """Open pieces of the first sum, ascending: first and last value, and the largest second value that matters."""

    lows: IntArray
    highs: IntArray
    tops: IntArray

    def __len__(self) -> int:
        return len(self.lows)

    @property
    def corners(self) -> IntArray:
        """The largest vector that matters in each piece."""
        return np.stack([self.highs, self.tops], axis=1)


@dataclass(slots=True, kw_only=True, eq=False)
class Staircase:
    """State of one search; ``run`` improves it until the deadline, the gap or the end."""

    relaxation: Relaxation
    thin: Task
    settled: list[tuple[int, int]] = field(default_factory=list)
    stuck: set[tuple[int, int]] = field(default_factory=set)

    @property
    def task(self) -> Task:
        """The task that is solved."""
        return self.relaxation.task

    @property
    def designs(self) -> Designs:
        """The nondominated designs found so far."""
        return self.relaxation.designs

    def pieces(self) -> Pieces:
        """What is not settled yet."""
        task, points = self.task, self.designs.points
        least, most = int(task.least[-1, 0]), int(task.most[-1, 0])
        highest = int(task.most[-1, 1])
        firsts, seconds = points[:, 0].tolist(), points[:, 1].tolist()
        found: list[tuple[int, int, int]] = [(least, (firsts[0] if firsts else most + 1) - 1, highest)]
        for first, second, following in zip(firsts, seconds, [*firsts[1:], most + 1], strict=True):
            found.append((first, first, second))
            found.append((first + 1, following - 1, second - 1))
        rest = [piece for whole in found for piece in self._unsettled(*whole)]
        table = np.array(rest, dtype=np.int64).reshape(len(rest), 3)
        return Pieces(lows=table[:, 0], highs=table[:, 1], tops=table[:, 2])

    def _unsettled(self, low: int, high: int, top: int) -> list[tuple[int, int, int]]:
        rest = []
        for begin, end in self.settled:
            if end < low:
                continue
            if begin > high:
                break
            if begin > low:
                rest.append((low, begin - 1, top))
            low = end + 1
        if low <= high:
            rest.append((low, high, top))
        return rest

    def settle(self, low: int, high: int) -> None:
        """Note that nothing is missing from ``low`` to ``high``."""
        merged: list[tuple[int, int]] = []
        for begin, end in sorted([*self.settled, (low, high)]):
            if merged and begin <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        self.settled = merged

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

    def box(self) -> FloatArray:
        """The largest values among the points known."""
        points = self.designs.points
        return np.array([points[-1, 0], points[0, 1]], dtype=np.float64)

    def outer(self, reference: FloatArray) -> float:
        """Area below a reference that no design can exceed."""
        pieces = self.pieces()
        missing = float(self.areas(pieces, reference).sum()) if len(pieces) else 0.0
        return missing + hypervolume(self.designs.points, reference)

    def gap(self) -> float | None:
        """Share of the area, in the box of the points known, that unknown designs may add; None without points."""
        if not len(self.designs):
            return None
        outer = self.outer(self.box())
        return 1.0 - hypervolume(self.designs.points, self.box()) / outer if outer > 0.0 else 0.0

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

    @property
    def ends_are_proven(self) -> bool:
        """Whether no design has a smaller first or second sum than the points known: the box is that of the optima."""
        pieces, points = self.pieces(), self.designs.points
        if not len(points):
            return False
        outside = (pieces.highs < points[0, 0]) | (pieces.lows > points[-1, 0])
        return not outside.any()

    # -- searching ---------------------------------------------------------------------------------------------------

    def run(self, gap: float) -> None:
        """Planes, good designs by beams, the ends, then piece by piece."""
        if self.task.is_free:
            for order in ((0, 1), (1, 0)):
                self.relaxation.found.append(lexicographic(self.task, order))
        if not self._bound():
            return
        if gap > 0:
            self._refine(gap)
        self._ends()
        for beam in _BEAMS:
            if not self.task.has_time or self._is_within(gap) or not self._beam(beam):
                break
        if gap > 0:
            self._refine(gap)
        count = 8
        while self.task.has_time and not self._is_within(gap):
            pieces = self._open_pieces()
            if not len(pieces):
                return
            rows = self._next(pieces, count, by_area=gap > 0)
            outcome = self._search(pieces, rows, most=_FEW_LABELS if len(rows) > 1 else MOST_AT_A_NODE)
            if outcome is Outcome.EXACT:
                count = min(64, count * 2)
            elif outcome is Outcome.FULL and len(rows) == 1:
                self.stuck.add((int(pieces.lows[rows[0]]), int(pieces.highs[rows[0]])))
            else:
                count = max(1, len(rows) // 4)

    def _is_within(self, gap: float) -> bool:
        """Whether a gap that is allowed is reached."""
        current = self.gap() if gap > 0 else None
        return current is not None and current <= gap

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

    def _refine(self, gap: float, most: int = 150) -> None:
        """More planes where most is open."""
        tried: set[tuple[float, float]] = set()
        for _ in range(most):
            current = self.gap()
            if not self.task.has_time or current is None or current <= gap / 2:
                return
            pair = self._widest(tried)
            if pair is None:
                return
            tried.add(pair)
            ratio = float(np.sqrt(pair[0] * pair[1]))
            near = min(self.relaxation.planes, key=lambda p: abs(_ratio(p.weights) - pair[0]))
            self.relaxation.plane(np.array([ratio, 1.0]) / (1 + ratio), near.prices)

    def _widest(self, tried: set[tuple[float, float]]) -> tuple[float, float] | None:
        """The two neighbouring slopes whose planes meet farthest below the points known."""
        ratios = sorted(
            {_ratio(p.weights): p for p in self.relaxation.planes if p.weights.all()}.items(), key=lambda item: item[0]
        )
        points = self.designs.points / self.relaxation.ranges
        best, pair = 1e-9, None
        for (low, one), (high, two) in pairwise(ratios):
            if (low, high) in tried or high < low * 1.02:
                continue
            matrix = np.array([one.weights, two.weights])
            meet = np.linalg.solve(matrix, np.array([one.bound, two.bound]))
            distance = float(np.maximum(points - meet, 0.0).max(axis=1).min())
            if distance > best:
                best, pair = distance, (low, high)
        return pair

    def _bounds(self, pieces: Pieces, rows: IntArray) -> Bounds:
        return bounds_at(self.relaxation, pieces.corners[rows]).at(np.arange(len(rows)), _STRICT)

    def _beam(self, beam: int) -> bool:
        """One search for good designs in all open pieces; False when it was exact, so that no larger one is needed."""
        pieces = self._open_pieces()
        if not len(pieces):
            return False
        rows = np.arange(len(pieces))
        designs, outcome = search_labels(self.task, self.thin, self._bounds(pieces, rows), beam=beam)
        self.relaxation.found.append(designs)
        if outcome is Outcome.EXACT:
            for low, high in zip(pieces.lows.tolist(), pieces.highs.tolist(), strict=True):
                self.settle(low, high)
        return outcome is Outcome.CUT

    def _open_pieces(self) -> Pieces:
        """Open pieces after those were settled that a bound closes, without those that are too hard."""
        pieces = self.pieces()
        if not len(pieces):
            return pieces
        closed = bounds_at(self.relaxation, pieces.corners).strictest > 0
        for low, high in zip(pieces.lows[closed].tolist(), pieces.highs[closed].tolist(), strict=True):
            self.settle(low, high)
        hard = np.array([key in self.stuck for key in zip(pieces.lows.tolist(), pieces.highs.tolist(), strict=True)])
        kept = ~closed & ~hard
        return Pieces(lows=pieces.lows[kept], highs=pieces.highs[kept], tops=pieces.tops[kept])

    def _ends(self) -> None:
        """Prove the smallest first and second sums."""
        first, second = least_sum(self.task, 0, _END_SHARE), None
        self._add(first)
        if first.is_exact or first.bound > self.task.least[-1, 0]:
            self.settle(int(self.task.least[-1, 0]), first.bound - 1)
        second = least_sum(self.task, 1, _END_SHARE)
        self._add(second)
        points = self.designs.points
        if len(points) and second.bound == points[-1, 1]:
            self.settle(int(points[-1, 0]) + 1, int(self.task.most[-1, 0]))

    def _add(self, least: Least) -> None:
        """Keep the design of a least sum, with both of its sums."""
        if len(least.designs):
            self.relaxation.found.append(self.task.of_options(least.designs.options))

    def _next(self, pieces: Pieces, count: int, *, by_area: bool) -> IntArray:
        """Neighbouring pieces to search together."""
        start = 0
        if by_area and len(self.designs):
            start = max(0, int(np.argmax(self.areas(pieces, self.box()))) - count // 2)
        return np.arange(start, min(len(pieces), start + count))

    def _search(self, pieces: Pieces, rows: IntArray, *, most: int) -> Outcome:
        designs, outcome = search_labels(self.task, self.thin, self._bounds(pieces, rows), most=most)
        self.relaxation.found.append(designs)
        if outcome is Outcome.EXACT:
            for row in rows.tolist():
                self.settle(int(pieces.lows[row]), int(pieces.highs[row]))
        return outcome


def _ratio(weights: FloatArray) -> float:
    return float(weights[0] / weights[1]) if weights[1] else np.inf
