"""Lower bounds that hold for every design, and good designs, from the Lagrangian relaxation of a task.

A plane ``weights . z >= bound`` holds for the objectives z of every design that keeps all limits. Without limits it is
the cheapest path; with them every limited resource gets a price, and the path that is cheapest so priced bounds all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.archive import Designs, best_of
from dse.solve.task import FREE

if TYPE_CHECKING:
    from dse.solve.tables import IntArray
    from dse.solve.task import Task
    from dse.solve.trellis import FloatArray

SAFETY = 1e-11
"""Relative error allowed for sums of a few hundred products in double precision; bounds are lowered by it."""

ROUNDS = 80
"""Subgradient steps for a plane whose prices start from a neighbour's."""

MOVES = 400


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """No design has ``weights . objectives`` below ``bound``; ``prices`` (per unit of each resource) prove it."""

    weights: FloatArray
    prices: FloatArray
    bound: float


@dataclass(slots=True, kw_only=True, eq=False)
class Relaxation:
    """Planes and designs found for a task so far."""

    task: Task
    ranges: FloatArray = field(init=False)
    objectives: FloatArray = field(init=False)
    resources: FloatArray = field(init=False)
    caps: FloatArray = field(init=False)
    limited: list[int] = field(init=False)
    planes: list[Plane] = field(default_factory=list)
    found: list[Designs] = field(default_factory=list)

    def __post_init__(self) -> None:
        task, count = self.task, self.task.objectives
        span = (task.most[-1] - task.least[-1]).astype(np.float64)
        self.ranges = np.maximum(span[:count], 1.0)
        self.objectives = np.ascontiguousarray(task.trellis.cost[:, :count] / self.ranges)
        # An objective with a limit of its own is a resource as well.
        limited = [d for d in range(len(task.limits)) if d >= count or task.limits[d] < FREE]
        # Shares of what is left above the least possible use: the same limits with well-scaled numbers.
        self.caps = np.maximum((task.limits - task.least[-1])[limited].astype(np.float64), 1.0)
        self.resources = np.zeros((len(task.trellis.option), len(limited)))
        for column, dimension in enumerate(limited):
            self.resources[:, column] = (task.trellis.cost[:, dimension] - _floor(task, dimension)) / self.caps[column]
        self.limited = limited

    @property
    def designs(self) -> Designs:
        """The nondominated designs found so far."""
        merged = best_of(self.found) if self.found else Designs.none(self.task.objectives, self.task.trellis.depth)
        self.found = [merged]
        return merged

    def add(self, paths: IntArray) -> None:
        """Keep what is valid of paths."""
        self.found.append(self.task.designs(paths))

    def plane(
        self,
        weights: FloatArray,
        prices: FloatArray | None = None,
        rounds: int = ROUNDS,
        goal: IntArray | None = None,
    ) -> Plane:
        """A plane of given weights (per range of each objective), with the designs met on the way.

        Args:
            weights: At least 0.
            prices: To start from.
            rounds: Most subgradient steps.
            goal: Objective vector about as good as there can be, if no design tells; a far one makes steps too long.
        """
        from dse.solve.compiled.paths import cheapest_path
        from dse.solve.compiled.relaxation import priced, raise_bound, repair

        trellis = self.task.trellis
        depth = trellis.depth
        none = np.zeros(0)
        if not self.limited:
            values = priced(self.objectives, self.resources, weights, none)
            bound, path = cheapest_path(trellis.firsts, trellis.target, values, np.empty(trellis.node_count), depth)
            self.add(path[None])
            best_prices = none
        else:
            start = np.zeros(len(self.limited)) if prices is None else prices
            known = self.designs.points if goal is None else goal[None]
            upper = (
                float((known / self.ranges @ weights).min())
                if len(known)
                else float((self.task.most[-1][: self.task.objectives] / self.ranges) @ weights)
            )
            bound, best_prices, paths = raise_bound(
                trellis.firsts,
                trellis.target,
                self.objectives,
                self.resources,
                weights,
                start.copy(),
                upper,
                rounds,
                depth,
            )
            tried = np.unique(paths, axis=0)
            self.add(tried)
            for path in tried[:: max(1, len(tried) // 8)]:
                if repair(
                    path,
                    trellis.firsts,
                    trellis.source,
                    trellis.target,
                    self.objectives,
                    self.resources,
                    weights,
                    MOVES,
                ):
                    self.add(path[None])
        size = float(
            np.abs(weights)
            @ (np.maximum(np.abs(self.task.most[-1]), np.abs(self.task.least[-1]))[: len(weights)] / self.ranges)
        )
        size += float(best_prices.sum()) * (1 + trellis.depth)
        plane = Plane(weights=weights, prices=best_prices, bound=bound - SAFETY * (abs(bound) + size))
        self.planes.append(plane)
        return plane


def _floor(task: Task, dimension: int) -> IntArray:
    """The difference of the least costs of an arc's nodes: subtracting it shifts all paths alike."""
    least = task.least[:, dimension]
    return least[task.trellis.target] - least[task.trellis.source]
