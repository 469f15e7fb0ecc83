"""Compiled loops of labels with several sums: extend, leave out what cannot matter, keep what nothing dominates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from dse.solve.tables import IntArray
    from dse.solve.trellis import FloatArray

_BLOCK = 16
"""Labels whose smallest values are compared at once before they are compared one by one."""


@numba.njit(cache=True, nogil=True)
def promise(
    label: IntArray,
    least: IntArray,
    weights: FloatArray,
    before: FloatArray,
    corners: IntArray,
    reach: FloatArray,
    nearest: IntArray,
    values: FloatArray,
) -> float:
    """How far below the best corner a label's completions may get; positive when they reach none, see `extend_labels`.

    The designs that matter lie below one of the ``corners`` (sorted by their first value). ``weights[t]`` times a
    label plus ``before[t]`` bounds every completion from below, and it may not exceed ``reach[j, t]`` at corner j.
    """
    objectives = corners.shape[1]
    for row in range(len(weights)):
        total = before[row]
        for dimension in range(len(label)):
            total += weights[row, dimension] * label[dimension]
        values[row] = total
    low, high = 0, len(corners)
    while low < high:
        middle = (low + high) // 2
        if corners[middle, 0] < label[0] + least[0]:
            low = middle + 1
        else:
            high = middle
    best = np.inf
    for corner in range(low, len(corners)):
        inside = True
        for dimension in range(1, objectives):
            if corners[corner, dimension] < label[dimension] + least[dimension]:
                inside = False
                break
        if not inside:
            if objectives == 2:
                break  # second values of corners descend
            continue
        worst = values[nearest[corner]] - reach[corner, nearest[corner]]
        if worst > 0.0 or worst >= best:
            continue
        for row in range(len(weights)):
            worst = max(worst, values[row] - reach[corner, row])
            if worst > 0.0:
                break
        if worst <= 0.0:
            best = min(best, worst)
    return best


@numba.njit(cache=True, nogil=True)
def undominated(labels: IntArray, order: IntArray) -> IntArray:
    """Rows that no earlier one matches or beats, where earlier means before in ``order``.

    In an order in which no row comes before one that beats it (lexicographic, or by sum) these are the nondominated.
    """
    count, dimensions = labels.shape
    kept = np.empty(count, dtype=np.int64)
    front = np.empty((count, dimensions), dtype=np.int64)
    lowest = np.empty((count // _BLOCK + 1, dimensions), dtype=np.int64)
    size = 0
    for row in order:
        dominated = False
        for block in range((size + _BLOCK - 1) // _BLOCK):
            near = True
            for dimension in range(dimensions):
                if lowest[block, dimension] > labels[row, dimension]:
                    near = False
                    break
            if not near:
                continue
            for other in range(block * _BLOCK, min(size, (block + 1) * _BLOCK)):
                no_worse = True
                for dimension in range(dimensions):
                    if front[other, dimension] > labels[row, dimension]:
                        no_worse = False
                        break
                if no_worse:
                    dominated = True
                    break
            if dominated:
                break
        if not dominated:
            block = size // _BLOCK
            for dimension in range(dimensions):
                value = labels[row, dimension]
                front[size, dimension] = value
                if size % _BLOCK == 0 or value < lowest[block, dimension]:
                    lowest[block, dimension] = value
            kept[size] = row
            size += 1
    return kept[:size]


@numba.njit(cache=True, nogil=True)
def undominated_triples(labels: IntArray, order: IntArray) -> IntArray:
    """The same for three columns and a lexicographic order: a staircase of the last two tells at once."""
    count = len(labels)
    kept = np.empty(count, dtype=np.int64)
    second = np.empty(count + 1, dtype=np.int64)
    third = np.empty(count + 1, dtype=np.int64)
    size, steps = 0, 0
    for row in order:
        b, c = labels[row, 1], labels[row, 2]
        low, high = 0, steps  # steps ascend in the second value and descend in the third
        while low < high:
            middle = (low + high) // 2
            if second[middle] <= b:
                low = middle + 1
            else:
                high = middle
        if low > 0 and third[low - 1] <= c:
            continue
        kept[size] = row
        size += 1
        begin = low - 1 if low > 0 and second[low - 1] == b else low
        end = low
        while end < steps and third[end] >= c:
            end += 1
        shift = 1 - (end - begin)
        if shift > 0:
            for step in range(steps - 1, end - 1, -1):
                second[step + 1], third[step + 1] = second[step], third[step]
        elif shift < 0:
            for step in range(end, steps):
                second[step + shift], third[step + shift] = second[step], third[step]
        steps += shift
        second[begin], third[begin] = b, c
    return kept[:size]


@numba.njit(cache=True, nogil=True)
def nondominated_labels(labels: IntArray, scale: FloatArray) -> IntArray:
    """Rows that no other row matches or beats (of equal ones one; seldom a dominated one stays)."""
    if labels.shape[1] != 3:
        key: IntArray = np.argsort(labels.astype(np.float64) @ scale, kind="mergesort")
        by_sum: IntArray = undominated(labels, key)
        return by_sum
    order: IntArray = np.argsort(labels[:, 2], kind="mergesort")
    order = order[np.argsort(labels[order, 1], kind="mergesort")]
    kept: IntArray = undominated_triples(labels, order[np.argsort(labels[order, 0], kind="mergesort")])
    return kept


@numba.njit(cache=True, nogil=True)
def extend_labels(
    first_node: int,
    last_node: int,
    next_node: int,
    firsts: IntArray,
    target: IntArray,
    cost: IntArray,
    starts: IntArray,
    labels: IntArray,
    least: IntArray,
    limits: IntArray,
    floors: IntArray,
    scale: FloatArray,
    weights: FloatArray,
    before: FloatArray,
    corners: IntArray,
    reach: FloatArray,
    nearest: IntArray,
    beam: int,
    most: int,
) -> tuple[IntArray, IntArray, bool, bool]:
    """Labels of the nodes before a layer, from those after it.

    Args:
        first_node: First node before the layer.
        last_node: One beyond the last one.
        next_node: First node after the layer.
        firsts: First arc of each node.
        target: Node each arc reaches.
        cost: Costs per arc, objectives first.
        starts: First label of each node after the layer and the end.
        labels: Sums of the rest of a design, shape ``(labels, dimensions)``.
        least: Smallest sums from the first node to each node.
        limits: Largest totals allowed, shape ``(dimensions,)``.
        floors: Sums below these count as equal, because no completion can reach a limit from there.
        scale: One over the range of each dimension, for sorting.
        weights: Multipliers of lower bounds, shape ``(bounds, dimensions)``; none: nothing is bounded.
        before: Smallest weighted sums from the first node, shape ``(nodes, bounds)``.
        corners: See `promise`.
        reach: See `promise`.
        nearest: The bound that is strictest at each corner.
        beam: Most labels kept per node, the most promising ones; 0 keeps all.
        most: Most labels that may be looked at per node.

    Returns:
        ``(starts, labels, cut, full)``: whether labels were left out by the beam, and whether there were too many.
    """
    dimensions = cost.shape[1]
    new_starts = np.zeros(last_node - first_node + 1, dtype=np.int64)
    out = np.empty((1024, dimensions), dtype=np.int64)
    found = np.empty((4096, dimensions), dtype=np.int64)
    scores = np.empty(4096)
    label = np.empty(dimensions, dtype=np.int64)
    values = np.empty(len(weights))
    filled = 0
    cut = False
    for node in range(first_node, last_node):
        count = 0
        for arc in range(firsts[node], firsts[node + 1]):
            for row in range(starts[target[arc] - next_node], starts[target[arc] - next_node + 1]):
                possible = True
                for dimension in range(dimensions):
                    value = labels[row, dimension] + cost[arc, dimension]
                    if value + least[node, dimension] > limits[dimension]:
                        possible = False
                        break
                    label[dimension] = max(value, floors[node, dimension])
                if not possible:
                    continue
                score = 0.0
                if len(corners):
                    score = promise(label, least[node], weights, before[node], corners, reach, nearest, values)
                    if score > 0.0:
                        continue
                if count == len(found):
                    if count >= most:
                        return new_starts, out[:filled].copy(), cut, True
                    more = np.empty((2 * count, dimensions), dtype=np.int64)
                    more[:count] = found
                    found = more
                    more_scores = np.empty(2 * count)
                    more_scores[:count] = scores
                    scores = more_scores
                found[count] = label
                scores[count] = score
                count += 1
        kept = nondominated_labels(found[:count], scale)
        if 0 < beam < len(kept):
            cut = True
            kept = kept[np.argsort(scores[kept], kind="mergesort")[:beam]]
        if filled + len(kept) > len(out):
            grown = np.empty((2 * (filled + len(kept)), dimensions), dtype=np.int64)
            grown[:filled] = out[:filled]
            out = grown
        for row in range(len(kept)):
            out[filled + row] = found[kept[row]]
        filled += len(kept)
        new_starts[node - first_node + 1] = filled
    return new_starts, out[:filled].copy(), cut, False


@numba.njit(cache=True, nogil=True)
def descend(
    point: IntArray,
    depth: int,
    nodes: IntArray,
    firsts: IntArray,
    target: IntArray,
    cost: IntArray,
    offsets: IntArray,
    starts: IntArray,
    labels: IntArray,
) -> IntArray:
    """The arcs of the lexicographically first path whose totals are at most ``point``; a -1 where there is none.

    ``labels[offsets[i] + starts[...]]`` are the labels after layer i: an option is taken if one of its target's
    labels still fits, so that the path can be completed.
    """
    dimensions = cost.shape[1]
    path = np.full(depth, -1, dtype=np.int64)
    left = point.copy()
    node = 0
    for position in range(depth):
        for arc in range(firsts[node], firsts[node + 1]):
            following = target[arc]
            place = following - nodes[position + 1]
            begin = offsets[position, 1] + starts[offsets[position, 0] + place]
            end = offsets[position, 1] + starts[offsets[position, 0] + place + 1]
            fits = False
            for row in range(begin, end):
                fits = True
                for dimension in range(dimensions):
                    if labels[row, dimension] + cost[arc, dimension] > left[dimension]:
                        fits = False
                        break
                if fits:
                    break
            if fits:
                path[position] = arc
                for dimension in range(dimensions):
                    left[dimension] -= cost[arc, dimension]
                node = following
                break
        if path[position] < 0:
            return path
    return path
