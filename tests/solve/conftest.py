"""Random problems small enough to enumerate, and the enumeration itself: the oracle of every solver test."""

import itertools
import random

import pytest

from dse.solve.problem import AttributeObjective, Cap, Combine, Coupling, LayerTable, Problem, UtilisationObjective

UTILISATION = UtilisationObjective(name="utilisation", limits={"luts": 97, "dsps": 13})
LOSS = AttributeObjective(name="loss")
ENERGY = AttributeObjective(name="energy")
CYCLES = AttributeObjective(name="cycles")

OBJECTIVES = {
    "utilisation, loss, cycles (max)": (UTILISATION, LOSS, CYCLES),
    "loss, cycles (max)": (LOSS, CYCLES),
    "loss, energy": (LOSS, ENERGY),
    "utilisation, loss": (UTILISATION, LOSS),
    "loss, energy, utilisation": (LOSS, ENERGY, UTILISATION),
}


def make_random_problem(seed, objectives, largest_layers=6, largest_options=8, designs=20_000):
    """A problem with chain, residual or no couplings, capped or not; None where its parts contradict each other."""
    generator = random.Random(seed)
    count = generator.randint(1, largest_layers)
    most = max(2, min(largest_options, int(designs ** (1 / count))))
    layers = [
        LayerTable.from_options(
            f"layer{position}",
            [
                {
                    "loss": generator.randint(-5, 30),
                    "energy": generator.randint(0, 12),
                    "luts": generator.randint(0, 20),
                    "dsps": generator.randint(0, 5),
                    "cycles": generator.randint(1, 9),
                    "ain": generator.randint(0, 1),
                    "aout": generator.randint(0, 1),
                }
                for _ in range(generator.randint(1, most))
            ],
        )
        for position in range(count)
    ]
    pairs = [(i, i + 1) for i in range(count - 1)] if generator.random() < 0.6 else []
    if count > 2 and generator.random() < 0.4:
        pairs.append((0, count - 1))
    couplings = [
        Coupling(left_layer=f"layer{i}", left_key="aout", right_layer=f"layer{j}", right_key="ain") for i, j in pairs
    ]
    caps = []
    if generator.random() < 0.5:
        caps.append(Cap(resource="luts", limit=generator.randint(7 * count, 13 * count)))
    if generator.random() < 0.3:
        caps.append(Cap(resource="cycles", limit=generator.randint(4, 9)))
    try:
        return Problem(
            layers=layers, objectives=objectives, couplings=couplings, caps=caps, combine={"cycles": Combine.MAX}
        )
    except ValueError as error:
        if "can never hold" in str(error):
            return None
        raise


def enumerate_designs(problem):
    """Objective vector to the lexicographically smallest valid selection, written without the package's own code."""
    index = {layer.name: position for position, layer in enumerate(problem.layers)}
    rows = [[layer.option(i) for i in range(layer.option_count)] for layer in problem.layers]
    found = {}
    for selection in itertools.product(*[range(len(options)) for options in rows]):
        chosen = [options[i] for options, i in zip(rows, selection, strict=True)]

        def total(attribute, chosen=chosen):
            values = [option.get(attribute, 0) for option in chosen]
            if problem.combine.get(attribute) is Combine.MAX:
                return max(values)
            used = {(one.key, option.get(one.key, -1)) for one in problem.paid_once for option in chosen}
            amounts = {one.key: list(one.amounts.get(attribute, [])) for one in problem.paid_once}
            return sum(values) + sum(int(amounts[key][item]) for key, item in used if item >= 0 and amounts[key])

        if any(total(cap.resource) > cap.limit for cap in problem.caps):
            continue
        if any(
            chosen[index[c.left_layer]][c.left_key] != chosen[index[c.right_layer]][c.right_key]
            for c in problem.couplings
        ):
            continue
        vector = []
        for objective in problem.objectives:
            if isinstance(objective, UtilisationObjective):
                shares = [(total(r) * 10**6 + limit - 1) // limit for r, limit in objective.limits.items()]
                vector.append(max(shares))
            else:
                vector.append(total(objective.name))
        found.setdefault(tuple(vector), selection)
    return found


def pareto(vectors):
    """Nondominated vectors, by definition."""
    vectors = set(vectors)
    return {v for v in vectors if not any(w != v and all(a <= b for a, b in zip(w, v, strict=True)) for w in vectors)}


@pytest.fixture
def random_problem():
    return make_random_problem


@pytest.fixture
def designs_of():
    return enumerate_designs


@pytest.fixture
def pareto_of():
    return pareto


@pytest.fixture(params=list(OBJECTIVES), ids=list(OBJECTIVES))
def objectives(request):
    return OBJECTIVES[request.param]
