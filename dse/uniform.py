"""Uniform designs, the rivals of mixed ones: one weight and one activation format everywhere, best folding."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import joblib
import numpy as np

from dse.decoding import design_of
from dse.designs import Design, DesignKind
from dse.progress import tracked
from dse.solve import evaluate, solve_single
from dse.solve.problem import Cap
from dse.solve.result import Point
from emulation.calibrated import Formats
from emulation.catalogue import parse
from emulation.datapaths import Arithmetic
from emulation.formats import FixedPoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.decision_tables import Choice, DecisionTables, Table
    from dse.preparation import Prepared
    from dse.solve.problem import Problem
    from emulation.formats import Format
    from emulation.network import Layer, Network


@dataclass(frozen=True, slots=True, kw_only=True)
class UniformPair:
    """A weight and an activation format for the whole network with one arithmetic, and what each tensor then has."""

    weight: Format
    activation: Format
    arithmetic: Arithmetic
    formats: Formats


def uniform_pairs(prepared: Prepared) -> list[UniformPair]:
    """All pairs of the study's formats that may be multiplied, with each arithmetic that all layers can use.

    Every weight tensor has the weight format, every edge but the output the activation format (unsigned where it is
    never negative). Tensors that blocks do not reach have the widest fixed-point activation format of the study in
    their place; pairs that some layer cannot use are left out. Products of two activations that cannot have the
    arithmetic are exact.
    """
    pairs = []
    layers = [layer.name for layer in prepared.network.layers if layer.weight is not None]
    for activation in map(parse, prepared.config.formats.activations):
        edges = _uniform_edges(prepared, activation)
        if edges is None:
            continue
        for weight, arithmetic in itertools.product(prepared.weight_formats, prepared.arithmetics):
            if _all_can_use(prepared, edges, weight, arithmetic):
                engines = {} if arithmetic == Arithmetic() else dict.fromkeys(layers, arithmetic)
                engines |= _products(prepared, edges, arithmetic)
                formats = Formats(edges=edges, weights=dict.fromkeys(layers, weight), engines=engines)
                pairs.append(UniformPair(weight=weight, activation=activation, arithmetic=arithmetic, formats=formats))
    return pairs


def _uniform_edges(prepared: Prepared, activation: Format) -> dict[str, Format] | None:
    """The format of every edge, None if one can have neither the format nor fixed point in its place."""
    output = prepared.network.edge_of(prepared.network.output)
    edges: dict[str, Format] = {}
    for edge in prepared.network.edges:
        menu = prepared.edge_menu(edge)
        wanted = prepared.calibrated.edge_format(edge, activation)
        if edge == output:
            wanted = menu[0]
        elif wanted not in menu:
            instead = [one for one in menu if isinstance(one, FixedPoint)]
            if not instead:
                return None
            wanted = max(instead, key=lambda one: one.width)
        edges[edge] = wanted
    return edges


def _all_can_use(prepared: Prepared, edges: Mapping[str, Format], weight: Format, arithmetic: Arithmetic) -> bool:
    network = prepared.network
    return all(
        prepared.offers(layer.name, edges[network.input_edges(layer)[0]], weight, arithmetic)
        for layer in network.layers
        if layer.weight is not None
    )


def _products(prepared: Prepared, edges: Mapping[str, Format], arithmetic: Arithmetic) -> dict[str, Arithmetic]:
    """The arithmetic of the products of two activations that can have it, if it is not the default."""
    network = prepared.network
    return {
        layer.name: arithmetic
        for layer in network.engines
        if layer.weight is None
        and arithmetic != Arithmetic()
        and prepared.offers(layer.name, *_operands(network, edges, layer), arithmetic)
    }


def _operands(network: Network, edges: Mapping[str, Format], layer: Layer) -> tuple[Format, Format]:
    left, right = (edges[edge] for edge in network.input_edges(layer))
    return left, right


def solve_uniform(
    prepared: Prepared, tables: DecisionTables, pairs: Sequence[UniformPair], intervals: Sequence[int], *, jobs: int
) -> list[Design]:
    """The cheapest folding of every pair under every interval bound, by the solver that makes the front.

    Pairs that cannot meet a bound, or do not fit the device, have no design there; designs that are the same under
    several bounds are kept once.
    """
    problem = tables.problem()
    kept = [uniform_rows(prepared, tables, pair.formats) for pair in pairs]
    bounds = sorted(set(intervals))
    tasks = (
        joblib.delayed(_cheapest)(problem.restrict([np.array(table, dtype=np.int64) for table in rows]), bounds)
        for rows in kept
        if rows is not None
    )
    answers = joblib.Parallel(n_jobs=jobs, return_as="generator")(tasks)
    solved = iter(tracked(answers, description="uniform designs", total=sum(rows is not None for rows in kept)))
    found: list[Design] = []
    for rows in kept:
        if rows is None:
            continue
        for point in {point.selection: point for point in next(solved)}.values():
            selection = tuple(table[index] for table, index in zip(rows, point.selection, strict=True))
            whole = dataclasses.replace(point, selection=selection)
            name = f"u{len(found) + 1:03d}"
            found.append(design_of(prepared, tables, whole, name=name, kind=DesignKind.UNIFORM))
    return found


def _cheapest(problem: Problem, intervals: Sequence[int]) -> list[Point]:
    """The point of least utilisation under each interval bound; with one objective each takes a single solver call."""
    found = []
    for interval in intervals:
        caps = [cap for cap in problem.caps if cap.resource != "interval_cycles"]
        caps.append(Cap(resource="interval_cycles", limit=interval))
        alone = problem.replace(objectives=(problem.objective("utilisation"),), caps=tuple(caps))
        answer = solve_single(alone, objective="utilisation")
        if isinstance(answer, Point):
            found.append(dataclasses.replace(answer, objectives=evaluate(problem, answer.selection).objectives))
    return found


def uniform_rows(prepared: Prepared, tables: DecisionTables, formats: Formats) -> list[list[int]] | None:
    """Rows of each table that a design with these formats may use; None if some table has none."""
    rows = []
    for table in tables.tables:
        layer = prepared.network.by_name.get(table.layer)  # none for what layers share
        inputs = tuple(formats.edges[edge] for edge in prepared.network.input_edges(layer)) if layer else ()
        if table.pair is not None:
            inputs = table.pair.first.of(formats), table.pair.second.of(formats)
        rows.append(
            [index for index, choice in enumerate(table.choices) if _has_formats(table, choice, inputs, formats)]
        )
    return rows if all(rows) else None


def _has_formats(table: Table, choice: Choice, inputs: tuple[Format, ...], formats: Formats) -> bool:
    return (
        (not choice.inputs or choice.inputs == inputs)
        and (choice.weight is None or choice.weight == formats.weights[table.layer])
        and (table.role != "engine" or choice.arithmetic == formats.engines.get(table.layer, Arithmetic()))
        and (choice.output is None or choice.output == formats.edges[table.layer])
    )
