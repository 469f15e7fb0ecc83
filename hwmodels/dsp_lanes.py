"""Lanes whose multiplications are in DSPs: what stands beside them in LUTs, and how weights are stored for them.

On DSP48E2 lanes are units of our RTL (`hwmodels.rtl.dsp_multipliers`), alone or packed; other kinds are counted by the
device's own packing table, with a correction assumed where products borrow from each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from hwmodels.bills import NOTHING
from hwmodels.composition import LOGIC
from hwmodels.dsp_mapping import Combining, LaneMapping, lane_mapping
from hwmodels.folding import LanesPerDsp
from hwmodels.requantisers import OUR_DSP
from hwmodels.rtl.dsp_multipliers import DSP_MULTIPLIER, MOST_FIELDS, PACKED_MULTIPLIER, fields_per_dsp, packed_spacing
from hwmodels.units import Priced, priced

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from numpy.typing import NDArray

    from hwmodels.bills import Bills
    from hwmodels.composition import Bill
    from hwmodels.dsp_mapping import DspKind
    from hwmodels.lanes import Lane

    Integers = NDArray[np.int64]

COUNTED_NOTE: Final = "DSPs of this kind: their packing is counted, what stands beside them is assumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packing:
    """The DSPs of a product of so many outputs: their units, and how many there are."""

    units: tuple[tuple[Priced, float], ...]
    dsps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DspLanes:
    """Lanes in DSPs.

    Attributes:
        mapping: how many share one.
        lane: what they do.
        packed: whether they are our RTL's packed units.
        alone: the unit of a lane that has a DSP to itself; None if only the packing is counted.
        notes: what is composed or assumed.
    """

    mapping: LaneMapping
    lane: Lane
    packed: bool
    alone: Priced | None
    notes: tuple[str, ...]
    _packings: dict[int, _Packing] = field(default_factory=dict, init=False, repr=False, compare=False)

    def add_to(self, bill: Bill, pe: int, simd: int) -> int:
        """All lanes of an engine into a bill; returns their DSPs."""
        for unit in self.lane.beside_dsp:
            bill.add(unit, pe * simd)
        if self.lane.beside_dsp:
            bill.flip_flops += pe * simd * (self.lane.product_bits + self.lane.carries)
        if self.packed:
            bill.add_all(self._packing(pe).units, simd)
        elif self.alone is not None:
            bill.add(self.alone, pe * simd)
        elif self.mapping.corrections:
            bill.assume(LOGIC, pe * simd * self.mapping.corrections)
        return self.mapping.dsps(pe, simd)

    def add_each(self, bills: Bills, pe: Integers, simd: Integers) -> Integers:
        """The same of many engines, of those whose ``pe`` is not 0, into their bills."""
        lanes = pe * simd
        for unit in self.lane.beside_dsp:
            bills.add(unit, lanes)
        if self.lane.beside_dsp:
            bills.flip_flops += lanes * (self.lane.product_bits + self.lane.carries)
        if self.packed:
            packings = [self._packing(one).units if one else () for one in pe.tolist()]
            for place in range(2):  # full DSPs, and one of the rest
                there = [units[place] if place < len(units) else (NOTHING, 0.0) for units in packings]
                bills.add_each([unit for unit, _ in there], simd * np.array([count for _, count in there]))
        elif self.alone is not None:
            bills.add(self.alone, lanes)
        elif self.mapping.corrections:
            bills.assume(LOGIC, lanes * float(self.mapping.corrections))
        return -(-pe // self.mapping.outputs) * -(-simd // self.mapping.inputs)

    def borrowings(self, pe: Integers) -> Integers:
        """Outputs whose products lend a bit to a neighbour in their DSP, which is added with them."""
        if not self.packed:
            return np.zeros_like(pe)
        dsps = [self._packing(one).dsps if one else 0 for one in pe.tolist()]
        return pe - np.array(dsps, dtype=np.int64)

    def _packing(self, pe: int) -> _Packing:
        found = self._packings.get(pe)
        if found is None:
            most = self.mapping.outputs
            # Products in a full DSP, as `hwmodels.rtl.engine_shape.EngineShape.fields` has it.
            fields = min(most, pe) if most < MOST_FIELDS or pe > 2 else min(2, pe)
            groups = _groups(pe, fields)
            units = tuple((self._packed_unit(size, fields), float(count)) for size, count in groups)
            found = self._packings[pe] = _Packing(units=units, dsps=sum(count for _, count in groups))
        return found

    def _packed_unit(self, size: int, fields: int) -> Priced:
        weight, activation = self.lane.operand_bits or (0, 0)
        return priced(
            PACKED_MULTIPLIER,
            fields=size,
            spacing=packed_spacing(fields),
            weight=weight,
            activation=activation,
            activation_signed=self.lane.activation_signed,
        )


def _groups(pe: int, fields: int) -> tuple[tuple[int, int], ...]:
    """Sizes of groups of outputs that share DSPs, and how many there are of each."""
    full, rest = divmod(pe, fields)
    return (((fields, full),) if full else ()) + (((rest, 1),) if rest else ())


def dsp_lanes(
    lane: Lane, kind: DspKind, *, combining: AbstractSet[Combining], lanes_per_dsp: LanesPerDsp
) -> DspLanes | None:
    """The lanes of an engine in a kind of DSP; None leaves the multiplications in LUTs.

    Args:
        lane: what multiplies.
        kind: of the device.
        combining: what lanes have in common.
        lanes_per_dsp: whether they may share a DSP.
    """
    if lane.operand_bits is None:
        return None
    mapping = lane_mapping(kind, lane.operand_bits, combining=combining, lanes_per_dsp=lanes_per_dsp)
    if mapping is None:
        return None
    (weight, activation), ours = lane.operand_bits, kind.kind == OUR_DSP
    shared = ours and lane.is_dsp_alone and Combining.OPERAND in combining and lanes_per_dsp is LanesPerDsp.PACKED
    fields = fields_per_dsp(weight, activation, lane.activation_signed) if shared else 1
    if fields > 1:
        # Our RTL packs more pairs of widths than the device's table, which has the published ones.
        mapping = LaneMapping(outputs=fields)
    alone = None
    if mapping.outputs == mapping.inputs == 1:
        signed = int(lane.is_dsp_alone)
        alone = priced(
            DSP_MULTIPLIER, a=activation, b=weight, a_signed=lane.activation_signed and signed, b_signed=signed
        )
    counted = () if fields > 1 or (alone is not None and ours) else (COUNTED_NOTE,)
    return DspLanes(
        mapping=mapping,
        lane=lane,
        packed=fields > 1,
        alone=alone,
        notes=(*lane.notes_beside_dsp, *counted),
    )
