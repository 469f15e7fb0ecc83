"""Objectives as the solver sees them: small non-negative integer steps above a lower bound, weighted to one number."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from dse.solve.problem import EXACT_LIMIT, PARTS_PER_MILLION, Combine, IntArray, Problem, UtilisationObjective
from dse.solve.query import Query, limits_of

LARGEST_WEIGHTED = 5 * 10**13
"""Largest combined objective for which weighted lexicographic solves were measured to equal two-stage ones at
tolerances of 1e-9 (loss x cycles, 8 layers; loss x LUT, 20 layers); above it the stages are solved one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One minimised objective, counted in steps from a lower bound.

    Attributes:
        name: The objective.
        offset: Its value at 0 steps (unless ``levels`` says otherwise).
        span: Steps it can be above that at most, at least 0.
        levels: For objectives that combine by maximum: the attainable values, ascending; a step is one level.
    """

    name: str
    offset: int
    span: int
    levels: tuple[int, ...] | None = None

    def steps(self, value: int) -> int:
        """Steps of an objective value; values below the lowest level count 0."""
        return value - self.offset if self.levels is None else bisect_left(self.levels, value)

    def value(self, steps: int) -> int:
        """The objective value ``steps`` above the lower bound."""
        return self.offset + steps if self.levels is None else self.levels[max(0, min(steps, self.span))]

    def rank(self, values: IntArray) -> IntArray:
        """Level number of each entry, for terms with ``levels``."""
        return np.searchsorted(np.array(self.levels, dtype=np.int64), values).astype(np.int64)


def term_of(problem: Problem, query: Query, name: str) -> Term:
    """The term of one objective of a query over the options of ``problem`` (which may already be reduced)."""
    objective = problem.objective(name)
    if isinstance(objective, UtilisationObjective):
        return _utilisation_term(problem, query, objective)
    if problem.combines(name) is Combine.MAX:
        return _maximum_term(problem, query, name)
    lowest = sum(int(layer.column(name).min()) for layer in problem.layers)
    highest = sum(int(layer.column(name).max()) for layer in problem.layers)
    limit = limits_of(problem, query).sums.get(name, highest)
    return Term(name=name, offset=lowest, span=max(0, min(highest, limit) - lowest))


def _utilisation_term(problem: Problem, query: Query, objective: UtilisationObjective) -> Term:
    def bound(resource: str, limit: int, *, largest: int) -> int:
        columns = (layer.column(resource) for layer in problem.layers)
        total = sum(int(column.max() if largest else column.min()) for column in columns)
        return -(-total * PARTS_PER_MILLION // limit)

    lowest = max(bound(resource, limit, largest=0) for resource, limit in objective.limits.items())
    highest = max(bound(resource, limit, largest=1) for resource, limit in objective.limits.items())
    if query.at_least is not None and query.minimise == objective.name:
        lowest = max(lowest, query.at_least)
    highest = min(highest, query.at_most.get(objective.name, highest))
    return Term(name=objective.name, offset=lowest, span=max(0, highest - lowest))


def _maximum_term(problem: Problem, query: Query, name: str) -> Term:
    """Levels from the smallest value the maximum can take (every layer needs one) up to its limit."""
    columns = [layer.column(name) for layer in problem.layers if name in layer.columns]
    lowest = max(*(int(column.min()) for column in columns), query.floors.get(name, -EXACT_LIMIT))
    limit = max(limits_of(problem, query).maxima.get(name, EXACT_LIMIT), lowest)
    values = np.unique(np.concatenate(columns))
    levels = (lowest, *(int(value) for value in values if lowest < value <= limit))
    return Term(name=name, offset=lowest, span=len(levels) - 1, levels=levels)


def weights_of(terms: tuple[Term, ...]) -> tuple[int, ...]:
    """Integer weights that make the weighted sum of steps a lexicographic order: one step outweighs all after it."""
    weights = [1]
    for term in reversed(terms[1:]):
        weights.append(weights[-1] * (term.span + 1))
    return tuple(reversed(weights))


def first_stage(terms: tuple[Term, ...]) -> int:
    """How many leading terms can be minimised in one solve without leaving exact ground, at least 1."""
    count = len(terms)
    while count > 1 and weights_of(terms[:count])[0] * (terms[0].span + 1) > LARGEST_WEIGHTED:
        count -= 1
    return count
