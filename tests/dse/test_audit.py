"""The judgement of metrics: correlations against SciPy, regret by hand, and the right winner."""

import json
import math
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dse.audit import TIE, Audit, audit_metrics, bit_operations, kendall, ranks, regret, scale_of, spearman
from dse.sampling import DesignDraw
from dse.sensitivity_metrics import SensitivityMetric
from dse.sweep import LossTable
from emulation.losses import Losses

NUMBERS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=40)


@given(pairs=NUMBERS)
def test_correlations_equal_those_of_scipy_with_ties(pairs):
    first, second = (np.array(one, dtype=np.float64) for one in zip(*pairs, strict=True))
    np.testing.assert_array_equal(ranks(first), scipy.stats.rankdata(first))
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(spearman(first, second))
        assert math.isnan(kendall(first, second))
        return
    assert spearman(first, second) == pytest.approx(scipy.stats.spearmanr(first, second).statistic)
    assert kendall(first, second) == pytest.approx(scipy.stats.kendalltau(first, second).statistic)


def test_two_designs_have_no_correlation():
    two = np.array([1.0, 2.0])
    assert math.isnan(spearman(two, two))
    assert math.isnan(kendall(two, two))


def test_regret_is_what_the_favourite_of_each_budget_loses_more():
    measured = np.array([0.5, 0.2, 0.1])
    budgets = np.array([10, 20, 30])
    assert regret(measured, measured, budgets) == 0
    # Within 10 there is one design; within 20 the first is preferred (0.3 worse); within 30 too (0.4 worse).
    assert regret(np.array([0.0, 1.0, 2.0]), measured, budgets) == pytest.approx((0 + 0.3 + 0.4) / 3)


def test_scale_leaves_out_what_is_not_predicted_to_lose():
    assert scale_of(np.array([1.0, 2.0, 0.0, -1.0]), np.array([3.0, 6.0, 9.0, 9.0])) == 3
    assert scale_of(np.array([0.0]), np.array([3.0])) == 1


@pytest.fixture(scope="module")
def judged(bench):
    """Designs whose measured losses are three times what the bench's table says."""
    found = bench("digits-mlp")
    network = found.prepared.network
    designs = DesignDraw(prepared=found.prepared, losses=found.losses).distinct(30, seed=1)
    losses = [3 * found.losses.total(network, one) for one in designs]
    measured = [
        Losses(divergence=loss, cross_entropy_change=loss, accuracy=0.9, accuracy_change=-loss / 50) for loss in losses
    ]
    draw = random.Random(2)
    noise = LossTable(
        edges={key: draw.random() for key in found.losses.edges},
        engines={key: draw.random() for key in found.losses.engines},
    )
    tables = {SensitivityMetric.NORM: noise, SensitivityMetric.FISHER: found.losses}
    return network, tables, designs, measured


def test_the_metric_that_orders_best_wins(judged):
    audit = audit_metrics(*judged)
    assert audit.chosen == "fisher" == audit.verdicts[0].metric
    best, other = audit.verdict("fisher"), audit.verdict("norm")
    assert best.spearman == pytest.approx(1)
    assert best.kendall == pytest.approx(1)
    assert best.regret == 0
    assert best.scale == pytest.approx(3)
    assert other.spearman < 0.9
    assert other.regret > 0
    assert audit.designs == 30
    assert audit.useful == sum(one.accuracy_change >= -0.02 for one in judged[3])
    assert audit.measured == tuple(one.divergence for one in judged[3])


def test_of_equally_good_metrics_the_most_direct_one_wins(judged):
    network, tables, designs, measured = judged
    right = tables[SensitivityMetric.FISHER]
    draw = random.Random(3)
    nearly = LossTable(
        edges={key: value * draw.uniform(0.97, 1.03) for key, value in right.edges.items()},
        engines={key: value * draw.uniform(0.97, 1.03) for key, value in right.engines.items()},
    )
    for first, second in ((nearly, right), (right, nearly)):
        given = {
            SensitivityMetric.DIVERGENCE: first,
            SensitivityMetric.FISHER: second,
            SensitivityMetric.NORM: tables[SensitivityMetric.NORM],
        }
        audit = audit_metrics(network, given, designs, measured)
        assert audit.chosen == "divergence" == audit.verdicts[0].metric
        assert audit.verdict("fisher").order - audit.verdict("divergence").order < TIE
    wrong = {SensitivityMetric.DIVERGENCE: tables[SensitivityMetric.NORM], SensitivityMetric.FISHER: right}
    assert audit_metrics(network, wrong, designs, measured).chosen == "fisher"


def test_a_metric_that_was_asked_for_is_chosen_whoever_wins(judged):
    audit = audit_metrics(*judged, chosen=SensitivityMetric.NORM)
    assert audit.chosen == "norm"
    assert audit.verdicts[0].metric == "fisher"


def test_an_audit_reads_back_from_json(judged):
    audit = audit_metrics(*judged)
    assert Audit.from_json(json.loads(json.dumps(audit.to_json()))) == audit


def test_bit_operations_count_both_widths(judged, bench):
    network, _, designs, _ = judged
    total = sum(
        network.multiply_accumulates(layer)
        * designs[0].weights[layer.name].width
        * designs[0].edges[network.input_edges(layer)[0]].width
        for layer in network.engines
    )
    assert bit_operations(network, designs[0]) == total
