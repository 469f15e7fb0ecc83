"""The tables the solver chooses from: one per part of a layer, a row per choice, coupled where parts must agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dse.solve.problem import AttributeObjective, Cap, Combine, Coupling, LayerTable, Problem, UtilisationObjective
from emulation.datapaths import Arithmetic
from hwmodels.costs import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse.sweep import LossTable
    from emulation.formats import Format
    from hwmodels.devices import Device
    from hwmodels.folding import Folding

OBJECTIVES = ("utilisation", "loss", "interval_cycles")
RESOURCES = ("luts", "flip_flops", "dsps", "bram18s", "urams")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One row of a table: what is chosen, what it costs and what it adds to the predicted loss."""

    inputs: tuple[Format, ...] = ()
    weight: Format | None = None
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    output: Format | None = None
    folding: Folding | None = None
    lanes: int = 0
    requantisers: int = 0
    cost: Cost = field(default_factory=Cost)
    loss: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The choices for one part of a layer; ``role`` says which part."""

    layer: str
    role: str
    choices: tuple[Choice, ...]

    @property
    def name(self) -> str:
        """Unique name among the tables of a network."""
        return f"{self.layer}:{self.role}"


@dataclass(frozen=True, kw_only=True, eq=False)
class DecisionTables:
    """All tables of a network on a device, and how they hang together."""

    tables: tuple[Table, ...]
    couplings: tuple[Coupling, ...]
    formats: tuple[Format, ...]
    device: Device
    interval_limit: int | None
    loss_unit: float
    accuracy_changes: LossTable

    def problem(self) -> Problem:
        """The tables as integers: utilisation, loss and interval to be minimised under the device's caps."""
        codes = {number_format: code for code, number_format in enumerate(self.formats)}
        limits = {name: self.device.usable(name) for name in RESOURCES}
        caps = [Cap(resource=name, limit=limit) for name, limit in limits.items()]
        limits = {name: limit for name, limit in limits.items() if limit}  # what a device has none of, no design uses
        if self.interval_limit is not None:
            caps.append(Cap(resource="interval_cycles", limit=self.interval_limit))
        return Problem(
            layers=tuple(self._columns(table, codes) for table in self.tables),
            objectives=(
                UtilisationObjective(name="utilisation", limits=limits),
                AttributeObjective(name="loss"),
                AttributeObjective(name="interval_cycles"),
            ),
            couplings=self.couplings,
            caps=tuple(caps),
            combine={"interval_cycles": Combine.MAX},
        )

    def _columns(self, table: Table, codes: Mapping[Format, int]) -> LayerTable:
        choices = table.choices
        columns = {name: [choice.cost.resource(name) for choice in choices] for name in RESOURCES}
        columns["interval_cycles"] = [choice.cost.interval_cycles for choice in choices]
        columns["loss"] = [round(choice.loss / self.loss_unit) for choice in choices]
        columns["requantisers"] = [choice.requantisers for choice in choices]
        for position in range(len(choices[0].inputs)):
            columns[f"in{position}"] = [codes[choice.inputs[position]] for choice in choices]
        columns["out"] = [-1 if choice.output is None else codes[choice.output] for choice in choices]
        return LayerTable(name=table.name, columns=columns)
