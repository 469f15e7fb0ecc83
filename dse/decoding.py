"""From a solver's selection back to a design: formats, foldings, costs, latency, and the proof that came with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse.designs import Design, DesignKind, Part, Proof
from hwmodels.costs import total
from hwmodels.streaming import latency_cycles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse.options import Choice, DecisionTables, Table
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
    return Design(
        name=name,
        kind=kind,
        edges=_edge_formats(prepared, chosen),
        weights={table.layer: choice.weight for table, choice in chosen if choice.weight is not None},
        parts=parts,
        predicted_loss=point.objectives["loss"] * tables.loss_unit,
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


def uniform_rows(
    prepared: Prepared, tables: DecisionTables, *, weight: Format, activation: Format
) -> list[list[int]] | None:
    """Rows of each table that a uniform design may use; None if some table has none.

    Every weight tensor is in ``weight``, every edge but the output in ``activation`` (unsigned where it is never
    negative).
    """
    output = prepared.network.edge_of(prepared.network.output)
    allowed: Mapping[str, Format] = {
        edge: prepared.edge_menu(edge)[0] if edge == output else prepared.calibrated.edge_format(edge, activation)
        for edge in prepared.network.edges
    }
    rows = []
    for table in tables.tables:
        inputs = tuple(allowed[edge] for edge in prepared.network.input_edges(prepared.network.by_name[table.layer]))
        rows.append(
            [index for index, choice in enumerate(table.choices) if _is_uniform(table, choice, inputs, weight, allowed)]
        )
    return rows if all(rows) else None


def _is_uniform(
    table: Table, choice: Choice, inputs: tuple[Format, ...], weight: Format, allowed: Mapping[str, Format]
) -> bool:
    return (
        (not choice.inputs or choice.inputs == inputs)
        and choice.weight in (None, weight)
        and (choice.output is None or choice.output == allowed[table.layer])
    )
