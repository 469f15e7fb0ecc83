"""The keys results of a study are stored under: they change with everything the results depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse.preparation import samples_hash
from dse.store import context_key
from hwmodels.fingerprint import cost_model_fingerprint

if TYPE_CHECKING:
    from dse.preparation import Prepared
    from dse.refinement_results import Refinement
    from hwmodels.corrections import CostCorrection
    from hwmodels.devices import Device


def settings_key(prepared: Prepared, device: Device, correction: CostCorrection) -> str:
    """Key of the settings, the data and the cost model: what corrections and fronts rest on."""
    config = prepared.config
    return context_key(
        sweep=prepared.sweep_context,
        validation=samples_hash(prepared.validation),
        test=samples_hash(prepared.test),
        formats=config.formats.model_dump(),
        arithmetic=config.arithmetic.model_dump(),
        costs=cost_model_fingerprint(),
        correction=correction.fingerprint,
        device=repr(device),
        target=config.device.model_dump(),
        energy=config.energy.model_dump(),
        architecture=config.architecture.model_dump(),
        front=config.front.model_dump(),
        accuracy=config.accuracy.model_dump(),
    )


def front_key(settings: str, refinement: Refinement | None) -> str:
    """Key of a front: settings, and the losses it was solved on."""
    return context_key(settings=settings, losses=None if refinement is None else refinement.to_json())
