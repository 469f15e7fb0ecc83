"""The epsilon search: corners, a grid of thresholds, then the largest gap is halved until a budget ends."""

from __future__ import annotations

import time
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dse.solve.dominance import nondominated
from dse.solve.levels import Roles, attainable_values, between, first_levels, next_level
from dse.solve.query import Query
from dse.solve.result import Infeasible, Point, Status
from dse.solve.single import branch_count, solve_query
from dse.solve.slices import HIGHEST, LOWEST, Gap, Record, Scale, Slice, Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dse.solve.problem import Problem

ROUND = 2
"""Solves prepared together. A constant, so that the front does not depend on how many run at a time."""

SOLVES_PER_LEVEL = 7
"""Share of the solves per threshold: two ends and about five points between."""

TIME_SHARES = 10
"""One solve may take this many times its equal share of the time left, so that one hard solve cannot take all."""

Answered: TypeAlias = Point | Infeasible


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a search is: solver calls made and allowed, designs found so far, seconds since the start."""

    solves: int
    most_solves: int
    points: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """One solve of the search: the best primary value under ``bound``, or the smallest value of the swept one."""

    level: int
    bound: int
    low_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """A record that holds in every slice from ``lowest_level`` to ``highest_level``."""

    lowest_level: int
    highest_level: int
    record: Record


@dataclass(slots=True, kw_only=True)
class Search:
    """State of one search; ``run`` fills it.

    ``solves`` counts against the budget and ``calls`` what HiGHS was really asked: where a problem is solved branch by
    branch, one solve stands for a call per branch.
    """

    problem: Problem
    roles: Roles
    most_solves: int
    deadline: float
    started: float
    jobs: int
    on_progress: Callable[[Progress], None] | None
    solves: int = 0
    calls: int = 0
    infeasible: bool = False
    cornered: bool = False
    points: dict[tuple[int, ...], Point] = field(default_factory=dict)
    facts: list[_Fact] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    levels: Sequence[int] = ()
    spread: Spread = field(default_factory=Spread)
    pending: list[_Cell] = field(default_factory=list)

    def run(self) -> None:
        """Corners first, then rounds of cells until nothing is open, a budget ends, or control-C."""
        with suppress(KeyboardInterrupt):
            self._run()

    def _run(self) -> None:
        if not self._corners():
            return
        self.cornered = True
        while self.solves < self.most_solves and time.monotonic() < self.deadline:
            cells = self._next_cells()
            if not cells:
                if not self._refine():
                    break
                continue
            for cell, answer in zip(cells, self._solve([self._query(cell) for cell in cells]), strict=True):
                self._learn(cell, answer)

    # -- corners ----------------------------------------------------------------------------------------------------

    def _corners(self) -> bool:
        """The ends of the front and the thresholds between them; False when the search ends here."""
        roles = self.roles
        if roles.swept is None:
            (only,) = self._solve([Query(minimise=roles.primary)])
            self._remember(only)
            self.infeasible = isinstance(only, Infeasible) and only.status is Status.INFEASIBLE
            return False
        apart = roles.sliced if roles.threshold else None
        starts = [[name for name in order if name != apart] for order in (roles.order, roles.order_from_low_end)]
        if roles.sliced is not None:
            starts.append([roles.sliced] if apart else [roles.sliced, *(n for n in roles.order if n != roles.sliced)])
        ends: list[Point] = []
        for names in starts:
            if self.solves >= self.most_solves:
                return False
            (answer,) = self._solve([Query(minimise=names[0], then=tuple(names[1:]))])
            if isinstance(answer, Infeasible):
                self.infeasible = answer.status is Status.INFEASIBLE
                return False
            if set(names) != {roles.sliced}:  # the lone maximum says how low it can go, nothing else
                self._remember(answer)
            ends.append(answer)
        if any(end.certificate.status is not Status.OPTIMAL for end in ends):
            return False
        self._prepare(ends)
        return True

    def _prepare(self, ends: list[Point]) -> None:
        """Set the scale, the thresholds and the first cells from the corners."""
        best, lowest = (end.objectives for end in ends[:2])
        primary, swept, sliced = self.roles.primary, str(self.roles.swept), self.roles.sliced
        self.spread = Spread(
            swept=Scale.over(lowest[swept], best[swept], self.roles.spacing(self.problem, swept)),
            primary=Scale.over(best[primary], lowest[primary], self.roles.spacing(self.problem, primary)),
        )
        if sliced is None:
            self.slices = [Slice(level=HIGHEST, tight=self.roles.tight)]
            self._note(HIGHEST, LOWEST, Record(low=best[swept], high=HIGHEST, primary=best[primary]))
            self._note_low_end(HIGHEST, LOWEST, lowest)
            return
        highest = Record(low=HIGHEST, high=HIGHEST, primary=best[primary])
        self.facts.append(_Fact(lowest_level=HIGHEST, highest_level=HIGHEST, record=highest))
        self._note(HIGHEST, LOWEST, Record(low=LOWEST, high=lowest[swept] - 1, primary=None))
        values = attainable_values(self.problem, sliced)
        limit = min([cap.limit for cap in self.problem.caps if cap.resource == sliced], default=HIGHEST)
        floor = ends[2].objectives[sliced]
        self.levels = between(values, floor, limit)
        useful = between(values, floor, max(floor, best[sliced], lowest[sliced]))
        for level in first_levels(useful, max(2, self.most_solves // SOLVES_PER_LEVEL)):
            self._add_slice(level)
        self.pending = [_Cell(level=piece.level, bound=HIGHEST) for piece in self.slices]
        self.pending.append(_Cell(level=self.slices[-1].level, bound=HIGHEST, low_end=True))

    def _add_slice(self, level: int) -> None:
        piece = Slice(level=level, tight=self.roles.tight)
        for fact in self.facts:
            if fact.lowest_level <= level <= fact.highest_level:
                piece.add(fact.record)
        self.slices = sorted([*self.slices, piece], key=lambda other: other.level)

    def _refine(self) -> bool:
        """Look at one more threshold once everything between the present ones is settled."""
        level = next_level(self.levels, [piece.level for piece in self.slices]) if self.roles.sliced else None
        if level is None:
            return False
        self._add_slice(level)
        self.pending = [_Cell(level=level, bound=HIGHEST)]
        return True

    # -- rounds -----------------------------------------------------------------------------------------------------

    def _next_cells(self) -> list[_Cell]:
        """Up to ROUND cells: those asked for, then the middles of the largest gaps."""
        room = min(ROUND, self.most_solves - self.solves)
        cells: list[_Cell] = []
        while self.pending and len(cells) < room:
            cell = self.pending.pop(0)
            if not self._settled(cell) and cell not in cells:
                cells.append(cell)
        if cells:
            return cells
        gaps = [(piece, gap) for piece, gap in self.open_gaps() if piece.searchable(gap)]
        gaps.sort(key=lambda entry: (-self.spread.size(entry[1]), entry[0].level, entry[1].low))
        return [_Cell(level=piece.level, bound=self.spread.middle(gap)) for piece, gap in gaps[:room]]

    def _slice(self, level: int) -> Slice:
        return self.slices[bisect_left([piece.level for piece in self.slices], level)]

    def _settled(self, cell: _Cell) -> bool:
        return self._slice(cell.level).known(self.spread.swept.low if cell.low_end else cell.bound)

    def _query(self, cell: _Cell) -> Query:
        """The query of a cell; the best point known within its bounds is one more bound."""
        swept, sliced = str(self.roles.swept), self.roles.sliced
        order = self.roles.order_from_low_end if cell.low_end else self.roles.order
        at_most: dict[str, int] = {}
        floors: dict[str, int] = {}
        if sliced is not None:
            at_most[sliced] = cell.level
            if self.roles.threshold:
                lower = [piece.level for piece in self.slices if piece.level < cell.level]
                floors[sliced] = max(lower, default=cell.level - 1)
        if cell.bound < HIGHEST:
            at_most[swept] = cell.bound
        within = [
            point.objectives[order[0]]
            for point in self.points.values()
            if all(point.objectives[name] <= bound for name, bound in at_most.items())
        ]
        if within:
            at_most[order[0]] = min(within)
        return Query(minimise=order[0], then=tuple(order[1:]), at_most=at_most, floors=floors)

    def _solve(self, queries: Sequence[Query]) -> list[Answered]:
        """Answer queries within the budgets; how many run at a time does not change the answers."""
        left = self.most_solves - self.solves
        branches = branch_count(self.problem)
        share = left // len(queries) * branches
        time_left = max(0.01, self.deadline - time.monotonic())
        seconds = min(time_left, max(1.0, TIME_SHARES * time_left / left))
        if self.jobs == 1 or len(queries) == 1:
            answers = [
                solve_query(self.problem, query, time_limit_seconds=seconds, most_solves=share) for query in queries
            ]
        else:
            from joblib import Parallel, delayed

            tasks = (
                delayed(solve_query)(self.problem, q, time_limit_seconds=seconds, most_solves=share) for q in queries
            )
            answers = list(Parallel(n_jobs=min(self.jobs, len(queries)))(tasks))
        calls = [a.solves if isinstance(a, Infeasible) else a.certificate.solves for a in answers]
        self.calls += sum(calls)
        self.solves += sum(-(-count // branches) for count in calls)
        if self.on_progress is not None:
            seconds = time.monotonic() - self.started
            self.on_progress(
                Progress(solves=self.solves, most_solves=self.most_solves, points=len(self.points), seconds=seconds)
            )
        return answers

    # -- what was learnt --------------------------------------------------------------------------------------------

    def _learn(self, cell: _Cell, answer: Answered) -> None:
        if isinstance(answer, Infeasible):
            if answer.status is Status.INFEASIBLE:
                self._note(cell.level, LOWEST, Record(low=LOWEST, high=cell.bound, primary=None))
            else:
                self._abandon(cell)
            return
        self._remember(answer)
        if answer.certificate.status is not Status.OPTIMAL:
            self._abandon(cell)
            return
        values = answer.objectives
        lowest = LOWEST if self.roles.sliced is None else values[self.roles.sliced]
        if self.roles.threshold and not answer.certificate.efficient:
            # As good a pair exists below a lower threshold: there the smallest value of the maximum is still open.
            lower = next(piece.level for piece in self.slices if piece.level >= lowest)
            self.pending.insert(0, _Cell(level=lower, bound=cell.bound, low_end=cell.low_end))
            lowest = lower + 1
        if cell.low_end:
            self._note_low_end(cell.level, lowest, values)
        else:
            record = Record(low=values[str(self.roles.swept)], high=cell.bound, primary=values[self.roles.primary])
            self._note(cell.level, lowest, record)

    def _abandon(self, cell: _Cell) -> None:
        self._slice(cell.level).abandoned.append(self.spread.swept.low if cell.low_end else cell.bound)

    def _note_low_end(self, highest_level: int, lowest_level: int, values: Mapping[str, int]) -> None:
        """The smallest value of the swept objective, and the best primary value there."""
        swept = values[str(self.roles.swept)]
        self._note(highest_level, lowest_level, Record(low=LOWEST, high=swept - 1, primary=None))
        self._note(highest_level, lowest_level, Record(low=swept, high=swept, primary=values[self.roles.primary]))

    def _note(self, highest_level: int, lowest_level: int, record: Record) -> None:
        """Keep a fact, in every slice it holds for.

        An optimum that meets a lower threshold is optimal there too; so it is up to a higher threshold that is known
        to allow nothing better.
        """
        if record.primary is not None:
            same = [f for f in self.facts if f.record.primary == record.primary and f.record.high >= record.high]
            highest_level = max([highest_level, *(fact.highest_level for fact in same)])
        self.facts.append(_Fact(lowest_level=lowest_level, highest_level=highest_level, record=record))
        for piece in self.slices:
            if lowest_level <= piece.level <= highest_level:
                piece.add(record)

    def _remember(self, answer: Answered) -> None:
        """Keep the point: per vector one that is proven efficient, then the lexicographically smallest selection."""
        if isinstance(answer, Infeasible):
            return
        vector = tuple(answer.objectives[name] for name in self.problem.objective_names)
        present = self.points.get(vector)
        if present is None or _preference(answer) < _preference(present):
            self.points[vector] = answer

    # -- what is shown and claimed ----------------------------------------------------------------------------------

    def shown(self) -> list[Point]:
        """Nondominated points by vector. Those a lower threshold could still improve are left out if others remain."""
        vectors = sorted(self.points)
        if not vectors:
            return []
        mask = nondominated(np.array(vectors, dtype=np.int64))
        points = [self.points[vector] for vector, keep in zip(vectors, mask, strict=True) if keep]
        settled = [p for p in points if p.certificate.efficient or p.certificate.status is not Status.OPTIMAL]
        return settled or points

    def open_gaps(self) -> list[tuple[Slice, Gap]]:
        """Every gap of every slice in which a nondominated pair may lie."""
        return [(piece, gap) for piece in self.slices for gap in piece.gaps()]

    def gap(self) -> int | None:
        """Largest amount of the primary objective that a design in a gap could still gain; None when unbounded."""
        if not self.cornered or self.roles.sliced is not None:
            return None
        return max(
            (gap.below - gap.above - self.roles.tight for _, gap in self.open_gaps() if gap.below is not None),
            default=0,
        )

    @property
    def primary(self) -> str:
        """The objective that is minimised, and that gaps are counted in."""
        return self.roles.primary

    def open_regions(self) -> int:
        """Gaps and thresholds not looked into."""
        return len(self.open_gaps()) + self.missing_levels()

    def missing_levels(self) -> int:
        """Attainable thresholds that were not looked at, or whose first solve did not end in time."""
        present = {piece.level for piece in self.slices if piece.known(HIGHEST)}
        return max(0, len(self.levels) - len(present)) if self.roles.sliced else 0

    def why_incomplete(self) -> str:
        """Empty when every nondominated vector is proven to be among the points."""
        if self.roles.swept is None:
            proven = all(point.certificate.efficient for point in self.points.values()) and self.points
            return "" if proven else "the solver did not prove the optimum in time"
        if not self.cornered:
            return "the budget ended before the ends of the front were solved"
        gaps, levels = len(self.open_gaps()), self.missing_levels()
        if not gaps and not levels and not self.pending:
            return ""
        ended = "time" if time.monotonic() >= self.deadline else "solver calls"
        parts = [f"{gaps} gaps between found points" if gaps else "", f"{levels} thresholds" if levels else ""]
        regions = " and ".join(part for part in parts if part) or f"{len(self.pending)} confirmations"
        return f"the {ended} allowed ended with {regions} not looked into"


def _preference(point: Point) -> tuple[bool, tuple[int, ...]]:
    return not point.certificate.efficient, point.selection
