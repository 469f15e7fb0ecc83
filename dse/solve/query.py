"""One question to the solver: what to minimise, what to break ties by, within which bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dse.solve.tables import PARTS_PER_MILLION, Combine, UtilisationObjective

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.solve.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Minimise one objective, then the others in order, while objectives keep their bounds.

    Attributes:
        minimise: Name of the objective that is minimised first.
        then: Names of objectives minimised next, each without giving up anything of the ones before.
        at_most: Objective name to the largest value allowed (an epsilon, a threshold).
        floors: For objectives that combine by maximum: values at or below the floor count as equal.
    """

    minimise: str
    then: tuple[str, ...] = ()
    at_most: Mapping[str, int] = field(default_factory=dict)
    floors: Mapping[str, int] = field(default_factory=dict)

    @property
    def order(self) -> tuple[str, ...]:
        """All objectives that are minimised, first to last."""
        return (self.minimise, *self.then)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps and epsilons of a query in terms of attributes.

    Attributes:
        sums: Attribute to the largest sum allowed over the layers.
        maxima: Attribute to the largest value allowed in any layer.
    """

    sums: Mapping[str, int]
    maxima: Mapping[str, int]


def limits_of(problem: Problem, query: Query) -> Limits:
    """The tightest limit per attribute; an epsilon on a utilisation becomes one limit per resource, exactly.

    ``ceil(used * 10**6 / limit) <= bound`` holds for integers just when ``used <= floor(bound * limit / 10**6)``.
    """
    sums: dict[str, int] = {}
    maxima: dict[str, int] = {}

    def tighten(attribute: str, limit: int) -> None:
        target = maxima if problem.combines(attribute) is Combine.MAX else sums
        target[attribute] = min(limit, target.get(attribute, limit))

    for cap in problem.caps:
        tighten(cap.resource, int(cap.limit))
    for name, bound in query.at_most.items():
        objective = problem.objective(name)
        if isinstance(objective, UtilisationObjective):
            for resource, available in objective.limits.items():
                tighten(resource, int(bound) * available // PARTS_PER_MILLION)
        else:
            tighten(name, int(bound))
    return Limits(sums=sums, maxima=maxima)
