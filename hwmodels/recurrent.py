"""Recurrent layers: an LSTM as two matrix-vector engines and cells behind them (`emulation.function_rules.LstmRule`).

* One engine multiplies the inputs of a step, the other the state h of the step before, both with pe x simd lanes and
  sums of four gates of each hidden unit, rows of one unit behind each other. Their accumulators leave as they are.
* A *gate lane* has two dyadic multipliers (one per operand scale), two sums, a cast and the tables of its functions.
* A *cell lane* has the two products of the cell state and their sum, casts into cell, index and h, the table of tanh,
  the product of h, and the output's multiplier and rounding. It holds three gates until the fourth comes.
* The states c and h of all units lie in memories, h in two halves: one is read by the engine while the other is
  written.

A step needs the whole h of the step before, so engines' pipelines are filled and drained in every step:
``interval = steps * max(cycles of the inputs, cycles of h + fill)``. Inputs of the next step are multiplied meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hwmodels.composition import LOGIC, Bill, compose, device_notes
from hwmodels.energy import anchor, logic_energy, memory_energy
from hwmodels.engine_shapes import EngineShape, requantisers
from hwmodels.engines import engine_cost
from hwmodels.folding import MemoryStyle, MultiplierStyle
from hwmodels.lane_parts import LaneParts
from hwmodels.memory import memory_budget
from hwmodels.memory_units import MemoryUnit, stored, written
from hwmodels.requantisers import RequantiseScale

if TYPE_CHECKING:
    from emulation.formats import Format
    from emulation.function_operations import RecurrentFormats
    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from hwmodels.folding import Folding

GATES: Final = 4
"""Input, forget, cell and output gate of each hidden unit."""
_GATE_STAGES: Final = 5
"""Registers of a gate lane: products, their sum, with the bias, cast, and behind a table."""
_CELL_STAGES: Final = 7
"""Registers of a cell lane: products, their sum, cell, index, behind the table, product, h."""
_STREAM_LUTS: Final = 20.0
"""Handshake of the streams and the hand-over of h; assumed."""
_SUM_GUARD_BITS: Final = 2
"""Bits by which gate sums exceed their format before they saturate: the shift of their cast is a runtime constant, and
this says how much is cut off when a cost is made. Assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LstmShape:
    """What an LSTM computes per sample.

    Attributes:
        steps: of the sequence.
        features: of the input of a step.
        hidden: units, each with a cell and a state h.
        formats: of what is inside.
    """

    steps: int
    features: int
    hidden: int
    formats: RecurrentFormats

    def __post_init__(self) -> None:
        for name in ("steps", "features", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of an LSTM must be at least 1, got {getattr(self, name)}")

    @property
    def of_inputs(self) -> EngineShape:
        """The engine that multiplies the inputs of a step; it works a step at a time."""
        return self._engine(self.features)

    @property
    def of_states(self) -> EngineShape:
        """The engine that multiplies the states h."""
        return self._engine(self.hidden)

    def _engine(self, depth: int) -> EngineShape:
        return EngineShape(
            outputs=GATES * self.hidden, depth=depth, positions=self.steps, in_channels=depth, has_bias=False
        )


def cells_at_once(folding: Folding, shape: LstmShape) -> int:
    """Cell lanes of a folding: a unit is complete when its four gates are."""
    return -(-_gates_at_once(folding, shape) // GATES)


def lstm_cost(
    shape: LstmShape,
    *,
    weight_format: Format,
    activation_format: Format,
    folding: Folding,
    device: Device,
    multiplier_bits: int = 16,
    accumulators: tuple[int, int] | None = None,
) -> Cost:
    """An LSTM under one folding, up to the rounded but not yet saturated output.

    Args:
        shape: what is computed.
        weight_format: of all weights.
        activation_format: of the inputs.
        folding: pe divides four times the hidden units; simd divides features and hidden units.
        device: whose resources are counted.
        multiplier_bits: of the dyadic multipliers (unsigned).
        accumulators: bits of the sums of inputs and of states; None for the worst case.

    Raises:
        ValueError: if the folding does not divide the shape, or a format has no cost model.
    """
    formats, hidden, process = shape.formats, shape.hidden, anchor(device.energy_anchor)
    bits = accumulators or tuple(
        weight_format.width + operand + (depth - 1).bit_length()
        for operand, depth in ((activation_format.width, shape.features), (formats.hidden.width, hidden))
    )
    engines = [
        engine_cost(
            one,
            weight_format=weight_format,
            activation_format=operand,
            folding=folding,
            device=device,
            multiplier_bits=multiplier_bits,
            scale=RequantiseScale.NONE,
            accumulator=width,
        )
        for one, operand, width in zip(
            (shape.of_inputs, shape.of_states), (activation_format, formats.hidden), bits, strict=True
        )
    ]
    gates, cells = _gates_at_once(folding, shape), cells_at_once(folding, shape)
    gate = _gate_lane(shape, device, folding.multipliers, bits=(bits[0], bits[1]), multiplier_bits=multiplier_bits)
    cell = _cell_lane(shape, device, folding.multipliers, multiplier_bits)
    memories = _Memories(
        shape=shape,
        device=device,
        gates=gates,
        cells=cells,
        multiplier_bits=multiplier_bits,
        sum_bits=max(bits) + multiplier_bits,
    )
    waiting = cells * (GATES - 1) * formats.gate.width
    counters = (GATES * hidden).bit_length() + shape.steps.bit_length()
    bill = Bill()
    bill.assume(LOGIC, _STREAM_LUTS + counters, waiting + counters)
    for lane, count in ((gate, gates), (cell, cells)):
        bill.extend(lane.bill, count)
    values = shape.steps * hidden
    moved = memory_energy(memories.accesses(), process)
    behind = GATES * values * gate.energy_pj() + values * cell.energy_pj()
    behind += values * GATES * logic_energy({LOGIC: _STREAM_LUTS + counters}, counters, process) / gates
    held = memories.held
    for count, memory in held:
        memory.add_to(bill, count)
    rest = compose(
        bill,
        dsps=gates * gate.dsps + cells * cell.dsps,
        bram18s=sum(count * memory.bram18s for count, memory in held),
        urams=sum(count * memory.urams for count, memory in held),
        energy_pj=behind + moved,
        memory_pj=moved,
        notes=(
            *device_notes(device),
            "lstm: composed of measured engines and units; none was synthesised whole",
        ),
    )
    inputs, states = engines
    step = inputs.interval_cycles // shape.steps
    recurrence = states.interval_cycles // shape.steps + states.fill_cycles + _GATE_STAGES + _CELL_STAGES
    return replace(
        inputs + states + rest,
        interval_cycles=shape.steps * max(step, recurrence),
        fill_cycles=inputs.fill_cycles + recurrence,
    )


def _gates_at_once(folding: Folding, shape: LstmShape) -> int:
    """Gate lanes: as many as either engine gives outputs at once."""
    return max(requantisers(folding, one) for one in (shape.of_inputs, shape.of_states))


def _gate_lane(
    shape: LstmShape, device: Device, style: MultiplierStyle, *, bits: tuple[int, int], multiplier_bits: int
) -> LaneParts:
    lane = LaneParts(device=device, style=style)
    products = [lane.multiply(width, multiplier_bits, signed=(True, False)) for width in bits]
    total = lane.add(lane.add(max(products)))
    width = shape.formats.gate.width
    lane.cast(total, width, shift=total - width - _SUM_GUARD_BITS)
    return lane


def _cell_lane(shape: LstmShape, device: Device, style: MultiplierStyle, multiplier_bits: int) -> LaneParts:
    formats = shape.formats
    sigmoid, tanh, cell, hidden = formats.sigmoid, formats.tanh, formats.cell, formats.hidden
    lane = LaneParts(device=device, style=style)
    kept = lane.multiply(sigmoid.width, cell.width, signed=(False, True))
    entering = lane.multiply(sigmoid.width, tanh.width, signed=(False, True))
    fraction = sigmoid.fraction_bits + max(cell.fraction_bits, tanh.fraction_bits)
    total = lane.add(max(kept - cell.fraction_bits, entering - tanh.fraction_bits) + fraction - sigmoid.fraction_bits)
    lane.cast(total, cell.width, shift=fraction - cell.fraction_bits)
    index = formats.cell_index
    lane.cast(cell.width, index.width, shift=cell.fraction_bits - index.fraction_bits)
    product = lane.multiply(sigmoid.width, tanh.width, signed=(False, True))
    lane.cast(product, hidden.width, shift=sigmoid.fraction_bits + tanh.fraction_bits - hidden.fraction_bits)
    lane.add(lane.multiply(hidden.width, multiplier_bits, signed=(True, False)) - multiplier_bits)
    return lane


@dataclass(frozen=True, slots=True, kw_only=True)
class _Memories:
    """Tables of functions, multipliers and biases of the gates, and the states of all units."""

    shape: LstmShape
    device: Device
    gates: int
    cells: int
    multiplier_bits: int
    sum_bits: int

    @property
    def held(self) -> list[tuple[int, MemoryUnit]]:
        """All of them, and how many there are of each."""
        formats, hidden, budget = self.shape.formats, self.shape.hidden, memory_budget(self.device)
        # A gate lane that serves all four gates has both tables; four lanes of a unit have one each.
        functions = 2 * self.gates if self.gates < GATES else self.gates
        rows, units = -(-GATES * hidden // self.gates), -(-hidden // self.cells)
        auto = MemoryStyle.AUTO
        return [
            (functions, stored(1 << formats.gate.width, formats.tanh.width, auto, budget)),
            (self.cells, stored(1 << formats.cell_index.width, formats.tanh.width, auto, budget)),
            # Two multipliers and a bias a row.
            (1, stored(rows, self.gates * (2 * self.multiplier_bits + self.sum_bits), auto, budget)),
            (1, written(units, self.cells * formats.cell.width, auto, budget)),
            (1, written(2 * units, self.cells * formats.hidden.width, auto, budget)),
        ]

    def accesses(self) -> list[tuple[int, float]]:
        """Words of each memory, and bits read from it or written to it per sample."""
        formats, hidden = self.shape.formats, self.shape.hidden
        values = self.shape.steps * hidden
        return [
            (1 << formats.gate.width, GATES * values * formats.sigmoid.width),
            (1 << formats.cell_index.width, values * formats.tanh.width),
            (GATES * hidden, GATES * values * (2 * self.multiplier_bits + self.sum_bits)),
            (hidden, 2 * values * formats.cell.width),
            (2 * hidden, 2 * values * formats.hidden.width),
        ]
