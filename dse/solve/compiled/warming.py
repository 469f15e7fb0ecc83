"""Compiles or loads every loop once, so that no time limit pays for it."""

from __future__ import annotations

from functools import cache
from importlib import import_module

import numpy as np


@cache
def warm_up() -> None:
    """Import what takes long to import, and call every loop with next to nothing.

    The first call of a machine compiles (some tens of seconds); later ones load from disk.
    """
    import_module("scipy.spatial")
    from dse.solve.compiled import labels, pairs, paths, relaxation, volume

    one, two = np.zeros(1, dtype=np.int64), np.array([0, 1], dtype=np.int64)
    nodes, firsts = np.array([0, 1, 2]), np.array([0, 1, 1])
    cost, real, limits = np.zeros((1, 2), dtype=np.int64), np.zeros((1, 2)), np.full((2, 2), 9)
    weights = np.ones(2)
    paths.on_a_path(nodes, one, one + 1)
    paths.best_before(2, one, one + 1, real)
    paths.best_after(2, one, one + 1, real)
    paths.undominated_arcs(firsts, one + 1, cost)
    paths.path_totals(cost[:, :1], cost)
    paths.falling_paths(firsts, one + 1, one, one, 1, 2)
    paths.path_of_options(firsts, one + 1, one, one)
    _, _, _, origin = pairs.extend(0, 1, 1, firsts, one + 1, cost, two, one, one, limits, 0)
    pairs.follow(origin, one.copy(), cost[:, :1].copy(), 0)
    triples = np.zeros((1, 3), dtype=np.int64)
    labels.undominated(triples, one)
    labels.undominated_triples(triples, one)
    bounds = (real, np.zeros((2, 1)), cost, np.zeros((1, 1)), one)
    labels.extend_labels(
        0, 1, 1, firsts, one + 1, cost, two, cost, np.zeros((2, 2), np.int64), limits[0], limits, weights, *bounds, 0, 9
    )
    offsets = np.zeros((1, 2), dtype=np.int64)
    labels.descend(cost[0], 1, nodes, firsts, one + 1, cost, offsets, two, cost)
    relaxation.raise_bound(firsts, one + 1, real, real, weights, weights, 1.0, 1, 1)
    relaxation.repair(one.copy(), firsts, one, one + 1, real, real, weights, 1)
    relaxation.cheapest_paths(firsts, one + 1, real, np.ones((1, 2)), 1)
    relaxation.largest_below(real, real, weights[:1], 0.0)
    volume.volume(np.zeros((1, 3)))
    volume.distances(np.zeros((1, 3)), np.zeros((1, 3)))
