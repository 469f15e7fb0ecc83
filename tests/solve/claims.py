"""What fronts that were not finished claim, held against the finished ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dse.solve import optimise
from dse.solve.hypervolume import hypervolume
from dse.solve.result import GapKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LESS_EFFORT = ({"method": "hull"}, {"time_limit_seconds": 0.0}, {"gap": 0.05}, {"gap": 0.3})
"""Settings that need not find every point."""


def missing(found, whole):
    """Share of the hypervolume of a whole front that another one lacks, in the box of the latter."""
    points, all_points = np.array(found.vectors()), np.array(whole.vectors())
    reference = points.max(axis=0)
    everything = hypervolume(all_points, reference)
    return 1.0 - hypervolume(points, reference) / everything if everything else 0.0


def check_claims(found, whole):
    assert whole.complete
    assert found.complete == (found.why_incomplete == "")
    if found.complete:
        assert found.vectors() == whole.vectors()
        return
    assert found.gap_kind is GapKind.HYPERVOLUME
    assert 0.0 <= missing(found, whole) <= found.gap + 1e-12
    vectors = np.array(whole.vectors())
    if found.box_is_proven:
        assert np.array_equal(np.array(found.vectors()).min(axis=0), vectors.min(axis=0))
    for point in found.points:
        certificate = point.certificate
        column = found.objectives.index(certificate.minimised)
        within = np.all(
            [vectors[:, found.objectives.index(name)] <= bound for name, bound in certificate.at_most.items()], axis=0
        )
        least = int(vectors[within, column].min())
        assert certificate.bound <= least <= certificate.objective
        vector = tuple(point.objectives[name] for name in found.objectives)
        assert not certificate.efficient or vector in whole.vectors()


def with_less_effort(problem, whole) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Fronts of a feasible problem by `LESS_EFFORT`, whose claims hold, with the settings of each."""
    if whole.infeasibility is not None:
        return
    for settings in LESS_EFFORT:
        found = optimise(problem, **settings)
        if len(found.points):
            check_claims(found, whole)
        yield found, settings
