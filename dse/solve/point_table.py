"""Points that are kept as arrays and become objects when they are looked at: fronts may have tens of thousands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from dse.solve.result import Certificate, Point, Status

if TYPE_CHECKING:
    from dse.solve.archive import Designs
    from dse.solve.tables import IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointTable(Sequence[Point]):
    """The points of a front, in the order of their vectors.

    Attributes:
        objectives: Names of the columns of the vectors.
        table: Vectors and selections.
        first: The objective that bounds are given for.
        lower: Proven lower bound of it for each point, the others being no worse.
        status: How the search ended; OPTIMAL: every point is proven efficient.
        method: How the points were found.
        seconds: Wall time of the whole search.
    """

    objectives: tuple[str, ...]
    table: Designs
    first: str
    lower: IntArray
    status: Status
    method: str
    seconds: float

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, index: int) -> Point: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Point, ...]: ...

    def __getitem__(self, index: int | slice) -> Point | tuple[Point, ...]:
        if isinstance(index, slice):
            return tuple(self[row] for row in range(*index.indices(len(self))))
        values = dict(zip(self.objectives, self.table.points[index].tolist(), strict=True))
        bound = int(self.lower[index])
        first = self.first
        others = tuple(name for name in self.objectives if name != first)
        return Point(
            selection=tuple(self.table.options[index].tolist()),
            objectives=values,
            certificate=Certificate(
                method=self.method,
                status=self.status,
                minimised=first,
                then=others,
                at_most={name: values[name] for name in others},
                objective=values[first],
                bound=bound,
                gap=values[first] - bound,
                efficient=self.status is Status.OPTIMAL,
                tolerance=0.0,
                seconds=self.seconds,
                solves=0,
                rechecked=True,
            ),
        )
