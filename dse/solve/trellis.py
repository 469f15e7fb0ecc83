"""A problem as layers of arcs between nodes, so that whatever ties layers together becomes a path.

Before each layer a node says all that the choices so far mean for those to come: the value of every coupled attribute
that a later layer must match, and which items paid once are paid already. An option taken at a node is an arc to the
next node, and costs what the option costs plus what it is the first to pay. Designs are exactly the paths from the
first to the last node; so chains, residual and branching graphs and shared hardware all are solved by what solves
independent layers, as long as there are few nodes. Where a path goes next depends on the node and the option alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from dse.solve.reduce import largest_sum
from dse.solve.states import Joints
from dse.solve.tables import Combine, UtilisationObjective

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.solve.problem import Problem
    from dse.solve.states import Open
    from dse.solve.tables import IntArray

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

MOST_NODES = 4096
"""Nodes before one layer, above which a problem is left to the solver of the declared model."""

MOST_ARCS = 4_000_000

LARGEST_USED = 2**31
"""Products of two resources stay below 2**62."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trellis:
    """All designs of a problem as paths; arcs are sorted by source node, then option.

    Attributes:
        layers: First arc of each layer and the end, shape ``(layers + 1,)``.
        nodes: First node before each layer, after the last one, and the end, shape ``(layers + 2,)``.
        firsts: First arc that leaves each node and the end, shape ``(nodes + 1,)``.
        source: Node each arc leaves, shape ``(arcs,)``.
        target: Node it reaches.
        option: Option of its layer in the problem.
        cost: What it adds to each dimension, shape ``(arcs, dimensions)``.
        level: What it has of the attribute that combines by maximum; empty without one.
        dimensions: Name of each column of ``cost``.
    """

    layers: IntArray
    nodes: IntArray
    firsts: IntArray
    source: IntArray
    target: IntArray
    option: IntArray
    cost: IntArray
    level: IntArray
    dimensions: tuple[str, ...]

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.layers) - 1

    @property
    def node_count(self) -> int:
        """Number of nodes."""
        return int(self.nodes[-1])

    @property
    def is_empty(self) -> bool:
        """Whether no path leads from the first to the last node."""
        return bool((np.diff(self.layers) == 0).any())

    def keep(self, mask: BoolArray) -> Trellis:
        """The same nodes with some arcs only."""
        arcs = np.flatnonzero(mask)
        counts = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(mask, dtype=np.int64)))
        return Trellis(
            layers=counts[self.layers],
            nodes=self.nodes,
            firsts=counts[self.firsts],
            source=self.source[arcs],
            target=self.target[arcs],
            option=self.option[arcs],
            cost=self.cost[arcs],
            level=self.level[arcs] if len(self.level) else self.level,
            dimensions=self.dimensions,
        )

    def pick(self, columns: Sequence[int]) -> Trellis:
        """The same arcs with some dimensions only, in the order given."""
        return replace(
            self,
            cost=np.ascontiguousarray(self.cost[:, list(columns)]),
            dimensions=tuple(self.dimensions[column] for column in columns),
        )

    def connected(self) -> Trellis:
        """Without arcs that lead nowhere or that nothing leads to."""
        from dse.solve.compiled.paths import on_a_path

        mask = on_a_path(self.nodes, self.source, self.target)
        return self if mask.all() else self.keep(mask)


def utilisation_of(problem: Problem) -> UtilisationObjective | None:
    """The first utilisation among the objectives."""
    return next((one for one in problem.objectives if isinstance(one, UtilisationObjective)), None)


def is_supported(problem: Problem) -> bool:
    """Whether paths can tell all objectives: each adds up, but for at most one maximum, and one utilisation with sums.

    Utilisations are told in 64-bit integers, so that resources stay below `LARGEST_USED`.
    """
    names = problem.attribute_objectives
    maxima = sum(problem.combines(name) is Combine.MAX for name in names)
    utilisation = utilisation_of(problem)
    if utilisation is None:
        return maxima <= 1
    return (
        maxima <= 1
        and len(names) == len(problem.objectives) - 1
        and len(names) > maxima
        and all(
            limit < LARGEST_USED and largest_sum(problem, name) < LARGEST_USED
            for name, limit in utilisation.limits.items()
        )
    )


def build_trellis(problem: Problem, dimensions: Sequence[str], maximum: str | None) -> Trellis | None:
    """The trellis of a problem; None when its nodes or arcs are too many.

    Args:
        problem: What is decided; its caps on maxima remove options, all others are left to the caller.
        dimensions: Attributes that add up and become the columns of ``cost``.
        maximum: An attribute that combines by maximum and is to be known per arc.
    """
    limits = {cap.resource: cap.limit for cap in problem.caps if problem.combines(cap.resource) is Combine.MAX}
    rows = [_within(problem, position, limits) for position in range(len(problem.layers))]
    if not problem.couplings and not problem.paid_once:
        return _independent(problem, rows, dimensions, maximum)
    return _joined(problem, rows, dimensions, maximum)


def _within(problem: Problem, position: int, limits: Mapping[str, int]) -> IntArray:
    """Options that no cap on a maximum forbids."""
    layer = problem.layers[position]
    rows = np.arange(layer.option_count)
    for attribute, limit in limits.items():
        if attribute in layer.columns:
            rows = rows[layer.column(attribute)[rows] <= limit]
    return rows


def _columns(problem: Problem, position: int, rows: IntArray, names: Sequence[str]) -> IntArray:
    layer = problem.layers[position]
    table = np.zeros((len(rows), len(names)), dtype=np.int64)
    for column, name in enumerate(names):
        if name in layer.columns:
            table[:, column] = np.asarray(layer.columns[name])[rows]
    return table


def _levels(problem: Problem, position: int, rows: IntArray, maximum: str | None) -> IntArray:
    if maximum is None:
        return np.zeros(0, dtype=np.int64)
    layer = problem.layers[position]
    if maximum in layer.columns:
        return layer.column(maximum)[rows]
    return np.full(len(rows), np.iinfo(np.int64).min, dtype=np.int64)  # a layer without it takes no part


def _independent(problem: Problem, rows: Sequence[IntArray], dimensions: Sequence[str], maximum: str | None) -> Trellis:
    """One node before each layer."""
    counts = np.array([len(part) for part in rows], dtype=np.int64)
    layers = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts)))
    places = range(len(rows))
    source = np.repeat(np.arange(len(rows)), counts)
    return Trellis(
        layers=layers,
        nodes=np.arange(len(rows) + 2),
        firsts=np.concatenate((layers, layers[-1:])),
        source=source,
        target=source + 1,
        option=np.concatenate(rows),
        cost=np.concatenate([_columns(problem, i, rows[i], dimensions) for i in places]),
        level=np.concatenate([_levels(problem, i, rows[i], maximum) for i in places]),
        dimensions=tuple(dimensions),
    )


def _joined(
    problem: Problem, rows: Sequence[IntArray], dimensions: Sequence[str], maximum: str | None
) -> Trellis | None:
    """Layer by layer: which nodes can be reached, by which classes of options."""
    joints = Joints.of(problem)
    arcs: list[tuple[IntArray, IntArray, IntArray, IntArray, IntArray]] = []
    nodes, layers = [0, 1], [0]
    present = {joints.start(): 0}
    for position, part in enumerate(rows):
        table = _columns(problem, position, part, dimensions)
        level = _levels(problem, position, part, maximum)
        found: dict[Open, int] = {}
        size = 0
        for one, members in joints.classes(position, part):
            for state, number in present.items():
                step = joints.step(position, state, one)
                if step is None:
                    continue
                target = found.setdefault(step.reached, len(found))
                arcs.append(
                    (
                        np.full(len(members), nodes[position] + number),
                        np.full(len(members), nodes[position + 1] + target),
                        part[members],
                        table[members] + joints.amounts(step.first_paid, dimensions),
                        level[members] if maximum is not None else level,
                    )
                )
                size += len(members)
        layers.append(layers[-1] + size)
        nodes.append(nodes[-1] + max(1, len(found)))
        if len(found) > MOST_NODES or layers[-1] > MOST_ARCS:
            return None
        present = found
    empty = np.zeros(0, dtype=np.int64)
    arcs.append((empty, empty, empty, np.zeros((0, len(dimensions)), dtype=np.int64), empty))
    begins, ends, option, cost, level = (np.concatenate(column) for column in zip(*arcs, strict=True))
    order = np.lexsort((option, begins))
    source = begins[order]
    return Trellis(
        layers=np.array(layers),
        nodes=np.array(nodes),
        firsts=np.searchsorted(source, np.arange(nodes[-1] + 1)),
        source=source,
        target=ends[order],
        option=option[order],
        cost=cost[order],
        level=level[order] if len(level) else level,
        dimensions=tuple(dimensions),
    ).connected()
