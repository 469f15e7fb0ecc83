"""Designs recomputed from the tables of the problem: what does not hold exactly is never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dse.solve.archive import Designs
from dse.solve.tables import PARTS_PER_MILLION, Combine, UtilisationObjective

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.solve.problem import Problem
    from dse.solve.tables import IntArray


def rechecked(problem: Problem, options: IntArray) -> tuple[Designs, IntArray]:
    """The designs of selections with the vectors that the problem's own integer columns give.

    Args:
        problem: The problem.
        options: Selections, shape ``(designs, layers)``.

    Returns:
        The designs, sorted by their vectors, and for each its row in ``options``.

    Raises:
        ArithmeticError: A selection breaks a cap, a coupling or a number of items: a mistake of the method.
    """
    totals = totals_of(problem, options)
    for cap in problem.caps:
        worst = int(totals[cap.resource].max(initial=cap.limit))
        if worst > cap.limit:
            raise ArithmeticError(f"a design found has {cap.resource!r} {worst}, the cap is {cap.limit}")
    index = problem.layer_index
    for coupling in problem.couplings:
        left, right = (problem.layers[index[name]].column(key)[options[:, index[name]]] for name, key in coupling.ends)
        if not np.array_equal(left, right):
            raise ArithmeticError(f"a design found breaks the coupling {coupling}")
    for one in problem.paid_once:
        if one.most is not None and len(options):
            used = sum(_uses(problem, options, one.key, item).astype(np.int64) for item in range(one.item_count))
            if int(np.max(used)) > one.most:
                raise ArithmeticError(
                    f"a design found uses {int(np.max(used))} items of {one.key!r}: {one.most} are allowed"
                )
    points = np.stack([totals[name] for name in problem.objective_names], axis=1)
    order = np.lexsort(tuple(points.T[::-1]))
    return Designs(points=points[order], options=options[order]), order


def totals_of(problem: Problem, options: IntArray) -> dict[str, IntArray]:
    """Objectives and capped attributes of selections, by name; each of shape ``(designs,)``."""
    names = dict.fromkeys([*problem.objective_names, *(cap.resource for cap in problem.caps)])
    filled = {one.name: one.limits for one in problem.objectives if isinstance(one, UtilisationObjective)}
    return {
        name: _fullest(problem, options, filled[name]) if name in filled else _totals(problem, options, name)
        for name in names
    }


def _fullest(problem: Problem, options: IntArray, available: Mapping[str, int]) -> IntArray:
    """Utilisation of each selection, see `tables.UtilisationObjective`; in Python integers, which do not overflow."""
    shares = [
        -(-_totals(problem, options, name).astype(object) * PARTS_PER_MILLION // limit)
        for name, limit in available.items()
    ]
    return np.asarray(np.maximum.reduce(shares), dtype=np.int64)


def _totals(problem: Problem, options: IntArray, attribute: str) -> IntArray:
    """Sum or maximum of an attribute for each selection, with what is paid once."""
    columns = [
        np.asarray(layer.columns[attribute])[options[:, position]]
        for position, layer in enumerate(problem.layers)
        if attribute in layer.columns
    ]
    if problem.combines(attribute) is Combine.MAX:
        return np.asarray(np.maximum.reduce(columns), dtype=np.int64)
    total = np.add.reduce(columns) if columns else np.zeros(len(options), dtype=np.int64)
    for one in problem.paid(attribute):
        amounts = np.asarray(one.amounts[attribute]).tolist()
        for item, amount in enumerate(amounts):
            if amount:
                total = total + amount * _uses(problem, options, one.key, item)
    return np.asarray(total, dtype=np.int64)


def _uses(problem: Problem, options: IntArray, key: str, item: int) -> IntArray:
    """Whether each selection uses an item."""
    used = np.zeros(len(options), dtype=np.bool_)
    for position, layer in enumerate(problem.layers):
        if key in layer.columns:
            used |= np.asarray(layer.columns[key])[options[:, position]] == item
    return used.astype(np.int64)
