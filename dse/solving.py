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

if TYPE_CHECKING:
    from dse.decision_tables import DecisionTables
    from dse.preparation import Prepared
    from dse.solve.problem import Problem


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
    """The front of the tables with at most so many solver calls, and their share of the study's time.

    Raises:
        InfeasibleError: if no design meets the caps; says which resource is short and what would help.
    """
    started, settings = time.perf_counter(), prepared.config.front
    with solver_progress(solves) as on_progress:
        solved = optimise(
            problem_of(tables),
            max_solves=solves,
            time_limit_seconds=settings.time_limit_seconds * min(1.0, solves / settings.solves),
            on_progress=on_progress,
            jobs=jobs,
        )
    if solved.infeasibility is not None:
        raise InfeasibleError(str(solved.infeasibility))
    points = sorted(solved.points, key=lambda point: tuple(point.objectives[name] for name in solved.objectives))
    designs = tuple(
        design_of(prepared, tables, point, name=f"d{index:02d}", kind=DesignKind.FRONT)
        for index, point in enumerate(points, start=1)
    )
    return Solved(
        designs=designs,
        complete=solved.complete,
        why_incomplete=solved.why_incomplete,
        solves=solved.solves,
        seconds=time.perf_counter() - started,
    )
