"""Prices, what more buys, smallest edits, clashes and baselines, against enumeration."""

import itertools
import sys

import numpy as np
import pytest

from dse.solve import evaluate, explain, optimise
from dse.solve.baselines import (
    MissingSearchError,
    genetic_designs,
    greedy_designs,
    lagrangian_designs,
    uniform_designs,
)
from dse.solve.insights import shadow_prices, smallest_edit, what_more_buys
from dse.solve.problem import AttributeObjective, Cap, LayerTable, Problem
from tests.benchmarks.optimiser_instances import make_problem
from tests.missing_tools import foreign
from tests.solve.drawn_problems import draw_problem, enumerate_front


def small(**arguments):
    return make_problem(4, 6, ("loss", "lut"), **arguments)


def grown(caps, resource, limit):
    """Caps of which one has another limit."""
    return [Cap(resource=cap.resource, limit=limit if cap.resource == resource else cap.limit) for cap in caps]


def least(problem, caps=(), bounds=None):
    """The least loss of all designs, by going through them."""
    best = None
    for selection in itertools.product(*[range(layer.option_count) for layer in problem.layers]):
        exact = evaluate(problem.replace(caps=caps), selection)
        if not exact.violations and all(exact.objectives[name] <= bound for name, bound in (bounds or {}).items()):
            best = exact.objectives["loss"] if best is None else min(best, exact.objectives["loss"])
    return best


@pytest.mark.parametrize("seed", range(6))
def test_prices_bound_what_more_of_a_resource_can_bring(seed):
    problem = small(seed=seed, capped=True, room=0.9)
    value = least(problem, problem.caps)
    if value is None:
        with pytest.raises(ValueError, match="shadow prices need a problem with designs"):
            shadow_prices(problem.replace(caps=[Cap(resource="lut", limit=1)]), "loss")
        return
    prices = shadow_prices(problem, "loss")
    assert {price.resource for price in prices} == {"lut", "dsp", "bram"}
    for price in prices:
        assert price.price >= 0
        assert price.bound <= value
        for share in (0.1, 0.5, 3.0):
            larger = int(price.limit * (1 + share))
            caps = grown(problem.caps, price.resource, larger)
            assert least(problem, caps) >= price.bound - price.price * (larger - price.limit) - 1e-6


def test_prices_are_refused_where_there_are_none():
    problem = make_problem(3, 4, ("cycles", "loss"), latency="max")
    with pytest.raises(ValueError, match="shadow prices need an objective that adds up, and 'cycles' does not"):
        shadow_prices(problem, "cycles")


@pytest.mark.parametrize("seed", range(4))
def test_ten_percent_more_buys_what_enumeration_says(seed):
    problem = small(seed=seed, capped=True, room=1.0)
    bounds = {"lut": problem.caps[0].limit}
    before = least(problem, problem.caps, bounds)
    gains = what_more_buys(problem, "loss", epsilons=bounds)
    if before is None:
        assert gains == ()
        return
    assert len(gains) == 3
    for gain in gains:
        assert gain.larger == gain.limit + max(1, gain.limit // 10)
        caps = grown(problem.caps, gain.resource, gain.larger)
        assert (gain.before, gain.after) == (before, least(problem, caps, bounds))
        assert gain.proven
        assert f"from {gain.limit} to {gain.larger}: {before} to {gain.after}" in str(gain)


@pytest.mark.parametrize("seed", range(4))
def test_edits_are_the_smallest(seed):
    problem = small(seed=seed)
    points = optimise(problem).points
    start, goal = points[0], points[len(points) // 2]
    edit = smallest_edit(problem, start.selection, goal.objectives)
    assert edit.proven
    fewest = min(
        sum(a != b for a, b in zip(selection, start.selection, strict=True))
        for selection in itertools.product(*[range(layer.option_count) for layer in problem.layers])
        if all(evaluate(problem, selection).objectives[name] <= bound for name, bound in goal.objectives.items())
    )
    assert len(edit.changes) == fewest
    assert edit.objectives == dict(goal.objectives)
    for position, layer in enumerate(problem.layers):
        before, after = edit.changes.get(layer.name, (start.selection[position],) * 2)
        assert (before, after) == (start.selection[position], edit.selection[position])
    assert smallest_edit(problem, start.selection, {"loss": 0, "lut": 0}) is None


def test_caps_that_clash_are_named_with_the_nearest_design():
    layers = [
        LayerTable(name=n, columns={"loss": [1, 1], "lut": [60, 20], "dsp": [0, 5], "bram": [1, 1]}) for n in "ab"
    ]
    problem = Problem(
        layers=layers,
        objectives=(AttributeObjective(name="loss"),),
        caps=tuple(Cap(resource=name, limit=limit) for name, limit in (("lut", 100), ("dsp", 4), ("bram", 2))),
    )
    found = explain(problem)
    assert found.clash == ("lut", "dsp")
    assert "The caps that clash are those on 'lut', 'dsp'." in str(found)
    totals = evaluate(problem, found.nearest).totals
    assert all(
        totals[cap.resource] * 10**6 <= cap.limit * found.relaxation_ppm
        for cap in problem.caps
        if cap.resource != "bram"
    )


@pytest.mark.parametrize("method", [uniform_designs, greedy_designs, lagrangian_designs])
def test_baselines_are_designs_of_the_table(method):
    for seed in range(20):
        problem = draw_problem(seed, designs=500)
        front = enumerate_front(problem)
        if not front:
            continue
        found = method(problem)
        for point, selection in zip(found.points.tolist(), found.options.tolist(), strict=True):
            exact = evaluate(problem, selection)
            assert not exact.violations
            assert list(exact.objectives.values()) == point
            assert any(all(a <= b for a, b in zip(best, point, strict=True)) for best in front)


def test_baselines_find_something_on_a_plain_table():
    problem = small(seed=0)
    front = enumerate_front(problem)
    for method in (uniform_designs, greedy_designs, lagrangian_designs):
        assert len(method(problem)) > 1
    assert {tuple(row) for row in lagrangian_designs(problem).points.tolist()} <= set(front)


@pytest.mark.parametrize(
    "kind",
    [{}, {"capped": True, "room": 1.5}, {"chain": True}, {"latency": "max"}],
    ids=["free", "capped", "chain", "maximum"],
)
def test_the_genetic_search_finds_designs_of_the_table_and_the_same_again(kind):
    foreign("pymoo", "pip install 'bitfront[search]'")
    problem = small(seed=0, **kind)
    found = genetic_designs(problem, seconds=60.0, generations=25, seed=1)
    assert len(found)
    front = enumerate_front(problem)
    for point, selection in zip(found.points.tolist(), found.options.tolist(), strict=True):
        exact = evaluate(problem, selection)
        assert not exact.violations
        assert list(exact.objectives.values()) == point
        assert any(all(a <= b for a, b in zip(best, point, strict=True)) for best in front)
    again = genetic_designs(problem, seconds=60.0, generations=25, seed=1)
    assert np.array_equal(found.points, again.points)
    assert np.array_equal(found.options, again.options)


def test_the_genetic_search_ends_with_its_time():
    foreign("pymoo", "pip install 'bitfront[search]'")
    assert len(genetic_designs(small(seed=0), seconds=1.0, seed=1))


def test_the_genetic_search_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymoo.algorithms.moo.nsga2", None)
    with pytest.raises(MissingSearchError) as caught:
        genetic_designs(small(seed=0), seconds=1.0)
    assert str(caught.value) == "NSGA-II needs pymoo: pip install 'bitfront[search]'"
