"""Logits and accuracy of a float network."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emulation.workloads.samples import Samples

BATCH = 512


def float_logits(network: nn.Module, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Runs a network in evaluation mode, without gradients, and restores its mode.

    Args:
        network: Maps a float32 tensor (N, ...) to logits (N, classes).
        inputs: Array (N, ...).

    Returns:
        Logits (N, classes).
    """
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        parts = [network(torch.tensor(inputs[start : start + BATCH])) for start in range(0, len(inputs), BATCH)]
    network.train(was_training)
    logits: NDArray[np.float32] = torch.cat(parts).numpy()
    return logits


def count_correct(logits: NDArray[np.float32], samples: Samples) -> int:
    """Counts the samples whose largest logit is their label's; equal logits go to the lower class."""
    return int(np.count_nonzero(np.argmax(logits, axis=1) == samples.labels))


def mean_cross_entropy(logits: NDArray[np.float32], samples: Samples) -> float:
    """Mean of -log softmax(logits)[label] in nats."""
    return float(torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(samples.labels)))
