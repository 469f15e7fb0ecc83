"""A design of experiments: which units which flows measure, read from TOML."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hwmodels.rtl.families import unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hwmodels.rtl.unit import Unit

DEFAULT_PLAN: Final = Path(__file__).parents[1] / "data" / "plan.toml"
_KEYS: Final = ("family", "flows", "grid", "points", "descending", "seconds")


class PlanError(ValueError):
    """A plan that cannot be read; the message names file, entry and key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One unit to be measured by one flow.

    Attributes:
        flow: name of the flow.
        unit: what is measured.
        seconds: time the flow may take for it.
    """

    flow: str
    unit: Unit
    seconds: float


def read_plan(path: str | Path = DEFAULT_PLAN, *, flows: tuple[str, ...]) -> list[Experiment]:
    """The experiments of a plan, in its order, each once.

    A plan is a list of tables ``[[units]]``::

        [[units]]
        family = "multiplier"            # of hwmodels.rtl.families
        flows = ["xcup", "osu018"]
        grid = { a = [2, 4, 8], b = [2, 4] }   # every combination ...
        descending = ["a", "b"]          # ... in which a >= b
        points = [{ a = 16, b = 16 }]    # and these
        seconds = 120                    # one unit may take; 120 unless given

    Args:
        path: of the TOML file.
        flows: names a plan may use.

    Raises:
        PlanError: if the file cannot be read or an entry is not valid.
    """
    try:
        entries = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"plan {path} cannot be read as TOML: {error}") from error
    if set(entries) != {"units"}:
        raise PlanError(
            f"plan {path} must have tables [[units]] and nothing else, got {', '.join(entries) or 'nothing'}"
        )
    found: dict[tuple[str, str], Experiment] = {}
    for number, entry in enumerate(entries["units"], start=1):
        try:
            for experiment in _experiments(entry, flows):
                found.setdefault((experiment.flow, experiment.unit.module), experiment)
        except (ValueError, TypeError) as error:
            raise PlanError(f"plan {path}, entry {number}: {error}") from error
    return list(found.values())


def _experiments(entry: Mapping[str, Any], flows: tuple[str, ...]) -> Iterator[Experiment]:
    unknown = sorted(set(entry) - set(_KEYS))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; keys are {', '.join(_KEYS)}")
    for key in ("family", "flows"):
        if key not in entry:
            raise ValueError(f"key {key!r} is missing")
    for name in entry["flows"]:
        if name not in flows:
            raise ValueError(f"there is no flow {name!r}: flows are {', '.join(flows)}")
    seconds = float(entry.get("seconds", 120))
    if seconds <= 0:
        raise ValueError(f"seconds must be above 0, got {seconds:g}")
    for parameters in _points(entry):
        made = unit(entry["family"], parameters)
        for name in entry["flows"]:
            yield Experiment(flow=name, unit=made, seconds=seconds)


def _points(entry: Mapping[str, Any]) -> Iterator[dict[str, int]]:
    grid = entry.get("grid", {})
    if not grid and not entry.get("points"):
        raise ValueError("neither grid nor points: one of them must name parameters")
    descending = entry.get("descending", [])
    missing = [name for name in descending if name not in grid]
    if missing:
        raise ValueError(f"descending names {missing[0]!r}, which is no parameter of the grid")
    if grid:
        for values in itertools.product(*grid.values()):
            point = dict(zip(grid, values, strict=True))
            order = [point[name] for name in descending]
            if order == sorted(order, reverse=True):
                yield point
    yield from entry.get("points", [])
