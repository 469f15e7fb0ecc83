"""Set-up costs and branches against enumeration that knows neither: items add up by hand, branches change nothing."""

import random

import numpy as np
import pytest

from dse.solve import evaluate, optimise, solve_single
from dse.solve.paid_once import PaidOnce
from dse.solve.problem import AttributeObjective, Cap, Combine, Coupling, LayerTable, Problem, UtilisationObjective
from dse.solve.query import Query
from dse.solve.reduce import largest_sum, reduce_for_all, reduce_options, smallest_sum
from dse.solve.result import Infeasible, Status

UTILISATION = UtilisationObjective(name="utilisation", limits={"luts": 97, "dsps": 13})
LOSS = AttributeObjective(name="loss")
CYCLES = AttributeObjective(name="cycles")

OBJECTIVES = {
    "utilisation, loss, cycles (max)": (UTILISATION, LOSS, CYCLES),
    "utilisation, loss": (UTILISATION, LOSS),
    "luts, loss": (AttributeObjective(name="luts"), LOSS),
    "loss, luts, utilisation": (LOSS, AttributeObjective(name="luts"), UTILISATION),
}


def make_shared_problem(seed, objectives):
    """An array of a few shapes, layers coupled to it and to each other, two kinds of items; None if nothing fits."""
    draw = random.Random(seed)
    shapes = draw.randint(1, 3)
    array = [
        {"shape": shape, "luts": draw.randint(0, 9), "dsps": draw.randint(0, 2), "cycles": draw.randint(2, 9)}
        for shape in range(shapes)
    ]
    count = draw.randint(1, 4)
    layers = [LayerTable.from_options("array", array)]
    for position in range(count):
        options = [
            {
                "shape": draw.randrange(shapes),
                "loss": draw.randint(-5, 30),
                "luts": draw.randint(0, 8),
                "cycles": draw.randint(0, 3),
                "ain": draw.randint(0, 1),
                "aout": draw.randint(0, 1),
                "datapath": draw.randint(-1, 4),
                "width": draw.randint(-1, 2),
            }
            for _ in range(draw.randint(1, 7))
        ]
        layers.append(LayerTable.from_options(f"layer{position}", options))
    couplings = [
        Coupling(left_layer="array", left_key="shape", right_layer=f"layer{i}", right_key="shape") for i in range(count)
    ]
    if draw.random() < 0.6:
        couplings += [
            Coupling(left_layer=f"layer{i}", left_key="aout", right_layer=f"layer{i + 1}", right_key="ain")
            for i in range(count - 1)
        ]
    paid = (
        PaidOnce(
            key="datapath",
            amounts={
                "luts": [draw.randint(0, 30) for _ in range(5)],
                "dsps": [draw.randint(0, 4) for _ in range(5)],
            },
        ),
        PaidOnce(key="width", amounts={"luts": [draw.randint(0, 12) for _ in range(3)]}),
    )
    caps = []
    if draw.random() < 0.5:
        caps.append(Cap(resource="luts", limit=draw.randint(20, 90)))
    if draw.random() < 0.3:
        caps.append(Cap(resource="cycles", limit=draw.randint(3, 9)))
    try:
        return Problem(
            layers=layers,
            objectives=objectives,
            couplings=couplings,
            caps=caps,
            combine={"cycles": Combine.MAX},
            paid_once=paid,
            branch="array" if draw.random() < 0.5 else None,
        )
    except ValueError as error:
        if "can never hold" in str(error):
            return None
        raise


@pytest.mark.parametrize("objectives", OBJECTIVES.values(), ids=OBJECTIVES)
def test_fronts_with_shared_costs_are_those_of_all_designs(objectives, pareto_of, designs_of):
    solved = empty = shared = branched = 0
    for seed in range(28):
        problem = make_shared_problem(seed, objectives)
        if problem is None:
            continue
        designs = designs_of(problem)
        front = optimise(problem, method="milp", max_solves=400)
        assert set(front.vectors()) == pareto_of(designs), seed
        assert len(front.vectors()) == len(set(front.vectors()))
        if not designs:
            assert front.infeasibility is not None
            empty += 1
            continue
        if len(objectives) == 2 or "cycles" in problem.objective_names:
            assert front.complete, (seed, front.why_incomplete)
        for point in front.points:
            exact = evaluate(problem, point.selection)
            assert not exact.violations
            assert exact.objectives == dict(point.objectives)
            assert point.certificate.gap == 0
            assert point.certificate.efficient
            for one in problem.paid_once:
                used = [
                    layer.option(i).get(one.key, -1) for layer, i in zip(problem.layers, point.selection, strict=True)
                ]
                shared += len([item for item in used if item >= 0]) > len({item for item in used if item >= 0})
        solved += 1
        branched += problem.branch is not None and problem.layers[0].option_count > 1
    assert solved > 12
    assert empty > 0
    assert shared > 20  # items used by several layers
    assert branched > 4


@pytest.mark.parametrize("seed", range(60))
def test_single_answers_are_optimal_in_and_out_of_branches(seed, designs_of):
    problem = make_shared_problem(1000 + seed, (UTILISATION, LOSS, CYCLES))
    if problem is None:
        pytest.skip("the drawn parts contradict each other")
    designs = list(designs_of(problem))
    position = seed % 3
    name = ("utilisation", "loss", "cycles")[position]
    for branch in ("array", None):
        asked = Problem(
            layers=problem.layers,
            objectives=problem.objectives,
            couplings=problem.couplings,
            caps=problem.caps,
            combine=problem.combine,
            paid_once=problem.paid_once,
            branch=branch,
        )
        bound = sorted(vector[1] for vector in designs)[len(designs) // 2] if designs else 0
        within = [vector for vector in designs if vector[1] <= bound]
        answer = solve_single(asked, objective=name, epsilons={"loss": bound})
        if not within:
            assert isinstance(answer, Infeasible)
            assert answer.status is Status.INFEASIBLE
            continue
        order = [position, *(i for i in range(3) if i != position)]
        expected = min(tuple(vector[i] for i in order) for vector in within)
        assert tuple(answer.objectives[("utilisation", "loss", "cycles")[i]] for i in order) == expected
        assert (answer.certificate.bound, answer.certificate.gap) == (expected[0], 0)
        assert answer.certificate.efficient
        assert dict(answer.certificate.at_most) == {"loss": bound}


def test_filters_keep_every_optimal_value_of_shared_costs(pareto_of, designs_of):
    checked = 0
    for seed in range(2000, 2060):
        problem = make_shared_problem(seed, (UTILISATION, LOSS, CYCLES))
        if problem is None:
            continue
        designs = designs_of(problem)
        small = problem.restrict(reduce_for_all(problem))
        assert pareto_of(designs_of(small)) == pareto_of(designs)
        for name, position in (("utilisation", 0), ("loss", 1), ("cycles", 2)):
            kept = reduce_options(problem, Query(minimise=name))
            if not designs:
                continue
            assert kept is not None
            left = designs_of(problem.restrict(kept))
            assert min(v[position] for v in left) == min(v[position] for v in designs)
        for attribute in ("luts", "dsps"):
            free = problem.replace(caps=(), objectives=(AttributeObjective(name=attribute),))
            totals = [vector[0] for vector in designs_of(free)]
            if totals:
                assert smallest_sum(problem, attribute) <= min(totals)
                assert max(totals) <= largest_sum(problem, attribute)
        checked += bool(designs)
    assert checked > 20


def test_calls_that_end_leave_a_bound_and_no_claim(designs_of):
    problem = next(
        one
        for one in (make_shared_problem(seed, (UTILISATION, LOSS)) for seed in range(200))
        if one is not None and one.branch and one.layers[0].option_count == 3 and len(designs_of(one)) > 10
    )
    from dse.solve.single import solve_query

    least = min(vector[1] for vector in designs_of(problem))
    found = solve_query(problem, Query(minimise="loss", then=("utilisation",)), time_limit_seconds=60, most_solves=1)
    if isinstance(found, Infeasible):
        assert found.status is Status.EFFORT_LIMIT
    else:
        assert found.certificate.status is Status.EFFORT_LIMIT
        assert not found.certificate.efficient
        assert found.certificate.bound <= least <= found.objectives["loss"]
    assert optimise(problem, method="milp", max_solves=1).complete is False


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        ({}, "items of 'datapath' cost nothing: give the amounts of at least one attribute"),
        ({"luts": [1, 2], "dsps": [1]}, "amounts of different length: {'luts': 2, 'dsps': 1}; give one per item"),
        ({"luts": [1, -2]}, "amount of 'luts' for item 1 of 'datapath' is -2: what is paid once must not be negative"),
        ({"luts": [0.5]}, "must be integers, one per item, got float64 of shape (1,): scale them to integers first"),
    ],
)
def test_bad_amounts_are_refused(amounts, words):
    import re

    with pytest.raises(ValueError, match=re.escape(words)):
        PaidOnce(key="datapath", amounts=amounts)


def problem_with(paid_once, **others):
    layer = LayerTable(name="a", columns={"loss": [1, 2], "luts": [3, 1], "datapath": [0, 2]})
    return Problem(layers=(layer,), objectives=(LOSS,), paid_once=paid_once, **others)


def test_items_that_do_not_exist_or_cannot_add_up_are_refused():
    two = PaidOnce(key="datapath", amounts={"luts": [1, 2]})
    with pytest.raises(ValueError, match=r"layer 'a' uses item 2 of 'datapath', which has 2 items: give amounts"):
        problem_with((two,))
    three = PaidOnce(key="datapath", amounts={"luts": [1, 2, 3]})
    with pytest.raises(ValueError, match=r"what is paid once, 'datapath' is given more than once"):
        problem_with((three, three))
    with pytest.raises(ValueError, match=r"'luts' is paid once by 'datapath' but combines by maximum: it must add up"):
        problem_with((three,), combine={"luts": Combine.MAX})
    with pytest.raises(ValueError, match="branch names layer 'b': the layers are a"):
        problem_with((three,), branch="b")
    huge = PaidOnce(key="datapath", amounts={"loss": [2**52, 2**52, 1]})
    with pytest.raises(ValueError, match=r"add up to 9007199254740995, beyond 2\*\*53"):
        problem_with((huge,))


def test_amounts_are_read_only_copies():
    given = np.array([1, 2])
    one = PaidOnce(key="datapath", amounts={"luts": given})
    given[0] = 9
    assert one.amounts["luts"].tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        one.amounts["luts"][0] = 3
