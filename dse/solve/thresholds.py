"""Fronts with one objective that takes a maximum: below each threshold of it, the front of the sums."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.archive import Designs, best_of
from dse.solve.fullest import solve_task
from dse.solve.hypervolume import hypervolume
from dse.solve.sums import Aim

if TYPE_CHECKING:
    from dse.solve.sums import Solved
    from dse.solve.tables import IntArray
    from dse.solve.task import Task
    from dse.solve.trellis import FloatArray


_BELOW = 0.8
"""Share of the gap that fronts below thresholds may leave open; the rest is for what lies between thresholds."""


_TIME_SHARE = 0.06
"""Share of the time left for one threshold, if not all has to be found: others may be easier."""

_LEAST_SECONDS = 0.2
"""Time for one threshold that is not worth sharing any further."""

_ON_THE_WAY = 0.05
"""The same on the way to the lowest threshold, where fronts span little of the maximum."""


@dataclass(slots=True, kw_only=True, eq=False)
class Thresholds:
    """Fronts below thresholds of the maximum, solved from both ends inwards.

    Attributes:
        task: Its trellis knows the level of each arc.
        gap: What each front below a threshold, and the whole, may leave open.
        levels: All values that the maximum can take, ascending.
        solved: Position in ``levels`` to what is known below it; None where no design is.
        settled: Ranges of positions between solved ones in which nothing new can be.
        added: Designs found elsewhere.
    """

    task: Task
    gap: float
    levels: IntArray = field(init=False)
    solved: dict[int, Solved | None] = field(default_factory=dict)
    settled: set[tuple[int, int]] = field(default_factory=set)
    added: list[Designs] = field(default_factory=list)

    def run(self) -> None:
        """Solve until every threshold is settled, the gap is reached, or the deadline."""
        level = self.task.trellis.level
        self.levels = np.unique(level)
        last = len(self.levels) - 1
        self._solve(last, self.gap, with_ends=True)
        if last == 0:
            return
        self._lowest(last)
        queue: list[tuple[float, int, int]] = []
        for low, high in pairwise(sorted(self.solved)):
            self._push(queue, low, high)
        checks = 0
        while queue and self.task.has_time:
            _, low, high = heapq.heappop(queue)
            middle = (low + high) // 2
            self._solve(middle, self.gap)
            self._push(queue, low, middle)
            self._push(queue, middle, high)
            checks += 1
            if self.gap > 0.0 and checks % 8 == 0 and self.share() <= self.gap:
                return

    def _lowest(self, last: int) -> None:
        """Solve below the lowest threshold with designs, and below those on the way to it, by halving."""
        low, high = -1, last
        while high - low > 1:
            middle = (low + high) // 2
            self._solve(middle, max(self.gap, _ON_THE_WAY) if self.gap > 0.0 else 0.0)
            low, high = (middle, high) if self.solved[middle] is None else (low, middle)
        if high < last:
            self._solve(high, self.gap, with_ends=True)

    def _solve(self, position: int, gap: float, *, with_ends: bool = False) -> None:
        level = int(self.levels[position])
        below = self.task.below(level)
        answer = None
        if below is not None:
            known = self.designs
            options = known.options[known.points[:, -1] <= level]
            if gap > 0.0:
                share = max(_TIME_SHARE, _LEAST_SECONDS / max(below.clock.seconds_left, _LEAST_SECONDS))
                below = replace(below, clock=below.clock.part(share))
            answer = solve_task(below, Aim(gap=gap * _BELOW, with_ends=with_ends, known=options))
        self.solved[position] = answer if answer is None or len(answer.designs) or not answer.complete else None

    def _push(self, queue: list[tuple[float, int, int]], low: int, high: int) -> None:
        """Queue what lies between two solved thresholds, unless it is empty or the same on both sides."""
        if high - low < 2:
            return
        one, two = self.solved[low], self.solved[high]
        if two is None or (
            one is not None and one.complete and two.complete and np.array_equal(one.designs.points, two.designs.points)
        ):
            self.settled.add((low, high))
            return
        reference = self._reference()[:-1]
        width = float(self.levels[high] - self.levels[low])
        inner = 0.0 if one is None else hypervolume(one.designs.points, reference)
        heapq.heappush(queue, (-(two.outer(reference) - inner) * width, low, high))

    @property
    def method(self) -> str:
        """How the fronts below thresholds were found."""
        return " or ".join(sorted({answer.method for answer in self.solved.values() if answer is not None})) or "none"

    @property
    def designs(self) -> Designs:
        """The nondominated designs found so far, the maximum last."""
        parts = [self._with_level(answer.designs) for answer in self.solved.values() if answer is not None]
        parts += self.added
        return best_of(parts) if parts else Designs.none(self.task.values + 1, self.task.trellis.depth)

    def add(self, options: IntArray) -> None:
        """Keep selections found elsewhere."""
        if len(options):
            self.added.append(self._with_level(self.task.of_options(options)))

    def _with_level(self, designs: Designs) -> Designs:
        levels = self._level_of(designs.options)
        return Designs(points=np.concatenate((designs.points, levels[:, None]), axis=1), options=designs.options)

    def _level_of(self, options: IntArray) -> IntArray:
        """The largest level of each selection; an option has one level, whatever node it is taken at."""
        trellis = self.task.trellis
        worst = np.full(len(options), np.iinfo(np.int64).min)
        for position in range(trellis.depth):
            arcs = slice(int(trellis.layers[position]), int(trellis.layers[position + 1]))
            table = np.zeros(int(trellis.option[arcs].max()) + 1, dtype=np.int64)
            table[trellis.option[arcs]] = trellis.level[arcs]
            worst = np.maximum(worst, table[options[:, position]])
        return worst

    def lower(self, designs: Designs) -> IntArray:
        """Per design, a proven lower bound of its first sum: the best of those below thresholds that have found it."""
        best: dict[tuple[int, ...], int] = {}
        for answer in self.solved.values():
            if answer is not None:
                for row, bound in zip(answer.designs.options.tolist(), answer.lower.tolist(), strict=True):
                    best[tuple(row)] = max(bound, best.get(tuple(row), bound))
        least = int(self.task.least[-1, 0])
        return np.array([best.get(tuple(row), least) for row in designs.options.tolist()], dtype=np.int64)

    @property
    def ends_are_proven(self) -> bool:
        """Whether the fronts below the lowest and the highest threshold with designs are exact at their ends."""
        known = sorted(position for position, answer in self.solved.items() if answer is not None)
        ends = [self.solved[position] for position in (known[:1] + known[-1:])]
        settled = len(known) > 0 and all(high != known[0] for _, high in self._open())
        return settled and all(end is not None and end.box_is_proven for end in ends)

    @property
    def complete(self) -> bool:
        """Whether every threshold is settled by exact fronts."""
        if any(answer is not None and not answer.complete for answer in self.solved.values()):
            return False
        return not self._open()

    def _open(self) -> list[tuple[int, int]]:
        """Neighbouring solved thresholds with something unknown between them."""
        known = sorted(self.solved)
        return [(low, high) for low, high in pairwise(known) if high - low > 1 and (low, high) not in self.settled]

    def _reference(self) -> FloatArray:
        """Far corner of the box: the largest values below the lowest and the highest threshold with designs."""
        known = sorted(position for position, answer in self.solved.items() if answer is not None)
        if not known:
            return np.zeros(self.task.values + 1)
        ends = [self.solved[known[0]], self.solved[known[-1]]]
        parts = [self._with_level(end.designs) for end in ends if end is not None]
        points = np.concatenate([part.points for part in [*parts, *self.added]])
        return points.max(axis=0).astype(np.float64) if len(points) else np.zeros(self.task.values + 1)

    def share(self) -> float:
        """Share of the hypervolume that unknown designs may add, in the box of the ends."""
        reference = self._reference()
        inner = hypervolume(self.designs.points, reference)
        known, opened = sorted(self.solved), set(self._open())
        areas: dict[int, float] = {}  # what bounds all designs below a threshold holds below smaller ones, too
        for position in reversed(known):
            answer = self.solved[position]
            area = 0.0 if answer is None else answer.outer(reference[:-1])
            areas[position] = min(area, *list(areas.values())[-1:]) if areas else area
        outer = 0.0
        for low, high in pairwise(known):
            begin, end = float(self.levels[low]), min(float(self.levels[high]), float(reference[-1]))
            # Up to the next level only what lies below the lower threshold counts, beyond it what is open may.
            turn = min(float(self.levels[low + 1]), end) if (low, high) in opened else end
            outer += areas[low] * max(0.0, turn - begin) + areas[high] * max(0.0, end - max(turn, begin))
        if outer <= 0.0:
            return 0.0 if self.complete else 1.0
        return float(min(1.0, max(0.0, 1.0 - inner / outer)))


_MOST_PATHS = 200_000


def falling_front(task: Task) -> Designs | None:
    """The front of one free sum and the maximum, the sum first; None if it has too many points."""
    from dse.solve.compiled.paths import falling_paths

    trellis = task.trellis
    values, paths, is_whole = falling_paths(
        trellis.firsts, trellis.target, trellis.level, trellis.cost[:, 0].copy(), trellis.depth, _MOST_PATHS
    )
    return best_of([Designs(points=values, options=trellis.option[paths])]) if is_whole else None
