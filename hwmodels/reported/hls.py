"""Reports of Vivado HLS and Vitis HLS: ``csynth.xml``, the summary ``csynth.rpt``, and ``FUNCTION_csynth.rpt``."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

from hwmodels.reported.text_tables import count, indentation, paths, read_tables
from hwmodels.reported.usage import Instance, Report, ReportError, Stage, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RESOURCES: Final = {
    "luts": ("LUT",),
    "flip_flops": ("FF",),
    "dsps": ("DSP", "DSP48E"),
    "bram18s": ("BRAM_18K", "BRAM"),
    "urams": ("URAM",),
}
_TREE: Final = "Modules & Loops"
_TOTALS: Final = ("Name", "BRAM_18K", "FF", "LUT")
_DETAIL: Final = ("Instance", "Module", "BRAM_18K", "FF", "LUT")


def is_xml(text: str) -> bool:
    """Whether a text is a ``csynth.xml``."""
    return "<AreaEstimates" in text


def is_text(text: str) -> bool:
    """Whether a text is a report of C++ synthesis."""
    return "== Utilization Estimates" in text or "Performance & Resource Estimates" in text


def read_xml(text: str, source: str) -> Report:
    """A ``csynth.xml``: the top function, and every instance of its hierarchy if the file holds it.

    Raises:
        ReportError: if it is no XML, declares entities, or lacks what is looked for.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ReportError(f"report {source} declares entities, which reports of HLS do not: it is not read")
    try:
        root = ET.fromstring(text)  # noqa: S314 - entities, which could grow without bound, are refused above
    except ET.ParseError as error:
        raise ReportError(f"report {source} is no XML: {error}") from error
    top = _required(root, "UserAssignments/TopModelName", source)
    resources = root.find("AreaEstimates/Resources")
    if resources is None:
        raise ReportError(f"report {source} has no AreaEstimates/Resources: run csynth_design first")
    modules = {
        module.findtext("Name", "").strip(): _usage({cell.tag: cell.text or "" for cell in found})
        for module in root.findall("ModuleInformation/Module")
        if (found := module.find("AreaEstimates/Resources")) is not None
    }
    instances = [Instance(path=top, module=top, usage=_usage({cell.tag: cell.text or "" for cell in resources}))]
    hierarchy = root.find("RTLDesignHierarchy/TopModule")
    if hierarchy is not None:
        instances += _below(hierarchy, top, modules)
    placed = {one.module for one in instances}
    instances += [
        Instance(path=f"{top}/{name}", module=name, usage=usage)
        for name, usage in modules.items()
        if name not in placed
    ]
    version = root.findtext("ReportVersion/Version", "").strip()
    return Report(
        source=source,
        tool=f"HLS {version}".strip(),
        part=root.findtext("UserAssignments/Part", "").strip(),
        stage=Stage.ESTIMATED,
        instances=tuple(instances),
        timing=_timing(root),
    )


def read_text(text: str, source: str) -> Report:
    """A text report: the tree of modules of ``csynth.rpt``, or total and instances of ``FUNCTION_csynth.rpt``.

    Raises:
        ReportError: if it has neither.
    """
    tables = read_tables(text.splitlines())
    tree = next((table for table in tables if table.columns[0] == _TREE), None)
    instances: tuple[Instance, ...]
    if tree is not None:
        instances = tuple(_modules(list(tree.records())))
    else:
        top = _header(text, r"HLS Report for '(.*?)'") or "top"
        total = next(
            (
                record
                for table in tables
                if all(name in table.columns for name in _TOTALS)
                for record in table.records()
                if record["Name"].strip() == "Total"
            ),
            None,
        )
        if total is None:
            raise ReportError(f"report {source} has no total of its utilisation: was the synthesis of C++ successful?")
        detail = [
            record
            for table in tables
            if all(name in table.columns for name in _DETAIL)
            for record in table.records()
            if record["Instance"].strip() not in {"Total", ""}
        ]
        instances = (
            Instance(path=top, module=top, usage=_usage(total)),
            *(
                Instance(path=f"{top}/{one['Instance'].strip()}", module=one["Module"].strip(), usage=_usage(one))
                for one in detail
            ),
        )
    if not instances:
        raise ReportError(f"report {source}: its tree of modules is empty")
    version = _header(text, r"Version: +(\S+)")
    return Report(
        source=source,
        tool=f"HLS {version}".strip(),
        part=_header(text, r"Target device: +(\S+)"),
        stage=Stage.ESTIMATED,
        instances=instances,
    )


def _modules(records: list[dict[str, str]]) -> Iterator[Instance]:
    """Rows that begin with ``+`` are modules, ``o`` loops; an asterisk behind a name marks a dataflow region."""
    own = [record for record in records if record[_TREE].lstrip().startswith("+")]
    names = [record[_TREE].strip().removeprefix("+").strip().rstrip("*").strip() for record in own]
    depths = [indentation(record[_TREE]) for record in own]
    for path, name, record in zip(paths(zip(depths, names, strict=True)), names, own, strict=True):
        yield Instance(path=path, module=name, usage=_usage(record))


def _below(parent: ET.Element, path: str, modules: Mapping[str, Usage]) -> Iterator[Instance]:
    for instance in parent.findall("InstancesList/Instance"):
        module = instance.findtext("ModuleName", "").strip()
        own = f"{path}/{instance.findtext('InstName', module).strip()}"
        if module in modules:
            yield Instance(path=own, module=module, usage=modules[module])
        yield from _below(instance, own, modules)


def _usage(cells: Mapping[str, str]) -> Usage:
    found = {
        resource: int(count(next((cells[name] for name in names if name in cells), "")))
        for resource, names in _RESOURCES.items()
    }
    return Usage(**found)


def _timing(root: ET.Element) -> Timing | None:
    asked = count(root.findtext("UserAssignments/TargetClockPeriod", ""))
    reached = count(root.findtext("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod", ""))
    return Timing(slack_ns=round(asked - reached, 6), period_ns=asked) if asked and reached else None


def _required(root: ET.Element, path: str, source: str) -> str:
    found = root.findtext(path, "").strip()
    if not found:
        raise ReportError(f"report {source} has no {path}: it is no csynth.xml of Vitis HLS")
    return found


def _header(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found.group(1) if found else ""
