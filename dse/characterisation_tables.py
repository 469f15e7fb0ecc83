"""What `bitfront characterise` prints, as tables and as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from dse.terminal import table

if TYPE_CHECKING:
    from rich.table import Table

    from dse.characterisation import Characterisation, DriftCheck
    from dse.importing import Import

_COUNTS: Final = ("measured", "known before", "failed", "timed out", "CPU s")


def summary_table(done: Characterisation) -> Table:
    """Units by flow and family, and their sum."""
    found = table("Measured units", {"flow": "left", "family": "left", **dict.fromkeys(_COUNTS, "right")})
    for one in done.families:
        counts = (one.measured, one.known_before, one.failed, one.timed_out)
        found.add_row(one.flow, one.family, *map(str, counts), f"{one.cpu_seconds:.1f}")
    found.add_section()
    sums = (sum(getattr(one, name) for one in done.families) for name in ("measured", "known_before", "failed"))
    late, seconds = sum(one.timed_out for one in done.families), sum(one.cpu_seconds for one in done.families)
    found.add_row("all", "", *map(str, (*sums, late)), f"{seconds:.1f}")
    return found


def summary_rows(done: Characterisation) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "rows": str(done.rows),
        "seconds": round(done.seconds, 3),
        "skipped": dict(done.skipped),
        "families": [
            {
                "flow": one.flow,
                "family": one.family,
                "measured": one.measured,
                "known_before": one.known_before,
                "failed": one.failed,
                "timed_out": one.timed_out,
                "cpu_seconds": round(one.cpu_seconds, 2),
            }
            for one in done.families
        ],
    }


def drift_table(check: DriftCheck) -> Table:
    """Rows measured again, and what has changed."""
    found = table("Drift check", {"flow": "left", "family": "left", "parameters": "left", "now": "left"})
    for row in drift_rows(check)["checked"]:
        now = "; ".join(row["differences"]) or "as committed"
        found.add_row(row["flow"], row["family"], row["parameters"], Text(now))
    return found


def drift_rows(check: DriftCheck) -> dict[str, Any]:
    """The same as plain values."""
    from hwmodels.synthesis.measurements import write_parameters

    return {
        "seconds": round(check.seconds, 3),
        "skipped": dict(check.skipped),
        "checked": [
            {
                "flow": one.flow,
                "family": one.row.family,
                "parameters": write_parameters(one.row.parameters),
                "differences": list(one.differences),
            }
            for one in check.checked
        ],
    }


def imported_table(done: Import) -> Table:
    """Every row of the folder, reported beside estimated."""
    names = ("LUT", "FF", "DSP", "BRAM18", "URAM")
    heads = [f"{name}\n{what}" for name in names for what in ("rep.", "est.")]
    found = table("Imported instances (reported, estimated)", {"instance": "left", "what": "left"})
    for head in heads:
        found.add_column(head, justify="right")
    for row in import_rows(done)["rows"]:
        pairs = zip(row["reported"].values(), row["estimated"].values(), strict=True)
        found.add_row(
            Text(row["instance"]), Text(row["family"]), *(str(round(count)) for pair in pairs for count in pair)
        )
    return found


def factors_table(done: Import) -> Table:
    """Factors with the error of estimates before and after."""
    columns = {"family": "left", "resource": "left", "rows": "right", "factor": "right"}
    columns |= {"error before": "right", "error left out": "right", "not explained": "right"}
    found = table("Factors (reported / estimated; errors are root mean squares)", columns)
    for fit in done.calibration.fits:
        found.add_row(
            fit.family,
            fit.resource,
            str(fit.factor.rows),
            f"{fit.factor.value:.3f}",
            f"{fit.error_before:.1%}",
            f"{fit.factor.error:.1%}",
            str(fit.unexplained),
        )
    return found


def import_rows(done: Import) -> dict[str, Any]:
    """Rows and factors as plain values."""
    calibration = done.calibration
    return {
        "folder": str(done.folder),
        "imported": len(done.rows),
        "rows": [
            {
                "design": row.design,
                "instance": row.instance,
                "family": row.subject.family,
                "parameters": dict(row.subject.parameters),
                "reported": {name: getattr(row.usage, name) for name in estimated},
                "estimated": dict(estimated),
                "reached_mhz": row.timing.reached_mhz if row.timing else None,
                "stage": row.stage.value,
                "part": row.part,
                "tool": row.tool,
            }
            for row, estimated in zip(calibration.rows, calibration.estimates, strict=True)
        ],
        "factors": [
            {
                "family": fit.family,
                "resource": fit.resource,
                "rows": fit.factor.rows,
                "factor": fit.factor.value,
                "error_before": fit.error_before,
                "error_left_out": fit.factor.error,
                "unexplained": fit.unexplained,
            }
            for fit in calibration.fits
        ],
    }
