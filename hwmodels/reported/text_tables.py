"""Tables drawn with ``+``, ``-`` and ``|``, as Vivado and Vitis HLS write them into text reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_RULE: Final = re.compile(r"^\s*\+[-+]+\+\s*$")
_NUMBER: Final = re.compile(r"\s*(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """One table.

    Attributes:
        columns: headings without spaces around; those of several lines are joined.
        rows: cells as they stand, for their indentation means something.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def records(self) -> Iterator[dict[str, str]]:
        """Rows by heading; of headings that repeat, the first counts."""
        for row in self.rows:
            yield dict(reversed(list(zip(self.columns, row, strict=True))))


def read_tables(lines: Iterable[str]) -> list[TextTable]:
    """All tables of a text: headings stand between the first two rules, rows behind them."""
    found: list[TextTable] = []
    headings: list[list[str]] = []
    rows: list[tuple[str, ...]] = []
    rules = 0

    def close() -> None:
        nonlocal headings, rows, rules
        if headings and rules > 1:
            columns = tuple(" ".join(" ".join(words).split()) for words in zip(*headings, strict=True))
            found.append(TextTable(columns=columns, rows=tuple(row for row in rows if len(row) == len(columns))))
        headings, rows, rules = [], [], 0

    for line in lines:
        text = line.strip()
        if _RULE.match(line):
            rules += 1
        elif rules and text.startswith("|") and text.endswith("|"):
            cells = text[1:-1].split("|")
            if rules == 1 and (not headings or len(headings[0]) == len(cells)):
                headings.append(cells)
            elif rules > 1:
                rows.append(tuple(cells))
        else:
            close()
    close()
    return found


def count(cell: str) -> float:
    """The number a cell begins with; a dash and nothing are 0.

    >>> count(" 2 (~0%)"), count("-"), count(" 788198(45.61%) ")
    (2.0, 0.0, 788198.0)
    """
    found = _NUMBER.match(cell)
    return float(found.group(1)) if found else 0.0


def indentation(cell: str) -> int:
    """Spaces a cell begins with.

    >>> indentation("   inner ")
    3
    """
    return len(cell) - len(cell.lstrip(" "))


def paths(names: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Paths of names that are indented below their parents.

    >>> list(paths([(0, "top"), (2, "a"), (4, "b"), (2, "c")]))
    ['top', 'top/a', 'top/a/b', 'top/c']
    """
    above: list[tuple[int, str]] = []
    for depth, name in names:
        while above and above[-1][0] >= depth:
            above.pop()
        above.append((depth, name))
        yield "/".join(part for _, part in above)
