"""Rows of measured units: one CSV file per flow, appended to as measurements finish."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hwmodels.synthesis.flow import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FIXED_COLUMNS: Final = ("family", "parameters", "status", "rtl", "seconds", "tool", "message")
"""Columns every flow has beside its own: see `Measurement`."""


class RowsError(ValueError):
    """A file of rows that cannot be read; the message names file, line and column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one flow found of one unit.

    Attributes:
        family: of units.
        parameters: of the unit.
        status: a failed or timed-out measurement has no values.
        values: by column of the flow.
        rtl: `hwmodels.rtl.unit.Unit.fingerprint` of the Verilog that was measured.
        seconds: its share of the processor time the batch took.
        tool: versions and flags.
        message: why it failed.
    """

    family: str
    parameters: Mapping[str, int]
    status: Status
    values: Mapping[str, float] = field(default_factory=dict)
    rtl: str
    seconds: float
    tool: str
    message: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What was measured with what: a resumed run skips keys it has."""
        return self.rtl, self.tool


def write_parameters(parameters: Mapping[str, int]) -> str:
    """Parameters as one field: ``a=8;b=4``.

    >>> write_parameters({"a": 8, "b": 4})
    'a=8;b=4'
    """
    return ";".join(f"{name}={value}" for name, value in parameters.items())


def read_parameters(text: str) -> dict[str, int]:
    """The inverse of `write_parameters`.

    >>> read_parameters("a=8;b=4")
    {'a': 8, 'b': 4}
    """
    pairs = (pair.split("=") for pair in text.split(";"))
    return {name: int(value) for name, value in pairs}


def read_rows(path: Path) -> list[Measurement]:
    """All rows of a file; none if it does not exist.

    A last line that a killed run left unfinished is not a row and is dropped.

    Raises:
        RowsError: if the file is no file of rows.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    reader = csv.reader(whole.splitlines())
    names = tuple(next(reader, ()))
    missing = [name for name in FIXED_COLUMNS if name not in names]
    if missing:
        raise RowsError(f"{path}, line 1: column {missing[0]!r} is missing; it must have {', '.join(FIXED_COLUMNS)}")
    own = [name for name in names if name not in FIXED_COLUMNS]
    rows = []
    for fields in filter(None, reader):  # empty lines are none
        if len(fields) != len(names):
            raise RowsError(f"{path}, line {reader.line_num}: {len(fields)} fields, not {len(names)} as line 1 has")
        try:
            rows.append(_row(dict(zip(names, fields, strict=True)), own))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RowsError(f"{path}, line {reader.line_num}: {error}") from error
    return rows


def stored_value(value: float) -> float:
    """A value as a file of rows keeps it: whole numbers exactly, others in six digits.

    >>> stored_value(1 / 3)
    0.333333
    """
    return float(_number(value))


def append_rows(path: Path, columns: Sequence[str], rows: Iterable[Measurement]) -> None:
    """Add rows to a file, durably: what is written survives a killed process.

    Args:
        path: made with its header if it does not exist.
        columns: of the flow.
        rows: to add.

    Raises:
        RowsError: if the file has other columns.
    """
    header = [*FIXED_COLUMNS[:3], *columns, *FIXED_COLUMNS[3:]]
    if path.exists():
        _drop_unfinished_line(path)
        with path.open(newline="", encoding="utf-8") as file:
            found = next(csv.reader(file), [])
        if found and found != header:
            raise RowsError(f"{path} has columns {', '.join(found)}, not {', '.join(header)}: use another file")
    new = not path.exists() or path.stat().st_size == 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(header)
        for row in rows:
            values = [_number(row.values.get(column)) for column in columns]
            head = [row.family, write_parameters(row.parameters), row.status.value]
            writer.writerow([*head, *values, row.rtl, f"{row.seconds:.2f}", row.tool, row.message])
        file.flush()
        os.fsync(file.fileno())


def _drop_unfinished_line(path: Path) -> None:
    text = path.read_bytes()
    end = text.rfind(b"\n") + 1
    if end < len(text):
        with path.open("r+b") as file:
            file.truncate(end)


def _row(record: Mapping[str, str], own: Sequence[str]) -> Measurement:
    status = Status(record["status"])
    values = {name: float(record[name]) for name in own if record[name] != ""}
    if status is Status.OK and len(values) < len(own):
        raise ValueError(f"column {next(name for name in own if name not in values)!r} is empty but status is ok")
    return Measurement(
        family=record["family"],
        parameters=MappingProxyType(read_parameters(record["parameters"])),
        status=status,
        values=MappingProxyType(values),
        rtl=record["rtl"],
        seconds=float(record["seconds"]),
        tool=record["tool"],
        message=record["message"],
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() else f"{value:.6g}"
