"""Lower bounds of a utilisation: resources weighted together, as shares of what there is, never exceed the fullest one.

The front of one sum and of resources so weighted is that of two sums, found exactly and quickly. No design lies below
any of these staircases, whatever the weights, and their designs, judged by their fullest resource, are good ones: the
surrogate relaxation (Glover, 1968), whose bounds are at least as tight as Lagrangian ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.archive import Designs, best_of
from dse.solve.pairs import pair_paths
from dse.solve.tables import PARTS_PER_MILLION
from dse.solve.task import FREE, as_task

if TYPE_CHECKING:
    from dse.solve.tables import IntArray
    from dse.solve.task import Task
    from dse.solve.trellis import BoolArray, FloatArray

_LARGEST = 2**62 // PARTS_PER_MILLION
"""Largest weighted sum: in parts per million it still fits into 64 bits."""

_MIXED = 0.04
"""Share of every resource in the first weights: a resource that counts nothing would be filled without need."""

_MOST_PRICE = 10.0
"""Largest weight of a limit, where the weights of resources add up to 1."""

_BEYOND = np.iinfo(np.int64).max
"""Stands for the utilisation where no design is."""

_ROWS = 40
"""Rows of the linear programme for the best weights at most."""

_EQUAL = 1e-7

_HULL = 9
_STEEPEST = 1e3
"""Number of weights, and largest ratio, of the designs to begin with."""

_SLOPES = 24
"""Planes per staircase at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stairs:
    """What one choice of weights proves.

    Attributes:
        weights: Integer weight of each dimension but the first.
        scale: Sum of weights times what there is: what is divided by for a utilisation.
        firsts: First sums, ascending.
        weighted: Least weighted sum of designs whose first sum is below the next of ``firsts``.
        shares: Their least utilisation in parts per million: the same less what limits allow, divided by ``scale``.
    """

    weights: IntArray
    scale: int
    firsts: IntArray
    weighted: IntArray
    shares: IntArray


@dataclass(slots=True, kw_only=True, eq=False)
class Surrogates:
    """Staircases found for a task of one sum and a utilisation so far, and the designs met."""

    task: Task
    thin: Task
    stairs: list[Stairs] = field(default_factory=list)
    top: int = field(init=False)
    priced: list[int] = field(init=False)
    _totals: list[IntArray] = field(default_factory=list)
    _found: list[Designs] = field(default_factory=list)

    def __post_init__(self) -> None:
        task, count = self.task, len(self.task.available)
        largest = np.minimum(task.limits, task.most[-1])[1:]
        self.top = int((-(-largest[:count] * PARTS_PER_MILLION // task.available)).max())
        # The limit of a resource that is no fuller than the fullest may be says nothing more.
        implied = np.zeros(len(largest), dtype=np.bool_)
        implied[:count] = self.top * task.available // PARTS_PER_MILLION <= task.limits[1 : count + 1]
        self.priced = np.flatnonzero((task.limits[1:] < FREE) & ~implied).tolist()

    @property
    def designs(self) -> Designs:
        """The nondominated designs found so far."""
        merged = best_of(self._found) if self._found else Designs.none(self.task.values, self.task.trellis.depth)
        self._found = [merged]
        return merged

    def add(self, designs: Designs) -> None:
        """Keep designs found elsewhere."""
        self._found.append(designs)

    def hull(self) -> None:
        """Designs that are cheapest for some weights of the sum and of all resources alike: there is always time."""
        from dse.solve.compiled.relaxation import cheapest_paths

        task, thin = self.task, self.thin
        spans = np.maximum(task.most[-1] - task.least[-1], 1).astype(np.float64)
        objectives = np.stack(
            (thin.trellis.cost[:, 0] / spans[0], (thin.trellis.cost[:, 1:] / spans[1:]).sum(axis=1)), axis=1
        )
        weights = np.stack((np.geomspace(1.0, _STEEPEST, _HULL), np.geomspace(_STEEPEST, 1.0, _HULL)), axis=1)
        _, paths = cheapest_paths(thin.trellis.firsts, thin.trellis.target, objectives, weights, thin.trellis.depth)
        self.add(thin.designs(paths))

    def begin(self) -> bool:
        """Each resource alone, with a little of all others, and all together; False when the time is over."""
        self.hull()
        count = len(self.task.available)
        starts = [np.full(count, 1.0 / count)]
        if count > 1:
            starts += list((1.0 - _MIXED) * np.eye(count) + _MIXED / count)
        none = np.zeros(len(self.priced))
        return all(self.weigh(np.concatenate((shares, none))) for shares in starts)

    def weigh(self, prices: FloatArray) -> bool:
        """Find the front of the first sum and of weighted resources; False when the time is over.

        Args:
            prices: Weight of each resource as a share of what there is (adding up to 1), then of each limit in
                ``priced`` as a share of it.
        """
        task, thin = self.task, self.thin
        count = len(task.available)
        units = np.zeros(len(task.limits) - 1)
        units[:count] = prices[:count] / task.available
        charges = np.zeros(len(units))
        charges[self.priced] = prices[count:] / np.maximum(task.limits[1:][self.priced], 1)
        size = float((units + charges) @ np.maximum(task.most[-1, 1:], np.where(charges > 0, task.limits[1:], 0)))
        factor = min(_LARGEST / 4 / max(size, 1e-300), _LARGEST / 4.0)
        shares, limits = ((one * factor).astype(np.int64) for one in (units, charges))
        weights = shares + limits
        scale = int(shares[:count] @ task.available)
        if not scale:
            return True
        offset = int(limits @ np.where(limits > 0, task.limits[1:], 0))
        # Whoever is no fuller than the fullest may be weighs no more than this.
        most = np.array(
            [task.limits[0], min(FREE * PARTS_PER_MILLION // 2, scale * self.top // PARTS_PER_MILLION + offset)]
        )
        cost = np.stack((thin.trellis.cost[:, 0], thin.trellis.cost[:, 1:] @ weights), axis=1)
        paths = pair_paths(as_task(replace(thin.trellis, cost=cost), 2, most, clock=task.clock))
        if paths is None:
            return False
        arcs = thin.trellis.cost[paths].sum(axis=1) if len(paths) else np.zeros((0, len(task.limits)), dtype=np.int64)
        weighted = arcs[:, 1:] @ weights
        self.stairs.append(
            Stairs(
                weights=weights,
                scale=scale,
                firsts=arcs[:, 0],
                weighted=weighted,
                shares=-((offset - weighted) * PARTS_PER_MILLION // scale),
            )
        )
        self._totals.append(arcs)
        self.add(thin.designs(paths))
        return True

    def least(self, firsts: IntArray) -> IntArray:
        """Least utilisation of designs with at most these first sums; a huge number where there are none."""
        best = np.full(len(firsts), self.task.points(self.task.least[-1:])[0, -1])
        for one in self.stairs:
            place = np.searchsorted(one.firsts, firsts, side="right") - 1
            padded = np.concatenate(([_BEYOND], one.shares))
            best = np.maximum(best, padded[place + 1])
        return best

    def excludes(self, corners: IntArray) -> BoolArray:
        """Mask of the vectors that no design reaches: what they allow of each resource weighs less than the least."""
        ceilings = self.task.ceilings(corners)[:, 1:]
        excluded = np.zeros(len(corners), dtype=np.bool_)
        for one in self.stairs:
            place = np.searchsorted(one.firsts, corners[:, 0], side="right")
            excluded |= np.concatenate(([_BEYOND], one.weighted))[place] > ceilings @ one.weights
        return excluded

    def least_first(self, shares: IntArray) -> IntArray:
        """Least first sum of designs that are at most so full; a huge number where there are none."""
        best = np.full(len(shares), self.task.least[-1, 0])
        for one in self.stairs:
            place = np.searchsorted(-one.shares, -shares)
            best = np.maximum(best, np.concatenate((one.firsts, [_BEYOND]))[place])
        return best

    def weights_at(self, first: int) -> FloatArray | None:
        """Weights that make the least utilisation of the designs met, up to a first sum, as large as they can.

        A linear programme with a row per design met, of which only those are written that some weights make least.
        """
        from scipy.optimize import linprog

        task, count = self.task, len(self.task.available)
        totals = np.concatenate(self._totals)
        totals = totals[totals[:, 0] <= first, 1:]
        if not len(totals):
            return None
        above = totals[:, self.priced] / np.maximum(task.limits[1:][self.priced], 1) - 1.0
        rows = np.column_stack((totals[:, :count] / task.available, above))
        free = len(self.priced)
        prices = np.concatenate((np.full(count, 1.0 / count), np.zeros(free)))
        bound, used = -np.inf, list[int]()
        for _ in range(_ROWS):
            least = rows @ prices
            row = int(np.argmin(least))
            if least[row] >= bound - _EQUAL and used:
                break
            used.append(row)
            answer = linprog(
                np.append(np.zeros(count + free), -1.0),
                A_ub=np.column_stack((-rows[used], np.ones(len(used)))),
                b_ub=np.zeros(len(used)),
                A_eq=[[1.0] * count + [0.0] * (free + 1)],
                b_eq=[1.0],
                bounds=[(0.0, 1.0)] * count + [(0.0, _MOST_PRICE)] * free + [(None, None)],
            )
            if not answer.success:
                return None
            prices, bound = np.asarray(answer.x[:-1]), float(answer.x[-1])
        return prices

    def planes(self) -> FloatArray:
        """Weights of planes that touch the staircases, shape ``(planes, dimensions)``."""
        rows = [np.append(0.0, one.weights / one.scale) for one in self.stairs]
        for one in self.stairs:
            hull = _lower_hull(one.firsts, one.shares)
            slopes = [
                (one.shares[a] - one.shares[b]) / PARTS_PER_MILLION / (one.firsts[b] - one.firsts[a])
                for a, b in pairwise(hull)
            ]
            rows += [np.append(slope, one.weights / one.scale) for slope in slopes[:: len(slopes) // _SLOPES + 1]]
        return np.array(rows)


def _lower_hull(firsts: IntArray, shares: IntArray) -> list[int]:
    """Positions of the corners of the lower convex hull of falling stairs."""
    hull: list[int] = []
    x, y = firsts.astype(np.float64), shares.astype(np.float64)
    for place in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (y[b] - y[a]) * (x[place] - x[a]) < (y[place] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(place)
    return hull


def weighted_together(task: Task, shares: FloatArray) -> tuple[Task, int]:
    """A task of sums alone, in which the resources of a utilisation are one sum, and what that is divided by.

    Args:
        task: With a utilisation.
        shares: Weight of each of its resources as a share of what there is.
    """
    count = task.objectives
    used = slice(count, count + len(task.available))
    units = shares / task.available
    factor = _LARGEST / 4 / max(float(units @ task.most[-1, used]), 1e-300)
    weights = np.maximum((units * min(factor, _LARGEST / 4.0)).astype(np.int64), units > 0)
    cost, limits = task.trellis.cost, task.limits
    limited = [d for d in range(count, len(limits)) if limits[d] < FREE]
    mixed = np.column_stack((cost[:, :count], cost[:, used] @ weights, cost[:, limited]))
    most = np.concatenate((limits[:count], [_LARGEST], limits[limited]))
    names = task.trellis.dimensions
    trellis = replace(
        task.trellis, cost=mixed, dimensions=(*names[:count], "together", *(names[column] for column in limited))
    )
    return as_task(trellis, count + 1, most, clock=task.clock), int(weights @ task.available)
