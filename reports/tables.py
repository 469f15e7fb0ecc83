"""The designs as a table: CSV for machines, HTML for people."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from reports.data import RESOURCES
from reports.files import replaced_atomically
from reports.frames import (
    DOMINATED,
    FRONT,
    UNIFORM,
    UNKNOWN,
    Formatter,
    amount,
    design_frame,
    joules,
    percentage,
    small,
    times_multiplication,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from reports.data import ReportData


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A number column of the table of designs."""

    field: str
    heading: str
    unit: str
    text: Formatter


COLUMNS: Final = (
    Column(field="predicted_loss", heading="Loss predicted", unit="nats", text=small),
    Column(field="measured_loss", heading="Loss measured", unit="nats", text=small),
    Column(field="validation_accuracy", heading="Accuracy validation", unit="", text=percentage),
    Column(field="test_accuracy", heading="Accuracy test", unit="", text=percentage),
    Column(field="utilisation", heading="Utilisation", unit="of usable", text=percentage),
    Column(field="luts", heading="LUTs", unit="", text=amount),
    Column(field="flip_flops", heading="Flip-flops", unit="", text=amount),
    Column(field="dsps", heading="DSPs", unit="", text=amount),
    Column(field="brams", heading="BRAM36", unit="", text=amount),
    Column(field="gates", heading="Gates", unit="NAND2", text=amount),
    Column(field="interval_cycles", heading="Interval", unit="cycles", text=amount),
    Column(field="latency_cycles", heading="Latency", unit="cycles", text=amount),
    Column(field="frames_per_second", heading="Frames/s", unit="", text=amount),
    Column(field="energy_pj", heading="Energy", unit="a sample", text=joules),
    Column(field="relative_delay", heading="Delay", unit="of int8", text=times_multiplication),
)
"""Of the resources, a device has some: `shown_columns`."""
BOUND: Final = Column(field="bound", heading="Bound", unit="solver's", text=small)

HEADINGS: Final = {
    FRONT: "Front: nondominated by measured loss",
    DOMINATED: "Solved as front designs, dominated when measured",
    UNIFORM: "Uniform designs: the same formats in every layer",
}


def shown_columns(data: ReportData) -> tuple[Column, ...]:
    """The number columns of a report, without those of resources its device does not have."""
    absent = set(RESOURCES) - set(data.resources)
    return (*(column for column in COLUMNS if column.field not in absent), BOUND)


def write_front_csv(data: ReportData, path: Path) -> Path:
    """Write the designs frame as it is: the columns of `DESIGN_COLUMNS` first, floats with all their digits.

    Returns:
        ``path``. Reading it back with ``pandas.read_csv(path, float_precision="round_trip")`` gives equal numbers.

    Raises:
        OSError: if the folder cannot be written.
    """
    with replaced_atomically(path) as stream:
        stream.write(data.designs.to_csv(index=False, lineterminator="\n").encode())
    return path


def designs_table(data: ReportData) -> str:
    """All designs as an HTML table, grouped; each design's name links to ``#design``, which the page selects."""
    designs, columns = design_frame(data), shown_columns(data)
    head = "".join(map(_heading, columns))
    bodies = [
        _body(HEADINGS[group], "".join(_row(row, columns) for _, row in rows.iterrows()), len(columns))
        for group, rows in ((group, designs[designs["group"] == group]) for group in HEADINGS)
        if not rows.empty
    ]
    if (network := data.float_network) is not None:
        bodies.append(_body("The trained network in float32", _float_row(network, columns), len(columns)))
    return (
        '<table class="designs"><thead><tr><th scope="col">Design</th><th scope="col">Formats</th>'
        f'{head}<th scope="col">Solver</th></tr></thead>{"".join(bodies)}</table>'
    )


def facts_table(facts: Mapping[str, str]) -> str:
    """Names and texts as an HTML table of two columns."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in facts.items()
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def _heading(column: Column) -> str:
    unit = f"<small>{escape(column.unit)}</small>" if column.unit else ""
    return f'<th scope="col" class="number">{escape(column.heading)}{unit}</th>'


def _body(heading: str, rows: str, numbers: int) -> str:
    width = numbers + 3
    return f'<tbody><tr class="group"><th colspan="{width}" scope="rowgroup">{escape(heading)}</th></tr>{rows}</tbody>'


def _row(row: pd.Series, columns: Sequence[Column]) -> str:
    design, link = escape(row["design"]), escape(quote(row["design"], safe=""))
    numbers = "".join(f'<td class="number">{escape(column.text(row[column.field]))}</td>' for column in columns)
    return (
        f'<tr data-design="{design}"><th scope="row"><a href="#{link}">{design}</a></th><td>{escape(row["name"])}</td>'
        f"{numbers}<td>{escape(row['status'])}</td></tr>"
    )


def _float_row(row: pd.Series, columns: Sequence[Column]) -> str:
    known = ("validation_accuracy", "test_accuracy")
    numbers = "".join(
        f'<td class="number">{escape(column.text(float(row[column.field]))) if column.field in known else UNKNOWN}</td>'
        for column in columns
    )
    return f'<tr><th scope="row">{escape(row["design"])}</th><td>{escape(row["name"])}</td>{numbers}<td></td></tr>'
