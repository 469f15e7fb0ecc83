"""The committed measurements: units that were synthesised, one row each, and fits whose rows are not at hand."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FOLDER: Final = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """One synthesised unit: LUT6 sites and flip-flops under its family's own parameters (bits, lanes)."""

    unit: str
    family: str
    parameters: Mapping[str, int]
    luts: int
    flip_flops: int
    source: str

    def __getitem__(self, parameter: str) -> int:
        return self.parameters[parameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFit:
    """Coefficients that came without their rows, by term, with the widths and errors they were published with."""

    coefficients: Mapping[str, float]
    lowest_bits: int
    highest_bits: int
    mean_error: float
    largest_error: float
    source: str


@lru_cache(maxsize=1)
def unit_rows() -> tuple[UnitRow, ...]:
    """All rows of ``data/units.csv``."""
    with (_FOLDER / "units.csv").open(newline="", encoding="utf-8") as file:
        return tuple(_unit_row(record) for record in csv.DictReader(file))


@lru_cache(maxsize=64)
def family_rows(family: str) -> tuple[UnitRow, ...]:
    """The rows of one family.

    Raises:
        ValueError: if no row is of that family.

    >>> [row.luts for row in family_rows("adder")]
    [8, 16, 32]
    """
    rows = tuple(row for row in unit_rows() if row.family == family)
    if not rows:
        known = ", ".join(sorted({row.family for row in unit_rows()}))
        raise ValueError(f"no unit of family {family!r} was measured: families are {known}")
    return rows


@lru_cache(maxsize=8)
def published_fit(name: str) -> PublishedFit:
    """One fit of ``data/fits.csv``.

    Raises:
        ValueError: if there is none of that name.
    """
    with (_FOLDER / "fits.csv").open(newline="", encoding="utf-8") as file:
        records = list(csv.DictReader(file))
    terms = [record for record in records if record["fit"] == name]
    if not terms:
        known = ", ".join(sorted({record["fit"] for record in records}))
        raise ValueError(f"there is no fit {name!r}: fits are {known}")
    first = terms[0]
    return PublishedFit(
        coefficients=MappingProxyType({record["term"]: float(record["coefficient"]) for record in terms}),
        lowest_bits=int(first["lowest_bits"]),
        highest_bits=int(first["highest_bits"]),
        mean_error=float(first["mean_error_percent"]) / 100,
        largest_error=float(first["largest_error_percent"]) / 100,
        source=first["source"],
    )


def relative_least_squares(
    features: Sequence[Sequence[float]], targets: Sequence[float], *, wholes: Sequence[float]
) -> tuple[float, ...]:
    """Coefficients that bring ``features @ coefficients`` close to ``targets``, errors relative to whole units.

    Args:
        features: (rows, coefficients).
        targets: (rows,), the part of each unit that is fitted.
        wholes: (rows,), the LUTs of the whole unit: an error counts in proportion to it.

    >>> relative_least_squares([[1.0], [2.0]], [3.0, 6.0], wholes=[3.0, 6.0])
    (3.0,)
    """
    scale = 1.0 / np.asarray(wholes, dtype=np.float64)
    scaled = np.asarray(features, dtype=np.float64) * scale[:, None]
    solution, *_ = np.linalg.lstsq(scaled, np.asarray(targets, dtype=np.float64) * scale)
    return tuple(round(float(value), 12) for value in solution)


def relative_spread(estimates: Sequence[float], measured: Sequence[float]) -> float:
    """Root mean square of the relative errors: one standard deviation of an estimate."""
    ratio = np.asarray(estimates, dtype=np.float64) / np.asarray(measured, dtype=np.float64)
    return float(np.sqrt(np.mean((ratio - 1.0) ** 2)))


def _unit_row(record: dict[str, str]) -> UnitRow:
    pairs = (pair.split("=") for pair in record["parameters"].split(";"))
    return UnitRow(
        unit=record["unit"],
        family=record["family"],
        parameters=MappingProxyType({name: int(value) for name, value in pairs}),
        luts=int(record["luts"]),
        flip_flops=int(record["flip_flops"]),
        source=record["source"],
    )
