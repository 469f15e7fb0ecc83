"""`bitfront characterise`: runs the plan of measurements, or checks that committed ones still come out the same."""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dse.errors import StudyError
from dse.progress import progress_bar
from hwmodels.rtl.families import FAMILIES
from hwmodels.synthesis.characterise import characterise, missing, rows_path
from hwmodels.synthesis.drift import choose_rows, measure_again
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.flows import FLOWS, missing_tools
from hwmodels.synthesis.measurements import RowsError, read_rows
from hwmodels.synthesis.plan import DEFAULT_PLAN, PlanError, read_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hwmodels.synthesis.drift import Drift
    from hwmodels.synthesis.measurements import Measurement
    from hwmodels.synthesis.plan import Experiment

OWN_ROWS: Final = Path("characterised")
"""Folder of a user's own rows, unless another one is given."""
LOCK: Final = ".characterise.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySummary:
    """What a flow found of the units of one family.

    Attributes:
        flow: name of the flow.
        family: of units.
        measured: units this run measured.
        known_before: units that had a row already.
        failed: of all these units, those a tool failed on.
        timed_out: of all these units, those that took too long.
        cpu_seconds: processor time of all these rows.
    """

    flow: str
    family: str
    measured: int
    known_before: int
    failed: int
    timed_out: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Characterisation:
    """How a run went.

    Attributes:
        rows: folder of the rows.
        families: by flow and family, in the order of the plan.
        skipped: by flow that could not run, which package gives its tools.
        seconds: elapsed.
    """

    rows: Path
    families: tuple[FamilySummary, ...]
    skipped: Mapping[str, str]
    seconds: float

    @property
    def nothing_measured(self) -> bool:
        """Whether the plan asks for rows none of which is there: no tool, or all units failed."""
        good = sum(one.measured + one.known_before - one.failed - one.timed_out for one in self.families)
        return good == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftCheck:
    """Committed rows measured again.

    Attributes:
        checked: every row, with what has changed.
        skipped: by flow that could not run, which package gives its tools.
        seconds: elapsed.
    """

    checked: tuple[Drift, ...]
    skipped: Mapping[str, str]
    seconds: float

    @property
    def drifted(self) -> tuple[Drift, ...]:
        """The rows that came out differently."""
        return tuple(one for one in self.checked if one.differences)


def run_plan(
    *,
    plan: Path = DEFAULT_PLAN,
    rows: Path = OWN_ROWS,
    flows: Sequence[str] = (),
    families: Sequence[str] = (),
    jobs: int | None = 1,
) -> Characterisation:
    """Measure what the plan asks for and the folder lacks; rows are on disk as soon as they are counted.

    Args:
        plan: TOML file, see `hwmodels.synthesis.plan.read_plan`.
        rows: folder of the rows, made if needed.
        flows: only these; all if empty.
        families: only these; all if empty.
        jobs: batches at once; None takes every core.

    Raises:
        StudyError: if the plan or a file of rows cannot be read, a name is unknown, nothing of the plan is left, or
            another process measures into the same folder.
    """
    started = time.perf_counter()
    _check_names("flow", flows, FLOWS)
    _check_names("family", families, FAMILIES)
    wanted = _experiments(plan, flows, families)
    skipped = missing_tools([FLOWS[name] for name in dict.fromkeys(one.flow for one in wanted)])
    possible = [one for one in wanted if one.flow not in skipped]
    try:
        with _alone(rows):
            fresh = _measure(possible, rows, jobs or len(os.sched_getaffinity(0)))
            summaries = _summaries(possible, rows, fresh)
    except RowsError as error:
        raise StudyError(str(error)) from error
    return Characterisation(rows=rows, families=summaries, skipped=skipped, seconds=time.perf_counter() - started)


def check_drift(*, rows: Path, count: int, flows: Sequence[str] = (), families: Sequence[str] = ()) -> DriftCheck:
    """Measure some rows of a folder again, the same ones each time, and compare them exactly.

    Args:
        rows: folder of the rows.
        count: rows of each flow.
        flows: only these; all that have rows if empty.
        families: only these; all if empty.

    Raises:
        StudyError: if the folder has no such rows, they cannot be read, or a name is unknown.
    """
    started = time.perf_counter()
    _check_names("flow", flows, FLOWS)
    chosen = {}
    for name in flows or FLOWS:
        try:
            own = [row for row in read_rows(rows_path(rows, name)) if not families or row.family in families]
            picked = choose_rows(own, count)
        except ValueError as error:  # RowsError among them
            raise StudyError(str(error)) from error
        if picked:
            chosen[name] = picked
    if not chosen:
        asked = [f" of flow {', '.join(flows)}"] if flows else []
        asked += [f" of family {', '.join(families)}"] if families else []
        raise StudyError(f"folder {rows} has no measured rows{''.join(asked)}: name another one with --rows")
    skipped = missing_tools([FLOWS[name] for name in chosen])
    checked: list[Drift] = []
    with progress_bar() as bar:
        task = bar.add_task("drift check", total=sum(len(chosen[name]) for name in chosen if name not in skipped))
        for name, picked in chosen.items():
            if name in skipped:
                continue
            flow = FLOWS[name]
            for first in range(0, len(picked), flow.batch_size):
                checked += measure_again(flow, picked[first : first + flow.batch_size])
                bar.update(task, completed=len(checked))
    return DriftCheck(checked=tuple(checked), skipped=skipped, seconds=time.perf_counter() - started)


def _check_names(what: str, names: Iterable[str], known: Mapping[str, object]) -> None:
    for name in names:
        if name not in known:
            raise StudyError(f"there is no {what} {name!r}: use {', '.join(known)}")


def _experiments(plan: Path, flows: Sequence[str], families: Sequence[str]) -> list[Experiment]:
    try:
        every = read_plan(plan, flows=tuple(FLOWS))
    except PlanError as error:
        raise StudyError(str(error)) from error
    wanted = [
        one for one in every if (not flows or one.flow in flows) and (not families or one.unit.family in families)
    ]
    if not wanted:
        pairs = dict.fromkeys(f"{one.unit.family} by {one.flow}" for one in every)
        raise StudyError(f"plan {plan} has no such experiments: it has {', '.join(pairs) or 'none at all'}")
    return wanted


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder of rows; it is released when this process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    except OSError as error:
        raise StudyError(f"folder {folder} is not writable ({error.strerror}): name another one with --rows") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StudyError(
                f"another process measures into {folder}: wait for it, or name another folder with --rows"
            ) from error
        yield


def _measure(wanted: Sequence[Experiment], folder: Path, jobs: int) -> list[tuple[str, Measurement]]:
    if not wanted:
        return []
    fresh: list[tuple[str, Measurement]] = []
    with progress_bar() as bar:
        # Units of a flow that has all its rows count from the start, so that a resumed bar begins where it stopped.
        left = sum(map(len, missing(wanted, FLOWS, folder).values()))
        task = bar.add_task("synthesis", total=len(wanted), completed=len(wanted) - left)
        for step in characterise(wanted, FLOWS, folder, jobs=jobs):
            fresh += [(step.flow, row) for row in step.newest]
            bar.update(task, advance=len(step.newest), description=f"{step.flow} {step.newest[-1].family}")
    return fresh


def _summaries(
    wanted: Sequence[Experiment], folder: Path, fresh: Sequence[tuple[str, Measurement]]
) -> tuple[FamilySummary, ...]:
    new = {(flow, row.key) for flow, row in fresh}
    groups: dict[tuple[str, str], list[Experiment]] = defaultdict(list)
    for one in wanted:
        groups[one.flow, one.unit.family].append(one)
    rows = {name: {row.key: row for row in read_rows(rows_path(folder, name))} for name in {flow for flow, _ in groups}}
    found = []
    for (flow, family), own in groups.items():
        tool = FLOWS[flow].tool()
        kept = [rows[flow][one.unit.fingerprint, tool] for one in own]
        statuses = Counter(row.status for row in kept)
        measured = sum((flow, row.key) in new for row in kept)
        found.append(
            FamilySummary(
                flow=flow,
                family=family,
                measured=measured,
                known_before=len(kept) - measured,
                failed=statuses[Status.FAILED],
                timed_out=statuses[Status.TIMEOUT],
                cpu_seconds=sum(row.seconds for row in kept),
            )
        )
    return tuple(found)
