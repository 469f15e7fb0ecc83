"""What a network is asked and judged by: how its outputs become scores of classes, and the metrics over those scores.

Everything a study measures works on log probabilities of shape ``(items, places, classes)``: an item is what is drawn
and averaged over (an image, a clip, a pair of texts), its places are what is answered about it (its frames, its bytes).
`Task.scores` brings the outputs of any network into that form, and a metric is one line of `MEASURES`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

BITS_OF_A_BYTE: Final = 8
SIMILARITY_SCALE: Final = 20.0
"""Cosines times this are the scores of a search: the factor sentence encoders are trained with (sentence-transformers'
`MultipleNegativesRankingLoss`). Ranks do not depend on it, losses in nats do."""


class Answers(StrEnum):
    """What the outputs of a network are."""

    CLASSES = "classes"
    """One score for each class along the last axis: ``(samples, classes)``, or ``(samples, ..., classes)`` where a
    sample is asked in several places."""
    DECISIONS = "decisions"
    """One logit for yes in each place: ``(samples, ...)``."""
    PAIRS = "pairs"
    """An embedding of each sample: ``(samples, width)``. The sample labelled 2i asks for the one labelled 2i + 1 among
    all samples of odd label."""


class TaskMetric(StrEnum):
    """What a workload is judged by."""

    ACCURACY = "accuracy"
    """Share of answers whose largest score is their label's."""
    AGREEMENT = "agreement"
    """Share of answers whose largest score is where the float network has its own; labels are not used."""
    AGREEMENT_IN_FIVE = "top-5 agreement"
    """Share of answers among whose five largest scores is the float network's first; labels are not used."""
    RECIPROCAL_RANK = "mean reciprocal rank"
    """Mean of 1 / rank of the label's score, 1 if it is always the largest."""
    BITS_PER_BYTE = "bits per byte"
    """Mean of -log2 of the probability of the byte that came; smaller is better."""
    DIVERGENCE = "divergence"
    """Mean Kullback-Leibler divergence from the float network, nats; smaller is better, labels are not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Answers beside what was expected.

    Attributes:
        ours: log probabilities, ``(items, places, classes)``.
        theirs: the float network's, of the same shape.
        labels: the class expected, ``(items, places)``.
    """

    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]
    labels: NDArray[np.int64]

    @property
    def expected(self) -> NDArray[np.float64]:
        """Our log probability of each label, ``(items, places)``."""
        return chosen(self.ours, self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How a metric is computed, and how it becomes a merit.

    Attributes:
        of: the metric in its own unit.
        merit: the same as a share, 1 for the best there is and larger for better, so that studies compare all alike.
        from_float: whether the float network's own answers are the labels.
    """

    of: Callable[[Answered], float]
    merit: Callable[[float], float] = float
    from_float: bool = False


def _accuracy(answered: Answered) -> float:
    return float(np.mean(answered.ours.argmax(axis=-1) == answered.labels))


def _among_five(answered: Answered) -> float:
    largest = np.argsort(-answered.ours, axis=-1, kind="stable")[..., :5]
    return float(np.mean((largest == answered.labels[..., np.newaxis]).any(axis=-1)))


def _reciprocal_rank(answered: Answered) -> float:
    """Equal scores count as before: a network that answers nothing ranks last, not first."""
    not_below = np.sum(answered.ours >= answered.expected[..., np.newaxis], axis=-1)
    return float(np.mean(1.0 / not_below))


def _bits(answered: Answered) -> float:
    return float(-np.mean(answered.expected)) / math.log(2)


def _divergence(answered: Answered) -> float:
    return float(np.mean(divergences(answered.ours, answered.theirs)))


MEASURES: Final[Mapping[TaskMetric, Measure]] = {
    TaskMetric.ACCURACY: Measure(of=_accuracy),
    TaskMetric.AGREEMENT: Measure(of=_accuracy, from_float=True),
    TaskMetric.AGREEMENT_IN_FIVE: Measure(of=_among_five, from_float=True),
    TaskMetric.RECIPROCAL_RANK: Measure(of=_reciprocal_rank),
    TaskMetric.BITS_PER_BYTE: Measure(of=_bits, merit=lambda bits: 1.0 - bits / BITS_OF_A_BYTE),
    TaskMetric.DIVERGENCE: Measure(of=_divergence, merit=lambda nats: math.exp(-nats), from_float=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the outputs are, and the metric they are judged by.

    >>> outputs = np.array([[2.0, 0.0], [1.0, 3.0], [4.0, 0.0]])
    >>> Task().value(outputs, labels=np.array([0, 1, 1]), float_outputs=outputs).__round__(3)
    0.667
    """

    answers: Answers = Answers.CLASSES
    metric: TaskMetric = TaskMetric.ACCURACY

    def __str__(self) -> str:
        """The answers and the metric, in words; keys of stored measurements hold them."""
        return f"{self.metric} of {self.answers}"

    @property
    def measure(self) -> Measure:
        """How the metric is computed."""
        return MEASURES[self.metric]

    def log_probabilities(self, outputs: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log probabilities ``(items, places, classes)`` of a network's outputs on samples with these labels.

        Raises:
            ValueError: if outputs and labels do not match, or no pair is whole.
        """
        return log_softmax(_SCORES[self.answers](np.asarray(outputs, dtype=np.float64), labels))

    def expected(self, labels: NDArray[np.int64], float_answers: NDArray[np.float64]) -> NDArray[np.int64]:
        """The label of each place, ``(items, places)``, beside the float network's log probabilities.

        Raises:
            ValueError: if labels are no class numbers.
        """
        if self.measure.from_float:
            first: NDArray[np.int64] = float_answers.argmax(axis=-1)
            return first
        if self.answers is Answers.PAIRS:
            return np.arange(len(float_answers))[:, np.newaxis]
        if labels.min() < 0 or labels.max() >= float_answers.shape[-1]:
            raise ValueError(
                f"labels run from {labels.min()} to {labels.max()}, the network has {float_answers.shape[-1]} classes"
            )
        return labels.reshape(len(labels), -1)

    def value(
        self, outputs: NDArray[Any], labels: NDArray[np.int64], *, float_outputs: NDArray[Any] | None = None
    ) -> float:
        """The metric in its own unit; without ``float_outputs`` these outputs are the float network's.

        Raises:
            ValueError: if outputs and labels do not match.
        """
        ours = self.log_probabilities(outputs, labels)
        theirs = ours if float_outputs is None else self.log_probabilities(float_outputs, labels)
        return self.measure.of(Answered(ours=ours, theirs=theirs, labels=self.expected(labels, theirs)))


CLASSIFICATION: Final = Task()
"""Scores of classes, judged by the share that is right."""


def log_softmax(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of the softmax along the last axis."""
    shifted = outputs - outputs.max(axis=-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return result


def divergences(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kullback-Leibler divergence of our log probabilities from theirs in each place, nats."""
    found: NDArray[np.float64] = np.sum(np.exp(theirs) * (theirs - ours), axis=-1)
    return found


def chosen(log_probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The log probability of each label, ``(items, places)``."""
    picked: NDArray[np.float64] = np.take_along_axis(log_probabilities, labels[..., np.newaxis], axis=-1)[..., 0]
    return picked


def pairing(labels: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Places of the samples that ask, and of those they choose from: first their partners, in the same order.

    Raises:
        ValueError: if no sample is there with its partner.
    """
    place_of = {int(label): place for place, label in enumerate(labels)}
    asking = [place for label, place in place_of.items() if label % 2 == 0 and label + 1 in place_of]
    if not asking:
        raise ValueError(
            f"none of the {len(labels)} samples is there with its partner: labels 2i and 2i + 1 belong together; use "
            "more samples"
        )
    partners = [place_of[int(labels[place]) + 1] for place in asking]
    others = [place for label, place in place_of.items() if label % 2 and label - 1 not in place_of]
    return asking, partners + others


def _class_scores(outputs: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    if outputs.ndim < 2 or outputs.shape[:-1] != labels.shape:
        raise ValueError(
            f"outputs of shape {outputs.shape} do not match labels of shape {labels.shape}: one score for each class "
            "is needed, along the last axis, and one label a sample (or a place of a sample)"
        )
    return outputs.reshape(len(outputs), -1, outputs.shape[-1])


def _decision_scores(outputs: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    if outputs.shape != labels.shape:
        raise ValueError(
            f"outputs of shape {outputs.shape} do not match labels of shape {labels.shape}: one logit is needed for "
            "each label, 1 for yes and 0 for no"
        )
    yes = outputs.reshape(len(outputs), -1)
    return np.stack((np.zeros_like(yes), yes), axis=-1)


def _pair_scores(outputs: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    if outputs.ndim != 2 or labels.shape != outputs.shape[:1]:
        raise ValueError(
            f"outputs of shape {outputs.shape} do not match labels of shape {labels.shape}: an embedding "
            "(samples, width) is needed, and one label a sample"
        )
    asking, candidates = pairing(labels)
    length = np.linalg.norm(outputs, axis=1, keepdims=True)
    directions = outputs / np.where(length == 0, 1.0, length)
    cosines = directions[asking] @ directions[candidates].T
    return SIMILARITY_SCALE * cosines[:, np.newaxis, :]


_SCORES: Final[Mapping[Answers, Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]]] = {
    Answers.CLASSES: _class_scores,
    Answers.DECISIONS: _decision_scores,
    Answers.PAIRS: _pair_scores,
}
