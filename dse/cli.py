"""The command line: reads arguments, calls the study, prints. No logic lives here.

Exit codes: 0 done; 1 no design meets the caps, or a check failed; 2 bad input; 130 stopped by control-C. Heavy packages
are imported inside the commands, so that ``bitfront --help`` is quick.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse import cli_table
from dse.cli_characterise import characterise
from dse.cli_export import export, verify
from dse.cli_init import init, new_config
from dse.doctor import Verdict, check_packages, examine
from dse.errors import InfeasibleError, NotExportableError, StudyError

if TYPE_CHECKING:
    from dse.results import Front
    from dse.study import Study

INTERRUPTED = 130
"""Exit code after control-C, as shells have it: 128 plus the number of the signal."""

app = typer.Typer(
    name="bitfront",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Number format, arithmetic and parallelism for every layer of a trained network on an FPGA.",
)

StudyFolder = Annotated[Path, typer.Argument(help="study folder (with study.toml)", show_default=False)]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=0, help="parallel jobs; 0 takes every core")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
DeviceName = Annotated[str, typer.Option("--device", help="built-in device or path of a device file")]


def main() -> None:
    """Run the command line and turn expected errors into one paragraph and an exit code."""
    from dse.terminal import say_error

    try:
        check_packages()
        app()
    except StudyError as error:
        say_error(str(error))
        sys.exit(2)
    except InfeasibleError as error:
        say_error(str(error))
        sys.exit(1)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:  # typer has turned control-C into this
            say_error("stopped; everything measured so far is kept, run the same command again to go on")
        raise


app.command()(init)


@app.command()
def explore(
    target: Annotated[str, typer.Argument(help="a built-in workload, or a study folder", show_default=False)],
    folder: Annotated[
        Path | None, typer.Option(help="study folder of a built-in workload [default: studies/WORKLOAD]")
    ] = None,
    jobs: Jobs = 0,
) -> None:
    """Do all of it: sweep, front, measure, report, and the parameters of one chosen design."""
    from dse.accuracy_report import band_words, refinement_words
    from dse.exports.folders import OnExisting
    from dse.terminal import closing_words, err, front_table, half_of, out, relative, say, uniform_table

    with _study_of(target, folder) as study:
        outcome = study.sweep(jobs=jobs or None)
        err().print(
            f"sensitivity: {outcome.measured} measured, {outcome.known_before} known before, {outcome.seconds:.1f} s"
        )
        for words in refinement_words(study.refine(jobs=jobs or None)):
            err().print(words, markup=False)
        study.front(jobs=jobs or None)
        front = study.measure(jobs=jobs or None)
        sure = band_words(study.confidence(jobs=jobs or None))
        report = study.report()
        chosen = study.chosen()
        exported, why_not = None, "exports describe a stream and not a shared array"
        if not chosen.array:
            try:
                exported = study.export(chosen.name, on_existing=OnExisting.REPLACE)
            except NotExportableError as error:
                why_not = str(error)
        clock, place = study.config.device.clock_mhz, relative(study.folder)
        console = out()
        console.print(front_table(front.result, clock, study.device, width=console.width))
        console.print(uniform_table(front.result, clock))
        for words in filter(None, (*closing_words(front.result, study.device), sure)):
            say(words)
        if report.message:
            say(report.message)
        if exported is None:
            say(f"parameters of {chosen.name}: none, because {why_not}")
        else:
            say(f"parameters of {chosen.name}: {relative(exported.folder)}/manifest.json ({exported.files} files)")
        say(f"report: {relative(report.html or report.front_csv)}")
        export_line = f"  bitfront export {place} --point {front[0].name} --folder {front[0].name}-parameters\n"
        say(
            "\nNext:\n  source .venv/bin/activate\n"
            + (export_line if exported else "")
            + f"  bitfront explain {place} {half_of(front[0].total, study.device)}\n"
            "  bitfront init my-study --device xczu7ev"
        )


@app.command()
def sweep(study_folder: StudyFolder, jobs: Jobs = 0) -> None:
    """Measure the loss of every tensor and layer in every format; continues where it was stopped."""
    from dse.terminal import out

    with _open(study_folder) as study:
        outcome = study.sweep(jobs=jobs or None)
    out().print(f"{outcome.measured} measured, {outcome.known_before} known before, {outcome.seconds:.1f} s")


@app.command()
def front(
    study_folder: Annotated[Path | None, typer.Argument(help="study folder (with study.toml)")] = None,
    *,
    jobs: Jobs = 0,
    as_json: AsJson = False,
    problem: cli_table.ProblemFile = None,
    objectives: cli_table.Objectives = "",
    no_caps: cli_table.NoCaps = False,
    gap: cli_table.Gap = 0.0,
    time_limit: cli_table.TimeLimit = 60.0,
    max_points: cli_table.MaxPoints = None,
    method: cli_table.MethodName = "auto",
    verify: cli_table.Verify = 0,
    prices: cli_table.Prices = False,
    edit: cli_table.EditOf = "",
) -> None:
    """Solve for the Pareto front, with a certificate per design, and print it: of a study, or of any table."""
    if (study_folder is None) == (problem is None):
        raise StudyError("bitfront front takes either a study folder or --problem FILE")
    if problem is not None:
        found = cli_table.solve_table(
            problem,
            objectives=objectives,
            caps={} if no_caps else None,
            gap=gap,
            time_limit=time_limit,
            max_points=max_points,
            method=method,
        )
        cli_table.print_table_front(
            found, verify=verify, as_json=as_json, prices=prices, edit=edit, time_limit=time_limit
        )
        return
    with _open(study_folder or Path()) as study:
        _print_front(study, study.front(jobs=jobs or None), as_json=as_json)


@app.command()
def measure(study_folder: StudyFolder, jobs: Jobs = 0, as_json: AsJson = False) -> None:
    """Execute the designs of the front whole, bit for bit, on validation and test data."""
    with _open(study_folder) as study:
        _print_front(study, study.measure(jobs=jobs or None), as_json=as_json)


@app.command()
def report(study_folder: StudyFolder) -> None:
    """Write report.html, the figures and front.csv."""
    from dse.terminal import relative, say

    with _open(study_folder) as study:
        written = study.report()
    if written.message:
        say(written.message)
    for path in filter(None, (written.html, written.front_csv, *written.figures)):
        say(relative(path))


app.command()(export)
app.command()(verify)


@app.command()
def explain(
    study_folder: StudyFolder,
    *,
    luts: Annotated[int | None, typer.Option(min=0, help="suppose only so many LUTs")] = None,
    dsps: Annotated[int | None, typer.Option(min=0, help="suppose only so many DSPs")] = None,
    bram18s: Annotated[int | None, typer.Option(min=0, help="suppose only so many halves of a block RAM")] = None,
    flip_flops: Annotated[int | None, typer.Option(min=0, help="suppose only so many flip-flops")] = None,
    gates: Annotated[int | None, typer.Option(min=0, help="of an ASIC: suppose only so many NAND gates")] = None,
) -> None:
    """Say which resource is short, by how much, and what change would fix it."""
    from dse.terminal import say

    given = {"luts": luts, "dsps": dsps, "bram18s": bram18s, "flip_flops": flip_flops, "gates": gates}
    with _open(study_folder) as study:
        words = study.explain({name: limit for name, limit in given.items() if limit is not None})
    say(words)


@app.command()
def cost(
    *,
    layers: Annotated[
        Path,
        typer.Option(
            help="CSV: outputs, depth, pe, simd, weight_bits, activation_bits, style (hls-lut, hls-dsp, rtl-dsp as "
            "FINN and Vivado build them; ours-lut, ours-dsp, ours-dsp-one), ram (auto, lutram, bram, uram, external), "
            "optional positions, output_bits (thresholds) and name"
        ),
    ],
    device: DeviceName = "xc7z020",
    rows: Annotated[Path | None, typer.Option(help="folder of imported rows that correct these prices")] = None,
    process: Annotated[str, typer.Option(help="published process of the energies: 45nm or 7nm")] = "45nm",
    csv: Annotated[Path | None, typer.Option(help="also write the prices into this file")] = None,
    as_json: AsJson = False,
) -> None:
    """Price matrix-vector layers given in a file, as a vendor flow or our own engines build them."""
    from dse.importing import corrected_layers, pricing_device
    from dse.priced_layers import priced_rows, priced_table, write_priced_csv
    from dse.terminal import out, print_json

    target = pricing_device(device, process=process)
    priced = corrected_layers(layers, target, rows=rows)
    if csv is not None:
        write_priced_csv(csv, priced, target)
    if as_json:
        print_json(priced_rows(priced, target))
    else:
        out().print(priced_table(priced, target))


app.command()(characterise)


@app.command()
def devices(
    models: Annotated[
        bool, typer.Option("--models", help="list the cost models of units instead, with the errors they have shown")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the built-in devices, or the models that price units on them."""
    from dse.terminal import device_rows, devices_table, out, print_json
    from hwmodels import device_names, load_device

    if models:
        _print_models(as_json=as_json)
        return
    known = [load_device(name) for name in device_names()]
    if as_json:
        print_json(device_rows(known))
    else:
        out().print(devices_table(known))


@app.command()
def formats(
    name: Annotated[str | None, typer.Argument(help="describe this format and draw its number line")] = None,
    as_json: AsJson = False,
    figure: Annotated[Path | None, typer.Option(help="with a NAME: also draw it into this .png, .svg or .pdf")] = None,
) -> None:
    """List the catalogue of number formats, or describe one."""
    from dse.number_line import describe, draw, number_line
    from dse.terminal import format_rows, formats_table, out, print_json, relative, say
    from emulation.catalogue import CATALOGUE, parse

    console = out()
    if name is None:
        if figure is not None:
            raise StudyError("--figure draws one format: name it, as in bitfront formats e4m3fn --figure e4m3fn.svg")
        if as_json:
            print_json(format_rows(CATALOGUE))
        else:
            console.print(formats_table(CATALOGUE))
        return
    try:
        number_format = parse(name)
    except ValueError as error:
        raise StudyError(str(error)) from error
    if figure is not None:
        draw(number_format, figure)
    if as_json:
        print_json(describe(number_format))
    else:
        console.print(number_line(number_format, ascii_only=console.options.ascii_only))
        if figure is not None:
            say(f"wrote {relative(figure)}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check that this installation can work, and what is missing."""
    from dse.terminal import doctor_table, out, print_json

    checks = examine()
    if as_json:
        print_json([{"what": one.subject, "verdict": one.verdict.value, "found": one.finding} for one in checks])
    else:
        out().print(doctor_table(checks))
    if any(one.verdict is Verdict.BAD for one in checks):
        raise typer.Exit(1)


def _open(folder: Path) -> Study:
    from dse.study import Study

    return Study.open(folder)


def _study_of(target: str, folder: Path | None) -> Study:
    from dse.study import Study, open_or_create
    from emulation.workloads import workload_names

    path = Path(target)
    is_study = (path / "study.toml").is_file() or path.name == "study.toml"
    if is_study or (path.is_dir() and target not in workload_names()):
        if folder is not None:
            raise StudyError(f"{target} is a study folder already: --folder goes with a built-in workload only")
        return Study.open(target)
    config = new_config(target, "xc7z020")
    return open_or_create(folder or Path("studies") / target.replace(":", "-"), config)


def _print_models(*, as_json: bool) -> None:
    from dse.terminal import out, print_json
    from dse.unit_models import committed_models, model_rows, models_tables

    models = committed_models()
    if as_json:
        print_json(model_rows(models))
        return
    console = out()
    for table in models_tables(models, console.width):
        console.print(table)


def _print_front(study: Study, found: Front, *, as_json: bool) -> None:
    from dse.terminal import closing_words, front_table, out, print_json, say

    if as_json:
        print_json(found.result.to_json())
        return
    console = out()
    clock = study.config.device.clock_mhz
    console.print(front_table(found.result, clock, study.device, width=console.width))
    if found.result.is_measured:
        for words in closing_words(found.result, study.device):
            say(words)


if __name__ == "__main__":
    main()
