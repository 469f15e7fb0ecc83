"""From LUTs by family of units to a `Cost` that knows its own error."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hwmodels.corrections import CALIBRATED, UNCORRECTED, current_correction
from hwmodels.costs import Cost
from hwmodels.leading_ones import leading_one_error
from hwmodels.lmul_units import lmul_lane_error
from hwmodels.minifloat_units import minifloat_lane_error
from hwmodels.rows import family_rows, relative_spread
from hwmodels.shift_units import shift_lane_error
from hwmodels.units import fixed_lane_luts, fixed_lane_rows, requantiser_luts, shifter_luts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hwmodels.devices import Device

FIXED_LANE: Final = "fixed-point lane"
MINIFLOAT_LANE: Final = "minifloat lane"
SHIFT_LANE: Final = "power-of-two lane"
LMUL_LANE: Final = "l-mul lane"
LEADING_ONE: Final = "block leading one"
REQUANTISER: Final = "requantiser"
SHIFTER: Final = "shifter"
MEMORY: Final = "memory"
LOGIC: Final = "stream and control logic"

ASSUMED_ERRORS: Final = {MEMORY: 0.10, LOGIC: 0.50}
"""Not measured: memories are counted by what a primitive holds (their address decoding is left out), stream and control
logic by its counters, registers and multiplexers. Both relative errors are judgements, to be replaced by synthesis."""

_MEASURED_FAMILIES: Final = ("xc7", "xcup")
"""The rows are xcup; 7-series slices have the same dual-output LUT6 and one carry bit a LUT."""


@lru_cache(maxsize=16)
def family_error(family: str) -> float:
    """One standard deviation of the relative error of a family of units: against its rows, or assumed.

    Raises:
        ValueError: if the family is unknown.
    """
    if family in ASSUMED_ERRORS:
        return ASSUMED_ERRORS[family]
    if family == MINIFLOAT_LANE:
        return minifloat_lane_error()
    if family == SHIFT_LANE:
        return shift_lane_error()
    if family == LMUL_LANE:
        return lmul_lane_error()
    if family == LEADING_ONE:
        return leading_one_error()
    if family == FIXED_LANE:
        return _spread((fixed_lane_luts(row), row.luts) for row in fixed_lane_rows())
    if family == REQUANTISER:
        return _spread(
            (requantiser_luts(row["accumulator"], row["multiplier"], row["output"]), row.luts)
            for row in family_rows("requantiser")
        )
    if family == SHIFTER:
        return _spread((shifter_luts(row["width"], row["amount_bits"]), row.luts) for row in family_rows("shifter"))
    known = (FIXED_LANE, MINIFLOAT_LANE, SHIFT_LANE, LMUL_LANE, LEADING_ONE, REQUANTISER, SHIFTER, MEMORY, LOGIC)
    raise ValueError(f"no error is known for units of family {family!r}: families are {', '.join(known)}")


def compose(
    luts: Mapping[str, float],
    *,
    flip_flops: int = 0,
    dsps: int = 0,
    bram18s: int = 0,
    urams: int = 0,
    interval_cycles: int = 0,
    fill_cycles: int = 0,
    offchip_bits: int = 0,
    energy_pj: float = 0.0,
    relative_delay: float = 0.0,
    notes: tuple[str, ...] = (),
) -> Cost:
    """A cost from LUTs by family; families err independently, the units of one family alike.

    Within `hwmodels.corrections.correcting`, LUTs by family and flip-flops are multiplied by the correction's factors,
    so what this returns must not outlive such a block in a cache.

    Args:
        luts: real numbers of LUTs by family; their sum is rounded up.
        flip_flops: of the whole.
        dsps: of the whole.
        bram18s: of the whole.
        urams: of the whole.
        interval_cycles: cycles between two samples.
        fill_cycles: cycles from first input to first output.
        offchip_bits: read from memory off the chip per sample.
        energy_pj: per sample (`hwmodels.energy`).
        relative_delay: of the slowest stage (`hwmodels.timing`).
        notes: what was extrapolated.
    """
    correction = current_correction()
    whole = spread = 0.0
    for family, estimate in luts.items():
        count, error = estimate, family_error(family)
        if correction is not UNCORRECTED and (factor := correction.factor(family, "luts")) is not None:
            count, error = estimate * factor.value, factor.error
        whole += count
        spread += (count * error) ** 2
    registers = correction.everything.get("flip_flops")
    return Cost(
        luts=math.ceil(whole - 1e-9),
        flip_flops=flip_flops if registers is None else math.ceil(flip_flops * registers.value - 1e-9),
        dsps=dsps,
        bram18s=bram18s,
        urams=urams,
        interval_cycles=interval_cycles,
        fill_cycles=fill_cycles,
        offchip_bits=offchip_bits,
        energy_pj=energy_pj,
        relative_delay=relative_delay,
        error_band=math.sqrt(spread) / whole if whole > 0 else 0.0,
        out_of_range=notes + correction.notes,
        sources=tuple(luts) if correction is UNCORRECTED else (*luts, CALIBRATED),
    )


def device_notes(device: Device) -> tuple[str, ...]:
    """A note for devices whose LUTs differ from those the units were measured on."""
    if device.lut_inputs == 6 and device.family in _MEASURED_FAMILIES:
        return ()
    difference = f"family {device.family} with {device.lut_inputs}-input LUTs"
    return (f"device {device.name}: {difference}; the units were measured on six-input LUTs of xcup",)


def _spread(pairs: Iterable[tuple[float, float]]) -> float:
    estimates, measured = zip(*pairs, strict=True)
    return relative_spread(estimates, measured)
