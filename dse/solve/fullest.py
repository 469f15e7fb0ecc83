"""Fronts with a utilisation: how full the fullest resource is, beside sums; tasks without one go to `sums`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.archive import Designs, best_of
from dse.solve.labels import Bounds, Outcome, all_labels, bounds_of, few_labels, search_labels
from dse.solve.pieces import Pieces, PiecewiseSearch
from dse.solve.single_sum import least_sum
from dse.solve.sums import Aim, Effort, Solved, exactly, solve_sums
from dse.solve.surrogates import Surrogates, weighted_together
from dse.solve.tables import PARTS_PER_MILLION
from dse.solve.task import as_task

if TYPE_CHECKING:
    from dse.solve.clock import Clock
    from dse.solve.tables import IntArray
    from dse.solve.task import Task
    from dse.solve.trellis import BoolArray, FloatArray

_WEIGHINGS = 40
"""Weights of resources tried after the first ones."""

_END_SECONDS = 2.0
"""Wall time for proving one end; what stays open HiGHS is asked for."""

_ALONE = 0.9
"""Weight of one resource where it counts most."""

_WEIGHTED_SHARE = 0.7
"""Share of the time given to resources weighted together, where labels may still settle all."""

_PLACES = 6
"""Steps looked at for new weights, the largest first, before none are expected to help."""


def solve_task(task: Task, aim: Aim) -> Solved:
    """The nondominated designs of a task, or as many as its deadline and the gap allow."""
    if not len(task.available):
        return solve_sums(task, aim)
    if len(task.available) == 1 and task.available[0] <= PARTS_PER_MILLION:
        return _only_resource(task, aim)
    if task.has_time and aim.effort is Effort.FULL:
        designs = few_labels(task)
        if designs is not None:
            return exactly(designs, "labels")
    if task.objectives == 1:
        return _one_sum(task, aim)
    return _several_sums(task, aim)


def _only_resource(task: Task, aim: Aim) -> Solved:
    """One resource is as full as it is used: a sum like others, of which every value has a utilisation of its own."""
    limit = int(task.available[0])
    solved = solve_sums(replace(task, objectives=task.objectives + 1, available=task.available[:0]), aim)
    points = solved.designs.points.copy()
    points[:, -1] = -(-points[:, -1] * PARTS_PER_MILLION // limit)

    def outer(reference: FloatArray) -> float:
        used = np.append(reference[:-1], reference[-1] * limit / PARTS_PER_MILLION)
        return solved.outer(used) * PARTS_PER_MILLION / limit

    # A coverage is counted in the first objective, a volume in all.
    return replace(solved, designs=Designs(points=points, options=solved.designs.options), outer=outer)


def _one_sum(task: Task, aim: Aim) -> Solved:
    search = Filling(task=task, thin=task.thinned())
    if aim.known is not None:
        search.add(task.of_options(aim.known))
    search.run(aim)
    search.open_pieces()  # settles what a bound closes
    pieces, points = search.pieces(), search.designs.points
    missing = ~np.isin(pieces.lows, points[:, 0])  # at a point only a smaller selection can be
    return Solved(
        designs=search.designs,
        complete=not missing.any(),
        method="resources weighted together, and labels that they bound",
        lower=search.lower(),
        outer=search.outer,
        box_is_proven=search.ends_are_proven,
    )


@dataclass(slots=True, kw_only=True, eq=False)
class Filling(PiecewiseSearch):
    """The front of one sum and a utilisation; ``run`` improves it until the deadline, the gap or the end."""

    surrogates: Surrogates = field(init=False)

    def __post_init__(self) -> None:
        self.surrogates = Surrogates(task=self.task, thin=self.thin)

    @property
    def designs(self) -> Designs:
        """The nondominated designs found so far."""
        return self.surrogates.designs

    @property
    def highest(self) -> int:
        """The largest utilisation that limits allow."""
        return self.surrogates.top

    def add(self, designs: Designs) -> None:
        """Keep designs."""
        self.surrogates.add(designs)

    def bounds(self, corners: IntArray) -> Bounds:
        """Planes that touch the staircases."""
        return bounds_of(self.task, self.surrogates.planes(), corners)

    def closed(self, pieces: Pieces) -> BoolArray:
        """Mask of the pieces that lie below a staircase."""
        return self.surrogates.excludes(pieces.corners)

    def _steps(self) -> tuple[IntArray, IntArray, IntArray]:
        """``(first sums, least utilisation, utilisation known)``, each up to the next first sum."""
        points, stairs = self.designs.points, self.surrogates.stairs
        settled = np.array(self.settled, dtype=np.int64).reshape(-1, 2)
        firsts = np.unique(
            np.concatenate(
                [self.task.least[-1, :1], points[:, 0], settled[:, 0], settled[:, 1] + 1, *(s.firsts for s in stairs)]
            )
        )
        known = np.concatenate(([self.highest + 1], points[:, 1]))[np.searchsorted(points[:, 0], firsts, side="right")]
        is_settled = np.searchsorted(settled[:, 0], firsts, side="right") > np.searchsorted(settled[:, 1], firsts)
        least = np.where(is_settled, known, np.minimum(self.surrogates.least(firsts), known))
        return firsts, least, known

    def outer(self, reference: FloatArray) -> float:
        """Area below a reference that no design can exceed."""
        firsts, least, _ = self._steps()
        ends = np.minimum(np.append(firsts[1:].astype(np.float64), np.inf), reference[0])
        widths = np.maximum(ends - firsts, 0.0)
        heights = np.where(least > self.highest, 0.0, np.maximum(reference[1] - least, 0.0))
        return float(widths @ heights)

    def areas(self, pieces: Pieces, reference: FloatArray) -> FloatArray:
        """Area per piece, below a reference, that unknown designs could still dominate; by the least of its end."""
        widths = np.minimum(pieces.highs + 1.0, reference[0]) - pieces.lows
        heights = np.minimum(pieces.tops + 1.0, reference[1]) - self.surrogates.least(pieces.highs)
        return np.asarray(np.maximum(widths, 0.0) * np.maximum(heights, 0.0))

    def lower(self) -> IntArray:
        """Per design, a proven lower bound of its first sum given its utilisation."""
        points = self.designs.points
        pieces = self.pieces()
        least = np.minimum(points[:, 0], self.surrogates.least_first(points[:, 1]))
        # What lies between two settled points cannot be where one settled the piece before.
        for row, (first, bound) in enumerate(zip(points[:, 0].tolist(), least.tolist(), strict=True)):
            below = pieces.lows[(pieces.lows < first) & (pieces.highs >= bound)]
            least[row] = max(bound, int(below.min())) if len(below) else first
        return np.asarray(least)

    def run(self, aim: Aim) -> None:
        """Staircases, where most is open; then good designs by beams, and labels piece by piece."""
        if not self.surrogates.begin():
            return
        self._weigh(aim.gap)
        if aim.with_ends:
            self._ends()
        if aim.effort is Effort.FULL:
            self.search_beams(aim.gap)
            self.search_pieces(aim.gap)

    def _weigh(self, gap: float) -> None:
        """Weights for where most is open, until that brings nothing new."""
        tried: set[bytes] = set()
        for _ in range(_WEIGHINGS):
            if not self.task.has_time or self.is_within(gap):
                return
            firsts, least, known = self._steps()
            open_area = (known - least)[:-1].astype(np.float64) * np.diff(firsts)
            prices = None
            for place in np.argsort(-open_area, kind="stable")[:_PLACES].tolist():
                found = self.surrogates.weights_at(int(firsts[place])) if open_area[place] > 0 else None
                if found is not None and np.round(found, 3).tobytes() not in tried:
                    prices = found
                    break
            if prices is None:
                return
            tried.add(np.round(prices, 3).tobytes())
            if not self.surrogates.weigh(prices):
                return

    def _ends(self) -> None:
        """Prove the least first sum and the least utilisation, where bounds did not."""
        task, points = self.task, self.designs.points
        pieces = self.open_pieces()
        if not len(pieces):
            return
        if not len(points) or pieces.lows[0] < points[0, 0]:
            first = least_sum(task, 0, _share_of(task.clock))
            if len(first.designs):
                self.add(task.of_options(first.designs.options))
            self.settle(int(task.least[-1, 0]), first.bound - 1)
        points = self.designs.points
        if len(points) and pieces.highs[-1] > points[-1, 0]:
            self._least_utilisation(int(points[-1, 1]))

    def _least_utilisation(self, known: int) -> None:
        """Look for less than is known, by labels of the resources alone."""
        task = self.task
        cost = task.trellis.cost * (np.arange(len(task.limits)) > 0)
        clock = task.clock.part(_share_of(task.clock))
        alone = as_task(replace(task.trellis, cost=cost), 1, task.limits, clock=clock, available=task.available)
        weights = np.unique(self.surrogates.planes() * (np.arange(len(task.limits)) > 0), axis=0)
        bounds = bounds_of(alone, weights, np.array([[0, known - 1]]))
        found, outcome = search_labels(alone, alone.thinned(), bounds)
        if len(found):
            self.add(task.of_options(found.options))
        if outcome is Outcome.EXACT:
            self.settle(int(self.designs.points[-1, 0]) + 1, int(task.most[-1, 0]))


def _share_of(clock: Clock) -> float:
    """The share of the time left that one end may take."""
    return _END_SECONDS / max(clock.seconds_left, _END_SECONDS)


def _several_sums(task: Task, aim: Aim) -> Solved:
    """Two and more sums and a utilisation: resources weighted together are one more sum, whose planes bound all."""
    count = len(task.available)
    weights = [np.full(count, 1.0 / count), *(_ALONE * np.eye(count) + (1.0 - _ALONE) / count)]
    parts: list[tuple[Solved, int]] = []
    for number, shares in enumerate(weights):
        together, scale = weighted_together(
            replace(task, clock=task.clock.part(_WEIGHTED_SHARE / (len(weights) - number))), shares
        )
        parts.append((solve_sums(together, Aim(gap=aim.gap / 2, effort=aim.effort)), scale))
    if aim.effort is Effort.FULL and aim.gap <= 0.0 and task.has_time:
        exact = all_labels(task)
        if exact is not None:
            return exactly(exact, "labels")
    designs = best_of([task.of_options(one.designs.options) for one, _ in parts])

    def outer(reference: FloatArray) -> float:
        return min(
            one.outer(np.append(reference[:-1], reference[-1] * scale / PARTS_PER_MILLION)) * PARTS_PER_MILLION / scale
            for one, scale in parts
        )

    return Solved(
        designs=designs,
        complete=False,
        method="resources weighted together",
        lower=np.minimum(designs.points[:, 0], task.least[-1, 0]),
        outer=outer,
        box_is_proven=False,
    )
