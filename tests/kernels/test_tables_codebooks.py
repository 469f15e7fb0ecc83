"""Codebooks fitted to values against exact optima."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.compiled.codebooks import fit_levels
from kernels.definitions.codebooks import optimal_levels


def squared_error(values: list[Fraction], levels: list[Fraction]) -> Fraction:
    return sum((min((value - level) ** 2 for level in levels) for value in values), Fraction(0))


@given(values=st.lists(st.integers(-50, 50), min_size=4, max_size=9), count=st.integers(1, 4))
def test_optimal_levels_are_the_best_partition(values: list[int], count: int) -> None:
    """All ways to cut the sorted values into intervals, tried."""
    if len(set(values)) < count:
        with pytest.raises(ValueError, match=f"{count} levels need at least as many different values"):
            optimal_levels(values, count)
        return
    points = sorted(Fraction(value) for value in values)
    cuts = itertools.combinations(range(1, len(points)), count - 1)
    partitions = [list(itertools.pairwise((0, *cut, len(points)))) for cut in cuts]
    best = min(squared_error(points, [sum(points[a:b]) / (b - a) for a, b in parts]) for parts in partitions)
    assert squared_error(points, optimal_levels(values, count)) == best


def test_fitted_levels_are_a_fixed_point_near_the_optimum() -> None:
    values = np.random.default_rng(3).normal(size=120)
    many = np.random.default_rng(4).normal(size=50_000) + 100
    normal = fit_levels(many, 2) - 100
    np.testing.assert_allclose(normal, [-np.sqrt(2 / np.pi), np.sqrt(2 / np.pi)], atol=0.02)
    for count in (2, 4, 8):
        levels = fit_levels(values, count).astype(np.float64)
        assert len(levels) == count
        assert np.array_equal(levels, fit_levels(values[::-1], count))
        nearest = np.abs(values[:, None] - levels).argmin(axis=1)
        means = [values[nearest == index].mean() for index in range(count)]
        np.testing.assert_allclose(levels, means, rtol=1e-6)
        error = ((values - levels[nearest]) ** 2).sum()
        best = optimal_levels([float(value) for value in values], count)
        least = float(squared_error([Fraction(float(value)) for value in values], best))
        assert least * (1 - 1e-6) <= error <= least * (1 + 1e-6)


@given(
    values=st.lists(st.integers(-60, 60), min_size=1, max_size=30),
    repeats=st.integers(1, 40),
    count=st.integers(1, 6),
)
def test_fitted_levels_are_optimal_for_few_different_values(values: list[int], repeats: int, count: int) -> None:
    """Also where one of them is repeated often; where there are no more values than levels, they are the values."""
    weighted = [*values, *([values[0]] * repeats)]
    levels = fit_levels(np.array(weighted), count)
    different = sorted(set(values))
    if len(different) <= count:
        assert levels.tolist() == different
        return
    assert len(levels) == count
    points = [Fraction(value) for value in values] + [Fraction(values[0])] * repeats
    least = squared_error(points, optimal_levels(weighted, count))
    error = squared_error(points, [Fraction(level) for level in levels.tolist()])
    assert least <= error <= least * (1 + Fraction(1, 10**9)) + Fraction(1, 10**9)


@pytest.mark.parametrize("count", [2, 16, 256])
def test_fits_of_more_values_are_optimal(count: int) -> None:
    """Values with far outliers, and the best of all partitions in float64, found by a plain loop."""
    values = np.sort(np.random.default_rng(count).standard_t(3, size=1100))
    sums, squares = np.cumsum([0.0, *values]), np.cumsum([0.0, *values**2])
    best = np.array([np.inf if stop == 0 else squares[stop] - sums[stop] ** 2 / stop for stop in range(1101)])
    for cluster in range(1, count):
        previous, best = best, np.full(1101, np.inf)
        for stop in range(cluster + 1, 1101):
            starts = np.arange(cluster, stop)
            errors = squares[stop] - squares[starts] - (sums[stop] - sums[starts]) ** 2 / (stop - starts)
            best[stop] = (previous[starts] + errors).min()
    levels = fit_levels(values, count)
    assert len(levels) == count
    error = np.square(values - levels[np.abs(values[:, None] - levels).argmin(axis=1)]).sum()
    assert best[-1] * (1 - 1e-9) <= error <= best[-1] * (1 + 1e-9)


def test_fits_of_very_many_values_are_fixed_points_and_see_outliers() -> None:
    """Not all places are tried: rare values far out have levels of their own all the same."""
    outliers = [-500.0, 300.0, 4000.0]
    values = np.concatenate([np.random.default_rng(1).normal(size=100_000), outliers])
    levels = fit_levels(values, 16)
    assert [level for level in levels.tolist() if abs(level) > 6] == pytest.approx(outliers)
    nearest = np.abs(values[:, None] - levels).argmin(axis=1)
    np.testing.assert_allclose(levels, [values[nearest == index].mean() for index in range(16)], rtol=1e-6, atol=1e-9)
    # 13 levels of Lloyd's and Max's quantiser of normal numbers: between those of 8 and 16, known to four digits.
    assert 0.009497 < np.square(values - levels[nearest]).mean() < 0.03454


def test_fits_do_not_depend_on_order_or_layout() -> None:
    values = np.random.default_rng(7).normal(size=(40, 60)) * 1e-150
    for given_values in (values.T, values[::-1, ::-1], np.asfortranarray(values)):
        np.testing.assert_array_equal(fit_levels(given_values, 9), fit_levels(values, 9))


def test_fits_refuse() -> None:
    with pytest.raises(ValueError, match="1 of 2 values are infinite or NaN"):
        fit_levels(np.array([1.0, np.nan]), 2)
    for values, count in (([], 2), ([1.0, 2.0], 0), ([1.0], 16384)):
        with pytest.raises(ValueError, match=f"1 to 16383 levels .* got {count} levels and {len(values)} values"):
            fit_levels(np.array(values), count)
