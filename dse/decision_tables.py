"""The tables the solver chooses from: one per part of a layer, a row per choice, coupled where parts must agree."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from dse.solve.paid_once import PaidOnce
from dse.solve.problem import AttributeObjective, Cap, Combine, Coupling, LayerTable, Problem, UtilisationObjective
from emulation.datapaths import Arithmetic
from hwmodels.costs import Cost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dse.sweep import LossTable, Pair
    from emulation.formats import Format
    from hwmodels.devices import Device
    from hwmodels.folding import Folding

WEIGHT_KEY = "weight"
"""Column of an engine's table by which pairs of formats are coupled to it."""
OBJECTIVES = ("utilisation", "loss", "interval_cycles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One row of a table: what is chosen, what it costs and what it adds to the predicted loss.

    ``marks`` are further columns of the solver's table: numbers that couplings, caps and shared parts refer to.
    """

    inputs: tuple[Format, ...] = ()
    weight: Format | None = None
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    output: Format | None = None
    folding: Folding | None = None
    lanes: int = 0
    requantisers: int = 0
    cost: Cost = field(default_factory=Cost)
    loss: float = 0.0
    marks: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPart:
    """Hardware that choices of several tables use and that is there once.

    Attributes:
        mark: of the choices: the item they use, a position in ``costs``; negative or absent for none.
        roles: what each item is, as the role of a part of a design.
        costs: of each item. Items of one role are steps of one piece of hardware, each on top of those before.
    """

    mark: str
    roles: tuple[str, ...]
    costs: tuple[Cost, ...]

    def paid_once(self, resources: Sequence[str]) -> PaidOnce:
        """The same for the solver; of the resources, those that no item takes are left out, but for the first."""
        amounts = {name: [cost.resource(name) for cost in self.costs] for name in resources}
        used = {name: values for name, values in amounts.items() if any(values)}
        return PaidOnce(key=self.mark, amounts=used or {resources[0]: amounts[resources[0]]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The choices for one part of a layer; ``role`` says which part.

    A table of a ``pair`` is no hardware: its choices say which formats two places have together, and cost loss alone.
    """

    layer: str
    role: str
    choices: tuple[Choice, ...]
    pair: Pair | None = None

    @property
    def name(self) -> str:
        """Unique name among the tables of a network."""
        return f"{self.layer}:{self.role}"


@dataclass(frozen=True, kw_only=True, eq=False)
class DecisionTables:
    """All tables of a network on a device, and how they hang together.

    Attributes:
        shared: parts that choices of several tables use.
        caps: besides those of the device and the interval.
        branch: name of a table whose choices are solved one by one (`dse.solve.problem.Problem`).
        minimise_energy: in place of the interval.
    """

    tables: tuple[Table, ...]
    couplings: tuple[Coupling, ...]
    formats: tuple[Format, ...]
    device: Device
    interval_limit: int | None
    loss_unit: float
    losses: LossTable
    accuracy_changes: LossTable
    shared: tuple[SharedPart, ...] = ()
    caps: tuple[Cap, ...] = ()
    branch: str | None = None
    minimise_energy: bool = False

    @property
    def resources(self) -> tuple[str, ...]:
        """What the device has of: LUTs, DSPs and so on of an FPGA, gates of an ASIC process."""
        return tuple(self.device.resources)

    def nats(self, steps: int) -> float:
        """The predicted loss that integers of the problem add up to."""
        return self.losses.of_sum(steps * self.loss_unit)

    def with_losses(self, losses: LossTable) -> DecisionTables:
        """The same choices at the same costs with other losses, and a table for each pair of these losses."""
        own = tuple(
            replace(
                table, choices=tuple(replace(choice, loss=_loss(table, choice, losses)) for choice in table.choices)
            )
            for table in self.tables
            if table.pair is None
        )
        kept = {table.name for table in own}
        pairs = tuple(_pair_table(pair, values) for pair, values in losses.pairs.items())
        couplings = tuple(one for one in self.couplings if one.right_layer in kept)
        for table in pairs:
            couplings += tuple(_pair_couplings(table, own))
        weights = (one for table in pairs for choice in table.choices for one in choice.inputs)
        formats = tuple(dict.fromkeys((*self.formats, *weights)))
        return replace(self, tables=own + pairs, couplings=couplings, formats=formats, losses=losses)

    def problem(self) -> Problem:
        """The tables as integers: utilisation, loss and interval to be minimised under the device's caps."""
        codes = {number_format: code for code, number_format in enumerate(self.formats)}
        limits = {name: self.device.usable(name) for name in self.resources}
        caps = [Cap(resource=name, limit=limit) for name, limit in limits.items()]
        limits = {name: limit for name, limit in limits.items() if limit}  # what a device has none of, no design uses
        if self.interval_limit is not None:
            caps.append(Cap(resource="interval_cycles", limit=self.interval_limit))
        caps.extend(self.caps)
        return Problem(
            layers=tuple(self._columns(table, codes) for table in self.tables),
            objectives=(
                UtilisationObjective(name="utilisation", limits=limits),
                AttributeObjective(name="loss"),
                AttributeObjective(name="energy_pj" if self.minimise_energy else "interval_cycles"),
            ),
            couplings=self.couplings,
            caps=tuple(caps),
            combine={"interval_cycles": Combine.MAX},
            paid_once=tuple(part.paid_once(self.resources) for part in self.shared),
            branch=self.branch,
        )

    def _columns(self, table: Table, codes: Mapping[Format, int]) -> LayerTable:
        choices = table.choices
        columns = {name: [choice.cost.resource(name) for choice in choices] for name in self.resources}
        columns["interval_cycles"] = [choice.cost.interval_cycles for choice in choices]
        if self.minimise_energy:
            columns["energy_pj"] = [math.ceil(choice.cost.energy_pj) for choice in choices]
        columns["loss"] = [round(choice.loss / self.loss_unit) for choice in choices]
        columns["requantisers"] = [choice.requantisers for choice in choices]
        for position in range(len(choices[0].inputs)):
            columns[f"in{position}"] = [codes[choice.inputs[position]] for choice in choices]
        if any(one.ends[0] == (table.name, WEIGHT_KEY) for one in self.couplings):
            columns[WEIGHT_KEY] = [-1 if choice.weight is None else codes[choice.weight] for choice in choices]
        columns["out"] = [-1 if choice.output is None else codes[choice.output] for choice in choices]
        capped = {cap.resource for cap in self.caps}
        for mark in dict.fromkeys(mark for choice in choices for mark in choice.marks):
            absent = 0 if mark in capped else -1  # nothing of what adds up, or no item
            columns[mark] = [choice.marks.get(mark, absent) for choice in choices]
        return LayerTable(name=table.name, columns=columns)


def _loss(table: Table, choice: Choice, losses: LossTable) -> float:
    """What a choice is charged: an engine for itself, whatever decides a tensor's format for the tensor."""
    charged = 0.0 if choice.output is None else losses.edges[table.layer, choice.output]
    if table.role == "engine":
        second = choice.inputs[1] if choice.weight is None else choice.weight
        charged += losses.engines[table.layer, choice.inputs[0], second, choice.arithmetic]
    return charged


def _pair_table(pair: Pair, values: Mapping[tuple[Format, Format], float]) -> Table:
    choices = tuple(Choice(inputs=formats, loss=loss) for formats, loss in values.items())
    return Table(layer=str(pair), role="pair", choices=choices, pair=pair)


def _pair_couplings(table: Table, others: tuple[Table, ...]) -> Iterator[Coupling]:
    """A pair has the formats that its places have: a product of two choices, in the form of flows."""
    if table.pair is None:
        return
    for position, place in enumerate((table.pair.first, table.pair.second)):
        is_weight = place.kind.value == "weight"
        other = next(
            one
            for one in others
            if one.layer == place.name and (one.role == "engine" if is_weight else one.choices[0].output is not None)
        )
        key = WEIGHT_KEY if is_weight else "out"
        yield Coupling(left_layer=other.name, left_key=key, right_layer=table.name, right_key=f"in{position}")
