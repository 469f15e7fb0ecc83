"""What one lane of a function is made of, unit by unit: multipliers in LUTs or DSPs, adders, casts, registers.

Every unit is a family of `hwmodels.rtl.families` with its fitted model; what lies outside the measured range is noted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hwmodels.composition import Bill
from hwmodels.energy import anchor, logic_energy
from hwmodels.engine_energy import units_energy
from hwmodels.folding import MultiplierStyle
from hwmodels.units import Priced, adder, multiplier, priced

if TYPE_CHECKING:
    from hwmodels.devices import Device


@dataclass(slots=True, kw_only=True)
class LaneParts:
    """Units of one lane, added one after another, each with a register behind it.

    Attributes:
        device: whose DSPs may multiply.
        style: what multiplies.
        bill: of its units, and the flip-flops behind them.
        replaced: multiplications in LUTs that those in DSPs stand for.
        dsps: of the lane.
        stages: registers one behind another.
    """

    device: Device
    style: MultiplierStyle
    bill: Bill = field(default_factory=Bill)
    replaced: list[Priced] = field(default_factory=list)
    dsps: int = 0
    stages: int = 0

    def multiply(self, first: int, second: int, *, signed: tuple[bool, bool]) -> int:
        """A multiplier; returns the bits of its product."""
        unit = multiplier(first, second, a_signed=int(signed[0]), b_signed=int(signed[1]))
        if self.style is MultiplierStyle.DSP:
            # An unsigned operand takes one more bit in the signed multiplier of a DSP.
            widths = [bits + (not is_signed) for bits, is_signed in zip((first, second), signed, strict=True)]
            self.dsps += self.device.dsp.tiles(*widths)
            self.replaced.append(unit)
        else:
            self.bill.add(unit)
        return self._registered(first + second)

    def add(self, width: int) -> int:
        """An adder, subtractor or comparator of two numbers of up to so many bits; returns the bits of the sum."""
        self.bill.add(adder(width))
        return self._registered(width + 1)

    def clear(self, width: int) -> int:
        """Zero in the place of a negative number."""
        self.bill.add(priced("relu", width=width))
        return self._registered(width)

    def magnitude(self, width: int) -> int:
        """A number without its sign."""
        self.bill.add(priced("magnitude", bits=width))
        return self._registered(width)

    def cast(self, bits: int, output: int, *, shift: int) -> int:
        """A signed number shifted right by a constant, rounded half to even and saturated; returns ``output``."""
        if shift < 1 and bits <= output:
            return output
        self.bill.add(
            priced(
                "cast",
                input=bits,
                output=output,
                shift=max(shift, 1),
                shift_bits=0,
                input_signed=1,
                output_signed=1,
                rounding=0,
                zero_point=0,
            ),
        )
        return self._registered(output)

    def energy_pj(self) -> float:
        """Picojoules the lane takes each time it works."""
        process = anchor(self.device.energy_anchor)
        return logic_energy(self.bill.luts, self.bill.flip_flops, process) + units_energy(
            [(unit, 1.0) for unit in self.replaced], process
        )

    def _registered(self, bits: int) -> int:
        self.bill.flip_flops += bits
        self.stages += 1
        return bits
