"""The loop that makes predicted losses true: judge the metrics, solve, measure, correct, solve again.

Tables come from calibration data; whole designs are measured on validation data, which corrects them; test data stay
untouched. Every measurement is stored, so a loop that was stopped goes on where it was.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dse.audit import FLOOR, USEFUL_ACCURACY_LOSS, Audit, audit_metrics, scale_of, spearman
from dse.confidence import dominating, resampled
from dse.correction import Correction, correct
from dse.interactions import PairTest, measure_pairs
from dse.measurement import measure_formats, sample_losses
from dse.refinement_results import Refinement, Round
from dse.sampling import DesignDraw
from dse.sensitivity_metrics import SensitivityMetric
from dse.solve.hypervolume import hypervolume
from dse.sweep import metric_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dse.designs import Design
    from dse.preparation import Prepared
    from dse.store import Store
    from dse.sweep import LossTable
    from emulation.calibrated import Formats
    from emulation.losses import Losses

PAIRS_GAIN = 0.1
"""Pairs enter the table if they make the relative error of whole designs smaller by this share: they cost time."""
STILL = 0.002
"""The front has stopped moving when a round changes its measured hypervolume by less than this ..."""
TRUE = 1.25
"""... and the designs it had not measured before lose what was predicted, within this factor, in the median."""
RESAMPLES = 200
"""Bootstrap resamples that tell dominated designs from noise in a round."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Refiner:
    """Runs the loop of one study.

    Attributes:
        prepared: the calibrated network, its data and its settings.
        store: measurements, committed as they finish.
        solve: solves for the front of these losses with at most so many solver calls.
        jobs: measurements made at once.
    """

    prepared: Prepared
    store: Store
    solve: Callable[[LossTable, int], Sequence[Design]]
    jobs: int

    def run(self, key: str) -> Refinement:
        """Audit, pairs and rounds; ``key`` names the settings and data they belong to."""
        settings = self.prepared.config.accuracy
        tables = {one: metric_table(self.prepared, self.store, one) for one in SensitivityMetric}
        divergence = tables[SensitivityMetric.DIVERGENCE]
        drawn = DesignDraw(prepared=self.prepared, losses=divergence)
        known = _Measured(refiner=self, designs=drawn.distinct(settings.audit_designs, seed=settings.seed))
        audit = self._audit(tables, known)
        metric = SensitivityMetric(audit.chosen if audit else _named(settings.metric).value)
        table = tables[metric]
        tests: tuple[PairTest, ...] = ()
        if settings.pairs == "auto" and audit:
            tests, table = self._with_pairs(table, divergence, audit, known)
        correction = self._correct(table, known)
        rounds: list[Round] = []
        stopped = "no further rounds are asked for" if settings.rounds else "no rounds are asked for"
        box: NDArray[np.float64] | None = None
        for _ in range(settings.rounds):
            started = time.perf_counter()
            designs = self.solve(correction.table, settings.round_solves)
            before = {one.text for one in known.designs}
            unseen = list({one.formats.text: one.formats for one in designs if one.formats.text not in before}.values())
            known.add(unseen)
            losses = known.of([one.formats for one in designs])
            box = _box(designs, losses) if box is None else box
            predicted = correction
            correction = self._correct(table, known)
            found = self._round(
                designs=designs,
                losses=losses,
                unseen=unseen,
                known=known,
                predicted=predicted,
                correction=correction,
                box=box,
            )
            rounds.append(replace(found, seconds=time.perf_counter() - started))
            if not unseen:
                stopped = "the front holds no design that was not measured before"
                break
            if len(rounds) > 1 and _stands_still(rounds[-2], rounds[-1]):
                stopped = f"the measured front moved by less than {STILL:g} of its hypervolume, as predicted"
                break
        return Refinement(
            key=key,
            audit=audit,
            pair_tests=tests,
            pairs_used=bool(table.pairs),
            rounds=tuple(rounds),
            stopped=stopped,
            table=correction.table,
        )

    def _audit(self, tables: Mapping[SensitivityMetric, LossTable], known: _Measured) -> Audit | None:
        if not known.designs:
            return None
        name = self.prepared.config.accuracy.metric
        chosen = None if name == "auto" else SensitivityMetric(name)
        return audit_metrics(self.prepared.network, tables, known.designs, known.losses, chosen=chosen)

    def _with_pairs(
        self, table: LossTable, divergence: LossTable, audit: Audit, known: _Measured
    ) -> tuple[tuple[PairTest, ...], LossTable]:
        """The tests, and the table with pairs in its own unit if predictions gain by them."""
        tests, excess = measure_pairs(self.prepared, self.store, divergence, jobs=self.jobs)
        if not excess:
            return tests, table
        unit = audit.verdict("divergence").scale / audit.verdict(audit.chosen).scale
        pairs = {pair: {key: value * unit for key, value in one.items()} for pair, one in excess.items()}
        paired = replace(table, pairs=pairs)
        errors = [self._correct(one, known).error for one in (table, paired)]
        return tests, paired if errors[1] <= (1 - PAIRS_GAIN) * errors[0] else table

    def _correct(self, table: LossTable, known: _Measured) -> Correction:
        losses = [one.divergence for one in known.losses]
        seed = self.prepared.config.accuracy.seed
        return correct(self.prepared.network, table, known.designs, losses, seed=seed)

    def _round(
        self,
        *,
        designs: Sequence[Design],
        losses: Sequence[Losses],
        unseen: Sequence[Formats],
        known: _Measured,
        predicted: Correction,
        correction: Correction,
        box: NDArray[np.float64],
    ) -> Round:
        network, samples = self.prepared.network, self.prepared.validation
        new = known.of(unseen)
        expected = np.array([predicted.table.total(network, one) for one in unseen])
        measured = np.array([one.divergence for one in new])
        useful = np.array([one.accuracy_change >= -USEFUL_ACCURACY_LOSS for one in new], dtype=bool)
        each = sample_losses(self.prepared, self.store, [one.formats for one in designs], samples)
        drawn = resampled(each[None], resamples=RESAMPLES, seed=self.prepared.config.accuracy.seed)
        return Round(
            designs=len(designs),
            unseen=len(unseen),
            spearman=spearman(expected, measured),
            useful_spearman=spearman(expected[useful], measured[useful]),
            useful=int(useful.sum()),
            ratio=scale_of(expected, measured) if len(unseen) else math.nan,
            dominated=sum(bool(dominating(index, designs, drawn)) for index in range(len(designs))),
            hypervolume=_share(_points(designs, losses), box),
            fitted_on=correction.designs,
            strength=correction.strength,
            error=correction.error,
            table_error=correction.table_error,
            seconds=0.0,
        )


class _Measured:
    """Whole designs with the losses they were measured to have on validation data."""

    def __init__(self, refiner: Refiner, designs: Sequence[Formats]) -> None:
        self._refiner = refiner
        self.designs: list[Formats] = []
        self.losses: list[Losses] = []
        self.add(designs)

    def add(self, designs: Sequence[Formats]) -> None:
        """Measure further ones."""
        self.designs += designs
        self.losses += self.of(designs)

    def of(self, designs: Sequence[Formats]) -> list[Losses]:
        """Losses of designs, measured if they are not known."""
        if not designs:
            return []
        one = self._refiner
        samples = one.prepared.validation
        return measure_formats(one.prepared, one.store, designs, samples, jobs=one.jobs, description="whole designs")


def _stands_still(before: Round, after: Round) -> bool:
    moved = abs(after.hypervolume - before.hypervolume)
    return moved < STILL and 1 / TRUE <= after.ratio <= TRUE


def _named(metric: str) -> SensitivityMetric:
    """Without an audit nothing has won: the divergence is what designs are judged by."""
    return SensitivityMetric.DIVERGENCE if metric == "auto" else SensitivityMetric(metric)


def _points(designs: Sequence[Design], losses: Sequence[Losses]) -> NDArray[np.float64]:
    """Utilisation, and the logarithms of loss and interval: shape ``(designs, 3)``."""
    return np.array(
        [
            (one.utilisation, math.log(max(loss.divergence, 0.0) + FLOOR), math.log(one.interval_cycles))
            for one, loss in zip(designs, losses, strict=True)
        ]
    )


def _box(designs: Sequence[Design], losses: Sequence[Losses]) -> NDArray[np.float64]:
    """Smallest and largest value per objective, shape ``(2, 3)``."""
    points = _points(designs, losses)
    return np.stack([points.min(axis=0), points.max(axis=0)])


def _share(points: NDArray[np.float64], box: NDArray[np.float64]) -> float:
    """Share of the box that points dominate."""
    side = 10**6
    scaled = (points - box[0]) / np.maximum(box[1] - box[0], 1e-12)
    cells = np.clip(scaled * side, 0, side).round().astype(np.int64)
    return hypervolume(cells, np.full(3, side)) / side**3
