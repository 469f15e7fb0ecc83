"""From losses and costs to the tables the solver chooses from, and back from a selection to a design.

Every layer that multiplies has an *engine* table (datapath and folding) and an *output* table (format of its edge). The
two are coupled by the number of requantisers; consumers are coupled to the output table by the edge's format, so all
agree on it and its loss is charged once. Joins, pools and the like have a table of their own in between. All of it is
generated from the graph.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dse.solve.problem import (
    AttributeObjective,
    Cap,
    Combine,
    Coupling,
    LayerTable,
    Problem,
    UtilisationObjective,
)
from emulation.formats import FixedPoint
from emulation.network import (
    Activate,
    Add,
    AveragePool,
    Concat,
    Convolution,
    Input,
    Layer,
    Linear,
    MatMul,
    MaxPool,
    PRelu,
    Reshape,
    Transpose,
)
from emulation.quantisers import Granularity
from hwmodels.costs import Cost
from hwmodels.engine_shapes import EngineShape, requantisers
from hwmodels.engines import RequantiseScale, engine_costs
from hwmodels.folding import Folding, MultiplierStyle, divisors, foldings
from hwmodels.joins import Join, Rescale, activation_cost, fifo_cost, join_cost, transpose_cost
from hwmodels.minifloat_units import value_bits
from hwmodels.output_stage import output_stage_cost
from hwmodels.pooling import Pool, pool_cost, pool_requantisers
from hwmodels.streaming import skip_fifo_depths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dse.preparation import Prepared
    from dse.sweep import LossTable
    from emulation.formats import Format
    from hwmodels.devices import Device

OBJECTIVES = ("utilisation", "loss", "interval_cycles")
RESOURCES = ("luts", "flip_flops", "dsps", "bram18s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One row of a table: what is chosen, what it costs and what it adds to the predicted loss."""

    inputs: tuple[Format, ...] = ()
    weight: Format | None = None
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


def build_tables(prepared: Prepared, losses: LossTable, accuracy_changes: LossTable, device: Device) -> DecisionTables:
    """All tables of a study on a device; ``accuracy_changes`` is kept beside them to predict the task metric with."""
    config = prepared.config
    limit = None
    if config.device.min_fps > 0:
        limit = math.floor(config.device.clock_mhz * 1e6 / config.device.min_fps)
    builder = _Builder(prepared, losses, device, limit)
    tables = tuple(table for layer in prepared.network.layers for table in builder.tables_of(layer))
    formats = dict.fromkeys(
        number_format
        for table in tables
        for choice in table.choices
        for number_format in (*choice.inputs, choice.output)
        if number_format is not None
    )
    return DecisionTables(
        tables=tables,
        couplings=tuple(_couplings(prepared, tables)),
        formats=tuple(formats),
        device=device,
        interval_limit=limit,
        loss_unit=config.front.loss_unit,
        accuracy_changes=accuracy_changes,
    )


def _couplings(prepared: Prepared, tables: tuple[Table, ...]) -> Iterator[Coupling]:
    """Consumers agree with the output table of each edge they read; engines with their output table on requantisers."""
    network = prepared.network
    producer = {table.layer: table for table in tables if table.choices[0].output is not None}
    for table in tables:
        layer = network.by_name[table.layer]
        for position in range(len(table.choices[0].inputs)):
            edge = network.input_edges(layer)[position]
            yield Coupling(
                left_layer=producer[edge].name, left_key="out", right_layer=table.name, right_key=f"in{position}"
            )
        output = producer.get(table.layer)
        if output is not None and output is not table and table.choices[0].requantisers:
            yield Coupling(
                left_layer=table.name, left_key="requantisers", right_layer=output.name, right_key="requantisers"
            )


class _Builder:
    """Makes the tables of each layer."""

    def __init__(self, prepared: Prepared, losses: LossTable, device: Device, interval_limit: int | None) -> None:
        self.prepared = prepared
        self.network = prepared.network
        self.losses = losses
        self.device = device
        self.interval_limit = interval_limit
        self.multiplier_bits = prepared.calibrated.scalings.requantisation.multiplier_bits

    def tables_of(self, layer: Layer) -> list[Table]:
        """The tables of a layer: what it does, then the format of its output."""
        match layer.operation:
            case Input():
                outputs = [self._output(layer, choice, 0) for choice in self.prepared.edge_menu(layer.name)]
                return [Table(layer=layer.name, role="input", choices=tuple(outputs))]
            case Reshape():
                return []
            case MaxPool() | Transpose():
                return [
                    self._table(layer, "pool" if isinstance(layer.operation, MaxPool) else "move", self._move(layer))
                ]
            case Concat():
                return [self._table(layer, "join", self._concat(layer))]
            case Convolution() | Linear() | MatMul():
                work = self._table(layer, "engine", self._engine(layer))
            case Add():
                work = self._table(layer, "join", self._add(layer))
            case AveragePool():
                work = self._table(layer, "pool", self._average(layer))
            case Activate():
                work = self._table(layer, "activation", self._activate(layer))
        counts = sorted({choice.requantisers for choice in work.choices})
        outputs = [
            self._output(layer, choice, count) for choice in self.prepared.edge_menu(layer.name) for count in counts
        ]
        return [work, Table(layer=layer.name, role="output", choices=tuple(outputs))]

    def _table(self, layer: Layer, role: str, choices: Iterator[Choice]) -> Table:
        """Only choices within the interval bound, or all if none is, so that `explain` can say what is missing."""
        every = tuple(choices)
        limit = self.interval_limit
        within = every if limit is None else tuple(one for one in every if one.cost.interval_cycles <= limit)
        return Table(layer=layer.name, role=role, choices=within or every)

    def _output(self, layer: Layer, output: Format, count: int) -> Choice:
        cost = output_stage_cost(output, requantisers=count, device=self.device) if count else Cost()
        return Choice(output=output, requantisers=count, cost=cost, loss=self.losses.edges[layer.name, output])

    def _engine(self, layer: Layer) -> Iterator[Choice]:
        shape = EngineShape.from_layer(self.network, layer)
        offered = foldings(
            shape.outputs, shape.depth, groups=shape.groups, max_lanes=self.prepared.config.front.max_lanes
        )
        for activation, second, loss, bits in self._datapaths(layer):
            costs = engine_costs(
                shape,
                weight_format=second,
                activation_format=activation,
                foldings=offered,
                device=self.device,
                multiplier_bits=self.multiplier_bits,
                scale=self._scale(layer),
                accumulator=bits,
            )
            is_product = isinstance(layer.operation, MatMul)
            for folding, cost in zip(offered, costs, strict=True):
                yield Choice(
                    inputs=(activation, second) if is_product else (activation,),
                    weight=None if is_product else second,
                    folding=folding,
                    requantisers=requantisers(folding, shape),
                    cost=cost,
                    loss=loss,
                )

    def _datapaths(self, layer: Layer) -> Iterator[tuple[Format, Format, float, int | None]]:
        """Operand formats with the loss the engine adds and its accumulator's width (None: worst case)."""
        edges = self.network.input_edges(layer)
        if isinstance(layer.operation, MatMul):
            for left, right in itertools.product(*(self.prepared.edge_menu(edge) for edge in edges)):
                yield left, right, 0.0, None
            return
        for activation in self.prepared.edge_menu(edges[0]):
            for weight in self.prepared.weight_menu(activation):
                bits = self.prepared.calibrated.accumulator_bits(layer.name, activation, weight)
                yield activation, weight, self.losses.engines[layer.name, activation, weight], bits

    def _scale(self, layer: Layer) -> RequantiseScale:
        if isinstance(layer.activation, PRelu):
            return RequantiseScale.CHANNEL_AND_SIGN
        per_channel = self.prepared.calibrated.scalings.weight.granularity is Granularity.CHANNEL
        return RequantiseScale.CHANNEL if layer.weight is not None and per_channel else RequantiseScale.TENSOR

    def _lanes(self, layer: Layer) -> tuple[int, ...]:
        """Lanes divide the channels (axis 0, or the last of matrix-shaped tensors)."""
        source = self.network.by_name[layer.inputs[0]].shape
        return divisors(source[0] if len(source) != 2 else source[-1])

    def _add(self, layer: Layer) -> Iterator[Choice]:
        edges = self.network.input_edges(layer)
        for operands in itertools.product(*(self.prepared.edge_menu(edge) for edge in edges)):
            agrees = self.prepared.calibrated.agree((edges[0], operands[0]), (edges[1], operands[1]))
            for lanes, style in itertools.product(self._lanes(layer), MultiplierStyle):
                cost = join_cost(
                    operands,
                    join=Join.ADD,
                    rescale=Rescale.NONE if agrees else Rescale.NEEDED,
                    elements=layer.elements,
                    lanes=lanes,
                    device=self.device,
                    multiplier_bits=self.multiplier_bits,
                    multipliers=style,
                )
                if agrees:  # one multiplier behind the sum instead of one before each operand
                    total = FixedPoint(width=max(value_bits(operand) for operand in operands) + 1)
                    cost = cost + self._rescale(total, layer, lanes, style)
                cost = self._with_fifos(layer, operands, lanes, cost)
                yield Choice(inputs=operands, lanes=lanes, requantisers=lanes, cost=cost)

    def _rescale(self, operand: Format, layer: Layer, lanes: int, style: MultiplierStyle) -> Cost:
        return activation_cost(
            operand,
            elements=layer.elements,
            lanes=lanes,
            device=self.device,
            multiplier_bits=self.multiplier_bits,
            multipliers=style,
        )

    def _with_fifos(self, layer: Layer, operands: tuple[Format, ...], lanes: int, cost: Cost) -> Cost:
        """The join with the FIFOs that hold the earlier operands; they add no time."""
        for operand, values in zip(operands, skip_fifo_depths(self.network, layer), strict=True):
            fifo = fifo_cost(operand.width * lanes, -(-values // lanes), device=self.device)
            cost = dataclasses.replace(cost + fifo, fill_cycles=cost.fill_cycles)
        return cost

    def _concat(self, layer: Layer) -> Iterator[Choice]:
        edges = self.network.input_edges(layer)
        menu = self.prepared.edge_menu(layer.name)
        for *operands, output in itertools.product(*(self.prepared.edge_menu(edge) for edge in edges), menu):
            parts = tuple(operands)
            calibrated = self.prepared.calibrated
            agrees = all(
                operand == output and calibrated.agree((edge, operand), (layer.name, output))
                for edge, operand in zip(edges, parts, strict=True)
            )
            for lanes in self._lanes(layer):
                if layer.elements % lanes:
                    continue
                cost = join_cost(
                    parts,
                    join=Join.CONCAT,
                    rescale=Rescale.NONE if agrees else Rescale.NEEDED,
                    elements=layer.elements,
                    lanes=lanes,
                    device=self.device,
                    multiplier_bits=self.multiplier_bits,
                )
                if not agrees:
                    stage = output_stage_cost(output, requantisers=lanes, device=self.device)
                    cost = cost + stage
                cost = self._with_fifos(layer, parts, lanes, cost)
                loss = self.losses.edges[layer.name, output]
                yield Choice(inputs=parts, output=output, lanes=lanes, cost=cost, loss=loss)

    def _move(self, layer: Layer) -> Iterator[Choice]:
        edge = self.network.input_edges(layer)[0]
        for number_format in self.prepared.edge_menu(edge):
            for lanes in self._lanes(layer):
                if isinstance(layer.operation, MaxPool):
                    cost = self._pool(layer, Pool.MAXIMUM, number_format, lanes)
                else:
                    cost = transpose_cost(number_format, elements=layer.elements, lanes=lanes, device=self.device)
                yield Choice(inputs=(number_format,), lanes=lanes, cost=cost)

    def _average(self, layer: Layer) -> Iterator[Choice]:
        edge = self.network.input_edges(layer)[0]
        operation = layer.operation
        if not isinstance(operation, AveragePool):
            raise TypeError(f"layer {layer.name!r} is no average pooling")
        for number_format in self.prepared.edge_menu(edge):
            for lanes in self._lanes(layer):
                cost = self._pool(layer, Pool.AVERAGE, number_format, lanes)
                count = pool_requantisers(operation.window, lanes)
                yield Choice(inputs=(number_format,), lanes=lanes, requantisers=count, cost=cost)

    def _pool(self, layer: Layer, pool: Pool, number_format: Format, lanes: int) -> Cost:
        operation = layer.operation
        if not isinstance(operation, MaxPool | AveragePool):
            raise TypeError(f"layer {layer.name!r} is no pooling")
        channels, *space = self.network.by_name[layer.inputs[0]].shape
        return pool_cost(
            pool,
            window=operation.window,
            space=tuple(space),
            channels=channels,
            number_format=number_format,
            lanes=lanes,
            device=self.device,
            multiplier_bits=self.multiplier_bits,
        )

    def _activate(self, layer: Layer) -> Iterator[Choice]:
        edge = self.network.input_edges(layer)[0]
        for number_format in self.prepared.edge_menu(edge):
            for lanes, style in itertools.product(self._lanes(layer), MultiplierStyle):
                cost = self._rescale(number_format, layer, lanes, style)
                yield Choice(inputs=(number_format,), lanes=lanes, requantisers=lanes, cost=cost)
