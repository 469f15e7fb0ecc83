"""Estimates of measured units by models that have not seen them: what the errors of a model are made of."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hwmodels.fitting import (
    features_of,
    fitted_rows,
    groups_of,
    left_out_estimates,
    linear_estimates,
    scaled_estimates,
    scaled_rows,
)
from hwmodels.rtl.families import FAMILIES
from hwmodels.rtl.family import Pricing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hwmodels.models import UnitModel
    from hwmodels.synthesis.measurements import Measurement


class Omitted(Enum):
    """What the rows that were left out have in common."""

    WIDTH = "width"
    FORMAT = "format"
    UNIT = "unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutUnit:
    """One unit, measured, and estimated by a model that was fitted without it.

    Attributes:
        family: of units.
        parameters: of the unit.
        omitted: all rows with one of its widths were left out, or all with its format, or it alone. A unit of several
            widths is estimated as often.
        measured: the column's value, above 0.
        estimated: the same.
    """

    family: str
    parameters: Mapping[str, int]
    omitted: Omitted
    measured: float
    estimated: float


def left_out_units(rows: Iterable[Measurement], column: str) -> list[LeftOutUnit]:
    """Every fitted row of every family, as often as it was left out; the errors are those `fit_models` sums up.

    Args:
        rows: of one flow.
        column: of that flow.
    """
    by_family: dict[str, list[Measurement]] = defaultdict(list)
    for row in rows:
        if row.family in FAMILIES and FAMILIES[row.family].pricing is Pricing.FITTED:
            by_family[row.family].append(row)
    found: list[LeftOutUnit] = []
    for name in FAMILIES:
        fitted = fitted_rows(FAMILIES[name], by_family[name], column)
        if fitted:
            found.extend(_of_family(name, fitted, column))
    return found


def scaled_units(rows: Sequence[Measurement], models: Iterable[UnitModel]) -> list[LeftOutUnit]:
    """Every row whose family has another flow's model times a factor, each estimated by the factor of the others.

    Args:
        rows: of the flow that is scaled.
        models: of the other flow (`hwmodels.fitting.SCALED_FLOWS`).
    """
    return [
        LeftOutUnit(
            family=model.family,
            parameters=row.parameters,
            omitted=Omitted.UNIT,
            measured=row.values[model.column],
            estimated=estimate,
        )
        for model in models
        for row, estimate in scaled_estimates(scaled_rows(rows, model), model)
    ]


def _of_family(name: str, rows: list[Measurement], column: str) -> Iterable[LeftOutUnit]:
    family = FAMILIES[name]
    _, features = features_of(family, rows, column)
    targets = np.array([row.values[column] for row in rows])
    for omitted, groups in zip((Omitted.WIDTH, Omitted.FORMAT), groups_of(family, rows), strict=True):
        for index, estimate in left_out_estimates(features, targets, groups, linear_estimates):
            yield LeftOutUnit(
                family=name,
                parameters=rows[index].parameters,
                omitted=omitted,
                measured=float(targets[index]),
                estimated=estimate,
            )
