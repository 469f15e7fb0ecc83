"""From rows of the ASIC proxy to the ratios `hwmodels.energy` prices with; how they compare with published ones.

The same rows give areas (`hwmodels.asic_area`).

A LUT of one kind of logic takes about the same energy whatever the unit: what a multiplier of 4 x 4 bits takes a LUT
lies within 15 % of one of 16 x 16. So energies are composed like LUTs, by family, each with its own energy a LUT.
"""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hwmodels.energy import KINDS, OTHER, REFERENCE, REGISTER, published
from hwmodels.synthesis.flow import Status
from hwmodels.synthesis.measurements import read_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hwmodels.synthesis.measurements import Measurement

    Key = tuple[str, frozenset[tuple[str, int]]]

COLUMNS: Final = ("family", "ratio", "units", "least", "most", "gates")
NAND_UM2: Final = 24.0
"""Area of a two-input NAND gate of the ASIC proxy: cell NAND2X1 of osu018_stdcells.lib."""
REGISTER_UM2: Final = 96.0
"""Area of its flip-flop: cell DFFPOSX1 of osu018_stdcells.lib."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicEnergy:
    """What a LUT of a family takes relative to an 8-bit multiplication, median over ``units`` units, and the ends.

    ``gates`` is the median area of a LUT in two-input NAND gates.
    """

    family: str
    ratio: float
    units: int
    least: float
    most: float
    gates: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A published energy relative to the anchor's multiplication, beside the same ratio of the ASIC proxy."""

    operation: str
    process: str
    published: float
    measured: float


def logic_energies(areas: Iterable[Measurement], energies: Iterable[Measurement]) -> list[LogicEnergy]:
    """Ratios by family from units that both flows measured.

    Args:
        areas: rows of a flow that counts ``luts`` and ``flip_flops``.
        energies: rows of flow ``osu018``.

    Raises:
        ValueError: if the reference unit or any unit with registers is not among the rows of both.
    """
    counts = {_key(row): row.values for row in areas if row.status is Status.OK}
    rows = [(row, counts[_key(row)]) for row in energies if row.status is Status.OK and _key(row) in counts]
    reference = _reference(row for row, _ in rows)
    registers = [
        row.values["register_pj"] / count["flip_flops"]
        for row, count in rows
        if count["flip_flops"] and row.values["register_pj"]
    ]
    if not registers:
        raise ValueError("no unit with registers was measured by both flows: measure a mac with both")
    register_pj = statistics.median(registers)
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row, count in rows:
        if count["luts"] <= 0:
            continue
        held = row.values["register_pj"] / register_pj
        energy = (row.values["energy_pj"] - row.values["register_pj"]) / count["luts"] / reference
        gates = (row.values["area_um2"] - held * REGISTER_UM2) / count["luts"] / NAND_UM2
        found[OTHER].append((energy, gates))
        for name in {row.family, KINDS.get(row.family, row.family)}:
            found[name].append((energy, gates))
    table = [_entry(family, found[family]) for family in sorted(found)]
    return [*table, _entry(REGISTER, [(register_pj / reference, REGISTER_UM2 / NAND_UM2)])]


def compare(energies: Iterable[Measurement]) -> list[Comparison]:
    """Published energies of operations whose units were measured, relative to the multiplication of their anchor."""
    rows = [row for row in energies if row.status is Status.OK]
    reference, measured = _reference(rows), {_key(row): row.values["energy_pj"] for row in rows}
    found = []
    for entry in published()["operations"]:
        parameters = frozenset(read_parameters(entry["parameters"]).items())
        near = [value for (family, own), value in measured.items() if family == entry["family"] and parameters <= own]
        for process in published()["anchors"]:
            if near and process["name"] in entry:
                ratio = entry[process["name"]] / process["int8_multiply"]
                found.append(
                    Comparison(
                        operation=entry["operation"],
                        process=process["name"],
                        published=ratio,
                        measured=near[0] / reference,
                    )
                )
    return found


def write_logic_energies(path: Path, table: Sequence[LogicEnergy]) -> None:
    """Write ratios as CSV, four significant digits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in table:
            ratios = [f"{value:.4g}" for value in (one.ratio, one.least, one.most)]
            writer.writerow([one.family, ratios[0], one.units, *ratios[1:], f"{one.gates:.4g}"])


def _reference(rows: Iterable[Measurement]) -> float:
    family, parameters = REFERENCE
    for row in rows:
        if row.family == family and dict(row.parameters) == dict(parameters):
            return row.values["energy_pj"]
    raise ValueError(f"no row of the reference unit, family {family!r} of {dict(parameters)}: measure it with osu018")


def _entry(family: str, found: Sequence[tuple[float, float]]) -> LogicEnergy:
    energies, gates = zip(*found, strict=True)
    return LogicEnergy(
        family=family,
        ratio=statistics.median(energies),
        units=len(energies),
        least=min(energies),
        most=max(energies),
        gates=statistics.median(gates),
    )


def _key(row: Measurement) -> Key:
    return row.family, frozenset(row.parameters.items())
