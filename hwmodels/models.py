"""Cost models of units: features of their structure times fitted coefficients, with the error each model has shown.

A measured row stands for itself. Every other unit is estimated by the model of its family, which says one standard
deviation of its own error (from rows left out of the fit) and whether the unit lies outside what was measured.
Pricing reads two files and multiplies; fitting is `hwmodels.fitting`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from hwmodels.rtl.families import FAMILIES
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hwmodels.synthesis.measurements import Measurement

ROWS_FOLDER: Final = Path(__file__).parent / "data" / "rows"
"""The committed rows, one file per flow, and the models fitted on them."""
MODELS_FILE: Final = "models.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelError:
    """Relative errors of rows that were left out of the fit that estimates them.

    Attributes:
        rows: how many were left out in turn.
        median: of the absolute relative errors.
        percentile95: of the absolute relative errors.
        largest: of the absolute relative errors.
        sigma: root mean square: one standard deviation of an estimate.
    """

    rows: int
    median: float
    percentile95: float
    largest: float
    sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitModel:
    """A fitted model of one column of one family's rows.

    Attributes:
        family: of units.
        flow: whose rows were fitted.
        column: what is estimated.
        coefficients: by feature of the family's structure.
        edge_coefficients: the same for units so small that they are looked up (`hwmodels.rtl.families.Family.is_edge`)
            and were not measured; empty if too few were measured to fit.
        left_out_widths: errors of rows left out by width (or by format, see `left_out_formats`).
        left_out_formats: errors of rows left out by format; None for families without formats.
        edges: errors of such units, left out in turn; None if they have no coefficients.
        rivals: by name of estimator, this one included, errors of a few groups of rows left out, the same groups for
            all; empty for families of few rows.
        rows: that were fitted.
        ranges: least and greatest measured value of each parameter.
    """

    family: str
    flow: str
    column: str
    coefficients: Mapping[str, float]
    edge_coefficients: Mapping[str, float] = field(default_factory=dict)
    left_out_widths: ModelError | None
    left_out_formats: ModelError | None
    edges: ModelError | None = None
    rivals: Mapping[str, ModelError]
    rows: int
    ranges: Mapping[str, tuple[int, int]]

    @property
    def sigma(self) -> float:
        """One standard deviation of an estimate: the larger of the two left-out errors."""
        return max((found.sigma for found in (self.left_out_widths, self.left_out_formats) if found), default=0.0)

    def is_edge(self, parameters: Mapping[str, int]) -> bool:
        """Whether a unit is one of the small ones that are looked up."""
        return FAMILIES[self.family].is_edge(parameters)

    def sigma_of(self, parameters: Mapping[str, int]) -> float:
        """One standard deviation of the estimate of a unit, which may be an edge."""
        return max(self.sigma, self.edges.sigma) if self.edges and self.is_edge(parameters) else self.sigma

    def value(self, parameters: Mapping[str, int]) -> float:
        """The estimate of a unit, 0 or above, whole: what is modelled are counts."""
        return self.of(FAMILIES[self.family].structure(**parameters), is_edge=self.is_edge(parameters))

    def of(self, structure: Mapping[str, float], *, is_edge: bool) -> float:
        """The same for a unit of which the structure is known."""
        value = 0.0
        for name, weight in self.weights(is_edge=is_edge).items():
            value += weight * structure[name]
        return whole(value)

    def weights(self, *, is_edge: bool) -> Mapping[str, float]:
        """The coefficients that hold for a unit."""
        return self.edge_coefficients if is_edge and self.edge_coefficients else self.coefficients

    def outside(self, parameters: Mapping[str, int]) -> tuple[str, ...]:
        """The names of parameters outside the measured range, and of those that make a unit too small to be fitted."""
        few = FAMILIES[self.family].edge_names(parameters)
        return tuple(
            name
            for name, value in parameters.items()
            if name in few or not self.ranges[name][0] <= value <= self.ranges[name][1]
        )

    def described(self, parameters: Mapping[str, int]) -> list[str]:
        """What `outside` names, in words."""
        few = FAMILIES[self.family].edge_names(parameters)
        found = []
        for name in self.outside(parameters):
            low, high = self.ranges[name]
            why = "too small for the model" if name in few else f"measured {low} to {high}"
            found.append(f"{name} = {parameters[name]} ({why})")
        return found


def whole(value: float) -> float:
    """The nearest count, 0 or above."""
    return float(round(value)) if value > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate of one unit.

    Attributes:
        value: in the column's own unit.
        sigma: one standard deviation, relative; 0 if the unit itself was measured.
        notes: what was extrapolated, with the nearest measured unit; empty inside the measured range.
    """

    value: float
    sigma: float
    notes: tuple[str, ...] = ()


@lru_cache(maxsize=1 << 16)
def _estimate(family: str, flow: str, column: str, parameters: tuple[tuple[str, int], ...]) -> Estimate:
    measured = measured_units(flow).get(family, {}).get(frozenset(parameters))
    if measured is not None:
        return Estimate(value=measured.values[column], sigma=0.0)
    model, known = unit_model(family, flow, column), dict(parameters)
    notes: tuple[str, ...] = ()
    if found := model.described(known):
        near = nearest(family, flow, known)
        words = ", ".join(f"{name} {value}" for name, value in near.parameters.items())
        notes = (f"{family} outside the measured range: {'; '.join(found)}; nearest measured: {words}",)
    return Estimate(value=model.value(known), sigma=model.sigma_of(known), notes=notes)


def unit_estimate(family: str, *, flow: str = "xcup", column: str = "luts", **parameters: int) -> Estimate:
    """What one unit takes.

    Args:
        family: of `hwmodels.rtl.families`.
        flow: whose rows to go by.
        column: of that flow.
        parameters: all of the family's own.

    Raises:
        ValueError: if there are no rows of that family and flow.

    >>> unit_estimate("multiplier", a=8, b=8, a_signed=1, b_signed=1).value
    67.0
    """
    return _estimate(family, flow, column, tuple(parameters.items()))


def nearest(family: str, flow: str, parameters: Mapping[str, int]) -> Measurement:
    """The measured unit whose parameters differ least, relative to their size."""

    def distance(row: Measurement) -> float:
        return sum(abs(row.parameters[name] - value) / (1 + abs(value)) for name, value in parameters.items())

    return min(measured_units(flow)[family].values(), key=distance)


def unit_model(family: str, flow: str = "xcup", column: str = "luts") -> UnitModel:
    """The committed model of a family.

    Raises:
        ValueError: if there is none.
    """
    models = unit_models()
    if (family, flow, column) not in models:
        known = ", ".join(sorted({f"{m.family} ({m.flow} {m.column})" for m in models.values()}))
        raise ValueError(f"no model of {column} of family {family!r} by flow {flow!r}: there are {known}")
    return models[family, flow, column]


@lru_cache(maxsize=1)
def unit_models() -> Mapping[tuple[str, str, str], UnitModel]:
    """All committed models by family, flow and column."""
    return read_models(ROWS_FOLDER / MODELS_FILE)


def read_models(path: Path) -> Mapping[tuple[str, str, str], UnitModel]:
    """The models of a file that `write_models` made."""
    found = [_model(record) for record in json.loads(path.read_text(encoding="utf-8"))]
    return MappingProxyType({(model.family, model.flow, model.column): model for model in found})


def write_models(path: Path, models: Iterable[UnitModel]) -> None:
    """Write models as JSON, sorted, so that a refit shows as a small difference."""
    records = [_record(model) for model in sorted(models, key=lambda m: (m.family, m.flow, m.column))]
    path.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


@lru_cache(maxsize=8)
def measured_units(flow: str) -> Mapping[str, Mapping[frozenset[tuple[str, int]], Measurement]]:
    """The measured units of a flow, by family and parameters."""
    found: dict[str, dict[frozenset[tuple[str, int]], Measurement]] = {}
    for row in read_rows(ROWS_FOLDER / f"{flow}.csv"):
        if row.status is Status.OK:
            found.setdefault(row.family, {})[frozenset(row.parameters.items())] = row
    return found


def _record(model: UnitModel) -> dict[str, Any]:
    return {
        "family": model.family,
        "flow": model.flow,
        "column": model.column,
        "coefficients": _rounded(model.coefficients),
        "edge_coefficients": _rounded(model.edge_coefficients),
        "left_out_widths": _error_record(model.left_out_widths),
        "left_out_formats": _error_record(model.left_out_formats),
        "edges": _error_record(model.edges),
        "rivals": {name: _error_record(error) for name, error in model.rivals.items()},
        "rows": model.rows,
        "ranges": {name: list(ends) for name, ends in model.ranges.items()},
    }


def _rounded(coefficients: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in coefficients.items()}


def _error_record(error: ModelError | None) -> dict[str, float] | None:
    if error is None:
        return None
    values = {"median": error.median, "percentile95": error.percentile95, "largest": error.largest}
    return {"rows": error.rows, **{n: round(v, 4) for n, v in values.items()}, "sigma": round(error.sigma, 4)}


def _model(record: Mapping[str, Any]) -> UnitModel:
    return UnitModel(
        family=record["family"],
        flow=record["flow"],
        column=record["column"],
        coefficients=MappingProxyType(dict(record["coefficients"])),
        edge_coefficients=MappingProxyType(dict(record["edge_coefficients"])),
        left_out_widths=_error(record["left_out_widths"]),
        left_out_formats=_error(record["left_out_formats"]),
        edges=_error(record["edges"]),
        rivals=MappingProxyType({name: ModelError(**error) for name, error in record["rivals"].items()}),
        rows=record["rows"],
        ranges=MappingProxyType({name: (ends[0], ends[1]) for name, ends in record["ranges"].items()}),
    )


def _error(record: Mapping[str, Any] | None) -> ModelError | None:
    return ModelError(**record) if record else None
