"""The cross-entropy of a task in torch, for derivatives: `emulation.tasks` says what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from emulation.tasks import SIMILARITY_SCALE, Answers, pairing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emulation.tasks import Task


def summed_cross_entropy(outputs: torch.Tensor, labels: NDArray[np.int64], task: Task) -> torch.Tensor:
    """The cross-entropy to the labels, nats, averaged over the places of an item and summed over items."""
    scores = _scores(outputs, labels, task)
    expected = torch.from_numpy(task.expected(labels, scores.detach().double().numpy()))
    return functional.cross_entropy(scores.flatten(0, 1), expected.flatten(), reduction="sum") / scores.shape[1]


def _scores(outputs: torch.Tensor, labels: NDArray[np.int64], task: Task) -> torch.Tensor:
    """Scores ``(items, places, classes)``."""
    match task.answers:
        case Answers.CLASSES:
            return outputs.reshape(len(outputs), -1, outputs.shape[-1])
        case Answers.DECISIONS:
            yes = outputs.reshape(len(outputs), -1)
            return torch.stack((torch.zeros_like(yes), yes), dim=-1)
        case Answers.PAIRS:
            asking, candidates = pairing(labels)
            directions = functional.normalize(outputs)
            return SIMILARITY_SCALE * (directions[asking] @ directions[candidates].T)[:, None, :]
