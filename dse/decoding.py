"""From a solver's selection back to a design: formats, foldings, costs, latency, and the proof that came with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dse.designs import ARRAY, Design, DesignKind, Part, Proof
from emulation.calibrated import Formats
from emulation.datapaths import Arithmetic
from hwmodels.costs import total
from hwmodels.network_latency import LayerTiming, folded_timing, network_latency

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dse.decision_tables import Choice, DecisionTables, Table
    from dse.preparation import Prepared
    from dse.solve.result import Point
    from emulation.formats import Format
    from emulation.network import Network
    from hwmodels.costs import Cost

_BEHIND: Final = frozenset({"input", "output"})
"""Roles of parts that only cast: a layer's work is in its other part."""


def design_of(prepared: Prepared, tables: DecisionTables, point: Point, *, name: str, kind: DesignKind) -> Design:
    """The design a point stands for.

    Costs, interval and latency are recomputed from the chosen rows, not taken from the solver.
    """
    chosen = [
        (table, table.choices[index])
        for table, index in zip(tables.tables, point.selection, strict=True)
        if table.pair is None  # no hardware, only a loss
    ]
    added = point.objectives["loss"] * tables.loss_unit
    loss = tables.nats(point.objectives["loss"])
    parts = tuple(
        Part(
            layer=table.layer,
            role=table.role,
            folding=choice.folding,
            lanes=choice.lanes,
            cost=choice.cost,
            loss=choice.loss * loss / added if added else 0.0,
        )
        for table, choice in chosen
    )
    parts += tuple(_shared_parts(tables, chosen))
    cost = total(part.cost for part in parts)
    certificate = point.certificate
    edges = _edge_formats(prepared, chosen)
    weights = {table.layer: choice.weight for table, choice in chosen if choice.weight is not None}
    engines = {table.layer: choice.arithmetic for table, choice in chosen if choice.arithmetic != Arithmetic()}
    return Design(
        name=name,
        kind=kind,
        edges=edges,
        weights=weights,
        engines=engines,
        parts=parts,
        predicted_loss=loss,
        predicted_accuracy_change=tables.accuracy_changes.total(
            prepared.network, Formats(edges=edges, weights=weights, engines=engines)
        ),
        utilisation=point.objectives["utilisation"] / 1e6,
        total=cost,
        interval_cycles=point.objectives.get("interval_cycles", cost.interval_cycles),
        latency_cycles=_latency(prepared, parts),
        proof=Proof(
            method=certificate.method,
            status=certificate.status.value,
            minimised=certificate.minimised,
            objective=certificate.objective,
            bound=certificate.bound,
            gap=certificate.gap,
        ),
    )


def _shared_parts(tables: DecisionTables, chosen: Sequence[tuple[Table, Choice]]) -> Iterator[Part]:
    """What several choices use and is there once; the steps of one piece of hardware are one part."""
    costs: dict[str, list[Cost]] = {}
    for shared in tables.shared:
        used = {choice.marks[shared.mark] for _, choice in chosen if choice.marks.get(shared.mark, -1) >= 0}
        for item in sorted(used):
            costs.setdefault(shared.roles[item], []).append(shared.costs[item])
    for role, steps in costs.items():
        cost = total(steps)
        spread = sum(step.luts * step.error_band for step in steps)  # steps of one thing err alike
        cost = replace(cost, error_band=spread / cost.luts if cost.luts else 0.0)
        yield Part(layer=ARRAY, role=role, folding=None, lanes=0, cost=cost, loss=0.0)


def _edge_formats(prepared: Prepared, chosen: Sequence[tuple[Table, Choice]]) -> dict[str, Format]:
    formats = {table.layer: choice.output for table, choice in chosen if choice.output is not None}
    return {edge: formats[edge] for edge in prepared.network.edges}


def _latency(prepared: Prepared, parts: Sequence[Part]) -> int:
    """That of the network as a stream (`hwmodels.network_latency`).

    On a shared array a sample arrives, and then takes the turns of all layers, which are the array's interval.
    """
    array = next((part for part in parts if part.layer == ARRAY), None)
    if array is not None:
        return array.cost.fill_cycles + array.cost.interval_cycles
    return network_latency(prepared.network, layer_timings(prepared.network, parts))


def layer_timings(network: Network, parts: Sequence[Part]) -> dict[str, LayerTiming]:
    """What each layer of a streaming design takes: its work, and the output stage behind it."""
    # Memory off the chip is no layer: it paces the stream, holds nothing up.
    working = {part.layer: part for part in parts if part.layer in network.by_name and part.role not in _BEHIND}
    behind = {part.layer: part.cost.fill_cycles for part in parts if part.role == "output"}
    found = {}
    for name, part in working.items():
        fill, interval, last = part.cost.fill_cycles, part.cost.interval_cycles, behind.get(name, 0)
        if part.folding is None:
            found[name] = LayerTiming(fill=fill, interval=interval, behind=last, lanes=part.lanes)
        else:
            layer = network.by_name[name]
            found[name] = folded_timing(network, layer, part.folding, fill=fill, interval=interval, behind=last)
    return found
