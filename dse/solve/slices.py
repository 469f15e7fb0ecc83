"""Bookkeeping of the epsilon search: what is proven, below each threshold, about every value of the swept objective."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LOWEST = -(2**60)
HIGHEST = 2**60
"""Stand for no bound; every objective value lies strictly between (values are below 2**53)."""

_LOG_RESOLUTION = 1024
"""The swept objective is spread logarithmically down to this fraction of its range, linearly below: losses span
decades, and the designs worth having are those near the smallest."""


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
        below: Optimum of the primary objective just below the gap; None when unknown or infeasible there.
        above: Optimum just above it.
        low_end: No record lies below: the smallest feasible value of the swept objective is not known yet.
    """

    low: int
    high: int
    below: int | None
    above: int
    low_end: bool


@dataclass(slots=True, kw_only=True)
class Slice:
    """All designs whose sliced objective is at most ``level`` (HIGHEST: no such objective), seen in two dimensions.

    Attributes:
        level: Threshold of the slice.
        records: What is known, ascending and disjoint.
        abandoned: Bounds at which the solver ran out of time; their gaps stay open but are not searched again.
    """

    level: int
    records: list[Record] = field(default_factory=list)
    abandoned: list[int] = field(default_factory=list)

    def known(self, bound: int) -> bool:
        """Whether the optimum for ``bound`` on the swept objective is known."""
        return any(record.low <= bound <= record.high for record in self.records)

    def add(self, new: Record) -> None:
        """Add what a solve proved; records of the same optimum become one."""
        same = [r for r in self.records if r.low == new.low]
        merged = Record(low=new.low, high=max([new.high, *(r.high for r in same)]), primary=new.primary)
        others = [r for r in self.records if r.low != new.low]
        self.records = sorted([*others, merged], key=lambda record: record.low)

    def gaps(self) -> list[Gap]:
        """Gaps that may hold a nondominated pair of values, ascending; none before the first record.

        Between an optimum ``below`` and ``above`` that differ by one there is nothing: a pair inside would need a
        primary value strictly above the one and strictly below the other.
        """
        found = []
        if self.records and self.records[0].low > LOWEST:
            first = self.records[0]
            if first.primary is not None:
                gap = Gap(low=LOWEST, high=first.low - 1, below=None, above=first.primary, low_end=True)
                found.append(gap)
        for left, right in zip(self.records, self.records[1:], strict=False):
            low, high = left.high + 1, right.low - 1
            if low > high or right.primary is None:
                continue
            if left.primary is None or left.primary > right.primary + 1:
                found.append(Gap(low=low, high=high, below=left.primary, above=right.primary, low_end=False))
        return found

    def searchable(self, gap: Gap) -> bool:
        """Whether the solver has not already run out of time in the gap."""
        return not any(gap.low <= bound <= gap.high for bound in self.abandoned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Measures gaps, so that the largest is halved next and the points end up spread over the front.

    Attributes:
        swept_low: Smallest value of the swept objective.
        swept_range: Its range over the front, at least 1.
        primary_range: Range of the primary objective over the front, at least 1.
    """

    swept_low: int = 0
    swept_range: int = 1
    primary_range: int = 1

    def position(self, swept: int) -> float:
        """Place of a value of the swept objective on a scale from 0 to 1."""
        share = max(0, swept - self.swept_low) / self.swept_range
        return math.log2(1 + share * _LOG_RESOLUTION) / math.log2(1 + _LOG_RESOLUTION)

    def size(self, gap: Gap) -> float:
        """Area of the gap with both sides on a scale from 0 to 1: the most that points in it could still gain."""
        height = 1.0 if gap.below is None else (gap.below - gap.above) / self.primary_range
        return (self.position(gap.high + 1) - self.position(gap.low - 1)) * height

    def middle(self, gap: Gap) -> int:
        """The bound that halves the gap on the scale of ``position``, within the gap."""
        position = (self.position(gap.low) + self.position(gap.high)) / 2
        share = (2 ** (position * math.log2(1 + _LOG_RESOLUTION)) - 1) / _LOG_RESOLUTION
        return min(max(self.swept_low + math.floor(share * self.swept_range), gap.low), gap.high)
