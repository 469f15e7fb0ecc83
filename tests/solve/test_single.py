"""One query at a time against enumeration, the tolerance trap, and what the model itself says."""

import itertools
import math
import random
from types import SimpleNamespace

import pytest

from dse.solve import evaluate, milp, solve_single, stage
from dse.solve.milp import Answer
from dse.solve.problem import AttributeObjective, Cap, LayerTable, Problem, UtilisationObjective
from dse.solve.query import Query, limits_of
from dse.solve.result import Infeasible, PrecisionError, SolverVersionError, Status


def some_epsilons(seed, problem, designs, first):
    """Bounds on other objectives taken from a design, sometimes one below it."""
    generator = random.Random(seed)
    if not designs or generator.random() < 0.25:
        return {}
    vector = generator.choice(sorted(designs))
    names = [name for name in problem.objective_names if name != first]
    return {name: vector[problem.objective_names.index(name)] - generator.randint(0, 1) for name in names}


@pytest.mark.parametrize("seed", range(8))
def test_lexicographic_minimum_under_epsilons_equals_enumeration(seed, objectives, random_problem, designs_of):
    problem = random_problem(seed, objectives, designs=1_500)
    if problem is None:
        return
    designs = designs_of(problem)
    names = problem.objective_names
    for position, name in enumerate(names):
        epsilons = some_epsilons(seed, problem, designs, name)
        allowed = [v for v in designs if all(v[names.index(other)] <= bound for other, bound in epsilons.items())]
        answer = solve_single(problem, objective=name, epsilons=epsilons)
        if not allowed:
            assert isinstance(answer, Infeasible)
            assert answer.status is Status.INFEASIBLE
            continue
        order = [position, *(other for other in range(len(names)) if other != position)]
        best = min(allowed, key=lambda vector, order=order: [vector[i] for i in order])
        assert tuple(answer.objectives[other] for other in names) == best
        assert answer.certificate.efficient
        assert answer.certificate.gap == 0
        assert answer.certificate.bound == best[position]
        assert not evaluate(problem, answer.selection).violations


@pytest.mark.parametrize("seed", range(6))
def test_the_declared_model_has_the_same_optimum(seed, objectives, random_problem, designs_of):
    """``Problem.to_pyomo`` filters nothing: solved as it stands it must agree with the filtered path."""
    problem = random_problem(seed + 20, objectives, largest_layers=4)
    if problem is None:
        return
    designs = designs_of(problem)
    for position, name in enumerate(problem.objective_names):
        built = milp.build_model(problem, Query(minimise=name))
        answer = milp.run_highs(built, time_limit_seconds=60.0)
        if not designs:
            assert answer.status is Status.INFEASIBLE
            continue
        best = min(vector[position] for vector in designs)
        assert built.terms[0].value(math.ceil(answer.bound - 1e-3)) == best
        assert evaluate(problem, answer.selection).objectives[name] == best
        model = problem.to_pyomo(name)
        assert len(model.pick) == sum(layer.option_count for layer in problem.layers)


def test_an_epsilon_of_ten_million_is_kept_to_the_unit():
    """With default tolerances HiGHS returns loss 10,524,009 as optimal for an epsilon of 10,524,008 on such tables."""
    generator = random.Random(5)
    layers = []
    for position in range(8):
        losses = sorted((generator.randint(0, 4_000_000) for _ in range(12)), reverse=True)
        rows = [
            {"loss": loss, "cycles": 100_000 + 60_000 * rank + generator.randint(0, 50_000)}
            for rank, loss in enumerate(losses)
        ]
        layers.append(LayerTable.from_options(f"layer{position}", rows))
    problem = Problem(layers=layers, objectives=(AttributeObjective(name="cycles"), AttributeObjective(name="loss")))
    exact = dict(pareto_by_merging(layers))
    vectors = sorted(exact.items())
    for cycles, loss in vectors[:: max(1, len(vectors) // 7)]:
        kept = solve_single(problem, objective="cycles", epsilons={"loss": loss})
        assert (kept.objectives["cycles"], kept.objectives["loss"]) == (cycles, loss)
        tighter = solve_single(problem, objective="cycles", epsilons={"loss": loss - 1})
        later = [vector for vector in vectors if vector[1] <= loss - 1]
        if later:
            assert (tighter.objectives["cycles"], tighter.objectives["loss"]) == min(later)
        else:
            assert tighter.status is Status.INFEASIBLE


def pareto_by_merging(layers):
    """Exact (cycles, loss) front of uncoupled layers: add layer by layer, keep what is not dominated."""
    front = [(0, 0)]
    for layer in layers:
        options = [layer.option(i) for i in range(layer.option_count)]
        sums = sorted((c + o["cycles"], loss + o["loss"]) for c, loss in front for o in options)
        front = []
        for cycles, loss in sums:
            if not front or loss < front[-1][1]:
                front.append((cycles, loss))
    return front


def two_options():
    table = LayerTable(name="a", columns={"loss": [0, 4, 9], "luts": [9, 5, 2]})
    return Problem(layers=(table,), objectives=(AttributeObjective(name="loss"), AttributeObjective(name="luts")))


def answer_with(selections, monkeypatch, bound=0):
    """Let the solver return these selections, one per call, as optimal."""
    queue = iter(selections)

    def run(_built, *, time_limit_seconds):
        assert time_limit_seconds > 0
        return Answer(status=Status.OPTIMAL, selection=next(queue), bound=bound, seconds=0.0)

    monkeypatch.setattr(stage, "run_highs", run)
    monkeypatch.setattr(stage, "reduce_options", lambda problem, _query: [range(3)] * len(problem.layers))
    monkeypatch.setattr(Problem, "restrict", lambda self, _kept: self)


def test_a_selection_over_an_epsilon_is_never_shown(monkeypatch):
    real = stage.run_highs
    calls = []

    def run(built, *, time_limit_seconds):
        calls.append(len(built.model.excluded))
        if len(calls) == 1:  # loss 9 where at most 5 is allowed, called optimal
            return Answer(status=Status.OPTIMAL, selection=(2,), bound=0, seconds=0.0)
        return real(built, time_limit_seconds=time_limit_seconds)

    monkeypatch.setattr(stage, "reduce_options", lambda problem, _query: [list(range(3))] * len(problem.layers))
    monkeypatch.setattr(stage, "run_highs", run)
    point = solve_single(two_options(), objective="luts", epsilons={"loss": 5})
    assert calls == [0, 1]
    assert point.objectives == {"loss": 4, "luts": 5}
    assert point.certificate.gap == 0
    assert point.certificate.solves == 2


def test_a_solver_that_is_wrong_again_and_again_is_named(monkeypatch):
    answer_with([(2,)] * 20, monkeypatch)
    with pytest.raises(PrecisionError, match=r"HiGHS returned 9 selections for minimising 'luts'.*larger units"):
        solve_single(two_options(), objective="luts", epsilons={"loss": 5})


def test_a_bound_above_the_solvers_own_selection_is_named(monkeypatch):
    answer_with([(1,)], monkeypatch, bound=7.0)
    with pytest.raises(
        PrecisionError, match=r"nothing is below 7\.0 \(weighted steps of luts\), but its own selection is"
    ):
        solve_single(two_options().replace(objectives=(AttributeObjective(name="luts"),)), objective="luts")


def test_a_step_of_a_million_is_not_lost():
    """As an integer variable, utilisation made HiGHS 1.15.1 at a tolerance of 1e-9 call 257,733 the optimum here."""
    layers = (
        LayerTable(name="a", columns={"luts": [10, 7], "dsps": [5, 0], "loss": [16, 26]}),
        LayerTable(
            name="b", columns={"luts": [16, 2, 20, 0, 18], "dsps": [5, 4, 2, 5, 3], "loss": [21, -1, 17, -4, 23]}
        ),
    )
    problem = Problem(
        layers=layers,
        objectives=(
            UtilisationObjective(name="utilisation", limits={"luts": 97, "dsps": 13}),
            AttributeObjective(name="loss"),
        ),
    )
    point = solve_single(problem, objective="utilisation")
    assert point.objectives == {"utilisation": 257_732, "loss": 49}
    assert point.certificate.bound == 257_732


@pytest.mark.parametrize("limits", [(53_200, 106_400, 220), (230_400, 460_800, 1_728), (999_983, 1_000_003, 97)])
def test_utilisation_of_real_devices_is_exact_to_the_last_part_per_million(limits):
    """Minima by enumeration, as first, last and bounded objective, where neighbours are a part per million apart."""
    generator = random.Random(limits[0])
    names = ("luts", "flip_flops", "dsps")
    layers = [
        LayerTable.from_options(
            f"layer{i}",
            [
                {"loss": generator.randint(0, 3)}
                | {n: generator.randint(0, limit // 6) for n, limit in zip(names, limits, strict=True)}
                for _ in range(7)
            ],
        )
        for i in range(4)
    ]
    used = UtilisationObjective(name="utilisation", limits=dict(zip(names, limits, strict=True)))
    problem = Problem(layers=layers, objectives=(used, AttributeObjective(name="loss")))
    values = [evaluate(problem, chosen).objectives for chosen in itertools.product(range(7), repeat=4)]
    pairs = sorted((v["utilisation"], v["loss"]) for v in values)
    for bound in (pairs[0][0], pairs[len(pairs) // 9][0], pairs[len(pairs) // 2][0]):
        within = [pair for pair in pairs if pair[0] <= bound]
        point = solve_single(problem, objective="loss", epsilons={"utilisation": bound})
        assert (point.objectives["loss"], point.objectives["utilisation"]) == min((b, a) for a, b in within)
    for loss in (0, 2, 5):
        within = [pair for pair in pairs if pair[1] <= loss]
        answer = solve_single(problem, objective="utilisation", epsilons={"loss": loss})
        if within:
            assert (answer.objectives["utilisation"], answer.objectives["loss"]) == min(within)
        else:
            assert answer.status is Status.INFEASIBLE


def test_an_old_solver_is_refused(monkeypatch):
    import highspy

    old = SimpleNamespace(versionMajor=lambda: 1, versionMinor=lambda: 14, versionPatch=lambda: 0)
    monkeypatch.setattr(highspy, "Highs", lambda: old)
    with pytest.raises(SolverVersionError, match=r"highspy is 1\.14\.0, but at least 1\.15\.1 is needed"):
        milp.require_solver()


def test_a_limit_is_exact_for_utilisation():
    """used <= floor(bound * limit / 10**6) is the same as ceil(used * 10**6 / limit) <= bound."""
    for limit in (3, 97, 53_200):
        for bound in (0, 1, 333_333, 333_334, 999_999, 1_000_000):
            most = bound * limit // 10**6
            assert -(-most * 10**6 // limit) <= bound < -(-(most + 1) * 10**6 // limit)


def test_weights_too_large_for_one_solve_are_solved_in_stages():
    table = LayerTable(name="a", columns={"x": [0, 10**8, 0], "y": [10**8, 0, 3 * 10**6], "z": [7, 8, 9]})
    names = ("x", "y", "z")
    problem = Problem(layers=(table,), objectives=tuple(AttributeObjective(name=name) for name in names))
    point = solve_single(problem, objective="x")
    assert point.objectives == {"x": 0, "y": 3 * 10**6, "z": 9}
    assert point.certificate.solves == 2
    assert point.certificate.efficient


def test_names_and_times_are_checked():
    with pytest.raises(ValueError, match="unknown objective 'lut': this problem has loss, luts"):
        solve_single(two_options(), objective="lut")
    with pytest.raises(ValueError, match="unknown objective 'x': this problem has loss, luts"):
        solve_single(two_options(), objective="luts", epsilons={"x": 3})
    with pytest.raises(ValueError, match="time_limit_seconds must be above 0, got -1"):
        solve_single(two_options(), objective="luts", time_limit_seconds=-1)


def test_infeasible_says_under_which_bounds():
    answer = solve_single(two_options(), objective="luts", epsilons={"loss": -1})
    assert str(answer) == "no design satisfies the caps and couplings with loss <= -1"


def test_the_tightest_limit_counts():
    problem = two_options().replace(caps=(Cap(resource="luts", limit=6),))
    limits = limits_of(problem, Query(minimise="loss", at_most={"luts": 4}))
    assert limits.sums == {"luts": 4}
