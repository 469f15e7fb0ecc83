"""Pairs: found in the graph, measured together, charged in the tables and in the solver's problem."""

import dataclasses
import itertools
import random

import pytest

from dse.interactions import FAILS_ABOVE, MOST_PAIRS, measure_pairs, structural_pairs
from dse.preparation import prepare
from dse.shared_tables import study_tables
from dse.solve import evaluate, solve_single
from dse.solve.problem import AttributeObjective
from dse.solving import problem_of
from dse.store import Store
from dse.sweep import LossTable, Pair, Place, PlaceKind, loss_table, run_sweep
from dse.uniform import uniform_pairs, uniform_rows
from emulation.sensitivity import EdgeProbe, EngineProbe
from hwmodels.devices import load_device


def test_pairs_of_the_residual_network(bench):
    names = {str(pair) for pair in structural_pairs(bench("digits").prepared.network)}
    first, second = "residual.first.convolution", "residual.second.convolution"
    assert {
        "weights of stem.convolution x stem.convolution",
        f"weights of stem.convolution x weights of {first}",
        f"weights of {first} x weights of {second}",
        f"stem.convolution x {second}",
        f"weights of stem.convolution x weights of {second}",
        "weights of widen.convolution x weights of mix.convolution",
        "weights of hidden x weights of classify",
    } <= names
    assert "weights of classify x classify" not in names  # the format of the result is no decision
    assert not any("average" in name for name in names)  # it has no weights, and nothing is added there


@pytest.fixture(scope="module")
def measured(settings, tmp_path_factory):
    """A small residual study with its pairs measured."""
    menu = {"weights": ["int2", "int4"], "activations": ["int2", "int4", "int8"]}
    prepared = prepare(settings("digits", formats=menu, data={"sensitivity_samples": 40, "validation_samples": 40}))
    folder = tmp_path_factory.mktemp("pairs")
    with Store(folder) as store:
        run_sweep(prepared, store, jobs=1)
        losses = loss_table(prepared, store)
        tests, excess = measure_pairs(prepared, store, losses, jobs=1)
        again = measure_pairs(prepared, store, losses, jobs=1)
    assert again == (tests, excess)
    return prepared, losses, tests, excess


def test_pairs_that_fail_are_measured_in_all_formats(measured):
    prepared, _, tests, excess = measured
    assert {one.pair for one in tests} == {str(pair) for pair in structural_pairs(prepared.network)}
    assert all(one.fails == (abs(one.excess) > FAILS_ABOVE) for one in tests)
    failing = {one.pair for one in tests if one.fails}
    assert {str(pair) for pair in excess} <= failing
    assert len(excess) == min(MOST_PAIRS, len(failing)) > 0
    for pair, values in excess.items():
        menus = [
            prepared.weight_formats if place.kind is PlaceKind.WEIGHT else prepared.edge_menu(place.name)
            for place in (pair.first, pair.second)
        ]
        assert set(values) == set(itertools.product(*menus))


def test_the_excess_is_the_loss_together_less_both_apart(measured):
    prepared, losses, _, excess = measured
    bench = prepared.bench()

    def probe(place, number_format):
        if place.kind is PlaceKind.EDGE:
            return EdgeProbe(edge=place.name, format=number_format)
        edge = prepared.network.input_edges(prepared.network.by_name[place.name])[0]
        best = min(prepared.edge_menu(edge), key=lambda one: losses.edges[edge, one])
        return EngineProbe(layer=place.name, activation=best, weight=number_format)

    for pair, values in excess.items():
        for formats, value in list(values.items())[::2]:
            probes = [probe(*one) for one in zip((pair.first, pair.second), formats, strict=True)]
            apart = sum(bench.measure(one).divergence for one in probes)
            assert value == pytest.approx(bench.measure_together(probes).divergence - apart, abs=1e-12)


def invented(found, seed=0):
    """Pairs of a network with terms drawn at random."""
    draw = random.Random(seed)
    prepared = found.prepared
    pairs = {}
    for pair in structural_pairs(prepared.network)[:3]:
        menus = [
            prepared.weight_formats if place.kind is PlaceKind.WEIGHT else prepared.edge_menu(place.name)
            for place in (pair.first, pair.second)
        ]
        pairs[pair] = {key: draw.uniform(-0.2, 0.4) for key in itertools.product(*menus)}
    return dataclasses.replace(found.losses, pairs=pairs)


def completed(tables, selection, formats):
    """A selection with the rows of the pairs that formats ask for."""
    rows = list(selection)
    for table in tables.tables[len(selection) :]:
        wanted = table.pair.first.of(formats), table.pair.second.of(formats)
        rows.append(next(index for index, one in enumerate(table.choices) if one.inputs == wanted))
    return tuple(rows)


@pytest.mark.parametrize("workload", ["digits-mlp", "digits"])
def test_the_solver_is_charged_what_the_table_says(bench, workload):
    found = bench(workload)
    losses = invented(found)
    tables = found.tables.with_losses(losses)
    problem = tables.problem()
    for seed in range(10):
        design = found.design(seed)
        selection = completed(tables, found.selection(seed), design.formats)
        worth = evaluate(problem, selection)
        assert not [one for one in worth.violations if "coupling" in one]
        expected = losses.total(found.prepared.network, design.formats) / tables.loss_unit
        assert worth.objectives["loss"] == pytest.approx(expected, abs=len(tables.tables))
        other = list(selection)
        other[-1] = (other[-1] + 1) % len(tables.tables[-1].choices)
        assert [one for one in evaluate(problem, tuple(other)).violations if "coupling" in one]


def test_losses_can_be_exchanged_again_and_again(bench):
    found = bench("digits-mlp")
    plain = found.tables.with_losses(found.losses)
    assert [one.choices for one in plain.tables] == [one.choices for one in found.tables.tables]
    twice = found.tables.with_losses(invented(found)).with_losses(invented(found, seed=1))
    assert len(twice.tables) == len(found.tables.tables) + len(invented(found).pairs)
    assert found.tables.with_losses(invented(found, seed=1)).couplings == twice.couplings
    assert twice.with_losses(found.losses).couplings == found.tables.couplings


def test_losses_of_a_shared_array_can_be_exchanged_too(settings):
    menu = {"weights": ["int4", "int8"], "activations": ["int4", "int8"]}
    prepared = prepare(settings("digits-mlp", formats=menu, architecture={"kind": "shared-engine", "array_pe": [8]}))
    draw = random.Random(0)
    first, second = (
        LossTable(
            edges={(edge, one): draw.random() for edge in prepared.network.edges for one in prepared.edge_menu(edge)},
            engines={
                (layer.name, *one): draw.random()
                for layer in prepared.network.engines
                for one in prepared.datapaths(layer)
            },
        )
        for _ in range(2)
    )
    made, wanted = (study_tables(prepared, one, one, load_device("xczu7ev")) for one in (first, second))
    exchanged = made.with_losses(second)
    assert [one.choices for one in exchanged.tables] == [one.choices for one in wanted.tables]
    assert exchanged.couplings == wanted.couplings


def test_the_least_loss_with_pairs_is_the_least_of_all_assignments(custom_bench):
    """Against enumeration of every assignment of formats of a small network."""
    found = custom_bench(
        "digits-mlp", formats={"weights": ["int2", "int4"], "activations": ["int4", "int8"]}, device={"min_fps": 0.0}
    )
    losses = invented(found, seed=3)
    prepared = found.prepared
    network = prepared.network
    tables = found.tables.with_losses(losses)
    problem = problem_of(tables).replace(objectives=(AttributeObjective(name="loss"),), caps=())
    answer = solve_single(problem, objective="loss")
    menus = [prepared.edge_menu(edge) for edge in network.edges]
    layers = [layer.name for layer in network.engines]
    from emulation.calibrated import Formats

    best = min(
        losses.total(
            network,
            Formats(
                edges=dict(zip(network.edges, edges, strict=True)), weights=dict(zip(layers, weights, strict=True))
            ),
        )
        for edges in itertools.product(*menus)
        for weights in itertools.product(prepared.weight_formats, repeat=len(layers))
    )
    assert answer.objectives["loss"] * tables.loss_unit == pytest.approx(best, abs=20 * tables.loss_unit)


def test_uniform_designs_have_rows_of_pairs(bench):
    found = bench("digits-mlp")
    tables = found.tables.with_losses(invented(found))
    pair = uniform_pairs(found.prepared)[0]
    rows = uniform_rows(found.prepared, tables, pair.formats)
    assert rows is not None
    for table, kept in zip(tables.tables, rows, strict=True):
        if table.pair is not None:
            assert len(kept) == 1


def test_places_and_pairs_in_words():
    weights = Place(kind=PlaceKind.WEIGHT, name="fc")
    assert str(Pair(first=weights, second=Place(kind=PlaceKind.EDGE, name="fc"))) == "weights of fc x fc"
