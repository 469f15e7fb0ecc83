"""The epsilon search of the declared model with two to five objectives, and ties, against enumeration."""

import random

import pytest

from dse.solve import optimise
from dse.solve.problem import AttributeObjective, Combine, LayerTable, Problem, UtilisationObjective
from tests.solve.drawn_problems import draw_problem, enumerate_front


def draw_many(seed):
    """A drawn problem with two to five objectives, one of which may be a utilisation; few values, so many ties."""
    problem, draw = draw_problem(seed, designs=150), random.Random(seed)
    objectives = [AttributeObjective(name=name) for name in ("loss", "lut", "cycles", "energy")]
    if draw.random() < 0.5:
        objectives[1] = UtilisationObjective(name="filling", limits={"lut": 10**6, "dsp": 9})
    if draw.random() < 0.3:
        objectives.append(AttributeObjective(name="dsp"))
    if draw.random() < 0.4:
        objectives = objectives[: draw.choice([2, 3])]
    return problem.replace(objectives=objectives, caps=[cap for cap in problem.caps if cap.resource != "loss"])


@pytest.mark.parametrize("block", range(6))
def test_fronts_and_selections_are_those_of_all_designs(block):
    sizes, ties = set(), 0
    for seed in range(12 * block, 12 * block + 12):
        problem = draw_many(seed)
        expected = enumerate_front(problem)
        if len(expected) > 25:
            continue
        front = optimise(problem, method="milp", max_solves=3000)
        assert front.complete, (seed, front.why_incomplete)
        assert (front.open_regions, front.gap) == (0, 0)
        assert dict(zip(front.vectors(), front.designs, strict=True)) == expected, seed
        assert all(point.certificate.efficient for point in front.points)
        sizes.add(len(problem.objectives))
        ties += len(expected)
    assert ties > 10
    assert max(sizes) > 3


def test_equal_designs_give_the_smallest_selection():
    columns = {"w": [2, 1, 1], "x": [1, 2, 2], "y": [1, 1, 1], "z": [3, 3, 3]}
    layers = [LayerTable(name=name, columns=columns) for name in "abcdefghijkl"]
    objectives = tuple(AttributeObjective(name=name) for name in "wxyz")
    for count in (2, 4):
        problem = Problem(layers=layers, objectives=objectives[:count], combine={"z": Combine.MAX})
        front = optimise(problem, method="milp", max_solves=500)
        assert front.complete
        assert front.designs == tuple((0,) * (12 - n) + (1,) * n for n in range(12, -1, -1))


@pytest.mark.parametrize("budget", [1, 4, 6])
def test_a_budget_that_ends_is_said(budget):
    problem = next(
        one for one in map(draw_many, range(200)) if len(one.objectives) > 3 and len(enumerate_front(one)) > 6
    )
    expected = enumerate_front(problem)
    seen = []
    front = optimise(problem, method="milp", max_solves=budget, on_progress=seen.append)
    assert not front.complete
    assert front.gap is None
    assert front.open_regions > 0
    assert "the solver calls allowed ended with" in front.why_incomplete
    assert 0 < front.solves <= budget
    assert seen[-1].solves == budget
    efficient = [v for v, p in zip(front.vectors(), front.points, strict=True) if p.certificate.efficient]
    assert set(efficient) <= set(expected)


def test_no_design_is_explained_for_many_objectives_too():
    from dse.solve.problem import Cap

    problem = Problem(
        layers=(LayerTable(name="a", columns={"w": [1], "x": [1], "y": [1], "z": [5]}),),
        objectives=tuple(AttributeObjective(name=name) for name in "wxyz"),
        caps=(Cap(resource="z", limit=4),),
        combine={"y": Combine.MAX},
    )
    front = optimise(problem, method="milp")
    assert front.infeasibility is not None
    assert "'z' needs at least 5 and is capped at 4" in str(front.infeasibility)
