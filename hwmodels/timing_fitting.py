"""Fits the terms of `hwmodels.timing.Depth` on rows of flow ``ecp5``, judged on families left out of the fit."""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from hwmodels.synthesis.flow import Status
from hwmodels.timing import DEPTHS, DelayModel, Depth, is_collapsed, is_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hwmodels.synthesis.measurements import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutDelay:
    """A measured delay and the estimate of a fit without its family, both relative to the reference unit's delay."""

    row: Measurement
    measured: float
    estimated: float


def fit_delays(rows: Iterable[Measurement]) -> DelayModel:
    """A fit over all families whose depth is known; units that collapse into a few gates are left out.

    Args:
        rows: of flow ``ecp5``, any families.

    Raises:
        ValueError: if the reference unit is not among them.
    """
    own = _own(rows)
    errors = [one.estimated / one.measured - 1.0 for one in left_out_delays(own)]
    sigma = float(np.sqrt(np.mean(np.square(errors)))) if errors else 0.0
    return DelayModel(coefficients=_coefficients(own), reference=_reference(own), sigma=sigma, rows=len(own))


def left_out_delays(rows: Iterable[Measurement]) -> list[LeftOutDelay]:
    """Every fitted row beside its delay by a fit over the other families.

    Raises:
        ValueError: if the reference unit is not among them.
    """
    own = _own(rows)
    reference = _reference(own)
    found = []
    for family in dict.fromkeys(row.family for row in own):
        outside = [row for row in own if row.family != family]
        if len(outside) < len(fields(Depth)):
            continue
        model = DelayModel(coefficients=_coefficients(outside), reference=reference, sigma=0.0, rows=len(outside))
        for row in own:
            if row.family == family:
                estimated = model.delay(DEPTHS[family](**row.parameters)) / reference
                found.append(LeftOutDelay(row=row, measured=_delay(row) / reference, estimated=estimated))
    return found


def _own(rows: Iterable[Measurement]) -> list[Measurement]:
    """The rows that are fitted."""
    known = [row for row in rows if row.status is Status.OK and row.family in DEPTHS]
    return [row for row in known if not is_collapsed(row.family, row.parameters)]


def _reference(rows: Iterable[Measurement]) -> float:
    for row in rows:
        if is_reference(row.family, row.parameters):
            return _delay(row)
    raise ValueError("no row of the reference unit, the signed 8 x 8 multiplier: measure it with flow ecp5")


def _coefficients(rows: Sequence[Measurement]) -> MappingProxyType[str, float]:
    features = [astuple(DEPTHS[row.family](**row.parameters)) for row in rows]
    delays = [_delay(row) for row in rows]
    # Errors count in proportion to the delay.
    scaled = np.asarray(features, dtype=np.float64) / np.asarray(delays)[:, None]
    values, *_ = np.linalg.lstsq(scaled, np.ones(len(delays)))
    named = zip(fields(Depth), values, strict=True)
    return MappingProxyType({term.name: round(float(value), 12) for term, value in named})


def _delay(row: Measurement) -> float:
    """Nanoseconds."""
    return 1000 / row.values["fmax_mhz"]


def write_delay_model(path: Path, model: DelayModel) -> None:
    """Write a fit as CSV: nanoseconds by term, then the reference, the error and the number of rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", "value"))
        for name, value in (*model.coefficients.items(), ("reference", model.reference), ("sigma", model.sigma)):
            writer.writerow((name, f"{value:.4g}"))
        writer.writerow(("rows", model.rows))
