"""The command `bitfront characterise`: arguments, a call, printing; see `dse.cli`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from dse.errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType


def characterise(
    *,
    plan: Annotated[
        Path | None, typer.Option(help="design of experiments in TOML [default: the committed one]")
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(help="folder of the rows [default: characterised; with --check the committed rows]"),
    ] = None,
    flow: Annotated[list[str] | None, typer.Option(help="only this flow; may be repeated")] = None,
    family: Annotated[list[str] | None, typer.Option(help="only this family of units; may be repeated")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="batches at once; 0 takes every core")] = 0,
    check: Annotated[
        int | None, typer.Option(min=1, help="measure so many rows of each flow again; exit code 1 if any differs")
    ] = None,
    reports: Annotated[
        list[Path] | None,
        typer.Option(
            "--import",
            help="take rows from a report of your own tools (Vivado report_utilization or report_timing_summary, "
            "csynth.xml or csynth.rpt of Vitis HLS); may be repeated",
        ),
    ] = None,
    instances: Annotated[
        Path | None,
        typer.Option(
            help="with --import, CSV or TOML file that says what each instance is: instance, family, parameters; or "
            "instance and the columns of cost --layers"
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="with --import, built-in device or device file")] = "xc7z020",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Synthesise the units of the plan and keep their rows, or calibrate costs on reports of your own tools."""
    if reports:
        if check is not None:
            raise StudyError("--check measures rows again and --import takes new ones: use one of them")
        _import(reports, instances, device, rows, as_json=as_json)
    elif instances is not None:
        raise StudyError("--instances says what the instances of a report are: name the report with --import")
    elif check is not None:
        _check(check, rows, flow or [], family or [], as_json=as_json)
    else:
        _measure(plan, rows, flow or [], family or [], jobs, as_json=as_json)


def _measure(
    plan: Path | None, rows: Path | None, flows: list[str], families: list[str], jobs: int, *, as_json: bool
) -> None:
    from dse.characterisation import OWN_ROWS, run_plan
    from dse.characterisation_tables import summary_rows, summary_table
    from dse.terminal import relative, say, say_error
    from hwmodels.synthesis.plan import DEFAULT_PLAN

    done = run_plan(
        plan=plan or DEFAULT_PLAN,
        rows=rows or OWN_ROWS,
        flows=flows,
        families=families,
        jobs=jobs or None,
    )
    _warn(done.skipped)
    _show(summary_rows(done), [summary_table(done)], as_json=as_json)
    if done.nothing_measured:
        say_error("nothing could be measured; costs go on with the committed rows")
        raise typer.Exit(1)
    if not as_json:
        say(f"rows: {relative(done.rows)}, {done.seconds:.1f} s")


def _check(count: int, rows: Path | None, flows: list[str], families: list[str], *, as_json: bool) -> None:
    from dse.characterisation import check_drift
    from dse.characterisation_tables import drift_rows, drift_table
    from dse.terminal import say, say_error
    from hwmodels.models import ROWS_FOLDER

    done = check_drift(rows=rows or ROWS_FOLDER, count=count, flows=flows, families=families)
    _warn(done.skipped)
    _show(drift_rows(done), [drift_table(done)], as_json=as_json)
    if not done.checked:
        say_error("nothing could be checked; costs go on with the committed rows")
        raise typer.Exit(1)
    if done.drifted:
        say_error(f"{len(done.drifted)} of {len(done.checked)} rows differ: {' | '.join(map(str, done.drifted))}")
        raise typer.Exit(1)
    if not as_json:
        say(f"{len(done.checked)} rows came out as committed, {done.seconds:.1f} s")


def _import(reports: list[Path], instances: Path | None, device: str, rows: Path | None, *, as_json: bool) -> None:
    from dse.characterisation import OWN_ROWS
    from dse.characterisation_tables import factors_table, import_rows, imported_table
    from dse.importing import import_reports
    from dse.terminal import say
    from hwmodels.reported.fitting import FEWEST_ROWS

    if instances is None:
        raise StudyError(
            "--import needs --instances FILE, a CSV or TOML file that says what each instance is: instance, family, "
            "parameters (a=8;b=4); or instance and the columns of `bitfront cost --layers`"
        )
    done = import_reports(reports, instances=instances, device=device, rows=rows or OWN_ROWS)
    _show(import_rows(done), [imported_table(done), factors_table(done)], as_json=as_json)
    if as_json:
        return
    for words in done.timing_words:
        say(words)
    if done.calibration.fits:
        say(f'explore takes these factors if study.toml says: [costs] rows = "{done.folder.resolve()}"')
    else:
        say(f"a factor needs {FEWEST_ROWS} rows with LUTs: import more; until then costs stay as they are")


def _warn(skipped: Mapping[str, str]) -> None:
    from dse.terminal import say_error

    for name, words in skipped.items():
        say_error(f"warning: flow {name} is skipped: {words}")


def _show(content: object, tables: list[RenderableType], *, as_json: bool) -> None:
    from dse.terminal import out, print_json

    if as_json:
        print_json(content)
        return
    for one in tables:
        out().print(one)
