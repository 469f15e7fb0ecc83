"""Accuracy lost against the float network: a smooth loss and the task's own metric, on the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emulation.tasks import CLASSIFICATION, Answered, Task, chosen, divergences

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Accuracy lost against the float network on the same samples.

    Attributes:
        divergence: mean Kullback-Leibler divergence of the class probabilities from the float network's, nats.
        cross_entropy_change: mean cross-entropy to the labels minus the float network's, nats.
        accuracy: what the task's metric says, as a share (`emulation.tasks.Measure.merit`): larger is better, 1 the
            best there is. For a classifier, the share of samples whose largest output is the label.
        accuracy_change: that share minus the float network's.
    """

    divergence: float
    cross_entropy_change: float
    accuracy: float
    accuracy_change: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Yardstick:
    """The float network's answers on some samples, which designs are measured against; made by `yardstick`.

    Attributes:
        log_probabilities: of the classes, ``(items, places, classes)``.
        labels: the class expected in each place, ``(items, places)``.
        sample_labels: the labels as the samples have them.
        task: how outputs become answers, and the metric.
    """

    log_probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    sample_labels: NDArray[np.int64]
    task: Task

    @property
    def accuracy(self) -> float:
        """The float network's own accuracy, see `Losses`."""
        return self._merit(self.log_probabilities)

    @property
    def guessing_loss(self) -> float:
        """Divergence of the same answer in every place, the mean of the network's probabilities, nats.

        It is what the answers say about the samples (their mutual information): a design that loses as much knows
        nothing of them.

        >>> import numpy as np
        >>> sure = yardstick(np.array([[700.0, 0.0], [0.0, 700.0]]), np.array([0, 1]))
        >>> bool(np.isclose(sure.guessing_loss, np.log(2)))
        True
        """
        probabilities = np.exp(self.log_probabilities)
        guess = np.log(np.maximum(probabilities.mean(axis=(0, 1)), np.finfo(np.float64).tiny))
        return float(np.sum(probabilities * (self.log_probabilities - guess), axis=-1).mean())

    def divergences(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Kullback-Leibler divergence of each item, nats, shape ``(items,)``; their mean is `Losses.divergence`."""
        found: NDArray[np.float64] = divergences(self._answers(outputs), self.log_probabilities).mean(axis=1)
        return found

    def losses(self, outputs: NDArray[Any]) -> Losses:
        """Losses of other outputs on the same samples, real values of the shape the float network's have."""
        ours, theirs = self._answers(outputs), self.log_probabilities
        accuracy = self._merit(ours)
        return Losses(
            divergence=float(np.mean(divergences(ours, theirs).mean(axis=1))),
            cross_entropy_change=float(np.mean(chosen(theirs, self.labels) - chosen(ours, self.labels))),
            accuracy=accuracy,
            accuracy_change=accuracy - self.accuracy,
        )

    def _answers(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        return self.task.log_probabilities(outputs, self.sample_labels)

    def _merit(self, ours: NDArray[np.float64]) -> float:
        measure = self.task.measure
        return measure.merit(measure.of(Answered(ours=ours, theirs=self.log_probabilities, labels=self.labels)))


def yardstick(outputs: NDArray[Any], labels: NDArray[np.int64], task: Task = CLASSIFICATION) -> Yardstick:
    """The yardstick made of a float run's outputs; for a classifier, of shape ``(samples, classes)``.

    Raises:
        ValueError: if outputs and labels do not match, or labels are no class numbers.
    """
    if len(labels) == 0:
        raise ValueError("there are no samples to measure on: at least one is needed")
    answers = task.log_probabilities(outputs, labels)
    return Yardstick(log_probabilities=answers, labels=task.expected(labels, answers), sample_labels=labels, task=task)
