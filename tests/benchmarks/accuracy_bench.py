"""A swept study whose predicted losses are judged: fronts of LUTs and loss, and the cheapest folding of any formats."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dse.audit import FLOOR
from dse.decoding import design_of
from dse.designs import DesignKind
from dse.measurement import measure_formats
from dse.solve import evaluate, optimise
from dse.solve.subset import choose
from dse.sweep import loss_table, smooth_loss
from emulation.datapaths import Arithmetic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dse.decision_tables import DecisionTables
    from dse.designs import Design
    from dse.study import Study
    from dse.sweep import LossTable
    from emulation.calibrated import Formats

JOBS = 2
"""Designs measured at once."""
SOLVE_SECONDS = 20.0
"""For one front."""
STEPS = 100
"""Designs of a front differ by one of so many steps of its extent, in LUTs or in the logarithm of the loss.

Among 100 designs of digits-deep as dense as a search of 20 s found them, most of them within a few percent of predicted
loss of each other, rank correlations were 0.86 and 0.84 (seed 0): less apart than predictions err, order is chance.
"""


class Workbench:
    """A swept study and fronts of LUTs and loss of it."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.prepared = study.prepared
        self.priced = study._priced

    @cached_property
    def plain(self) -> LossTable:
        """Losses as the sweep measured them."""
        return loss_table(self.prepared, self.study.store, smooth_loss)

    def front(self, losses: LossTable, designs: int) -> list[Design]:
        """Up to so many designs that cover the front of these losses.

        Of those that are best by some weights of LUTs and loss; where they are too few, of the whole front.
        """
        tables: DecisionTables = self.priced.with_losses(losses)
        problem = tables.problem()
        for method in ("hull", "auto"):
            found = optimise(problem, ["luts", "loss"], method=method, time_limit_seconds=SOLVE_SECONDS)
            # Even steps of the logarithm of the loss: on even steps of the loss itself nearly all would be useless.
            vectors = np.array(found.vectors(), dtype=np.float64)
            nats = [losses.of_sum(added) for added in (vectors[:, 1] * tables.loss_unit).tolist()]
            vectors[:, 1] = np.log(np.maximum(nats, 0.0) + FLOOR)
            extent = np.maximum(np.ptp(vectors, axis=0), 1e-9)
            cells = ((vectors - vectors.min(axis=0)) / extent * 1e6).round().astype(np.int64)
            # Of a crowd of designs that hardly differ one will do.
            _, apart = np.unique(cells * STEPS // 10**6, axis=0, return_index=True)
            if len(apart) >= designs:
                break
        decoded = []
        for index in choose(cells[apart], designs).tolist():
            point = found.points[apart[index]]
            worth = evaluate(problem, point.selection).objectives
            whole = dataclasses.replace(point, objectives=worth)
            decoded.append(design_of(self.prepared, tables, whole, name=f"d{index}", kind=DesignKind.FRONT))
        return decoded

    @cached_property
    def _least(self) -> list[tuple[str, bool, dict[tuple[object, ...], dict[int, int]]]]:
        """Per table: by what formats decide and the number of requantisers, the fewest LUTs of any folding."""
        found = []
        for table in self.priced.tables:
            least: dict[tuple[object, ...], dict[int, int]] = {}
            for one in table.choices:
                key = (one.inputs, one.weight, one.arithmetic, one.output)
                own = least.setdefault(key, {})
                own[one.requantisers] = min(own.get(one.requantisers, 1 << 60), one.cost.luts)
            found.append((table.layer, table.role == "engine", least))
        return found

    def cheapest(self, formats: Formats) -> int:
        """LUTs of the cheapest folding of some formats within the interval, other caps put aside: a gift to rivals."""
        network = self.prepared.network
        sums: dict[str, dict[int, int]] = {}
        total = 0
        for layer, is_engine, least in self._least:
            inputs = tuple(formats.edges[edge] for edge in network.input_edges(network.by_name[layer]))
            weight = formats.weights.get(layer) if is_engine else None
            arithmetic = formats.engines.get(layer, Arithmetic()) if is_engine else Arithmetic()
            rows = [
                own
                for key, own in least.items()
                if key[0] in {(), inputs}
                and key[1] == weight
                and key[2] == arithmetic
                and key[3] in {None, formats.edges.get(layer)}
            ]
            merged = {count: min(own.get(count, 1 << 60) for own in rows) for own in rows for count in own}
            before = sums.setdefault(layer, {})
            if before:
                sums[layer] = {count: merged[count] + before[count] for count in merged.keys() & before.keys()}
            else:
                sums[layer] = merged
        total += sum(min(own.values()) for own in sums.values())
        return total

    def measured(self, designs: list[Formats]) -> NDArray[np.float64]:
        """Measured losses on validation data."""
        found = measure_formats(
            self.prepared, self.study.store, designs, self.prepared.validation, jobs=JOBS, description="whole designs"
        )
        return np.array([one.divergence for one in found])
