"""Corrections find what is systematic, and leave the table alone where there is nothing to find."""

import dataclasses
import random

import numpy as np
import pytest

from dse.audit import spearman
from dse.correction import FEWEST, LEAST, correct
from dse.sampling import DesignDraw
from dse.sweep import LossTable, Pair, Place, PlaceKind


@pytest.fixture(scope="module")
def drawn(bench):
    """A network, its table, and designs to fit on and to be judged by."""
    found = bench("digits-mlp")
    designs = DesignDraw(prepared=found.prepared, losses=found.losses).distinct(160, seed=0)
    return found.prepared.network, found.losses, designs[:100], designs[100:]


def totals(network, table, designs):
    return np.array([table.total(network, one) for one in designs])


def raised(table, least):
    """A table without gains and tiny losses."""
    edges = {key: max(value, least) for key, value in table.edges.items()}
    engines = {key: max(value, least) for key, value in table.engines.items()}
    return dataclasses.replace(table, edges=edges, engines=engines)


def test_a_table_that_is_right_but_for_its_scale_is_only_scaled(drawn):
    network, table, fitted, others = drawn
    table = raised(table, 1e-5)
    found = correct(network, table, fitted, list(3.3 * totals(network, table, fitted)), seed=0)
    assert found.scale == pytest.approx(3.3)
    assert found.strength == 0.0
    assert found.table.exponent == 1
    assert found.designs == len(fitted)
    assert found.error == found.table_error == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(totals(network, found.table, others), 3.3 * totals(network, table, others))


def test_errors_that_come_together_are_found(drawn):
    """Losses that add as their square roots do: ten equal ones lose a hundred times what one does."""
    network, table, fitted, others = drawn
    table = raised(table, 1e-5)
    edges, engines = ({key: value**0.5 for key, value in one.items()} for one in (table.edges, table.engines))
    truth = LossTable(edges=edges, engines=engines, exponent=0.5)
    found = correct(network, table, fitted, list(totals(network, truth, fitted)), seed=0)
    assert found.table.exponent == 0.5
    assert found.error < 0.25 * found.table_error
    after, wanted = (totals(network, one, others) for one in (found.table, truth))
    assert np.median(np.abs(after / wanted - 1)) < 0.1


def test_no_choice_wins_back_what_others_lose(drawn):
    """Designs that have most of what the table takes for gains would be chosen first, and disappoint."""
    network, table, fitted, _ = drawn
    assert min(table.engines.values()) < 0
    for designs in (fitted, fitted[: FEWEST - 1]):
        found = correct(network, table, designs, list(totals(network, raised(table, 0.0), designs)), seed=0)
        assert min(*found.table.edges.values(), *found.table.engines.values()) > 0


def test_a_layer_that_loses_more_than_the_table_says_is_found(drawn):
    network, table, fitted, others = drawn
    layer = network.engines[0].name
    engines = {key: value * (6.0 if key[0] == layer else 1.0) for key, value in table.engines.items()}
    truth = dataclasses.replace(table, engines=engines)
    found = correct(network, table, fitted, list(totals(network, truth, fitted)), seed=0)
    assert found.strength > 0
    assert found.error < 0.5 * found.table_error
    wanted = totals(network, truth, others)
    before, after = (totals(network, one, others) for one in (table, found.table))
    assert spearman(after, wanted) > spearman(before, wanted)
    assert np.median(np.abs(after / wanted - 1)) < 0.5 * np.median(np.abs(found.scale * before / wanted - 1))


def test_what_two_places_lose_together_is_found(drawn):
    network, table, fitted, others = drawn
    first, second = (Place(kind=PlaceKind.WEIGHT, name=layer.name) for layer in network.engines[:2])
    pair = Pair(first=first, second=second)
    menus = [sorted({one.weights[place.name] for one in fitted + others}, key=str) for place in (first, second)]
    draw = random.Random(0)
    values = {(left, right): draw.uniform(0, 0.3) for left in menus[0] for right in menus[1]}
    paired = dataclasses.replace(table, pairs={pair: values})
    truth = dataclasses.replace(table, pairs={pair: {key: 1.5 * value for key, value in values.items()}})
    wanted = list(totals(network, truth, fitted))
    alone, both = (correct(network, one, fitted, wanted, seed=0) for one in (table, paired))
    assert both.error < alone.error
    assert spearman(totals(network, both.table, others), totals(network, truth, others)) > 0.98


def test_noise_does_not_move_the_order_much(drawn):
    network, table, fitted, others = drawn
    noise = np.exp(np.random.default_rng(0).normal(0, 0.3, len(fitted)))
    found = correct(network, table, fitted, list(totals(network, table, fitted) * noise), seed=0)
    wanted = totals(network, table, others)
    assert spearman(totals(network, found.table, others), wanted) > 0.95
    assert found.error <= found.table_error


def test_a_few_designs_decide_the_scale_alone(drawn):
    network, table, fitted, _ = drawn
    few = fitted[: FEWEST - 1]
    noisy = totals(network, table, few) * np.linspace(1, 5, len(few))
    found = correct(network, table, few, list(noisy), seed=0)
    assert found.strength == 0
    assert found.table.edges.keys() == table.edges.keys()
    ratios = {
        round(found.table.engines[key] / value, 9)
        for key, value in table.engines.items()
        if found.scale * value > LEAST
    }
    assert len(ratios) == 1


def test_without_designs_the_table_stays_as_it_is(drawn):
    network, table, _, _ = drawn
    found = correct(network, table, [], [], seed=0)
    assert found.table == table
    assert found.scale == 1
    assert found.designs == 0


def test_the_seed_decides_the_folds_and_nothing_else_is_random(drawn):
    network, table, fitted, _ = drawn
    losses = list(totals(network, table, fitted) * np.exp(np.random.default_rng(1).normal(0, 0.5, len(fitted))))
    first, again = (correct(network, table, fitted, losses, seed=5) for _ in range(2))
    assert first == again
