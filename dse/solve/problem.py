"""What is to be decided: layers with tables of options, couplings, caps and objectives, checked at construction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.tables import (
    EXACT_LIMIT,
    PARTS_PER_MILLION,
    AttributeObjective,
    Cap,
    Combine,
    Coupling,
    IntArray,
    LayerTable,
    Objective,
    UtilisationObjective,
    listed,
    require_integer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyomo.environ import ConcreteModel

    from dse.solve.paid_once import PaidOnce

__all__ = [
    "EXACT_LIMIT",
    "PARTS_PER_MILLION",
    "AttributeObjective",
    "Cap",
    "Combine",
    "Coupling",
    "IntArray",
    "LayerTable",
    "Objective",
    "Problem",
    "UtilisationObjective",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """One option per layer, couplings equal, caps kept, objectives as small as possible.

    Args:
        layers: At least one, names unique.
        objectives: At least one, names unique; all are minimised and all are integers.
        couplings: Equalities between layers; any graph (chains, residual and branching networks).
        caps: At most one per attribute.
        combine: How attributes combine; those not named add up.
        paid_once: Items that options of several layers share; their amounts come on top of the layers' sums.
        branch: Name of a layer whose options are solved one by one, each a problem of its own with what is coupled to
            it left, instead of all in one model. It changes nothing but the time a solve takes.

    Raises:
        ValueError: Anything a solver would stumble over: unknown layers or attributes, negative resources, totals
            beyond 2**53, couplings that no pair of options satisfies. The text names the place and the numbers.
    """

    layers: tuple[LayerTable, ...]
    objectives: tuple[Objective, ...]
    couplings: tuple[Coupling, ...] = ()
    caps: tuple[Cap, ...] = ()
    combine: Mapping[str, Combine] = field(default_factory=dict)
    paid_once: tuple[PaidOnce, ...] = ()
    branch: str | None = None

    def __post_init__(self) -> None:
        for name in ("layers", "objectives", "couplings", "caps", "paid_once"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "combine", dict(self.combine))
        _validate(self)

    def combines(self, attribute: str) -> Combine:
        """How ``attribute`` combines over the layers."""
        return self.combine.get(attribute, Combine.SUM)

    def objective(self, name: str) -> Objective:
        """The objective of that name; ValueError lists the names there are."""
        for objective in self.objectives:
            if objective.name == name:
                return objective
        allowed = ", ".join(objective.name for objective in self.objectives)
        raise ValueError(f"unknown objective {name!r}: this problem has {allowed}")

    @property
    def objective_names(self) -> tuple[str, ...]:
        """Names of the objectives in the problem's order."""
        return tuple(objective.name for objective in self.objectives)

    @property
    def attribute_objectives(self) -> tuple[str, ...]:
        """Names of the objectives that are attributes."""
        return tuple(one.name for one in self.objectives if isinstance(one, AttributeObjective))

    def paid(self, attribute: str) -> tuple[PaidOnce, ...]:
        """What is paid once of an attribute."""
        return tuple(one for one in self.paid_once if attribute in one.amounts)

    def items_offered(self, one: PaidOnce) -> list[int]:
        """The items of it that some option uses, ascending."""
        used = [layer.columns[one.key] for layer in self.layers if one.key in layer.columns]
        return [item for item in np.unique(np.concatenate(used)).tolist() if item >= 0] if used else []

    @property
    def layer_index(self) -> dict[str, int]:
        """Layer name to position."""
        return {layer.name: index for index, layer in enumerate(self.layers)}

    def restrict(self, kept: Sequence[IntArray]) -> Problem:
        """The same problem with only the options ``kept[layer]`` (indices into that layer's table) left."""
        if len(kept) != len(self.layers):
            raise ValueError(f"restrict needs one index array per layer ({len(self.layers)}), got {len(kept)}")
        return self.replace(layers=tuple(layer.take(rows) for layer, rows in zip(self.layers, kept, strict=True)))

    def to_pyomo(self, objective: str | None = None) -> ConcreteModel:
        """The declared model: a Pyomo ``ConcreteModel`` that minimises ``objective`` (default: the first one).

        Nothing is filtered, so the model is an independent statement of the problem: ``model.pick[layer, option]`` are
        the binary choices.
        """
        from dse.solve.milp import build_model
        from dse.solve.query import Query

        return build_model(self, Query(minimise=objective or self.objectives[0].name)).model

    def replace(
        self,
        *,
        layers: Iterable[LayerTable] | None = None,
        objectives: Iterable[Objective] | None = None,
        couplings: Iterable[Coupling] | None = None,
        caps: Iterable[Cap] | None = None,
        combine: Mapping[str, Combine] | None = None,
        paid_once: Iterable[PaidOnce] | None = None,
    ) -> Problem:
        """A copy with other fields; those not given stay."""
        return Problem(
            layers=self.layers if layers is None else tuple(layers),
            objectives=self.objectives if objectives is None else tuple(objectives),
            couplings=self.couplings if couplings is None else tuple(couplings),
            caps=self.caps if caps is None else tuple(caps),
            combine=self.combine if combine is None else combine,
            paid_once=self.paid_once if paid_once is None else tuple(paid_once),
            branch=self.branch,
        )


def _validate(problem: Problem) -> None:
    """Raise ValueError at the first thing wrong with ``problem`` (see ``Problem``)."""
    if not problem.layers:
        raise ValueError("a problem needs at least one layer, got none")
    if not problem.objectives:
        raise ValueError("a problem needs at least one objective, got none")
    _require_unique("layer", (layer.name for layer in problem.layers))
    _require_unique("objective", (objective.name for objective in problem.objectives))
    _require_unique("cap on", (cap.resource for cap in problem.caps))
    for cap in problem.caps:
        _check_limit(cap, may_be_negative=cap.resource in problem.objective_names)
    _check_paid_once(problem)
    _check_attributes(problem)
    _check_signs(problem)
    _check_totals(problem)
    _check_couplings(problem)


def _require_unique(what: str, names: Iterable[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"{what} {repeated[0]!r} is given more than once: names must be unique")


def _check_limit(cap: Cap, *, may_be_negative: bool) -> None:
    require_integer(f"limit of the cap on {cap.resource!r}", cap.limit)
    if cap.limit < 0 and not may_be_negative:
        raise ValueError(f"the cap on {cap.resource!r} is {cap.limit}: resources, and so their caps, are not negative")
    if abs(cap.limit) >= EXACT_LIMIT:
        raise ValueError(
            f"the cap on {cap.resource!r} is {cap.limit}: integers stay within +-2**53; leave out a cap that limits "
            "nothing"
        )


def _used_attributes(problem: Problem) -> dict[str, str]:
    """Attribute to the place that uses it."""
    used = {cap.resource: f"the cap on {cap.resource!r}" for cap in problem.caps}
    for objective in problem.objectives:
        if isinstance(objective, UtilisationObjective):
            used |= dict.fromkeys(objective.limits, f"utilisation objective {objective.name!r}")
        else:
            used[objective.name] = f"objective {objective.name!r}"
    return used


def _check_paid_once(problem: Problem) -> None:
    _require_unique("key of what is paid once,", (one.key for one in problem.paid_once))
    for one in problem.paid_once:
        for attribute in one.amounts:
            if problem.combines(attribute) is not Combine.SUM:
                raise ValueError(f"{attribute!r} is paid once by {one.key!r} but combines by maximum: it must add up")
        for layer in problem.layers:
            largest = int(layer.column(one.key).max()) if one.key in layer.columns else -1
            if largest >= one.item_count:
                raise ValueError(
                    f"layer {layer.name!r} uses item {largest} of {one.key!r}, which has {one.item_count} items: give "
                    "amounts for every item"
                )
    if problem.branch is not None and problem.branch not in problem.layer_index:
        raise ValueError(f"branch names layer {problem.branch!r}: the layers are {listed(problem.layer_index)}")


def _check_attributes(problem: Problem) -> None:
    known = {key for layer in problem.layers for key in layer.columns}
    known -= {one.key for one in problem.paid_once}  # names of items, no numbers
    known |= {attribute for one in problem.paid_once for attribute in one.amounts}
    for attribute, place in _used_attributes(problem).items():
        if attribute not in known:
            raise ValueError(f"{place} uses attribute {attribute!r}, which no layer has: known are {listed(known)}")
    for objective in problem.objectives:
        if isinstance(objective, UtilisationObjective):
            for resource in objective.limits:
                if problem.combines(resource) is not Combine.SUM:
                    raise ValueError(
                        f"utilisation objective {objective.name!r} uses {resource!r}, which combines by maximum: "
                        "only attributes that add up can fill a device"
                    )


def _check_signs(problem: Problem) -> None:
    """Resources are not negative; an attribute that is also an objective of its own may be."""
    resources = {cap.resource for cap in problem.caps} - set(problem.objective_names)
    for objective in problem.objectives:
        if isinstance(objective, UtilisationObjective):
            resources |= set(objective.limits)
    for layer in problem.layers:
        for resource in sorted(resources & set(layer.columns)):
            values = layer.column(resource)
            row = int(np.argmin(values))
            if values[row] < 0:
                raise ValueError(
                    f"resource {resource!r} of layer {layer.name!r}, option {row}, is {int(values[row])}: "
                    "resources must not be negative (only objectives may be)"
                )


def _check_totals(problem: Problem) -> None:
    for attribute, place in _used_attributes(problem).items():
        total = sum(int(np.abs(layer.column(attribute)).max()) for layer in problem.layers)
        total += sum(int(np.sum(one.amounts[attribute], dtype=object)) for one in problem.paid(attribute))
        if total >= EXACT_LIMIT:
            raise ValueError(
                f"{place}: the layers' largest values of {attribute!r} add up to {total}, beyond 2**53 "
                f"({EXACT_LIMIT}): scale the attribute down"
            )


def _check_couplings(problem: Problem) -> None:
    index = problem.layer_index
    for coupling in problem.couplings:
        for layer, key in coupling.ends:
            if layer not in index:
                raise ValueError(f"coupling {coupling} names layer {layer!r}: the layers are {listed(index)}")
            if key not in problem.layers[index[layer]].columns:
                known = listed(problem.layers[index[layer]].columns)
                raise ValueError(f"coupling {coupling}: layer {layer!r} has no attribute {key!r}: it has {known}")
        if coupling.left_layer == coupling.right_layer:
            raise ValueError(f"coupling {coupling} joins a layer with itself: leave out the options that disagree")
        left, right = (np.unique(problem.layers[index[layer]].column(key)) for layer, key in coupling.ends)
        if not np.intersect1d(left, right).size:
            raise ValueError(
                f"coupling {coupling} can never hold: the left side offers {listed(left.tolist())}, "
                f"the right side {listed(right.tolist())}; add options with a common value"
            )
