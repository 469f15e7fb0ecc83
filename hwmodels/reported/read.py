"""Any report by its path: what it is, its content says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwmodels.reported import hls, vivado
from hwmodels.reported.usage import Report, ReportError, Timing

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_reports(files: Iterable[str | Path]) -> list[Report]:
    """Utilisation reports, with the slack of a timing summary among the files if there is just one.

    Args:
        files: reports of Vivado (``report_utilization``, ``report_timing_summary``) and of Vitis HLS (``csynth.xml``,
            ``csynth.rpt``, ``FUNCTION_csynth.rpt``).

    Raises:
        ReportError: if a file cannot be read or is no such report, there is no utilisation report, or there is a timing
            summary but not one design.
    """
    read = [_read(Path(file)) for file in files]
    reports = [one for one in read if isinstance(one, Report)]
    timings = [one for one in read if isinstance(one, Timing)]
    if not reports:
        raise ReportError("there is no utilisation report among the files: a timing summary alone has no resources")
    if not timings:
        return reports
    if len(timings) > 1 or len({report.design for report in reports}) != 1:
        raise ReportError(
            f"{len(timings)} timing summaries and reports of {len({report.design for report in reports})} designs: "
            "import one design at a time, its timing summary with its utilisation report"
        )
    return [report.with_timing(timings[0]) for report in reports]


def _read(path: Path) -> Report | Timing:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReportError(f"report {path} cannot be read: {error.strerror}") from error
    if hls.is_xml(text):
        return hls.read_xml(text, path.name)
    if hls.is_text(text):
        return hls.read_text(text, path.name)
    if vivado.is_timing(text):
        return vivado.read_timing(text, path.name)
    if vivado.is_utilisation(text):
        return vivado.read_utilisation(text, path.name)
    raise ReportError(
        f"{path} is no report this tool knows: give what Vivado's report_utilization (best with -hierarchical) or "
        "report_timing_summary wrote, or csynth.xml or csynth.rpt of Vitis HLS"
    )
