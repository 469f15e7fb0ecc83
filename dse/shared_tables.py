"""The tables of a shared engine: one array, chosen once, and per layer the datapath it works with on it.

The array is a table of its own; every other table is coupled to it, engines to the array and all others to its simd,
because tensors lie in words of simd values. What the array is made of is paid once (`hwmodels.shared_engine`): distinct
datapaths and output stages, and registers, weights and activations as wide as the widest, in steps from one width that
may be chosen to the next. Cycles add up, whatever the formats: those of a design are the array's.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from dse.architecture import offered_arrays
from dse.decision_tables import Choice, DecisionTables, Table
from dse.designs import ARRAY
from dse.errors import StudyError
from dse.options import TableBuilder, build_tables, couplings_of
from dse.shared_arrays import ArrayChoice, Pair, Turn, make_array, turn_of
from dse.shared_parts import Items, Steps
from dse.solve.problem import Coupling
from emulation.function_operations import Lstm
from emulation.network import MatMul
from hwmodels.array_work import arrival_cycles, held_words
from hwmodels.costs import Cost
from hwmodels.engine_shapes import EngineShape
from hwmodels.folding import MemoryStyle
from hwmodels.operands import stored_bits
from hwmodels.output_stage import output_stage_cost
from hwmodels.shared_energy import moved_energy
from hwmodels.shared_engine import SharedEngine, SharedLayer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse.preparation import Prepared
    from dse.sweep import LossTable
    from emulation.formats import Format
    from emulation.network import Layer
    from hwmodels.devices import Device
    from hwmodels.folding import Folding

_ARRAY_MARK: Final = "array"
_SIMD_MARK: Final = "simd"


def build_shared_tables(
    prepared: Prepared, losses: LossTable, accuracy_changes: LossTable, device: Device
) -> DecisionTables:
    """All tables of a study whose multiplying layers share one array; the same data as `dse.options.build_tables`.

    Raises:
        StudyError: if no array can execute every layer.
    """
    return _SharedBuilder(prepared, losses, device).tables(accuracy_changes)


def study_tables(prepared: Prepared, losses: LossTable, accuracy_changes: LossTable, device: Device) -> DecisionTables:
    """All tables of a study on a device, whatever its architecture."""
    build = build_shared_tables if prepared.config.architecture.kind == "shared-engine" else build_tables
    return build(prepared, losses, accuracy_changes, device)


class _SharedBuilder(TableBuilder):
    """Makes the tables: arrays first, since everything else depends on which there are."""

    def __init__(self, prepared: Prepared, losses: LossTable, device: Device) -> None:
        super().__init__(prepared, losses, device, None)
        self.config = prepared.config
        for layer in self.network.layers:
            if isinstance(layer.operation, Lstm):
                raise StudyError(
                    f"layer {layer.name!r} (lstm) cannot share an array: it has engines of its own. Set "
                    '[architecture] kind = "streaming"'
                )
        fps = self.config.device.min_fps
        self.limit = math.floor(self.config.device.clock_mhz * 1e6 / fps) if fps > 0 else None
        self.menus = {edge: tuple(prepared.edge_menu(edge)) for edge in self.network.edges}
        self.shared_layers = {
            layer.name: SharedLayer(shape=EngineShape.from_layer(self.network, layer), scale=self.scale(layer))
            for layer in self.network.engines
        }
        self.pairs = {
            layer.name: [
                Pair(activation=activation, second=second, arithmetic=arithmetic, loss=loss, bits=bits)
                for activation, second, arithmetic, loss, bits in self.datapaths(layer)
            ]
            for layer in self.network.engines
        }
        self._made: dict[str, list[Table]] = {}
        self._turns: dict[tuple[str, int], Turn] = {}
        self.weight_widths = sorted({pair.second.width for pairs in self.pairs.values() for pair in pairs})

    def with_fifos(self, layer: Layer, operands: tuple[Format, ...], lanes: int, cost: Cost) -> Cost:
        """Operands of a join wait in the activation memory, so there are none."""
        del layer, operands, lanes  # they size the FIFOs of a stream
        return cost

    def tables(self, accuracy_changes: LossTable) -> DecisionTables:
        """All of them, with what is shared and how they are coupled."""
        every = (self._array_table(), *(table for layer in self.network.layers for table in self._layer(layer)))
        shared: tuple[Items | Steps, ...] = (
            self.datapath_items,
            self.stages,
            self.weights,
            self.registers,
            *self.accumulators,
            self.words,
        )
        formats = dict.fromkeys(
            one for table in every for choice in table.choices for one in (*choice.inputs, choice.output) if one
        )
        to_array = (
            Coupling(left_layer=every[0].name, left_key=key, right_layer=table.name, right_key=key)
            for table in every[1:]
            for key in [_ARRAY_MARK if table.role == "engine" else _SIMD_MARK]
        )
        return DecisionTables(
            tables=every,
            couplings=(*to_array, *couplings_of(self.prepared, every)),
            formats=tuple(formats),
            device=self.device,
            interval_limit=self.limit,
            loss_unit=self.config.front.loss_unit,
            losses=self.losses,
            accuracy_changes=accuracy_changes,
            shared=tuple(part for one in shared for part in one.parts),
            branch=every[0].name,
            minimise_energy=self.config.energy.objective,
        )

    # -- arrays -----------------------------------------------------------------------------------------------------

    @cached_property
    def arrays(self) -> list[ArrayChoice]:
        """Those that can execute every layer within the interval bound; all if none is, so that it can be explained."""
        clock = self.config.device.clock_mhz
        stages = list(dict.fromkeys(one for layer in self.network.engines for one in self.menus[layer.name]))
        found = [
            array
            for folding in offered_arrays(self.config, self.device)
            for bits in (self.weight_widths if folding.weight_memory is MemoryStyle.OFFCHIP else (None,))
            if (array := make_array(self._engine_on(folding), self.pairs, stages, word_bits=bits, clock_mhz=clock))
        ]
        if not found:
            raise StudyError(
                "no array of [architecture] array_pe and array_simd can execute every layer: accumulators that "
                "saturate or round take simd = chunk, and blocks need a simd that divides them; name such sizes, or "
                'add "exact" to [arithmetic] accumulators'
            )
        return [one for one in found if self.limit is None or self._cycles(one) <= self.limit] or found

    def _engine_on(self, folding: Folding) -> SharedEngine:
        return SharedEngine(
            array=folding,
            layers=self.shared_layers,
            held_words=held_words(self.network, folding.simd),
            device=self.device,
            multiplier_bits=self.multiplier_bits,
            table_scope=self.table_scope,
            widest_weight_bits=self.weight_widths[-1],
            widest_word_bits=self._word_widths(folding.simd)[-1],
        )

    def _cycles(self, array: ArrayChoice) -> int:
        """Of a sample: the turns of all layers."""
        turns = sum(self._turn(layer, array.folding.simd).cycles for layer in self._others)
        return sum(map(sum, array.cycles.values())) + turns

    def _array_table(self) -> Table:
        choices = []
        for position, array in enumerate(self.arrays):
            cost = array.engine.control_cost()
            if array.word_bits is not None:
                cost = cost + array.engine.weight_cost(array.word_bits)
            cost = replace(
                cost,
                interval_cycles=self._cycles(array),
                fill_cycles=arrival_cycles(self.network, array.folding.simd),
            )
            marks = {_ARRAY_MARK: position, _SIMD_MARK: array.folding.simd}
            choices.append(Choice(folding=array.folding, cost=cost, marks=marks))
        return Table(layer=ARRAY, role="array", choices=tuple(choices))

    # -- what is there once -----------------------------------------------------------------------------------------

    @cached_property
    def simds(self) -> list[int]:
        """Values of a word of any array, ascending."""
        return sorted({array.folding.simd for array in self.arrays})

    def _word_widths(self, simd: int) -> list[int]:
        return sorted({stored_bits(one, simd) for menu in self.menus.values() for one in menu})

    @cached_property
    def words(self) -> Steps:
        """The activation memory, which depends on simd alone."""
        engines = {array.folding.simd: array.engine for array in self.arrays}
        return Steps(
            "activations",
            "activation memory",
            [self._word_widths(simd) for simd in self.simds],
            lambda variant, width: engines[self.simds[variant]].activation_cost(width),
        )

    @cached_property
    def weights(self) -> Steps:
        """The weight memory of each array on the chip."""
        return Steps(
            "weights",
            "weight memory",
            [
                sorted({pair.second.width for pairs in one.pairs.values() for pair in pairs})
                if one.word_bits is None
                else []
                for one in self.arrays
            ],
            lambda variant, width: self.arrays[variant].engine.weight_cost(width),
        )

    def _register_widths(self, array: ArrayChoice, *, exact_only: bool) -> list[int]:
        return sorted(
            {
                array.register_bits(pair)
                for pairs in array.pairs.values()
                for pair in pairs
                if not (exact_only and array.datapaths[pair.key].has_own_accumulator)
            }
        )

    @cached_property
    def registers(self) -> Steps:
        """Waiting sums, biases and requantisers; with the accumulators if those are as wide."""

        def cost(variant: int, width: int) -> Cost:
            engine = self.arrays[variant].engine
            alone = engine.register_cost(width)
            return alone if self.accumulators else alone + engine.accumulator_cost(width)

        widths = [self._register_widths(one, exact_only=False) for one in self.arrays]
        return Steps("registers", "requantisers" if self.accumulators else "accumulators, requantisers", widths, cost)

    @cached_property
    def accumulators(self) -> tuple[Steps, ...]:
        """Exact accumulators apart, if some datapath has one of its own and does not widen them."""
        if not any(one.has_own_accumulator for array in self.arrays for one in array.datapaths.values()):
            return ()
        widths = [self._register_widths(one, exact_only=True) for one in self.arrays]
        return (
            Steps(
                "accumulators",
                "accumulators",
                widths,
                lambda variant, width: self.arrays[variant].engine.accumulator_cost(width),
            ),
        )

    @cached_property
    def datapath_items(self) -> Items:
        """Datapaths of each array."""
        roles = {pair.key: pair.role for pairs in self.pairs.values() for pair in pairs}
        return Items(
            "datapath",
            {
                (position, key): (roles[key], made.cost)
                for position, array in enumerate(self.arrays)
                for key, made in array.datapaths.items()
            },
        )

    @cached_property
    def stages(self) -> Items:
        """Output stages: what they cost depends on the format and on how many requantisers there are."""
        counts = sorted({array.engine.requantisers for array in self.arrays})
        formats = dict.fromkeys(one for layer in self.network.engines for one in self.menus[layer.name])
        return Items(
            "output stage",
            {
                (one, count): (
                    f"output stage {one}",
                    replace(output_stage_cost(one, requantisers=count, device=self.device), fill_cycles=0),
                )
                for one in formats
                for count in counts
            },
        )

    # -- layers -----------------------------------------------------------------------------------------------------

    @property
    def _others(self) -> list[Layer]:
        return [layer for layer in self.network.layers if layer.name not in self.shared_layers]

    def _layer(self, layer: Layer) -> Iterator[Table]:
        if layer.name in self.shared_layers:
            yield Table(layer=layer.name, role="engine", choices=tuple(self._on_arrays(layer)))
            yield Table(layer=layer.name, role="output", choices=tuple(self._outputs(layer)))
            return
        turns = [self._turn(layer, simd).tables for simd in self.simds]
        for same in zip(*turns, strict=True):
            choices = tuple(
                replace(
                    choice,
                    cost=self._moved(choice, layer, simd),
                    marks={_SIMD_MARK: simd} | self._held(choice.output, simd),
                )
                for simd, table in zip(self.simds, same, strict=True)
                for choice in table.choices
            )
            yield Table(layer=layer.name, role=same[0].role, choices=choices)

    def _on_arrays(self, layer: Layer) -> Iterator[Choice]:
        is_product = isinstance(layer.operation, MatMul)
        for position, array in enumerate(self.arrays):
            interval, fill = array.cycles[layer.name]
            for pair in array.pairs[layer.name]:
                marks = {_ARRAY_MARK: position} | self.datapath_items.marks((position, pair.key))
                bits = array.register_bits(pair)
                marks |= self.registers.marks(position, bits)
                if not array.datapaths[pair.key].has_own_accumulator:
                    for one in self.accumulators:
                        marks |= one.marks(position, bits)
                if array.word_bits is None:
                    marks |= self.weights.marks(position, pair.second.width)
                energy = array.energy(layer.name, pair)
                yield Choice(
                    inputs=(pair.activation, pair.second) if is_product else (pair.activation,),
                    weight=None if is_product else pair.second,
                    arithmetic=pair.arithmetic,
                    folding=array.folding,
                    requantisers=array.engine.requantisers,
                    cost=Cost(
                        interval_cycles=interval,
                        fill_cycles=fill,
                        energy_pj=energy.total_pj,
                        memory_pj=energy.memory_pj,
                        offchip_pj=energy.offchip_pj,
                    ),
                    loss=pair.loss,
                    marks=marks,
                )

    def _outputs(self, layer: Layer) -> Iterator[Choice]:
        for simd, count in sorted({(one.folding.simd, one.engine.requantisers) for one in self.arrays}):
            for one in self.menus[layer.name]:
                marks = {_SIMD_MARK: simd} | self.stages.marks((one, count)) | self._held(one, simd)
                loss = self.losses.edges[layer.name, one]
                cost = self._written(Cost(energy_pj=self._stage_pj(layer, one, count)), layer, one, simd)
                yield Choice(output=one, requantisers=count, cost=cost, loss=loss, marks=marks)

    def _stage_pj(self, layer: Layer, output: Format, count: int) -> float:
        stage = output_stage_cost(output, requantisers=count, device=self.device, values=layer.elements)
        return stage.energy_pj

    def _moved(self, choice: Choice, layer: Layer, simd: int) -> Cost:
        """The cost of a choice of a layer that does not multiply, with what it reads and writes of the memory."""
        cost = choice.cost
        for edge, one in zip(self.network.input_edges(layer), choice.inputs, strict=False):
            cost = self._accessed(cost, -(-self.network.by_name[edge].elements // simd) * stored_bits(one, simd), simd)
        return cost if choice.output is None else self._written(cost, layer, choice.output, simd)

    def _written(self, cost: Cost, layer: Layer, output: Format, simd: int) -> Cost:
        return self._accessed(cost, -(-layer.elements // simd) * stored_bits(output, simd), simd)

    def _accessed(self, cost: Cost, bits: int, simd: int) -> Cost:
        engine = next(array.engine for array in self.arrays if array.folding.simd == simd)
        moved = moved_energy(engine, bits)
        return replace(cost, energy_pj=cost.energy_pj + moved, memory_pj=cost.memory_pj + moved)

    def _held(self, output: Format | None, simd: int) -> dict[str, int]:
        """Marks of the activation memory for a tensor in a format."""
        return {} if output is None else self.words.marks(self.simds.index(simd), stored_bits(output, simd))

    def _turn(self, layer: Layer, simd: int) -> Turn:
        """A layer that does not multiply works on as many values at once as a word holds, or fewer.

        It takes as many cycles as its slowest choice, so that cycles depend on the array alone.
        """
        if (layer.name, simd) not in self._turns:
            if layer.name not in self._made:
                self._made[layer.name] = self.tables_of(layer)
            self._turns[layer.name, simd] = turn_of(self._made[layer.name], simd)
        return self._turns[layer.name, simd]
