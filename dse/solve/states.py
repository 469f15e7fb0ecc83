"""What choices so far mean for those to come: values that later layers must match, and items that are paid already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.solve.problem import Problem
    from dse.solve.tables import IntArray


@dataclass(frozen=True, slots=True)
class Open:
    """What is open before a layer.

    Attributes:
        values: (variable, value) of coupled attributes that a later layer must match, ascending.
        paid: Per ``Problem.paid_once``, the items paid that a later layer may use again.
        used: Per ``Problem.paid_once``, how many items were used; 0 where that does not matter (any more).
    """

    values: tuple[tuple[int, int], ...]
    paid: tuple[frozenset[int], ...]
    used: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionClass:
    """Options that every state treats alike.

    Attributes:
        values: Value per variable of the layer.
        items: Item per ``Problem.paid_once``, negative for none.
    """

    values: tuple[tuple[int, int], ...]
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The state after a class of options, and per ``Problem.paid_once`` the item it is the first to pay (-1: none)."""

    reached: Open
    first_paid: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joints:
    """What ties the layers of a problem together.

    Attributes:
        problem: The problem.
        variables: Per layer, coupled attribute to variable; attributes joined by couplings share one.
        ends: Variable to the last layer that has it.
        last_users: Per ``Problem.paid_once``, item to the last layer that offers it.
    """

    problem: Problem
    variables: tuple[Mapping[str, int], ...]
    ends: Mapping[int, int]
    last_users: tuple[Mapping[int, int], ...]

    @classmethod
    def of(cls, problem: Problem) -> Joints:
        """The joints of a problem."""
        variables = _variables(problem)
        ends = {number: place for place, layer in enumerate(variables) for number in layer.values()}
        last_users = []
        for one in problem.paid_once:
            users: dict[int, int] = {}
            for place, layer in enumerate(problem.layers):
                if one.key in layer.columns:
                    users |= dict.fromkeys(np.unique(layer.column(one.key)).tolist(), place)
            last_users.append({item: place for item, place in users.items() if item >= 0})
        return cls(problem=problem, variables=variables, ends=ends, last_users=tuple(last_users))

    def start(self) -> Open:
        """The state before the first layer."""
        count = len(self.problem.paid_once)
        return Open((), (frozenset(),) * count, (0,) * count)

    def classes(self, position: int, rows: IntArray) -> list[tuple[OptionClass, IntArray]]:
        """The classes of a layer's options ``rows``, each with the places of its members in ``rows``."""
        layer, variables = self.problem.layers[position], self.variables[position]
        keys = sorted(variables)
        columns = [layer.column(key)[rows] for key in keys]
        for one in self.problem.paid_once:
            used = layer.column(one.key)[rows] if one.key in layer.columns else np.full(len(rows), -1)
            columns.append(np.maximum(used, -1))
        if not len(rows) or not columns:
            return [(OptionClass(values=(), items=()), np.arange(len(rows)))] if len(rows) else []
        found, inverse = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
        inverse = inverse.reshape(-1)
        classes = []
        for number, row in enumerate(found.tolist()):
            values = [(variables[key], value) for key, value in zip(keys, row, strict=False)]
            if len(dict(values)) == len(set(values)):  # attributes of one variable agree
                one_class = OptionClass(values=tuple(sorted(set(values))), items=tuple(row[len(keys) :]))
                classes.append((one_class, np.flatnonzero(inverse == number)))
        return classes

    def step(self, position: int, state: Open, taken: OptionClass) -> Step | None:
        """Where a class of options leads from a state; None if it does not fit there."""
        values = dict(state.values)
        for variable, value in taken.values:
            if values.setdefault(variable, value) != value:
                return None
        paid, used, first_paid = [], [], []
        for one, item, already, count, last in zip(
            self.problem.paid_once, taken.items, state.paid, state.used, self.last_users, strict=True
        ):
            is_new = item >= 0 and item not in already
            total = count + is_new
            if one.most is not None and total > one.most:
                return None
            counts_on = one.most is not None and any(place > position for place in last.values())
            first_paid.append(item if is_new else -1)
            used.append(total if counts_on else 0)
            paid.append(frozenset(i for i in already | {item} if i >= 0 and last[i] > position))
        reached = Open(
            tuple(sorted((number, value) for number, value in values.items() if self.ends[number] > position)),
            tuple(paid),
            tuple(used),
        )
        return Step(reached=reached, first_paid=tuple(first_paid))

    def amounts(self, items: tuple[int, ...], dimensions: Sequence[str]) -> IntArray:
        """What items paid add to each dimension."""
        total = np.zeros(len(dimensions), dtype=np.int64)
        for one, item in zip(self.problem.paid_once, items, strict=True):
            if item >= 0:
                total += np.array([int(one.amounts[name][item]) if name in one.amounts else 0 for name in dimensions])
        return total


def _variables(problem: Problem) -> tuple[dict[str, int], ...]:
    """Attributes that couplings join, directly or through others, get one number."""
    index = problem.layer_index
    parent: dict[tuple[int, str], tuple[int, str]] = {}

    def root(end: tuple[int, str]) -> tuple[int, str]:
        parent.setdefault(end, end)
        while parent[end] != end:
            end = parent[end]
        return end

    for coupling in problem.couplings:
        left, right = ((index[name], key) for name, key in coupling.ends)
        parent[root(right)] = root(left)
    variables: tuple[dict[str, int], ...] = tuple({} for _ in problem.layers)
    numbers: dict[tuple[int, str], int] = {}
    for end in list(parent):
        variables[end[0]][end[1]] = numbers.setdefault(root(end), len(numbers))
    return variables
