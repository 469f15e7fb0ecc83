"""Infeasible caps: what is short, the common factor, and levers that really work (checked by enumeration)."""

import pytest

from dse.solve import explain, optimise
from dse.solve.paid_once import PaidOnce
from dse.solve.problem import AttributeObjective, Cap, Combine, Coupling, LayerTable, Problem


def capped(luts, dsps, **changes):
    layers = tuple(
        LayerTable(name=name, columns={"loss": [1, 1], "luts": [60, 20], "dsps": [0, 5], "cycles": [8, 4]})
        for name in ("a", "b")
    )
    fields = {
        "layers": layers,
        "objectives": (AttributeObjective(name="loss"),),
        "caps": (Cap(resource="luts", limit=luts), Cap(resource="dsps", limit=dsps)),
        "combine": {"cycles": Combine.MAX},
    }
    return Problem(**(fields | changes))


def test_one_resource_is_short():
    found = explain(capped(luts=30, dsps=20))
    assert [(s.resource, s.least, s.missing) for s in found.shortages] == [("luts", 40, 10), ("dsps", 0, 0)]
    assert [(lever.resource, lever.needed) for lever in found.levers] == [("luts", 40)]
    assert found.relaxation_ppm == 1_333_334
    assert str(found) == (
        "No design meets the caps: 'luts' needs at least 40 and is capped at 30 (10 short). "
        "Growing every cap that adds up by 33.33 % would suffice. "
        "It would suffice to raise 'luts' from 30 to 40 (+33.3 %)."
    )


def test_caps_that_clash_only_together():
    found = explain(capped(luts=100, dsps=4))
    assert not any(shortage.missing for shortage in found.shortages)
    assert {(lever.resource, lever.needed) for lever in found.levers} == {("luts", 120), ("dsps", 5)}
    assert found.relaxation_ppm == 1_200_000
    assert (
        "No design meets the caps together, although each alone could be met: 'luts' 40 of 100, 'dsps' 0 of 4"
        in str(found)
    )


def test_a_threshold_is_a_lever_too():
    found = explain(capped(luts=200, dsps=4, caps=(Cap(resource="dsps", limit=4), Cap(resource="cycles", limit=6))))
    assert {(lever.resource, lever.needed) for lever in found.levers} == {("dsps", 10), ("cycles", 8)}


def test_a_cap_of_zero_has_no_percentage():
    found = explain(capped(luts=30, dsps=0, caps=(Cap(resource="luts", limit=100), Cap(resource="dsps", limit=0))))
    assert {str(lever) for lever in found.levers} == {
        "raise 'luts' from 100 to 120 (+20.0 %)",
        "raise 'dsps' from 0 to 5",
    }


def test_two_caps_that_must_both_grow():
    found = explain(capped(luts=39, dsps=20, caps=(Cap(resource="luts", limit=39), Cap(resource="cycles", limit=3))))
    assert found.levers == ()
    assert found.relaxation_ppm is None
    assert "more than one has to grow" in str(found)


@pytest.mark.parametrize("seed", range(30))
def test_levers_work_and_are_the_smallest(seed, random_problem, designs_of):
    problem = random_problem(seed, (AttributeObjective(name="loss"),), largest_layers=4, largest_options=5)
    if problem is None:
        return
    totals = designs_of(problem.replace(caps=()))
    if not totals:
        assert explain(problem).couplings_clash
        return
    caps = (Cap(resource="luts", limit=5), Cap(resource="dsps", limit=1))
    tight = problem.replace(caps=caps)
    if designs_of(tight):
        return
    found = explain(tight)
    for lever in found.levers:
        for limit, works in ((lever.needed, True), (lever.needed - 1, False)):
            other = tuple(Cap(resource=c.resource, limit=limit) if c.resource == lever.resource else c for c in caps)
            assert bool(designs_of(problem.replace(caps=other))) == works
    if found.relaxation_ppm is not None:
        for factor, works in ((found.relaxation_ppm, True), (found.relaxation_ppm - 1, False)):
            other = tuple(Cap(resource=c.resource, limit=c.limit * factor // 10**6) for c in caps)
            assert bool(designs_of(problem.replace(caps=other))) == works


def test_couplings_that_clash_along_a_cycle():
    layers = (
        LayerTable(name="a", columns={"loss": [1, 1], "x": [0, 1], "y": [1, 0]}),
        LayerTable(name="b", columns={"loss": [1, 1], "x": [0, 1], "y": [0, 1]}),
    )
    couplings = tuple(Coupling(left_layer="a", left_key=key, right_layer="b", right_key=key) for key in ("x", "y"))
    problem = Problem(layers=layers, objectives=(AttributeObjective(name="loss"),), couplings=couplings)
    front = optimise(problem)
    assert front.points == ()
    assert front.complete
    assert front.infeasibility.couplings_clash
    assert front.infeasibility.clash == ("a.x = b.x", "a.y = b.y")
    assert str(front.infeasibility) == (
        "No selection satisfies all couplings together, whatever the caps: a.x = b.x, a.y = b.y contradict each other. "
        "Add options with a value that their neighbours offer, or leave out one of these couplings."
    )


def test_only_couplings_that_contradict_each_other_are_named():
    """A long chain that is satisfiable, and a cycle of three in its middle that is not."""
    same = {"loss": [1, 1], "left": [0, 1], "right": [0, 1]}
    other = {"loss": [1, 1], "left": [0, 1], "right": [1, 0]}
    layers = [LayerTable(name=f"l{i}", columns=other if i == 5 else same) for i in range(12)]
    pairs = [*((i, i + 1) for i in range(11)), (6, 4)]
    couplings = [
        Coupling(left_layer=f"l{i}", left_key="right", right_layer=f"l{j}", right_key="left") for i, j in pairs
    ]
    problem = Problem(layers=layers, objectives=(AttributeObjective(name="loss"),), couplings=couplings)
    assert explain(problem).clash == ("l4.right = l5.left", "l5.right = l6.left", "l6.right = l4.left")


@pytest.mark.parametrize("caps", [(), (Cap(resource="luts", limit=7),)])
def test_too_few_shared_parts_are_explained_like_a_cap(caps):
    layers = [LayerTable(name=f"l{i}", columns={"loss": [1, 2], "luts": [3, 4], "ip": [i, i + 1]}) for i in range(4)]
    parts = PaidOnce(key="ip", amounts={"luts": [0] * 5}, most=1)
    problem = Problem(layers=layers, objectives=(AttributeObjective(name="loss"),), paid_once=(parts,), caps=caps)
    found = explain(problem)
    assert not found.couplings_clash
    assert [(one.resource, one.least, one.limit) for one in found.shortages][-1] == ("number of ips", 2, 1)
    assert "'number of ips' needs at least 2 and is capped at 1 (1 short)" in str(found)
    if not caps:
        assert "It would suffice to raise 'number of ips' from 1 to 2 (+100.0 %)." in str(found)
    assert optimise(problem).infeasibility == found
