"""The least value of one sum under limits: prices first, then labels of that sum and the limited resources alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dse.solve.labels import Outcome, bounds_at, search_labels
from dse.solve.relaxation import Relaxation
from dse.solve.task import FREE

if TYPE_CHECKING:
    from dse.solve.archive import Designs
    from dse.solve.task import Task

_BEAMS = (50, 500, 0)

_ROUNDS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Least:
    """The least value of a sum.

    Attributes:
        bound: No design has less.
        designs: A design with the least value found; none if there is none, or none was found.
        is_exact: The bound is that value, or there is no design.
    """

    bound: int
    designs: Designs
    is_exact: bool


def least_sum(task: Task, dimension: int, share: float = 1.0) -> Least:
    """The least value of one dimension of a task, and the smallest selection that has it.

    Args:
        task: The task; its other objectives count only where they are limited.
        dimension: Column of the objective.
        share: Of the time left that may be spent.
    """
    others = [d for d in range(len(task.limits)) if d != dimension and task.limits[d] < FREE]
    columns = [dimension, *others]
    single = replace(
        task,
        trellis=task.trellis.pick(columns),
        objectives=1,
        limits=task.limits[columns],
        least=np.ascontiguousarray(task.least[:, columns]),
        rest=np.ascontiguousarray(task.rest[:, columns]),
        most=np.ascontiguousarray(task.most[:, columns]),
        clock=task.clock.part(share),
        available=task.available[:0],
    )
    relaxation = Relaxation(task=single)
    plane = relaxation.plane(np.ones(1), rounds=_ROUNDS)
    bound = max(int(single.least[-1, 0]), int(np.ceil(plane.bound * relaxation.ranges[0])))
    thin = single.thinned()
    is_exact = False
    for beam in _BEAMS:
        known = relaxation.designs.points
        if not single.has_time:
            break
        corner = known if len(known) else single.most[-1:, :1]
        found, outcome = search_labels(single, thin, bounds_at(relaxation, corner), beam=beam)
        relaxation.found.append(found)
        if outcome is Outcome.EXACT:
            is_exact = True
            break
    designs = relaxation.designs
    if is_exact and len(designs):
        bound = int(designs.points[0, 0])
    return Least(bound=bound, designs=designs, is_exact=is_exact)
