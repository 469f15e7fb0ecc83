"""What is to be decided: layers with tables of options, couplings, caps and objectives, checked at construction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dse.solve.paid_once import PaidOnce

IntArray: TypeAlias = npt.NDArray[np.int64]

EXACT_LIMIT = 2**53
"""Totals stay below this, so that a float64 (all that a MILP solver knows) holds them exactly."""

PARTS_PER_MILLION = 10**6


class Combine(Enum):
    """How an attribute of the chosen options becomes one number of the whole design."""

    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerTable:
    """The options of one layer: one int64 column per attribute, one row per option.

    Args:
        name: Unique among the layers of a problem.
        columns: Attribute name to a sequence of integers; all of one length, at least 1. They are copied and become
            read-only ``int64`` arrays of shape ``(options,)``.

    Raises:
        ValueError: An empty table, columns of different length, or entries that are not integers.

    >>> table = LayerTable(name="conv1", columns={"loss": [5, 0], "luts": [100, 240]})
    >>> table.option_count, table.option(1)
    (2, {'loss': 0, 'luts': 240})
    """

    name: str
    columns: Mapping[str, IntArray | Sequence[int]]

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError(f"layer {self.name!r} has no attributes: give at least one column of integers")
        columns = {key: _integer_column(self.name, key, values) for key, values in self.columns.items()}
        lengths = {key: len(values) for key, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"layer {self.name!r} has columns of different length: {lengths}; give one row per option")
        if not next(iter(lengths.values())):
            raise ValueError(f"layer {self.name!r} has no options: a layer needs at least one")
        object.__setattr__(self, "columns", columns)

    @classmethod
    def from_options(cls, name: str, options: Iterable[Mapping[str, int]]) -> LayerTable:
        """Build a table from one mapping per option; an attribute that an option does not give counts 0."""
        rows = list(options)
        if not rows:
            raise ValueError(f"layer {name!r} has no options: a layer needs at least one")
        keys = list(dict.fromkeys(key for row in rows for key in row))
        return cls(name=name, columns={key: [row.get(key, 0) for row in rows] for key in keys})

    @property
    def option_count(self) -> int:
        """Number of options, at least 1."""
        return len(next(iter(self.columns.values())))

    def column(self, attribute: str) -> IntArray:
        """The values of an attribute, shape ``(options,)``; zeros when the layer does not have it."""
        values = self.columns.get(attribute)
        return np.zeros(self.option_count, dtype=np.int64) if values is None else np.asarray(values)

    def option(self, index: int) -> dict[str, int]:
        """One option as Python integers."""
        return {key: int(values[index]) for key, values in self.columns.items()}

    def take(self, indices: IntArray) -> LayerTable:
        """The table of the options at ``indices`` only, in that order."""
        if not len(indices):
            raise ValueError(f"layer {self.name!r} has no options: a layer needs at least one")
        columns = {key: np.asarray(values)[indices] for key, values in self.columns.items()}
        for values in columns.values():
            values.flags.writeable = False
        taken = object.__new__(LayerTable)  # the rows of a checked table need no check
        object.__setattr__(taken, "name", self.name)
        object.__setattr__(taken, "columns", columns)
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupling:
    """Both layers must choose options in which the two attributes are equal (one tensor has one format)."""

    left_layer: str
    left_key: str
    right_layer: str
    right_key: str

    def __str__(self) -> str:
        return f"{self.left_layer}.{self.left_key} = {self.right_layer}.{self.right_key}"

    @property
    def ends(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """The two (layer, attribute) pairs."""
        return (self.left_layer, self.left_key), (self.right_layer, self.right_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """An attribute, combined over all layers, may be at most ``limit`` (in the attribute's own unit)."""

    resource: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeObjective:
    """Minimise an attribute combined over the layers, by sum or by maximum as ``Problem.combine`` says."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilisationObjective:
    """Minimise the fullest resource: max over resources of ``ceil(used * 10**6 / limit)``, in parts per million.

    Args:
        name: Name of the objective.
        limits: Resource (an attribute that adds up) to what is available of it, at least 1.
    """

    name: str
    limits: Mapping[str, int]

    def __post_init__(self) -> None:
        if not self.limits:
            raise ValueError(f"utilisation objective {self.name!r} names no resource: give at least one with its limit")
        for resource, limit in self.limits.items():
            _require_integer(f"limit of {resource!r} in utilisation objective {self.name!r}", limit)
            if limit < 1:
                raise ValueError(
                    f"limit of {resource!r} in utilisation objective {self.name!r} must be at least 1, got {limit}"
                )
        object.__setattr__(self, "limits", {key: int(limit) for key, limit in self.limits.items()})


Objective: TypeAlias = AttributeObjective | UtilisationObjective


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

    def replace(
        self,
        *,
        layers: Iterable[LayerTable] | None = None,
        objectives: Iterable[Objective] | None = None,
        couplings: Iterable[Coupling] | None = None,
        caps: Iterable[Cap] | None = None,
        combine: Mapping[str, Combine] | None = None,
    ) -> Problem:
        """A copy with other fields; those not given stay."""
        return Problem(
            layers=self.layers if layers is None else tuple(layers),
            objectives=self.objectives if objectives is None else tuple(objectives),
            couplings=self.couplings if couplings is None else tuple(couplings),
            caps=self.caps if caps is None else tuple(caps),
            combine=self.combine if combine is None else combine,
            paid_once=self.paid_once,
            branch=self.branch,
        )


def _require_integer(what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{what} must be an integer, got {value!r}: scale it to integers first")  # noqa: TRY004 - bad input like any other


def _integer_column(layer: str, key: str, values: IntArray | Sequence[int]) -> IntArray:
    """A read-only int64 copy; ValueError names the first entry that is not an integer or beyond 2**53."""
    where = f"attribute {key!r} of layer {layer!r}"
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{where} must be one-dimensional (one integer per option), got shape {array.shape}")
    if array.dtype.kind not in "iu":
        for row, value in enumerate(values):
            _require_integer(f"{where}, option {row},", value)
    beyond = np.flatnonzero((array <= -EXACT_LIMIT) | (array >= EXACT_LIMIT))
    if beyond.size:
        given = int(array[beyond[0]])
        raise ValueError(f"{where}, option {beyond[0]}, is {given}: integers stay within +-2**53; use a larger unit")
    column = array.astype(np.int64, copy=True)
    column.flags.writeable = False
    return column


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
        _require_integer(f"limit of the cap on {cap.resource!r}", cap.limit)
    _check_paid_once(problem)
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
        raise ValueError(f"branch names layer {problem.branch!r}: the layers are {sorted(problem.layer_index)}")


def _check_attributes(problem: Problem) -> None:
    known = {key for layer in problem.layers for key in layer.columns}
    known |= {attribute for one in problem.paid_once for attribute in one.amounts}
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
