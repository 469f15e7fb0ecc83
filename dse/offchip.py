"""Weights off the chip in a stream: engines that read at the same time share the bandwidth, in whole designs.

What a device reads in one interval bounds the sum of what all layers read per sample. The interval is the largest of
the engines' and of a *pace* chosen from a table; a design may read no more than fits its pace. So a design whose
engines are fast but whose weights take long is paced, and its interval is at most `PACE_STEP` longer than the bandwidth
alone would make it (`hwmodels.bandwidth.bounded`); every other design is as fast as its slowest engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dse.decision_tables import Choice, Table
from dse.designs import OFFCHIP
from dse.solve.problem import Cap
from hwmodels.bandwidth import bandwidth_interval
from hwmodels.costs import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwmodels.devices import Device

PACE_STEP: Final = 1.05
"""Ratio of neighbouring paces."""

_READ: Final = "offchip_bits"


def bandwidth_marks(cost: Cost) -> Mapping[str, int]:
    """The mark of a choice that reads weights from off the chip: bits per sample."""
    return {_READ: cost.offchip_bits} if cost.offchip_bits else {}


def bandwidth_table(
    tables: Sequence[Table], device: Device, *, clock_mhz: float, limit: int | None
) -> tuple[Table, ...]:
    """The table of paces, if any choice reads from off the chip.

    Args:
        tables: of all layers.
        device: whose bandwidth is shared.
        clock_mhz: of the design.
        limit: interval cycles that no design may exceed.
    """
    most = _most(tables)
    if not most:
        return ()
    longest = bandwidth_interval(most, device, clock_mhz)
    if limit is not None:
        longest = min(longest, limit)
    paces = {0, longest, *(round(PACE_STEP**step) for step in range(2000) if PACE_STEP**step < longest)}
    choices = []
    for pace in sorted(paces):
        room = min(_bits_within(pace, most, device, clock_mhz), most)
        cost = Cost(interval_cycles=pace)
        # A cap holds sums of numbers that are not negative: what is left unread counts as read.
        choices.append(Choice(cost=cost, marks={_READ: most - room}))
    return (Table(layer=OFFCHIP, role="pace", choices=tuple(choices)),)


def bandwidth_caps(tables: Sequence[Table]) -> tuple[Cap, ...]:
    """The cap that lets a design read what fits its pace."""
    most = _most([table for table in tables if table.layer != OFFCHIP])
    return (Cap(resource=_READ, limit=most),) if most else ()


def _most(tables: Sequence[Table]) -> int:
    """Bits per sample if every layer reads as much as any choice of it does."""
    return sum(max(choice.marks.get(_READ, 0) for choice in table.choices) for table in tables)


def _bits_within(pace: int, most: int, device: Device, clock_mhz: float) -> int:
    """The most bits, up to ``most``, that are read within so many cycles."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if bandwidth_interval(middle, device, clock_mhz) <= pace:
            low = middle
        else:
            high = middle - 1
    return low
