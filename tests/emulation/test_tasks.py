"""Outputs of every kind become scores, and each metric is what scikit-learn, torch or a count by hand says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, label_ranking_average_precision_score, log_loss, top_k_accuracy_score

from emulation.losses import yardstick
from emulation.task_losses import summed_cross_entropy
from emulation.tasks import Answers, Task, TaskMetric

DRAW = np.random.default_rng(5)
OUTPUTS = DRAW.normal(size=(40, 6, 9)) * 3
FLOAT_OUTPUTS = OUTPUTS + DRAW.normal(size=OUTPUTS.shape)
LABELS = DRAW.integers(9, size=(40, 6))
FLAT, FLAT_LABELS = OUTPUTS.reshape(-1, 9), LABELS.ravel()
FIRST = FLOAT_OUTPUTS.reshape(-1, 9).argmax(axis=1)


def by_others(metric: TaskMetric) -> float:
    ours = torch.log_softmax(torch.from_numpy(FLAT), dim=1)
    theirs = torch.log_softmax(torch.from_numpy(FLOAT_OUTPUTS.reshape(-1, 9)), dim=1)
    match metric:
        case TaskMetric.ACCURACY:
            return float(accuracy_score(FLAT_LABELS, FLAT.argmax(axis=1)))
        case TaskMetric.AGREEMENT:
            return float(accuracy_score(FIRST, FLAT.argmax(axis=1)))
        case TaskMetric.AGREEMENT_IN_FIVE:
            return float(top_k_accuracy_score(FIRST, FLAT, k=5, labels=range(9)))
        case TaskMetric.RECIPROCAL_RANK:
            return float(label_ranking_average_precision_score(np.eye(9)[FLAT_LABELS], FLAT))
        case TaskMetric.BITS_PER_BYTE:
            return float(log_loss(FLAT_LABELS, ours.exp().numpy(), labels=range(9))) / math.log(2)
        case TaskMetric.DIVERGENCE:
            return float(torch.nn.functional.kl_div(ours, theirs, reduction="batchmean", log_target=True))


@pytest.mark.parametrize("metric", TaskMetric)
def test_metrics_are_those_of_others(metric: TaskMetric) -> None:
    task = Task(metric=metric)
    assert task.value(OUTPUTS, LABELS, float_outputs=FLOAT_OUTPUTS) == pytest.approx(by_others(metric))


@pytest.mark.parametrize(("metric", "best"), [(TaskMetric.BITS_PER_BYTE, 0.0), (TaskMetric.DIVERGENCE, 0.0)])
def test_a_merit_is_larger_for_better_and_one_at_best(metric: TaskMetric, best: float) -> None:
    merit = Task(metric=metric).measure.merit
    assert merit(best) == 1.0
    assert merit(1.0) > merit(2.0)


def test_a_yardstick_averages_the_places_of_a_sample() -> None:
    stick = yardstick(FLOAT_OUTPUTS, LABELS)
    alone = [yardstick(FLOAT_OUTPUTS[one], LABELS[one]).losses(OUTPUTS[one]) for one in range(40)]
    together = stick.losses(OUTPUTS)
    np.testing.assert_allclose(stick.divergences(OUTPUTS), [one.divergence for one in alone])
    assert together.divergence == pytest.approx(np.mean([one.divergence for one in alone]))
    assert together.cross_entropy_change == pytest.approx(np.mean([one.cross_entropy_change for one in alone]))
    assert together.accuracy == pytest.approx(np.mean([one.accuracy for one in alone]))


def test_decisions_are_judged_by_sign_and_logistic_loss() -> None:
    logits, speech = OUTPUTS[..., 0], LABELS % 2
    decided = Task(answers=Answers.DECISIONS)
    assert decided.value(logits, speech) == accuracy_score(speech.ravel(), logits.ravel() > 0)
    change = yardstick(np.zeros_like(logits), speech, decided).losses(logits).cross_entropy_change
    expected = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(logits), torch.tensor(speech).double())
    assert change == pytest.approx(float(expected) - math.log(2))


@pytest.mark.parametrize("answers", Answers)
@pytest.mark.parametrize("metric", [TaskMetric.ACCURACY, TaskMetric.AGREEMENT])
def test_the_loss_in_torch_is_the_same(answers: Answers, metric: TaskMetric) -> None:
    outputs = {Answers.CLASSES: OUTPUTS, Answers.DECISIONS: OUTPUTS[..., 0], Answers.PAIRS: OUTPUTS[:, 0]}[answers]
    labels = {Answers.CLASSES: LABELS, Answers.DECISIONS: LABELS % 2, Answers.PAIRS: DRAW.permutation(40)}[answers]
    stick = yardstick(outputs, labels, Task(answers=answers, metric=metric))
    expected = -np.take_along_axis(stick.log_probabilities, stick.labels[..., None], axis=-1).mean(axis=(1, 2)).sum()
    assert float(summed_cross_entropy(torch.from_numpy(outputs), labels, stick.task)) == pytest.approx(expected)


def test_pairs_find_each_other_whatever_the_order_and_whoever_is_missing() -> None:
    search = Task(answers=Answers.PAIRS, metric=TaskMetric.RECIPROCAL_RANK)
    asked = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 2.0], [1.0, 0.05], [3.0, 9.0]])
    labels = np.array([0, 1, 2, 3, 4])  # 0 finds 1 second, behind 3; 2 finds 3 second, behind 1; 4 has no partner
    assert search.value(asked, labels) == pytest.approx(0.5)
    order = np.array([4, 2, 0, 3, 1])
    assert search.value(asked[order], labels[order]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="none of the 2 samples is there with its partner: labels 2i and 2i \\+ 1"):
        search.value(asked[1:3], labels[1:3])


@pytest.mark.parametrize(
    ("answers", "shape", "message"),
    [
        (Answers.CLASSES, (4,), "one score for each class is needed"),
        (Answers.DECISIONS, (4, 2), "one logit is needed for each label"),
        (Answers.PAIRS, (3, 2), r"an embedding \(samples, width\) is needed"),
    ],
)
def test_outputs_of_another_shape_are_refused(answers: Answers, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Task(answers=answers).value(np.zeros(shape), np.zeros(4, np.int64))
