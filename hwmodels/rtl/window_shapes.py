"""Sliding windows over a stream of positions: which it needs, when it lets them go, and how many a buffer must hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a window.

    Attributes:
        size: positions of the input.
        kernel: taps.
        stride: positions from a window to the next.
        before: padding in front.
        after: padding behind.
    """

    size: int
    kernel: int = 1
    stride: int = 1
    before: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        if min(self.size, self.kernel, self.stride) < 1 or min(self.before, self.after) < 0:
            raise ValueError(f"sizes, kernels and strides of windows are at least 1, padding at least 0, got {self}")
        if max(self.before, self.after) >= self.kernel:
            raise ValueError(f"padding {max(self.before, self.after)} is not below kernel {self.kernel}: use less")
        if self.size + self.before + self.after < self.kernel:
            raise ValueError(f"kernel {self.kernel} is wider than the padded input of {self.size}: use a smaller one")

    @property
    def windows(self) -> int:
        """Positions of the output."""
        return (self.size + self.before + self.after - self.kernel) // self.stride + 1

    @property
    def first(self) -> NDArray[np.int64]:
        """By window, the first input position it reads."""
        return np.maximum(np.arange(self.windows) * self.stride - self.before, 0)

    @property
    def last(self) -> NDArray[np.int64]:
        """By window, the last input position it reads."""
        ends = np.arange(self.windows) * self.stride - self.before + self.kernel - 1
        return np.minimum(ends, self.size - 1)

    def outside(self) -> list[tuple[int, int, int]]:
        """Taps that lie in the padding for some windows: tap, and the first and last window for which they lie inside.

        >>> Axis(size=8, kernel=3, before=1, after=1).outside()
        [(0, 1, 7), (2, 0, 6)]
        """
        return list(_outside(self))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowShape:
    """Windows over rows and columns; the columns of a row arrive one after the other.

    Compared by identity, which makes it a quick key: `window_of` gives equal windows the same object.
    """

    rows: Axis
    columns: Axis

    @property
    def positions(self) -> int:
        """Of the input."""
        return self.rows.size * self.columns.size

    @property
    def windows(self) -> int:
        """Positions of the output."""
        return self.rows.windows * self.columns.windows

    @property
    def taps(self) -> int:
        """Of a window."""
        return self.rows.kernel * self.columns.kernel

    @property
    def needed(self) -> NDArray[np.int64]:
        """By window, positions that have arrived when it is whole: shape (windows,)."""
        return (self.rows.last[:, None] * self.columns.size + self.columns.last[None, :] + 1).reshape(-1)

    @property
    def first_needed(self) -> int:
        """Positions that have arrived when the first window is whole."""
        ends = [min(axis.kernel - 1 - axis.before, axis.size - 1) for axis in (self.rows, self.columns)]
        return ends[0] * self.columns.size + ends[1] + 1

    @property
    def most_ahead(self) -> int:
        """The most positions a window lets go of that have not arrived when it is whole; 0 or below for none."""
        return _most_ahead(self)

    @property
    def kept_from(self) -> NDArray[np.int64]:
        """By window, the first position that it or a later one reads, shape (windows,); what lies before is let go."""
        first = (self.rows.first[:, None] * self.columns.size + self.columns.first[None, :]).reshape(-1)
        return np.minimum.accumulate(first[::-1])[::-1]

    def buffer_positions(self, window_cycles: int, position_cycles: int) -> int:
        """Positions a buffer must hold so that neither side ever waits for it.

        A window takes ``window_cycles``, a position arrives in ``position_cycles``; the slower of the two sides sets
        the pace.

        >>> WindowShape(rows=Axis(size=8, kernel=3, before=1, after=1), columns=Axis(size=8, kernel=3, before=1,
        ...     after=1)).buffer_positions(9, 1)
        20
        """
        return _buffer_positions(self, window_cycles, position_cycles)


@lru_cache(maxsize=1 << 12)
def window_of(rows: tuple[int, int, int, int, int], columns: tuple[int, int, int, int, int]) -> WindowShape:
    """The window of two axes, each given by size, kernel, stride and the padding in front and behind."""
    axes = [
        Axis(size=size, kernel=kernel, stride=stride, before=before, after=after)
        for size, kernel, stride, before, after in (rows, columns)
    ]
    return WindowShape(rows=axes[0], columns=axes[1])


def runs(values: Sequence[Value]) -> list[tuple[int, Value]]:
    """A sequence as runs of equal values: the index behind each run, and its value.

    >>> runs([0, 1, 1, 1])
    [(1, 0), (4, 1)]
    """
    ends = [index + 1 for index, (one, other) in enumerate(pairwise(values)) if one != other]
    return [(end, values[end - 1]) for end in (*ends, len(values))]


@lru_cache(maxsize=1 << 12)
def _outside(axis: Axis) -> tuple[tuple[int, int, int], ...]:
    found = []
    for tap in range(axis.kernel):
        # The windows for which 0 <= window * stride - before + tap < size.
        first = max(-(-(axis.before - tap) // axis.stride), 0)
        last = min((axis.size - 1 + axis.before - tap) // axis.stride, axis.windows - 1)
        if first > last:
            found.append((tap, axis.windows, -1))
        elif (first, last) != (0, axis.windows - 1):
            found.append((tap, first, last))
    return tuple(found)


@lru_cache(maxsize=1 << 12)
def _most_ahead(shape: WindowShape) -> int:
    return int((np.append(shape.kept_from[1:], shape.positions) - shape.needed).max())


@lru_cache(maxsize=1 << 12)
def _edges(shape: WindowShape) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Windows that decide what a buffer holds: their order, positions needed and kept from, of two samples.

    Rows of windows between those that touch the padding are alike but for an offset that grows with the row, so what
    any two of them ask for is asked for by two of the first or last of them.
    """
    rows, across = shape.rows, shape.columns.windows
    ends = [index for index, (one, other) in enumerate(pairwise(np.diff(rows.last).tolist())) if one != other]
    ends += [index for index, (one, other) in enumerate(pairwise(np.diff(rows.first).tolist())) if one != other]
    near = {row for end in (*ends, 0, rows.windows - 1) for row in range(end - 2, end + 5)}
    kept = np.array(sorted(row for row in near if 0 <= row < rows.windows))
    index = (kept[:, None] * across + np.arange(across)[None, :]).reshape(-1)
    # Two samples: what holds at the change from one to the next holds at every later one.
    sample = np.arange(2)[:, None]
    order = (index + sample * shape.windows).reshape(-1)
    needed = (shape.needed[index] + sample * shape.positions).reshape(-1)
    before = (shape.kept_from[index] + sample * shape.positions).reshape(-1)
    # What was kept when the window before was read: of the very first, nothing had been let go.
    earlier = (np.append(0, shape.kept_from[:-1])[index] + sample * shape.positions).reshape(-1)
    earlier[index.size] = shape.kept_from[-1]
    return order, needed, np.stack([before, earlier])


@lru_cache(maxsize=1 << 14)
def _buffer_positions(shape: WindowShape, window_cycles: int, position_cycles: int) -> int:
    order, needed, (before, earlier) = _edges(shape)
    least = int((needed - before).max())
    if shape.windows * window_cycles >= shape.positions * position_cycles:
        # Windows follow each other without a gap. What was free before window i - 1 ended is full by then; from there
        # on the writer has until window j starts to write the rest of what that one needs.
        late = np.maximum.accumulate(order * window_cycles - earlier * position_cycles)
        most = int((needed * position_cycles - order * window_cycles + late).max())
        return max(least, -(-most // position_cycles))
    # Positions follow each other without a gap: until window j is done, only what was free before it can be written.
    starts = order * window_cycles + np.maximum.accumulate(needed * position_cycles - order * window_cycles)
    arrived = -(-(starts + window_cycles) // position_cycles)
    return max(least, int((arrived - before).max()))
