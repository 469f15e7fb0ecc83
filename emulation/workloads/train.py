"""Trains the built-in networks: `python -m emulation.workloads.train digits`.

Gradients come from the calibration set alone (images 0-899, randomly changed). The validation set chooses the seed and
the epoch. The test set is opened once, after that choice, to report it. A run is repeatable on one machine; another
may round sums in another way and end elsewhere.
"""

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from emulation.workloads.augmentation import Augmentation
from emulation.workloads.catalogue import find_workload
from emulation.workloads.evaluation import count_correct, float_logits, mean_cross_entropy
from emulation.workloads.samples import Samples, Splits

logger = logging.getLogger(__name__)

THREADS = 1  # networks this small gain nothing from more, and one thread always adds in one order


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one network is trained: AdamW, one learning rate cycle for each seed.

    Attributes:
        epochs: Passes over the training samples, for each seed.
        seeds: One run each; the best epoch of all runs is kept.
        batch_size: Samples for each step; the incomplete last batch of an epoch is left out.
        peak_learning_rate: Top of the one-cycle schedule.
        weight_decay: For tensors of two axes and more; biases, norms and PReLU slopes have none.
        label_smoothing: Share of each target spread over all classes.
        augmentation: Random changes to the training images; None for data that are no images.
    """

    epochs: int
    seeds: tuple[int, ...]
    batch_size: int = 32
    peak_learning_rate: float = 5e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    augmentation: Augmentation | None = field(default_factory=Augmentation)


RECIPES = {
    "digits": Recipe(epochs=80, seeds=(0, 1, 2, 3, 4), label_smoothing=0.05),
    "digits-deep": Recipe(epochs=80, seeds=(0, 1, 2, 3, 4)),
    "digits-mlp": Recipe(epochs=200, seeds=(0, 1, 2, 3, 4), label_smoothing=0.05),
    "segment": Recipe(epochs=60, seeds=(0, 1, 2, 3, 4), batch_size=64, peak_learning_rate=3e-3, augmentation=None),
    "vowels": Recipe(epochs=100, seeds=(0, 1, 2, 3, 4), peak_learning_rate=3e-3, augmentation=None),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A network state after one epoch, and how it does on the validation set.

    Attributes:
        seed: The run it belongs to.
        epoch: Epochs trained, from 1.
        validation_correct: Correct validation samples.
        validation_loss: Mean cross entropy on the validation samples, in nats.
        state: Copy of the network's parameters and buffers.
    """

    seed: int
    epoch: int
    validation_correct: int
    validation_loss: float
    state: dict[str, Tensor]

    @property
    def rank(self) -> float:
        """Larger is better: the loss, because many epochs share one accuracy."""
        return -self.validation_loss


def train_epochs(network: nn.Module, training: Samples, recipe: Recipe, *, seed: int) -> Iterator[int]:
    """Trains a network in place and yields the number of epochs done after each one.

    Args:
        network: Its initial weights are the caller's affair.
        training: The only samples gradients come from.
        recipe: Length, optimiser and augmentation.
        seed: Fixes the order of the samples and their changes.

    Raises:
        ValueError: If there are fewer samples than one batch holds.
    """
    batches = len(training) // recipe.batch_size
    if not batches:
        raise ValueError(
            f"Training needs at least one batch of {recipe.batch_size} samples, got {len(training)}; "
            "give more samples or a smaller batch_size."
        )
    generator = torch.Generator().manual_seed(seed)
    images, labels = torch.tensor(training.inputs), torch.tensor(training.labels)
    optimiser = torch.optim.AdamW(_parameter_groups(network, recipe.weight_decay), lr=recipe.peak_learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.peak_learning_rate, total_steps=recipe.epochs * batches
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        order = torch.randperm(len(training), generator=generator)
        for batch in order[: batches * recipe.batch_size].view(batches, recipe.batch_size):
            given = images[batch]
            changed = given if recipe.augmentation is None else recipe.augmentation.apply(given, generator)
            loss = loss_of(network(changed), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        yield epoch


def candidates(build: Callable[[], nn.Module], splits: Splits, recipe: Recipe) -> Iterator[Candidate]:
    """Trains one network for each seed on the calibration set and yields its state after every epoch.

    Args:
        build: Makes an untrained network; its random initial weights follow the seed.
        splits: The validation set only judges, the test set is not looked at.
        recipe: How to train.
    """
    for seed in recipe.seeds:
        torch.manual_seed(seed)  # the initial weights
        network = build()
        for epoch in train_epochs(network, splits.calibration, recipe, seed=seed):
            logits = float_logits(network, splits.validation.inputs)
            yield Candidate(
                seed=seed,
                epoch=epoch,
                validation_correct=count_correct(logits, splits.validation),
                validation_loss=mean_cross_entropy(logits, splits.validation),
                state={name: tensor.detach().clone() for name, tensor in network.state_dict().items()},
            )


def train_workload(build: Callable[[], nn.Module], splits: Splits, recipe: Recipe) -> tuple[nn.Module, Candidate]:
    """Trains by a recipe and returns the network in its chosen state, in evaluation mode, with that state's origin.

    Args:
        build: Makes an untrained network.
        splits: See `candidates`.
        recipe: How to train.

    Raises:
        ValueError: If the recipe has no seed or no epoch, or if there are fewer samples than one batch holds.
    """
    if not recipe.seeds or recipe.epochs < 1:
        raise ValueError(
            f"A recipe needs at least one seed and one epoch, got seeds {recipe.seeds} and {recipe.epochs} epochs; "
            "raise what is missing."
        )
    chosen = max(candidates(build, splits, recipe), key=lambda candidate: candidate.rank)
    network = build()
    network.load_state_dict(chosen.state)
    return network.eval(), chosen


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Gives weight decay to matrices and kernels only; on biases, norms and slopes it would only shift outputs."""
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def save_weights(network: nn.Module, path: Path, *, origin: dict[str, object]) -> None:
    """Writes a network's state as safetensors, whole or not at all.

    Args:
        network: Parameters and buffers are stored under their names.
        path: File to write; an old one is replaced.
        origin: How the weights came about; stored as JSON under `origin` in the file's metadata.
    """
    state = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    part = path.with_name(path.name + ".part")
    part.write_bytes(safetensors.torch.save(state, metadata={"origin": json.dumps(origin, sort_keys=True)}))
    part.replace(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains the named built-in networks, writes their weights and logs their accuracy."""
    parser = argparse.ArgumentParser(prog="python -m emulation.workloads.train", description=__doc__)
    parser.add_argument("names", nargs="+", choices=sorted(RECIPES), help="workloads to train")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="where NAME.safetensors is written")
    parser.add_argument("--epochs", type=int, help="passes over the training images, instead of the recipe's number")
    parser.add_argument("--seeds", type=int, nargs="+", help="one run for each, instead of the recipe's seeds")
    options = parser.parse_args(arguments)
    torch.set_num_threads(THREADS)
    given = {"epochs": options.epochs, "seeds": options.seeds and tuple(options.seeds)}
    changes = {key: value for key, value in given.items() if value is not None}
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        _train_and_save(name, dataclasses.replace(RECIPES[name], **changes), options.folder)


def _train_and_save(name: str, recipe: Recipe, folder: Path) -> None:
    workload = find_workload(name)
    splits = workload.load_splits()
    network, chosen = train_workload(workload.build, splits, recipe)
    path = folder / f"{name}.safetensors"
    save_weights(
        network, path, origin={"recipe": dataclasses.asdict(recipe), "seed": chosen.seed, "epoch": chosen.epoch}
    )
    logger.info("%s: seed %d, epoch %d of %d, written to %s", name, chosen.seed, chosen.epoch, recipe.epochs, path)
    for title, samples in (("train", splits.calibration), ("validation", splits.validation), ("test", splits.test)):
        correct = count_correct(float_logits(network, samples.inputs), samples)
        logger.info("%s: %-10s %4d of %4d correct, %.4f", name, title, correct, len(samples), correct / len(samples))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    main()
