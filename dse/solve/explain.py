"""Why no design meets the caps: the least of each resource, the smallest common growth, single changes that help."""

from __future__ import annotations

import time
from dataclasses import dataclass

from dse.solve.problem import (
    PARTS_PER_MILLION,
    AttributeObjective,
    Cap,
    Combine,
    Objective,
    Problem,
    UtilisationObjective,
)
from dse.solve.query import Query
from dse.solve.result import Infeasibility, Infeasible, Lever, Point, Shortage, Status
from dse.solve.single import require_time, solve_query

_GROWTH = "growth of the caps"


def explain(problem: Problem, *, time_limit_seconds: float = 120.0) -> Infeasibility:
    """Say what is short, by how much, and what would fix it. Three solver calls per cap and a few more.

    Args:
        problem: A problem whose caps no design meets (for any other, no resource is short).
        time_limit_seconds: Wall time for all solver calls; statements that need more are left out.

    Raises:
        ValueError: The time limit is not above 0.
    """
    require_time(time_limit_seconds)
    ask = _Ask(problem=problem, deadline=time.monotonic() + time_limit_seconds)
    if ask.impossible():
        return Infeasibility(shortages=(), relaxation_ppm=None, levers=(), couplings_clash=True)
    shortages = []
    levers = []
    for cap in problem.caps:
        others = tuple(other for other in problem.caps if other != cap)
        least = ask.least(AttributeObjective(name=cap.resource), ())
        if least is not None:
            shortages.append(Shortage(resource=cap.resource, limit=cap.limit, least=least))
        needed = ask.least(AttributeObjective(name=cap.resource), others)
        if needed is not None and needed > cap.limit:
            levers.append(Lever(resource=cap.resource, limit=cap.limit, needed=needed))
    growth = _growth(problem, ask)
    return Infeasibility(
        shortages=tuple(shortages),
        relaxation_ppm=None if growth is None else growth.objectives[_GROWTH],
        levers=tuple(levers),
        couplings_clash=False,
        clash=_clash(problem, ask),
        nearest=None if growth is None else growth.selection,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """Exact minima of a problem's attributes under some of its caps."""

    problem: Problem
    deadline: float

    def solve(self, objective: Objective, caps: tuple[Cap, ...]) -> Point | Infeasible:
        """The least value of an objective under some caps."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            return Infeasible(status=Status.TIME_LIMIT, at_most={}, seconds=0.0, solves=0)
        # The problem's own objectives stay: only objectives may be negative, and some may be capped.
        own = tuple(one for one in self.problem.objectives if one.name != objective.name)
        other = self.problem.replace(objectives=(objective, *own), caps=caps)
        return solve_query(other, Query(minimise=objective.name), time_limit_seconds=seconds)

    def least(self, objective: Objective, caps: tuple[Cap, ...]) -> int | None:
        """The proven minimum of an objective, None when infeasible or not proven in time."""
        answer = self.solve(objective, caps)
        if isinstance(answer, Infeasible) or answer.certificate.status is not Status.OPTIMAL:
            return None
        return answer.objectives[objective.name]

    def impossible(self, caps: tuple[Cap, ...] = ()) -> bool:
        """Whether it is proven that no selection satisfies the couplings and some caps."""
        answer = self.solve(self.problem.objectives[0], caps)
        return isinstance(answer, Infeasible) and answer.status is Status.INFEASIBLE


def _growth(problem: Problem, ask: _Ask) -> Point | None:
    """The design that needs the smallest common factor on the caps on sums, the others held; None: none helps."""
    growing = tuple(cap for cap in problem.caps if problem.combines(cap.resource) is Combine.SUM and cap.limit > 0)
    held = tuple(cap for cap in problem.caps if cap not in growing)
    if not growing:
        return None
    try:
        answer = ask.solve(UtilisationObjective(name=_GROWTH, limits={c.resource: c.limit for c in growing}), held)
    except ValueError:  # a capped objective with negative values cannot be seen as a resource
        return None
    if isinstance(answer, Infeasible) or answer.certificate.status is not Status.OPTIMAL:
        return None
    return answer if answer.objectives[_GROWTH] > PARTS_PER_MILLION else None


def _clash(problem: Problem, ask: _Ask) -> tuple[str, ...]:
    """Caps that cannot be met together, found by leaving out one after the other; none if the time was too short."""
    left = problem.caps
    if not ask.impossible(left):
        return ()
    for cap in problem.caps:
        others = tuple(other for other in left if other != cap)
        if ask.impossible(others):
            left = others
    return tuple(cap.resource for cap in left)
