"""`bitfront export` and `bitfront verify`: their arguments, and what they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.errors import StudyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse.exports.verification import Verdict

StudyFolder = Annotated[Path, typer.Argument(help="study folder (with study.toml)", show_default=False)]
ExportFolder = Annotated[Path | None, typer.Option("--folder", help="where to [default: exports/POINT in the study]")]
Exported = Annotated[Path, typer.Argument(help="folder that `bitfront export` wrote", show_default=False)]


def export(
    study_folder: StudyFolder,
    *,
    point: Annotated[str, typer.Option(help="the design, as the front lists it: d07, or 7")],
    to: Annotated[
        str,
        typer.Option(
            help="targets joined by commas: hls, hls4ml, qonnx, finn, rtl, or your own as package.module:name; without "
            "any, the parameters alone"
        ),
    ] = "",
    folder: ExportFolder = None,
    force: Annotated[bool, typer.Option("--force", help="replace an earlier export in that folder")] = False,
) -> None:
    """Write a design as integers with vectors that check it, and translate it into projects for other tools."""
    from dse.exports.folders import OnExisting
    from dse.study import Study
    from dse.terminal import relative, say

    with Study.open(study_folder) as study:
        exported = study.export(
            point,
            folder,
            to=[name for name in map(str.strip, to.split(",")) if name],
            on_existing=OnExisting.REPLACE if force else OnExisting.REFUSE,
        )
    targets = f" ({', '.join(exported.targets)})" if exported.targets else ""
    say(f"wrote {relative(exported.folder)}{targets}: {exported.files} files, {exported.vectors} vectors")
    say(f"Next: bitfront verify {relative(exported.folder)}")


def verify(
    folder: Exported,
    *,
    target: Annotated[
        list[str] | None, typer.Option(help="also check a target of your own, package.module:name; may be repeated")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="also compute what takes minutes; without it some checks take a part and say so"),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Check that an export computes what it promised: all checks this machine allows; the others are listed.

    Exit code 1 if a check fails; 2 if the folder is no export or was changed, or if nothing of one of its targets can
    be checked here.
    """
    from dse.exports.targets import TARGETS, verify_folder
    from dse.exports.verification import Extent, never_verified, passed
    from dse.terminal import print_json, relative

    own = target or []
    if any(name in TARGETS for name in own):
        raise StudyError(f"--target is for your own: {', '.join(TARGETS)} are checked whenever the export holds them")
    verdicts = verify_folder(folder, own, Extent.ALL if everything else Extent.SOME)
    good = passed(verdicts)
    if as_json:
        checks = [
            {"target": one.target, "check": one.check, "seconds": round(one.seconds, 3), **one.outcome.to_json()}
            for one in verdicts
        ]
        print_json({"passed": good, "checks": checks})
    else:
        _print(f"Checks of {relative(folder)}", verdicts)
    if not good:
        raise typer.Exit(1)
    if missing := never_verified(verdicts):
        why = "; ".join(f"{name}: {text}" for name, text in missing.items())
        raise StudyError(f"nothing of {' and '.join(missing)} could be verified here ({why})")


def _print(title: str, verdicts: Sequence[Verdict]) -> None:
    from collections import Counter

    from rich.text import Text

    from dse.exports.verification import Status
    from dse.terminal import out, say, table

    texts = dict.fromkeys(("target", "check", "verdict", "what was compared, or why not"), "left")
    shown = table(title, {**texts, "seconds": "right"})
    for one in verdicts:
        cells = (one.target, one.check, one.outcome.status.value, one.outcome.text, f"{one.seconds:.1f}")
        shown.add_row(*map(Text, cells))
    out().print(shown)
    for one in verdicts:
        for place in one.outcome.where:
            say(f"{one.target} {one.check}: {place}")
    counts = Counter(one.outcome.status for one in verdicts)
    say(", ".join(f"{counts[status]} {status.value}" for status in Status))
