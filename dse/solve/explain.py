"""Why no design meets the caps: the least of each resource, the smallest common growth, single changes that help."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from dse.solve.paid_once import PaidOnce
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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dse.solve.tables import Coupling

_GROWTH = "growth of the caps"
_NUMBER = "number of {}s"

_Part = TypeVar("_Part")


def explain(problem: Problem, *, time_limit_seconds: float = 120.0) -> Infeasibility:
    """Say what is short, by how much, and what would fix it. Three solver calls per cap and a few more.

    Args:
        problem: A problem whose caps no design meets (for any other, no resource is short).
        time_limit_seconds: Wall time for all solver calls; statements that need more are left out.

    Raises:
        ValueError: The time limit is not above 0.
    """
    require_time(time_limit_seconds)
    problem = _with_counted_items(problem)
    ask = _Ask(problem=problem, deadline=time.monotonic() + time_limit_seconds)
    if ask.impossible():
        contradicting = _irreducible(problem.couplings, lambda some: ask.impossible(couplings=some))
        return Infeasibility(
            shortages=(), relaxation_ppm=None, levers=(), couplings_clash=True, clash=tuple(map(str, contradicting))
        )
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
        clash=tuple(cap.resource for cap in _irreducible(problem.caps, ask.impossible)),
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

    def impossible(self, caps: Sequence[Cap] = (), couplings: Sequence[Coupling] | None = None) -> bool:
        """Whether it is proven that no selection satisfies some caps and the couplings, all unless some are given."""
        part = replace(self, problem=self.problem.replace(couplings=couplings))
        answer = part.solve(self.problem.objectives[0], tuple(caps))
        return isinstance(answer, Infeasible) and answer.status is Status.INFEASIBLE


def _with_counted_items(problem: Problem) -> Problem:
    """The same with a cap on how many items are used in place of the most that may be, to be explained like others."""
    parts, caps = [], list(problem.caps)
    for part in problem.paid_once:
        if part.most is None:
            parts.append(part)
            continue
        counted = _NUMBER.format(part.key)
        parts.append(PaidOnce(key=part.key, amounts={**part.amounts, counted: [1] * part.item_count}))
        caps.append(Cap(resource=counted, limit=part.most))
    return problem.replace(paid_once=parts, caps=caps)


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


def _irreducible(parts: Sequence[_Part], impossible: Callable[[Sequence[_Part]], bool]) -> tuple[_Part, ...]:
    """Parts that are impossible together and none of which can be left out; none if the time was too short.

    The shortest impossible beginning ends with a part that is needed; with that one held, the same is asked of those
    before it. Each takes as many questions as halving has steps.
    """
    needed: list[_Part] = []
    while parts and not impossible(needed):
        possible, count = 0, len(parts)
        while count - possible > 1:
            middle = (possible + count) // 2
            if impossible([*needed, *parts[:middle]]):
                count = middle
            else:
                possible = middle
        needed.insert(0, parts[count - 1])
        parts = parts[: count - 1]
    return tuple(needed) if impossible(needed) else ()
