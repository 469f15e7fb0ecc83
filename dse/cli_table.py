"""The options of `bitfront front --problem`, and what it prints; see `dse.cli`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dse.errors import InfeasibleError, StudyError

if TYPE_CHECKING:
    from rich.table import Table

    from dse.solve.result import Front

ProblemFile = Annotated[
    Path | None, typer.Option(help="JSON table of layers, options, caps and couplings (gzip is read too) to solve")
]
Objectives = Annotated[str, typer.Option(help="with --problem: attributes to minimise, joined by commas")]
NoCaps = Annotated[bool, typer.Option("--no-caps", help="with --problem: leave out its caps")]
Gap = Annotated[float, typer.Option(help="with --problem: share of the front that may be missing, 0 for nothing")]
TimeLimit = Annotated[float, typer.Option(help="with --problem: seconds, after which what is proven is printed")]
MaxPoints = Annotated[int | None, typer.Option(help="with --problem: print at most so many points")]
MethodName = Annotated[str, typer.Option(help="with --problem: auto, dp, milp or hull")]
Verify = Annotated[int, typer.Option(min=0, help="with --problem: solve so many points again with HiGHS")]

SHOWN = 40
"""Points in the printed table; --json and --max-points are for more and for fewer."""


def solve_table(
    path: Path,
    *,
    objectives: str,
    caps: dict[str, int] | None,
    gap: float,
    time_limit: float,
    max_points: int | None,
    method: str,
) -> Front:
    """The front of a table in a file.

    Raises:
        StudyError: Bad input; its text says what is wrong and where.
    """
    from dse.solve import optimise
    from dse.solve.problem_files import read_problem

    names = [name.strip() for name in objectives.split(",") if name.strip()]
    if not names:
        raise StudyError("--problem needs --objectives: attributes of the table joined by commas, as in cycles,loss")
    try:
        found = optimise(
            read_problem(path, names),
            caps=caps,
            gap=gap,
            time_limit_seconds=time_limit,
            max_points=max_points,
            method=method,
        )
    except ValueError as error:
        raise StudyError(str(error)) from error
    if found.infeasibility is not None and found.infeasibility.couplings_clash:
        raise StudyError(f"{path}: {found.infeasibility}")
    return found


def print_table_front(front: Front, *, verify: int, as_json: bool) -> None:
    """Print a front; exit code 1 if there is none, or if another solver disagrees.

    Raises:
        InfeasibleError: No design meets the caps.
    """
    from dse.solve.problem_files import front_as_json
    from dse.terminal import out, say

    checked = front.verify(verify) if verify and len(front.points) else None
    if as_json:
        import json

        content = front_as_json(front)
        if checked is not None:
            content["verified"] = {"points": checked.checked, "disagreements": list(checked.disagreements)}
        sys.stdout.write(json.dumps(content) + "\n")
    if front.infeasibility is not None:
        raise InfeasibleError(str(front.infeasibility))
    if not as_json:
        out().print(_points_table(front))
        say(describe(front))
        if checked is not None:
            say(f"HiGHS agrees on {checked.checked} points" if checked.agrees else "HiGHS disagrees:")
            for words in checked.disagreements:
                say(words)
    if checked is not None and not checked.agrees:
        raise typer.Exit(1)


def describe(front: Front) -> str:
    """What is proven about a front, in a sentence."""
    count = f"{len(front.points)} points in {front.seconds:.3f} s ({front.method})"
    if front.complete:
        return f"{count}: complete, one design of every nondominated vector"
    if front.gap is None:
        return f"{count}: {front.why_incomplete}"
    meaning = {
        "hypervolume": f"at most {front.gap:.3%} of the hypervolume is missing",
        "coverage": f"every design is matched but for at most {front.gap:.3%} of the range of {front.gap_objective}",
        "shortfall": f"every design is matched but for at most {front.gap:g} of {front.gap_objective}",
    }.get(front.gap_kind.value, "nothing is proven about the rest")
    where = "" if front.box_is_proven else "; the ends of the front are not proven"
    return f"{count}: {meaning}{where}; {front.why_incomplete}"


def _points_table(front: Front) -> Table:
    from dse.terminal import table

    shown = front.subset(SHOWN)
    title = "Pareto front" if len(front.points) <= SHOWN else f"Pareto front: {SHOWN} of {len(front.points)} points"
    result = table(title, dict.fromkeys([*front.objectives], "right") | {"options": "left"})
    for point in shown.points:
        values = [str(point.objectives[name]) for name in front.objectives]
        result.add_row(*values, " ".join(map(str, point.selection)))
    return result
