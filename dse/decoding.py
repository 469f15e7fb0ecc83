"""From a solver's selection back to a design: formats, foldings, costs, latency, and the proof that came with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse.designs import Design, DesignKind, Part, Proof
from emulation.calibrated import Formats
from emulation.datapaths import Arithmetic
from hwmodels.costs import total
from hwmodels.streaming import latency_cycles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse.decision_tables import Choice, DecisionTables, Table
    from dse.preparation import Prepared
    from dse.solve.result import Point
    from emulation.formats import Format


def design_of(prepared: Prepared, tables: DecisionTables, point: Point, *, name: str, kind: DesignKind) -> Design:
    """The design a point stands for.

    Costs, interval and latency are recomputed from the chosen rows, not taken from the solver.
    """
    chosen = [(table, table.choices[index]) for table, index in zip(tables.tables, point.selection, strict=True)]
    parts = tuple(
        Part(
            layer=table.layer,
            role=table.role,
            folding=choice.folding,
            lanes=choice.lanes,
            cost=choice.cost,
            loss=choice.loss,
        )
        for table, choice in chosen
    )
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
        predicted_loss=point.objectives["loss"] * tables.loss_unit,
        predicted_accuracy_change=tables.accuracy_changes.total(
            prepared.network, Formats(edges=edges, weights=weights, engines=engines)
        ),
        utilisation=point.objectives["utilisation"] / 1e6,
        total=cost,
        interval_cycles=point.objectives["interval_cycles"],
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


def _edge_formats(prepared: Prepared, chosen: Sequence[tuple[Table, Choice]]) -> dict[str, Format]:
    formats = {table.layer: choice.output for table, choice in chosen if choice.output is not None}
    return {edge: formats[edge] for edge in prepared.network.edges}


def _latency(prepared: Prepared, parts: Sequence[Part]) -> int:
    """Parts of one layer stand behind each other: their fills add, the slowest sets the layer's interval."""
    fill: dict[str, int] = {}
    interval: dict[str, int] = {}
    for part in parts:
        fill[part.layer] = fill.get(part.layer, 0) + part.cost.fill_cycles
        interval[part.layer] = max(interval.get(part.layer, 0), part.cost.interval_cycles)
    return latency_cycles(prepared.network, fill, interval)
