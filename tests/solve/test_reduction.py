"""Filters: nondominated rows by definition, and optimal values that no filter changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dse.solve import nondominated, optimise
from dse.solve.problem import AttributeObjective, Cap, Combine, Coupling, LayerTable, Problem
from dse.solve.query import Query
from dse.solve.reduce import reduce_for_all, reduce_options

TABLES = arrays.arrays(np.int64, st.tuples(st.integers(0, 40), st.integers(1, 4)), elements=st.integers(-4, 4))


@given(TABLES)
def test_nondominated_is_the_definition(points):
    rows = [tuple(row) for row in points.tolist()]
    expected = [
        not any(
            all(a <= b for a, b in zip(other, row, strict=True)) and (other != row or j < i)
            for j, other in enumerate(rows)
            if j != i
        )
        for i, row in enumerate(rows)
    ]
    assert nondominated(points).tolist() == expected


def test_nondominated_across_blocks():
    generator = np.random.default_rng(0)
    points = generator.integers(0, 60, size=(3000, 3))
    points[:, 2] += 120 - points[:, 0] - points[:, 1]
    mask = nondominated(points)
    front = points[mask]
    assert mask.sum() > 20
    assert len(np.unique(front, axis=0)) == len(front)
    beaten = (front[None] <= points[:, None]).all(axis=2).any(axis=1)
    assert beaten.all()
    strictly = (front[None] <= front[:, None]).all(axis=2) & (front[None] < front[:, None]).any(axis=2)
    assert not strictly.any()


def test_nondominated_refuses_floats():
    with pytest.raises(ValueError, match=r"integers of shape \(rows, columns\), got float64 of shape \(1, 2\)"):
        nondominated([[0.5, 1.0]])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_filters_keep_every_optimal_value(seed, data):
    generator = np.random.default_rng(seed)
    layers = tuple(
        LayerTable(
            name=f"layer{i}",
            columns={
                "loss": generator.integers(-3, 9, 6),
                "luts": generator.integers(0, 9, 6),
                "cycles": generator.integers(1, 5, 6),
                "format": [0, 0, 0, 1, 1, 1],
            },
        )
        for i in range(3)
    )
    problem = Problem(
        layers=layers,
        objectives=tuple(AttributeObjective(name=name) for name in ("loss", "luts", "cycles")),
        couplings=(Coupling(left_layer="layer0", left_key="format", right_layer="layer1", right_key="format"),),
        caps=(Cap(resource="luts", limit=data.draw(st.integers(4, 27))),),
        combine={"cycles": Combine.MAX},
    )
    order = data.draw(st.permutations(["loss", "luts", "cycles"]))
    bounds = data.draw(st.dictionaries(st.sampled_from(order), st.integers(0, 12), max_size=2))
    query = Query(minimise=order[0], then=tuple(order[1:]), at_most=bounds)
    expected = best(problem, order, bounds, [range(6)] * 3)
    kept = reduce_options(problem, query)
    assert best(problem, order, bounds, reduce_for_all(problem)) == expected
    assert (best(problem, order, bounds, kept) if kept is not None else None) == expected


def best(problem, order, bounds, kept):
    """Lexicographically smallest vector over the kept options, None without any valid design."""
    values = []
    cap = problem.caps[0].limit
    rows = [[layer.option(int(i)) for i in indices] for layer, indices in zip(problem.layers, kept, strict=True)]
    for a in rows[0]:
        for b in rows[1]:
            for c in rows[2]:
                total = {
                    "loss": a["loss"] + b["loss"] + c["loss"],
                    "luts": a["luts"] + b["luts"] + c["luts"],
                    "cycles": max(a["cycles"], b["cycles"], c["cycles"]),
                }
                within = all(total[name] <= bound for name, bound in bounds.items())
                if a["format"] == b["format"] and total["luts"] <= cap and within:
                    values.append(tuple(total[name] for name in order))
    return min(values, default=None)


def test_ties_keep_the_faster_then_the_first():
    layer = LayerTable(name="a", columns={"loss": [1, 1, 1], "cycles": [5, 3, 3]})
    problem = Problem(
        layers=(layer,),
        objectives=(AttributeObjective(name="loss"), AttributeObjective(name="cycles")),
        combine={"cycles": Combine.MAX},
    )
    (kept,) = reduce_options(problem, Query(minimise="loss"))
    assert kept.tolist() == [1]


def test_slack_caps_do_not_keep_options():
    layer = LayerTable(name="a", columns={"loss": [1, 2], "luts": [9, 1]})
    problem = Problem(layers=(layer,), objectives=(AttributeObjective(name="loss"),))
    for limit, expected in ((9, [0]), (8, [1])):
        capped = problem.replace(caps=(Cap(resource="luts", limit=limit),))
        (kept,) = reduce_options(capped, Query(minimise="loss"))
        assert kept.tolist() == expected


def test_an_option_needed_only_for_a_threshold_is_kept():
    layer = LayerTable(name="a", columns={"loss": [1, 2], "cycles": [9, 5]})
    problem = Problem(
        layers=(layer,),
        objectives=(AttributeObjective(name="loss"),),
        caps=(Cap(resource="cycles", limit=6),),
        combine={"cycles": Combine.MAX},
    )
    assert [rows.tolist() for rows in reduce_for_all(problem)] == [[0, 1]]
    assert optimise(problem).vectors() == ((2,),)
