"""Compiled loops of the front of two sums: sorted lists of labels, merged option by option."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from dse.solve.tables import IntArray

_SHIFT = 32
"""A label's origin is its arc, shifted by this, plus the label it extends."""


@numba.njit(cache=True, nogil=True)
def extend(
    first_node: int,
    last_node: int,
    next_node: int,
    firsts: IntArray,
    target: IntArray,
    cost: IntArray,
    starts: IntArray,
    first: IntArray,
    second: IntArray,
    limits: IntArray,
    width: int,
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Labels of the nodes before a layer, from those after it: every pair of sums that nothing matches or beats.

    Args:
        first_node: First node before the layer.
        last_node: One beyond the last one.
        next_node: First node after the layer.
        firsts: First arc of each node.
        target: Node each arc reaches.
        cost: Two costs per arc.
        starts: First label of each node after the layer and the end.
        first: First sums of these labels, ascending for each node.
        second: Second sums, descending for each node.
        limits: Largest sums allowed, shape ``(nodes, 2)``.
        width: Of labels whose first sums fall into one interval of this width only the last is kept, and the very
            first of all; 0 keeps all.

    Returns:
        ``(starts, first, second, origin)`` for the nodes before the layer. Of equal pairs that of the first option
        is kept, so that a label stands for the lexicographically smallest selection.
    """
    new_starts = np.zeros(last_node - first_node + 1, dtype=np.int64)
    capacity = max(1024, 2 * len(first))
    out_first = np.empty(capacity, dtype=np.int64)
    out_second = np.empty(capacity, dtype=np.int64)
    out_origin = np.empty(capacity, dtype=np.int64)
    room = 1024
    here_first, here_second, here_origin = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    there_first, there_second = np.empty(room, np.int64), np.empty(room, np.int64)
    there_origin = np.empty(room, np.int64)
    filled = 0
    for node in range(first_node, last_node):
        count = 0
        most_first, most_second = limits[node, 0], limits[node, 1]
        for arc in range(firsts[node], firsts[node + 1]):
            begin = starts[target[arc] - next_node]
            end = starts[target[arc] - next_node + 1]
            add_first, add_second = cost[arc, 0], cost[arc, 1]
            while begin < end and second[begin] + add_second > most_second:
                begin += 1
            while end > begin and first[end - 1] + add_first > most_first:
                end -= 1
            if begin == end:
                continue
            if count + end - begin > room:
                room = 2 * (count + end - begin)
                there_first, there_second = np.empty(room, np.int64), np.empty(room, np.int64)
                there_origin = np.empty(room, np.int64)
                grown_first, grown_second = np.empty(room, np.int64), np.empty(room, np.int64)
                grown_origin = np.empty(room, np.int64)
                grown_first[:count] = here_first[:count]
                grown_second[:count] = here_second[:count]
                grown_origin[:count] = here_origin[:count]
                here_first, here_second, here_origin = grown_first, grown_second, grown_origin
            mark = arc << _SHIFT
            left, right, merged = 0, begin, 0
            lowest = np.int64(2**62)
            while left < count and right < end:
                one_first, one_second = here_first[left], here_second[left]
                other_first, other_second = first[right] + add_first, second[right] + add_second
                if one_first < other_first or (one_first == other_first and one_second <= other_second):
                    if one_second < lowest:
                        there_first[merged], there_second[merged] = one_first, one_second
                        there_origin[merged] = here_origin[left]
                        lowest = one_second
                        merged += 1
                    left += 1
                else:
                    if other_second < lowest:
                        there_first[merged], there_second[merged] = other_first, other_second
                        there_origin[merged] = mark | right
                        lowest = other_second
                        merged += 1
                    right += 1
            while left < count:
                if here_second[left] < lowest:
                    lowest = here_second[left]
                    there_first[merged], there_second[merged] = here_first[left], lowest
                    there_origin[merged] = here_origin[left]
                    merged += 1
                left += 1
            while right < end:
                if second[right] + add_second < lowest:
                    lowest = second[right] + add_second
                    there_first[merged], there_second[merged] = first[right] + add_first, lowest
                    there_origin[merged] = mark | right
                    merged += 1
                right += 1
            here_first, there_first = there_first, here_first
            here_second, there_second = there_second, here_second
            here_origin, there_origin = there_origin, here_origin
            count = merged
        if width > 0 and count > 2:
            kept = 1
            for label in range(1, count):
                next_is_near = label + 1 < count and (
                    (here_first[label] - here_first[0]) // width == (here_first[label + 1] - here_first[0]) // width
                )
                if not next_is_near:
                    here_first[kept], here_second[kept] = here_first[label], here_second[label]
                    here_origin[kept] = here_origin[label]
                    kept += 1
            count = kept
        if filled + count > capacity:
            capacity = 2 * (filled + count)
            more_first, more_second = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
            more_origin = np.empty(capacity, np.int64)
            more_first[:filled] = out_first[:filled]
            more_second[:filled] = out_second[:filled]
            more_origin[:filled] = out_origin[:filled]
            out_first, out_second, out_origin = more_first, more_second, more_origin
        out_first[filled : filled + count] = here_first[:count]
        out_second[filled : filled + count] = here_second[:count]
        out_origin[filled : filled + count] = here_origin[:count]
        filled += count
        new_starts[node - first_node + 1] = filled
    return new_starts, out_first[:filled].copy(), out_second[:filled].copy(), out_origin[:filled].copy()


@numba.njit(cache=True, nogil=True)
def follow(origin: IntArray, label: IntArray, paths: IntArray, position: int) -> None:
    """Write the arcs of labels into column ``position`` of ``paths``, and move on to the labels they extend."""
    for row in range(len(label)):
        here = origin[label[row]]
        paths[row, position] = here >> _SHIFT
        label[row] = here & (2**_SHIFT - 1)
