"""Designs found so far, as integers: nondominated vectors, and for each the lexicographically smallest selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse.solve.tables import IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Designs:
    """Vectors and selections, row by row.

    Attributes:
        points: Objective vectors, shape ``(designs, objectives)``, sorted lexicographically.
        options: Option per layer, shape ``(designs, layers)``.
    """

    points: IntArray
    options: IntArray

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def none(cls, objectives: int, layers: int) -> Designs:
        """No design."""
        return cls(points=np.zeros((0, objectives), dtype=np.int64), options=np.zeros((0, layers), dtype=np.int64))

    def take(self, rows: IntArray) -> Designs:
        """Some of the designs."""
        return Designs(points=self.points[rows], options=self.options[rows])


def best_of(parts: Sequence[Designs]) -> Designs:
    """The nondominated of several sets of designs; of equal vectors the lexicographically smallest selection.

    >>> one = Designs(points=np.array([[1, 5], [2, 2]]), options=np.array([[3], [1]]))
    >>> two = Designs(points=np.array([[1, 5], [2, 3]]), options=np.array([[0], [0]]))
    >>> best = best_of([one, two])
    >>> best.points.tolist(), best.options.tolist()
    ([[1, 5], [2, 2]], [[0], [1]])
    """
    points = np.concatenate([part.points for part in parts])
    options = np.concatenate([part.options for part in parts])
    if not len(points):
        return Designs(points=points, options=options)
    order = np.lexsort(tuple(points.T[::-1]))
    kept = order[_front_of(points[order])]
    chosen = points[kept]
    repeated = _repeated(points[order])
    if repeated.any():
        kept = _smallest_selections(points, options, order[repeated], kept)
    return Designs(points=chosen, options=options[kept])


def _repeated(ordered: IntArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Mask of the rows of a sorted table that equal a neighbour."""
    same = (ordered[1:] == ordered[:-1]).all(axis=1)
    return np.concatenate((same, [False])) | np.concatenate(([False], same))


def _smallest_selections(points: IntArray, options: IntArray, repeated: IntArray, kept: IntArray) -> IntArray:
    """Of vectors that several selections have, the row with the smallest selection."""
    ranked = repeated[np.lexsort((*options[repeated].T[::-1], *points[repeated].T[::-1]))]
    first: dict[tuple[int, ...], int] = {}
    for row in ranked.tolist():
        first.setdefault(tuple(points[row].tolist()), row)
    return np.array([first.get(tuple(points[row].tolist()), row) for row in kept.tolist()], dtype=np.int64)


def _front_of(ordered: IntArray) -> IntArray:
    """Indices of the nondominated rows of a lexicographically sorted table, of equal ones the first."""
    if ordered.shape[1] == 1:
        return np.zeros(1, dtype=np.int64)
    if ordered.shape[1] == 2:
        second = ordered[:, 1]
        before = np.concatenate(([np.iinfo(np.int64).max], np.minimum.accumulate(second)[:-1]))
        return np.flatnonzero(second < before)
    from dse.solve.compiled.labels import undominated, undominated_triples

    compare = undominated_triples if ordered.shape[1] == 3 else undominated
    return np.asarray(compare(np.ascontiguousarray(ordered), np.arange(len(ordered))))
