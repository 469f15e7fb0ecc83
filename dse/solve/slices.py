"""Bookkeeping of the epsilon search: what is proven, below each threshold, about every value of the swept objective."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

LOWEST = -(2**60)
HIGHEST = 2**60
"""Stand for no bound; every objective value lies strictly between (values are below 2**53)."""

LOG_RESOLUTION = 1024
"""Logarithmic scales are so down to this fraction of the range, linear below: losses span decades, and the designs
worth having are those near the smallest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """For every bound from ``low`` to ``high`` on the swept objective the optimum of the primary one is the same.

    Attributes:
        low: Value of the swept objective at that optimum (LOWEST when infeasible).
        high: Largest bound for which this is known.
        primary: The optimum, None when no design exists.
    """

    low: int
    high: int
    primary: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Bounds ``low`` to ``high`` on the swept objective about which nothing is known yet.

    Attributes:
        low: Smallest bound of the gap.
        high: Largest bound of the gap.
        below: Optimum of the primary objective just below the gap; None when infeasible there.
        above: Optimum just above it.
        misses: How many solves in here came back with what lies below.
    """

    low: int
    high: int
    below: int | None
    above: int
    misses: int


@dataclass(slots=True, kw_only=True)
class Slice:
    """All designs whose sliced objective is at most ``level`` (HIGHEST: no such objective), seen in two dimensions.

    Attributes:
        level: Threshold of the slice.
        tight: Each record's optimum has the smallest swept value among those of the same primary one.
        records: What is known, ascending and disjoint.
        misses: Between which two records how many solves found only the lower one again.
        abandoned: Bounds at which the solver ran out of time; their gaps stay open but are not searched again.
    """

    level: int
    tight: bool
    records: list[Record] = field(default_factory=list)
    abandoned: list[int] = field(default_factory=list)
    misses: Counter[tuple[int, int]] = field(default_factory=Counter)

    def known(self, bound: int) -> bool:
        """Whether the optimum for ``bound`` on the swept objective is known."""
        return any(record.low <= bound <= record.high for record in self.records)

    def add(self, new: Record) -> None:
        """Add what a solve proved; records of the same optimum become one."""
        same = [r for r in self.records if r.low == new.low]
        merged = Record(low=new.low, high=max([new.high, *(r.high for r in same)]), primary=new.primary)
        others = [r for r in self.records if r.low != new.low]
        above = min((r.low for r in others if r.low > new.low), default=HIGHEST)
        if any(r.high < new.high < above for r in same):
            self.misses[new.low, above] += 1
        self.records = sorted([*others, merged], key=lambda record: record.low)

    def gaps(self) -> list[Gap]:
        """Gaps that may hold a nondominated pair of values, ascending; none before the first record.

        A pair inside is better than ``below`` in the primary objective. It is worse than ``above`` if that optimum is
        tight, so that between two tight ones that differ by one there is nothing.
        """
        found = []
        for left, right in zip(self.records, self.records[1:], strict=False):
            low, high = left.high + 1, right.low - 1
            if low > high or right.primary is None:
                continue
            if left.primary is None or left.primary > right.primary + self.tight:
                found.append(
                    Gap(
                        low=low,
                        high=high,
                        below=left.primary,
                        above=right.primary,
                        misses=self.misses[left.low, right.low],
                    )
                )
        return found

    def searchable(self, gap: Gap) -> bool:
        """Whether the solver has not already run out of time in the gap."""
        return not any(gap.low <= bound <= gap.high for bound in self.abandoned)


_PATIENCE = 3
"""Infeasible bounds tried in a gap before its upper end: the smallest feasible one is best found by halving."""


class Spacing(Enum):
    """How values of an objective are laid out when points are spread over its range."""

    LINEAR = "linear"
    LOGARITHMIC = "logarithmic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps the values of one objective to 0 (smallest on the front) up to 1 (largest).

    Attributes:
        low: Smallest value.
        extent: Range, at least 1.
        spacing: Logarithmic scales are linear below ``extent / 1024``.
    """

    low: int = 0
    extent: int = 1
    spacing: Spacing = Spacing.LINEAR

    @classmethod
    def over(cls, low: int, high: int, spacing: Spacing) -> Scale:
        """The scale from ``low`` to ``high``."""
        return cls(low=low, extent=max(1, high - low), spacing=spacing)

    def position(self, value: int) -> float:
        """Place of a value; 0 for anything below the smallest."""
        share = max(0, value - self.low) / self.extent
        if self.spacing is Spacing.LINEAR:
            return share
        return math.log2(1 + share * LOG_RESOLUTION) / math.log2(1 + LOG_RESOLUTION)

    def value(self, position: float) -> int:
        """The largest integer at or before a place."""
        if self.spacing is Spacing.LOGARITHMIC:
            position = (2 ** (position * math.log2(1 + LOG_RESOLUTION)) - 1) / LOG_RESOLUTION
        return self.low + math.floor(position * self.extent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Measures gaps, so that the largest is halved next and the points end up spread over the front."""

    swept: Scale = Scale()
    primary: Scale = Scale()

    def size(self, gap: Gap) -> float:
        """Area of the gap with both sides on a scale from 0 to 1: the most that points in it could still gain."""
        below = 1.0 if gap.below is None else self.primary.position(gap.below)
        height = below - self.primary.position(gap.above)
        return (self.swept.position(gap.high + 1) - self.swept.position(gap.low - 1)) * height

    def middle(self, gap: Gap) -> int:
        """The bound that halves the gap on the swept scale; its upper end once halving only found what lies below.

        From the upper end every solve finds a new point or closes the gap, so that an empty gap is closed soon.
        """
        if gap.misses >= (_PATIENCE if gap.below is None else 1):
            return gap.high
        position = (self.swept.position(gap.low) + self.swept.position(gap.high)) / 2
        return min(max(self.swept.value(position), gap.low), gap.high)
