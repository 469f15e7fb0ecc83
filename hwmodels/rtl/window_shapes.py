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
        found = []
        for tap in range(self.kernel):
            inside = [w for w in range(self.windows) if 0 <= w * self.stride - self.before + tap < self.size]
            if len(inside) < self.windows:
                found.append((tap, inside[0], inside[-1]) if inside else (tap, self.windows, -1))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowShape:
    """Windows over rows and columns; the columns of a row arrive one after the other."""

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


def runs(values: Sequence[Value]) -> list[tuple[int, Value]]:
    """A sequence as runs of equal values: the index behind each run, and its value.

    >>> runs([0, 1, 1, 1])
    [(1, 0), (4, 1)]
    """
    ends = [index + 1 for index, (one, other) in enumerate(pairwise(values)) if one != other]
    return [(end, values[end - 1]) for end in (*ends, len(values))]


@lru_cache(maxsize=1 << 14)
def _buffer_positions(shape: WindowShape, window_cycles: int, position_cycles: int) -> int:
    # Two samples: what holds at the change from one to the next holds at every later one.
    index = np.arange(2)[:, None]
    needed = (shape.needed + index * shape.positions).reshape(-1)
    before = (shape.kept_from + index * shape.positions).reshape(-1)
    order = np.arange(needed.size)
    least = int((needed - before).max())
    if shape.windows * window_cycles >= shape.positions * position_cycles:
        # Windows follow each other without a gap. What was free before window i - 1 ended is full by then; from there
        # on the writer has until window j starts to write the rest of what that one needs.
        earlier = np.append(0, before[:-1])
        late = np.maximum.accumulate(order * window_cycles - earlier * position_cycles)
        most = int((needed * position_cycles - order * window_cycles + late).max())
        return max(least, -(-most // position_cycles))
    # Positions follow each other without a gap: until window j is done, only what was free before it can be written.
    starts = order * window_cycles + np.maximum.accumulate(needed * position_cycles - order * window_cycles)
    arrived = -(-(starts + window_cycles) // position_cycles)
    return max(least, int((arrived - before).max()))
