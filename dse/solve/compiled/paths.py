"""Compiled loops over a trellis: what lies on a path, best values before and after each node, filters per node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from dse.solve.tables import IntArray
    from dse.solve.trellis import BoolArray, FloatArray


@numba.njit(cache=True, nogil=True)
def on_a_path(nodes: IntArray, source: IntArray, target: IntArray) -> BoolArray:
    """Mask of the arcs that lie on a path from the first to the last node."""
    count = len(source)
    mask = np.zeros(count, dtype=np.bool_)
    before = np.zeros(nodes[-1], dtype=np.bool_)
    after = np.zeros(nodes[-1], dtype=np.bool_)
    before[0] = True
    for arc in range(count):
        if before[source[arc]]:
            before[target[arc]] = True
    after[nodes[-2]] = True
    for arc in range(count - 1, -1, -1):
        if after[target[arc]]:
            after[source[arc]] = True
    for arc in range(count):
        mask[arc] = before[source[arc]] and after[target[arc]]
    return mask


@numba.njit(cache=True, nogil=True)
def best_before(node_count: int, source: IntArray, target: IntArray, values: FloatArray) -> FloatArray:
    """Smallest sums of ``values`` (one column each) over paths from the first node to every node.

    Exact for integers whose sums stay below 2**53; infinity where no path leads.
    """
    columns = values.shape[1]
    best = np.full((node_count, columns), np.inf)
    best[0] = 0.0
    for arc in range(len(source)):
        for column in range(columns):
            value = best[source[arc], column] + values[arc, column]
            best[target[arc], column] = min(best[target[arc], column], value)
    return best


@numba.njit(cache=True, nogil=True)
def best_after(node_count: int, source: IntArray, target: IntArray, values: FloatArray) -> FloatArray:
    """Smallest sums of ``values`` (one column each) over paths from every node to the last one."""
    columns = values.shape[1]
    best = np.full((node_count, columns), np.inf)
    best[node_count - 1] = 0.0
    for arc in range(len(source) - 1, -1, -1):
        for column in range(columns):
            value = best[target[arc], column] + values[arc, column]
            best[source[arc], column] = min(best[source[arc], column], value)
    return best


@numba.njit(cache=True, nogil=True)
def undominated_arcs(firsts: IntArray, target: IntArray, cost: IntArray) -> BoolArray:
    """Mask of the arcs that no other one between the same nodes matches or beats; of equal ones the first stays."""
    mask = np.ones(len(target), dtype=np.bool_)
    dimensions = cost.shape[1]
    for node in range(len(firsts) - 1):
        for arc in range(firsts[node], firsts[node + 1]):
            for other in range(firsts[node], firsts[node + 1]):
                if other == arc or not mask[other] or target[other] != target[arc]:
                    continue
                no_worse = True
                equal = True
                for dimension in range(dimensions):
                    if cost[other, dimension] > cost[arc, dimension]:
                        no_worse = False
                        break
                    equal = equal and cost[other, dimension] == cost[arc, dimension]
                if no_worse and (not equal or other < arc):
                    mask[arc] = False
                    break
    return mask


@numba.njit(cache=True, nogil=True)
def cheapest_path(
    firsts: IntArray, target: IntArray, values: FloatArray, best: FloatArray, depth: int
) -> tuple[float, IntArray]:
    """The smallest sum of ``values`` from the first to the last node and its arcs; of equal ones the first options.

    ``best`` is room for one number per node.
    """
    last = len(firsts) - 2
    choice = np.full(len(firsts), -1, dtype=np.int64)
    best[last] = 0.0
    for node in range(last - 1, -1, -1):
        smallest = np.inf
        for arc in range(firsts[node], firsts[node + 1]):
            value = values[arc] + best[target[arc]]
            if value < smallest:
                smallest = value
                choice[node] = arc
        best[node] = smallest
    path = np.empty(depth, dtype=np.int64)
    node = 0
    for position in range(depth):
        path[position] = choice[node]
        node = target[choice[node]]
    return best[0], path


@numba.njit(cache=True, nogil=True)
def path_totals(paths: IntArray, cost: IntArray) -> IntArray:
    """Sums of costs along paths (rows of arcs), in integers."""
    totals = np.zeros((len(paths), cost.shape[1]), dtype=np.int64)
    for row in range(len(paths)):
        for position in range(paths.shape[1]):
            for dimension in range(cost.shape[1]):
                totals[row, dimension] += cost[paths[row, position], dimension]
    return totals


@numba.njit(cache=True, nogil=True)
def falling_paths(
    firsts: IntArray, target: IntArray, level: IntArray, cost: IntArray, depth: int, most: int
) -> tuple[IntArray, IntArray, bool]:
    """Cheapest paths below falling thresholds: each threshold is one less than the largest level on the path before.

    Args:
        firsts: First arc of each node.
        target: Node each arc reaches.
        level: Level of each arc.
        cost: Cost of each arc.
        depth: Number of layers.
        most: Most paths.

    Returns:
        ``(sums and largest levels, paths, whether no threshold is left)``; of equal sums the first options.
    """
    far = np.int64(2**62)
    last = len(firsts) - 2
    best = np.empty(last + 1, dtype=np.int64)
    choice = np.empty(last + 1, dtype=np.int64)
    room = 64
    values = np.empty((room, 2), dtype=np.int64)
    paths = np.empty((room, depth), dtype=np.int64)
    threshold = np.int64(2**62)
    for number in range(most):
        best[last] = 0
        for node in range(last - 1, -1, -1):
            best[node] = far
            for arc in range(firsts[node], firsts[node + 1]):
                if level[arc] <= threshold and best[target[arc]] < far and cost[arc] + best[target[arc]] < best[node]:
                    best[node] = cost[arc] + best[target[arc]]
                    choice[node] = arc
        if best[0] == far:
            return values[:number].copy(), paths[:number].copy(), True
        if number == room:
            more_values, more_paths = np.empty((2 * room, 2), np.int64), np.empty((2 * room, depth), np.int64)
            more_values[:room] = values
            more_paths[:room] = paths
            values, paths, room = more_values, more_paths, 2 * room
        node, largest = 0, -far
        for position in range(depth):
            arc = choice[node]
            paths[number, position] = arc
            largest = max(largest, level[arc])
            node = target[arc]
        values[number, 0], values[number, 1] = best[0], largest
        threshold = largest - 1
    return values[:most].copy(), paths[:most].copy(), False


@numba.njit(cache=True, nogil=True)
def path_of_options(firsts: IntArray, target: IntArray, option: IntArray, selection: IntArray) -> IntArray:
    """The arcs of a selection that is a path."""
    path = np.empty(len(selection), dtype=np.int64)
    node = 0
    for position in range(len(selection)):
        for arc in range(firsts[node], firsts[node + 1]):
            if option[arc] == selection[position]:
                path[position] = arc
                node = target[arc]
                break
    return path
