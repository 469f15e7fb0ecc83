"""Levels of listed formats against their published definitions, and fitted codebooks against exact optima."""

from __future__ import annotations

import itertools
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.compiled.codebooks import fit_levels
from kernels.definitions import codebooks
from kernels.definitions.tables import integer_levels


def test_nf4_are_normal_quantiles() -> None:
    """The construction of the paper: 8 and 7 quantiles on either side of zero, scaled to 1 (offset as published)."""
    offset = 0.9677083
    normal = statistics.NormalDist()
    positive = [normal.inv_cdf(p) for p in np.linspace(offset, 0.5, 9)[:-1]]
    negative = [-normal.inv_cdf(p) for p in np.linspace(offset, 0.5, 8)[:-1]]
    levels = np.array(sorted([*positive, 0.0, *negative])) / max(positive)
    np.testing.assert_allclose(levels, codebooks.NF4_LEVELS, atol=2e-7)
    assert all(float(np.float32(level)) == level for level in codebooks.NF4_LEVELS)


def test_fp4_of_bitsandbytes() -> None:
    """Code by code: its comments give 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4 for codes 0 to 7, and a sign bit."""
    published = [0, Fraction(1, 192), Fraction(2, 3), 1, Fraction(1, 3), Fraction(1, 2), Fraction(1, 6), Fraction(1, 4)]
    values = dict(zip(codebooks.FP4_CODES, codebooks.FP4_LEVELS, strict=True))
    for code, value in enumerate(published):
        assert values[code] * codebooks.FP4_UNIT == value
        assert code == 0 or values[code + 8] * codebooks.FP4_UNIT == -value


@pytest.mark.parametrize(("terms", "largest"), [(1, 0), (1, 7), (2, 1), (2, 5), (3, 5), (4, 4)])
def test_k_hot_levels_are_all_sums(terms: int, largest: int) -> None:
    levels = codebooks.k_hot_levels(terms, largest)
    digits = itertools.product((-1, 0, 1), repeat=largest + 1)
    sums = {sum(digit << place for place, digit in enumerate(row)) for row in digits if np.count_nonzero(row) <= terms}
    assert levels == tuple(sorted(sums))
    for level, parts in codebooks.k_hot_terms(terms, largest).items():
        assert len(parts) <= terms
        assert len({exponent for _, exponent in parts}) == len(parts)
        for value in (-129, -1, 0, 1, 77):
            assert codebooks.product_by_shifts(value, parts) == level * value
    assert codebooks.power_of_two_levels(largest) == codebooks.k_hot_levels(1, largest)


def test_apot_levels_of_the_paper() -> None:
    """4 bits without a sign, two terms: the sets {0, 1, 1/4, 1/16} and {0, 1/2, 1/8, 1/32} of the paper's example."""
    levels, unit = codebooks.additive_power_of_two_levels(2, 2)
    first, second = (0, 1, Fraction(1, 4), Fraction(1, 16)), (0, Fraction(1, 2), Fraction(1, 8), Fraction(1, 32))
    expected = sorted({a + b for a in first for b in second})
    assert [level * Fraction(2) ** unit for level in levels if level >= 0] == expected
    assert len(expected) == 16
    assert levels == tuple(-level for level in reversed(levels))
    # One term of k bits is plain powers of two.
    assert codebooks.additive_power_of_two_levels(1, 3)[0] == codebooks.power_of_two_levels(6)


def test_level_generators_refuse() -> None:
    for terms, largest in ((0, 3), (5, 3), (1, -1), (1, 63)):
        with pytest.raises(ValueError, match=f"got {terms} terms of exponents 0 to {largest}"):
            codebooks.k_hot_terms(terms, largest)
    with pytest.raises(ValueError, match="got 3 terms of 5 bits, down to -92"):
        codebooks.additive_power_of_two_levels(3, 5)


def test_integer_versions() -> None:
    integers, unit = integer_levels(codebooks.NF4_LEVELS)
    assert integers[0], integers[-1] == (-127, 127)
    assert unit == Fraction(1, 127)
    for integer, level in zip(integers, codebooks.NF4_LEVELS, strict=True):
        assert abs(integer * unit - Fraction(level)) <= unit / 2
    with pytest.raises(ValueError, match=r"levels 0 and 1 are both 0 in 4 bits: use more bits or fewer levels"):
        integer_levels([0, 1, 100], bits=4)
    with pytest.raises(ValueError, match="integer levels have 2 to 32 bits, got 1"):
        integer_levels([0, 1], bits=1)


def squared_error(values: list[Fraction], levels: list[Fraction]) -> Fraction:
    return sum((min((value - level) ** 2 for level in levels) for value in values), Fraction(0))


@given(values=st.lists(st.integers(-50, 50), min_size=4, max_size=9), count=st.integers(1, 4))
def test_optimal_levels_are_the_best_partition(values: list[int], count: int) -> None:
    """All ways to cut the sorted values into intervals, tried."""
    if len(set(values)) < count:
        with pytest.raises(ValueError, match=f"{count} levels need at least as many different values"):
            codebooks.optimal_levels(values, count)
        return
    points = sorted(Fraction(value) for value in values)
    cuts = itertools.combinations(range(1, len(points)), count - 1)
    partitions = [list(itertools.pairwise((0, *cut, len(points)))) for cut in cuts]
    best = min(squared_error(points, [sum(points[a:b]) / (b - a) for a, b in parts]) for parts in partitions)
    assert squared_error(points, codebooks.optimal_levels(values, count)) == best


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
        best = codebooks.optimal_levels([float(value) for value in values], count)
        least = float(squared_error([Fraction(float(value)) for value in values], best))
        assert least * (1 - 1e-6) <= error <= least * (1 + 1e-6)


def test_fits_refuse() -> None:
    with pytest.raises(ValueError, match="2 to 2 levels fit 2 different values, got 3"):
        fit_levels(np.array([1.0, 2.0, 1.0]), 3)
    with pytest.raises(ValueError, match="1 of 2 values are infinite or NaN"):
        fit_levels(np.array([1.0, np.nan]), 2)
