"""Fits the cost models of units on measured rows, and judges them on rows they have not seen.

Each family is judged twice: with all rows of one width left out, for each width, and with all rows of one format left
out. The model is a weighted linear regression without intercept (features include a constant where a family has one),
weights ``1 / value**2``, so that relative errors count alike. Its rival, gradient boosting of the logarithm by trees
that may only grow with each feature, is judged in the same way and named beside it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np

from hwmodels.models import ModelError, UnitModel
from hwmodels.rtl.families import FAMILIES, Pricing
from hwmodels.synthesis.flow import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from hwmodels.rtl.families import Family
    from hwmodels.synthesis.measurements import Measurement

    Floats = NDArray[np.float64]
    Estimator = Callable[[Floats, Floats, Floats], Floats]

LINEAR: Final = "weighted least squares"
BOOSTED: Final = "monotone gradient boosting"
FEWEST_ROWS: Final = 4
"""A family with fewer rows beside its edges is not fitted."""


def fit_models(flow: str, rows: Iterable[Measurement], columns: Sequence[str]) -> list[UnitModel]:
    """Models of every family and column of one flow's rows.

    Rows that failed are left out, as are families composed of parts, edge units (they are looked up) and columns that
    are 0 throughout a family.

    Args:
        flow: whose rows these are.
        rows: of any families.
        columns: to be modelled.
    """
    by_family: dict[str, list[Measurement]] = defaultdict(list)
    for row in rows:
        if row.status is Status.OK and row.family in FAMILIES and FAMILIES[row.family].pricing is Pricing.FITTED:
            by_family[row.family].append(row)
    found = []
    for family, own in by_family.items():
        for column in columns:
            fitted = [row for row in own if not FAMILIES[family].is_edge(row.parameters) and row.values[column] > 0]
            if len(fitted) >= FEWEST_ROWS:
                found.append(_fit(family, flow, column, fitted, own))
    return found


def _fit(family: str, flow: str, column: str, rows: Sequence[Measurement], every: Sequence[Measurement]) -> UnitModel:
    known = FAMILIES[family]
    names, features = _features(known, rows)
    targets = np.array([row.values[column] for row in rows])
    coefficients = _coefficients(features, targets)
    widths, formats = _groups(known, rows)
    parameters = list(rows[0].parameters)
    rivals = {}
    if groups := widths or formats:
        rivals = {
            LINEAR: float(np.median(_left_out(features, targets, groups, _linear))),
            BOOSTED: float(np.median(_left_out(features, targets, groups, _boosted))),
        }
    return UnitModel(
        family=family,
        flow=flow,
        column=column,
        coefficients=dict(zip(names, map(float, coefficients), strict=True)),
        left_out_widths=_error(features, targets, widths),
        left_out_formats=_error(features, targets, formats),
        rivals=rivals,
        rows=len(rows),
        ranges={
            name: (min(row.parameters[name] for row in every), max(row.parameters[name] for row in every))
            for name in parameters
        },
    )


def _features(family: Family, rows: Sequence[Measurement]) -> tuple[list[str], Floats]:
    structures = [family.structure(**row.parameters) for row in rows]
    names = [name for name in structures[0] if any(found[name] for found in structures)]
    return names, np.array([[found[name] for name in names] for found in structures], dtype=np.float64)


def _groups(family: Family, rows: Sequence[Measurement]) -> tuple[list[list[int]], list[list[int]]]:
    """Rows to be left out together, by width and by format."""
    by_width: dict[int, set[int]] = defaultdict(set)
    by_format: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for index, row in enumerate(rows):
        for name in family.widths:
            by_width[row.parameters[name]].add(index)
        for names in family.formats:
            by_format[tuple(row.parameters[name] for name in names)].add(index)
    return [sorted(found) for found in by_width.values()], [sorted(found) for found in by_format.values()]


def _coefficients(features: Floats, targets: Floats) -> Floats:
    from sklearn.linear_model import LinearRegression

    scale = np.abs(features).max(axis=0)
    scale[scale == 0] = 1.0
    model = LinearRegression(fit_intercept=False).fit(features / scale, targets, sample_weight=targets**-2)
    return np.asarray(model.coef_ / scale, dtype=np.float64)


def _linear(features: Floats, targets: Floats, asked: Floats) -> Floats:
    return np.maximum(asked @ _coefficients(features, targets), 1e-9)


def _boosted(features: Floats, targets: Floats, asked: Floats) -> Floats:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        monotonic_cst=[1] * features.shape[1], min_samples_leaf=2, max_iter=200, learning_rate=0.1, random_state=0
    )
    return np.exp(np.asarray(model.fit(features, np.log(targets)).predict(asked), dtype=np.float64))


def _left_out(features: Floats, targets: Floats, groups: Sequence[Sequence[int]], estimator: Estimator) -> Floats:
    """Relative errors of the rows of each group, estimated from the rows outside it; groups may overlap."""
    errors: list[float] = []
    for group in groups:
        inside = np.zeros(len(targets), dtype=bool)
        inside[list(group)] = True
        if (~inside).sum() < max(FEWEST_ROWS, features.shape[1]):
            continue
        estimates = estimator(features[~inside], targets[~inside], features[inside])
        errors.extend(np.abs(estimates / targets[inside] - 1.0))
    return np.array(errors)


def _error(features: Floats, targets: Floats, groups: Sequence[Sequence[int]]) -> ModelError | None:
    errors = _left_out(features, targets, groups, _linear)
    if not errors.size:
        return None
    return ModelError(
        rows=int(errors.size),
        median=float(np.median(errors)),
        percentile95=float(np.percentile(errors, 95)),
        largest=float(errors.max()),
        sigma=float(np.sqrt(np.mean(errors**2))),
    )
