"""Rebuilds the small tables that prices are read from, out of the rows of all flows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hwmodels.energy_fitting import logic_energies, write_logic_energies
from hwmodels.models import ROWS_FOLDER
from hwmodels.synthesis.measurements import read_rows
from hwmodels.timing_fitting import fit_delays, write_delay_model

DATA: Final = Path(__file__).parent / "data"
LOGIC_ENERGIES: Final = "logic_energies.csv"
DELAYS: Final = "delays.csv"


def rebuild(rows: Path = ROWS_FOLDER, data: Path = DATA) -> None:
    """Write energies and areas of logic (`hwmodels.energy`, `hwmodels.asic_area`) and delays (`hwmodels.timing`).

    Args:
        rows: folder with the rows of flows ``xcup``, ``osu018`` and ``ecp5``.
        data: folder to write to.

    Raises:
        ValueError: if the rows lack the unit that all of them are relative to.
    """
    energies = logic_energies(read_rows(rows / "xcup.csv"), read_rows(rows / "osu018.csv"))
    write_logic_energies(data / LOGIC_ENERGIES, energies)
    write_delay_model(data / DELAYS, fit_delays(read_rows(rows / "ecp5.csv")))
