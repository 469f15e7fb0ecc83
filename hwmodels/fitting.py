"""Fits the cost models of units on measured rows, and judges them on rows they have not seen.

Each family is judged twice: with all rows of one width left out, for each width, and with all rows of one format left
out. The model is a weighted linear regression without intercept (features include a constant where a family has one),
weights ``1 / value**2``, so that relative errors count alike. Its rival, gradient boosting of the logarithm by trees
that may only grow with each feature, is judged beside it on a few groups of widths, the same for both. The regression
stands wherever it is not beaten in both median and 95th percentile; it alone follows a structure beyond its rows.

Units so small that they are looked up have coefficients of their own, for those that were not measured. A flow that
measures a few units of every family has the coefficients of another one, times one factor a family.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from hwmodels.models import MODELS_FILE, ModelError, UnitModel, write_models
from hwmodels.rtl.families import FAMILIES
from hwmodels.rtl.family import Pricing
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hwmodels.rtl.family import Family
    from hwmodels.synthesis.measurements import Measurement

    Floats = NDArray[np.float64]
    Estimator = Callable[[Floats, Floats, Floats], Floats]

LINEAR: Final = "weighted least squares"
BOOSTED: Final = "monotone gradient boosting"
FEWEST_ROWS: Final = 4
"""A family with fewer rows beside its edges is not fitted."""
FEWEST_RIVAL_ROWS: Final = 20
"""Trees of fewer rows say nothing: no rival is tried."""
RIVAL_FOLDS: Final = 5
"""Groups of rows left out to compare estimators: trees take a quarter of a second each."""
FITTED_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "xcup": ("luts", "flip_flops"),
    "xcup-dsp": ("luts", "flip_flops", "dsps"),
}
"""What is modelled of a flow's rows. Energy, area and delay have models of their own (`hwmodels.derived_tables`)."""

SCALED_FLOWS: Final[Mapping[str, str]] = {"xc7": "xcup"}
"""Flows that measure a few units of a family, by the flow whose models of LUTs are scaled for them."""
REGISTERS: Final = "register_bits"
"""The feature of flip-flops, which take no LUTs."""


def refit(folder: Path) -> list[UnitModel]:
    """Fit every family on the rows of a folder, and write the models beside them.

    Args:
        folder: with one file of rows per flow; flows without one are left out.

    Returns:
        What was written.
    """
    models = [
        model
        for flow, columns in FITTED_COLUMNS.items()
        for model in fit_models(flow, read_rows(folder / f"{flow}.csv"), columns)
    ]
    for flow, base in SCALED_FLOWS.items():
        known = [model for model in models if model.flow == base and model.column == "luts"]
        models += scale_models(flow, read_rows(folder / f"{flow}.csv"), known)
    write_models(folder / MODELS_FILE, models)
    return models


def fit_models(flow: str, rows: Iterable[Measurement], columns: Sequence[str]) -> list[UnitModel]:
    """Models of every family and column of one flow's rows.

    Rows that failed are left out, as are families composed of parts and edge units (they are looked up). A column
    that is 0 throughout a family has a model without features, which says 0.

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
            fitted = fitted_rows(FAMILIES[family], own, column)
            if len(fitted) >= FEWEST_ROWS:
                found.append(_fit(family, flow, column, fitted, own))
            elif not any(row.values[column] for row in own):
                found.append(_nothing(family, flow, column, own))
    return found


def fitted_rows(family: Family, rows: Iterable[Measurement], column: str) -> list[Measurement]:
    """The rows of a family that a model of a column is fitted on: measured, no edges, not 0."""
    measured = [row for row in rows if row.status is Status.OK and not family.is_edge(row.parameters)]
    return [row for row in measured if row.values[column] > 0]


def _fit(family: str, flow: str, column: str, rows: Sequence[Measurement], every: Sequence[Measurement]) -> UnitModel:
    known = FAMILIES[family]
    names, features = features_of(known, rows, column)
    targets = np.array([row.values[column] for row in rows])
    coefficients = _coefficients(features, targets)
    widths, formats = groups_of(known, rows)
    small = [row for row in every if known.is_edge(row.parameters) and row.values[column] > 0]
    edge_coefficients, edge_errors = _edges(known, small, column)
    return UnitModel(
        family=family,
        flow=flow,
        column=column,
        coefficients=dict(zip(names, map(float, coefficients), strict=True)),
        edge_coefficients=edge_coefficients,
        left_out_widths=_summary(_left_out(features, targets, widths, linear_estimates)),
        left_out_formats=_summary(_left_out(features, targets, formats, linear_estimates)),
        edges=edge_errors,
        rivals=_rivals(features, targets, widths or formats),
        rows=len(rows),
        ranges=_ranges(every),
    )


def scale_models(flow: str, rows: Sequence[Measurement], models: Iterable[UnitModel]) -> list[UnitModel]:
    """Models of another flow times a factor for each family: the one that errs least, relatively, on its rows.

    Args:
        flow: whose rows these are.
        rows: of any families, at least two of a family that is scaled.
        models: of the other flow. The errors are those of the rows, each scaled by the others.
    """
    found = []
    for model in models:
        own = scaled_rows(rows, model)
        if not own:
            continue
        targets, estimates = _to_scale(own, model)
        factor = float(_coefficients(estimates, targets)[0])
        found.append(
            replace(
                model,
                flow=flow,
                coefficients={name: factor * value for name, value in model.coefficients.items()},
                edge_coefficients={name: factor * value for name, value in model.edge_coefficients.items()},
                left_out_widths=_summary(
                    np.array(
                        [
                            abs(estimate / row.values[model.column] - 1.0)
                            for row, estimate in scaled_estimates(own, model)
                        ]
                    )
                ),
                left_out_formats=None,
                edges=None,
                rivals={},
                rows=len(own),
                ranges=_ranges(own),
            )
        )
    return found


def scaled_rows(rows: Iterable[Measurement], model: UnitModel) -> list[Measurement]:
    """The rows that give another flow's model its factor: none if there are fewer than two."""
    own = [
        row for row in rows if row.family == model.family and row.status is Status.OK and row.values[model.column] > 0
    ]
    return own if len(own) > 1 else []


def scaled_estimates(rows: Sequence[Measurement], model: UnitModel) -> Iterator[tuple[Measurement, float]]:
    """Each row of `scaled_rows`, and its estimate by the factor of the others."""
    targets, estimates = _to_scale(rows, model)
    alone = [[index] for index in range(len(rows))]
    for index, estimate in left_out_estimates(estimates, targets, alone, linear_estimates, fewest=1):
        yield rows[index], estimate


def _to_scale(rows: Sequence[Measurement], model: UnitModel) -> tuple[Floats, Floats]:
    """Values of rows, and the model's estimates of them as the only feature."""
    targets = np.array([row.values[model.column] for row in rows], dtype=np.float64)
    return targets, np.array([[model.value(row.parameters)] for row in rows], dtype=np.float64)


def _nothing(family: str, flow: str, column: str, rows: Sequence[Measurement]) -> UnitModel:
    return UnitModel(
        family=family,
        flow=flow,
        column=column,
        coefficients={},
        left_out_widths=None,
        left_out_formats=None,
        rivals={},
        rows=len(rows),
        ranges=_ranges(rows),
    )


def _ranges(rows: Sequence[Measurement]) -> dict[str, tuple[int, int]]:
    values = {name: [row.parameters[name] for row in rows] for name in rows[0].parameters}
    return {name: (min(found), max(found)) for name, found in values.items()}


def features_of(family: Family, rows: Sequence[Measurement], column: str) -> tuple[list[str], Floats]:
    """Names of the features that are not 0 throughout, and their values, a line per row."""
    structures = [family.structure(**row.parameters) for row in rows]
    names = [name for name in structures[0] if any(found[name] for found in structures)]
    if column == "luts" and names != [REGISTERS]:
        names = [name for name in names if name != REGISTERS]
    return names, np.array([[found[name] for name in names] for found in structures], dtype=np.float64)


def groups_of(family: Family, rows: Sequence[Measurement]) -> tuple[list[list[int]], list[list[int]]]:
    """Rows to be left out together, by width and by format, in ascending order of these."""
    by_width: dict[int, set[int]] = defaultdict(set)
    by_format: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for index, row in enumerate(rows):
        for name in family.widths:
            by_width[row.parameters[name]].add(index)
        for names in family.formats:
            by_format[tuple(row.parameters[name] for name in names)].add(index)
    return [sorted(by_width[key]) for key in sorted(by_width)], [sorted(by_format[key]) for key in sorted(by_format)]


def _coefficients(features: Floats, targets: Floats) -> Floats:
    from sklearn.linear_model import LinearRegression

    scale = np.abs(features).max(axis=0)
    scale[scale == 0] = 1.0
    model = LinearRegression(fit_intercept=False).fit(features / scale, targets, sample_weight=targets**-2)
    return np.asarray(model.coef_ / scale, dtype=np.float64)


def linear_estimates(features: Floats, targets: Floats, asked: Floats) -> Floats:
    """Estimates of the units ``asked``, by weighted least squares on others; whole, as counts are."""
    return np.asarray(np.round(np.maximum(asked @ _coefficients(features, targets), 0.0)), dtype=np.float64)


def _boosted(features: Floats, targets: Floats, asked: Floats) -> Floats:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        monotonic_cst=[1] * features.shape[1], min_samples_leaf=2, max_iter=100, learning_rate=0.15, random_state=0
    )
    return np.exp(np.asarray(model.fit(features, np.log(targets)).predict(asked), dtype=np.float64))


def _rivals(features: Floats, targets: Floats, groups: Sequence[Sequence[int]]) -> dict[str, ModelError]:
    from threadpoolctl import threadpool_limits

    if len(targets) < FEWEST_RIVAL_ROWS:
        return {}
    chosen = np.unique(np.linspace(0, len(groups) - 1, RIVAL_FOLDS).round().astype(int))
    folds = [groups[index] for index in chosen]
    # So few rows are split faster by one thread than handed to several.
    with threadpool_limits(limits=1):
        errors = {
            name: _summary(_left_out(features, targets, folds, estimator))
            for name, estimator in ((LINEAR, linear_estimates), (BOOSTED, _boosted))
        }
    return {name: error for name, error in errors.items() if error is not None}


def _left_out(
    features: Floats,
    targets: Floats,
    groups: Sequence[Sequence[int]],
    estimator: Estimator,
    *,
    fewest: int = FEWEST_ROWS,
) -> Floats:
    """Relative errors of the rows of each group, estimated from the rows outside it; groups may overlap."""
    found = left_out_estimates(features, targets, groups, estimator, fewest=fewest)
    return np.array([abs(estimate / targets[index] - 1.0) for index, estimate in found])


def left_out_estimates(
    features: Floats,
    targets: Floats,
    groups: Sequence[Sequence[int]],
    estimator: Estimator,
    *,
    fewest: int = FEWEST_ROWS,
) -> Iterator[tuple[int, float]]:
    """Rows by index, and their estimates from the rows outside their group; too few of these are passed over."""
    for group in groups:
        inside = np.zeros(len(targets), dtype=bool)
        inside[list(group)] = True
        if (~inside).sum() < max(fewest, features.shape[1]):
            continue
        estimates = estimator(features[~inside], targets[~inside], features[inside])
        yield from zip(np.flatnonzero(inside).tolist(), estimates.tolist(), strict=True)


def _edges(family: Family, rows: Sequence[Measurement], column: str) -> tuple[dict[str, float], ModelError | None]:
    """Coefficients of small units, and their errors, each left out in turn; nothing if there are too few."""
    if len(rows) < FEWEST_ROWS:
        return {}, None
    names, features = features_of(family, rows, column)
    if len(rows) <= len(names):
        return {}, None
    targets = np.array([row.values[column] for row in rows])
    alone = [[index] for index in range(len(rows))]
    errors = _left_out(features, targets, alone, linear_estimates, fewest=FEWEST_ROWS - 1)
    return dict(zip(names, map(float, _coefficients(features, targets)), strict=True)), _summary(errors)


def _summary(errors: Floats) -> ModelError | None:
    if not errors.size:
        return None
    return ModelError(
        rows=int(errors.size),
        median=float(np.median(errors)),
        percentile95=float(np.percentile(errors, 95)),
        largest=float(errors.max()),
        sigma=float(np.sqrt(np.mean(errors**2))),
    )
