"""Vivado's text reports: ``report_utilization``, flat or ``-hierarchical``, and ``report_timing_summary``.

Layouts as Vivado 2013 to 2024 write them: device families differ in words (slices or CLBs, DSP48 or DSP blocks), newer
versions add columns.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from hwmodels.reported.text_tables import count, indentation, paths, read_tables
from hwmodels.reported.usage import Instance, Report, ReportError, Stage, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwmodels.reported.text_tables import TextTable

_HIERARCHY: Final = ("Instance", "Module", "Total LUTs", "FFs")
_FLAT: Final = ("Site Type", "Used")
_LUTS: Final = ("CLB LUTs", "Slice LUTs")
_FLIP_FLOPS: Final = ("CLB Registers", "Slice Registers")


def is_utilisation(text: str) -> bool:
    """Whether a text is a utilisation report."""
    return "Total LUTs" in text or ("Site Type" in text and "Used" in text)


def is_timing(text: str) -> bool:
    """Whether a text is a timing summary."""
    return "Design Timing Summary" in text


def read_utilisation(text: str, source: str) -> Report:
    """A utilisation report; of one with hierarchy every instance, else the top alone.

    Raises:
        ReportError: if it has neither a table of the hierarchy nor one of slices and registers.
    """
    tables = read_tables(text.splitlines())
    hierarchy = next((table for table in tables if all(name in table.columns for name in _HIERARCHY)), None)
    instances = _instances(hierarchy) if hierarchy is not None else (_top(tables, text, source),)
    if not instances:
        raise ReportError(f"report {source}: the table of the hierarchy is empty")
    return Report(
        source=source,
        tool=_header(text, "Tool Version").split(" (")[0],
        part=_header(text, "Device"),
        stage=Stage.SYNTHESISED,
        instances=instances,
    )


def read_timing(text: str, source: str) -> Timing:
    """The worst negative slack of a timing summary, and the period if there is but one.

    Raises:
        ReportError: if no slack is told, as of a design without a clock.
    """
    summary = text[text.index("Design Timing Summary") :].splitlines()
    for heading, line in zip(summary, [*summary[2:], "", ""], strict=False):
        if heading.split()[:1] == ["WNS(ns)"]:
            words = line.split()
            if words and re.fullmatch(r"-?\d+\.\d+", words[0]):
                return Timing(slack_ns=float(words[0]), period_ns=_period(text))
            break
    raise ReportError(f"report {source} tells no worst negative slack: is the clock constrained?")


def _period(text: str) -> float | None:
    """The period of the clock summary, whose lines are: name, waveform in braces, period, frequency."""
    start = text.find("Clock Summary")
    if start < 0:
        return None
    periods = re.findall(r"^\S.*\{[-\d. ]+\}\s+(\d+\.\d+)\s+\d+\.\d+", text[start:], flags=re.MULTILINE)
    return float(periods[0]) if len(set(periods)) == 1 else None


def _header(text: str, name: str) -> str:
    """A line of the report's head: ``| Device : xczu7ev-ffvc1156-2-e``."""
    found = re.search(rf"^\|\s*{name}\s*:\s*(.*?)\s*\|?\s*$", text, flags=re.MULTILINE)
    return found.group(1) if found else ""


def _instances(table: TextTable) -> tuple[Instance, ...]:
    records = list(table.records())
    names = [(indentation(record["Instance"]), record["Instance"].strip()) for record in records]
    return tuple(
        Instance(path=path, module=record["Module"].strip(), usage=_usage_below(record))
        for path, record, (_, name) in zip(paths(names), records, names, strict=True)
        if not name.startswith("(")  # what a module holds beside its instances
    )


def _usage_below(record: Mapping[str, str]) -> Usage:
    dsps = next((cell for name, cell in record.items() if name.startswith("DSP")), "")
    return Usage(
        luts=int(count(record["Total LUTs"])),
        flip_flops=int(count(record["FFs"])),
        dsps=int(count(dsps)),
        bram18s=int(2 * count(record.get("RAMB36", "")) + count(record.get("RAMB18", ""))),
        urams=int(count(record.get("URAM", ""))),
    )


def _top(tables: Sequence[TextTable], text: str, source: str) -> Instance:
    used: dict[str, float] = {}
    for table in tables:
        if all(name in table.columns for name in _FLAT):
            for record in table.records():
                used.setdefault(record["Site Type"].strip().rstrip("*"), count(record["Used"]))
    luts, flip_flops = (next((used[name] for name in names if name in used), None) for names in (_LUTS, _FLIP_FLOPS))
    if luts is None or flip_flops is None:
        raise ReportError(
            f"report {source} has no table of instances and none of LUTs and registers: write it by report_utilization "
            "-hierarchical -file REPORT"
        )
    halves = 2 * used.get("Block RAM Tile", 0.0)
    if "RAMB36/FIFO" in used:
        halves = 2 * used["RAMB36/FIFO"] + used.get("RAMB18", 0.0)
    design = _header(text, "Design") or "top"
    usage = Usage(
        luts=int(luts),
        flip_flops=int(flip_flops),
        dsps=int(used.get("DSPs", 0)),
        bram18s=int(halves),
        urams=int(used.get("URAM", 0)),
    )
    return Instance(path=design, module=design, usage=usage)
