"""Requantisers of an engine: what takes an accumulator to a rounded value, whatever code it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hwmodels.rtl.dsp_multipliers import DSP_MULTIPLIER, dsp_multiplier_structure
from hwmodels.rtl.dsp_multipliers import REGISTERS as DSP_STAGES
from hwmodels.rtl.requantisers import PRELU, REQUANTISER
from hwmodels.units import (
    MOST_FACTOR_BITS,
    REFERENCE_CODE,
    Priced,
    adder,
    cast_of_product,
    priced,
    requantising_multiplier,
    shifter,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwmodels.bills import Bills
    from hwmodels.dsp_mapping import DspKind
    from hwmodels.sums import Sums

    Integers = NDArray[np.int64]

OUR_DSP = "DSP48E2"
"""The kind our RTL packs, and counts the DSPs of wide multiplications for."""


class RequantiseScale(Enum):
    """Which multiplier takes an accumulator to the output."""

    NONE = "none"
    """None: the accumulators leave as they are."""
    TENSOR = "tensor"
    """One for all channels."""
    CHANNEL = "channel"
    """One per output channel, from a table."""
    CHANNEL_AND_SIGN = "channel-and-sign"
    """Two per output channel, from a table; the accumulator's sign selects (a fused PReLU)."""

    @property
    def per_channel(self) -> int:
        """Multipliers kept in a table for each output channel."""
        return {"channel": 1, "channel-and-sign": 2}.get(self.value, 0)


@dataclass(frozen=True, kw_only=True)
class Requantiser:
    """One requantiser, up to its cast into codes (`hwmodels.output_stage`).

    Attributes:
        sums: what it reads.
        scale: which multiplier it takes.
        multiplier_bits: of an unsigned multiplier.
        dsp: of the device.
    """

    sums: Sums
    scale: RequantiseScale
    multiplier_bits: int
    dsp: DspKind

    @property
    def product_bits(self) -> int:
        """Of what is cast."""
        return self.sums.register.read_bits + self.multiplier_bits

    @property
    def multiplied(self) -> tuple[int, int] | None:
        """Operands of its multiplication; None if there is none."""
        if self.scale is RequantiseScale.NONE:
            return None
        return self.sums.register.read_bits, self.multiplier_bits

    def stages(self, *, in_dsps: bool) -> int:
        """Registers of it, those of the code included."""
        if self.scale is RequantiseScale.NONE:
            return 0
        return DSP_STAGES + 1 if in_dsps else 2

    def tables(self, outputs: int, at_once: Integers) -> Integers:
        """Words of multipliers that engines read one after the other."""
        return outputs // at_once if self.scale.per_channel else np.ones_like(at_once)

    def units(self, *, in_dsps: bool) -> list[tuple[Priced, float]]:
        """Units of one requantiser."""
        return self._in_dsps if in_dsps else self._in_luts

    def add_to(self, bills: Bills, counts: Integers, *, in_dsps: bool) -> Integers:
        """So many requantisers into each bill; returns their DSPs."""
        bills.add_all(self.units(in_dsps=in_dsps), counts)
        if in_dsps:
            return counts * self._dsps
        if self.scale is not RequantiseScale.NONE:
            bills.flip_flops += counts * self.product_bits
        return np.zeros_like(counts)

    @cached_property
    def _dsps(self) -> int:
        bits, factor = self.sums.register.read_bits, self.multiplier_bits
        planes = self.sums.lane.planes
        alphas = 0 if planes is None else planes.planes * self.dsp.tiles(self.sums.plane_bits, planes.alpha_bits)
        if self.scale is RequantiseScale.NONE:
            return alphas
        # An unsigned multiplier takes one more bit in the signed multiplier of a DSP.
        if self.dsp.kind == OUR_DSP and max(bits, factor + 1) <= 53 and min(bits, factor + 1) <= 18:
            return alphas + int(dsp_multiplier_structure(a=bits, b=factor, b_signed=0)["dsps"])
        return alphas + self.dsp.tiles(bits, factor + 1)

    @cached_property
    def _in_dsps(self) -> list[tuple[Priced, float]]:
        joined = self._joined_in_dsps
        if self.scale is RequantiseScale.NONE:
            return joined
        bits, factor = self.sums.register.read_bits, self.multiplier_bits
        found = [
            *joined,
            (priced(DSP_MULTIPLIER, a=bits, b=factor, a_signed=1, b_signed=0), 1.0),
            (cast_of_product(self.product_bits), 1.0),
        ]
        if self.scale is RequantiseScale.CHANNEL_AND_SIGN:
            found.append((self._choice_by_sign, 1.0))
        return found + self._shift

    @property
    def _joined_in_dsps(self) -> list[tuple[Priced, float]]:
        """The sum over binary planes, whose multiplications by alpha are in DSPs."""
        planes = self.sums.lane.planes
        if planes is None:
            return []
        return [(adder(self.sums.plane_bits + planes.alpha_bits), float(planes.planes - 1))]

    @cached_property
    def _in_luts(self) -> list[tuple[Priced, float]]:
        joined = self.sums.joined_planes()
        found = [] if joined is None else [(joined, 1.0)]
        if self.scale is RequantiseScale.NONE:
            return found
        found += [
            (requantising_multiplier(self.sums.register.read_bits, self.multiplier_bits), 1.0),
            (cast_of_product(self.product_bits), 1.0),
        ]
        if self.scale is RequantiseScale.CHANNEL_AND_SIGN:
            found.append((self._choice_by_sign, 1.0))
        return found + self._shift

    @property
    def _shift(self) -> list[tuple[Priced, float]]:
        digits = self.sums.register.read_shift_bits
        return [(shifter(self.product_bits, digits), 1.0)] if digits else []

    @property
    def _choice_by_sign(self) -> Priced:
        return choice_by_sign(self.multiplier_bits)


def choice_by_sign(multiplier_bits: int) -> Priced:
    """Of two multipliers, the one that the accumulator's sign selects: what a PReLU takes beyond a requantiser.

    The difference of two measured units, of a 16-bit accumulator, that differ in nothing else.
    """
    bits = min(multiplier_bits, MOST_FACTOR_BITS)
    rule = {"output": REFERENCE_CODE, "shift": 12, "shift_bits": 0, "output_signed": 1, "rounding": 0, "zero_point": 0}
    chosen = priced(PRELU, accumulator=16, multiplier=bits, **rule)
    plain = priced(REQUANTISER, accumulator=16, multiplier=bits, accumulator_signed=1, **rule)
    found = chosen.less(plain)
    return Priced(PRELU, max(found.luts, 0.0), 0.0, found.spread, found.outside)
