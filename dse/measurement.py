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
from emulation.execution import execute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dse.preparation import Prepared
    from dse.store import Store
    from emulation.calibrated import Formats
    from emulation.losses import Losses, Yardstick
    from emulation.workloads import Samples


def outputs_of(prepared: Prepared, formats: Formats, samples: Samples) -> NDArray[np.float64]:
    """The real-valued outputs of a design with these formats on samples, in hardware mode."""
    hardware = prepared.calibrated.lower(formats)
    return execute(hardware, samples.inputs).astype(np.float64) * hardware.output_unit


def measure_formats(
    prepared: Prepared, store: Store, designs: Sequence[Formats], samples: Samples, *, jobs: int, description: str
) -> list[Losses]:
    """Losses of designs on samples, in the order given; designs with the same formats are measured once."""
    context = prepared.design_context(samples)
    by_subject = {_subject(formats): formats for formats in designs}
    sampled = store.sampled(context)
    missing = [subject for subject in by_subject if subject not in sampled]
    if missing:
        try:
            reference = prepared.float_yardstick(samples)
            # The first one compiles or loads the kernels before several threads ask for them.
            store.add(context, _measure(prepared, by_subject[missing[0]], samples, reference))
            tasks = (
                joblib.delayed(_measure)(prepared, by_subject[subject], samples, reference) for subject in missing[1:]
            )
            with threadpool_limits(limits=1):
                rows = joblib.Parallel(n_jobs=jobs, backend="threading", return_as="generator_unordered")(tasks)
                for row in tracked(rows, description=description, total=len(missing) - 1):
                    store.add(context, row)
        except ValueError as error:
            raise StudyError(str(error)) from error
    known = store.measurements(context)
    return [known[_subject(formats)] for formats in designs]


def sample_losses(
    prepared: Prepared, store: Store, designs: Sequence[Formats], samples: Samples
) -> NDArray[np.float64]:
    """Losses of each sample of designs that were measured, nats, shape ``(designs, samples)``."""
    known = store.sample_losses(prepared.design_context(samples))
    return np.stack([known[_subject(formats)] for formats in designs])


def _subject(formats: Formats) -> str:
    return f"design {formats.text}"


def _measure(prepared: Prepared, formats: Formats, samples: Samples, reference: Yardstick) -> Measurement:
    started = time.perf_counter()
    outputs = outputs_of(prepared, formats, samples)
    return Measurement(
        subject=_subject(formats),
        losses=reference.losses(outputs),
        seconds=time.perf_counter() - started,
        divergences=reference.divergences(outputs),
    )
