"""One design of a front to work on: as a torch module to fine-tune, and measured again afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emulation.execution import execute

if TYPE_CHECKING:
    from dse.designs import Design
    from dse.preparation import Prepared
    from emulation.fine_tuning import FineTuningModule
    from emulation.losses import Losses


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyPoint:
    """A design of a study's front, with what it takes to compute it."""

    prepared: Prepared
    design: Design

    def module(self) -> FineTuningModule:
        """The design as a torch module: forward exactly hardware mode, trainable by straight-through gradients.

        Its trained weights read back with ``module.network()``, its integers with ``module.hardware()``.
        """
        from emulation.fine_tuning import FineTuningModule

        return FineTuningModule(self.prepared.calibrated, self.design.formats)

    def remeasure(self, module: FineTuningModule) -> Losses:
        """Losses of a fine-tuned module on the validation samples, executed whole in hardware mode.

        They are against the study's float network and comparable with ``design.validation``. They are not stored: the
        weights are no longer the study's.
        """
        samples = self.prepared.validation
        hardware = module.hardware()
        outputs = execute(hardware, samples.inputs).astype(np.float64) * hardware.output_unit
        return self.prepared.float_yardstick(samples).losses(outputs)
