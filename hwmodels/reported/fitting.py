"""Fits corrections on imported rows: one factor by family and resource, with the error it has on rows left out.

A factor is the geometric mean of reported over estimated: over- and underestimates by the same ratio weigh alike. What
has fewer than `FEWEST_ROWS` rows takes the factor of all rows together. Estimates of HLS count only for families of
which no netlist was reported. LUTs and flip-flops are corrected everywhere;
DSPs, block RAM and UltraRAM, which are counted and not estimated, only of whole layers a user has reported.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.corrections import CostCorrection, Factor
from hwmodels.device_parts import RESOURCES
from hwmodels.devices import DeviceError, load_device
from hwmodels.reported.rows import ROWS_FILE, read_imported
from hwmodels.reported.subjects import estimate
from hwmodels.reported.usage import ReportError, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hwmodels.devices import Device
    from hwmodels.reported.rows import ImportedRow

FEWEST_ROWS: Final = 3
"""A factor of one or two rows would be those rows, and have no error to state."""
EVERYWHERE: Final = ("luts", "flip_flops")
ALL_FAMILIES: Final = "everything else"

_PARTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "mac": ("multiplier", "accumulator"),
        "dot product": ("multiplier", "adder tree", "accumulator"),
        "requantiser": ("multiplier", "cast"),
        "prelu": ("multiplier", "cast"),
        "residual add": ("multiplier", "cast"),
        "minifloat dot product": ("minifloat lane",),
        "l-mul dot product": ("l-mul lane",),
        "power-of-two dot product": ("power-of-two lane",),
        "minifloat requantiser": ("multiplier", "minifloat cast"),
    }
)
"""Of families that engines are not priced by, the families of their parts: a report of a whole tells of these, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One factor and what it was fitted on.

    Attributes:
        family: see `hwmodels.corrections.CostCorrection`, or `ALL_FAMILIES`.
        resource: of `hwmodels.device_parts.RESOURCES`.
        factor: fitted.
        error_before: root mean square of the relative errors of the uncorrected estimates.
        unexplained: rows that use the resource where the estimate has none, or the reverse; no factor mends those.
    """

    family: str
    resource: str
    factor: Factor
    error_before: float
    unexplained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All that was fitted on a folder of imported rows."""

    rows: tuple[ImportedRow, ...]
    estimates: tuple[Mapping[str, float], ...]
    fits: tuple[Fit, ...]

    def correction(self, device: Device) -> CostCorrection:
        """What corrects costs on a device.

        Raises:
            ReportError: if there are too few rows for any factor.
        """
        if not self.fits:
            raise ReportError(
                f"{len(self.rows)} imported rows, and a correction needs {FEWEST_ROWS} with LUTs: import more, "
                "or clear rows in [costs]"
            )
        families: dict[str, dict[str, Factor]] = defaultdict(dict)
        for fit in self.fits:
            families[fit.family][fit.resource] = fit.factor
        everything = families.pop(ALL_FAMILIES, {})
        return CostCorrection(
            families={family: MappingProxyType(own) for family, own in families.items()},
            everything=everything,
            notes=self._notes(device),
        )

    def _notes(self, device: Device) -> tuple[str, ...]:
        found = []
        others = sorted({row.device for row in self.rows if load_device(row.device).family != device.family})
        if others:
            found.append(f"costs are calibrated on reports of {', '.join(others)}, and the device is {device.name}")
        if any(row.stage is Stage.ESTIMATED for row in self.rows):
            found.append("costs are calibrated on estimates of HLS, which logic synthesis changes")
        return tuple(found)


def calibrate(folder: Path) -> Calibration:
    """Fit the rows of a folder, against what our models say now.

    Raises:
        ReportError: if nothing was imported into it, or a row cannot be priced.
    """
    rows = read_imported(folder)
    if not rows:
        raise ReportError(
            f"{folder / ROWS_FILE} holds no rows: `bitfront characterise --import REPORT --instances FILE --rows "
            f"{folder}` makes it from a report of your tools"
        )
    devices = {}
    for name in {row.device for row in rows}:
        try:
            devices[name] = load_device(name)
        except DeviceError as error:
            raise ReportError(f"{folder / ROWS_FILE}: {error}") from error
    estimates = tuple(
        estimate(row.subject, devices[row.device], where=f"{folder / ROWS_FILE}, instance {row.instance}")
        for row in rows
    )
    return Calibration(rows=tuple(rows), estimates=estimates, fits=tuple(_fits(rows, estimates)))


def _fits(rows: Sequence[ImportedRow], estimates: Sequence[Mapping[str, float]]) -> Iterable[Fit]:
    groups: dict[str, list[int]] = defaultdict(list)
    synthesised = {row.subject.family for row in rows if row.stage is Stage.SYNTHESISED}
    used = [
        index
        for index, row in enumerate(rows)
        if row.stage is Stage.SYNTHESISED or row.subject.family not in synthesised
    ]
    for index in used:
        row = rows[index]
        for family in (row.subject.family, *_PARTS.get(row.subject.family, ())):
            groups[family].append(index)
    for family, own in groups.items():
        whole = rows[own[0]].subject.is_layer
        for resource in RESOURCES if whole else EVERYWHERE:
            yield from _fit(family, resource, own, rows, estimates)
    for resource in EVERYWHERE:
        yield from _fit(ALL_FAMILIES, resource, used, rows, estimates)


def _fit(
    family: str,
    resource: str,
    own: Iterable[int],
    rows: Sequence[ImportedRow],
    estimates: Sequence[Mapping[str, float]],
) -> Iterable[Fit]:
    pairs = [(float(getattr(rows[index].usage, resource)), estimates[index][resource]) for index in own]
    ratios = [math.log(reported / estimated) for reported, estimated in pairs if reported > 0 and estimated > 0]
    if len(ratios) < FEWEST_ROWS:
        return
    yield Fit(
        family=family,
        resource=resource,
        factor=Factor(value=math.exp(_mean(ratios)), error=_left_out_error(ratios), rows=len(ratios)),
        error_before=_root_mean_square(math.exp(-ratio) - 1.0 for ratio in ratios),
        unexplained=sum((reported > 0) != (estimated > 0) for reported, estimated in pairs),
    )


def _left_out_error(ratios: Sequence[float]) -> float:
    """Relative errors of each row, corrected by the mean of the others."""
    whole, count = sum(ratios), len(ratios)
    return _root_mean_square(math.exp((whole - one) / (count - 1) - one) - 1.0 for one in ratios)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _root_mean_square(values: Iterable[float]) -> float:
    return math.sqrt(_mean([value * value for value in values]))
