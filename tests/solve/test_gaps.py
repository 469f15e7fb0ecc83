"""What unfinished fronts claim, against the finished ones: nothing more is missing than the gap says."""

import math
import os
import signal
import threading
import time

import numpy as np
import pytest

from dse.solve import exact, optimise, staircase, sums, supported
from dse.solve.archive import Designs
from dse.solve.clock import Clock
from dse.solve.ends import ask_for_ends
from dse.solve.pairs import pair_front
from dse.solve.result import GapKind
from dse.solve.single_sum import Least
from dse.solve.sums import _in_steps
from dse.solve.task import task_of
from tests.benchmarks.optimiser_instances import make_problem
from tests.solve.claims import check_claims, missing, with_less_effort
from tests.solve.drawn_problems import draw_problem

CASES = {
    "free": {},
    "chain": {"chain": True},
    "capped": {"capped": True},
    "capped chain": {"capped": True, "chain": True},
    "max": {"latency": "max"},
    "capped max": {"latency": "max", "capped": True},
}


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("objectives", [("loss", "lut"), ("loss", "cycles"), ("loss", "lut", "cycles")])
def test_nothing_more_is_missing_than_the_gap_says(kind, objectives):
    for seed in range(4):
        problem = make_problem(5, 9, objectives, seed=seed, **CASES[kind])
        whole = optimise(problem)
        for found, settings in with_less_effort(problem, whole):
            assert found.complete or found.gap <= settings.get("gap", math.inf)


def test_drawn_problems_keep_their_claims_without_time():
    unfinished = 0
    for seed in range(150):
        problem = draw_problem(seed, designs=1500)
        whole = optimise(problem)
        found = optimise(problem, time_limit_seconds=0.0)
        if whole.infeasibility is not None:
            assert not len(found.points)
            continue
        unfinished += not found.complete
        if len(problem.objectives) > 1 and len(found.points):
            check_claims(found, whole)
        elif len(found.points) and not found.complete:
            assert found.gap_kind is GapKind.SHORTFALL
            assert found.vectors()[0][0] - whole.vectors()[0][0] <= found.gap
    assert unfinished > 20


@pytest.mark.parametrize("latency", ["sum", "max"])
@pytest.mark.parametrize("objectives", [("loss", "lut"), ("loss", "cycles"), ("loss", "lut", "cycles")])
def test_ends_that_paths_do_not_prove_come_from_the_solver(monkeypatch, latency, objectives):
    """Searches for least values that find nothing, and no repair: what is missing at the ends must be added."""

    def nothing(task, dimension, share=1.0):
        none = Designs.none(1, task.trellis.depth)
        return Least(bound=int(task.least[-1, dimension]), designs=none, is_exact=False)

    problems = [make_problem(5, 9, objectives, seed=seed, latency=latency, capped=True) for seed in range(6)]
    wholes = [optimise(problem) for problem in problems]
    for module in (staircase, supported, sums):
        monkeypatch.setattr(module, "least_sum", nothing)
    monkeypatch.setattr(staircase.Staircase, "run", lambda self, *_, **__: self._bound())  # planes alone
    for name in ("few_labels", "all_labels"):
        monkeypatch.setattr(sums, name, lambda _: None)
    monkeypatch.setattr("dse.solve.compiled.relaxation.repair", no_repair)
    asked = []

    def noted(*arguments):
        asked.append(ask_for_ends(*arguments))
        return asked[-1]

    monkeypatch.setattr(exact, "ask_for_ends", noted)
    for problem, whole in zip(problems, wholes, strict=True):
        found = optimise(problem, gap=0.9, time_limit_seconds=60)
        if whole.infeasibility is None and not found.complete:
            assert found.box_is_proven
            check_claims(found, whole)
    assert sum(len(ends.options) for ends in asked)


def no_repair(*arguments):
    return False


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("chain", [False, True])
def test_steps_match_every_design(share, chain):
    problem = make_problem(12, 20, ("loss", "lut"), seed=3, chain=chain)
    task, _ = task_of(problem, Clock.lasting(60))
    whole = pair_front(task).points
    solved = _in_steps(task, share)
    points = solved.designs.points
    assert solved.coverage <= share
    extent = np.ptp(whole[:, 0])
    for first, second in whole:
        near = points[points[:, 1] <= second]
        assert near[:, 0].min() - first <= solved.coverage * extent
    assert (points.min(axis=0) == whole.min(axis=0)).all()
    assert len(points) < len(whole) or share < 0.01


def test_large_tables_take_the_gap_at_once():
    problem = make_problem(60, 150, ("loss", "lut"), seed=0)
    front = optimise(problem, gap=0.01)
    assert front.gap_kind is GapKind.COVERAGE
    assert 0 < front.gap <= 0.01
    assert front.box_is_proven


def test_fewer_points_are_shown_with_what_they_leave_out():
    problem = make_problem(8, 12, ("loss", "lut"), seed=0)
    whole = optimise(problem)
    for by in ("coverage", "hypervolume"):
        shown = whole.subset(7, by=by)
        assert len(shown.points) == 7
        assert set(shown.vectors()) < set(whole.vectors())
        assert shown.vectors()[0] == whole.vectors()[0]
        assert shown.vectors()[-1] == whole.vectors()[-1]
        assert not shown.complete
        assert shown.gap == pytest.approx(missing(shown, whole))
    assert whole.subset(10**6) is whole
    assert optimise(problem, max_points=7).vectors() == whole.subset(7).vectors()
    by_volume = whole.subset(9, by="hypervolume")
    assert by_volume.gap <= whole.subset(9).gap
    with pytest.raises(ValueError, match="a subset has at least 1 point, got 0"):
        whole.subset(0)
    with pytest.raises(ValueError, match="unknown choice 'beauty': it is one of coverage, ratio, hypervolume"):
        whole.subset(3, by="beauty")


def test_control_c_keeps_what_is_proven():
    problem = make_problem(20, 30, ("loss", "cycles"), seed=1, capped=True)
    optimise(make_problem(3, 3, ("loss", "cycles"), capped=True, room=3.0))  # compiles
    before = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    front = optimise(problem, time_limit_seconds=300)
    assert time.monotonic() - started < 60
    assert len(front.points) > 1
    if not front.complete:
        assert 0 < front.gap < 1
        assert "ended" in front.why_incomplete
    assert signal.getsignal(signal.SIGINT) is before


def test_clocks_end_with_the_whole():
    whole = Clock.lasting(100.0)
    part = whole.part(0.5)
    assert 40 < part.seconds_left <= 50
    whole.stop()
    assert not part.has_time
    assert not whole.has_time


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"gap": 1.0}, "gap must be at least 0 and below 1, got 1.0"),
        ({"max_points": 0}, "max_points must be at least 1, got 0"),
        ({"method": "magic"}, "unknown method 'magic': it is one of auto, dp, milp, hull"),
        ({"time_limit_seconds": float("nan")}, "time_limit_seconds must be at least 0, got nan"),
        ({"objectives": ["watts"]}, "uses attribute 'watts', which no layer has"),
    ],
)
def test_bad_arguments_say_what_is_allowed(arguments, words):
    with pytest.raises(ValueError, match=words):
        optimise(make_problem(2, 2, ("loss",)), **arguments)
