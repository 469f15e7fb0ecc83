"""Random problems of every kind that paths can tell, small enough to enumerate, and the enumeration."""

import itertools
import random

from dse.solve.paid_once import PaidOnce
from dse.solve.problem import AttributeObjective, Cap, Combine, Coupling, LayerTable, Problem, UtilisationObjective

KINDS = ("free", "chain", "graph")


def draw_problem(seed, *, designs=20_000):
    """Sum or max, free, chain or graph, shared parts or not, capped or not, one to four objectives.

    One design is drawn first and everything is made to allow it, so that no problem is infeasible by accident; one in
    ten caps is set below it on purpose.
    """
    draw = random.Random(seed)
    count, most = draw.randint(1, 6), draw.randint(2, 8)
    while most**count > designs:
        most -= 1
    largest = draw.choice([5, 30, 1000, 10**6])
    has_parts = draw.random() < 0.4
    layers = [
        LayerTable.from_options(
            f"layer{position}", [_option(draw, largest, has_parts) for _ in range(draw.randint(2, most))]
        )
        for position in range(count)
    ]
    witness = [draw.randrange(layer.option_count) for layer in layers]
    chosen = [layer.option(place) for layer, place in zip(layers, witness, strict=True)]
    couplings = _couplings(draw, count, chosen)
    paid = _shared_parts(draw, largest, chosen) if has_parts else ()
    combine = {"cycles": Combine.MAX} if draw.random() < 0.5 else {}
    names = draw.sample(["loss", "lut", "cycles", "energy"], draw.choice([1, 2, 2, 2, 3, 3, 4]))
    problem = Problem(
        layers=layers,
        objectives=[AttributeObjective(name=name) for name in names],
        couplings=couplings,
        combine=combine,
        paid_once=paid,
    )
    return problem.replace(caps=_caps(draw, problem, witness))


def draw_filling_problem(seed, *, designs=20_000):
    """The same with a utilisation of one to four resources among the objectives, beside one or two others."""
    problem, draw = draw_problem(seed, designs=designs), random.Random(seed)
    limits = {}
    for name in draw.sample(["lut", "dsp", "bram", "energy"], draw.randint(1, 4)):
        total = sum(int(layer.column(name).max()) for layer in problem.layers)
        limits[name] = draw.choice([1, 7, 97, max(1, total // 2), max(1, total), 10**7])
    objectives = list(problem.objectives)[: draw.choice([1, 1, 2])]
    objectives.insert(draw.randint(0, len(objectives)), UtilisationObjective(name="filling", limits=limits))
    names = {objective.name for objective in objectives}
    caps = [cap for cap in problem.caps if cap.resource != "loss" or "loss" in names]
    return problem.replace(objectives=objectives, caps=caps)


def _option(draw, largest, has_parts):
    option = {
        "loss": draw.randint(-5, largest),
        "lut": draw.randint(0, largest),
        "dsp": draw.randint(0, 5),
        "bram": draw.randint(0, 3),
        "cycles": draw.randint(1, 9),
        "energy": draw.randint(0, largest),
        "ain": draw.randint(0, 2),
        "aout": draw.randint(0, 2),
    }
    return option | ({"ip": draw.randint(-1, 2)} if has_parts else {})


def _couplings(draw, count, chosen):
    """A chain or a graph with skips, of those edges that the drawn design satisfies."""
    kind = draw.choice(KINDS)
    pairs = [] if kind == "free" else [(i, i + 1) for i in range(count - 1)]
    if kind == "graph":
        pairs += [(i, j) for i in range(count) for j in range(i + 2, count) if draw.random() < 0.4]
    keys = [(i, left, j, right) for i, j in pairs for left in ("ain", "aout") for right in ("ain", "aout")]
    return [
        Coupling(left_layer=f"layer{i}", left_key=left, right_layer=f"layer{j}", right_key=right)
        for i, left, j, right in keys
        if chosen[i][left] == chosen[j][right] and draw.random() < 0.7
    ]


def _shared_parts(draw, largest, chosen):
    used = len({option["ip"] for option in chosen if option["ip"] >= 0})
    amounts = {
        "lut": [draw.randint(0, largest) for _ in range(3)],
        "dsp": [draw.randint(0, 4) for _ in range(3)],
    }
    return (PaidOnce(key="ip", amounts=amounts, most=draw.choice([None, max(1, used), used])),)


def _caps(draw, problem, witness):
    from dse.solve import evaluate

    names = [name for name in ("lut", "dsp", "bram", "cycles", "loss") if draw.random() < 0.35]
    objectives = [AttributeObjective(name=name) for name in names]
    if not names:
        return []
    if "loss" in names and "loss" not in problem.objective_names:
        names.remove("loss")  # it may be negative, and only an objective may
    used = evaluate(problem.replace(objectives=objectives), witness).objectives
    slip = 2 if draw.random() < 0.1 else 0
    limits = {name: int(used[name] * draw.uniform(1.0, 1.3)) - slip for name in names}
    free = problem.objective_names  # only caps on objectives may be negative
    return [Cap(resource=name, limit=limit if name in free else max(0, limit)) for name, limit in limits.items()]


def enumerate_front(problem):
    """Nondominated vector to its lexicographically smallest selection, written without the package's own code."""
    index = {layer.name: position for position, layer in enumerate(problem.layers)}
    rows = [[layer.option(i) for i in range(layer.option_count)] for layer in problem.layers]
    found = {}
    for selection in itertools.product(*[range(len(options)) for options in rows]):
        chosen = [options[i] for options, i in zip(rows, selection, strict=True)]
        if not _is_allowed(problem, index, chosen):
            continue
        found.setdefault(tuple(_value(problem, chosen, one) for one in problem.objectives), selection)
    vectors = list(found)
    return {
        one: found[one]
        for one in vectors
        if not any(two != one and all(a <= b for a, b in zip(two, one, strict=True)) for two in vectors)
    }


def _value(problem, chosen, objective):
    if isinstance(objective, UtilisationObjective):
        used = {name: _total(problem, chosen, name) for name in objective.limits}
        return max((used[name] * 10**6 + limit - 1) // limit for name, limit in objective.limits.items())
    return _total(problem, chosen, objective.name)


def _total(problem, chosen, attribute):
    values = [option[attribute] for option in chosen]
    if problem.combine.get(attribute) is Combine.MAX:
        return max(values)
    used = [(part, {o[part.key] for o in chosen if o[part.key] >= 0}) for part in problem.paid_once]
    return sum(values) + sum(
        int(part.amounts[attribute][item]) for part, items in used if attribute in part.amounts for item in items
    )


def _is_allowed(problem, index, chosen):
    for c in problem.couplings:
        if chosen[index[c.left_layer]][c.left_key] != chosen[index[c.right_layer]][c.right_key]:
            return False
    for part in problem.paid_once:
        if part.most is not None and len({o[part.key] for o in chosen if o[part.key] >= 0}) > part.most:
            return False
    return all(_total(problem, chosen, cap.resource) <= cap.limit for cap in problem.caps)
