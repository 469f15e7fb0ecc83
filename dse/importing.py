"""`bitfront characterise --import`: rows from a user's own reports, and what they make of our costs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dse.errors import StudyError
from hwmodels.devices import DeviceError, device_names, load_device
from hwmodels.energy import anchor
from hwmodels.layer_files import price_layers_csv
from hwmodels.reported.fitting import calibrate
from hwmodels.reported.read import read_reports
from hwmodels.reported.rows import add_imported, rows_of
from hwmodels.reported.subjects import estimate, read_subjects
from hwmodels.reported.usage import ReportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwmodels.devices import Device
    from hwmodels.layer_files import PricedLayer
    from hwmodels.reported.fitting import Calibration
    from hwmodels.reported.rows import ImportedRow
    from hwmodels.reported.subjects import Subject
    from hwmodels.reported.usage import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What an import did.

    Attributes:
        folder: of the rows.
        rows: imported now.
        calibration: fitted on all rows of the folder.
    """

    folder: Path
    rows: tuple[ImportedRow, ...]
    calibration: Calibration

    @property
    def timing_words(self) -> list[str]:
        """How fast each imported design is, if its reports tell."""
        found = {}
        for row in self.rows:
            if row.timing is not None:
                reached = row.timing.reached_mhz
                clock = "" if reached is None else f" of {row.timing.period_ns:g} ns: {reached:.1f} MHz"
                found[row.design] = (
                    f"timing of {row.design} ({row.stage.value}): slack {row.timing.slack_ns:g} ns{clock}"
                )
        return list(found.values())


def import_reports(files: Sequence[Path], *, instances: Path, device: str, rows: Path) -> Import:
    """Read reports, keep what they say of the named instances as rows, and fit.

    Nothing is written unless all of it is valid.

    Args:
        files: utilisation reports, and one timing summary if there is one.
        instances: CSV or TOML file that says what each instance is, see `hwmodels.reported.subjects.read_subjects`. Of
            several reports, each has some of them.
        device: built-in device or path of a device file.
        rows: folder of the rows, made if needed.

    Raises:
        StudyError: if a file cannot be read, an instance is in none of the reports, or a row cannot be priced.
    """
    try:
        reports = read_reports(files)
        target = load_device(device)
        name = target.name if device.lower() in map(str.lower, device_names()) else str(Path(device).resolve())
        placed = _placed(reports, read_subjects(instances))
        found = [row for report, own in placed for row in rows_of(report, own, target, device_name=name)]
        for row in found:
            estimate(row.subject, target, where=f"{instances}, instance {row.instance}")
        add_imported(rows, found)
        return Import(folder=rows, rows=tuple(found), calibration=calibrate(rows))
    except (ReportError, DeviceError) as error:
        raise StudyError(str(error)) from error


def _placed(reports: Sequence[Report], subjects: Mapping[str, Subject]) -> list[tuple[Report, dict[str, Subject]]]:
    """Each report with the instances it has; every instance is in one at least."""
    placed: list[tuple[Report, dict[str, Subject]]] = [(report, {}) for report in reports]
    for instance, subject in subjects.items():
        errors = []
        for report, own in placed:
            try:
                report.find(instance)
            except ReportError as error:
                errors.append(error)
            else:
                own[instance] = subject
        if len(errors) == len(reports):
            raise errors[0]
    return placed


def pricing_device(name: str, *, process: str) -> Device:
    """A device to price layers for, its energies scaled to a published process.

    Raises:
        StudyError: if there is no such device or process.
    """
    try:
        return dataclasses.replace(load_device(name), energy_anchor=anchor(process).name)
    except ValueError as error:
        raise StudyError(str(error)) from error


def corrected_layers(layers: Path, target: Device, *, rows: Path | None) -> list[PricedLayer]:
    """The layers of a file with their costs, corrected by the factors of a folder of imported rows if one is given.

    Raises:
        StudyError: if a file cannot be read, or the folder has too few rows.
    """
    try:
        priced = price_layers_csv(layers, target)
        if rows is None:
            return priced
        correction = calibrate(rows).correction(target)
    except (ValueError, OSError) as error:
        raise StudyError(str(error)) from error
    return [dataclasses.replace(one, cost=correction.whole(one.style.value, one.cost)) for one in priced]
