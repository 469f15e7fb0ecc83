"""Points made efficient: against enumeration and HiGHS, and the words that say how far a search went."""

import numpy as np
import pytest

from dse.solve import fullest, optimise
from dse.solve.problem import Combine
from dse.solve.result import Status
from tests.benchmarks.optimiser_instances import make_problem
from tests.solve.claims import LESS_EFFORT
from tests.solve.drawn_problems import draw_filling_problem, draw_problem, enumerate_front

OBJECTIVES = [
    ("utilisation", "loss", "cycles"),
    ("utilisation", "loss", "energy"),
    ("utilisation", "loss"),
    ("loss", "lut", "cycles"),
    ("loss", "lut"),
]


@pytest.fixture
def without_few_labels(monkeypatch):
    """Small problems searched as large ones are, so that less effort leaves something to polish."""
    for name in ("few_labels", "all_labels"):
        monkeypatch.setattr(fullest, name, lambda task: None)  # noqa: ARG005 - none of any task


def check_polished(front, expected):
    """Every point is of the whole front and says so, and none is lost without a better one in its place."""
    found = front.polished(time_limit_seconds=60)
    vectors = np.array(found.vectors())
    for point in found.points:
        vector = tuple(point.objectives[name] for name in found.objectives)
        assert vector in expected
        certificate = point.certificate
        assert certificate.efficient
        assert certificate.status is Status.OPTIMAL
        assert certificate.gap == 0
        assert certificate.bound == certificate.objective == point.objectives[certificate.minimised]
        assert certificate.at_most == {n: v for n, v in point.objectives.items() if n != certificate.minimised}
    for before in front.vectors():
        assert (vectors <= np.array(before)).all(axis=1).any()
    assert list(found.vectors()) == sorted(set(found.vectors()))
    return found


@pytest.mark.parametrize("draw", [draw_problem, draw_filling_problem])
@pytest.mark.parametrize("block", range(2))
@pytest.mark.usefixtures("without_few_labels")
def test_points_become_those_of_the_whole_front(draw, block):
    polished = 0
    for seed in range(2000 + 20 * block, 2020 + 20 * block):
        problem = draw(seed, designs=300)
        if all(problem.combines(name) is Combine.MAX for name in problem.attribute_objectives):
            continue  # a utilisation without a sum is not told by paths
        expected = enumerate_front(problem)
        for settings in LESS_EFFORT:
            front = optimise(problem, **({"time_limit_seconds": 1.0} | settings))
            if not expected or "HiGHS" in front.method or not len(front.points):
                continue
            found = check_polished(front, expected)
            polished += len(found.points)
    assert polished > 50


@pytest.mark.usefixtures("without_few_labels")
def test_inefficient_points_move():
    moved = 0
    for seed in range(8):
        problem = make_problem(8, 12, ("utilisation", "loss", "cycles"), seed=seed, latency="max", chain=True)
        expected = dict.fromkeys(optimise(problem).vectors())
        front = optimise(problem, gap=0.3)
        moved += front.vectors() != check_polished(front, expected).vectors()
    assert moved > 0


@pytest.mark.parametrize("objectives", OBJECTIVES)
@pytest.mark.parametrize("kind", [{"chain": True}, {"capped": True}])
@pytest.mark.usefixtures("without_few_labels")
def test_the_declared_model_agrees(objectives, kind):
    problem = make_problem(5, 9, objectives, seed=3, latency="max", **kind)
    found = optimise(problem, method="hull").subset(6).polished(time_limit_seconds=60)
    assert all(point.certificate.efficient for point in found.points)
    checked = found.verify(2)
    assert checked.agrees, checked.disagreements
    assert checked.checked >= min(2, len(found.points))


def test_what_is_proven_or_has_no_time_stays():
    problem = make_problem(5, 9, ("utilisation", "loss", "cycles"), latency="max")
    whole = optimise(problem)
    assert whole.complete
    assert whole.polished() is whole
    hull = optimise(problem, method="hull")
    assert hull.polished(time_limit_seconds=0.0) is hull
    with pytest.raises(ValueError, match=r"time_limit_seconds must be at least 0, got -1"):
        hull.polished(time_limit_seconds=-1.0)


@pytest.mark.usefixtures("without_few_labels")
def test_a_maximum_is_lowered_last():
    """As good a sum may be had with less of the maximum; sums come first."""
    problem = make_problem(6, 10, ("loss", "lut", "cycles"), seed=1, latency="max")
    assert problem.combines("cycles") is Combine.MAX
    front = optimise(problem, gap=0.3)
    assert any(not point.certificate.efficient for point in front.points)
    check_polished(front, dict.fromkeys(optimise(problem).vectors()))


@pytest.mark.usefixtures("without_few_labels")
@pytest.mark.parametrize(
    ("settings", "status", "why"),
    [
        ({"gap": 0.3}, Status.WITHIN_GAP, "the gap allowed was reached before every"),
        ({"time_limit_seconds": 0.0}, Status.TIME_LIMIT, "the time allowed ended before every"),
        ({"method": "hull"}, Status.EFFORT_LIMIT, "the method asked for, or memory for labels, ended before every"),
    ],
)
def test_words_say_what_ended_a_search(settings, status, why):
    objectives = ("loss", "lut", "energy") if settings.get("method") else ("utilisation", "loss")
    front = optimise(make_problem(8, 20, objectives), **settings)
    assert not front.complete
    assert why in front.why_incomplete
    assert {point.certificate.status for point in front.points} == {status}
    assert not any(point.certificate.efficient for point in front.points)
    assert {one.value for one in Status} == {"optimal", "infeasible", "within the gap", "time limit", "effort limit"}
