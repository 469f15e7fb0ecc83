"""Three and more sums: designs that are cheapest for some weights, all on the way between, and what is left above them.

Every plane bounds all designs, so the share of hypervolume that unknown designs may add is the volume above all planes
less that below the designs, both computed and not sampled, in the box of the least values and of the designs that have
them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.archive import Designs, best_of
from dse.solve.hypervolume import hypervolume, open_corners, volume_above
from dse.solve.pairs import pair_paths
from dse.solve.relaxation import SAFETY, Plane, Relaxation
from dse.solve.single_sum import least_sum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse.solve.tables import IntArray
    from dse.solve.task import Task
    from dse.solve.trellis import FloatArray

_BATCH = 160
"""Planes added at a time where most is open; with limited resources each takes longer, so fewer."""

_PRICED_BATCH = 24

_HULL_ROUNDS = 12

_SLICES = 4
"""Fronts of pairs of weighted sums between two rounds of planes."""

_END_SHARE = 0.1
"""Share of the time left that proving the least value of one limited sum may take."""

_LARGEST = 2**60
"""Largest sum of weighted integers."""

_MOST_POINTS = 60_000
"""Designs kept: more cost more time in comparisons than they add."""


@dataclass(slots=True, kw_only=True, eq=False)
class Supported:
    """State of one search."""

    relaxation: Relaxation
    low: FloatArray = field(init=False)
    high: FloatArray = field(init=False)
    proven: bool = field(init=False, default=False)

    @property
    def task(self) -> Task:
        """The task that is solved."""
        return self.relaxation.task

    @property
    def designs(self) -> Designs:
        """The nondominated designs found so far."""
        return self.relaxation.designs

    def start(self) -> None:
        """The box: least values of each objective, and the largest values among designs that have them."""
        task, relaxation = self.task, self.relaxation
        count = task.objectives
        if task.is_free:
            orders = itertools.permutations(range(count)) if count < 5 else _rotations(count)
            found = best_of([lexicographic(task, order) for order in orders])
            relaxation.found.append(found)
            self.low = task.least[-1, :count].astype(np.float64)
            self.high = found.points.max(axis=0).astype(np.float64)
            self.proven = True
            return
        for position in range(count):
            weights = np.full(count, 1e-6)
            weights[position] = 1.0
            relaxation.plane(weights / weights.sum(), rounds=200)
        self.low = task.least[-1, :count].astype(np.float64)
        self.proven = True
        for position in range(count):
            least = least_sum(task, position, _END_SHARE)
            self.proven &= least.is_exact
            self.low[position] = max(self.low[position], least.bound)
            if len(least.designs):
                relaxation.found.append(task.of_options(least.designs.options))
        points = self.designs.points
        self.high = (points.max(axis=0) if len(points) else task.most[-1, :count]).astype(np.float64)

    def gap(self) -> float:
        """Share of the hypervolume that unknown designs may add; 1 while nothing is known."""
        outer = self.outer(self.high)
        if outer <= 0.0:
            return 0.0
        inner = hypervolume(self.designs.points, self.high)
        return float(min(1.0, max(0.0, 1.0 - inner / outer) + SAFETY))

    def outer(self, reference: FloatArray) -> float:
        """Volume that planes leave open below a reference."""
        weights, bounds = self._planes()
        if (reference <= self.low).any():
            return 0.0
        return volume_above(weights, bounds, self.low, reference)

    def lower(self) -> IntArray:
        """Per design, the least first sum that planes allow given its others, rounded up to an integer."""
        from dse.solve.compiled.relaxation import largest_below

        weights, bounds = self._planes()
        points = self.designs.points
        used = weights[:, 0] > 0
        first = weights[used, 0]
        others = np.ascontiguousarray(points[:, 1:].astype(np.float64))
        least = largest_below(others, weights[used, 1:] / first[:, None], bounds[used] / first, self.low[0])
        return np.asarray(np.minimum(points[:, 0], np.ceil(least - 1e-6 * np.abs(least)).astype(np.int64)))

    def _planes(self) -> tuple[FloatArray, FloatArray]:
        planes = self.relaxation.planes
        weights = np.array([plane.weights for plane in planes]).reshape(len(planes), self.task.objectives)
        return weights / self.relaxation.ranges, np.array([plane.bound for plane in planes])

    def run(self, gap: float) -> None:
        """Improve both sides until the gap or the deadline."""
        self._grid()
        tried: set[bytes] = set()
        slices = self._slices() if self.task.is_free else iter(())
        while self.task.has_time:
            self._refine(tried)
            advanced = False
            for _ in range(_SLICES if len(self.designs) < _MOST_POINTS else 0):
                part = next(slices, None) if self.task.has_time else None
                if part is None:
                    break
                self.relaxation.add(part)
                advanced = True
            if not self.task.is_free:
                points = self.designs.points
                self.high = points.max(axis=0).astype(np.float64) if len(points) else self.high
            if self.gap() <= max(gap, 1e-9) or not (advanced or self._fresh):
                return

    def run_hull(self) -> None:
        """Weighted sums only, until they find nothing new."""
        self._grid()
        tried: set[bytes] = set()
        for _ in range(_HULL_ROUNDS):
            if not (self.task.has_time and self._fresh):
                return
            self._refine(tried)

    _fresh: bool = False

    def _grid(self) -> None:
        """First weights: the corners and a coarse grid, logarithmic because slopes of real fronts span decades."""
        steps = (1e-4, 1e-2, 1.0)
        rows = [row for row in itertools.product(steps, repeat=self.task.objectives) if max(row) == 1.0]
        self._solve(np.unique(np.array(rows), axis=0))
        self._fresh = True

    def _solve(self, weights: FloatArray) -> None:
        from dse.solve.compiled.relaxation import cheapest_paths

        relaxation, trellis = self.relaxation, self.task.trellis
        weights = weights / weights.sum(axis=1, keepdims=True)
        if not self.task.is_free:
            for row in weights:
                if not self.task.has_time:
                    return
                near = min(relaxation.planes, key=lambda plane: float(np.abs(plane.weights - row).sum()))
                relaxation.plane(row, near.prices, rounds=40)
            return
        bounds, paths = cheapest_paths(
            trellis.firsts, trellis.target, relaxation.objectives, np.ascontiguousarray(weights), trellis.depth
        )
        size = np.maximum(np.abs(self.task.most[-1]), np.abs(self.task.least[-1])) / relaxation.ranges
        none = np.zeros(0)
        for row, bound in zip(weights, bounds.tolist(), strict=True):
            margin = SAFETY * (abs(bound) + float(row @ size))
            relaxation.planes.append(Plane(weights=row, prices=none, bound=bound - margin))
        relaxation.add(paths)

    def _refine(self, tried: set[bytes]) -> None:
        """Planes at the vertices of what is open that lie farthest from the designs known."""
        from dse.solve.compiled.volume import distances

        self._fresh = False
        if (self.high <= self.low).any():
            return
        weights, bounds = self._planes()
        corners = open_corners(weights, bounds, self.low, self.high)
        if corners is None or not len(self.designs):
            return
        corners = corners[np.isfinite(corners).all(axis=1)]
        extent = self.high - self.low
        points = (self.high - self.designs.points) / extent
        if len(points) > 4000:
            points = points[:: len(points) // 4000 + 1]
        distance = distances(corners, points)
        volumes = distance * np.prod(np.maximum(corners, 0.0), axis=1) ** (1 / 3)
        batch = _BATCH if self.task.is_free else _PRICED_BATCH
        far = np.argsort(-volumes, kind="stable")
        scaled = weights * extent
        room = weights @ self.high - bounds
        size = np.maximum(scaled.max(axis=1), 1e-300)
        chosen: list[FloatArray] = []
        for corner in corners[far]:
            touching = np.abs(scaled @ corner - room) <= 1e-7 * size
            if not touching.any():
                continue
            middle = (scaled[touching] / scaled[touching].sum(axis=1, keepdims=True)).mean(axis=0)
            row = middle / extent * self.relaxation.ranges
            key = np.round(row / row.sum(), 9).tobytes()
            if key not in tried:
                tried.add(key)
                chosen.append(row)
            if len(chosen) == batch:
                break
        if chosen:
            self._solve(np.array(chosen))
            self._fresh = True

    def _slices(self) -> Iterator[IntArray]:
        """Paths of the fronts of two weighted sums, in which the other objectives have a share; finer and finer."""
        count = self.task.objectives
        for size in (3, 5, 9, 17):
            shares = np.geomspace(1e-4, 10.0, size)
            for one, two in itertools.combinations(range(count), 2):
                for share, other in itertools.product(shares, shares):
                    weights = np.empty((2, count))
                    weights[0], weights[1] = share, other
                    weights[0, one], weights[0, two] = 1.0, 0.0
                    weights[1, two], weights[1, one] = 1.0, 0.0
                    paths = self._slice(weights)
                    if paths is None:
                        return
                    yield paths

    def _slice(self, weights: FloatArray) -> IntArray | None:
        """Paths whose two weighted sums are nondominated."""
        task = self.task
        count = task.objectives
        extent = np.maximum(np.abs(task.most[-1]), np.abs(task.least[-1]))[:count].astype(np.float64)
        per_unit = weights / self.relaxation.ranges
        smallest = np.where(per_unit > 0, per_unit, np.inf).min(axis=1, keepdims=True)
        factors = np.minimum(per_unit / smallest * 64, _LARGEST / count / np.maximum(extent, 1.0)).astype(np.int64)
        mixed = replace(
            task,
            trellis=replace(task.trellis, cost=np.ascontiguousarray(task.trellis.cost[:, :count] @ factors.T)),
            objectives=2,
            limits=np.full(2, 2 * _LARGEST),
            least=np.zeros((task.trellis.node_count, 2), dtype=np.int64),
        )
        return pair_paths(mixed)


def _rotations(count: int) -> list[tuple[int, ...]]:
    return [tuple((start + step) % count for step in range(count)) for start in range(count)]


def lexicographic(task: Task, order: tuple[int, ...]) -> Designs:
    """The first selection with the smallest first sum of ``order``, then the smallest second, and so on."""
    from dse.solve.compiled.paths import best_after, best_before, cheapest_path

    trellis = task.trellis
    for dimension in order:
        cost = trellis.cost[:, [dimension]].astype(np.float64)
        before = best_before(trellis.node_count, trellis.source, trellis.target, cost)
        after = best_after(trellis.node_count, trellis.source, trellis.target, cost)
        through = before[trellis.source] + cost + after[trellis.target]
        trellis = trellis.keep(through[:, 0] == before[-1, 0]).connected()
    zeros = np.zeros(len(trellis.option))
    _, path = cheapest_path(trellis.firsts, trellis.target, zeros, np.empty(trellis.node_count), trellis.depth)
    points = trellis.cost[path].sum(axis=0)[None, : task.objectives]
    return Designs(points=points, options=trellis.option[path][None])
