"""`bitfront front --problem`: its options, the front of a table in a file, and what is printed of it; see `dse.cli`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dse.errors import InfeasibleError, StudyError

if TYPE_CHECKING:
    from rich.table import Table

    from dse.solve.insights import Edit, Gain, ShadowPrice
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
Prices = Annotated[
    bool, typer.Option("--prices", help="with --problem: what caps cost the first objective, and what 10 % more buys")
]
EditOf = Annotated[
    str,
    typer.Option("--edit", help="with --problem: FROM,TO: fewest layers to change to be as good as the other point"),
]

SHOWN = 40
"""Points in the printed table; --json and --max-points are for more and for fewer."""

MORE = 0.1
"""How much a cap grows to see what that buys."""


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

    names = [name.strip() for name in objectives.split(",")]
    if not all(names):
        raise StudyError(
            "--problem needs --objectives: attributes of the table joined by commas, as in cycles,loss; got "
            f"{objectives!r}"
        )
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


def print_table_front(front: Front, *, verify: int, as_json: bool, prices: bool, edit: str, time_limit: float) -> None:
    """Print a front; exit code 1 if there is none, or if another solver disagrees.

    Raises:
        InfeasibleError: No design meets the caps.
        StudyError: An edit between points that the front does not have, prices where there are none.
    """
    from dse.solve.problem_files import front_as_json
    from dse.terminal import out, say

    checked = front.verify(verify) if verify and len(front.points) else None
    costs = _prices_of(front, time_limit) if prices and len(front.points) else None
    change = _edit_of(front, edit, time_limit) if edit and len(front.points) else None
    if as_json:
        content = front_as_json(front)
        if checked is not None:
            content["verified"] = {"points": checked.checked, "disagreements": list(checked.disagreements)}
        if costs is not None:
            content["prices"] = _rows_as_json(*costs)
        if change is not None:
            content["edit"] = {
                "changes": {name: list(options) for name, options in change.changes.items()},
                "design": list(change.selection),
                "proven": change.proven,
            }
        sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")
    if front.infeasibility is not None:
        raise InfeasibleError(f"{front.infeasibility} {nearest_words(front)}".strip())
    if not as_json:
        console = out()
        console.print(_points_table(front, console.width))
        for words in describe(front):
            say(words)
        if costs is not None:
            say("")
            console.print(_prices_table(front, *costs))
        if change is not None:
            say("")
            _print_edit(front, change, edit)
        if checked is not None:
            say(f"HiGHS agrees on {checked.checked} points" if checked.agrees else "HiGHS disagrees:")
            for words in checked.disagreements:
                say(words)
    if checked is not None and not checked.agrees:
        raise typer.Exit(1)


def describe(front: Front) -> list[str]:
    """What was found and what is proven about it, in sentences."""
    lines = [f"{len(front.points)} points in {front.seconds:.3f} s, by {front.method}"]
    if not len(front.points):
        return [*lines, "No design was found in the time allowed, which does not mean that there is none: allow more"]
    if front.complete:
        lines.append("Complete: one design of every nondominated vector is here, and no other such vector exists")
    else:
        lines += [f"Not complete: {front.why_incomplete}", _gap_words(front)]
        if not front.box_is_proven:
            lines.append(
                "Not every objective's least value is proven: better ends of the front may lie outside that box"
            )
    combined = [name for name in front.objectives if front.problem.combines(name).value == "max"]
    if combined:
        lines.append(f"Of {', '.join(combined)} the largest of the layers counts; everything else adds up")
    return lines


def _gap_words(front: Front) -> str:
    """What the gap of an incomplete front says about the designs that are not in it."""
    gap = front.gap
    if gap is None:
        return "Nothing is proven about what is missing"
    first = front.gap_objective
    return {
        "hypervolume": f"Hypervolume gap {gap:.3%}: of the volume that designs can dominate, in the box from the least "
        "values to the worst among the designs that have them, at most this share is missing (a proven bound)",
        "coverage": f"Coverage gap {gap:.3%}: every design is matched by a point no worse in the other objective, and "
        f"in {first} worse by at most this share of its range",
        "shortfall": f"Shortfall {gap:g}: no design has a {first} lower than the best point by more than this",
    }.get(front.gap_kind.value, "Nothing is proven about what is missing")


def nearest_words(front: Front) -> str:
    """The design that meets all caps after the smallest common growth; empty if there is none."""
    from dse.solve.evaluate import evaluate

    nearest = None if front.infeasibility is None else front.infeasibility.nearest
    if nearest is None:
        return ""
    used = evaluate(front.problem, nearest).totals
    takes = ", ".join(f"{cap.resource} {used[cap.resource]} of {cap.limit}" for cap in front.problem.caps)
    return f"The nearest design takes {takes}: options {' '.join(map(str, nearest))}."


def _points_table(front: Front, width: int) -> Table:
    """Some points of the front with their numbers; without their options where these would not fit a line."""
    import numpy as np

    from dse.solve.subset import choose
    from dse.terminal import table

    count = len(front.points)
    title = "Pareto front" if count <= SHOWN else f"Pareto front: {SHOWN} of {count} points, --json has all"
    units = {name: getattr(front.problem.objective(name), "unit", 1.0) for name in front.objectives}
    headings = ["point"]
    for name, unit in units.items():
        headings += [name] if unit == 1.0 else [name, f"{name}\nx {unit:g}"]
    shown = choose(np.array(front.vectors()), SHOWN).tolist() if count else []
    rows = []
    for number in shown:
        point = front.points[number]
        cells = [str(number)]
        for name, unit in units.items():
            value = point.objectives[name]
            cells += [str(value)] if unit == 1.0 else [str(value), f"{value * unit:.4g}"]
        rows.append((cells, " ".join(map(str, point.selection))))
    taken = sum(1 + max(len(line) for line in (*heading.split("\n"), "0" * 10)) for heading in headings)
    fits = all(taken + len(options) < width for _, options in rows)
    options_heading = "option of each layer" if fits else "(options: --json)"
    result = table(title, dict.fromkeys(headings, "right") | {options_heading: "left"})
    for cells, options in rows:
        result.add_row(*cells, options if fits else "")
    return result


def _prices_of(front: Front, time_limit: float) -> tuple[tuple[ShadowPrice, ...], tuple[Gain, ...]]:
    from dse.solve.insights import shadow_prices, what_more_buys

    first = front.objectives[0]
    if not front.problem.caps:
        raise StudyError("--prices needs caps: the problem has none, or --no-caps left them out")
    try:
        prices = shadow_prices(front.problem, first)
    except ValueError as error:
        raise StudyError(f"--prices: {error}; name another objective first") from error
    return prices, what_more_buys(front.problem, first, share=MORE, time_limit_seconds=max(1.0, time_limit))


def _rows_as_json(prices: tuple[ShadowPrice, ...], gains: tuple[Gain, ...]) -> list[dict[str, Any]]:
    bought = {gain.resource: gain for gain in gains}
    rows = []
    for price in prices:
        row: dict[str, Any] = {"cap": price.resource, "limit": price.limit, "price": price.price}
        gain = bought.get(price.resource)
        if gain is not None:
            row |= {"larger": gain.larger, "before": gain.before, "after": gain.after, "proven": gain.proven}
        rows.append(row)
    return rows


def _prices_table(front: Front, prices: tuple[ShadowPrice, ...], gains: tuple[Gain, ...]) -> Table:
    from dse.terminal import table

    first = front.objectives[0]
    headings = ("cap", "limit", "price of\na unit", f"{MORE:.0%} more", f"least {first}", "then", "change")
    result = table(
        f"What caps cost in {first} (prices of the Lagrangian relaxation)",
        {name: "left" if name == "cap" else "right" for name in headings},
    )
    bought = {gain.resource: gain for gain in gains}
    for price in prices:
        cells = [price.resource, str(price.limit), f"{price.price:.4g}"]
        gain = bought.get(price.resource)
        if gain is not None:
            change = gain.after - gain.before
            share = f" ({change / abs(gain.before):+.1%})" if gain.before else ""
            mark = "" if gain.proven else " (not proven)"
            cells += [str(gain.larger), str(gain.before), str(gain.after) + mark, f"{change:+d}{share}"]
        result.add_row(*cells)
    return result


def _edit_of(front: Front, edit: str, time_limit: float) -> Edit:
    from dse.solve.insights import smallest_edit

    last = len(front.points) - 1
    try:
        start, goal = (front.points[_in_range(int(number), last)] for number in edit.split(","))
    except ValueError:
        raise StudyError(
            f"--edit takes two points by number, as in 0,{last}: this front has points 0 to {last}, got {edit!r}"
        ) from None
    found = smallest_edit(front.problem, start.selection, goal.objectives, time_limit_seconds=max(1.0, time_limit))
    if found is None:
        raise StudyError(f"--edit {edit}: no change was found within {max(1.0, time_limit):g} s; allow more time")
    return found


def _in_range(number: int, last: int) -> int:
    if not 0 <= number <= last:
        raise ValueError(number)
    return number


def _print_edit(front: Front, change: Edit, edit: str) -> None:
    from dse.terminal import out, say, table

    start, goal = map(int, edit.split(","))
    count = f"{len(change.changes)} of {len(change.selection)} layers"
    say(f"From point {start} to a design as good as point {goal}: {count} change")
    result = table("Edit", {"layer": "left", "option": "right", "then": "right"})
    for name, (before, after) in change.changes.items():
        result.add_row(name, str(before), str(after))
    out().print(result)
    reached = ", ".join(f"{name} {change.objectives[name]}" for name in front.objectives)
    say(f"It has {reached}; " + ("fewer changes are not enough" if change.proven else "fewer may be enough"))
