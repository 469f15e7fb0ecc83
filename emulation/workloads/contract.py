"""What every workload must keep, as one check that authors of their own workloads can run in their tests."""

import textwrap

import torch

from emulation.workloads.catalogue import MESSAGE_CHARACTERS, Workload
from emulation.workloads.evaluation import count_correct, float_logits

SCORE_TOLERANCE = 1
"""Samples a recorded score may be off: another machine may round a logit the other way where two are nearly equal."""


def check_workload(workload: Workload) -> None:
    """Loads a workload and holds it against its own description.

    Args:
        workload: Its network is run on all three data sets and handed to `torch.export`.

    Raises:
        ValueError: If the network gives logits of another shape or not finite, if torch cannot export it, or if
            a recorded score is off by more than `SCORE_TOLERANCE` samples.

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
        logits = float_logits(loaded.network, samples.inputs)
        if logits.shape != (len(samples), workload.classes):
            raise ValueError(
                f"Workload {workload.name!r} promises logits of shape ({len(samples)}, {workload.classes}) on its "
                f"{title} set, but its network gives {logits.shape}; correct classes or the network."
            )
        if not torch.isfinite(torch.from_numpy(logits)).all():
            raise ValueError(
                f"Workload {workload.name!r} must give finite logits, but some on its {title} set are not; "
                "check the weights for NaN and infinity."
            )
        recorded = getattr(workload.score, title, None)
        correct = count_correct(logits, samples)
        if recorded is not None and abs(correct - recorded) > SCORE_TOLERANCE:
            raise ValueError(
                f"Workload {workload.name!r} records {recorded} correct {title} samples, but its network gives "
                f"{correct} of {len(samples)}; restore the weights that belong to the score or record the new count."
            )
    try:
        torch.export.export(loaded.network, loaded.example_inputs())
    except Exception as error:  # torch documents no narrower class
        reason = textwrap.shorten(str(error), MESSAGE_CHARACTERS)
        raise ValueError(
            f"Workload {workload.name!r} has a network torch.export cannot read ({reason}); write its forward method "
            "without control flow that depends on values."
        ) from error
