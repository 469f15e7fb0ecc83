"""Runs a plan: batches through the flows, rows written as they come, resumed where a killed run stopped."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwmodels.synthesis.flow import Outcome, Status
from hwmodels.synthesis.measurements import Measurement, append_rows, read_rows
from hwmodels.synthesis.tools import ToolFailedError, ToolTimeoutError, metered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hwmodels.synthesis.flow import Flow
    from hwmodels.synthesis.plan import Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """After each batch: rows written so far, rows the run will write, and the newest rows."""

    done: int
    total: int
    flow: str
    newest: tuple[Measurement, ...]


def rows_path(folder: Path, flow: str) -> Path:
    """The file of rows of a flow."""
    return folder / f"{flow}.csv"


def missing(experiments: Iterable[Experiment], flows: Mapping[str, Flow], folder: Path) -> dict[str, list[Experiment]]:
    """By flow, the experiments that have no row made by this tool from this Verilog.

    Raises:
        hwmodels.synthesis.tools.MissingToolError: if a tool is not installed.
        hwmodels.synthesis.measurements.RowsError: if a file of rows cannot be read.
    """
    by_flow: dict[str, list[Experiment]] = defaultdict(list)
    for experiment in experiments:
        by_flow[experiment.flow].append(experiment)
    found = {}
    for name, wanted in by_flow.items():
        tool = flows[name].tool()
        have = {row.key for row in read_rows(rows_path(folder, name))}
        found[name] = [experiment for experiment in wanted if (experiment.unit.fingerprint, tool) not in have]
    return found


def characterise(
    experiments: Iterable[Experiment], flows: Mapping[str, Flow], folder: Path, *, jobs: int = 1
) -> Iterator[Progress]:
    """Measure what has no row yet; rows are on disk when their `Progress` is yielded.

    A batch that fails is repeated unit by unit, so that one bad unit costs no other its row. What fails alone is
    recorded as failed or timed out, without values.

    Args:
        experiments: of a plan.
        flows: by name, all those of the experiments.
        folder: of the rows.
        jobs: batches at once. With one, rows come in the order of the plan; with more, as batches end.

    Raises:
        hwmodels.synthesis.tools.MissingToolError: if a tool is not installed.
        hwmodels.synthesis.measurements.RowsError: if a file of rows cannot be read or has other columns.
    """
    todo = missing(experiments, flows, folder)
    total, done = sum(len(wanted) for wanted in todo.values()), 0
    batches = [
        (flows[name], batch) for name, wanted in todo.items() for batch in _batches(wanted, flows[name].batch_size)
    ]
    for flow, rows in _measured(batches, jobs):
        append_rows(rows_path(folder, flow.name), flow.columns, rows)
        done += len(rows)
        yield Progress(done=done, total=total, flow=flow.name, newest=tuple(rows))


def _measured(
    batches: Sequence[tuple[Flow, Sequence[Experiment]]], jobs: int
) -> Iterator[tuple[Flow, list[Measurement]]]:
    """The rows of each batch, by so many threads: the work itself is done by the tools' own processes."""
    if jobs == 1:
        yield from ((flow, measure_batch(flow, batch)) for flow, batch in batches)
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        running = {pool.submit(measure_batch, flow, batch): flow for flow, batch in batches}
        for ended in as_completed(running):
            yield running[ended], ended.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(wanted: Sequence[Experiment], size: int) -> Iterator[Sequence[Experiment]]:
    """Neighbours of the plan together; a unit with a long time limit is alone in its batch's time."""
    for first in range(0, len(wanted), size):
        yield wanted[first : first + size]


def measure_batch(flow: Flow, batch: Sequence[Experiment]) -> list[Measurement]:
    """Measure units side by side; what fails is repeated alone, and then is a row without values."""
    tool, started = flow.tool(), time.thread_time()
    with metered() as meter:
        outcomes = _outcomes(flow, batch)
    seconds = (meter.seconds + time.thread_time() - started) / len(batch)
    return [
        Measurement(
            family=experiment.unit.family,
            parameters=experiment.unit.parameters,
            status=outcome.status,
            values=outcome.values,
            rtl=experiment.unit.fingerprint,
            seconds=seconds,
            tool=tool,
            message=outcome.message,
        )
        for experiment, outcome in zip(batch, outcomes, strict=True)
    ]


def _outcomes(flow: Flow, batch: Sequence[Experiment]) -> list[Outcome]:
    try:
        with tempfile.TemporaryDirectory() as folder:
            limit = sum(experiment.seconds for experiment in batch)
            values = flow.measure([experiment.unit for experiment in batch], Path(folder), limit)
        return [Outcome(status=Status.OK, values=found) for found in values]
    except (ToolFailedError, ToolTimeoutError) as error:
        if len(batch) > 1:
            return [outcome for experiment in batch for outcome in _outcomes(flow, [experiment])]
        status = Status.TIMEOUT if isinstance(error, ToolTimeoutError) else Status.FAILED
        return [Outcome(status=status, message=str(error))]
