"""Leave out options that cannot matter for a query, so that the MILP is small; optimal values stay as they are.

Three rules, applied per layer: an option beyond a threshold, without a partner in a coupling, or too large for a
limit even if all other layers take their smallest value can be in no solution; an option that another one of equal
coupling attributes matches or beats in everything the query looks at is not needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dse.solve.dominance import nondominated_in_groups
from dse.solve.problem import IntArray, LayerTable, Problem, UtilisationObjective
from dse.solve.query import Limits, Query, limits_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def reduce_options(problem: Problem, query: Query) -> list[IntArray] | None:
    """Sorted option indices per layer that are enough to answer ``query``; None when some layer has none left.

    Every optimal value of the query over the kept options equals that over all options.
    """
    limits = limits_of(problem, query)
    kept = [np.arange(layer.option_count) for layer in problem.layers]
    for attribute, limit in limits.maxima.items():
        for position, layer in enumerate(problem.layers):
            if attribute in layer.columns:
                kept[position] = kept[position][layer.column(attribute)[kept[position]] <= limit]
    while True:
        before = sum(map(len, kept))
        _drop_without_partner(problem, kept)
        if not all(map(len, kept)):
            return None
        _drop_too_large(problem, limits.sums, kept)
        if not all(map(len, kept)):
            return None
        if sum(map(len, kept)) == before:
            break
    plan = _compared_attributes(problem, query, limits, kept)
    return [_drop_dominated(problem, position, rows, plan, query.floors) for position, rows in enumerate(kept)]


def reduce_for_all(problem: Problem) -> list[IntArray]:
    """Option indices enough for every query: only what is dominated in all attributes that any query can look at."""
    everything = sorted(
        {cap.resource for cap in problem.caps} | _objective_attributes(problem, problem.objective_names)
    )
    return [
        _drop_dominated(problem, position, np.arange(layer.option_count), everything, {})
        for position, layer in enumerate(problem.layers)
    ]


def _drop_without_partner(problem: Problem, kept: list[IntArray]) -> None:
    index = problem.layer_index
    for coupling in problem.couplings:
        (left, left_key), (right, right_key) = ((index[name], key) for name, key in coupling.ends)
        left_values = problem.layers[left].column(left_key)[kept[left]]
        right_values = problem.layers[right].column(right_key)[kept[right]]
        kept[left] = kept[left][np.isin(left_values, right_values)]
        kept[right] = kept[right][np.isin(right_values, left_values)]


def _drop_too_large(problem: Problem, limits: Mapping[str, int], kept: list[IntArray]) -> None:
    """Drop options whose value plus the smallest values of all other layers exceeds a limit on the sum."""
    for attribute, limit in limits.items():
        columns = [layer.column(attribute)[rows] for layer, rows in zip(problem.layers, kept, strict=True)]
        slack = limit - sum(int(column.min()) for column in columns)
        for position, column in enumerate(columns):
            kept[position] = kept[position][column - column.min() <= slack]
        if not all(map(len, kept)):
            return


def _objective_attributes(problem: Problem, names: Sequence[str]) -> set[str]:
    attributes: set[str] = set()
    for name in names:
        objective = problem.objective(name)
        attributes |= set(objective.limits) if isinstance(objective, UtilisationObjective) else {name}
    return attributes


def _compared_attributes(problem: Problem, query: Query, limits: Limits, kept: Sequence[IntArray]) -> list[str]:
    """Attributes in which an option must be no worse: what is minimised, and limits on sums that can still bind."""
    binding = {attribute for attribute, limit in limits.sums.items() if largest_sum(problem, attribute, kept) > limit}
    return sorted(binding | _objective_attributes(problem, query.order))


def largest_sum(problem: Problem, attribute: str, kept: Sequence[IntArray] | None = None) -> int:
    """Sum of the layers' largest values of an attribute: a limit at or above it is slack."""
    rows: Sequence[IntArray | slice] = [slice(None)] * len(problem.layers) if kept is None else kept
    return sum(int(layer.column(attribute)[r].max()) for layer, r in zip(problem.layers, rows, strict=True))


def _drop_dominated(
    problem: Problem, position: int, rows: IntArray, attributes: Sequence[str], floors: Mapping[str, int]
) -> IntArray:
    layer = problem.layers[position]
    compared = [_clipped(layer, name, floors)[rows] for name in attributes if name in layer.columns]
    ties = [
        layer.column(objective.name)[rows]
        for objective in problem.objectives
        if not isinstance(objective, UtilisationObjective)
    ]
    return rows[
        nondominated_in_groups(_table(compared, rows), _coupling_groups(problem, layer, rows), _table(ties, rows))
    ]


def _table(columns: Sequence[IntArray], rows: IntArray) -> IntArray:
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0), dtype=np.int64)


def _clipped(layer: LayerTable, attribute: str, floors: Mapping[str, int]) -> IntArray:
    values = layer.column(attribute)
    return np.maximum(values, floors[attribute]) if attribute in floors else values


def _coupling_groups(problem: Problem, layer: LayerTable, rows: IntArray) -> IntArray:
    """Group number per row: equal where all coupled attributes of the layer are equal."""
    keys = sorted({key for coupling in problem.couplings for name, key in coupling.ends if name == layer.name})
    if not keys:
        return np.zeros(len(rows), dtype=np.int64)
    table = np.stack([layer.column(key)[rows] for key in keys], axis=1)
    return np.unique(table, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
