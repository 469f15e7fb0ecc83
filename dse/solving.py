"""From tables to designs: the front of a problem, decoded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse.decoding import design_of
from dse.designs import Design, DesignKind
from dse.errors import InfeasibleError, StudyError
from dse.progress import solver_progress
from dse.solve import optimise
from dse.solve.result import GapKind

if TYPE_CHECKING:
    from dse.decision_tables import DecisionTables
    from dse.preparation import Prepared
    from dse.solve.problem import Problem
    from dse.solve.result import Front


GAP = 0.01
"""Share of the hypervolume that may be missing where paths tell the problem: the designs that are missing differ from
those found by less than predictions err."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A front as designs, cheapest first, and what is proven about it."""

    designs: tuple[Design, ...]
    complete: bool
    why_incomplete: str
    solves: int
    seconds: float


def problem_of(tables: DecisionTables) -> Problem:
    """The problem the tables pose.

    Raises:
        StudyError: if they make none, in the words of what is wrong.
    """
    try:
        return tables.problem()
    except ValueError as error:
        raise StudyError(f"these settings make no solvable problem: {error}") from error


def solve_front(prepared: Prepared, tables: DecisionTables, *, solves: int, jobs: int) -> Solved:
    """The front of the tables: at most so many designs or solver calls, in their share of the study's time.

    Where paths tell the problem they find many designs, of which those are kept that cover the front best.

    Raises:
        InfeasibleError: if no design meets the caps; says which resource is short and what would help.
    """
    started, settings = time.perf_counter(), prepared.config.front
    with solver_progress(solves) as on_progress:
        solved = optimise(
            problem_of(tables),
            gap=GAP,
            max_solves=solves,
            time_limit_seconds=settings.time_limit_seconds * min(1.0, solves / settings.solves),
            on_progress=on_progress,
            jobs=jobs,
        )
    if solved.infeasibility is not None:
        raise InfeasibleError(str(solved.infeasibility))
    shown = solved.subset(solves, by="ratio")
    points = sorted(shown.points, key=lambda point: tuple(point.objectives[name] for name in solved.objectives))
    designs = tuple(
        design_of(prepared, tables, point, name=f"d{index:02d}", kind=DesignKind.FRONT)
        for index, point in enumerate(points, start=1)
    )
    return Solved(
        designs=designs,
        complete=shown.complete,
        why_incomplete=_why(solved, len(points)),
        solves=solved.solves,
        seconds=time.perf_counter() - started,
    )


def _why(solved: Front, kept: int) -> str:
    """What may be missing; empty if nothing is."""
    count = len(solved.points)
    parts = [f"{kept} of {count} designs found are kept"] if kept < count else []
    if not solved.complete:
        known = solved.gap is not None and solved.gap_kind is GapKind.HYPERVOLUME
        parts.append(f"at most {solved.gap:.2%} of the hypervolume is missing" if known else solved.why_incomplete)
    return "; ".join(parts)
