"""Label search over a trellis: sums in several dimensions, bounded by planes and by corners of what is known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.archive import Designs, best_of
from dse.solve.task import FREE

if TYPE_CHECKING:
    from dse.solve.relaxation import Relaxation
    from dse.solve.tables import IntArray
    from dse.solve.task import Task
    from dse.solve.trellis import FloatArray

MOST_AT_A_NODE = 1_500_000
"""Labels looked at before one node (about 100 MB), above which a search gives up."""

_FEW = 3000
_FEW_TRIPLES = 60_000
"""Labels before a node up to which a search without bounds is tried before anything else."""

_COMPARISONS = 1e9
"""Comparisons of labels in a second, blocks of them counted once."""

_QUICK = 3
"""Dimensions up to which labels need no comparison with all others."""

MOST_KEPT = 6_000_000
"""Labels kept over all layers."""


class Outcome(Enum):
    """How a label search ended."""

    EXACT = "exact"
    CUT = "cut"
    FULL = "full"
    TIME = "time"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bounds:
    """What labels are compared with: see `compiled.labels.promise`; no corners: nothing is bounded.

    Attributes:
        corners: Designs that matter are at or below one: objective vectors, with the totals of a utilisation's
            resources in its place; shape ``(corners, dimensions that are not only limited)``.
        weights: Multipliers per unit of each dimension, shape ``(bounds, dimensions)``.
        before: Smallest weighted sums from the first node to each node, shape ``(nodes, bounds)``.
        reach: Largest weighted sum at each corner, shape ``(corners, bounds)``.
        nearest: The bound that is strictest at each corner.
        strictest: How far that bound lies above the corner; positive: nothing is at or below the corner.
    """

    corners: IntArray
    weights: FloatArray
    before: FloatArray
    reach: FloatArray
    nearest: IntArray
    strictest: FloatArray

    @classmethod
    def none(cls, task: Task) -> Bounds:
        """No bounds."""
        return cls(
            corners=np.zeros((0, task.objectives + len(task.available)), dtype=np.int64),
            weights=np.zeros((0, len(task.limits))),
            before=np.zeros((task.trellis.node_count, 0)),
            reach=np.zeros((0, 0)),
            nearest=np.zeros(0, dtype=np.int64),
            strictest=np.zeros(0),
        )

    def at(self, rows: IntArray, bounds_per_corner: int) -> Bounds:
        """The bounds for some corners (ascending rows), and only the planes that are strict at one of them."""
        total = self.before[-1]
        strict = total[None] - self.reach[rows]
        used = np.unique(np.argsort(-strict, axis=1)[:, :bounds_per_corner])
        reach = np.ascontiguousarray(self.reach[np.ix_(rows, used)])
        return Bounds(
            corners=np.ascontiguousarray(self.corners[rows]),
            weights=np.ascontiguousarray(self.weights[used]),
            before=np.ascontiguousarray(self.before[:, used]),
            reach=reach,
            nearest=np.argmax(total[used] - reach, axis=1),
            strictest=self.strictest[rows],
        )


def bounds_at(relaxation: Relaxation, corners: IntArray) -> Bounds:
    """All planes of a relaxation as bounds at ``corners`` (sorted by their first value)."""
    return bounds_of(relaxation.task, plane_weights(relaxation), corners)


def plane_weights(relaxation: Relaxation) -> FloatArray:
    """Multipliers per unit of each dimension of all planes of a relaxation, shape ``(planes, dimensions)``."""
    count, planes = relaxation.task.objectives, relaxation.planes
    weights = np.zeros((len(planes), len(relaxation.task.limits)))
    for row, plane in enumerate(planes):
        weights[row, :count] = plane.weights / relaxation.ranges
        for column, dimension in enumerate(relaxation.limited):
            weights[row, dimension] += plane.prices[column] / relaxation.caps[column]
    return weights


def bounds_of(task: Task, weights: FloatArray, corners: IntArray) -> Bounds:
    """Bounds by the cheapest paths of weighted dimensions (shape ``(bounds, dimensions)``, not negative).

    Args:
        task: The task.
        weights: Per unit of each dimension.
        corners: Objective vectors, sorted by their first value.
    """
    from dse.solve.compiled.paths import best_before
    from dse.solve.relaxation import SAFETY

    trellis = task.trellis
    before = best_before(trellis.node_count, trellis.source, trellis.target, trellis.cost @ weights.T)
    ceilings = task.ceilings(corners)
    largest = np.maximum(np.abs(task.most[-1]), np.abs(task.least[-1]))
    # A limit that no total reaches says no more than the largest total.
    reach = np.minimum(ceilings, task.most[-1]) @ weights.T
    reach += SAFETY * (np.abs(reach) + weights @ largest)
    strict = before[-1] - reach
    return Bounds(
        corners=np.ascontiguousarray(ceilings[:, : task.objectives + len(task.available)]),
        weights=weights,
        before=np.ascontiguousarray(before),
        reach=np.ascontiguousarray(reach),
        nearest=np.argmax(strict, axis=1) if len(weights) else np.zeros(len(corners), dtype=np.int64),
        strictest=strict.max(axis=1, initial=-np.inf),
    )


def search_labels(
    task: Task, thin: Task, bounds: Bounds, *, beam: int = 0, most: int = MOST_AT_A_NODE
) -> tuple[Designs, Outcome]:
    """Designs of a task at or below the corners of ``bounds`` (without corners: all nondominated ones).

    Args:
        task: The task; selections are completed from all of its options.
        thin: The task without dominated arcs, which labels are made of.
        bounds: What leaves labels out.
        beam: Most labels kept at a node, 0 for all.
        most: Most labels looked at before a node.

    Returns:
        Designs, and EXACT if none that matters is missing; of equal vectors then the smallest selection.
    """
    from dse.solve.compiled.labels import extend_labels

    trellis = thin.trellis
    most = min(most, _labels_for(task))
    scale = 1.0 / np.maximum((thin.most[-1] - thin.least[-1]).astype(np.float64), 1.0)
    floors = np.full_like(thin.least, -FREE)
    limited = task.objectives + len(task.available)
    floors[:, limited:] = (task.limits - task.most)[:, limited:]
    starts = np.array([0, 1])
    labels = np.zeros((1, len(task.limits)), dtype=np.int64)
    kept: list[tuple[IntArray, IntArray]] = [(starts, labels)]
    nodes = trellis.nodes.tolist()
    cut, total = False, 0
    for position in range(trellis.depth - 1, -1, -1):
        if not task.has_time:
            return Designs.none(task.values, trellis.depth), Outcome.TIME
        starts, labels, shortened, full = extend_labels(
            nodes[position],
            nodes[position + 1],
            nodes[position + 1],
            trellis.firsts,
            trellis.target,
            trellis.cost,
            starts,
            labels,
            thin.least,
            task.limits,
            floors,
            scale,
            bounds.weights,
            bounds.before,
            bounds.corners,
            bounds.reach,
            bounds.nearest,
            beam,
            most,
        )
        total += len(labels)
        if full or total > MOST_KEPT:
            return Designs.none(task.values, trellis.depth), Outcome.FULL
        cut = cut or shortened
        kept.append((starts, labels))
    points = task.points(labels)
    designs = best_of([Designs(points=points, options=np.zeros((len(points), trellis.depth), dtype=np.int64))])
    return _completed(task, designs.points, kept[::-1]), Outcome.CUT if cut else Outcome.EXACT


def few_labels(task: Task) -> Designs | None:
    """The nondominated designs of a task that few labels tell, else None."""
    return _all_of(task, _FEW if len(task.limits) > _QUICK else _FEW_TRIPLES)


def all_labels(task: Task) -> Designs | None:
    """The nondominated designs of a task, if time and memory suffice for labels that nothing bounds."""
    return _all_of(task, MOST_AT_A_NODE * 4)


def _all_of(task: Task, most: int) -> Designs | None:
    designs, outcome = search_labels(task, task.thinned(), Bounds.none(task), most=most)
    return designs if outcome is Outcome.EXACT else None


def _labels_for(task: Task) -> int:
    """How many labels before a node may be compared in the time left; the number goes with its square root."""
    if len(task.limits) <= _QUICK:
        return MOST_AT_A_NODE * 4
    return int(min(MOST_AT_A_NODE, max(1000.0, np.sqrt(_COMPARISONS * task.clock.seconds_left))))


def _completed(task: Task, points: IntArray, kept: list[tuple[IntArray, IntArray]]) -> Designs:
    """The lexicographically smallest selections of vectors, found along the labels of every layer."""
    from dse.solve.compiled.labels import descend

    starts = np.concatenate([part[0] for part in kept])
    labels = np.concatenate([part[1] for part in kept])
    first_starts = np.cumsum([0, *(len(part[0]) for part in kept)])
    first_labels = np.cumsum([0, *(len(part[1]) for part in kept)])
    offsets = np.stack([first_starts[1:-1], first_labels[1:-1]], axis=1)
    trellis = task.trellis
    paths = np.empty((len(points), trellis.depth), dtype=np.int64)
    for row, goal in enumerate(task.ceilings(points)):
        paths[row] = descend(
            goal, trellis.depth, trellis.nodes, trellis.firsts, trellis.target, trellis.cost, offsets, starts, labels
        )
    found = task.designs(paths[(paths >= 0).all(axis=1)])
    if len(found) < len(points):
        raise AssertionError(f"{len(points) - len(found)} of {len(points)} labels have no path")
    return found
