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
from dse.solve.result import Infeasibility, Infeasible, Lever, Shortage, Status
from dse.solve.single import require_time, solve_query


def explain(problem: Problem, *, time_limit_seconds: float = 120.0) -> Infeasibility:
    """Say what is short, by how much, and what would fix it. Two solver calls per cap and one more.

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
    return Infeasibility(
        shortages=tuple(shortages),
        relaxation_ppm=_relaxation(problem, ask),
        levers=tuple(levers),
        couplings_clash=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """Exact minima of a problem's attributes under some of its caps."""

    problem: Problem
    deadline: float

    def _query(self, objective: Objective, caps: tuple[Cap, ...]) -> tuple[Status, int | None]:
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            return Status.TIME_LIMIT, None
        other = self.problem.replace(objectives=(objective,), caps=caps)
        answer = solve_query(other, Query(minimise=objective.name), time_limit_seconds=seconds)
        if isinstance(answer, Infeasible):
            return answer.status, None
        return answer.certificate.status, answer.objectives[objective.name]

    def least(self, objective: Objective, caps: tuple[Cap, ...]) -> int | None:
        """The proven minimum of an objective, None when infeasible or not proven in time."""
        status, value = self._query(objective, caps)
        return value if status is Status.OPTIMAL else None

    def impossible(self) -> bool:
        """Whether no selection satisfies the couplings alone."""
        attribute = next(iter(self.problem.layers[0].columns))
        status, _ = self._query(AttributeObjective(name=attribute), ())
        return status is Status.INFEASIBLE


def _relaxation(problem: Problem, ask: _Ask) -> int | None:
    """Smallest common factor for the caps on sums, the others held; in parts per million."""
    growing = tuple(cap for cap in problem.caps if problem.combines(cap.resource) is Combine.SUM and cap.limit > 0)
    held = tuple(cap for cap in problem.caps if cap not in growing)
    if not growing:
        return None
    try:
        objective = UtilisationObjective(name="growth of the caps", limits={c.resource: c.limit for c in growing})
        factor = ask.least(objective, held)
    except ValueError:  # a capped objective with negative values cannot be seen as a resource
        return None
    return factor if factor is not None and factor > PARTS_PER_MILLION else None
