"""Objectives as the solver sees them: small non-negative integer steps above a lower bound, weighted to one number."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.query import Query, limits_of
from dse.solve.reduce import largest_sum, smallest_sum
from dse.solve.tables import EXACT_LIMIT, PARTS_PER_MILLION, Combine, IntArray, UtilisationObjective

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.solve.evaluate import Evaluation
    from dse.solve.problem import Problem

LARGEST_WEIGHTED = 5 * 10**13
"""Largest combined objective for which weighted lexicographic solves were measured to equal two-stage ones at
tolerances of 1e-9 (loss x cycles, 8 layers; loss x LUT, 20 layers); above it the stages are solved one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How exactly one solve has to answer.

    Attributes:
        gap: Absolute gap at which the solver may stop, in steps of the last term.
        noise: A dual bound this much above the truth is still taken for rounding.
    """

    gap: float
    noise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One minimised objective, counted in steps from a lower bound.

    Attributes:
        name: The objective.
        offset: Its value at 0 steps (unless ``levels`` says otherwise).
        span: Steps it can be above that at most, at least 0.
        levels: For objectives that combine by maximum: the attainable values, ascending; a step is one level.
        limits: For utilisations: what is available per resource. A utilisation is a fraction of a step in the solver
            and rounded up afterwards: an integer of a million steps cannot be told from its neighbours at a tolerance
            of 1e-9, and HiGHS 1.15.1 then cuts off optima. The least utilisation rounded up is the rounded least one.
    """

    name: str
    offset: int
    span: int
    levels: tuple[int, ...] | None = None
    limits: Mapping[str, int] | None = None

    def steps(self, value: int) -> int:
        """Steps of an objective value; values below the lowest level count 0."""
        return value - self.offset if self.levels is None else bisect_left(self.levels, value)

    def value(self, steps: int) -> int:
        """The objective value ``steps`` above the lower bound."""
        return self.offset + steps if self.levels is None else self.levels[max(0, min(steps, self.span))]

    def exact_steps(self, evaluation: Evaluation) -> Fraction:
        """Steps as the solver counts them: whole ones, except for a utilisation."""
        if self.limits is None:
            return Fraction(max(0, self.steps(evaluation.objectives[self.name])))
        used = max(Fraction(evaluation.totals[r] * PARTS_PER_MILLION, limit) for r, limit in self.limits.items())
        return max(Fraction(0), used - self.offset)

    def rank(self, values: IntArray) -> IntArray:
        """Level number of each entry, for terms with ``levels``."""
        return np.searchsorted(np.array(self.levels, dtype=np.int64), values).astype(np.int64)


def least_value(problem: Problem, name: str) -> int:
    """A lower bound of an objective over the options of ``problem``, whatever limits there are."""
    objective = problem.objective(name)
    if isinstance(objective, UtilisationObjective):
        return max(_share(smallest_sum(problem, resource), limit) for resource, limit in objective.limits.items())
    if problem.combines(name) is Combine.MAX:
        return max(int(layer.column(name).min()) for layer in problem.layers if name in layer.columns)
    return smallest_sum(problem, name)


def term_of(problem: Problem, query: Query, name: str) -> Term:
    """The term of one objective of a query over the options of ``problem`` (which may already be reduced)."""
    objective = problem.objective(name)
    if isinstance(objective, UtilisationObjective):
        return _utilisation_term(problem, query, objective)
    if problem.combines(name) is Combine.MAX:
        return _maximum_term(problem, query, name)
    lowest = sum(int(layer.column(name).min()) for layer in problem.layers)
    highest = largest_sum(problem, name)
    limit = limits_of(problem, query).sums.get(name, highest)
    return Term(name=name, offset=lowest, span=max(0, min(highest, limit) - lowest))


def _utilisation_term(problem: Problem, query: Query, objective: UtilisationObjective) -> Term:
    lowest = least_value(problem, objective.name)
    highest = max(_share(largest_sum(problem, resource), limit) for resource, limit in objective.limits.items())
    highest = min(highest, query.at_most.get(objective.name, highest))
    return Term(name=objective.name, offset=lowest, span=max(0, highest - lowest), limits=objective.limits)


def _share(used: int, limit: int) -> int:
    return -(-used * PARTS_PER_MILLION // limit)


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
    """How many leading terms can be minimised in one solve without leaving exact ground, at least 1.

    A utilisation ends a stage, because fractions of its steps would outweigh all that comes after.
    """
    count = next((position + 1 for position, term in enumerate(terms) if term.limits is not None), len(terms))
    while count > 1:
        if weights_of(terms[:count])[0] * (terms[0].span + 1) <= LARGEST_WEIGHTED:
            break
        count -= 1
    return count


def precision_of(terms: tuple[Term, ...]) -> Precision:
    """The gap and noise under which the terms of one stage are still told apart."""
    limits = terms[-1].limits
    if limits is None:
        return Precision(gap=0.9, noise=0.05)  # integers; float sums near 5e13 carry an error of about 0.01
    if len(terms) > 1:
        return Precision(gap=0.05, noise=0.05)  # a utilisation this near a whole step is settled by itself
    # Utilisations differ from whole steps by multiples of this: prove less than half of it.
    finest = min(math.gcd(limit, PARTS_PER_MILLION) / limit for limit in limits.values())
    return Precision(gap=finest / 4, noise=finest / 4)
