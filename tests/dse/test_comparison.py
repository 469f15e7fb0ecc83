"""What is said about mixed and uniform designs: intervals, correlation, nondominance, savings."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import spearmanr

from dse.comparison import (
    USEFUL_ACCURACY_LOSS,
    PairedInterval,
    Saving,
    mark_nondominated,
    paired_interval,
    rank_correlation,
    savings,
)
from dse.designs import Design, DesignKind, Proof
from dse.results import MeasuredSaving
from emulation.catalogue import parse
from emulation.losses import Losses
from hwmodels.costs import Cost


def design(name="d", *, loss=0.1, utilisation=0.5, interval=100, accuracy=0.9, predicted=0.1, kind=DesignKind.FRONT):
    """A design of which only the compared figures matter; ``loss`` None is a design that was not measured."""
    measured = None
    if loss is not None:
        measured = Losses(divergence=loss, cross_entropy_change=0.0, accuracy=accuracy, accuracy_change=0.0)
    return Design(
        name=name,
        kind=kind,
        edges={"input": parse("uint8"), "out": parse("int16")},
        weights={"fc": parse("int4")},
        parts=(),
        predicted_loss=predicted,
        predicted_accuracy_change=0.0,
        utilisation=utilisation,
        total=Cost(),
        interval_cycles=interval,
        latency_cycles=interval,
        proof=Proof(method="", status="", minimised="loss", objective=0, bound=0, gap=0),
        validation=measured,
    )


def correct(both: int, first: int, second: int, neither: int):
    return (
        np.array([True] * (both + first) + [False] * (second + neither)),
        np.array([True] * both + [False] * first + [True] * second + [False] * neither),
    )


def test_the_interval_of_a_worked_example():
    """Agresti and Min's adjustment by hand: cells 30, 12, 5, 3 become 30.5, 12.5, 5.5, 3.5 of 52."""
    found = paired_interval(*correct(30, 12, 5, 3))
    assert found.difference == 7 / 50
    centre = (12.5 - 5.5) / 52
    spread = 1.959963984540054 * math.sqrt((12.5 + 5.5) - 7**2 / 52) / 52
    assert found.low == pytest.approx(centre - spread, abs=1e-7)
    assert found.high == pytest.approx(centre + spread, abs=1e-7)
    assert (round(found.low, 3), round(found.high, 3)) == (-0.021, 0.290)


def test_the_interval_is_symmetric_in_its_arguments():
    first, second = correct(30, 12, 5, 3)
    one, other = paired_interval(first, second), paired_interval(second, first)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))


def test_the_interval_is_not_empty_where_no_sample_differs_and_narrows_with_more_samples():
    widths = []
    for count in (20, 200, 2000):
        found = paired_interval(*correct(count, 0, 0, 0))
        assert found.low < 0 == found.difference < found.high
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("gain", "loss"), [(0.02, 0.02), (0.03, 0.01), (0.005, 0.0), (0.1, 0.05)])
def test_the_interval_covers_the_true_difference_about_as_often_as_it_says(gain, loss):
    count, runs = 300, 1500
    draws = np.random.default_rng(7).multinomial(count, [gain, loss, 0.9 - gain - loss, 0.1], size=runs)
    covered = 0
    for up, down, both, neither in draws:
        found = paired_interval(*correct(both, up, down, neither))
        covered += found.low <= gain - loss <= found.high
    assert 0.93 <= covered / runs <= 1.0


def test_rank_correlation_equals_scipys_with_ties():
    rng = np.random.default_rng(1)
    predicted, measured = rng.integers(0, 8, 40) / 8, rng.integers(0, 8, 40) / 8
    designs = [design(predicted=one, loss=other) for one, other in zip(predicted, measured, strict=True)]
    assert rank_correlation(designs) == pytest.approx(spearmanr(predicted, measured).statistic)


def test_rank_correlation_of_known_orders():
    up = [design(predicted=value, loss=value**3) for value in (0.1, 0.5, 0.9)]
    down = [design(predicted=value, loss=-value) for value in (0.1, 0.5, 0.9)]
    assert rank_correlation(up) == pytest.approx(1.0)
    assert rank_correlation(down) == pytest.approx(-1.0)
    assert math.isnan(rank_correlation(up[:2]))
    assert math.isnan(rank_correlation([*up[:2], design(loss=None)]))
    assert rank_correlation([*up, design(loss=None)]) == pytest.approx(1.0)


few = some.integers(0, 3)


@given(some.lists(some.tuples(few, few, few), max_size=12))
def test_nondominated_designs_are_those_nothing_beats(values):
    marks = mark_nondominated([design(loss=a, utilisation=b, interval=c) for a, b, c in values])
    for index, value in enumerate(values):
        beaten = any(other != value and all(x <= y for x, y in zip(other, value, strict=True)) for other in values)
        assert marks[index] == (not beaten and value not in values[:index])
    assert not values or any(marks)


def test_designs_that_were_not_measured_are_beaten_by_measured_ones_of_the_same_cost():
    assert mark_nondominated([design(loss=None), design(loss=0.3)]) == [False, True]


def uniform(name, **figures):
    return design(name, kind=DesignKind.UNIFORM, **figures)


def test_a_saving_compares_the_cheapest_of_both_kinds_within_the_same_bounds():
    mixed = [
        design("slow", utilisation=0.10, interval=300, loss=0.01),
        design("lossy", utilisation=0.10, interval=100, loss=0.2),
        design("dear", utilisation=0.35, interval=100, loss=0.01),
        design("right", utilisation=0.30, interval=90, loss=0.1),
    ]
    (found,) = savings(mixed, [uniform("u", utilisation=0.40, interval=100, loss=0.1)], float_accuracy=0.9)
    assert (found.mixed.name, found.uniform.name) == ("right", "u")
    assert found.ratio == pytest.approx(0.75)


def test_a_uniform_design_with_a_cheaper_rival_is_no_yardstick():
    mixed = [design("m", utilisation=0.3, interval=50, loss=0.05)]
    rivals = [
        uniform("dear", utilisation=0.9, interval=100, loss=0.1),
        uniform("cheap", utilisation=0.4, interval=100, loss=0.1),
    ]
    assert [one.uniform.name for one in savings(mixed, rivals, float_accuracy=0.9)] == ["cheap"]


def test_a_slower_or_lossier_rival_does_not_disqualify():
    mixed = [design("m", utilisation=0.3, interval=50, loss=0.05)]
    rivals = [
        uniform("u", utilisation=0.9, interval=100, loss=0.1),
        uniform("slower", utilisation=0.4, interval=101, loss=0.1),
        uniform("lossier", utilisation=0.4, interval=100, loss=0.11),
    ]
    ratios = {one.uniform.name: one.ratio for one in savings(mixed, rivals, float_accuracy=0.9)}
    assert ratios == {"u": pytest.approx(1 / 3), "slower": pytest.approx(0.75), "lossier": pytest.approx(0.75)}


def test_savings_come_best_first_and_only_at_useful_accuracies():
    mixed = [design("m", utilisation=0.2, interval=10, loss=0.01)]
    at_floor = 0.9 - USEFUL_ACCURACY_LOSS
    rivals = [
        uniform("good", utilisation=0.3, interval=10, loss=0.1, accuracy=0.9),
        uniform("better", utilisation=0.25, interval=20, loss=0.1, accuracy=at_floor),
        uniform("useless", utilisation=0.21, interval=30, loss=0.1, accuracy=at_floor - 0.001),
        uniform("unmeasured", utilisation=0.9, loss=None),
    ]
    assert [one.uniform.name for one in savings(mixed, rivals, float_accuracy=0.9)] == ["good", "better"]
    assert savings([], rivals, float_accuracy=0.9) == []
    assert savings([design(loss=None)], rivals, float_accuracy=0.9) == []


def test_a_saving_that_is_none_is_reported_as_it_is():
    (found,) = savings([design("m", utilisation=0.5)], [uniform("u", utilisation=0.4)], float_accuracy=0.9)
    assert found.ratio == pytest.approx(1.25)


def test_a_saving_in_words():
    saving = Saving(
        mixed=design("d07", utilisation=0.30, interval=90), uniform=uniform("u003", utilisation=0.40, interval=100)
    )
    words = MeasuredSaving(saving=saving, test=PairedInterval(difference=0.01, low=-0.0025, high=0.0225)).describe()
    for part in ("75.0% of the utilisation", "d07: 30.00%", "u003", "40.00%", "90 and 100 cycles"):
        assert part in words
    assert "+1.00 points, paired 95 % interval -0.25 to +2.25" in words


def test_replacing_a_field_leaves_the_design_as_it_was():
    before = design()
    after = before.replace(name="other")
    assert (before.name, after.name) == ("d", "other")
    assert dataclasses.replace(after, name="d") == before
