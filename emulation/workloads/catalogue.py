"""Workloads by name: a trained network together with the data that calibrates, selects and tests.

A workload is named either by a built-in name or by a reference `package.module:name` to a `Workload`. The built-in
names stand for such references, so a workload from elsewhere comes in by the same door.
"""

import difflib
import importlib
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from emulation.workloads.samples import Splits

if TYPE_CHECKING:
    from torch import Tensor, nn

BUILT_IN = {
    "digits": "emulation.workloads.digits:RESIDUAL",
    "digits-deep": "emulation.workloads.digits:DEEP",
    "digits-mlp": "emulation.workloads.digits:PERCEPTRON",
}

MESSAGE_CHARACTERS = 300
"""Longest part of a torch message repeated in an error of ours; torch lists every tensor or frame."""


class TaskMetric(StrEnum):
    """What a workload is judged by."""

    ACCURACY = "accuracy"
    """Share of samples whose largest logit is their label's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatScore:
    """Correct answers of the shipped float network, as its training run printed them.

    Attributes:
        calibration: Correct samples of the calibration set, which the network was trained on.
        validation: Correct samples of the validation set, which chose the seed and epoch.
        test: Correct samples of the test set, which chose nothing.
        command: The run these counts come from.
    """

    calibration: int
    validation: int
    test: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """How to obtain a trained network and its data.

    Attributes:
        name: Short name for tables and file names.
        description: One sentence for people.
        example_shape: Shape of one sample, without the batch axis.
        classes: Length of the logits.
        build: Makes the network; called without arguments.
        load_splits: Loads the three data sets; called without arguments.
        weights: safetensors file for the network's state, or None if `build` returns a trained network.
        metric: What the network is judged by.
        score: What the float network is known to reach, or None.
    """

    name: str
    description: str
    example_shape: tuple[int, ...]
    classes: int
    build: "Callable[[], nn.Module]"
    load_splits: Callable[[], Splits]
    weights: Path | None = None
    metric: TaskMetric = TaskMetric.ACCURACY
    score: FloatScore | None = None

    def load_network(self) -> "nn.Module":
        """Builds the network in evaluation mode, without gradients, with its trained weights.

        Raises:
            ValueError: If the weights are missing or do not belong to the network.
        """
        network = self.build()
        if self.weights is not None:
            _load_weights(network, self.weights, workload=self.name)
        return network.eval().requires_grad_(requires_grad=False)

    def load(self) -> "LoadedWorkload":
        """Loads the network and the data.

        Raises:
            ValueError: If the weights or the data are not as this workload describes them.
        """
        splits = self.load_splits()
        if splits.sample_shape != self.example_shape:
            raise ValueError(
                f"Workload {self.name!r} promises samples of shape {self.example_shape}, but its data has "
                f"{splits.sample_shape}; correct example_shape or load_splits."
            )
        highest = max(int(part.labels.max()) for part in (splits.calibration, splits.validation, splits.test))
        if highest >= self.classes:
            raise ValueError(
                f"Workload {self.name!r} promises labels 0 to {self.classes - 1}, but its data has {highest}; "
                "correct classes or load_splits."
            )
        return LoadedWorkload(workload=self, network=self.load_network(), splits=splits)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedWorkload:
    """A trained network, in evaluation mode and without gradients, and its data.

    Attributes:
        workload: Where they come from.
        network: Maps float32 (N, *example_shape) to logits (N, classes).
        splits: The three data sets.
    """

    workload: Workload
    network: "nn.Module"
    splits: Splits

    @property
    def name(self) -> str:
        """The workload's name."""
        return self.workload.name

    def example_inputs(self) -> "tuple[Tensor]":
        """Makes the argument tuple `torch.export.export` asks for: the first calibration sample, with a batch axis."""
        torch = importlib.import_module("torch")
        return (torch.tensor(self.splits.calibration.inputs[:1]),)


def workload_names() -> tuple[str, ...]:
    """Lists the built-in workloads, the default first.

    Example:
        >>> workload_names()
        ('digits', 'digits-deep', 'digits-mlp')
    """
    return tuple(BUILT_IN)


def find_workload(name: str) -> Workload:
    """Finds a workload without loading its weights or data.

    Args:
        name: A built-in name, or `package.module:name` of a `Workload`, whose module is then imported.

    Raises:
        ValueError: If there is none of that name, or the reference leads to something else.

    Example:
        >>> find_workload("digit")
        Traceback (most recent call last):
        ValueError: Unknown workload 'digit', allowed are digits, digits-deep, digits-mlp or a reference
        'package.module:name' to a Workload; did you mean 'digits'?
    """
    reference = BUILT_IN.get(name, name)
    module_name, colon, attribute = reference.partition(":")
    if not colon:
        close = difflib.get_close_matches(name.lower(), BUILT_IN, n=1)
        advice = f"did you mean {close[0]!r}?" if close else "choose one of these."
        raise ValueError(
            f"Unknown workload {name!r}, allowed are {', '.join(BUILT_IN)} or a reference 'package.module:name' to a "
            f"Workload; {advice}"
        )
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"Workload reference {name!r} cannot be loaded ({error}); it must be 'package.module:name' of a Workload "
            "in a module Python can import; check the spelling and the module search path."
        ) from error
    if not isinstance(found, Workload):
        raise ValueError(  # noqa: TRY004 - bad input of a user, like every other bad name
            f"Workload reference {name!r} leads to a {type(found).__name__}, allowed is a Workload; "
            "name the Workload object itself."
        )
    return found


def load_workload(name: str) -> LoadedWorkload:
    """Finds a workload by name or reference and loads its trained network and data.

    Args:
        name: See `find_workload`.

    Raises:
        ValueError: If there is none of that name, or its weights or data are not as it describes them.

    Example:
        >>> loaded = load_workload("digits-mlp")
        >>> len(loaded.splits.validation), loaded.network.training
        (300, False)
    """
    return find_workload(name).load()


def _load_weights(network: "nn.Module", path: Path, *, workload: str) -> None:
    """Fills a network from a safetensors file; every name and shape must match."""
    safetensors = importlib.import_module("safetensors")
    reader = importlib.import_module("safetensors.torch")
    advice = f"restore the file or train again with `python -m emulation.workloads.train {workload}`."
    try:
        state = reader.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"Workload {workload!r} cannot read its weights {path} ({error}); {advice}") from error
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        mismatch = textwrap.shorten(str(error), MESSAGE_CHARACTERS)
        raise ValueError(
            f"Workload {workload!r} has weights {path} of another network ({mismatch}); {advice}"
        ) from error
