"""The drift check: a few committed rows measured again, and what has changed since."""

from __future__ import annotations

import hashlib
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hwmodels.rtl.families import unit
from hwmodels.synthesis.characterise import measure_batch
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import stored_value, write_parameters
from hwmodels.synthesis.plan import Experiment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hwmodels.rtl.unit import Unit
    from hwmodels.synthesis.flow import Flow
    from hwmodels.synthesis.measurements import Measurement

SECONDS: Final = 300.0
"""Time limit of one unit: generous, since a slow machine is no drift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One committed row measured again.

    Attributes:
        flow: whose row it is.
        row: as committed.
        differences: what has changed, in words; empty if nothing has.
    """

    flow: str
    row: Measurement
    differences: tuple[str, ...]

    def __str__(self) -> str:
        name = f"{self.flow}: {self.row.family} {write_parameters(self.row.parameters)}"
        return f"{name}: {'; '.join(self.differences) or 'as committed'}"


def choose_rows(rows: Iterable[Measurement], count: int) -> list[Measurement]:
    """Rows to measure again: the same ones for the same rows, one family after the other.

    Only the quicker half of each family is chosen from, so that a check stays short; among those, the order is that of
    a hash, so that widths mix.

    Args:
        rows: of one flow, any families; failed ones are passed over.
        count: rows wanted; all that can be chosen if there are fewer.

    Raises:
        ValueError: if ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"a drift check measures at least 1 row again, got {count}")
    families: dict[str, list[Measurement]] = defaultdict(list)
    for row in rows:
        if row.status is Status.OK:
            families[row.family].append(row)
    queues = [_shuffled(families[family]) for family in sorted(families)]
    longest = max(map(len, queues), default=0)
    turns = [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
    return turns[:count]


def _shuffled(rows: Sequence[Measurement]) -> list[Measurement]:
    quick = statistics.median_low(row.seconds for row in rows)
    return sorted(
        (row for row in rows if row.seconds <= quick),
        key=lambda row: hashlib.sha256(write_parameters(row.parameters).encode()).digest(),
    )


def measure_again(flow: Flow, rows: Sequence[Measurement]) -> list[Drift]:
    """Measure rows again and compare: Verilog, tool and every value, exactly.

    Raises:
        hwmodels.synthesis.tools.MissingToolError: if a tool is not installed.
    """
    units: list[Unit | ValueError] = [_unit(row) for row in rows]
    made = [found for found in units if not isinstance(found, ValueError)]
    fresh: list[Measurement] = []
    for first in range(0, len(made), flow.batch_size):
        batch = made[first : first + flow.batch_size]
        fresh += measure_batch(flow, [Experiment(flow=flow.name, unit=one, seconds=SECONDS) for one in batch])
    again = iter(fresh)
    return [
        Drift(
            flow=flow.name,
            row=row,
            differences=(str(found),) if isinstance(found, ValueError) else _differences(row, next(again)),
        )
        for row, found in zip(rows, units, strict=True)
    ]


def _unit(row: Measurement) -> Unit | ValueError:
    try:
        return unit(row.family, row.parameters)
    except ValueError as error:
        return error


def _differences(row: Measurement, again: Measurement) -> tuple[str, ...]:
    found = []
    if again.status is not Status.OK:
        found.append(f"{again.status.value}: {again.message}")
    for column, value in row.values.items():
        if again.status is Status.OK and stored_value(again.values[column]) != value:
            found.append(f"{column} {value:g} -> {again.values[column]:g}")
    if row.rtl != again.rtl:
        found.append(f"the Verilog has changed ({row.rtl} -> {again.rtl})")
    if row.tool != again.tool:
        found.append(f"the tool has changed ({row.tool} -> {again.tool})")
    return tuple(found)
