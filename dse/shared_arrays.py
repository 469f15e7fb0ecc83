"""One array as the tables of a shared engine see it: what each layer may do on it, and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dse.menus import arithmetic_in_words
from hwmodels.operands import stored_bits
from hwmodels.output_stage import output_stage_cost
from hwmodels.shared_datapaths import shared_datapath
from hwmodels.shared_energy import layer_energy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.decision_tables import Table
    from emulation.datapaths import Arithmetic
    from emulation.formats import Format
    from hwmodels.engine_energy import SampleEnergy
    from hwmodels.folding import Folding
    from hwmodels.shared_datapaths import SharedDatapath
    from hwmodels.shared_engine import SharedEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A datapath a layer may have: operands, arithmetic, loss, and bits of its exact accumulator if they are known."""

    activation: Format
    second: Format
    arithmetic: Arithmetic
    loss: float
    bits: int | None

    @property
    def key(self) -> tuple[Format, Format, Arithmetic]:
        """What one datapath of an array is known by."""
        return self.activation, self.second, self.arithmetic

    @property
    def role(self) -> str:
        """How a part of a design is called that is this datapath."""
        arithmetic = arithmetic_in_words(self.arithmetic)
        return f"datapath {self.second} x {self.activation}" + (f", {arithmetic}" if arithmetic else "")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayChoice:
    """One array.

    Attributes:
        folding: its size and style.
        engine: the costs of its parts.
        word_bits: width of weights off the chip, None on the chip.
        pairs: the datapaths each layer may have on it.
        datapaths: their costs.
        cycles: interval and fill of each layer.
    """

    folding: Folding
    engine: SharedEngine
    word_bits: int | None
    pairs: dict[str, list[Pair]]
    datapaths: dict[tuple[Format, Format, Arithmetic], SharedDatapath]
    cycles: dict[str, tuple[int, int]]

    def register_bits(self, pair: Pair) -> int:
        """Bits of the register a layer reads with a datapath: of the real weights where they bound an exact sum."""
        made = self.datapaths[pair.key]
        return made.register_bits if made.has_own_accumulator or pair.bits is None else pair.bits

    def energy(self, name: str, pair: Pair) -> SampleEnergy[float]:
        """What the turn of a layer takes with a datapath."""
        made, bits, lanes = self.datapaths[pair.key], self.register_bits(pair), self.folding.lanes
        reads = self.word_bits is not None and self.engine.work[name].load == 0
        return layer_energy(
            self.engine,
            name,
            cycle_pj=made.cycle_pj,
            requantise_pj=self.engine.requantise_pj(bits) + made.reading_pj,
            weight_bits=stored_bits(pair.second, lanes) / lanes,
            word_bits=stored_bits(pair.activation, self.folding.simd),
            register_bits=bits,
            offchip_bits=self.engine.work[name].offchip_bits(self.folding, self.word_bits or 0) if reads else 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The tables of a layer that does not multiply, beside words of some length, and the cycles of its turn."""

    tables: tuple[Table, ...]
    cycles: int


def make_array(
    engine: SharedEngine,
    pairs: Mapping[str, Sequence[Pair]],
    outputs: Sequence[Format],
    *,
    word_bits: int | None,
    clock_mhz: float,
) -> ArrayChoice | None:
    """An array with the datapaths it can have; None if some layer is left without any.

    Args:
        engine: the array and its layers.
        pairs: datapaths by layer, as the study offers them.
        outputs: formats that layers' outputs may have; the slowest output stage decides the pipeline's depth.
        word_bits: of weights off the chip; wider formats are left out. None for weights on the chip.
        clock_mhz: against which they arrive.
    """
    usable = {
        name: [
            pair
            for pair in offered
            if (word_bits is None or pair.second.width <= word_bits)
            and engine.can_use(name, weight=pair.second, activation=pair.activation, arithmetic=pair.arithmetic)
        ]
        for name, offered in pairs.items()
    }
    if not all(usable.values()):
        return None
    datapaths = {
        pair.key: shared_datapath(engine, weight=pair.second, activation=pair.activation, arithmetic=pair.arithmetic)
        for kept in usable.values()
        for pair in kept
    }
    levels = max(one.levels for one in datapaths.values())
    fills = [
        output_stage_cost(one, requantisers=engine.requantisers, device=engine.device).fill_cycles for one in outputs
    ]
    cycles = {
        name: (
            work.cycles(engine.array, device=engine.device, weight_bits=word_bits or 0, clock_mhz=clock_mhz),
            engine.fill_cycles(name, levels=levels, output_fill=max(fills)),
        )
        for name, work in engine.work.items()
    }
    return ArrayChoice(
        folding=engine.array, engine=engine, word_bits=word_bits, pairs=usable, datapaths=datapaths, cycles=cycles
    )


def turn_of(tables: Sequence[Table], simd: int) -> Turn:
    """The turn of a layer that does not multiply, from its tables: as many values at once as fit a word.

    Every choice takes as many cycles as the slowest one, so that cycles depend on the array alone.
    """
    kept: list[Table] = []
    cycles, counts = 0, set()
    for table in tables:
        if table.role == "output":
            choices = [choice for choice in table.choices if choice.requantisers in counts]
        else:
            offered = {choice.lanes for choice in table.choices}
            lanes = max((one for one in offered if one <= simd), default=min(offered))
            choices = [choice for choice in table.choices if choice.lanes == lanes]
            counts = {choice.requantisers for choice in choices}
        interval = max(choice.cost.interval_cycles for choice in choices)
        fill = max(choice.cost.fill_cycles for choice in choices)
        cycles += interval + fill
        same = tuple(
            replace(choice, cost=replace(choice.cost, interval_cycles=interval, fill_cycles=fill)) for choice in choices
        )
        kept.append(replace(table, choices=same))
    return Turn(tables=tuple(kept), cycles=cycles)
