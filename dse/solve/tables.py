"""What a problem is made of: tables of options, couplings, caps and objectives, each checked at construction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    """Minimise an attribute combined over the layers, by sum or by maximum as ``Problem.combine`` says.

    Args:
        name: The attribute.
        unit: What a value of 1 stands for; only for showing.
    """

    name: str
    unit: float = 1.0


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
            require_integer(f"limit of {resource!r} in utilisation objective {self.name!r}", limit)
            if limit < 1:
                raise ValueError(
                    f"limit of {resource!r} in utilisation objective {self.name!r} must be at least 1, got {limit}"
                )
        object.__setattr__(self, "limits", {key: int(limit) for key, limit in self.limits.items()})


Objective: TypeAlias = AttributeObjective | UtilisationObjective


def listed(values: Iterable[int] | Iterable[str], most: int = 20) -> str:
    """The first of some values in order, for the text of an error.

    >>> listed({"lut": 1, "dsp": 2}), listed(range(30), 3), listed([])
    ('dsp, lut', '0, 1, 2 and 27 more', 'none')
    """
    ordered = [str(value) for value in sorted(values)]
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + more or "none"


def require_integer(what: str, value: object) -> None:
    """ValueError unless the value is an integer (and no boolean)."""
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
            require_integer(f"{where}, option {row},", value)
    beyond = np.flatnonzero((array <= -EXACT_LIMIT) | (array >= EXACT_LIMIT))
    if beyond.size:
        given = int(array[beyond[0]])
        raise ValueError(f"{where}, option {beyond[0]}, is {given}: integers stay within +-2**53; use a larger unit")
    column = array.astype(np.int64, copy=True)
    column.flags.writeable = False
    return column
