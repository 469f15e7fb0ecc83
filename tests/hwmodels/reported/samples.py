"""Writers of reports in the layouts of Vivado and Vitis HLS, with figures of the test's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwmodels.reported.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PART = "xczu7ev-ffvc1156-2-e"


def usage(luts: int, flip_flops: int = 0, dsps: int = 0, bram18s: int = 0, urams: int = 0) -> Usage:
    return Usage(luts=luts, flip_flops=flip_flops, dsps=dsps, bram18s=bram18s, urams=urams)


@dataclass(frozen=True)
class Cell:
    """An instance to be reported; ``usage`` includes what is below."""

    name: str
    module: str
    usage: Usage
    below: tuple[Cell, ...] = ()

    def walk(self, depth: int = 0, path: str = "") -> Iterator[tuple[int, str, Cell]]:
        own = f"{path}/{self.name}" if path else self.name
        yield depth, own, self
        for cell in self.below:
            yield from cell.walk(depth + 1, own)


def drawn(headings: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], padding: str = " ") -> str:
    """A table; texts to the left as they are, everything else to the right."""
    lines = [[*head] for head in headings] + [[*row] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings[0]))]
    rule = "+" + "+".join("-" * (width + 2 * len(padding)) for width in widths) + "+"

    def line(cells: Sequence[str], *, head: bool) -> str:
        made = [
            cell.center(width) if head else cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "|" + "|".join(f"{padding}{cell}{padding}" for cell in made) + "|"

    return "\n".join(
        [rule, *(line(head, head=True) for head in headings), rule, *(line(row, head=False) for row in rows), rule]
    )


def vivado_head(command: str, design: str, part: str = PART) -> str:
    return (
        "Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.\n"
        f"{'-' * 60}\n"
        "| Tool Version : Vivado v.2022.2 (lin64) Build 3671981 Fri Oct 14 04:59:54 MDT 2022\n"
        f"| Command      : {command}\n"
        f"| Design       : {design}\n"
        f"| Device       : {part}\n"
        f"| Design State : Routed\n{'-' * 60}\n\n"
    )


def vivado_hierarchy(top: Cell, *, part: str = PART, dsp: str = "DSP Blocks", percent: bool = False) -> str:
    """``report_utilization -hierarchical``, in newer versions with percentages behind the counts."""
    head = ["Instance", "Module", "Total LUTs", "Logic LUTs", "LUTRAMs", "SRLs", "FFs", "RAMB36", "RAMB18", "URAM", dsp]
    rows = []
    for depth, _, cell in top.walk():
        used = cell.usage
        counts = [
            used.luts,
            used.luts,
            0,
            0,
            used.flip_flops,
            used.bram18s // 2,
            used.bram18s % 2,
            used.urams,
            used.dsps,
        ]
        cells = [f"{count}({count / 100:.2f}%)" if percent else str(count) for count in counts]
        module = cell.module if depth else "(top)"
        rows.append(["  " * depth + cell.name, module, *cells])
        if cell.below:
            rows.append(["  " * (depth + 1) + f"({cell.name})", module, "1", "1", "0", "0", "1", "0", "0", "0", "0"])
    return (
        vivado_head("report_utilization -hierarchical -file utilisation.rpt", top.name, part)
        + "Utilization Design Information\n\nTable of Contents\n-----------------\n1. Utilization by Hierarchy\n\n"
        + "1. Utilization by Hierarchy\n---------------------------\n\n"
        + drawn([head], rows)
        + "\n* Note: parts may add up to more than their whole, whose LUTs were combined across the hierarchy.\n"
    )


def vivado_flat(design: str, used: Usage, *, slices: bool = False, part: str = PART) -> str:
    """``report_utilization``; 7-series parts have slices where UltraScale+ has CLBs."""
    word = "Slice" if slices else "CLB"
    head = ["Site Type", "Used", "Fixed", "Prohibited", "Available", "Util%"]
    rest = ["0", "0", "230400", "1.00"]
    logic = [
        [f"{word} LUTs*", str(used.luts), *rest],
        ["  LUT as Logic", str(used.luts), *rest],
        ["  LUT as Memory", "0", *rest],
        [f"{word} Registers", str(used.flip_flops), *rest],
        ["  Register as Flip Flop", str(used.flip_flops), *rest],
    ]
    memory = [
        ["Block RAM Tile", f"{used.bram18s / 2:g}", *rest],
        ["  RAMB36/FIFO*", str(used.bram18s // 2), *rest],
        ["    RAMB36E2 only", str(used.bram18s // 2), "", "", "", ""],
        ["  RAMB18", str(used.bram18s % 2), *rest],
    ]
    memory += [] if slices else [["URAM", str(used.urams), *rest]]
    dsps = [["DSPs", str(used.dsps), *rest], ["  DSP48E2 only", str(used.dsps), "", "", "", ""]]
    sections = [(f"1. {word} Logic", logic), ("2. Memory", memory), ("3. DSP", dsps)]
    return vivado_head("report_utilization -file utilisation.rpt", design, part) + "\n\n".join(
        f"{title}\n{'-' * len(title)}\n\n{drawn([head], rows)}" for title, rows in sections
    )


def vivado_timing(slack: str, periods: Sequence[str]) -> str:
    """``report_timing_summary``."""
    rule = "-" * 96
    names = ("WNS(ns)", "TNS(ns)", "TNS Failing Endpoints", "TNS Total Endpoints", "WHS(ns)")
    clocks = "\n".join(
        f"clk{n}   {{0.000 {float(p) / 2:.3f}}}   {p}   {1000 / float(p):.3f}  " for n, p in enumerate(periods)
    )
    return (
        vivado_head("report_timing_summary -file timing.rpt", "top")
        + f"{rule}\n| Design Timing Summary\n| ---------------------\n{rule}\n\n"
        + "    "
        + "      ".join(names)
        + "\n    "
        + "      ".join("-" * len(name) for name in names)
        + f"\n      {slack}        0.000                      0                 1696        0.057  \n\n\n"
        + f"{rule}\n| Clock Summary\n| -------------\n{rule}\n\n"
        + "Clock  Waveform(ns)       Period(ns)      Frequency(MHz)\n"
        + f"-----  ------------       ----------      --------------\n{clocks}\n"
    )


def hls_xml(top: Cell, *, hierarchy: bool = True, dsp: str = "DSP", part: str = PART) -> str:
    """``csynth.xml``."""

    def resources(used: Usage) -> str:
        counts = {"BRAM_18K": used.bram18s, dsp: used.dsps, "FF": used.flip_flops, "LUT": used.luts, "URAM": used.urams}
        cells = "".join(
            f"<{name}>{count}</{name}><AVAIL_{name}>9999</AVAIL_{name}><UTIL_{name}>~0</UTIL_{name}>"
            for name, count in counts.items()
        )
        return f"<AreaEstimates><Resources>{cells}</Resources></AreaEstimates>"

    def instances(cell: Cell) -> str:
        inner = "".join(
            f"<Instance><InstName>{one.name}</InstName><ModuleName>{one.module}</ModuleName>{instances(one)}</Instance>"
            for one in cell.below
        )
        return f"<InstancesList>{inner}</InstancesList>" if inner else ""

    modules = {cell.module: cell.usage for depth, _, cell in top.walk() if depth}
    information = "".join(f"<Module><Name>{name}</Name>{resources(used)}</Module>" for name, used in modules.items())
    design = f"<RTLDesignHierarchy><TopModule><ModuleName>{top.module}</ModuleName>{instances(top)}</TopModule>"
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<profile><ReportVersion><Version>2023.2</Version></ReportVersion>'
        f"<UserAssignments><Part>{part}</Part><TopModelName>{top.name}</TopModelName>"
        "<TargetClockPeriod>5.00</TargetClockPeriod></UserAssignments>"
        "<PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>3.650</EstimatedClockPeriod>"
        "</SummaryOfTimingAnalysis></PerformanceEstimates>"
        f"{resources(top.usage)}"
        f"{f'{design}</RTLDesignHierarchy><ModuleInformation>{information}</ModuleInformation>' if hierarchy else ''}"
        "</profile>\n"
    )


def _hls_counts(used: Usage, *, percent: bool) -> list[str]:
    counts = [used.bram18s, used.dsps, used.flip_flops, used.luts, used.urams]
    return ["-" if count == 0 else f"{count} (~0%)" if percent else str(count) for count in counts]


def hls_summary(top: Cell) -> str:
    """``csynth.rpt``: modules and loops of the whole design."""
    first = ["Modules", "Issue", "", "Latency", "", "", "", "", "", ""]
    second = ["& Loops", "Type", "Slack", "(cycles)", "Interval", "BRAM", "DSP", "FF", "LUT", "URAM"]
    rows = []
    for depth, _, cell in top.walk():
        counts = _hls_counts(cell.usage, percent=True)
        star = "*" if cell.below else ""
        rows.append([" " * depth + f"+ {cell.name}{star}", "-", "0.00", "-", "-", *counts])
        rows.append([" " * (depth + 1) + "o LOOP_1", "II", "3.65", "40", "1", *["-"] * 5])
    table = "\n".join(f"    {line}" for line in drawn([first, second], rows, padding="").splitlines())
    rule = "=" * 64
    return (
        f"{rule}\n== Synthesis Summary Report of '{top.name}'\n{rule}\n+ General Information: \n"
        "    * Date:           Fri Jan 24 16:49:35 2025\n"
        "    * Version:        2023.2 (Build 4023990 on Oct 11 2023)\n"
        f"    * Target device:  {PART}\n\n+ Performance & Resource Estimates: \n\n"
        f"    PS: '+' for module; 'o' for loop; '*' for dataflow\n{table}\n\n"
    )


def hls_function(top: Cell, *, dsp: str = "DSP48E") -> str:
    """``FUNCTION_csynth.rpt``: one function and its instances."""
    head = ["BRAM_18K", dsp, "FF", "LUT", "URAM"]
    empty = [["DSP", *["-"] * 5], ["Expression", "-", "-", "0", "22", "-"]]
    total = [["Total", *_hls_counts(top.usage, percent=False)], ["Available", "624", "1728", "460800", "230400", "96"]]
    rows = [[one.name, one.module, *_hls_counts(one.usage, percent=False)] for one in top.below]
    rows.append(["Total", "", *_hls_counts(top.usage, percent=False)])
    rule = "=" * 64
    detail = drawn([["Instance", "Module", *head]], rows, padding="")
    return (
        f"{rule}\n== Vitis HLS Report for '{top.name}'\n{rule}\n"
        f"* Version:        2020.2 (Build 3064766 on Wed Nov 18 09:12:47 MST 2020)\n* Target device:  {PART}\n\n"
        f"{rule}\n== Utilization Estimates\n{rule}\n* Summary: \n"
        f"{drawn([['Name', *head]], empty + total, padding='')}\n\n+ Detail: \n    * Instance: \n"
        + "\n".join(f"    {line}" for line in detail.splitlines())
        + "\n"
    )
