"""Fronts with a utilisation by paths: against enumeration, HiGHS, and what unfinished ones claim."""

import numpy as np
import pytest

from dse.solve import evaluate, exact, fullest, optimise
from dse.solve.clock import Clock
from dse.solve.fullest import Filling
from dse.solve.hypervolume import hypervolume
from dse.solve.problem import AttributeObjective, Combine, LayerTable, Problem, UtilisationObjective
from dse.solve.result import GapKind
from dse.solve.sums import Aim, Effort
from dse.solve.surrogates import Surrogates
from dse.solve.task import task_of
from tests.benchmarks.optimiser_instances import make_problem
from tests.solve.claims import with_less_effort
from tests.solve.drawn_problems import draw_filling_problem, enumerate_front


def leave_out_few_labels(monkeypatch):
    """Labels that nothing bounds settle small problems: without them, what large problems need is tried."""
    for name in ("few_labels", "all_labels"):
        monkeypatch.setattr(fullest, name, lambda _: None)


def is_by_paths(problem):
    """Whether there is a sum beside the utilisation; without one the declared model answers."""
    return any(problem.combines(name) is Combine.SUM for name in problem.attribute_objectives)


def filling_problem(layers, options, seed, *, last="cycles", **more):
    """A network's tables with utilisation, loss and the slowest layer (or energy) as objectives."""
    return make_problem(layers, options, ("utilisation", "loss", last), seed=seed, latency="max", **more)


@pytest.mark.parametrize("block", range(12))
def test_fronts_are_those_of_all_designs(block):
    methods = set()
    for seed in range(25 * block, 25 * block + 25):
        problem = draw_filling_problem(seed, designs=1500)
        if not is_by_paths(problem):
            continue
        expected = enumerate_front(problem)
        front = optimise(problem)
        assert front.complete, (seed, front.why_incomplete)
        assert dict(zip(front.vectors(), front.designs, strict=True)) == expected, (seed, front.method)
        assert "HiGHS" not in front.method
        for point in front.points:
            values = evaluate(problem, point.selection)
            assert values.objectives == dict(point.objectives)
            assert not values.violations
            assert point.certificate.efficient
        methods.add(front.method)
    assert len(methods) > 2


@pytest.mark.parametrize("block", range(8))
def test_weighted_resources_lose_nothing(monkeypatch, block):
    """The search that large problems need, on problems that are solved without it."""
    leave_out_few_labels(monkeypatch)
    searched = 0
    for seed in range(1000 + 25 * block, 1025 + 25 * block):
        problem = draw_filling_problem(seed, designs=1500)
        sums = [name for name in problem.attribute_objectives if problem.combines(name) is Combine.SUM]
        if len(sums) != 1:
            continue
        expected = enumerate_front(problem)
        front = optimise(problem)
        assert front.complete, seed
        assert dict(zip(front.vectors(), front.designs, strict=True)) == expected, (seed, front.method)
        searched += "weighted together" in front.method
    assert searched > 2


@pytest.mark.parametrize("seed", range(4))
def test_staircases_hold_for_every_design(seed):
    problem = filling_problem(5, 8, seed)
    task, _ = task_of(problem.replace(objectives=problem.objectives[:2]), Clock.lasting(60))
    surrogates = Surrogates(task=task, thin=task.thinned())
    assert surrogates.begin()
    draw = np.random.default_rng(seed)
    for _ in range(10):
        prices = draw.dirichlet(np.ones(len(task.available)))
        assert surrogates.weigh(np.append(prices, draw.uniform(0, 1, len(surrogates.priced))))
    places = [draw.integers(0, layer.option_count, 3000) for layer in problem.layers]
    drawn = task.of_options(np.stack(places, axis=1)).points
    assert (surrogates.least(drawn[:, 0]) <= drawn[:, 1]).all()
    assert (surrogates.least_first(drawn[:, 1]) <= drawn[:, 0]).all()
    assert not surrogates.excludes(drawn).any()
    front = np.array(optimise(problem.replace(objectives=problem.objectives[:2])).vectors())[:, ::-1]
    below = front - np.array([0, 1])
    assert surrogates.excludes(below[np.argsort(below[:, 0])]).sum() > len(front) // 4
    inner = hypervolume(front, front.max(axis=0))
    search = Filling(task=task, thin=task.thinned())
    search.run(Aim(gap=0.5, effort=Effort.HULL, with_ends=False))
    assert search.outer(front.max(axis=0).astype(float)) >= inner


@pytest.mark.parametrize("capped", [False, True])
@pytest.mark.parametrize("last", ["cycles", "energy"])
def test_nothing_more_is_missing_than_the_gap_says(monkeypatch, capped, last):
    problems = [filling_problem(5, 8, seed, last=last, capped=capped) for seed in range(3)]
    wholes = [optimise(problem) for problem in problems]
    leave_out_few_labels(monkeypatch)
    unfinished = 0
    for problem, whole in zip(problems, wholes, strict=True):
        unfinished += sum(not found.complete for found, _ in with_less_effort(problem, whole) if len(found.points))
    assert unfinished > 2


def test_a_zero_time_limit_says_what_is_known():
    problem = filling_problem(12, 20, 0)
    found = optimise(problem, time_limit_seconds=0.0)
    assert not found.complete
    assert found.gap_kind is GapKind.HYPERVOLUME
    assert 0.0 <= found.gap <= 1.0
    assert "the time allowed ended" in found.why_incomplete


@pytest.mark.parametrize("seed", range(2))
def test_the_declared_model_agrees(seed):
    front = optimise(filling_problem(6, 10, seed, chain=True))
    assert front.complete
    assert "HiGHS" not in front.method
    checked = front.verify(5)
    assert checked.agrees, checked.disagreements
    assert checked.checked == 5


def test_large_tables_reach_the_gap():
    problem = filling_problem(20, 30, 0, chain=True)
    front = optimise(problem, gap=0.02, time_limit_seconds=120)
    assert front.gap <= 0.02
    assert front.box_is_proven
    assert len(front.points) > 100
    for point in front.points[::97]:
        certificate = point.certificate
        assert certificate.minimised == "loss"
        assert certificate.bound <= certificate.objective


def test_resources_that_never_decide_are_left_out():
    table = LayerTable(name="a", columns={"loss": [3, 1, 0], "lut": [10, 40, 60], "ff": [9, 39, 60], "dsp": [0, 0, 1]})
    limits = {"lut": 100, "ff": 200, "dsp": 1000}
    problem = Problem(
        layers=(table,),
        objectives=(UtilisationObjective(name="filling", limits=limits), AttributeObjective(name="loss")),
    )
    task, _ = task_of(problem, Clock.lasting(1))
    assert task.available.tolist() == [100]
    assert optimise(problem).vectors() == ((100_000, 3), (400_000, 1), (600_000, 0))


def test_numbers_too_large_for_64_bits_go_to_the_declared_model():
    table = LayerTable(name="a", columns={"loss": [3, 1], "lut": [2**40, 2**41]})
    problem = Problem(
        layers=(table,),
        objectives=(UtilisationObjective(name="filling", limits={"lut": 2**42}), AttributeObjective(name="loss")),
    )
    front = optimise(problem)
    assert "HiGHS" in front.method
    assert front.vectors() == ((250_000, 3), (500_000, 1))
    assert exact.front_by_paths(problem, gap=0.0, clock=Clock.lasting(1)) is None
