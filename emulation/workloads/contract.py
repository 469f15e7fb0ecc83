"""What every workload must keep, as one check that authors of their own workloads can run in their tests."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import torch

from emulation.tasks import Answers
from emulation.workloads.catalogue import MESSAGE_CHARACTERS
from emulation.workloads.evaluation import float_logits

if TYPE_CHECKING:
    from emulation.workloads.catalogue import Workload
    from emulation.workloads.samples import Samples


def check_workload(workload: Workload) -> None:
    """Loads a workload and holds it against its own description.

    Args:
        workload: Its network is run on all three data sets and handed to `torch.export`.

    Raises:
        ValueError: If the network gives outputs of another shape or not finite, if torch cannot export it, or if
            a recorded score is off by more than its tolerance.

    Example:
        >>> from emulation.workloads import find_workload
        >>> check_workload(find_workload("digits-mlp"))
    """
    loaded = workload.load()
    given = {
        "calibration": loaded.splits.calibration,
        "validation": loaded.splits.validation,
        "test": loaded.splits.test,
    }
    for title, samples in given.items():
        outputs = float_logits(loaded.network, samples.inputs)
        _check_outputs(workload, outputs, samples, title)
        recorded = getattr(workload.score, title, None)
        reached = workload.task.value(outputs, samples.labels)
        if workload.score is not None and recorded is not None and abs(reached - recorded) > workload.score.tolerance:
            raise ValueError(
                f"Workload {workload.name!r} records {workload.task.metric} {recorded:.4f} on its {title} set of "
                f"{len(samples)} samples, but its network reaches {reached:.4f}; restore the weights that "
                "belong to the score or record the new one."
            )
    try:
        torch.export.export(loaded.network, loaded.example_inputs())
    except Exception as error:  # torch documents no narrower class
        reason = textwrap.shorten(str(error), MESSAGE_CHARACTERS)
        raise ValueError(
            f"Workload {workload.name!r} has a network torch.export cannot read ({reason}); write its forward method "
            "without control flow that depends on values."
        ) from error


def _check_outputs(workload: Workload, outputs: np.ndarray, samples: Samples, title: str) -> None:
    shape: tuple[int, ...]
    match workload.task.answers:
        case Answers.CLASSES:
            shape, described = (*samples.labels.shape, workload.classes), "logits"
        case Answers.DECISIONS:
            shape, described = samples.labels.shape, "decisions"
        case Answers.PAIRS:
            shape, described = (len(samples), outputs.shape[-1]), "embeddings"
    if outputs.shape != shape:
        raise ValueError(
            f"Workload {workload.name!r} promises {described} of shape {shape} on its {title} set, but its network "
            f"gives {outputs.shape}; correct its classes, task or network."
        )
    if not np.isfinite(outputs).all():
        raise ValueError(
            f"Workload {workload.name!r} must give finite {described}, but some on its {title} set are not; "
            "check the weights for NaN and infinity."
        )
