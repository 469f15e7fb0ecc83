"""Leave out options that cannot matter for a query, so that the MILP is small; optimal values stay as they are.

Three rules, applied per layer: an option beyond a threshold, without a partner in a coupling, or too large for a
limit even if all other layers take their smallest value can be in no solution; an option that another one of equal
coupling attributes matches or beats in everything the query looks at is not needed. Two options are compared only if
they use the same items of what is paid once, so that one in place of the other leaves those as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dse.solve.dominance import nondominated_in_groups
from dse.solve.query import Limits, Query, limits_of
from dse.solve.tables import IntArray, LayerTable, UtilisationObjective

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.solve.paid_once import PaidOnce
    from dse.solve.problem import Problem


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
        drop_without_partner(problem, kept)
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


def drop_without_partner(problem: Problem, kept: list[IntArray]) -> None:
    """Drop, once per coupling, options whose coupled value no option kept on the other side has."""
    index = problem.layer_index
    for coupling in problem.couplings:
        (left, left_key), (right, right_key) = ((index[name], key) for name, key in coupling.ends)
        left_values = problem.layers[left].column(left_key)[kept[left]]
        right_values = problem.layers[right].column(right_key)[kept[right]]
        kept[left] = kept[left][np.isin(left_values, right_values)]
        kept[right] = kept[right][np.isin(right_values, left_values)]


def _drop_too_large(problem: Problem, limits: Mapping[str, int], kept: list[IntArray]) -> None:
    """Drop options whose value plus the smallest values of all other layers exceeds a limit on the sum.

    An item paid once costs a design at least what the option itself uses of it, and what any layer must use at least.
    """
    for attribute, limit in limits.items():
        columns = [layer.column(attribute)[rows] for layer, rows in zip(problem.layers, kept, strict=True)]
        slack = limit - sum(int(column.min()) for column in columns)
        excess = [column - column.min() for column in columns]
        for one in problem.paid(attribute):
            own = _own_amounts(problem, one, attribute, kept)
            least = max((int(amounts.min()) for amounts in own.values()), default=0)
            slack -= least
            for position, amounts in own.items():
                excess[position] = excess[position] + np.maximum(amounts - least, 0)
        for position, above in enumerate(excess):
            kept[position] = kept[position][above <= slack]
        if not all(map(len, kept)):
            return


def _own_amounts(
    problem: Problem, one: PaidOnce, attribute: str, kept: Sequence[IntArray] | None = None
) -> dict[int, IntArray]:
    """What each option kept uses of an item by itself, by position of the layers that use any."""
    items = {place: layer.column(one.key) for place, layer in enumerate(problem.layers) if one.key in layer.columns}
    return {
        place: one.per_option(attribute, used if kept is None else used[kept[place]]) for place, used in items.items()
    }


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
    """An upper bound of a sum, and a limit at or above it is slack: the layers' largest values and all that is paid."""
    total = 0
    for position, layer in enumerate(problem.layers):
        if attribute in layer.columns:
            values = layer.column(attribute)
            total += int((values if kept is None else values[kept[position]]).max())
    for one in problem.paid(attribute):
        # Each layer pays for one item at most, and every item is paid for at most once.
        own = sum(int(amounts.max()) for amounts in _own_amounts(problem, one, attribute, kept).values())
        total += min(own, one.total(attribute, range(one.item_count)))
    return total


def smallest_sum(problem: Problem, attribute: str) -> int:
    """A lower bound of a sum: the layers' smallest values, and what the layer that must pay most pays once."""
    total = sum(int(layer.column(attribute).min()) for layer in problem.layers if attribute in layer.columns)
    for one in problem.paid(attribute):
        own = _own_amounts(problem, one, attribute).values()
        total += max((int(amounts.min()) for amounts in own), default=0)
    return total


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
    groups = _interchangeable(problem, layer, rows, attributes)
    return rows[nondominated_in_groups(_table(compared, rows), groups, _table(ties, rows))]


def _table(columns: Sequence[IntArray], rows: IntArray) -> IntArray:
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0), dtype=np.int64)


def _clipped(layer: LayerTable, attribute: str, floors: Mapping[str, int]) -> IntArray:
    values = layer.column(attribute)
    return np.maximum(values, floors[attribute]) if attribute in floors else values


def _interchangeable(problem: Problem, layer: LayerTable, rows: IntArray, attributes: Sequence[str]) -> IntArray:
    """Group number per row: equal where all coupled attributes of the layer, and the items it uses, are equal."""
    keys = {key for coupling in problem.couplings for name, key in coupling.ends if name == layer.name}
    keys |= {one.key for attribute in attributes for one in problem.paid(attribute) if one.key in layer.columns}
    keys |= {one.key for one in problem.paid_once if one.most is not None and one.key in layer.columns}
    if not keys:
        return np.zeros(len(rows), dtype=np.int64)
    table = np.stack([layer.column(key)[rows] for key in sorted(keys)], axis=1)
    return np.unique(table, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
