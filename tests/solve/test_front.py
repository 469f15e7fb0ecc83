"""Fronts of the declared model against enumeration: nondominated points, exact corners, complete only when it is."""

import pytest

from dse.solve import evaluate, optimise
from dse.solve.problem import AttributeObjective, Cap, LayerTable, Problem, UtilisationObjective
from dse.solve.result import Status


def check_certificates(front, designs):
    for point in front.points:
        certificate = point.certificate
        vector = tuple(point.objectives[name] for name in front.objectives)
        assert certificate.rechecked
        assert certificate.status is Status.OPTIMAL
        assert certificate.gap == 0
        allowed = [
            other
            for other in designs
            if all(other[front.objectives.index(name)] <= bound for name, bound in certificate.at_most.items())
        ]
        first = front.objectives.index(certificate.minimised)
        assert vector in allowed
        assert certificate.objective == certificate.bound == vector[first] == min(other[first] for other in allowed)


def check_front(problem, designs_of, pareto_of, max_solves=80):
    """Compare the front of a problem with all its designs."""
    designs = designs_of(problem)
    expected = pareto_of(designs)
    front = optimise(problem, method="milp", max_solves=max_solves)
    if not designs:
        assert front.points == ()
        assert front.infeasibility is not None
        return
    vectors = front.vectors()
    assert len(set(vectors)) == len(vectors)
    assert set(vectors) <= expected
    assert all(point.certificate.efficient for point in front.points)
    assert front.complete == (front.why_incomplete == "")
    if front.complete:
        assert set(vectors) == expected
    if front.complete and front.solves < max_solves:  # calls were left for all ties
        assert front.designs == tuple(designs[vector] for vector in vectors)
    if len(problem.objectives) == 2 and len(expected) <= max_solves // 2 - 5:
        assert front.complete  # about two solves per point are enough
    for position in range(len(problem.objectives)):
        assert min(v[position] for v in vectors) == min(v[position] for v in expected)
    check_certificates(front, designs)
    for point in front.points:
        assert evaluate(problem, point.selection).objectives == dict(point.objectives)


@pytest.mark.parametrize("seed", range(8))
def test_front_equals_enumeration(seed, objectives, random_problem, designs_of, pareto_of):
    problem = random_problem(seed, objectives, designs=1_500)
    if problem is not None:
        check_front(problem, designs_of, pareto_of, max_solves=60 if len(objectives) == 2 else 25)


@pytest.mark.parametrize("budget", [2, 3, 6, 12])
def test_the_gap_of_an_unfinished_front_holds_for_every_design(budget, random_problem, designs_of):
    objectives = (AttributeObjective(name="loss"), AttributeObjective(name="energy"))
    problem = random_problem(9, objectives, largest_options=6)
    front = optimise(problem, method="milp", max_solves=budget)
    other = next(name for name in front.objectives if name != front.gap_objective)
    first, second = (front.objectives.index(name) for name in (front.gap_objective, other))
    shortfalls = [
        min(point[first] - design[first] for point in front.vectors() if point[second] <= design[second])
        for design in designs_of(problem)
    ]
    assert front.gap is not None
    assert max(shortfalls) <= front.gap
    assert (front.gap == 0) == front.complete


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_front_equals_enumeration_on_many(seed, objectives, random_problem, designs_of, pareto_of):
    problem = random_problem(seed, objectives)
    if problem is not None:
        check_front(problem, designs_of, pareto_of)


@pytest.mark.parametrize("seed", [1, 4, 8])
def test_three_objectives_with_a_maximum_complete_when_the_budget_allows(seed, random_problem, designs_of, pareto_of):
    objectives = (
        UtilisationObjective(name="utilisation", limits={"luts": 97, "dsps": 13}),
        AttributeObjective(name="loss"),
        AttributeObjective(name="cycles"),
    )
    problem = random_problem(seed, objectives, largest_layers=4, largest_options=5)
    designs = designs_of(problem)
    front = optimise(problem, method="milp", max_solves=2000)
    assert designs
    assert front.complete, front.why_incomplete
    assert set(front.vectors()) == pareto_of(designs)


def test_same_front_twice_and_with_two_processes(random_problem):
    objectives = (
        UtilisationObjective(name="utilisation", limits={"luts": 97, "dsps": 13}),
        AttributeObjective(name="loss"),
        AttributeObjective(name="cycles"),
    )
    problem = random_problem(3, objectives)
    fronts = [optimise(problem, method="milp", max_solves=30, jobs=jobs) for jobs in (1, 1, 2)]
    selections = [[point.selection for point in front.points] for front in fronts]
    assert selections[0] == selections[1] == selections[2]
    assert len({(front.solves, front.why_incomplete, front.vectors()) for front in fronts}) == 1


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 11])
def test_budget_is_kept_and_reported(budget, random_problem, designs_of, pareto_of):
    objectives = (
        UtilisationObjective(name="utilisation", limits={"luts": 97, "dsps": 13}),
        AttributeObjective(name="loss"),
        AttributeObjective(name="cycles"),
    )
    problem = random_problem(14, objectives)
    seen = []
    front = optimise(problem, method="milp", max_solves=budget, on_progress=seen.append)
    assert 0 < front.solves <= budget
    assert [progress.solves for progress in seen] == sorted({progress.solves for progress in seen})
    assert seen[-1].solves <= front.solves  # which also counts calls for ties
    expected = pareto_of(designs_of(problem))
    assert front.complete == (front.why_incomplete == "")
    assert set(front.vectors()) == expected if front.complete else budget < 11
    assert all(v in expected for v, p in zip(front.vectors(), front.points, strict=True) if p.certificate.efficient)


def test_a_single_objective_is_one_proven_point(random_problem, designs_of):
    problem = random_problem(2, (AttributeObjective(name="loss"),))
    front = optimise(problem, method="milp")
    assert front.complete
    assert front.vectors() == (min(designs_of(problem)),)


@pytest.mark.parametrize("seconds", [0.001, 0.5])
def test_too_little_time_is_said_not_hidden(seconds):
    losses = [(37 * i * i + i) % 1009 for i in range(60)]
    options = [{"loss": loss, "luts": 1009 - loss + (13 * i * i) % 97} for i, loss in enumerate(losses)]
    layers = [LayerTable.from_options(f"layer{i}", options[i:] + options[:i]) for i in range(20)]
    problem = Problem(
        layers=layers,
        objectives=(AttributeObjective(name="loss"), AttributeObjective(name="luts")),
        caps=(Cap(resource="luts", limit=10_000),),
    )
    front = optimise(problem, method="milp", time_limit_seconds=seconds)
    assert not front.complete
    assert "ended" in front.why_incomplete
    assert front.seconds < seconds + 5
    for point in front.points:
        certificate = point.certificate
        assert certificate.bound <= certificate.objective
        assert certificate.efficient == (certificate.status is Status.OPTIMAL)
        assert certificate.gap == certificate.objective - certificate.bound


def test_bad_arguments_say_what_is_allowed(random_problem):
    problem = random_problem(2, (AttributeObjective(name="loss"),))
    with pytest.raises(ValueError, match="max_solves and jobs must be at least 1, got 0 and 1"):
        optimise(problem, method="milp", max_solves=0)
    with pytest.raises(ValueError, match=r"time_limit_seconds must be at least 0, got -1\.0"):
        optimise(problem, time_limit_seconds=-1.0)
