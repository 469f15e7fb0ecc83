"""Rows a user imported: one CSV file in a folder of their own, one line per instance of a report."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.device_parts import RESOURCES
from hwmodels.reported.subjects import Subject, read_fields, write_fields
from hwmodels.reported.usage import ReportError, Stage, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hwmodels.devices import Device
    from hwmodels.reported.usage import Report

ROWS_FILE: Final = "imported.csv"
_COLUMNS: Final = (
    *("design", "instance", "family", "parameters", *RESOURCES),
    *("slack_ns", "period_ns", "stage", "device", "part", "tool", "report"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRow:
    """What a report says of one instance.

    Attributes:
        design: name of the report's top.
        instance: path in it.
        subject: what it is to our models.
        usage: as reported.
        timing: of the whole design; None if no report told it.
        stage: what made the figures.
        device: by which it is priced: a built-in name or the path of a file.
        part: as the report names it.
        tool: as the report names it.
        report: name of the file.
    """

    design: str
    instance: str
    subject: Subject
    usage: Usage
    timing: Timing | None
    stage: Stage
    device: str
    part: str
    tool: str
    report: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """An instance of one design, part and stage: importing it again replaces the row."""
        return self.design, self.instance, self.part, self.stage.value


def rows_of(report: Report, subjects: Mapping[str, Subject], device: Device, *, device_name: str) -> list[ImportedRow]:
    """The rows of the instances that are named.

    Args:
        report: read.
        subjects: by instance, see `hwmodels.reported.usage.Report.find`.
        device: to price for.
        device_name: under which it can be loaded again.

    Raises:
        ReportError: if an instance is not in the report, or the report is of another part than the device.
    """
    # Older versions of Vivado leave out the family: 7z020clg484-1.
    part = report.part.lower()
    if part and not part.removeprefix("xc").startswith(device.name.lower().removeprefix("xc")):
        raise ReportError(
            f"report {report.source} is of part {report.part}, and the device is {device.name}: name the right one "
            "with --device"
        )
    found = []
    for name, subject in subjects.items():
        instance = report.find(name)
        found.append(
            ImportedRow(
                design=report.design,
                instance=instance.path,
                subject=subject,
                usage=instance.usage,
                timing=report.timing,
                stage=report.stage,
                device=device_name,
                part=report.part,
                tool=report.tool,
                report=report.source,
            )
        )
    return found


def read_imported(folder: Path) -> list[ImportedRow]:
    """The rows of a folder; none if nothing was imported into it.

    Raises:
        ReportError: if the file is damaged; the message names line and column.
    """
    path = folder / ROWS_FILE
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ReportError(
                    f"{path}, line 1: column {missing[0]!r} is missing; columns are {', '.join(_COLUMNS)}"
                )
            return [_row(record, f"{path}, line {reader.line_num}") for record in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReportError(f"{path} cannot be read as CSV: {error}") from error


def add_imported(folder: Path, rows: Iterable[ImportedRow]) -> list[ImportedRow]:
    """Add rows to a folder; a row of the same instance, design and part is replaced. The file appears whole.

    Args:
        folder: made if needed.
        rows: to add.

    Returns:
        All rows of the folder.

    Raises:
        ReportError: if the file is damaged or cannot be written.
    """
    kept = {row.key: row for row in (*read_imported(folder), *rows)}
    path = folder / ROWS_FILE
    beside = folder / f"{ROWS_FILE}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with beside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows(_record(row) for row in kept.values())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise ReportError(
            f"folder {folder} is not writable ({error.strerror}): name another one with --rows"
        ) from error
    return list(kept.values())


def _record(row: ImportedRow) -> list[object]:
    timing = row.timing
    return [
        *(row.design, row.instance, row.subject.family, write_fields(row.subject.parameters)),
        *(getattr(row.usage, name) for name in RESOURCES),
        *(("", "") if timing is None else (timing.slack_ns, "" if timing.period_ns is None else timing.period_ns)),
        *(row.stage.value, row.device, row.part, row.tool, row.report),
    ]


def _row(record: Mapping[str, str], where: str) -> ImportedRow:
    try:
        counts = {name: _count(name, record[name]) for name in RESOURCES}
        timing = None
        if record["slack_ns"]:
            period = float(record["period_ns"]) if record["period_ns"] else None
            timing = Timing(slack_ns=float(record["slack_ns"]), period_ns=period)
        return ImportedRow(
            design=record["design"],
            instance=record["instance"],
            subject=Subject(family=record["family"], parameters=MappingProxyType(read_fields(record["parameters"]))),
            usage=Usage(**counts),
            timing=timing,
            stage=Stage(record["stage"]),
            device=record["device"],
            part=record["part"],
            tool=record["tool"],
            report=record["report"],
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ReportError(f"{where}: {error}") from error


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"column {name!r} must be a whole number of at least 0, got {text!r}")
    return int(text)
