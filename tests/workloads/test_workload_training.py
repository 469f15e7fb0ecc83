"""Training is repeatable, learns, and takes gradients from the calibration set alone."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from emulation.workloads import Samples, Splits, find_workload
from emulation.workloads import train as training
from emulation.workloads.augmentation import Augmentation
from emulation.workloads.digits_data import load_digit_splits
from emulation.workloads.evaluation import count_correct, float_logits, mean_cross_entropy
from emulation.workloads.networks import PerceptronNetwork
from emulation.workloads.train import RECIPES, Recipe, candidates, train_epochs, train_workload

UNCHANGED = Augmentation(rotation_degrees=0, scale=0, shear=0, shift_pixels=0, contrast=0)


@pytest.fixture(scope="module")
def splits() -> Splits:
    whole = load_digit_splits()
    return Splits(calibration=whole.calibration.first(128), validation=whole.validation, test=whole.test.first(64))


class RecordingNetwork(PerceptronNetwork):
    """Keeps the largest pixel of each batch that gradients are taken from, and of each that is only judged."""

    def __init__(self) -> None:
        super().__init__()
        self.learned: list[float] = []
        self.judged: list[float] = []

    def forward(self, images: Tensor) -> Tensor:
        (self.learned if torch.is_grad_enabled() else self.judged).append(float(images.max()))
        return super().forward(images)


def marked(samples: Samples, mark: float) -> Samples:
    return Samples(inputs=np.full_like(samples.inputs, mark), labels=samples.labels)


def test_gradients_come_from_calibration_images_and_test_images_are_not_seen(splits: Splits) -> None:
    made: list[RecordingNetwork] = []

    def build() -> nn.Module:
        made.append(RecordingNetwork())
        return made[-1]

    dyed = Splits(
        calibration=splits.calibration, validation=marked(splits.validation, 7.0), test=marked(splits.test, 9.0)
    )
    train_workload(build, dyed, Recipe(epochs=2, seeds=(0,)))
    learned = [value for network in made for value in network.learned]
    judged = [value for network in made for value in network.judged]
    assert len(learned) == 2 * (128 // 32)
    assert max(learned) <= 1.0
    assert judged == [7.0, 7.0]


def test_validation_data_does_not_change_what_is_learned(splits: Splits) -> None:
    recipe = Recipe(epochs=2, seeds=(3,))
    other = dataclasses.replace(splits, validation=marked(splits.validation, 0.25))
    for first, second in zip(
        candidates(PerceptronNetwork, splits, recipe), candidates(PerceptronNetwork, other, recipe), strict=True
    ):
        assert first.validation_loss != second.validation_loss
        for name, tensor in first.state.items():
            assert torch.equal(tensor, second.state[name])


def test_the_chosen_state_is_the_one_with_the_smallest_validation_loss(splits: Splits) -> None:
    recipe = Recipe(epochs=3, seeds=(0, 1))
    network, chosen = train_workload(PerceptronNetwork, splits, recipe)
    every = list(candidates(PerceptronNetwork, splits, recipe))
    assert [(one.seed, one.epoch) for one in every] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    assert chosen.validation_loss == min(one.validation_loss for one in every)
    logits = float_logits(network, splits.validation.inputs)
    assert mean_cross_entropy(logits, splits.validation) == pytest.approx(chosen.validation_loss, rel=1e-6)
    assert count_correct(logits, splits.validation) == chosen.validation_correct
    assert not network.training


def test_training_learns(splits: Splits) -> None:
    recipe = Recipe(epochs=40, seeds=(0,), augmentation=UNCHANGED)
    network, _ = train_workload(PerceptronNetwork, splits, recipe)
    logits = float_logits(network, splits.validation.inputs)
    assert count_correct(logits, splits.validation) > 200  # chance is 30 of 300


def test_too_few_samples_for_a_batch_are_refused(splits: Splits) -> None:
    with pytest.raises(ValueError, match="at least one batch of 32 samples, got 31; give more samples"):
        next(train_epochs(PerceptronNetwork(), splits.calibration.first(31), Recipe(epochs=1, seeds=(0,)), seed=0))


@pytest.mark.parametrize(("epochs", "seeds"), [(0, (0,)), (1, ())])
def test_a_recipe_without_runs_is_refused(splits: Splits, epochs: int, seeds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one seed and one epoch, got seeds"):
        train_workload(PerceptronNetwork, splits, Recipe(epochs=epochs, seeds=seeds))


def test_weight_decay_spares_vectors() -> None:
    decayed, spared = training._parameter_groups(find_workload("digits-deep").build(), 0.5)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.5, 0.0)
    assert all(parameter.ndim > 1 for parameter in decayed["params"])
    assert all(parameter.ndim == 1 for parameter in spared["params"])


def test_the_script_writes_weights_that_load(
    tmp_path: Path, splits: Splits, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    workload = dataclasses.replace(
        find_workload("digits"), load_splits=lambda: splits, weights=tmp_path / "digits.safetensors"
    )
    monkeypatch.setattr(training, "find_workload", {"digits": workload}.__getitem__)
    with caplog.at_level("INFO"):
        training.main(["digits", "--epochs", "1", "--seeds", "5", "--folder", str(tmp_path)])
    assert [file.name for file in tmp_path.iterdir()] == ["digits.safetensors"]
    with safe_open(tmp_path / "digits.safetensors", "numpy") as file:
        origin = json.loads(file.metadata()["origin"])
    assert (origin["seed"], origin["epoch"], origin["recipe"]["epochs"]) == (5, 1, 1)
    correct = count_correct(float_logits(workload.load_network(), splits.test.inputs), splits.test)
    assert f"test         {correct:2} of   64 correct" in caplog.text


def test_the_script_refuses_no_epochs_and_unknown_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"one epoch, got seeds .* and 0 epochs; raise what is missing"):
        training.main(["digits-mlp", "--epochs", "0", "--folder", str(tmp_path)])
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit, match="2"):
        training.main(["digit"])
    assert "invalid choice: 'digit'" in capsys.readouterr().err


def test_every_built_in_workload_has_a_recipe_that_made_its_weights() -> None:
    for name, recipe in RECIPES.items():
        weights = find_workload(name).weights
        assert weights is not None
        with safe_open(weights, "numpy") as file:
            origin = json.loads(file.metadata()["origin"])
        assert origin["recipe"] == json.loads(json.dumps(dataclasses.asdict(recipe)))
        assert origin["seed"] in recipe.seeds
        assert 1 <= origin["epoch"] <= recipe.epochs


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_augmentation_without_limits_keeps_the_images(splits: Splits) -> None:
    images = torch.tensor(splits.calibration.inputs[:16])
    torch.testing.assert_close(UNCHANGED.apply(images, generator()), images, atol=1e-6, rtol=0)


def test_augmentation_changes_every_image_its_own_way_and_repeats(splits: Splits) -> None:
    images = torch.tensor(np.repeat(splits.calibration.inputs[:1], 16, axis=0))
    changed = Augmentation().apply(images, generator())
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 16
    assert torch.equal(changed, Augmentation().apply(images, generator()))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [({"shift_pixels": 1.0}, 1.0), ({"shift_pixels": 0.5}, 0.5)],
)
def test_moves_stay_within_their_limit_in_pixels(limits: dict[str, float], expected: float) -> None:
    dot = torch.zeros(400, 1, 9, 9)
    dot[:, :, 4, 4] = 1.0
    changed = dataclasses.replace(UNCHANGED, **limits).apply(dot, generator())
    mass = changed.sum(dim=(2, 3))
    places = torch.arange(9.0) - 4
    across = (changed.sum(dim=2) * places).sum(dim=2) / mass
    largest = float(across.abs().max())
    assert 0.7 * expected < largest <= 1.05 * expected


def test_rotation_turns_around_the_centre_within_its_limit() -> None:
    bar = torch.zeros(400, 1, 9, 9)
    bar[:, :, 4, 1:8] = 1.0
    turned = dataclasses.replace(UNCHANGED, rotation_degrees=20).apply(bar, generator())[:, 0]
    offset = torch.arange(9.0) - 4
    moment_xy = (turned * offset[:, None] * offset[None, :]).sum(dim=(1, 2))
    moment_xx = (turned * offset[None, :] ** 2).sum(dim=(1, 2))
    moment_yy = (turned * offset[:, None] ** 2).sum(dim=(1, 2))
    degrees = torch.rad2deg(0.5 * torch.atan2(2 * moment_xy, moment_xx - moment_yy))
    assert 17 < float(degrees.abs().max()) < 21
