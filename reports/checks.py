"""Checks of the data frames that come in: their columns, and what the cells hold."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping


class Content(Enum):
    """What a column of a frame holds."""

    TEXT = "text"
    AMOUNT = "finite numbers of at least 0"
    LOSS = "finite numbers"
    FRACTION = "fractions from 0 to 1, or NaN where nothing was measured"
    POSITION = "whole numbers"
    OPTIONAL_NUMBER = "numbers, or NaN"
    FLAG = "True or False"


class ReportDataError(ValueError):
    """The frames given do not make a report."""


def listed(items: Iterable[object]) -> str:
    """The first five of some items and how many more there are, for an error."""
    shown = [repr(item) for item in items]
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


def checked(
    name: str, frame: pd.DataFrame, columns: Mapping[str, Content], *, not_of_float: Container[str] = ()
) -> pd.DataFrame:
    """A copy of a frame with these columns first, in this order.

    Args:
        name: what errors call it, such as "ReportData.designs".
        frame: what came in; further columns stay.
        columns: what it must have, and what their cells hold.
        not_of_float: columns whose cells are ignored in rows of the kind "float".

    Raises:
        ReportDataError: naming frame and column, what was found and what is allowed.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ReportDataError(
            f"{name} lacks the columns {listed(missing)}; it has {listed(frame.columns)}. "
            f"Needed are {', '.join(columns)}"
        )
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise ReportDataError(f"{name} has the columns {listed(repeated)} more than once: keep one of each")
    ordered = frame[[*columns, *(column for column in frame.columns if column not in columns)]].reset_index(drop=True)
    for column, content in columns.items():
        wrong = _wrong(ordered[column], content)
        if column in not_of_float:
            wrong &= ordered["kind"] != "float"
        if wrong.any():
            row = ordered[wrong].iloc[0]
            which = f" of design {row['design']!r}" if "design" in columns and column != "design" else ""
            raise ReportDataError(
                f"{name} column {column!r}{which} holds {row[column]!r}; "
                f"allowed are {content.value} ({int(wrong.sum())} of {len(ordered)} rows are wrong)"
            )
    return ordered


def _wrong(column: pd.Series, content: Content) -> pd.Series:
    """A mask of the cells that are not what the column promises."""
    if content is Content.TEXT:
        return ~column.map(lambda cell: isinstance(cell, str)).astype(bool)
    if content is Content.FLAG:
        return ~column.map(lambda cell: isinstance(cell, bool | np.bool_)).astype(bool)
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    unreadable = numbers.isna() & column.notna()
    match content:
        case Content.OPTIONAL_NUMBER:
            return unreadable
        case Content.FRACTION:
            return unreadable | (numbers < 0) | (numbers > 1)
        case Content.AMOUNT:
            return ~numbers.between(0, np.inf, inclusive="left")
        case Content.POSITION:
            return numbers.isna() | (numbers % 1 != 0)
        case _:
            return ~numbers.between(-np.inf, np.inf, inclusive="neither")
