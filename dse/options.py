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
from typing import TYPE_CHECKING

from dse.architecture import multiplier_styles, offered_foldings
from dse.decision_tables import Choice, DecisionTables, Table
from dse.errors import StudyError
from dse.function_options import lstm_choices, polynomial_choices
from dse.offchip import bandwidth_caps, bandwidth_marks, bandwidth_table
from dse.solve.problem import Coupling
from emulation.formats import FixedPoint
from emulation.function_lowering import is_function, row_fields
from emulation.function_operations import LayerNorm, Lstm, Softmax, is_table
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
    Select,
    Transpose,
)
from emulation.quantisers import Granularity
from hwmodels.collector import without_collector
from hwmodels.costs import Cost
from hwmodels.engine_shapes import EngineShape, requantisers
from hwmodels.engines import engine_costs
from hwmodels.folding import divisors
from hwmodels.functions import row_cost, select_cost, table_cost
from hwmodels.joins import Join, Rescale, activation_cost, fifo_cost, join_cost, transpose_cost
from hwmodels.operands import value_bits
from hwmodels.output_stage import output_stage_cost
from hwmodels.pooling import Pool, pool_cost, pool_requantisers
from hwmodels.requantisers import RequantiseScale
from hwmodels.streaming import skip_fifo_depths
from hwmodels.sums import usable_foldings
from hwmodels.table_units import TableScope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse.preparation import Prepared
    from dse.sweep import LossTable
    from emulation.datapaths import Arithmetic
    from emulation.formats import Format
    from hwmodels.devices import Device
    from hwmodels.folding import MultiplierStyle


@without_collector()
def build_tables(prepared: Prepared, losses: LossTable, accuracy_changes: LossTable, device: Device) -> DecisionTables:
    """All tables of a study on a device; ``accuracy_changes`` is kept beside them to predict the task metric with."""
    config = prepared.config
    limit = None
    if config.device.min_fps > 0:
        limit = math.floor(config.device.clock_mhz * 1e6 / config.device.min_fps)
    builder = TableBuilder(prepared, losses, device, limit)
    tables = tuple(table for layer in prepared.network.layers for table in builder.tables_of(layer))
    tables += bandwidth_table(tables, device, clock_mhz=config.device.clock_mhz, limit=limit)
    formats = dict.fromkeys(
        number_format
        for table in tables
        for choice in table.choices
        for number_format in (*choice.inputs, choice.output)
        if number_format is not None
    )
    return DecisionTables(
        tables=tables,
        couplings=tuple(couplings_of(prepared, tables)),
        formats=tuple(formats),
        device=device,
        interval_limit=limit,
        loss_unit=config.front.loss_unit,
        losses=losses,
        accuracy_changes=accuracy_changes,
        caps=bandwidth_caps(tables),
        minimise_energy=config.energy.objective,
    )


def couplings_of(prepared: Prepared, tables: tuple[Table, ...]) -> Iterator[Coupling]:
    """Consumers agree with the output table of each edge they read; engines with their output table on requantisers."""
    network = prepared.network
    producer = {table.layer: table for table in tables if table.choices[0].output is not None}
    for table in tables:
        if table.layer not in network.by_name:  # shared by layers, and coupled by whoever made it
            continue
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


class TableBuilder:
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
            case Select():
                return [self._table(layer, "move", self._select(layer))]
            case Activate() if is_table(layer.activation):
                return [self._table(layer, "table", self._function_table(layer))]
            case Lstm():
                work = self._table(layer, "engine", lstm_choices(self.prepared, self.losses, self.device, layer))
            case Softmax() | LayerNorm() | Activate() if is_function(layer):
                work = self._table(layer, "function", self._function(layer))
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
        if not every:
            raise StudyError(
                f"layer {layer.name!r} has no option: accumulators that saturate or round take simd = chunk inputs at "
                "once (of blocks, chunk whole blocks), and chunk must divide the inputs of an output; use another "
                'chunk in [arithmetic], or add "exact" to its accumulators'
            )
        limit = self.interval_limit
        within = every if limit is None else tuple(one for one in every if one.cost.interval_cycles <= limit)
        return Table(layer=layer.name, role=role, choices=within or every)

    def _output(self, layer: Layer, output: Format, count: int) -> Choice:
        values = layer.elements
        cost = output_stage_cost(output, requantisers=count, device=self.device, values=values) if count else Cost()
        return Choice(output=output, requantisers=count, cost=cost, loss=self.losses.edges[layer.name, output])

    def _engine(self, layer: Layer) -> Iterator[Choice]:
        shape = EngineShape.from_layer(self.network, layer)
        is_product = isinstance(layer.operation, MatMul)
        offered = offered_foldings(self.prepared.config, shape, self.device, is_product=is_product)
        for activation, second, arithmetic, loss, bits in self.datapaths(layer):
            usable = usable_foldings(
                offered, shape, weight_format=second, activation_format=activation, arithmetic=arithmetic
            )
            costs = engine_costs(
                shape,
                weight_format=second,
                activation_format=activation,
                foldings=usable,
                device=self.device,
                multiplier_bits=self.multiplier_bits,
                scale=self.scale(layer),
                accumulator=bits,
                arithmetic=arithmetic,
                table_scope=self.table_scope,
                clock_mhz=self.prepared.config.device.clock_mhz,
            )
            for folding, cost in zip(usable, costs, strict=True):
                yield Choice(
                    inputs=(activation, second) if is_product else (activation,),
                    weight=None if is_product else second,
                    arithmetic=arithmetic,
                    folding=folding,
                    requantisers=requantisers(folding, shape),
                    cost=cost,
                    loss=loss,
                    marks=bandwidth_marks(cost),
                )

    def datapaths(self, layer: Layer) -> Iterator[tuple[Format, Format, Arithmetic, float, int | None]]:
        """Operands and arithmetic with the loss the engine adds and its accumulator's width (None: worst case).

        The accumulator of two activations has no weights that would bound it.
        """
        for activation, second, arithmetic in self.prepared.datapaths(layer):
            bits = None
            if layer.weight is not None:
                bits = self.prepared.calibrated.accumulator_bits(layer.name, activation, second, arithmetic)
            yield activation, second, arithmetic, self.losses.engines[layer.name, activation, second, arithmetic], bits

    @property
    def table_scope(self) -> TableScope:
        """Whether learned tables are one per layer or one per output channel."""
        per_channel = self.prepared.calibrated.scalings.weight.granularity is Granularity.CHANNEL
        return TableScope.CHANNEL if per_channel else TableScope.TENSOR

    def scale(self, layer: Layer) -> RequantiseScale:
        """Which multipliers requantise a layer."""
        if isinstance(layer.activation, PRelu):
            return RequantiseScale.CHANNEL_AND_SIGN
        per_channel = self.prepared.calibrated.scalings.weight.granularity is Granularity.CHANNEL
        return RequantiseScale.CHANNEL if layer.weight is not None and per_channel else RequantiseScale.TENSOR

    def _lanes(self, layer: Layer) -> tuple[int, ...]:
        """Lanes divide the channels (axis 0, or the last of matrix-shaped tensors that are not pooled)."""
        source = self.network.by_name[layer.inputs[0]].shape
        is_matrix = len(source) == 2 and not isinstance(layer.operation, MaxPool | AveragePool)
        return divisors(source[-1] if is_matrix else source[0])

    def _add(self, layer: Layer) -> Iterator[Choice]:
        edges = self.network.input_edges(layer)
        for operands in itertools.product(*(self.prepared.edge_menu(edge) for edge in edges)):
            agrees = self.prepared.calibrated.agree((edges[0], operands[0]), (edges[1], operands[1]))
            for lanes, style in itertools.product(self._lanes(layer), multiplier_styles(self.device)):
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
                cost = self.with_fifos(layer, operands, lanes, cost)
                yield Choice(inputs=operands, lanes=lanes, requantisers=lanes, cost=cost)

    def _select(self, layer: Layer) -> Iterator[Choice]:
        edge = self.network.input_edges(layer)[0]
        elements = self.network.by_name[layer.inputs[0]].elements
        for number_format, lanes in itertools.product(self.prepared.edge_menu(edge), self._lanes(layer)):
            cost = select_cost(number_format, elements=elements, lanes=lanes, device=self.device)
            yield Choice(inputs=(number_format,), lanes=lanes, cost=cost)

    def _function_table(self, layer: Layer) -> Iterator[Choice]:
        """A table holds the codes of its output, so both formats decide its cost and no output stage follows."""
        edge = self.network.input_edges(layer)[0]
        menus = self.prepared.edge_menu(edge), self.prepared.edge_menu(layer.name)
        for index, entry, lanes in itertools.product(*menus, self._lanes(layer)):
            cost = table_cost(index, entry, elements=layer.elements, lanes=lanes, device=self.device)
            loss = self.losses.edges[layer.name, entry]
            yield Choice(inputs=(index,), output=entry, lanes=lanes, cost=cost, loss=loss)

    def _function(self, layer: Layer) -> Iterator[Choice]:
        if isinstance(layer.operation, Activate):
            return polynomial_choices(self.prepared, self.device, layer, self._lanes(layer))
        return self._rows(layer)

    def _rows(self, layer: Layer) -> Iterator[Choice]:
        """A softmax or layer norm, several values of a row at once."""
        edge = self.network.input_edges(layer)[0]
        styles = multiplier_styles(self.device)
        for number_format in self.prepared.edge_menu(edge):
            fields = row_fields(layer, self.prepared.calibrated.edge(edge, number_format))
            for lanes, style in itertools.product(divisors(layer.shape[-1]), styles):
                cost = row_cost(
                    number_format,
                    fields,
                    elements=layer.elements,
                    lanes=lanes,
                    device=self.device,
                    multiplier_bits=self.multiplier_bits,
                    multipliers=style,
                )
                yield Choice(inputs=(number_format,), lanes=lanes, requantisers=lanes, cost=cost)

    def _rescale(self, operand: Format, layer: Layer, lanes: int, style: MultiplierStyle) -> Cost:
        return activation_cost(
            operand,
            elements=layer.elements,
            lanes=lanes,
            device=self.device,
            multiplier_bits=self.multiplier_bits,
            multipliers=style,
        )

    def with_fifos(self, layer: Layer, operands: tuple[Format, ...], lanes: int, cost: Cost) -> Cost:
        """The join with the FIFOs that hold the earlier operands; they add no time."""
        for operand, values in zip(operands, skip_fifo_depths(self.network, layer, lanes=lanes), strict=True):
            words = layer.elements // lanes
            fifo = fifo_cost(operand.width * lanes, -(-values // lanes), device=self.device, words=words)
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
                    stage = output_stage_cost(output, requantisers=lanes, device=self.device, values=layer.elements)
                    cost = cost + stage
                cost = self.with_fifos(layer, parts, lanes, cost)
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
            for lanes, style in itertools.product(self._lanes(layer), multiplier_styles(self.device)):
                cost = self._rescale(number_format, layer, lanes, style)
                yield Choice(inputs=(number_format,), lanes=lanes, requantisers=lanes, cost=cost)
