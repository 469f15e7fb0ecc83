"""From tables to designs: the front of a problem, decoded."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse.decoding import design_of
from dse.designs import Design, DesignKind
from dse.errors import InfeasibleError, StudyError
from dse.explanation import explain_caps, infeasible_in_words
from dse.progress import solver_progress
from dse.solve import optimise
from dse.solve.problem import Cap
from dse.solve.result import GapKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.decision_tables import DecisionTables
    from dse.preparation import Prepared
    from dse.solve.problem import Problem
    from dse.solve.result import Front, Point


GAP = 0.02
"""Share of the hypervolume that may be missing where paths tell the problem: the designs that are missing differ from
those found by less than predictions err, and those that are kept are made efficient whatever the gap."""
POLISHING = 0.1
"""Share of the time limit, beyond it, for making the designs kept efficient: most take hundredths of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A front as designs, cheapest first, and what is proven about it."""

    designs: tuple[Design, ...]
    complete: bool
    why_incomplete: str
    solves: int
    seconds: float


def problem_of(tables: DecisionTables, *, worst_loss: float = math.inf) -> Problem:
    """The problem the tables pose to designs that are predicted to lose at most ``worst_loss`` nats.

    Raises:
        StudyError: if they make none, in the words of what is wrong.
    """
    try:
        problem = tables.problem()
        if math.isinf(worst_loss):
            return problem
        added = math.floor(worst_loss**tables.losses.exponent / tables.loss_unit)  # see `LossTable.of_sum`
        return problem.replace(caps=(*problem.caps, Cap(resource="loss", limit=added)))
    except ValueError as error:
        raise StudyError(f"these settings make no solvable problem: {error}") from error


def solve_front(prepared: Prepared, tables: DecisionTables, *, solves: int, jobs: int) -> Solved:
    """The front of the tables: at most so many designs or solver calls, in their share of the study's time.

    Where paths tell the problem they find many designs, of which those are kept that cover the front best. The search
    stops within `GAP`; each design kept is then made efficient.

    Raises:
        InfeasibleError: if no design meets the caps; says which resource is short and what would help.
    """
    started, settings = time.perf_counter(), prepared.config.front
    seconds = settings.time_limit_seconds * min(1.0, solves / settings.solves)
    with solver_progress(solves) as on_progress:
        solved = optimise(
            problem_of(tables, worst_loss=prepared.worst_loss),
            gap=GAP,
            max_solves=solves,
            time_limit_seconds=seconds,
            on_progress=on_progress,
            jobs=jobs,
        )
    if solved.infeasibility is not None:
        raise InfeasibleError(infeasible_in_words(solved.infeasibility, tables.nats))
    shown = solved.subset(solves, by="ratio").polished(time_limit_seconds=POLISHING * seconds)
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


def explained(prepared: Prepared, tables: DecisionTables, limits: Mapping[str, int]) -> str:
    """Why the caps cannot be met and what would help, or that they can; ``limits`` replace usable resources."""

    def describe(point: Point) -> str:
        design = design_of(prepared, tables, point, name="cheapest", kind=DesignKind.FRONT)
        return f"{design.summary}; {design.energy_in_words}"

    return explain_caps(
        problem_of(tables, worst_loss=prepared.worst_loss),
        limits,
        describe=describe,
        nats=tables.nats,
        time_limit_seconds=prepared.config.front.time_limit_seconds,
    )


def _why(solved: Front, kept: int) -> str:
    """What may be missing; empty if nothing is."""
    count = len(solved.points)
    parts = [f"{kept} of {count} designs found are kept"] if kept < count else []
    if not solved.complete:
        known = solved.gap is not None and solved.gap_kind is GapKind.HYPERVOLUME
        parts.append(f"at most {solved.gap:.2%} of the hypervolume is missing" if known else solved.why_incomplete)
    return "; ".join(parts)
