"""The checks a problem passes when it is made; every message says what was given, what is allowed, what to do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.problem import EXACT_LIMIT, Combine, Problem, UtilisationObjective, _require_integer

if TYPE_CHECKING:
    from collections.abc import Iterable


def validate_problem(problem: Problem) -> None:
    """Raise ValueError at the first thing wrong with ``problem`` (see ``Problem``)."""
    if not problem.layers:
        raise ValueError("a problem needs at least one layer, got none")
    if not problem.objectives:
        raise ValueError("a problem needs at least one objective, got none")
    _require_unique("layer", (layer.name for layer in problem.layers))
    _require_unique("objective", (objective.name for objective in problem.objectives))
    _require_unique("cap on", (cap.resource for cap in problem.caps))
    for cap in problem.caps:
        _require_integer(f"limit of the cap on {cap.resource!r}", cap.limit)
    _check_attributes(problem)
    _check_signs(problem)
    _check_totals(problem)
    _check_couplings(problem)


def _require_unique(what: str, names: Iterable[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"{what} {repeated[0]!r} is given more than once: names must be unique")


def _used_attributes(problem: Problem) -> dict[str, str]:
    """Attribute to the place that uses it."""
    used = {cap.resource: f"the cap on {cap.resource!r}" for cap in problem.caps}
    for objective in problem.objectives:
        if isinstance(objective, UtilisationObjective):
            used |= dict.fromkeys(objective.limits, f"utilisation objective {objective.name!r}")
        else:
            used[objective.name] = f"objective {objective.name!r}"
    return used


def _check_attributes(problem: Problem) -> None:
    known = {key for layer in problem.layers for key in layer.columns}
    for attribute, place in _used_attributes(problem).items():
        if attribute not in known:
            raise ValueError(f"{place} uses attribute {attribute!r}, which no layer has: known are {sorted(known)}")
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
                raise ValueError(f"coupling {coupling} names layer {layer!r}: the layers are {sorted(index)}")
            if key not in problem.layers[index[layer]].columns:
                known = sorted(problem.layers[index[layer]].columns)
                raise ValueError(f"coupling {coupling}: layer {layer!r} has no attribute {key!r}, only {known}")
        if coupling.left_layer == coupling.right_layer:
            raise ValueError(f"coupling {coupling} joins a layer with itself: leave out the options that disagree")
        left, right = (np.unique(problem.layers[index[layer]].column(key)) for layer, key in coupling.ends)
        if not np.intersect1d(left, right).size:
            raise ValueError(
                f"coupling {coupling} can never hold: the left side offers {_shorten(left.tolist())}, "
                f"the right side {_shorten(right.tolist())}; add options with a common value"
            )


def _shorten(values: list[int]) -> str:
    shown = ", ".join(str(value) for value in values[:8])
    return f"{{{shown}{', ...' if len(values) > 8 else ''}}}"
