"""Compiled loops of the Lagrangian relaxation: prices for what is limited, and designs repaired and improved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from dse.solve.compiled.paths import cheapest_path

if TYPE_CHECKING:
    from dse.solve.tables import IntArray
    from dse.solve.trellis import FloatArray


@numba.njit(cache=True, nogil=True)
def priced(objectives: FloatArray, resources: FloatArray, weights: FloatArray, prices: FloatArray) -> FloatArray:
    """Weighted objectives plus priced resources of each arc."""
    values = np.zeros(len(objectives))
    for arc in range(len(values)):
        for dimension in range(len(weights)):
            values[arc] += weights[dimension] * objectives[arc, dimension]
        for dimension in range(len(prices)):
            values[arc] += prices[dimension] * resources[arc, dimension]
    return values


@numba.njit(cache=True, nogil=True)
def raise_bound(
    firsts: IntArray,
    target: IntArray,
    objectives: FloatArray,
    resources: FloatArray,
    weights: FloatArray,
    prices: FloatArray,
    upper: float,
    rounds: int,
    depth: int,
) -> tuple[float, FloatArray, IntArray]:
    """Prices that raise the lower bound of the weighted objectives over designs that use at most 1 of each resource.

    Subgradient steps of Polyak's length towards ``upper``, shortened whenever the bound has not risen for a while.

    Args:
        firsts: First arc of each node.
        target: Node each arc reaches.
        objectives: Per arc.
        resources: Per arc, as shares of what is available.
        weights: Of the objectives.
        prices: To start from.
        upper: Weighted objectives of a known design (or a guess above the bound).
        rounds: Number of steps.
        depth: Number of layers.

    Returns:
        ``(bound, prices, paths)``: the best bound, the prices that prove it, and the cheapest path of each round.
    """
    best = -np.inf
    best_prices = prices.copy()
    paths = np.empty((rounds, depth), dtype=np.int64)
    room = np.empty(len(firsts))
    slope = np.empty(len(prices))
    step, waited = 1.0, 0
    used = 0
    for number in range(rounds):
        values = priced(objectives, resources, weights, prices)
        total, path = cheapest_path(firsts, target, values, room, depth)
        paths[number] = path
        used = number + 1
        for dimension in range(len(prices)):
            slope[dimension] = -1.0
            for arc in path:
                slope[dimension] += resources[arc, dimension]
            total -= prices[dimension]
        if total > best:
            if total - best > 1e-6 * abs(best):
                waited = 0
            best = total
            best_prices = prices.copy()
        else:
            waited += 1
            if waited >= 4:
                step *= 0.6
                waited = 0
                prices = best_prices.copy()
        squared = 0.0
        for dimension in range(len(prices)):
            if prices[dimension] <= 0.0 and slope[dimension] < 0.0:
                slope[dimension] = 0.0
            squared += slope[dimension] * slope[dimension]
        if squared == 0.0 or step < 1e-4:
            break
        length = step * max(upper - total, 1e-7 * (abs(upper) + abs(total))) / squared
        for dimension in range(len(prices)):
            prices[dimension] = max(0.0, prices[dimension] + length * slope[dimension])
    return best, best_prices, paths[:used]


@numba.njit(cache=True, nogil=True)
def repair(
    path: IntArray,
    firsts: IntArray,
    source: IntArray,
    target: IntArray,
    objectives: FloatArray,
    resources: FloatArray,
    weights: FloatArray,
    moves: int,
) -> bool:
    """Exchange arcs of a path (in place) until no resource exceeds 1, then as long as that lowers the objectives.

    Returns:
        Whether the path keeps all limits in floating point; the caller recomputes in integers.
    """
    count = resources.shape[1]
    used = np.zeros(count)
    for arc in path:
        for dimension in range(count):
            used[dimension] += resources[arc, dimension]
    for _ in range(moves):
        excess = 0.0
        for dimension in range(count):
            excess += max(0.0, used[dimension] - 1.0)
        best, best_position, best_arc = 0.0, -1, -1
        for position in range(len(path)):
            old = path[position]
            for arc in range(firsts[source[old]], firsts[source[old] + 1]):
                if arc == old or target[arc] != target[old]:
                    continue
                gain = 0.0
                for dimension in range(len(weights)):
                    gain += weights[dimension] * (objectives[old, dimension] - objectives[arc, dimension])
                after = 0.0
                for dimension in range(count):
                    after += max(0.0, used[dimension] + resources[arc, dimension] - resources[old, dimension] - 1.0)
                if excess > 0.0:
                    relief = excess - after
                    if relief <= 1e-15:
                        continue
                    # Cheapest relief first; what also lowers the objectives before all else.
                    merit = relief / (1e-12 - gain) if gain < 0.0 else 1e30 * relief
                elif after > 0.0:
                    continue
                else:
                    merit = gain if gain > 1e-12 else 0.0
                if merit > best:
                    best, best_position, best_arc = merit, position, arc
        if best_position < 0:
            break
        old = path[best_position]
        for dimension in range(count):
            used[dimension] += resources[best_arc, dimension] - resources[old, dimension]
        path[best_position] = best_arc
    return bool(count == 0 or used.max() <= 1.0 + 1e-9)


@numba.njit(cache=True, nogil=True)
def cheapest_paths(
    firsts: IntArray, target: IntArray, objectives: FloatArray, weights: FloatArray, depth: int
) -> tuple[FloatArray, IntArray]:
    """The cheapest path for each row of ``weights``: smallest weighted sums and arcs."""
    bounds = np.empty(len(weights))
    paths = np.empty((len(weights), depth), dtype=np.int64)
    room = np.empty(len(firsts))
    nothing = np.zeros((len(objectives), 0))
    free = np.zeros(0)
    for row in range(len(weights)):
        values = priced(objectives, nothing, weights[row], free)
        bounds[row], paths[row] = cheapest_path(firsts, target, values, room, depth)
    return bounds, paths


@numba.njit(cache=True, nogil=True)
def largest_below(others: FloatArray, slopes: FloatArray, heights: FloatArray, least: float) -> FloatArray:
    """Per row of ``others``, the largest of ``heights - slopes @ row`` and ``least``.

    A loop, because the table of all rows and planes would take gigabytes.
    """
    result = np.full(len(others), least)
    for row in range(len(others)):
        for plane in range(len(heights)):
            height = heights[plane]
            for dimension in range(others.shape[1]):
                height -= slopes[plane, dimension] * others[row, dimension]
            result[row] = max(result[row], height)
    return result
