"""Layers of a file with their prices: as a table, as plain values, as CSV."""

from __future__ import annotations

import csv
import dataclasses
from typing import TYPE_CHECKING, Any

from rich.text import Text

from dse.errors import StudyError
from dse.terminal import cost_words, table
from hwmodels.corrections import CALIBRATED
from hwmodels.energy import energy_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.table import Table

    from hwmodels.costs import Cost
    from hwmodels.devices import Device
    from hwmodels.layer_files import PricedLayer


def priced_table(layers: Sequence[PricedLayer], device: Device) -> Table:
    """Priced layers, and what their energies and delays are."""
    asic = device.asic is not None
    counted = ("kGE", "mm2", "+-") if asic else ("LUT", "+- LUT", "FF", "DSP", "BRAM", "URAM")
    columns = dict.fromkeys((*counted, "interval", "fill", "energy\nnJ", "delay\nrel."), "right")
    title = f"Costs, {CALIBRATED}" if any(CALIBRATED in layer.cost.sources for layer in layers) else "Costs"
    found = table(title, {"layer": "left", "style": "left", **columns, "remarks": "left"})
    for layer in layers:
        cost = layer.cost
        found.add_row(
            Text(layer.name),
            layer.style.value,
            *_counts(cost, device),
            str(cost.interval_cycles),
            str(cost.fill_cycles),
            f"{cost.energy_pj / 1e3:.4g}" if cost.energy_pj else "-",
            f"{cost.relative_delay:.2f}" if cost.relative_delay else "-",
            Text("; ".join(cost.out_of_range)),
        )
    found.caption = "\n".join([*cost_words(device.energy_anchor), "-: not modelled, as of layers of vendor flows"])
    found.caption_justify = "left"
    return found


def _counts(cost: Cost, device: Device) -> list[str]:
    band = f"{cost.error_band:.0%}"
    if device.asic is not None:
        return [f"{cost.gates / 1e3:.1f}", f"{cost.gates * float(device.asic.gate_um2) / 1e6:.4f}", band]
    return [str(cost.luts), band, str(cost.flip_flops), str(cost.dsps), f"{cost.brams:g}", str(cost.urams)]


def priced_rows(layers: Sequence[PricedLayer], device: Device) -> list[dict[str, Any]]:
    """Priced layers as plain values; energies and delays that are not modelled are None."""
    words = energy_words(device.energy_anchor)
    return [
        {"name": layer.name, "line": layer.line, "style": layer.style.value}
        | dataclasses.asdict(layer.cost)
        | {"brams": layer.cost.brams}
        | _energies(layer.cost)
        | _area(layer.cost, device)
        | {"energy_process": device.energy_anchor, "energy_source": words}
        for layer in layers
    ]


def _energies(cost: Cost) -> dict[str, float | None]:
    names = ("energy_pj", "logic_pj", "memory_pj", "offchip_pj")
    found: dict[str, float | None] = {name: getattr(cost, name) if cost.energy_pj else None for name in names}
    return found | {"relative_delay": cost.relative_delay or None}


def _area(cost: Cost, device: Device) -> dict[str, float | None]:
    """Gates count on an ASIC process alone: elsewhere DSPs and memory blocks are not among them."""
    if device.asic is None:
        return {"gates": None}
    return {"gates": cost.gates, "area_um2": cost.gates * float(device.asic.gate_um2)}


def write_priced_csv(path: Path, layers: Sequence[PricedLayer], device: Device) -> None:
    """Write what `priced_rows` gives as CSV, empty where nothing is modelled.

    Raises:
        StudyError: if the file cannot be written.
    """
    rows = priced_rows(layers, device)
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            for row in rows:
                writer.writerow(row | {name: "; ".join(row[name]) for name in ("out_of_range", "sources")})
    except OSError as error:
        raise StudyError(f"--csv {path} cannot be written ({error.strerror}): name a file you may write") from error
