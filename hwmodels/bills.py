"""Bills of many designs at once: what `hwmodels.composition.Bill` and `compose` do for one, column by column.

A column has an entry for each design. Pricing the foldings of an engine takes a few operations on columns in place of
many on numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hwmodels.composition import MEMORY, REGISTER_GATES, assumed, outside_notes
from hwmodels.corrections import CALIBRATED, UNCORRECTED, current_correction
from hwmodels.costs import Cost
from hwmodels.units import Priced, gates_a_lut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from hwmodels.memory_units import MemoryUnit

    Column = NDArray[np.float64]
    Counts = NDArray[Any]
    Integers = NDArray[np.int64]

NOTHING: Final = Priced("", 0.0)
"""Stands for no unit in a column of units."""


class Bills:
    """Units that are added up, design by design.

    Attributes:
        designs: how many.
        flip_flops: of all units, and registers beside them.
    """

    def __init__(self, designs: int) -> None:
        self.designs = designs
        self.flip_flops = np.zeros(designs)
        self._luts: dict[str, Column] = {}
        self._spreads: dict[str, Column] = {}
        self._present: list[tuple[str, NDArray[np.bool_]]] = []
        self._everywhere = np.ones(designs, dtype=np.bool_)
        self._outside: list[list[tuple[str, tuple[str, ...]]]] = [[] for _ in range(designs)]

    def add(self, unit: Priced, counts: Counts) -> None:
        """So many of one unit in each design."""
        self._add(unit.family, unit.luts * counts, unit.spread * counts, counts > 0)
        self.flip_flops += unit.flip_flops * counts
        if unit.outside:
            for noted, count in zip(self._outside, counts.tolist(), strict=True):
                if count:
                    noted.append((unit.family, unit.outside))

    def add_all(self, units: Iterable[tuple[Priced, float]], times: Counts) -> None:
        """Units and how many there are of each, all of it so many times in each design."""
        for unit, each in units:
            self.add(unit, each * times)

    def assume(self, family: str, luts: Counts) -> None:
        """LUTs of one of `hwmodels.composition.ASSUMED_ERRORS`."""
        self.add(assumed(family, 1.0), luts)

    def add_each(self, units: Sequence[Priced], counts: Counts | None = None) -> None:
        """A unit of its own in each design, or `NOTHING`, so many times (None: once)."""
        families, luts, flip_flops, spreads, outside = zip(*units, strict=True)
        numbers = np.array((luts, flip_flops, spreads))
        if counts is not None:
            numbers *= counts
        self.flip_flops += numbers[1]
        met = dict.fromkeys(families)
        for family in met:
            if not family:
                continue
            if len(met) == 1:
                self._add(family, numbers[0], numbers[2], self._everywhere if counts is None else counts > 0)
                continue
            here = np.array([one == family for one in families])
            if counts is not None:
                here &= counts > 0
            self._add(family, numbers[0] * here, numbers[2] * here, here)
        if any(outside):
            present = self._everywhere if counts is None else counts
            for noted, family, names, count in zip(self._outside, families, outside, present.tolist(), strict=True):
                if names and count:
                    noted.append((family, names))

    def add_memories(self, memories: Sequence[MemoryUnit]) -> tuple[Integers, Integers]:
        """A memory of its own in each design; returns halves of block RAM and UltraRAMs."""
        units, luts, flip_flops, bram18s, urams = zip(*memories, strict=True)
        self.add_each([unit or NOTHING for unit in units])
        if any(luts):
            self.add_each([assumed(MEMORY, count) if count else NOTHING for count in luts])
        if any(flip_flops):
            self.flip_flops += np.array(flip_flops)
        return np.array(bram18s), np.array(urams)

    def _add(self, family: str, luts: Column, spreads: Column, present: NDArray[np.bool_]) -> None:
        if family in self._luts:
            self._luts[family] += luts
            self._spreads[family] += spreads
        else:
            self._luts[family], self._spreads[family] = luts, spreads
        self._present.append((family, present))

    def costs(
        self,
        *,
        notes: Sequence[tuple[str, ...]],
        dsps: Integers,
        bram18s: Integers,
        urams: Integers,
        interval_cycles: Integers,
        fill_cycles: Integers,
        offchip_bits: Integers,
        energy_pj: Column,
        memory_pj: Column,
        offchip_pj: Column,
        relative_delay: Sequence[float],
    ) -> list[Cost]:
        """The cost of each design; see `hwmodels.composition.compose`."""
        correction = current_correction()
        whole, variance, gates = np.zeros(self.designs), np.zeros(self.designs), self.flip_flops * REGISTER_GATES
        for family, luts in self._luts.items():
            gates += luts * gates_a_lut(family)
            factor = None if correction is UNCORRECTED else correction.factor(family, "luts")
            whole += luts if factor is None else luts * factor.value
            error = self._spreads[family] if factor is None else luts * (factor.value * factor.error)
            variance += error * error
        registers = correction.everything.get("flip_flops")
        flip_flops = self.flip_flops if registers is None else self.flip_flops * registers.value
        bands = np.divide(np.sqrt(variance), whole, out=np.zeros(self.designs), where=whole > 0)
        return [
            Cost(
                luts=rounded_luts,
                flip_flops=rounded_flip_flops,
                dsps=in_dsps,
                bram18s=in_blocks,
                urams=in_ultra,
                gates=rounded_gates,
                interval_cycles=interval,
                fill_cycles=fill,
                offchip_bits=offchip,
                energy_pj=every_pj,
                memory_pj=held_pj,
                offchip_pj=read_pj,
                relative_delay=delay,
                error_band=band,
                out_of_range=own + outside_notes(tuple(outside)) + correction.notes,
                sources=sources,
            )
            for (
                rounded_luts,
                rounded_flip_flops,
                in_dsps,
                in_blocks,
                in_ultra,
                rounded_gates,
                interval,
                fill,
                offchip,
                every_pj,
                held_pj,
                read_pj,
                delay,
                band,
                own,
                sources,
                outside,
            ) in zip(
                _counts(whole),
                _counts(flip_flops),
                dsps.tolist(),
                bram18s.tolist(),
                urams.tolist(),
                _counts(gates),
                interval_cycles.tolist(),
                fill_cycles.tolist(),
                offchip_bits.tolist(),
                energy_pj.tolist(),
                memory_pj.tolist(),
                offchip_pj.tolist(),
                relative_delay,
                bands.tolist(),
                notes,
                self._sources(() if correction is UNCORRECTED else (CALIBRATED,)),
                self._outside,
                strict=True,
            )
        ]

    def _sources(self, more: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The families of each design, in the order in which they were added."""
        met = [family for family, _ in self._present]
        present = np.array([here for _, here in self._present], dtype=np.bool_).reshape(-1, self.designs)
        patterns = [design.tobytes() for design in present.T]
        families = {
            pattern: (*dict.fromkeys(family for family, here in zip(met, pattern, strict=True) if here), *more)
            for pattern in set(patterns)
        }
        return [families[pattern] for pattern in patterns]


def _counts(amounts: Column) -> list[int]:
    """Whole numbers, rounded up, 0 or above."""
    found: list[int] = np.maximum(np.ceil(amounts - 1e-9), 0.0).astype(np.int64).tolist()
    return found
