"""A compiled loop: the volume of a union of boxes in three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from dse.solve.trellis import FloatArray


@numba.njit(cache=True, nogil=True)
def volume(extent: FloatArray) -> float:
    """Volume of the union of boxes from the origin to each row; the third column descends.

    The boxes are added from the tallest down; a staircase holds the area covered so far in the first two dimensions.
    """
    count = len(extent)
    first, second = np.empty(count + 2), np.empty(count + 2)
    first[0], second[0] = 0.0, np.inf
    first[1], second[1] = np.inf, 0.0
    size = 2
    area, total = 0.0, 0.0
    for row in range(count):
        a, b = extent[row, 0], extent[row, 1]
        low, high = 0, size
        while low < high:  # the first step that reaches as far in the first dimension
            middle = (low + high) // 2
            if first[middle] < a:
                low = middle + 1
            else:
                high = middle
        if second[low] < b:
            begin = low
            while begin > 1 and second[begin - 1] <= b:
                begin -= 1
            position, grown = first[begin - 1], 0.0
            for step in range(begin, low + 1):
                end = min(first[step], a)
                grown += (end - position) * (b - second[step])
                position = end
            area += grown
            end_step = low
            if first[low] == a:  # the new step covers this one
                end_step = low + 1
            shift = 1 - (end_step - begin)
            if shift > 0:
                for step in range(size - 1, end_step - 1, -1):
                    first[step + shift], second[step + shift] = first[step], second[step]
            elif shift < 0:
                for step in range(end_step, size):
                    first[step + shift], second[step + shift] = first[step], second[step]
            size += shift
            first[begin], second[begin] = a, b
        below = extent[row + 1, 2] if row + 1 < count else 0.0
        total += area * (extent[row, 2] - below)
    return total


@numba.njit(cache=True, nogil=True)
def distances(corners: FloatArray, points: FloatArray) -> FloatArray:
    """For each corner the smallest, over points, of the largest amount by which it exceeds the point in a dimension."""
    result = np.full(len(corners), np.inf)
    for corner in range(len(corners)):
        for point in range(len(points)):
            worst = 0.0
            for dimension in range(corners.shape[1]):
                worst = max(worst, corners[corner, dimension] - points[point, dimension])
                if worst >= result[corner]:
                    break
            result[corner] = min(result[corner], worst)
    return result
