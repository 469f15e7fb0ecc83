"""Tables are generated from the graph, and a design is exactly the sum of what was chosen from them."""

import dataclasses
import itertools

import numpy as np
import pytest

from dse.designs import design_from_json, design_to_json
from dse.errors import StudyError
from dse.options import build_tables
from dse.solve import optimise
from dse.uniform import solve_uniform, uniform_pairs, uniform_rows
from emulation.calibrated import Formats
from emulation.catalogue import parse
from emulation.datapaths import Arithmetic
from emulation.formats import FixedPoint, Sign
from emulation.network import Add, Concat, Convolution, Input, Linear, Reshape
from hwmodels.costs import Cost, total
from hwmodels.device_parts import RESOURCES
from hwmodels.devices import load_device

WORKLOADS = ("digits-mlp", "digits")


@pytest.fixture(params=WORKLOADS)
def drawn(request, bench):
    """A workload's bench and some of its random designs."""
    found = bench(request.param)
    return found, [found.design(seed) for seed in range(12)]


def test_every_layer_that_costs_something_has_its_tables(bench):
    tables = bench("digits").tables.tables
    layers = bench("digits").prepared.network.layers
    roles = {layer.name: [table.role for table in tables if table.layer == layer.name] for layer in layers}
    for layer in layers:
        expected = ["input"] if isinstance(layer.operation, Input) else []
        if isinstance(layer.operation, Convolution | Linear):
            expected = ["engine", "output"]
        elif isinstance(layer.operation, Add):
            expected = ["join", "output"]
        elif not isinstance(layer.operation, Reshape | Input):
            expected = ["pool"] if layer.kind == "maxpool" else ["pool", "output"]
        assert roles[layer.name] == expected, layer.name
    assert len({table.name for table in tables}) == len(tables)


def test_every_consumer_of_a_tensor_is_coupled_to_its_producer(bench):
    """Counted from the graph alone: one coupling per operand, and one per output stage behind something."""
    for workload in (*WORKLOADS, "digits-deep"):
        network, tables = bench(workload).prepared.network, bench(workload).tables
        couplings = {str(one) for one in tables.couplings}
        work = [layer for layer in network.layers if not isinstance(layer.operation, Input | Reshape)]
        operands = sum(len(layer.inputs) for layer in work)
        stages = sum(table.role == "output" for table in tables.tables)
        assert len(couplings) == len(tables.couplings) == operands + stages
        for layer in work:
            table = next(one for one in tables.tables if one.layer == layer.name and one.role != "output")
            for position, edge in enumerate(network.input_edges(layer)):
                producer = "input" if edge == network.layers[0].name else "output"
                if isinstance(network.by_name[edge].operation, Concat):
                    producer = "join"
                assert f"{edge}:{producer}.out = {table.name}.in{position}" in couplings


def test_a_wrong_format_at_any_consumer_breaks_a_coupling(bench):
    """All consumers agree on a tensor's format: changing one operand of one table alone is never valid."""
    from dse.solve.evaluate import evaluate

    found = bench("digits")
    problem = found.tables.problem()
    selection = list(found.selection(3))
    assert not any("coupling" in one for one in evaluate(problem, selection).violations)
    checked = 0
    for position, table in enumerate(found.tables.tables):
        chosen = table.choices[selection[position]]
        if not chosen.inputs:
            continue
        other = next(
            index
            for index, choice in enumerate(table.choices)
            if choice.inputs != chosen.inputs and choice.requantisers == chosen.requantisers
        )
        changed = [*selection[:position], other, *selection[position + 1 :]]
        assert any("coupling" in one for one in evaluate(problem, changed).violations), table.name
        checked += 1
    assert checked >= 10


def test_costs_and_losses_of_a_design_are_the_sums_of_its_parts(drawn):
    found, designs = drawn
    network = found.prepared.network
    for design in designs:
        assert design.total == total(part.cost for part in design.parts)
        for name in RESOURCES:
            assert design.total.resource(name) == sum(part.cost.resource(name) for part in design.parts)
        limits = {name: found.tables.device.usable(name) for name in RESOURCES}
        shares = [-(-design.total.resource(name) * 10**6 // limit) for name, limit in limits.items()]
        assert design.utilisation == max(shares) / 10**6
        assert design.interval_cycles == max(part.cost.interval_cycles for part in design.parts)
        exact = sum(found.losses.edges[edge, one] for edge, one in design.edges.items())
        exact += sum(
            found.losses.engines[layer, design.edges[network.input_edges(network.by_name[layer])[0]], one, Arithmetic()]
            for layer, one in design.weights.items()
        )
        assert sum(part.loss for part in design.parts) == pytest.approx(exact, rel=1e-12)
        assert design.predicted_loss == pytest.approx(exact, abs=found.tables.loss_unit * len(design.parts) / 2)
        assert design.predicted_accuracy_change == pytest.approx(exact)  # the bench gives one table for both
        assert set(design.edges) == set(network.edges)
        assert set(design.weights) == {layer.name for layer in network.layers if layer.weight is not None}


def test_a_sample_takes_no_less_than_the_slowest_layer(drawn):
    _, designs = drawn
    for design in designs:
        assert (
            design.interval_cycles
            <= design.latency_cycles
            < sum(part.cost.interval_cycles + part.cost.fill_cycles for part in design.parts)
        )


def test_losses_are_charged_once_for_a_tensor_whoever_reads_it(bench):
    """The stem of digits is read twice (block and shortcut): its loss stands in one part of one table only."""
    found = bench("digits")
    edge = next(edge for edge in found.prepared.network.edges if found.prepared.reader_count(edge) == 2)
    assert len(found.prepared.network.consumers[edge]) == 2
    charged = {
        table.name
        for table in found.tables.tables
        for choice in table.choices
        for one in found.prepared.edge_menu(edge)
        if choice.loss == found.losses.edges[edge, one]
    }
    assert charged == {f"{edge}:output"}


def test_an_add_pays_for_rescaling_exactly_where_units_differ(bench):
    """Operands that agree share one multiplier behind the sum, others have one each: seen in DSPs and flip-flops."""
    found = bench("digits")
    network, calibrated = found.prepared.network, found.prepared.calibrated
    join = next(layer for layer in network.layers if isinstance(layer.operation, Add))
    table = next(one for one in found.tables.tables if one.layer == join.name and one.role == "join")
    edges = network.input_edges(join)
    seen = set()
    for choice in table.choices:
        units = [float(calibrated.edge(edge, one).unit[0]) for edge, one in zip(edges, choice.inputs, strict=True)]
        multipliers = 1 if units[0] == units[1] else 2
        if choice.cost.dsps:
            assert choice.cost.dsps == multipliers * choice.lanes, choice
            seen.add(multipliers)
    assert 2 in seen


def test_an_add_of_equal_units_needs_one_multiplier(custom_bench):
    """Power-of-two scales make units meet; then half of the multipliers are saved."""
    found = custom_bench(
        "digits",
        formats={"weights": ["int4"], "activations": ["int4", "int6", "int8"], "scale_kind": "power-of-two"},
        front={"max_lanes": 4},
    )
    network, calibrated = found.prepared.network, found.prepared.calibrated
    join = next(layer for layer in network.layers if isinstance(layer.operation, Add))
    table = next(one for one in found.tables.tables if one.layer == join.name and one.role == "join")
    seen = set()
    for choice in table.choices:
        units = {
            float(calibrated.edge(edge, one).unit[0])
            for edge, one in zip(network.input_edges(join), choice.inputs, strict=True)
        }
        if choice.cost.dsps:
            assert choice.cost.dsps == len(units) * choice.lanes
            seen.add(len(units))
    assert seen == {1, 2}


def test_a_concatenation_pays_for_rescaling_exactly_where_a_part_differs_from_the_output(bench):
    found = bench("digits-deep")
    network, calibrated = found.prepared.network, found.prepared.calibrated
    join = next(layer for layer in network.layers if isinstance(layer.operation, Concat))
    table = next(one for one in found.tables.tables if one.layer == join.name)
    groups = {}
    for choice in table.choices:
        parts = zip(network.input_edges(join), choice.inputs, strict=True)
        unit = float(calibrated.edge(join.name, choice.output).unit[0])
        agrees = all(one == choice.output and float(calibrated.edge(edge, one).unit[0]) == unit for edge, one in parts)
        groups.setdefault(agrees, []).append(choice)
    assert False in groups
    cheapest = {agrees: min(one.cost.luts / one.lanes for one in choices) for agrees, choices in groups.items()}
    assert cheapest.get(True, -1) < cheapest[False]


def test_only_options_within_the_interval_bound_are_offered(custom_bench):
    found = custom_bench("digits-mlp", device={"min_fps": 200_000.0, "clock_mhz": 100.0})
    assert found.tables.interval_limit == 500
    rows = [choice for table in found.tables.tables for choice in table.choices]
    assert max(choice.cost.interval_cycles for choice in rows) <= 500
    problem = found.tables.problem()
    assert [cap.limit for cap in problem.caps if cap.resource == "interval_cycles"] == [500]
    assert all(found.design(seed).interval_cycles <= 500 for seed in range(5))


def test_a_bound_that_nothing_meets_keeps_the_options_so_that_it_can_be_explained(custom_bench):
    found = custom_bench("digits-mlp", device={"min_fps": 1e9, "clock_mhz": 100.0})
    assert found.tables.interval_limit == 0
    front = optimise(found.tables.problem(), max_solves=3)
    assert front.points == ()
    assert "'interval_cycles' needs at least" in str(front.infeasibility)


def test_a_device_without_dsps_or_block_ram_is_a_device_like_any_other(bench):
    found = bench("digits-mlp")
    device = load_device("xc7z020")
    bare = {
        name: dataclasses.replace(resource, count=0) if name in ("dsps", "bram18s") else resource
        for name, resource in device.resources.items()
    }
    tables = build_tables(found.prepared, found.losses, found.losses, dataclasses.replace(device, resources=bare))
    front = optimise(tables.problem(), max_solves=8)
    assert front.points
    for point in front.points:
        chosen = [table.choices[index] for table, index in zip(tables.tables, point.selection, strict=True)]
        assert sum(choice.cost.dsps + choice.cost.bram18s for choice in chosen) == 0


@pytest.fixture(scope="module")
def small(custom_bench):
    """So few options that all designs can be listed."""
    return custom_bench(
        "digits-mlp",
        formats={"weights": ["int2", "int4", "int8"], "activations": ["int4", "int8"]},
        front={"max_lanes": 4},
        device={"min_fps": 0.0},
    )


def nondominated(vectors):
    kept = []
    for vector in sorted(vectors):
        if not any(all(a <= b for a, b in zip(other, vector, strict=True)) for other in kept):
            kept.append(vector)
    return set(kept)


def all_vectors(bench, formats=None):
    """(utilisation in ppm, loss in units, interval) of every design, or of every folding with given formats."""
    prepared, device, unit = bench.prepared, bench.tables.device, bench.tables.loss_unit
    network = prepared.network
    limits = [device.usable(name) for name in RESOURCES]
    found = set()
    for combination in itertools.product(*(prepared.edge_menu(edge) for edge in network.edges)):
        edges = dict(zip(network.edges, combination, strict=True))
        if formats is not None and edges != formats.edges:
            continue
        partial = {(0,) * (len(RESOURCES) + 2)}  # resources, loss, interval
        for table in bench.tables.tables:
            if table.role == "output":
                continue
            source = tuple(edges[edge] for edge in network.input_edges(network.by_name[table.layer]))
            offered = set()
            for choice in table.choices:
                if choice.inputs != source or choice.output not in (None, edges[table.layer]):
                    continue
                if formats is not None and choice.weight not in (None, formats.weights.get(table.layer)):
                    continue
                stage = next(
                    (
                        one
                        for other in bench.tables.tables
                        if other.layer == table.layer and other.role == "output"
                        for one in other.choices
                        if one.output == edges[table.layer] and one.requantisers == choice.requantisers
                    ),
                    None,
                )
                cost = choice.cost + (stage.cost if stage else Cost())
                loss = round(choice.loss / unit) + (round(stage.loss / unit) if stage else 0)
                offered.add((*(cost.resource(name) for name in RESOURCES), loss, cost.interval_cycles))
            partial = {
                (*(a + b for a, b in zip(left[:-1], right[:-1], strict=True)), max(left[-1], right[-1]))
                for left in partial
                for right in offered
            }
        for *resources, loss, interval in partial:
            if all(used <= limit for used, limit in zip(resources, limits, strict=True)):
                share = max(-(-used * 10**6 // limit) for used, limit in zip(resources, limits, strict=True) if limit)
                found.add((share, loss, interval))
    return found


def test_the_front_of_a_small_study_is_that_of_all_its_designs(small):
    front = optimise(small.tables.problem(), max_solves=1000)
    assert front.complete, front.why_incomplete
    expected = nondominated(all_vectors(small))
    assert len(expected) > 5
    assert set(front.vectors()) == expected


def pair_of(prepared, weight, activation):
    return next(
        pair for pair in uniform_pairs(prepared) if (str(pair.weight), str(pair.activation)) == (weight, activation)
    )


def test_uniform_rows_leave_exactly_the_uniform_designs(bench):
    found = bench("digits")
    prepared = found.prepared
    network = prepared.network
    output = network.edge_of(network.output)
    weight = parse("int4")
    rows = uniform_rows(prepared, found.tables, pair_of(prepared, "int4", "int8").formats)
    for table, kept in zip(found.tables.tables, rows, strict=True):
        for index, choice in enumerate(table.choices):
            uniform = choice.weight in (None, weight) and all(one.width == 8 for one in choice.inputs)
            uniform &= not any(isinstance(one, FixedPoint) is False for one in choice.inputs)
            if choice.output is not None:
                expected = prepared.edge_menu(output)[0] if table.layer == output else None
                uniform &= choice.output == expected if expected else str(choice.output) in ("int8", "uint8")
            assert (index in kept) == uniform, (table.name, choice)
    signs = {
        choice.output.sign
        for table in found.tables.tables
        for choice in table.choices
        if str(choice.output) in ("int8", "uint8")
    }
    assert signs == {Sign.SIGNED, Sign.UNSIGNED}  # both kinds of tensors are in the network


def test_uniform_rows_of_a_format_that_is_not_on_the_menu_are_none(bench):
    found = bench("digits-mlp")
    formats = pair_of(found.prepared, "int4", "int8").formats
    absent = Formats(edges=formats.edges, weights=dict.fromkeys(formats.weights, parse("int7")))
    assert uniform_rows(found.prepared, found.tables, formats) is not None
    assert uniform_rows(found.prepared, found.tables, absent) is None


def test_uniform_pairs_mix_families_only_if_the_study_does(custom_bench, bench):
    menu = {"weights": ["int4", "e3m2"], "activations": ["int8", "e4m3fn"]}
    apart = custom_bench("digits-mlp", formats=menu, front={"max_lanes": 1})
    names = [(str(pair.weight), str(pair.activation)) for pair in uniform_pairs(apart.prepared)]
    assert names == [("int4", "int8"), ("e3m2", "e4m3fn")]
    assert len(uniform_pairs(bench("digits-mlp").prepared)) == 9


def test_uniform_designs_are_uniform_within_their_bound_and_the_cheapest_there(small):
    """Against all foldings of each pair of formats."""
    prepared, tables = small.prepared, small.tables
    pairs = uniform_pairs(prepared)
    bounds = [1024, 2048, 100]
    found = solve_uniform(prepared, tables, pairs, bounds, jobs=1)
    assert len({design.name for design in found}) == len(found)
    by_formats = {}
    for design in found:
        by_formats.setdefault(design.formats.text, []).append(design)
    assert set(by_formats) == {pair.formats.text for pair in pairs}
    for pair in pairs:
        vectors = all_vectors(small, pair.formats)
        designs = by_formats[pair.formats.text]
        for bound in (1024, 2048):
            cheapest = min(share for share, _, interval in vectors if interval <= bound)
            within = [design.utilisation for design in designs if design.interval_cycles <= bound]
            assert round(min(within) * 10**6) == cheapest
        assert all(100 < design.interval_cycles <= 2048 for design in designs)


def test_designs_read_back_from_json_as_they_were(drawn):
    import json

    for design in drawn[1]:
        assert design_from_json(json.loads(json.dumps(design_to_json(design)))) == design


def test_a_stored_design_of_another_version_is_refused_with_advice(bench):
    content = design_to_json(bench("digits-mlp").design(0))
    del content["proof"]
    with pytest.raises(StudyError, match=r"a stored design cannot be read \('proof'\): run `bitfront front` again"):
        design_from_json(content)


def test_assignments_tell_designs_with_the_same_numbers(bench):
    found = bench("digits-mlp")
    designs = [found.design(seed) for seed in range(30)]
    for one, other in itertools.combinations(designs, 2):
        same = one.edges == other.edges and one.weights == other.weights
        assert (one.formats.text == other.formats.text) == same


def test_losses_are_rounded_to_the_unit_of_the_study(bench):
    found = bench("digits-mlp")
    for table, columns in zip(found.tables.tables, found.tables.problem().layers, strict=True):
        exact = np.array([choice.loss for choice in table.choices]) / found.tables.loss_unit
        assert np.abs(columns.column("loss") - exact).max() <= 0.5
