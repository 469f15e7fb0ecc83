"""Accuracy lost against the float network: a smooth loss and the task's own metric, on the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Accuracy lost against the float network on the same samples.

    Attributes:
        divergence: mean Kullback-Leibler divergence of the class probabilities from the float network's, nats a sample.
        cross_entropy_change: mean cross-entropy to the labels minus the float network's, nats a sample.
        accuracy: share of samples whose largest output is the label.
        accuracy_change: that share minus the float network's.
    """

    divergence: float
    cross_entropy_change: float
    accuracy: float
    accuracy_change: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Yardstick:
    """The float network's answers on some samples, which designs are measured against."""

    log_probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """The float network's own accuracy."""
        return float(np.mean(self.log_probabilities.argmax(axis=1) == self.labels))

    def divergences(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Kullback-Leibler divergence of each sample, nats, shape ``(samples,)``; their mean is `Losses.divergence`."""
        theirs = self.log_probabilities
        ours = log_softmax(np.asarray(outputs, dtype=np.float64))
        found: NDArray[np.float64] = np.sum(np.exp(theirs) * (theirs - ours), axis=1)
        return found

    def losses(self, outputs: NDArray[Any]) -> Losses:
        """Losses of other outputs on the same samples, shape ``(samples, classes)``, real values."""
        ours = log_softmax(np.asarray(outputs, dtype=np.float64))
        theirs = self.log_probabilities
        rows = np.arange(len(self.labels))
        accuracy = float(np.mean(ours.argmax(axis=1) == self.labels))
        return Losses(
            divergence=float(np.mean(self.divergences(outputs))),
            cross_entropy_change=float(np.mean(theirs[rows, self.labels] - ours[rows, self.labels])),
            accuracy=accuracy,
            accuracy_change=accuracy - self.accuracy,
        )


def yardstick(outputs: NDArray[Any], labels: NDArray[np.int64]) -> Yardstick:
    """The yardstick made of a float run's outputs, shape ``(samples, classes)``.

    Raises:
        ValueError: if outputs and labels do not match, or labels are no class numbers.
    """
    if outputs.ndim != 2 or len(outputs) != len(labels):
        raise ValueError(
            f"outputs of shape {outputs.shape} do not match {len(labels)} labels: (samples, classes) is needed, one "
            "label a sample"
        )
    if len(labels) == 0:
        raise ValueError("there are no samples to measure on: at least one is needed")
    if labels.min() < 0 or labels.max() >= outputs.shape[1]:
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}, the network has {outputs.shape[1]} classes"
        )
    return Yardstick(log_probabilities=log_softmax(np.asarray(outputs, dtype=np.float64)), labels=labels)


def log_softmax(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of the softmax along the last axis."""
    shifted = outputs - outputs.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return result
