"""What layers without weights have in common: scaling of integers, handshakes and counters, energy of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hwmodels.composition import LOGIC, Bill
from hwmodels.energy import anchor, logic_energy
from hwmodels.folding import MultiplierStyle
from hwmodels.rtl.dsp_multipliers import DSP_MULTIPLIER
from hwmodels.units import Priced, cast_of_product, priced, requantising_multiplier

if TYPE_CHECKING:
    from hwmodels.devices import Device

HANDSHAKE_LUTS: Final = 10
"""Ready and valid of two streams and the enable of a pipeline; assumed."""


def scaling(bits: int, multiplier_bits: int, style: MultiplierStyle, device: Device) -> tuple[Priced, int]:
    """The multiplication of an integer by an unsigned multiplier, and the DSPs it takes."""
    if style is MultiplierStyle.DSP:
        # An unsigned multiplier takes one more bit in the signed multiplier of a DSP.
        unit = priced(DSP_MULTIPLIER, a=bits, b=multiplier_bits, a_signed=1, b_signed=0)
        # Its registers are those of the DSP, or of the layer, which counts them.
        inside = Priced(unit.family, unit.luts, 0.0, unit.spread, unit.outside)
        return inside, device.dsp.tiles(bits, multiplier_bits + 1)
    return requantising_multiplier(bits, multiplier_bits), 0


def rounding(bits: int) -> Priced:
    """What rounds and saturates a number of so many bits, up to what the code decides (`hwmodels.output_stage`)."""
    return cast_of_product(bits)


def add_stream(bill: Bill, cycles: int, counters: int = 1) -> None:
    """Handshakes and counters of the words of a sample, a LUT a bit: assumed, there is no RTL of them alone."""
    bits = counters * cycles.bit_length()
    bill.assume(LOGIC, HANDSHAKE_LUTS + bits, bits)


def stream_energy(bill: Bill, cycles: float, device: Device, *, in_dsps: tuple[Priced, ...] = ()) -> float:
    """Picojoules of logic that works in every cycle; multiplications in DSPs count as the LUTs they stand for."""
    process = anchor(device.energy_anchor)
    replaced = sum(unit.luts * process.logic(unit.family) for unit in in_dsps)
    return cycles * (logic_energy(bill.logic, max(bill.flip_flops, 0.0), process) + replaced)
