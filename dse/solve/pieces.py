"""The front of a first sum and one more value, piece by piece: cut at the points known, bounded, then searched out.

In a piece of the first sum only designs below the last point before it matter; a piece is settled once a bound shows
that there are none, or a label search has found all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.hypervolume import hypervolume
from dse.solve.labels import MOST_AT_A_NODE, Bounds, Outcome, search_labels

if TYPE_CHECKING:
    from dse.solve.archive import Designs
    from dse.solve.tables import IntArray
    from dse.solve.task import Task
    from dse.solve.trellis import BoolArray, FloatArray

BEAMS = (24, 120, 600)
"""Labels kept per node in the searches for good designs, one after the other."""

_FEW_LABELS = 30_000
"""Labels before a node above which pieces are searched one by one instead of several together."""

_STRICT = 12
"""Bounds per piece that labels are compared with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """Open pieces of the first sum, ascending: first and last value, and the largest second value that matters."""

    lows: IntArray
    highs: IntArray
    tops: IntArray

    def __len__(self) -> int:
        return len(self.lows)

    @property
    def corners(self) -> IntArray:
        """The largest vector that matters in each piece."""
        return np.stack([self.highs, self.tops], axis=1)

    def take(self, rows: IntArray | BoolArray) -> Pieces:
        """Some of the pieces."""
        return Pieces(lows=self.lows[rows], highs=self.highs[rows], tops=self.tops[rows])


@dataclass(slots=True, kw_only=True, eq=False)
class PiecewiseSearch(ABC):
    """State of one search; what bounds the pieces is up to those who derive from it."""

    task: Task
    thin: Task
    settled: list[tuple[int, int]] = field(default_factory=list)
    stuck: set[tuple[int, int]] = field(default_factory=set)

    @property
    @abstractmethod
    def designs(self) -> Designs:
        """The nondominated designs found so far."""

    @property
    @abstractmethod
    def highest(self) -> int:
        """The largest second value that a design can have."""

    @abstractmethod
    def add(self, designs: Designs) -> None:
        """Keep designs."""

    @abstractmethod
    def bounds(self, corners: IntArray) -> Bounds:
        """All bounds that are known, at corners."""

    @abstractmethod
    def closed(self, pieces: Pieces) -> BoolArray:
        """Mask of the pieces in which a bound leaves nothing."""

    @abstractmethod
    def outer(self, reference: FloatArray) -> float:
        """Area below a reference that no design can exceed."""

    @abstractmethod
    def areas(self, pieces: Pieces, reference: FloatArray) -> FloatArray:
        """Area per piece, below a reference, that unknown designs could still dominate."""

    def pieces(self) -> Pieces:
        """What is not settled yet: between the points, and at each point for smaller selections of the same vector."""
        points = self.designs.points
        least, most = int(self.task.least[-1, 0]), int(self.task.most[-1, 0])
        firsts, seconds = points[:, 0].tolist(), points[:, 1].tolist()
        ends = [*firsts, most + 1]
        found: list[tuple[int, int, int]] = [(least, ends[0] - 1, self.highest)]
        for first, second, following in zip(firsts, seconds, ends[1:], strict=True):
            found.append((first, first, second))
            found.append((first + 1, following - 1, second - 1))
        rest = [piece for whole in found for piece in self._unsettled(*whole)]
        table = np.array(rest, dtype=np.int64).reshape(len(rest), 3)
        return Pieces(lows=table[:, 0], highs=table[:, 1], tops=table[:, 2])

    def _unsettled(self, low: int, high: int, top: int) -> list[tuple[int, int, int]]:
        rest = []
        for begin, end in self.settled:
            if end < low:
                continue
            if begin > high:
                break
            if begin > low:
                rest.append((low, begin - 1, top))
            low = end + 1
        if low <= high:
            rest.append((low, high, top))
        return rest

    def settle(self, low: int, high: int) -> None:
        """Note that nothing is missing from ``low`` to ``high``."""
        merged: list[tuple[int, int]] = []
        for begin, end in sorted([*self.settled, (low, high)]):
            if merged and begin <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        self.settled = merged

    def box(self) -> FloatArray:
        """The largest values among the points known."""
        points = self.designs.points
        return np.array([points[-1, 0], points[0, 1]], dtype=np.float64)

    def gap(self) -> float | None:
        """Share of the area, in the box of the points known, that unknown designs may add; None without points."""
        if not len(self.designs):
            return None
        outer = self.outer(self.box())
        return 1.0 - hypervolume(self.designs.points, self.box()) / outer if outer > 0.0 else 0.0

    def is_within(self, gap: float) -> bool:
        """Whether a gap that is allowed is reached."""
        current = self.gap() if gap > 0 else None
        return current is not None and current <= gap

    @property
    def ends_are_proven(self) -> bool:
        """Whether no design has a smaller first or second sum than the points known: the box is that of the optima."""
        pieces, points = self.pieces(), self.designs.points
        if not len(points):
            return False
        outside = (pieces.highs < points[0, 0]) | (pieces.lows > points[-1, 0])
        return not outside.any()

    def open_pieces(self) -> Pieces:
        """Open pieces after those were settled that a bound closes, without those that are too hard."""
        pieces = self.pieces()
        if not len(pieces):
            return pieces
        closed = self.closed(pieces)
        for low, high in zip(pieces.lows[closed].tolist(), pieces.highs[closed].tolist(), strict=True):
            self.settle(low, high)
        hard = np.array([key in self.stuck for key in zip(pieces.lows.tolist(), pieces.highs.tolist(), strict=True)])
        return pieces.take(~closed & ~hard)

    def search_beams(self, gap: float) -> None:
        """Searches for good designs in all open pieces, until one was exact."""
        for beam in BEAMS:
            pieces = self.open_pieces()
            if not len(pieces) or not self.task.has_time or self.is_within(gap):
                return
            outcome = self._search(pieces, beam=beam)
            if outcome is not Outcome.CUT:
                return

    def search_pieces(self, gap: float) -> None:
        """All designs of the pieces, some neighbouring ones at a time, until the deadline, the gap or the end."""
        count = 8
        while self.task.has_time and not self.is_within(gap):
            pieces = self.open_pieces()
            if not len(pieces):
                return
            part = pieces.take(self._next(pieces, count, by_area=gap > 0))
            outcome = self._search(part, most=_FEW_LABELS if len(part) > 1 else MOST_AT_A_NODE)
            if outcome is Outcome.EXACT:
                count = min(64, count * 2)
            elif outcome is Outcome.FULL and len(part) == 1:
                self.stuck.add((int(part.lows[0]), int(part.highs[0])))
            else:
                count = max(1, len(part) // 4)

    def _next(self, pieces: Pieces, count: int, *, by_area: bool) -> IntArray:
        """Neighbouring pieces to search together."""
        start = 0
        if by_area and len(self.designs):
            start = max(0, int(np.argmax(self.areas(pieces, self.box()))) - count // 2)
        return np.arange(start, min(len(pieces), start + count))

    def _search(self, pieces: Pieces, *, beam: int = 0, most: int = MOST_AT_A_NODE) -> Outcome:
        bounds = self.bounds(pieces.corners).at(np.arange(len(pieces)), _STRICT)
        designs, outcome = search_labels(self.task, self.thin, bounds, beam=beam, most=most)
        self.add(designs)
        if outcome is Outcome.EXACT:
            for low, high in zip(pieces.lows.tolist(), pieces.highs.tolist(), strict=True):
                self.settle(low, high)
        return outcome
