"""Measure whole designs in hardware mode on a data set; every result is stored, so none is measured twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from dse.errors import StudyError
from dse.progress import tracked
from dse.store import Measurement
from emulation.calibrated import Formats
from emulation.execution import execute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dse.designs import Design
    from dse.preparation import Prepared
    from dse.store import Store
    from emulation.hardware import HardwareNetwork
    from emulation.losses import Losses, Yardstick
    from emulation.workloads import Samples


def lower_design(prepared: Prepared, design: Design) -> HardwareNetwork:
    """A design in integers."""
    return prepared.calibrated.lower(Formats(edges=design.edges, weights=design.weights))


def outputs_of(prepared: Prepared, design: Design, samples: Samples) -> NDArray[np.float64]:
    """The design's real-valued outputs on samples, in hardware mode."""
    hardware = lower_design(prepared, design)
    return execute(hardware, samples.inputs).astype(np.float64) * hardware.output_unit


def measure_designs(
    prepared: Prepared, store: Store, designs: Sequence[Design], samples: Samples, *, jobs: int, description: str
) -> list[Losses]:
    """Losses of designs on samples, in the order given; designs with one assignment of formats are measured once."""
    context = prepared.design_context(samples)
    assignments = {_subject(design): design for design in designs}
    missing = store.missing(context, assignments)
    if missing:
        reference = prepared.float_yardstick(samples)
        try:
            # The first one compiles or loads the kernels before several threads ask for them.
            store.add(context, _measure(prepared, assignments[missing[0]], missing[0], samples, reference))
            tasks = (
                joblib.delayed(_measure)(prepared, assignments[subject], subject, samples, reference)
                for subject in missing[1:]
            )
            with threadpool_limits(limits=1):
                rows = joblib.Parallel(n_jobs=jobs, backend="threading", return_as="generator_unordered")(tasks)
                for row in tracked(rows, description=description, total=len(missing) - 1):
                    store.add(context, row)
        except ValueError as error:
            raise StudyError(str(error)) from error
    known = store.measurements(context)
    return [known[_subject(design)] for design in designs]


def _subject(design: Design) -> str:
    return f"design {design.assignment}"


def _measure(prepared: Prepared, design: Design, subject: str, samples: Samples, reference: Yardstick) -> Measurement:
    started = time.perf_counter()
    losses = reference.losses(outputs_of(prepared, design, samples))
    return Measurement(subject=subject, losses=losses, seconds=time.perf_counter() - started)
