"""Recompute a selection in Python integers: the only numbers that are ever shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dse.solve.tables import PARTS_PER_MILLION, Combine, UtilisationObjective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse.solve.problem import Problem

Selection: TypeAlias = tuple[int, ...]
"""Option index per layer, in the problem's order of layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a selection is worth, exactly.

    Attributes:
        objectives: Objective name to value.
        totals: Attribute to its combined value, for every attribute that a cap or a utilisation objective uses.
        violations: One sentence per cap, coupling or number of items that does not hold; empty for a valid design.
    """

    objectives: dict[str, int]
    totals: dict[str, int]
    violations: tuple[str, ...]


def evaluate(problem: Problem, selection: Sequence[int]) -> Evaluation:
    """Objectives, resources and violations of one option per layer, in Python integers.

    Args:
        problem: The problem.
        selection: Option index per layer, each in ``range(layer.option_count)``.

    Raises:
        ValueError: Wrong number of layers or an index outside its table.

    >>> from dse.solve.problem import AttributeObjective, Cap, LayerTable, Problem
    >>> tables = (LayerTable(name="a", columns={"loss": [0, 4], "luts": [9, 2]}),)
    >>> problem = Problem(
    ...     layers=tables, objectives=(AttributeObjective(name="loss"),), caps=(Cap(resource="luts", limit=5),)
    ... )
    >>> evaluate(problem, (0,)).violations
    ("'luts' is 9, the cap is 5",)
    """
    if len(selection) != len(problem.layers):
        raise ValueError(f"a selection has one option per layer ({len(problem.layers)}), got {len(selection)}")
    for layer, chosen in zip(problem.layers, selection, strict=True):
        if not 0 <= chosen < layer.option_count:
            raise ValueError(f"layer {layer.name!r} has options 0 to {layer.option_count - 1}, got {chosen}")
    totals = {cap.resource: _total(problem, selection, cap.resource) for cap in problem.caps}
    objectives = {}
    for objective in problem.objectives:
        if isinstance(objective, UtilisationObjective):
            taken = {resource: _total(problem, selection, resource) for resource in objective.limits}
            totals |= taken
            objectives[objective.name] = utilisation(taken, dict(objective.limits))
        else:
            objectives[objective.name] = _total(problem, selection, objective.name)
    violations = [
        f"{cap.resource!r} is {totals[cap.resource]}, the cap is {cap.limit}"
        for cap in problem.caps
        if totals[cap.resource] > cap.limit
    ]
    index = problem.layer_index
    for coupling in problem.couplings:
        left, right = (
            int(problem.layers[index[name]].column(key)[selection[index[name]]]) for name, key in coupling.ends
        )
        if left != right:
            violations.append(f"coupling {coupling} does not hold: {left} and {right}")
    for one in problem.paid_once:
        used = len({item for item in _chosen(problem, selection, one.key) if item >= 0})
        if one.most is not None and used > one.most:
            violations.append(f"{used} items of {one.key!r} are used, at most {one.most} may be")
    return Evaluation(objectives=objectives, totals=totals, violations=tuple(violations))


def utilisation(used: dict[str, int], limits: dict[str, int]) -> int:
    """Max over resources of ``ceil(used * 10**6 / limit)``: parts per million, exact.

    >>> utilisation({"luts": 1, "dsps": 5}, {"luts": 3, "dsps": 20})
    333334
    """
    return max(-(-used[resource] * PARTS_PER_MILLION // limit) for resource, limit in limits.items())


def _total(problem: Problem, selection: Sequence[int], attribute: str) -> int:
    """Sum or maximum over the layers that have the attribute; what is paid once adds to a sum."""
    values = _chosen(problem, selection, attribute)
    if problem.combines(attribute) is Combine.MAX:
        return max(values)
    return sum(values) + sum(
        one.total(attribute, _chosen(problem, selection, one.key)) for one in problem.paid(attribute)
    )


def _chosen(problem: Problem, selection: Sequence[int], attribute: str) -> list[int]:
    return [
        int(layer.columns[attribute][chosen])
        for layer, chosen in zip(problem.layers, selection, strict=True)
        if attribute in layer.columns
    ]
