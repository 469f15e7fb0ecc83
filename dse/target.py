"""What a study is built for: its device, and what costs on it are calibrated on."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dse.architecture import explorable
from dse.errors import StudyError
from hwmodels.corrections import UNCORRECTED
from hwmodels.devices import DeviceError, load_device

if TYPE_CHECKING:
    from pathlib import Path

    from dse.config import StudyConfig
    from hwmodels.corrections import CostCorrection
    from hwmodels.devices import Device


def target_device(folder: Path, config: StudyConfig) -> Device:
    """The device of a study; a file of its name beside study.toml comes first.

    Raises:
        StudyError: if there is no such device, its file is not valid, or no design of the study can be made on it.
    """
    beside = folder / config.device.name
    try:
        found = load_device(beside if beside.is_file() else config.device.name)
        return explorable(dataclasses.replace(found, energy_anchor=config.energy.process), config)
    except DeviceError as error:
        raise StudyError(str(error)) from error


def cost_correction(folder: Path, config: StudyConfig, device: Device) -> CostCorrection:
    """What corrects costs: factors fitted on the imported rows ``[costs] rows`` names, else nothing.

    Raises:
        StudyError: if the folder of rows has none, too few, or damaged ones.
    """
    if not config.costs.rows:
        return UNCORRECTED
    from hwmodels.reported.fitting import calibrate
    from hwmodels.reported.usage import ReportError

    try:
        # A relative path counts from the study's folder, so that it opens from anywhere.
        return calibrate(folder / config.costs.rows).correction(device)
    except ReportError as error:
        raise StudyError(f"[costs] rows = {config.costs.rows!r}: {error}") from error
