"""The front of two sums over a trellis: dynamic programming with merged lists, exact or with a proven coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dse.solve.task import FREE

if TYPE_CHECKING:
    from dse.solve.archive import Designs
    from dse.solve.tables import IntArray
    from dse.solve.task import Task

MOST_LABELS = 400_000_000
"""Labels kept for following paths back (8 bytes each), above which the method gives up."""


def pair_front(task: Task, *, width: int = 0) -> Designs | None:
    """The nondominated pairs of sums of a task without limited resources, see `pair_paths`."""
    paths = pair_paths(task, width=width)
    return None if paths is None else task.designs(paths)


def pair_paths(task: Task, *, width: int = 0) -> IntArray | None:
    """Arcs of designs with the nondominated pairs of sums, by ascending first sum; None if time or memory ran out.

    Args:
        task: With one or two objectives and nothing else limited.
        width: Allowed shift per layer, see `compiled.pairs.extend`. Every nondominated pair is matched by a design
            no worse in the second sum, and worse in the first by less than the number of layers times this.
    """
    from dse.solve.compiled.pairs import extend, follow

    arcs = task.undominated()
    trellis = task.trellis.keep(arcs)
    cost = trellis.cost if trellis.cost.shape[1] > 1 else np.repeat(trellis.cost, [2], axis=1) * [1, 0]
    limits = _limits(task)
    depth = trellis.depth
    origins: list[IntArray] = [trellis.option] * depth
    starts = np.array([0, 1])
    first, second = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    labels = 0
    nodes = trellis.nodes.tolist()
    for position in range(depth - 1, -1, -1):
        if not task.has_time or labels > MOST_LABELS:
            return None
        starts, first, second, origins[position] = extend(
            nodes[position],
            nodes[position + 1],
            nodes[position + 1],
            trellis.firsts,
            trellis.target,
            cost,
            starts,
            first,
            second,
            limits,
            width,
        )
        labels += len(first)
    paths = np.empty((len(first), depth), dtype=np.int64)
    label = np.arange(len(first))
    for position in range(depth):
        follow(origins[position], label, paths, position)
    return np.flatnonzero(arcs)[paths]


def _limits(task: Task) -> IntArray:
    """Largest sums of the rest of a design at each node, so that the whole keeps its limits."""
    limits = np.full((task.trellis.node_count, 2), FREE, dtype=np.int64)
    limits[:, : task.objectives] = task.limits - task.least
    return limits
