"""Fits the terms of `hwmodels.timing.Depth` on rows of flow ``ecp5``, judged on families left out of the fit."""

from __future__ import annotations

import csv
from dataclasses import astuple, fields
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from hwmodels.rows import relative_least_squares
from hwmodels.synthesis.flow import Status
from hwmodels.timing import DEPTHS, DelayModel, Depth, is_collapsed, is_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hwmodels.synthesis.measurements import Measurement


def fit_delays(rows: Iterable[Measurement]) -> DelayModel:
    """A fit over all families whose depth is known; units that collapse into a few gates are left out.

    Args:
        rows: of flow ``ecp5``, any families.

    Raises:
        ValueError: if the reference unit is not among them.
    """
    known = [row for row in rows if row.status is Status.OK and row.family in DEPTHS]
    own = [row for row in known if not is_collapsed(row.family, row.parameters)]
    reference = next((_delay(row) for row in own if is_reference(row.family, row.parameters)), None)
    if reference is None:
        raise ValueError("no row of the reference unit, the signed 8 x 8 multiplier: measure it with flow ecp5")
    found = DelayModel(coefficients=_coefficients(own), reference=reference, sigma=0.0, rows=len(own))
    errors = [error for family in dict.fromkeys(row.family for row in own) for error in _left_out(own, family)]
    sigma = float(np.sqrt(np.mean(np.square(errors)))) if errors else 0.0
    return DelayModel(coefficients=found.coefficients, reference=reference, sigma=sigma, rows=len(own))


def _left_out(rows: Sequence[Measurement], family: str) -> list[float]:
    inside = [row for row in rows if row.family == family]
    outside = [row for row in rows if row.family != family]
    if len(outside) < len(fields(Depth)):
        return []
    model = DelayModel(coefficients=_coefficients(outside), reference=1.0, sigma=0.0, rows=len(outside))
    return [model.delay(DEPTHS[family](**row.parameters)) / _delay(row) - 1.0 for row in inside]


def _coefficients(rows: Sequence[Measurement]) -> MappingProxyType[str, float]:
    features = [astuple(DEPTHS[row.family](**row.parameters)) for row in rows]
    delays = [_delay(row) for row in rows]
    values = relative_least_squares(features, delays, wholes=delays)
    return MappingProxyType({term.name: value for term, value in zip(fields(Depth), values, strict=True)})


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
