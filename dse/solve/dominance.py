"""Nondominated rows of integer tables (all columns are minimised)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from dse.solve.problem import IntArray

_BLOCK = 256
"""Rows compared with the front at a time: the comparison of a block stays in the cache for usual fronts."""


def nondominated(points: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Mask of the rows that no other row weakly dominates; of equal rows the first is kept.

    Args:
        points: Integers of shape ``(rows, columns)``, smaller is better in every column.

    Returns:
        Booleans of shape ``(rows,)``.

    Raises:
        ValueError: ``points`` is not a two-dimensional table of integers.

    >>> nondominated([[1, 5], [2, 2], [2, 5], [2, 2]]).tolist()
    [True, True, False, False]
    """
    table = np.asarray(points)
    if table.ndim != 2 or (table.size and table.dtype.kind not in "iu"):
        raise ValueError(
            f"nondominated needs integers of shape (rows, columns), got {table.dtype} of shape {table.shape}"
        )
    table = table.astype(np.int64)
    mask = np.zeros(len(table), dtype=np.bool_)
    mask[_skyline(table, np.lexsort(tuple(table.T[::-1])) if table.size else np.arange(len(table))[:1])] = True
    return mask


def nondominated_in_groups(values: IntArray, groups: IntArray, ties: IntArray) -> IntArray:
    """Sorted indices of rows that no row of the same group weakly dominates.

    Args:
        values: Shape ``(rows, columns)``, smaller is better.
        groups: Group number per row, shape ``(rows,)``.
        ties: Shape ``(rows, tie columns)``: of rows equal in ``values`` the lexicographically smallest here is kept,
            then the lowest index.
    """
    order = np.lexsort((*ties.T[::-1], *values.T[::-1], groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order[:1]] - 1))
    kept = [_skyline(values, rows) for rows in np.split(order, starts[1:])]
    return np.sort(np.concatenate(kept))


def _skyline(values: IntArray, order: IntArray) -> IntArray:
    """Of the rows ``order`` (sorted lexicographically by value) those not weakly dominated by an earlier one.

    Sorted so, a row can be dominated only by rows before it, so each block meets the front found so far and itself.
    """
    if not values.shape[1]:
        return order[:1]
    front = np.empty_like(values[order])
    kept = np.empty_like(order)
    count = 0
    for start in range(0, len(order), _BLOCK):
        rows = order[start : start + _BLOCK]
        block = values[rows]
        alive = ~_dominated(block, front[:count])
        rows, block = rows[alive], block[alive]
        earlier = np.tri(len(rows), k=-1, dtype=np.bool_)
        alive = ~np.asarray((_pairwise(block, block) & earlier).any(axis=1))
        size = int(alive.sum())
        front[count : count + size] = block[alive]
        kept[count : count + size] = rows[alive]
        count += size
    return kept[:count]


def _pairwise(block: IntArray, front: IntArray) -> npt.NDArray[np.bool_]:
    """``[i, j]``: row j of ``front`` is no worse than row i of ``block`` in any column."""
    result = np.ones((len(block), len(front)), dtype=np.bool_)
    for column in range(block.shape[1]):
        np.logical_and(result, front[None, :, column] <= block[:, None, column], out=result)
    return result


def _dominated(block: IntArray, front: IntArray) -> npt.NDArray[np.bool_]:
    return np.asarray(_pairwise(block, front).any(axis=1))
