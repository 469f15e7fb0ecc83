"""What caps cost, what more of a resource buys, and how few layers change from one design to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.clock import Clock
from dse.solve.relaxation import Relaxation
from dse.solve.result import Point, Status
from dse.solve.single import solve_single
from dse.solve.tables import AttributeObjective, Cap, Combine, LayerTable
from dse.solve.task import FREE, as_task, task_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.solve.evaluate import Selection
    from dse.solve.problem import Problem

_ROUNDS = 400
_CHANGED = "layers changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPrice:
    """What a limit on a sum costs: raising it by d lowers the least objective to no less than ``bound - price * d``.

    Attributes:
        resource: The limited attribute.
        limit: Its limit.
        price: Units of the objective per unit of the resource; 0 where the limit cannot bind.
        bound: Proven lower bound of the objective under all limits.
    """

    resource: str
    limit: int
    price: float
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What more of one resource buys.

    Attributes:
        resource: The capped attribute.
        limit: Its cap.
        larger: The cap after growing.
        before: Least objective under the present caps.
        after: Least objective under the larger cap.
        proven: Both are proven.
    """

    resource: str
    limit: int
    larger: int
    before: int
    after: int
    proven: bool

    def __str__(self) -> str:
        share = f" ({(self.after - self.before) / self.before:+.1%})" if self.before else ""
        return f"{self.resource!r} from {self.limit} to {self.larger}: {self.before} to {self.after}{share}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """The fewest layers that have to change, and the design that results.

    Attributes:
        changes: Layer name to its option before and after.
        selection: The design after the changes.
        objectives: Its vector by name.
        proven: No fewer changes are enough.
    """

    changes: Mapping[str, tuple[int, int]]
    selection: Selection
    objectives: Mapping[str, int]
    proven: bool


def shadow_prices(
    problem: Problem, objective: str, *, epsilons: Mapping[str, int] | None = None
) -> tuple[ShadowPrice, ...]:
    """Prices of all limits that add up when ``objective`` is minimised, by Lagrangian relaxation.

    Args:
        problem: Its caps are limits.
        objective: An objective that adds up.
        epsilons: Further limits on objectives.

    Raises:
        ValueError: An objective that does not add up, a problem that paths cannot tell, or one without a design.

    >>> from dse.solve.problem import Problem
    >>> table = LayerTable(name="a", columns={"loss": [9, 3, 0], "luts": [0, 2, 4]})
    >>> problem = Problem(
    ...     layers=(table,), objectives=(AttributeObjective(name="loss"),), caps=(Cap(resource="luts", limit=1),)
    ... )
    >>> [(one.resource, round(one.price, 1), round(one.bound, 1)) for one in shadow_prices(problem, "loss")]
    [('luts', 3.0, 6.0)]
    """
    asked = problem.objective(objective)
    if not isinstance(asked, AttributeObjective) or problem.combines(objective) is not Combine.SUM:
        raise ValueError(f"shadow prices need an objective that adds up, and {objective!r} does not")
    others = [AttributeObjective(name=name) for name in problem.attribute_objectives if name != objective]
    limits = {cap.resource: cap.limit for cap in problem.caps}
    for name, limit in (epsilons or {}).items():
        limits[name] = min(limit, limits.get(name, limit))
    task, is_told = task_of(
        problem.replace(
            objectives=[asked, *others], caps=[Cap(resource=name, limit=limit) for name, limit in limits.items()]
        ),
        Clock.lasting(FREE),
        as_task,  # what breaks a limit now may not when the limit is raised
    )
    if task is None:
        why = "no design keeps its limits" if is_told else "paths cannot tell it"
        raise ValueError(f"shadow prices need a problem with designs: {why}")
    relaxation = Relaxation(task=task)
    weights = np.zeros(task.objectives)
    weights[0] = 1.0
    plane = relaxation.plane(weights, rounds=_ROUNDS)
    scale = float(relaxation.ranges[0])
    prices = dict.fromkeys((name for name in limits if problem.combines(name) is Combine.SUM), 0.0)
    for column, dimension in enumerate(relaxation.limited):
        name = task.trellis.dimensions[dimension]
        prices[name] = float(plane.prices[column] / relaxation.caps[column]) * scale
    return tuple(
        ShadowPrice(resource=name, limit=limits[name], price=price, bound=plane.bound * scale)
        for name, price in prices.items()
    )


def what_more_buys(
    problem: Problem,
    objective: str,
    *,
    share: float = 0.1,
    epsilons: Mapping[str, int] | None = None,
    time_limit_seconds: float = 120.0,
) -> tuple[Gain, ...]:
    """The least objective when one cap at a time grows by a share; empty when no design meets the present caps.

    Args:
        problem: Its caps grow.
        objective: What is minimised.
        share: How much a cap grows, 0.1 for ten percent; at least by 1.
        epsilons: Largest values allowed of other objectives.
        time_limit_seconds: For each solve.
    """
    before = solve_single(problem, objective=objective, epsilons=epsilons, time_limit_seconds=time_limit_seconds)
    if not isinstance(before, Point):
        return ()
    gains = []
    for cap in problem.caps:
        larger = cap.limit + max(1, int(abs(cap.limit) * share))
        caps = [Cap(resource=c.resource, limit=larger if c == cap else c.limit) for c in problem.caps]
        after = solve_single(
            problem.replace(caps=caps), objective=objective, epsilons=epsilons, time_limit_seconds=time_limit_seconds
        )
        if isinstance(after, Point):
            gains.append(
                Gain(
                    resource=cap.resource,
                    limit=cap.limit,
                    larger=larger,
                    before=before.objectives[objective],
                    after=after.objectives[objective],
                    proven=all(one.certificate.status is Status.OPTIMAL for one in (before, after)),
                )
            )
    return tuple(gains)


def smallest_edit(
    problem: Problem, start: Sequence[int], goal: Mapping[str, int], *, time_limit_seconds: float = 120.0
) -> Edit | None:
    """The fewest layers of ``start`` to change so that no objective is above ``goal``; None if none was found.

    Args:
        problem: The problem; its caps and couplings hold for the result.
        start: Option per layer.
        goal: Largest values allowed by objective name, such as the objectives of another point of the front.
        time_limit_seconds: Wall time.
    """
    layers = [
        LayerTable(
            name=layer.name,
            columns={**layer.columns, _CHANGED: (np.arange(layer.option_count) != chosen).astype(np.int64)},
        )
        for layer, chosen in zip(problem.layers, start, strict=True)
    ]
    edited = problem.replace(layers=layers, objectives=[AttributeObjective(name=_CHANGED), *problem.objectives])
    found = solve_single(edited, objective=_CHANGED, epsilons=goal, time_limit_seconds=time_limit_seconds)
    if not isinstance(found, Point):
        return None
    pairs = zip(problem.layers, start, found.selection, strict=True)
    return Edit(
        changes={layer.name: (int(before), after) for layer, before, after in pairs if before != after},
        selection=found.selection,
        objectives={name: found.objectives[name] for name in problem.objective_names},
        proven=found.certificate.gap == 0,
    )
