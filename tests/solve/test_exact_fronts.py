"""Fronts by paths: the whole front and the smallest selections, against enumeration on 500 problems of every kind."""

import pytest

from dse.solve import evaluate, optimise
from dse.solve.clock import Clock
from dse.solve.labels import Bounds, Outcome, search_labels
from dse.solve.problem import Combine
from dse.solve.relaxation import Relaxation
from dse.solve.staircase import Staircase
from dse.solve.task import task_of
from tests.solve.drawn_problems import draw_problem, enumerate_front


@pytest.mark.parametrize("block", range(20))
def test_fronts_are_those_of_all_designs(block):
    methods = set()
    for seed in range(25 * block, 25 * block + 25):
        problem = draw_problem(seed, designs=4000)
        expected = enumerate_front(problem)
        front = optimise(problem)
        assert front.complete, (seed, front.why_incomplete)
        assert front.solves == 0 or not expected, seed  # found by paths; only explanations ask the solver
        assert dict(zip(front.vectors(), front.designs, strict=True)) == expected, (seed, front.method)
        assert (front.infeasibility is not None) == (not expected), seed
        for point in front.points:
            exact = evaluate(problem, point.selection)
            assert exact.objectives == dict(point.objectives)
            assert not exact.violations
            assert point.certificate.efficient
            assert point.certificate.gap == 0
        methods.add(front.method)
    assert len(methods) > 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1100))
def test_larger_fronts_are_those_of_all_designs(seed):
    problem = draw_problem(seed, designs=200_000)
    front = optimise(problem)
    assert front.complete
    assert dict(zip(front.vectors(), front.designs, strict=True)) == enumerate_front(problem)


@pytest.mark.parametrize("block", range(4))
def test_bounded_labels_lose_nothing(block):
    """The piecewise search that large capped problems need, on problems that are solved without it."""
    searched = 0
    for seed in range(200 * block, 200 * block + 200):
        problem = draw_problem(seed, designs=1000)
        names = problem.objective_names
        if len(names) != 2 or any(problem.combines(name) is Combine.MAX for name in names):
            continue
        task, _ = task_of(problem, Clock.lasting(60))
        if task is None:
            continue
        stairs = Staircase(task=task, thin=task.thinned(), relaxation=Relaxation(task=task))
        stairs.run(0.0)
        assert not len(stairs.pieces()), seed
        assert stairs.gap() in {0.0, None}
        designs = stairs.designs
        found = dict(zip(map(tuple, designs.points.tolist()), map(tuple, designs.options.tolist()), strict=True))
        assert found == enumerate_front(problem), seed
        searched += 1
    assert searched > 20


def test_labels_and_merged_lists_agree():
    compared = 0
    for seed in range(300):
        problem = draw_problem(seed, designs=2000)
        task, _ = task_of(problem, Clock.lasting(60))
        if task is None or task.objectives != 2 or task.has_resources or len(task.trellis.level):
            continue
        designs, outcome = search_labels(task, task.thinned(), Bounds.none(task))
        assert outcome is Outcome.EXACT
        front = optimise(problem)
        assert front.vectors() == tuple(map(tuple, designs.points.tolist()))
        assert front.designs == tuple(map(tuple, designs.options.tolist()))
        compared += 1
    assert compared > 20


@pytest.mark.parametrize("seed", range(40, 52))
def test_the_declared_model_agrees(seed):
    problem = draw_problem(seed, designs=3000)
    front = optimise(problem)
    if front.infeasibility is not None:
        assert optimise(problem, method="milp").infeasibility is not None
        return
    checked = front.verify(6)
    assert checked.agrees, checked.disagreements
    assert checked.checked == min(6, len(front.points))


def test_same_front_twice():
    problem = draw_problem(7)
    one, two = optimise(problem), optimise(problem)
    assert one.vectors() == two.vectors()
    assert one.designs == two.designs


def test_a_wrong_front_is_noticed():
    from dataclasses import replace

    problem = next(
        made
        for made in (draw_problem(seed) for seed in range(100))
        if len(made.objectives) == 2 and len(optimise(made).points) > 3
    )
    front = optimise(problem)
    points = front.points[:]
    assert front.verify(5).agrees
    missing = replace(front, points=(points[0], *points[2:]))
    assert not missing.verify(len(points)).agrees
    moved = replace(points[1], objectives={name: value + 1 for name, value in points[1].objectives.items()})
    assert not replace(front, points=(points[0], moved, *points[2:])).verify(len(points)).agrees
    designs = replace(points[1], selection=points[0].selection)
    assert not replace(front, points=(points[0], designs, *points[2:])).verify(len(points)).agrees
