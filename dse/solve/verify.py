"""Fronts checked by another method: points of a front solved again with HiGHS on the declared model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.evaluate import evaluate
from dse.solve.query import Query
from dse.solve.result import Infeasible, Status
from dse.solve.single import solve_query

if TYPE_CHECKING:
    from dse.solve.result import Front, Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What an independent solver said to a sample of points.

    Attributes:
        checked: Points solved again to proven optimality.
        skipped: Points of the sample for which the time was too short.
        disagreements: One sentence each; empty if all agree.
        seconds: Wall time.
    """

    checked: int
    skipped: int
    disagreements: tuple[str, ...]
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether nothing that was checked disagrees."""
        return not self.disagreements


def verify(front: Front, sample: int = 20, *, time_limit_seconds: float = 600.0) -> Verification:
    """Ask the declared model for the smallest first objective where the others are no worse than at a point.

    A proven point must be that optimum. With two objectives and a complete front, the solver is also asked for the
    best design that is better in the second objective than a point: it must be the next point of the front.

    Args:
        front: The front.
        sample: Most points checked, spread evenly over the front with both ends.
        time_limit_seconds: Wall time for all.

    Raises:
        ValueError: A sample below 1.
    """
    if sample < 1:
        raise ValueError(f"sample must be at least 1, got {sample}")
    started = time.monotonic()
    rows = np.unique(np.linspace(0, max(0, len(front.points) - 1), sample).round().astype(np.int64)).tolist()
    disagreements: list[str] = []
    checked = skipped = 0
    for row in rows if len(front.points) else []:
        left = time_limit_seconds - (time.monotonic() - started)
        if left <= 0.0:
            skipped += 1
            continue
        said = _check_point(front, front.points[row], left)
        if said is None:
            skipped += 1
            continue
        checked += 1
        disagreements += said
        if front.complete and len(front.objectives) == 2:
            left = max(0.01, time_limit_seconds - (time.monotonic() - started))
            disagreements += _check_next(front, row, left)
    return Verification(
        checked=checked, skipped=skipped, disagreements=tuple(disagreements), seconds=time.monotonic() - started
    )


def _check_point(front: Front, point: Point, seconds: float) -> list[str] | None:
    """What is wrong with a point; None if the solver did not finish."""
    exact = evaluate(front.problem, point.selection)
    said = [f"design {point.selection}: {violation}" for violation in exact.violations]
    if exact.objectives != dict(point.objectives):
        said.append(f"design {point.selection} has {exact.objectives}, the front says {dict(point.objectives)}")
    certificate = point.certificate
    first = certificate.minimised
    others = tuple(name for name in front.objectives if name != first)
    bounds = {name: point.objectives[name] for name in others}
    answer = solve_query(front.problem, Query(minimise=first, then=others, at_most=bounds), time_limit_seconds=seconds)
    if isinstance(answer, Infeasible):
        if answer.status is not Status.INFEASIBLE:
            return None
        return [*said, f"{dict(point.objectives)} is on the front, and HiGHS finds no design there"]
    if answer.certificate.status is not Status.OPTIMAL:
        return None
    best = answer.objectives[first]
    if not certificate.bound <= best <= point.objectives[first]:
        said.append(f"{first} of {dict(point.objectives)} is at least {certificate.bound}, HiGHS finds {best}")
    if certificate.efficient and dict(answer.objectives) != dict(point.objectives):
        said.append(f"{dict(point.objectives)} is on the front, HiGHS finds {dict(answer.objectives)}")
    return said


def _check_next(front: Front, row: int, seconds: float) -> list[str]:
    """What is wrong between a point and the next one."""
    first, second = front.objectives
    here = front.points[row]
    query = Query(minimise=first, then=(second,), at_most={second: here.objectives[second] - 1})
    answer = solve_query(front.problem, query, time_limit_seconds=seconds)
    following = front.points[row + 1].objectives if row + 1 < len(front.points) else None
    if isinstance(answer, Infeasible):
        if following is None or answer.status is not Status.INFEASIBLE:
            return []
        limit = here.objectives[second]
        return [f"{dict(following)} is on the front, HiGHS finds no design with {second} below {limit}"]
    if answer.certificate.status is not Status.OPTIMAL:
        return []
    if following is None or dict(answer.objectives) != dict(following):
        return [f"HiGHS finds {dict(answer.objectives)} next to {dict(here.objectives)}, the front has {following}"]
    return []
